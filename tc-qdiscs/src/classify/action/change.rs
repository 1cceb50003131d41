//! Changes of metadata and addresses.

use tc_core::action::Control;
use tc_core::uapi::{ETH_P_IP, ETH_P_IPV6};

use super::super::{ActionHits, CannotKnow, Direction, Packet};
use crate::action::nat::Nat;
use crate::action::skbedit::{PacketType, Skbedit};
use crate::filter::flower::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

/// `tcf_skbedit_act`.
pub(super) fn skbedit(
    skbedit: &Skbedit,
    packet: &mut Packet,
    hits: &mut ActionHits,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let mut said = Vec::new();
    if let Some(priority) = skbedit.priority {
        packet.priority = priority.raw();
        said.push(format!("priority {priority}"));
    }
    if skbedit.flags & Skbedit::INHERIT_DSFIELD != 0 {
        let at = packet.network;
        let field = match packet.ethertype {
            ETH_P_IP => packet.bytes(at, 20).map(|header| header[1]),
            ETH_P_IPV6 => packet.bytes(at, 40).map(|header| header[0] << 4 | header[1] >> 4),
            _ => Some(0).filter(|_| false),
        };
        match (field, packet.ethertype) {
            (Some(field), _) => packet.priority = u32::from(field >> 2),
            (None, ETH_P_IP | ETH_P_IPV6) => return Ok(dropped(hits)),
            (None, _) => {}
        }
        said.push(format!("priority {} by the DS field", packet.priority));
    }
    if let Some(queue) = skbedit.queue_mapping {
        if skbedit.flags & Skbedit::TXQ_SKBHASH != 0 {
            return Err(CannotKnow::new("the hash of the packet, which selects the queue"));
        }
        packet.queue = queue;
        said.push(format!("queue {queue}, if the device has it"));
    }
    if let Some(mark) = skbedit.mark {
        let mask = skbedit.mask.unwrap_or(u32::MAX);
        packet.mark = packet.mark & !mask | mark & mask;
        said.push(format!("mark {:#x}", packet.mark));
    }
    if let Some(ptype) = skbedit.ptype {
        packet.packet_type = match ptype {
            PacketType::Host => 0,
            PacketType::Broadcast => 1,
            PacketType::Multicast => 2,
            PacketType::OtherHost => 3,
            PacketType::Other(number) => number as u8,
        };
        said.push(format!("type {}", packet.packet_type));
    }
    *effect = said.join(", ");
    Ok(skbedit.control)
}

/// `tcf_nat_act`, for a packet whose checksums are complete.
pub(super) fn nat(
    nat: &Nat,
    packet: &mut Packet,
    hits: &mut ActionHits,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let at = packet.network;
    let Some(header) = packet.array::<20>(at).filter(|_| nat.control != Control::Drop) else {
        return Ok(dropped(hits));
    };
    let is_egress = nat.flags & Nat::EGRESS != 0;
    let place = if is_egress { 12 } else { 16 };
    let address =
        u32::from_be_bytes([header[place], header[place + 1], header[place + 2], header[place + 3]]);
    let (old, new, mask) = (nat.old.to_bits(), nat.new.to_bits(), nat.mask.to_bits());
    let is_first = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let proto = header[9];
    if (old ^ address) & mask != 0 {
        if is_first && proto == IPPROTO_ICMP {
            return Err(CannotKnow::new("the addresses in an ICMP message, which nat changes"));
        }
        "other addresses".clone_into(effect);
        return Ok(nat.control);
    }
    let changed = new & mask | address & !mask;
    packet.frame[at + place..at + place + 4].copy_from_slice(&changed.to_be_bytes());
    replace_at(packet, at + 10, address, changed);
    *effect = format!("the address is {}", std::net::Ipv4Addr::from(changed));
    let size = match proto {
        _ if !is_first => 0,
        IPPROTO_TCP => TCP_HEADER,
        IPPROTO_UDP => UDP_HEADER,
        IPPROTO_ICMP => return Err(CannotKnow::new("the addresses in an ICMP message, which nat changes")),
        _ => 0,
    };
    let start = at + usize::from(header[0] & 0xf) * 4;
    if packet.frame.len() < start + size {
        return Ok(dropped(hits));
    }
    match size {
        TCP_HEADER => replace_at(packet, start + 16, address, changed),
        // No checksum is 0, and a checksum of 0 is written as its complement.
        UDP_HEADER if packet.be16(start + 6) != Some(0) => {
            replace_at(packet, start + 6, address, changed);
            if packet.be16(start + 6) == Some(0) {
                packet.frame[start + 6..start + 8].copy_from_slice(&[0xff, 0xff]);
            }
        }
        _ => {}
    }
    Ok(nat.control)
}

const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// Adapts the checksum at this offset to another address (`csum_replace4`).
fn replace_at(packet: &mut Packet, at: usize, from: u32, to: u32) {
    let Some(sum) = packet.be16(at) else { return };
    let halves = |number: u32| (number >> 16) + (number & 0xffff);
    // The upper half is that of the complement in 32 bits: the sum is never 0.
    let mut total = 0xffff + u32::from(!sum) + halves(!from) + halves(to);
    while total > 0xffff {
        total = halves(total);
    }
    packet.frame[at..at + 2].copy_from_slice(&(!(total as u16)).to_be_bytes());
}

/// The fate of a packet that an action cannot change.
pub(super) const fn dropped(hits: &mut ActionHits) -> Control {
    hits.drops += 1;
    Control::Drop
}

/// Whether the packet is at ingress, where `skb->data` is at the network header.
pub(in crate::classify) fn data_start(packet: &Packet) -> usize {
    if packet.direction == Direction::Ingress { packet.network } else { 0 }
}
