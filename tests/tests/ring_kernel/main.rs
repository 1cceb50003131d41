//! A ring of plugs with real packets, on its places.

#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

mod bad_input;
mod crash;
mod death;
mod flood;
mod foreign;
mod resets;
mod strangers;

use std::path::PathBuf;
use std::time::Duration;

use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Socket};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, Error, Journal, Limit, NetworkState, OnDeath, OnDrop, OnTaint, State, TaintCause,
};
use tc_qdiscs::plug::place::Place;
use tc_qdiscs::plug::ring::{Depth, Ring, RingOptions, Site};
use tests::lab::{Calls, Counting, Net, PATIENCE, Pair, QUIET};
use tests::need;

const NOTHING: [u8; 0] = [];

/// A directory of this test's own, which ends with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("tc-ring-{name}-{}", std::process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(dir: &Dir, on_taint: OnTaint) -> RingOptions {
    let limit = Limit::bytes(1_000_000.try_into().unwrap());
    RingOptions::new(AttachOptions::new(limit, on_taint, OnDeath::StayClosed).journal_dir(&dir.0))
}

fn attach(dir: &Dir, bands: u8) -> Ring {
    let options = options(dir, OnTaint::FailClosed).depth(Depth::new(bands).unwrap());
    Ring::attach(&[Site::from(Pair::NEAR)], options).unwrap()
}

/// All devices, qdiscs and filters of a host, without what counts or has a random name.
fn state(net: &Net, devices: &[&str]) -> String {
    let filters = devices.iter().flat_map(|dev| {
        ["egress", "ingress"].map(|side| {
            let shown = net.tc(&format!("filter show dev {dev} {side}"));
            shown.stdout
        })
    });
    let filters: String = filters.collect();
    format!("{}{}{filters}", net.ip("-br link").ok(), net.tc("qdisc show").ok())
}

#[test]
fn epochs_leave_in_order_and_only_when_acknowledged() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("order"), Pair::new());
    let before = state(&pair.near, &["near"]);
    let mut ring = attach(&dir, 4);
    pair.send(&[1]);
    assert_eq!(pair.receive(1, PATIENCE), [1], "attached, and open");
    ring.start_buffer().unwrap();
    pair.send(&[2, 3]);
    let first = ring.close().unwrap();
    pair.send(&[4]);
    let second = ring.close().unwrap();
    pair.send(&[5, 6, 7]);
    let third = ring.close().unwrap();
    assert_eq!([first.number(), second.number(), third.number()], [0, 1, 2]);
    let full = ring.close().unwrap_err();
    assert_eq!(full.to_string(), "3 epochs are closed and not yet released, epoch 0 first; output is held");
    assert_eq!(ring.close_or_extend().unwrap(), None);
    pair.send(&[8]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "closed, and not released");

    let error = ring.release(second, Ack::of(1)).unwrap_err();
    assert_eq!(error.to_string(), "epoch 1 cannot be released before epoch 0; output is held");
    let second = error.into_epoch().unwrap();
    let error = ring.release(first, Ack::of(1)).unwrap_err();
    assert!(matches!(error, Error::AckOutOfOrder { acknowledged: 1, .. }), "{error}");
    let first = error.into_epoch().unwrap();
    assert_eq!(pair.receive(1, QUIET), NOTHING, "refused");

    let released = ring.release(first, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(3, QUIET), [2, 3], "the first epoch, and no more");
    let frame = u64::from(Pair::FRAME_BYTES);
    assert_eq!((released.epoch, released.packets, released.bytes), (0, 2, 2 * frame));
    assert_eq!((released.dropped_packets, released.carried_packets), (0, 0));
    assert!(released.held >= QUIET, "{:?}", released.held);
    let released = ring.release(second, Ack::of(1)).unwrap();
    assert_eq!(pair.receive(2, QUIET), [4]);
    assert_eq!((released.packets, released.bytes), (1, frame));
    // A band is free again, and is used again.
    let fourth = ring.close().unwrap();
    pair.send(&[9]);
    assert_eq!(ring.release(third, Ack::of(2)).unwrap().packets, 3);
    assert_eq!(pair.receive(4, QUIET), [5, 6, 7]);
    assert_eq!(ring.release(fourth, Ack::of(3)).unwrap().packets, 1);
    assert_eq!(pair.receive(2, QUIET), [8]);
    assert_eq!(Journal::find(&dir.0).unwrap().len(), 1);

    ring.detach().unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [9], "what was open leaves at the end");
    let clsact = state(&pair.near, &["near"]).replace("qdisc clsact ffff: dev near parent ffff:fff1 \n", "");
    assert_eq!(clsact, before, "clsact alone stays");
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
    assert!(matches!(ring.start_buffer(), Err(Error::WrongState { state: State::Detached, .. })));
}

#[test]
fn fifteen_epochs_outstanding_leave_in_order() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("fifteen"), Pair::new());
    let mut ring = attach(&dir, 16);
    ring.start_buffer().unwrap();
    let mut sent = Vec::new();
    let mut got = Vec::new();
    for round in 0..4 {
        let mut tokens = Vec::new();
        for step in 0..15_u8 {
            let number = round * 15 + step;
            pair.send(&[number, number]);
            sent.extend([number, number]);
            tokens.push(ring.close().unwrap());
        }
        assert_eq!(ring.counts().closed_epochs, 15);
        for token in tokens {
            let number = token.number();
            let released = ring.release(token, Ack::of(number)).unwrap();
            assert_eq!((released.packets, released.dropped_packets), (2, 0));
            got.extend(pair.receive(2, PATIENCE));
        }
    }
    assert_eq!(got, sent, "none lost, all in order");
    assert_eq!(ring.counts().overtaken_packets, 0);
    ring.detach().unwrap();
}

