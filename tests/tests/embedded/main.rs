//! The embedded kernel against this one: the same requests, the same answers.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod sequences;
mod side;
mod step;

use std::fmt;

use bytes::BytesMut;
use tc_core::embedded::{Device, Kernel};
use tc_core::uapi::*;
use tc_core::{Connection, Transport};
use tests::lab::Net;
use tests::lab::need::has;
use tests::need;

use sequences::{fixed, random, trees};
use side::{Object, Side};
use step::*;

/// Sends the same to both and compares everything after every step.
fn compare(link: &str, device: Device, steps: &[Step]) -> usize {
    let net = Net::new();
    net.ip(link).ok();
    net.ip("link set d0 up").ok();
    let socket = || tc_core::Socket::open().expect("a socket");
    let mut monitor = socket();
    monitor.join(RTNLGRP_TC).expect("a group");
    monitor.set_timeout(Some(std::time::Duration::from_millis(1))).expect("a timeout");
    let ifindex = Connection::open().expect("a socket").ifindex("d0").expect("the device");
    let mut real = Side::new(socket(), monitor, ifindex);

    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(device).build();
    let ours = Connection::over(kernel.connect()).ifindex("d0").expect("the device");
    let monitor = kernel.connect();
    monitor.join(RTNLGRP_TC);
    let mut embedded = Side::new(kernel.connect(), monitor, ours);

    let mut told = Vec::new();
    let mut differences = Vec::new();
    for step in steps.iter().filter(|step| known(step.kind)) {
        told.push(step);
        let (answer, ours) = (real.ask(step), embedded.ask(step));
        if !answer.is_newer(&ours) {
            differ(&mut differences, "answer", step, &answer, &ours);
        }
        differ(&mut differences, "notices", step, &real.notices(), &embedded.notices());
        let mut states = [State::of(&mut real), State::of(&mut embedded)];
        states.iter_mut().for_each(State::sort);
        differ(&mut differences, "state", step, &states[0], &states[1]);
        if states[0] != states[1] {
            break; // from here on all would differ
        }
    }
    let before = told.iter().rev().take(12).rev().map(|step| format!("{step:?}\n")).collect::<String>();
    assert!(differences.is_empty(), "{}\nthe last steps:\n{before}", differences.join("\n"));
    told.len()
}

/// The objects on the device.
#[derive(Debug, PartialEq, Eq)]
struct State {
    qdiscs: Vec<Object>,
    classes: Vec<Object>,
}

impl State {
    fn of<T: Transport>(side: &mut Side<T>) -> Self {
        Self { qdiscs: side.dump(RTM_GETQDISC), classes: side.dump(RTM_GETTCLASS) }
    }
}

impl State {
    /// Kernel: classes come in the order of a hash, and so do qdiscs: the same here, but automatic
    /// handles are different ones.
    fn sort(&mut self) {
        self.classes.sort();
        if self.qdiscs.iter().any(|qdisc| qdisc.handle >= 0x8000_0000) {
            self.qdiscs.sort();
        }
    }
}

fn differ<T: fmt::Debug + PartialEq>(
    found: &mut Vec<String>,
    what: &str,
    step: &Step,
    real: &T,
    embedded: &T,
) {
    if real != embedded {
        found.push(format!("{what} to {step:?}\n    real {real:x?}\nembedded {embedded:x?}"));
    }
}

/// Whether this kernel has the kind, or none has it.
fn known(kind: &str) -> bool {
    matches!(kind, "" | "nonsense" | "pfifo" | "bfifo" | "noqueue") || has(&format!("sch_{kind}"))
}

fn ifb() -> (&'static str, Device) {
    ("link add d0 type ifb", Device::new("d0").ifindex(2).tx_queue_len(32))
}

#[test]
fn a_device_with_one_queue() {
    need!("ifb");
    let (link, device) = ifb();
    assert!(compare(link, device, &fixed()) > 70);
}

#[test]
fn trees_of_classes() {
    need!("ifb", "sch_htb");
    let (link, device) = ifb();
    assert!(compare(link, device, &trees()) > 35);
}

#[test]
fn a_device_with_several_queues() {
    need!("ifb");
    let device = Device::new("d0").ifindex(2).tx_queue_len(32).tx_queues(3);
    let mut steps = vec![
        get_class(1),
        get(0, ROOT),
        add(0x10000, ROOT, "mq"),
        get_class(0x10002),
        add(0x110000, 0x10002, "pfifo"),
        add(0x120000, 0x10004, "pfifo"),
        change(0x10000, ROOT, "mq").options(&[0; 4]),
        add(0, 0x10001, "htb").options(&options_of("htb", 1)),
        delete(0, 0x10002),
        get_class(0x10002),
        replace(0x20000, ROOT, "htb").options(&options_of("htb", 1)),
        delete(0, ROOT),
    ];
    steps.extend(fixed());
    steps.extend(trees());
    assert!(compare("link add d0 numtxqueues 3 type ifb", device, &steps) > 100);
}

#[test]
fn a_device_without_a_queue() {
    need!("veth");
    let device = Device::new("d0").ifindex(2).queueless().tx_queues(2);
    let steps: Vec<_> = fixed().into_iter().chain(trees()).collect();
    assert!(compare("link add d0 numtxqueues 2 type veth peer name d1", device, &steps) > 70);
}

#[test]
fn random_messages() {
    need!("ifb", "sch_htb");
    for seed in 0..3 {
        let (link, device) = ifb();
        assert!(compare(link, device, &random(seed, 150)) > 50, "seed {seed}");
    }
}

/// A message that is too short for its header, and others that are odd.
#[test]
fn malformed_messages() {
    need!("netns");
    let _net = Net::new();
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::loopback()).build();
    let mut real =
        Side::new(tc_core::Socket::open().expect("a socket"), tc_core::Socket::open().expect("a socket"), 1);
    let mut embedded = Side::new(kernel.connect(), kernel.connect(), 1);
    let mut tried = 0;
    for message in [RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWTCLASS, RTM_GETLINK, RTM_NEWLINK, 3, 200]
    {
        for length in [16, 17, 20, 32, 35, 36, 40] {
            for flags in [NLM_F_REQUEST | NLM_F_ACK, NLM_F_ACK] {
                let mut bytes = BytesMut::zeroed(length);
                bytes[..4].copy_from_slice(&(length as u32).to_ne_bytes());
                bytes[4..6].copy_from_slice(&message.to_ne_bytes());
                bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
                let mut answers = Vec::new();
                for answer in [raw(&mut real, &bytes), raw(&mut embedded, &bytes)] {
                    // Ports differ.
                    let mut answer = answer;
                    answer[12..16].fill(0);
                    answers.push(answer);
                }
                assert_eq!(answers[0], answers[1], "message {message}, {length} bytes, flags {flags:#x}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 8 * 7 * 2);
}

fn raw<T: Transport>(side: &mut Side<T>, bytes: &[u8]) -> Vec<u8> {
    side.socket.send(bytes).expect("the kernel takes a datagram");
    let mut buffer = vec![0; 65536];
    let received = side.socket.receive(&mut buffer).expect("an acknowledgement was asked for");
    buffer.truncate(received.length);
    buffer
}
