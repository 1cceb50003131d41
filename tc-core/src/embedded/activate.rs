//! Activation: which qdisc each queue of a device uses (`dev_activate`,
//! `dev_deactivate`).

use std::collections::BTreeMap;

use super::device::{Device, Id};
use super::kinds::{MULTI, NO_QUEUE};
use crate::wire::handle::Handle;

impl Device {
    /// Puts the root's queues in place (`attach` in `Qdisc_ops`).
    pub(super) fn attach(&mut self, id: Id) {
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return };
        let multi = qdisc.discipline.nature().multi_queue;
        let leaves = if multi { std::mem::take(&mut qdisc.leaves) } else { BTreeMap::new() };
        let mut leaves = leaves.into_values();
        for queue in 0..self.queues.len() {
            let new = if multi { leaves.next() } else { Some(id) };
            let old = std::mem::replace(&mut self.queues[queue], new);
            if !multi {
                self.hold(id);
            }
            self.put(old);
            if let Some(leaf) = new.filter(|_| multi) {
                self.remember(leaf, false);
            }
        }
    }

    /// `dev_activate`: a device that has no qdisc gets the default.
    pub(super) fn activate(&mut self) {
        if self.root.is_none() {
            self.attach_defaults();
        }
        self.active |= self.carrier;
    }

    fn attach_defaults(&mut self) {
        if self.is_multi_queue() && !self.queueless {
            let Some(id) = self.insert_default(MULTI, Handle::ROOT) else { return };
            // Its children belong to the queues from the start.
            self.attach(id);
            self.root = Some(id);
            return;
        }
        let kind = if self.queueless { NO_QUEUE.to_owned() } else { self.kinds.default_kind().to_owned() };
        for queue in 0..self.queues.len() {
            self.queues[queue] = self.insert_default(&kind, Handle::ROOT);
        }
        self.root = self.queues[0];
        if let Some(id) = self.root {
            self.hold(id);
        }
    }

    /// `dev_deactivate`: transmission stops, and queued packets are purged.
    pub(super) fn deactivate(&mut self) {
        self.active = false;
        for id in self.queues.clone().into_iter().chain(self.ingress).flatten() {
            self.reset(id);
        }
    }

    /// `netif_set_real_num_tx_queues`: removes the queues from the `first`th on, and
    /// purges their qdiscs. Returns their number.
    pub(super) fn lose_queues(&mut self, first: usize) -> usize {
        let lost: Vec<_> = self.queues.iter().skip(first).copied().collect();
        lost.iter().flatten().for_each(|id| self.reset(*id));
        lost.len()
    }

    pub(super) fn reset(&mut self, id: Id) {
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return };
        qdisc.discipline.reset();
        for leaf in qdisc.leaves.values().copied().collect::<Vec<_>>() {
            self.reset(leaf);
        }
    }
}
