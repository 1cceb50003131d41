//! Output commit with real packets through a real sch_plug.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod taints;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Socket};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, Journal, Limit, NetworkState, OnDeath, OnTaint, OutputCommit,
    State,
};
use tests::lab::{Calls, Counting, Net, PATIENCE, Pair, QUIET};
use tests::need;

const NOTHING: [u8; 0] = [];

fn limit(bytes: u32) -> Limit {
    Limit::bytes(bytes.try_into().unwrap())
}

/// A directory of this test's own, which ends with it.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("tc-plug-{name}-{}", std::process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(dir: &Dir, on_taint: OnTaint) -> AttachOptions {
    AttachOptions::new(limit(32768), on_taint, OnDeath::StayClosed).journal_dir(&dir.0).handles(0xc01, 0xc02)
}

fn attach(dir: &Dir, on_taint: OnTaint) -> OutputCommit {
    OutputCommit::attach(&["near"], options(dir, on_taint)).unwrap()
}

fn root(net: &Net, dev: &str) -> String {
    net.tc(&format!("-s qdisc show dev {dev}")).ok()
}

#[test]
fn epochs_leave_in_order_and_only_when_they_are_acknowledged() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("order"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailClosed);
    assert_eq!(session.state(), State::Open);
    pair.send(&[1]);
    assert_eq!(pair.receive(1, PATIENCE), [1], "attached, and open");

    session.start_buffer().unwrap();
    pair.send(&[2, 3]);
    let first = session.close().unwrap();
    assert_eq!(first.number(), 0);
    pair.send(&[4]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "closed, and not released");
    let released = session.release(first, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(3, QUIET), [2, 3], "the first epoch, and no more");
    assert_eq!((released.epoch, released.dropped_packets, released.limit_bytes), (0, 0, 32768));
    assert_eq!(released.peak_bytes, 3 * Pair::FRAME_BYTES);

    let second = session.close().unwrap();
    pair.send(&[5]);
    session.release(second, Ack::of(1)).unwrap();
    assert_eq!(pair.receive(2, QUIET), [4], "the second one");
    assert!(root(&pair.near, "near").contains("qdisc plug c01: root"), "{}", root(&pair.near, "near"));

    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [5], "what was open leaves at the end");
    assert!(!root(&pair.near, "near").contains("plug"), "and the plug is gone");
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
    assert!(matches!(session.start_buffer(), Err(Error::WrongState { state: State::Detached, .. })));
}

#[test]
fn a_second_closed_epoch_cannot_be_had_and_nothing_leaks() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("depth"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailClosed);
    session.start_buffer().unwrap();
    pair.send(&[1, 2]);
    let first = session.close().unwrap();
    pair.send(&[3, 4, 5]);
    // A BUFFER here would make the kernel release 3 with 1 and 2.
    assert!(matches!(session.close(), Err(Error::EpochOutstanding { number: 0 })));
    assert_eq!(session.close_or_extend().unwrap(), None);
    pair.send(&[6]);
    session.release(first, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(3, QUIET), [1, 2]);
    let second = session.close_or_extend().unwrap().expect("the first one was released");
    session.release(second, Ack::of(1)).unwrap();
    assert_eq!(pair.receive(5, QUIET), [3, 4, 5, 6], "the epoch that was extended");
    session.detach(DetachMode::Leave).unwrap();
    pair.send(&[7]);
    assert_eq!(pair.receive(1, PATIENCE), [7]);
    assert!(root(&pair.near, "near").contains("plug c01:"), "left, and open");
}

#[test]
fn acknowledgements_when_wrong_release_nothing() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("acks"), Pair::new());
    pair.near.veth_to("near2", &pair.far, "far2");
    let mut session = attach(&dir, OnTaint::FailClosed);
    let mut other = OutputCommit::attach(&["near2"], options(&dir, OnTaint::FailClosed)).unwrap();
    session.start_buffer().unwrap();
    other.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = session.close().unwrap();
    let error = session.release(epoch, Ack::of(1)).unwrap_err();
    assert_eq!(error.to_string(), "the acknowledgement of epoch 1 does not release epoch 0; output is held");
    let epoch = error.into_epoch().unwrap();
    let foreign = other.close().unwrap();
    let error = session.release(foreign, Ack::of(0)).unwrap_err();
    assert!(matches!(error, Error::OtherSession { .. }), "{error}");
    assert_eq!(error.network(), NetworkState::Untouched);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "nothing left");
    session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [1]);
}

#[test]
fn two_devices_have_one_barrier_and_one_fate() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("barrier"), Pair::new());
    pair.near.veth_to("near2", &pair.far, "far2");
    let devices = ["near", "near2"];
    let mut session = OutputCommit::attach(&devices, options(&dir, OnTaint::FailClosed)).unwrap();
    session.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = session.close().unwrap();
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [1]);
    assert_eq!(session.epoch_stats().map(|(name, _)| name.to_owned()).collect::<Vec<_>>(), devices);

    pair.send(&[2]);
    pair.near.ip("link del near2").ok();
    let error = session.close().unwrap_err();
    assert_eq!(
        error.to_string(),
        "tainted: device near2: the device is gone or in another namespace; \
         what was held is lost, and new output is held"
    );
    pair.send(&[3]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "the other device is closed with it");
    session.discard().unwrap();
    pair.send(&[4]);
    assert_eq!(pair.receive(1, PATIENCE), [4]);
}

