//! The guardian: a process that opens the network when the controller cannot.
//!
//! A controller that dies, or hangs, leaves the plug closed. Where that must not
//! last (maintenance, not replication) a second process watches it:
//!
//! - it runs, and has reported so, before a plug is added;
//! - it notices the controller's end by a pidfd that it gets from the controller,
//!   in whichever namespaces the two are, and whatever killed it. Kernel: a
//!   process that is gone has no system call under way, so that no BUFFER of its
//!   can come after the guardian's release;
//! - it shares the lock of the journal, so that no rescue and no new session
//!   takes the plug over before the guardian has ended;
//! - it notices the end of the session by its lifeline, a socket that both hold,
//!   and a hang by the deadline, which every epoch starts anew;
//! - it opens only the session's plugs: each request names kind and handle, and the
//!   kernel refuses if another qdisc is there;
//! - it runs in its own session (`setsid`): signals of a terminal or a shell to the
//!   controller's process group do not reach it.
//!
//! It does not survive events that kill both: a reboot, or a service manager that ends
//! all processes of a control group (systemd: `KillMode=process` or `mixed`
//! spares it until the controller is gone).

mod run;
mod watch;

use std::ffi::OsString;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::folder::Claim;
use super::journal::Journal;

pub use run::{End, run};

/// How a process is started that calls [`run`]: the program and its words, as
/// for [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardianCommand {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl GuardianCommand {
    /// This program.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// With one word more.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

/// A guardian that cannot be had, or is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardianError {
    /// It cannot be started.
    #[error("cannot start the guardian: {0}")]
    Start(io::Error),
    /// It did not report that it watches.
    #[error("the guardian does not watch: {0}")]
    Silent(io::Error),
    /// It ended before it watched, and reported the reason.
    #[error("the guardian refuses: {0}")]
    Refused(String),
    /// It ended, or does not read any more: nobody would open the network.
    #[error("the guardian is gone")]
    Gone,
}

/// The messages on the lifeline, a byte each.
mod word {
    /// Guardian: armed; it watches from now on.
    pub(super) const ARMED: u8 = b'A';
    /// Controller: output is held from now on; the deadline starts anew.
    pub(super) const HOLD: u8 = b'h';
    /// Controller: nothing is held; there is no deadline.
    pub(super) const FREE: u8 = b'f';
    /// Controller: the session has ended; go.
    pub(super) const LEAVE: u8 = b'l';
}

/// How long a guardian may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The controller's end of it.
#[derive(Debug)]
pub(super) struct Guardian {
    lifeline: UnixStream,
    child: Child,
}

impl Guardian {
    /// Starts a guardian in the calling thread's network namespace, and waits
    /// until it watches.
    ///
    /// It gets the orders, a handle of this process, and the journal's open file:
    /// the file stays locked until the guardian has ended too.
    pub(super) fn arm(
        command: &GuardianCommand,
        orders: &Journal,
        claim: &Claim,
    ) -> Result<Self, GuardianError> {
        // A number would be another process in another pid namespace, and time
        // namespaces shift the start times.
        let own =
            pidfd_open(getpid(), PidfdFlags::empty()).map_err(|error| GuardianError::Start(error.into()))?;
        let (lifeline, theirs) = UnixStream::pair().map_err(GuardianError::Start)?;
        let child = Command::new(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            // Not the controller's: a reader of those waits for their last writer.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(GuardianError::Start)?;
        let mut guardian = Self { lifeline, child };
        guardian.order(orders.encode().as_bytes(), &own, claim)?;
        let mut answer = [0];
        guardian.lifeline.set_read_timeout(Some(PATIENCE)).map_err(GuardianError::Silent)?;
        match guardian.lifeline.read_exact(&mut answer) {
            Ok(()) if answer[0] == word::ARMED => Ok(guardian),
            Ok(()) => {
                let mut rest = Vec::new();
                let _cut_short = guardian.lifeline.read_to_end(&mut rest);
                let text = [&answer[..], &rest].concat();
                Err(GuardianError::Refused(String::from_utf8_lossy(&text).into_owned()))
            }
            Err(error) => Err(GuardianError::Silent(error)),
        }
    }

    /// The orders, and with their first byte the two descriptors.
    fn order(&mut self, orders: &[u8], own: &OwnedFd, claim: &Claim) -> Result<(), GuardianError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [own.as_fd(), claim.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let parts = [IoSlice::new(orders)];
        let sent = sendmsg(self.lifeline.as_fd(), &parts, &mut control, SendFlags::NOSIGNAL)
            .map_err(|_| GuardianError::Gone)?;
        self.lifeline.write_all(&orders[sent..]).map_err(|_| GuardianError::Gone)
    }

    /// Output is held from now on: the deadline starts anew.
    pub(super) fn hold(&self) -> Result<(), GuardianError> {
        self.say(&[word::HOLD])
    }

    /// Nothing is held: there is no deadline.
    pub(super) fn free(&self) -> Result<(), GuardianError> {
        self.say(&[word::FREE])
    }

    /// The session has ended: the guardian goes, and touches nothing.
    pub(super) fn dismiss(self) {
        // One that is gone already is as good.
        let _gone = self.say(&[word::LEAVE]);
    }

    /// One system call, which neither waits nor raises a signal.
    fn say(&self, bytes: &[u8]) -> Result<(), GuardianError> {
        match send(self.lifeline.as_fd(), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => Ok(()), // all of it: so few bytes always fit
            Err(_) => Err(GuardianError::Gone),
        }
    }
}

impl Guardian {
    /// Closes the lifeline without a message, which ends the session for the guardian:
    /// it opens closed plugs, and this returns afterwards. False if it was killed
    /// before, or does not answer.
    pub(super) fn opens(&mut self) -> bool {
        let _gone = self.lifeline.shutdown(std::net::Shutdown::Write);
        let since = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if since.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
                _ => return false,
            }
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let _opened = self.opens();
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::Folder;
    use super::super::journal::tests::{TestDir, journal};
    use super::*;

    #[test]
    fn arm_when_the_guardian_refuses() {
        let dir = TestDir::new("refuses");
        let orders = journal();
        let claim = Folder::make(&dir.0).unwrap().add(&orders).unwrap();
        let script = "until [ \"${line%% *}\" = end ]; do read -r line; done; printf 'not here' >&0";
        let refusing = GuardianCommand::new("sh").arg("-c").arg(script);
        let error = Guardian::arm(&refusing, &orders, &claim).unwrap_err();
        assert_eq!(error.to_string(), "the guardian refuses: not here");
    }
}
