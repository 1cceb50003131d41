//! Network address translation.

use std::net::IpAddr;

use tc_core::{Attr, AttrWriter, DecodeError};

/// The translation of a connection (`TCA_CT_ACT_NAT*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nat {
    /// As the connection was translated before.
    Restore,
    /// The source of a new connection. Needs a commit.
    Src(NatRange),
    /// The destination of a new connection. Needs a commit.
    Dst(NatRange),
}

/// Addresses and ports to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatRange {
    /// First and last address, of one family.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// First and last port.
    pub ports: Option<(u16, u16)>,
}

impl NatRange {
    /// These addresses, and the port stays if it is free.
    pub const fn addresses(first: IpAddr, last: IpAddr) -> Self {
        Self { addresses: Some((first, last)), ports: None }
    }

    /// The range with these ports.
    #[must_use]
    pub const fn with_ports(mut self, first: u16, last: u16) -> Self {
        self.ports = Some((first, last));
        self
    }
}

impl Nat {
    pub(super) const fn flags(&self) -> u16 {
        match self {
            Self::Restore => NAT,
            Self::Src(_) => NAT | NAT_SRC,
            Self::Dst(_) => NAT | NAT_DST,
        }
    }

    const fn range(&self) -> Option<&NatRange> {
        match self {
            Self::Restore => None,
            Self::Src(range) | Self::Dst(range) => Some(range),
        }
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) {
        let Some(range) = self.range() else { return };
        if let Some((first, last)) = range.addresses {
            for (address, ipv4, ipv6) in [(first, IPV4_MIN, IPV6_MIN), (last, IPV4_MAX, IPV6_MAX)] {
                match address {
                    IpAddr::V4(address) => out.attr(ipv4, &address.octets()),
                    IpAddr::V6(address) => out.attr(ipv6, &address.octets()),
                }
            }
        }
        if let Some((first, last)) = range.ports {
            out.attr_u16(PORT_MIN, first.to_be());
            out.attr_u16(PORT_MAX, last.to_be());
        }
    }

    pub(super) fn decode<'a>(
        flags: u16,
        attr: impl Fn(u16) -> Option<Attr<'a>>,
    ) -> Result<Option<Self>, DecodeError> {
        if flags & NAT == 0 {
            return Ok(None);
        }
        let ipv4 = |kind| attr(kind).map(|attr| attr.reader().array::<4>().map(IpAddr::from)).transpose();
        let ipv6 = |kind| attr(kind).map(|attr| attr.reader().array::<16>().map(IpAddr::from)).transpose();
        let port = |kind| attr(kind).map(|attr| attr.u16().map(u16::from_be)).transpose();
        let mut range = NatRange::default();
        // Kernel: without a last one the range has one element.
        if let Some(first) = ipv4(IPV4_MIN)? {
            range.addresses = Some((first, ipv4(IPV4_MAX)?.unwrap_or(first)));
        } else if let Some(first) = ipv6(IPV6_MIN)? {
            range.addresses = Some((first, ipv6(IPV6_MAX)?.unwrap_or(first)));
        }
        if let Some(first) = port(PORT_MIN)? {
            range.ports = Some((first, port(PORT_MAX)?.unwrap_or(first)));
        }
        Ok(Some(match flags & (NAT_SRC | NAT_DST) {
            0 => Self::Restore,
            NAT_DST => Self::Dst(range),
            _ => Self::Src(range),
        }))
    }

    /// The words after `nat`.
    pub(super) fn text(&self) -> String {
        let (mut text, range) = match self {
            Self::Restore => return String::new(),
            Self::Src(range) => ("src".to_owned(), range),
            Self::Dst(range) => ("dst".to_owned(), range),
        };
        if let Some((first, last)) = range.addresses {
            text += &format!(" addr {first}");
            if first != last {
                text += &format!("-{last}");
            }
        }
        if let Some((first, last)) = range.ports {
            text += &format!(" port {first}");
            if first != last {
                text += &format!("-{last}");
            }
        }
        text
    }
}

const IPV4_MIN: u16 = 9;
const IPV4_MAX: u16 = 10;
const IPV6_MIN: u16 = 11;
const IPV6_MAX: u16 = 12;
const PORT_MIN: u16 = 13;
const PORT_MAX: u16 = 14;
const NAT: u16 = 8;
const NAT_SRC: u16 = 16;
const NAT_DST: u16 = 32;
