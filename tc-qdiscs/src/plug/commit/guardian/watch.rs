//! What a guardian waits for.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::super::process::Process;
use super::word;

/// The controller's process, its lifeline, and the deadline.
pub(super) struct Watch {
    lifeline: UnixStream,
    /// `None` if the controller was dead before it could be watched.
    controller: Option<OwnedFd>,
    deadline: Option<Instant>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Hold,
    Free,
    Leave,
    Deadline,
    Death,
}

impl Watch {
    pub(super) fn new(lifeline: UnixStream, controller: Process) -> io::Result<Self> {
        lifeline.set_nonblocking(true)?;
        let pid = i32::try_from(controller.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("orders name no process"))?;
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            // Asked afterwards: the number may be another process's by now.
            Ok(pidfd) => controller.is_alive().then_some(pidfd),
            Err(Errno::SRCH) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { lifeline, controller: pidfd, deadline: None })
    }

    /// The time left from now; `None` is for ever.
    pub(super) fn set_deadline(&mut self, left: Option<Duration>) {
        self.deadline = left.and_then(|left| Instant::now().checked_add(left));
    }

    /// Waits for the next event. What was said comes before a death: the last
    /// word may be that the session has ended in order.
    pub(super) fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.heard()? {
                return Ok(event);
            }
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Event::Deadline);
            }
            if self.wait(left)? {
                // It is gone, and cannot say anything any more.
                while let Some(last) = self.heard()? {
                    if matches!(last, Event::Leave | Event::Death) {
                        return Ok(last);
                    }
                }
                return Ok(Event::Death);
            }
        }
    }

    /// What was said; `None` if nothing was.
    fn heard(&mut self) -> io::Result<Option<Event>> {
        let mut byte = [0];
        loop {
            match self.lifeline.read(&mut byte) {
                Ok(0) => return Ok(Some(Event::Death)),
                Ok(_) => match byte[0] {
                    word::HOLD => return Ok(Some(Event::Hold)),
                    word::FREE => return Ok(Some(Event::Free)),
                    word::LEAVE => return Ok(Some(Event::Leave)),
                    _ => return Err(io::Error::other("an unknown word on the lifeline")),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Kernel: ECONNRESET where the other end was closed with words
                // of ours unread.
                Err(_) => return Ok(Some(Event::Death)),
            }
        }
    }

    /// Waits for something to happen: true if the controller is dead.
    fn wait(&self, left: Option<Duration>) -> io::Result<bool> {
        let Some(controller) = &self.controller else { return Ok(true) };
        let (lifeline, controller) = (self.lifeline.as_fd(), controller.as_fd());
        let mut fds = [
            PollFd::from_borrowed_fd(lifeline, PollFlags::IN),
            PollFd::from_borrowed_fd(controller, PollFlags::IN),
        ];
        let timeout = left.map(Timespec::try_from).transpose().unwrap_or(None);
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(!fds[1].revents().is_empty()),
            Err(error) => Err(error.into()),
        }
    }
}
