//! How a session begins.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use tc_core::link::Link;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Error as TcError, Handle, Transport, Verb};

use super::super::Plug;
use super::claims::Claims;
use super::device::Device;
use super::epoch::SessionId;
use super::error::{Error, NetworkState};
use super::folder::{Claim, Folder};
use super::guardian::Guardian;
use super::journal::{Journal, JournalDevice, JournalError, file_error, random};
use super::options::{AttachOptions, OnAdopt, OnDeath};
use super::orphaned::OrphanedSession;
use super::process::{NetnsId, Process};
use super::queues::QueueWatch;
use super::root::{Root, delete, listed_root_of};
use super::session::{OutputCommit, State};
use super::taint::LinkState;

impl OutputCommit {
    /// Puts a plug at the root of each device, in the network namespace of the
    /// calling thread, and leaves it open.
    ///
    /// Kernel: to swap a root qdisc it stops the device's queues (`dev_deactivate`),
    /// and **drops packets sent meanwhile**, without a counter and without an error
    /// for the sender. Seen on Linux 6.1, in a slow emulated machine: up to 59 ms, 2
    /// to 150 datagrams of a flood. Packets that reach the new plug before it is open
    /// are held, not lost. Attach before the guest runs, or where senders repeat.
    ///
    /// A root qdisc that somebody chose is left alone: an error. So is a device
    /// that is down. After an error nothing of the session is left.
    pub fn attach(devices: &[&str], options: AttachOptions) -> Result<Self, Error> {
        let untouched = |error| Error::kernel(error, NetworkState::Untouched);
        let mut tc = Connection::open().map_err(untouched)?;
        tc.set_timeout(options.timeout).map_err(untouched)?;
        let mut monitor = Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK]).map_err(untouched)?;
        monitor.set_nonblocking(true).map_err(untouched)?;
        Self::attach_joined(tc, monitor, devices, options, |monitor, queues| {
            queues.join(monitor.transport().as_fd())
        })
    }
}

/// A device that a session may have.
struct Candidate {
    link: Link,
    /// The plug's handle, and the spare one.
    handles: [Handle; 2],
    /// The fate of the held packets, if the plug is adopted.
    adopted: Option<OnAdopt>,
}

/// A session that is adopted.
pub(super) struct Adopted {
    pub(super) claim: Claim,
    pub(super) journal: Journal,
    pub(super) held: OnAdopt,
    /// Whether its journal stays.
    pub(super) borrowed: bool,
}

/// Whether a session added its plug.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Added {
    /// The kernel refused, or was not asked: the root qdisc is not ours.
    No,
    Yes,
    /// The answer was lost.
    Unknown,
}

impl<T: Transport> OutputCommit<T> {
    /// Attaches over any transport. The monitor must receive notices of traffic
    /// control and of devices, and must not wait. The connection's time limit applies,
    /// not that of the options.
    pub fn attach_over(
        tc: Connection<T>,
        monitor: Monitor<T>,
        devices: &[&str],
        options: AttachOptions,
    ) -> Result<Self, Error> {
        Self::attach_joined(tc, monitor, devices, options, |_, _| Ok(()))
    }

