//! Output commit over the embedded kernel: what no real kernel does on demand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

use std::path::PathBuf;

use proptest::prelude::*;
use tc_core::embedded::{Device, Fault, Kernel, Socket};
use tc_core::link::LinkChange;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request, Transport, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{
    Ack, Epoch, Error, Limit, Network, OnDeath, OnDrop, OnTaint, OutputCommit, Plan, Plugs, State, TaintCause,
};
use tests::lab::Shared;

const DEVICES: [i32; 2] = [2, 3];

/// A kernel with two devices, a session over both, and a hand on its sockets.
struct World {
    kernel: Kernel,
    tc: Shared<Socket>,
    monitor: Shared<Socket>,
    session: OutputCommit<Shared<Socket>>,
    dir: PathBuf,
}

impl World {
    fn new(on_taint: OnTaint, on_drop: OnDrop, limit_bytes: u32) -> Result<Self, Error> {
        let kernel = tc_qdiscs::embedded::kinds(Kernel::builder())
            .device(Device::new("eth0").ifindex(DEVICES[0]))
            .device(Device::new("eth1").ifindex(DEVICES[1]))
            .build();
        let socket = kernel.connect();
        for group in [RTNLGRP_TC, RTNLGRP_LINK] {
            socket.join(group);
        }
        let (tc, monitor) = (Shared::new(kernel.connect()), Shared::new(socket));
        let id = (std::process::id(), std::thread::current().id());
        let dir = std::env::temp_dir().join(format!("tc-plug-embedded-{id:?}"));
        let limit = Limit::bytes(limit_bytes.try_into().unwrap_or(std::num::NonZeroU32::MAX));
        let plan = Plan::new(limit, on_taint, OnDeath::StayClosed).on_drop(on_drop).journal_dir(&dir);
        let connection = Connection::over(tc.clone());
        let monitor_over = Monitor::over(monitor.clone());
        let session = OutputCommit::attach_over(connection, monitor_over, &["eth0", "eth1"], plan)?;
        Ok(Self { kernel, tc, monitor, session, dir })
    }

    fn send(&self, bytes: &[u8]) {
        for device in DEVICES {
            self.kernel.send(device, bytes);
        }
    }

    fn sent(&self) -> [Vec<Vec<u8>>; 2] {
        DEVICES.map(|device| self.kernel.take_sent(device))
    }

    fn other(&self) -> Connection<Socket> {
        Connection::over(self.kernel.connect())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn world() -> World {
    World::new(OnTaint::FailClosed, OnDrop::Taint, 32_768).unwrap()
}

fn cause(error: Error) -> (TaintCause, Network) {
    match error {
        Error::Tainted { taint, network } => (taint.cause, network),
        other => panic!("no taint: {other}"),
    }
}

const NONE: [Vec<Vec<u8>>; 2] = [vec![], vec![]];

fn both(packets: &[&[u8]]) -> [Vec<Vec<u8>>; 2] {
    let packets: Vec<_> = packets.iter().map(|packet| packet.to_vec()).collect();
    [packets.clone(), packets]
}

#[test]
fn a_session_over_two_devices_from_start_to_end() {
    let mut world = world();
    world.send(b"open");
    assert_eq!(world.sent(), both(&[b"open"]));
    world.session.start_buffer().unwrap();
    world.send(b"0");
    let epoch = world.session.close().unwrap();
    world.send(b"1");
    assert_eq!(world.sent(), NONE);
    assert!(matches!(world.session.open(), Err(Error::EpochOutstanding { number: 0 })));
    assert!(matches!(world.session.detach(Plugs::Remove), Err(Error::EpochOutstanding { .. })));
    world.session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(world.sent(), both(&[b"0"]));
    world.session.open().unwrap();
    assert_eq!(world.sent(), both(&[b"1"]));
    world.session.start_buffer().unwrap();
    world.send(b"2");
    assert_eq!(world.sent(), NONE);
    world.session.detach(Plugs::Remove).unwrap();
    assert_eq!(world.sent(), both(&[b"2"]));
    assert_eq!(world.session.state(), State::Detached);
    assert!(world.session.discard().is_err());
}

#[test]
fn an_answer_that_is_lost_taints_for_it_may_have_been_carried_out() {
    for fault in [Fault::Lost, Fault::NoBuffers, Fault::Truncated, Fault::Late] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        world.tc.get().next(fault);
        let (cause, network) = cause(world.session.close().unwrap_err());
        assert!(matches!(cause, TaintCause::Command { doing: "BUFFER", .. }), "{fault:?}: {cause}");
        assert_eq!(network, Network::HeldAnew, "{fault:?}");
        assert_eq!(world.sent(), NONE);
    }
}

#[test]
fn a_forged_or_doubled_answer_changes_nothing() {
    for fault in [Fault::Forged, Fault::Doubled] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        world.tc.get().next(fault);
        let epoch = world.session.close().unwrap();
        world.session.release(epoch, Ack::of(0)).unwrap();
        assert_eq!(world.sent(), both(&[b"0"]), "{fault:?}");
    }
}

