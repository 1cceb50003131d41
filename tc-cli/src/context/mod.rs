//! The shared state of one run: options, output, connection, failures.

pub(crate) mod devices;
pub(crate) mod environment;
pub(crate) mod extension;
pub(crate) mod failure;
pub(crate) mod globals;
pub(crate) mod modules;
pub(crate) mod names;
pub(crate) mod object_names;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod session;
