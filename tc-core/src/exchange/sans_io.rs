//! The exchange of requests and answers without I/O: bytes out, datagrams in, outcomes out.
//!
//! It knows no socket and no time. A driver sends [`Exchange::bytes`], then asks [`Exchange::next`] for the next
//! step, and receives where that says so. [`Connection`](crate::Connection) drives it over a transport that
//! waits; the asynchronous connection of the feature `tokio` over one that does not.

use bytes::BytesMut;

use crate::exchange::dump_request::DumpRequest;
use crate::exchange::error::Cause;
use crate::exchange::inbox::{Inbox, Received};
use crate::exchange::reply::{MessageRange, cut_short};
use crate::wire::ack::{ExtAck, KernelError, decode_done, decode_error};
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::message::Message;
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

/// The most requests in one datagram that have an outcome each.
pub(crate) const MOST_OPEN: usize = u128::BITS as usize;

/// The requests of one datagram, and the answers up to now.
#[derive(Debug)]
pub(crate) struct Exchange {
    port: u32,
    /// The last sequence number that was used.
    sequence: u32,
    out: BytesMut,
    /// The sequence number of the first request; the others count up from it.
    first: u32,
    count: usize,
    expected: Expected,
    inbox: Inbox,
    /// Whether an answer came since the last [`Next::Receive`].
    progress: bool,
    is_over: bool,
}

/// The answers that requests have.
#[derive(Debug)]
pub(crate) enum Expected {
    /// A verdict. Objects before it are an echo, or shown before a refusal.
    Verdict,
    /// An object, or a verdict that refuses it.
    Object,
    /// An object and then a verdict. Kernel: the built-in defaults (noqueue) are acknowledged without the object.
    ObjectAndVerdict(Option<MessageRange>),
    /// Objects, and the end of the list.
    List(List),
    /// One answer for each request, an object or a verdict; a bit for each that is open.
    Each(u128),
    /// A verdict of the last request, and of each before it that fails; the number of outcomes so far.
    Failures(usize),
}

/// A list that is being read.
#[derive(Debug)]
pub(crate) struct List {
    select: DumpRequest,
    interrupted: bool,
    /// The datagrams with objects.
    pieces: usize,
    /// Whether the current datagram is one of them.
    is_counted: bool,
}

/// The next thing to do.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send [`Exchange::bytes`] again.
    Send,
    /// Receive into the buffer after its first bytes, which stay, and call [`Exchange::received`]; or several
    /// datagrams, each into its share of the buffer, and call [`Exchange::received_many`].
    Receive {
        /// How many bytes stay.
        behind: usize,
        /// Several datagrams are expected.
        many: bool,
        /// An answer came since the last time: a time limit starts again.
        progress: bool,
    },
    /// Something is known.
    Step(Step),
}

/// A verdict, small where all is well: steps are many.
pub(crate) type Told = Result<Option<Box<ExtAck>>, Box<KernelError>>;

