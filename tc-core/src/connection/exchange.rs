//! Datagrams out and in, and the assignment of answers to requests.

use std::io;
use std::ops::Range;

use bytes::BytesMut;

use super::{Connection, ROOM};
use crate::connection::{Received, Transport};
use crate::exchange::error::Cause;
use crate::exchange::reply::{ForeignDatagramGuard, MessageRange, Reply, cut_short};
use crate::wire::ack::{Verdict, decode_done, decode_error};
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::message::Message;
use crate::wire::uapi::*;

/// How many datagrams are received at once where many are expected. Each has
/// room for the longest description of one object (`NLMSG_GOODSIZE`).
const SLOTS: usize = 8;
pub(super) const SLOT: usize = ROOM / SLOTS;

/// The most that an answer takes of the receive buffer, with the kernel's
/// overhead. Seen on Linux 6.18: 832 bytes for an
/// acknowledgement, and for a refusal with a text; a very long one takes 1280.
const ANSWER: usize = 2048;

/// Upper bound on stale replies discarded before giving up.
const MOST_FORGOTTEN: usize = 1000;

/// Maximum EINTR retries for a send.
const MOST_SIGNALS: u32 = 1000;

impl<T: Transport> Connection<T> {
    pub(crate) fn send(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), Cause> {
        self.sequence = self.sequence.wrapping_add(1);
        self.request.clear();
        encode(self.sequence, &mut self.request)?;
        self.send_pack()
    }

    /// Waits for an object and the acknowledgement that follows it. Kernel: the
    /// built-in defaults (noqueue) are acknowledged without the object.
    pub(super) fn wait_for_object(&mut self) -> Result<MessageRange, Cause> {
        match self.wait()? {
            Reply::Verdict(verdict) => verdict.map_err(Cause::from).and(Err(Cause::NotShown)),
            Reply::Object(place) => {
                // Behind the object, so that it stays whole. One that comes
                // again is passed over.
                loop {
                    if let Reply::Verdict(verdict) = self.wait_behind(place.end())? {
                        return verdict.map_err(Cause::from).map(|_| place);
                    }
                }
            }
        }
    }

    /// Waits for the answer to the last request: late answers to others,
    /// notices and datagrams of other processes are passed over.
    pub(super) fn wait(&mut self) -> Result<Reply, Cause> {
        self.wait_behind(0)
    }

    /// Waits for an answer, received after the first `kept` bytes of the buffer.
    fn wait_behind(&mut self, kept: usize) -> Result<Reply, Cause> {
        let mut stray = ForeignDatagramGuard::default();
        loop {
            let end = kept + self.receive_behind(kept, &mut stray)?;
            let mut at = kept;
            while let Some(place) = MessageRange::next(&self.answer[..end], &mut at)? {
                let message = place.message(&self.answer);
                if !self.is_mine(&message) {
                    continue;
                }
                return Ok(match self.verdict(&message)? {
                    Some(verdict) => Reply::Verdict(verdict),
                    None => Reply::Object(place),
                });
            }
        }
    }

    /// Receives one datagram of the kernel's.
    pub(crate) fn receive(&mut self, stray: &mut ForeignDatagramGuard) -> Result<usize, Cause> {
        self.receive_behind(0, stray)
    }

    fn receive_behind(&mut self, kept: usize, stray: &mut ForeignDatagramGuard) -> Result<usize, Cause> {
        loop {
            stray.check(self.timeout)?;
            let received = match self.transport.receive(&mut self.answer[kept..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received.map_err(|error| self.lost(error))?,
            };
            if received.sender != 0 {
                continue; // Another process: any may send to our port.
            }
            if received.length > self.answer.len() - kept {
                return Err(cut_short());
            }
            return Ok(received.length);
        }
    }

    /// Receives the datagrams that are there, at least one of them, and returns
    /// where in the buffer they stand.
    pub(crate) fn receive_many(
        &mut self,
        stray: &mut ForeignDatagramGuard,
    ) -> Result<impl Iterator<Item = Range<usize>> + use<T>, Cause> {
        let mut received = [Received::default(); SLOTS];
        let count = loop {
            stray.check(self.timeout)?;
            match self.transport.receive_many(&mut self.answer, &mut received, true) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count.map_err(|error| self.lost(error))?,
            }
        };
        if received[..count].iter().any(|one| one.sender == 0 && one.length > SLOT) {
            return Err(cut_short());
        }
        let ours = received.into_iter().take(count).enumerate().filter(|(_, one)| one.sender == 0);
        Ok(ours.map(|(slot, one)| slot * SLOT..slot * SLOT + one.length))
    }

