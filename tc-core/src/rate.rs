//! Rate specifications, which tbf, htb and police share, and the link layers
//! that they and size tables account for.

use crate::attr::{AttrWriter, Reader};
use crate::error::DecodeError;
use crate::units::transmit_ticks;
use crate::words::is_prefix;

/// How packets are framed below (`enum link_layer` in `tc_core.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkLayer {
    /// Not said; the kernel guesses it from the rate table.
    #[default]
    Unspec,
    /// Packets as they are.
    Ethernet,
    /// ATM cells: 48 bytes of each 53.
    Atm,
    /// A number that this library does not know.
    Other(u8),
}

impl LinkLayer {
    /// Reads a name, as short as `tc` allows it; `adsl` means ATM.
    pub fn parse(word: &str) -> Option<Self> {
        if is_prefix(word, "ethernet") {
            Some(Self::Ethernet)
        } else if is_prefix(word, "atm") || is_prefix(word, "adsl") {
            Some(Self::Atm)
        } else {
            None
        }
    }

    /// The name that `tc` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspec => "unspec",
            Self::Ethernet => "ethernet",
            Self::Atm => "atm",
            Self::Other(_) => "unknown",
        }
    }

    /// From the kernel's number.
    pub const fn from_raw(raw: u8) -> Self {
        match raw {
            0 => Self::Unspec,
            1 => Self::Ethernet,
            2 => Self::Atm,
            other => Self::Other(other),
        }
    }

    /// The kernel's number.
    pub const fn raw(self) -> u8 {
        match self {
            Self::Unspec => 0,
            Self::Ethernet => 1,
            Self::Atm => 2,
            Self::Other(other) => other,
        }
    }

    /// Bytes on the wire of a packet of `size`, which counts at least as `mpu`
    /// (`tc_adjust_size`).
    pub(crate) fn size_on_wire(self, size: u32, mpu: u32) -> u32 {
        let size = size.max(mpu);
        match self {
            Self::Atm => size.div_ceil(48).saturating_mul(53),
            _ => size,
        }
    }
}

/// A rate and how packets count against it: `struct tc_ratespec`.
///
/// The rate itself is 64 bits wide here. On the wire the struct has 32 bits of
/// it, and an attribute beside it the rest: see [`RateSpec::wide_rate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSpec {
    /// Bytes per second.
    pub rate: u64,
    /// Bytes added to each packet.
    pub overhead: u16,
    /// A packet counts as at least this many bytes.
    pub mpu: u16,
    /// The framing below.
    pub linklayer: LinkLayer,
    /// Which rate table slot a packet size falls into; kernels since 3.8 do
    /// not use it.
    pub cell_log: u8,
    /// See `cell_log`; -1 in what `tc` sends.
    pub cell_align: i16,
}

impl RateSpec {
    /// A rate in bytes per second on Ethernet.
    pub const fn new(rate: u64) -> Self {
        Self { rate, overhead: 0, mpu: 0, linklayer: LinkLayer::Ethernet, cell_log: 0, cell_align: -1 }
    }

    /// Whether no rate is set.
    pub const fn is_zero(&self) -> bool {
        self.rate == 0
    }

    /// The rate for the 64-bit attribute beside the struct, if it needs one.
    pub const fn wide_rate(&self) -> Option<u64> {
        if self.rate >= 1 << 32 { Some(self.rate) } else { None }
    }

    /// Chooses the slots of the rate table as `tc` does: `mtu` is the largest
    /// packet (0: 2047), `cell_log` a choice of the user's.
    pub fn set_cells(&mut self, mtu: u32, cell_log: Option<u8>) {
        let mtu = if mtu == 0 { 2047 } else { mtu };
        self.cell_log = cell_log.unwrap_or_else(|| (0..32).find(|log| mtu >> log <= 255).unwrap_or(31));
        self.cell_align = -1;
    }

    /// Appends the 12 bytes of the struct. A rate over 32 bits is written as
    /// the largest number, as `tc` does.
    pub fn encode(&self, out: &mut AttrWriter<'_>) {
        out.put_u8(self.cell_log);
        out.put_u8(self.linklayer.raw());
        out.put_u16(self.overhead);
        out.put_i16(self.cell_align);
        out.put_u16(self.mpu);
        out.put_u32(u32::try_from(self.rate).unwrap_or(u32::MAX));
    }

    /// Reads the struct; `wide` is the rate from the 64-bit attribute.
    pub fn decode(reader: &mut Reader<'_>, wide: Option<u64>) -> Result<Self, DecodeError> {
        let cell_log = reader.u8()?;
        let linklayer = LinkLayer::from_raw(reader.u8()? & 0xf);
        let (overhead, cell_align, mpu) = (reader.u16()?, reader.i16()?, reader.u16()?);
        let rate = u64::from(reader.u32()?);
        Ok(Self { rate: wide.unwrap_or(rate), overhead, mpu, linklayer, cell_log, cell_align })
    }

    /// Appends the rate table (`TC_RTAB_SIZE`, 1 KiB): how long a packet of each
    /// size takes. Kernels since 3.8 compute it themselves.
    pub fn encode_table(&self, kind: u16, out: &mut AttrWriter<'_>) {
        let mut nest = out.nest(kind);
        for slot in 1..=256u32 {
            let size = slot.checked_shl(self.cell_log.into()).unwrap_or(u32::MAX);
            let size = self.linklayer.size_on_wire(size, self.mpu.into());
            nest.put_u32(transmit_ticks(self.rate, size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    #[test]
    fn the_struct_reads_back_and_keeps_a_wide_rate_beside_it() {
        let mut spec = RateSpec { overhead: 4, mpu: 64, ..RateSpec::new(5_000_000_000) };
        spec.set_cells(1600, None);
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        spec.encode(&mut out);
        out.finish().unwrap();
        assert_eq!(&buffer[..], [3, 1, 4, 0, 0xff, 0xff, 64, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(RateSpec::decode(&mut Reader::new(&buffer), spec.wide_rate()), Ok(spec));
    }

    #[test]
    fn atm_counts_whole_cells() {
        assert_eq!(LinkLayer::Atm.size_on_wire(1, 0), 53);
        assert_eq!(LinkLayer::Atm.size_on_wire(49, 0), 106);
        assert_eq!(LinkLayer::Ethernet.size_on_wire(1, 64), 64);
    }
}
