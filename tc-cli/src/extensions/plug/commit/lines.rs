//! Lines of standard input, and the notices that come between them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::epochs::Epochs;
use crate::context::report::Report;

/// The longest line, in bytes: many times the longest order.
const LONGEST: usize = 255;

/// Reads without std's buffer, in which a line could hide from `poll`.
pub(super) struct Lines {
    input: File,
    buffer: Buffer,
}

/// One line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// More than [`LONGEST`] bytes; these are the first.
    TooLong(Vec<u8>),
    /// The input ended before the line did.
    Unfinished(Vec<u8>),
}

/// The bytes read: at most one line and one piece are kept.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Whether `bytes` begin a line whose rest is discarded.
    too_long: bool,
    ended: bool,
}

impl Lines {
    pub(super) fn of_standard_input() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { input: input.into(), buffer: Buffer::default() })
    }

    /// The next line; `None` at the end. Checks the queues while it waits, so that
    /// the policy for a taint does not wait for the next order.
    pub(super) fn next(&mut self, epochs: &mut Epochs, report: &Report) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffer.next() {
                return Ok(Some(line));
            }
            if self.buffer.ended {
                return Ok(None);
            }
            let (line, notice) = self.wait(epochs)?;
            if notice && let Err(error) = epochs.watch() {
                report.warning(&format!("plug commit: {error}"));
            }
            if line {
                let mut piece = [0; 512];
                match self.input.read(&mut piece) {
                    Ok(read) => self.buffer.add(piece.get(..read).unwrap_or_default()),
                    // Another reader of a shared pipe was faster.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Waits until standard input or the session can be read, and returns which.
    fn wait(&self, epochs: &Epochs) -> io::Result<(bool, bool)> {
        let input = PollFd::new(&self.input, PollFlags::IN);
        let mut fds = vec![input];
        fds.extend(epochs.output().map(|output| PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok((ready(0), ready(1)))
    }
}

impl Buffer {
    /// Adds a piece that was read; an empty one is the end of the input.
    fn add(&mut self, piece: &[u8]) {
        self.ended |= piece.is_empty();
        self.bytes.extend_from_slice(piece);
        if !self.bytes.contains(&b'\n') && self.bytes.len() > LONGEST {
            self.too_long = true;
            self.bytes.truncate(LONGEST);
        }
    }

    fn next(&mut self) -> Option<Line> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let mut line: Vec<u8> = match end {
            Some(end) => self.bytes.drain(..=end).collect(),
            None if self.ended && !self.bytes.is_empty() => std::mem::take(&mut self.bytes),
            None => return None,
        };
        let whole = line.pop_if(|byte| *byte == b'\n').is_some();
        let too_long = std::mem::take(&mut self.too_long) || line.len() > LONGEST;
        line.truncate(LONGEST);
        Some(match (whole, too_long) {
            (false, _) => Line::Unfinished(line),
            (true, true) => Line::TooLong(line),
            (true, false) => Line::Whole(line),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Line> {
        let mut buffer = Buffer::default();
        let mut lines = Vec::new();
        for piece in pieces.iter().chain(&[&b""[..]]) {
            buffer.add(piece);
            lines.extend(std::iter::from_fn(|| buffer.next()));
            assert!(buffer.bytes.len() <= LONGEST, "{} bytes kept", buffer.bytes.len());
        }
        assert_eq!(buffer.next(), None);
        lines
    }

    #[test]
    fn lines_in_any_pieces_are_the_same_lines() {
        let text = b"begin 1\n\nack 1\nquit\n";
        let whole = [&b"begin 1"[..], b"", b"ack 1", b"quit"].map(|line| Line::Whole(line.to_vec()));
        for size in 1..=text.len() {
            let pieces: Vec<_> = text.chunks(size).collect();
            assert_eq!(lines(&pieces), whole, "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line() {
        for size in [1, 7, 512] {
            let text = [&b"ack 1"[..], &[b' '; 4300], b"\nack 2\n", &[b'x'; LONGEST + 1], b"\n"].concat();
            let pieces: Vec<_> = text.chunks(size).collect();
            let first = [&b"ack 1"[..], &[b' '; LONGEST - 5]].concat();
            let expected =
                [Line::TooLong(first), Line::Whole(b"ack 2".to_vec()), Line::TooLong(vec![b'x'; LONGEST])];
            assert_eq!(lines(&pieces), expected, "{size}");
        }
        assert_eq!(lines(&[&[b'x'; LONGEST], b"\n"]), [Line::Whole(vec![b'x'; LONGEST])]);
    }

    #[test]
    fn a_line_without_an_end_is_unfinished() {
        assert_eq!(lines(&[b"quit"]), [Line::Unfinished(b"quit".to_vec())]);
        assert_eq!(lines(&[b"ack 1\nack 2"]).last(), Some(&Line::Unfinished(b"ack 2".to_vec())));
        assert_eq!(lines(&[&[b'x'; 9000]]), [Line::Unfinished(vec![b'x'; LONGEST])]);
        assert_eq!(lines(&[]), []);
    }
}
