//! `plug status`: the state that the kernel reports, and apart from it the one that journals record.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::root_qdisc::{JournalRecord, Journals, Root};
use super::words;
use crate::context::failure::Failure;
use crate::context::output::say;
use crate::context::session::Session;

pub(super) fn words() -> Command {
    Command::new("status")
        .about("Show plugs: what the kernel reports (observed), and what journals record (believed)")
        .args([words::dev().required(false), words::journal_dir()])
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let only = match words.get_one::<String>("dev") {
        Some(dev) => Some(session.ifindex(dev)?),
        None => None,
    };
    let (records, wrong) = Journals::of(words).read()?;
    let unreadable = wrong.len();
    for error in wrong {
        session.report.warning(&format!("plug status: {error}"));
    }
    let json = session.globals.json;
    let kernel = session.kernel()?.0;
    let roots = Root::all(&mut kernel.connection)?;
    let mut devices: Vec<i32> = match only {
        Some(ifindex) => vec![ifindex],
        None => {
            let plugs = roots.iter().filter(|root| root.kind == "plug").map(|root| root.ifindex);
            let named = records.iter().flat_map(|record| &record.journal.devices);
            plugs.chain(named.map(|device| device.ifindex)).collect()
        }
    };
    devices.sort_unstable();
    devices.dedup();
    let shown = devices.into_iter().map(|ifindex| {
        let root = roots.iter().find(|root| root.ifindex == ifindex);
        let named = |record: &JournalRecord| {
            let mut devices = record.journal.devices.iter();
            Some((record.clone(), devices.find(|device| device.ifindex == ifindex)?.name.clone()))
        };
        let (records, names): (Vec<_>, Vec<_>) = records.iter().filter_map(named).unzip();
        let missing = root.is_none()
            && kernel.connection.link_by_index(ifindex).is_err_and(|error| error.is_not_found());
        let dev = match names.into_iter().next().filter(|_| missing) {
            Some(name) => name,
            None => kernel.devices.name(ifindex).to_string(),
        };
        Shown { dev, missing, root, records, unreadable }
    });
    if json {
        let list: Vec<_> = shown.map(|shown| shown.to_json()).collect();
        return say(&format!("{}\n", Value::from(list)));
    }
    say(&shown.map(|shown| shown.to_text()).collect::<String>())
}

/// One device.
struct Shown<'r> {
    dev: String,
    /// Whether no device has the index that a journal names.
    missing: bool,
    root: Option<&'r Root>,
    records: Vec<JournalRecord>,
    /// Journals that cannot be read: one may name it.
    unreadable: usize,
}

impl Shown<'_> {
    fn to_json(&self) -> Value {
        let believed: Vec<_> = self.records.iter().map(|record| with_match(record, self.root)).collect();
        let observed = self.root.map(Root::to_json);
        json!({ "dev": self.dev, "dev_is_there": !self.missing, "observed": observed, "believed": believed })
    }

    fn to_text(&self) -> String {
        let Self { dev, missing, root, records, unreadable } = self;
        let mut text = format!("{dev}\n");
        text += &match root {
            Some(root) => format!("  observed: {}\n", root.to_text()),
            None if *missing => "  observed: the device is gone\n".to_owned(),
            None => "  observed: no root qdisc but the kernel's default\n".to_owned(),
        };
        for record in records {
            let gone = if is_there(record, *root) { "" } else { "; its plug is not there" };
            text += &format!("  believed: {}{gone}\n", record.to_text());
        }
        if records.is_empty() {
            text += &match unreadable {
                0 => "  believed: nothing; no journal names it\n".to_owned(),
                count => format!("  believed: not known; {count} journal(s) cannot be read\n"),
            };
        }
        text
    }
}

fn with_match(record: &JournalRecord, root: Option<&Root>) -> Value {
    let mut value = record.to_json();
    value["plug_is_there"] = is_there(record, root).into();
    value
}

fn is_there(record: &JournalRecord, root: Option<&Root>) -> bool {
    root.is_some_and(|root| root.kind == "plug" && record.names(root.ifindex, root.handle))
}
