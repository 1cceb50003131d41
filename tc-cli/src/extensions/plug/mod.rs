//! `plug`: operations beyond those of `tc`.
//!
//! Commands that end leave a plug to the next one (`attach`, `status`, `buffer`,
//! `release`, `open`, `drop`, `limit`, `detach`, `doctor`, `rescue`); others are
//! the controller as long as they run (`hold`, `commit`). Errors end with the
//! state of the network.

mod attach;
mod commit;
mod demo;
mod doctor;
mod hold;
mod kept;
mod operate;
mod output;
mod place;
mod rescue;
mod root_qdisc;
mod start;
mod status;
mod words;

use clap::{ArgMatches, Command};
use tc_qdiscs::plug::commit::guardian;

use crate::context::extension::Extension;
use crate::context::failure::Failure;
use crate::context::session::Session;

/// `tc-cli plug`
pub(super) const PLUG: Extension = Extension {
    name: "plug",
    about: "Hold and release a device's outgoing packets",
    words: |command| {
        command
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands([
                attach::words_of_attach(),
                status::words(),
                hold::words(),
                commit::words(),
                attach::words_of_detach(),
                doctor::words(),
                rescue::words(),
                demo::words(),
                Command::new("guardian").hide(true).about("Be the guardian of a session"),
            ])
            .subcommands(operate::words())
    },
    run,
};

fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let Some((name, words)) = words.subcommand() else { return Ok(()) };
    if session.globals.dry_run {
        return Err(Failure::Words(format!("plug {name}: --dry-run is not for this command")));
    }
    match name {
        "demo" => demo::run(words, session),
        "guardian" => guard(),
        "attach" => attach::attach(words, session),
        "detach" => attach::detach(words, session),
        "status" => status::run(words, session),
        "hold" => hold::run(words, session),
        "commit" => commit::run(words, session),
        "doctor" => doctor::run(words, session),
        "rescue" => rescue::run(words, session),
        operation => operate::run(operation, words, session),
    }
}

/// Its standard input is a socket to the session, which reads its messages. Its
/// standard error is not read.
fn guard() -> Result<(), Failure> {
    guardian::run().map(|_end| ()).map_err(|error| Failure::Extension(format!("plug guardian: {error}")))
}
