//! `htb` in the embedded kernel (`net/sched/sch_htb.c`): the tree of classes
//! and its rules, without shaping.

use std::collections::BTreeMap;

use tc_core::embedded::{
    Choice, Classes, Classified, Discipline, Enqueued, Nature, Packet, PacketQueue, Place, Refusal,
    Unclassified,
};
use tc_core::stats::Queue;
use tc_core::{AttrWriter, Attrs, Fill, Handle, Reader};

use crate::classify::htb_class;

const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_CTAB: u16 = 3;
const TCA_HTB_RTAB: u16 = 4;
const TCA_HTB_DIRECT_QLEN: u16 = 5;
/// `HTB_VER`, and the part of it that requests carry.
const VERSION: u32 = 0x3_0011;
const REQUEST_VERSION: u32 = VERSION >> 16;
/// `TC_HTB_MAXDEPTH`.
const DEPTH: u8 = 8;

/// The discipline of an htb.
#[derive(Clone, Debug, Default)]
pub struct Htb {
    handle: Handle,
    rate_to_quantum: u32,
    default_class: u32,
    direct_qlen: u32,
    direct: PacketQueue,
    direct_packets: u32,
    classes: BTreeMap<Handle, Class>,
}

#[derive(Clone, Debug)]
struct Class {
    parent: Option<Handle>,
    /// 0 for a leaf; an inner class has the level that is left below its parent.
    level: u8,
    options: Vec<u8>,
}

impl Htb {
    /// One that is yet to be initialised.
    pub fn new() -> Self {
        Self::default()
    }

    fn has_children(&self, class: Handle) -> bool {
        self.classes.values().any(|other| other.parent == Some(class))
    }

    /// The level of a class that gets its first child.
    fn inner_level(&self, class: Handle) -> u8 {
        let above = self.classes.get(&class).and_then(|class| class.parent);
        above.and_then(|above| self.classes.get(&above)).map_or(DEPTH, |above| above.level) - 1
    }
}

impl Discipline for Htb {
    /// Kernel: htb has no `change`.
    fn nature(&self) -> Nature {
        Nature { fixed: true, attaches: true, ..Nature::default() }
    }

    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        let find = |kind| Attrs::new(options.unwrap_or(&[])).find(kind).ok().flatten();
        let global = find(TCA_HTB_INIT).ok_or(super::invalid())?;
        // struct tc_htb_glob: version, rate2quantum, defcls, debug, direct_pkts.
        let mut reader = global.reader();
        let mut number = || reader.u32().map_err(|_| super::invalid());
        if number()? != REQUEST_VERSION {
            return Err(super::invalid());
        }
        self.handle = place.handle;
        self.rate_to_quantum = number()?.max(1);
        self.default_class = number()?;
        let asked = find(TCA_HTB_DIRECT_QLEN).and_then(|attr| attr.u32().ok());
        self.direct_qlen = asked.unwrap_or(place.tx_queue_len);
        Ok(())
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        {
            let mut global = out.nest(TCA_HTB_INIT);
            for number in [VERSION, self.rate_to_quantum, self.default_class, 0, self.direct_packets] {
                global.put_u32(number);
            }
        }
        out.attr_u32(TCA_HTB_DIRECT_QLEN, self.direct_qlen);
        Fill::Written
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        if self.direct.len() >= self.direct_qlen as usize {
            return self.direct.refuse();
        }
        self.direct_packets = self.direct_packets.wrapping_add(1);
        self.direct.push(packet)
    }

    fn dequeue(&mut self) -> Option<Packet> {
        self.direct.pop()
    }

    fn reset(&mut self) {
        self.direct.clear();
    }

    fn queue(&self) -> Queue {
        self.direct.counters()
    }

    fn classes(&self) -> Option<&dyn Classes> {
        Some(self)
    }

    fn classes_mut(&mut self) -> Option<&mut dyn Classes> {
        Some(self)
    }
}

