//! `plug attach` and `plug detach`: an open plug for the commands that hold.

use std::path::Path;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use tc_core::Handle;
use tc_qdiscs::plug::commit::{
    AttachOptions, Counts, Error, Journal, OnAdopt, OnDeath, OnTaint, OrphanedSession, OutputCommit,
};
use tc_qdiscs::plug::ring::{Ring, RingOptions, Site};

use super::kept::Kept;
use super::output::Output;
use super::place::{self, Placement};
use super::root_qdisc::{JournalRecord, Journals, Root, attached_plug, holders};
use super::start::purged;
use super::words;
use crate::context::failure::Failure;
use crate::context::output::say_done;
use crate::context::session::Session;

/// How long a detach waits for the device to send what is let go.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn words_of_attach() -> Command {
    let read = |text: &str| match text.parse::<Handle>() {
        Ok(handle) if handle.minor() == 0 && handle.major() > 0 && handle.major() < 0xfffe => Ok(handle),
        _ => Err("a handle such as c01:"),
    };
    let handle = Arg::new("handle").long("handle").value_name("HANDLE").value_parser(read);
    Command::new("attach")
        .about("Put a plug at the root of a device, or a ring of plugs at another place, and leave it open")
        .after_help(
            "Without --where it is one plug at the root, for plug buffer and plug release. plug hold and plug commit\n\
             take it over, and give it back. At the egress of a device without a clsact qdisc this is the only step\n\
             that can lose a packet: a new clsact resets the device's root queue.",
        )
        .args([words::dev(), words::journal_dir()])
        .args(words::limits())
        .args(place::words())
        .arg(handle.help("The plug's handle, instead of a new one; the next one is kept as a spare"))
}

pub(super) fn words_of_detach() -> Command {
    Command::new("detach")
        .about("Release all held packets and remove the plug of plug attach")
        .args([words::dev(), words::journal_dir()])
}

pub(super) fn attach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let placement = Placement::of("attach", words, session)?;
    let is_plain = !placement.names_a_ring();
    if words.contains_id("handle") && !is_plain {
        return Err(Failure::Words(
            "plug attach: --handle is for --where root: a ring chooses its handles; nothing was changed"
                .into(),
        ));
    }
    let _lock = journals.lock("attach")?;
    unclaimed(dev, &journals, session)?;
    let limit = words::the_session_limit("attach", words, std::iter::empty())?;
    let mut options =
        AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(journals.attached());
    let attached = if is_plain {
        if let Some(handle) = words.get_one::<Handle>("handle") {
            options = options.handles(handle.major(), handle.major() + 1);
        }
        OutputCommit::attach(&[dev], options).map(|plug| Output::Plug(Box::new(plug)))
    } else {
        let site = Site::new(dev, placement.place.unwrap_or_default());
        let ring = RingOptions::new(options).redirect(placement.setup.clone());
        let ring = ring.depth(placement.depth.unwrap_or_default());
        Ring::attach(&[site], ring).map(|ring| Output::Ring(Box::new(ring), Counts::default()))
    };
    // Plug and journal stay when it is dropped.
    let attached = attached.map_err(|error| match &error {
        Error::Orphaned { device, .. } => Failure::own(
            format!("plug attach: device {device} has a plug of plug attach; nothing was changed"),
            None,
        ),
        error => Failure::own(format!("plug attach: {error}"), error.tc()),
    })?;
    if let Some(text) = purged(attached.purged_packets()) {
        session.report.warning(&format!("plug attach: {text}"));
    }
    for path in attached.stale_journals() {
        session.report.warning(&format!("plug attach: {}", stale(path)));
        let _stays = Kept::forget(path);
    }
    report(dev, session)
}

/// A warning: a journal that attaching has deleted.
pub(super) fn stale(path: &Path) -> String {
    format!("deleted the old journal {}, whose plugs are gone", path.display())
}

/// Fails if a session has the device, or is about to put its plug there.
fn unclaimed(dev: &str, journals: &Journals, session: &mut Session<'_>) -> Result<(), Failure> {
    let ifindex = session.ifindex(dev)?;
    let records = journals.read()?.0;
    let tc = &mut session.kernel()?.0.connection;
    let (roots, holders) = (Root::of_device(ifindex, tc)?, holders(ifindex, tc)?);
    for JournalRecord { path, journal, .. } in records.iter().filter(|record| !record.attached) {
        let alive = Journal::is_alive(path).unwrap_or(false);
        let there = roots.iter().any(|root| root.can_hold() && journal.names(root.ifindex, root.handle));
        let coming =
            alive && !journal.ready && journal.devices.iter().any(|device| holders.contains(&device.ifindex));
        let (device, pid, journal) = (dev.to_owned(), journal.controller.pid, path.clone());
        let error = match (there, alive) {
            (true, false) => Error::Orphaned { device, pid, journal },
            _ if there || coming => Error::InUse { device, pid, journal },
            _ => continue,
        };
        return Err(Failure::own(format!("plug attach: {error}"), error.tc()));
    }
    Ok(())
}

pub(super) fn detach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let failed = |error: &dyn std::fmt::Display| Failure::Extension(format!("plug detach: {error}"));
    let _lock = journals.lock("detach")?;
    let (_root, record) = attached_plug("detach", dev, &journals, session)?;
    let left = OrphanedSession::read(&record.path)
        .map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let tc = &mut session.kernel()?.0.connection;
    let removed = left.remove(tc, OnAdopt::Release, PATIENCE);
    removed.map_err(|error| Failure::own(format!("plug detach: {error}"), error.tc()))?;
    // One that stays is replaced by the next attach.
    let _stays = Kept::forget(&record.path);
    if session.globals.json {
        say_done(&format!("{}\n", json!({ "dev": dev, "observed": null })))?;
    }
    Ok(())
}

/// With `-j`: what is there now.
pub(super) fn report(dev: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    if !session.globals.json {
        return Ok(());
    }
    let ifindex = session.ifindex(dev)?;
    let roots = Root::of_device(ifindex, &mut session.kernel()?.0.connection)?;
    // A ring or plug before the root qdisc that a device keeps.
    let root = roots.iter().find(|root| root.ifindex != ifindex && root.can_hold());
    let root = root.or_else(|| roots.iter().find(|root| root.can_hold())).or_else(|| roots.first());
    say_done(&format!("{}\n", json!({ "dev": dev, "observed": root.map(|root| root.to_json()) })))
}
