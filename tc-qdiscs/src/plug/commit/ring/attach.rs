//! How a ring session begins.

use std::io;
use std::path::PathBuf;

use tc_core::link::Link;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Handle, Transport};

use super::build::{build, take_over};
use super::figures::{BandCounters, EpochFigures};
use super::objects::Objects;
use super::options::{RingOptions, Site};
use super::session::{Ring, RingSite};
use crate::plug::commit::attach::{Adopted, HEADER, adopted};
use crate::plug::commit::claims::{Claims, forget_gone};
use crate::plug::commit::epoch::SessionId;
use crate::plug::commit::error::{Error, NetworkState};
use crate::plug::commit::folder::Folder;
use crate::plug::commit::guardian::Guardian;
use crate::plug::commit::journal::{Journal, JournalDevice, file_error, random};
use crate::plug::commit::options::{OnAdopt, OnDeath, OnTaint};
use crate::plug::commit::process::{NetnsId, Process};
use crate::plug::commit::root::{Root, listed_root_of};
use crate::plug::place::{Clsact, Place, PlaceError, Redirect, Side};
use crate::plug::ring::Depth;
use crate::plug::ring::machine::{Machine, Policy};

impl Ring {
    /// Puts a ring at each site, in the network namespace of the calling thread, and leaves
    /// it open.
    ///
    /// Kernel: a clsact qdisc that is new on a device, and a ring at the root or below a
    /// class, reset queues of the device: packets of this moment can be lost. Attach before
    /// the guest runs, or where senders repeat. On a device that has a clsact qdisc nothing
    /// is lost.
    ///
    /// Objects of others are left alone: an error. After an error nothing of the session is
    /// left.
    pub fn attach(sites: &[Site], options: impl Into<RingOptions>) -> Result<Self, Error> {
        let options = options.into();
        let untouched = |error| Error::kernel(error, NetworkState::Untouched);
        let mut tc = Connection::open().map_err(untouched)?;
        tc.set_timeout(options.attach.timeout).map_err(untouched)?;
        let mut monitor = Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK]).map_err(untouched)?;
        monitor.set_nonblocking(true).map_err(untouched)?;
        Self::attach_over(tc, monitor, sites, options)
    }
}

/// A site on the way to its ring.
struct Candidate {
    link: Link,
    place: Place,
    redirect: Option<Redirect>,
    /// The device of the ring: the IFB, if there is one by now, or the device itself.
    target: Option<Link>,
    /// The handle of a ring that is adopted, and the fate of its packets.
    adopted: Option<(Handle, OnAdopt)>,
}

