//! The qdiscs of a ring on one device, by their handles.

use std::thread;
use std::time::{Duration, Instant};

use tc_core::stats::Queue;
use tc_core::{Connection, DumpRequest, Error, Handle, Request, Transport, Verb, object};

use crate::plug::Plug;
use crate::plug::commit::error::{Error as CommitError, NetworkState};
use crate::plug::place::Redirect;
use crate::plug::ring::Depth;
use crate::plug::ring::machine::Band;
use crate::prio::Prio;

/// The most bands.
const BANDS: usize = Depth::MOST as usize;
/// The majors of a ring: the prio, a spare plug, and for each band two plugs by turns.
pub(in super::super) const BLOCK: u16 = 64;
const FIRST: u16 = 0x4000;
const LAST: u16 = 0x7fff;
/// From the prio's major to that of the first plug of band 0, and from there to the second.
const BAND_0: u16 = 2;

/// The qdiscs of a ring on one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Objects {
    pub(super) ifindex: i32,
    /// Above the prio: root, or a class.
    pub(super) parent: Handle,
    /// The prio.
    pub(super) root: Handle,
    pub(super) depth: Depth,
    /// The plug of each band.
    plugs: [Handle; BANDS],
}

/// Whether a prio with this handle is the root of a ring.
pub(in super::super) const fn is_root(handle: Handle) -> bool {
    let major = handle.major();
    matches!(major, FIRST..=LAST) && major.is_multiple_of(BLOCK) && handle.minor() == 0
}

/// The handles of the prio and of the spare plug of the block with this number.
pub(in super::super) const fn block(number: u16) -> [Handle; 2] {
    let major = FIRST + number % BLOCKS * BLOCK;
    [Handle::qdisc(major), Handle::qdisc(major + 1)]
}

/// The number of blocks.
pub(in super::super) const BLOCKS: u16 = (LAST - FIRST + 1) / BLOCK;

impl Objects {
    /// Those of a new ring.
    pub(super) fn new(ifindex: i32, parent: Handle, root: Handle, depth: Depth) -> Self {
        let mut plugs = [Handle::UNSPEC; BANDS];
        for (band, plug) in plugs.iter_mut().enumerate() {
            *plug = Handle::qdisc(root.major() + BAND_0 + band as u16);
        }
        Self { ifindex, parent, root, depth, plugs }
    }

    /// The ring with this prio, from a list; `None` if it is gone. A band whose plug is
    /// gone has the handle 0, and gets no request.
    pub(in super::super) fn find<T: Transport>(
        tc: &mut Connection<T>,
        ifindex: i32,
        root: Handle,
    ) -> Result<Option<Self>, Error> {
        let mut plugs = [Handle::UNSPEC; BANDS];
        let mut ring = None;
        for listed in tc.list_confirmed(&DumpRequest::qdiscs().device(ifindex))? {
            let Ok(entry) = listed.entry() else { continue };
            let header = entry.header;
            match entry.kind() {
                Ok("prio") if header.handle == root => {
                    let prio = entry.options_as::<Prio>().ok().flatten();
                    let bands = prio.and_then(|prio| u8::try_from(prio.bands).ok());
                    let depth = bands.and_then(|bands| Depth::new(bands).ok());
                    ring = depth.map(|depth| (header.parent, depth));
                }
                Ok("plug") if header.parent.qdisc_of() == root => {
                    let band = usize::from(header.parent.minor()).wrapping_sub(1);
                    if let Some(plug) = plugs.get_mut(band) {
                        *plug = header.handle;
                    }
                }
                _ => {}
            }
        }
        Ok(ring.map(|(parent, depth)| Self { ifindex, parent, root, depth, plugs }))
    }

    /// Starts to hold, in every band.
    pub(in super::super) fn hold<T: Transport>(&self, tc: &mut Connection<T>) -> Result<(), Error> {
        self.change_all(tc, &Plug::buffer())
    }

    /// Sets the limit of each band. Held packets stay.
    pub(in super::super) fn set_limit<T: Transport>(
        &self,
        tc: &mut Connection<T>,
        limit_bytes: u32,
    ) -> Result<(), Error> {
        self.change_all(tc, &Plug::set_limit(limit_bytes))
    }

    /// All bands.
    pub(in super::super) fn bands(&self) -> std::ops::Range<Band> {
        0..self.depth.bands()
    }