#[test]
fn detach_after_the_drain_time_gives_up_and_deletes_nothing() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("drain"), Pair::new());
    let time = Duration::from_millis(200);
    let options = options(&dir, OnTaint::FailClosed).drain_time(time);
    let mut session = OutputCommit::attach(&["near"], options).unwrap();
    session.start_buffer().unwrap();
    pair.send(&[1]);
    session.open().unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [1]);
    // Like a driver that is busy: what was let go does not leave.
    pair.near.tc("qdisc change dev near root handle c01: plug block").ok();
    pair.send(&[2]);
    for _ in 0..2 {
        let since = Instant::now();
        let error = session.detach(DetachMode::Remove).unwrap_err();
        assert!(since.elapsed() >= time, "{:?}", since.elapsed());
        assert_eq!(error.to_string(), "1 packets of device near still wait after 200ms; the network is open");
        assert_eq!(session.state(), State::Draining);
        assert!(root(&pair.near, "near").contains("plug c01:"), "what waits is not thrown away");
        assert_eq!(Journal::find(&dir.0).unwrap().len(), 1);
    }
    pair.near.tc("qdisc change dev near root handle c01: plug release_indefinite").ok();
    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [2]);
    assert!(!root(&pair.near, "near").contains("plug"));
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn attach_when_root_limit_or_device_is_unfit_then_refused() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("refused"), Pair::new());
    let attach = |devices: &[&str], bytes| {
        let options =
            AttachOptions::new(limit(bytes), OnTaint::FailOpen, OnDeath::StayClosed).journal_dir(&dir.0);
        OutputCommit::attach(devices, options).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        attach(&["near"], 1517),
        "a limit of 1517 bytes is too small for one packet of device near, which has up to 1518; \
         nothing was changed"
    );
    pair.near.ip("link add down0 type veth peer name down1").ok();
    assert!(attach(&["near", "down0"], 9999).starts_with("device down0 is down"));
    assert!(attach(&["near", "near"], 9999).contains("given twice"));
    assert!(attach(&["near", "absent"], 9999).ends_with("; nothing was changed"));
    for kind in ["pfifo limit 5", "plug limit 9999"] {
        pair.near.tc(&format!("qdisc add dev near root handle c01: {kind}")).ok();
        let text = attach(&["near"], 9999);
        assert!(text.contains(" c01:, which is not ours; nothing was changed"), "{text}");
        assert!(root(&pair.near, "near").contains(" c01: root"));
        pair.near.tc("qdisc del dev near root").ok();
    }
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_failed_attach_takes_back_what_it_did() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("undo"), Pair::new());
    pair.near.veth_to("near2", &pair.far, "far2");
    // Kernel: a handle is unique on its device, and ingress has ffff:.
    pair.near.tc("qdisc add dev near2 ingress").ok();
    let options = options(&dir, OnTaint::FailOpen).handles(0xffff, 0xc02);
    let error = OutputCommit::attach(&["near", "near2"], options).unwrap_err();
    assert!(matches!(error, Error::Kernel { network: NetworkState::Untouched, .. }), "{error}");
    assert!(!root(&pair.near, "near").contains("plug"));
    assert!(!root(&pair.near, "near2").contains("plug"));
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
}

/// The numbers of the module's documentation.
#[test]
fn an_epoch_costs_few_system_calls() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("cost"), Pair::new());
    pair.near.veth_to("near2", &pair.far, "far2");
    for devices in [&["near"][..], &["near", "near2"]] {
        let (commands, notices) = (Calls::default(), Calls::default());
        let tc = Connection::over(Counting::new(Socket::open().unwrap(), commands.clone()));
        let mut socket = Socket::open().unwrap();
        socket.set_nonblocking(true).unwrap();
        [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| socket.join(group)).unwrap();
        let monitor = Monitor::over(Counting::new(socket, notices.clone()));
        let mut session =
            OutputCommit::attach_over(tc, monitor, devices, options(&dir, OnTaint::FailClosed)).unwrap();
        session.start_buffer().unwrap();
        let n = devices.len();
        for round in 0..3 {
            pair.send(&[1, 2, 3]);
            let _ = (commands.take(), notices.take());
            let epoch = session.close().unwrap();
            assert_eq!((commands.take(), notices.take()), ((1, n), (0, 0)), "close");
            session.release(epoch, Ack::of(round)).unwrap();
            assert_eq!(commands.take(), (2, 2 * n), "release, and the look before it");
            let (sends, receives) = notices.take();
            if round > 0 {
                // BUFFER, and before Linux 6.8 the look; then RELEASE. Each time one that finds no more.
                assert_eq!(sends, 0);
                assert!([2 * n + 2, 3 * n + 2].contains(&receives), "{receives} for {n} devices");
            }
        }
        session.detach(DetachMode::Remove).unwrap();
    }
}

#[test]
fn epochs_under_a_steady_stream_lose_and_reorder_nothing() {
    need!("sch_plug", "veth");
    let (dir, pair) = (Dir::new("stream"), Pair::new());
    let mut session = attach(&dir, OnTaint::FailClosed);
    session.start_buffer().unwrap();
    let mut sent = 0_u8;
    let mut arrived = Vec::new();
    for round in 0..40 {
        let some = round as u8 % 7;
        pair.send(&(sent..sent + some).collect::<Vec<_>>());
        let committed = sent + some;
        let epoch = session.close().unwrap();
        pair.send(&[committed]);
        sent = committed + 1;
        session.release(epoch, Ack::of(round)).unwrap();
        while arrived.len() < usize::from(committed) {
            let got = pair.receive(1, PATIENCE);
            assert_eq!(got.len(), 1, "round {round}: {committed} were released");
            arrived.extend(got);
        }
    }
    assert_eq!(pair.receive(1, Duration::from_millis(50)), NOTHING, "the open epoch is held");
    assert_eq!(arrived, (0..sent - 1).collect::<Vec<_>>());
    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(pair.receive(2, QUIET), [sent - 1]);
}
