//! The places of objects.

use std::fmt;

use crate::exchange::request::Request;
use crate::kind::action::{Action, Actions};
use crate::kind::object::Any;
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::TCM_IFINDEX_MAGIC_BLOCK;
use crate::wire::verb::TcType;

/// The place of an object: its identity in a tree. There is one object at a place.
///
/// ```
/// use tc_core::Handle;
/// use tc_core::tree::Place;
///
/// let root = Place::Qdisc { ifindex: 2, parent: Handle::ROOT };
/// assert_eq!(root.to_string(), "qdisc parent root on device 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A qdisc.
    Qdisc {
        /// The index of its device.
        ifindex: i32,
        /// The object above: [`Handle::ROOT`], [`Handle::INGRESS`] (also of clsact) or a class.
        parent: Handle,
    },
    /// A class.
    Class {
        /// The index of its device.
        ifindex: i32,
        /// Its handle.
        handle: Handle,
    },
    /// A filter.
    Filter(FilterId),
    /// A chain of filters that stands by itself: it has a template, or no filter.
    Chain(ChainId),
    /// An action that stands by itself.
    Action {
        /// Its kind.
        kind: String,
        /// Its index.
        index: u32,
    },
}

/// The place of a chain of filters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChainId {
    /// The device or shared block.
    pub on: On,
    /// The qdisc, class or hook; unspecified in a block.
    pub parent: Handle,
    /// Its number.
    pub chain: u32,
}

/// The place of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilterId {
    /// The device or shared block.
    pub on: On,
    /// The qdisc, class or hook; unspecified in a block.
    pub parent: Handle,
    /// The chain.
    pub chain: u32,
    /// The priority (`pref`).
    pub priority: u16,
    /// The filter's handle, without a part that the kernel chooses. Unspecified if the filter is the
    /// only one of its priority.
    pub handle: Handle,
}

/// The device or shared block of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum On {
    /// The device with this index.
    Device(i32),
    /// A shared block.
    Block(u32),
}

impl Place {
    /// The place of a filter. Both names of a device's ingress hook are one.
    pub fn filter(id: FilterId) -> Self {
        Self::Filter(FilterId { parent: hook(id.parent), ..id })
    }

    /// The place of a chain. Both names of a device's ingress hook are one.
    pub fn chain(id: ChainId) -> Self {
        Self::Chain(ChainId { parent: hook(id.parent), ..id })
    }

    /// The type of the object; of a chain that of its filters.
    pub const fn tc_type(&self) -> TcType {
        match self {
            Self::Qdisc { .. } => TcType::Qdisc,
            Self::Class { .. } => TcType::Class,
            Self::Filter(_) | Self::Chain(_) => TcType::Filter,
            Self::Action { .. } => TcType::Action,
        }
    }

    /// The word for the type of the object: `qdisc`, `class`, `filter`, `chain` or `action`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Chain(_) => "chain",
            place => place.tc_type().name(),
        }
    }

    /// The index of the device, unless the object is in a shared block or an action.
    pub const fn device(&self) -> Option<i32> {
        match self {
            Self::Qdisc { ifindex, .. }
            | Self::Class { ifindex, .. }
            | Self::Filter(FilterId { on: On::Device(ifindex), .. })
            | Self::Chain(ChainId { on: On::Device(ifindex), .. }) => Some(*ifindex),
            Self::Filter(_) | Self::Chain(_) | Self::Action { .. } => None,
        }
    }

    /// Whether both can be the same place: a filter's handle may be unspecified.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter(one), Self::Filter(other)) => {
                let handles = [one.handle, other.handle];
                one.without_handle() == other.without_handle()
                    && (one.handle == other.handle || handles.iter().any(|handle| handle.is_unspec()))
            }
            (one, other) => one == other,
        }
    }

    /// The key that [`Place::is_same`] narrows down.
    pub(super) fn key(&self) -> Self {
        match self {
            Self::Filter(id) => Self::Filter(id.without_handle()),
            other => other.clone(),
        }
    }

    /// A request for the object at this place. A filter's handle is left out.
    pub(super) fn request<'a>(&self) -> Request<'a, Any> {
        match self {
            Self::Qdisc { ifindex, parent } => Request::qdisc(*ifindex).parent(*parent).any(),
            Self::Class { ifindex, handle } => Request::class(*ifindex).handle(*handle).any(),
            Self::Filter(id) => {
                let filter = match id.on {
                    On::Device(ifindex) => Request::filter(ifindex).parent(id.parent),
                    On::Block(block) => Request::filter_of_block(block),
                };
                let filter = if id.chain == 0 { filter } else { filter.chain(id.chain) };
                filter.priority(id.priority).any()
            }
            Self::Chain(id) => {
                let chain = match id.on {
                    On::Device(ifindex) => Request::filter_chain(ifindex).parent(id.parent),
                    On::Block(block) => Request::filter_chain_of_block(block),
                };
                chain.chain(id.chain).any()
            }
            Self::Action { kind, index } => {
                Request::with_actions(Actions::new().with(Action::at_index(kind.clone(), *index))).any()
            }
        }
    }
}

impl FilterId {
    pub(super) const fn chain_id(&self) -> ChainId {
        ChainId { on: self.on, parent: self.parent, chain: self.chain }
    }

    pub(super) fn without_handle(&self) -> Self {
        Self { handle: Handle::UNSPEC, ..self.clone() }
    }
}

impl On {
    pub(super) const fn of(header: &TcHeader) -> Self {
        match header.ifindex {
            TCM_IFINDEX_MAGIC_BLOCK => Self::Block(header.parent.raw()),
            ifindex => Self::Device(ifindex),
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(ifindex) => write!(f, "on device {ifindex}"),
            Self::Block(block) => write!(f, "of block {block}"),
        }
    }
}

/// The place for messages: devices have no name here.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qdisc { ifindex, parent } => write!(f, "qdisc parent {parent} on device {ifindex}"),
            Self::Class { ifindex, handle } => write!(f, "class {handle} on device {ifindex}"),
            Self::Filter(FilterId { on, parent, chain, priority, handle }) => {
                f.write_str("filter")?;
                if !handle.is_unspec() {
                    write!(f, " {:#x}", handle.raw())?;
                }
                write!(f, " of priority {priority}")?;
                if *chain != 0 {
                    write!(f, " in chain {chain}")?;
                }
                if !parent.is_unspec() {
                    write!(f, " parent {parent}")?;
                }
                write!(f, " {on}")
            }
            Self::Chain(ChainId { on, parent, chain }) => {
                write!(f, "chain {chain}")?;
                if !parent.is_unspec() {
                    write!(f, " parent {parent}")?;
                }
                write!(f, " {on}")
            }
            Self::Action { kind, index } => write!(f, "action {kind} index {index}"),
        }
    }
}

/// Both names of a device's ingress hook are one.
pub(super) fn hook(parent: Handle) -> Handle {
    if parent == Handle::INGRESS.qdisc_of() { Handle::FILTER_INGRESS } else { parent }
}

/// A class at the top has the root or its qdisc as its parent.
pub(super) fn class_parent(parent: Handle, class: Handle) -> Handle {
    match parent {
        Handle::ROOT | Handle::UNSPEC => class.qdisc_of(),
        parent if parent.major() == 0 => Handle::class(class.major(), parent.minor()),
        parent => parent,
    }
}
