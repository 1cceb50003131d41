//! Objects that a description leaves out.

use crate::tree::object::Object;
use crate::tree::place::{FilterId, On, Place, hook};
use crate::wire::handle::Handle;

/// An object that a description leaves out, because no request or no words express it: see
/// [`Wanted::leave_out`](super::Wanted::leave_out).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// A qdisc, class or filter.
    Object(Place),
    /// A chain of filters. It is deleted with the parent of its filters.
    Chain {
        /// The device or shared block.
        on: On,
        /// The parent of its filters; unspecified in a block.
        parent: Handle,
        /// Its number.
        chain: u32,
    },
    /// An action by itself, which no request of a description concerns.
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

    /// An object at the same place as a chain.
    pub(super) fn stand_in(&self) -> Option<Object<'static>> {
        match self {
            Self::Chain { on, parent, chain } => Some(Object::at(Place::Filter(FilterId {
                on: *on,
                parent: *parent,
                chain: *chain,
                priority: 0,
                handle: Handle::UNSPEC,
            }))),
            Self::Object(_) | Self::Action { .. } => None,
        }
    }
}
