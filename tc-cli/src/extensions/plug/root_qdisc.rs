//! A device according to the kernel and according to journals.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use serde_json::{Value, json};
use tc_core::message::Entry;
use tc_core::{Connection, DumpRequest, Handle};
use tc_qdiscs::plug::commit::{Journal, JournalError, OrphanedSession};
use tc_qdiscs::plug::place::{PlaceError, Redirect, Side};
use tc_qdiscs::plug::ring::Depth;
use tc_qdiscs::prio::Prio;

use super::kept::{Kept, Lock};
use crate::context::failure::Failure;
use crate::context::session::Session;

/// The root qdisc of a device, or the prio of a ring below a class: observed, from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) ifindex: i32,
    pub(super) parent: Handle,
    /// The bands of a prio.
    pub(super) depth: Option<Depth>,
    pub(super) kind: String,
    pub(super) handle: Handle,
    pub(super) held_packets: u32,
    pub(super) held_bytes: u32,
    pub(super) dropped: u32,
    pub(super) sent_packets: u64,
    pub(super) sent_bytes: u64,
}

/// The contents of a journal: believed. They may be old, and the kernel does not
/// know them.
#[derive(Clone, Debug)]
pub(super) struct JournalRecord {
    pub(super) path: PathBuf,
    pub(super) journal: Journal,
    /// By `plug attach`, which has no controller.
    pub(super) attached: bool,
    /// The record of a plug of `plug attach`.
    pub(super) kept: Kept,
}

/// The journals of a directory: sessions in it, and in a directory below those
/// of `plug attach`, which nobody need be alive for.
#[derive(Clone, Debug)]
pub(super) struct Journals {
    pub(super) dir: PathBuf,
}

impl Root {
    /// The roots of all devices. It is a dump: a request for one qdisc looks
    /// like a change to those who have a session on it (before Linux 6.8).
    pub(super) fn all(tc: &mut Connection) -> Result<Vec<Self>, Failure> {
        let mut roots = Self::with_rings(tc)?;
        roots.retain(|root| root.parent == Handle::ROOT);
        Ok(roots)
    }

    /// The roots of all devices, and every prio: a ring can be below a class.
    pub(super) fn with_rings(tc: &mut Connection) -> Result<Vec<Self>, Failure> {
        let list = tc.list_confirmed(&DumpRequest::qdiscs()).map_err(Failure::List)?;
        let all = list.iter().filter_map(|entry| entry.entry().ok()).map(|entry| Self::of(&entry));
        Ok(all.filter(|root| root.parent == Handle::ROOT || root.is_prio()).collect())
    }

    /// The qdiscs that can hold the output of a device: those of the device, and of the IFBs that
    /// its packets are led to.
    pub(super) fn of_device(ifindex: i32, tc: &mut Connection) -> Result<Vec<Self>, Failure> {
        let devices = holders(ifindex, tc)?;
        let mut roots = Self::with_rings(tc)?;
        roots.retain(|root| devices.contains(&root.ifindex));
        Ok(roots)
    }

    /// Whether it can be a ring.
    pub(super) fn is_prio(&self) -> bool {
        self.kind == "prio"
    }

    /// Whether it can hold.
    pub(super) fn can_hold(&self) -> bool {
        self.kind == "plug" || self.is_prio()
    }

    /// The root of one device. Kernel: some defaults (`noqueue`) are not shown.
    pub(super) fn on(ifindex: i32, tc: &mut Connection) -> Result<Option<Self>, Failure> {
        Ok(Self::all(tc)?.into_iter().find(|root| root.ifindex == ifindex))
    }

    fn of(entry: &Entry<'_>) -> Self {
        let stats = entry.stats().ok().flatten().unwrap_or_default();
        let (basic, queue) = (stats.basic.unwrap_or_default(), stats.queue.unwrap_or_default());
        Self {
            ifindex: entry.header.ifindex,
            parent: entry.header.parent,
            depth: depth(entry),
            kind: entry.kind().unwrap_or("?").to_owned(),
            handle: entry.header.handle,
            held_packets: queue.qlen,
            held_bytes: queue.backlog,
            dropped: queue.drops,
            sent_packets: basic.packets,
            sent_bytes: basic.bytes,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "kind": self.kind, "handle": self.handle.to_string(),
            "held_packets": self.held_packets, "held_bytes": self.held_bytes,
            "dropped_packets": self.dropped,
            "sent_packets": self.sent_packets, "sent_bytes": self.sent_bytes,
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self { kind, handle, held_packets, held_bytes, dropped, sent_packets, sent_bytes, .. } = self;
        format!(
            "{kind} {handle} held {held_packets} packets {held_bytes} bytes, dropped {dropped}, \
             sent {sent_packets} packets {sent_bytes} bytes"
        )
    }
}

fn depth(entry: &Entry<'_>) -> Option<Depth> {
    let prio = entry.options_as::<Prio>().ok().flatten()?;
    u8::try_from(prio.bands).ok().and_then(|bands| Depth::new(bands).ok())
}

/// A device, and the IFBs of its redirects.
pub(super) fn holders(ifindex: i32, tc: &mut Connection) -> Result<Vec<i32>, Failure> {
    let mut devices = vec![ifindex];
    for side in [Side::Egress, Side::Ingress] {
        // A device of somebody else that has the name is not ours.
        match Redirect::find(tc, ifindex, side) {
            Ok(redirect) => devices.extend(redirect.map(|redirect| redirect.ifindex())),
            Err(PlaceError::NameTaken { .. }) => {}
            Err(error) => return Err(Failure::own(format!("plug: {error}"), error.tc())),
        }
    }
    Ok(devices)
}

impl JournalRecord {
    /// Whether it names this qdisc.
    pub(super) fn names(&self, ifindex: i32, handle: Handle) -> bool {
        self.journal.names(ifindex, handle)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "journal": self.path, "by": if self.attached { "attach" } else { "session" },
            "controller": self.journal.controller.pid, "alive": self.is_alive(),
            "on_death": if self.journal.open_after.is_some() { "open" } else { "closed" },
            "limit_bytes": self.limit_bytes(),
            "mode": self.attached.then(|| self.kept.mode.name()),
            "devices": self.journal.devices.iter().map(|device| &device.name).collect::<Vec<_>>(),
        })
    }

    /// The plug's limit, as far as these commands set it.
    pub(super) fn limit_bytes(&self) -> u32 {
        self.kept.limit_bytes.unwrap_or(self.journal.limit_bytes)
    }

    pub(super) fn to_text(&self) -> String {
        let limit = self.limit_bytes();
        if self.attached {
            return format!("attached, limit {limit} bytes, {}", self.kept.mode.name());
        }
        let life = if self.is_alive() { "alive" } else { "dead" };
        let death = if self.journal.open_after.is_some() { "open" } else { "closed" };
        let pid = self.journal.controller.pid;
        format!("session of process {pid} ({life}), limit {limit} bytes, on death {death}")
    }

    /// Whether somebody has the plug in a session.
    pub(super) fn is_alive(&self) -> bool {
        !self.attached && Journal::is_alive(&self.path).unwrap_or(false)
    }
}

