//! A session: its states, and the epochs in them.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use tc_core::monitor::Monitor;
use tc_core::{Connection, Socket, Transport};

use super::super::Plug;
use super::device::{Device, EpochStats};
use super::epoch::{Ack, Epoch, SessionId};
use super::error::{Error, NetworkState};
use super::folder::Claim;
use super::guardian::Guardian;
use super::journal::Journal;
use super::options::AttachOptions;
use super::queues::QueueWatch;
use super::root::open;
use super::taint::{Taint, TaintCause};

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Output leaves at once.
    Open,
    /// Output is held: one epoch is open, and one at most is closed and waits
    /// for its acknowledgement.
    Protected,
    /// All was let go, and the devices still send it.
    Draining,
    /// The plugs are not the session's any more.
    Detached,
    /// The queue is not trusted; [restart](OutputCommit::restart) or
    /// [discard](OutputCommit::discard).
    Tainted,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Protected => "protected",
            Self::Draining => "draining",
            Self::Detached => "detached",
            Self::Tainted => "tainted",
        })
    }
}

/// Output commit on one or several devices; [how to use it](super).
///
/// Dropping a session without a detach has the same effect as the controller dying:
/// the options' [`OnDeath`](super::OnDeath) applies. A drop waits for the guardian, at
/// most 10 s, and carries the policy out itself if the guardian is gone.
#[derive(Debug)]
pub struct OutputCommit<T: Transport = Socket> {
    pub(super) tc: Connection<T>,
    pub(super) monitor: Monitor<T>,
    /// `None` where no device can lose a transmit queue.
    pub(super) queues: Option<QueueWatch>,
    pub(super) options: AttachOptions,
    pub(super) id: SessionId,
    pub(super) state: State,
    pub(super) devices: Vec<Device>,
    /// The number of the open epoch.
    pub(super) epoch: u64,
    /// The number of the closed epoch, until it is released.
    pub(super) closed: Option<u64>,
    /// The state of the network since the taint.
    pub(super) tainted: NetworkState,
    pub(super) guardian: Option<Guardian>,
    pub(super) journal: Journal,
    /// The lock of the journal: it shows that the session lives.
    pub(super) claim: Claim,
    /// The locks of the journals whose plugs are given back.
    pub(super) borrowed: Vec<Claim>,
    /// The journals that were deleted when the session attached.
    pub(super) stale: Vec<PathBuf>,
    /// The fault of the current command, kept here so that a successful command
    /// allocates nothing.
    pub(super) fault: Option<Taint>,
}

/// The counters of a released epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Its number.
    pub epoch: u64,
    /// Packets of it, on all devices, that did not fit and are lost.
    pub dropped_packets: u64,
    /// How far the fullest queue got, in bytes, as far as it was seen: when the
    /// epoch was closed, and before it was released.
    pub peak_bytes: u32,
    /// The limit of each queue, in bytes.
    pub limit_bytes: u32,
}

/// The packets held by the plugs of a session, over all devices, as last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that wait.
    pub held_packets: u64,
    /// Bytes that wait.
    pub held_bytes: u64,
    /// Packets that did not fit since their plugs were made.
    pub dropped_packets: u64,
}

/// Readable when notices or events have come that [`OutputCommit::check`] reads,
/// those of the session's own commands among them. A program that polls it closes
/// the network as soon as something happens, and not at the next release.
///
/// A session of [`attach_over`](OutputCommit::attach_over) is not readable for the
/// [events](tc_core::Transport::queue_events) of transmit queues.
impl AsFd for OutputCommit {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let both = self.queues.as_ref().and_then(QueueWatch::any);
        both.unwrap_or_else(|| self.monitor.transport().as_fd())
    }
}

/// For interfaces that take numbers, such as `tokio::io::unix::AsyncFd`.
impl AsRawFd for OutputCommit {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: Transport> Drop for OutputCommit<T> {
    fn drop(&mut self) {
        let Some(mut guardian) = self.guardian.take() else { return };
        if !guardian.opens() {
            for device in &self.devices {
                // Another qdisc refuses this.
                let _refused = open(&mut self.tc, device.ifindex, device.handle);
            }
        }
    }
}

impl<T: Transport> OutputCommit<T> {
    /// start_buffer(0): packets are held from here on. One send reaches all devices.
    ///
    /// Events while the devices were open do not matter.
    pub fn start_buffer(&mut self) -> Result<(), Error> {
        self.expect("start to hold", State::Open)?;
        self.begin_watch()?;
        if let Some(guardian) = &self.guardian {
            guardian.hold().map_err(|error| Error::Guardian { error, network: NetworkState::Open })?;
        }
        self.state = State::Protected;
        self.command("BUFFER", &Plug::buffer())?;
        // Packets queued before the plug closed belong to no epoch.
        for device in &mut self.devices {
            device.begin(self.options.limit.get());
        }
        Ok(())
    }

    /// start_buffer(i+1), which closes epoch i: packets sent so far belong to it, later
    /// ones to the next. Call it while the guest is paused.
    ///
    /// One send, and one receive for each device.
    pub fn close(&mut self) -> Result<Epoch, Error> {
        match self.close_or_extend()? {
            Some(epoch) => Ok(epoch),
            None => Err(Error::EpochOutstanding { number: self.closed.unwrap_or(self.epoch) }),
        }
    }

