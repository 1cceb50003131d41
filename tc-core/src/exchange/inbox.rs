//! Received datagrams, read message by message.

use crate::exchange::reply::MessageRange;
use crate::wire::error::DecodeError;

/// The most datagrams that one receive takes.
pub(crate) const SLOTS: usize = 8;

/// A datagram that was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Its length. More than the buffer's means that the rest was cut off.
    pub length: usize,
    /// The port it came from: 0 is the kernel, anything else another process.
    pub sender: u32,
}

/// The positions of unread datagrams in a buffer.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The position after the last message that was read, in the first datagram.
    at: usize,
    end: usize,
    /// The datagrams after it.
    rest: [(usize, usize); SLOTS],
    next: usize,
    count: usize,
}

impl Inbox {
    /// Takes a datagram at `start` of the buffer, which had room for `room` bytes. False if it was cut short.
    /// One that another process sent is passed over.
    pub(crate) fn put(&mut self, start: usize, room: usize, received: Received) -> bool {
        self.clear();
        let is_whole = received.sender != 0 || received.length <= room;
        if is_whole && received.sender == 0 {
            (self.at, self.end) = (start, start + received.length);
        }
        is_whole
    }

    /// Takes several datagrams, each in its share of the buffer, as [`put`](Self::put) does.
    pub(crate) fn put_many(&mut self, share: usize, received: &[Received]) -> bool {
        self.clear();
        let mut are_whole = true;
        for (slot, one) in received.iter().take(SLOTS).enumerate().filter(|(_, one)| one.sender == 0) {
            if one.length > share {
                are_whole = false;
                continue;
            }
            self.rest[self.count] = (slot * share, slot * share + one.length);
            self.count += 1;
        }
        are_whole
    }

    pub(crate) const fn clear(&mut self) {
        (self.at, self.end, self.next, self.count) = (0, 0, 0, 0);
    }

    /// The next message; `None` if all were read. After an error, the next datagram follows.
    #[inline]
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Result<Option<MessageRange>, DecodeError> {
        while self.at >= self.end {
            if self.next == self.count {
                return Ok(None);
            }
            (self.at, self.end) = self.rest[self.next];
            self.next += 1;
        }
        MessageRange::next(&buffer[..self.end], &mut self.at)
    }

    /// The position in the current datagram.
    pub(crate) const fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a position in the current datagram.
    pub(crate) const fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }
}