    /// Discards received datagrams: after a loss, the kernel delivers nothing until
    /// the receive buffer is empty (`NETLINK_S_CONGESTED`).
    pub(crate) fn forget_answers(&mut self) {
        let mut received = [Received::default(); SLOTS];
        for _ in 0..MOST_FORGOTTEN {
            match self.transport.receive_many(&mut self.answer, &mut received, false) {
                Ok(0) => return,
                // An error such as ENOBUFS is reported once, before the queued datagrams.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    /// How many of `most` answers have room to wait.
    pub(crate) fn room_for_answers(&mut self, most: usize) -> usize {
        let room = self.transport.make_room(most * ANSWER).unwrap_or(0);
        (room / ANSWER).clamp(1, most)
    }

    fn lost(&self, error: io::Error) -> Cause {
        match error.kind() {
            io::ErrorKind::WouldBlock => Cause::Timeout(self.timeout),
            _ => Cause::AnswerLost(error),
        }
    }

    /// Empties the request buffer for a pack, and takes `most` sequence numbers
    /// that follow each other; returns the first.
    pub(crate) fn start_pack(&mut self, most: u32) -> u32 {
        self.request.clear();
        // They do not wrap within a pack.
        let first = self.sequence.checked_add(most).map_or(0, |_| self.sequence + 1);
        self.sequence = first + (most - 1);
        first
    }

    /// Where the requests of a pack are written.
    pub(crate) const fn group_buffer(&mut self) -> &mut BytesMut {
        &mut self.request
    }

    /// Sends the request buffer. A send that a signal stopped sent nothing.
    pub(crate) fn send_pack(&mut self) -> Result<(), Cause> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.transport.send(&self.request) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < MOST_SIGNALS => {}
                sent => return sent.map_err(Cause::Send),
            }
        }
    }

    /// The verdict in a message, with the attribute at fault found in the request;
    /// `None` for other messages.
    pub(crate) fn verdict(&self, message: &Message<'_>) -> Result<Option<Verdict>, DecodeError> {
        let mut verdict = match message.kind {
            NLMSG_ERROR => decode_error(message)?,
            NLMSG_DONE => decode_done(message)?,
            _ => return Ok(None),
        };
        let ext_ack = match &mut verdict {
            Ok(warning) => warning.as_mut(),
            Err(error) => Some(&mut error.ext_ack),
        };
        if let Some(ext_ack) = ext_ack {
            let mut at = 0;
            while let Ok(Some(place)) = MessageRange::next(&self.request, &mut at) {
                if place.message(&self.request).sequence == message.sequence {
                    ext_ack.explain(place.bytes(&self.request));
                    break;
                }
            }
        }
        Ok(Some(verdict))
    }

    /// Whether a message answers the last request.
    pub(crate) fn is_mine(&self, message: &Message<'_>) -> bool {
        self.answers(message, self.sequence) == Some(0)
    }

    /// The request that a message answers, counted from the one with the sequence
    /// number `first`; `None` if it answers another socket or carries no answer.
    pub(crate) fn answers(&self, message: &Message<'_>, first: u32) -> Option<usize> {
        let mine = message.port == self.transport.port();
        let says = !matches!(message.kind, NLMSG_NOOP | NLMSG_OVERRUN);
        message.sequence.checked_sub(first).filter(|_| mine && says).map(|index| index as usize)
    }
}
