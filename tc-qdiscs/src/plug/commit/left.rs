//! What to do with the plugs of a session whose controller is dead.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tc_core::{Connection, Handle, Request, Transport, Verb, object};

use super::error::{Error, Network};
use super::journal::{Journal, JournalError};
use super::plan::Held;
use super::root::{open, own_plug};

/// A session that was left behind: its journal, in its own network namespace,
/// and a controller that is dead.
///
/// Which held packets belong to which epoch cannot be read back from the kernel:
/// all are released, or all dropped. To go on with them in a new session see
/// [`Plan::adopt`](super::Plan::adopt).
#[derive(Debug)]
pub struct Left {
    journal: Journal,
    path: PathBuf,
}

impl Left {
    /// Reads the journal at `path`. An error if its controller lives, or the
    /// calling thread is in another network namespace.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let journal = Journal::read(path)?;
        journal.check_left(path)?;
        Ok(Self { journal, path: path.to_owned() })
    }

    /// What was left.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Lets all go that is held; plugs and journal stay. Returns how many
    /// devices still had the session's plug.
    pub fn open<T: Transport>(&self, tc: &mut Connection<T>) -> Result<usize, Error> {
        let mut opened = 0;
        for device in &self.journal.devices {
            if let Some(handle) = own_plug(tc, device).map_err(unknown)? {
                open(tc, device.ifindex, handle).map_err(unknown)?;
                opened += 1;
            }
        }
        Ok(opened)
    }

    /// Lets all go that is held, and leaves the plugs to whoever reads the
    /// journals in `dir`: there is one for each device that still had its plug,
    /// in place of the session's. Returns how many.
    pub fn hand_over<T: Transport>(&self, tc: &mut Connection<T>, dir: &Path) -> Result<usize, Error> {
        let mut given = 0;
        let journal = |error| Error::Journal { error, network: Network::Open };
        self.open(tc)?;
        for device in &self.journal.devices {
            if own_plug(tc, device).map_err(unknown)?.is_some() {
                let one = Journal { open_after: None, devices: vec![device.clone()], ..self.journal.clone() };
                one.write(&one.path_in(dir)).map_err(journal)?;
                given += 1;
            }
        }
        Journal::delete(&self.path).map_err(journal)?;
        Ok(given)
    }

    /// Takes plugs and journal away; what is held leaves before (for which the
    /// devices have `patience`), or is dropped. Returns how many devices still
    /// had the session's plug.
    pub fn remove<T: Transport>(
        &self,
        tc: &mut Connection<T>,
        held: Held,
        patience: Duration,
    ) -> Result<usize, Error> {
        if held == Held::Release {
            self.open(tc)?;
        }
        let mut removed = 0;
        for device in &self.journal.devices {
            let Some(handle) = own_plug(tc, device).map_err(unknown)? else { continue };
            let request = Request::qdisc(device.ifindex).parent(Handle::ROOT).handle(handle);
            if held == Held::Release {
                drain(tc, &request, &device.name, patience)?;
            }
            tc.apply_as_it_is(Verb::Delete, &request).map_err(unknown)?;
            removed += 1;
        }
        let deleted = Journal::delete(&self.path);
        deleted.map_err(|error| Error::Journal { error, network: Network::Open })?;
        Ok(removed)
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
    Error::kernel(error, Network::Unknown)
}
