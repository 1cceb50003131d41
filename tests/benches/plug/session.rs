//! Epochs through the library.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request, Socket, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Ack, AttachOptions, DetachMode, Limit, OnDeath, OnTaint, OutputCommit};
use tc_qdiscs::plug::ring::Ring;
use tc_qdiscs::prio::Prio;
use tests::lab::{Calls, Counting, PATIENCE, Pair};

use crate::{Row, time};

const LIMIT: NonZeroU32 = NonZeroU32::new(10_000_000).expect("not 0");

/// With all that a session checks.
pub(crate) fn epochs(cycles: usize) -> Vec<Row> {
    let dir = env::temp_dir().join(format!("tc-plug-bench-{}", std::process::id()));
    let pair = Pair::new();
    let options =
        AttachOptions::new(Limit::bytes(LIMIT), OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let mut session = OutputCommit::attach(&[Pair::NEAR], options).expect("a fresh device takes a plug");
    session.start_buffer().expect("it holds");
    let mut times = [(); 3].map(|()| Vec::with_capacity(cycles));
    for _ in 0..cycles {
        pair.send(&[1]);
        let (mut epoch, mut released) = (None, None);
        let close = time(|| epoch = Some(session.close()));
        let epoch = epoch.and_then(Result::ok).expect("nothing disturbs the queue");
        let ack = Ack::of(epoch.number());
        let release = time(|| released = Some(session.release(epoch, ack)));
        released.and_then(Result::ok).expect("nothing disturbs the queue");
        assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
        for (times, time) in times.iter_mut().zip([close, release, close + release]) {
            times.push(time);
        }
    }
    session.detach(DetachMode::Remove).expect("it ends in order");
    let _gone = fs::remove_dir_all(&dir);
    let names = ["library: close", "library: release, with its checks", "library: both"];
    names.into_iter().zip(times).map(|(name, times)| Row::new(name, times)).collect()
}

/// An epoch of a ring of 8 bands at the egress: with all that the session checks.
pub(crate) fn ring(cycles: usize) -> Vec<Row> {
    let dir = env::temp_dir().join(format!("tc-plug-bench-ring-{}", std::process::id()));
    let pair = Pair::new();
    let (commands, notices) = (Calls::default(), Calls::default());
    let tc = Connection::over(Counting::new(Socket::open().expect("a socket"), commands.clone()));
    let mut socket = Socket::open().expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    [RTNLGRP_TC, RTNLGRP_LINK].into_iter().for_each(|group| socket.join(group).expect("a group"));
    let monitor = Monitor::over(Counting::new(socket, notices.clone()));
    let options = AttachOptions::new(Limit::bytes(LIMIT), OnTaint::FailClosed, OnDeath::StayClosed);
    let options = options.journal_dir(&dir);
    let mut ring = Ring::attach_over(tc, monitor, &["near".into()], options).expect("a device takes a ring");
    ring.start_buffer().expect("it holds");
    let mut times = [(); 3].map(|()| Vec::with_capacity(cycles));
    let _attaching = (commands.take(), notices.take());
    for _ in 0..cycles {
        pair.send(&[1]);
        let (mut epoch, mut released) = (None, None);
        let close = time(|| epoch = Some(ring.close()));
        let epoch = epoch.and_then(Result::ok).expect("nothing disturbs the ring");
        let ack = Ack::of(epoch.number());
        let release = time(|| released = Some(ring.release(epoch, ack)));
        released.and_then(Result::ok).expect("nothing disturbs the ring");
        assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
        for (times, time) in times.iter_mut().zip([close, release, close + release]) {
            times.push(time);
        }
    }
    let ((sends, receives), (_, notices)) = (commands.take(), notices.take());
    let each = |calls: usize| calls as f64 / cycles as f64;
    println!(
        "A ring's epoch: {:.2} sends, {:.2} receives, {:.2} receives of notices.\n",
        each(sends),
        each(receives),
        each(notices)
    );
    ring.detach().expect("it ends in order");
    let _gone = fs::remove_dir_all(&dir);
    let names = ["ring of 8: close", "ring of 8: release, with its checks", "ring of 8: both"];
    names.into_iter().zip(times).map(|(name, times)| Row::new(name, times)).collect()
}

/// The three messages of an epoch of a ring and nothing else: BUFFER and the map in one send, and the release.
pub(crate) fn bare_ring(cycles: usize) -> Vec<Row> {
    let pair = Pair::new();
    let mut tc = Connection::open().expect("a socket");
    let near = tc.ifindex(Pair::NEAR).expect("the device");
    let root = Handle::qdisc(1);
    let map = |band: u8| Prio::default().bands(8).priomap([band; 16]);
    let prio = Request::qdisc(near).parent(Handle::ROOT).handle(root);
    tc.add(&prio.clone().options(&map(0))).expect("a fresh device takes a prio");
    let limit = Plug::set_limit(LIMIT.get());
    let band = |band: u8| {
        let class = Handle::class(1, u16::from(band) + 1);
        Request::qdisc(near).parent(class).handle(Handle::qdisc(0x10 + u16::from(band)))
    };
    for number in 0..8 {
        tc.add(&band(number).options(&limit)).expect("a band takes a plug");
    }
    let (buffer, release) = (Plug::buffer(), Plug::release_indefinite());
    let times: Vec<Duration> = (0..cycles)
        .map(|cycle| {
            let (open, next) = ((cycle % 8) as u8, ((cycle + 1) % 8) as u8);
            pair.send(&[1]);
            let took = time(|| {
                let map = map(next);
                let mut close = tc.group();
                close.push(Verb::Change, &band(next).options(&buffer)).expect("a message");
                close.push(Verb::Change, &prio.clone().options(&map)).expect("a message");
                close.send(|_, outcome| drop(outcome.expect("a ring takes orders"))).expect("answers");
                tc.apply_as_it_is(Verb::Change, &band(open).options(&release)).expect("a plug takes orders");
            });
            assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
            took
        })
        .collect();
    vec![Row::new("ring of 8: its three messages alone, unchecked", times)]
}

/// The two requests and nothing else.
pub(crate) fn bare(cycles: usize) -> Vec<Row> {
    let pair = Pair::new();
    let mut tc = Connection::open().expect("a socket");
    let near = tc.ifindex(Pair::NEAR).expect("the device");
    let root = Request::qdisc(near).parent(Handle::ROOT).handle(Handle::qdisc(1));
    let plug = Plug::set_limit(LIMIT.get());
    tc.add(&root.clone().options(&plug)).expect("a fresh device takes a plug");
    let (buffer, release) = (Plug::buffer(), Plug::release_one());
    let mut order = |plug: &Plug| {
        tc.apply_as_it_is(Verb::Change, &root.clone().options(plug)).expect("a plug takes orders");
    };
    let times: Vec<Duration> = (0..cycles)
        .map(|_| {
            pair.send(&[1]);
            let took = time(|| {
                order(&buffer);
                order(&release);
            });
            assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
            took
        })
        .collect();
    vec![Row::new("library: both requests alone, unchecked", times)]
}
