//! Numbers with units, as `tc` reads and prints them.
//!
//! Rates are bytes per second, sizes are bytes, times are microseconds (or
//! nanoseconds, if the name has `ns`), also where the text has bits or
//! milliseconds.

mod duration;

use std::fmt;

use crate::wire::stack_str::StackStr;

pub use duration::{micros, millis, nanos};

/// A text that is not a number, rate, size or time as `tc` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct UnitError {
    /// The expected form.
    pub expected: &'static str,
}

/// Nanoseconds in one tick of the packet scheduler's clock (`PSCHED_SHIFT` 6 in
/// `net/pkt_sched.h`, since Linux 2.6.31).
pub const TICK_NS: u32 = 64;

/// Ticks in a microsecond.
const TICKS_PER_US: f64 = 1000.0 / TICK_NS as f64;

/// Ticks for a time in microseconds, rounded down and [cut](cut_u32) as `tc`
/// does.
pub fn ticks_from_us(us: u32) -> u32 {
    cut_u32(f64::from(us) * TICKS_PER_US)
}

/// Microseconds for a number of ticks, rounded down as `tc` does.
pub fn us_from_ticks(ticks: u32) -> u32 {
    cut_u32(f64::from(ticks) / TICKS_PER_US)
}

/// Ticks that `bytes` take at `rate` bytes per second, rounded down and
/// [cut](cut_u32) as `tc` does (`tc_calc_xmittime`).
pub fn transmit_ticks(rate: u64, bytes: u32) -> u32 {
    ticks_from_us(cut_u32(transmit_us(rate, bytes)))
}

/// Like [`transmit_ticks`], but `None` if 32 bits cannot hold the result, which
/// is above 274 seconds.
pub fn checked_transmit_ticks(rate: u64, bytes: u32) -> Option<u32> {
    let ticks = transmit_us(rate, bytes).floor() * TICKS_PER_US;
    (ticks < 4_294_967_296.0).then_some(ticks as u32)
}

fn transmit_us(rate: u64, bytes: u32) -> f64 {
    1e6 * (f64::from(bytes) / rate as f64)
}

/// Bytes that pass in `ticks` at `rate` bytes per second, [cut](cut_u32) as `tc`
/// does (`tc_calc_xmitsize`).
pub fn transmit_bytes(rate: u64, ticks: u32) -> u32 {
    cut_u32(rate as f64 * f64::from(us_from_ticks(ticks)) / 1e6)
}

/// Bytes whose transmission at `rate` takes these ticks, as `ticks_of` counts,
/// which must not fall: a round number of them, and not 0. `None` if there are
/// none.
///
/// ```
/// // At 125 kB/s a byte takes 8 us, 125 ticks.
/// let ticks = |bytes| u64::from(bytes) * 125;
/// assert_eq!(tc_core::units::bytes_of_ticks(200_000, ticks), Some(1600));
/// ```
pub fn bytes_of_ticks<T: Ord>(ticks: T, ticks_of: impl Fn(u32) -> T) -> Option<u32> {
    // The first number of bytes that is not below, and the first above.
    let first = |is_reached: &dyn Fn(&T) -> bool| {
        let (mut below, mut reached) = (0u64, 1u64 << 32);
        while reached - below > 1 {
            let middle = u64::midpoint(below, reached);
            match is_reached(&ticks_of(middle as u32)) {
                true => reached = middle,
                false => below = middle,
            }
        }
        reached
    };
    let (least, above) = (first(&|there| *there >= ticks), first(&|there| *there > ticks));
    let round = [1 << 20, 1 << 10, 1000, 100, 10, 1].into_iter();
    let bytes = round.map(|step: u64| least.next_multiple_of(step)).find(|bytes| *bytes < above)?;
    u32::try_from(bytes).ok()
}

/// The whole part of a number in 32 bits. A larger number loses its high bits,
/// as in `tc`, where C converts from `double` to `unsigned int` (seen on x86-64;
/// other machines differ).
pub fn cut_u32(number: f64) -> u32 {
    if number.abs() < 9_223_372_036_854_775_808.0 { number as i64 as u32 } else { 0 }
}

/// Reads a decimal number, an octal one that starts with `0`, or a hexadecimal
/// one that starts with `0x` (`strtoul` in base 0).
pub fn parse_u64(text: &str) -> Result<u64, UnitError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&digits[2..], 16),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (digits, 10),
    };
    parse_digits(digits, radix)
}

