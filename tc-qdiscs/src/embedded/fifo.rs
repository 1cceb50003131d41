//! The fifos in the embedded kernel (`net/sched/sch_fifo.c`).

use tc_core::embedded::{Discipline, Enqueued, Nature, Packet, PacketQueue, Place, Refusal};
use tc_core::stats::Queue;
use tc_core::{AttrWriter, Fill, Reader};

/// The discipline of a pfifo, bfifo or pfifo_head_drop.
#[derive(Clone, Debug)]
pub struct Fifo {
    sort: Sort,
    limit: u32,
    queue: PacketQueue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Packets,
    Bytes,
    HeadDrop,
}

impl Fifo {
    /// A pfifo: the limit is in packets.
    pub fn packets() -> Self {
        Self::new(Sort::Packets)
    }

    /// A bfifo: the limit is in bytes.
    pub fn bytes() -> Self {
        Self::new(Sort::Bytes)
    }

    /// A pfifo_head_drop: above the limit the oldest packet goes.
    pub fn head_drop() -> Self {
        Self::new(Sort::HeadDrop)
    }

    fn new(sort: Sort) -> Self {
        Self { sort, limit: 0, queue: PacketQueue::default() }
    }
}

impl Discipline for Fifo {
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        self.limit = match (options, self.sort) {
            (Some(options), _) => Reader::new(options).u32().map_err(|_| super::invalid())?,
            (None, Sort::Bytes) => place.tx_queue_len.wrapping_mul(place.frame_bytes()),
            (None, _) => place.tx_queue_len,
        };
        Ok(())
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        out.put_u32(self.limit);
        Fill::Written
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let limit = u64::from(self.limit);
        let fits = match self.sort {
            Sort::Bytes => u64::from(self.queue.backlog_bytes()) + u64::from(packet.counted_bytes) <= limit,
            _ => (self.queue.len() as u64) < limit,
        };
        if fits {
            return self.queue.push(packet);
        }
        let dropped = self.queue.refuse();
        if self.sort == Sort::HeadDrop && limit > 0 {
            self.queue.pop();
            self.queue.push(packet);
            return Enqueued::OtherDropped;
        }
        dropped
    }

    fn dequeue(&mut self) -> Option<Packet> {
        self.queue.pop()
    }

    fn reset(&mut self) {
        self.queue.clear();
    }

    fn queue(&self) -> Queue {
        self.queue.counters()
    }
}

/// The discipline of pfifo_fast: three bands by priority, each of `txqueuelen`
/// packets.
#[derive(Clone, Debug, Default)]
pub struct PfifoFast {
    limit_packets: u32,
    bands: [PacketQueue; 3],
}

/// Which band a priority belongs to (`sch_default_prio2band`).
const PRIORITY_TO_BAND: [u8; 16] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];

impl PfifoFast {
    /// One that is yet to be initialised.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Discipline for PfifoFast {
    fn nature(&self) -> Nature {
        Nature { fixed: true, ..Nature::default() }
    }

    fn init(&mut self, _: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        if place.tx_queue_len == 0 {
            return Err(super::invalid());
        }
        self.limit_packets = place.tx_queue_len;
        Ok(())
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        out.put_i32(3);
        out.put(&PRIORITY_TO_BAND);
        Fill::Written
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let band = PRIORITY_TO_BAND[packet.priority as usize & 15];
        let queue = &mut self.bands[usize::from(band)];
        if queue.len() >= self.limit_packets as usize { queue.refuse() } else { queue.push(packet) }
    }

    fn dequeue(&mut self) -> Option<Packet> {
        self.bands.iter_mut().find_map(PacketQueue::pop)
    }

    fn reset(&mut self) {
        self.bands.iter_mut().for_each(PacketQueue::clear);
    }

    fn queue(&self) -> Queue {
        self.bands.iter().map(PacketQueue::counters).fold(Queue::default(), |sum, band| Queue {
            qlen: sum.qlen + band.qlen,
            backlog: sum.backlog.wrapping_add(band.backlog),
            drops: sum.drops.wrapping_add(band.drops),
            ..sum
        })
    }
}
