//! Values with masks, and addresses and ranges of ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use derive_setters::Setters;

/// A value, and the bits of it that count.
///
/// ```
/// use tc_qdiscs::filter::flower::Masked;
///
/// let exact: Masked<u16> = 443.into();
/// assert_eq!(exact, Masked::new(443, 0xffff));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked<T> {
    /// The value.
    pub value: T,
    /// The bits that count.
    pub mask: T,
}

impl<T> Masked<T> {
    /// A value of which the bits of the mask count.
    pub const fn new(value: T, mask: T) -> Self {
        Self { value, mask }
    }

    pub(super) fn map<U>(self, convert: impl Fn(T) -> U) -> Masked<U> {
        Masked { value: convert(self.value), mask: convert(self.mask) }
    }
}

impl<T: Copy> Masked<T> {
    /// The mask, or the value.
    pub(super) fn part(&self, is_mask: bool) -> T {
        if is_mask { self.mask } else { self.value }
    }
}

/// The bits of a mask.
pub(super) trait Mask {
    /// Whether all bits count.
    fn is_exact(&self) -> bool;
    /// Whether no bit counts: the kernel leaves such a key out of its dumps.
    fn is_any(&self) -> bool;
}

impl<T: Bits> Mask for Masked<T> {
    fn is_exact(&self) -> bool {
        self.mask == T::ALL
    }

    fn is_any(&self) -> bool {
        self.mask == T::NONE
    }
}

/// A type of values that can be masked.
pub(super) trait Bits: Copy + PartialEq {
    /// All bits are set.
    const ALL: Self;
    /// No bit is set.
    const NONE: Self;
}

macro_rules! bits {
    ($($type:ty: $all:expr, $none:expr;)*) => {$(
        impl Bits for $type {
            const ALL: Self = $all;
            const NONE: Self = $none;
        }

        /// All bits count.
        impl From<$type> for Masked<$type> {
            fn from(value: $type) -> Self {
                Self { value, mask: <$type as Bits>::ALL }
            }
        }
    )*};
}

bits! {
    u8: Self::MAX, 0;
    u16: Self::MAX, 0;
    u32: Self::MAX, 0;
    u64: Self::MAX, 0;
    [u8; 6]: [0xff; 6], [0; 6];
    [u8; 16]: [0xff; 16], [0; 16];
    Ipv4Addr: Self::BROADCAST, Self::UNSPECIFIED;
    Ipv6Addr: Self::from_bits(u128::MAX), Self::UNSPECIFIED;
}

/// An IP address and its mask.
///
/// ```
/// use std::net::{IpAddr, Ipv4Addr};
/// use tc_qdiscs::filter::flower::{Masked, MaskedIp};
///
/// let network = Ipv4Addr::new(10, 0, 0, 0);
/// let mask = Ipv4Addr::new(255, 0, 0, 0);
/// assert_eq!(MaskedIp::prefix(network, 8), MaskedIp::V4(Masked::new(network, mask)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskedIp {
    /// An address of IPv4.
    V4(Masked<Ipv4Addr>),
    /// An address of IPv6.
    V6(Masked<Ipv6Addr>),
}

impl MaskedIp {
    /// An address of which the first bits count: up to 32 of IPv4, up to 128 of IPv6.
    pub fn prefix(address: impl Into<IpAddr>, length: u8) -> Self {
        let host_bits = |bits: u32| bits.saturating_sub(length.into());
        match address.into() {
            IpAddr::V4(value) => {
                let mask = u32::MAX.checked_shl(host_bits(32)).unwrap_or(0);
                Self::V4(Masked::new(value, mask.into()))
            }
            IpAddr::V6(value) => {
                let mask = u128::MAX.checked_shl(host_bits(128)).unwrap_or(0);
                Self::V6(Masked::new(value, mask.into()))
            }
        }
    }

    pub(super) fn is_any(&self) -> bool {
        match self {
            Self::V4(masked) => masked.is_any(),
            Self::V6(masked) => masked.is_any(),
        }
    }

    /// The text of the address, and that of the mask unless all bits count: the number of
    /// bits of a prefix, otherwise an address. `tc` writes no prefix of no bits.
    pub(super) fn text(&self) -> String {
        let (value, mask, bits) = match self {
            Self::V4(Masked { value, mask }) => (value.to_string(), mask.to_string(), 32),
            Self::V6(Masked { value, mask }) => (value.to_string(), mask.to_string(), 128),
        };
        match self.prefix_length() {
            Some(length) if length == bits => value,
            Some(length) if length != 0 => format!("{value}/{length}"),
            _ => format!("{value}/{mask}"),
        }
    }

    /// The number of bits that count, if they are the first ones.
    pub(super) fn prefix_length(&self) -> Option<u32> {
        let (leading, all) = match self {
            Self::V4(Masked { mask, .. }) => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
            Self::V6(Masked { mask, .. }) => (mask.to_bits().leading_ones(), mask.to_bits().count_ones()),
        };
        (leading == all).then_some(all)
    }
}

/// All bits count.
impl<T: Into<IpAddr>> From<T> for MaskedIp {
    fn from(address: T) -> Self {
        Self::prefix(address, 128)
    }
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// The first port.
    pub start: u16,
    /// The last port. The kernel refuses one that is not larger than the first.
    pub end: u16,
}

/// Fields of Connectivity Fault Management (IEEE 802.1ag); `None` stands for any value.
/// Since Linux 6.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Cfm {
    /// The level of the maintenance domain, 0 to 7.
    pub md_level: Option<u8>,
    /// The operation.
    pub opcode: Option<u8>,
}
