//! Changes of the ring by somebody else taint; changes of the device do not.

use tc_qdiscs::plug::commit::{Ack, Error, NetworkState, OnTaint, State, TaintCause};
use tests::lab::{PATIENCE, Pair, QUIET};
use tests::need;

use crate::{Dir, NOTHING, attach, options};

/// Somebody's deed, with `IFB` and `ROOT` for the names of ours, and the expected cause.
type Deed = (&'static str, &'static str, fn(&TaintCause) -> bool);

const DEEDS: [Deed; 7] = [
    (
        "tc",
        "qdisc change dev IFB root handle ROOT prio bands 4 priomap 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        touched,
    ),
    ("tc", "qdisc replace dev IFB parent ROOT3 handle 9: pfifo limit 100", touched),
    ("tc", "qdisc del dev IFB root", touched),
    ("tc", "filter del dev near egress pref 1", filter_touched),
    ("tc", "filter del dev near egress", filter_touched),
    ("tc", "qdisc del dev near clsact", |cause| {
        matches!(cause, TaintCause::IngressTouched { .. } | TaintCause::FilterTouched { .. })
    }),
    ("ip", "link set IFB down", |cause| matches!(cause, TaintCause::LinkDown)),
];

fn touched(cause: &TaintCause) -> bool {
    matches!(cause, TaintCause::Touched { port } if *port != 0)
}

fn filter_touched(cause: &TaintCause) -> bool {
    matches!(cause, TaintCause::FilterTouched { .. })
}

#[test]
fn foreign_changes_of_the_ring_taint_before_a_release() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    for (program, words, expected) in DEEDS {
        let (dir, pair) = (Dir::new("foreign"), Pair::new());
        let mut ring = attach(&dir, 4);
        ring.start_buffer().unwrap();
        pair.send(&[1]);
        let epoch = ring.close().unwrap();
        pair.send(&[2]);
        let root = ring.journal().devices[0].handles[0].to_string();
        let ifb = ring.redirects().next().unwrap().name().to_owned();
        let words = words.replace("IFB", &ifb).replace("ROOT", &root);
        pair.near.run(program, &words.split(' ').collect::<Vec<_>>()).ok();
        let error = ring.release(epoch, Ack::of(0)).unwrap_err();
        let Error::Tainted { taint, network } = error else { panic!("{words}: {error}") };
        assert!(expected(&taint.cause), "{words}: {taint}");
        assert_eq!(network, NetworkState::HeldAnew, "{words}");
        assert_eq!(ring.state(), State::Tainted);
        assert!(matches!(ring.close(), Err(Error::WrongState { .. })));
        assert_eq!(pair.receive(1, QUIET), NOTHING, "{words}");
        ring.discard().unwrap();
        pair.send(&[3]);
        assert_eq!(pair.receive(1, PATIENCE), [3], "{words}: the network is open again");
    }
}

#[test]
fn changes_of_the_device_do_not_taint_and_lose_nothing() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("device"), Pair::new());
    let mut ring = attach(&dir, 4);
    ring.start_buffer().unwrap();
    let changes = ["link set near down", "link set near txqueuelen 77", "link set near mtu 1400"];
    for (number, words) in changes.into_iter().enumerate() {
        let label = number as u8;
        pair.send(&[label]);
        let epoch = ring.close().unwrap();
        pair.near.ip(words).ok();
        pair.near.ip("link set near up").ok();
        // Kernel: a device that goes down forgets its neighbours.
        pair.near.ip("neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:02 nud permanent").ok();
        pair.far.ip("link set far down").ok();
        pair.far.ip("link set far up").ok();
        let released = ring.release(epoch, Ack::of(number as u64));
        assert_eq!(released.unwrap().packets, 1, "{words}");
        assert_eq!(pair.receive(2, QUIET), [label], "{words}");
    }
    ring.detach().unwrap();
}

#[test]
fn a_policy_to_fail_open_opens() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("fail-open"), Pair::new());
    let mut ring =
        tc_qdiscs::plug::ring::Ring::attach(&["near".into()], options(&dir, OnTaint::FailOpen)).unwrap();
    ring.start_buffer().unwrap();
    pair.send(&[1]);
    let _token = ring.close().unwrap();
    pair.send(&[2]);
    assert_eq!(ring.abort().unwrap(), NetworkState::Opened);
    assert_eq!(pair.receive(2, PATIENCE), [1, 2]);
    ring.restart().unwrap();
    assert_eq!(ring.state(), State::Open);
    ring.start_buffer().unwrap();
    pair.send(&[3]);
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    ring.detach().unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [3]);
}
