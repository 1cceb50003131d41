//! Requests and replies, without I/O.

pub(crate) mod action;
pub(crate) mod dump_request;
pub(crate) mod entry;
pub(crate) mod error;
mod filter;
mod held;
pub(crate) mod inbox;
pub(crate) mod parts;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod sans_io;
