//! Resets of queues at random between all steps, and at each system call of a step: no packet leaves
//! that is not committed. One plug without checks is the control.

use std::collections::VecDeque;

use tc_core::link::LinkChange;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request, Socket};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Ack, Epoch, OnTaint};
use tc_qdiscs::plug::place::Place;
use tc_qdiscs::plug::ring::{Depth, Ring, Site};
use tests::lab::{Net, Shared, Wire, count, number, tries};
use tests::need;
use tests::random::Chance;

use crate::{Dir, options};

/// Ethernet to all, a protocol for experiments.
const HEAD: [u8; 14] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5];

/// Two hosts, frames that carry the number of their epoch, and the judge.
struct Line {
    near: Net,
    _far: Net,
    /// Netlink in either host, for resets.
    hands: [Connection; 2],
    devices: [i32; 2],
    out: Wire,
    into: Wire,
    /// The epochs that the backup has are below.
    committed: u32,
    sent: u64,
    received: u64,
    leaked: u64,
    resets: u64,
}

impl Line {
    fn new() -> Self {
        let (near, far) = (Net::new(), Net::aside());
        near.veth_to("near", &far, "far");
        let mut hands = [&near, &far].map(|net| net.inside(Connection::open).unwrap());
        let devices = [hands[0].ifindex("near").unwrap(), hands[1].ifindex("far").unwrap()];
        let (out, into) = (near.wire("near"), far.wire("far"));
        Self {
            near,
            _far: far,
            hands,
            devices,
            out,
            into,
            committed: 0,
            sent: 0,
            received: 0,
            leaked: 0,
            resets: 0,
        }
    }

    fn send(&mut self, epoch: u64, count: usize) {
        for _ in 0..count {
            let mut frame = [0; 60];
            frame[..14].copy_from_slice(&HEAD);
            frame[14..18].copy_from_slice(&(epoch as u32).to_ne_bytes());
            self.out.forget_error();
            self.sent += u64::from(self.out.send(&frame).is_ok());
        }
        self.judge();
    }

    /// Looks at what has arrived.
    fn judge(&mut self) {
        self.into.forget_error();
        let mut frame = [0; 2048];
        while let Some(length) = self.into.receive_now(&mut frame) {
            if length >= 18 && frame[12..14] == HEAD[12..14] {
                let epoch = u32::from_ne_bytes([frame[14], frame[15], frame[16], frame[17]]);
                self.received += 1;
                self.leaked += u64::from(epoch >= self.committed);
            }
        }
    }

    /// Sometimes a reset: of the device, of its far end, of the IFB, or by somebody's clsact.
    fn disturb(&mut self, chance: &mut Chance, ifb: Option<i32>) {
        const fn change(up: Option<bool>, tx_queue_len: Option<u32>) -> LinkChange {
            LinkChange { up, tx_queue_len, mtu: None }
        }
        if chance.is(70) {
            return;
        }
        let [near, far] = self.devices;
        let flap = [change(Some(false), None), change(Some(true), None)];
        let lengths = [change(None, Some(77)), change(None, Some(1000))];
        let (host, device, changes) = match chance.below(if ifb.is_some() { 5 } else { 4 }) {
            0 => (0, near, flap),
            1 => (1, far, flap),
            2 => (0, near, lengths),
            // Somebody else's filters, or his clsact: which comes or goes resets the root queue.
            3 => {
                let words = if ifb.is_some() {
                    [
                        "filter add dev near egress pref 9 protocol arp matchall action pass",
                        "filter del dev near egress pref 9",
                    ]
                } else {
                    ["qdisc add dev near clsact", "qdisc del dev near clsact"]
                };
                for words in words {
                    self.near.tc(words).ok();
                }
                self.resets += 1;
                return self.judge();
            }
            _ => (0, ifb.unwrap_or(near), lengths),
        };
        for change in changes {
            self.hands[host].set_link(device, &change).unwrap();
        }
        self.resets += 1;
        self.judge();
    }
}

/// Epochs with resets between all steps. Returns the number of resets.
fn ring_under_resets(place: Place, bands: u8, epochs: u64, chance: &mut Chance) -> (u64, u64, u64) {
    let (dir, mut line) = (Dir::new("resets"), Line::new());
    let options = options(&dir, OnTaint::FailClosed).depth(Depth::new(bands).unwrap());
    let mut ring = Ring::attach(&[Site::new("near", place)], options).unwrap();
    let ifb = ring.redirects().next().map(tc_qdiscs::plug::place::Redirect::ifindex);
    ring.start_buffer().unwrap();
    let mut outstanding: VecDeque<Epoch> = VecDeque::new();
    for epoch in 0..epochs {
        line.send(epoch, 1 + chance.below(4));
        line.disturb(chance, ifb);
        while outstanding.len() == usize::from(bands) - 1 || !outstanding.is_empty() && chance.is(40) {
            let token = outstanding.pop_front().unwrap();
            let number = token.number();
            line.committed = number as u32 + 1;
            line.disturb(chance, ifb);
            ring.release(token, Ack::of(number)).unwrap();
            line.judge();
            line.disturb(chance, ifb);
        }
        line.disturb(chance, ifb);
        outstanding.push_back(ring.close().unwrap());
        line.disturb(chance, ifb);
        if chance.is(20) {
            ring.tend().unwrap();
        }
    }
    ring.discard().unwrap();
    line.judge();
    assert_eq!(line.leaked, 0, "{place:?}, {bands} bands: of {} packets", line.sent);
    (line.resets, line.sent, line.received)
}

