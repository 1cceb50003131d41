//! Operations on the plugs of a session whose controller is dead.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tc_core::{Connection, Request, Transport, object};

use crate::plug::place::{Clsact, Redirect};

use super::error::{Error, NetworkState};
use super::folder::{Claim, Folder};
use super::journal::{Journal, JournalError, random};
use super::limit::Limit;
use super::options::OnAdopt;
use super::ring::objects::Objects;
use super::root::{at, delete, open_own, own_plug, own_ring};

/// A session that was left: its journal, in its own network namespace, and a
/// controller that is dead.
///
/// Which held packets belong to which epoch cannot be read back from the kernel:
/// all are released, or all dropped. To go on with them in a new session see
/// [`AttachOptions::adopt`](super::AttachOptions::adopt).
///
/// As long as this value lives it has the journal locked: no other rescue, and no
/// session, takes the plugs over.
#[derive(Debug)]
pub struct OrphanedSession {
    journal: Journal,
    claim: Claim,
}

impl OrphanedSession {
    /// Reads and locks the journal at `path`. Fails if its controller or its
    /// guardian lives, or the calling thread is in another network namespace.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        Journal::read(path)?.check_here(path)?;
        let (claim, journal) = Claim::take(path)?;
        Ok(Self { journal, claim })
    }

    /// The journal of the session.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(super) fn into_parts(self) -> (Claim, Journal) {
        (self.claim, self.journal)
    }

    /// Lets all go that is held; plugs and journal stay. Returns how many
    /// devices still had the session's plug.
    pub fn open<T: Transport>(&self, tc: &mut Connection<T>) -> Result<usize, Error> {
        let mut opened = 0;
        for device in &self.journal.devices {
            opened += usize::from(open_own(tc, device).map_err(unknown)?.is_some());
        }
        Ok(opened)
    }

    /// Starts to hold on the session's rings: every band holds. Devices without a ring are left alone.
    /// Returns how many hold.
    pub fn hold_rings<T: Transport>(&self, tc: &mut Connection<T>) -> Result<usize, Error> {
        let mut held = 0;
        for device in &self.journal.devices {
            if let Some(ring) = own_ring(tc, device).map_err(unknown)? {
                ring.hold(tc).map_err(unknown)?;
                held += 1;
            }
        }
        Ok(held)
    }

    /// Sets the limit of each band of the session's rings. Held packets stay, and devices without a
    /// ring are left alone. Returns how many rings were there.
    pub fn limit_rings<T: Transport>(&self, tc: &mut Connection<T>, limit: Limit) -> Result<usize, Error> {
        let mut limited = 0;
        for device in &self.journal.devices {
            if let Some(ring) = own_ring(tc, device).map_err(unknown)? {
                ring.set_limit(tc, limit.get()).map_err(unknown)?;
                limited += 1;
            }
        }
        Ok(limited)
    }

    /// Lets all go that is held, and leaves the plugs to whoever reads the
    /// journals in `dir`: there is one for each device that still had its plug,
    /// and the session's own is deleted. Returns how many.
    pub fn hand_over<T: Transport>(&self, tc: &mut Connection<T>, dir: &Path) -> Result<usize, Error> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let mut given = 0;
        let failed = |error| Error::Journal { error, network: NetworkState::Open };
        self.open(tc)?;
        let folder = Folder::make(dir).map_err(failed)?;
        folder.lock(PATIENCE).map_err(failed)?;
        let before = Journal::find(dir).map_err(failed)?;
        for device in &self.journal.devices {
            if open_own(tc, device).map_err(unknown)?.is_some() {
                let devices = vec![device.clone()];
                let one = Journal { session: random(), open_after: None, devices, ..self.journal.clone() };
                folder.add(&one).and_then(|mut claim| claim.ready()).map_err(failed)?;
                given += 1;
            }
        }
        // The plugs may have been lent by journals of this directory.
        for path in &before {
            let Ok((claim, old)) = Claim::take(path) else { continue };
            let names = |ifindex, handle| self.journal.names(ifindex, handle);
            let named = |device: &super::JournalDevice| {
                device.handles.iter().all(|handle| names(device.ifindex, *handle))
            };
            if old.netns == self.journal.netns && old.devices.iter().all(named) {
                claim.delete().map_err(failed)?;
            }
        }
        self.claim.delete().map_err(failed)?;
        Ok(given)
    }

    /// Deletes plugs and journal. Held packets leave before (the devices have `patience`
    /// for it), or are dropped. Returns the number of devices that still had the
    /// session's plug.
    pub fn remove<T: Transport>(
        &self,
        tc: &mut Connection<T>,
        held: OnAdopt,
        patience: Duration,
    ) -> Result<usize, Error> {
        if held == OnAdopt::Release {
            self.open(tc)?;
        }
        let mut removed = 0;
        for device in &self.journal.devices {
            if let Some(ring) = own_ring(tc, device).map_err(unknown)? {
                remove_ring(tc, &ring, &device.name, held, patience)?;
                removed += 1;
                continue;
            }
            let Some(handle) = own_plug(tc, device).map_err(unknown)? else { continue };
            if held == OnAdopt::Release {
                drain(tc, &at(device.ifindex, handle), &device.name, patience)?;
            }
            removed += usize::from(delete(tc, device.ifindex, handle).map_err(unknown)?);
        }
        self.claim.delete().map_err(|error| Error::Journal { error, network: NetworkState::Open })?;
        Ok(removed)
    }
}

/// Removes a ring, and the redirect to it. No packet that is dropped leaves: the ring goes
/// with the IFB.
fn remove_ring<T: Transport>(
    tc: &mut Connection<T>,
    ring: &Objects,
    name: &str,
    held: OnAdopt,
    patience: Duration,
) -> Result<(), Error> {
    let place = |error| Error::place(error, NetworkState::Unknown);
    let mut redirect = Redirect::of_ifb(tc, ring.ifindex()).map_err(place)?;
    if held == OnAdopt::Release {
        if let Some(redirect) = &mut redirect {
            redirect.disconnect(tc).map_err(place)?;
        }
        ring.drain(tc, redirect.as_ref(), name, patience)?;
    }
    match redirect {
        Some(redirect) => redirect.remove(tc, Clsact::Keep).map_err(place),
        None => ring.delete(tc).map(|_| ()).map_err(unknown),
    }
}

fn drain<T: Transport>(
    tc: &mut Connection<T>,
    request: &Request<'_, object::Qdisc>,
    name: &str,
    patience: Duration,
) -> Result<(), Error> {
    let since = Instant::now();
    loop {
        let entry = tc.get(request).map_err(unknown)?;
        let queue = entry.stats().ok().flatten().and_then(|stats| stats.queue);
        let packets = queue.map_or(0, |queue| queue.qlen);
        if packets == 0 {
            return Ok(());
        }
        if since.elapsed() > patience {
            return Err(Error::StillDraining { device: name.to_owned(), packets, waited: patience });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn unknown(error: tc_core::Error) -> Error {
    Error::kernel(error, NetworkState::Unknown)
}
