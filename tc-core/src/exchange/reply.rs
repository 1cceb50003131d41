//! Replies: their position in the buffer.

use std::io;

use crate::exchange::error::Cause;
use crate::wire::error::DecodeError;
use crate::wire::message::{Message, Messages};
use crate::wire::uapi::NLMSG_HDRLEN;

pub(crate) fn cut_short() -> Cause {
    Cause::AnswerLost(io::Error::other("a datagram was cut short"))
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
    #[inline]
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

    /// Its flags.
    pub(crate) const fn flags(self) -> u16 {
        self.flags
    }

    /// Its sequence number.
    pub(crate) const fn sequence(self) -> u32 {
        self.sequence
    }

    /// The port that it is addressed to.
    pub(crate) const fn port(self) -> u32 {
        self.port
    }

    /// The first byte of its header.
    pub(crate) const fn start(self) -> usize {
        self.start
    }

    /// The first byte after it.
    pub(crate) const fn end(self) -> usize {
        self.end
    }

    pub(crate) fn bytes(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start..self.end]
    }

    #[inline]
    pub(crate) fn message(self, buffer: &[u8]) -> Message<'_> {
        let Self { kind, flags, sequence, port, .. } = self;
        Message { kind, flags, sequence, port, payload: &buffer[self.start + NLMSG_HDRLEN..self.end] }
    }
}
