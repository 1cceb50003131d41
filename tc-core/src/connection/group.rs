//! Several requests in one datagram.

use bytes::BytesMut;

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk::{self, Talk};
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::request::Request;
use crate::exchange::sans_io::{Exchange, Expected, MOST_OPEN, Step};
use crate::wire::ack::ExtAck;
use crate::wire::error::EncodeError;
use crate::wire::message::{Message, edit_flags};
use crate::wire::uapi::*;
use crate::wire::verb::Verb;

/// Requests that go to the kernel in one send, each with its own outcome.
///
/// The kernel carries them out in order and continues after one that fails. They
/// are not a transaction: packets, and requests of other processes, can come
/// between two of them.
///
/// Nothing is allocated as long as all succeed. Each answer is a separate
/// datagram: one send, and one receive for each eight of them.
/// [`Connection::pipeline`] is faster for many requests if only failures matter.
///
/// ```no_run
/// use tc_core::{Connection, Handle, Request, Verb};
///
/// let mut tc = Connection::open()?;
/// let mut pack = tc.group();
/// for ifindex in [2, 3] {
///     pack.push(Verb::Delete, &Request::qdisc(ifindex).parent(Handle::ROOT))?;
/// }
/// pack.send(|index, outcome| {
///     if let Err(cause) = outcome {
///         println!("device {}: {cause}", [2, 3][index]);
///     }
/// })?;
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RequestGroup<'c, T: Transport> {
    connection: &'c mut Connection<T>,
}

/// The answer to a request of a [`RequestGroup`].
#[derive(Debug)]
pub enum Done<'a> {
    /// It was carried out, and the kernel warned of this, if it did.
    Acknowledged(Option<ExtAck>),
    /// The object, as it was right after the request, for
    /// [`Entry::decode`](crate::wire::message::Entry::decode).
    Shown(Message<'a>),
}

impl<T: Transport> Connection<T> {
    /// Starts a pack of requests.
    pub fn group(&mut self) -> RequestGroup<'_, T> {
        self.exchange.begin_many(self.transport.port(), RequestGroup::<T>::MOST as u32);
        RequestGroup { connection: self }
    }
}

