//! Requests and their answers: one by one, and dumps.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::BytesMut;

use crate::ack::{ExtAck, Verdict, decode_done, decode_error};
use crate::answer::{Answer, Place, Stray, cut_short};
use crate::echo::Echo;
use crate::error::{Cause, DecodeError, EncodeError, Error};
use crate::message::{Entry, Message};
use crate::object::{Request, Verb};
use crate::socket::Socket;
use crate::transport::{DEFAULT_TIMEOUT, Received, Transport};
use crate::uapi::*;

/// Room for one datagram. The kernel builds dumps in pieces of up to 32 KiB,
/// but only for a receiver that has shown that much room before.
///
/// Of this size, allocators take it from the kernel as it is, and memory that
/// is never written costs nothing: zeroing 64 KiB was a tenth of a millisecond
/// in a short-lived program.
const ROOM: usize = 256 * 1024;

/// How many datagrams are received at once where many are expected. Each has
/// room for the longest description of one object (`NLMSG_GOODSIZE`).
const SLOTS: usize = 8;
const SLOT: usize = ROOM / SLOTS;

/// What an answer takes of the receive buffer at most, with what the kernel
/// counts beside its bytes. Seen on Linux 6.18: 832 bytes for an
/// acknowledgement, and for a refusal with a text; a very long one takes 1280.
const ANSWER: usize = 2048;

/// The end of throwing answers away, should somebody keep sending.
const MOST_FORGOTTEN: usize = 1000;

/// How often a send that signals stop is tried again.
const MOST_SIGNALS: u32 = 1000;

/// A conversation with the kernel about traffic control.
///
/// Both buffers are made once and used again: a request that succeeds allocates
/// nothing and costs one send and one receive.
///
/// ```no_run
/// use tc_core::{Connection, Handle, Request};
///
/// let mut tc = Connection::open()?;
/// let lo = tc.ifindex("lo")?;
/// tc.add(&Request::qdisc(lo).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo"))?;
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection<T: Transport = Socket> {
    pub(crate) transport: T,
    sequence: u32,
    timeout: Duration,
    request: BytesMut,
    pub(crate) answer: Box<[u8]>,
    pub(crate) echo: Echo,
}

impl Connection {
    /// Opens a connection in the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        let socket =
            Socket::open().map_err(|error| Error::new("open", "netlink socket", Cause::System(error)))?;
        Ok(Self::over(socket))
    }
}

impl<T: Transport> Connection<T> {
    /// A connection over any transport: the embedded kernel, or one of a test.
    pub fn over(transport: T) -> Self {
        Self {
            transport,
            sequence: 0,
            timeout: DEFAULT_TIMEOUT,
            request: BytesMut::with_capacity(4096),
            answer: vec![0; ROOM].into_boxed_slice(),
            echo: Echo::default(),
        }
    }

