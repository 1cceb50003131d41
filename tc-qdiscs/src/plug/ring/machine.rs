//! The transitions of a ring: orders and answers in, commands and replies out. No I/O.
//!
//! [`Ring`](super::Ring) drives a [`Machine`] with a real kernel; the exhaustive
//! search of the tests drives it with a model of one. Each order becomes one
//! datagram of commands for all devices; the reply comes when each command is
//! answered on each device.
//!
//! ```
//! use tc_qdiscs::plug::ring::Depth;
//! use tc_qdiscs::plug::ring::machine::{Answer, Command, Input, Machine, Order, Outcome, Output, Policy, Reply};
//!
//! let mut machine = Machine::new(Depth::new(2)?, 1, Policy::Close);
//! let Output::Send(sent) = machine.step(Input::Order(Order::Start)) else { panic!() };
//! assert_eq!(sent.commands.as_slice(), [Command::Buffer(0)]);
//! let answer = Answer { turn: sent.turn, device: 0, command: 0, outcome: Outcome::Done { queued: 0 } };
//! assert_eq!(machine.step(Input::Answer(answer)), Output::Done(Reply::Started));
//! # Ok::<(), tc_qdiscs::plug::ring::DepthError>(())
//! ```

mod commands;
mod types;

use std::hash::{Hash, Hasher};

pub use commands::{Band, Command, Commands, Sent};
pub use types::{Answer, Input, Order, Outcome, Output, Policy, Refusal, Reply, State};

use super::depth::Depth;

/// The state machine of a ring over several devices.
///
/// Its value is all that the session knows about the bands. The number of datagrams
/// so far does not count in its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    depth: Depth,
    devices: u8,
    policy: Policy,
    state: State,
    /// The band of the open epoch.
    open: Band,
    /// The number of the open epoch.
    epoch: u64,
    /// How many epochs are closed: they have the bands and numbers before the open one.
    closed: u8,
    /// The bands that pass, one bit each.
    draining: u16,
    /// Those of them that were seen empty on all devices.
    empty: u16,
    /// The number of the last datagram.
    turn: u64,
    under_way: Option<Turn>,
    /// Something happened while a datagram was under way.
    distrusted: bool,
}

/// A datagram whose answers are awaited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Turn {
    /// `None`: the policy.
    order: Option<Order>,
    commands: Commands,
    /// The answers still to come, one bit each.
    awaited: u128,
    failed: bool,
    /// The bands that had packets on a device, by the answers.
    filled: u16,
}