    /// `join` makes one descriptor of those of the notices and the queue events.
    fn attach_joined(
        mut tc: Connection<T>,
        monitor: Monitor<T>,
        devices: &[&str],
        options: AttachOptions,
        join: impl FnOnce(&Monitor<T>, &mut QueueWatch) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let failed = |error| Error::Journal { error, network: NetworkState::Untouched };
        let adopted = adopted(&options).map_err(failed)?;
        let links = links(&mut tc, devices, &options)?;
        let mut queues = QueueWatch::open(tc.transport(), links.iter(), &options)?;
        if let Some(queues) = &mut queues {
            join(&monitor, queues).map_err(|error| {
                Error::Devices(format!("cannot wait for notices and queue events at once: {error}"))
            })?;
        }
        let folder = Folder::make(&options.journal_dir).map_err(failed)?;
        folder.lock(options.timeout).map_err(failed)?;
        let (candidates, stale) = candidates(&mut tc, &folder, links, &options, &adopted)?;
        let journal = journal(&candidates, &options)
            .map_err(|error| Error::Devices(format!("cannot identify this process: {error}")))?;
        // A journal that is written first can be cleaned up by whoever finds it,
        // and a guardian that watches first misses nothing: both before the
        // first plug.
        let claim = folder.add(&journal).map_err(failed)?;
        // From here on others find the journal.
        drop(folder);
        let guardian = match &options.on_death {
            OnDeath::StayClosed => Ok(None),
            OnDeath::OpenAfter { guardian, .. } => Guardian::arm(guardian, &journal, &claim).map(Some),
        };
        let guardian = guardian.map_err(|error| {
            let _left = claim.delete();
            Error::Guardian { error, network: NetworkState::Untouched }
        })?;
        let device = |candidate: &Candidate| {
            Device::new(&candidate.link, candidate.handles, candidate.adopted.is_some())
        };
        let mut session = Self {
            tc,
            monitor,
            queues,
            id: SessionId::next(),
            state: State::Open,
            devices: candidates.iter().map(device).collect(),
            epoch: 0,
            closed: None,
            tainted: NetworkState::Unknown,
            guardian,
            journal,
            claim,
            borrowed: Vec::new(),
            stale,
            fault: None,
            options,
        };
        let mut added = vec![Added::No; candidates.len()];
        match session.put_plugs(&candidates, &mut added) {
            Ok(()) => session.settle(adopted).map(|()| session),
            Err(error) => Err(session.undo(&candidates, &added, error)),
        }
    }

    /// Puts and opens all plugs.
    ///
    /// The two requests for a device are one send, which the kernel carries out
    /// whole: a controller that is killed leaves no new plug closed. The kernel
    /// carries the second one out if the first one fails too, so this takes
    /// handles that no other plug has: where the options set the handles, the plugs
    /// are opened by a separate send.
    fn put_plugs(&mut self, candidates: &[Candidate], added: &mut [Added]) -> Result<(), TcError> {
        let Self { tc, devices, options, .. } = self;
        let (limit, open) = (Plug::set_limit(options.limit.get()), Plug::release_indefinite());
        let (mut first, mut second) = (Vec::with_capacity(2 * devices.len()), Vec::new());
        for (at, (device, candidate)) in devices.iter_mut().zip(candidates).enumerate() {
            let verb = match candidate.adopted {
                None => Verb::Add,
                Some(OnAdopt::Release) => Verb::Change,
                Some(OnAdopt::Drop) => {
                    // Kernel: a replace does not name what it replaces, so the
                    // plug is looked for right before.
                    tc.get(&device.address())?;
                    device.is_now(device.spare);
                    Verb::Replace
                }
            };
            first.push((at, verb, &limit));
            let shared = verb == Verb::Add && options.handles.is_some();
            if shared { &mut second } else { &mut first }.push((at, Verb::Change, &open));
        }
        for requests in [first, second] {
            for requests in requests.chunks(tc_core::RequestGroup::<T>::MOST) {
                send(tc, devices, requests, added)?;
            }
        }
        Ok(())
    }

    /// Deletes the plugs that this session added, and nothing else; returns the error
    /// with the network's state. Adopted plugs stay, and so does their journal: they
    /// may hold packets.
    fn undo(mut self, candidates: &[Candidate], added: &[Added], error: TcError) -> Error {
        let adopting = candidates.iter().any(|candidate| candidate.adopted.is_some());
        let mut left = false;
        for (device, added) in self.devices.iter().zip(added) {
            left |= match added {
                Added::No => false,
                // Another plug can have the handles that options set.
                Added::Unknown if self.options.handles.is_some() => true,
                _ => delete(&mut self.tc, device.ifindex, device.handle).is_err(),
            };
        }
        if !left {
            // It is the only trace of the plugs otherwise.
            let _left = self.claim.delete();
        }
        let untouched = !left && !adopting;
        match self.guardian.take() {
            // Nothing was promised to a client yet: a plug that cannot be
            // deleted is better open.
            guardian if left && !adopting => drop(guardian),
            Some(guardian) => guardian.dismiss(),
            None => {}
        }
        Error::kernel(error, if untouched { NetworkState::Untouched } else { NetworkState::Unknown })
    }

