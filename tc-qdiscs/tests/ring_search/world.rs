//! The world of a session: controller, guest, backup, guardian, two devices, and the adversary.

use std::hash::{Hash, Hasher};

use tc_qdiscs::plug::ring::Depth;
use tc_qdiscs::plug::ring::machine::{
    Answer, Commands, Input, Machine, Order as Wanted, Outcome, Output, Policy, Reply, State,
};

use crate::kernel::{Device, Label, Order};
use crate::weak::{self, Weak};

/// Sent before the session held anything.
pub(crate) const OPEN: Label = 0x7f;
/// Sent before the pause of the guest, and queued in it: it can leave an epoch later.
pub(crate) const LATE: Label = 0x80;

/// The policy after the controller's death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDeath {
    /// The network stays closed, until a rescue drops what is held.
    Closed,
    /// A guardian opens it.
    Open,
}

/// The bounds of a search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bands: u8,
    pub(crate) on_death: OnDeath,
    pub(crate) epochs: u8,
    pub(crate) packets: u8,
    pub(crate) resets: u8,
    pub(crate) foreign: u8,
    pub(crate) lost: u8,
    pub(crate) restarts: u8,
    pub(crate) weak: Option<Weak>,
}

/// One step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A packet of the guest is queued on a device.
    Send(u8),
    /// A device sends the next packet that its qdisc gives it.
    Transmit(u8),
    /// The controller begins an order.
    Start,
    Close,
    Release(u8),
    Tend,
    Restart,
    /// The kernel carries out the next command of the datagram.
    Obey,
    /// The kernel's answers arrive, each twice.
    Answers,
    /// Only the first one arrives.
    AnswersLost,
    /// The datagram never reaches the kernel.
    SendFails,
    /// The backup has the next checkpoint.
    Commit,
    /// A device's queues are reset.
    Reset(u8),
    /// Somebody changes a map.
    ForeignMap(u8, u8),
    /// Somebody plugs a band.
    ForeignBuffer(u8, u8),
    ControllerDies,
    GuardianDies,
    /// The guardian, or a rescue, carries out its next command.
    After,
}

/// The number of a datagram: it does not make two states different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Hash for Turn {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A datagram under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    turn: Turn,
    wanted: Option<Wanted>,
    commands: Commands,
    /// How many of its messages were carried out.
    done: u8,
    /// Which machine's commands found packets, by device.
    filled: [u32; 2],
}

/// The death of the controller, and the deeds after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Alive,
    /// The next command of the guardian or the rescue.
    Dead(u8),
}

/// A state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(super) machine: Machine,
    pub(super) devices: [Device; 2],
    pub(super) flight: Option<Flight>,
    pub(super) life: Life,
    pub(super) guardian_dead: bool,
    /// The guest stands still; packets from before may still be queued.
    pub(super) paused: bool,
    /// The epoch of the guest, as its controller counts; `OPEN` before the start.
    pub(super) label: Label,
    /// Packets sent in this epoch, by device.
    pub(super) sent: [bool; 2],
    /// The checkpoints that exist, one bit each.
    pub(super) checkpoints: u16,
    /// The epochs that the backup has all lie below.
    pub(super) committed: Label,
    /// Somebody's change was announced, and not read yet.
    pub(super) notice: bool,
    /// Bands whose older packets were held again, as reported.
    pub(super) carried: u8,
    pub(super) packets: u8,
    pub(super) resets: u8,
    pub(super) foreign: u8,
    pub(super) lost: u8,
    pub(super) restarts: u8,
}

/// The next message of a datagram.
pub(crate) fn message(flight: &Flight, bounds: &Bounds) -> Option<weak::Message> {
    weak::message(bounds.weak, flight.wanted, flight.commands.as_slice(), bounds.bands, flight.done)
}

