//! Causes of taint: nothing leaves, and the session restarts.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, NetworkState, OnDeath, OnDrop, OnTaint, OutputCommit, State,
    TaintCause,
};
use tests::lab::{PATIENCE, Pair, QUIET};
use tests::need;

use crate::{Dir, NOTHING, attach, limit, root};

/// The cause of a taint, and the network's state.
fn tainted(error: Error) -> (TaintCause, NetworkState) {
    match error {
        Error::Tainted { taint, network } => (taint.cause, network),
        other => panic!("no taint: {other}"),
    }
}

/// Holds 1 and 2 in a closed epoch and 3 in the open one, lets `cause` happen,
/// and tries to release: nothing of it may leave, then or later. Then begins
/// again.
fn taints(
    name: &str,
    cause: impl FnOnce(&Pair),
    repair: impl FnOnce(&Pair),
    expected: fn(&TaintCause) -> bool,
) {
    taints_on(Pair::new(), name, cause, repair, expected);
}

fn taints_on(
    pair: Pair,
    name: &str,
    cause: impl FnOnce(&Pair),
    repair: impl FnOnce(&Pair),
    expected: fn(&TaintCause) -> bool,
) {
    let dir = Dir::new(name);
    let mut session = attach(&dir, OnTaint::FailClosed);
    session.start_buffer().unwrap();
    pair.send(&[1, 2]);
    let epoch = session.close().unwrap();
    pair.send(&[3]);
    cause(&pair);
    let (seen, network) = tainted(session.release(epoch, Ack::of(0)).unwrap_err());
    assert!(expected(&seen), "{name}: {seen}");
    assert_eq!(network, NetworkState::HeldAnew, "{name}: {seen}");
    assert!(matches!(session.close(), Err(Error::WrongState { state: State::Tainted, .. })));
    repair(&pair);
    pair.send(&[4]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "{name}: nothing leaves while it is tainted");

    session.restart().unwrap();
    pair.send(&[5, 6]);
    let epoch = session.close().unwrap();
    pair.send(&[7]);
    // 0 was closed and 1 open when it was tainted.
    session.release(epoch, Ack::of(2)).unwrap();
    assert_eq!(pair.receive(3, QUIET), [5, 6], "{name}: only what came since the restart");
    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [7]);
}

#[test]
fn a_link_that_goes_down_taints() {
    need!("sch_plug", "veth");
    let flap = |pair: &Pair| {
        pair.near.ip("link set near down").ok();
        pair.near.ip("link set near up").ok();
        pair.near.ip("neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:02 nud permanent").ok();
    };
    taints("flap", flap, |_| {}, |cause| matches!(cause, TaintCause::LinkDown));
}

fn until(happened: impl Fn() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_lost_carrier_taints() {
    need!("sch_plug", "veth");
    let flap = |pair: &Pair| {
        // Kernel: a carrier change is handled up to a second later, and not at all if it is undone by
        // then.
        pair.far.ip("link set far down").ok();
        until(|| pair.near.ip("link show near").ok().contains("state DOWN"));
        pair.far.ip("link set far up").ok();
        let known = "neigh replace 192.0.2.1 dev far lladdr 02:00:00:00:00:01 nud permanent";
        pair.far.ip(known).ok();
        until(|| pair.near.ip("link show near").ok().contains("state UP"));
    };
    taints("carrier", flap, |_| {}, |cause| matches!(cause, TaintCause::Carrier));
}

#[test]
fn txqueuelen_taints_and_the_mtu_does_not() {
    need!("sch_plug", "veth");
    let change = |pair: &Pair| {
        pair.near.ip("link set near mtu 1400").ok();
        pair.near.ip("link set near txqueuelen 77").ok();
    };
    taints("txqueuelen", change, |_| {}, |cause| matches!(cause, TaintCause::TxQueueLen { is: 77, .. }));

    let (dir, pair) = (Dir::new("mtu"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailClosed);
    session.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = session.close().unwrap();
    pair.near.ip("link set near mtu 1400").ok();
    session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [1]);
}

#[test]
fn a_foreign_command_taints() {
    need!("sch_plug", "veth");
    let change = |pair: &Pair| {
        pair.near.tc("qdisc change dev near root handle c01: plug block").ok();
    };
    taints("change", change, |_| {}, |cause| matches!(cause, TaintCause::Touched { .. }));
}

#[test]
fn a_foreign_delete_taints_and_closes_the_network() {
    need!("sch_plug", "veth");
    let delete = |pair: &Pair| {
        pair.near.tc("qdisc del dev near root").ok();
    };
    taints("delete", delete, |_| {}, |cause| matches!(cause, TaintCause::Touched { .. }));
}

/// Kernel: an ingress qdisc that comes or goes resets the device's root queue.
#[test]
fn ingress_and_clsact_that_come_or_go_taint() {
    need!("sch_plug", "veth");
    for (kind, verb) in [("clsact", "add"), ("clsact", "del"), ("ingress", "add"), ("ingress", "del")] {
        let pair = Pair::new();
        if verb == "del" {
            pair.near.tc(&format!("qdisc add dev near {kind}")).ok();
        }
        let cause = |pair: &Pair| {
            pair.near.tc(&format!("qdisc {verb} dev near {kind}")).ok();
            // As many as were lost and more: no counter shows the loss.
            pair.send(&[11, 12, 13, 14, 15, 16]);
        };
        let touched = |cause: &TaintCause| matches!(cause, TaintCause::IngressTouched { .. });
        taints_on(pair, &format!("{kind}-{verb}"), cause, |_| {}, touched);
    }
}

/// Packets that a reset dropped have not left.
#[test]
fn opening_after_a_reset_is_not_reported_as_a_leak() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("opened"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailOpen);
    session.start_buffer().unwrap();
    pair.send(&[1, 2]);
    session.check().unwrap();
    pair.near.ip("link set near down").ok();
    pair.near.ip("link set near up").ok();
    let error = session.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "tainted: device near: the device was set down; the network is open, and nothing was held any more"
    );
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    session.discard().unwrap();
}