    /// Closes the epoch if the last one was released. Otherwise it sends nothing, the
    /// open epoch continues, and it returns `None`: the next checkpoint covers both.
    pub fn close_or_extend(&mut self) -> Result<Option<Epoch>, Error> {
        self.expect("close an epoch", State::Protected)?;
        if self.closed.is_some() {
            return Ok(None);
        }
        if let Some(guardian) = &self.guardian {
            guardian.hold().map_err(|error| Error::Guardian { error, network: NetworkState::Held })?;
        }
        self.command("BUFFER", &Plug::buffer())?;
        self.judge_drops()?;
        self.devices.iter_mut().for_each(Device::turn);
        let number = self.epoch;
        self.closed = Some(number);
        self.epoch += 1;
        Ok(Some(Epoch::new(self.id, number)))
    }

    /// release_buffer(i): lets the closed epoch go, now that the backup has its
    /// checkpoint.
    ///
    /// [`OutputCommit::check`] comes first; then one send, and one receive for
    /// each device; then the notices once more. If the session is or becomes
    /// tainted before, nothing is released. If a queue was reset between the
    /// check and the command, that is an error as well
    /// ([`Taint::during_release`]), and the policy has been carried out.
    pub fn release(&mut self, epoch: Epoch, ack: Ack) -> Result<Released, Error> {
        if !epoch.is_of(self.id) {
            return Err(Error::OtherSession { epoch });
        }
        if ack.number() != epoch.number() {
            return Err(Error::AckOutOfOrder { epoch, acknowledged: ack.number() });
        }
        self.check()?;
        self.devices.iter_mut().for_each(Device::release);
        let failed = self.try_command("RELEASE_ONE", &Plug::release_one());
        self.closed = None;
        // After a reset in between, packets of the open epoch would leave, also where a RELEASE
        // failed on one of several devices.
        let noticed = self.read_notices().map(|taint| Taint { during_release: true, ..taint });
        if let Some(taint) = noticed.or(failed) {
            return Err(self.taint(taint));
        }
        let epoch_stats = self.devices.iter().map(|device| &device.closed);
        Ok(epoch_stats.fold(
            Released {
                epoch: epoch.number(),
                dropped_packets: 0,
                peak_bytes: 0,
                limit_bytes: self.options.limit.get(),
            },
            |sum, tally| Released {
                dropped_packets: sum.dropped_packets + tally.dropped_packets,
                peak_bytes: sum.peak_bytes.max(tally.peak_bytes),
                ..sum
            },
        ))
    }

    /// Looks whether the queues can still be trusted: reads the counters, then
    /// all notices. It may be called at any time between epochs; more
    /// frequent calls find a taint sooner.
    ///
    /// One send, and one receive for each device; one receive for each notice,
    /// and one that finds no more.
    pub fn check(&mut self) -> Result<(), Error> {
        self.expect("check", State::Protected)?;
        self.inspect()
    }

    /// The state of the session.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of the epoch that is open, or will be the next.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The counters of the last closed epoch, device by device, in the order in which
    /// they were given.
    pub fn epoch_stats(&self) -> impl Iterator<Item = (&str, EpochStats)> {
        self.devices.iter().map(|device| (device.name.as_str(), device.closed))
    }

    /// The packets held at the last command or [check](OutputCommit::check). Sends
    /// nothing.
    pub fn counts(&self) -> Counts {
        self.devices.iter().map(Device::counters).fold(Counts::default(), |sum, device| Counts {
            held_packets: sum.held_packets + u64::from(device.qlen),
            held_bytes: sum.held_bytes + u64::from(device.backlog),
            dropped_packets: sum.dropped_packets + u64::from(device.drops),
        })
    }

    /// The session's journal, which has its handles.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The path of the journal.
    pub fn journal_path(&self) -> &Path {
        self.claim.path()
    }

    /// The journals of dead sessions that named a device of this one, and that
    /// attaching has deleted: none of their plugs was there any more.
    pub fn stale_journals(&self) -> &[PathBuf] {
        &self.stale
    }

    /// Whether a guardian opens the network when this session is dropped.
    pub const fn opens_on_death(&self) -> bool {
        self.guardian.is_some()
    }

    /// Taints the session and carries out the policy, because the current checkpoint
    /// will never be acknowledged. Returns the state of the network.
    pub fn abort(&mut self) -> Result<NetworkState, Error> {
        self.expect("abort", State::Protected)?;
        let taint = Taint::new("", TaintCause::Asked);
        let _tainted = self.taint(taint);
        // The counts are the new plugs'.
        self.glance();
        Ok(self.tainted)
    }

    pub(super) fn expect(&self, doing: &'static str, state: State) -> Result<(), Error> {
        if self.state == state {
            return Ok(());
        }
        let network = match self.state {
            State::Open | State::Draining | State::Detached => NetworkState::Open,
            State::Protected => NetworkState::Held,
            State::Tainted => self.tainted,
        };
        Err(Error::WrongState { doing, state: self.state, network })
    }
}