    /// How long an answer may take (30 s unless set) before the outcome is
    /// reported as unknown. No time at all counts as the least that there is.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.timeout = timeout;
        let set = self.transport.set_timeout(Some(timeout));
        set.map_err(|error| Error::new("set", "receive timeout", Cause::System(error)))
    }

    /// The transport below.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport below, to change it.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Makes a new object.
    pub fn add(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.apply(Verb::Add, request).map(|_| ())
    }

    /// Changes an object that is there.
    pub fn change(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.apply(Verb::Change, request).map(|_| ())
    }

    /// Changes an object, or puts a new one in its place.
    pub fn replace(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.apply(Verb::Replace, request).map(|_| ())
    }

    /// Attaches a qdisc that is there to another parent.
    pub fn link(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.apply(Verb::Link, request).map(|_| ())
    }

    /// Takes an object away, and all that hangs below it.
    pub fn delete(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.apply(Verb::Delete, request).map(|_| ())
    }

    /// Sends one message and waits for the kernel's verdict: two system calls.
    /// Returns what the kernel warned of, if it did.
    ///
    /// Most callers want [`Connection::apply`], which does more for kinds that
    /// need it.
    pub fn apply_as_it_is(&mut self, verb: Verb, request: &Request<'_>) -> Result<Option<ExtAck>, Error> {
        let fail = |cause: Cause| Error::new(verb.name(), request.describe(), cause);
        self.transact(|sequence, buffer| request.encode(verb, sequence, buffer)).map_err(fail)
    }

    /// Asks for one object, by its handle or parent: one send and two receives.
    pub fn get(&mut self, request: &Request<'_>) -> Result<Entry<'_>, Error> {
        let fail = |cause: Cause| Error::new(Verb::Get.name(), request.describe(), cause);
        self.send(|sequence, buffer| request.encode(Verb::Get, sequence, buffer)).map_err(fail)?;
        let waited = self.wait_for_object();
        let place = self.clean(waited).map_err(fail)?;
        let message = place.message(&self.answer);
        Entry::decode(&message).map_err(|error| fail(error.into()))
    }

    /// Sends what `encode` writes and waits for its acknowledgement.
    pub(crate) fn transact(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Option<ExtAck>, Cause> {
        if self.echo.is_on() {
            return self.transact_with_echo(encode);
        }
        self.send(encode)?;
        let verdict = loop {
            match self.wait() {
                Ok(Answer::Verdict(verdict)) => break verdict.map_err(Cause::from),
                // It may be shown before it fails: the verdict alone counts.
                Ok(Answer::Object(_)) => {}
                Err(cause) => break Err(cause),
            }
        };
        self.clean(verdict)
    }

    /// Sends what `encode` writes and waits for the object that answers it.
    pub(crate) fn ask(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Place, Cause> {
        self.send(encode)?;
        let waited = self.wait();
        match self.clean(waited)? {
            Answer::Object(place) => Ok(place),
            Answer::Verdict(Err(error)) => Err(error.into()),
            Answer::Verdict(Ok(_)) => Err(DecodeError::Missing { what: "object in the answer" }.into()),
        }
    }

    /// The outcome, with nothing left in the way of the next one if an answer
    /// was lost.
    pub(crate) fn clean<R>(&mut self, outcome: Result<R, Cause>) -> Result<R, Cause> {
        if matches!(outcome, Err(Cause::AnswerLost(_))) {
            self.forget_answers();
        }
        outcome
    }

    pub(crate) fn send(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), Cause> {
        // 0 is what notices carry.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.request.clear();
        encode(self.sequence, &mut self.request)?;
        self.send_pack()
    }

    /// Waits for an object and the acknowledgement behind it. Kernel: the
    /// built-in defaults (noqueue) are not shown, only acknowledged.
    fn wait_for_object(&mut self) -> Result<Place, Cause> {
        match self.wait()? {
            Answer::Verdict(verdict) => verdict.map_err(Cause::from).and(Err(Cause::NotShown)),
            Answer::Object(place) => {
                // Behind the object, so that it stays whole. One that comes
                // again is passed over.
                loop {
                    if let Answer::Verdict(verdict) = self.wait_behind(place.end())? {
                        return verdict.map_err(Cause::from).map(|_| place);
                    }
                }
            }
        }
    }

    /// Waits for the answer to the last request: late answers to others,
    /// notices and datagrams of other processes are passed over.
    fn wait(&mut self) -> Result<Answer, Cause> {
        self.wait_behind(0)
    }

    /// The same, with what comes behind the first `kept` bytes of the buffer.
    fn wait_behind(&mut self, kept: usize) -> Result<Answer, Cause> {
        let mut stray = Stray::default();
        loop {
            let end = kept + self.receive_behind(kept, &mut stray)?;
            let mut at = kept;
            while let Some(place) = Place::next(&self.answer[..end], &mut at)? {
                let message = place.message(&self.answer);
                if !self.is_mine(&message) {
                    continue;
                }
                return Ok(match (self.verdict(&message)?, message.kind) {
                    (Some(verdict), _) => Answer::Verdict(verdict),
                    (None, NLMSG_NOOP | NLMSG_OVERRUN) => continue,
                    (None, _) => Answer::Object(place),
                });
            }
        }
    }

    /// Receives one datagram of the kernel's.
    pub(crate) fn receive(&mut self, stray: &mut Stray) -> Result<usize, Cause> {
        self.receive_behind(0, stray)
    }

    fn receive_behind(&mut self, kept: usize, stray: &mut Stray) -> Result<usize, Cause> {
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
        stray: &mut Stray,
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

    /// Throws away what has come: after a loss, the kernel delivers nothing more
    /// until the receive buffer was empty (`NETLINK_S_CONGESTED`).
    pub(crate) fn forget_answers(&mut self) {
        let mut received = [Received::default(); SLOTS];
        for _ in 0..MOST_FORGOTTEN {
            match self.transport.receive_many(&mut self.answer, &mut received, false) {
                Ok(0) => return,
                // An error such as ENOBUFS is told once, and hides what waits.
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
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Cause::Timeout(self.timeout),
            _ => Cause::AnswerLost(error),
        }
    }

    /// Empties the request buffer for a pack, and takes `most` sequence numbers
    /// that follow each other; returns the first.
    pub(crate) fn start_pack(&mut self, most: u32) -> u32 {
        self.request.clear();
        // 0 is what notices carry.
        let first = match self.sequence.checked_add(most) {
            Some(_) => self.sequence + 1,
            None => 1,
        };
        self.sequence = first + (most - 1);
        first
    }

    /// Where the requests of a pack are written.
    pub(crate) const fn packed(&mut self) -> &mut BytesMut {
        &mut self.request
    }

    /// Sends what is in the request buffer. What a signal stopped was not sent.
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

    /// The verdict that a message is, with the attribute at fault found in the
    /// request; `None` if it is none.
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
        if let Some(ext_ack) = ext_ack.filter(|ack| ack.offset.is_some() || ack.missing_attribute.is_some()) {
            let mut at = 0;
            while let Ok(Some(place)) = Place::next(&self.request, &mut at) {
                if place.message(&self.request).sequence == message.sequence {
                    ext_ack.explain(place.bytes(&self.request));
                    break;
                }
            }
        }
        Ok(Some(verdict))
    }

    #[cfg(test)]
    pub(crate) const fn set_sequence(&mut self, sequence: u32) {
        self.sequence = sequence;
    }

    pub(crate) fn is_mine(&self, message: &Message<'_>) -> bool {
        message.sequence == self.sequence && message.port == self.transport.port()
    }
}
