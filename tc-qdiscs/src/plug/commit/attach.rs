//! How a session begins.

use std::io;
use std::os::fd::AsFd as _;

use tc_core::link::Link;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request, Transport, Verb};

use super::super::Plug;
use super::device::Device;
use super::epoch::SessionId;
use super::error::{Error, Network};
use super::guardian::Guardian;
use super::journal::{Journal, JournalDevice, JournalError};
use super::plan::{Held, OnDeath, Plan};
use super::process::{Process, current_netns};
use super::queues::QueueWatch;
use super::root::{Root, listed_root_of, open, root_of, shut};
use super::session::{OutputCommit, State};
use super::taint::LinkState;

impl OutputCommit {
    /// Puts a plug at the root of each device, in the network namespace of the
    /// calling thread, and leaves it open.
    ///
    /// Kernel: to swap a root qdisc it stops the device's queues
    /// (`dev_deactivate`), and **drops what is sent meanwhile**, which no counter
    /// shows and no sender is told. Seen on Linux 6.1, in a slow emulated machine:
    /// each time all that was sent in up to 59 ms, 2 to 150 datagrams of a flood.
    /// What the new plug takes in before it is open is held, and not lost.
    /// Attach before the guest runs, or where a sender sends again.
    ///
    /// A root qdisc that somebody chose is left alone: an error. So is a device
    /// that is down. After an error nothing of the session is left.
    pub fn attach(devices: &[&str], plan: Plan) -> Result<Self, Error> {
        let untouched = |error| Error::kernel(error, Network::Untouched);
        let mut tc = Connection::open().map_err(untouched)?;
        tc.set_timeout(plan.timeout).map_err(untouched)?;
        let mut monitor = Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK]).map_err(untouched)?;
        monitor.set_nonblocking(true).map_err(untouched)?;
        Self::attach_joined(tc, monitor, devices, plan, |monitor, queues| {
            queues.join(monitor.transport().as_fd())
        })
    }
}

/// A device that a session may have, and what is there of an earlier one.
struct Candidate {
    link: Link,
    /// The plug's handle, and the spare one.
    handles: [Handle; 2],
    /// What becomes of what the plug holds, if it is adopted.
    adopted: Option<Held>,
}

/// A session that was left, and what becomes of what it holds.
type Adopted = (Journal, Held);

impl<T: Transport> OutputCommit<T> {
    /// The same over any transport. The monitor must hear of traffic control and
    /// of devices, and must not wait; the connection's time limit counts, not
    /// the plan's.
    pub fn attach_over(
        tc: Connection<T>,
        monitor: Monitor<T>,
        devices: &[&str],
        plan: Plan,
    ) -> Result<Self, Error> {
        Self::attach_joined(tc, monitor, devices, plan, |_, _| Ok(()))
    }

    /// `join` makes one descriptor of those of the notices and the queue events.
    fn attach_joined(
        mut tc: Connection<T>,
        monitor: Monitor<T>,
        devices: &[&str],
        plan: Plan,
        join: impl FnOnce(&Monitor<T>, &mut QueueWatch) -> io::Result<()>,
    ) -> Result<Self, Error> {
        let left: Result<Vec<Adopted>, _> =
            plan.adopt.iter().map(|(path, held)| Ok((read_left(path)?, *held))).collect();
        let left = left.map_err(|error| Error::Journal { error, network: Network::Untouched })?;
        let candidates = candidates(&mut tc, devices, &plan, &left)?;
        let links = candidates.iter().map(|candidate| &candidate.link);
        let mut queues = QueueWatch::open(tc.transport(), links, &plan)?;
        if let Some(queues) = &mut queues {
            join(&monitor, queues).map_err(|error| {
                Error::Devices(format!("cannot wait for notices and queue events at once: {error}"))
            })?;
        }
        let journal = journal(&candidates, &plan)
            .map_err(|error| Error::Devices(format!("cannot tell this process from others: {error}")))?;
        let journal_path = journal.path_in(&plan.journal_dir);
        // What is written first can be cleaned up by whoever finds it, and who
        // watches first misses nothing: both before the first plug.
        let journaled = journal.write(&journal_path);
        journaled.map_err(|error| Error::Journal { error, network: Network::Untouched })?;
        let guardian = match &plan.on_death {
            OnDeath::StayClosed => Ok(None),
            OnDeath::OpenAfter { guardian, .. } => Guardian::arm(guardian, &journal).map(Some),
        };
        let guardian = guardian.map_err(|error| {
            restore(&left, &plan, &journal_path);
            Error::Guardian { error, network: Network::Untouched }
        })?;
        let mut session = Self {
            tc,
            monitor,
            queues,
            id: SessionId::next(),
            state: State::Open,
            devices: Vec::with_capacity(candidates.len()),
            epoch: 0,
            closed: None,
            tainted: Network::Unknown,
            guardian,
            journal,
            journal_path,
            fault: None,
            plan,
        };
        match session.put_plugs(&candidates) {
            Ok(()) => session.forget_left().map(|()| session),
            Err(error) => Err(session.undo(&candidates, error)),
        }
    }

