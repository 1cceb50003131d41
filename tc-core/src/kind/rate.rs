//! Rate specifications, which tbf, htb and police share, and the link layers
//! that they and size tables account for.

mod burst;
mod value;

use crate::kind::OptionWords;
use crate::kind::words::{WordsContext, is_prefix};
use crate::wire::attr::{AttrWriter, Reader};
use crate::wire::error::DecodeError;
use crate::wire::units::{
    TICK_NS, checked_transmit_ticks, parse_i32, parse_rate, parse_size64, split_number,
};

pub use burst::Burst;
pub use value::Rate;

/// How packets are framed below (`enum link_layer` in `tc_core.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkLayer {
    /// Unspecified; the kernel guesses it from the rate table.
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
            Self::Atm => size.div_ceil(48).wrapping_mul(53),
            _ => size,
        }
    }
}

/// A rate and how packets count against it: `struct tc_ratespec`.
///
/// The rate itself is 64 bits wide here. On the wire the struct has 32 bits of
/// it, and an attribute beside it the rest: see [`RateSpec::wide_rate`].
///
/// ```
/// use tc_core::rate::{Rate, RateSpec};
///
/// // 32 bits of bytes per second cannot hold 40 Gbit/s.
/// let fast = RateSpec::new(Rate::bits_per_second(40_000_000_000));
/// assert_eq!((fast.wide_rate(), fast.narrow_rate()), (Some(5_000_000_000), u32::MAX));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSpec {
    /// The rate itself.
    pub rate: Rate,
    /// Bytes added to each packet.
    pub overhead: u16,
    /// A packet counts as at least this many bytes.
    pub mpu: u16,
    /// How packets are framed on the way.
    pub linklayer: LinkLayer,
    /// Rate table slot of a packet size; kernels since 3.8 do not use it.
    cell_log: u8,
    /// -1 in requests of `tc`.
    cell_align: i16,
}

impl RateSpec {
    /// A rate on Ethernet.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, overhead: 0, mpu: 0, linklayer: LinkLayer::Ethernet, cell_log: 0, cell_align: -1 }
    }

    /// Length of the struct, in bytes.
    pub const LENGTH: usize = 12;

    /// Whether no rate is set.
    pub const fn is_zero(&self) -> bool {
        self.rate.is_zero()
    }

    /// The rate for the 64-bit attribute beside the struct, if it needs one.
    pub const fn wide_rate(&self) -> Option<u64> {
        let rate = self.rate.as_bytes_per_second();
        if rate >= 1 << 32 { Some(rate) } else { None }
    }

    /// The rate as it stands in the struct: `u32::MAX` where 32 bits cannot hold
    /// it.
    pub fn narrow_rate(&self) -> u32 {
        u32::try_from(self.rate.as_bytes_per_second()).unwrap_or(u32::MAX)
    }

    /// Chooses the slots of the rate table as `tc` does: `mtu` is the largest
    /// packet (0: 2047), `cell_log` a choice of the user's.
    pub fn set_cells(&mut self, mtu: u32, cell_log: Option<u8>) {
        let mtu = if mtu == 0 { 2047 } else { mtu };
        self.cell_log = cell_log.unwrap_or_else(|| (0..32).find(|log| mtu >> log <= 255).unwrap_or(31));
        self.cell_align = -1;
    }

    /// Bytes in a slot of the rate table: 2^`cell_log`, cut to 32 bits.
    pub const fn cell_bytes(&self) -> u32 {
        1u32.wrapping_shl(self.cell_log as u32)
    }

    /// Says what is added to packets, where it is not nothing.
    pub fn to_words(&self, out: &mut OptionWords<'_>) {
        let number = |key: &str, number: u16| match number {
            0 => String::new(),
            number => format!("{key} {number}"),
        };
        out.text("overhead", number("overhead", self.overhead));
        out.text("mpu", number("mpu", self.mpu));
        match self.linklayer {
            LinkLayer::Unspec | LinkLayer::Ethernet => out.text("linklayer", ""),
            LinkLayer::Atm => out.say("linklayer", self.linklayer.name()),
            LinkLayer::Other(number) => out.cannot_say(&format!("linklayer {number}")),
        }
    }

    /// Ticks that the kernel counts for this number of bytes (`psched_l2t_ns`,
    /// with the numbers of `psched_ratecfg_precompute`).
    pub(crate) fn kernel_ticks(&self, bytes: u32) -> u64 {
        let bytes = (u64::from(bytes) + u64::from(self.overhead)).max(self.mpu.into());
        let bytes = match self.linklayer {
            LinkLayer::Atm => bytes.div_ceil(48) * 53,
            _ => bytes,
        };
        let (mut shift, mut factor) = (0, 1_000_000_000u64);
        let mut multiplier = || loop {
            let multiplier = factor.checked_div(self.rate.as_bytes_per_second())?;
            if multiplier & (1 << 31) != 0 || factor & (1 << 63) != 0 {
                return Some(multiplier);
            }
            factor <<= 1;
            shift += 1;
        };
        let multiplier = multiplier().unwrap_or(1) & u64::from(u32::MAX);
        // Kernel: the product in 64 bits.
        (bytes.wrapping_mul(multiplier) >> shift) / u64::from(TICK_NS)
    }

    /// Appends the 12 bytes of the struct. A rate over 32 bits is written as
    /// the largest number, as `tc` does.
    pub fn encode(&self, out: &mut AttrWriter<'_>) {
        let ([a, b], [c, d]) = (self.overhead.to_ne_bytes(), self.cell_align.to_ne_bytes());
        let ([e, f], [g, h, i, j]) = (self.mpu.to_ne_bytes(), self.narrow_rate().to_ne_bytes());
        out.put(&[self.cell_log, self.linklayer.raw(), a, b, c, d, e, f, g, h, i, j]);
    }

    /// Reads the struct; `wide` is the rate from the 64-bit attribute.
    pub fn decode(reader: &mut Reader<'_>, wide: Option<u64>) -> Result<Self, DecodeError> {
        let cell_log = reader.u8()?;
        let linklayer = LinkLayer::from_raw(reader.u8()? & 0xf);
        let (overhead, cell_align, mpu) = (reader.u16()?, reader.i16()?, reader.u16()?);
        let narrow = u64::from(reader.u32()?);
        let rate = Rate::bytes_per_second(wide.unwrap_or(narrow));
        Ok(Self { rate, overhead, mpu, linklayer, cell_log, cell_align })
    }

    /// Appends the rate table (`TC_RTAB_SIZE`, 1 KiB): how long a packet of each
    /// size takes. Kernels since 3.8 compute it themselves.
    pub fn encode_table(&self, kind: u16, out: &mut AttrWriter<'_>) {
        // As tc: from the 32 bits of the rate that stand in the struct.
        self.encode_table_at(self.narrow_rate().into(), kind, out);
    }

    /// Appends the rate table from the whole rate, as `tc` does for police.
    pub fn encode_wide_table(&self, kind: u16, out: &mut AttrWriter<'_>) {
        self.encode_table_at(self.rate.as_bytes_per_second(), kind, out);
    }

    fn encode_table_at(&self, rate: u64, kind: u16, out: &mut AttrWriter<'_>) {
        let mut nest = out.nest(kind);
        for slot in 1..=256u32 {
            let size = slot.checked_shl(self.cell_log.into()).unwrap_or(u32::MAX);
            let size = self.linklayer.size_on_wire(size, self.mpu.into());
            // A number over 32 bits is 0 in tc's tables (seen in Debian's tc 6.1.0 on x86-64).
            nest.put_u32(checked_transmit_ticks(rate, size).unwrap_or(0));
        }
    }
}

