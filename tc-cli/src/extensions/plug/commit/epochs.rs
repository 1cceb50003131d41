//! Orders, and their effect on a session.

use std::collections::VecDeque;

use tc_qdiscs::plug::commit::{Ack, Counts, Epoch, Error, State};

use super::super::output::Output;
use super::super::start::Started;

/// One line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Begin(u64),
    Ack(u64),
    Status,
    Abort,
    Quit,
}

impl Order {
    /// Reads exactly one order, with blanks or tabs between and around its words.
    /// `None` for anything else, such as a number that is not written as it is
    /// printed.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let order = (words.next()?, words.next().map(number), words.next());
        match order {
            ("begin", Some(number), None) => number.map(Self::Begin),
            ("ack", Some(number), None) => number.map(Self::Ack),
            ("status", None, None) => Some(Self::Status),
            ("abort", None, None) => Some(Self::Abort),
            ("quit", None, None) => Some(Self::Quit),
            _ => None,
        }
    }
}

/// A decimal number without a sign or leading zeros, up to `u64::MAX`.
fn number(word: &str) -> Option<u64> {
    let number = word.parse::<u64>().ok()?;
    (number.to_string() == word).then_some(number)
}

/// A session, with the epochs numbered as the script numbers them.
#[derive(Debug)]
pub(super) struct Epochs {
    session: Started,
    /// The script's number of the open epoch; `None` before the first one.
    open: Option<u64>,
    /// The closed epochs, until they are released, the oldest first, and the script's numbers of them.
    closed: VecDeque<(Epoch, u64)>,
    /// Why the session is tainted.
    taint: String,
    /// Whether the script does not know it yet.
    untold: bool,
    dropped_before: u64,
}

/// The last epoch concerned and the counts, or why not.
type Answer = Result<(u64, Counts), String>;

impl Epochs {
    pub(super) fn new(session: Started) -> Self {
        let mut session = session;
        let dropped_before = session.output.counts().dropped_packets;
        Self {
            session,
            open: None,
            closed: VecDeque::new(),
            taint: String::new(),
            untold: false,
            dropped_before,
        }
    }

    /// The descriptors to poll between two orders.
    pub(super) fn output(&self) -> Option<&Output> {
        (self.session.output.state() == State::Protected).then_some(&self.session.output)
    }

    pub(super) fn obey(&mut self, order: Order) -> Answer {
        let untold = std::mem::take(&mut self.untold);
        let starts_anew = matches!(order, Order::Begin(_) | Order::Quit) && !untold;
        if self.session.output.state() == State::Tainted && !starts_anew {
            return Err(self.taint.clone());
        }
        match order {
            Order::Begin(number) => self.begin(number),
            Order::Ack(number) => self.ack(number),
            Order::Status => self.look().map(|()| self.counted(self.open.unwrap_or(0))),
            Order::Abort => self.abort(),
            Order::Quit => self.quit(),
        }
    }

    /// Checks the queues between two orders. The reply to the next order reports a
    /// finding.
    pub(super) fn watch(&mut self) -> Result<(), String> {
        let seen = self.look();
        self.untold |= seen.is_err();
        seen
    }