    /// A request to the prio.
    pub(super) const fn prio(&self) -> Request<'static, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(self.parent).handle(self.root)
    }

    /// The options of the prio whose map leads to this band.
    pub(super) const fn map(&self, band: Band) -> Prio {
        Prio { bands: self.depth.bands() as u32, priomap: [band; 16], multiqueue: None }
    }

    /// A request to the plug of a band, and to nothing else.
    pub(super) fn plug(&self, band: Band) -> Request<'static, object::Qdisc> {
        self.class(band).handle(self.plugs.get(usize::from(band)).copied().unwrap_or(NOBODYS))
    }

    /// A request for the plug that takes the place of a band's, and its handle.
    pub(super) fn next_plug(&self, band: Band) -> (Request<'static, object::Qdisc>, Handle) {
        let first = Handle::qdisc(self.root.major() + BAND_0 + u16::from(band));
        let other = Handle::qdisc(first.major() + u16::from(Depth::MOST));
        let is_first = self.plugs.get(usize::from(band)) == Some(&first);
        let next = if is_first { other } else { first };
        (self.class(band).handle(next), next)
    }

    /// The band has this plug now.
    pub(super) fn is_now(&mut self, band: Band, plug: Handle) {
        if let Some(old) = self.plugs.get_mut(usize::from(band)) {
            *old = plug;
        }
    }

    fn class(&self, band: Band) -> Request<'static, object::Qdisc> {
        let class = Handle::class(self.root.major(), u16::from(band) + 1);
        Request::qdisc(self.ifindex).parent(class)
    }

    /// Lets all go that the ring holds. Every band is tried; returns the first failure.
    pub(in super::super) fn open<T: Transport>(&self, tc: &mut Connection<T>) -> Result<(), Error> {
        self.change_all(tc, &Plug::release_indefinite())
    }

    /// Changes the plug of each band. Every band is tried; returns the first failure.
    fn change_all<T: Transport>(&self, tc: &mut Connection<T>, plug: &Plug) -> Result<(), Error> {
        let mut pack = tc.group();
        for band in self.bands() {
            pack.push(Verb::Change, &self.plug(band).options(plug))?;
        }
        let mut failed = None;
        pack.send(|_, outcome| {
            if let Err(cause) = outcome {
                failed.get_or_insert(cause);
            }
        })?;
        failed.map_or(Ok(()), |cause| Err(Error::new("change", self.prio().describe(), cause)))
    }

    /// Drops all that the ring holds: each plug is replaced by a new one, which holds.
    /// Returns the packets and bytes that were held.
    pub(in super::super) fn renew<T: Transport>(
        &mut self,
        tc: &mut Connection<T>,
        limit_bytes: u32,
    ) -> Result<(u64, u64), Error> {
        let limit = Plug::set_limit(limit_bytes);
        let (mut packets, mut bytes) = (0, 0);
        for band in self.bands() {
            let queue = tc.get(&self.plug(band))?.stats().ok().flatten().and_then(|stats| stats.queue);
            let (request, handle) = self.next_plug(band);
            tc.apply_as_it_is(Verb::Replace, &request.options(&limit))?;
            self.is_now(band, handle);
            packets += queue.map_or(0, |queue| u64::from(queue.qlen));
            bytes += queue.map_or(0, |queue| u64::from(queue.backlog));
        }
        Ok((packets, bytes))
    }

    /// How many packets the ring holds.
    pub(in super::super) fn held<T: Transport>(&self, tc: &mut Connection<T>) -> Result<u32, Error> {
        Ok(self.queue(tc)?.qlen)
    }

    /// The queue of all bands.
    pub(super) fn queue<T: Transport>(&self, tc: &mut Connection<T>) -> Result<Queue, Error> {
        let entry = tc.get(&self.prio())?;
        Ok(entry.stats().ok().flatten().and_then(|stats| stats.queue).unwrap_or_default())
    }

    /// Waits until the ring has sent everything, and the IFB of a redirect has passed it on.
    pub(in super::super) fn drain<T: Transport>(
        &self,
        tc: &mut Connection<T>,
        redirect: Option<&Redirect>,
        name: &str,
        patience: Duration,
    ) -> Result<(), CommitError> {
        const PAUSE: Duration = Duration::from_millis(1);
        let since = Instant::now();
        loop {
            let packets = self.held(tc).map_err(|error| CommitError::kernel(error, NetworkState::Open))?;
            let passed_on = match redirect {
                Some(redirect) if packets == 0 => redirect.is_drained(tc),
                _ => Ok(packets == 0),
            };
            if passed_on.map_err(|error| CommitError::place(error, NetworkState::Open))? {
                return Ok(());
            }
            if since.elapsed() > patience {
                return Err(CommitError::StillDraining {
                    device: name.to_owned(),
                    packets,
                    waited: patience,
                });
            }
            thread::sleep(PAUSE);
        }
    }

    /// The device of the ring.
    pub(in super::super) const fn ifindex(&self) -> i32 {
        self.ifindex
    }

    /// Deletes the prio and its plugs, and nothing else. False if it was gone.
    pub(in super::super) fn delete<T: Transport>(&self, tc: &mut Connection<T>) -> Result<bool, Error> {
        match tc.apply_as_it_is(Verb::Delete, &self.prio().kind("prio")) {
            Ok(_) => Ok(true),
            Err(error) if super::super::root::refused(&error).is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A handle that no plug of a ring has.
const NOBODYS: Handle = Handle::qdisc(LAST);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_end_before_the_kernels_handles() {
        let [first, spare] = block(0);
        assert_eq!((first, spare), (Handle::qdisc(0x4000), Handle::qdisc(0x4001)));
        let [last, _] = block(BLOCKS - 1);
        assert_eq!(last, Handle::qdisc(0x7fc0));
        assert!(is_root(first) && is_root(last) && !is_root(spare) && !is_root(Handle::qdisc(0x8000)));
        assert!(!is_root(Handle::UNSPEC));
    }

    #[test]
    fn plugs_of_a_band_take_turns() {
        let mut ring = Objects::new(3, Handle::ROOT, Handle::qdisc(0x4040), Depth::default());
        let mut seen = Vec::new();
        for band in ring.bands() {
            for _ in 0..3 {
                seen.push(ring.plug(band).header().handle);
                let (_, next) = ring.next_plug(band);
                ring.is_now(band, next);
            }
        }
        assert_eq!(seen[..3], [0x4042, 0x4052, 0x4042].map(Handle::qdisc));
        let different: std::collections::BTreeSet<u32> = seen.iter().map(|handle| handle.raw()).collect();
        assert_eq!(different.len(), 16);
    }
}
