//! The session of `plug hold` and `plug commit`.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use std::{io, thread};

use clap::ArgMatches;
use signal_hook::consts::SIGCHLD;
use tc_core::{Connection, Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{
    AttachOptions, Counts, Error, JournalError, Limit, OnAdopt, OnDrop, OrphanedSession, OutputCommit,
};
use tc_qdiscs::plug::place::{Place, PlaceError, Redirect, Side};
use tc_qdiscs::plug::ring::{Depth, Ring, RingOptions, Site};

use super::attach::stale;
use super::kept::Mode;
use super::output::Output;
use super::place::Placement;
use super::root_qdisc::{JournalRecord, Journals, Root};
use super::words;
use crate::context::failure::Failure;
use crate::context::report::Report;

/// A session, and what becomes of its plugs in the end.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) output: Output,
    /// The names of the devices, and their qdiscs.
    devices: Vec<(String, (i32, [Handle; 2]))>,
    /// In the devices' network namespace.
    tc: Connection,
    /// The journals of plugs of `plug attach`, as they were.
    lent: Vec<JournalRecord>,
}

impl Started {
    /// Ends the session in order: all packets leave. The plugs are deleted; those of
    /// `plug attach` are given back as they were.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.output.give_back().map_err(|error| error.to_string())?;
        let open = |why: String| format!("{why}; the network is open");
        let roots = if self.lent.is_empty() { Vec::new() } else { self.roots().map_err(open)? };
        for record in &self.lent {
            // Its handle is the spare one, if what it held had to be dropped.
            let ours = |root: &&Root| root.can_hold() && record.names(root.ifindex, root.handle);
            let Some(root) = roots.iter().find(ours) else { continue };
            let Some(limit) = NonZeroU32::new(record.limit_bytes()).map(Limit::bytes) else { continue };
            if root.is_prio() {
                let ring = OrphanedSession::read(&record.path).map_err(|error| open(error.to_string()))?;
                ring.limit_rings(&mut self.tc, limit).map_err(|error| open(error.to_string()))?;
                continue;
            }
            let plug = Plug::set_limit(limit.get());
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
        let Ok(roots) = Root::with_rings(&mut tc) else {
            return vec!["the plugs cannot be listed".to_owned()];
        };
        let state = |(dev, (ifindex, handles)): &(String, (i32, [Handle; 2]))| {
            let mut here = roots.iter().filter(|root| root.ifindex == *ifindex);
            if here.clone().any(|root| root.kind == "plug" || handles.contains(&root.handle)) {
                return None;
            }
            match here.find(|root| root.parent == Handle::ROOT) {
                Some(root) if !root.handle.is_unspec() => {
                    Some(format!("device {dev} has the root qdisc {} {}", root.kind, root.handle))
                }
                _ if tc.link_by_index(*ifindex).is_err_and(|error| error.is_not_found()) => {
                    Some(format!("device {dev} is gone"))
                }
                _ => Some(format!("device {dev} has no plug any more")),
            }
        };
        devices.iter().filter_map(state).collect()
    }

    /// How many devices the session has.
    pub(super) fn count(&self) -> usize {
        self.devices.len()
    }

    /// Warns of the journals that attaching has deleted, and of packets that it lost.
    pub(super) fn report_stale(&self, name: &str, report: &Report) {
        for path in self.output.stale_journals() {
            report.warning(&format!("plug {name}: {}", stale(path)));
        }
        if let Some(text) = purged(self.output.purged_packets()) {
            report.warning(&format!("plug {name}: {text}"));
        }
    }

    fn roots(&mut self) -> Result<Vec<Root>, String> {
        Root::with_rings(&mut self.tc).map_err(|failure| failure.to_string())
    }
}

/// A warning: packets that a new clsact purged.
pub(super) fn purged(packets: u64) -> Option<String> {
    (packets > 0).then(|| {
        format!("the clsact qdisc that was added dropped {packets} packets, which waited in the root qdisc")
    })
}

/// Attaches to the devices in the calling thread's network namespace. A plug or ring of
/// `plug attach` is taken over, and later given back; one that is not open is
/// refused.
pub(super) fn start(
    name: &str,
    devs: &[&str],
    words: &ArgMatches,
    placement: &Placement,
    on_drop: OnDrop,
) -> Result<Started, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Extension(format!("plug {name}: {error}"));
    // An ignored SIGCHLD is inherited, and hides the guardian's exit status.
    let unused = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGCHLD, unused)
        .map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let (on_taint, on_death) = words::the_policy(name, words)?;
    let journals = Journals::of(words);
    // Until the session has them: nobody may make them buffer in between.
    let _lock = journals.lock(name)?;
    let mut tc = Connection::open().map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let Claimed { sites, lent, by_plug } = claim(name, devs, placement, &journals, &mut tc)?;
    let attached = lent.iter().map(|(record, _)| record.limit_bytes());
    let limit = words::the_session_limit(name, words, attached)?;
    let mut options =
        AttachOptions::new(limit, on_taint, on_death).on_drop(on_drop).journal_dir(&journals.dir);
    for (record, _) in &lent {
        options = options.borrow(&record.path, OnAdopt::Release);
    }
    let attached = if by_plug {
        OutputCommit::attach(devs, options).map(|plug| Output::Plug(Box::new(plug)))
    } else {
        let mut options = RingOptions::new(options).redirect(placement.setup.clone());
        let lent = lent.iter().find_map(|(_, depth)| *depth);
        options.depth = placement.depth.or(lent).unwrap_or_default();
        Ring::attach(&sites, options).map(|ring| Output::Ring(Box::new(ring), Counts::default()))
    };
    let output = attached.map_err(|error| {
        let text = match &error {
            Error::Journal { error, network } if is_denied(error) => {
                format!("{error} (--journal-dir names another directory); {network}")
            }
            Error::Place { error, network } => format!("{error}{}; {network}", advice(error)),
            error => error.to_string(),
        };
        Failure::own(format!("plug {name}: {text}"), error.tc())
    })?;
    let names = devs.iter().map(|dev| (*dev).to_owned());
    let devices = names.zip(output.qdiscs()).collect();
    let lent = lent.into_iter().map(|(record, _)| record).collect();
    Ok(Started { output, devices, tc, lent })
}

