//! `plug` in the embedded kernel: its reference model.

use tc_core::embedded::{Discipline, Enqueued, Packet, Place, Refusal};
use tc_core::stats::Queue;
use tc_core::{AttrWriter, Fill};

use crate::plug::{Model, Wakeup};

/// The discipline of a plug.
#[derive(Clone, Debug)]
pub struct Plug {
    model: Model<Packet>,
    kicks: bool,
}

impl Plug {
    /// One that is yet to be initialised.
    pub const fn new() -> Self {
        Self { model: Model::with_limit(0), kicks: false }
    }

    /// Its state.
    pub const fn model(&self) -> &Model<Packet> {
        &self.model
    }
}

impl Default for Plug {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline for Plug {
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        self.model =
            Model::init(options, place.tx_queue_len, place.frame_bytes()).map_err(|_| super::invalid())?;
        Ok(())
    }

    fn change(&mut self, options: &[u8], _: &Place) -> Result<(), Refusal> {
        self.kicks = self.model.change(options).map_err(|_| super::invalid())? == Wakeup::Runs;
        Ok(())
    }

    fn kicks(&mut self) -> bool {
        std::mem::take(&mut self.kicks)
    }

    fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
        Fill::Absent
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let (bytes, counted) = (packet.length(), packet.counted_bytes);
        if self.model.enqueue_counted(packet, bytes, counted) { Enqueued::Queued } else { Enqueued::Dropped }
    }

    fn dequeue(&mut self) -> Option<Packet> {
        self.model.dequeue()
    }

    fn reset(&mut self) {
        self.model.reset();
    }

    fn queue(&self) -> Queue {
        let (qlen, backlog, drops) = (self.model.qlen(), self.model.backlog_bytes(), self.model.drops());
        Queue { qlen, backlog, drops, ..Queue::default() }
    }
}
