//! Output commit over the embedded kernel: what no real kernel does on demand.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod attach;
mod guardian;
mod guards;
mod odd;
mod owners;
mod policy;
mod sequences;

use std::path::PathBuf;

use tc_core::embedded::{Device, Fault, Kernel, Socket};
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Transport};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, Limit, NetworkState, OnDeath, OnDrop, OnTaint, OutputCommit,
    State, TaintCause,
};
use tests::lab::Shared;

use odd::Odd;

const DEVICES: [i32; 2] = [2, 3];

/// A kernel with two devices, a session over both, and a hand on its sockets.
struct World {
    kernel: Kernel,
    tc: Shared<Odd>,
    monitor: Shared<Odd>,
    session: OutputCommit<Shared<Odd>>,
    dir: PathBuf,
}

impl World {
    fn new(on_taint: OnTaint, on_drop: OnDrop, limit_bytes: u32) -> Result<Self, Error> {
        Self::with(on_taint, on_drop, limit_bytes, OnDeath::StayClosed)
    }

    fn with(on_taint: OnTaint, on_drop: OnDrop, limit_bytes: u32, on_death: OnDeath) -> Result<Self, Error> {
        let kernel = tc_qdiscs::embedded::kinds(Kernel::builder())
            .device(Device::new("eth0").ifindex(DEVICES[0]))
            .device(Device::new("eth1").ifindex(DEVICES[1]).tx_queues(2))
            .build();
        let socket = kernel.connect();
        for group in [RTNLGRP_TC, RTNLGRP_LINK] {
            socket.join(group);
        }
        let (tc, monitor) = (Shared::new(Odd::over(kernel.connect())), Shared::new(Odd::over(socket)));
        let id = (std::process::id(), std::thread::current().id());
        let dir = std::env::temp_dir().join(format!("tc-plug-embedded-{id:?}"));
        let limit = Limit::bytes(limit_bytes.try_into().unwrap_or(std::num::NonZeroU32::MAX));
        let options = AttachOptions::new(limit, on_taint, on_death).on_drop(on_drop).journal_dir(&dir);
        let options = options.handles(0xc01, 0xc02);
        let connection = Connection::over(tc.clone());
        let monitor_over = Monitor::over(monitor.clone());
        let session = OutputCommit::attach_over(connection, monitor_over, &["eth0", "eth1"], options)?;
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

fn cause(error: Error) -> (TaintCause, NetworkState) {
    match error {
        Error::Tainted { taint, network } => (taint.cause, network),
        other => panic!("no taint: {other}"),
    }
}

const NONE: [Vec<Vec<u8>>; 2] = [vec![], vec![]];

/// Lets the notices be lost that wait: as if there were none.
fn drain(monitor: &Shared<Odd>) {
    while monitor.get().receive(&mut [0; 65_536]).is_ok() {}
}

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
    assert!(matches!(world.session.detach(DetachMode::Remove), Err(Error::EpochOutstanding { .. })));
    world.session.release(epoch, Ack::of(0)).unwrap();
    assert_eq!(world.sent(), both(&[b"0"]));
    world.session.open().unwrap();
    assert_eq!(world.sent(), both(&[b"1"]));
    world.session.start_buffer().unwrap();
    world.send(b"2");
    assert_eq!(world.sent(), NONE);
    world.session.detach(DetachMode::Remove).unwrap();
    assert_eq!(world.sent(), both(&[b"2"]));
    assert_eq!(world.session.state(), State::Detached);
    assert!(world.session.discard().is_err());
}

#[test]
fn answer_when_lost_taints() {
    for fault in [Fault::Lost, Fault::NoBuffers, Fault::Truncated, Fault::Late] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        world.tc.get().next(fault);
        let (cause, network) = cause(world.session.close().unwrap_err());
        assert!(matches!(cause, TaintCause::Command { doing: "BUFFER", .. }), "{fault:?}: {cause}");
        assert_eq!(network, NetworkState::HeldAnew, "{fault:?}");
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
    drain(&world.monitor);
    let (cause, _) = cause(world.session.release(epoch, Ack::of(0)).unwrap_err());
    assert_eq!(cause, TaintCause::HeldLost { bytes: 1 });
    assert_eq!(world.sent(), NONE);
}

/// A reset before the look is found, and nothing is released; one between the
/// look and the RELEASE is found by the notices that are read next.
#[test]
fn reset_on_either_side_of_the_look_is_found_by_the_release() {
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
        assert_eq!((cause, network), (TaintCause::Carrier, NetworkState::HeldAnew));
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
    let error = world.session.detach(DetachMode::Remove).unwrap_err();
    assert!(matches!(error, Error::StillDraining { packets: 1, .. }), "{error}");
    assert_eq!((world.session.state(), error.network()), (State::Draining, NetworkState::Open));
    world.kernel.set_transmitting(DEVICES[0], true);
    world.session.detach(DetachMode::Remove).unwrap();
    assert_eq!(world.sent(), both(&[b"0"]));
}

/// What remains: a RELEASE that the device has not carried out when its queue is
/// reset stays in force. A poll of the session reports the reset at once.
#[test]
fn release_continues_after_a_reset_until_its_notice() {
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
            assert_eq!((cause, network), (TaintCause::Carrier, NetworkState::HeldAnew));
        }
        world.kernel.set_carrier(DEVICES[0], true);
        world.send(b"2");
        world.kernel.set_transmitting(DEVICES[0], true);
        let expected: &[&[u8]] = if noticed { &[] } else { &[b"2"] };
        assert_eq!(world.sent()[0], expected);
    }
}
