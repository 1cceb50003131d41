//! Commands: `tc`'s objects and verbs. Parsing asks nothing of the machine; running does.

pub(crate) mod actions;
pub(crate) mod change;
pub(crate) mod class;
mod dry_run;
pub(crate) mod filter;
mod list;
pub(crate) mod monitor;
mod object;
pub(crate) mod qdisc;
pub(crate) mod usage;

use tc_core::words::{Words, is_prefix};

use self::actions::Operation;
use self::change::Change;
use self::class::CLASS;
use self::filter::{CHAIN, FILTER};
use self::list::List;
use self::monitor::Watch;
use self::qdisc::QDISC;
use crate::context::extension::{self, Extension};
use crate::context::failure::Failure;
use crate::context::session::{ParseContext, Session};

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
    Extension(&'static Extension, &'a [&'a str]),
}

/// Reads a command, from its object on.
pub(crate) fn parse<'a>(words: &'a [&'a str], context: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    let mut words = Words::new(words);
    let Some(object) = words.next() else { return Ok(Command::Help(usage::tc(context.extensions))) };
    // In tc's order: a beginning of two names means the first.
    for (name, parse) in OBJECTS {
        if is_prefix(object, name) {
            return parse(name, words, context);
        }
    }
    if let Some(extension) = extension::find(context.extensions, object) {
        return Ok(Command::Extension(extension, words.rest()));
    }
    Err(Failure::Words(format!("Object \"{object}\" is unknown, try \"tc help\".")))
}

/// Reads and runs one command. Its output may still be in the buffer.
pub(crate) fn run(words: &[&str], session: &mut Session<'_>) -> Result<(), Failure> {
    let command = parse(words, session.parse_context(&session.machine))?;
    session.before_command(matches!(command, Command::Change(_)));
    match command {
        Command::Help(text) => {
            session.report.text(&text);
            Ok(())
        }
        Command::Change(change) => change.run(session),
        Command::List(list) => list.run(session),
        Command::Actions(operations) => operations.iter().try_for_each(|one| one.run(session)),
        Command::Monitor(watch) => watch.run(session),
        Command::Extension(extension, words) => extension.run(words, session),
    }
}

type Parse = for<'a> fn(&str, Words<'a>, ParseContext<'_>) -> Result<Command<'a>, Failure>;

const OBJECTS: [(&str, Parse); 8] = [
    ("qdisc", |_, words, context| QDISC.parse(words, context)),
    ("class", |_, words, context| CLASS.parse(words, context)),
    ("filter", |_, words, context| FILTER.parse(words, context)),
    ("chain", |_, words, context| CHAIN.parse(words, context)),
    ("actions", |_, words, context| actions::parse(words, context)),
    ("monitor", |_, words, context| monitor::parse(words, context)),
    ("exec", |_, words, _| exec(words)),
    ("help", |_, _, context| Ok(Command::Help(usage::tc(context.extensions)))),
];

/// `tc exec` runs a shell with the maps that a process of tc passes on, or prints the kernel's trace. Programs and
/// maps are pinned now, and bpftool does both.
fn exec<'a>(words: Words<'_>) -> Result<Command<'a>, Failure> {
    match words.peek() {
        None => Err(Failure::Words("No command given, try \"tc exec help\".".into())),
        Some(word) if is_prefix(word, "help") => Ok(Command::Help(usage::EXEC.to_owned())),
        Some("bpf") => Err(Failure::Words(
            "exec bpf is not in tc-cli. Pin programs and maps with \"bpftool prog load FILE PATH\", and read the \
             trace with \"bpftool prog tracelog\"."
                .into(),
        )),
        Some(kind) => Err(Failure::Words(format!("Unknown exec \"{kind}\""))),
    }
}
