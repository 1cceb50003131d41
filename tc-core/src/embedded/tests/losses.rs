//! Connections, monitors and followers recover after a loss.

use std::io;

use super::*;
use crate::connection::monitor::{Event, Follower, Monitor, Notice};
use crate::connection::scripted::{Scripted, message};
use crate::wire::device::DeviceNames;
use crate::wire::uapi::*;
use crate::{Error, Received, Transport};

type Operation = fn(&mut Connection<Socket>) -> Result<(), Error>;

/// Kernel: after a loss it delivers nothing more until all was read (`NETLINK_S_CONGESTED`).
#[test]
fn a_connection_recovers_after_a_loss() {
    let operations: [Operation; 7] = [
        |tc| tc.replace(&root().kind("tbf")),
        |tc| tc.get(&root()).map(|_| ()),
        |tc| tc.link_by_name("wan").map(|_| ()),
        |tc| {
            tc.set_echo(true);
            let done = tc.replace(&root().kind("tbf"));
            tc.set_echo(false);
            done
        },
        |tc| {
            let mut pack = tc.group();
            pack.push(Verb::Replace, &root().kind("tbf"))?;
            let mut outcome = Ok(());
            pack.send(|_, told| outcome = told.map(|_| ()))?;
            outcome.map_err(|cause| Error::new("pack", "", cause))
        },
        |tc| {
            let mut outcome = Ok(());
            let mut batch = tc.pipeline(|_, told| outcome = told);
            batch.push(Verb::Replace, &root().kind("tbf"))?;
            batch.finish();
            outcome.map_err(|cause| Error::new("batch", "", cause))
        },
        |tc| {
            // Its first receive reports the loss; the queued datagrams follow.
            tc.forget_answers();
            Err(Error::new("forget", "", crate::exchange::reply::cut_short()))
        },
    ];
    for (at, operation) in operations.into_iter().enumerate() {
        let kernel = builder().build();
        let mut tc = Connection::over(kernel.connect());
        tc.transport().join(RTNLGRP_TC);
        // There is room for the first notice, and the second is lost; so is the answer.
        tc.transport().set_receive_buffer(1);
        let mut other = Connection::over(kernel.connect());
        (0..2).for_each(|_| other.replace(&root().kind("pfifo")).unwrap());
        tc.transport().leave(RTNLGRP_TC);
        let lost = operation(&mut tc);
        assert!(lost.is_err_and(|error| error.is_outcome_unknown()), "operation {at}");
        tc.transport().set_receive_buffer(10_000);
        tc.replace(&root().kind("tbf")).unwrap();
    }
}

#[test]
fn a_pack_makes_room_for_all_its_answers() {
    let mut tc = Connection::over(builder().build().connect());
    tc.transport().set_receive_buffer(2000);
    let mut pack = tc.group();
    for _ in 0..100 {
        pack.push(Verb::Replace, &root().kind("tbf")).unwrap();
    }
    pack.send(|_, outcome| assert!(outcome.is_ok(), "{outcome:?}")).unwrap();
}

#[test]
fn a_fitting_notice_is_whole_an_unreadable_one_skipped() {
    let mut monitor = Monitor::over(Scripted::new(|_| Vec::new()));
    let header = |length: usize| message(RTM_NEWQDISC, 0, 0, &vec![0; length - 16]);
    let mut lying = header(40);
    lying[0] = 44;
    let datagrams = [header(64 * 1024), lying, header(36), message(NLMSG_OVERRUN, 0, 0, &[])];
    monitor.transport_mut().answers.extend(datagrams);
    let mut next = || match monitor.receive() {
        Ok(Some(Notice::Message(message))) => message.payload.len().to_string(),
        Ok(Some(Notice::Overflow)) => "lost".into(),
        Ok(None) => "none".into(),
        Err(error) => error.to_string(),
    };
    let seen: Vec<_> = (0..5).map(|_| next()).collect();
    let unread = "receive notice: cannot read the kernel's answer: malformed message length";
    assert_eq!(seen, [&(64 * 1024 - 16).to_string(), unread, "20", "lost", "none"]);
}

/// A follower's events, a letter each: a notice, a loss, a listed object, the end of a list.
fn told<M: Transport>(follower: &mut Follower<M, Socket>) -> String {
    let mut told = String::new();
    while let Some(event) = follower.next().unwrap() {
        told.push(match event {
            Event::Notice(_) => 'n',
            Event::Overflow => '!',
            Event::Listed(_) => '+',
            Event::InStep => '.',
            Event::DeviceGone(_) => '-',
        });
    }
    told
}

#[test]
fn no_older_notice_follows_the_list() {
    for (room, lost) in [(1 << 20, false), (3000, true)] {
        let kernel = builder().build();
        let socket = kernel.connect();
        socket.join(RTNLGRP_TC);
        socket.set_receive_buffer(room);
        let connection = Connection::over(kernel.connect());
        let mut follower = Follower::over(Monitor::over(socket), connection);
        let mut tc = Connection::over(kernel.connect());
        (0..50).for_each(|_| tc.replace(&root().kind("tbf")).unwrap());
        // Of two in one datagram the first; or nothing, if the loss is reported first.
        if !lost {
            assert!(matches!(follower.next().unwrap(), Some(Event::Notice(_))));
        }
        follower.list_anew();
        assert_eq!(told(&mut follower), "+.", "lost: {lost}");
        tc.delete(&root()).unwrap();
        assert_eq!(told(&mut follower), "n");
    }
}

/// A transport that need not be able to receive many at once.
#[test]
fn datagrams_received_singly_are_discarded_too() {
    let connection = Connection::over(builder().build().connect());
    let mut follower = Follower::over(Monitor::over(Scripted::new(|_| Vec::new())), connection);
    follower.list_anew();
    assert_eq!(told(&mut follower), "+.");
}

#[test]
fn an_endless_flood_does_not_hang_a_follower() {
    /// There is always one more, until the test stops it.
    struct Flood(bool);
    impl Transport for Flood {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn receive(&mut self, _: &mut [u8]) -> io::Result<Received> {
            Err(io::ErrorKind::WouldBlock.into())
        }
        fn receive_many(&mut self, _: &mut [u8], _: &mut [Received], _: bool) -> io::Result<usize> {
            Ok(usize::from(self.0))
        }
        fn port(&self) -> u32 {
            7
        }
        fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    let connection = Connection::over(builder().build().connect());
    let mut follower = Follower::over(Monitor::over(Flood(true)), connection);
    follower.list_anew();
    for _ in 0..2 {
        assert!(matches!(follower.next().unwrap(), Some(Event::Overflow)));
    }
    *follower.monitor_mut().transport_mut() = Flood(false);
    assert_eq!(told(&mut follower), "+.");
}
