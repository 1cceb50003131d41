//! Shared parts of this package's tests.

pub mod ages;
pub mod captures;
pub mod chance;
pub mod grammar;
pub mod lab;
pub mod later;
pub mod repeated;
pub mod replay;
pub mod twins;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