    /// The session has its plugs: the journals of the adopted sessions go, and
    /// its own shows that it is attached.
    fn settle(&mut self, adopted: Vec<Adopted>) -> Result<(), Error> {
        let failed = |error| Error::Journal { error, network: NetworkState::Open };
        for Adopted { claim, borrowed, .. } in adopted {
            if borrowed {
                self.borrowed.push(claim);
            } else {
                claim.delete().map_err(failed)?;
            }
        }
        // Without the mark the session looks as if it were attaching, which is safe.
        let _unmarked = self.claim.ready();
        Ok(())
    }

    /// Starts to watch the devices. Earlier changes do not count.
    pub(super) fn begin_watch(&mut self) -> Result<(), Error> {
        let _old_news = self.read_notices();
        for device in &mut self.devices {
            let link = match self.tc.link_by_index(device.ifindex) {
                Ok(link) => link,
                // The next step finds out why the plug is absent.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(Error::kernel(error, NetworkState::Untouched)),
            };
            device.link = LinkState::of(&link);
            device.name = link.name;
            if !device.link.is_running() {
                return Err(Error::DeviceDown { device: device.name.clone() });
            }
        }
        Ok(())
    }
}

/// Sends requests to the plugs of devices, notes which were added, and returns
/// the first failure.
fn send<T: Transport>(
    tc: &mut Connection<T>,
    devices: &[Device],
    requests: &[(usize, Verb, &Plug)],
    added: &mut [Added],
) -> Result<(), TcError> {
    let mut pack = tc.group();
    for (at, verb, plug) in requests {
        pack.push(*verb, &devices[*at].request(plug))?;
    }
    let mut failed = None;
    pack.send(|index, outcome| {
        let Some((at, verb, plug)) = requests.get(index) else { return };
        if *verb == Verb::Add {
            added[*at] = match &outcome {
                Ok(_) => Added::Yes,
                Err(cause) if cause.is_outcome_unknown() => Added::Unknown,
                Err(_) => Added::No,
            };
        }
        if let (Err(cause), None) = (outcome, &failed) {
            failed = Some(TcError::new(verb.name(), devices[*at].request(plug).describe(), cause));
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Locks the sessions that are adopted.
pub(super) fn adopted(options: &AttachOptions) -> Result<Vec<Adopted>, JournalError> {
    let adopt = |(path, held): &(PathBuf, OnAdopt)| {
        let (claim, journal) = OrphanedSession::read(path)?.into_parts();
        Ok(Adopted { claim, journal, held: *held, borrowed: options.borrow.contains(path) })
    };
    options.adopt.iter().map(adopt).collect()
}

fn journal(candidates: &[Candidate], options: &AttachOptions) -> io::Result<Journal> {
    let device = |candidate: &Candidate| JournalDevice {
        ifindex: candidate.link.ifindex,
        name: candidate.link.name.clone(),
        handles: candidate.handles,
    };
    Ok(Journal {
        session: random(),
        controller: Process::current()?,
        netns: NetnsId::current()?,
        limit_bytes: options.limit.get(),
        open_after: match &options.on_death {
            OnDeath::StayClosed => None,
            OnDeath::OpenAfter { deadline, .. } => Some(*deadline),
        },
        devices: candidates.iter().map(device).collect(),
        ready: false,
    })
}

/// Ethernet and one VLAN tag. Kernel: the device's own `hard_header_len` is not
/// reported.
pub(super) const HEADER: u32 = 14 + 4;

/// The devices of these names, each one up and given once.
fn links<T: Transport>(
    tc: &mut Connection<T>,
    names: &[&str],
    options: &AttachOptions,
) -> Result<Vec<Link>, Error> {
    if names.is_empty() {
        return Err(Error::Devices("no device is given".to_owned()));
    }
    let most = tc_core::RequestGroup::<T>::MOST;
    if names.len() > most {
        return Err(Error::Devices(format!("a session has {most} devices at most")));
    }
    if let Some([one, other]) = options.handles
        && (one.is_unspec() || other.is_unspec() || one == other)
    {
        return Err(Error::Devices(format!("{one} and {other} are no two handles")));
    }
    let mut found: Vec<Link> = Vec::with_capacity(names.len());
    for name in names {
        let link = tc.link_by_name(name).map_err(|error| Error::kernel(error, NetworkState::Untouched))?;
        if found.iter().any(|other| other.ifindex == link.ifindex) {
            return Err(Error::Devices(format!("device {name} is given twice")));
        }
        let device = link.name.clone();
        if !LinkState::of(&link).is_running() {
            return Err(Error::DeviceDown { device });
        }
        let (limit, least) = (options.limit.get(), link.mtu.saturating_add(HEADER));
        if limit < least {
            return Err(Error::LimitTooSmall { device, limit, least });
        }
        found.push(link);
    }
    Ok(found)
}

/// Finds the owners of the devices, before any is touched. Returns them with the
/// handles of their plugs, and the journals that were stale.
fn candidates<T: Transport>(
    tc: &mut Connection<T>,
    folder: &Folder,
    links: Vec<Link>,
    options: &AttachOptions,
    adopted: &[Adopted],
) -> Result<(Vec<Candidate>, Vec<PathBuf>), Error> {
    let failed = |error| Error::Journal { error, network: NetworkState::Untouched };
    folder.sweep().map_err(|error| failed(file_error("find", folder.path(), error)))?;
    let own: Vec<_> = adopted.iter().map(|adopted| &adopted.claim).collect();
    let claims = Claims::read(folder, &own, &links).map_err(failed)?;
    let free = options.handles.or_else(|| claims.free_handles());
    let mut devices = Vec::with_capacity(links.len());
    for link in links {
        let root = listed_root_of(tc, link.ifindex);
        devices.push((link, root.map_err(|error| Error::kernel(error, NetworkState::Untouched))?));
    }
    let journals: Vec<_> = adopted.iter().map(|adopted| &adopted.journal).collect();
    let stale = claims.settle(tc, &devices, &journals)?;
    let free = free.ok_or_else(|| Error::Devices("the journals name all handles".to_owned()))?;
    let candidates: Result<_, _> =
        devices.into_iter().map(|(link, root)| candidate(link, root, free, adopted)).collect();
    Ok((candidates?, stale))
}

fn candidate(link: Link, root: Root, free: [Handle; 2], adopted: &[Adopted]) -> Result<Candidate, Error> {
    // An adopted plug keeps its spare handle, so that those who know the plug know
    // its replacement.
    let adopt = |handle: Handle| {
        adopted.iter().find_map(|Adopted { journal, held, .. }| {
            let named = journal.devices.iter().find(|device| device.ifindex == link.ifindex)?;
            match named.handles {
                [one, spare] if one == handle => Some(([one, spare], *held)),
                [spare, other] if other == handle => Some(([other, spare], *held)),
                _ => None,
            }
        })
    };
    let (kind, handle) = match root {
        Root::Default => return Ok(Candidate { link, handles: free, adopted: None }),
        Root::Plug(handle) => match adopt(handle) {
            Some((handles, held)) => return Ok(Candidate { link, handles, adopted: Some(held) }),
            None => ("plug".to_owned(), handle),
        },
        Root::Ring(handle) => ("prio".to_owned(), handle),
        Root::Other(kind, handle) => (kind, handle),
    };
    Err(Error::ForeignRoot { device: link.name, kind, handle })
}