/// Reads a rate, or a percentage (`50%`) of the speed of the
/// device that the words are about.
///
/// An error holds the lines that `tc` prints before those of the kind, each with its
/// end; often it is empty.
pub fn parse_rate_of_link(word: &str, context: &WordsContext<'_>) -> Result<Rate, String> {
    let rate = |word: &str| parse_rate(word).map(Rate::bytes_per_second);
    if !word.contains('%') {
        return rate(word).map_err(|_| String::new());
    }
    let Some(dev) = context.dev else {
        return Err("No device specified; specify device to rate limit by percentage\n".into());
    };
    let line = |line: &str| if line.is_empty() { String::new() } else { line.trim_end().to_owned() + "\n" };
    let mbit = context.environment.link_speed_mbit(dev).map_err(|error| line(&error))?;
    let malformed = || line("Specified rate value could not be read or is malformed");
    // tc reads these characters alone and passes over what follows: 50%x is 50%.
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '%').unwrap_or(word.len());
    // As strtod in tc, no number is 0.
    let (percent, unit) = split_number(&word[..end]).unwrap_or((0.0, &word[..end]));
    let share = percent / 100.0;
    if share > 1.0 {
        return Err(format!("Invalid rate specified; should be between [0,100]% but is {word}\n"));
    }
    if end == 0 || !matches!(unit, "" | "%") {
        return Err(malformed());
    }
    rate(&format!("{:.6}", share * mbit as f64 * 1e6)).map_err(|_| malformed())
}

/// Reads a size in bytes, and the size of a rate table's cell if there is one
/// after a slash: `32kb/8`. The cell is a power of two; its logarithm is
/// returned. An error holds the value as `tc` then prints it.
pub fn parse_size_and_cell(word: &str) -> Result<(u64, Option<u8>), &str> {
    let Some((size, cell)) = word.split_once('/') else {
        return parse_size64(word).map(|size| (size, None)).map_err(|_| word);
    };
    let bytes = parse_size64(size).map_err(|_| size)?;
    let cell = parse_i32(cell).map_err(|_| size)?.cast_unsigned();
    if cell.is_power_of_two() { Ok((bytes, Some(cell.trailing_zeros() as u8))) } else { Err(word) }
}

#[cfg(test)]
mod tests;
