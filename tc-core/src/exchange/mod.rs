//! Requests and replies, without I/O: what is sent, and what is made of the answers.

mod action;
pub(crate) mod answer;
pub(crate) mod entry;
pub(crate) mod error;
mod filter;
pub(crate) mod request;
pub(crate) mod select;
