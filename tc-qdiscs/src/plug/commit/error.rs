//! Errors of a session, with the state of the network after them.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tc_core::Handle;

use super::epoch::Epoch;
use super::guardian::GuardianError;
use super::journal::JournalError;
use super::session::State;
use super::taint::Taint;
use crate::plug::place::PlaceError;

/// The state of the network after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkState {
    /// As it was before the call.
    Untouched,
    /// Output leaves at once.
    Open,
    /// Output is held, and nothing of it is lost.
    Held,
    /// Held packets are lost, and new packets are held.
    HeldAnew,
    /// New packets leave at once. Nothing was held at the release: earlier packets were
    /// lost, or had left.
    OpenedEmpty,
    /// Held packets were released, committed or not, and new packets leave at once.
    Opened,
    /// The devices are gone: nothing leaves.
    Gone,
    /// A device has a foreign root qdisc, which was left alone and decides what leaves.
    Foreign,
    /// Not known: a command was not answered, or could not be carried out.
    Unknown,
}

impl fmt::Display for NetworkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untouched => "nothing was changed",
            Self::Open => "the network is open",
            Self::Held => "output is held",
            Self::HeldAnew => "what was held is lost, and new output is held",
            Self::OpenedEmpty => "the network is open, and nothing was held any more",
            Self::Opened => "the network is open, and what was still held has left uncommitted",
            Self::Gone => "the device is gone, and what was held is lost",
            Self::Foreign => "another qdisc is there and decides what leaves",
            Self::Unknown => "whether output is held is not known",
        })
    }
}

/// An error of a session. Every message ends with the state of the network.
///
/// The text has the cause, and so there is no [`source`](std::error::Error::source): a report that
/// prints a chain of causes prints each once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A session needs a device, and each one once.
    #[error("{0}; nothing was changed")]
    Devices(String),
    /// A session has the device, or attaches to it.
    #[error(
        "device {device} is in a session of process {pid} (journal {}); nothing was changed", .journal.display()
    )]
    InUse {
        /// The device's name.
        device: String,
        /// The controller, as its own pid namespace numbers it.
        pid: u32,
        /// The session's journal.
        journal: PathBuf,
    },
    /// The device has the plug of a session that ended without a detach.
    #[error(
        "device {device} has a plug that process {pid} left (journal {}): \
         rescue it (plug rescue), or adopt it; nothing was changed", .journal.display()
    )]
    Orphaned {
        /// The device's name.
        device: String,
        /// The controller, as its own pid namespace numbers it.
        pid: u32,
        /// The session's journal.
        journal: PathBuf,
    },
    /// The device has a root qdisc that is not the kernel's default, nor one
    /// that the journal at hand names.
    #[error("device {device} has the root qdisc {kind} {handle}, which is not ours; nothing was changed")]
    ForeignRoot {
        /// The device's name.
        device: String,
        /// The qdisc's kind.
        kind: String,
        /// The qdisc's handle.
        handle: Handle,
    },
    /// Kernel: a device that goes up or gets its carrier resets its qdisc.
    #[error(
        "device {device} is down or has no carrier, and would reset its queue later; nothing was changed"
    )]
    DeviceDown {
        /// The device's name.
        device: String,
    },
    /// The device has several transmit queues, and a socket for the events of lost
    /// ones cannot be opened. Kernel: a lost queue resets the root queue.
    #[error(
        "device {device} has {tx_queues} transmit queues and may lose some unseen, which drops what is \
         held: cannot listen to queue events: {error}; nothing was changed. Use a device with one queue, \
         such as an IFB, or accept unwatched queues in the options"
    )]
    QueuesUnwatched {
        /// The device's name.
        device: String,
        /// How many it has.
        tx_queues: u32,
        /// Why no events can be had.
        error: io::Error,
    },
    /// Not even one packet fits.
    #[error(
        "a limit of {limit} bytes is too small for one packet of device {device}, \
             which has up to {least}; nothing was changed"
    )]
    LimitTooSmall {
        /// The device's name.
        device: String,
        /// The requested limit, in bytes.
        limit: u32,
        /// MTU and header, in bytes.
        least: u32,
    },
    /// The session does not trust the queue any more; no epoch of it is released.
    #[error("tainted: {taint}; {network}")]
    Tainted {
        /// Why.
        taint: Taint,
        /// The state of the network after the policy.
        network: NetworkState,
    },
    /// An epoch was closed before and is not released: a second one would be
    /// mixed up with it by the kernel.
    #[error("epoch {number} is closed and not yet released; output is held")]
    EpochOutstanding {
        /// The epoch that must be released first.
        number: u64,
    },
    /// The token is of another session, or of before a restart. It comes back.
    #[error("epoch {} is of another session; nothing was changed", .epoch.number())]
    OtherSession {
        /// The token.
        epoch: Epoch,
    },
    /// The acknowledgement is of another epoch. The token comes back.
    #[error("the acknowledgement of epoch {acknowledged} does not release epoch {}; output is held", .epoch.number())]
    AckOutOfOrder {
        /// The token.
        epoch: Epoch,
        /// The number that was acknowledged.
        acknowledged: u64,
    },
    /// All bands of a ring but the open one hold closed epochs.
    #[error("{outstanding} epochs are closed and not yet released, epoch {oldest} first; output is held")]
    RingFull {
        /// How many are closed.
        outstanding: u8,
        /// The oldest of them.
        oldest: u64,
    },
    /// An earlier epoch must be released first. The token comes back.
    #[error("epoch {} cannot be released before epoch {oldest}; output is held", .epoch.number())]
    ReleaseOutOfOrder {
        /// The token.
        epoch: Epoch,
        /// The oldest closed epoch.
        oldest: u64,
    },
    /// The packets of the device cannot be led to a ring.
    #[error("{error}; {network}")]
    Place {
        /// The cause.
        error: Box<PlaceError>,
        /// The state of the network.
        network: NetworkState,
    },
    /// The ring of the session that is adopted has another number of bands.
    #[error("the ring of device {device} has {found} bands, not {wanted}; nothing was changed")]
    OtherDepth {
        /// The device's name.
        device: String,
        /// Its bands.
        found: u8,
        /// Those of the options.
        wanted: u8,
    },
    /// The session is in another state.
    #[error("cannot {doing} while the session is {state}; {network}")]
    WrongState {
        /// The operation.
        doing: &'static str,
        /// The session's state.
        state: State,
        /// The state of the network.
        network: NetworkState,
    },
    /// All packets were released, but the device did not send them in time. Try again:
    /// the plug remains, because its deletion would lose the rest.
    #[error("{packets} packets of device {device} still wait after {waited:?}; the network is open")]
    StillDraining {
        /// The device's name.
        device: String,
        /// How many wait.
        packets: u32,
        /// How long was waited.
        waited: Duration,
    },
    /// The guardian could not be had, or is gone.
    #[error("{error}; {network}")]
    Guardian {
        /// The cause.
        error: GuardianError,
        /// The state of the network.
        network: NetworkState,
    },
    /// The journal could not be written or read.
    #[error("{error}; {network}")]
    Journal {
        /// The cause.
        error: JournalError,
        /// The state of the network.
        network: NetworkState,
    },
    /// The kernel refused, or did not answer.
    #[error("{error}; {network}")]
    Kernel {
        /// The cause.
        error: Box<tc_core::Error>,
        /// The state of the network.
        network: NetworkState,
    },
}