fn parse_digits(digits: &str, radix: u32) -> Result<u64, UnitError> {
    let error = UnitError { expected: "a whole number" };
    // from_str_radix would accept another sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(error);
    }
    u64::from_str_radix(digits, radix).map_err(|_| error)
}

/// Reads a number as [`parse_u64`] does, at most `u32::MAX`.
pub fn parse_u32(text: &str) -> Result<u32, UnitError> {
    narrow(parse_u64(text)?)
}

/// Reads a number as [`parse_u64`] does, at most `u16::MAX`.
pub fn parse_u16(text: &str) -> Result<u16, UnitError> {
    narrow(parse_u64(text)?)
}

/// Reads a number as [`parse_u64`] does, at most `u8::MAX`.
pub fn parse_u8(text: &str) -> Result<u8, UnitError> {
    narrow(parse_u64(text)?)
}

/// Reads a number as [`parse_u64`] does, with a sign, in the bounds of `i32`.
pub fn parse_i32(text: &str) -> Result<i32, UnitError> {
    match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with(['+', '-']) => narrow(-i128::from(parse_u64(rest)?)),
        _ => narrow(parse_u64(text)?),
    }
}

/// Reads a decimal number, also one that starts with `0` (`strtol` in base 10).
pub fn parse_decimal<T: TryFrom<i128>>(text: &str) -> Result<T, UnitError> {
    match text.strip_prefix('-') {
        Some(digits) => narrow(-i128::from(parse_digits(digits, 10)?)),
        None => narrow(i128::from(parse_digits(text.strip_prefix('+').unwrap_or(text), 10)?)),
    }
}

/// Reads a hexadecimal number, with or without `0x` (`strtoul` in base 16).
pub fn parse_hex<T: TryFrom<u64>>(text: &str) -> Result<T, UnitError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(digits);
    parse_digits(digits, 16).and_then(narrow)
}

fn narrow<N, T: TryFrom<N>>(number: N) -> Result<T, UnitError> {
    T::try_from(number).map_err(|_| UnitError { expected: "a smaller number" })
}

/// Splits a text into the number that it starts with and the rest, as `strtod`
/// does. `inf` and `nan` are errors.
pub fn split_number(text: &str) -> Option<(f64, &str)> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    if let [b'0', b'x' | b'X', ..] = &bytes[sign..] {
        let from = sign + 2;
        let count = bytes[from..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if let Ok(number) = u64::from_str_radix(&text[from..from + count], 16) {
            let number = number as f64;
            return Some((if bytes[0] == b'-' { -number } else { number }, &text[from + count..]));
        }
    }
    let mut end = sign + digits(sign);
    let mut count = end - sign;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        count += fraction;
        end += 1 + fraction;
    }
    if count == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    text[..end].parse().ok().map(|number| (number, &text[end..]))
}

/// Reads a number with one of these units (in any case), or without one.
fn parse_scaled(text: &str, units: &[(&str, f64)], expected: &'static str) -> Result<f64, UnitError> {
    let error = UnitError { expected };
    let (number, unit) = split_number(text).ok_or(error)?;
    let scale = match unit {
        "" => 1.0,
        unit => units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).ok_or(error)?.1,
    };
    Ok(number * scale)
}

const KIBI: f64 = 1024.0;

const RATES: &[(&str, f64)] = &[
    ("bit", 1.0),
    ("kibit", KIBI),
    ("kbit", 1e3),
    ("mibit", KIBI * KIBI),
    ("mbit", 1e6),
    ("gibit", KIBI * KIBI * KIBI),
    ("gbit", 1e9),
    ("tibit", KIBI * KIBI * KIBI * KIBI),
    ("tbit", 1e12),
    ("bps", 8.0),
    ("kibps", 8.0 * KIBI),
    ("kbps", 8e3),
    ("mibps", 8.0 * KIBI * KIBI),
    ("mbps", 8e6),
    ("gibps", 8.0 * KIBI * KIBI * KIBI),
    ("gbps", 8e9),
    ("tibps", 8.0 * KIBI * KIBI * KIBI * KIBI),
    ("tbps", 8e12),
];

/// Reads a rate in bytes per second: a bare number is bits per second; `bit`
/// and `bps` (bytes) take the prefixes `k m g t` (1000) and `ki mi gi ti`
/// (1024).
///
/// ```
/// use tc_core::units::parse_rate;
/// assert_eq!(parse_rate("1mbit"), Ok(125_000));
/// assert_eq!(parse_rate("1kbps"), Ok(1_000));
/// assert!(parse_rate("1megabit").is_err());
/// ```
pub fn parse_rate(text: &str) -> Result<u64, UnitError> {
    let expected = "a rate such as 10mbit, 1.5gbit or 500kbps";
    let bits = parse_scaled(text, RATES, expected)?;
    whole(bits / 8.0, u64::MAX as f64, expected)
}

