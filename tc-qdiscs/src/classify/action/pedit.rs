//! `tcf_pedit_act`.

use tc_core::action::Control;

use tc_core::uapi::{ETH_P_IP, ETH_P_IPV6};

use super::super::{ActionHits, CannotKnow, Packet};
use super::change::data_start;
use crate::action::pedit::{Command, Header, Key, Pedit};
use crate::filter::flower::{IPPROTO_AH, IPPROTO_TCP, IPPROTO_UDP};

/// The reason why the kernel leaves the keys that follow.
enum Ends {
    Bad,
    Unknown(CannotKnow),
}

impl From<CannotKnow> for Ends {
    fn from(unknown: CannotKnow) -> Self {
        Self::Unknown(unknown)
    }
}

pub(super) fn run(
    pedit: &Pedit,
    packet: &mut Packet,
    hits: &mut ActionHits,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let mut done = 0;
    for key in &pedit.keys {
        match change(key, packet) {
            Ok(()) => done += 1,
            Err(Ends::Bad) => {
                hits.overlimits += 1;
                break;
            }
            Err(Ends::Unknown(unknown)) => return Err(unknown),
        }
    }
    *effect = format!("{done} of {} keys changed the packet", pedit.keys.len());
    Ok(pedit.control)
}

fn change(key: &Key, packet: &mut Packet) -> Result<(), Ends> {
    let header = match key.header {
        Header::Eth => 0,
        Header::Network | Header::Ip4 | Header::Ip6 => packet.network,
        Header::Tcp => transport(packet, IPPROTO_TCP).ok_or(Ends::Bad)?,
        Header::Udp => transport(packet, IPPROTO_UDP).ok_or(Ends::Bad)?,
        _ => return Err(Ends::Bad),
    };
    let mut offset = i64::from(key.offset);
    if key.offset_mask != 0 {
        let byte = packet.bytes_from(header, key.at.cast_signed().into(), 1)?.ok_or(Ends::Bad)?;
        let masked = u32::from(byte[0]) & key.offset_mask;
        offset += i64::from(masked.checked_shr(key.shift).unwrap_or_default());
        if offset % 4 != 0 {
            return Err(Ends::Bad);
        }
    }
    let at = header as i64 + offset;
    let word: [u8; 4] = packet
        .bytes_from(0, at, 4)?
        .and_then(|bytes| bytes.try_into().ok())
        .filter(|_| at - data_start(packet) as i64 <= i64::from(packet.length()))
        .ok_or(Ends::Bad)?;
    // Kernel: the sum is that of numbers in the machine's byte order.
    let [word, value, mask] = [word, key.value.to_be_bytes(), key.mask.to_be_bytes()].map(u32::from_ne_bytes);
    let value = match key.command {
        Command::Set => value,
        Command::Add => word.wrapping_add(value) & !mask,
        _ => return Err(Ends::Bad),
    };
    let changed = (word & mask) ^ value;
    let at = usize::try_from(at).map_err(|_| Ends::Bad)?;
    packet.frame[at..at + 4].copy_from_slice(&changed.to_ne_bytes());
    Ok(())
}

/// `pedit_l4_skb_offset`, since Linux 6.4 and in the long-term versions. In IPv4 the protocol does not
/// matter.
fn transport(packet: &Packet, proto: u8) -> Option<usize> {
    let at = packet.network;
    match packet.ethertype {
        ETH_P_IP => Some(at + usize::from(packet.bytes(at, 20)?[0] & 0xf) * 4),
        ETH_P_IPV6 => find_in_ipv6(packet, proto),
        _ => None,
    }
}

/// `ipv6_find_hdr`.
fn find_in_ipv6(packet: &Packet, proto: u8) -> Option<usize> {
    let mut next = packet.bytes(packet.network, 40)?[6];
    let mut at = packet.network + 40;
    while next != proto {
        let [following, length] = packet.array(at)?;
        let size = match next {
            FRAGMENT => {
                let [_, _, high, low, ..] = packet.array::<8>(at)?;
                if u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
                    return None;
                }
                8
            }
            IPPROTO_AH => (usize::from(length) + 2) << 2,
            HOP | ROUTING | DESTINATION => (usize::from(length) + 1) << 3,
            _ => return None,
        };
        (next, at) = (following, at + size);
    }
    Some(at)
}

const HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
