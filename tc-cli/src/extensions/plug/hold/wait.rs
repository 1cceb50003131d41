//! The events that a hold waits for.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::time::Instant;

use crate::extensions::plug::output::Output;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;

/// Signals that let go, and their names.
const LET_GO: [(Signal, &str); 4] =
    [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::HUP, "SIGHUP"), (Signal::QUIT, "SIGQUIT")];

/// The name of a signal that lets go.
pub(super) fn name(signal: Signal) -> &'static str {
    LET_GO.iter().find(|(one, _)| *one == signal).map_or("a signal", |(_, name)| name)
}

/// Signals, delivered to a socket that becomes readable.
///
/// SIGCHLD is among them: the end of the command needs no pidfd, which old
/// kernels and system call filters refuse, and no free file descriptor once this
/// value exists. Its handler also replaces an inherited SIG_IGN, with which the
/// kernel would discard the command's exit status.
pub(super) struct Wait {
    signals: SignalDelivery<UnixStream, WithRawSiginfo>,
    /// Signals that were received and not yet returned.
    received: VecDeque<Received>,
}

/// A signal that lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) signal: Signal,
    /// Whether the kernel sent it: a terminal's Ctrl-C, Ctrl-\ or hangup. These
    /// go to the whole process group, so the command has received it as well.
    pub(super) from_terminal: bool,
}

/// The next thing to act on.
pub(super) enum Event {
    /// The command ended.
    Ended(ExitStatus),
    /// `--max-hold` is over.
    Deadline,
    /// A signal that lets go.
    Signal(Received),
    /// The session has notices to read.
    Notice,
}

impl Wait {
    /// Installs the handlers. From here on the signals do not end this process.
    pub(super) fn new() -> io::Result<Self> {
        let hup_is_ignored =
            fs::read_to_string("/proc/thread-self/status").is_ok_and(|status| ignores(&status, Signal::HUP));
        let caught = LET_GO.iter().map(|(signal, _)| *signal);
        // As nohup wants it.
        let caught = caught.filter(|signal| *signal != Signal::HUP || !hup_is_ignored);
        let numbers = caught.chain([Signal::CHILD]).map(Signal::as_raw);
        let (read, write) = UnixStream::pair()?;
        let signals = SignalDelivery::with_pipe(read, write, WithRawSiginfo, numbers)?;
        Ok(Self { signals, received: VecDeque::new() })
    }

    /// Waits for the next event. `output` is watched for notices if it is given.
    pub(super) fn next(
        &mut self,
        child: &mut Child,
        output: Option<&Output>,
        deadline: Option<Instant>,
    ) -> io::Result<Event> {
        loop {
            // In this order: a signal that ended the command is found with its end, and comes first.
            let ended = child.try_wait()?;
            self.collect();
            if let Some(received) = self.received.pop_front() {
                return Ok(Event::Signal(received));
            }
            if let Some(status) = ended {
                return Ok(Event::Ended(status));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Event::Deadline);
            }
            let read = PollFd::new(self.signals.get_read(), PollFlags::IN);
            let timeout = left.map(Timespec::try_from).transpose().unwrap_or(None);
            let notice = match output {
                None => wait_for(&mut [read], timeout.as_ref())?,
                Some(output) => {
                    let notices = PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN);
                    wait_for(&mut [read, notices], timeout.as_ref())?
                }
            };
            if notice {
                return Ok(Event::Notice);
            }
        }
    }

    fn collect(&mut self) {
        /// `SI_KERNEL` of `siginfo.h`: sent by the kernel, not by a process.
        const SI_KERNEL: i32 = 0x80;
        for info in self.signals.pending() {
            let signal = LET_GO.iter().find(|(signal, _)| signal.as_raw() == info.si_signo);
            let from_terminal = info.si_code == SI_KERNEL;
            self.received.extend(signal.map(|(signal, _)| Received { signal: *signal, from_terminal }));
        }
    }
}

/// Polls; true if the second one is ready and no signal came.
fn wait_for(fds: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> io::Result<bool> {
    match poll(fds, timeout) {
        Ok(_) => Ok(matches!(fds, [signals, notices]
            if signals.revents().is_empty() && !notices.revents().is_empty())),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether `/proc/PID/status` shows a signal as ignored.
fn ignores(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignores(status, Signal::HUP));
        assert!(!ignores(status, Signal::INT) && !ignores("", Signal::HUP));
    }
}
