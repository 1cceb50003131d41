//! The way of packets: in through the root qdisc, out to the device.

use super::classifier::Copy;
use super::device::{Device, Id};
use super::discipline::{Choice, Classified, Enqueued, Packet, Unclassified};
use super::state::State;
use crate::wire::handle::Handle;
use crate::wire::stats::Queue;

/// The outcome of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The qdisc accepted it: it is queued or already transmitted.
    Taken,
    /// The qdisc dropped it, or another one for it. A packet socket reports
    /// `ENOBUFS` then.
    Dropped,
    /// The device is down or has no carrier: it was dropped.
    Down,
    /// There is no such device.
    NoDevice,
    /// A filter or an action depends on a fact that is not known: the packet is gone.
    /// [`Kernel::take_unclassified`](super::Kernel::take_unclassified) returns the fact.
    Unclassified,
}

/// Kernel: `MIRRED_NEST_LIMIT`, the devices that a packet passes one after the other.
const MOST_DEVICES: usize = 4;

impl State {
    /// Sends a packet through a device, and its copies through others.
    pub(super) fn send(&mut self, ifindex: i32, packet: Packet) -> Sent {
        self.pass(Copy { ifindex, to_ingress: false, packet }, 0)
    }

    /// Receives a packet on a device.
    pub(super) fn receive_packet(&mut self, ifindex: i32, packet: Packet) -> Sent {
        self.pass(Copy { ifindex, to_ingress: true, packet }, 0)
    }

    fn pass(&mut self, passed: Copy, depth: usize) -> Sent {
        let Ok(position) = self.position(passed.ifindex) else { return Sent::NoDevice };
        let (device, mut copies) = (&mut self.devices[position], Vec::new());
        let done = match passed.to_ingress {
            true => device.receive(passed.packet, &mut copies),
            false => device.send(passed.packet, &mut copies),
        };
        let sent = done.unwrap_or_else(|unclassified| {
            device.unclassified.push(unclassified);
            Sent::Unclassified
        });
        if depth + 1 < MOST_DEVICES {
            copies.into_iter().for_each(|copy| {
                self.pass(copy, depth + 1);
            });
        }
        sent
    }
}

impl Device {
    /// `__netif_receive_skb_core`.
    fn receive(&mut self, mut packet: Packet, copies: &mut Vec<Copy>) -> Result<Sent, Unclassified> {
        if !self.up {
            return Ok(Sent::Down);
        }
        packet.is_received = true;
        match self.hook(Handle::FILTER_INGRESS, &mut packet, copies)? {
            Classified::Dropped => return Ok(Sent::Dropped),
            Classified::Stolen => {}
            Classified::Miss | Classified::Match(_) => self.received.push_back(packet),
        }
        Ok(Sent::Taken)
    }

    /// `__dev_queue_xmit`.
    fn send(&mut self, mut packet: Packet, copies: &mut Vec<Copy>) -> Result<Sent, Unclassified> {
        packet.is_received = false;
        match self.hook(Handle::FILTER_EGRESS, &mut packet, copies)? {
            Classified::Dropped => return Ok(Sent::Dropped),
            Classified::Stolen => return Ok(Sent::Taken),
            Classified::Miss | Classified::Match(_) => {}
        }
        let Some(id) = self.active_queue(packet.queue) else { return Ok(Sent::Down) };
        let Some(qdisc) = self.qdiscs.get(&id) else { return Ok(Sent::Down) };
        if qdisc.discipline.nature().queueless {
            if !self.transmits {
                return Ok(Sent::Dropped);
            }
            self.sent.push_back(packet);
            return Ok(Sent::Taken);
        }
        packet.counted_bytes = match &qdisc.stab {
            Some(stab) => stab.counted_bytes(packet.length()),
            None => packet.length(),
        };
        let enqueued = self.enqueue(id, packet, copies)?;
        self.run_one(id);
        Ok(if enqueued == Enqueued::Queued { Sent::Taken } else { Sent::Dropped })
    }

    /// Transmits the packets that all qdiscs release.
    pub(super) fn run(&mut self) {
        let mut queues: Vec<Id> = self.queues.iter().flatten().copied().collect();
        queues.dedup(); // queues that share a qdisc
        for id in queues {
            self.run_one(id);
        }
    }

    /// Transmits the packets that a qdisc's queue releases
    /// (`netif_schedule_queue`).
    pub(super) fn run_queue_of(&mut self, id: Id) {
        let queue = self.queues.iter().flatten().copied().find(|queue| self.is_within(id, *queue));
        if let Some(queue) = queue {
            self.run_one(queue);
        }
    }

