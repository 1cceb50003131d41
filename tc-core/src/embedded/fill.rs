//! Objects as messages (`tc_fill_qdisc`, `tc_fill_tclass`, `rtnl_fill_ifinfo`).

use bytes::BytesMut;

use super::device::{Device, Id};
use crate::kind::Fill;
use crate::wire::attr::AttrWriter;
use crate::wire::handle::Handle;
use crate::wire::message::{TcHeader, begin_message, end_message};
use crate::wire::stats::Queue;
use crate::wire::uapi::*;

/// The fields of a message header besides its length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// The port of the socket that asked.
    pub(super) port: u32,
}

/// Appends a netlink message.
pub(super) fn message(out: &mut BytesMut, head: Head, body: impl FnOnce(&mut BytesMut)) {
    let start = begin_message(out, head.kind, head.flags, head.sequence);
    out[start + 12..start + 16].copy_from_slice(&head.port.to_ne_bytes());
    body(out);
    end_message(out, start);
}

/// Appends `TCA_OPTIONS`, or nothing.
fn options(out: &mut AttrWriter<'_>, dump: impl FnOnce(&mut AttrWriter<'_>) -> Fill) {
    let start = out.begin(TCA_OPTIONS);
    match dump(out) {
        Fill::Absent => out.truncate(start),
        Fill::Written => out.end(start),
        Fill::Nested => {
            out.set_nested(start);
            out.end(start);
        }
    }
}

/// The counters of an object, as `gnet_stats_copy_*` write them.
struct Counters {
    sent: (u64, u64),
    queue: Queue,
    has_estimator: bool,
    xstats: Option<Vec<u8>>,
}

impl Counters {
    /// Appends `TCA_STATS2`, `TCA_STATS` and `TCA_XSTATS`. The kind's own
    /// counters come first in a qdisc and last in a class.
    fn encode(&self, out: &mut AttrWriter<'_>, own_first: bool) {
        let (bytes, packets) = self.sent;
        let short_packets = packets as u32; // Kernel: the 32-bit count wraps
        {
            let mut nest = out.nest(TCA_STATS2);
            if let Some(xstats) = self.xstats.as_ref().filter(|_| own_first) {
                nest.attr(TCA_STATS_APP, xstats);
            }
            {
                let mut basic = nest.nest(TCA_STATS_BASIC);
                basic.put_u64(bytes);
                basic.put_u32(short_packets);
                basic.put_u32(0); // the struct's padding
            }
            if u64::from(short_packets) != packets {
                nest.attr_u64(TCA_STATS_PKT64, packets);
            }
            if self.has_estimator {
                nest.attr(TCA_STATS_RATE_EST, &[0; 8]); // no time passes here
            }
            {
                let mut queue = nest.nest(TCA_STATS_QUEUE);
                let Queue { qlen, backlog, drops, requeues, overlimits } = self.queue;
                for number in [qlen, backlog, drops, requeues, overlimits] {
                    queue.put_u32(number);
                }
            }
            if let Some(xstats) = self.xstats.as_ref().filter(|_| !own_first) {
                nest.attr(TCA_STATS_APP, xstats);
            }
        }
        {
            let mut old = out.nest(TCA_STATS);
            old.put_u64(bytes);
            let (bps, pps) = (0, 0);
            let Queue { qlen, backlog, drops, overlimits, .. } = self.queue;
            for number in [short_packets, drops, overlimits, bps, pps, qlen, backlog, 0] {
                old.put_u32(number);
            }
        }
        if let Some(xstats) = &self.xstats {
            out.attr(TCA_XSTATS, xstats);
        }
    }
}

impl Device {
    /// Appends a qdisc. `parent` is the parent that the request named.
    pub(super) fn fill_qdisc(&self, out: &mut BytesMut, head: Head, id: Id, parent: Handle) {
        let Some(qdisc) = self.qdiscs.get(&id) else { return };
        let header = TcHeader {
            family: 0,
            ifindex: self.ifindex,
            handle: qdisc.handle,
            parent,
            info: qdisc.references,
        };
        let counters = Counters {
            sent: self.sent_by(id),
            queue: self.queue_of(id),
            has_estimator: qdisc.has_estimator,
            xstats: qdisc.discipline.xstats(),
        };
        message(out, head, |out| {
            header.encode(out);
            let mut out = AttrWriter::new(out);
            out.attr_str(TCA_KIND, &qdisc.kind);
            for (kind, block) in
                [(TCA_INGRESS_BLOCK, qdisc.ingress_block), (TCA_EGRESS_BLOCK, qdisc.egress_block)]
            {
                if let Some(block) = block {
                    out.attr_u32(kind, block);
                }
            }
            options(&mut out, |out| qdisc.discipline.dump(out));
            out.attr_u8(TCA_HW_OFFLOAD, 0);
            if let Some(stab) = &qdisc.stab {
                out.nest(TCA_STAB).attr(TCA_STAB_BASE, &stab.base);
            }
            counters.encode(&mut out, true);
        });
    }