impl<T: Transport> Ring<T> {
    /// Attaches over any transport. The monitor must receive notices of traffic control and
    /// of devices, and must not wait. The connection's time limit applies, not that of the options.
    pub fn attach_over(
        mut tc: Connection<T>,
        monitor: Monitor<T>,
        sites: &[Site],
        options: impl Into<RingOptions>,
    ) -> Result<Self, Error> {
        let options = options.into();
        let failed = |error| Error::Journal { error, network: NetworkState::Untouched };
        let adopted = adopted(&options.attach).map_err(failed)?;
        let mut candidates = find(&mut tc, sites, &options)?;
        let folder = Folder::make(&options.attach.journal_dir).map_err(failed)?;
        folder.lock(options.attach.timeout).map_err(failed)?;
        let (block, stale) = settle(&mut tc, &folder, &mut candidates, &options, &adopted)?;
        // The IFBs come first: the journal names them.
        if let Err(error) = prepare(&mut tc, &mut candidates, &options) {
            return Err(undo_redirects(&mut tc, candidates, error));
        }
        let handles = |candidate: &Candidate| match candidate.adopted {
            Some((root, _)) => [root, Handle::qdisc(root.major() + 1)],
            None => block,
        };
        let journal = match journal(&candidates, handles, &options) {
            Ok(journal) => journal,
            Err(error) => {
                let error = Error::Devices(format!("cannot identify this process: {error}"));
                return Err(undo_redirects(&mut tc, candidates, error));
            }
        };
        let claim = match folder.add(&journal) {
            Ok(claim) => claim,
            Err(error) => return Err(undo_redirects(&mut tc, candidates, failed(error))),
        };
        // From here on others find the journal.
        drop(folder);
        let guardian = match &options.attach.on_death {
            OnDeath::StayClosed => Ok(None),
            OnDeath::OpenAfter { guardian, .. } => Guardian::arm(guardian, &journal, &claim).map(Some),
        };
        let guardian = match guardian {
            Ok(guardian) => guardian,
            Err(error) => {
                let _left = claim.delete();
                let error = Error::Guardian { error, network: NetworkState::Untouched };
                return Err(undo_redirects(&mut tc, candidates, error));
            }
        };
        let policy = match options.attach.on_taint {
            OnTaint::FailClosed => Policy::Close,
            OnTaint::FailOpen => Policy::Open,
        };
        let site = |candidate: Candidate| {
            let [root, _] = handles(&candidate);
            let ifindex = candidate.target.as_ref().map_or(candidate.link.ifindex, |link| link.ifindex);
            let parent = match candidate.place {
                Place::Class(class) => class,
                _ => Handle::ROOT,
            };
            let is_new = candidate.redirect.as_ref().is_some_and(Redirect::is_new);
            let site = RingSite {
                name: candidate.link.name,
                device: candidate.link.ifindex,
                place: candidate.place,
                redirect: candidate.redirect,
                adopted: candidate.adopted.is_some(),
                objects: Objects::new(ifindex, parent, root, options.depth),
                bands: [BandCounters::default(); Depth::MOST as usize],
                drops_before: 0,
            };
            (site, Undo { is_new, adopted: candidate.adopted.map(|(_, held)| held), built: false })
        };
        let (sites, mut undo): (Vec<_>, Vec<_>) = candidates.into_iter().map(site).unzip();
        let mut ring = Self {
            machine: Machine::new(options.depth, sites.len() as u8, policy),
            tc,
            monitor,
            id: SessionId::next(),
            sites,
            figures: [EpochFigures::default(); Depth::MOST as usize],
            guardian,
            journal,
            claim,
            borrowed: Vec::new(),
            stale,
            fault: None,
            tainted: NetworkState::Unknown,
            ended: None,
            overtaken: 0,
            carried: 0,
            dropped: 0,
            options,
        };
        match ring.put(&mut undo) {
            Ok(()) => ring.settled(adopted).map(|()| ring),
            Err(error) => Err(ring.undo(&undo, error)),
        }
    }

    /// Makes the rings, and then leads the devices' packets to them.
    fn put(&mut self, undo: &mut [Undo]) -> Result<(), Error> {
        let Self { tc, sites, options, .. } = self;
        let limit = options.attach.limit.get();
        for (site, undo) in sites.iter_mut().zip(undo) {
            match undo.adopted {
                None => {
                    undo.built = true;
                    build(tc, &site.objects, limit)
                        .map_err(|error| Error::kernel(error, NetworkState::Untouched))?;
                }
                Some(held) => {
                    let (ifindex, root) = (site.objects.ifindex, site.objects.root);
                    let found = Objects::find(tc, ifindex, root);
                    let found = found.map_err(|error| Error::kernel(error, NetworkState::Unknown))?;
                    if let Some(found) = found {
                        site.objects = found;
                    }
                    let (name, patience) = (&site.name, options.attach.drain_time);
                    take_over(tc, &mut site.objects, held, name, limit, patience)?;
                    let queue = site.objects.queue(tc);
                    let queue = queue.map_err(|error| Error::kernel(error, NetworkState::Open))?;
                    site.drops_before = queue.drops;
                }
            }
        }
        for site in sites {
            if let Some(redirect) = &mut site.redirect {
                redirect.connect(tc).map_err(|error| Error::place(error, NetworkState::Untouched))?;
            }
        }
        Ok(())
    }

    /// The journals of the adopted sessions go, and the own one shows that the session is
    /// attached.
    fn settled(&mut self, adopted: Vec<Adopted>) -> Result<(), Error> {
        for Adopted { claim, borrowed, .. } in adopted {
            if borrowed {
                self.borrowed.push(claim);
            } else {
                claim.delete().map_err(|error| Error::Journal { error, network: NetworkState::Open })?;
            }
        }
        // Without the mark the session looks as if it were attaching, which is safe.
        let _unmarked = self.claim.ready();
        Ok(())
    }

