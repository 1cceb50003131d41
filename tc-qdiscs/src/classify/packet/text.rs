//! Packets from text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use tc_core::Handle;
use tc_core::uapi::*;
use tc_core::units::{parse_u8, parse_u16, parse_u32};

use super::{Direction, Packet};
use crate::filter::flower::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP};

/// The error of a text that describes no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet \"{text}\": {problem}; expected PROTOCOL ADDRESS[:PORT] > ADDRESS[:PORT] [ OPTIONS ]")]
pub struct PacketTextError {
    text: String,
    problem: String,
}

impl Packet {
    /// Reads a packet from text: `PROTOCOL SOURCE > DESTINATION [ OPTIONS ]`.
    ///
    /// | word | meaning |
    /// |---|---|
    /// | PROTOCOL | `tcp`, `udp`, `sctp`, `icmp`, `icmp6`, `arp`, or `ip` with the option `proto` |
    /// | SOURCE, DESTINATION | an address, with a port for tcp, udp and sctp: `10.0.0.1:80`, `[fd00::1]:80` |
    /// | `mark N`, `prio N`, `tcindex N`, `queue N` | the metadata; `prio` also takes a class id |
    /// | `vlan ID`, `pcp N` | a VLAN tag and its priority; a second `vlan` is the inner tag |
    /// | `tos N`, `ttl N`, `proto N` | fields of IP |
    /// | `flags N` | the flags of TCP; `S`, `SA` and their like as tcpdump writes them |
    /// | `type N`, `code N` | the type and the code of ICMP |
    /// | `op request`, `op reply` | the operation of ARP |
    /// | `smac MAC`, `dmac MAC` | Ethernet addresses |
    /// | `len N` | the bytes after the headers; 0 by default |
    ///
    /// Numbers are decimal, or hexadecimal after `0x`.
    pub fn from_text(text: &str, direction: Direction) -> Result<Self, PacketTextError> {
        let error = |problem| PacketTextError { text: text.to_owned(), problem };
        let description = Description::read(text).map_err(error)?;
        let frame = description.frame().map_err(error)?;
        let mut packet = Self::new(frame, direction);
        packet.mark = description.mark;
        packet.priority = description.priority;
        packet.tc_index = description.tc_index;
        packet.queue = description.queue;
        Ok(packet)
    }
}

#[derive(Debug, Default)]
struct Description {
    protocol: String,
    ends: Option<(End, End)>,
    mark: u32,
    priority: u32,
    tc_index: u16,
    queue: u16,
    vlans: Vec<(u16, u8)>,
    tos: u8,
    ttl: Option<u8>,
    ip_proto: u8,
    flags: Option<u16>,
    icmp: (u8, u8),
    op: Option<u8>,
    macs: [Option<[u8; 6]>; 2],
    length: u16,
}

/// A source or a destination.
#[derive(Clone, Copy, Debug)]
struct End {
    address: IpAddr,
    port: Option<u16>,
}

impl Description {
    fn read(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut word = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
        let protocol = word("the protocol")?.to_owned();
        let source = end(word("the source")?)?;
        match word("\">\"")? {
            ">" => {}
            other => return Err(format!("\"{other}\" stands in place of \">\"")),
        }
        let destination = end(word("the destination")?)?;
        let mut read = Self { protocol, ends: Some((source, destination)), ..Self::default() };
        while let Ok(option) = word("") {
            let value = word(&format!("the value of \"{option}\""))?;
            read.option(option, value)?;
        }
        Ok(read)
    }

    fn option(&mut self, option: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("\"{value}\" is no value of \"{option}\"");
        let byte = || parse_u8(value).map_err(|_| wrong());
        let short = || parse_u16(value).map_err(|_| wrong());
        match option {
            "mark" => self.mark = parse_u32(value).map_err(|_| wrong())?,
            "prio" | "priority" => {
                self.priority = match value.contains(':') {
                    true => Handle::from_str(value).map_err(|_| wrong())?.raw(),
                    false => parse_u32(value).map_err(|_| wrong())?,
                }
            }
            "tcindex" => self.tc_index = short()?,
            "queue" => self.queue = short()?,
            "vlan" if self.vlans.len() < 2 => {
                self.vlans.push((short()?, 0));
                self.vlans.last().filter(|(id, _)| *id < 0x1000).ok_or_else(wrong)?;
            }
            "pcp" => {
                let tag = self.vlans.last_mut().ok_or("\"pcp\" stands before \"vlan\"")?;
                tag.1 = byte()?;
                Some(tag.1).filter(|priority| *priority < 8).ok_or_else(wrong)?;
            }
            "tos" => self.tos = byte()?,
            "ttl" => self.ttl = Some(byte()?),
            "proto" => self.ip_proto = byte()?,
            "flags" => self.flags = Some(tcp_flags(value).ok_or_else(wrong)?),
            "type" => self.icmp.0 = byte()?,
            "code" => self.icmp.1 = byte()?,
            "op" => {
                self.op = match value {
                    "request" => Some(1),
                    "reply" => Some(2),
                    _ => return Err(wrong()),
                }
            }
            "smac" => self.macs[1] = Some(mac(value).ok_or_else(wrong)?),
            "dmac" => self.macs[0] = Some(mac(value).ok_or_else(wrong)?),
            "len" => self.length = short()?,
            option => return Err(format!("\"{option}\" is unknown, or given too often")),
        }
        Ok(())
    }