/// A step of an exchange.
#[derive(Debug)]
pub(crate) enum Step {
    /// The object that answers the request with this index, or belongs to its list.
    Object(usize, MessageRange),
    /// The verdict on the request with this index.
    Verdict(usize, Told),
    /// All requests before this one that had no outcome yet were carried out.
    Succeeded(usize),
    /// There are no more answers.
    End,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        Self {
            port: 0,
            sequence: 0,
            out: BytesMut::with_capacity(4096),
            first: 0,
            count: 0,
            expected: Expected::Verdict,
            inbox: Inbox::default(),
            progress: false,
            is_over: true,
        }
    }

    /// Begins with the request that `encode` writes. Answers to earlier requests are passed over from now on.
    pub(crate) fn begin(
        &mut self,
        port: u32,
        expected: Expected,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.port = port;
        self.sequence = self.sequence.wrapping_add(1);
        self.begin_at(self.sequence);
        encode(self.sequence, &mut self.out)?;
        self.count = 1;
        self.set_expected(expected);
        Ok(())
    }

    /// Begins with the request for a list.
    pub(crate) fn begin_list(&mut self, port: u32, select: &DumpRequest) -> Result<(), EncodeError> {
        let list = List { select: *select, interrupted: false, pieces: 0, is_counted: false };
        self.begin(port, Expected::List(list), |sequence, buffer| select.encode(sequence, buffer))
    }

    /// Begins without a request; [`push`](Self::push) adds up to `most`, which have consecutive sequence numbers.
    pub(crate) fn begin_many(&mut self, port: u32, most: u32) {
        self.port = port;
        // They do not wrap within a datagram.
        let first = self.sequence.checked_add(most).map_or(0, |_| self.sequence + 1);
        self.begin_at(first);
        self.sequence = first + (most - 1);
    }

    fn begin_at(&mut self, first: u32) {
        self.out.clear();
        self.inbox.clear();
        (self.first, self.count) = (first, 0);
        (self.is_over, self.progress) = (true, false);
    }

    /// Adds the request that `encode` writes; returns where it starts. An error leaves the requests as they were.
    pub(crate) fn push(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<usize, EncodeError> {
        let start = self.out.len();
        encode(self.first + self.count as u32, &mut self.out).inspect_err(|_| self.out.truncate(start))?;
        self.count += 1;
        Ok(start)
    }

    /// Sets the answers that the requests have.
    pub(crate) fn set_expected(&mut self, expected: Expected) {
        self.expected = expected;
        self.is_over = false;
    }

    /// How many requests there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The requests, to be sent in one datagram.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The requests, to edit their flags.
    pub(crate) const fn bytes_mut(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// A datagram came, into the buffer after its first `behind` bytes, where there was room for `room`.
    pub(crate) fn received(&mut self, behind: usize, room: usize, received: Received) -> Result<(), Cause> {
        let is_whole = self.inbox.put(behind, room, received);
        self.datagram(is_whole)
    }

    /// Several datagrams came, each into its share of the buffer.
    pub(crate) fn received_many(&mut self, share: usize, received: &[Received]) -> Result<(), Cause> {
        let are_whole = self.inbox.put_many(share, received);
        self.datagram(are_whole)
    }

    fn datagram(&mut self, is_whole: bool) -> Result<(), Cause> {
        if let Expected::List(list) = &mut self.expected {
            list.is_counted = false;
        }
        if is_whole { Ok(()) } else { Err(cut_short()) }
    }

    /// Ends the exchange: what has no answer yet stays without one.
    pub(crate) const fn stop(&mut self) {
        self.is_over = true;
    }

    /// The requests without an outcome, of those that have one each.
    pub(crate) fn open(&self) -> impl Iterator<Item = usize> + use<> {
        let open = if let Expected::Each(open) = self.expected { open } else { 0 };
        (0..self.count).filter(move |index| open & 1 << index != 0)
    }

    /// The datagrams with objects of the last list.
    pub(crate) const fn pieces(&self) -> usize {
        if let Expected::List(list) = &self.expected { list.pieces } else { 0 }
    }

    /// The next step; `buffer` has the datagrams that were received. An error ends the exchange.
    #[inline]
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Result<Next, Box<Cause>> {
        while !self.is_over {
            let Some(place) = self.inbox.next(buffer).map_err(boxed)? else { return Ok(self.receive()) };
            // An answer to another socket, to another request, or none.
            let index = place.sequence().wrapping_sub(self.first) as usize;
            let is_mine = place.port() == self.port && index < self.count;
            if !is_mine || matches!(place.kind(), NLMSG_NOOP | NLMSG_OVERRUN) {
                continue;
            }
            let next = match &mut self.expected {
                Expected::List(list) if place.kind() >= NLMSG_MIN_TYPE => {
                    self.progress = true;
                    list.interrupted |= place.flags() & NLM_F_DUMP_INTR != 0;
                    list.pieces += usize::from(!std::mem::replace(&mut list.is_counted, true));
                    match list.is_selected(&place.message(buffer)) {
                        true => return Ok(Next::Step(Step::Object(0, place))),
                        false => continue,
                    }
                }
                Expected::List(_) => self.ended(&place.message(buffer))?,
                _ => self.answered(index, &place.message(buffer), place)?.map(Next::Step),
            };
            if let Some(next) = next {
                return Ok(next);
            }
        }
        Ok(Next::Step(Step::End))
    }

    /// The next object of a list, if it was received already: the short way, which most steps go. `None` decides
    /// nothing.
    #[inline]
    pub(crate) fn next_listed(&mut self, buffer: &[u8]) -> Option<MessageRange> {
        let Expected::List(list) = &mut self.expected else { return None };
        let mark = self.inbox.mark();
        let place = self.inbox.next(buffer).ok().flatten().filter(|place| {
            let is_mine = place.port() == self.port && place.sequence() == self.first && !self.is_over;
            is_mine && place.kind() >= NLMSG_MIN_TYPE && list.is_selected(&place.message(buffer))
        });
        match place {
            Some(place) => {
                list.interrupted |= place.flags() & NLM_F_DUMP_INTR != 0;
                list.pieces += usize::from(!std::mem::replace(&mut list.is_counted, true));
            }
            None => self.inbox.back_to(mark),
        }
        place
    }

    fn receive(&mut self) -> Next {
        let behind = match &self.expected {
            Expected::ObjectAndVerdict(Some(object)) => object.end(),
            _ => 0,
        };
        let many = matches!(self.expected, Expected::Each(_) | Expected::Failures(_));
        Next::Receive { behind, many, progress: std::mem::take(&mut self.progress) }
    }

    /// An answer to a request that is no list; `None` if more follows.
    fn answered(
        &mut self,
        index: usize,
        message: &Message<'_>,
        place: MessageRange,
    ) -> Result<Option<Step>, Box<Cause>> {
        let is_told = match self.expected {
            Expected::Each(open) => open & 1 << index == 0,
            Expected::Failures(told) => index < told,
            _ => false,
        };
        if is_told {
            return Ok(None);
        }
        let verdict = self.verdict(message).map_err(boxed)?;
        let step = match (&mut self.expected, verdict) {
            (Expected::Verdict, None) => return Ok(Some(Step::Object(index, place))),
            (Expected::Object, None) => Step::Object(index, place),
            (Expected::ObjectAndVerdict(object), None) => {
                // One that comes again is passed over.
                object.get_or_insert(place);
                self.progress = true;
                return Ok(None);
            }
            (Expected::ObjectAndVerdict(Some(object)), Some(Ok(_))) => Step::Object(index, *object),
            (Expected::Each(open), verdict) => {
                *open &= !(1 << index);
                self.is_over = *open == 0;
                return Ok(Some(match verdict {
                    Some(verdict) => Step::Verdict(index, verdict),
                    None => Step::Object(index, place),
                }));
            }
            (Expected::Failures(_), None) => return Ok(None),
            (Expected::Failures(told), Some(_)) if index != *told => {
                // Answers come in order: requests without one succeeded.
                *told = index;
                self.inbox.back_to(place.start());
                return Ok(Some(Step::Succeeded(index)));
            }
            (Expected::Failures(told), Some(verdict)) => {
                *told += 1;
                self.is_over = *told == self.count;
                return Ok(Some(Step::Verdict(index, verdict)));
            }
            (_, Some(verdict)) => Step::Verdict(index, verdict),
            (Expected::List(_), None) => return Ok(None),
        };
        self.is_over = true;
        Ok(Some(step))
    }

    /// The end of a list, or a failure; `None` if it is neither.
    fn ended(&mut self, message: &Message<'_>) -> Result<Option<Next>, Box<Cause>> {
        let Expected::List(list) = &mut self.expected else { return Ok(None) };
        self.progress = true;
        list.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
        let (select, interrupted) = (list.select, list.interrupted);
        match self.verdict(message).map_err(boxed)? {
            None => Ok(None),
            // Kernel: one dump at a time for a socket. An earlier dump was abandoned; each receive brings its
            // next datagram, so this comes to an end.
            Some(Err(error)) if message.kind == NLMSG_ERROR && error.errno == libc::EBUSY => {
                self.begin_list(self.port, &select).map_err(boxed)?;
                Ok(Some(Next::Send))
            }
            Some(Ok(_)) if interrupted => Err(boxed(Cause::Interrupted(1))),
            Some(told) => {
                self.is_over = true;
                Ok(Some(Next::Step(told.map_or_else(|error| Step::Verdict(0, Err(error)), |_| Step::End))))
            }
        }
    }

    /// The verdict in a message, with the attribute at fault found in the request; `None` for other messages.
    fn verdict(&self, message: &Message<'_>) -> Result<Option<Told>, DecodeError> {
        let mut verdict = match message.kind {
            NLMSG_ERROR => decode_error(message)?,
            NLMSG_DONE => decode_done(message)?,
            _ => return Ok(None),
        };
        let ext_ack = match &mut verdict {
            Ok(None) => return Ok(Some(Ok(None))),
            Ok(Some(warning)) => warning,
            Err(error) => &mut error.ext_ack,
        };
        let mut at = 0;
        while let Ok(Some(place)) = MessageRange::next(&self.out, &mut at) {
            if place.sequence() == message.sequence {
                ext_ack.explain(place.bytes(&self.out));
                break;
            }
        }
        Ok(Some(verdict.map(|warning| warning.map(Box::new)).map_err(Box::new)))
    }

    #[cfg(test)]
    pub(crate) const fn set_sequence(&mut self, sequence: u32) {
        self.sequence = sequence;
    }
}

impl List {
    /// Kernel: a qdisc dump comes for all devices, whatever was asked for. The filters of a device may be those
    /// of a block, and name no device.
    fn is_selected(&self, message: &Message<'_>) -> bool {
        if self.select.tc_type != TcType::Qdisc {
            return true;
        }
        let ifindex = self.select.header.ifindex;
        ifindex == 0 || message.payload.get(4..8).is_none_or(|bytes| *bytes == ifindex.to_ne_bytes())
    }
}

fn boxed(error: impl Into<Cause>) -> Box<Cause> {
    Box::new(error.into())
}

#[cfg(test)]
mod tests;
