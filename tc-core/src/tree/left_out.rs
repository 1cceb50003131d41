//! Objects that a description leaves out.

use crate::tree::place::{ChainId, On, Place, hook};
use crate::wire::handle::Handle;

/// An object that a description leaves out, because no request or no words express it: see
/// [`Wanted::leave_out`](super::Wanted::leave_out).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// A qdisc, class or filter.
    Object(Place),
    /// A chain of filters that stands by itself. It is deleted with the parent of its filters.
    Chain {
        /// The device or shared block.
        on: On,
        /// The parent of its filters; unspecified in a block.
        parent: Handle,
        /// Its number.
        chain: u32,
    },
    /// An action that stands by itself.
    Action {
        /// Its kind.
        kind: String,
        /// Its index.
        index: u32,
    },
}

impl LeftOut {
    /// A chain of filters. Both names of a device's ingress hook are one.
    pub fn chain(on: On, parent: Handle, chain: u32) -> Self {
        Self::Chain { on, parent: hook(parent), chain }
    }

    /// The index of the device, unless it is of a block or an action.
    pub const fn device(&self) -> Option<i32> {
        match self {
            Self::Object(place) => place.device(),
            Self::Chain { on: On::Device(ifindex), .. } => Some(*ifindex),
            Self::Chain { .. } | Self::Action { .. } => None,
        }
    }

    /// The object at a place.
    pub fn of(place: Place) -> Self {
        match place {
            Place::Chain(ChainId { on, parent, chain }) => Self::Chain { on, parent, chain },
            Place::Action { kind, index } => Self::Action { kind, index },
            place => Self::Object(place),
        }
    }

    /// The place of the object.
    pub fn place(&self) -> Place {
        match self {
            Self::Object(place) => place.clone(),
            Self::Chain { on, parent, chain } => {
                Place::Chain(ChainId { on: *on, parent: *parent, chain: *chain })
            }
            Self::Action { kind, index } => Place::Action { kind: kind.clone(), index: *index },
        }
    }
}