impl<T: Transport> RequestGroup<'_, T> {
    /// The most requests in one pack.
    pub const MOST: usize = MOST_OPEN;

    /// Adds a request that is answered by an acknowledgement, and returns its
    /// index. An error leaves the pack as it was.
    pub fn push<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<usize, Error> {
        push(&mut self.connection.exchange, verb, &request.parts, |flags| flags)
    }

    /// Adds a request that is answered by the object itself, with its counters,
    /// as it is right after the request (`NLM_F_ECHO` without `NLM_F_ACK`). This saves
    /// a get.
    ///
    /// For qdiscs with a handle alone. Kernel: a default qdisc with the handle 0
    /// may have nothing shown, and the request is then never answered.
    pub fn push_shown<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<usize, Error> {
        push(&mut self.connection.exchange, verb, &request.parts, shown)
    }

    /// Adds the message that `encode` writes, which is answered by an acknowledgement.
    pub(crate) fn push_message(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<(), Cause> {
        self.connection.exchange.push(encode)?;
        Ok(())
    }

    /// How many requests it holds.
    pub const fn len(&self) -> usize {
        self.connection.exchange.count()
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends all requests, and reports the outcome of each once, with its index: in
    /// order, unless answers were lost. Those come last, with a cause that is
    /// [`Cause::is_outcome_unknown`].
    ///
    /// If this returns an error, nothing was sent.
    pub fn send(self, each: impl FnMut(usize, Result<Done<'_>, Cause>)) -> Result<(), Error> {
        talk::now(send(self.connection, each))
    }
}

/// The flags of a request that is answered by the object itself.
pub(crate) const fn shown(flags: u16) -> u16 {
    (flags | NLM_F_ECHO) & !NLM_F_ACK
}

/// Adds a request to the exchange.
pub(crate) fn push(
    exchange: &mut Exchange,
    verb: Verb,
    request: &Parts<'_>,
    flags: impl FnOnce(u16) -> u16,
) -> Result<usize, Error> {
    let fail = |cause: Cause| Error::new(verb.name(), request.describe(), cause);
    if exchange.count() == MOST_OPEN {
        return Err(fail(Cause::Refused(format!("a pack holds {MOST_OPEN} requests"))));
    }
    let start = exchange.push(|sequence, buffer| request.encode(verb, sequence, buffer));
    let start = start.map_err(|error| fail(error.into()))?;
    edit_flags(exchange.bytes_mut(), start, flags);
    Ok(exchange.count() - 1)
}

/// Sends the requests of the exchange, and reports the outcome of each.
pub(crate) async fn send<C: Talk>(
    tc: &mut C,
    mut each: impl FnMut(usize, Result<Done<'_>, Cause>),
) -> Result<(), Error> {
    let connection = tc.connection();
    let count = connection.exchange.count();
    if count == 0 {
        return Ok(());
    }
    // Where the system allows no more room, answers can be lost.
    connection.room_for_answers(count);
    connection.exchange.set_expected(Expected::Each(u128::MAX >> (MOST_OPEN - count)));
    let sent = connection.send();
    sent.map_err(|cause| Error::new("send", format!("a pack of {count} requests"), cause))?;
    loop {
        match talk::step(tc).await {
            Ok(Step::Verdict(index, verdict)) => {
                let warning = verdict.map(|warning| warning.map(|warning| *warning));
                each(index, warning.map(Done::Acknowledged).map_err(|error| Cause::Kernel(*error)));
            }
            Ok(Step::Object(index, place)) => {
                each(index, Ok(Done::Shown(place.message(&tc.connection().answer))));
            }
            Ok(Step::Succeeded(_)) => {}
            Ok(Step::End) => return Ok(()),
            Err(cause) => {
                let connection = tc.connection();
                connection.forget_answers();
                for index in connection.exchange.open() {
                    each(index, Err(cause.again()));
                }
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::scripted::{Script, Scripted, message, verdict};
    use crate::wire::handle::Handle;
    use crate::wire::message::Entry;

    /// Three deletes: their outcomes, and the numbers of sends and receives.
    fn outcomes(script: Script) -> (Vec<(usize, String)>, usize, usize) {
        let mut tc = Connection::over(Scripted::new(script));
        let mut pack = tc.group();
        for ifindex in 1..=3 {
            pack.push(Verb::Delete, &Request::qdisc(ifindex).parent(Handle::ROOT)).unwrap();
        }
        let mut seen = Vec::new();
        pack.send(|index, outcome| {
            let told = match outcome {
                Ok(Done::Acknowledged(_)) => "done".to_owned(),
                Ok(Done::Shown(message)) => {
                    format!("shown {}", Entry::decode(&message).unwrap().header.ifindex)
                }
                Err(cause) if cause.is_outcome_unknown() => "unknown".to_owned(),
                Err(cause) => cause.to_string(),
            };
            seen.push((index, told));
        })
        .unwrap();
        (seen, tc.transport().sends, tc.transport().receives)
    }

    fn told(texts: &[(usize, &str)]) -> Vec<(usize, String)> {
        texts.iter().map(|(index, text)| (*index, (*text).to_owned())).collect()
    }

    #[test]
    fn each_outcome_is_reported_with_its_request() {
        let script: Script = |all| vec![verdict(&all[0], 0), verdict(&all[1], 2), verdict(&all[2], 0)];
        let expected = told(&[(0, "done"), (1, "No such file or directory"), (2, "done")]);
        assert_eq!(outcomes(script), (expected, 1, 3));
    }

    #[test]
    fn merged_reordered_and_repeated_answers_count_once() {
        let script: Script = |all| {
            vec![
                [verdict(&all[2], 0), verdict(&all[0], 0), verdict(&all[2], 1), verdict(&all[1], 0)].concat(),
            ]
        };
        assert_eq!(outcomes(script), (told(&[(2, "done"), (0, "done"), (1, "done")]), 1, 1));
    }

    #[test]
    fn only_unanswered_requests_are_unknown() {
        let script: Script = |all| vec![verdict(&all[1], 0)];
        assert_eq!(outcomes(script), (told(&[(1, "done"), (0, "unknown"), (2, "unknown")]), 1, 2));
    }

    #[test]
    fn answers_to_others_are_skipped() {
        let script: Script = |all| {
            let before = Message { sequence: all[0].sequence.wrapping_sub(1), ..all[0] };
            let behind = Message { sequence: all[2].sequence + 1, ..all[0] };
            let mut foreign = verdict(&all[0], 5);
            foreign[12..16].copy_from_slice(&9_u32.to_ne_bytes()); // the port
            let mut answers = vec![verdict(&before, 5), verdict(&behind, 5), foreign];
            answers.extend(all.iter().map(|message| verdict(message, 0)));
            answers
        };
        assert_eq!(outcomes(script), (told(&[(0, "done"), (1, "done"), (2, "done")]), 1, 6));
    }

    #[test]
    fn an_object_can_be_the_answer() {
        let script: Script = |all| {
            let show = |of: &Message<'_>| message(RTM_NEWQDISC, of.sequence, 7, of.payload);
            all.iter().map(show).collect()
        };
        assert_eq!(outcomes(script).0, told(&[(0, "shown 1"), (1, "shown 2"), (2, "shown 3")]));
    }

    #[test]
    fn sequence_numbers_never_wrap_within_a_pack() {
        let script: Script = |all| all.iter().map(|message| verdict(message, 0)).collect();
        let mut tc = Connection::over(Scripted::new(script));
        tc.set_sequence(u32::MAX - 3);
        let mut pack = tc.group();
        let request = Request::qdisc(1).parent(Handle::ROOT);
        for index in 0..128 {
            assert_eq!(pack.push(Verb::Delete, &request).unwrap(), index);
        }
        assert!(pack.push(Verb::Delete, &request).is_err());
        let mut count = 0;
        pack.send(|_, outcome| count += usize::from(outcome.is_ok())).unwrap();
        assert_eq!(count, 128);
        let mut pack = tc.group();
        pack.push(Verb::Delete, &request).unwrap();
        pack.send(|_, outcome| assert!(outcome.is_ok())).unwrap();
        let sends = tc.transport().sends;
        tc.group().send(|_, _| panic!("there is nothing to tell")).unwrap();
        assert_eq!(tc.transport().sends, sends);
    }
}
