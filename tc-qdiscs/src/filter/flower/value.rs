//! The values of words: masked numbers, addresses, ports, flags.

use std::net::{Ipv4Addr, Ipv6Addr};

use tc_core::uapi::*;
use tc_core::units::{UnitError, parse_decimal, parse_hex, parse_u16};
use tc_core::words::{WordError, is_prefix};

use super::key::{Bits, Mask, Masked, MaskedIp, PortRange};
use super::wire::TCP_FLAGS_ALL;
use crate::filter::address;

pub(super) fn error(text: impl Into<String>) -> WordError {
    WordError::Kind(text.into())
}

/// Splits a mask off.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(value, mask)| (value, Some(mask)))
}

/// Reads `VALUE` or `VALUE/MASK`.
pub(super) fn masked<T: Bits>(
    text: &str,
    value: impl Fn(&str) -> Result<T, UnitError>,
    mask: impl Fn(&str) -> Result<T, UnitError>,
) -> Option<Masked<T>> {
    let (number, bits) = split(text);
    Some(Masked { value: value(number).ok()?, mask: bits.map_or(Ok(T::ALL), mask).ok()? })
}

/// Reads `tos` and `ttl`: a decimal number, or else a hexadecimal one. The mask is hexadecimal.
pub(super) fn tos_ttl(text: &str) -> Option<Masked<u8>> {
    masked(text, |text| parse_decimal(text).or_else(|_| parse_hex(text)), parse_hex)
}

pub(super) fn tcp_flags(text: &str) -> Option<Masked<u16>> {
    let flags = |text: &str| parse_hex(text).ok().filter(|flags| flags & !TCP_FLAGS_ALL == 0);
    let (value, mask) = split(text);
    Some(Masked { value: flags(value)?, mask: mask.map_or(Some(TCP_FLAGS_ALL), flags)? })
}

pub(super) fn arp_op(text: &str) -> Option<Masked<u8>> {
    let value = |text: &str| match text {
        "request" => Ok(1),
        "reply" => Ok(2),
        text => parse_decimal(text),
    };
    masked(text, value, parse_decimal).filter(|op| op.value <= 2)
}

/// Reads an Ethernet address, with a mask as an address or as a number of bits.
pub(super) fn mac(text: &str) -> Result<Masked<[u8; 6]>, String> {
    let (value, mask) = split(text);
    let value = plain_mac(value)?;
    let Some(mask) = mask else { return Ok(value.into()) };
    let mask = match parse_decimal::<u32>(mask) {
        Ok(bits @ 0..=48) => {
            let [_, _, mask @ ..] = (0xffff_ffff_ffff_u64 << (48 - bits)).to_be_bytes();
            mask
        }
        Ok(_) => return Err(format!("\"{mask}\" are more bits than an address has.")),
        Err(_) => plain_mac(mask)?,
    };
    Ok(Masked { value, mask })
}

fn plain_mac(text: &str) -> Result<[u8; 6], String> {
    let invalid = |part: &str| format!("\"{part}\" is invalid lladdr.");
    let bytes = text.split(':').map(|part| parse_hex(part).map_err(|_| invalid(part)));
    bytes.collect::<Result<Vec<u8>, _>>()?.try_into().map_err(|_| invalid(text))
}

/// The family of addresses that a key takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    Either,
}

/// Reads an address or prefix; `None` for `any` and its like.
pub(super) fn ip(text: &str, family: Family) -> Result<Option<MaskedIp>, WordError> {
    if matches!(text, "any" | "all" | "default") {
        return Ok(None);
    }
    let name = match family {
        Family::V4 => "inet",
        Family::V6 => "inet6",
        Family::Either => "any valid",
    };
    let is_v6 = family == Family::V6 || (family == Family::Either && split(text).0.contains(':'));
    let read = if is_v6 {
        let prefix = |(address, length): (u128, u32)| {
            MaskedIp::prefix(Ipv6Addr::from(address), u8::try_from(length).unwrap_or(u8::MAX))
        };
        address::ipv6(text).map(prefix)
    } else {
        let prefix = |(address, length): (u32, u32)| {
            MaskedIp::prefix(Ipv4Addr::from(address), u8::try_from(length).unwrap_or(u8::MAX))
        };
        address::ipv4(text).map(prefix)
    };
    let wrong = || error(format!("Error: {name} prefix is expected rather than \"{text}\"."));
    read.map(Some).ok_or_else(wrong)
}