#[test]
fn notices_that_are_lost_taint() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.send(b"0");
    let epoch = world.session.close().unwrap();
    world.monitor.get().next(Fault::NoBuffers);
    let (cause, _) = cause(world.session.release(epoch, Ack::of(0)).unwrap_err());
    assert_eq!(cause, TaintCause::Overflow);
    assert_eq!(world.sent(), NONE);
}

#[test]
fn a_reset_that_nothing_announces_is_seen_in_the_counters() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.send(b"0");
    let epoch = world.session.close().unwrap();
    // Its notice is lost: as if there were none.
    world.kernel.set_carrier(DEVICES[0], false);
    world.kernel.set_carrier(DEVICES[0], true);
    let mut buffer = [0; 65_536];
    while world.monitor.get().receive(&mut buffer).is_ok() {}
    let (cause, _) = cause(world.session.release(epoch, Ack::of(0)).unwrap_err());
    assert_eq!(cause, TaintCause::HeldLost { bytes: 1 });
    assert_eq!(world.sent(), NONE);
}

/// A reset before the look is found, and nothing is released; one between the
/// look and the RELEASE is found by the notices that are read next.
#[test]
fn a_reset_on_either_side_of_the_look_is_found_by_the_same_release() {
    for send in [0, 1] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        let epoch = world.session.close().unwrap();
        let kernel = world.kernel.clone();
        world.tc.get().before_send(send, move || {
            kernel.set_carrier(DEVICES[0], false);
            kernel.set_carrier(DEVICES[0], true);
        });
        let (cause, network) = cause(world.session.release(epoch, Ack::of(0)).unwrap_err());
        assert_eq!((cause, network), (TaintCause::Carrier, Network::HeldAnew));
        world.sent();
        world.send(b"1");
        assert_eq!(world.sent(), NONE, "what the RELEASE has left over lets nothing out");
    }
}

#[test]
fn a_busy_device_keeps_a_session_draining_and_loses_nothing() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.send(b"0");
    world.kernel.set_transmitting(DEVICES[0], false);
    let error = world.session.detach(Plugs::Remove).unwrap_err();
    assert!(matches!(error, Error::StillDraining { packets: 1, .. }), "{error}");
    assert_eq!((world.session.state(), error.network()), (State::Draining, Network::Open));
    world.kernel.set_transmitting(DEVICES[0], true);
    world.session.detach(Plugs::Remove).unwrap();
    assert_eq!(world.sent(), both(&[b"0"]));
}

/// What remains: a RELEASE that the device has not carried out when its queue is
/// reset stays in force. Whoever polls the session hears of the reset at once.
#[test]
fn a_release_outlives_a_reset_of_a_busy_device_until_it_is_noticed() {
    for noticed in [false, true] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        world.kernel.set_transmitting(DEVICES[0], false);
        let epoch = world.session.close().unwrap();
        world.session.release(epoch, Ack::of(0)).unwrap();
        world.send(b"1");
        world.kernel.set_carrier(DEVICES[0], false);
        if noticed {
            let (cause, network) = cause(world.session.check().unwrap_err());
            assert_eq!((cause, network), (TaintCause::Carrier, Network::HeldAnew));
        }
        world.kernel.set_carrier(DEVICES[0], true);
        world.send(b"2");
        world.kernel.set_transmitting(DEVICES[0], true);
        let expected: &[&[u8]] = if noticed { &[] } else { &[b"2"] };
        assert_eq!(world.sent()[0], expected);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Close,
    Release,
    Check,
    Open,
    Carrier(usize),
    UpDown(usize),
    TxQueueLen(usize),
    Mtu(usize),
    Foreign(usize),
    Delete(usize),
    Busy(usize, bool),
    LoseAnswer,
    LoseNotice,
}

fn step() -> impl Strategy<Value = Step> {
    let device = 0..2_usize;
    prop_oneof![
        8 => Just(Step::Send),
        6 => Just(Step::Close),
        6 => Just(Step::Release),
        1 => Just(Step::Check),
        1 => Just(Step::Open),
        1 => device.clone().prop_map(Step::Carrier),
        1 => device.clone().prop_map(Step::UpDown),
        1 => device.clone().prop_map(Step::TxQueueLen),
        1 => device.clone().prop_map(Step::Mtu),
        1 => device.clone().prop_map(Step::Foreign),
        1 => device.clone().prop_map(Step::Delete),
        2 => (device, any::<bool>()).prop_map(|(device, busy)| Step::Busy(device, busy)),
        1 => Just(Step::LoseAnswer),
        1 => Just(Step::LoseNotice),
    ]
}

/// Takes the steps, and says if a packet left whose epoch was not acknowledged.
struct Run {
    world: World,
    token: Option<Epoch>,
    /// Epochs up to this one may leave.
    committed: Option<u64>,
    length: u32,
    /// Devices whose plug was deleted, or reset while it was still sending what
    /// was released: they let packets out until that is noticed.
    excused: [bool; 2],
    busy: [bool; 2],
}

