//! Any number of requests, many in one datagram.

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk;
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::request::Request;
use crate::exchange::sans_io::{Expected, Step};
use crate::wire::message::edit_flags;
use crate::wire::uapi::*;
use crate::wire::verb::Verb;

/// The most requests in one datagram; more make it no faster.
const MOST: usize = 64;

/// A datagram that has reached this length is sent.
const FULL: usize = 16 * 1024;

/// Requests that are sent as they come, many in one datagram: the fast way to
/// do the same to thousands of objects.
///
/// A callback receives the outcome of each request, in order, once its datagram is
/// answered. Memory is constant: one datagram of requests is held, and never more
/// requests than their answers have room for in the receive buffer.
///
/// **The kernel continues after a request that fails.** Later requests are carried
/// out nevertheless. To stop at the first error, use [`Connection::apply`] for each
/// request.
///
/// The kernel answers failed requests and the last one of each datagram. Warnings
/// of successful requests are not reported. A request that must
/// [read its object first](crate::Kind::READ_BEFORE_CHANGE) is sent by itself, in order.
///
/// ```no_run
/// use tc_core::{Connection, Handle, Request, Verb};
///
/// let mut tc = Connection::open()?;
/// let mut failed = 0;
/// let mut batch = tc.pipeline(|index, outcome| {
///     if let Err(cause) = outcome {
///         println!("request {index}: {cause}");
///         failed += 1;
///     }
/// });
/// for minor in 1..=10_000 {
///     batch.push(Verb::Delete, &Request::class(2).handle(Handle::class(1, minor)))?;
/// }
/// batch.finish();
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Pipeline<'c, T: Transport, F: FnMut(usize, Result<(), Cause>)> {
    connection: &'c mut Connection<T>,
    each: F,
    /// The number of reported outcomes: the index of the first pending request.
    told: usize,
    /// How many requests wait to be sent.
    waiting: usize,
    /// The most of them in one datagram.
    most: usize,
    /// Where the last of them starts in the buffer.
    last: usize,
}

impl<T: Transport> Connection<T> {
    /// Starts a batch. `each` receives the outcome of every request with its index.
    pub fn pipeline<F: FnMut(usize, Result<(), Cause>)>(&mut self, each: F) -> Pipeline<'_, T, F> {
        let most = self.room_for_answers(MOST);
        Pipeline { connection: self, each, told: 0, waiting: 0, most, last: 0 }
    }
}

impl<T: Transport, F: FnMut(usize, Result<(), Cause>)> Pipeline<'_, T, F> {
    /// Adds a request and returns its index. Sends the pending requests if they fill
    /// a datagram.
    ///
    /// An error means that the request cannot be put into bytes: it has no index
    /// then, and the batch is as it was.
    pub fn push<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<usize, Error> {
        self.push_parts(verb, &request.parts)
    }

    fn push_parts(&mut self, verb: Verb, request: &Parts<'_>) -> Result<usize, Error> {
        if request.reads_first(verb) {
            return Ok(self.apply(verb, request));
        }
        let exchange = &mut self.connection.exchange;
        if self.waiting == 0 {
            exchange.begin_many(self.connection.transport.port(), self.most as u32);
        }
        let fail = |error| Error::new(verb.name(), request.describe(), Cause::Encode(error));
        let start = exchange.push(|sequence, buffer| request.encode(verb, sequence, buffer)).map_err(fail)?;
        edit_flags(exchange.bytes_mut(), start, |flags| flags & !NLM_F_ACK);
        let length = exchange.bytes().len();
        self.last = start;
        self.waiting += 1;
        let index = self.told + self.waiting - 1;
        if self.waiting == self.most || length >= FULL {
            self.flush();
        }
        Ok(index)
    }

    /// Sends the pending requests, and reports all outcomes.
    pub fn flush(&mut self) {
        if self.waiting == 0 {
            return;
        }
        // Kernel: errors are answered without the flag as well. The answer to the
        // last request therefore marks the end.
        let exchange = &mut self.connection.exchange;
        edit_flags(exchange.bytes_mut(), self.last, |flags| flags | NLM_F_ACK);
        exchange.set_expected(Expected::Failures(0));
        let (first, end) = (self.told, self.told + self.waiting);
        let answered = match self.connection.send() {
            Ok(()) => self.receive(first),
            Err(cause) => Err(cause),
        };
        if let Err(cause) = answered {
            self.connection.forget_answers();
            while self.told < end {
                self.tell(Err(cause.again()));
            }
        }
        self.waiting = 0;
    }

    /// Sends the pending requests, reports all outcomes, and returns the number of
    /// requests. (A batch that is dropped is flushed too.)
    pub fn finish(mut self) -> usize {
        self.flush();
        self.told
    }

    /// Sends a request for a kind that needs care.
    fn apply(&mut self, verb: Verb, request: &Parts<'_>) -> usize {
        self.flush();
        let outcome = self.connection.apply_parts(verb, request);
        self.tell(outcome.map(|_| ()).map_err(Error::into_cause));
        self.told - 1
    }

    /// Receives answers and reports outcomes; `first` is the index of the first request.
    fn receive(&mut self, first: usize) -> Result<(), Cause> {
        loop {
            match talk::now(talk::step(self.connection)).map_err(|cause| *cause)? {
                Step::Succeeded(before) => {
                    while self.told < first + before {
                        self.tell(Ok(()));
                    }
                }
                Step::Verdict(_, verdict) => {
                    self.tell(verdict.map(|_warning| ()).map_err(|error| Cause::Kernel(*error)))
                }
                Step::Object(..) => {}
                Step::End => return Ok(()),
            }
        }
    }

    fn tell(&mut self, outcome: Result<(), Cause>) {
        let index = self.told;
        self.told += 1;
        (self.each)(index, outcome);
    }
}

