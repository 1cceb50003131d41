//! `plug attach` and `plug detach`: an open plug for the commands that hold.

use std::path::Path;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use tc_core::Handle;
use tc_qdiscs::plug::commit::{
    AttachOptions, Error, Journal, OnAdopt, OnDeath, OnTaint, OrphanedSession, OutputCommit,
};

use super::kept::Kept;
use super::root_qdisc::{JournalRecord, Journals, Root, attached_plug};
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
        .about("Put a plug at the root of a device and leave it open")
        .args([words::dev(), words::limit(), words::journal_dir()])
        .arg(handle.help("The plug's handle, instead of a new one; the next one is kept as a spare"))
}

pub(super) fn words_of_detach() -> Command {
    Command::new("detach")
        .about("Release all held packets and remove the plug of plug attach")
        .args([words::dev(), words::journal_dir()])
}

pub(super) fn attach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let _lock = journals.lock("attach")?;
    unclaimed(dev, &journals, session)?;
    let mut options = AttachOptions::new(words::the_limit(words), OnTaint::FailClosed, OnDeath::StayClosed)
        .journal_dir(journals.attached());
    if let Some(handle) = words.get_one::<Handle>("handle") {
        options = options.handles(handle.major(), handle.major() + 1);
    }
    let attached = OutputCommit::attach(&[dev], options);
    // Plug and journal stay when it is dropped.
    let attached = attached.map_err(|error| match &error {
        Error::Orphaned { device, .. } => Failure::own(
            format!("plug attach: device {device} has a plug of plug attach; nothing was changed"),
            None,
        ),
        error => Failure::own(format!("plug attach: {error}"), error.tc()),
    })?;
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
    let root = Root::on(ifindex, &mut session.kernel()?.0.connection)?;
    for JournalRecord { path, journal, .. } in records.iter().filter(|record| !record.attached) {
        let alive = Journal::is_alive(path).unwrap_or(false);
        let there = root.as_ref().is_some_and(|root| journal.names(ifindex, root.handle));
        let coming =
            alive && !journal.ready && journal.devices.iter().any(|device| device.ifindex == ifindex);
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
    let root = Root::on(ifindex, &mut session.kernel()?.0.connection)?;
    say_done(&format!("{}\n", json!({ "dev": dev, "observed": root.map(|root| root.to_json()) })))
}
