//! Replies: their position in the buffer, and the time limit for them.

use std::io;
use std::time::{Duration, Instant};

use crate::exchange::error::Cause;
use crate::wire::ack::Verdict;
use crate::wire::error::DecodeError;
use crate::wire::message::{Message, Messages};
use crate::wire::uapi::NLMSG_HDRLEN;

pub(crate) fn cut_short() -> Cause {
    Cause::AnswerLost(io::Error::other("a datagram was cut short"))
}

/// The reply to a request.
pub(crate) enum Reply {
    Verdict(Verdict),
    Object(MessageRange),
}

/// Keeps a flood of datagrams that are not for us from holding a request for
/// ever: each receive has a time limit, and so has the sum of them.
#[derive(Default)]
pub(crate) struct ForeignDatagramGuard {
    since: Option<Instant>,
    received: bool,
}

impl ForeignDatagramGuard {
    pub(crate) fn check(&mut self, timeout: Duration) -> Result<(), Cause> {
        // The clock is not read for the first datagram, which is nearly always
        // the answer.
        if !std::mem::replace(&mut self.received, true) {
            return Ok(());
        }
        match self.since.get_or_insert_with(Instant::now).elapsed() > timeout {
            true => Err(Cause::Timeout(timeout)),
            false => Ok(()),
        }
    }

    /// Something of ours came: the limit starts again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The position of a message in the answer buffer, and its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageRange {
    start: usize,
    end: usize,
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

impl MessageRange {
    /// The place of the message at `at`. Moves `at` past it, or past everything that
    /// cannot be read.
    pub(crate) fn next(datagram: &[u8], at: &mut usize) -> Result<Option<Self>, DecodeError> {
        let start = *at;
        let mut messages = Messages::new(datagram.get(start..).unwrap_or_default());
        let next = messages.next().transpose();
        *at = datagram.len() - messages.rest().len();
        Ok(next?.map(|Message { kind, flags, sequence, port, payload }| {
            let end = start + NLMSG_HDRLEN + payload.len();
            Self { start, end, kind, flags, sequence, port }
        }))
    }

    /// The type of the message.
    pub(crate) const fn kind(self) -> u16 {
        self.kind
    }

    /// The first byte after it.
    pub(crate) const fn end(self) -> usize {
        self.end
    }

    pub(crate) fn bytes(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start..self.end]
    }

    pub(crate) fn message(self, buffer: &[u8]) -> Message<'_> {
        let Self { kind, flags, sequence, port, .. } = self;
        Message { kind, flags, sequence, port, payload: &buffer[self.start + NLMSG_HDRLEN..self.end] }
    }
}