/// The places of a session, and the plugs of `plug attach` that are there.
struct Claimed {
    sites: Vec<Site>,
    /// With the bands of those that are rings.
    lent: Vec<(JournalRecord, Option<Depth>)>,
    /// One plug at the root, and not a ring.
    by_plug: bool,
}

/// Finds the owners of the devices' plugs: an error if it is a session, and the
/// journals of `plug attach` if it is that.
fn claim(
    name: &str,
    devs: &[&str],
    placement: &Placement,
    journals: &Journals,
    tc: &mut Connection,
) -> Result<Claimed, Failure> {
    let failed = |why: String| Failure::Extension(format!("plug {name}: {}", Error::Devices(why)));
    let mut claimed = Claimed { sites: Vec::new(), lent: Vec::new(), by_plug: placement.is_plain_root() };
    for dev in devs {
        let ifindex = tc.ifindex(dev).map_err(|error| failed(error.to_string()))?;
        let mut place = placement.place;
        for root in Root::of_device(ifindex, tc)?.iter().filter(|root| root.can_hold()) {
            let there = place_of(root, ifindex, tc)?;
            // A hold of another place is somebody else's, and stays.
            if place.is_some_and(|place| place != there) {
                continue;
            }
            for record in journals.naming(root)? {
                let pid = record.journal.controller.pid;
                if record.is_alive() {
                    return Err(failed(format!("process {pid} has device {dev} in a session")));
                } else if !record.attached {
                    return Err(failed(format!(
                        "device {dev} was left by process {pid}, which died: see plug rescue"
                    )));
                }
                let is_plug = root.kind == "plug";
                if is_plug && placement.names_a_ring() {
                    let why = format!(
                        "device {dev} has one plug of plug attach: plug detach it before a ring is put there"
                    );
                    return Err(failed(why));
                }
                claimed.by_plug |= is_plug;
                is_open(dev, root, &record, tc).map_err(failed)?;
                place = Some(there);
                if claimed.lent.iter().all(|(other, _)| other.path != record.path) {
                    claimed.lent.push((record, root.depth));
                }
            }
        }
        claimed.sites.push(Site::new(*dev, place.unwrap_or_default()));
    }
    let rings = claimed.lent.iter().any(|(_, depth)| depth.is_some());
    if claimed.by_plug && rings {
        return Err(failed(
            "some devices have a plug of plug attach, and others a ring: hold them apart".to_owned(),
        ));
    }
    Ok(claimed)
}

/// The place that a ring or plug of a device has.
fn place_of(root: &Root, device: i32, tc: &mut Connection) -> Result<Place, Failure> {
    if root.ifindex == device {
        return Ok(if root.parent == Handle::ROOT { Place::Root } else { Place::Class(root.parent) });
    }
    let redirect = Redirect::of_ifb(tc, root.ifindex);
    let redirect = redirect.map_err(|error| Failure::own(format!("plug: {error}"), error.tc()))?;
    Ok(match redirect.map(|redirect| redirect.side()) {
        Some(Side::Ingress) => Place::Ingress,
        _ => Place::Egress,
    })
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
        let mut roots = Root::with_rings(tc).map_err(|error| error.to_string())?.into_iter();
        let same = |now: &Root| now.ifindex == root.ifindex && now.handle == root.handle;
        now = match roots.find(same) {
            Some(now) if now.can_hold() => now,
            _ => return Err(format!("device {dev}: its plug of plug attach is gone")),
        };
    }
    Ok(())
}

/// The words that lead on.
const fn advice(error: &PlaceError) -> &'static str {
    match error {
        PlaceError::NoModule { .. } => " (--where root needs sch_plug alone)",
        PlaceError::ForeignFilter { .. } => " (--pref names another priority)",
        PlaceError::DeviceIsIfb { .. } => " (--where root)",
        _ => "",
    }
}

fn is_denied(error: &JournalError) -> bool {
    let JournalError::File { error, .. } = error else { return false };
    [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem].contains(&error.kind())
}