impl Run {
    fn new() -> Self {
        let mut world = World::new(OnTaint::FailClosed, OnDrop::Report, 2_000).unwrap();
        world.session.start_buffer().unwrap();
        Self { world, token: None, committed: None, length: 1000, excused: [false; 2], busy: [false; 2] }
    }

    fn take(&mut self, step: Step) {
        let Self { world, .. } = self;
        if let Step::Carrier(device) | Step::UpDown(device) | Step::TxQueueLen(device) = step {
            self.excused[device] |= self.busy[device];
        }
        match step {
            Step::Send => {
                let tag = world.session.epoch().to_ne_bytes();
                world.send(&[&tag[..], &[0; 100]].concat());
            }
            Step::Close => match world.session.close_or_extend() {
                // The older one: the younger must not exist beside it.
                Ok(token) => self.token = self.token.take().or(token),
                Err(error) => self.recover(&error),
            },
            Step::Release => {
                let Some(epoch) = self.token.take() else { return };
                self.committed = Some(epoch.number());
                if let Err(error) = world.session.release(epoch, Ack::of(self.committed.unwrap_or(0))) {
                    self.recover(&error);
                }
            }
            Step::Check => {
                if let Err(error) = world.session.check() {
                    self.recover(&error);
                }
            }
            Step::Open => {
                if self.token.is_some() {
                    return;
                }
                // All may leave, once it does.
                let open = world.session.epoch();
                match world.session.open() {
                    Ok(()) => {
                        self.committed = Some(open);
                        self.verify(step);
                        if let Err(error) = self.world.session.start_buffer() {
                            self.recover(&error);
                        }
                    }
                    // The RELEASE_INDEFINITE itself may have been carried out.
                    Err(error) => {
                        let lost = error.to_string().contains("RELEASE_INDEFINITE");
                        self.committed = if lost { Some(open) } else { self.committed };
                        self.recover(&error);
                    }
                }
            }
            Step::Carrier(device) => {
                world.kernel.set_carrier(DEVICES[device], false);
                world.kernel.set_carrier(DEVICES[device], true);
            }
            Step::UpDown(device) => {
                let mut other = world.other();
                for up in [false, true] {
                    let change = LinkChange { up: Some(up), ..LinkChange::default() };
                    other.set_link(DEVICES[device], &change).unwrap();
                }
            }
            Step::TxQueueLen(device) => {
                self.length += 1;
                let change = LinkChange { tx_queue_len: Some(self.length), ..LinkChange::default() };
                world.other().set_link(DEVICES[device], &change).unwrap();
            }
            Step::Mtu(device) => {
                let change = LinkChange { mtu: Some(1400), ..LinkChange::default() };
                world.other().set_link(DEVICES[device], &change).unwrap();
            }
            Step::Foreign(device) => {
                let plug = Plug::buffer();
                for handle in [0xc01, 0xc02] {
                    let request = Request::qdisc(DEVICES[device]).parent(Handle::ROOT);
                    let request = request.handle(Handle::qdisc(handle)).options(&plug);
                    let _other_handle = world.other().apply_as_it_is(Verb::Change, &request);
                }
            }
            Step::Delete(device) => {
                let _gone = world.other().delete(&Request::qdisc(DEVICES[device]).parent(Handle::ROOT));
                self.excused[device] = true;
            }
            Step::Busy(device, busy) => {
                self.busy[device] = busy;
                world.kernel.set_transmitting(DEVICES[device], !busy);
            }
            Step::LoseAnswer => world.tc.get().next(Fault::Lost),
            Step::LoseNotice => world.monitor.get().next(Fault::NoBuffers),
        }
        self.verify(step);
    }

    /// A checkpoint of now, and on.
    fn recover(&mut self, error: &Error) {
        self.token = None;
        for _ in 0..10 {
            // What left while that was not noticed is not the session's doing.
            let before = self.world.sent();
            for (device, packets) in before.into_iter().enumerate() {
                if !self.excused[device] {
                    self.judge(packets, &format!("{error}"));
                }
            }
            let again = match self.world.session.state() {
                State::Tainted => self.world.session.restart(),
                State::Open => self.world.session.start_buffer(),
                _ => Ok(()),
            };
            if again.is_ok() {
                self.excused = [false; 2];
                return;
            }
        }
        panic!("no way back from {error}");
    }

    fn verify(&mut self, step: Step) {
        for (device, packets) in self.world.sent().into_iter().enumerate() {
            if !self.excused[device] {
                self.judge(packets, &format!("{step:?}"));
            }
        }
    }

    fn judge(&self, packets: Vec<Vec<u8>>, when: &str) {
        for packet in packets {
            let tag = u64::from_ne_bytes(packet[..8].try_into().unwrap());
            assert!(
                self.committed.is_some_and(|committed| tag <= committed),
                "{when}: epoch {tag} left, committed {:?}",
                self.committed
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_uncommitted_leaves_whatever_happens_between_two_calls(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.take(step));
    }
}
