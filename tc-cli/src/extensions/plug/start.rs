//! The session of `plug hold` and `plug commit`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use std::{io, thread};

use clap::ArgMatches;
use signal_hook::consts::SIGCHLD;
use tc_core::{Connection, Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{
    AttachOptions, DetachMode, Error, JournalError, OnAdopt, OnDrop, OutputCommit,
};

use super::attach::stale;
use super::kept::Mode;
use super::root_qdisc::{JournalRecord, Journals, Root};
use super::words;
use crate::context::failure::Failure;
use crate::context::report::Report;

/// A session, and what becomes of its plugs in the end.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) output: OutputCommit,
    /// Names and indices of the devices.
    devices: Vec<(String, i32)>,
    /// In the devices' network namespace.
    tc: Connection,
    /// The journals of plugs of `plug attach`, as they were.
    lent: Vec<JournalRecord>,
}

impl Started {
    /// Ends the session in order: all packets leave. The plugs are deleted; those of
    /// `plug attach` are given back as they were.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.output.detach(DetachMode::GiveBack).map_err(|error| error.to_string())?;
        let open = |why: String| format!("{why}; the network is open");
        let roots = if self.lent.is_empty() { Vec::new() } else { self.roots().map_err(open)? };
        for record in &self.lent {
            // Its handle is the spare one, if what it held had to be dropped.
            let ours = |root: &&Root| root.kind == "plug" && record.names(root.ifindex, root.handle);
            let Some(root) = roots.iter().find(ours) else { continue };
            let plug = Plug::set_limit(record.limit_bytes());
            let request = Request::qdisc(root.ifindex).parent(Handle::ROOT).handle(root.handle);
            let done = self.tc.apply_as_it_is(Verb::Change, &request.options(&plug));
            done.map_err(|error| open(error.to_string()))?;
        }
        Ok(())
    }

    /// Ends the session as if this process had died. Returns what is wrong with the
    /// plugs then, device by device: a device that is not named still has its plug.
    pub(super) fn die(self) -> Vec<String> {
        let Self { output, devices, mut tc, .. } = self;
        // Waits for the guardian.
        drop(output);
        let Ok(roots) = Root::all(&mut tc) else { return vec!["the plugs cannot be listed".to_owned()] };
        let state = |(dev, ifindex): &(String, i32)| match roots.iter().find(|root| root.ifindex == *ifindex)
        {
            Some(root) if root.kind == "plug" => None,
            Some(root) if !root.handle.is_unspec() => {
                Some(format!("device {dev} has the root qdisc {} {}", root.kind, root.handle))
            }
            _ if tc.link_by_index(*ifindex).is_err_and(|error| error.is_not_found()) => {
                Some(format!("device {dev} is gone"))
            }
            _ => Some(format!("device {dev} has no plug any more")),
        };
        devices.iter().filter_map(state).collect()
    }

    /// How many devices the session has.
    pub(super) fn count(&self) -> usize {
        self.devices.len()
    }

    /// Warns of the journals that attaching has deleted.
    pub(super) fn report_stale(&self, name: &str, report: &Report) {
        for path in self.output.stale_journals() {
            report.warning(&format!("plug {name}: {}", stale(path)));
        }
    }

    fn roots(&mut self) -> Result<Vec<Root>, String> {
        Root::all(&mut self.tc).map_err(|failure| failure.to_string())
    }
}

