//! Packets by chance, from a small world, so that filters meet them.

use tc_qdiscs::classify::{Direction, Packet};
use tests::random::Chance;

/// A frame and its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) text: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) mark: u32,
    pub(crate) priority: u32,
}

pub(crate) const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.9"];
pub(crate) const ADDRESSES6: [&str; 3] = ["fd00::1", "fd00::2", "2001:db8::9"];
pub(crate) const PORTS: [u16; 5] = [22, 80, 443, 4711, 4712];
pub(crate) const MARKS: [u32; 4] = [0, 1, 7, 0x17];
pub(crate) const TOS: [u8; 3] = [0, 0x10, 0x28];
pub(crate) const VLANS: [u16; 3] = [5, 7, 100];
pub(crate) const MACS: [&str; 2] = ["2:0:0:0:0:1", "2:0:0:0:0:9"];
const PRIORITIES: [u32; 8] = [0, 0, 0, 1, 6, 0x1_0010, 0x1_0001, 0x1_0000];

/// The packet of this seed.
pub(crate) fn packet(chance: &mut Chance) -> Sent {
    let text = text(chance);
    let packet = Packet::from_text(&text, Direction::Egress).expect(&text);
    let mut frame = packet.wire_frame();
    if packet.tag.is_none() {
        spoil(chance, &mut frame);
    }
    Sent { text, frame, mark: *chance.of(&MARKS), priority: *chance.of(&PRIORITIES) }
}

fn text(chance: &mut Chance) -> String {
    let protocol = *chance.of(&["tcp", "tcp", "udp", "sctp", "icmp", "icmp6", "arp", "ip"]);
    let has_ports = matches!(protocol, "tcp" | "udp" | "sctp");
    let six = protocol == "icmp6" || (has_ports && chance.is(30));
    let end = |chance: &mut Chance| match (six, has_ports) {
        (true, true) => format!("[{}]:{}", chance.of(&ADDRESSES6), chance.of(&PORTS)),
        (true, false) => (*chance.of(&ADDRESSES6)).to_owned(),
        (false, true) => format!("{}:{}", chance.of(&ADDRESSES), chance.of(&PORTS)),
        (false, false) => (*chance.of(&ADDRESSES)).to_owned(),
    };
    let mut text = format!("{protocol} {} > {}", end(chance), end(chance));
    let mut say = |option: String| text += &option;
    match protocol {
        "tcp" => say(format!(" flags {}", chance.of(&["S", "SA", "A", "FA", "0x2", "R"]))),
        "icmp" | "icmp6" => {
            say(format!(" type {} code {}", chance.of(&[0, 8, 128]), chance.below(2)));
        }
        "arp" => say(format!(" op {}", chance.of(&["request", "reply"]))),
        "ip" => say(format!(" proto {}", chance.of(&[0, 2, 50, 51, 89]))),
        _ => {}
    }
    if protocol != "arp" {
        say(format!(" tos {} ttl {}", chance.of(&TOS), chance.of(&[1, 64])));
    }
    if matches!(protocol, "tcp" | "udp" | "ip") {
        say(format!(" len {}", chance.of(&[0, 0, 18, 300])));
    }
    say(format!(" smac {} dmac {}", chance.of(&MACS), chance.of(&MACS)));
    if chance.is(30) {
        say(format!(" vlan {} pcp {}", chance.of(&VLANS), chance.below(3)));
        if chance.is(30) {
            say(format!(" vlan {}", chance.of(&VLANS)));
        }
    }
    text
}

/// Makes other packets of some: fragments, options, labels, cut ones, other bytes.
fn spoil(chance: &mut Chance, frame: &mut Vec<u8>) {
    let is_ip = frame[12..14] == [8, 0];
    match chance.below(20) {
        0 if is_ip => frame[20] |= 0x20,
        1 if is_ip => frame[21] = 9,
        2 if is_ip => {
            // Options of four bytes.
            frame[14] = 0x46;
            frame.splice(34..34, [1; 4]);
        }
        3 => {
            let labels = [0, 1, 0, 64, 0, 2, 0x11, 63];
            frame.splice(12..14, [0x88, 0x47]);
            frame.splice(14..14, labels);
        }
        4 => frame.truncate(16 + chance.below(60)),
        5 => {
            let at = chance.below(frame.len() - 12) + 12;
            frame[at] = chance.number() as u8;
        }
        6 if frame[12..14] == [0x86, 0xdd] => {
            // A header of options, and a fragment's.
            let next = std::mem::replace(&mut frame[20], if chance.is(50) { 0 } else { 44 });
            frame.splice(54..54, [next, 0, 0, 0, 0, 0, 0, 0]);
        }
        _ => {}
    }
}