/// A port with its mask, or a range of ports.
pub(super) enum Ports {
    Port(Masked<u16>),
    Range(PortRange),
}

/// Reads `PORT`, `PORT/MASK` or `PORT-PORT`. The numbers beside a mask have any base.
pub(super) fn ports(text: &str) -> Result<Option<Ports>, WordError> {
    if text.contains('/') {
        return Ok(masked(text, parse_u16, parse_u16).map(Ports::Port));
    }
    let Some((start, end)) = text.split_once('-') else {
        return Ok(parse_decimal::<u16>(text).ok().map(|port| Ports::Port(port.into())));
    };
    let (Ok(start), Ok(end)) = (parse_decimal(start), parse_decimal(end)) else { return Ok(None) };
    if end <= start {
        return Err(error("max value should be greater than min value"));
    }
    Ok(Some(Ports::Range(PortRange { start, end })))
}

/// The words of flags, with their bits.
pub(super) type FlagWords = &'static [(&'static str, u32)];

pub(super) const IP_FLAGS: FlagWords =
    &[("frag", TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT), ("firstfrag", TCA_FLOWER_KEY_FLAGS_FRAG_IS_FIRST)];
pub(super) const ENC_FLAGS: FlagWords = &[
    ("tuncsum", TCA_FLOWER_KEY_FLAGS_TUNNEL_CSUM),
    ("tundf", TCA_FLOWER_KEY_FLAGS_TUNNEL_DONT_FRAGMENT),
    ("tunoam", TCA_FLOWER_KEY_FLAGS_TUNNEL_OAM),
    ("tuncrit", TCA_FLOWER_KEY_FLAGS_TUNNEL_CRIT_OPT),
];
pub(super) const CT_STATES: &[(&str, u16)] = &[
    ("trk", TCA_FLOWER_KEY_CT_FLAGS_TRACKED),
    ("new", TCA_FLOWER_KEY_CT_FLAGS_NEW),
    ("est", TCA_FLOWER_KEY_CT_FLAGS_ESTABLISHED),
    ("rel", TCA_FLOWER_KEY_CT_FLAGS_RELATED),
    ("inv", TCA_FLOWER_KEY_CT_FLAGS_INVALID),
    ("rpl", TCA_FLOWER_KEY_CT_FLAGS_REPLY),
];

/// Adds `[no]FLAG/[no]FLAG...` to flags.
pub(super) fn flags(text: &str, names: FlagWords, flags: &mut Option<Masked<u32>>) -> Option<()> {
    for word in text.split('/').filter(|word| !word.is_empty()) {
        let (name, on) = word.strip_prefix("no").map_or((word, true), |name| (name, false));
        let (_, bit) = names.iter().find(|(known, _)| *known == name)?;
        let flags = flags.get_or_insert(Masked::new(0, 0));
        flags.value = if on { flags.value | bit } else { flags.value & !bit };
        flags.mask |= bit;
    }
    Some(())
}

/// Writes flags in the form that [`flags`] reads.
pub(super) fn flags_text(flags: Masked<u32>, names: FlagWords) -> String {
    let known = names.iter().filter(|(_, bit)| flags.mask & bit != 0);
    let word =
        |(name, bit): &(&str, u32)| format!("{}{name}", if flags.value & bit == 0 { "no" } else { "" });
    known.map(word).collect::<Vec<_>>().join("/")
}

/// Writes a state in the form that [`ct_state`] reads.
pub(super) fn ct_state_text(state: Masked<u16>) -> String {
    let known = CT_STATES.iter().filter(|(_, bit)| state.mask & bit != 0);
    known.map(|(name, bit)| format!("{}{name}", if state.value & bit == 0 { '-' } else { '+' })).collect()
}

/// Writes a label, and its mask unless all bits count.
pub(super) fn ct_label_text(label: Masked<[u8; 16]>) -> String {
    let hex = |bytes: [u8; 16]| format!("{:032x}", u128::from_be_bytes(bytes));
    match label.is_exact() {
        true => hex(label.value),
        false => format!("{}/{}", hex(label.value), hex(label.mask)),
    }
}

