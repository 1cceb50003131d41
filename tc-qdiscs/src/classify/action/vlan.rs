//! `tcf_vlan_act`.

use tc_core::action::Control;
use tc_core::uapi::ETH_P_8021Q;

use super::super::packet::is_vlan;
use super::super::{ActionHits, CannotKnow, Packet, Tag, Transport};
use super::change::dropped;
use crate::action::vlan::{Vlan, VlanOperation};

pub(super) fn run(
    vlan: &Vlan,
    packet: &mut Packet,
    hits: &mut ActionHits,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let done = match vlan.operation {
        VlanOperation::Pop => pop(packet),
        VlanOperation::Push => {
            push(packet, tag(vlan, 0));
            Some(())
        }
        VlanOperation::Modify => modify(vlan, packet),
        _ => return Err(CannotKnow::new("packets after the operation of a vlan action")),
    };
    *effect = match packet.tag {
        Some(tag) => format!("the tag is {:#06x}, VLAN {}", tag.protocol, tag.tci & 0xfff),
        None => "there is no tag".to_owned(),
    };
    Ok(if done.is_some() { vlan.control } else { dropped(hits) })
}

/// The tag of the action; bits that it does not have come from `tci`.
fn tag(vlan: &Vlan, tci: u16) -> Tag {
    let mut tci = tci & !0xfff | vlan.id.unwrap_or_default() & 0xfff;
    if let Some(priority) = vlan.priority {
        tci = tci & 0x1fff | u16::from(priority) << 13;
    }
    Tag { protocol: vlan.protocol.unwrap_or(ETH_P_8021Q), tci }
}

/// `skb_vlan_push`. Kernel: the network header stays where it was, also after a tag in the frame.
fn push(packet: &mut Packet, tag: Tag) {
    if let Some(there) = packet.tag.replace(tag) {
        let at = packet.frame.len().min(12);
        let [a, b] = there.protocol.to_be_bytes();
        let [c, d] = there.tci.to_be_bytes();
        packet.frame.splice(at..at, [a, b, c, d]);
        packet.ethertype = there.protocol;
        packet.network += 4;
        packet.transport = moved(packet.transport, 4);
    }
}

/// `skb_vlan_pop`; `None` is an error.
fn pop(packet: &mut Packet) -> Option<()> {
    if packet.tag.take().is_none() {
        if !is_vlan(packet.ethertype) {
            return Some(());
        }
        take_from_frame(packet)?;
    }
    if is_vlan(packet.ethertype) {
        packet.tag = Some(take_from_frame(packet)?);
    }
    Some(())
}

fn modify(vlan: &Vlan, packet: &mut Packet) -> Option<()> {
    let there = match packet.tag.take() {
        Some(there) => there,
        None if is_vlan(packet.ethertype) => take_from_frame(packet)?,
        None => return Some(()),
    };
    packet.tag = Some(tag(vlan, there.tci));
    Some(())
}

/// `__skb_vlan_pop`.
fn take_from_frame(packet: &mut Packet) -> Option<Tag> {
    let [a, b, c, d, e, f] = packet.array(12)?;
    let tag = Tag { protocol: u16::from_be_bytes([a, b]), tci: u16::from_be_bytes([c, d]) };
    packet.frame.drain(12..16);
    packet.ethertype = u16::from_be_bytes([e, f]);
    packet.network = packet.network.saturating_sub(4).max(14).min(packet.frame.len());
    packet.transport = moved(packet.transport, -4);
    Some(tag)
}

fn moved(transport: Transport, by: isize) -> Transport {
    match transport {
        Transport::At(at) => at.checked_add_signed(by).map_or(Transport::Unset, Transport::At),
        other => other,
    }
}
