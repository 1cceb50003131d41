//! `plug status`: the state that the kernel reports, and apart from it the one that journals record.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use tc_core::Handle;
use tc_qdiscs::plug::place::{Redirect, Side};

use super::root_qdisc::{JournalRecord, Journals, Root, holders};
use super::words;
use crate::context::failure::Failure;
use crate::context::output::say;
use crate::context::session::{Kernel, Session};

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
    let roots = Root::with_rings(&mut kernel.connection)?;
    let named = |root: &Root| records.iter().any(|record| record.names(root.ifindex, root.handle));
    let mut devices: Vec<i32> = match only {
        Some(ifindex) => {
            let mut holders = holders(ifindex, &mut kernel.connection)?;
            // Beside a ring on an IFB, the device's own root qdisc is not asked about.
            let rings = |ifindex: &i32| roots.iter().any(|root| root.ifindex == *ifindex && named(root));
            let held: Vec<_> = holders.iter().copied().filter(rings).collect();
            holders.truncate(1);
            if held.is_empty() { holders } else { held }
        }
        None => {
            let plugs = roots.iter().filter(|root| root.kind == "plug" && root.parent == Handle::ROOT);
            let plugs = plugs.map(|root| root.ifindex);
            let named = records.iter().flat_map(|record| &record.journal.devices);
            plugs.chain(named.map(|device| device.ifindex)).collect()
        }
    };
    devices.sort_unstable();
    devices.dedup();
    let shown = devices.into_iter().map(|ifindex| {
        let mut here = roots.iter().filter(|root| root.ifindex == ifindex);
        let root = here.clone().find(|root| named(root));
        let root = root.or_else(|| here.find(|root| root.parent == Handle::ROOT));
        let named = |record: &JournalRecord| {
            let mut devices = record.journal.devices.iter();
            Some((record.clone(), devices.find(|device| device.ifindex == ifindex)?.name.clone()))
        };
        let (records, names): (Vec<_>, Vec<_>) = records.iter().filter_map(named).unzip();
        let missing = root.is_none()
            && kernel.connection.link_by_index(ifindex).is_err_and(|error| error.is_not_found());
        let redirect = Redirect::of_ifb(&mut kernel.connection, ifindex).ok().flatten();
        let dev = match names.into_iter().next().filter(|_| missing) {
            Some(name) => name,
            None => kernel.devices.name(ifindex).to_string(),
        };
        let redirect = redirect.map(|redirect| {
            let side = if redirect.side() == Side::Egress { "egress" } else { "ingress" };
            (dev.clone(), side)
        });
        let device = match &redirect {
            Some(_) => of_ifb(ifindex, kernel),
            None => dev,
        };
        Shown { dev: device, redirect, missing, root, records, unreadable }
    });
    if json {
        let list: Vec<_> = shown.map(|shown| shown.to_json()).collect();
        return say(&format!("{}\n", Value::from(list)));
    }
    say(&shown.map(|shown| shown.to_text()).collect::<String>())
}

/// The device whose packets an IFB gets.
fn of_ifb(ifindex: i32, kernel: &mut Kernel) -> String {
    let redirect = Redirect::of_ifb(&mut kernel.connection, ifindex).ok().flatten();
    kernel.devices.name(redirect.map_or(ifindex, |redirect| redirect.device())).to_string()
}

/// One device.
struct Shown<'r> {
    dev: String,
    /// The IFB where it is held, and the side of the device.
    redirect: Option<(String, &'static str)>,
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
        let mut shown = json!({
            "dev": self.dev, "dev_is_there": !self.missing, "observed": observed, "believed": believed,
        });
        if let Some((ifb, side)) = &self.redirect {
            shown["where"] = (*side).into();
            shown["ifb"] = ifb.as_str().into();
        }
        shown
    }

    fn to_text(&self) -> String {
        let Self { dev, redirect, missing, root, records, unreadable } = self;
        let mut text = match redirect {
            Some((ifb, side)) => format!("{dev} {side}, on {ifb}\n"),
            None => format!("{dev}\n"),
        };
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
    root.is_some_and(|root| root.can_hold() && record.names(root.ifindex, root.handle))
}
