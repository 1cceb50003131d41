//! The causes of a session's distrust in its queue.
//!
//! Kernel: `sch_plug` counts packets, and a reset of the queue does not reset
//! its counts. After a reset it releases packets of an epoch that is not
//! committed. The counts cannot be read back, so the session watches everything
//! that causes a reset, and the traces that a reset leaves in the counters.
//!
//! These reset the root queue of a device that stays (`dev_deactivate`,
//! `qdisc_reset_all_tx_gt`). Each was seen on Linux 6.1 and 6.12; no other was
//! found in the source:
//!
//! | cause | announced by |
//! |---|---|
//! | the device goes down, or loses its carrier | a notice of the device |
//! | another `txqueuelen` | a notice of the device |
//! | the root qdisc is added, replaced or deleted | a notice of the qdisc |
//! | an ingress or clsact qdisc is added or deleted | a notice of that qdisc |
//! | a transmit queue goes (`ethtool -L`, a tap's detached queue) | a uevent of the queue |

use std::fmt;

use tc_core::link::Link;
use tc_core::message::{Entry, Message};
use tc_core::uapi::*;
use tc_core::{DecodeError, Handle};

use super::device::Device;

/// Why a session is tainted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// The device's name; empty if the cause concerns all.
    pub device: String,
    /// The cause.
    pub cause: TaintCause,
    /// It was found after a RELEASE that may have come after it: then packets
    /// of the open epoch may have left.
    pub during_release: bool,
}

impl Taint {
    /// A taint of the device with this name, or of none in particular.
    pub(super) fn new(device: impl Into<String>, cause: TaintCause) -> Self {
        Self { device: device.into(), cause, during_release: false }
    }
}

/// The cause of a taint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaintCause {
    /// The device was set down, which resets the queue.
    #[error("the device was set down")]
    LinkDown,
    /// The carrier came or went, which resets the queue.
    #[error("the carrier was lost")]
    Carrier,
    /// `txqueuelen` was changed, which resets the queue.
    #[error("txqueuelen was changed from {was} to {is}")]
    TxQueueLen {
        /// In packets, at the start.
        was: u32,
        /// In packets, now.
        is: u32,
    },
    /// The device was deleted, or moved to another network namespace.
    #[error("the device is gone or in another namespace")]
    DeviceGone,
    /// Less is held than was taken in and not sent: a reset that nothing
    /// announced.
    #[error("{bytes} bytes that were held are gone")]
    HeldLost {
        /// At least this number of bytes.
        bytes: u64,
    },
    /// The queue was full.
    #[error("{packets} packets were dropped at a limit of {limit_bytes} bytes ({peak_bytes} held at most)")]
    Dropped {
        /// Packets of the open epoch.
        packets: u64,
        /// The most that was seen to be held in it.
        peak_bytes: u32,
        /// The limit.
        limit_bytes: u32,
    },
    /// Another process changed, replaced or deleted the root qdisc. (Before
    /// Linux 6.8 it is also enough that it asked for it by `RTM_GETQDISC`; a
    /// dump is not.)
    #[error("another process (netlink port {port}) touched the root qdisc")]
    Touched {
        /// Its netlink port, often its process id; 0 is the kernel.
        port: u32,
    },
    /// Another process added, changed or deleted an ingress or clsact qdisc:
    /// adding and deleting reset the root queue. (Before Linux 6.8 it is also
    /// enough that it asked for it by `RTM_GETQDISC`; a dump is not.)
    #[error(
        "another process (netlink port {port}) touched the ingress or clsact qdisc, which resets the queue"
    )]
    IngressTouched {
        /// Its netlink port, often its process id; 0 is the kernel.
        port: u32,
    },
    /// Another process changed or deleted the filter that leads packets to a ring:
    /// packets may have left past it.
    #[error("another process (netlink port {port}) touched the filter that leads to the ring")]
    FilterTouched {
        /// Its netlink port, often its process id; 0 is the kernel.
        port: u32,
    },
    /// The device lost a transmit queue, which resets the root queue.
    #[error("the device lost a transmit queue")]
    QueueLost,
    /// The device has another name. Its transmit queues are watched by name, so
    /// a queue may have been lost unseen.
    #[error("the device is called {name} now")]
    Renamed {
        /// The new name.
        name: String,
    },
    /// The root qdisc is another one.
    #[error("the root qdisc is {kind} {handle}")]
    NotOurs {
        /// Its kind.
        kind: String,
        /// Its handle.
        handle: Handle,
    },
    /// The root qdisc is not there any more.
    #[error("the plug is gone")]
    PlugGone,
    /// Notices came faster than they were read, and some are lost.
    #[error("notices were lost")]
    Overflow,
    /// A command to one of the devices failed, or its outcome is not known.
    #[error("{doing} failed: {why}")]
    Command {
        /// The command.
        doing: &'static str,
        /// The kernel's error.
        why: String,
    },
    /// The controller [asked](super::OutputCommit::abort) for the policy.
    #[error("it was asked for")]
    Asked,
    /// An answer or a notice could not be read.
    #[error("cannot read what the kernel says: {0}")]
    Unreadable(DecodeError),
}

