//! The classifier: any filters that a kernel dumps, and any packet, end with a verdict or with a fact that is not
//! known. So does any text of a packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tc_core::{FilterPlace, Handle};
use tc_qdiscs::classify::{Direction, Filter, Filters, Packet, Walk};

const KINDS: [&str; 6] = ["u32", "fw", "flower", "basic", "matchall", "bpf"];

fuzz_target!(|input: &[u8]| {
    let Some((&[flags, count], rest)) = input.split_first_chunk() else { return };
    let direction = if flags & 1 == 0 { Direction::Egress } else { Direction::Ingress };
    if flags & 2 != 0 {
        if let Ok(text) = std::str::from_utf8(rest) {
            let _ = Packet::from_text(text, direction);
        }
        return;
    }
    let (mut rest, mut filters) = (rest, Vec::new());
    for _ in 0..count % 8 {
        let Some((&[kind, length, chain, priority, a, b, c, d], more)) = rest.split_first_chunk() else {
            break;
        };
        let (options, more) = more.split_at(usize::from(length).min(more.len()));
        let mut place = FilterPlace::default();
        (place.chain, place.priority) = (Some(u32::from(chain) % 3), Some(u16::from(priority) % 4));
        (place.protocol, place.handle) = (Some(3), Handle::from_raw(u32::from_le_bytes([a, b, c, d])));
        filters.push(Filter::new(KINDS[usize::from(kind) % KINDS.len()], &place, Some(options)));
        rest = more;
    }
    let mut packet = Packet::new(rest, direction).with_probed_transport();
    let _ = Filters::new(filters).classify(&mut packet, &mut Walk::default().conform(Some(flags & 4 == 0)));
    assert!(packet.network <= packet.frame.len(), "{packet:?}");
});
