//! How a ring session ends.

use tc_core::Transport;

use super::session::{Ring, RingSite};
use crate::plug::commit::DetachMode;
use crate::plug::commit::error::{Error, NetworkState};
use crate::plug::commit::session::State;
use crate::plug::place::Place;

impl<T: Transport> Ring<T> {
    /// Ends the session: lets all go as [`Ring::open`] does, leads the devices' packets past
    /// the IFBs, waits until these have sent everything, and removes ring and IFB. The
    /// clsact qdiscs stay, unless [`RingOptions::clsact`](super::RingOptions::clsact) removes them.
    ///
    /// Nothing is lost, except at places without an IFB ([`Place::Root`], [`Place::Class`]),
    /// where the kernel drops packets that are sent while it swaps the qdiscs. Packets sent
    /// right after the filter went can overtake those that the IFB still has.
    ///
    /// If the devices need longer than the drain time of its options, it is an error, and a second
    /// call waits again.
    pub fn detach(&mut self) -> Result<(), Error> {
        self.detach_as(DetachMode::Remove)
    }

    /// Ends the session as [`Ring::detach`] does; rings that are not removed stay, open, with their
    /// redirects, and nothing is waited for.
    pub fn detach_as(&mut self, mode: DetachMode) -> Result<(), Error> {
        if self.state() == State::Protected {
            self.open()?;
        }
        if self.state() != State::Draining {
            self.expect("detach", State::Open)?;
        }
        self.ended = Some(State::Draining);
        let Self { tc, sites, options, .. } = self;
        for site in sites.iter_mut().filter(|site| goes(mode, site)) {
            if let Some(redirect) = &mut site.redirect {
                redirect.disconnect(tc).map_err(|error| Error::place(error, NetworkState::Open))?;
            }
            site.objects.drain(tc, site.redirect.as_ref(), &site.name, options.attach.drain_time)?;
        }
        self.take_away(mode)
    }

    /// Ends the session in any state, and **drops** held packets. The network is open then.
    /// Uncommitted packets never leave.
    pub fn discard(&mut self) -> Result<(), Error> {
        if self.state() == State::Detached {
            return self.expect("discard", State::Open);
        }
        self.take_away(DetachMode::Remove)
    }

    fn take_away(&mut self, mode: DetachMode) -> Result<(), Error> {
        let Self { tc, sites, options, .. } = self;
        for RingSite { redirect, objects, place, .. } in sites.iter_mut().filter(|site| goes(mode, site)) {
            let network = NetworkState::Unknown;
            match (redirect.take(), place) {
                (Some(redirect), _) => {
                    redirect.remove(tc, options.clsact).map_err(|error| Error::place(error, network))?;
                }
                (None, Place::Root | Place::Class(_)) => {
                    objects.delete(tc).map_err(|error| Error::kernel(error, network))?;
                }
                // Removed by an earlier call.
                (None, _) => {}
            }
        }
        self.ended = Some(State::Detached);
        if let Some(guardian) = self.guardian.take() {
            guardian.dismiss();
        }
        self.borrowed.clear();
        self.claim.delete().map_err(|error| Error::Journal { error, network: NetworkState::Open })
    }
}

/// Whether a ring is removed.
const fn goes(mode: DetachMode, site: &RingSite) -> bool {
    match mode {
        DetachMode::Remove => true,
        DetachMode::Leave => false,
        DetachMode::GiveBack => !site.adopted,
    }
}