impl From<DecodeError> for TaintCause {
    fn from(error: DecodeError) -> Self {
        Self::Unreadable(error)
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device.as_str() {
            "" => self.cause.fmt(f)?,
            device => write!(f, "device {device}: {}", self.cause)?,
        }
        if self.during_release {
            f.write_str(", around the release: packets of the open epoch may have left")?;
        }
        Ok(())
    }
}

/// The link state whose changes reset a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkState {
    running: bool,
    tx_queue_len: u32,
    carrier_changes: u32,
}

impl LinkState {
    pub(super) const fn of(link: &Link) -> Self {
        Self {
            running: link.flags & IFF_UP != 0 && link.flags & IFF_LOWER_UP != 0,
            tx_queue_len: link.tx_queue_len,
            carrier_changes: link.carrier_changes,
        }
    }

    pub(super) const fn is_running(self) -> bool {
        self.running
    }

    /// The taint that `link` implies, compared with this state.
    pub(super) const fn judge(self, link: &Link) -> Option<TaintCause> {
        let now = Self::of(link);
        if link.flags & IFF_UP == 0 {
            Some(TaintCause::LinkDown)
        } else if !now.running || now.carrier_changes != self.carrier_changes {
            Some(TaintCause::Carrier)
        } else if now.tx_queue_len != self.tx_queue_len {
            Some(TaintCause::TxQueueLen { was: self.tx_queue_len, is: now.tx_queue_len })
        } else {
            None
        }
    }
}

/// The taint that a notice implies for `devices`. The session's commands come from
/// `own_port`.
pub(super) fn judge_notice(message: &Message<'_>, devices: &[Device], own_port: u32) -> Option<Taint> {
    let index = message.payload.get(4..8)?.try_into().map(i32::from_ne_bytes).ok()?;
    let device = devices.iter().find(|device| device.ifindex == index)?;
    let judged = match message.kind {
        RTM_DELLINK => Ok(Some(TaintCause::DeviceGone)),
        RTM_NEWLINK => Link::decode(message).map(|link| device.judge(link)),
        RTM_NEWQDISC | RTM_DELQDISC if message.port != own_port => judge_qdisc(message),
        _ => Ok(None),
    };
    let cause = judged.unwrap_or_else(|error| Some(error.into()))?;
    Some(Taint::new(&device.name, cause))
}

/// Kernel: a graft at the root or at ingress deactivates the device, which resets
/// all its queues. A plug has no children, so every qdisc of the device counts.
fn judge_qdisc(message: &Message<'_>) -> Result<Option<TaintCause>, DecodeError> {
    let port = message.port;
    Ok(Some(match Entry::decode(message)?.header.parent {
        Handle::INGRESS => TaintCause::IngressTouched { port },
        _ => TaintCause::Touched { port },
    }))
}
