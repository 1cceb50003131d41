//! First in, first out: the part that most disciplines share, and a discipline
//! for any kind.

use std::collections::VecDeque;

use super::discipline::{Discipline, Enqueued, Nature, Packet, Place, Refusal};
use crate::kind::Fill;
use crate::wire::attr::AttrWriter;
use crate::wire::stats::Queue;

/// Packets that wait, and their counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketQueue {
    packets: VecDeque<Packet>,
    backlog_bytes: u32,
    drops: u32,
}

impl PacketQueue {
    /// How many packets wait.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// How many bytes wait.
    pub const fn backlog_bytes(&self) -> u32 {
        self.backlog_bytes
    }

    /// Puts a packet at the end.
    pub fn push(&mut self, packet: Packet) -> Enqueued {
        self.backlog_bytes = self.backlog_bytes.saturating_add(packet.counted_bytes);
        self.packets.push_back(packet);
        Enqueued::Queued
    }

    /// Counts a packet that is not taken.
    pub fn refuse(&mut self) -> Enqueued {
        self.drops = self.drops.wrapping_add(1);
        Enqueued::Dropped
    }

    /// Takes the first packet.
    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.backlog_bytes = self.backlog_bytes.saturating_sub(packet.counted_bytes);
        Some(packet)
    }

    /// Purges the queue. The kernel does not count purged packets as drops.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.backlog_bytes = 0;
    }

    /// The counters.
    pub fn counters(&self) -> Queue {
        let qlen = u32::try_from(self.packets.len()).unwrap_or(u32::MAX);
        Queue { qlen, backlog: self.backlog_bytes, drops: self.drops, ..Queue::default() }
    }
}

/// A discipline for any kind: it keeps the options that it is given, shows them
/// in dumps, and queues first in, first out.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    options: Option<Vec<u8>>,
    limit_packets: Option<u32>,
    queue: PacketQueue,
}

impl Stored {
    /// One that never drops a packet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that drops packets above a limit.
    pub fn limited(packets: u32) -> Self {
        Self { limit_packets: Some(packets), ..Self::default() }
    }
}

impl Discipline for Stored {
    fn init(&mut self, options: Option<&[u8]>, _: &Place) -> Result<(), Refusal> {
        self.options = options.map(<[u8]>::to_vec);
        Ok(())
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        let Some(options) = &self.options else { return Fill::Absent };
        out.put(options);
        Fill::Written
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        match self.limit_packets {
            Some(limit) if self.queue.len() >= limit as usize => self.queue.refuse(),
            _ => self.queue.push(packet),
        }
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

/// A discipline without a queue (noqueue): packets go to the device at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queueless;

impl Discipline for Queueless {
    fn nature(&self) -> Nature {
        Nature { queueless: true, fixed: true, ..Nature::default() }
    }

    fn init(&mut self, _: Option<&[u8]>, _: &Place) -> Result<(), Refusal> {
        Ok(())
    }

    fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
        Fill::Absent
    }
}
