//! A session over a ring of plugs, see [`plug::ring`](crate::plug::ring).

mod attach;
mod build;
mod detach;
mod exchange;
mod figures;
mod notices;
pub(super) mod objects;
mod options;
mod session;

pub use figures::{ReleasedEpoch, RingCounts};
pub use options::{RingOptions, Site};
pub use session::Ring;
