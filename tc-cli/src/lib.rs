//! The pieces of `tc-cli`, a `tc`-compatible command.
//!
//! The rooms, each of which uses only those after it:
//!
//! - `extensions`: the commands that `tc` does not have;
//! - `batch`: the commands of a file;
//! - `command`: `tc`'s objects and verbs, parsed and run;
//! - `show`: entries as text and JSON;
//! - `context`: options, output, connection and failures of one run.
//!
//! A command goes one way: words become options and a checked command, `context` looks up names, the
//! command sends its message, and `show` prints the reply. A [`Failure`] has the error text and the exit code.
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

mod batch;
mod command;
mod context;
mod extensions;
mod show;

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::ExitCode;

pub use context::failure::Failure;

use tc_core::lossless::into_text;

use command::usage;
use context::extension::Extensions;
use context::globals::{Globals, Parsed};
use context::output;
use context::report::Report;
use context::session::Session;
use extensions::EXTENSIONS;

/// The whole command, with the words and the exit code of this process. Called by the name `tc`, it has the commands
/// and options of `tc` alone.
pub fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    let extensions = if Path::new(&name).file_name() == Some(OsStr::new("tc")) { &[] } else { EXTENSIONS };
    match run_with(arguments, extensions) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit_code().into(),
    }
}

/// Runs one command line, without the program's name. A failure was reported
/// on standard error when it is returned.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    run_with(arguments, EXTENSIONS)
}

fn run_with(arguments: impl Iterator<Item = OsString>, extensions: Extensions) -> Result<(), Failure> {
    let mut report = Report::new();
    let done = run_reported(arguments, extensions, &mut report);
    if let Err(failure) = &done {
        report.failure(failure);
    }
    done
}

fn run_reported(
    arguments: impl Iterator<Item = OsString>,
    extensions: Extensions,
    report: &mut Report,
) -> Result<(), Failure> {
    let arguments: Vec<_> = arguments.map(|argument| into_text(argument.into_vec())).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (globals, rest) = match Globals::parse(&words, extensions)? {
        Parsed::Version => return output::say(usage::VERSION),
        Parsed::Help => {
            report.text(&usage::tc(extensions));
            return Ok(());
        }
        Parsed::Run(globals, rest) => (globals, rest),
    };
    report.set_json(globals.json);
    let batch = globals.batch.clone();
    let mut session = Session::new(globals, report, extensions)?;
    let done = match batch {
        Some(file) => batch::run(&file, &mut session),
        None => command::run(&rest, &mut session),
    };
    session.written(done)
}