/// Reads `+STATE-STATE...`.
pub(super) fn ct_state(text: &str) -> Option<Masked<u16>> {
    let mut state = Masked::new(0, 0);
    let mut rest = text;
    while !rest.is_empty() {
        let on = match rest.as_bytes()[0] {
            b'+' => true,
            b'-' => false,
            _ => return None,
        };
        let (name, bit) = CT_STATES.iter().find(|(name, _)| rest[1..].starts_with(name))?;
        state.value |= if on { *bit } else { 0 };
        state.mask |= bit;
        rest = &rest[1 + name.len()..];
    }
    Some(state)
}

/// Reads up to 16 bytes in hexadecimal, and a mask of that form. Missing bytes are zero.
pub(super) fn ct_label(text: &str) -> Result<Masked<[u8; 16]>, WordError> {
    let (value, mask) = split(text);
    if let Some(long) = [Some(value), mask].into_iter().flatten().find(|text| text.len() > 32) {
        return Err(WordError::invalid(format!("{} Max allowed size 32", long.len()), value));
    }
    let read = |text: &str, what: &str| {
        let bytes = hex_bytes(text)
            .ok_or_else(|| WordError::invalid(format!("{what} must be a hex string"), text))?;
        let mut all = [0; 16];
        all[..bytes.len()].copy_from_slice(&bytes);
        Ok(all)
    };
    let mask = mask.map_or(Ok(Bits::ALL), |mask| read(mask, "labels mask"));
    Ok(Masked { value: read(value, "labels")?, mask: mask? })
}

/// Reads pairs of hexadecimal digits.
pub(super) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The protocols of PPP, as `tc` names them.
const PPP_PROTOCOLS: &[(u16, &str)] = &[
    (0x0021, "ip"),
    (0x0029, "at"),
    (0x002b, "ipx"),
    (0x002d, "vjc_comp"),
    (0x002f, "vjc_uncomp"),
    (0x003d, "mp"),
    (0x0057, "ipv6"),
    (0x00fb, "compfrag"),
    (0x00fd, "comp"),
    (0x0281, "mpls_uc"),
    (0x0283, "mpls_mc"),
    (0x8021, "ipcp"),
    (0x8029, "atcp"),
    (0x802b, "ipxcp"),
    (0x8057, "ipv6cp"),
    (0x80fb, "ccpfrag"),
    (0x80fd, "ccp"),
    (0x80fd, "mplscp"),
    (0xc021, "lcp"),
    (0xc023, "pap"),
    (0xc025, "lqr"),
    (0xc223, "chap"),
    (0xc029, "cbcp"),
];

pub(super) fn ppp_proto(text: &str) -> Option<u16> {
    let named = PPP_PROTOCOLS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map(|(number, _)| *number).or_else(|| parse_u16(text).ok())
}

/// The name of a protocol of PPP, or its number in brackets.
pub(super) fn ppp_name(protocol: u16, numeric: bool) -> String {
    match PPP_PROTOCOLS.iter().find(|(known, _)| *known == protocol && !numeric) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("[{protocol}]"),
    }
}

/// Reads the protocol above IP; the error is the text before `Illegal "ip_proto"`.
pub(super) fn ip_proto(text: &str, eth_type: u16) -> Result<u8, &'static str> {
    const WRONG_TYPE: &str = "Illegal \"eth_type\" for ip proto\n";
    if !matches!(eth_type, ETH_P_IP | ETH_P_IPV6) {
        return Err(WRONG_TYPE);
    }
    let is = |name| is_prefix(text, name);
    Ok(match text {
        _ if is("tcp") => super::IPPROTO_TCP,
        _ if is("udp") => super::IPPROTO_UDP,
        _ if is("sctp") => super::IPPROTO_SCTP,
        _ if is("icmp") => match eth_type {
            ETH_P_IP => super::IPPROTO_ICMP,
            _ => return Err(WRONG_TYPE),
        },
        _ if is("icmpv6") => match eth_type {
            ETH_P_IPV6 => super::IPPROTO_ICMPV6,
            _ => return Err(WRONG_TYPE),
        },
        "l2tp" => super::IPPROTO_L2TP,
        "esp" => super::IPPROTO_ESP,
        "ah" => super::IPPROTO_AH,
        text => parse_hex(text).map_err(|_| "")?,
    })
}
