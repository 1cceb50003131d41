//! `__tcf_em_tree_match` of `net/sched/ematch.c`, and the ematches that depend on the packet alone.

use std::cmp::Ordering;

use tc_core::ematch::{AnyEmatch, Ematches, Node, Relation, Terms};

use super::super::packet::is_vlan;
use super::super::{CannotKnow, Direction, Packet, Transport};
use crate::ematch::cmp::{Align, Cmp};
use crate::ematch::meta::{Field, Meta, Object};
use crate::ematch::nbyte::Nbyte;
use crate::ematch::u32::U32;
use crate::ematch::{Layer, Operand};

/// Whether the packet matches the expression. An empty one matches every packet.
pub(super) fn matches(ematches: &Ematches, packet: &Packet) -> Result<bool, CannotKnow> {
    if ematches.is_empty() { Ok(true) } else { sequence(ematches.terms(), packet) }
}

/// The terms from the left to the right, until one decides.
fn sequence(mut terms: Terms<'_>, packet: &Packet) -> Result<bool, CannotKnow> {
    let Some((inverted, node, next)) = terms.next() else { return Ok(true) };
    let result = match node {
        Node::Ematch(ematch) => one(ematch, packet),
        Node::Group(group) => sequence(group.terms(), packet),
    };
    let result = result.map(|result| result != inverted);
    let ends = match next {
        None => return result,
        Some(Relation::And) => false,
        Some(Relation::Or) => true,
    };
    match result {
        Ok(result) if result == ends => Ok(result),
        Ok(_) => sequence(terms, packet),
        // An unknown term does not matter if the rest leads to the same.
        Err(unknown) => match sequence(terms, packet) {
            Ok(rest) if rest == ends => Ok(rest),
            _ => Err(unknown),
        },
    }
}

fn one(ematch: &AnyEmatch, packet: &Packet) -> Result<bool, CannotKnow> {
    if let Some(cmp) = ematch.downcast_ref::<Cmp>() {
        self::cmp(cmp, packet)
    } else if let Some(nbyte) = ematch.downcast_ref::<Nbyte>() {
        let bytes = at_layer(packet, nbyte.layer, nbyte.offset, nbyte.bytes.len())?;
        Ok(bytes.is_some_and(|bytes| bytes == nbyte.bytes))
    } else if let Some(u32) = ematch.downcast_ref::<U32>() {
        let word = packet.bytes_from(packet.network, u32.at.into(), 4)?;
        let word = word.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        Ok(word.is_some_and(|word| (word ^ u32.value) & u32.mask == 0))
    } else if let Some(meta) = ematch.downcast_ref::<Meta>() {
        self::meta(meta, packet)
    } else {
        let name = ematch.name().map_or(format!("number {}", ematch.kind()), str::to_owned);
        Err(CannotKnow::new(format!("the result of the ematch {name}")))
    }
}

fn cmp(cmp: &Cmp, packet: &Packet) -> Result<bool, CannotKnow> {
    let size = match cmp.align {
        Align::U8 => 1,
        Align::U16 => 2,
        Align::U32 => 4,
    };
    let Some(bytes) = at_layer(packet, cmp.layer, cmp.offset, size)? else { return Ok(false) };
    let mut value = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    if cmp.trans && cfg!(target_endian = "little") {
        value = match cmp.align {
            Align::U8 => value,
            Align::U16 => (value as u16).swap_bytes().into(),
            Align::U32 => value.swap_bytes(),
        };
    }
    value &= cmp.mask.filter(|mask| *mask != 0).unwrap_or(u32::MAX);
    Ok(holds(value.cmp(&cmp.value), cmp.operand))
}

fn holds(order: Ordering, operand: Operand) -> bool {
    order
        == match operand {
            Operand::Eq => Ordering::Equal,
            Operand::Gt => Ordering::Greater,
            Operand::Lt => Ordering::Less,
        }
}

fn at_layer(packet: &Packet, layer: Layer, offset: u16, count: usize) -> Result<Option<&[u8]>, CannotKnow> {
    let header = match (layer, packet.transport) {
        (Layer::Link, _) => 0,
        (Layer::Network, _) => packet.network,
        (Layer::Transport, Transport::At(at)) => at,
        // Kernel: an offset of 65535.
        (Layer::Transport, Transport::Unset) => return Ok(None),
        (Layer::Transport, Transport::Unknown) => {
            return Err(CannotKnow::new("the transport header, which depends on the device"));
        }
    };
    packet.bytes_from(header, offset.into(), count)
}

/// A number or a text of meta.
enum Value {
    Number(u64),
    Text(Vec<u8>),
}

fn meta(meta: &Meta, packet: &Packet) -> Result<bool, CannotKnow> {
    let (left, right) = (value(&meta.left, meta.is_text, packet)?, value(&meta.right, meta.is_text, packet)?);
    let order = match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => left.cmp(&right),
        (Some(Value::Text(left)), Some(Value::Text(right))) => {
            left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
        }
        _ => return Ok(false),
    };
    Ok(holds(order, meta.operand))
}

/// An object's value; `None` if the packet has none.
fn value(object: &Object, is_text: bool, packet: &Packet) -> Result<Option<Value>, CannotKnow> {
    let field = match object {
        Object::Number(number) => return Ok(Some(Value::Number((*number).into()))),
        Object::Text(text) => return Ok(Some(Value::Text(text.clone()))),
        Object::Field(field) => field,
    };
    let is = |other: Field| field.id == other.id;
    let unknown = || {
        let name = field.id.name().map_or(format!("number {}", field.id.0), str::to_owned);
        Err(CannotKnow::new(format!("the field {name} of the ematch meta")))
    };
    if is_text {
        if !is(Field::DEV) || packet.device.is_empty() {
            return unknown();
        }
        let mut name = packet.device.clone().into_bytes();
        let shift = usize::from(field.shift);
        if shift < name.len() {
            name.truncate(name.len() - shift);
        }
        return Ok(Some(Value::Text(name)));
    }
    let number = if is(Field::PRIORITY) {
        packet.priority
    } else if is(Field::PROTOCOL) {
        // Kernel: in network byte order.
        packet.protocol().to_be().into()
    } else if is(Field::PKT_TYPE) && packet.direction == Direction::Egress {
        packet.packet_type.into()
    } else if is(Field::PKT_LEN) {
        packet.length()
    } else if is(Field::NF_MARK) {
        packet.mark
    } else if is(Field::TC_INDEX) {
        packet.tc_index.into()
    } else if is(Field::DEV) && packet.ifindex != 0 {
        packet.ifindex.cast_unsigned()
    } else if is(Field::VLAN) {
        match packet.tag {
            Some(tag) => tag.tci.into(),
            None if is_vlan(packet.ethertype) => return unknown(),
            None => return Ok(None),
        }
    } else {
        return unknown();
    };
    let shifted = u64::from(number).checked_shr(field.shift.into()).unwrap_or(0);
    Ok(Some(Value::Number(shifted & field.mask.filter(|mask| *mask != 0).map_or(u64::MAX, u64::from))))
}
