//! Orders, and what they do to a session.

use tc_qdiscs::plug::commit::{Ack, Counts, Epoch, Error, OutputCommit, State};

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
    /// `None` if it is none.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (order, number) = (words.next()?, words.next());
        let number = number.map(str::parse::<u64>).transpose().ok()?;
        match (order, number, words.next()) {
            ("begin", Some(number), None) => Some(Self::Begin(number)),
            ("ack", Some(number), None) => Some(Self::Ack(number)),
            ("status", None, None) => Some(Self::Status),
            ("abort", None, None) => Some(Self::Abort),
            ("quit", None, None) => Some(Self::Quit),
            _ => None,
        }
    }
}

/// A session, with the epochs numbered as the script numbers them.
#[derive(Debug)]
pub(super) struct Epochs {
    session: Started,
    /// The script's number of the open epoch; `None` before the first one.
    open: Option<u64>,
    /// The closed epoch, until it is released, and the script's number of it.
    closed: Option<(Epoch, u64)>,
    /// Why the session is tainted.
    taint: String,
    /// Whether the script has not been told so.
    untold: bool,
    dropped_before: u64,
}

/// The last epoch concerned and the counts, or why not.
type Answer = Result<(u64, Counts), String>;

impl Epochs {
    pub(super) fn new(session: Started) -> Self {
        let dropped_before = session.output.counts().dropped_packets;
        Self { session, open: None, closed: None, taint: String::new(), untold: false, dropped_before }
    }

    /// What to listen to between two orders.
    pub(super) fn output(&self) -> Option<&OutputCommit> {
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

    /// Looks at the queues between two orders. What is found is told in answer to
    /// the next one, whichever it is.
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
                self.closed = Some((epoch, open));
            }
            (_, Some(open)) => {
                return Err(format!("epoch {open} is open, and {number} is not the next; output is held"));
            }
        }
        self.open = Some(number);
        Ok(self.counted(number))
    }

    fn ack(&mut self, number: u64) -> Answer {
        let Some((epoch, closed)) = self.closed.take() else {
            let state = if self.open.is_some() { "output is held" } else { "the network is open" };
            return Err(format!("no epoch is closed; {state}"));
        };
        if closed != number {
            self.closed = Some((epoch, closed));
            return Err(format!("epoch {closed} is closed, and not {number}; output is held"));
        }
        // The script's number was compared; the session's own is another one.
        let ack = Ack::of(epoch.number());
        match self.session.output.release(epoch, ack) {
            Ok(_released) => Ok(self.counted(number)),
            Err(error) => {
                let why = self.failed(&error);
                self.closed = error.into_epoch().map(|epoch| (epoch, closed));
                Err(why)
            }
        }
    }

    fn abort(&mut self) -> Answer {
        let network = self.session.output.abort().map_err(|error| self.failed(&error))?;
        self.closed = None;
        self.taint = format!("aborted; {network}");
        let number = self.open.take().unwrap_or(0);
        Ok(self.counted(number))
    }

    fn quit(&mut self) -> Answer {
        if let Some((_, closed)) = &self.closed {
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

    /// Ends it as if the process had died; what that comes to.
    pub(super) fn die(self) -> &'static str {
        let state = self.session.output.state();
        let opens = self.session.output.opens_on_death();
        // Waits for the guardian.
        drop(self.session);
        match (state, opens) {
            (State::Detached, _) => "the plugs were taken away, and the network is open",
            (State::Protected | State::Tainted, false) => "the plug stays as it is, see plug rescue",
            _ => "the network is open, and the plug is left, see plug rescue",
        }
    }

    fn counted(&self, number: u64) -> (u64, Counts) {
        let counts = self.session.output.counts();
        let dropped_packets = counts.dropped_packets.saturating_sub(self.dropped_before);
        (number, Counts { dropped_packets, ..counts })
    }

    fn not_closed(&mut self, error: &Error) -> String {
        match (error, &self.closed) {
            // In the script's numbers.
            (Error::EpochOutstanding { .. }, Some((_, closed))) => {
                format!("epoch {closed} is closed and not acknowledged; output is held")
            }
            _ => self.failed(error),
        }
    }

    /// The error's text; a taint is remembered.
    fn failed(&mut self, error: &Error) -> String {
        let text = error.to_string();
        if matches!(error, Error::Tainted { .. }) {
            self.closed = None;
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
    fn orders_are_read_strictly() {
        assert_eq!(Order::read("begin 7\n"), Some(Order::Begin(7)));
        assert_eq!(Order::read("  ack   0 "), Some(Order::Ack(0)));
        assert_eq!(Order::read("quit"), Some(Order::Quit));
        for wrong in
            ["", "begin", "begin x", "begin -1", "begin 1 2", "quit 1", "BEGIN 1", "ack 99999999999999999999"]
        {
            assert_eq!(Order::read(wrong), None, "{wrong}");
        }
    }
}