    /// Appends a class.
    pub(super) fn fill_class(&self, out: &mut BytesMut, head: Head, id: Id, class: Handle) {
        let Some(qdisc) = self.qdiscs.get(&id) else { return };
        let Some(classes) = qdisc.discipline.classes() else { return };
        let leaf = self.leaf(id, class);
        let header = TcHeader {
            family: 0,
            ifindex: self.ifindex,
            handle: class,
            parent: classes.parent(class).unwrap_or(qdisc.handle),
            info: self.get(leaf).map_or(0, |leaf| leaf.handle.raw()),
        };
        let counters = Counters {
            sent: leaf.map_or((0, 0), |leaf| self.sent_by(leaf)),
            queue: leaf.map(|leaf| self.queue_of(leaf)).unwrap_or_default(),
            has_estimator: false,
            xstats: classes.xstats(class),
        };
        message(out, head, |out| {
            header.encode(out);
            let mut out = AttrWriter::new(out);
            out.attr_str(TCA_KIND, &qdisc.kind);
            options(&mut out, |out| classes.dump_class(class, out));
            counters.encode(&mut out, false);
        });
    }

    /// Appends the device itself.
    pub(super) fn fill_link(&self, out: &mut BytesMut, head: Head, changed: u32) {
        message(out, head, |out| {
            let mut out = AttrWriter::new(out);
            // struct ifinfomsg: family, type, index, flags, change.
            out.put_u16(0);
            out.put_u16(if self.loopback { libc::ARPHRD_LOOPBACK } else { libc::ARPHRD_ETHER });
            out.put_i32(self.ifindex);
            out.put_u32(self.flags());
            out.put_u32(changed);
            out.attr_str(IFLA_IFNAME, &self.name);
            out.attr_u32(IFLA_TXQLEN, self.tx_queue_len);
            out.attr_u8(IFLA_OPERSTATE, self.operational_state());
            out.attr_u32(IFLA_MTU, self.mtu);
            out.attr_u32(IFLA_NUM_TX_QUEUES, self.queues.len() as u32);
            out.attr_u8(IFLA_CARRIER, self.carrier.into());
            out.attr_str(IFLA_QDISC, self.get(self.root).map_or("noop", |root| &root.kind));
            out.attr_u32(IFLA_CARRIER_CHANGES, self.carrier_changes);
            if !self.kind.is_empty() {
                out.nest(IFLA_LINKINFO).attr_str(IFLA_INFO_KIND, &self.kind);
            }
            if !self.alias.is_empty() {
                out.attr_str(IFLA_IFALIAS, &self.alias);
            }
            if !self.alt_names.is_empty() {
                let mut names = out.nest(IFLA_PROP_LIST | NLA_F_NESTED);
                for name in &self.alt_names {
                    names.attr_str(IFLA_ALT_IFNAME, name);
                }
            }
        });
    }

    /// `IFF_*`.
    pub(super) fn flags(&self) -> u32 {
        let kind = if self.loopback { libc::IFF_LOOPBACK } else { libc::IFF_BROADCAST | libc::IFF_MULTICAST };
        let mut flags = kind as u32;
        if self.up {
            flags |= IFF_UP;
        }
        if self.up && self.carrier {
            flags |= libc::IFF_RUNNING as u32 | IFF_LOWER_UP;
        }
        flags
    }

    /// `IF_OPER_*` of `linux/if.h`.
    fn operational_state(&self) -> u8 {
        match (self.up, self.carrier, self.loopback) {
            (false, ..) => 2,         // down
            (true, false, _) => 3,    // lower layer down
            (true, true, true) => 0,  // unknown
            (true, true, false) => 6, // up
        }
    }
}
