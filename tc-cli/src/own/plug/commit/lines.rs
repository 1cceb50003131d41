//! Lines of standard input, and what happens between them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::epochs::Epochs;
use crate::report::Report;

/// More than any order has.
const LONGEST: usize = 4096;

/// Reads without std's buffer, in which a line could hide from `poll`.
pub(super) struct Lines {
    input: File,
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn of_standard_input() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { input: input.into(), buffer: Vec::new() })
    }

    /// The next line; `None` at the end (half a line is no order). Meanwhile the
    /// queues are looked after, so that the policy for a taint does not wait for
    /// the next order.
    pub(super) fn next(&mut self, epochs: &mut Epochs, report: &Report) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let (line, notice) = self.wait(epochs)?;
            if notice && let Err(error) = epochs.watch() {
                report.warning(&format!("plug commit: {error}"));
            }
            if line {
                let mut piece = [0; 512];
                match self.input.read(&mut piece)? {
                    0 => return Ok(None),
                    read => self.buffer.extend_from_slice(piece.get(..read).unwrap_or_default()),
                }
                if self.buffer.len() > LONGEST && !self.buffer.contains(&b'\n') {
                    self.buffer.truncate(LONGEST);
                }
            }
        }
    }

    /// Whether standard input, and whether the session has something to read.
    fn wait(&self, epochs: &Epochs) -> io::Result<(bool, bool)> {
        let input = PollFd::new(&self.input, PollFlags::IN);
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        match epochs.output() {
            None => Ok((true, false)),
            Some(output) => {
                let mut fds = [input, PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
                match poll(&mut fds, None) {
                    Ok(_) => Ok((ready(&fds[0]), ready(&fds[1]))),
                    Err(Errno::INTR) => Ok((false, false)),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}