/// Why a state is wrong.
pub(crate) type Violation = String;

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let depth = Depth::new(bounds.bands).unwrap();
        Self {
            machine: Machine::new(depth, 2, Policy::Close),
            devices: [Device::new(); 2],
            flight: None,
            life: Life::Alive,
            guardian_dead: false,
            paused: false,
            label: OPEN,
            sent: [false; 2],
            checkpoints: 0,
            committed: 0,
            notice: false,
            carried: 0,
            packets: bounds.packets,
            resets: bounds.resets,
            foreign: bounds.foreign,
            lost: bounds.lost,
            restarts: bounds.restarts,
        }
    }

    /// All that can happen next.
    pub(crate) fn actions(&self, bounds: &Bounds, out: &mut Vec<Action>) {
        for device in 0..2 {
            let alive = self.life == Life::Alive || matches!(self.life, Life::Dead(0));
            if alive && self.packets > 0 && !self.sent[usize::from(device)] {
                out.push(Action::Send(device));
            }
            if self.devices[usize::from(device)].clone().dequeue().is_some() {
                out.push(Action::Transmit(device));
            }
            if self.resets > 0 {
                out.push(Action::Reset(device));
            }
        }
        if let Some(flight) = &self.flight {
            if message(flight, bounds).is_some() {
                out.push(Action::Obey);
                if flight.done == 0 && self.lost > 0 && self.life == Life::Alive {
                    out.push(Action::SendFails);
                }
            } else if self.life == Life::Alive {
                out.push(Action::Answers);
                if self.lost > 0 {
                    out.push(Action::AnswersLost);
                }
            }
        }
        if self.life == Life::Alive {
            self.controllers_actions(bounds, out);
            out.push(Action::ControllerDies);
        } else if self.flight.is_none() && self.has_more_deeds(bounds) {
            out.push(Action::After);
        }
        if bounds.on_death == OnDeath::Open && !self.guardian_dead && self.has_more_deeds(bounds) {
            out.push(Action::GuardianDies);
        }
        if self.next_checkpoint().is_some() {
            out.push(Action::Commit);
        }
    }

    fn controllers_actions(&self, bounds: &Bounds, out: &mut Vec<Action>) {
        if self.flight.is_some() {
            return;
        }
        match self.machine.state() {
            State::Open => out.push(Action::Start),
            State::Protected => {
                if self.machine.epoch() < u64::from(bounds.epochs) && !self.guardian_dead {
                    out.push(Action::Close);
                }
                out.extend((0..=self.machine.epoch() as u8).map(Action::Release));
                if self.machine.draining() != 0 {
                    out.push(Action::Tend);
                }
            }
            State::Tainted if self.restarts > 0 => out.push(Action::Restart),
            State::Tainted => {}
        }
        if self.foreign > 0 && self.machine.state() == State::Protected {
            for device in 0..2 {
                for band in 0..bounds.bands {
                    // A map to a band that passes lets packets out at once: an assumption of the page.
                    if !self.devices[usize::from(device)].bands[usize::from(band)].passes {
                        out.push(Action::ForeignMap(device, band));
                    }
                    out.push(Action::ForeignBuffer(device, band));
                }
            }
        }
    }

    fn next_checkpoint(&self) -> Option<Label> {
        (self.committed..16).find(|epoch| self.checkpoints & 1 << epoch != 0)
    }

    /// Carries an action out. `false`: it changes nothing.
    pub(crate) fn step(&mut self, action: Action, bounds: &Bounds) -> Result<bool, Violation> {
        match action {
            Action::Send(device) => {
                self.packets -= 1;
                self.sent[usize::from(device)] = true;
                let label = match (self.paused, bounds.weak) {
                    (true, Some(Weak::GuestRunsDuringClose)) => self.label + 1,
                    (true, _) => self.label | LATE,
                    (false, _) => self.label,
                };
                self.devices[usize::from(device)].enqueue(label);
            }
            Action::Transmit(device) => {
                let packet = self.devices[usize::from(device)].dequeue();
                return self.judge_packet(packet.unwrap_or(OPEN), bounds).map(|()| true);
            }
            Action::Start => return self.order(Wanted::Start, bounds),
            Action::Close => {
                self.paused = true;
                return self.order(Wanted::Close, bounds);
            }
            Action::Release(epoch) => return self.release(epoch, bounds),
            Action::Tend => return self.order(Wanted::Tend, bounds),
            Action::Restart => {
                self.paused = true;
                self.restarts -= 1;
                self.notice = false;
                return self.order(Wanted::Restart, bounds);
            }
            Action::Obey => self.obey(bounds),
            Action::Answers => return self.answers(usize::MAX, bounds),
            Action::AnswersLost => {
                self.lost -= 1;
                return self.answers(1, bounds);
            }
            Action::SendFails => {
                self.lost -= 1;
                return self.answers(0, bounds);
            }
            Action::Commit => {
                if let Some(epoch) = self.next_checkpoint() {
                    self.committed = epoch + 1;
                }
            }
            Action::Reset(device) => {
                self.resets -= 1;
                self.devices[usize::from(device)].reset();
            }
            Action::ForeignMap(device, band) => {
                self.foreign -= 1;
                self.notice = true;
                self.devices[usize::from(device)].map = band;
            }
            Action::ForeignBuffer(device, band) => {
                self.foreign -= 1;
                self.notice = true;
                self.devices[usize::from(device)].obey(Order::Buffer(band));
            }
            Action::ControllerDies => self.life = Life::Dead(0),
            Action::GuardianDies => self.guardian_dead = true,
            Action::After => self.after(bounds),
        }
        Ok(true)
    }

    /// The controller tries to release an epoch with each acknowledgement that it can have: of any
    /// checkpoint that the backup has, late and repeated ones among them.
    fn release(&mut self, epoch: u8, bounds: &Bounds) -> Result<bool, Violation> {
        if self.notice && bounds.weak != Some(Weak::ForeignChangesAreIgnored) {
            self.notice = false;
            let output = self.machine.step(Input::Distrust);
            return self.output(output, None, bounds);
        }
        let all = 0..self.machine.epoch() as u8;
        let had = |ack: &u8| *ack < self.committed && self.checkpoints & 1 << ack != 0;
        let acks: Vec<u8> = match bounds.weak {
            Some(Weak::ReleasedWhenWritten) => all.filter(|ack| *ack == epoch).collect(),
            Some(Weak::AnyAckReleases) if all.clone().any(|ack| had(&ack)) => vec![epoch],
            _ => all.filter(had).collect(),
        };
        for ack in acks {
            let wanted = Wanted::Release { epoch: epoch.into(), acknowledged: ack.into() };
            let before = self.machine.clone();
            match self.machine.step(Input::Order(wanted)) {
                Output::Done(Reply::Refused(_)) if self.machine == before => {}
                Output::Done(Reply::Refused(_)) => return Err("a refusal changed the machine".to_owned()),
                output => return self.output(output, Some(wanted), bounds),
            }
        }
        Ok(false)
    }

    fn order(&mut self, wanted: Wanted, bounds: &Bounds) -> Result<bool, Violation> {
        let output = self.machine.step(Input::Order(wanted));
        if let Output::Done(Reply::Refused(_)) = output {
            return Ok(false);
        }
        self.output(output, Some(wanted), bounds)
    }

    fn output(&mut self, output: Output, wanted: Option<Wanted>, bounds: &Bounds) -> Result<bool, Violation> {
        match output {
            Output::Wait => {}
            Output::Send(sent) => {
                let (turn, commands) = (Turn(sent.turn), sent.commands);
                self.flight = Some(Flight { turn, wanted, commands, done: 0, filled: [0; 2] });
            }
            Output::Done(reply) => self.replied(reply),
        }
        self.judge_held(bounds).map(|()| true)
    }

    fn replied(&mut self, reply: Reply) {
        match reply {
            Reply::Started | Reply::Restarted => {
                self.label = self.machine.epoch() as Label;
                self.carried = 0;
                (self.paused, self.sent) = (false, [false; 2]);
            }
            Reply::Closed { epoch } => {
                self.checkpoints |= 1 << epoch;
                self.label = self.machine.epoch() as Label;
                (self.paused, self.sent) = (false, [false; 2]);
            }
            Reply::Tainted { .. } => self.paused = false,
            Reply::Released { .. } | Reply::Tended | Reply::Opened | Reply::Refused(_) => {}
        }
    }

    fn obey(&mut self, bounds: &Bounds) {
        let Some(mut flight) = self.flight.take() else { return };
        let Some((device, number, order)) = message(&flight, bounds) else { return };
        let filled = self.devices[usize::from(device)].obey(order);
        if let Some(number) = number.filter(|_| filled) {
            flight.filled[usize::from(device)] |= 1 << number;
        }
        flight.done += 1;
        // Kernel: a datagram is carried out whole, also when its sender is dead.
        if self.life == Life::Alive || message(&flight, bounds).is_some() {
            self.flight = Some(flight);
        }
    }

    /// The first `arrive` answers arrive, and it turns out that the others do not.
    fn answers(&mut self, arrive: usize, bounds: &Bounds) -> Result<bool, Violation> {
        let Some(flight) = self.flight.take() else { return Ok(false) };
        let turn = flight.turn.0;
        let commands = flight.commands.as_slice();
        let mut last = Output::Wait;
        let mut count = 0;
        for (number, command) in commands.iter().enumerate() {
            for device in 0..2 {
                let queued = flight.filled[usize::from(device)] >> number & 1;
                count += 1;
                let done = count <= arrive || bounds.weak == Some(Weak::LostAnswersCountAsDone);
                let outcome = if done { Outcome::Done { queued } } else { Outcome::Failed };
                let closes = matches!(flight.wanted, Some(Wanted::Close)) && number == 0;
                if closes && queued > 0 {
                    self.carried |= 1 << command.band();
                }
                let answer = Answer { turn, device, command: number as u8, outcome };
                // A late one, of the datagram before, and this one twice.
                let late = Answer { turn: turn.wrapping_sub(1), ..answer };
                for stray in [late, Answer { device: 7, ..answer }] {
                    if self.machine.step(Input::Answer(stray)) != Output::Wait {
                        return Err("a stray answer counts".to_owned());
                    }
                }
                last = self.machine.step(Input::Answer(answer));
                let before = self.machine.clone();
                if self.machine.step(Input::Answer(answer)) != Output::Wait || self.machine != before {
                    return Err("an answer counts twice".to_owned());
                }
            }
        }
        if last == Output::Wait {
            return Err("all is answered, and the machine waits".to_owned());
        }
        self.output(last, None, bounds)
    }

    /// The commands of the guardian or of the rescue.
    fn deeds(bounds: &Bounds) -> Vec<(u8, Order)> {
        let opens =
            bounds.on_death == OnDeath::Open || bounds.weak == Some(Weak::AStayingClosedNetworkIsOpened);
        let devices = if bounds.weak == Some(Weak::TheGuardianOpensOneDevice) { 0..1 } else { 0..2 };
        let drop =
            if bounds.weak == Some(Weak::TheRescueKeepsWhatIsHeld) { Order::Buffer } else { Order::Renew };
        let each = |order: fn(u8) -> Order| {
            devices.clone().flat_map(move |device| (0..bounds.bands).map(move |band| (device, order(band))))
        };
        match opens {
            true => each(Order::Open).collect(),
            false => each(drop).chain(each(Order::Open)).collect(),
        }
    }

    pub(super) fn has_more_deeds(&self, bounds: &Bounds) -> bool {
        let Life::Dead(done) = self.life else { return false };
        !(bounds.on_death == OnDeath::Open && self.guardian_dead)
            && usize::from(done) < Self::deeds(bounds).len()
    }

    fn after(&mut self, bounds: &Bounds) {
        let Life::Dead(done) = self.life else { return };
        let (device, order) = Self::deeds(bounds)[usize::from(done)];
        self.devices[usize::from(device)].obey(order);
        self.life = Life::Dead(done + 1);
    }
}
