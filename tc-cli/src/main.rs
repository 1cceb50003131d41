//! A `tc`-compatible command.

use std::env;
use std::process::ExitCode;

use tc_cli::Failure;
// Linked for the kinds that register themselves.
use tc_qdiscs as _;

fn main() -> ExitCode {
    match tc_cli::run(env::args_os().skip(1), exit_code) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit_code(&failure).into(),
    }
}

/// The exit codes, as `tc` has them.
fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::Words(_) | Failure::Actions(_) => 255,
        Failure::Request { .. } | Failure::Filter(_) | Failure::Monitor(_) => 2,
        Failure::Status(status) => *status,
        Failure::Kind(_)
        | Failure::NoDevice(_)
        | Failure::List(_)
        | Failure::Batch
        | Failure::Own(_)
        | Failure::OwnDenied(_)
        | Failure::System(_)
        | Failure::Output(_) => 1,
    }
}
