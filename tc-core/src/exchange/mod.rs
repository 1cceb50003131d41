//! Requests and replies, without I/O.

mod action;
pub(crate) mod answer;
pub(crate) mod entry;
pub(crate) mod error;
mod filter;
mod held;
pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod select;
