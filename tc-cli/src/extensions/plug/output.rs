//! The output that a session holds: by one plug at the root, or by a ring of plugs.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use tc_qdiscs::plug::commit::{Ack, Counts, DetachMode, Epoch, Error, NetworkState, OutputCommit, State};
use tc_qdiscs::plug::ring::Ring;

/// A session of either kind.
#[derive(Debug)]
pub(super) enum Output {
    Plug(Box<OutputCommit>),
    /// The ring, and its counters as last reported.
    Ring(Box<Ring>, Counts),
}

impl AsFd for Output {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plug(plug) => plug.as_fd(),
            Self::Ring(ring, _) => ring.as_fd(),
        }
    }
}

impl Output {
    pub(super) fn start_buffer(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.start_buffer(),
            Self::Ring(ring, _) => ring.start_buffer(),
        }
    }

    pub(super) fn close(&mut self) -> Result<Epoch, Error> {
        match self {
            Self::Plug(plug) => plug.close(),
            Self::Ring(ring, _) => ring.close(),
        }
    }

    pub(super) fn release(&mut self, epoch: Epoch, ack: Ack) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.release(epoch, ack).map(|_| ()),
            Self::Ring(ring, _) => ring.release(epoch, ack).map(|_| ()),
        }
    }

    pub(super) fn check(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.check(),
            Self::Ring(ring, _) => ring.check(),
        }
    }

    pub(super) fn open(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.open(),
            Self::Ring(ring, _) => ring.open(),
        }
    }

    pub(super) fn abort(&mut self) -> Result<NetworkState, Error> {
        match self {
            Self::Plug(plug) => plug.abort(),
            Self::Ring(ring, _) => ring.abort(),
        }
    }

    pub(super) fn restart(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.restart(),
            Self::Ring(ring, _) => ring.restart(),
        }
    }

    pub(super) fn discard(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.discard(),
            Self::Ring(ring, _) => ring.discard(),
        }
    }

    /// Ends the session. Plugs and rings of `plug attach` stay, open.
    pub(super) fn give_back(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.detach(DetachMode::GiveBack),
            Self::Ring(ring, _) => ring.detach_as(DetachMode::GiveBack),
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Self::Plug(plug) => plug.state(),
            Self::Ring(ring, _) => ring.state(),
        }
    }

    /// The packets that are held. Of a ring the kernel is asked; if it does not answer, or the ring is
    /// gone, the counters are the last ones.
    pub(super) fn counts(&mut self) -> Counts {
        match self {
            Self::Plug(plug) => plug.counts(),
            Self::Ring(ring, last) => {
                if ring.state() != State::Detached
                    && let Ok(counts) = ring.query()
                {
                    *last = counts;
                }
                *last
            }
        }
    }

    /// The journals that attaching has deleted.
    pub(super) fn stale_journals(&self) -> &[PathBuf] {
        match self {
            Self::Plug(plug) => plug.stale_journals(),
            Self::Ring(ring, _) => ring.stale_journals(),
        }
    }

    /// Packets that attaching has lost, as far as they can be counted.
    pub(super) fn purged_packets(&self) -> u64 {
        match self {
            Self::Plug(_) => 0,
            Self::Ring(ring, _) => ring.counts().purged_packets,
        }
    }

    pub(super) fn opens_on_death(&self) -> bool {
        match self {
            Self::Plug(plug) => plug.opens_on_death(),
            Self::Ring(ring, _) => ring.opens_on_death(),
        }
    }

    /// The devices of the qdiscs, and the handles that these can have.
    pub(super) fn qdiscs(&self) -> Vec<(i32, [tc_core::Handle; 2])> {
        let journal = match self {
            Self::Plug(plug) => plug.journal(),
            Self::Ring(ring, _) => ring.journal(),
        };
        journal.devices.iter().map(|device| (device.ifindex, device.handles)).collect()
    }
}
