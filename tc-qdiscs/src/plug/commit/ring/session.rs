//! A ring session: its calls.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use tc_core::monitor::Monitor;
use tc_core::{Connection, Socket, Transport};

use super::figures::{BandCounters, EpochFigures, ReleasedEpoch, RingCounts};
use super::objects::Objects;
use super::options::RingOptions;
use crate::plug::commit::epoch::{Ack, Epoch, SessionId};
use crate::plug::commit::error::{Error, NetworkState};
use crate::plug::commit::folder::Claim;
use crate::plug::commit::guardian::Guardian;
use crate::plug::commit::journal::Journal;
use crate::plug::commit::options::{OnDrop, OnTaint};
use crate::plug::commit::session::{Counts, State};
use crate::plug::commit::taint::{Taint, TaintCause};
use crate::plug::place::{Place, Redirect};
use crate::plug::ring::Depth;
use crate::plug::ring::machine::{Input, Machine, Order, Output, Refusal, Reply, State as RingState};

/// The most bands.
const BANDS: usize = crate::plug::ring::Depth::MOST as usize;

/// Output commit by a ring of plugs on one or several devices; [how it works](crate::plug::ring).
///
/// Dropping a session without a detach has the same effect as the controller dying:
/// the options' [`OnDeath`](crate::plug::commit::OnDeath) applies.
#[derive(Debug)]
pub struct Ring<T: Transport = Socket> {
    pub(super) tc: Connection<T>,
    pub(super) monitor: Monitor<T>,
    pub(super) options: RingOptions,
    pub(super) id: SessionId,
    pub(super) machine: Machine,
    pub(super) sites: Vec<RingSite>,
    /// The figures of the closed epochs, by band.
    pub(super) figures: [EpochFigures; BANDS],
    pub(super) guardian: Option<Guardian>,
    pub(super) journal: Journal,
    pub(super) claim: Claim,
    /// The locks of the journals whose rings are given back.
    pub(super) borrowed: Vec<Claim>,
    /// The journals that were deleted when the session attached.
    pub(super) stale: Vec<PathBuf>,
    /// The first fault of the current order.
    pub(super) fault: Option<Taint>,
    /// The state of the network since the taint.
    pub(super) tainted: NetworkState,
    /// Set when the session has ended, or is ending.
    pub(super) ended: Option<State>,
    pub(super) overtaken: u64,
    pub(super) carried: u64,
    pub(super) dropped: u64,
}

/// One device of a session.
#[derive(Debug)]
pub(super) struct RingSite {
    /// The device's name.
    pub(super) name: String,
    pub(super) device: i32,
    pub(super) place: Place,
    pub(super) redirect: Option<Redirect>,
    /// Its ring is of an adopted session.
    pub(super) adopted: bool,
    pub(super) objects: Objects,
    pub(super) bands: [BandCounters; BANDS],
    /// The drops of the prio when the session began.
    pub(super) drops_before: u32,
}

/// Readable when notices have come that [`Ring::check`] reads, those of the session's own
/// commands among them.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.monitor.transport().as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: Transport> Drop for Ring<T> {
    fn drop(&mut self) {
        let Some(mut guardian) = self.guardian.take() else { return };
        if !guardian.opens() {
            for site in &self.sites {
                // Another qdisc refuses this.
                let _refused = site.objects.open(&mut self.tc);
            }
        }
    }
}

impl<T: Transport> Ring<T> {
    /// start_buffer(0): packets are held from here on. One send reaches all devices.
    pub fn start_buffer(&mut self) -> Result<(), Error> {
        self.expect("start to hold", State::Open)?;
        let _old_news = self.read_notices();
        if let Some(guardian) = &self.guardian {
            guardian.hold().map_err(|error| Error::Guardian { error, network: NetworkState::Open })?;
        }
        self.obey(Order::Start)?;
        self.begin();
        Ok(())
    }