impl Journals {
    pub(super) fn of(words: &ArgMatches) -> Self {
        Self { dir: words.get_one::<PathBuf>("journal-dir").cloned().unwrap_or_default() }
    }

    /// Where `plug attach` puts its own.
    pub(super) fn attached(&self) -> PathBuf {
        self.dir.join("attached")
    }

    /// The right to change plugs of `plug attach`.
    pub(super) fn lock(&self, name: &str) -> Result<Lock, Failure> {
        let dir = self.attached();
        Lock::take(&dir).map_err(|error| {
            Failure::System(format!(
                "plug {name}: cannot lock {}: {error}; nothing was changed",
                dir.display()
            ))
        })
    }

    /// All of this network namespace that can be read, sessions first, and what
    /// is wrong with the others.
    pub(super) fn read(&self) -> Result<(Vec<JournalRecord>, Vec<JournalError>), Failure> {
        let (mut records, mut wrong) = (Vec::new(), Vec::new());
        for (dir, attached) in [(self.dir.clone(), false), (self.attached(), true)] {
            for path in find(&dir)? {
                match Journal::read(&path) {
                    Ok(journal) if journal.is_here().unwrap_or(false) => {
                        let kept = if attached { Kept::read(&path) } else { Kept::NEW };
                        records.push(JournalRecord { path, journal, attached, kept });
                    }
                    Ok(_elsewhere) => {}
                    Err(error) => wrong.push(error),
                }
            }
        }
        Ok((records, wrong))
    }

    /// Those that name this root qdisc.
    pub(super) fn naming(&self, root: &Root) -> Result<Vec<JournalRecord>, Failure> {
        let (mut records, _wrong) = self.read()?;
        records.retain(|record| record.names(root.ifindex, root.handle));
        Ok(records)
    }
}

fn find(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    Journal::find(dir).map_err(|error| Failure::System(format!("{error}; nothing was changed")))
}

/// The plug of `plug attach` on a device, which nobody else has a claim to.
pub(super) fn attached_plug(
    name: &str,
    dev: &str,
    journals: &Journals,
    session: &mut Session<'_>,
) -> Result<(Root, JournalRecord), Failure> {
    let refuse =
        |why: String| Failure::Extension(format!("plug {name}: device {dev}: {why}; nothing was changed"));
    let ifindex = session.ifindex(dev)?;
    let roots = Root::of_device(ifindex, &mut session.kernel()?.0.connection)?;
    let own = roots.iter().find(|root| root.ifindex == ifindex && root.parent == Handle::ROOT).cloned();
    let mut found = Vec::new();
    for root in roots.into_iter().filter(Root::can_hold) {
        found.extend(journals.naming(&root)?.into_iter().map(|record| (root.clone(), record)));
    }
    let records: Vec<_> = found.iter().map(|(_, record)| record).collect();
    if let Some(record) = records.iter().find(|record| !record.attached) {
        let pid = record.journal.controller.pid;
        return Err(refuse(match record.is_alive() {
            true => format!("process {pid} has the plug in a session"),
            false => format!("the plug was left by process {pid}, which died: see plug rescue"),
        }));
    }
    match (found.into_iter().next(), own) {
        (Some(found), _) => Ok(found),
        (None, Some(root)) => {
            Err(refuse(format!("the root qdisc {} {} is not ours", root.kind, root.handle)))
        }
        (None, None) => Err(refuse("there is no plug, see plug attach".into())),
    }
}

/// Deletes journals of `plug attach` whose plugs are gone.
pub(super) fn forget_gone(journals: &Journals, tc: &mut Connection) -> Result<(), Failure> {
    let roots = Root::with_rings(tc)?;
    for record in journals.read()?.0.iter().filter(|record| record.attached) {
        let there = |root: &Root| root.can_hold() && record.names(root.ifindex, root.handle);
        // A journal that is locked is of an attach that has no plug yet.
        if !roots.iter().any(there) && OrphanedSession::read(&record.path).is_ok() {
            let _gone = Kept::forget(&record.path);
            // Another process may have deleted it.
            let _gone = fs::remove_file(&record.path);
        }
    }
    Ok(())
}