    /// The frame with its VLAN tags.
    fn frame(&self) -> Result<Vec<u8>, String> {
        let Some((source, destination)) = self.ends else { return Err("no addresses".into()) };
        let (ethertype, payload) = match (self.protocol.as_str(), source.address, destination.address) {
            ("arp", IpAddr::V4(from), IpAddr::V4(to)) => (ETH_P_ARP, self.arp(from, to)),
            ("arp", ..) => return Err("ARP has addresses of IPv4".into()),
            (_, IpAddr::V4(from), IpAddr::V4(to)) => {
                let (proto, segment) = self.segment(source, destination)?;
                (ETH_P_IP, self.ipv4(from, to, proto, &segment))
            }
            (_, IpAddr::V6(from), IpAddr::V6(to)) => {
                let (proto, segment) = self.segment(source, destination)?;
                let [first, second] = (0x6000 | u16::from(self.tos) << 4).to_be_bytes();
                let mut packet = vec![first, second, 0, 0];
                packet.extend(size(segment.len())?.to_be_bytes());
                packet.extend([proto, self.ttl.unwrap_or(64)]);
                packet.extend(from.octets());
                packet.extend(to.octets());
                packet.extend(segment);
                (ETH_P_IPV6, packet)
            }
            _ => return Err("one address is of IPv4, the other of IPv6".into()),
        };
        let mut frame = Vec::new();
        frame.extend(self.macs[0].unwrap_or([2, 0, 0, 0, 0, 2]));
        frame.extend(self.macs[1].unwrap_or([2, 0, 0, 0, 0, 1]));
        for (at, (id, priority)) in self.vlans.iter().enumerate() {
            let outer = at + 1 < self.vlans.len();
            frame.extend(if outer { ETH_P_8021AD } else { ETH_P_8021Q }.to_be_bytes());
            frame.extend((u16::from(*priority) << 13 | id).to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame.extend(payload);
        Ok(frame)
    }

    fn ipv4(&self, from: Ipv4Addr, to: Ipv4Addr, proto: u8, segment: &[u8]) -> Vec<u8> {
        let total = u16::try_from(segment.len() + 20).unwrap_or(u16::MAX);
        let mut packet = vec![0x45, self.tos];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, self.ttl.unwrap_or(64), proto, 0, 0]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        let sum = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(segment);
        packet
    }

    fn arp(&self, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, self.op.unwrap_or(1)];
        packet.extend(self.macs[1].unwrap_or([2, 0, 0, 0, 0, 1]));
        packet.extend(from.octets());
        packet.extend([0; 6]);
        packet.extend(to.octets());
        packet
    }

    /// The protocol above IP and its bytes.
    fn segment(&self, source: End, destination: End) -> Result<(u8, Vec<u8>), String> {
        let proto = match self.protocol.as_str() {
            "tcp" => IPPROTO_TCP,
            "udp" => IPPROTO_UDP,
            "sctp" => IPPROTO_SCTP,
            "icmp" => IPPROTO_ICMP,
            "icmp6" => IPPROTO_ICMPV6,
            "ip" => self.ip_proto,
            other => return Err(format!("the protocol \"{other}\" is unknown")),
        };
        let has_ports = matches!(proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP);
        if !has_ports && (source.port.is_some() || destination.port.is_some()) {
            return Err(format!("{} has no ports", self.protocol));
        }
        let ports = [source, destination].map(|end| end.port.unwrap_or(0).to_be_bytes()).concat();
        let mut bytes = match proto {
            IPPROTO_TCP => {
                let [high, low] = (0x5000 | self.flags.unwrap_or(0x02)).to_be_bytes();
                [&ports[..], &[0; 8], &[high, low, 0xff, 0xff, 0, 0, 0, 0]].concat()
            }
            IPPROTO_UDP => [&ports[..], &size(usize::from(self.length) + 8)?.to_be_bytes(), &[0; 2]].concat(),
            IPPROTO_SCTP => [&ports[..], &[0; 8]].concat(),
            IPPROTO_ICMP | IPPROTO_ICMPV6 => vec![self.icmp.0, self.icmp.1, 0, 0, 0, 0, 0, 0],
            _ => Vec::new(),
        };
        bytes.resize(bytes.len() + usize::from(self.length), 0);
        size(bytes.len() + 20)?;
        Ok((proto, bytes))
    }
}

fn size(bytes: usize) -> Result<u16, String> {
    u16::try_from(bytes).map_err(|_| "the packet is longer than 65535 bytes".into())
}

fn end(word: &str) -> Result<End, String> {
    if let Ok(address) = word.parse() {
        return Ok(End { address, port: None });
    }
    let socket: SocketAddr = word.parse().map_err(|_| format!("\"{word}\" is no address"))?;
    Ok(End { address: socket.ip(), port: Some(socket.port()) })
}

/// A number, or letters as tcpdump writes them.
fn tcp_flags(word: &str) -> Option<u16> {
    if let Ok(number) = parse_u16(word) {
        return Some(number).filter(|flags| *flags < 0x1000);
    }
    let bit = |letter| Some(1 << "FSRP.UEW".find(if letter == 'A' { '.' } else { letter })?);
    word.chars().try_fold(0, |flags, letter| Some(flags | bit(letter)?))
}

fn mac(word: &str) -> Option<[u8; 6]> {
    let bytes = word.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}