    /// Removes what this attach made; returns the error with the network's state. Adopted
    /// rings stay, and so does their journal: they may hold packets.
    fn undo(mut self, undo: &[Undo], error: Error) -> Error {
        let adopting = undo.iter().any(|undo| undo.adopted.is_some());
        let mut left = false;
        for (site, undo) in self.sites.iter_mut().zip(undo) {
            if undo.is_new {
                let redirect = site.redirect.take();
                let removed = redirect.map(|redirect| redirect.remove(&mut self.tc, Clsact::Remove));
                left |= matches!(removed, Some(Err(_)));
            } else if undo.built && undo.adopted.is_none() {
                left |= site.objects.delete(&mut self.tc).is_err();
            }
        }
        if !left {
            // It is the only trace of the rings otherwise.
            let _left = self.claim.delete();
        }
        match self.guardian.take() {
            guardian if left && !adopting => drop(guardian),
            Some(guardian) => guardian.dismiss(),
            None => {}
        }
        let network = if left || adopting { NetworkState::Unknown } else { NetworkState::Untouched };
        match error {
            Error::Kernel { error, .. } => Error::Kernel { error, network },
            Error::Place { error, .. } => Error::Place { error, network },
            other => other,
        }
    }
}

/// The objects that an attach has made at a site.
struct Undo {
    /// Its IFB is new.
    is_new: bool,
    /// Its ring is adopted, with this fate of the held packets.
    adopted: Option<OnAdopt>,
    /// Its ring was asked for.
    built: bool,
}

/// The devices of the sites, and the IFBs that are there. Changes nothing.
fn find<T: Transport>(
    tc: &mut Connection<T>,
    sites: &[Site],
    options: &RingOptions,
) -> Result<Vec<Candidate>, Error> {
    let untouched = |error| Error::kernel(error, NetworkState::Untouched);
    if sites.is_empty() {
        return Err(Error::Devices("no device is given".to_owned()));
    }
    let most = usize::from(options.depth.devices());
    if sites.len() > most {
        let bands = options.depth.bands();
        return Err(Error::Devices(format!("a ring of {bands} bands has {most} devices at most")));
    }
    if options.attach.handles.is_some() {
        return Err(Error::Devices("a ring chooses its own handles".to_owned()));
    }
    let mut found: Vec<Candidate> = Vec::with_capacity(sites.len());
    for Site { device, place } in sites {
        let link = tc.link_by_name(device).map_err(untouched)?;
        if found.iter().any(|other| other.link.ifindex == link.ifindex && other.place == *place) {
            return Err(Error::Devices(format!("device {device} is given twice at one place")));
        }
        let (limit, least) = (options.attach.limit.get(), link.mtu.saturating_add(HEADER));
        if limit < least {
            return Err(Error::LimitTooSmall { device: link.name, limit, least });
        }
        let redirect = match place.side() {
            None => None,
            Some(side) => find_redirect(tc, link.ifindex, side)?,
        };
        let target = match (&redirect, place.side()) {
            (Some(redirect), _) => Some(tc.link_by_index(redirect.ifindex()).map_err(untouched)?),
            (None, Some(_)) => None,
            (None, None) => Some(link.clone()),
        };
        found.push(Candidate { link, place: *place, redirect, target, adopted: None });
    }
    Ok(found)
}

fn find_redirect<T: Transport>(
    tc: &mut Connection<T>,
    device: i32,
    side: Side,
) -> Result<Option<Redirect>, Error> {
    Redirect::find(tc, device, side).map_err(|error| Error::place(error, NetworkState::Untouched))
}

