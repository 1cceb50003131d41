//! What a hold waits for.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use signal_hook::consts::{SIGINT, SIGTERM};
use tc_qdiscs::plug::commit::OutputCommit;

/// The signals that let go, each with a pipe that becomes readable.
pub(super) struct Wait {
    signals: [(Signal, UnixStream); 2],
}

/// What happened.
pub(super) enum Event {
    /// The command ended; it was not waited for yet.
    Ended,
    /// The time is over.
    Deadline,
    /// A signal came.
    Signal(Signal),
    /// The kernel said something of the devices.
    Notice,
}

impl Wait {
    /// From here on the signals do not end this process.
    pub(super) fn new() -> io::Result<Self> {
        let pipe = |number| -> io::Result<UnixStream> {
            let (read, write) = UnixStream::pair()?;
            read.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(number, write)?;
            Ok(read)
        };
        Ok(Self { signals: [(Signal::TERM, pipe(SIGTERM)?), (Signal::INT, pipe(SIGINT)?)] })
    }

    /// The next event; `output` is listened to if it is given.
    pub(super) fn next(
        &mut self,
        child: &Child,
        output: Option<&OutputCommit>,
        deadline: Option<Instant>,
    ) -> io::Result<Event> {
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or(Errno::SRCH)?;
        // It cannot be another process's: this one was not waited for.
        let ended = pidfd_open(pid, PidfdFlags::empty())?;
        loop {
            for (signal, pipe) in &mut self.signals {
                if pipe.read(&mut [0; 64]).is_ok_and(|read| read > 0) {
                    return Ok(Event::Signal(*signal));
                }
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Event::Deadline);
            }
            let [(_, term), (_, int)] = &self.signals;
            let mut fds = vec![ended.as_fd(), term.as_fd(), int.as_fd()];
            fds.extend(output.map(AsFd::as_fd));
            let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
            let timeout = left.map(Timespec::try_from).transpose().unwrap_or(None);
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
            // A signal first: it may have ended the command too.
            if ready(1) || ready(2) {
                continue;
            } else if ready(0) {
                return Ok(Event::Ended);
            } else if ready(3) {
                return Ok(Event::Notice);
            }
        }
    }
}
