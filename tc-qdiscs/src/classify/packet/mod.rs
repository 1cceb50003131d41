//! Packets, as filters and actions see them.

mod dissect;
mod text;

use tc_core::uapi::*;

use dissect::probe;
pub use dissect::{Arp, Vlan};
pub(super) use dissect::{Dissected, dissect};
pub use text::PacketTextError;

use super::CannotKnow;

/// The way that a packet takes through a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The device sends it.
    #[default]
    Egress,
    /// The device received it.
    Ingress,
}

/// A VLAN tag beside the packet (`skb->vlan_proto`, `skb->vlan_tci`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The type of the tag: `ETH_P_8021Q` or `ETH_P_8021AD`.
    pub protocol: u16,
    /// Priority and identifier, `PCP << 13 | DEI << 12 | VID`.
    pub tci: u16,
}

/// The place of the transport header (`skb->transport_header`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// An offset in the frame.
    At(usize),
    /// It is not set.
    Unset,
    /// It depends on the device that received the packet.
    Unknown,
}

/// A packet with its metadata (`struct sk_buff`).
///
/// The outer VLAN tag is beside the frame, as in packets that Linux received, and in those that a VLAN
/// device sends.
///
/// ```
/// use tc_qdiscs::classify::{Direction, Packet};
///
/// let packet = Packet::from_text("tcp 10.0.0.1:80 > 10.0.0.9:4711 mark 7 vlan 5", Direction::Egress)?;
/// assert_eq!((packet.mark, packet.tag.map(|tag| tag.tci)), (7, Some(5)));
/// assert_eq!(packet.protocol(), 0x8100);
/// # Ok::<(), tc_qdiscs::classify::PacketTextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// The frame without the tag beside it.
    pub frame: Vec<u8>,
    /// The VLAN tag beside the frame.
    pub tag: Option<Tag>,
    /// `skb->protocol`: the Ethernet type of the frame.
    pub ethertype: u16,
    /// The offset of the network header in the frame.
    pub network: usize,
    /// The transport header.
    pub transport: Transport,
    /// `skb->mark`.
    pub mark: u32,
    /// `skb->priority`: the id of a class selects that class.
    pub priority: u32,
    /// `skb->tc_index`.
    pub tc_index: u16,
    /// `skb->queue_mapping`.
    pub queue: u16,
    /// `skb->pkt_type` (`PACKET_HOST` and its like).
    pub packet_type: u8,
    /// The direction.
    pub direction: Direction,
    /// `skb->dev`: the index of the device; 0 for an unknown one.
    pub ifindex: i32,
    /// The name of that device.
    pub device: String,
    /// `skb->skb_iif`: the index of the device that received the packet; 0 for none.
    pub iif: i32,
    /// `qdisc_pkt_len`: the length that counters add up, in bytes.
    pub counted_bytes: u32,
}

/// The length of an Ethernet header.
const ETHERNET: usize = 14;

impl Packet {
    /// The packet of an Ethernet frame. Any bytes are a packet.
    pub fn new(frame: impl Into<Vec<u8>>, direction: Direction) -> Self {
        let mut packet = Self {
            frame: frame.into(),
            tag: None,
            ethertype: 0,
            network: 0,
            transport: Transport::Unknown,
            mark: 0,
            priority: 0,
            tc_index: 0,
            queue: 0,
            packet_type: if direction == Direction::Ingress { PACKET_HOST } else { 0 },
            direction,
            ifindex: 0,
            device: String::new(),
            iif: 0,
            counted_bytes: 0,
        };
        packet.find_headers();
        packet
    }

    /// Reads the headers, and takes the outer VLAN tag off.
    fn find_headers(&mut self) {
        self.ethertype = self.be16(12).unwrap_or_default();
        self.network = ETHERNET.min(self.frame.len());
        if is_vlan(self.ethertype) && self.frame.len() >= ETHERNET + 4 {
            let tci = self.be16(14).unwrap_or_default();
            self.tag = Some(Tag { protocol: self.ethertype, tci });
            self.frame.drain(12..16);
            self.ethertype = self.be16(12).unwrap_or_default();
        }
        if self.direction == Direction::Ingress && self.ethertype < SMALLEST_TYPE {
            // `eth_type_trans`: a length, with LLC after it, or raw IPX.
            let is_raw = self.be16(self.network) == Some(u16::MAX);
            self.ethertype = if is_raw { ETH_P_802_3 } else { ETH_P_802_2 };
        }
        if self.direction == Direction::Egress {
            self.transport = self.probed_transport();
        }
        self.counted_bytes = self.length();
    }

    /// Sets the transport header as the sender of a packet socket does
    /// (`skb_probe_transport_header`).
    #[must_use]
    pub fn with_probed_transport(mut self) -> Self {
        self.transport = self.probed_transport();
        self
    }

    fn probed_transport(&self) -> Transport {
        match probe(self) {
            Ok(found) if found.is_whole => Transport::At(found.end),
            Ok(_) => Transport::Unset,
            Err(_) => Transport::Unknown,
        }
    }

    /// The frame as it is on the wire, with the tag in it.
    pub fn wire_frame(&self) -> Vec<u8> {
        let mut frame = self.frame.clone();
        if let Some(Tag { protocol, tci }) = self.tag {
            let at = frame.len().min(12);
            frame.splice(at..at, protocol.to_be_bytes().into_iter().chain(tci.to_be_bytes()));
        }
        frame
    }

    /// `skb->len`: at ingress without the Ethernet header.
    pub fn length(&self) -> u32 {
        let start = if self.direction == Direction::Ingress { self.network } else { 0 };
        u32::try_from(self.frame.len().saturating_sub(start)).unwrap_or(u32::MAX)
    }

    /// The Ethernet type that filters are chosen by (`skb_protocol`): that of the tag, if there is one.
    pub fn protocol(&self) -> u16 {
        self.tag.map_or(self.ethertype, |tag| tag.protocol)
    }

    /// Bytes of the frame at an offset from its start; `None` beyond its end.
    pub(super) fn bytes(&self, at: usize, count: usize) -> Option<&[u8]> {
        self.frame.get(at..at.checked_add(count)?)
    }

    /// Bytes at an offset from a header. `None` beyond the end of the frame; an error before its start,
    /// where the kernel reads what its buffer has.
    pub(super) fn bytes_from(
        &self,
        header: usize,
        offset: i64,
        count: usize,
    ) -> Result<Option<&[u8]>, CannotKnow> {
        let at = header as i64 + offset;
        match usize::try_from(at) {
            Ok(at) => Ok(self.bytes(at, count)),
            Err(_) => Err(CannotKnow::new("it reads bytes before the packet")),
        }
    }

    pub(super) fn be16(&self, at: usize) -> Option<u16> {
        self.bytes(at, 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
    }

    pub(super) fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes(at, N).and_then(|bytes| bytes.try_into().ok())
    }
}

/// `ETH_P_802_3_MIN`: a smaller number is a length.
const SMALLEST_TYPE: u16 = 0x0600;
const ETH_P_802_3: u16 = 1;
const ETH_P_802_2: u16 = 4;

pub(super) const fn is_vlan(protocol: u16) -> bool {
    matches!(protocol, ETH_P_8021Q | ETH_P_8021AD)
}

/// `PACKET_HOST` of `linux/if_packet.h`.
const PACKET_HOST: u8 = 0;

#[cfg(test)]
mod tests;