impl Classes for Htb {
    fn find(&self, class: Handle) -> Option<Handle> {
        self.classes.contains_key(&class).then_some(class)
    }

    fn list(&self) -> Vec<Handle> {
        self.classes.keys().copied().collect()
    }

    fn is_leaf(&self, class: Handle) -> bool {
        self.classes.get(&class).is_some_and(|class| class.level == 0)
    }

    fn lists_restored_leaves(&self) -> bool {
        false
    }

    fn change_class(&mut self, class: Handle, parent: Handle, options: Option<&[u8]>) -> Result<(), Refusal> {
        let options = options.ok_or(super::invalid())?;
        let parms = Attrs::new(options).find(TCA_HTB_PARMS).ok().flatten().ok_or(super::invalid())?;
        let rates = |mut reader: Reader<'_>| {
            reader.skip(8)?;
            let rate = reader.u32()?;
            reader.skip(8)?;
            Ok::<_, tc_core::DecodeError>((rate, reader.u32()?))
        };
        let (rate, ceil) = rates(parms.reader()).map_err(|_| super::invalid())?;
        if rate == 0 || ceil == 0 {
            return Err(super::invalid());
        }
        // A dump has neither of the rate tables.
        let kept = |kind| !matches!(kind, TCA_HTB_RTAB | TCA_HTB_CTAB);
        let mut stored = bytes::BytesMut::new();
        let mut out = AttrWriter::new(&mut stored);
        for attr in Attrs::new(options).map_while(Result::ok).filter(|attr| kept(attr.kind)) {
            out.attr(attr.kind, attr.payload);
        }
        if let Some(there) = self.classes.get_mut(&class) {
            there.options = stored.to_vec();
            return Ok(());
        }
        if class.is_unspec() || class.qdisc_of() != self.handle {
            return Err(super::invalid());
        }
        // Kernel: a parent that is not there counts as none.
        let parent = Some(parent).filter(|parent| self.classes.contains_key(parent));
        let above = parent.and_then(|parent| self.classes.get(&parent)?.parent);
        if above.and_then(|above| self.classes.get(&above)).is_some_and(|above| above.level < 2) {
            return Err(super::invalid()); // the tree is too deep
        }
        if let Some(parent) = parent.filter(|parent| self.is_leaf(*parent)) {
            let level = self.inner_level(parent);
            if let Some(parent) = self.classes.get_mut(&parent) {
                parent.level = level;
            }
        }
        self.classes.insert(class, Class { parent, level: 0, options: stored.to_vec() });
        Ok(())
    }

    fn delete_class(&mut self, class: Handle) -> Result<(), Refusal> {
        if self.has_children(class) {
            return Err(Refusal::errno(16)); // EBUSY
        }
        let parent = self.classes.remove(&class).and_then(|class| class.parent);
        if let Some(parent) = parent.filter(|parent| !self.has_children(*parent)) {
            // With its last child gone the parent is a leaf again.
            if let Some(parent) = self.classes.get_mut(&parent) {
                parent.level = 0;
            }
        }
        Ok(())
    }

    fn parent(&self, class: Handle) -> Option<Handle> {
        Some(self.classes.get(&class).and_then(|class| class.parent).unwrap_or(Handle::ROOT))
    }

    fn dump_class(&self, class: Handle, out: &mut AttrWriter<'_>) -> Fill {
        let Some(class) = self.classes.get(&class) else { return Fill::Absent };
        out.put(&class.options);
        Fill::Written
    }

    /// `struct tc_htb_xstats`. Nothing is shaped, so nothing is lent.
    fn xstats(&self, _: Handle) -> Option<Vec<u8>> {
        Some(vec![0; 20])
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
        let level = |class: Handle| self.classes.get(&class).map(|class| class.level.into());
        let chosen = htb_class(self.handle, self.default_class, &level, packet.priority, filters)?;
        Ok(chosen.choice)
    }
}
