//! Commands that `tc` does not have. Their words are read by clap; `tc`'s are
//! not, and do not pay for it.

mod kinds;
mod plug;
mod shell;
mod tree;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

pub(crate) use self::kinds::module;
use crate::failure::Failure;
use crate::output;
use crate::session::Session;

/// An additional command: its words, and its function. [`OWN`] lists all.
#[derive(Debug)]
pub(crate) struct Own {
    /// The object's name, which cannot be shortened.
    pub(crate) name: &'static str,
    /// One line of what it is for.
    pub(crate) about: &'static str,
    /// Adds its words.
    pub(crate) words: fn(Command) -> Command,
    /// Does it.
    pub(crate) run: fn(&ArgMatches, &mut Session<'_>) -> Result<(), Failure>,
}

/// All additional commands.
pub(crate) const OWN: &[Own] =
    &[kinds::KINDS, tree::EXPORT, tree::DIFF, tree::APPLY, plug::PLUG, shell::COMPLETIONS, shell::MAN];

impl Own {
    /// Its definition, for help, completions and man page.
    pub(crate) fn definition(&self) -> Command {
        (self.words)(Command::new(self.name).about(self.about))
    }
}

/// Finds an additional command.
pub(crate) fn find(name: &str) -> Option<&'static Own> {
    OWN.iter().find(|own| own.name == name)
}

/// Reads the command's words and does it.
pub(crate) fn run(own: &Own, words: &[&str], session: &mut Session<'_>) -> Result<(), Failure> {
    let definition = own.definition().bin_name(format!("tc-cli {}", own.name));
    let words = std::iter::once(own.name).chain(words.iter().copied());
    crate::progress::hide();
    match definition.try_get_matches_from(words) {
        Ok(matches) => (own.run)(&matches, session),
        Err(help) if help.kind() == ErrorKind::DisplayHelp => output::say(&help.to_string()),
        Err(error) => Err(Failure::Words(error.to_string())),
    }
}
