//! Drives the exchange over a transport: sends, receives, and limits the time.

use std::io;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use super::{Connection, ROOM};
use crate::connection::{Received, Transport};
use crate::exchange::error::Cause;
use crate::exchange::inbox::SLOTS;
use crate::exchange::sans_io::{Next, Step};

/// The room of each of several datagrams: enough for the longest description of one object (`NLMSG_GOODSIZE`).
pub(super) const SLOT: usize = ROOM / SLOTS;

/// The most that an answer takes of the receive buffer, with the kernel's
/// overhead. Seen on Linux 6.18: 832 bytes for an
/// acknowledgement, and for a refusal with a text; a very long one takes 1280.
const ANSWER: usize = 2048;

/// Upper bound on stale replies discarded before giving up.
const MOST_FORGOTTEN: usize = 1000;

/// Maximum EINTR retries for a send.
const MOST_SIGNALS: u32 = 1000;

/// Keeps a flood of datagrams that are not for us from holding a request for
/// ever: each receive has a time limit, and so has the sum of them.
#[derive(Debug, Default)]
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
    pub(crate) const fn reset(&mut self) {
        (self.since, self.received) = (None, false);
    }
}

/// Nothing came within the time limit of a transport that waits.
pub(crate) fn in_time<T>(_: &mut T, _: u64) -> Poll<io::Result<()>> {
    Poll::Ready(Err(io::ErrorKind::WouldBlock.into()))
}

impl<T: Transport> Connection<T> {
    /// Sends what the exchange has to send.
    pub(crate) fn send(&mut self) -> Result<(), Cause> {
        self.stray.reset();
        self.send_again()
    }

    fn send_again(&mut self) -> Result<(), Cause> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.transport.send(self.exchange.bytes()) {
                // A send that a signal stopped sent nothing.
                Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < MOST_SIGNALS => {}
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.exchange.stop();
                    return Err(Cause::Send(error));
                }
            }
        }
    }

    /// The next step of the exchange. After an error it is over.
    ///
    /// Where a receive has nothing yet, `wait` decides: to try again, not yet, or an error. It gets the transport and
    /// the number of datagrams up to now.
    #[inline]
    pub(crate) fn poll_step(
        &mut self,
        wait: impl FnMut(&mut T, u64) -> Poll<io::Result<()>>,
    ) -> Poll<Result<Step, Box<Cause>>> {
        let step = ready!(self.drive(wait));
        match &step {
            Ok(_) => self.stray.reset(),
            Err(_) => self.exchange.stop(),
        }
        Poll::Ready(step)
    }

    #[inline]
    fn drive(
        &mut self,
        mut wait: impl FnMut(&mut T, u64) -> Poll<io::Result<()>>,
    ) -> Poll<Result<Step, Box<Cause>>> {
        loop {
            match self.exchange.next(&self.answer)? {
                Next::Step(step) => return Poll::Ready(Ok(step)),
                Next::Send => self.send_again().map_err(Box::new)?,
                Next::Receive { behind, many, progress } => {
                    if progress {
                        self.stray.reset();
                    }
                    ready!(self.receive(behind, many, &mut wait)).map_err(Box::new)?;
                }
            }
        }
    }

    /// Receives one datagram after the first bytes of the buffer, or several.
    fn receive(
        &mut self,
        behind: usize,
        many: bool,
        mut wait: impl FnMut(&mut T, u64) -> Poll<io::Result<()>>,
    ) -> Poll<Result<(), Cause>> {
        self.stray.check(self.timeout)?;
        loop {
            let received = if many {
                let mut received = [Received::default(); SLOTS];
                let count = self.transport.receive_many(&mut self.answer, &mut received, true);
                count.map(|count| self.exchange.received_many(SLOT, &received[..count]))
            } else {
                let room = self.answer.len() - behind;
                let received = self.transport.receive(&mut self.answer[behind..]);
                received.map(|received| self.exchange.received(behind, room, received))
            };
            match received {
                Ok(taken) => {
                    self.datagrams += 1;
                    return Poll::Ready(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.stray.check(self.timeout)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(error) = ready!(wait(&mut self.transport, self.datagrams)) {
                        return Poll::Ready(Err(self.lost(error)));
                    }
                    self.stray.check(self.timeout)?;
                }
                Err(error) => return Poll::Ready(Err(self.lost(error))),
            }
        }
    }

    fn lost(&self, error: io::Error) -> Cause {
        match error.kind() {
            io::ErrorKind::WouldBlock => Cause::Timeout(self.timeout),
            _ => Cause::AnswerLost(error),
        }
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
}
