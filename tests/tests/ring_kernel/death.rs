//! The controller dies before each of its system calls: nothing uncommitted leaves, and whoever comes
//! after it finds everything.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Socket};
use tc_qdiscs::plug::commit::{Ack, Error, OnAdopt, OnTaint, OrphanedSession};
use tc_qdiscs::plug::place::{Clsact, Redirect, Side};
use tc_qdiscs::plug::ring::{Depth, Ring};
use tests::lab::{PATIENCE, Pair, QUIET, Shared, count, one_in};
use tests::need;

use crate::{Dir, NOTHING, options, state};

/// A session from start to end: 1 is open output, 2 is committed, 3 and 4 are not until the end.
fn session(dir: &Dir, pair: &Pair, hand: &Shared<Socket>, committed: &mut usize) -> Result<(), Error> {
    let mut notices = Socket::open().unwrap();
    notices.set_nonblocking(true).unwrap();
    [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| notices.join(group)).unwrap();
    let (tc, monitor) = (Connection::over(hand.clone()), Monitor::over(Shared::new(notices)));
    let options = options(dir, OnTaint::FailClosed).depth(Depth::new(3).unwrap()).clsact(Clsact::Remove);
    let mut ring = Ring::attach_over(tc, monitor, &["near".into()], options)?;
    pair.send(&[1]);
    assert_eq!(pair.receive(1, PATIENCE), [1]);
    *committed = 1;
    ring.start_buffer()?;
    pair.send(&[2]);
    let first = ring.close()?;
    pair.send(&[3]);
    let _second = ring.close()?;
    pair.send(&[4]);
    *committed = 2;
    ring.release(first, Ack::of(0))?;
    ring.tend()?;
    ring.discard()
}

#[test]
fn a_death_before_each_system_call_is_cleaned_up() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("death"), Pair::new());
    let before = state(&pair.near, &["near"]);
    let mut points = 0;
    // A short run tries some of them.
    for call in (0..).step_by(one_in().min(5)) {
        let hand = Shared::new(Socket::open().unwrap());
        hand.get().before_call(call, || resume_unwind(Box::new("dead")));
        let mut committed = 0;
        let lived = catch_unwind(AssertUnwindSafe(|| session(&dir, &pair, &hand, &mut committed)));
        if let Ok(lived) = lived {
            lived.unwrap();
            break;
        }
        points += 1;
        let when = format!("dead before call {call}");
        let left = pair.receive(4, QUIET / 3);
        assert!(left == NOTHING || left == [2] && committed == 2, "{when}: {left:?} left");
        let mut tc = Connection::open().unwrap();
        let near = tc.ifindex("near").unwrap();
        if committed == 0 {
            // It died while it attached: the network is open.
            pair.send(&[7]);
            assert_eq!(pair.receive(1, PATIENCE), [7], "{when}");
        }
        // The next controller finds the journal, or may begin at once.
        let options =
            || options(&dir, OnTaint::FailClosed).depth(Depth::new(3).unwrap()).clsact(Clsact::Remove);
        let next = match Ring::attach(&["near".into()], options()) {
            Err(Error::Orphaned { journal, .. }) => {
                let held = if committed == 0 { OnAdopt::Release } else { OnAdopt::Drop };
                OrphanedSession::read(&journal).unwrap().remove(&mut tc, held, PATIENCE).unwrap();
                Ring::attach(&["near".into()], options())
            }
            other => other,
        };
        let mut next = next.unwrap_or_else(|error| panic!("{when}: {error}"));
        next.start_buffer().unwrap();
        pair.send(&[8]);
        let epoch = next.close().unwrap();
        pair.send(&[9]);
        next.release(epoch, Ack::of(0)).unwrap();
        assert_eq!(pair.receive(1, PATIENCE), [8], "{when}");
        assert_eq!(pair.receive(1, QUIET / 3), NOTHING, "{when}");
        next.detach().unwrap();
        assert_eq!(pair.receive(1, PATIENCE), [9], "{when}");
        assert_eq!(Redirect::find(&mut tc, near, Side::Egress).unwrap(), None, "{when}");
        // Only the qdisc can be left whose maker is not known any more.
        let clsact = "qdisc clsact ffff: dev near parent ffff:fff1 \n";
        let after = state(&pair.near, &["near"]);
        if after.contains(clsact) {
            pair.near.tc("qdisc del dev near clsact").ok();
        }
        assert_eq!(after.replace(clsact, ""), before, "{when}");
    }
    count(&format!("ring: {points} deaths of the controller at its system calls, 0 leaked, all cleaned up"));
    assert!(points > 8, "{points}");
}
