//! The options of a session: the choices that only the caller can make.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tc_core::Handle;

use super::guardian::GuardianCommand;
use super::journal::JOURNAL_DIR;
use super::limit::Limit;

/// The fate of held packets when their queue is tainted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTaint {
    /// A new, closed plug replaces the old one: held packets are lost (TCP sends them
    /// again), and new packets are held. Nothing uncommitted leaves.
    FailClosed,
    /// All is let go, committed or not, and output leaves at once from then on.
    FailOpen,
}

/// The fate of held packets when the controller dies or drops its session without
/// detaching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDeath {
    /// They stay held until another process decides with the
    /// [journal](super::Journal): the backup may be live, and must be the only sender.
    StayClosed,
    /// A guardian process lets it go, also when there is no sign of life (an
    /// epoch started, closed, or all let go) for as long as the deadline.
    OpenAfter {
        /// From the last sign of life.
        deadline: Duration,
        /// How the guardian is started.
        guardian: GuardianCommand,
    },
}

/// Whether packets that did not fit taint a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrop {
    /// They do: the limit was computed wrongly, or the backup is too slow.
    #[default]
    Taint,
    /// They are reported with their epoch, and are the sender's loss. The
    /// kernel's counts are not disturbed by them.
    Report,
}

/// The fate of the packets that a dead controller left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAdopt {
    /// They are lost: nothing uncommitted leaves.
    Drop,
    /// They leave, committed or not.
    Release,
}

/// How a session is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachOptions {
    pub(super) limit: Limit,
    pub(super) on_taint: OnTaint,
    pub(super) on_death: OnDeath,
    pub(super) on_drop: OnDrop,
    pub(super) handles: Option<[Handle; 2]>,
    pub(super) journal_dir: PathBuf,
    pub(super) adopt: Vec<(PathBuf, OnAdopt)>,
    /// Those of them whose journals stay.
    pub(super) borrow: Vec<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) drain_time: Duration,
    pub(super) unwatched_queues: bool,
}

impl AttachOptions {
    /// Options with the three choices that have no default: the limit of each
    /// plug, and the policies for held packets after a taint and after a death.
    pub fn new(limit: Limit, on_taint: OnTaint, on_death: OnDeath) -> Self {
        Self {
            limit,
            on_taint,
            on_death,
            on_drop: OnDrop::Taint,
            handles: None,
            journal_dir: PathBuf::from(JOURNAL_DIR),
            adopt: Vec::new(),
            borrow: Vec::new(),
            timeout: Duration::from_secs(2),
            drain_time: Duration::from_secs(2),
            unwatched_queues: false,
        }
    }

    /// Sets whether dropped packets taint the session (default: they do).
    #[must_use]
    pub const fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.on_drop = on_drop;
        self
    }

    /// The handles of the plug, and of the one that replaces it when the packets
    /// it holds must be dropped.
    ///
    /// By default each session has two unique ones, from `4000:` to `7fff:`. The
    /// kernel refuses a request that names another handle than the plug's, so
    /// that no session, guardian or rescue can touch the plug of another one.
    /// Handles that are set must be as unique.
    #[must_use]
    pub const fn handles(mut self, plug: u16, spare: u16) -> Self {
        self.handles = Some([Handle::qdisc(plug), Handle::qdisc(spare)]);
        self
    }

    /// Where the journal is kept: [`JOURNAL_DIR`] unless set.
    #[must_use]
    pub fn journal_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.journal_dir = dir.as_ref().to_owned();
        self
    }

    /// Takes over the plugs that the journal at `path` names; its controller
    /// must be dead. Whose epochs the held packets belong to cannot be found
    /// out, so all are dropped, or all released. The journal is deleted. Each
    /// call adds the plugs of one more journal.
    #[must_use]
    pub fn adopt(mut self, path: impl AsRef<Path>, held: OnAdopt) -> Self {
        self.adopt.push((path.as_ref().to_owned(), held));
        self
    }

    /// Takes over as [`AttachOptions::adopt`] does, but keeps the journal, and its lock
    /// as long as the session lasts: for plugs that are given back
    /// ([`DetachMode::GiveBack`](super::DetachMode::GiveBack)).
    #[must_use]
    pub fn borrow(mut self, path: impl AsRef<Path>, held: OnAdopt) -> Self {
        self.borrow.push(path.as_ref().to_owned());
        self.adopt(path, held)
    }

    /// How long the kernel may take to answer: 2 s unless set. After that the
    /// session is tainted, because it does not know what was carried out.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Accepts devices with several transmit queues also where nothing reports
    /// lost ones. If such a device loses a queue, and new packets replace the
    /// held ones before the next look, uncommitted packets leave.
    ///
    /// Events of queues can be had on every Linux; only a transport of your own
    /// may have none.
    #[must_use]
    pub const fn accept_unwatched_queues(mut self) -> Self {
        self.unwatched_queues = true;
        self
    }

    /// Sets the time limit of a detach for the devices to send released packets
    /// (default: 2 s).
    #[must_use]
    pub const fn drain_time(mut self, time: Duration) -> Self {
        self.drain_time = time;
        self
    }
}