    /// Looks at the queues; `Ok` also where nothing is held.
    fn look(&mut self) -> Result<(), String> {
        match self.session.output.state() {
            State::Protected => self.session.output.check().map_err(|error| self.failed(&error)),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, number: u64) -> Answer {
        match (self.session.output.state(), self.open) {
            (State::Tainted, _) => {
                self.session.output.restart().map_err(|error| self.failed(&error))?;
                if self.session.output.state() == State::Open {
                    self.session.output.start_buffer().map_err(|error| self.failed(&error))?;
                }
            }
            (_, None) => self.session.output.start_buffer().map_err(|error| self.failed(&error))?,
            (_, Some(open)) if open.checked_add(1) == Some(number) => {
                let epoch = self.session.output.close().map_err(|error| self.not_closed(&error))?;
                self.closed.push_back((epoch, open));
            }
            (_, Some(open)) => {
                return Err(format!("epoch {open} is open, and {number} is not the next; output is held"));
            }
        }
        self.open = Some(number);
        Ok(self.counted(number))
    }

    fn ack(&mut self, number: u64) -> Answer {
        let Some((epoch, closed)) = self.closed.pop_front() else {
            let state = if self.open.is_some() { "output is held" } else { "the network is open" };
            return Err(format!("no epoch is closed; {state}"));
        };
        if closed != number {
            self.closed.push_front((epoch, closed));
            return Err(format!("epoch {closed} is closed, and not {number}; output is held"));
        }
        // The script's number was compared; the session's own is another one.
        let ack = Ack::of(epoch.number());
        match self.session.output.release(epoch, ack) {
            Ok(_released) => Ok(self.counted(number)),
            Err(error) => {
                let why = self.failed(&error);
                if let Some(epoch) = error.into_epoch() {
                    self.closed.push_front((epoch, closed));
                }
                Err(why)
            }
        }
    }

    fn abort(&mut self) -> Answer {
        let network = self.session.output.abort().map_err(|error| self.failed(&error))?;
        self.closed.clear();
        self.taint = format!("aborted; {network}");
        let number = self.open.take().unwrap_or(0);
        Ok(self.counted(number))
    }

    fn quit(&mut self) -> Answer {
        if let Some((_, closed)) = self.closed.front() {
            return Err(format!("epoch {closed} is closed and not acknowledged; output is held"));
        }
        let number = self.open.unwrap_or(0);
        match self.session.output.state() {
            // Of a queue that is not trusted nothing more leaves.
            State::Tainted => self.session.output.discard().map_err(|error| error.to_string())?,
            State::Protected => {
                self.session.output.open().map_err(|error| self.failed(&error))?;
                self.session.finish()?;
            }
            _ => self.session.finish()?,
        }
        let Counts { dropped_packets, .. } = self.counted(number).1;
        Ok((number, Counts { dropped_packets, ..Counts::default() }))
    }

    /// Ends it as if this process had died. Returns the state of the network then.
    pub(super) fn die(self) -> String {
        let (state, opens) = (self.session.output.state(), self.session.output.opens_on_death());
        let count = self.session.count();
        let lost = self.session.die();
        let text = match (state, opens) {
            (State::Detached, _) => return "the plugs were taken away, and the network is open".to_owned(),
            _ if lost.len() == count => return lost.join("; "),
            (State::Protected | State::Tainted, false) => "the plug stays as it is, see plug rescue",
            _ => "the network is open, and the plug is left, see plug rescue",
        };
        lost.into_iter().chain([text.to_owned()]).collect::<Vec<_>>().join("; ")
    }

    fn counted(&mut self, number: u64) -> (u64, Counts) {
        let counts = self.session.output.counts();
        let dropped_packets = counts.dropped_packets.saturating_sub(self.dropped_before);
        (number, Counts { dropped_packets, ..counts })
    }

    fn not_closed(&mut self, error: &Error) -> String {
        match (error, self.closed.front()) {
            // In the script's numbers.
            (Error::EpochOutstanding { .. } | Error::RingFull { outstanding: 1, .. }, Some((_, closed))) => {
                format!("epoch {closed} is closed and not acknowledged; output is held")
            }
            (Error::RingFull { outstanding, .. }, Some((_, closed))) => {
                format!(
                    "{outstanding} epochs are closed and not acknowledged, epoch {closed} first; output is held"
                )
            }
            _ => self.failed(error),
        }
    }

    /// The error's text; a taint is remembered.
    fn failed(&mut self, error: &Error) -> String {
        let text = error.to_string();
        if matches!(error, Error::Tainted { .. }) {
            self.closed.clear();
            self.open = None;
            self.taint.clone_from(&text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_only_if_it_is_exactly_one() {
        assert_eq!(Order::read(b"begin 7"), Some(Order::Begin(7)));
        assert_eq!(Order::read(b"ack 18446744073709551615"), Some(Order::Ack(u64::MAX)));
        assert_eq!(Order::read(b"  ack \t 0 "), Some(Order::Ack(0)));
        assert_eq!(Order::read(b"quit"), Some(Order::Quit));
        for wrong in [
            &b""[..],
            b" ",
            b"begin",
            b"begin x",
            b"begin -1",
            b"begin +1",
            b"begin 01",
            b"begin 00",
            b"begin 0x1",
            b"begin 1.",
            b"begin 1 2",
            b"begin 1;ack 1",
            b"ack 1 ack 1",
            b"quit 1",
            b"quit quit",
            b"BEGIN 1",
            b"begin1",
            b"ack 18446744073709551616",
            b"ack 99999999999999999999",
            b"ack 1\r",
            b"ack\x0b1",
            b"ack 1\0",
            b"ack\x001",
            b"\0quit",
            b"ack 1\xff",
            b"\xc2\xa0ack 1",
            b"ack \xd9\xa1",
        ] {
            assert_eq!(Order::read(wrong), None, "{}", wrong.escape_ascii());
        }
    }
}