/// Reads a rate as [`parse_rate`] does; over `u32::MAX` bytes per second is an
/// error.
pub fn parse_rate32(text: &str) -> Result<u32, UnitError> {
    narrow(parse_rate(text)?)
}

/// A rate in bytes per second in words that [`parse_rate`] reads without
/// rounding, up to 2^53: `8000bit`.
pub fn words_of_rate(rate: u64) -> String {
    match rate.checked_mul(8).filter(|bits| *bits <= 1 << 53) {
        Some(bits) => format!("{bits}bit"),
        None => format!("{rate}bps"),
    }
}

/// A size in words that [`parse_size`] reads without rounding: `1600b`.
pub fn words_of_size(bytes: u32) -> String {
    format!("{bytes}b")
}

const SIZES: &[(&str, f64)] = &[
    ("b", 1.0),
    ("k", KIBI),
    ("kb", KIBI),
    ("kbit", KIBI / 8.0),
    ("m", KIBI * KIBI),
    ("mb", KIBI * KIBI),
    ("mbit", KIBI * KIBI / 8.0),
    ("g", KIBI * KIBI * KIBI),
    ("gb", KIBI * KIBI * KIBI),
    ("gbit", KIBI * KIBI * KIBI / 8.0),
];

/// Reads a size in bytes, at most `u32::MAX`: `b`, `k`, `kb`, `m`, `mb`, `g`,
/// `gb`, and `kbit`, `mbit`, `gbit`, all of them powers of 1024.
pub fn parse_size(text: &str) -> Result<u32, UnitError> {
    let expected = "a size such as 1600, 32kb or 1mb, below 4gb";
    let bytes = parse_scaled(text, SIZES, expected)?;
    // The bound keeps the cast exact.
    whole(bytes, f64::from(u32::MAX), expected).map(|bytes| bytes as u32)
}

/// Reads a size in bytes as [`parse_size`] does, at most 2^53.
pub fn parse_size64(text: &str) -> Result<u64, UnitError> {
    let expected = "a size such as 1600, 32kb or 8gb";
    // The bound keeps the number exact.
    whole(parse_scaled(text, SIZES, expected)?, (1u64 << 53) as f64, expected)
}

const TIMES_US: &[(&str, f64)] = &[
    ("s", 1e6),
    ("sec", 1e6),
    ("secs", 1e6),
    ("ms", 1e3),
    ("msec", 1e3),
    ("msecs", 1e3),
    ("us", 1.0),
    ("usec", 1.0),
    ("usecs", 1.0),
];

/// Reads a time in microseconds: `s`, `ms` or `us`; a bare number is
/// microseconds.
pub fn parse_time_us(text: &str) -> Result<u32, UnitError> {
    let expected = "a time such as 5ms, 20us or 1.5s";
    let us = parse_scaled(text, TIMES_US, expected)?;
    whole(us, f64::from(u32::MAX), expected).map(|us| us as u32)
}

const TIMES_NS: &[(&str, f64)] = &[
    ("s", 1e9),
    ("sec", 1e9),
    ("secs", 1e9),
    ("ms", 1e6),
    ("msec", 1e6),
    ("msecs", 1e6),
    ("us", 1e3),
    ("usec", 1e3),
    ("usecs", 1e3),
    ("ns", 1.0),
    ("nsec", 1.0),
    ("nsecs", 1.0),
];

/// Reads a time in nanoseconds, with a sign: `s`, `ms`, `us` or `ns`; a bare
/// number is nanoseconds.
pub fn parse_time_ns(text: &str) -> Result<i64, UnitError> {
    let expected = "a time such as 5ms, 20us or 100ns";
    let ns = parse_scaled(text, TIMES_NS, expected)?;
    if ns.abs() < i64::MAX as f64 { Ok(ns as i64) } else { Err(UnitError { expected }) }
}

/// Reads a share of one from a percentage, `0` to `100`, with or without `%`.
pub fn parse_percent(text: &str) -> Result<f64, UnitError> {
    let expected = "a percentage from 0 to 100";
    let percent = parse_scaled(text, &[("%", 1.0)], expected)?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err(UnitError { expected }) }
}

