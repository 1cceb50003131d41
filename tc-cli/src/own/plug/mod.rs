//! `plug`: what `tc` has no words for.

mod demo;

use clap::ArgMatches;

use super::Own;
use crate::failure::Failure;
use crate::session::Session;

/// `tc-cli plug`
pub(super) const PLUG: Own = Own {
    name: "plug",
    about: "Hold the output of a device, and let it go",
    words: |command| command.subcommand_required(true).arg_required_else_help(true).subcommand(demo::words()),
    run,
};

fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    match words.subcommand() {
        Some(("demo", words)) => demo::run(words, session),
        // clap lets no other through.
        _ => Ok(()),
    }
}
