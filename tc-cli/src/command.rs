//! A command whose words are checked; nothing of the machine was asked for it.

use tc_core::Registry;
use tc_core::words::{Environment, Words, is_prefix};

use crate::actions::{self, Operation};
use crate::change::Change;
use crate::class::CLASS;
use crate::failure::Failure;
use crate::filter::FILTER;
use crate::list::List;
use crate::monitor::{self, Watch};
use crate::own::{self, Own};
use crate::qdisc::QDISC;
use crate::usage;

/// A parsed command line.
#[derive(Debug)]
pub(crate) enum Command<'a> {
    /// A usage text.
    Help(String),
    /// One request.
    Change(Change<'a>),
    /// A list.
    List(List<'a>),
    /// Requests for actions, one after the other.
    Actions(Vec<Operation<'a>>),
    /// Notices, until the end.
    Monitor(Watch<'a>),
    /// A command that `tc` does not have, and its words.
    Own(&'static Own, &'a [&'a str]),
}

/// The context in which words are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'r> {
    /// The kinds there are.
    pub(crate) registry: &'static Registry,
    /// The machine, for the few words that mean something on it.
    pub(crate) environment: &'r dyn Environment,
}

/// Reads a command, from its object on.
pub(crate) fn parse<'a>(words: &'a [&'a str], reading: Reading<'_>) -> Result<Command<'a>, Failure> {
    let mut words = Words::new(words);
    let Some(object) = words.next() else { return Ok(Command::Help(usage::tc())) };
    // In tc's order: a beginning of two names means the first.
    for (name, parse) in OBJECTS {
        if is_prefix(object, name) {
            return parse(name, words, reading);
        }
    }
    if let Some(own) = own::find(object) {
        return Ok(Command::Own(own, words.rest()));
    }
    Err(Failure::Words(format!("Object \"{object}\" is unknown, try \"tc help\".")))
}

type Parse = for<'a> fn(&str, Words<'a>, Reading<'_>) -> Result<Command<'a>, Failure>;

const OBJECTS: [(&str, Parse); 8] = [
    ("qdisc", |_, words, reading| QDISC.parse(words, reading)),
    ("class", |_, words, reading| CLASS.parse(words, reading)),
    ("filter", |_, words, reading| FILTER.parse(words, reading)),
    ("chain", unsupported),
    ("actions", |_, words, reading| actions::parse(words, reading)),
    ("monitor", |_, words, reading| monitor::parse(words, reading)),
    ("exec", unsupported),
    ("help", |_, _, _| Ok(Command::Help(usage::tc()))),
];

fn unsupported<'a>(name: &str, _: Words<'a>, _: Reading<'_>) -> Result<Command<'a>, Failure> {
    Err(Failure::Words(format!("Object \"{name}\" is not supported by tc-cli, try \"tc help\".")))
}
