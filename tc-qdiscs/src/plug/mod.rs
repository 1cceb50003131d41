//! `plug`: holds a device's output until it is told to let it go.

mod kind;

pub use kind::{Action, Plug};