impl Error {
    /// The state of the network.
    pub const fn network(&self) -> NetworkState {
        match self {
            Self::Devices(_)
            | Self::ForeignRoot { .. }
            | Self::InUse { .. }
            | Self::Orphaned { .. }
            | Self::DeviceDown { .. }
            | Self::LimitTooSmall { .. }
            | Self::QueuesUnwatched { .. }
            | Self::OtherDepth { .. }
            | Self::OtherSession { .. } => NetworkState::Untouched,
            Self::EpochOutstanding { .. }
            | Self::RingFull { .. }
            | Self::ReleaseOutOfOrder { .. }
            | Self::AckOutOfOrder { .. } => NetworkState::Held,
            Self::StillDraining { .. } => NetworkState::Open,
            Self::Tainted { network, .. }
            | Self::WrongState { network, .. }
            | Self::Guardian { network, .. }
            | Self::Journal { network, .. }
            | Self::Place { network, .. }
            | Self::Kernel { network, .. } => *network,
        }
    }

    /// The error of the kernel or the connection behind this one, if there is one.
    pub fn tc(&self) -> Option<&tc_core::Error> {
        match self {
            Self::Kernel { error, .. } => Some(error),
            Self::Place { error, .. } => error.tc(),
            _ => None,
        }
    }

    /// The token of an epoch that was not released, to try again with.
    pub fn into_epoch(self) -> Option<Epoch> {
        match self {
            Self::OtherSession { epoch }
            | Self::AckOutOfOrder { epoch, .. }
            | Self::ReleaseOutOfOrder { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    pub(super) fn place(error: PlaceError, network: NetworkState) -> Self {
        Self::Place { error: Box::new(error), network }
    }

    pub(super) fn kernel(error: tc_core::Error, network: NetworkState) -> Self {
        Self::Kernel { error: Box::new(error), network }
    }
}
