//! Traffic control on Linux over netlink: requests, dumps, and a registry of
//! kinds.
//!
//! The framework knows netlink and traffic control, and no kind. A kind (a
//! qdisc, class, filter or action such as `tbf`) is a type that implements
//! [`Kind`] and registers itself with [`register!`]; the [`Registry`] finds it
//! by name for requests made of words and for entries of a dump.
//!
//! | to | use |
//! |---|---|
//! | ask the kernel for something | [`Connection`] with a [`Request`] |
//! | ask for a few things in one send | [`Connection::pack`] |
//! | ask for thousands of things | [`Connection::batch`] |
//! | list what is there | [`Connection::dump`], [`Connection::list`] with a [`Select`] |
//! | see changes as they happen | [`monitor::Monitor`], or [`monitor::Follower`] with a list after a loss |
//! | add a kind | [`Kind`] and [`register!`]; [`contract::check`] in its tests |
//! | work in another network namespace | [`netns::Namespace`], [`Connection::open_in`] |
//! | test without a kernel | [`embedded::Kernel`] |
//! | read or write messages by hand | [`Attrs`], [`AttrWriter`], [`message`] |
//!
//! ```no_run
//! use tc_core::{Connection, Handle, Request, Select};
//!
//! let mut tc = Connection::open()?;
//! let eth0 = tc.ifindex("eth0")?;
//! tc.replace(&Request::qdisc(eth0).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo"))?;
//! for qdisc in tc.list(&Select::qdiscs().device(eth0))? {
//!     let qdisc = qdisc.entry()?;
//!     println!("{} {}", qdisc.kind()?, qdisc.header.handle);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ack;
pub mod action;
mod answer;
mod apply;
mod attr;
mod batch;
mod classid;
mod connection;
pub mod contract;
mod convert;
mod dump;
mod echo;
pub mod embedded;
mod error;
mod estimator;
mod filter;
mod handle;
mod kind;
pub mod link;
pub mod message;
pub mod monitor;
pub mod netns;
mod ops;
mod pack;
pub mod print;
pub mod rate;
mod registry;
mod request;
#[cfg(test)]
mod scripted;
mod select;
mod short;
mod socket;
mod stab;
pub mod stats;
mod transport;
pub mod uapi;
pub mod units;
mod verb;
mod wording;
pub mod words;

pub use ack::KernelError;
pub use action::{Action, Actions};
pub use attr::{Attr, AttrWriter, Attrs, Nest, Reader, zero_extended};
pub use batch::Batch;
pub use classid::{ClassIdError, ClassIds};
pub use connection::Connection;
pub use convert::payload_of;
pub use dump::{Dump, Listed, OwnedEntry};
pub use error::{Cause, DecodeError, EncodeError, Error};
pub use estimator::Estimator;
pub use handle::{Handle, HandleError};
#[doc(hidden)]
pub use inventory;
pub use kind::{Fill, FillContext, Kind, TcType};
pub use ops::{Options, TcOps, ops_of, shared_ops_of};
pub use pack::{Done, Pack};
#[doc(hidden)]
pub use registry::Registration;
pub use registry::{Origin, Registered, Registry, RegistryError};
pub use request::Request;
pub use select::Select;
pub use socket::Socket;
pub use stab::Stab;
pub use transport::{DEFAULT_TIMEOUT, Received, Transport};
pub use verb::Verb;
pub use wording::{Change, Difference, Upkeep, Wording};
