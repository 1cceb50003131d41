//! Multicast groups and waiting.

use std::thread;
use std::time::Duration;

use super::*;
use crate::Transport;
use crate::connection::monitor::{Monitor, Notice};
use crate::wire::message::Entry;
use crate::wire::uapi::*;

fn next<T: Transport>(monitor: &mut Monitor<T>) -> Option<(u16, u16, String, u32)> {
    match monitor.receive().unwrap()? {
        Notice::Message(message) => {
            let entry = Entry::decode(&message).unwrap();
            Some((message.kind, message.flags, entry.kind().unwrap().to_owned(), entry.header.info))
        }
        Notice::Overflow => panic!("nothing was lost"),
    }
}

#[test]
fn a_member_receives_notices_of_every_qdisc() {
    let kernel = builder().build();
    let socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    let mut monitor = Monitor::over(socket);
    let mut tc = Connection::over(kernel.connect());
    tc.add(&root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    assert_eq!(next(&mut monitor), Some((RTM_DELQDISC, 0, "pfifo_fast".into(), 1)));
    assert_eq!(next(&mut monitor), Some((RTM_NEWQDISC, NLM_F_REPLACE, "tbf".into(), 2)));
    tc.change(&root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    assert_eq!(next(&mut monitor), Some((RTM_NEWQDISC, 0, "tbf".into(), 2)));
    tc.delete(&root()).unwrap();
    assert_eq!(next(&mut monitor), Some((RTM_DELQDISC, 0, "tbf".into(), 1)));
    assert_eq!(next(&mut monitor), None);
    monitor.transport().leave(RTNLGRP_TC);
    tc.add(&root().kind("tbf")).unwrap();
    assert_eq!(next(&mut monitor), None);
}

#[test]
fn device_changes_are_notified() {
    let kernel = builder().build();
    let socket = kernel.connect();
    socket.join(RTNLGRP_LINK);
    let mut monitor = Monitor::over(socket);
    let kind = |monitor: &mut Monitor<Socket>| match monitor.receive().unwrap() {
        Some(Notice::Message(message)) => message.kind,
        other => panic!("{other:?}"),
    };
    let added = kernel.add_device(Device::new("eth9"));
    assert_eq!(kind(&mut monitor), RTM_NEWLINK);
    assert!(kernel.set_carrier(added, false));
    assert_eq!(kind(&mut monitor), RTM_NEWLINK);
    assert!(kernel.remove_device(added) && !kernel.remove_device(added));
    assert_eq!(kind(&mut monitor), RTM_DELLINK);
}

#[test]
fn a_slow_reader_gets_an_overflow() {
    let kernel = builder().build();
    let socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    socket.set_receive_buffer(10_000);
    let mut monitor = Monitor::over(socket);
    let mut tc = Connection::over(kernel.connect());
    for _ in 0..50 {
        tc.replace(&root().kind("tbf")).unwrap();
    }
    assert!(matches!(monitor.receive().unwrap(), Some(Notice::Overflow)));
    assert!(matches!(monitor.receive().unwrap(), Some(Notice::Message(_))), "the older ones are there");
}

#[test]
fn a_receive_with_a_timeout_waits_for_another_thread() {
    let kernel = builder().build();
    let mut socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    socket.set_timeout(Duration::from_secs(20));
    let mut monitor = Monitor::over(socket);
    let actor = {
        let kernel = kernel.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            Connection::over(kernel.connect()).add(&root().kind("tbf")).unwrap();
        })
    };
    assert_eq!(next(&mut monitor).unwrap().2, "pfifo_fast");
    actor.join().unwrap();
}

#[test]
fn sockets_have_unique_ports() {
    let kernel = builder().build();
    let (one, other) = (kernel.connect(), kernel.connect());
    assert!(one.port() != other.port() && one.port() != 0);
}
