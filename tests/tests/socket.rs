//! The kernel's treatment of the socket that carries requests.

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
};
use tc_core::monitor::{Event, Follower, Monitor, Notice};
use tc_core::netns::Namespace;
use tc_core::uapi::{RTM_DELQDISC, RTM_NEWQDISC, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request, Socket, Transport};
use tests::lab::Net;
use tests::need;

#[test]
fn another_process_cannot_send_to_a_connection() {
    let mut ours = Socket::open().unwrap();
    let kind = (AddressFamily::Netlink, SockType::Raw);
    let theirs = socket(kind.0, kind.1, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).unwrap();
    let to_us = NetlinkAddr::new(ours.port(), 0);
    let sent = sendto(theirs.as_raw_fd(), &[0; 16], &to_us, MsgFlags::empty());
    assert_eq!(sent, Err(Errno::ECONNREFUSED));
    ours.set_nonblocking(true).unwrap();
    assert_eq!(ours.receive(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // And the kernel still can.
    ours.set_nonblocking(false).unwrap();
    assert_eq!(Connection::over(ours).ifindex("lo").unwrap(), 1);
}

#[test]
fn a_zero_timeout_is_not_infinite() {
    let mut socket = Socket::open().unwrap();
    // Kernel: SO_RCVTIMEO of 0 has no limit.
    for none in [Duration::ZERO, Duration::from_nanos(1)] {
        socket.set_timeout(Some(none)).unwrap();
        assert_eq!(socket.receive(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    let mut tc = Connection::over(socket);
    tc.set_timeout(Duration::from_millis(1)).unwrap();
    let since = Instant::now();
    tc.transport_mut().receive(&mut [0; 16]).unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(5));
}

/// A notice of a new qdisc on device 1.
fn forged() -> Vec<u8> {
    let mut message = vec![0; 36];
    message[..4].copy_from_slice(&36_u32.to_ne_bytes());
    message[4..6].copy_from_slice(&RTM_NEWQDISC.to_ne_bytes());
    message[20..24].copy_from_slice(&1_i32.to_ne_bytes());
    message
}

#[test]
fn a_notice_of_another_process_is_skipped() {
    need!("netns");
    let net = Net::new();
    let mut monitor = Monitor::open(&[RTNLGRP_TC]).unwrap();
    let theirs =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .unwrap();
    // To the group, which takes the privilege.
    let group = NetlinkAddr::new(0, 1 << (RTNLGRP_TC - 1));
    sendto(theirs.as_raw_fd(), &forged(), &group, MsgFlags::empty()).unwrap();
    net.tc("qdisc add dev lo root handle 7: pfifo").ok();
    monitor.set_nonblocking(true).unwrap();
    let mut heard = 0;
    while let Some(notice) = monitor.receive().unwrap() {
        let Notice::Message(message) = notice else { panic!("{notice:?}") };
        // The kernel's have attributes, which the forged one has not.
        assert!(message.payload.len() > 20, "{message:?}");
        heard += 1;
    }
    assert!(heard > 0);
}

#[test]
fn several_datagrams_come_in_one_call() {
    let mut socket = Socket::open().unwrap();
    // NLMSG_NOOP with NLM_F_REQUEST and NLM_F_ACK.
    let mut request = [16u8, 0, 0, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for sequence in 1..=5 {
        request[8] = sequence;
        socket.send(&request).unwrap();
    }
    let (mut buffer, mut received) = ([0xa5; 4 * 64], [tc_core::Received::default(); 4]);
    for (count, first) in [(4, 1), (1, 5)] {
        assert_eq!(socket.receive_many(&mut buffer, &mut received, true).unwrap(), count);
        for at in 0..count {
            assert_eq!(received[at], tc_core::Received { length: 36, sender: 0 });
            assert_eq!(usize::from(buffer[at * 64 + 8]), first + at, "sequence number");
        }
    }
    let none = socket.receive_many(&mut buffer, &mut received, false);
    assert_eq!(none.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // A long datagram is truncated, and its full length is reported.
    let whole = tc_core::Received { length: 36, sender: 0 };
    (0..3).for_each(|_| socket.send(&request).unwrap());
    assert_eq!(socket.receive(&mut [0; 20]).unwrap(), whole);
    assert_eq!(socket.receive_many(&mut [0; 40], &mut received[..2], true).unwrap(), 2);
    assert_eq!(received[..2], [whole; 2]);
    socket.join(RTNLGRP_TC).unwrap();
    socket.send(&request).unwrap();
    assert_eq!(socket.receive(&mut [0; 20]).unwrap(), whole);
}

#[test]
fn the_reported_room_is_available() {
    let mut socket = Socket::open().unwrap();
    let there = socket.make_room(0).unwrap();
    assert!(there >= 4096, "{there}");
    assert_eq!(socket.make_room(there).unwrap(), there, "enough already");
    socket.set_receive_buffer(4096).unwrap();
    assert_eq!(socket.make_room(0).unwrap(), 8192, "the kernel sets twice what is asked for");
    assert!(socket.make_room(16_384).unwrap() >= 16_384);
}

/// As an event loop does it, from a thread that stays where it is.
#[test]
fn a_followers_descriptor_can_be_polled() {
    need!("netns");
    let net = Net::aside();
    let there = Namespace::open(net.path()).unwrap();
    let mut tc = Connection::open_in(&there).unwrap();
    let mut follower = Follower::open_in(&there).unwrap();
    follower.set_nonblocking(true).unwrap();
    assert_eq!(follower.as_raw_fd(), follower.as_fd().as_raw_fd());
    let readable = |follower: &Follower| {
        let mut fds = [PollFd::new(follower.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(5000u16)).unwrap() == 1
    };
    let root = Request::qdisc(1).parent(Handle::ROOT).handle(Handle::qdisc(7));
    tc.add(&root.kind("pfifo")).unwrap();
    assert!(readable(&follower));
    let mut kinds = Vec::new();
    while let Some(Event::Notice(message)) = follower.next().unwrap() {
        kinds.push(message.kind);
    }
    // Kernel: a notice of the replaced default comes first.
    assert_eq!(kinds, [RTM_DELQDISC, RTM_NEWQDISC]);
    assert_eq!(net.tc("qdisc show dev lo").ok(), "qdisc pfifo 7: root refcnt 2 limit 1000p\n");
    let (here, inside) = (inode_of_namespace(), there.within(inode_of_namespace).unwrap());
    assert!(here.is_some() && inside.is_some() && here != inside, "{here:?} {inside:?}");
    assert_eq!(here, inode_of_namespace());
    let absent = Namespace::open("/nonexistent/ns").unwrap_err();
    assert!(absent.is_not_found(), "{absent}");
}

fn inode_of_namespace() -> Option<std::path::PathBuf> {
    std::fs::read_link("/proc/thread-self/ns/net").ok()
}
