//! The kernel's plug driven by iproute2's tc: the reference for tc-cli, and the proof that these tests
//! reach a real sch_plug.

use tests::lab::{Net, PATIENCE, Pair, QUIET};
use tests::need;

fn dummy() -> Net {
    let net = Net::new();
    net.ip("link add d0 type dummy").ok();
    net.ip("link set d0 up").ok();
    net
}

fn plugs(net: &Net) -> usize {
    let shown = net.tc("qdisc show dev d0").ok();
    shown.matches("qdisc plug 1: root refcnt 2").count()
}

#[test]
fn add_takes_every_action_and_none() {
    need!("sch_plug", "dummy");
    let net = dummy();
    for action in ["", "block", "release", "release_indefinite", "limit 8192"] {
        net.tc(&format!("qdisc add dev d0 root handle 1: plug {action}")).ok();
        assert_eq!(plugs(&net), 1, "after add {action}");
        net.tc("qdisc del dev d0 root").ok();
        assert_eq!(plugs(&net), 0, "after del");
    }
}

#[test]
fn replace_and_change_set_the_limit() {
    need!("sch_plug", "dummy");
    let net = dummy();
    net.tc("qdisc add dev d0 root handle 1: plug").ok();
    for verb in ["replace", "change"] {
        net.tc(&format!("qdisc {verb} dev d0 root handle 1: plug limit 4096")).ok();
        assert_eq!(plugs(&net), 1, "after {verb}");
    }
}

#[test]
fn plug_holds_packets_until_it_is_released() {
    need!("sch_plug", "veth");
    let pair = Pair::new();
    pair.near.tc("qdisc add dev near root handle 1: plug limit 32768").ok();

    pair.send(&[1, 2, 3]);
    assert_eq!(pair.receive(1, QUIET), [0u8; 0], "plugged");
    // Kernel: without options, qdisc_change() succeeds and never asks the kind.
    pair.near.tc("qdisc change dev near root handle 1: plug").ok();
    assert_eq!(pair.receive(1, QUIET), [0u8; 0], "still plugged");
    let shown = pair.near.tc("-s qdisc show dev near").ok();
    let backlog = format!("backlog {}b 3p", 3 * Pair::FRAME_BYTES);
    assert!(shown.contains(&backlog), "{backlog}, not {shown}");

    pair.near.tc("qdisc change dev near root handle 1: plug release_indefinite").ok();
    assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3], "released");
    pair.send(&[4]);
    assert_eq!(pair.receive(1, PATIENCE), [4], "open from now on");
}

#[test]
fn release_sends_the_packets_before_the_last_block() {
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let plug = |action: &str| {
        pair.near.tc(&format!("qdisc change dev near root handle 1: plug {action}")).ok();
    };
    pair.near.tc("qdisc add dev near root handle 1: plug limit 32768").ok();
    pair.send(&[1, 2]);
    plug("block");
    pair.send(&[3]);
    plug("release");
    assert_eq!(pair.receive(3, QUIET), [1, 2], "the first epoch");
    plug("block");
    plug("release");
    assert_eq!(pair.receive(1, PATIENCE), [3], "the second epoch");
}
