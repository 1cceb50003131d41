//! Inputs and outputs of a machine.

use super::commands::Sent;

/// The state of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The band that the map leads to passes.
    Open,
    /// Output is held.
    Protected,
    /// The ring is not trusted; no epoch of it is released any more.
    Tainted,
}

/// The fate of the ring after a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// New closed plugs take the place of all: held packets are lost.
    Close,
    /// All is let go.
    Open,
}

/// An order of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Starts to hold.
    Start,
    /// Closes the open epoch.
    Close,
    /// Releases the closed epoch of this number.
    Release {
        /// The epoch of the token.
        epoch: u64,
        /// The epoch that the backup acknowledged.
        acknowledged: u64,
    },
    /// Plugs the bands that have sent everything.
    Tend,
    /// Releases the open epoch, and stops to hold.
    Open,
    /// Begins again after a taint.
    Restart,
}

/// The answer to one command of a datagram, from one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// [`Sent::turn`].
    pub turn: u64,
    /// The device's place in the session.
    pub device: u8,
    /// The command's place in the datagram.
    pub command: u8,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was carried out. After it the band, or for [`Command::Map`](super::Command::Map) the ring, has
    /// this many packets.
    Done {
        /// The number of packets.
        queued: u32,
    },
    /// It was refused, or its answer was lost.
    Failed,
}

/// An input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// An order. Only one at a time is carried out.
    Order(Order),
    /// An answer. Answers that are repeated or late change nothing.
    Answer(Answer),
    /// Somebody else changed the ring, or a queue was full.
    Distrust,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// These commands go to all devices.
    Send(Sent),
    /// More answers are awaited.
    Wait,
    /// The order is done. After [`Reply::Refused`] nothing has changed.
    Done(Reply),
}

/// The end of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Output is held.
    Started,
    /// The epoch is closed.
    Closed {
        /// Its number.
        epoch: u64,
    },
    /// The epoch is released.
    Released {
        /// Its number.
        epoch: u64,
    },
    /// The bands were looked at.
    Tended,
    /// The network is open.
    Opened,
    /// The ring begins again, in the state that the policy implies.
    Restarted,
    /// The ring is tainted, and the policy was carried out on all devices, or could
    /// not be.
    Tainted {
        /// Whether it was.
        carried_out: bool,
    },
    /// The order was not carried out.
    Refused(Refusal),
}

/// Why an order is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// An order is under way.
    Busy,
    /// The state does not allow it.
    State(State),
    /// All bands hold closed epochs; this one is the oldest.
    Full {
        /// The epoch that must be released first.
        oldest: u64,
    },
    /// The network cannot be opened before this closed epoch is released.
    Outstanding {
        /// The oldest closed epoch.
        oldest: u64,
    },
    /// The epoch is not closed: it is open, was released, or never was.
    NotClosed,
    /// Another closed epoch must be released first.
    OutOfOrder {
        /// The oldest closed epoch.
        oldest: u64,
    },
    /// The backup acknowledged another epoch.
    OtherAck,
}
