//! A session over a ring of plugs, see [`plug::ring`](crate::plug::ring).

mod attach;
mod build;
mod exchange;
mod figures;
mod leave;
mod notices;
pub(super) mod objects;
mod plan;
mod session;

pub use figures::{ReleasedEpoch, RingCounts};
pub use plan::{RingPlan, Site};
pub use session::Ring;
