//! The pieces of `tc-cli`, a `tc`-compatible command.
//!
//! A command goes one way: words become options and a command that is checked
//! (`globals`, `command`), names are looked up (`session`), a message is sent
//! (`change`, `list`), and the reply is printed (`show`). A [`Failure`] has
//! the error text and the exit code.
//!
//! Commands that `tc` does not have stand in the table `own::OWN`.
//!
//! # A `tc` with additional kinds
//!
//! It has the kinds that are linked: those of the workspace and any others that
//! [register themselves](tc_core::register). This is all of such a program:
//!
//! ```no_run
//! use tc_qdiscs as _; // and: use my_kinds as _;
//!
//! fn main() -> std::process::ExitCode {
//!     tc_cli::main()
//! }
//! ```

mod actions;
mod batch;
mod change;
mod class;
mod command;
mod devices;
mod dry_run;
mod environment;
mod failure;
mod filter;
mod globals;
mod list;
mod monitor;
mod names;
mod object;
mod output;
mod own;
mod packed;
mod progress;
mod qdisc;
mod report;
mod session;
mod show;
mod usage;

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;

pub use failure::Failure;

use tc_core::lossless::into_text;

use globals::{Globals, Parsed};
use report::Report;
use session::Session;

/// The whole command, with the words and the exit code of this process.
pub fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit_code().into(),
    }
}

/// Runs one command line, without the program's name. A failure was reported
/// on standard error when it is returned.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let mut report = Report::new();
    let done = run_reported(arguments, &mut report);
    if let Err(failure) = &done {
        report.failure(failure);
    }
    done
}

fn run_reported(arguments: impl Iterator<Item = OsString>, report: &mut Report) -> Result<(), Failure> {
    let arguments: Vec<_> = arguments.map(|argument| into_text(argument.into_vec())).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (globals, rest) = match Globals::parse(&words)? {
        Parsed::Version => return output::say(usage::VERSION),
        Parsed::Help => {
            report.text(&usage::tc());
            return Ok(());
        }
        Parsed::Run(globals, rest) => (globals, rest),
    };
    report.set_json(globals.json);
    let batch = globals.batch.clone();
    let mut session = Session::new(globals, report)?;
    match batch {
        Some(file) => session.batch(&file),
        None => session.run(&rest),
    }
}
