//! `tc actions`: actions that stand for themselves.

use tc_core::action::{Action, Actions};
use tc_core::message::Entry;
use tc_core::print::Printer;
use tc_core::uapi::{
    NLM_F_CREATE, NLM_F_REPLACE, NLM_F_ROOT, RTM_DELACTION, RTM_GETACTION, RTM_NEWACTION, TCA_ROOT_COUNT,
};
use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{Cause, DumpRequest, Error, Request, TcType, Verb};

use super::Command;
use super::change::kind_failure;
use super::dry_run;
use super::usage;
use crate::context::failure::{Failure, sentence};
use crate::context::session::{ParseContext, Session};
use crate::show::Shown;

/// One request; several can stand on one line.
#[derive(Debug)]
pub(crate) enum Operation<'a> {
    /// Make, change or delete these.
    Change(Verb, Actions),
    /// Show these.
    Get(Actions),
    /// Show all of a kind, or those used in the last milliseconds.
    List(&'a str, Option<u32>),
    /// Delete all of a kind.
    Flush(&'a str),
}

/// Verbs and the words after them, for completions.
pub(crate) fn words() -> Vec<(&'static str, &'static [&'static str])> {
    ["add", "change", "replace", "delete", "get", "list", "flush"].map(|verb| (verb, ACTION)).to_vec()
}

const ACTION: &[&str] = &["action"];

/// Reads the words after `actions`. All are read before the first request is sent.
pub(crate) fn parse<'a>(mut words: Words<'a>, context: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    let mut operations = Vec::new();
    while let Some(verb) = words.next() {
        let is = |name| is_prefix(verb, name);
        if is("add") {
            operations.push(change(Verb::Add, &mut words, context)?);
        } else if is("change") || is("replace") {
            operations.push(change(Verb::Replace, &mut words, context)?);
        } else if is("delete") {
            operations.push(Operation::Change(Verb::Delete, indices(&mut words, context)?));
        } else if is("get") {
            operations.push(Operation::Get(indices(&mut words, context)?));
        } else if ["list", "show", "lst"].into_iter().any(is) || is("flush") {
            operations.push(of_kind(is("flush"), &mut words)?);
            break;
        } else if is("help") {
            return Err(Failure::Words(usage::ACTIONS.to_owned()));
        } else {
            return Err(Failure::Words(format!("Command \"{verb}\" is unknown, try \"tc actions help\".")));
        }
    }
    Ok(Command::Actions(operations))
}

fn change<'a>(
    verb: Verb,
    words: &mut Words<'a>,
    context: ParseContext<'_>,
) -> Result<Operation<'a>, Failure> {
    let words_context = WordsContext { verb, dev: None, environment: context.environment };
    let actions = Actions::parse_words(words, &words_context).map_err(|error| match error {
        WordError::Address { .. } => error.into(),
        // tc prints it twice, for the list and for the command, with the exit code of wrong words.
        error => Failure::Words(kind_failure(error, "").to_string()),
    })?;
    Ok(Operation::Change(verb, actions))
}

/// `action KIND index N`, one or more.
fn indices(words: &mut Words<'_>, context: ParseContext<'_>) -> Result<Actions, Failure> {
    let mut actions = Actions::new();
    while let Some(word) = words.next() {
        let unspecified = || Failure::Words(format!("Error: no index specified action: {word}"));
        match word {
            "action" => continue,
            "help" => return Err(Failure::Words(usage::ACTIONS.to_owned())),
            // tc takes gact for a kind that it does not know, and deletes that.
            kind if context.registry.get(TcType::Action, kind).is_none() => {
                return Err(Failure::UnknownAction(kind.to_owned()));
            }
            _ => {}
        }
        words.next().filter(|next| is_prefix(next, "index")).ok_or_else(unspecified)?;
        let index = words.value()?.parse().map_err(|_| Failure::Words("Illegal \"index\"".into()))?;
        actions.push(Action::at_index(word, index));
    }
    match actions.is_empty() {
        true => Err(WordError::Incomplete.into()),
        false => Ok(actions),
    }
}

fn of_kind<'a>(flush: bool, words: &mut Words<'a>) -> Result<Operation<'a>, Failure> {
    // As in tc, the word between is passed over, whatever it is.
    let (Some(_), Some(kind)) = (words.next(), words.next()) else {
        return Err(Failure::Words(usage::ACTIONS.to_owned()));
    };
    if kind.len() > tc_core::uapi::KIND_MAX {
        return Err(Failure::Words(format!("bad action {kind}")));
    }
    let mut since = None;
    if words.peek() == Some("since") {
        words.next();
        let word = words.value()?;
        let wrong = |_| WordError::invalid("dump time \"since\" is invalid", word);
        since = Some(parse_u32(word).map_err(wrong)?).filter(|since| *since != 0);
    }
    Ok(if flush { Operation::Flush(kind) } else { Operation::List(kind, since) })
}

