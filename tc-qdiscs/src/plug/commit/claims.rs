//! The journals that name a device before a session attaches to it.

use std::collections::HashSet;
use std::path::PathBuf;

use tc_core::link::Link;
use tc_core::{Connection, Handle, Transport};

use super::error::{Error, NetworkState};
use super::folder::{Claim, Folder, is_locked};
use super::journal::{Journal, JournalError, file_error, random};
use super::ring::objects::{BLOCK, BLOCKS, block};
use super::root::{Root, listed_root_of};

/// The majors that sessions choose from, two each. Kernel: it chooses from 8001:
/// upwards; users write small numbers, or numbers that read as words.
const FIRST: u16 = 0x4000;
const PAIRS: u16 = 0x2000;

/// The journals of a directory, as far as they matter to a new session.
pub(super) struct Claims {
    /// Those that name one of its devices.
    found: Vec<Found>,
    /// All handles that the journals name.
    handles: HashSet<Handle>,
}

struct Found {
    path: PathBuf,
    journal: Journal,
    /// `None` while its session lives.
    claim: Option<Claim>,
}

impl Claims {
    /// Reads them, and locks those of dead sessions. The caller has the lock of
    /// the directory; `own` are the journals that the new session adopts.
    ///
    /// Must be called before the root qdiscs are looked at: a session that was
    /// attached, or that has died, by now has added no plug since.
    pub(super) fn read(folder: &Folder, own: &[&Claim], devices: &[Link]) -> Result<Self, JournalError> {
        let (mut found, mut handles) = (Vec::new(), HashSet::new());
        let paths = folder.journals().map_err(|error| file_error("find", folder.path(), error))?;
        for path in paths.into_iter().filter(|path| own.iter().all(|claim| !claim.is_at(path))) {
            // One that cannot be read proves nothing: the kernel then decides.
            let Ok(journal) = Journal::read(&path) else { continue };
            handles.extend(journal.devices.iter().flat_map(|device| device.handles));
            let named = |device: &Link| journal.names_device(device.ifindex);
            if !journal.is_here().unwrap_or(false) || !devices.iter().any(named) {
                continue;
            }
            // Without the wait of a rescue for readers of the lock.
            let alive = is_locked(&path).unwrap_or(false);
            match (!alive).then(|| Claim::take(&path)) {
                Some(Ok((claim, journal))) => found.push(Found { path, journal, claim: Some(claim) }),
                None | Some(Err(JournalError::Alive { .. })) => {
                    found.push(Found { path, journal, claim: None })
                }
                // It was deleted meanwhile.
                Some(Err(_)) => {}
            }
        }
        Ok(Self { found, handles })
    }

    /// Two handles that no journal names.
    pub(super) fn free_handles(&self) -> Option<[Handle; 2]> {
        let start = (random() % u64::from(PAIRS)) as u16;
        (0..PAIRS)
            .map(|step| FIRST + (start + step) % PAIRS * 2)
            .map(|major| [Handle::qdisc(major), Handle::qdisc(major + 1)])
            .find(|pair| pair.iter().all(|handle| !self.handles.contains(handle)))
    }

    /// The handles of a ring's prio and of its spare plug, in a block of which no journal
    /// names a handle.
    pub(super) fn free_block(&self) -> Option<[Handle; 2]> {
        let start = (random() % u64::from(BLOCKS)) as u16;
        let taken = |block: &[Handle; 2]| {
            let first = block[0].major();
            self.handles.iter().any(|handle| (first..first + BLOCK).contains(&handle.major()))
        };
        (0..BLOCKS).map(|step| block(start + step)).find(|block| !taken(block))
    }

    /// Fails if a session has a plug on one of these devices, or is about to put
    /// one there. Deletes the journals whose plugs are all gone, or taken over
    /// from an adopted session, and returns their paths.
    pub(super) fn settle<T: Transport>(
        self,
        tc: &mut Connection<T>,
        devices: &[(Link, Root)],
        adopted: &[&Journal],
    ) -> Result<Vec<PathBuf>, Error> {
        let taken_over = |ifindex, handle| adopted.iter().any(|journal| journal.names(ifindex, handle));
        let mut stale = Vec::new();
        for Found { path, journal, claim } in self.found {
            let mut named = devices.iter().filter(|(link, _)| journal.names_device(link.ifindex));
            let Some((first, _)) = named.clone().next() else { continue };
            let plug = named.find(
                |(link, root)| matches!(root, Root::Plug(handle) | Root::Ring(handle) if journal.names(link.ifindex, *handle)),
            );
            let pid = journal.controller.pid;
            match (claim, plug) {
                // It is attached, and has lost its plug here.
                (None, None) if journal.ready => {}
                (None, plug) => {
                    let device = plug.map_or(first, |(link, _)| link).name.clone();
                    return Err(Error::InUse { device, pid, journal: path });
                }
                (Some(_), Some((link, Root::Plug(handle) | Root::Ring(handle))))
                    if !taken_over(link.ifindex, *handle) =>
                {
                    return Err(Error::Orphaned { device: link.name.clone(), pid, journal: path });
                }
                // One that cannot be deleted stays, and stops no session.
                (Some(claim), _) => {
                    if !is_anywhere(tc, &journal, taken_over)? && claim.delete().is_ok() {
                        stale.push(path);
                    }
                }
            }
        }
        Ok(stale)
    }
}

/// Deletes the journals of dead sessions whose devices are all gone, such as IFBs that somebody
/// deleted, and returns their paths. The caller has the lock of the directory.
pub(super) fn forget_gone<T: Transport>(
    tc: &mut Connection<T>,
    folder: &Folder,
    own: &[&Claim],
) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::Journal { error, network: NetworkState::Untouched };
    let paths = folder.journals().map_err(|error| failed(file_error("find", folder.path(), error)))?;
    let mut gone = Vec::new();
    'journals: for path in paths.into_iter().filter(|path| own.iter().all(|claim| !claim.is_at(path))) {
        let Ok(journal) = Journal::read(&path) else { continue };
        if !journal.is_here().unwrap_or(false) || is_locked(&path).unwrap_or(true) {
            continue;
        }
        for device in &journal.devices {
            match tc.link_by_index(device.ifindex) {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(Error::kernel(error, NetworkState::Untouched)),
                Ok(_) => continue 'journals,
            }
        }
        // One that cannot be deleted stays, and stops no session.
        if Claim::take(&path).is_ok_and(|(claim, _)| claim.delete().is_ok()) {
            gone.push(path);
        }
    }
    Ok(gone)
}

/// Whether one of a journal's plugs is still there, and not taken over.
fn is_anywhere<T: Transport>(
    tc: &mut Connection<T>,
    journal: &Journal,
    taken_over: impl Fn(i32, Handle) -> bool,
) -> Result<bool, Error> {
    for device in &journal.devices {
        let root = listed_root_of(tc, device.ifindex);
        match root.map_err(|error| Error::kernel(error, NetworkState::Untouched))? {
            Root::Plug(handle) | Root::Ring(handle)
                if device.handles.contains(&handle) && !taken_over(device.ifindex, handle) =>
            {
                return Ok(true);
            }
            _ => {}
        }
    }
    Ok(false)
}