/// Finds the owners of the devices and IFBs, before any is touched. Returns the handles
/// of the new rings, and the journals that were stale.
fn settle<T: Transport>(
    tc: &mut Connection<T>,
    folder: &Folder,
    candidates: &mut [Candidate],
    options: &RingOptions,
    adopted: &[Adopted],
) -> Result<([Handle; 2], Vec<PathBuf>), Error> {
    let failed = |error| Error::Journal { error, network: NetworkState::Untouched };
    let untouched = |error| Error::kernel(error, NetworkState::Untouched);
    folder.sweep().map_err(|error| failed(file_error("find", folder.path(), error)))?;
    let targets: Vec<Link> = candidates.iter().filter_map(|candidate| candidate.target.clone()).collect();
    let own: Vec<_> = adopted.iter().map(|adopted| &adopted.claim).collect();
    let claims = Claims::read(folder, &own, &targets).map_err(failed)?;
    let block = claims.free_block();
    let mut roots = Vec::with_capacity(targets.len());
    for link in targets {
        let root = listed_root_of(tc, link.ifindex).map_err(untouched)?;
        roots.push((link, root));
    }
    let journals: Vec<_> = adopted.iter().map(|adopted| &adopted.journal).collect();
    let mut stale = claims.settle(tc, &roots, &journals)?;
    stale.extend(forget_gone(tc, folder, &own)?);
    for candidate in candidates.iter_mut() {
        let Some(target) = &candidate.target else { continue };
        let root = roots.iter().find(|(link, _)| link.ifindex == target.ifindex).map(|(_, root)| root);
        let foreign = |kind: &str, handle| Error::ForeignRoot {
            device: target.name.clone(),
            kind: kind.to_owned(),
            handle,
        };
        match root {
            None | Some(Root::Default) => {}
            Some(Root::Ring(handle)) => {
                let by = adopted.iter().find(|adopted| adopted.journal.names(target.ifindex, *handle));
                let held = by.ok_or_else(|| foreign("prio", *handle))?.held;
                let found = Objects::find(tc, target.ifindex, *handle).map_err(untouched)?;
                let (wanted, bands) = (options.depth.bands(), found.map_or(0, |found| found.depth.bands()));
                if bands != wanted {
                    return Err(Error::OtherDepth { device: target.name.clone(), found: bands, wanted });
                }
                candidate.adopted = Some((*handle, held));
            }
            // The kernel refuses a class that has a qdisc.
            Some(_) if matches!(candidate.place, Place::Class(_)) => {}
            Some(Root::Plug(handle)) => return Err(foreign("plug", *handle)),
            Some(Root::Other(kind, handle)) => return Err(foreign(kind, *handle)),
        }
    }
    let block = block.ok_or_else(|| Error::Devices("the journals name all handles".to_owned()))?;
    Ok((block, stale))
}

/// Makes the IFBs that are not there.
fn prepare<T: Transport>(
    tc: &mut Connection<T>,
    candidates: &mut [Candidate],
    options: &RingOptions,
) -> Result<(), Error> {
    for candidate in candidates {
        let Some(side) = candidate.place.side() else { continue };
        let made = Redirect::prepare(tc, candidate.link.ifindex, side, &options.redirect);
        let redirect = made.map_err(|error| Error::place(error, NetworkState::Untouched))?;
        let link = tc.link_by_index(redirect.ifindex());
        candidate.redirect = Some(redirect);
        candidate.target = Some(link.map_err(|error| Error::kernel(error, NetworkState::Untouched))?);
    }
    Ok(())
}

/// Removes the new IFBs.
fn undo_redirects<T: Transport>(tc: &mut Connection<T>, candidates: Vec<Candidate>, error: Error) -> Error {
    for redirect in candidates.into_iter().filter_map(|candidate| candidate.redirect) {
        if redirect.is_new()
            && let Err(left @ PlaceError::Left { .. }) = redirect.remove(tc, Clsact::Keep)
        {
            return Error::place(left, NetworkState::Unknown);
        }
    }
    error
}

fn journal(
    candidates: &[Candidate],
    handles: impl Fn(&Candidate) -> [Handle; 2],
    options: &RingOptions,
) -> io::Result<Journal> {
    let device = |candidate: &Candidate| {
        let target = candidate.target.as_ref().unwrap_or(&candidate.link);
        JournalDevice { ifindex: target.ifindex, name: target.name.clone(), handles: handles(candidate) }
    };
    Ok(Journal {
        session: random(),
        controller: Process::current()?,
        netns: NetnsId::current()?,
        limit_bytes: options.attach.limit.get(),
        open_after: match &options.attach.on_death {
            OnDeath::StayClosed => None,
            OnDeath::OpenAfter { deadline, .. } => Some(*deadline),
        },
        devices: candidates.iter().map(device).collect(),
        ready: false,
    })
}
