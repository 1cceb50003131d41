//! Addresses and prefixes as `tc` reads them.

use std::net::{Ipv4Addr, Ipv6Addr};

use tc_core::units::{parse_u8, parse_u32};

/// A prefix: the address and the number of its bits that count.
pub(super) type Prefix<T> = (T, u32);

/// Reads `10.0.0.0/8`, `10/8`, `10.0.0.0/255.0.0.0` or `any`.
pub(super) fn ipv4(text: &str) -> Option<Prefix<u32>> {
    if is_any(text) {
        return Some((0, 0));
    }
    let (address, length) = split(text);
    let length = length.map_or(Some(32), |length| netmask(length, 32))?;
    Some((ipv4_address(address)?, length))
}

/// Reads `2001:db8::/32` or `any`.
pub(super) fn ipv6(text: &str) -> Option<Prefix<u128>> {
    if is_any(text) {
        return Some((0, 0));
    }
    let (address, length) = split(text);
    let length = length.map_or(Some(128), |length| netmask(length, 128))?;
    Some((address.parse::<Ipv6Addr>().ok()?.into(), length))
}

/// Reads six bytes in hexadecimal.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let byte = |part: &str| match part.len() {
        1 | 2 if part.bytes().all(|byte| byte.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
        _ => None,
    };
    text.split(':').map(byte).collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn is_any(text: &str) -> bool {
    matches!(text, "any" | "all" | "default")
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)))
}

/// The length of a prefix, also from a mask such as 255.255.0.0.
fn netmask(text: &str, most: u32) -> Option<u32> {
    let length = parse_u32(text).ok().or_else(|| {
        let mask = ipv4_address(text)?;
        (mask.leading_ones() + mask.trailing_zeros().min(32) == 32).then(|| mask.leading_ones())
    })?;
    (length <= most).then_some(length)
}

/// One to four numbers, decimal, octal or hexadecimal; missing ones are 0.
fn ipv4_address(text: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for (byte, part) in bytes.iter_mut().zip(parts.by_ref()) {
        *byte = parse_u8(part).ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(bytes).into())
}
