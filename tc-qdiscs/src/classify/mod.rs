//! The way of a packet through filters, actions and qdiscs, without I/O.
//!
//! [`Filters`] are those of one place: a qdisc, an inner class, a hook of clsact or a shared block, as
//! a dump lists them. [`Filters::classify`] walks them as `tcf_classify` of `net/sched/cls_api.c` does,
//! changes the packet as the actions do, and counts. [`Tree`] has all places of a device, and
//! [`Tree::send`] and [`Tree::receive`] lead a packet through them.
//!
//! A classification that depends on facts outside the packet ends with [`CannotKnow`], which names
//! the fact: connection tracking, tunnels, sockets, BPF programs, random numbers, the state of a
//! police. Nothing is assumed, except that the sets of masks of flower have the order of the handles.
//!
//! ```
//! use tc_core::{FilterPlace, Handle, uapi::ETH_P_IP};
//! use tc_qdiscs::classify::{Direction, Filter, Filters, Packet, Verdict, Walk};
//! use tc_qdiscs::filter::u32::{Key, U32};
//!
//! let ssh = U32::to_class(Handle::class(1, 0x10), [Key::at(20).value(22).mask(0xffff)]);
//! let mut place = FilterPlace::default();
//! (place.protocol, place.priority) = (Some(ETH_P_IP), Some(5));
//! place.handle = Handle::from_raw(0x8000_0800);
//! let mut filters = Filters::new(vec![Filter::of(&ssh, &place)]);
//!
//! let mut packet = Packet::from_text("tcp 10.0.0.1:4711 > 10.0.0.9:22", Direction::Egress)?;
//! let mut walk = Walk::default();
//! let verdict = filters.classify(&mut packet, &mut walk)?;
//! assert_eq!(verdict.class(), Some(Handle::class(1, 0x10)));
//! assert_eq!(filters.hits()[0].matched, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod chain;
mod filter;
mod hits;
mod packet;
mod qdisc;
mod tree;
mod walk;

pub use chain::{Filters, Verdict};
pub use filter::Filter;
pub use hits::{ActionHits, Hits};
pub use packet::{Arp, Direction, Packet, PacketTextError, Tag, Transport, Vlan};
pub use qdisc::{Chosen, Classful};
pub(crate) use qdisc::{band, htb_class};
pub use tree::{End, Qdisc, Tree, TreeClass};
pub use walk::{Copied, Outcome, Step, Walk};

/// A fact outside the packet that the classification depends on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot know: {reason}")]
#[non_exhaustive]
pub struct CannotKnow {
    /// The fact.
    pub reason: String,
}

impl CannotKnow {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

#[cfg(test)]
mod tests;
