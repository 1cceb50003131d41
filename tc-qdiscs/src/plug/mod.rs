//! `plug`: holds a device's output until a release.

mod capture;
pub mod commit;
mod kind;
mod model;
pub mod place;
pub mod ring;

pub use capture::{Capture, CaptureError, CaptureSetup};
pub use kind::{Action, Plug};
pub use model::{Model, Wakeup};
