//! The fields of the headers, as the flow dissector reads them (`__skb_flow_dissect` with
//! `FLOW_DISSECTOR_F_STOP_BEFORE_ENCAP`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tc_core::uapi::*;

use super::super::CannotKnow;
use super::{Packet, is_vlan};
use crate::filter::flower::{
    IPPROTO_AH, IPPROTO_ESP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP,
};

/// The fields that were found. A field that is not in the packet is zero, as in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::classify) struct Dissected {
    /// The Ethernet type after VLAN tags.
    pub(in crate::classify) protocol: u16,
    pub(in crate::classify) ip_proto: u8,
    pub(in crate::classify) addresses: Option<(IpAddr, IpAddr)>,
    pub(in crate::classify) tos: u8,
    pub(in crate::classify) ttl: u8,
    pub(in crate::classify) is_fragment: bool,
    pub(in crate::classify) is_first_fragment: bool,
    pub(in crate::classify) src_port: u16,
    pub(in crate::classify) dst_port: u16,
    pub(in crate::classify) tcp_flags: u16,
    pub(in crate::classify) icmp_type: u8,
    pub(in crate::classify) icmp_code: u8,
    pub(in crate::classify) arp: Arp,
    /// The first two tags.
    pub(in crate::classify) vlans: [Vlan; 2],
    pub(in crate::classify) vlan_count: u8,
    /// The entries of the stack of MPLS labels.
    pub(in crate::classify) labels: Vec<u32>,
    /// The offset where the dissection ended: that of the transport header.
    pub(in crate::classify) end: usize,
    /// Whether no header was cut or unknown.
    pub(in crate::classify) is_whole: bool,
}

/// The fields of ARP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arp {
    /// The operation.
    pub op: u8,
    /// The sender's Ethernet address.
    pub sha: [u8; 6],
    /// The sender's IP address.
    pub sip: [u8; 4],
    /// The target's Ethernet address.
    pub tha: [u8; 6],
    /// The target's IP address.
    pub tip: [u8; 4],
}

/// The fields of a VLAN tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vlan {
    /// The identifier.
    pub id: u16,
    /// The priority.
    pub priority: u8,
    /// The Ethernet type after the tag.
    pub ethertype: u16,
}

/// Where the reading goes on.
enum Next {
    Protocol,
    IpProto,
    Done,
    Cut,
}

/// `MAX_FLOW_DISSECT_HDRS`.
const MOST_HEADERS: usize = 15;
/// `FLOW_DIS_MPLS_MAX`.
const MOST_LABELS: usize = 7;

/// Reads the headers. Fails for protocols that Linux reads and this code does not.
pub(in crate::classify) fn dissect(packet: &Packet) -> Result<Dissected, CannotKnow> {
    read(packet, true)
}

/// Reads the headers for their end alone (`skb_flow_dissect_flow_keys_basic`), with which Linux sets the
/// transport header.
pub(in crate::classify) fn probe(packet: &Packet) -> Result<Dissected, CannotKnow> {
    read(packet, false)
}

fn read(packet: &Packet, has_keys: bool) -> Result<Dissected, CannotKnow> {
    let protocol = packet.protocol();
    let found = Dissected { protocol, end: packet.network, ..Dissected::default() };
    let mut reader = Reader { packet, found, tag: packet.tag.is_some(), has_keys };
    let mut next = Next::Protocol;
    for _ in 0..=MOST_HEADERS {
        next = match next {
            Next::Protocol => reader.protocol()?,
            Next::IpProto => reader.ip_proto()?,
            Next::Done | Next::Cut => break,
        };
    }
    let mut found = reader.found;
    found.end = found.end.min(packet.frame.len());
    found.is_whole = !matches!(next, Next::Cut);
    Ok(found)
}

struct Reader<'a> {
    packet: &'a Packet,
    found: Dissected,
    /// The tag beside the packet is yet to be read.
    tag: bool,
    /// Whether fields are wanted. Kernel: without, nothing after MPLS and in ARP is read, and tunnels are.
    has_keys: bool,
}

