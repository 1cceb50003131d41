//! The judge of a world: what must hold in each state.

use tc_qdiscs::plug::ring::machine::State;

use crate::kernel::{Device, Label, Plug};
use crate::weak::Weak;
use crate::world::{Bounds, LATE, Life, OPEN, OnDeath, Violation, World, message};

impl World {
    /// *A packet on the wire was committed when it left.*
    pub(super) fn judge_packet(&self, packet: Label, bounds: &Bounds) -> Result<(), Violation> {
        let packet = packet & !LATE;
        let opened = bounds.on_death == OnDeath::Open && matches!(self.life, Life::Dead(1..));
        if packet == OPEN || packet < self.committed || opened {
            return Ok(());
        }
        Err(format!(
            "a packet of epoch {packet} is on the wire, and the backup has only those below {}",
            self.committed
        ))
    }

    /// *Every committed epoch leaves or the session says why not.* And after a death: *the network is as
    /// the policy says*.
    pub(super) fn judge_held(&self, bounds: &Bounds) -> Result<(), Violation> {
        if self.life != Life::Alive || self.flight.is_some() || self.notice || self.foreign < bounds.foreign {
            return Ok(());
        }
        // Whole plugs of a ring pass or hold; here a plug that holds may still release some.
        if self.machine.state() != State::Protected || bounds.weak == Some(Weak::ReleaseOne) {
            return Ok(());
        }
        let released = self.machine.oldest().unwrap_or(self.machine.epoch()) as Label;
        for device in &self.devices {
            for (band, plug) in device.bands.iter().enumerate() {
                let stuck = |packet: &Label| *packet < released && !plug.passes;
                if plug.held().iter().any(stuck) && self.carried & 1 << band == 0 {
                    return Err(format!("a packet of a released epoch stays in band {band}, unreported"));
                }
            }
        }
        Ok(())
    }

    /// The judgement of a state in which nothing more is to be done after a death.
    pub(crate) fn judge_end(&self, bounds: &Bounds) -> Result<(), Violation> {
        let Life::Dead(done) = self.life else { return Ok(()) };
        let ended = self.flight.is_none() && !self.guardian_dead && !self.has_more_deeds(bounds) && done > 0;
        let all = |check: fn(&Plug) -> bool| {
            let bands = usize::from(bounds.bands);
            self.devices.iter().all(|device| device.bands[..bands].iter().all(check))
        };
        if ended && !all(|plug| plug.passes) {
            return Err("the network was to be opened, and a band is closed".to_owned());
        }
        Ok(())
    }

    /// For traces: the devices, and the next message to the kernel.
    pub(crate) fn describe(&self, bounds: &Bounds) -> String {
        let packet = |packet: &Label| match *packet {
            OPEN => "open".to_owned(),
            label if label & LATE != 0 => format!("{} late", label & !LATE),
            label => label.to_string(),
        };
        let device = |device: &Device| {
            let bands = device.bands[..usize::from(bounds.bands)].iter().map(|plug| {
                let state = if plug.passes { "passes" } else { "holds" };
                format!("{state} {:?}", plug.held().iter().map(packet).collect::<Vec<_>>())
            });
            format!("[map {}: {}]", device.map, bands.collect::<Vec<_>>().join(", "))
        };
        let next = self.flight.as_ref().map(|flight| match message(flight, bounds) {
            Some((device, _, order)) => format!(", next {order:?} of device {device}"),
            None => ", all is carried out".to_owned(),
        });
        format!("{} {}{}", device(&self.devices[0]), device(&self.devices[1]), next.unwrap_or_default())
    }
}