/// The whole part of a number that must lie between 0 and `most`.
fn whole(number: f64, most: f64, expected: &'static str) -> Result<u64, UnitError> {
    // One below the next whole number still rounds down into the bounds.
    if number >= 0.0 && number.floor() <= most { Ok(number as u64) } else { Err(UnitError { expected }) }
}

/// A rate in bytes per second, printed in bits: `1500Kbit`, with `iec`
/// `1465Kibit`.
///
/// A prefix is taken while the number stays whole or is at least 1000 units.
#[derive(Clone, Copy, Debug)]
pub struct PrintRate {
    /// Bytes per second.
    pub bytes: u64,
    /// Prefixes of 1024 (`Ki`) instead of 1000 (`K`).
    pub iec: bool,
}

impl PrintRate {
    pub(crate) fn short(self) -> StackStr {
        // tc shifts and loses the high bits in the same way.
        let bits = self.bytes << 3;
        // Division by a constant is a multiplication.
        let (bits, prefix) = if self.iec { prefixed::<1024>(bits) } else { prefixed::<1000>(bits) };
        // tc passes the number through a double, which can round it up to 2^64.
        let text = match bits < 1 << 53 {
            true => StackStr::new().number(bits),
            false => StackStr::new().number(bits as f64 as u128),
        };
        text.str(prefix).str(if self.iec && !prefix.is_empty() { "ibit" } else { "bit" })
    }
}

/// A number in the largest unit that it is printed in.
fn prefixed<const KILO: u64>(mut number: u64) -> (u64, &'static str) {
    let mut prefix = "";
    for next in ["K", "M", "G", "T"] {
        if number < KILO || (!number.is_multiple_of(KILO) && number < 1000 * KILO) {
            break;
        }
        number /= KILO;
        prefix = next;
    }
    (number, prefix)
}

/// A size in bytes, as `tc` prints it: `1600b`, `32Kb`, `1Mb`. A unit is taken
/// when it is off by less than 16 bytes (`Kb`) or 1024 bytes (`Mb`).
#[derive(Clone, Copy, Debug)]
pub struct PrintSize(pub u64);

impl PrintSize {
    pub(crate) fn short(self) -> StackStr {
        let bytes = self.0;
        let near = |unit: u64, off: u64| {
            let units = (bytes + unit / 2) / unit;
            (bytes >= unit && (unit * units).abs_diff(bytes) < off).then_some(units as f64)
        };
        if let Some(units) = near(1 << 20, 1024) {
            StackStr::new().g(units, 6).str("Mb")
        } else if let Some(units) = near(1 << 10, 16) {
            StackStr::new().g(units, 6).str("Kb")
        } else {
            StackStr::new().number(self.0).str("b")
        }
    }
}

/// A time in microseconds, as `tc` prints it: `20us`, `5ms`, `1.5s`.
#[derive(Clone, Copy, Debug)]
pub struct PrintTime(pub u32);

impl PrintTime {
    pub(crate) fn short(self) -> StackStr {
        match f64::from(self.0) {
            us if us >= 1e6 => StackStr::new().g(us / 1e6, 3).str("s"),
            us if us >= 1e3 => StackStr::new().g(us / 1e3, 3).str("ms"),
            _ => StackStr::new().number(self.0).str("us"),
        }
    }
}

/// A time in nanoseconds, as `tc` prints it: `100ns`, `20us`, `5ms`, `1.5s`.
#[derive(Clone, Copy, Debug)]
pub struct PrintTimeNs(pub i64);

impl PrintTimeNs {
    pub(crate) fn short(self) -> StackStr {
        match self.0 as f64 {
            ns if ns >= 1e9 => StackStr::new().g(ns / 1e9, 3).str("s"),
            ns if ns >= 1e6 => StackStr::new().g(ns / 1e6, 3).str("ms"),
            ns if ns >= 1e3 => StackStr::new().g(ns / 1e3, 3).str("us"),
            _ => StackStr::new().number(self.0).str("ns"),
        }
    }
}

/// A number as C prints it with `%.Ng`: at most that many digits (and at most
/// 17), no zeros at the end, an exponent where it is below -4 or has more digits.
#[derive(Clone, Copy, Debug)]
pub struct PrintG(pub f64, pub usize);

impl PrintG {
    pub(crate) fn short(self) -> StackStr {
        StackStr::new().g(self.0, self.1)
    }
}

macro_rules! displayed {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.short().as_str())
            }
        }
    )*};
}

displayed!(PrintRate, PrintSize, PrintTime, PrintTimeNs, PrintG);

#[cfg(test)]
mod tests;
