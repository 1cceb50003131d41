//! Errors of places.

use tc_core::{EncodeError, Error};

use super::Side;

/// Why a device's packets cannot be redirected, or a redirect cannot be removed.
///
/// Unless it is [`PlaceError::Left`], nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A redirect leads to an IFB; the device is one itself.
    #[error("device {device} is an IFB: put the hold at its root")]
    DeviceIsIfb {
        /// The device's name.
        device: String,
    },
    /// The device is a port of a bond or team, which chooses among its ports.
    #[error("device {device} is a port of a {kind}: use the {kind} itself")]
    BondPort {
        /// The device's name.
        device: String,
        /// `bond` or `team`.
        kind: String,
    },
    /// Somebody else's device has the name by which our IFB is found.
    #[error("the name {name} is taken by device {device}, which is not ours")]
    NameTaken {
        /// The alternative name of our IFB.
        name: String,
        /// The device that has it.
        device: String,
    },
    /// Somebody else's filter has our priority.
    #[error("device {device} has a filter {kind} at priority {priority} of its {}, which is not ours", .side.word())]
    ForeignFilter {
        /// The device's name.
        device: String,
        /// The side.
        side: Side,
        /// The priority of [`RedirectSetup`](super::RedirectSetup).
        priority: u16,
        /// The filter's kind.
        kind: String,
    },
    /// Our filters are there from before, and select other packets.
    #[error("device {device} has our filters of other packets at its {}: detach them first", .side.word())]
    OtherMatches {
        /// The device's name.
        device: String,
        /// The side.
        side: Side,
    },
    /// A filter of the redirect cannot be written.
    #[error("{0}")]
    Match(MatchError),
    /// The device has the qdisc ingress, which has no egress side, instead of clsact.
    #[error("device {device} has the qdisc ingress: its egress needs clsact, and a device has one of them")]
    NoEgress {
        /// The device's name.
        device: String,
    },
    /// The kernel does not have a kind that a redirect needs.
    #[error("the kernel does not have {needed}: {error}")]
    NoModule {
        /// The kind: `ifb`, `clsact`, `matchall with mirred`.
        needed: String,
        /// The kernel's answer.
        error: Error,
    },
    /// The kernel or the connection failed.
    #[error(transparent)]
    Tc(#[from] Error),
    /// The kernel failed, and some objects could not be removed.
    #[error("{cause}; left behind: {left}")]
    Left {
        /// The first failure.
        cause: Error,
        /// The remaining objects.
        left: String,
    },
}

impl PlaceError {
    /// The error of the kernel or the connection behind this one, if there is one.
    pub const fn tc(&self) -> Option<&Error> {
        match self {
            Self::NoModule { error, .. } | Self::Tc(error) | Self::Left { cause: error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a filter cannot select the packets of a redirect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The kind takes no actions, or is no filter.
    #[error("{kind} cannot redirect: use matchall, flower, u32, basic, bpf, fw, flow, cgroup or route")]
    NoActions {
        /// The kind.
        kind: String,
    },
    /// The filter has actions already; the redirect is its action.
    #[error("the filter {kind} has actions: give it without")]
    HasActions {
        /// The kind.
        kind: &'static str,
    },
    /// The options cannot be put into bytes.
    #[error("{0}")]
    Encode(EncodeError),
}

impl From<EncodeError> for MatchError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<EncodeError> for PlaceError {
    fn from(error: EncodeError) -> Self {
        Self::Match(error.into())
    }
}
