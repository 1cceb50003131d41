//! `mq`, which stands for the queues of a device that has several.

use super::discipline::{Classes, Discipline, Nature, Packet, Place, Refusal};
use crate::kind::Fill;
use crate::wire::attr::AttrWriter;
use crate::wire::handle::Handle;

/// The discipline of a multi-queue root: a class for each transmit queue.
#[derive(Clone, Debug, Default)]
pub struct Multi {
    handle: Handle,
    tx_queues: u16,
}

impl Discipline for Multi {
    fn nature(&self) -> Nature {
        Nature { fixed: true, attaches: true, multi_queue: true, ..Nature::default() }
    }

    fn init(&mut self, _: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        if place.parent != Handle::ROOT || place.tx_queues < 2 {
            return Err(Refusal::errno(libc::EOPNOTSUPP));
        }
        self.handle = place.handle;
        self.tx_queues = u16::try_from(place.tx_queues).unwrap_or(u16::MAX);
        Ok(())
    }

    fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
        Fill::Absent
    }

    fn classes(&self) -> Option<&dyn Classes> {
        Some(self)
    }

    fn classes_mut(&mut self) -> Option<&mut dyn Classes> {
        Some(self)
    }
}

impl Classes for Multi {
    fn find(&self, class: Handle) -> Option<Handle> {
        let minor = class.minor();
        (1..=self.tx_queues).contains(&minor).then(|| Handle::class(self.handle.major(), minor))
    }

    fn list(&self) -> Vec<Handle> {
        (1..=self.tx_queues).map(|minor| Handle::class(self.handle.major(), minor)).collect()
    }

    fn is_leaf(&self, _: Handle) -> bool {
        true
    }

    fn parent(&self, _: Handle) -> Option<Handle> {
        Some(Handle::ROOT)
    }

    fn classify(&self, _: &Packet) -> Option<Handle> {
        None
    }
}
