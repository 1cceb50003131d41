//! The common part of `qdisc`, `class` and `filter`: a verb, and the words after it.

use tc_core::Verb;
use tc_core::words::{Words, is_prefix};

use super::Command;
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

/// A command object: its verbs, their parsers and their help.
pub(crate) struct Object {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Verbs in the order in which `tc` compares them; one that lists comes after these.
    pub(crate) verbs: &'static [(&'static str, Verb)],
    pub(crate) change: for<'a> fn(Verb, Words<'a>, ParseContext<'_>) -> Result<Command<'a>, Failure>,
    pub(crate) list: for<'a> fn(Words<'a>) -> Result<Command<'a>, Failure>,
    pub(crate) usage: &'static str,
    /// The words after a changing verb, and after `show`: for completions.
    pub(crate) change_words: &'static [&'static str],
    pub(crate) show_words: &'static [&'static str],
}

impl Object {
    /// Reads the words after the object.
    pub(crate) fn parse<'a>(
        &self,
        mut words: Words<'a>,
        context: ParseContext<'_>,
    ) -> Result<Command<'a>, Failure> {
        let Some(said) = words.next() else { return (self.list)(words) };
        if let Some((_, verb)) = self.verbs.iter().find(|(name, _)| is_prefix(said, name)) {
            return (self.change)(*verb, words, context);
        }
        if ["list", "show", "lst"].iter().any(|name| is_prefix(said, name)) {
            return (self.list)(words);
        }
        if is_prefix(said, "help") {
            return Ok(Command::Help(self.usage.to_owned()));
        }
        let name = self.name;
        Err(Failure::Words(format!("Command \"{said}\" is unknown, try \"tc {name} help\".")))
    }

    /// Verbs and the words after them.
    pub(crate) fn words(&self) -> Vec<(&'static str, &'static [&'static str])> {
        let change = self.verbs.iter().map(|(verb, _)| (*verb, self.change_words));
        change.chain([("show", self.show_words)]).collect()
    }
}