    fn put_plugs(&mut self, candidates: &[Candidate]) -> Result<(), tc_core::Error> {
        for candidate in candidates {
            let device = self.put_plug(candidate)?;
            open(&mut self.tc, device.ifindex, device.handle)?;
            self.devices.push(device);
        }
        Ok(())
    }

    fn put_plug(&mut self, candidate: &Candidate) -> Result<Device, tc_core::Error> {
        let handles = candidate.handles;
        let mut device = Device::new(&candidate.link, handles, candidate.adopted.is_some());
        let plug = Plug::set_limit(self.plan.limit.get());
        match candidate.adopted {
            None => self.tc.apply_as_it_is(Verb::Add, &device.request(&plug)).map(|_| ())?,
            Some(Held::Drop) => {
                let (_, handle) = shut(&mut self.tc, device.ifindex, handles, self.plan.limit.get())?;
                device.is_now(handle);
            }
            Some(Held::Release) => {
                self.tc.apply_as_it_is(Verb::Change, &device.request(&plug)).map(|_| ())?
            }
        }
        Ok(device)
    }

    /// Takes away what was put, and returns the error with what leaves now. What
    /// was adopted stays, with our journal of it: it may hold packets.
    fn undo(mut self, candidates: &[Candidate], error: tc_core::Error) -> Error {
        let adopting = candidates.iter().any(|candidate| candidate.adopted.is_some());
        let mut left = false;
        for (device, candidate) in self.journal.devices.iter().zip(candidates) {
            // Also the one that failed: its plug may be there, not yet open.
            let removed = match root_of(&mut self.tc, device.ifindex) {
                Ok(Some(Root::Plug(handle)))
                    if candidate.adopted.is_none() && device.handles.contains(&handle) =>
                {
                    let request = Request::qdisc(device.ifindex).parent(Handle::ROOT).handle(handle);
                    self.tc.apply_as_it_is(Verb::Delete, &request).is_ok()
                }
                Ok(_) => true,
                Err(_) => false,
            };
            left |= !removed;
        }
        let untouched = !left && !adopting;
        let network = if untouched { Network::Untouched } else { Network::Unknown };
        if untouched {
            // The journal is what still tells of the plugs otherwise.
            let _left = Journal::delete(&self.journal_path);
        }
        match self.guardian.take() {
            // Nothing was promised to a client yet: what could not be taken away is better open.
            guardian if left && !adopting => drop(guardian),
            Some(guardian) => guardian.dismiss(),
            None => {}
        }
        Error::kernel(error, network)
    }

    /// The journals of the adopted sessions have been replaced by ours.
    fn forget_left(&self) -> Result<(), Error> {
        let others = self.plan.adopt.iter().map(|(path, _)| path).filter(|path| **path != self.journal_path);
        for path in others {
            Journal::delete(path).map_err(|error| Error::Journal { error, network: Network::Open })?;
        }
        Ok(())
    }

