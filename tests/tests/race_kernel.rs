//! A queue that is reset at the worst moment: after the session has looked, and before it releases.

use tc_core::link::LinkChange;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Socket};
use tc_qdiscs::plug::commit::{Ack, Error, Limit, Network, OnDeath, OnTaint, OutputCommit, Plan, Plugs};
use tests::lab::{Pair, QUIET, Shared};
use tests::need;

/// What a release sends: first the look, then the RELEASE.
const RELEASE: u64 = 1;
const NOTHING: [u8; 0] = [];

/// The device goes down and up, or keeps running with another length of queue: both empty it.
const RESETS: [(&str, &[LinkChange]); 2] = [
    ("the device was set down", &[change(Some(false), None), change(Some(true), None)]),
    ("txqueuelen was changed from 1000 to 77", &[change(None, Some(77))]),
];

const fn change(up: Option<bool>, tx_queue_len: Option<u32>) -> LinkChange {
    LinkChange { up, tx_queue_len, mtu: None }
}

#[test]
fn a_reset_between_the_look_and_the_release_is_found_before_more_is_sent() {
    need!("sch_plug", "veth");
    let dir = std::env::temp_dir().join(format!("tc-race-{}", std::process::id()));
    for (cause, changes) in RESETS {
        let pair = Pair::new();
        let commands = Shared::new(Socket::open().unwrap());
        let mut notices = Socket::open().unwrap();
        notices.set_nonblocking(true).unwrap();
        [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| notices.join(group)).unwrap();
        let limit = Limit::bytes(32768.try_into().unwrap());
        let plan = Plan::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
        let tc = Connection::over(commands.clone());
        let monitor = Monitor::over(Shared::new(notices));
        let mut session = OutputCommit::attach_over(tc, monitor, &[Pair::NEAR], plan).unwrap();

        session.start_buffer().unwrap();
        pair.send(&[1, 2]);
        let epoch = session.close().unwrap();
        pair.send(&[3]);
        commands.get().before_send(RELEASE, move || {
            let mut other = Connection::open().unwrap();
            let ifindex = other.ifindex(Pair::NEAR).unwrap();
            changes.iter().for_each(|change| other.set_link(ifindex, change).unwrap());
        });
        let Err(Error::Tainted { taint, network }) = session.release(epoch, Ack::of(0)) else {
            panic!("{cause}: not found")
        };
        assert_eq!((taint.cause.to_string(), network), (cause.to_owned(), Network::HeldAnew));

        // The kernel still had 1 and 2 to release: 4 and 5 would leave in their place.
        let known = "neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:02 nud permanent";
        pair.near.ip(known).ok();
        pair.send(&[4, 5]);
        assert_eq!(pair.receive(1, QUIET), NOTHING, "{cause}");
        session.restart().unwrap();
        pair.send(&[6]);
        let epoch = session.close().unwrap();
        let number = epoch.number();
        session.release(epoch, Ack::of(number)).unwrap();
        assert_eq!(pair.receive(2, QUIET), [6], "{cause}: and it goes on");
        session.detach(Plugs::Remove).unwrap();
    }
}
