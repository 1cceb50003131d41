//! The kinds of Linux for the [embedded kernel](tc_core::embedded).
//!
//! Plug and the fifos treat packets as the real ones do; htb and prio have
//! classes and leaf qdiscs, and send without shaping; all others that are
//! registered keep their options and queue first in, first out. Filters and
//! their actions [classify](crate::classify) packets, and count them.
//!
//! ```
//! use tc_core::embedded::{Device, Kernel};
//! use tc_core::{Connection, Handle, Request};
//! use tc_qdiscs::plug::Plug;
//!
//! let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::new("eth0")).build();
//! let mut tc = Connection::over(kernel.connect());
//! let eth0 = tc.ifindex("eth0")?;
//! let root = Request::qdisc(eth0).parent(Handle::ROOT);
//! tc.add(&root.clone().options(&Plug::set_limit(32_768)))?;
//! kernel.send(eth0, *b"held");
//! assert!(kernel.take_sent(eth0).is_empty());
//!
//! tc.change(&root.options(&Plug::release_indefinite()))?;
//! assert_eq!(kernel.take_sent(eth0), [b"held"]);
//! # Ok::<(), tc_core::Error>(())
//! ```

mod classifier;
mod fifo;
mod htb;
mod ingress;
mod plug;
mod prio;

use tc_core::embedded::{Builder, Multi, Queueless, Stored};
use tc_core::{Registry, TcType};

pub use classifier::Filtering;
pub use fifo::{Fifo, PfifoFast};
pub use htb::Htb;
pub use ingress::Ingress;
pub use plug::Plug;
pub use prio::Prio;

/// Gives an embedded kernel all kinds: those implemented here, and every qdisc,
/// filter and action kind of the registry.
#[must_use]
pub fn kinds(mut builder: Builder) -> Builder {
    for (tc_type, kind) in Registry::names_of_program() {
        builder = match tc_type {
            TcType::Qdisc => builder.kind(kind, Stored::new),
            TcType::Filter => builder.filter_kind(kind),
            TcType::Action => builder.action_kind(kind),
            TcType::Class => builder,
        };
    }
    builder
        .classifier(Filtering::default())
        .kind("plug", Plug::new)
        .kind("pfifo", Fifo::packets)
        .kind("bfifo", Fifo::bytes)
        .kind("pfifo_head_drop", Fifo::head_drop)
        .kind("pfifo_fast", PfifoFast::new)
        .kind("noqueue", || Queueless)
        .kind("mq", Multi::default)
        .kind("ingress", Ingress::new)
        .kind("clsact", Ingress::both_sides)
        .kind("prio", Prio::new)
        .kind("htb", Htb::new)
}

/// `EINVAL`, without a sentence, as most kinds refuse options.
pub(crate) const fn invalid() -> tc_core::embedded::Refusal {
    tc_core::embedded::Refusal::errno(22)
}

/// `EOPNOTSUPP`.
pub(crate) const fn unsupported() -> tc_core::embedded::Refusal {
    tc_core::embedded::Refusal::errno(95)
}

#[cfg(test)]
mod filter_tests;
#[cfg(test)]
mod tests;
