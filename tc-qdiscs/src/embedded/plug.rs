//! `plug` in the embedded kernel: its reference model.

use tc_core::embedded::{Discipline, Enqueued, Packet, Place, Refusal};
use tc_core::stats::Queue;
use tc_core::{AttrWriter, Fill};

use crate::plug::Model;

/// The discipline of a plug.
#[derive(Clone, Debug)]
pub struct Plug(Model<Packet>);

impl Plug {
    /// One that is yet to be initialised.
    pub const fn new() -> Self {
        Self(Model::with_limit(0))
    }

    /// Its state.
    pub const fn model(&self) -> &Model<Packet> {
        &self.0
    }
}

impl Default for Plug {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline for Plug {
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        self.0 =
            Model::init(options, place.tx_queue_len, place.frame_bytes()).map_err(|_| super::invalid())?;
        Ok(())
    }

    fn change(&mut self, options: &[u8], _: &Place) -> Result<(), Refusal> {
        // The kernel around runs the queues behind every request.
        self.0.change(options).map(|_| ()).map_err(|_| super::invalid())
    }

    fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
        Fill::Absent
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let (bytes, counted) = (packet.length(), packet.counted_bytes);
        if self.0.enqueue_counted(packet, bytes, counted) { Enqueued::Queued } else { Enqueued::Dropped }
    }

    fn dequeue(&mut self) -> Option<Packet> {
        self.0.dequeue()
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn queue(&self) -> Queue {
        let (qlen, backlog, drops) = (self.0.qlen(), self.0.backlog_bytes(), self.0.drops());
        Queue { qlen, backlog, drops, ..Queue::default() }
    }
}
