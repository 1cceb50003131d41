//! `plug rescue`: handles the plugs of a session whose controller died.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use serde_json::json;
use tc_qdiscs::plug::commit::{Error, OnAdopt, OrphanedSession};

use super::kept::Kept;
use super::root_qdisc::{JournalRecord, Journals, Root, forget_gone, holders};
use super::words;
use crate::context::failure::Failure;
use crate::context::output::say_done;
use crate::context::session::Session;

/// How long the devices have to send what is let go.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn words() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("rescue")
        .about("Release or drop what a session holds whose controller died, on all its devices")
        .args([words::dev(), words::journal_dir()])
        .args([
            flag("drop", "Drop all held packets and remove the plugs"),
            flag("open", "Release all held packets; the plugs stay, open, as after plug attach"),
            flag("release", "Release all held packets and remove the plugs"),
        ])
        .group(ArgGroup::new("what").args(["drop", "open", "release"]).required(true))
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let failed = |error: &dyn std::fmt::Display| Failure::Extension(format!("plug rescue: {error}"));
    let denied = |error: Error| Failure::own(format!("plug rescue: {error}"), error.tc());
    // Of a device that is gone the journal knows the name.
    let ifindex = session.ifindex(dev);
    let (records, _wrong) = journals.read()?;
    let (roots, holders) = match &ifindex {
        Ok(ifindex) => {
            let tc = &mut session.kernel()?.0.connection;
            (Root::of_device(*ifindex, tc)?, holders(*ifindex, tc)?)
        }
        Err(_) => (Vec::new(), Vec::new()),
    };
    let names = |record: &&JournalRecord| {
        let mut devices = record.journal.devices.iter();
        devices.any(|device| match &ifindex {
            Ok(_) => holders.contains(&device.ifindex),
            Err(_) => device.name == dev,
        })
    };
    let named: Vec<_> = records.iter().filter(|record| !record.attached && names(record)).collect();
    // Other journals can name the device too: of sessions that lost their plug here.
    let there = |record: &&&JournalRecord| {
        roots.iter().any(|root| root.can_hold() && record.names(root.ifindex, root.handle))
    };
    let dead = |record: &&&JournalRecord| !record.is_alive();
    let best = named.iter().find(there).or_else(|| named.iter().find(dead)).or_else(|| named.first());
    let Some(record) = best else {
        ifindex?;
        return Err(failed(&format!("no journal of a session names device {dev}; nothing was changed")));
    };
    let left = OrphanedSession::read(&record.path)
        .map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let tc = &mut session.kernel()?.0.connection;
    let (done, devices) = if words.get_flag("open") {
        let opened = left.hand_over(tc, &journals.attached()).map_err(denied)?;
        forget_gone(&journals, tc)?;
        forget_records(&left, &journals)?;
        // The journals that were replaced, and their records.
        for record in records.iter().filter(|record| record.attached && !record.path.exists()) {
            let _stays = Kept::forget(&record.path);
        }
        ("opened", opened)
    } else {
        let held = if words.get_flag("drop") { OnAdopt::Drop } else { OnAdopt::Release };
        let removed = left.remove(tc, held, PATIENCE).map_err(denied)?;
        forget_gone(&journals, tc)?;
        (if held == OnAdopt::Drop { "dropped" } else { "released" }, removed)
    };
    if session.globals.json {
        return say_done(&format!("{}\n", json!({ "done": done, "devices": devices })));
    }
    let gone = left.journal().devices.len().saturating_sub(devices);
    say_done(&match (devices, gone) {
        (0, _) => "no device has a plug of the session any more; its journal was deleted\n".to_owned(),
        (_, 0) => format!("{done} on {devices} device(s); the network is open\n"),
        _ => format!(
            "{done} on {devices} device(s), which are open; {gone} device(s) have no plug of the session any more\n"
        ),
    })
}

/// The plugs are open now, despite earlier records.
fn forget_records(left: &OrphanedSession, journals: &Journals) -> Result<(), Failure> {
    for record in journals.read()?.0.iter().filter(|record| record.attached) {
        let mut devices = left.journal().devices.iter();
        let opened = devices.any(|device| record.names(device.ifindex, device.handles[0]));
        if opened && let Err(error) = Kept::forget(&record.path) {
            let journal = record.path.display();
            return Err(Failure::System(format!(
                "plug rescue: cannot delete an old record beside {journal}: {error}; the network is open"
            )));
        }
    }
    Ok(())
}