#[test]
fn two_devices_have_one_barrier_and_two_places() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("barrier"), Pair::new());
    pair.near.veth_to("near2", &pair.far, "far2");
    let sites = [Site::from("near"), Site::new("near2", Place::Root), Site::new("near2", Place::Ingress)];
    let mut ring = Ring::attach(&sites, options(&dir, OnTaint::FailClosed)).unwrap();
    ring.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = ring.close().unwrap();
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    ring.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [1]);
    pair.send(&[2]);
    pair.near.ip("link del near2").ok();
    let error = ring.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "tainted: device near2: the device is gone or in another namespace; \
         what was held is lost, and new output is held"
    );
    assert_eq!(pair.receive(1, QUIET), NOTHING, "the other device is closed with it");
    ring.discard().unwrap();
    pair.send(&[3]);
    assert_eq!(pair.receive(1, PATIENCE), [3]);
}

#[test]
fn a_ring_below_a_class_holds_that_class_alone() {
    need!("sch_plug", "sch_prio", "sch_htb", "veth");
    let (dir, pair) = (Dir::new("class"), Pair::new());
    for words in [
        "qdisc add dev near root handle 1: prio bands 2 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "qdisc add dev near parent 1:1 handle 10: htb default 4",
        "class add dev near parent 10: classid 10:4 htb rate 1gbit",
    ] {
        pair.near.tc(words).ok();
    }
    let before = pair.near.tc("qdisc show dev near").ok();
    let site = Site::new("near", Place::Class(Handle::class(0x10, 4)));
    let mut ring = Ring::attach(&[site], options(&dir, OnTaint::FailClosed)).unwrap();
    ring.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = ring.close().unwrap();
    pair.send(&[2]);
    // Another class is not held.
    let all_to_2 = "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
    pair.near.tc(&format!("qdisc change dev near root handle 1: prio bands 2 priomap {all_to_2}")).ok();
    pair.send(&[3]);
    assert_eq!(pair.receive(2, QUIET), [3]);
    ring.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(2, QUIET), [1]);
    ring.detach().unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [2]);
    assert_eq!(pair.near.tc("qdisc show dev near").ok().lines().count(), before.lines().count());
}

/// The numbers of the documentation.
#[test]
fn an_epoch_costs_few_system_calls() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("cost"), Pair::new());
    let (commands, notices) = (Calls::default(), Calls::default());
    let tc = Connection::over(Counting::new(Socket::open().unwrap(), commands.clone()));
    let mut socket = Socket::open().unwrap();
    socket.set_nonblocking(true).unwrap();
    [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| socket.join(group)).unwrap();
    let monitor = Monitor::over(Counting::new(socket, notices.clone()));
    let options = options(&dir, OnTaint::FailClosed);
    let mut ring = Ring::attach_over(tc, monitor, &["near".into()], options).unwrap();
    ring.start_buffer().unwrap();
    for round in 0..4 {
        pair.send(&[1, 2, 3]);
        let _ = (commands.take(), notices.take());
        let epoch = ring.close().unwrap();
        let (sends, receives) = commands.take();
        assert_eq!((sends, notices.take()), (1, (0, 0)), "close");
        assert!(receives <= 5, "{receives} receives");
        ring.release(epoch, Ack::of(round)).unwrap();
        let (sends, receives) = commands.take();
        assert_eq!((sends, notices.take().0), (1, 0), "release");
        assert!(receives <= 3, "{receives} receives");
        assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3]);
    }
    ring.detach().unwrap();
}

#[test]
fn a_full_band_taints_or_is_reported() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    for on_drop in [OnDrop::Taint, OnDrop::Report] {
        let (dir, pair) = (Dir::new("full"), Pair::new());
        let limit = Limit::bytes(1600.try_into().unwrap());
        let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).on_drop(on_drop);
        let mut ring = Ring::attach(&[Site::from("near")], options.journal_dir(&dir.0)).unwrap();
        ring.start_buffer().unwrap();
        pair.send(&[7; 40]);
        let fits = 1600 / Pair::FRAME_BYTES;
        match (on_drop, ring.close()) {
            (OnDrop::Taint, Err(Error::Tainted { taint, network })) => {
                let TaintCause::Dropped { packets, .. } = taint.cause else { panic!("{taint}") };
                assert_eq!((packets, network), (40 - u64::from(fits), NetworkState::HeldAnew));
                ring.restart().unwrap();
                pair.send(&[8]);
                let (number, epoch) = (ring.epoch(), ring.close().unwrap());
                ring.release(epoch, Ack::of(number)).unwrap();
                assert_eq!(pair.receive(2, QUIET), [8]);
            }
            (OnDrop::Report, Ok(epoch)) => {
                let released = ring.release(epoch, Ack::of(0)).unwrap();
                assert_eq!(released.dropped_packets, 40 - u64::from(fits));
                assert_eq!(pair.receive(40, Duration::from_millis(500)).len(), fits as usize);
            }
            (_, other) => panic!("{other:?}"),
        }
        ring.detach().unwrap();
    }
}
