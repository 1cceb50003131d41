//! Shared parts of this package's tests.

pub mod captures;
pub mod grammar;
pub mod kernel_versions;
pub mod lab;
pub mod newer_tc;
pub mod paired_hosts;
pub mod random;
pub mod repeated;
pub mod replay;
pub mod words;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
