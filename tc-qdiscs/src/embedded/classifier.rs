//! Filters and actions in the embedded kernel.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use tc_core::action::Control;
use tc_core::embedded::{Answer, Classifier, Copy, Packet, PlacedFilter, Unclassified};
use tc_core::uapi::{TCA_ACT_STATS, TCA_STATS_BASIC, TCA_STATS_QUEUE};
use tc_core::{Attr, AttrWriter, Attrs, FilterPlace};

use crate::classify::{self, ActionHits, Direction, Filter, Filters, Hits, Verdict, Walk};

/// The effect of filters and actions: that of [`classify`](crate::classify), with the counters of
/// each filter. Packets conform to every police with a rate, since no time passes.
#[derive(Debug, Default)]
pub struct Filtering {
    hits: Mutex<HashMap<u64, Hits>>,
}

/// The attributes of a kind with actions and with counters.
const ATTRIBUTES: &[(&str, u16, Option<u16>)] = &[
    ("u32", 7, Some(9)),
    ("fw", 4, None),
    ("flower", 3, None),
    ("basic", 3, Some(5)),
    ("matchall", 2, Some(4)),
];
/// `TCA_U32_SEL`: a filter without it is a table.
const U32_SEL: u16 = 5;
/// `TCA_U32_MARK`.
const U32_MARK: u16 = 10;

impl Classifier for Filtering {
    fn classify(&self, filters: &[PlacedFilter<'_>], packet: &mut Packet) -> Result<Answer, Unclassified> {
        let ordered = in_order(filters);
        let mut list = Filters::new(ordered.iter().map(|filter| decode(filter)).collect());
        let mut seen = to_classify(packet);
        let mut walk = Walk::default().conform(Some(true));
        let verdict = list.classify(&mut seen, &mut walk);
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        for (filter, new) in ordered.iter().zip(list.hits()) {
            hits.entry(filter.number).or_default().add(new);
        }
        drop(hits);
        from_classify(&seen, packet);
        let copies = walk.copies.iter().map(|copied| {
            let mut copy = packet.clone();
            from_classify(&copied.packet, &mut copy);
            Copy { ifindex: copied.ifindex, to_ingress: copied.to_ingress, packet: copy }
        });
        let copies = copies.collect();
        let verdict = verdict?;
        let passes = matches!(verdict, Verdict::Match { control: Control::Pass, .. });
        Ok(Answer { classified: verdict.into(), passes, copies })
    }

    fn dump(&self, filter: &PlacedFilter<'_>) -> Vec<u8> {
        let payload = filter.options.unwrap_or_default();
        let known = ATTRIBUTES.iter().find(|(kind, ..)| *kind == filter.kind);
        let Some((_, actions, counters)) = known else { return payload.to_vec() };
        let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let hits = hits.get(&filter.number).cloned().unwrap_or_default();
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let mut keys = None;
        for attr in Attrs::new(payload).map_while(Result::ok) {
            if filter.kind == "u32" && attr.kind == U32_SEL {
                keys = attr.payload.get(2).copied();
            }
            if attr.kind == *actions {
                with_stats(&attr, &hits, &mut out);
            } else if filter.kind == "u32" && attr.kind == U32_MARK && attr.payload.len() == 12 {
                let mut mark = out.nest(attr.kind);
                mark.put(&attr.payload[..8]);
                mark.put_u32(hits.marks as u32);
            } else {
                out.attr(attr.kind, attr.payload);
            }
        }
        match (*counters, filter.kind) {
            (Some(kind), "u32") => {
                if let Some(keys) = keys {
                    let mut nest = out.nest(kind);
                    nest.put_u64(hits.seen);
                    nest.put_u64(hits.matched);
                    (0..usize::from(keys))
                        .for_each(|key| nest.put_u64(hits.keys.get(key).copied().unwrap_or(0)));
                }
            }
            (Some(kind), "basic") => {
                let mut nest = out.nest(kind);
                nest.put_u64(hits.seen);
                nest.put_u64(hits.matched);
            }
            (Some(kind), _) => out.attr_u64(kind, hits.matched),
            (None, _) => {}
        }
        buffer.to_vec()
    }

    fn forget(&self, number: u64) {
        self.hits.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

/// The order in which the kernel asks: the newest filter of basic first.
fn in_order<'f>(filters: &[PlacedFilter<'f>]) -> Vec<PlacedFilter<'f>> {
    let mut ordered: Vec<(usize, PlacedFilter<'f>)> = filters.iter().copied().enumerate().collect();
    ordered.sort_by_key(|(at, filter)| {
        let age = if filter.kind == "basic" { usize::MAX - at } else { *at };
        (filter.chain, filter.priority, age)
    });
    ordered.into_iter().map(|(_, filter)| filter).collect()
}

fn decode(filter: &PlacedFilter<'_>) -> Filter {
    let mut place = FilterPlace::default();
    (place.chain, place.priority) = (Some(filter.chain), Some(filter.priority));
    (place.protocol, place.handle) = (Some(filter.protocol), filter.handle);
    Filter::new(filter.kind, &place, filter.options)
}

fn to_classify(packet: &Packet) -> classify::Packet {
    let direction = if packet.is_received { Direction::Ingress } else { Direction::Egress };
    let mut seen = classify::Packet::new(packet.bytes.clone(), direction);
    (seen.mark, seen.priority, seen.queue) = (packet.mark, packet.priority, packet.queue);
    (seen.tc_index, seen.ifindex) = (packet.tc_index, packet.ifindex);
    seen.iif = if packet.is_received { packet.ifindex } else { 0 };
    seen.device.clone_from(&packet.device);
    seen
}

fn from_classify(seen: &classify::Packet, packet: &mut Packet) {
    packet.bytes = seen.wire_frame();
    (packet.mark, packet.priority, packet.queue) = (seen.mark, seen.priority, seen.queue);
    packet.tc_index = seen.tc_index;
}

/// Copies a list of actions, and adds their counters.
fn with_stats(list: &Attr<'_>, hits: &Hits, out: &mut AttrWriter<'_>) {
    let mut nest = out.nest(list.kind);
    for (at, action) in list.attrs().map_while(Result::ok).enumerate() {
        let mut one = nest.nest(action.kind);
        for attr in action.attrs().map_while(Result::ok) {
            one.attr(attr.kind, attr.payload);
        }
        let ActionHits { packets, bytes, drops, overlimits, .. } =
            hits.actions.get(at).copied().unwrap_or_default();
        let mut stats = one.nest(TCA_ACT_STATS);
        {
            let mut basic = stats.nest(TCA_STATS_BASIC);
            basic.put_u64(bytes);
            basic.put_u32(packets as u32);
            basic.put_u32(0); // the struct's padding
        }
        let mut queue = stats.nest(TCA_STATS_QUEUE);
        for number in [0, 0, drops as u32, 0, overlimits as u32] {
            queue.put_u32(number);
        }
    }
}