impl Operation<'_> {
    /// Carries it out.
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        match self {
            Self::Change(verb, actions) => {
                let refused = if *verb == Verb::Delete { Failure::ActionsByIndex } else { Failure::Actions };
                send(*verb, &Request::actions(actions).any(), refused, session)
            }
            Self::Flush(kind) => {
                send(Verb::Delete, &Request::all_actions(kind).any(), Failure::Flush, session)
            }
            Self::Get(actions) => {
                let (kernel, output) = session.kernel()?;
                let entry =
                    kernel.connection.get(&Request::actions(actions)).map_err(Failure::ActionsByIndex)?;
                output.printer.begin_array("");
                show(&entry, &mut output.printer);
                output.printer.end_array();
                output.printer.end_document();
                Ok(())
            }
            Self::List(kind, since) => list(kind, *since, session),
        }
    }
}

fn send(
    verb: Verb,
    request: &Request<'_>,
    refused: impl FnOnce(Error) -> Failure,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let request = request.clone().as_tc(session.globals.as_tc);
    if session.globals.dry_run {
        let out = &mut session.output.printer;
        out.begin_array("");
        let shown = dry_run::show(verb, &request, "", out);
        out.end_array();
        out.end_document();
        return shown.map_err(|error| Failure::Kind(sentence("Error", &error.to_string())));
    }
    let (kernel, _) = session.kernel()?;
    let warning = kernel.connection.apply(verb, &request).map_err(refused)?;
    if let Some(message) = warning.and_then(|ext_ack| ext_ack.message) {
        session.report.warning(&sentence("Warning", &message));
    }
    Ok(())
}

fn list(kind: &str, since: Option<u32>, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut select = DumpRequest::actions(kind);
    if let Some(since) = since {
        select = select.used_since_ms(since);
    }
    if session.globals.brief {
        select = select.terse();
    }
    let report = session.report;
    let (kernel, output) = session.kernel()?;
    kernel.watch.start(report);
    let mut dump = kernel.connection.dump(&select).map_err(Failure::List)?;
    output.printer.begin_array("");
    let ended = loop {
        match dump.next() {
            Ok(Some(listed)) => match listed.entry() {
                Ok(entry) => {
                    show(&entry, &mut output.printer);
                    output.flush_piece()?;
                }
                Err(error) => report.warning(&format!("actions that cannot be read: {error}")),
            },
            Ok(None) => break Ok(()),
            Err(error) if matches!(error.cause(), Cause::Interrupted(_)) => {
                report.warning("Dump was interrupted and may be inconsistent.");
                break Ok(());
            }
            Err(error) => break Err(Failure::List(error)),
        }
    };
    let is_one_piece = dump.pieces() <= 1;
    drop(dump);
    output.printer.end_array();
    output.printer.end_document();
    if !is_one_piece && ended.is_ok() {
        kernel.watch.end(&select, report);
    }
    ended
}

/// A notice of actions. A JSON notice is one object with its actions in it; `tc` prints two, and text between.
pub(crate) fn show_notice(entry: &Entry<'_>, shown: &mut Shown<'_>) {
    let flag = |flag: u16| entry.flags & flag != 0;
    let event = match entry.message_type {
        RTM_DELACTION if flag(NLM_F_ROOT) => Some(("flushed", "Flushed table ")),
        RTM_DELACTION => Some(("deleted", "Deleted action ")),
        RTM_NEWACTION if flag(NLM_F_REPLACE) => Some(("replaced", "Replaced action ")),
        RTM_NEWACTION if flag(NLM_F_CREATE) => Some(("added", "Added action ")),
        _ => None,
    };
    shown.begin();
    let out = &mut *shown.out;
    out.item("total acts", "total acts ", total(entry), "");
    out.newline();
    if let Some((key, text)) = event {
        out.flag(key, text);
    }
    match entry.actions() {
        Ok(actions) if event.is_some_and(|(key, _)| key == "flushed") => flushed(&actions, out),
        Ok(actions) => actions.print_unbound(out),
        Err(error) => shown.warnings.push(format!("actions that cannot be read: {error}")),
    }
    shown.out.end_object();
}

/// The kind of flushed actions. Kernel: their number has the type of a cookie (`TCA_FCNT`).
fn flushed(actions: &Actions, out: &mut Printer) {
    for action in actions.iter() {
        out.item("kind", " ", action.kind(), "");
        let count = action.cookie.first_chunk().map_or(0, |count| u32::from_ne_bytes(*count));
        out.item("entries", " (", count, " entries)");
        out.newline();
    }
}

fn total(entry: &Entry<'_>) -> u32 {
    entry.attr(TCA_ROOT_COUNT).and_then(|attr| attr.u32().ok()).unwrap_or_default()
}

/// One message with its actions.
fn show(entry: &Entry<'_>, out: &mut Printer) {
    out.object("", |out| {
        out.item("total acts", "total acts ", total(entry), "");
        out.newline();
    });
    match entry.actions() {
        Ok(actions) => out.object("", |out| actions.print_unbound(out)),
        Err(_) if entry.message_type == RTM_GETACTION => {}
        Err(error) => out.text(&format!("[malformed actions: {error}]\n")),
    }
}