impl<T: Transport, F: FnMut(usize, Result<(), Cause>)> Drop for Pipeline<'_, T, F> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::scripted::{Script, Scripted, message, verdict};
    use crate::wire::handle::Handle;
    use crate::wire::message::Message;

    /// As the kernel answers: refusals, and whoever asked for an answer.
    const KERNEL: Script = |all| {
        let refused = |message: &Message<'_>| ifindex(message) % 10 == 3;
        let answered = all.iter().filter(|message| refused(message) || message.flags & NLM_F_ACK != 0);
        answered.map(|message| verdict(message, if refused(message) { 19 } else { 0 })).collect()
    };

    fn ifindex(message: &Message<'_>) -> i32 {
        i32::from_ne_bytes(message.payload[4..8].try_into().unwrap())
    }

    /// Deletes of the devices 1 to `count`: the index, and whether it succeeded,
    /// was refused or is unknown.
    fn outcomes(tc: &mut Connection<Scripted>, count: i32) -> Vec<(usize, char)> {
        let mut told = Vec::new();
        let mut batch = tc.pipeline(|index, outcome| {
            let outcome = match outcome {
                Ok(()) => '+',
                Err(Cause::Kernel(error)) if error.errno == 19 => '-',
                Err(cause) if cause.is_outcome_unknown() => '?',
                Err(cause) => panic!("{cause}"),
            };
            told.push((index, outcome));
        });
        for ifindex in 1..=count {
            let request = Request::qdisc(ifindex).parent(Handle::ROOT);
            assert_eq!(batch.push(Verb::Delete, &request).unwrap(), ifindex as usize - 1);
        }
        assert_eq!(batch.finish(), count as usize);
        told
    }

    #[test]
    fn every_outcome_is_reported_once_and_in_order() {
        for count in [0, 1, 2, 3, 63, 64, 65, 1000] {
            let mut tc = Connection::over(Scripted::new(KERNEL));
            let expected: Vec<_> =
                (0..count).map(|at| (at as usize, if at % 10 == 2 { '-' } else { '+' })).collect();
            assert_eq!(outcomes(&mut tc, count), expected);
            assert_eq!(tc.transport().sends, (count as usize).div_ceil(MOST), "datagrams for {count}");
        }
    }

    #[test]
    fn no_more_is_sent_than_answers_have_room_for() {
        let mut tc = Connection::over(Scripted::new(KERNEL));
        tc.transport_mut().room = 5 * 2048;
        assert_eq!(outcomes(&mut tc, 100).len(), 100);
        assert_eq!(tc.transport().sends, 20);
        tc.transport_mut().room = 0;
        assert_eq!(outcomes(&mut tc, 3).len(), 3, "one by one where there is no room at all");
    }

    #[test]
    fn outcomes_after_the_last_answer_are_unknown() {
        // The answers to the second half are lost.
        let script: Script = |all| {
            let mut answers = KERNEL(all);
            answers.truncate(answers.len() / 2);
            answers
        };
        let mut tc = Connection::over(Scripted::new(script));
        let told: String = outcomes(&mut tc, 30).into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(told, "++-+++++++++-".to_owned() + &"?".repeat(17));
    }

    #[test]
    fn answers_to_others_are_skipped() {
        let script: Script = |all| {
            let before = Message { sequence: all[0].sequence.wrapping_sub(1), ..all[0] };
            let behind = Message { sequence: all[all.len() - 1].sequence.wrapping_add(1), ..all[0] };
            let mut foreign = verdict(&all[0], 5);
            foreign[12..16].copy_from_slice(&9_u32.to_ne_bytes()); // the port
            let notice = message(RTM_NEWQDISC, all[0].sequence, 7, all[0].payload);
            [vec![verdict(&before, 5), verdict(&behind, 5), foreign, notice], KERNEL(all)].concat()
        };
        let mut tc = Connection::over(Scripted::new(script));
        tc.set_sequence(u32::MAX - 100);
        assert_eq!(outcomes(&mut tc, 500).iter().filter(|(_, outcome)| *outcome == '-').count(), 50);
    }

    #[test]
    fn a_batch_that_is_dropped_is_sent() {
        let mut tc = Connection::over(Scripted::new(KERNEL));
        let mut told = 0;
        let mut batch = tc.pipeline(|_, _| told += 1);
        batch.push(Verb::Delete, &Request::qdisc(1).parent(Handle::ROOT)).unwrap();
        drop(batch);
        assert_eq!(told, 1);
        // Except during a panic: its handler did not ask for the rest.
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut batch = tc.pipeline(|_, _| {});
            batch.push(Verb::Delete, &Request::qdisc(1).parent(Handle::ROOT)).unwrap();
            panic!("as a caller can");
        }));
        assert_eq!((panicked.is_err(), tc.transport().sends), (true, 1));
    }

    #[test]
    fn a_long_datagram_is_sent_with_few_requests() {
        let mut tc = Connection::over(Scripted::new(KERNEL));
        let long = "x".repeat(FULL / 4);
        let mut batch = tc.pipeline(|_, outcome| outcome.unwrap());
        for _ in 0..9 {
            batch.push(Verb::Add, &Request::qdisc(1).parent(Handle::ROOT).kind(&long)).unwrap();
        }
        batch.finish();
        assert_eq!(tc.transport().sends, 3);
    }
}