/// One plug at the root, commands without checks: the control.
fn plug_under_resets(epochs: u64, chance: &mut Chance) -> (u64, u64) {
    let mut line = Line::new();
    let mut tc = Connection::open().unwrap();
    let near = line.devices[0];
    let root = || Request::qdisc(near).parent(Handle::ROOT).handle(Handle::qdisc(1));
    tc.add(&root().options(&Plug::set_limit(1_000_000))).unwrap();
    tc.change(&root().options(&Plug::buffer())).unwrap();
    for epoch in 0..epochs {
        line.send(epoch, 1 + chance.below(4));
        line.disturb(chance, None);
        tc.change(&root().options(&Plug::buffer())).unwrap();
        line.disturb(chance, None);
        line.send(epoch + 1, 1 + chance.below(4));
        line.committed = epoch as u32 + 1;
        tc.change(&root().options(&Plug::release_one())).unwrap();
        line.judge();
        line.disturb(chance, None);
    }
    (line.resets, line.leaked)
}

#[test]
fn resets_between_all_steps_leak_nothing() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let seed = number("TC_SEED").unwrap_or(1);
    let mut chance = Chance(seed);
    let most = tries("RING_RESETS", 4000) as u64;
    let (mut resets, mut sent, mut received) = (0, 0, 0);
    while resets < most {
        for (place, bands) in [(Place::Egress, 8), (Place::Egress, 2), (Place::Root, 8), (Place::Root, 2)] {
            let (more, out, into) = ring_under_resets(place, bands, 40, &mut chance);
            (resets, sent, received) = (resets + more, sent + out, received + into);
        }
    }
    assert!(received > sent / 20, "{received} of {sent}");
    let (control_resets, leaked) = plug_under_resets(60, &mut chance);
    assert!(leaked > 0, "the judge sees no leak of {control_resets} resets of one plug (seed {seed})");
    count(&format!(
        "ring: {resets} resets between steps, {sent} packets sent, {received} received, 0 leaked; \
         one plug without checks: {control_resets} resets, {leaked} leaked"
    ));
}

/// A reset before each system call of a close and of a release.
#[test]
fn a_reset_at_each_system_call_leaks_nothing() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let mut points = 0;
    for place in [Place::Egress, Place::Root] {
        let (dir, mut line) = (Dir::new("calls"), Line::new());
        let mut notices = Socket::open().unwrap();
        notices.set_nonblocking(true).unwrap();
        [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| notices.join(group)).unwrap();
        let hands = [Shared::new(Socket::open().unwrap()), Shared::new(notices)];
        let [commands, news] = hands.clone();
        let options = options(&dir, OnTaint::FailClosed).depth(Depth::new(3).unwrap());
        let sites = [Site::new("near", place)];
        let (tc, monitor) = (Connection::over(commands), Monitor::over(news));
        let mut ring = Ring::attach_over(tc, monitor, &sites, options).unwrap();
        let target = ring.redirects().next().map_or(line.devices[0], |redirect| redirect.ifindex());
        ring.start_buffer().unwrap();
        for hand in &hands {
            for call in 0.. {
                let before = hand.get().calls();
                for (turn, of_release) in [(0, false), (1, true)] {
                    let number = ring.epoch();
                    line.send(number, 2);
                    let reset = move || {
                        let mut other = Connection::open().unwrap();
                        for length in [77, 1000] {
                            let change = LinkChange { tx_queue_len: Some(length), ..LinkChange::default() };
                            other.set_link(target, &change).unwrap();
                        }
                    };
                    if !of_release {
                        hand.get().before_call(call, reset);
                    }
                    let token = ring.close().unwrap();
                    line.send(number + 1, 2);
                    line.committed = number as u32 + 1;
                    if of_release {
                        hand.get().before_call(call, reset);
                    }
                    ring.release(token, Ack::of(number)).unwrap();
                    line.judge();
                    points += 1;
                    let _ = turn;
                }
                if hand.get().calls() - before <= 2 * call {
                    break;
                }
            }
            hand.get().before_call(0, || {});
            let _ = ring.check();
        }
        line.judge();
        assert_eq!(line.leaked, 0, "{place:?}");
        ring.discard().unwrap();
    }
    count(&format!("ring: {points} resets at system calls of close and release, 0 leaked"));
    assert!(points > 16, "{points}");
}
