//! Any steps in any order.

use proptest::prelude::*;
use tc_core::embedded::Fault;
use tc_core::link::LinkChange;
use tc_core::{Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Ack, Epoch, Error, OnDrop, OnTaint, State};

use crate::{DEVICES, World};

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
    Ingress(usize),
    LoseQueue,
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
        1 => device.clone().prop_map(Step::Ingress),
        1 => Just(Step::LoseQueue),
        2 => (device, any::<bool>()).prop_map(|(device, busy)| Step::Busy(device, busy)),
        1 => Just(Step::LoseAnswer),
        1 => Just(Step::LoseNotice),
    ]
}

/// Takes the steps, and reports packets that left without an acknowledgement of their epoch.
struct Run {
    world: World,
    token: Option<Epoch>,
    /// Epochs up to this one may leave.
    committed: Option<u64>,
    length: u32,
    /// Devices whose plug was deleted, or reset while it was still sending released
    /// packets: they let packets out until that is noticed.
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
        if let Step::Ingress(device) = step {
            self.excused[device] |= self.busy[device];
        }
        if matches!(step, Step::LoseQueue) {
            self.excused[1] |= self.busy[1];
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
            Step::Ingress(device) => {
                let ingress = Request::qdisc(DEVICES[device]).parent(Handle::INGRESS);
                let ingress = ingress.handle(Handle::qdisc(0xffff)).kind("ingress");
                if world.other().delete(&ingress).is_err() {
                    world.other().add(&ingress).unwrap();
                }
            }
            Step::LoseQueue => assert!(world.kernel.lose_queues(DEVICES[1], 1)),
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
            // The session does not cause packets that leave before it is noticed.
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
    fn nothing_uncommitted_leaves_between_any_two_calls(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut run = Run::new();
        steps.into_iter().for_each(|step| run.take(step));
    }
}
