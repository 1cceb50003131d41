//! `prio` in the embedded kernel (`net/sched/sch_prio.c`).

use tc_core::embedded::{Choice, Classes, Classified, Discipline, Packet, Place, Refusal, Unclassified};
use tc_core::{AttrWriter, Fill, Handle, Reader};

use crate::classify::band;

/// The discipline of a prio.
#[derive(Clone, Debug, Default)]
pub struct Prio {
    handle: Handle,
    bands: u16,
    priority_to_band: [u8; 16],
}

impl Prio {
    /// One that is yet to be initialised.
    pub fn new() -> Self {
        Self::default()
    }

    fn class(&self, minor: u16) -> Handle {
        Handle::class(self.handle.major(), minor)
    }
}

impl Discipline for Prio {
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        self.handle = place.handle;
        self.change(options.ok_or(super::invalid())?, place)
    }

    fn change(&mut self, options: &[u8], _: &Place) -> Result<(), Refusal> {
        let mut reader = Reader::new(options);
        let bands = reader.i32().map_err(|_| super::invalid())?;
        let map: [u8; 16] = reader.array().map_err(|_| super::invalid())?;
        let bands = u16::try_from(bands).ok().filter(|bands| (2..=16).contains(bands));
        let bands = bands.ok_or(super::invalid())?;
        if map.iter().any(|band| u16::from(*band) >= bands) {
            return Err(super::invalid());
        }
        (self.bands, self.priority_to_band) = (bands, map);
        Ok(())
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        out.put_i32(self.bands.into());
        out.put(&self.priority_to_band);
        Fill::Written
    }

    fn classes(&self) -> Option<&dyn Classes> {
        Some(self)
    }

    fn classes_mut(&mut self) -> Option<&mut dyn Classes> {
        Some(self)
    }
}

impl Classes for Prio {
    fn find(&self, class: Handle) -> Option<Handle> {
        (1..=self.bands).contains(&class.minor()).then(|| self.class(class.minor()))
    }

    fn list(&self) -> Vec<Handle> {
        (1..=self.bands).map(|minor| self.class(minor)).collect()
    }

    fn is_leaf(&self, _: Handle) -> bool {
        true
    }

    fn classify(&self, packet: &Packet) -> Option<Handle> {
        match self.choose(packet, &mut |_| Ok(Classified::Miss)) {
            Ok(Choice::Class(class)) => Some(class),
            _ => None,
        }
    }

    fn choose(
        &self,
        packet: &Packet,
        filters: &mut dyn FnMut(Handle) -> Result<Classified, Unclassified>,
    ) -> Result<Choice, Unclassified> {
        Ok(band(self.handle, self.bands, &self.priority_to_band, packet.priority, filters)?.choice)
    }
}