    /// Starts to watch the devices anew: what happened to them before is no
    /// news.
    pub(super) fn begin_watch(&mut self) -> Result<(), Error> {
        let _old_news = self.read_notices();
        for device in &mut self.devices {
            let link = match self.tc.link_by_index(device.ifindex) {
                Ok(link) => link,
                // What the plug's absence says is found out next.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(Error::kernel(error, Network::Untouched)),
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

fn read_left(path: &std::path::Path) -> Result<Journal, JournalError> {
    let left = Journal::read(path)?;
    left.check_left(path)?;
    Ok(left)
}

/// Puts back the journal that ours has overwritten, or takes ours away.
fn restore(left: &[Adopted], plan: &Plan, journal_path: &std::path::Path) {
    let overwritten = plan.adopt.iter().zip(left).find(|((path, _), _)| path == journal_path);
    let _done = match overwritten {
        Some((_, (journal, _))) => journal.write(journal_path),
        None => Journal::delete(journal_path),
    };
}

fn journal(candidates: &[Candidate], plan: &Plan) -> io::Result<Journal> {
    let device = |candidate: &Candidate| JournalDevice {
        ifindex: candidate.link.ifindex,
        name: candidate.link.name.clone(),
        handles: candidate.handles,
    };
    Ok(Journal {
        controller: Process::current()?,
        netns: current_netns()?,
        limit_bytes: plan.limit.get(),
        open_after: match &plan.on_death {
            OnDeath::StayClosed => None,
            OnDeath::OpenAfter { deadline, .. } => Some(*deadline),
        },
        devices: candidates.iter().map(device).collect(),
    })
}

/// Looks at all devices before any is touched.
fn candidates<T: Transport>(
    tc: &mut Connection<T>,
    names: &[&str],
    plan: &Plan,
    left: &[Adopted],
) -> Result<Vec<Candidate>, Error> {
    if names.is_empty() {
        return Err(Error::Devices("no device is given".to_owned()));
    }
    let most = tc_core::Pack::<T>::MOST;
    if names.len() > most {
        return Err(Error::Devices(format!("a session has {most} devices at most")));
    }
    let [one, other] = plan.handles;
    if one.is_unspec() || other.is_unspec() || one == other {
        return Err(Error::Devices(format!("{one} and {other} are no two handles")));
    }
    let mut found: Vec<Candidate> = Vec::with_capacity(names.len());
    for name in names {
        let link = tc.link_by_name(name).map_err(|error| Error::kernel(error, Network::Untouched))?;
        if found.iter().any(|candidate| candidate.link.ifindex == link.ifindex) {
            return Err(Error::Devices(format!("device {name} is given twice")));
        }
        found.push(candidate(tc, link, plan, left)?);
    }
    Ok(found)
}

/// Ethernet and one VLAN tag. Kernel: the device's own `hard_header_len` is not
/// told to anybody.
const HEADER: u32 = 14 + 4;

fn candidate<T: Transport>(
    tc: &mut Connection<T>,
    link: Link,
    plan: &Plan,
    left: &[Adopted],
) -> Result<Candidate, Error> {
    let device = link.name.clone();
    if !LinkState::of(&link).is_running() {
        return Err(Error::DeviceDown { device });
    }
    let (limit, least) = (plan.limit.get(), link.mtu.saturating_add(HEADER));
    if limit < least {
        return Err(Error::LimitTooSmall { device, limit, least });
    }
    // Its own spare handle goes with an adopted plug, so that whoever knew the
    // plug knows the one in its place.
    let adopt = |handle: Handle| {
        left.iter().find_map(|(journal, held)| {
            let named = journal.devices.iter().find(|device| device.ifindex == link.ifindex)?;
            match named.handles {
                [one, spare] if one == handle => Some(([one, spare], *held)),
                [spare, other] if other == handle => Some(([other, spare], *held)),
                _ => None,
            }
        })
    };
    let root = listed_root_of(tc, link.ifindex).map_err(|error| Error::kernel(error, Network::Untouched))?;
    match root {
        Root::Default => Ok(Candidate { link, handles: plan.handles, adopted: None }),
        Root::Plug(handle) => match adopt(handle) {
            Some((handles, held)) => Ok(Candidate { link, handles, adopted: Some(held) }),
            None => Err(Error::ForeignRoot { device, kind: "plug".to_owned(), handle }),
        },
        Root::Other(kind, handle) => Err(Error::ForeignRoot { device, kind, handle }),
    }
}