#[test]
fn a_foreign_replacement_taints_and_is_left_alone() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("replace"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailClosed);
    session.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = session.close().unwrap();
    pair.near.tc("qdisc replace dev near root handle 5: pfifo limit 5").ok();
    let (cause, network) = tainted(session.release(epoch, Ack::of(0)).unwrap_err());
    assert!(matches!(cause, TaintCause::Touched { .. }), "{cause}");
    assert_eq!(network, NetworkState::Foreign);
    assert!(matches!(session.restart(), Err(Error::WrongState { network: NetworkState::Foreign, .. })));
    session.discard().unwrap();
    assert!(root(&pair.near, "near").contains("qdisc pfifo 5: root"), "{}", root(&pair.near, "near"));
}

#[test]
fn a_taint_is_found_between_epochs_as_well() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("check"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailOpen);
    session.start_buffer().unwrap();
    pair.send(&[1]);
    session.check().unwrap();
    pair.near.tc("qdisc show dev near").ok();
    session.check().unwrap();
    let readable = |session: &OutputCommit| {
        let mut fds = [PollFd::new(session.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!readable(&session));
    pair.near.tc("qdisc change dev near root handle c01: plug limit 9999").ok();
    assert!(readable(&session), "the session says that there is something to look at");
    let error = session.check().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("tainted: device near: another process (netlink port "), "{text}");
    assert!(text.ends_with("; the network is open, and what was still held has left uncommitted"), "{text}");
    assert_eq!(pair.receive(1, PATIENCE), [1], "fail open");
    pair.send(&[2]);
    assert_eq!(pair.receive(1, PATIENCE), [2]);
    session.restart().unwrap();
    assert_eq!(session.state(), State::Open);
    session.start_buffer().unwrap();
    pair.send(&[3]);
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    session.discard().unwrap();
    assert_eq!(pair.receive(1, QUIET), NOTHING, "discarded");
    assert!(!root(&pair.near, "near").contains("plug"));
}

#[test]
fn a_full_queue_taints_or_is_reported() {
    need!("sch_plug", "veth");
    let small = limit(1600);
    let fill: Vec<u8> = (0..50).collect();
    let held = (1600 / Pair::FRAME_BYTES) as usize;
    let dropped = (fill.len() - held) as u64;

    let (dir, pair) = (Dir::new("drops"), Pair::new());
    let options = |taint| AttachOptions::new(small, taint, OnDeath::StayClosed).journal_dir(&dir.0);
    let mut session = OutputCommit::attach(&["near"], options(OnTaint::FailClosed)).unwrap();
    session.start_buffer().unwrap();
    pair.send(&fill);
    let (cause, _) = tainted(session.close().unwrap_err());
    let peak = held as u32 * Pair::FRAME_BYTES;
    assert_eq!(cause, TaintCause::Dropped { packets: dropped, peak_bytes: peak, limit_bytes: 1600 });
    session.discard().unwrap();

    let reporting = options(OnTaint::FailClosed).on_drop(OnDrop::Report);
    let mut session = OutputCommit::attach(&["near"], reporting).unwrap();
    session.start_buffer().unwrap();
    pair.send(&fill);
    let epoch = session.close().unwrap();
    let released = session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!((released.dropped_packets, released.peak_bytes), (dropped, peak));
    assert_eq!(pair.receive(50, QUIET), fill[..held]);
    let epoch = session.close().unwrap();
    assert_eq!(session.release(epoch, Ack::of(1)).unwrap().dropped_packets, 0, "drops are counted once");
}
