//! How output is let go for good, and how a session ends.

use std::thread;
use std::time::{Duration, Instant};

use tc_core::Transport;

use super::super::Plug;
use super::device::Device;
use super::error::{Error, NetworkState};
use super::guardian::Guardian;
use super::root::delete;
use super::session::{OutputCommit, State};

/// The fate of the plugs when a session detaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachMode {
    /// They are deleted, and the kernel's defaults return. Kernel: packets sent during
    /// the swap are dropped, as at an [attach](OutputCommit::attach).
    Remove,
    /// They stay, open, and nothing is lost. The journal is deleted, so they have no
    /// owner afterwards.
    Leave,
    /// Adopted plugs ([`AttachOptions::adopt`](super::AttachOptions::adopt)) stay, open; the others are
    /// deleted.
    GiveBack,
}

/// How long to wait between two looks at a queue that is being sent from.
const PAUSE: Duration = Duration::from_millis(1);

impl<T: Transport> OutputCommit<T> {
    /// Releases all packets and stops holding. The packets of the open epoch leave
    /// uncommitted: the caller vouches for them. A closed epoch must be released
    /// before.
    ///
    /// [`OutputCommit::start_buffer`] holds again, with the next epoch.
    pub fn open(&mut self) -> Result<(), Error> {
        self.expect("open", State::Protected)?;
        if let Some(number) = self.closed {
            return Err(Error::EpochOutstanding { number });
        }
        self.check()?;
        self.command("RELEASE_INDEFINITE", &Plug::release_indefinite())?;
        self.state = State::Open;
        self.epoch += 1;
        // One that is gone has no deadline either.
        let _gone = self.guardian.as_ref().map(Guardian::free);
        Ok(())
    }

    /// Ends the session: lets all go as [`OutputCommit::open`] does, waits until
    /// the devices have sent it, and gives the plugs up.
    ///
    /// If they need longer than the drain time of its options, it is an error, and a
    /// second call waits again.
    pub fn detach(&mut self, plugs: DetachMode) -> Result<(), Error> {
        if self.state == State::Protected {
            self.open()?;
        }
        if self.state != State::Draining {
            self.expect("detach", State::Open)?;
            self.state = State::Draining;
        }
        let goes = |device: &Device| match plugs {
            DetachMode::Remove => true,
            DetachMode::Leave => false,
            DetachMode::GiveBack => !device.adopted,
        };
        let going: Vec<usize> = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| goes(device))
            .map(|(index, _)| index)
            .collect();
        if !going.is_empty() {
            self.drain()?;
        }
        for index in going {
            self.delete(index)?;
        }
        self.end()
    }

    /// Ends the session in any state, deletes the plugs, and **drops** held packets. The
    /// network is open then. Uncommitted and tainted packets never leave.
    ///
    /// A root qdisc that is not the session's is left alone.
    pub fn discard(&mut self) -> Result<(), Error> {
        if self.state == State::Detached {
            return self.expect("discard", State::Open);
        }
        for index in 0..self.devices.len() {
            self.delete(index)?;
        }
        self.end()
    }

    /// Waits until nothing is held.
    fn drain(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        loop {
            self.look()?;
            let Some(waiting) = self.devices.iter().find(|device| device.counters().qlen > 0) else {
                return Ok(());
            };
            if since.elapsed() > self.options.drain_time {
                return Err(Error::StillDraining {
                    device: waiting.name.clone(),
                    packets: waiting.counters().qlen,
                    waited: self.options.drain_time,
                });
            }
            thread::sleep(PAUSE);
        }
    }

    /// Deletes a plug if it is there and ours.
    fn delete(&mut self, index: usize) -> Result<(), Error> {
        let Some(device) = self.devices.get(index) else { return Ok(()) };
        match delete(&mut self.tc, device.ifindex, device.handle) {
            Ok(_) => Ok(()),
            Err(error) => {
                let network =
                    if self.state == State::Draining { NetworkState::Open } else { NetworkState::Unknown };
                Err(Error::kernel(error, network))
            }
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.state = State::Detached;
        if let Some(guardian) = self.guardian.take() {
            guardian.dismiss();
        }
        self.borrowed.clear();
        let deleted = self.claim.delete();
        deleted.map_err(|error| Error::Journal { error, network: NetworkState::Open })
    }
}
