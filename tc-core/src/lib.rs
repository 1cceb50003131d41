//! Traffic control on Linux over netlink: requests, dumps, and a registry of
//! kinds.
//!
//! The framework knows netlink and traffic control, but no kinds. A kind (a
//! qdisc, class, filter or action such as `tbf`) is a type that implements
//! [`Kind`] for the kernel and [`Syntax`] or [`FilterSyntax`] for people, and
//! registers itself with [`register!`]; the [`Registry`] finds it by name for
//! requests made of words and for entries of a dump.
//!
//! | to | use |
//! |---|---|
//! | send a request | [`Connection`] with a [`Request`] |
//! | send a few requests in one datagram | [`Connection::group`] |
//! | send thousands of requests | [`Connection::pipeline`] |
//! | list objects | [`Connection::dump`], [`Connection::list`] with a [`DumpRequest`] |
//! | list objects while they change | [`Connection::list_consistent`] with a [`ChangeWatch`] |
//! | receive notices of changes | [`monitor::Monitor`], or [`monitor::Follower`] with a list after a loss |
//! | compare, restore and change the state of whole devices | [`tree`] |
//! | add a kind | [`Kind`], [`Syntax`] and [`register!`]; [`contract::check`] in its tests |
//! | add an ematch | [`ematch::Ematch`] and [`register_ematch!`] |
//! | work in another network namespace | [`netns::Namespace`], [`Connection::open_in`] |
//! | work in an asynchronous program | `tc_core::tokio` (feature `tokio`) |
//! | test without a kernel | [`embedded::Kernel`] |
//! | read or write messages by hand | [`Attrs`], [`AttrWriter`], [`message`] |
//!
//! ```no_run
//! use tc_core::{Connection, Handle, Request, DumpRequest};
//!
//! let mut tc = Connection::open()?;
//! let eth0 = tc.ifindex("eth0")?;
//! tc.replace(&Request::qdisc(eth0).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo"))?;
//! for qdisc in tc.list(&DumpRequest::qdiscs().device(eth0))? {
//!     let qdisc = qdisc.entry()?;
//!     println!("{} {}", qdisc.kind()?, qdisc.header.handle);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connection;
#[cfg(feature = "embedded")]
pub mod embedded;
mod exchange;
mod kind;
pub mod link;
pub mod tree;
mod wire;

#[cfg(feature = "tokio")]
pub use connection::tokio;
pub use connection::watch::ChangeWatch;
pub use connection::{
    Connection, DEFAULT_TIMEOUT, Done, Dump, DumpEntry, Ensured, Pipeline, Received, RequestGroup, Socket,
    Transport, ipset, monitor, netns,
};
pub use exchange::dump_request::DumpRequest;
pub use exchange::entry::OwnedEntry;
pub use exchange::error::{Cause, Error};
pub use exchange::request::Request;
#[doc(hidden)]
pub use inventory;
pub use kind::action::{Action, Actions};
#[cfg(feature = "contract")]
pub use kind::contract;
pub use kind::{
    Change, ChangeSemantics, Difference, Estimator, Fill, FillContext, FilterPlace, FilterSyntax, Kind,
    KindWithWords, OptionWords, Options, Origin, Registered, Registry, RegistryError, Stab, Syntax, TcOps,
    Xstats, action, ematch, object, ops_of, print, rate, shared_ops_of, words,
};
#[doc(hidden)]
pub use kind::{GivesWay, Registration, SyntaxOf};
pub use wire::ack::KernelError;
pub use wire::attr::{Attr, AttrWriter, Attrs, Nest, Reader, zero_extended};
pub use wire::classid::{ClassIdError, ClassIds};
#[cfg(feature = "netlink-packet-route")]
pub use wire::convert::{payload_of, payload_of_options};
pub use wire::error::{DecodeError, EncodeError};
pub use wire::handle::{Handle, HandleError};
pub use wire::verb::{TcType, Verb};
pub use wire::{ack, lossless, message, protocol, stats, uapi, units};
