//! `plug`: holds a device's output until it is told to let it go.

mod kind;
mod model;

pub use kind::{Action, Plug};
pub use model::{Kick, Model};
