//! A kernel in memory, for tests without root and without risk.
//!
//! It speaks the same bytes as the real one and keeps the rules of
//! `net/sched/sch_api.c` of Linux 6.1: error numbers, sentences of the extended
//! acknowledgement, flags, reference counts, default qdiscs, automatic handles,
//! notices, dumps in pieces. A [`Connection`](crate::Connection) or
//! [`Monitor`](crate::connection::monitor::Monitor) over one of its sockets behaves
//! as over a real one for qdiscs, classes and devices. Filters and actions are
//! stored, listed and notified; a [`Classifier`] gives them their effect on packets.
//!
//! ```
//! use tc_core::embedded::{Device, Kernel, Sent, Stored};
//! use tc_core::{Connection, Handle, Request};
//!
//! let kernel = Kernel::builder().device(Device::new("eth0")).kind("pfifo", || Stored::limited(10)).build();
//! let mut tc = Connection::over(kernel.connect());
//! let eth0 = tc.ifindex("eth0")?;
//! tc.add(&Request::qdisc(eth0).parent(Handle::ROOT).kind("pfifo"))?;
//! let refused = tc.add(&Request::qdisc(eth0).parent(Handle::ROOT).kind("tbf")).unwrap_err();
//! assert_eq!(refused.kernel().unwrap().ext_ack.message.as_deref(), Some("Specified qdisc kind is unknown"));
//!
//! assert_eq!(kernel.send(eth0, *b"a frame"), Sent::Taken);
//! assert_eq!(kernel.take_sent(eth0), [b"a frame"]);
//! # Ok::<(), tc_core::Error>(())
//! ```
//!
//! It lacks shared blocks, chains as objects, addresses, time, privileges (every
//! request is allowed) and hardware offload. It has no kinds by default: the
//! [`Builder`] takes a [`Discipline`] for each. [`Stored`] serves for kinds whose
//! effect on packets does not matter.
//!
//! [`Faults`] wraps any transport and loses, duplicates or damages replies.

mod action;
mod activate;
mod builder;
mod class;
mod classifier;
mod device;
mod discipline;
mod dump;
mod faults;
mod fifo;
mod fill;
mod filter;
mod graft;
mod kernel;
mod kinds;
mod link;
mod mailbox;
mod multi;
mod path;
mod plan;
mod policy;
mod qdisc;
mod random;
mod socket;
mod stab;
mod state;
#[cfg(test)]
mod tests;

pub use builder::{Builder, Device};
pub use classifier::{Answer, Classifier, Copy, PlacedFilter};
pub use discipline::{
    Choice, Classes, Classified, Discipline, Enqueued, Nature, Packet, Place, Refusal, Unclassified,
};
pub use faults::{Chances, Fault, Faults};
pub use fifo::{PacketQueue, Queueless, Stored};
pub use kernel::Kernel;
pub use multi::Multi;
pub use path::Sent;
pub use socket::Socket;