    /// start_buffer(i+1), which closes epoch i: packets sent so far belong to it, later
    /// ones to the next. Call it while the guest is paused.
    ///
    /// One send, and one receive for each eight answers: 3 or 4 a device, and up to 2 for
    /// bands that drain. Fails with [`Error::RingFull`] if all other bands hold closed
    /// epochs.
    pub fn close(&mut self) -> Result<Epoch, Error> {
        match self.close_or_extend()? {
            Some(epoch) => Ok(epoch),
            None => Err(Error::RingFull {
                outstanding: self.machine.closed(),
                oldest: self.machine.oldest().unwrap_or_default(),
            }),
        }
    }

    /// Closes the epoch if a band is free. Otherwise it sends nothing, the open epoch
    /// continues, and it returns `None`: the next checkpoint covers both.
    pub fn close_or_extend(&mut self) -> Result<Option<Epoch>, Error> {
        self.expect("close an epoch", State::Protected)?;
        if self.machine.closed() == self.options.depth.closed_epochs() {
            return Ok(None);
        }
        if let Some(guardian) = &self.guardian {
            guardian.hold().map_err(|error| Error::Guardian { error, network: NetworkState::Held })?;
        }
        let closing = self.machine.open_band();
        let Reply::Closed { epoch } = self.obey(Order::Close)? else { return Ok(None) };
        let closed = self.sites.iter().filter_map(|site| site.bands.get(usize::from(closing)));
        let figures = EpochFigures::at_close(closed);
        if let Some(slot) = self.figures.get_mut(usize::from(closing)) {
            *slot = figures;
        }
        self.carried += figures.carried;
        self.dropped += figures.drops;
        self.begin();
        if figures.drops > 0 && self.options.attach.on_drop == OnDrop::Taint {
            return Err(self.distrust(self.dropped_taint(closing, figures)));
        }
        Ok(Some(Epoch::new(self.id, epoch)))
    }

    /// release_buffer(i): lets the oldest closed epoch go, now that the backup has its
    /// checkpoint.
    ///
    /// Reads the notices; then one send, and one answer for each device and for each of up
    /// to two bands that drain. If somebody has changed the ring, nothing is released
    /// ([`Error::Tainted`]).
    pub fn release(&mut self, epoch: Epoch, ack: Ack) -> Result<ReleasedEpoch, Error> {
        if !epoch.is_of(self.id) {
            return Err(Error::OtherSession { epoch });
        }
        self.check()?;
        let number = epoch.number();
        let band = self.machine.band_of(number).unwrap_or_default();
        let order = Order::Release { epoch: number, acknowledged: ack.number() };
        let output = self.machine.step(Input::Order(order));
        if let Output::Done(Reply::Refused(refusal)) = output {
            return Err(match refusal {
                Refusal::OutOfOrder { oldest } => Error::ReleaseOutOfOrder { epoch, oldest },
                Refusal::OtherAck => Error::AckOutOfOrder { epoch, acknowledged: ack.number() },
                other => self.refused(other),
            });
        }
        self.conclude(output)?;
        let overtaken = self.overtaken_by(band);
        self.overtaken += overtaken;
        let figures = self.figures.get(usize::from(band)).copied().unwrap_or_default();
        Ok(ReleasedEpoch {
            epoch: number,
            packets: figures.packets,
            bytes: figures.bytes,
            dropped_packets: figures.drops,
            carried_packets: figures.carried,
            overtaken_packets: overtaken,
            held: figures.closed.map(|closed| closed.elapsed()).unwrap_or_default(),
            limit_bytes: self.options.attach.limit.get(),
        })
    }

    /// Plugs the bands that have sent everything, two of them at most. Every other call
    /// does that too; call it after the last release of a pause.
    pub fn tend(&mut self) -> Result<(), Error> {
        self.check()?;
        self.obey(Order::Tend).map(|_| ())
    }

