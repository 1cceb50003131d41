//! Shared parts of several kinds.

use std::time::Duration;

use tc_core::rate::Rate;
use tc_core::units::{TICK_NS, micros, nanos};
use tc_core::words::{WordError, Words};
use tc_core::{Attr, AttrWriter, DecodeError, EncodeError, Kind};

/// Reads the words of a kind without options and without a module in `tc`: none.
pub(crate) fn no_words<K: Kind>(words: &mut Words<'_>) -> Result<Option<K>, WordError> {
    match words.next() {
        None => Ok(None),
        Some(word) => {
            let kind = K::KIND;
            Err(WordError::Kind(format!("Unknown qdisc \"{kind}\", hence option \"{word}\" is unparsable")))
        }
    }
}

/// The kernel's side of a kind without options.
macro_rules! no_options {
    () => {
        fn encode(
            &self,
            _: &tc_core::FillContext,
            _: &mut tc_core::AttrWriter<'_>,
        ) -> Result<tc_core::Fill, tc_core::EncodeError> {
            Ok(tc_core::Fill::Absent)
        }

        fn decode(_: &[u8]) -> Result<Self, tc_core::DecodeError> {
            Ok(Self)
        }
    };
}
pub(crate) use no_options;

/// The people's side of a kind without options.
macro_rules! no_option_words {
    () => {
        fn to_words(&self, _: &mut tc_core::OptionWords<'_>) {}

        fn print(&self, _: &mut tc_core::print::Printer) {}
    };
}
pub(crate) use no_option_words;

/// For words where `tc` takes 0 for not given.
pub(crate) fn not_zero(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number != 0)
}

/// A number from a table of attributes.
pub(crate) fn u32_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<u32>, DecodeError> {
    table[usize::from(kind)].map(|attr| attr.u32()).transpose()
}

/// A switch from a table of attributes: any number but 0 is on.
pub(crate) fn bool_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<bool>, DecodeError> {
    Ok(u32_at(table, kind)?.map(|number| number != 0))
}

/// A time in microseconds from a table of attributes.
pub(crate) fn micros_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<Duration>, DecodeError> {
    Ok(u32_at(table, kind)?.map(of_us))
}

/// Appends a time in microseconds, if there is one; fails if it is too long.
pub(crate) fn attr_micros_if(
    kind: u16,
    field: &str,
    time: Option<Duration>,
    out: &mut AttrWriter<'_>,
) -> Result<(), EncodeError> {
    out.attr_u32_if(kind, time.map(|time| micros(field, time)).transpose()?);
    Ok(())
}

/// A time from microseconds.
pub(crate) fn of_us(us: u32) -> Duration {
    Duration::from_micros(us.into())
}

/// A time in microseconds as it is printed: the most for one that is too long to be sent.
pub(crate) fn in_us(time: Duration) -> u32 {
    micros("", time).unwrap_or(u32::MAX)
}

/// A time from nanoseconds.
pub(crate) fn of_ns(ns: u32) -> Duration {
    Duration::from_nanos(ns.into())
}

/// A time in nanoseconds as it is printed: the most for one that is too long to be sent.
pub(crate) fn in_ns(time: Duration) -> u32 {
    nanos("", time).unwrap_or(u32::MAX)
}

/// A rate for a field of 32 bits.
pub(crate) fn narrow_rate(field: &str, rate: Rate) -> Result<u32, EncodeError> {
    u32::try_from(rate.as_bytes_per_second())
        .map_err(|_| EncodeError::Invalid(format!("{field}: {rate} is above 4294967295 bytes per second")))
}

/// Microseconds in words, without rounding.
pub(crate) fn us(us: u32) -> String {
    format!("{us}us")
}

/// A time as CoDel reports it: it keeps units of 1024 ns.
pub(crate) fn codel_us(us: u32) -> u32 {
    let units = (u64::from(us) * 1000) >> 10;
    ((units << 10) / 1000) as u32
}

/// A target as PIE reports it: it keeps ticks, and dumps 32 bits of nanoseconds.
pub(crate) fn ticks_us(us: u32) -> u32 {
    let ns = u64::from(us) * 1000 / u64::from(TICK_NS) * u64::from(TICK_NS);
    ns as u32 / 1000
}

/// The reported value of a time that is kept in jiffies, rounded up.
pub(crate) fn jiffies_us(us: u32, hz: u32) -> u32 {
    in_jiffies(us, 1_000_000, hz)
}

/// The reported value of a time in milliseconds that is kept in jiffies.
pub(crate) fn jiffies_ms(ms: u32, hz: u32) -> u32 {
    in_jiffies(ms, 1000, hz)
}

fn in_jiffies(time: u32, per_second: u64, hz: u32) -> u32 {
    let hz = u64::from(hz.max(1));
    let jiffies = (u64::from(time) * hz).div_ceil(per_second);
    (jiffies * per_second / hz) as u32
}

/// The number to request so that the kernel reports this one: `report` rounds down
/// by at most two.
pub(crate) fn asked(reported: u32, report: impl Fn(u32) -> u32) -> u32 {
    (reported..=reported.saturating_add(2)).find(|asked| report(*asked) == reported).unwrap_or(reported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_time_is_requested_again() {
        // tc qdisc add ... codel: target 5ms is shown as 4.99ms (Linux 6.1).
        assert_eq!((codel_us(5000), asked(4999, codel_us)), (4999, 5000));
        assert_eq!((ticks_us(5), asked(4, ticks_us), ticks_us(15_000)), (4, 5, 15_000));
        for time in [0, 1, 2, 3, 999, 1000, 4999, 5000, 123_456, 4_000_000] {
            for told in [codel_us, ticks_us] {
                assert_eq!(told(asked(told(time), told)), told(time));
            }
        }
        assert_eq!((jiffies_us(5000, 250), jiffies_us(8000, 250), jiffies_ms(1, 100)), (8000, 8000, 10));
    }
}
