//! Epochs as values: a closed epoch is released once, with an acknowledgement.

use std::sync::atomic::{AtomicU64, Ordering};

/// A closed epoch: a part of the output that waits for its checkpoint to be
/// acknowledged.
///
/// It cannot be copied, and a release consumes it. While one is outstanding, the
/// next epoch cannot be closed: the kernel counts only one, and would release
/// packets of the other. The epoch of a dropped token stays held: the session must
/// then be [discarded](super::OutputCommit::discard).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the output of this epoch is held until it is released"]
pub struct Epoch {
    session: SessionId,
    number: u64,
}

impl Epoch {
    pub(super) const fn new(session: SessionId, number: u64) -> Self {
        Self { session, number }
    }

    /// Its number: 0 for the first of a session, and one more for each that was
    /// closed. Send it along with the checkpoint.
    pub const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_of(&self, session: SessionId) -> bool {
        self.session == session
    }
}

/// The backup's acknowledgement: it holds the checkpoint that ends this epoch.
///
/// Make it from the backup's message, not from the token: their comparison is the
/// check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    number: u64,
}

impl Ack {
    /// The acknowledgement of the epoch with this number.
    pub const fn of(number: u64) -> Self {
        Self { number }
    }

    /// The number of the epoch.
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// Tells the tokens of one session from those of another of the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionId(u64);

impl SessionId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
