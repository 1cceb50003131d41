//! A ring of plugs.
#![doc = include_str!("../../../docs/ring.md")]

mod depth;
pub mod machine;

pub use depth::{Depth, DepthError};

pub use super::commit::ring::{ReleasedEpoch, Ring, RingCounts, RingOptions, Site};