impl Reader<'_> {
    fn protocol(&mut self) -> Result<Next, CannotKnow> {
        Ok(match self.found.protocol {
            ETH_P_MPLS_UC | ETH_P_MPLS_MC if !self.has_keys => {
                self.found.end += 4;
                Next::Done
            }
            ETH_P_ARP | ETH_P_RARP if !self.has_keys => Next::Done,
            ETH_P_IP => self.ipv4().unwrap_or(Next::Cut),
            ETH_P_IPV6 => self.ipv6().unwrap_or(Next::Cut),
            protocol if is_vlan(protocol) => self.vlan().unwrap_or(Next::Cut),
            ETH_P_MPLS_UC | ETH_P_MPLS_MC => self.label().unwrap_or(Next::Cut),
            ETH_P_ARP | ETH_P_RARP => self.arp().unwrap_or(Next::Cut),
            ETH_P_PPP_SES | 0x88ca | 0x4305 | 0x88f7 | 0x88fb | 0x892f | 0x8906 | ETH_P_CFM => {
                let text = format!("headers of Ethernet type {:#06x} are not read", self.found.protocol);
                return Err(CannotKnow::new(text));
            }
            _ => Next::Cut,
        })
    }

    fn ipv4(&mut self) -> Option<Next> {
        let [first, tos, _, _, _, _, fragment_high, fragment_low, ttl, proto, _, _, addresses @ ..] =
            self.packet.array::<20>(self.found.end)?;
        let header_words = usize::from(first & 0xf);
        if header_words < 5 {
            return None;
        }
        let found = &mut self.found;
        found.end += header_words * 4;
        let [a, b, c, d, e, f, g, h] = addresses;
        found.addresses = Some((Ipv4Addr::new(a, b, c, d).into(), Ipv4Addr::new(e, f, g, h).into()));
        (found.ip_proto, found.tos, found.ttl) = (proto, tos, ttl);
        let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
        let (offset, more) = (fragment & 0x1fff, fragment & 0x2000 != 0);
        if offset != 0 || more {
            found.is_fragment = true;
            found.is_first_fragment = offset == 0;
            return Some(Next::Done);
        }
        Some(Next::IpProto)
    }

    fn ipv6(&mut self) -> Option<Next> {
        let at = self.found.end;
        let [first, second, _, _, _, _, next_header, hop_limit] = self.packet.array(at)?;
        let address = |at| self.packet.array::<16>(at).map(|bytes| IpAddr::from(Ipv6Addr::from(bytes)));
        let addresses = (address(at + 8)?, address(at + 24)?);
        let found = &mut self.found;
        found.addresses = Some(addresses);
        found.tos = first << 4 | second >> 4;
        (found.ip_proto, found.ttl) = (next_header, hop_limit);
        found.end += 40;
        Some(Next::IpProto)
    }

    fn vlan(&mut self) -> Option<Next> {
        let (tci, ethertype) = if std::mem::take(&mut self.tag) {
            (self.packet.tag?.tci, self.packet.ethertype)
        } else {
            let [a, b, c, d] = self.packet.array(self.found.end)?;
            self.found.end += 4;
            (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
        };
        let found = &mut self.found;
        if let Some(vlan) = found.vlans.get_mut(usize::from(found.vlan_count)) {
            *vlan = Vlan { id: tci & 0xfff, priority: (tci >> 13) as u8, ethertype };
        }
        found.vlan_count = found.vlan_count.saturating_add(1);
        found.protocol = ethertype;
        Some(Next::Protocol)
    }

    fn label(&mut self) -> Option<Next> {
        if self.found.labels.len() >= MOST_LABELS {
            return Some(Next::Done);
        }
        let entry = u32::from_be_bytes(self.packet.array(self.found.end)?);
        self.found.labels.push(entry);
        self.found.end += 4;
        let is_last = entry & 0x100 != 0;
        Some(if is_last { Next::Done } else { Next::Protocol })
    }

    /// Kernel: the offset stays at the start of ARP.
    fn arp(&mut self) -> Option<Next> {
        let at = self.found.end;
        let [0, 1, 8, 0, 6, 4, 0, op @ 1..=2] = self.packet.array(at)? else { return None };
        self.found.arp = Arp {
            op,
            sha: self.packet.array(at + 8)?,
            sip: self.packet.array(at + 14)?,
            tha: self.packet.array(at + 18)?,
            tip: self.packet.array(at + 24)?,
        };
        Some(Next::Done)
    }

    fn ip_proto(&mut self) -> Result<Next, CannotKnow> {
        if !self.has_keys && matches!(self.found.ip_proto, GRE | IP_IN_IP | IPV6_IN_IP) {
            return Err(CannotKnow::new("the transport header in a tunnel"));
        }
        let next = match (self.found.ip_proto, self.found.protocol) {
            (HOP | ROUTING | DESTINATION, ETH_P_IPV6) => self.extension().unwrap_or(Next::Cut),
            (FRAGMENT, ETH_P_IPV6) => self.fragment().unwrap_or(Next::Cut),
            (MPLS_IN_IP, _) => {
                self.found.protocol = ETH_P_MPLS_UC;
                Next::Protocol
            }
            (IPPROTO_TCP, _) => {
                self.tcp_flags();
                Next::Done
            }
            (IPPROTO_ICMP | IPPROTO_ICMPV6, _) => {
                if let Some([icmp_type, icmp_code, ..]) = self.packet.array::<8>(self.found.end) {
                    (self.found.icmp_type, self.found.icmp_code) = (icmp_type, icmp_code);
                }
                Next::Done
            }
            _ => Next::Done,
        };
        if !self.found.is_fragment {
            self.ports();
        }
        Ok(next)
    }

    fn extension(&mut self) -> Option<Next> {
        let [next_header, length] = self.packet.array(self.found.end)?;
        self.found.ip_proto = next_header;
        self.found.end += (usize::from(length) + 1) << 3;
        Some(Next::IpProto)
    }

    fn fragment(&mut self) -> Option<Next> {
        let [next_header, _, high, low, ..] = self.packet.array::<8>(self.found.end)?;
        let found = &mut self.found;
        (found.is_fragment, found.ip_proto) = (true, next_header);
        found.is_first_fragment = u16::from_be_bytes([high, low]) & 0xfff8 == 0;
        found.end += 8;
        Some(Next::Done)
    }

    fn tcp_flags(&mut self) {
        let Some(header) = self.packet.array::<20>(self.found.end) else { return };
        if header[12] >> 4 >= 5 {
            self.found.tcp_flags = u16::from_be_bytes([header[12], header[13]]) & 0x0fff;
        }
    }

    /// `proto_ports_offset`.
    fn ports(&mut self) {
        let offset = match self.found.ip_proto {
            IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_ESP | DCCP | UDPLITE => 0,
            IPPROTO_AH => 4,
            _ => return,
        };
        if let Some([a, b, c, d]) = self.packet.array(self.found.end + offset) {
            self.found.src_port = u16::from_be_bytes([a, b]);
            self.found.dst_port = u16::from_be_bytes([c, d]);
        }
    }
}

const HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;
const IP_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const DCCP: u8 = 33;
const UDPLITE: u8 = 136;
const MPLS_IN_IP: u8 = 137;