impl Machine {
    /// A ring whose map leads to band 0, which passes; all other bands are plugged.
    ///
    /// More devices than [`Depth::devices`] are not served.
    pub fn new(depth: Depth, devices: u8, policy: Policy) -> Self {
        Self {
            depth,
            devices: devices.min(depth.devices()),
            policy,
            state: State::Open,
            open: 0,
            epoch: 0,
            closed: 0,
            draining: 0,
            empty: 0,
            turn: 0,
            under_way: None,
            distrusted: false,
        }
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of the open epoch, or of the next one.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The band that the map leads to.
    pub const fn open_band(&self) -> Band {
        self.open
    }

    /// The number of closed epochs.
    pub const fn closed(&self) -> u8 {
        self.closed
    }

    /// The oldest closed epoch.
    pub const fn oldest(&self) -> Option<u64> {
        match self.closed {
            0 => None,
            closed => Some(self.epoch - closed as u64),
        }
    }

    /// The band of a closed epoch or of the open one.
    pub fn band_of(&self, epoch: u64) -> Option<Band> {
        let back = self.epoch.checked_sub(epoch).filter(|back| *back <= u64::from(self.closed))?;
        let bands = self.depth.bands();
        Some((self.open + bands - back as u8) % bands)
    }

    /// The bands that pass because their epoch was released, one bit each.
    pub const fn draining(&self) -> u16 {
        self.draining
    }

    /// Those of [`Machine::draining`] that are not known to be empty.
    pub const fn unsent(&self) -> u16 {
        self.draining & !self.empty
    }

    /// Whether a datagram is under way.
    pub const fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// One transition.
    pub fn step(&mut self, input: Input) -> Output {
        match input {
            Input::Order(order) => match self.order(order) {
                Ok(commands) => {
                    if order == Order::Start {
                        // If it fails, some devices may hold: the policy decides.
                        self.state = State::Protected;
                    }
                    self.send(Some(order), commands)
                }
                Err(refusal) => Output::Done(Reply::Refused(refusal)),
            },
            Input::Answer(answer) => self.answer(answer),
            Input::Distrust if self.under_way.is_some() => {
                self.distrusted = true;
                Output::Wait
            }
            Input::Distrust => self.taint(),
        }
    }

    /// The commands of an order.
    fn order(&self, order: Order) -> Result<Commands, Refusal> {
        if self.under_way.is_some() {
            return Err(Refusal::Busy);
        }
        let expected = match order {
            Order::Start => State::Open,
            Order::Restart => State::Tainted,
            _ => State::Protected,
        };
        if self.state != expected && !(order == Order::Tend && self.state == State::Open) {
            return Err(Refusal::State(self.state));
        }
        let mut commands = Commands::default();
        match order {
            Order::Start => commands.push(Command::Buffer(self.open)),
            Order::Close => {
                if self.closed == self.depth.closed_epochs() {
                    return Err(Refusal::Full { oldest: self.epoch - u64::from(self.closed) });
                }
                let next = self.next();
                // It is plugged before anything is led to it.
                commands.push(Command::Buffer(next));
                commands.push(Command::Map(next));
                commands.push(Command::Look(self.open));
                self.tend(&mut commands, 1 << next);
            }
            Order::Release { epoch, acknowledged } => {
                let oldest = self.oldest().ok_or(Refusal::NotClosed)?;
                let band = self.band_of(epoch).filter(|_| epoch < self.epoch).ok_or(Refusal::NotClosed)?;
                if epoch != oldest {
                    return Err(Refusal::OutOfOrder { oldest });
                }
                if acknowledged != epoch {
                    return Err(Refusal::OtherAck);
                }
                self.tend(&mut commands, 0);
                commands.push(Command::Open(band));
            }
            Order::Tend => self.tend(&mut commands, 0),
            Order::Open => match self.oldest() {
                Some(oldest) => return Err(Refusal::Outstanding { oldest }),
                None => commands.push(Command::Open(self.open)),
            },
            Order::Restart => {
                match self.policy {
                    Policy::Close => commands.extend(self.all().map(Command::Renew)),
                    Policy::Open => {
                        commands.extend(self.all().filter(|band| *band != self.open).map(Command::Buffer));
                    }
                }
                commands.push(Command::Map(self.open));
            }
        }
        Ok(commands)
    }

    /// Looks at a band that drains, or plugs it if it was seen empty: two bands at most,
    /// and none of `except`.
    fn tend(&self, commands: &mut Commands, except: u16) {
        const MOST: usize = 2;
        let draining = self.draining & !except;
        for band in (0..self.depth.bands()).filter(|band| draining & 1 << band != 0).take(MOST) {
            let is_empty = self.empty & 1 << band != 0;
            commands.push(if is_empty { Command::Buffer(band) } else { Command::Look(band) });
        }
    }

    fn send(&mut self, order: Option<Order>, commands: Commands) -> Output {
        let count = commands.as_slice().len() * usize::from(self.devices);
        self.turn += 1;
        let awaited = if count == 0 { 0 } else { u128::MAX >> (128 - count) };
        let turn = Turn { order, commands, awaited, failed: false, filled: 0 };
        if awaited == 0 {
            return self.finish(&turn);
        }
        let commands = turn.commands.clone();
        self.under_way = Some(turn);
        Output::Send(Sent { turn: self.turn, commands })
    }

    fn answer(&mut self, answer: Answer) -> Output {
        let Some(turn) = self.under_way.as_mut().filter(|_| answer.turn == self.turn) else {
            return Output::Wait;
        };
        let commands = turn.commands.as_slice();
        let Some(command) = commands.get(usize::from(answer.command)) else { return Output::Wait };
        let bit = u32::from(answer.device) * commands.len() as u32 + u32::from(answer.command);
        if answer.device >= self.devices || turn.awaited & 1 << bit == 0 {
            return Output::Wait;
        }
        turn.awaited &= !(1 << bit);
        match answer.outcome {
            Outcome::Failed => turn.failed = true,
            Outcome::Done { queued: 0 } => {}
            Outcome::Done { .. } => turn.filled |= 1 << command.band(),
        }
        if turn.awaited != 0 {
            return Output::Wait;
        }
        match self.under_way.take() {
            Some(turn) => self.finish(&turn),
            None => Output::Wait,
        }
    }

    /// All answers of a datagram are there.
    fn finish(&mut self, turn: &Turn) -> Output {
        let distrusted = std::mem::take(&mut self.distrusted);
        let Some(order) = turn.order else {
            return Output::Done(Reply::Tainted { carried_out: !turn.failed });
        };
        if turn.failed || distrusted {
            return self.taint();
        }
        for command in turn.commands.as_slice() {
            match *command {
                Command::Buffer(band) | Command::Renew(band) => {
                    self.draining &= !(1 << band);
                    self.empty &= !(1 << band);
                }
                Command::Look(band) | Command::Open(band) if turn.filled & 1 << band == 0 => {
                    self.empty |= 1 << band;
                }
                _ => {}
            }
        }
        let reply = match order {
            Order::Start => Reply::Started,
            Order::Close => {
                let epoch = self.epoch;
                self.open = self.next();
                self.epoch += 1;
                self.closed += 1;
                Reply::Closed { epoch }
            }
            Order::Release { epoch, .. } => {
                if let Some(band) = self.band_of(epoch) {
                    self.draining |= 1 << band;
                }
                self.closed -= 1;
                Reply::Released { epoch }
            }
            Order::Tend => Reply::Tended,
            Order::Open => {
                self.state = State::Open;
                self.epoch += 1;
                Reply::Opened
            }
            Order::Restart => {
                self.state = match self.policy {
                    Policy::Close => State::Protected,
                    Policy::Open => State::Open,
                };
                self.epoch += 1;
                Reply::Restarted
            }
        };
        self.empty &= self.draining;
        Output::Done(reply)
    }

    /// The ring is not trusted any more. The policy is carried out if output is held.
    fn taint(&mut self) -> Output {
        let held = self.state == State::Protected;
        let again = self.state == State::Tainted;
        self.state = State::Tainted;
        self.closed = 0;
        if !held && !again {
            return Output::Done(Reply::Tainted { carried_out: true });
        }
        let mut commands = Commands::default();
        match self.policy {
            Policy::Close => commands.extend(self.all().map(Command::Renew)),
            Policy::Open => commands.extend(self.all().map(Command::Open)),
        }
        (self.draining, self.empty) = (0, 0);
        self.send(None, commands)
    }

    const fn next(&self) -> Band {
        (self.open + 1) % self.depth.bands()
    }

    /// All bands, the oldest epoch's first.
    fn all(&self) -> impl Iterator<Item = Band> + use<> {
        let (open, bands) = (self.open, self.depth.bands());
        (1..=bands).map(move |step| (open + step) % bands)
    }
}

impl Hash for Machine {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { depth, devices, policy, state, open, epoch, closed, .. } = self;
        (depth, devices, policy, state, open, epoch, closed).hash(hasher);
        (self.draining, self.empty, &self.under_way, self.distrusted).hash(hasher);
    }
}

#[cfg(test)]
mod tests;
