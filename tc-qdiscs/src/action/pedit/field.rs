//! Keys: changes of one 32-bit word, and the header fields that they change.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A change of one 32-bit word of the packet, in network byte order (`struct tc_pedit_key`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// The header that `offset` counts from.
    pub header: Header,
    /// The operation.
    pub command: Command,
    /// The place of the word in bytes, a multiple of 4.
    pub offset: i32,
    /// The bits of the word that stay.
    pub mask: u32,
    /// The new bits. A bit that is also in `mask` is inverted.
    pub value: u32,
    /// The place of a byte that moves the word, from the start of the header.
    pub at: u32,
    /// The bits of that byte that count; with 0 the offset is fixed.
    pub offset_mask: u32,
    /// The bits by which that byte is shifted to the right before it is added to `offset`.
    pub shift: u32,
}

impl Key {
    /// A whole word with a fixed offset, set to this value.
    pub const fn new(header: Header, offset: i32, value: u32) -> Self {
        let command = Command::Set;
        Self { header, command, offset, mask: 0, value, at: 0, offset_mask: 0, shift: 0 }
    }

    /// The same change, counted from the network header: that of a plain pedit. Right for fields
    /// of IPv4 and IPv6 alone.
    #[must_use]
    pub const fn in_network_header(mut self) -> Self {
        self.header = Header::Network;
        self
    }

    pub(super) fn is_extended(&self) -> bool {
        self.header != Header::Network || self.command != Command::Set
    }
}

/// A header (`TCA_PEDIT_KEY_EX_HDR_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Header {
    /// The network header, whatever its protocol is.
    Network,
    /// Ethernet.
    Eth,
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another number.
    Other(u16),
}

impl Header {
    pub(super) const fn from_raw(raw: u16) -> Self {
        match raw {
            0 => Self::Network,
            1 => Self::Eth,
            2 => Self::Ip4,
            3 => Self::Ip6,
            4 => Self::Tcp,
            5 => Self::Udp,
            raw => Self::Other(raw),
        }
    }

    pub(super) const fn raw(self) -> u16 {
        match self {
            Self::Network => 0,
            Self::Eth => 1,
            Self::Ip4 => 2,
            Self::Ip6 => 3,
            Self::Tcp => 4,
            Self::Udp => 5,
            Self::Other(raw) => raw,
        }
    }

    /// The name in output.
    pub(super) fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Network => "network",
            Self::Eth => "eth",
            Self::Ip4 => "ipv4",
            Self::Ip6 => "ipv6",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Other(raw) => return Cow::Owned(format!("unknown({raw})")),
        })
    }
}

/// The operation of a key (`TCA_PEDIT_KEY_EX_CMD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Command {
    /// The word becomes its bits in `mask`, exclusive-or `value`.
    Set,
    /// The bits outside `mask` become their sum with `value`.
    Add,
    /// Another number.
    Other(u16),
}

impl Command {
    pub(super) const fn from_raw(raw: u16) -> Self {
        match raw {
            0 => Self::Set,
            1 => Self::Add,
            raw => Self::Other(raw),
        }
    }

    pub(super) const fn raw(self) -> u16 {
        match self {
            Self::Set => 0,
            Self::Add => 1,
            Self::Other(raw) => raw,
        }
    }
}

/// A header field of at most 32 bits inside one word. Its methods make keys; bits of a value outside
/// the field are cut.
///
/// ```
/// use tc_qdiscs::action::pedit::Field;
///
/// let key = Field::TCP_DPORT.set(80);
/// assert_eq!((key.offset, key.value, key.mask), (0, 80, 0xffff_0000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub(super) header: Header,
    /// In bytes; a field of 16 or 32 bits does not cross a word.
    pub(super) offset: i32,
    pub(super) bits: u32,
    /// The bits of a value that count if nothing is said.
    pub(super) retain: u32,
    /// The bits between the field's end and the end of its last byte.
    pub(super) raised: u32,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $header:ident $offset:literal, $bits:literal, $retain:literal;)*) => {
        impl Field {
            $($(#[$doc])* pub const $name: Self =
                Self { header: Header::$header, offset: $offset, bits: $bits, retain: $retain, raised: 0 };)*
        }
    };
}

