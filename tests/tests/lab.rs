//! The lab itself: namespaces end, frames travel, features are recognised.

use std::fs;
use std::path::PathBuf;

use tests::lab::need::has;
use tests::lab::{Net, PATIENCE, QUIET};
use tests::need;

fn place() -> Option<PathBuf> {
    fs::read_link("/proc/thread-self/ns/net").ok()
}

#[test]
fn a_thread_enters_a_namespace_and_comes_back() {
    need!("netns");
    let before = place();
    let net = Net::new();
    assert_ne!(place(), before);
    assert_eq!(net.inside(place), place());
    assert_ne!(Net::aside().inside(place), place());
    drop(net);
    assert_eq!(place(), before);
}

#[test]
fn frames_travel_along_a_veth_pair() {
    need!("veth");
    let net = Net::new();
    net.veth("a", "b");
    let (a, b) = (net.wire("a"), net.wire("b"));
    let frame = [[0xff; 6].as_slice(), &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5], &[7; 50]].concat();
    a.send(&frame).unwrap();
    assert_eq!(b.receive(PATIENCE), Some(frame));
    assert_eq!(b.receive(QUIET), None);
}

#[test]
fn unknown_kinds_are_missing() {
    need!("netns");
    for kind in ["sch_nonsense", "cls_nonsense", "act_nonsense", "nonsense"] {
        assert!(!has(kind), "{kind}");
    }
}

#[test]
fn failing_programs_are_reported() {
    need!("netns");
    let output = Net::new().tc("qdisc show dev absent");
    assert_eq!(output.code, 1);
    assert!(output.fails().contains("absent"));
}