    /// `__qdisc_run`. The number of failed dequeues matters: each one uses
    /// up a release of plug.
    fn run_one(&mut self, queue: Id) {
        if !self.is_active() || !self.transmits {
            return;
        }
        // Kernel: where queues share a qdisc, a packet is followed by up to eight
        // more at once (`try_bulk_dequeue_skb_slow`).
        let shared = self.is_multi_queue() && self.root == Some(queue);
        while let Some(packet) = self.dequeue(queue) {
            self.sent.push_back(packet);
            for _ in 0..if shared { 8 } else { 0 } {
                let Some(packet) = self.dequeue(queue) else { break };
                self.sent.push_back(packet);
            }
        }
    }

    fn is_within(&self, id: Id, above: Id) -> bool {
        id == above || self.children(above).into_iter().any(|child| self.is_within(id, child))
    }

    fn enqueue(
        &mut self,
        id: Id,
        mut packet: Packet,
        copies: &mut Vec<Copy>,
    ) -> Result<Enqueued, Unclassified> {
        let choice = self.choose(id, &mut packet, copies)?;
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return Ok(Enqueued::Dropped) };
        let enqueued = match choice {
            Choice::Own => return Ok(qdisc.discipline.enqueue(packet)),
            Choice::Stolen => return Ok(Enqueued::Queued),
            Choice::Dropped => Enqueued::Dropped,
            Choice::Class(class) => match self.leaf(id, class) {
                Some(leaf) => self.enqueue(leaf, packet, copies)?,
                None => Enqueued::Dropped,
            },
        };
        if let Some(qdisc) = self.qdiscs.get_mut(&id).filter(|_| enqueued != Enqueued::Queued) {
            qdisc.drops_below = qdisc.drops_below.wrapping_add(1);
        }
        Ok(enqueued)
    }

    /// The place that a qdisc gives a packet.
    fn choose(&self, id: Id, packet: &mut Packet, copies: &mut Vec<Copy>) -> Result<Choice, Unclassified> {
        let Some(qdisc) = self.qdiscs.get(&id) else { return Ok(Choice::Dropped) };
        let Some(classes) = qdisc.discipline.classes() else { return Ok(Choice::Own) };
        if qdisc.filters.is_empty() {
            return classes.choose(packet, &mut |_| Ok(Classified::Miss));
        }
        let seen = packet.clone();
        classes.choose(&seen, &mut |place| Ok(self.classify(id, place, packet, copies)?.classified))
    }

    fn dequeue(&mut self, id: Id) -> Option<Packet> {
        let qdisc = self.qdiscs.get_mut(&id)?;
        let mut packet = qdisc.discipline.dequeue();
        if packet.is_none() {
            let order = qdisc.discipline.classes()?.order();
            let leaves: Vec<_> = order.into_iter().filter_map(|class| self.leaf(id, class)).collect();
            packet = leaves.into_iter().find_map(|leaf| self.dequeue(leaf));
        }
        let packet = packet?;
        let qdisc = self.qdiscs.get_mut(&id)?;
        qdisc.sent_bytes += u64::from(packet.counted_bytes);
        qdisc.sent_packets += 1;
        Some(packet)
    }

    /// The counters of a qdisc, including its children.
    pub(super) fn queue_of(&self, id: Id) -> Queue {
        let Some(qdisc) = self.qdiscs.get(&id) else { return Queue::default() };
        let mut queue = qdisc.discipline.queue();
        queue.drops = queue.drops.wrapping_add(qdisc.drops_below);
        let multi = qdisc.discipline.nature().multi_queue;
        for leaf in self.children(id) {
            let below = self.queue_of(leaf);
            queue.qlen = queue.qlen.wrapping_add(below.qlen);
            queue.backlog = queue.backlog.wrapping_add(below.backlog);
            if multi {
                queue.drops = queue.drops.wrapping_add(below.drops);
            }
        }
        queue
    }

    /// Bytes and packets that a qdisc sent.
    pub(super) fn sent_by(&self, id: Id) -> (u64, u64) {
        let Some(qdisc) = self.qdiscs.get(&id) else { return (0, 0) };
        if !qdisc.discipline.nature().multi_queue {
            return (qdisc.sent_bytes, qdisc.sent_packets);
        }
        let sent = self.children(id).into_iter().map(|leaf| self.sent_by(leaf));
        sent.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    fn children(&self, id: Id) -> Vec<Id> {
        let Some(qdisc) = self.qdiscs.get(&id) else { return Vec::new() };
        let classes = qdisc.discipline.classes().map(|classes| classes.list()).unwrap_or_default();
        classes.into_iter().filter_map(|class| self.leaf(id, class)).collect()
    }
}
