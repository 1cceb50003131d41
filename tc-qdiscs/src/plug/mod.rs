//! `plug`: holds a device's output until it is told to let it go.

mod capture;
mod kind;

pub use capture::{Capture, CaptureError, CaptureSetup};
pub use kind::{Action, Plug};
