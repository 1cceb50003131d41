//! The policy after a taint, and the restart.

use tc_core::{Transport, Verb};

use super::super::Plug;
use super::epoch::SessionId;
use super::error::{Error, NetworkState};
use super::guardian::Guardian;
use super::options::OnTaint;
use super::root::{held_by, open, refused, shut};
use super::session::{OutputCommit, State};
use super::taint::Taint;

impl<T: Transport> OutputCommit<T> {
    /// The session is tainted: its policy is carried out on all devices, and no
    /// token of it is good any more.
    pub(super) fn taint(&mut self, taint: Taint) -> Error {
        let held = self.state == State::Protected;
        self.state = State::Tainted;
        self.closed = None;
        self.id = SessionId::next();
        // A session that did not hold is not closed either.
        self.tainted = if held { self.carry_out() } else { NetworkState::Open };
        if matches!(self.tainted, NetworkState::Opened | NetworkState::OpenedEmpty) {
            // A guardian that is gone has no deadline either.
            let _gone = self.guardian.as_ref().map(Guardian::free);
        }
        Error::Tainted { taint, network: self.tainted }
    }

    /// Carries out the policy on every device; returns the worst outcome.
    fn carry_out(&mut self) -> NetworkState {
        let Self { tc, devices, options, .. } = self;
        let each = devices.iter_mut().map(|device| match options.on_taint {
            OnTaint::FailClosed => {
                let handles = [device.handle, device.spare];
                match shut(tc, device.ifindex, handles, options.limit.get()) {
                    Ok((network, handle)) => {
                        device.is_now(handle);
                        network
                    }
                    Err(_) => NetworkState::Unknown,
                }
            }
            OnTaint::FailOpen => {
                // For the report alone.
                let held = held_by(tc, device.ifindex, device.handle);
                match open(tc, device.ifindex, device.handle) {
                    Ok(()) if held == Some(0) => NetworkState::OpenedEmpty,
                    Ok(()) => NetworkState::Opened,
                    Err(error) => refused(&error).unwrap_or(NetworkState::Unknown),
                }
            }
        });
        // A device that is gone does not decide for the others.
        let worst = |one: NetworkState, other: NetworkState| match (one, other) {
            (NetworkState::Gone, other) | (other, NetworkState::Gone) => other,
            (one, other) => one.max(other),
        };
        each.reduce(worst).unwrap_or(NetworkState::Unknown)
    }

    /// Begins again after a taint, with the same devices. All must be there and
    /// up, with the session's own plug or the kernel's default at the root.
    ///
    /// With the policy to fail closed, another new plug replaces the current one, so
    /// that the kernel's counts start at zero: packets held since the taint are lost
    /// too, new packets are held, and the next epoch is open. With the policy to fail
    /// open, the session is open. Earlier tokens are void.
    ///
    /// With a checkpoint of now, output commit goes on: packets that were lost
    /// are no harm to it.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.expect("restart", State::Tainted)?;
        self.begin_watch().map_err(|error| match error {
            Error::Kernel { error, .. } => Error::Kernel { error, network: self.tainted },
            other => other,
        })?;
        if let (OnTaint::FailClosed, Some(guardian)) = (self.options.on_taint, &self.guardian) {
            guardian.hold().map_err(|error| Error::Guardian { error, network: self.tainted })?;
        }
        self.put_missing_plugs().map_err(|error| Error::kernel(error, self.tainted))?;
        self.tainted = self.carry_out();
        match self.tainted {
            NetworkState::HeldAnew => self.state = State::Protected,
            NetworkState::Opened | NetworkState::OpenedEmpty => self.state = State::Open,
            network => {
                return Err(Error::WrongState { doing: "restart", state: State::Tainted, network });
            }
        }
        self.look()?;
        let limit = self.options.limit.get();
        for device in &mut self.devices {
            device.begin(limit);
        }
        self.epoch += 1;
        Ok(())
    }

    /// Puts a plug where the kernel's default has come back.
    fn put_missing_plugs(&mut self) -> Result<(), tc_core::Error> {
        let Self { tc, devices, options, .. } = self;
        let plug = Plug::set_limit(options.limit.get());
        for device in devices {
            // Kernel: it adds nothing where a qdisc is, ours or not.
            match tc.apply_as_it_is(Verb::Add, &device.request(&plug)) {
                Err(error) if !error.is_exists() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