    /// Reads the notices: whether somebody has changed the ring. One receive for each
    /// notice, and one that finds no more.
    pub fn check(&mut self) -> Result<(), Error> {
        self.expect("check", State::Protected)?;
        match self.read_notices() {
            Some(taint) => Err(self.distrust(taint)),
            None => Ok(()),
        }
    }

    /// Releases the open epoch, uncommitted (the caller vouches for it), and stops to hold.
    /// Closed epochs must be released before. [`Ring::start_buffer`] holds again.
    pub fn open(&mut self) -> Result<(), Error> {
        self.check()?;
        self.obey(Order::Open)?;
        // One that is gone has no deadline either.
        let _gone = self.guardian.as_ref().map(Guardian::free);
        Ok(())
    }

    /// Taints the session and carries out the policy, because the current checkpoint will
    /// never be acknowledged. Returns the state of the network.
    pub fn abort(&mut self) -> Result<NetworkState, Error> {
        self.expect("abort", State::Protected)?;
        let _tainted = self.distrust(Taint::new("", TaintCause::Asked));
        Ok(self.tainted)
    }

    /// Begins again after a taint. With the policy to fail closed each band gets a new plug:
    /// what was held since the taint is lost too, new packets are held, and the next epoch is
    /// open. With the policy to fail open, the session is open. Earlier tokens are void.
    ///
    /// With a checkpoint of now, output commit goes on.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.expect("restart", State::Tainted)?;
        let _old_news = self.read_notices();
        if let (OnTaint::FailClosed, Some(guardian)) = (self.options.attach.on_taint, &self.guardian) {
            guardian.hold().map_err(|error| Error::Guardian { error, network: self.tainted })?;
        }
        self.obey(Order::Restart)?;
        self.begin();
        Ok(())
    }

    /// The state of the session.
    pub fn state(&self) -> State {
        self.ended.unwrap_or(match self.machine.state() {
            RingState::Open => State::Open,
            RingState::Protected => State::Protected,
            RingState::Tainted => State::Tainted,
        })
    }

    /// The number of the epoch that is open, or will be the next.
    pub const fn epoch(&self) -> u64 {
        self.machine.epoch()
    }

    /// The counters of the ring, as last reported. Sends nothing.
    pub fn counts(&self) -> RingCounts {
        let bands = self.sites.iter().flat_map(|site| &site.bands);
        let mut counts = RingCounts {
            closed_epochs: self.machine.closed(),
            dropped_packets: self.dropped,
            overtaken_packets: self.overtaken,
            carried_packets: self.carried,
            purged_packets: self.redirects().map(|redirect| u64::from(redirect.purged_packets())).sum(),
            ..RingCounts::default()
        };
        for band in bands {
            counts.held_packets += u64::from(band.packets);
            counts.held_bytes += u64::from(band.bytes);
        }
        counts
    }

    /// Asks the kernel for the packets that the rings have, closed epochs, the open one and those that
    /// still drain, and for those that did not fit since the session began. One send and one receive
    /// for each device.
    pub fn query(&mut self) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        let network = match self.state() {
            State::Protected => NetworkState::Held,
            State::Tainted => self.tainted,
            _ => NetworkState::Open,
        };
        for site in &self.sites {
            let queue = site.objects.queue(&mut self.tc).map_err(|error| Error::kernel(error, network))?;
            counts.held_packets += u64::from(queue.qlen);
            counts.held_bytes += u64::from(queue.backlog);
            counts.dropped_packets += u64::from(queue.drops.wrapping_sub(site.drops_before));
        }
        Ok(counts)
    }

    /// The redirects of the session, one for each device whose place has an IFB.
    pub fn redirects(&self) -> impl Iterator<Item = &Redirect> {
        self.sites.iter().filter_map(|site| site.redirect.as_ref())
    }

    /// Whether a guardian opens the network when this session is dropped.
    pub const fn opens_on_death(&self) -> bool {
        self.guardian.is_some()
    }

    /// The number of bands.
    pub const fn depth(&self) -> Depth {
        self.options.depth
    }

    /// The session's journal, which has its handles.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The path of the journal.
    pub fn journal_path(&self) -> &Path {
        self.claim.path()
    }

    /// The journals of dead sessions that attaching has deleted: none of their qdiscs was
    /// there any more.
    pub fn stale_journals(&self) -> &[PathBuf] {
        &self.stale
    }

    pub(super) fn expect(&self, doing: &'static str, state: State) -> Result<(), Error> {
        let is = self.state();
        if is == state {
            return Ok(());
        }
        let network = match is {
            State::Open | State::Draining | State::Detached => NetworkState::Open,
            State::Protected => NetworkState::Held,
            State::Tainted => self.tainted,
        };
        Err(Error::WrongState { doing, state: is, network })
    }

    /// Carries an order out, the policy included if it comes to that.
    pub(super) fn obey(&mut self, order: Order) -> Result<Reply, Error> {
        let output = self.machine.step(Input::Order(order));
        self.conclude(output)
    }

    /// Drives the machine to its reply.
    fn conclude(&mut self, output: Output) -> Result<Reply, Error> {
        match self.drive(output) {
            Reply::Refused(refusal) => Err(self.refused(refusal)),
            Reply::Tainted { carried_out } => {
                let network = self.after_taint(carried_out);
                let taint = self.fault.take().unwrap_or_else(|| Taint::new("", TaintCause::Asked));
                Err(Error::Tainted { taint, network })
            }
            reply => Ok(reply),
        }
    }

    /// The session is tainted, and the policy is carried out.
    pub(super) fn distrust(&mut self, taint: Taint) -> Error {
        let output = self.machine.step(Input::Distrust);
        let carried_out = matches!(self.drive(output), Reply::Tainted { carried_out: true });
        self.fault = None;
        let network = self.after_taint(carried_out);
        Error::Tainted { taint, network }
    }

    fn after_taint(&mut self, carried_out: bool) -> NetworkState {
        self.id = SessionId::next();
        self.tainted = match (self.options.attach.on_taint, carried_out) {
            (OnTaint::FailClosed, true) => NetworkState::HeldAnew,
            (OnTaint::FailOpen, true) => NetworkState::Opened,
            (OnTaint::FailClosed, false) => self.shut_each(),
            (OnTaint::FailOpen, false) => NetworkState::Unknown,
        };
        if self.tainted == NetworkState::Opened {
            // A guardian that is gone has no deadline either.
            let _gone = self.guardian.as_ref().map(Guardian::free);
        }
        self.tainted
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Full { oldest } => Error::RingFull { outstanding: self.machine.closed(), oldest },
            Refusal::Outstanding { oldest } => Error::EpochOutstanding { number: oldest },
            _ => Error::WrongState { doing: "do that", state: self.state(), network: NetworkState::Held },
        }
    }

    /// An epoch is open in the band that the map leads to.
    fn begin(&mut self) {
        let open = usize::from(self.machine.open_band());
        for band in self.sites.iter_mut().filter_map(|site| site.bands.get_mut(open)) {
            band.begin();
        }
    }

    /// The packets in bands that drain and come after this one.
    fn overtaken_by(&self, band: u8) -> u64 {
        let later =
            (band + 1..self.options.depth.bands()).filter(|other| self.machine.unsent() & 1 << other != 0);
        later
            .flat_map(|other| self.sites.iter().filter_map(move |site| site.bands.get(usize::from(other))))
            .map(|band| u64::from(band.packets))
            .sum()
    }

    fn dropped_taint(&self, band: u8, figures: EpochFigures) -> Taint {
        let full = self
            .sites
            .iter()
            .find(|site| site.bands.get(usize::from(band)).is_some_and(|band| band.drops != 0));
        let cause = TaintCause::Dropped {
            packets: figures.drops,
            peak_bytes: figures.bytes.try_into().unwrap_or(u32::MAX),
            limit_bytes: self.options.attach.limit.get(),
        };
        Taint::new(full.map_or("", |site| &site.name), cause)
    }
}
