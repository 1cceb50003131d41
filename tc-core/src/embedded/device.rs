//! A device of the embedded kernel, and the life of the qdiscs on it
//! (`net/sched/sch_generic.c`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::discipline::{Discipline, Packet, Place, Unclassified};
use super::kinds::{Kinds, LEAF};
use crate::wire::handle::Handle;

/// Names one qdisc of a device for as long as it lives.
pub(super) type Id = u64;

/// How deep qdiscs can be nested.
pub(super) const DEEPEST: u32 = 7;

#[derive(Debug)]
pub(super) struct Qdisc {
    pub(super) kind: String,
    pub(super) handle: Handle,
    pub(super) parent: Handle,
    pub(super) references: u32,
    pub(super) depth: u32,
    pub(super) invisible: bool,
    pub(super) discipline: Box<dyn Discipline>,
    pub(super) stab: Option<super::stab::SizeTable>,
    pub(super) has_estimator: bool,
    pub(super) ingress_block: Option<u32>,
    pub(super) egress_block: Option<u32>,
    pub(super) sent_bytes: u64,
    pub(super) sent_packets: u64,
    /// Drops of children, which count for their parents too.
    pub(super) drops_below: u32,
    /// The qdiscs below its leaf classes. Those of a multi-queue qdisc move to
    /// the device's queues once it is attached.
    pub(super) leaves: BTreeMap<Handle, Id>,
    pub(super) filters: Vec<super::filter::Filter>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) kinds: Arc<Kinds>,
    pub(super) ifindex: i32,
    pub(super) name: String,
    pub(super) alt_names: Vec<String>,
    pub(super) alias: String,
    pub(super) kind: String,
    pub(super) loopback: bool,
    pub(super) queueless: bool,
    pub(super) up: bool,
    pub(super) carrier: bool,
    pub(super) carrier_changes: u32,
    pub(super) mtu: u32,
    pub(super) tx_queue_len: u32,
    pub(super) hard_header_len: u32,
    /// Whether the hardware takes packets.
    pub(super) transmits: bool,
    pub(super) qdiscs: BTreeMap<Id, Qdisc>,
    last_id: Id,
    /// `dev->qdisc`; `None` is noop.
    pub(super) root: Option<Id>,
    /// `qdisc_sleeping` of each transmit queue.
    pub(super) queues: Vec<Option<Id>>,
    /// The ingress queue, once there is one.
    pub(super) ingress: Option<Option<Id>>,
    /// `dev->qdisc_hash`: 16 buckets, the newest first.
    buckets: [VecDeque<Id>; 16],
    /// Whether the queues use their qdiscs, and not noop.
    pub(super) active: bool,
    pub(super) sent: VecDeque<Packet>,
    /// The packets that the machine received.
    pub(super) received: VecDeque<Packet>,
    /// The facts that classifications depended on.
    pub(super) unclassified: Vec<Unclassified>,
}

impl Device {
    pub(super) fn new(kinds: Arc<Kinds>, ifindex: i32, name: String, tx_queues: u32) -> Self {
        Self {
            kinds,
            ifindex,
            name,
            alt_names: Vec::new(),
            alias: String::new(),
            kind: String::new(),
            loopback: false,
            queueless: false,
            up: false,
            carrier: true,
            carrier_changes: 0,
            mtu: 1500,
            tx_queue_len: 1000,
            hard_header_len: 14,
            transmits: true,
            qdiscs: BTreeMap::new(),
            last_id: 0,
            root: None,
            queues: vec![None; tx_queues.clamp(1, 4096) as usize],
            ingress: None,
            buckets: Default::default(),
            active: false,
            sent: VecDeque::new(),
            received: VecDeque::new(),
            unclassified: Vec::new(),
        }
    }

    pub(super) fn is_multi_queue(&self) -> bool {
        self.queues.len() > 1
    }

    pub(super) fn place(&self, handle: Handle, parent: Handle) -> Place {
        Place {
            handle,
            parent,
            ifindex: self.ifindex,
            mtu: self.mtu,
            hard_header_len: self.hard_header_len,
            tx_queue_len: self.tx_queue_len,
            tx_queues: self.queues.len() as u32,
        }
    }

    pub(super) fn get(&self, id: Option<Id>) -> Option<&Qdisc> {
        self.qdiscs.get(&id?)
    }

    /// A new qdisc, referred to once.
    pub(super) fn insert(
        &mut self,
        kind: &str,
        handle: Handle,
        parent: Handle,
        discipline: Box<dyn Discipline>,
    ) -> Id {
        self.last_id += 1;
        let qdisc = Qdisc {
            kind: kind.to_owned(),
            handle,
            parent,
            references: 1,
            depth: 0,
            invisible: false,
            discipline,
            stab: None,
            has_estimator: false,
            ingress_block: None,
            egress_block: None,
            sent_bytes: 0,
            sent_packets: 0,
            drops_below: 0,
            leaves: BTreeMap::new(),
            filters: Vec::new(),
        };
        self.qdiscs.insert(self.last_id, qdisc);
        self.last_id
    }