/// Attaches to the devices in the calling thread's network namespace. A plug of
/// `plug attach` is taken over, and later given back; one that is not open is
/// refused.
pub(super) fn start(
    name: &str,
    devs: &[&str],
    words: &ArgMatches,
    on_drop: OnDrop,
) -> Result<Started, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Extension(format!("plug {name}: {error}"));
    // An ignored SIGCHLD is inherited, and hides the guardian's exit status.
    let unused = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGCHLD, unused)
        .map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let (on_taint, on_death) = words::the_policy(name, words)?;
    let journals = Journals::of(words);
    let mut options = AttachOptions::new(words::the_limit(words), on_taint, on_death)
        .on_drop(on_drop)
        .journal_dir(&journals.dir);
    // Until the session has them: nobody may make them buffer in between.
    let _lock = journals.lock(name)?;
    let (mut tc, lent) = claims(name, devs, &journals)?;
    let devices = devs.iter().map(|dev| tc.ifindex(dev).map(|ifindex| ((*dev).to_owned(), ifindex)));
    let devices = devices.collect::<Result<Vec<_>, _>>();
    let devices = devices.map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    for record in &lent {
        options = options.borrow(&record.path, OnAdopt::Release);
    }
    let output = OutputCommit::attach(devs, options).map_err(|error| {
        let text = match &error {
            Error::Journal { error, network } if is_denied(error) => {
                format!("{error} (--journal-dir names another directory); {network}")
            }
            error => error.to_string(),
        };
        Failure::own(format!("plug {name}: {text}"), error.tc())
    })?;
    Ok(Started { output, devices, tc, lent })
}

/// Finds the owners of the devices' plugs: an error if it is a session, and the
/// journals of `plug attach` if it is that.
fn claims(
    name: &str,
    devs: &[&str],
    journals: &Journals,
) -> Result<(Connection, Vec<JournalRecord>), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Extension(format!("plug {name}: {error}"));
    let untouched = |error: tc_core::Error| failed(&format!("{error}; nothing was changed"));
    let mut tc = Connection::open().map_err(untouched)?;
    let roots = Root::all(&mut tc)?;
    let mut attached: Vec<JournalRecord> = Vec::new();
    for dev in devs {
        let ifindex = tc.ifindex(dev).map_err(untouched)?;
        let Some(root) = roots.iter().find(|root| root.ifindex == ifindex && root.kind == "plug") else {
            continue;
        };
        for record in journals.naming(root)? {
            let pid = record.journal.controller.pid;
            if record.is_alive() {
                return Err(failed(&Error::Devices(format!("process {pid} has device {dev} in a session"))));
            } else if !record.attached {
                let left = format!("device {dev} was left by process {pid}, which died: see plug rescue");
                return Err(failed(&Error::Devices(left)));
            }
            is_open(dev, root, &record, &mut tc).map_err(|why| failed(&Error::Devices(why)))?;
            if attached.iter().all(|other| other.path != record.path) {
                attached.push(record);
            }
        }
    }
    Ok((tc, attached))
}

/// An error unless the plug of `plug attach` is open and holds no packet: to
/// take it over is to open it.
fn is_open(dev: &str, root: &Root, record: &JournalRecord, tc: &mut Connection) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(2);
    const PAUSE: Duration = Duration::from_millis(5);
    let refused = |state: String| {
        Err(format!(
            "device {dev}: its plug of plug attach {state}: plug open releases held packets, plug drop drops them"
        ))
    };
    match record.kept.mode {
        Mode::Open => {}
        Mode::Buffering => return refused("is buffering".into()),
        Mode::Unknown => return refused("has a record that cannot be read".into()),
    }
    // The queue of a busy device that is open moves on; one that holds, by another's command, does not.
    let leaves_at = root.sent_bytes + u64::from(root.held_bytes);
    let (since, mut now) = (Instant::now(), root.clone());
    while now.held_packets > 0 && now.sent_bytes < leaves_at {
        if since.elapsed() > PATIENCE {
            return refused(format!("holds {} packets", now.held_packets));
        }
        thread::sleep(PAUSE);
        now = match Root::on(root.ifindex, tc) {
            Ok(Some(now)) if now.kind == "plug" && now.handle == root.handle => now,
            Ok(_) => return Err(format!("device {dev}: its plug of plug attach is gone")),
            Err(error) => return Err(error.to_string()),
        };
    }
    Ok(())
}

fn is_denied(error: &JournalError) -> bool {
    let JournalError::File { error, .. } = error else { return false };
    [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem].contains(&error.kind())
}
