//! Commands that `tc` does not have. clap reads their words; `tc`'s commands do not pay for it.

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use super::failure::Failure;
use super::session::Session;
use super::{output, progress};

/// An additional command: its words, and its function.
#[derive(Debug)]
pub(crate) struct Extension {
    /// The object's name, which cannot be shortened.
    pub(crate) name: &'static str,
    /// Its purpose, in one line.
    pub(crate) about: &'static str,
    /// Adds its words to a definition.
    pub(crate) words: fn(Command) -> Command,
    /// Runs it.
    pub(crate) run: fn(&ArgMatches, &mut Session<'_>) -> Result<(), Failure>,
}

/// The additional commands of a program.
pub(crate) type Extensions = &'static [Extension];

/// Finds an additional command.
pub(crate) fn find(extensions: Extensions, name: &str) -> Option<&'static Extension> {
    extensions.iter().find(|extension| extension.name == name)
}

impl Extension {
    /// Its definition, for help, completions and man page.
    pub(crate) fn definition(&self) -> Command {
        (self.words)(Command::new(self.name).about(self.about))
    }

    /// Reads the words after the name, and runs the command.
    pub(crate) fn run(&self, words: &[&str], session: &mut Session<'_>) -> Result<(), Failure> {
        let definition = self.definition().bin_name(format!("tc-cli {}", self.name));
        let words = std::iter::once(self.name).chain(words.iter().copied());
        progress::hide();
        match definition.try_get_matches_from(words) {
            Ok(matches) => (self.run)(&matches, session),
            Err(help) if help.kind() == ErrorKind::DisplayHelp => output::say(&help.to_string()),
            Err(error) => Err(Failure::Words(error.to_string())),
        }
    }
}