fields! {
    /// Ethernet's type.
    ETH_TYPE: Eth 12, 16, 0xffff;
    /// IPv4: the length of the header in words.
    IP_IHL: Ip4 0, 8, 0x0f;
    /// IPv4: DSCP and ECN.
    IP_TOS: Ip4 1, 8, 0xff;
    /// IPv4: the time to live.
    IP_TTL: Ip4 8, 8, 0xff;
    /// IPv4: the protocol.
    IP_PROTOCOL: Ip4 9, 8, 0xff;
    /// IPv4: the flag "do not fragment", 0x40.
    IP_DF: Ip4 6, 8, 0x40;
    /// IPv4: the flag "more fragments", 0x20.
    IP_MF: Ip4 6, 8, 0x20;
    /// IPv4: the reserved flag, 0x80, for which `tc` has the word `ce`.
    IP_CE: Ip4 6, 8, 0x80;
    /// IPv4: the fragment offset's upper bits and the flag "more fragments".
    IP_NOFRAG: Ip4 6, 8, 0x3f;
    /// IPv4: the fragment offset's upper bits.
    IP_FIRSTFRAG: Ip4 6, 8, 0x1f;
    /// IPv4: the source address.
    IP_SRC: Ip4 12, 32, 0xffff_ffff;
    /// IPv4: the destination address.
    IP_DST: Ip4 16, 32, 0xffff_ffff;
    /// IPv6: the flow label.
    IP6_FLOW_LABEL: Ip6 0, 32, 0x000f_ffff;
    /// IPv6: the length of the payload in bytes.
    IP6_PAYLOAD_LEN: Ip6 4, 16, 0xffff;
    /// IPv6: the type of the next header.
    IP6_NEXTHDR: Ip6 6, 8, 0xff;
    /// IPv6: the hop limit.
    IP6_HOPLIMIT: Ip6 7, 8, 0xff;
    /// TCP: the source port.
    TCP_SPORT: Tcp 0, 16, 0xffff;
    /// TCP: the destination port.
    TCP_DPORT: Tcp 2, 16, 0xffff;
    /// TCP: the flags.
    TCP_FLAGS: Tcp 13, 8, 0xff;
    /// UDP: the source port.
    UDP_SPORT: Udp 0, 16, 0xffff;
    /// UDP: the destination port.
    UDP_DPORT: Udp 2, 16, 0xffff;
}

impl Field {
    /// IPv6: the traffic class, DSCP and ECN.
    pub const IP6_TRAFFIC_CLASS: Self =
        Self { header: Header::Ip6, offset: 1, bits: 8, retain: 0xff, raised: 4 };

    /// Sets the field.
    pub const fn set(self, value: u32) -> Key {
        self.key(Command::Set, value, 0, self.retain)
    }

    /// Adds to the field; its overflow is lost. Needs an extended pedit.
    pub const fn add(self, value: u32) -> Key {
        self.key(Command::Add, value, 0, self.retain)
    }

    /// Takes one from the field, which may have at most 8 bits: adds 255. Needs an extended pedit.
    pub const fn decrement(self) -> Key {
        self.add(self.retain)
    }

    /// Inverts all bits of the field.
    pub const fn invert(self) -> Key {
        self.key(Command::Set, self.ones(), self.ones(), self.retain)
    }

    /// Sets, adds or inverts the bits of `retain` alone.
    pub(super) const fn key(self, command: Command, value: u32, mask: u32, retain: u32) -> Key {
        let shift = self.shift();
        let field = self.ones() << shift;
        let mut key =
            Key::new(self.header, self.offset & !3, ((value & retain & self.ones()) << shift) & field);
        key.mask = ((mask | !retain) << shift) | !field;
        key.command = command;
        key
    }

    /// Value and mask of a key in this field; `None` if it changes anything else.
    pub(super) const fn read(self, key: &Key) -> Option<(u32, u32)> {
        let (shift, field) = (self.shift(), self.ones() << self.shift());
        let same = self.header.raw() == key.header.raw() && self.offset & !3 == key.offset;
        if !same || key.value & !field != 0 || key.mask | field != u32::MAX {
            return None;
        }
        Some((key.value >> shift, (key.mask & field) >> shift))
    }

    pub(super) const fn ones(self) -> u32 {
        u32::MAX >> (32 - self.bits)
    }

    /// The bits between the field's end and the end of its word.
    const fn shift(self) -> u32 {
        32 - self.bits - 8 * (self.offset & 3).cast_unsigned() + self.raised
    }
}

/// Keys that set Ethernet's destination address. They need an extended pedit.
pub const fn eth_dst(mac: [u8; 6]) -> [Key; 2] {
    let [a, b, c, d, e, f] = mac;
    let mut end = Key::new(Header::Eth, 4, u32::from_be_bytes([e, f, 0, 0]));
    end.mask = 0x0000_ffff;
    [Key::new(Header::Eth, 0, u32::from_be_bytes([a, b, c, d])), end]
}

/// Keys that set Ethernet's source address. They need an extended pedit.
pub const fn eth_src(mac: [u8; 6]) -> [Key; 2] {
    let [a, b, c, d, e, f] = mac;
    let mut start = Key::new(Header::Eth, 4, u32::from_be_bytes([0, 0, a, b]));
    start.mask = 0xffff_0000;
    [start, Key::new(Header::Eth, 8, u32::from_be_bytes([c, d, e, f]))]
}

/// Keys that set the source address of IPv6. They need an extended pedit.
pub const fn ip6_src(address: Ipv6Addr) -> [Key; 4] {
    ip6(8, address)
}

/// Keys that set the destination address of IPv6. They need an extended pedit.
pub const fn ip6_dst(address: Ipv6Addr) -> [Key; 4] {
    ip6(24, address)
}

const fn ip6(offset: i32, address: Ipv6Addr) -> [Key; 4] {
    let bits = address.to_bits();
    [
        Key::new(Header::Ip6, offset, (bits >> 96) as u32),
        Key::new(Header::Ip6, offset + 4, (bits >> 64) as u32),
        Key::new(Header::Ip6, offset + 8, (bits >> 32) as u32),
        Key::new(Header::Ip6, offset + 12, bits as u32),
    ]
}