    /// A qdisc that the kernel makes by itself, without handle and options.
    pub(super) fn insert_default(&mut self, kind: &str, parent: Handle) -> Option<Id> {
        let mut discipline = self.kinds.make_default(kind);
        discipline.init(None, &self.place(Handle::UNSPEC, parent)).ok()?;
        let id = self.insert(kind, Handle::UNSPEC, parent, discipline);
        self.fill_leaves(id, true);
        Some(id)
    }

    /// Creates the qdiscs of leaf classes that lack one, and deletes those of
    /// classes that are leaves no longer. `listed`: whether a dump of hidden
    /// qdiscs includes the new ones.
    pub(super) fn fill_leaves(&mut self, id: Id, listed: bool) {
        let Some(qdisc) = self.qdiscs.get(&id) else { return };
        let Some(classes) = qdisc.discipline.classes() else { return };
        let (multi, attached) = (qdisc.discipline.nature().multi_queue, self.root == Some(id));
        if multi && attached {
            return;
        }
        let leaves: Vec<Handle> =
            classes.list().into_iter().filter(|class| classes.is_leaf(*class)).collect();
        let left: Vec<Handle> =
            qdisc.leaves.keys().copied().filter(|class| !leaves.contains(class)).collect();
        let new: Vec<Handle> = leaves.into_iter().filter(|class| !qdisc.leaves.contains_key(class)).collect();
        for class in left {
            let leaf = self.qdiscs.get_mut(&id).and_then(|qdisc| qdisc.leaves.remove(&class));
            self.put(leaf);
        }
        for class in new {
            let kind = if multi { self.kinds.default_kind().to_owned() } else { LEAF.to_owned() };
            let Some(leaf) = self.insert_default(&kind, class) else { continue };
            self.set_depth(id, leaf);
            if listed && !multi {
                self.remember(leaf, true);
            }
            if let Some(qdisc) = self.qdiscs.get_mut(&id) {
                qdisc.leaves.insert(class, leaf);
            }
        }
    }

    pub(super) fn set_depth(&mut self, parent: Id, child: Id) {
        let depth = self.qdiscs.get(&parent).map_or(0, |qdisc| qdisc.depth);
        if let Some(qdisc) = self.qdiscs.get_mut(&child) {
            qdisc.depth = depth + 1;
        }
    }

    /// `qdisc_hash_add`: lists a qdisc that is neither a root nor ingress.
    pub(super) fn remember(&mut self, id: Id, invisible: bool) {
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return };
        if qdisc.parent != Handle::ROOT && !qdisc.discipline.nature().ingress {
            qdisc.invisible |= invisible;
            self.buckets[bucket(qdisc.handle)].push_front(id);
        }
    }

    /// Drops one reference (`qdisc_put`). The last one deletes the qdisc and its
    /// children.
    pub(super) fn put(&mut self, id: Option<Id>) {
        let Some(id) = id else { return };
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return };
        qdisc.references = qdisc.references.saturating_sub(1);
        if qdisc.references == 0 {
            self.destroy(id);
        }
    }

    pub(super) fn destroy(&mut self, id: Id) {
        let Some(qdisc) = self.qdiscs.remove(&id) else { return };
        self.kinds.forget(&qdisc.filters);
        self.buckets[bucket(qdisc.handle)].retain(|other| *other != id);
        for leaf in qdisc.leaves.into_values() {
            self.put(Some(leaf));
        }
    }

    pub(super) fn hold(&mut self, id: Id) {
        if let Some(qdisc) = self.qdiscs.get_mut(&id) {
            qdisc.references += 1;
        }
    }

    /// `qdisc_lookup`.
    pub(super) fn lookup(&self, handle: Handle) -> Option<Id> {
        if handle.is_unspec() {
            return None;
        }
        let has = |id: &Id| self.qdiscs.get(id).is_some_and(|qdisc| qdisc.handle == handle);
        let listed = || self.buckets[bucket(handle)].iter().copied().find(|id| has(id));
        let ingress = || self.ingress.flatten().filter(has);
        self.root.filter(has).or_else(|| self.root.and_then(|_| listed())).or_else(ingress)
    }

    /// All qdiscs in the order of a dump.
    pub(super) fn listed(&self) -> Vec<Id> {
        let hashed = self.buckets.iter().flatten().copied().filter(|_| self.root.is_some());
        self.root.into_iter().chain(hashed).chain(self.ingress.flatten()).collect()
    }

    /// The qdisc below a class.
    pub(super) fn leaf(&self, id: Id, class: Handle) -> Option<Id> {
        let qdisc = self.qdiscs.get(&id)?;
        if qdisc.discipline.nature().multi_queue && self.root == Some(id) {
            return *self.queues.get(usize::from(class.minor()).checked_sub(1)?)?;
        }
        qdisc.leaves.get(&class).copied()
    }

    /// Whether the queue's qdisc sees packets.
    pub(super) fn active_queue(&self, queue: u16) -> Option<Id> {
        let queue = self.queues.get(usize::from(queue)).or(self.queues.first())?;
        queue.filter(|_| self.active)
    }

    pub(super) const fn is_active(&self) -> bool {
        self.active
    }
}

/// Kernel: `hash_32(handle, 4)`, which decides the order of dumps.
fn bucket(handle: Handle) -> usize {
    (handle.raw().wrapping_mul(0x61c8_8647) >> 28) as usize
}
