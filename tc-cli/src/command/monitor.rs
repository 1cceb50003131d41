//! `tc monitor`: changes as the kernel makes them known.

use std::fs;

use jiff::Zoned;
use tc_core::message::{Entry, Message, Messages};
use tc_core::monitor::{Event, Follower};
use tc_core::print::Form;
use tc_core::uapi::*;
use tc_core::words::{Words, is_prefix};
use tc_core::{Cause, TcType};

use super::{Command, actions, usage};
use crate::context::failure::{Failure, reason};
use crate::context::globals::Timestamp;
use crate::context::output::Output;
use crate::context::session::{ParseContext, Session};
use crate::show::{Show, Shown};

/// The source of notices.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    /// A file of netlink messages, as `rtmon` writes it.
    file: Option<&'a str>,
}

/// The words of `tc monitor`, for completions.
pub(crate) const WORDS: &[&str] = &["file", "help"];

/// Reads the words after `monitor`.
pub(crate) fn parse<'a>(mut words: Words<'a>, _: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    let mut watch = Watch { file: None };
    while let Some(word) = words.next() {
        if is_prefix(word, "file") {
            watch.file = Some(words.value()?);
        } else if is_prefix(word, "help") {
            return Err(Failure::Words(usage::MONITOR.to_owned()));
        } else {
            return Err(Failure::Words(format!("Argument \"{word}\" is unknown, try \"tc monitor help\".")));
        }
    }
    Ok(Command::Monitor(watch))
}

impl Watch<'_> {
    /// Prints notices until the file ends, or without end.
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        session.output.flush()?;
        // One object a line: a stream has no end that an array could have.
        let form = if session.globals.json { Form::Json } else { Form::Text };
        let mut output = Output::new(form, session.style());
        let Some(file) = self.file else {
            let mut follower = Follower::open().map_err(Failure::Monitor)?;
            loop {
                let event = match follower.next() {
                    // It lists again when it is asked again.
                    Err(error) if matches!(error.cause(), Cause::Interrupted(_)) => {
                        session.report.warning(BUSY);
                        continue;
                    }
                    event => event.map_err(Failure::Monitor)?,
                };
                match event {
                    Some(Event::Notice(message)) => notice(&message, &mut output, session)?,
                    Some(Event::Listed(entry)) => {
                        for message in Messages::new(entry.bytes()).flatten() {
                            notice(&message, &mut output, session)?;
                        }
                    }
                    Some(Event::Overflow) => {
                        session.report.warning(LOST);
                        mark("overflow", &mut output)?;
                    }
                    Some(Event::InStep) => {
                        session.report.warning(IN_STEP);
                        mark("in step", &mut output)?;
                    }
                    None | Some(_) => {}
                }
            }
        };
        let failed = |text: String| Failure::Words(text);
        let bytes = fs::read(file).map_err(|error| failed(format!("Cannot fopen: {}", reason(&error))))?;
        for message in Messages::new(&bytes) {
            let message = message.map_err(|error| failed(format!("{file}: {error}")))?;
            notice(&message, &mut output, session)?;
        }
        Ok(())
    }
}

const LOST: &str = "Notices were lost: more came than could be read. What is there now comes next.";
const BUSY: &str = "It cannot be listed while it changes: tried again.";
const IN_STEP: &str = "That was all that is there now. Changes follow.";

/// Reports in the JSON stream itself that the reader's state is void, or complete
/// again.
fn mark(event: &str, output: &mut Output) -> Result<(), Failure> {
    if output.printer.is_json() {
        output.printer.begin_object("");
        output.printer.item("event", "", event, "");
        output.printer.end_object();
        output.printer.end_document();
    }
    output.flush()
}

fn notice(message: &Message<'_>, output: &mut Output, session: &mut Session<'_>) -> Result<(), Failure> {
    let report = session.report;
    let tc_type = match message.kind {
        RTM_NEWQDISC | RTM_DELQDISC => TcType::Qdisc,
        RTM_NEWTCLASS | RTM_DELTCLASS => TcType::Class,
        RTM_NEWTFILTER | RTM_DELTFILTER | RTM_NEWCHAIN | RTM_DELCHAIN => TcType::Filter,
        RTM_NEWACTION..=RTM_GETACTION => TcType::Action,
        NLMSG_ERROR | NLMSG_NOOP | NLMSG_DONE => return Ok(()),
        kind => {
            let length = NLMSG_HDRLEN + message.payload.len();
            let flags = message.flags;
            report.warning(&format!("Unknown message: length {length:08} type {kind:08x} flags {flags:08x}"));
            return Ok(());
        }
    };
    let entry = match Entry::decode(message) {
        Ok(entry) => entry,
        Err(error) => {
            report.warning(&format!("{tc_type} that cannot be read: {error}"));
            return Ok(());
        }
    };
    let timestamp = session.globals.timestamp;
    let (registry, names) = (session.registry, session.names.clone());
    let show = Show::all(registry, &names);
    let (kernel, _) = session.kernel()?;
    // Names change while we watch.
    kernel.devices.ask_again();
    let mut shown = Shown::new(&mut output.printer, &mut kernel.devices);
    stamp(timestamp, &mut shown);
    match tc_type {
        TcType::Action => actions::show_notice(&entry, &mut shown),
        _ => show.entry(tc_type, &entry, &mut shown),
    }
    shown.warnings.iter().for_each(|warning| report.warning(warning));
    output.printer.end_document();
    output.flush()
}

/// The local time, before a notice or, in JSON, in it.
fn stamp(timestamp: Timestamp, shown: &mut Shown<'_>) {
    let text = match timestamp {
        Timestamp::None => return,
        _ if shown.out.is_json() => {
            shown.timestamp = Some(Zoned::now().strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string());
            return;
        }
        Timestamp::Long => {
            let now = Zoned::now();
            let usec = now.subsec_nanosecond() / 1000;
            format!("Timestamp: {} {usec} usec\n", now.strftime("%a %b %e %H:%M:%S %Y"))
        }
        Timestamp::Short => Zoned::now().strftime("[%Y-%m-%dT%H:%M:%S.%6f] ").to_string(),
    };
    shown.out.text(&text);
}
