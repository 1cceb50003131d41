//! The events of a guardian.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::word;

/// The controller's process, its lifeline, and the deadline.
pub(super) struct Watch {
    lifeline: UnixStream,
    controller: OwnedFd,
    deadline: Option<Instant>,
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Hold,
    Free,
    Leave,
    Deadline,
    Death,
}

impl Watch {
    /// `controller` is a pidfd.
    pub(super) fn new(lifeline: UnixStream, controller: OwnedFd) -> io::Result<Self> {
        lifeline.set_nonblocking(true)?;
        Ok(Self { lifeline, controller, deadline: None })
    }

    /// The time left; `None` means no limit.
    pub(super) fn set_deadline(&mut self, left: Option<Duration>) {
        self.deadline = left.and_then(|left| Instant::now().checked_add(left));
    }

    /// Waits for the next event. Messages come before a death: the last one may end the
    /// session in order.
    pub(super) fn next(&mut self) -> io::Result<Event> {
        loop {
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // A dead process has sent all its messages.
            let dead = self.wait(left)?;
            if let Some(event) = self.heard()? {
                return Ok(event);
            }
            if dead {
                return Ok(Event::Death);
            }
            if left == Some(Duration::ZERO) {
                return Ok(Event::Deadline);
            }
        }
    }

    /// The message, if there is one.
    fn heard(&mut self) -> io::Result<Option<Event>> {
        let mut byte = [0];
        let length = match self.lifeline.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            read => read?,
        };
        Ok(Some(match (length, byte[0]) {
            (0, _) => Event::Death,
            (_, word::HOLD) => Event::Hold,
            (_, word::FREE) => Event::Free,
            (_, word::LEAVE) => Event::Leave,
            _ => return Err(io::Error::other("an unknown word on the lifeline")),
        }))
    }

    /// Waits for something to happen: true if the controller is dead.
    fn wait(&self, left: Option<Duration>) -> io::Result<bool> {
        let (lifeline, controller) = (self.lifeline.as_fd(), self.controller.as_fd());
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

    pub(in super::super) fn me() -> OwnedFd {
        pidfd_open(getpid(), PidfdFlags::empty()).unwrap()
    }

    /// A process that lives until it is killed.
    fn somebody() -> (Child, OwnedFd) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        (child, pidfd)
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_last_words_of_who_is_dead_are_heard() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (child, process) = somebody();
        let mut watch = Watch::new(theirs, process).unwrap();
        ours.write_all(&[word::HOLD, word::FREE, word::LEAVE]).unwrap();
        end(child);
        for event in [Event::Hold, Event::Free, Event::Leave, Event::Death] {
            assert_eq!(watch.next().unwrap(), event);
        }
    }

    #[test]
    fn an_end_of_the_session_is_one_whoever_lives() {
        let long = Some(Duration::from_secs(5));
        // Closed in order, and with a word unread.
        for unread in [false, true] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let mut watch = Watch::new(theirs.try_clone().unwrap(), me()).unwrap();
            watch.set_deadline(long);
            if unread {
                (&theirs).write_all(&[word::ARMED]).unwrap();
            }
            drop(ours);
            assert_eq!(watch.next().unwrap_or(Event::Death), Event::Death);
        }
        // Dead before it was watched.
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let (child, dead) = somebody();
        end(child);
        let mut watch = Watch::new(theirs, dead).unwrap();
        watch.set_deadline(long);
        assert_eq!(watch.next().unwrap(), Event::Death);
    }

    #[test]
    fn a_deadline_comes_when_nothing_else_does() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut watch = Watch::new(theirs, me()).unwrap();
        let since = Instant::now();
        watch.set_deadline(Some(Duration::from_millis(20)));
        assert_eq!(watch.next().unwrap(), Event::Deadline);
        assert!(since.elapsed() >= Duration::from_millis(20));
        ours.write_all(&[word::HOLD]).unwrap();
        assert_eq!(watch.next().unwrap(), Event::Hold, "what was said comes before it");
    }
}
