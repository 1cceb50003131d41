//! The wire format: attributes, messages, handles, units. This layer imports no other.

pub mod ack;
pub(crate) mod attr;
pub(crate) mod classid;
#[cfg(feature = "netlink-packet-route")]
pub(crate) mod convert;
pub(crate) mod device;
pub(crate) mod error;
pub(crate) mod handle;
pub mod lossless;
pub mod message;
pub mod protocol;
pub(crate) mod queues;
pub(crate) mod stack_str;
pub mod stats;
pub mod uapi;
pub mod units;
pub(crate) mod verb;
