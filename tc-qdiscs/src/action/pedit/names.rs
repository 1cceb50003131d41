//! The names of fields.

use std::net::Ipv6Addr;

use tc_core::words::is_prefix;

use super::field::{Field, Header, Key, eth_dst, eth_src, ip6_dst, ip6_src};

/// A field by its name.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Number(Field),
    Address(Field),
    Mac(fn([u8; 6]) -> [Key; 2]),
    Ip6(fn(Ipv6Addr) -> [Key; 4]),
}

const IP: [(&str, Named); 13] = [
    ("src", Named::Address(Field::IP_SRC)),
    ("dst", Named::Address(Field::IP_DST)),
    ("tos", Named::Number(Field::IP_TOS)),
    ("dsfield", Named::Number(Field::IP_TOS)),
    ("ihl", Named::Number(Field::IP_IHL)),
    ("ttl", Named::Number(Field::IP_TTL)),
    ("protocol", Named::Number(Field::IP_PROTOCOL)),
    ("precedence", Named::Number(Field::IP_TOS)),
    ("nofrag", Named::Number(Field::IP_NOFRAG)),
    ("firstfrag", Named::Number(Field::IP_FIRSTFRAG)),
    ("ce", Named::Number(Field::IP_CE)),
    ("df", Named::Number(Field::IP_DF)),
    ("mf", Named::Number(Field::IP_MF)),
];

/// After an IPv4 header without options, in a plain pedit. tc 6.1 has the type's place for the code.
const AFTER_IP: [(&str, i32, u32); 4] =
    [("dport", 22, 16), ("sport", 20, 16), ("icmp_type", 20, 8), ("icmp_code", 21, 8)];

const IP6: [(&str, Named); 7] = [
    ("src", Named::Ip6(ip6_src)),
    ("dst", Named::Ip6(ip6_dst)),
    ("traffic_class", Named::Number(Field::IP6_TRAFFIC_CLASS)),
    ("flow_lbl", Named::Number(Field::IP6_FLOW_LABEL)),
    ("payload_len", Named::Number(Field::IP6_PAYLOAD_LEN)),
    ("nexthdr", Named::Number(Field::IP6_NEXTHDR)),
    ("hoplimit", Named::Number(Field::IP6_HOPLIMIT)),
];

const ETH: [(&str, Named); 3] =
    [("dst", Named::Mac(eth_dst)), ("src", Named::Mac(eth_src)), ("type", Named::Number(Field::ETH_TYPE))];

const TCP: [(&str, Named); 3] = [
    ("sport", Named::Number(Field::TCP_SPORT)),
    ("dport", Named::Number(Field::TCP_DPORT)),
    ("flags", Named::Number(Field::TCP_FLAGS)),
];

const UDP: [(&str, Named); 2] =
    [("sport", Named::Number(Field::UDP_SPORT)), ("dport", Named::Number(Field::UDP_DPORT))];

/// A layer's name, its header and its fields.
type Layer = (&'static str, Header, &'static [(&'static str, Named)]);

/// The layers; in this order keys are put into words.
pub(super) const LAYERS: [Layer; 5] = [
    ("ip", Header::Ip4, &IP),
    ("ip6", Header::Ip6, &IP6),
    ("eth", Header::Eth, &ETH),
    ("tcp", Header::Tcp, &TCP),
    ("udp", Header::Udp, &UDP),
];

/// Finds a field; the others than those of IPv4 need an extended pedit.
pub(super) fn find(layer: &str, name: &str, extended: bool) -> Option<Named> {
    let (_, header, fields) = LAYERS.into_iter().find(|(known, ..)| *known == layer)?;
    if header != Header::Ip4 {
        let found = fields.iter().filter(|_| extended).find(|(known, _)| *known == name);
        return found.map(|(_, field)| *field);
    }
    let is =
        |known: &str| known == name || ["dsfield", "precedence"].contains(&known) && is_prefix(name, known);
    if let Some((_, field)) = fields.iter().find(|(known, _)| is(known)) {
        return Some(match field {
            Named::Number(field) if !extended => Named::Number(Field { header: Header::Network, ..*field }),
            Named::Address(field) if !extended => Named::Address(Field { header: Header::Network, ..*field }),
            field => *field,
        });
    }
    let (_, offset, bits) = AFTER_IP.into_iter().filter(|_| !extended).find(|(known, ..)| *known == name)?;
    let retain = u32::MAX >> (32 - bits);
    Some(Named::Number(Field { header: Header::Network, offset, bits, retain, raised: 0 }))
}
