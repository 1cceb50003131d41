//! A rate of data as a type, so that bits and bytes cannot be mixed up.

use std::fmt;
use std::str::FromStr;

use crate::wire::units::{PrintRate, UnitError, parse_rate};

/// A rate of data, in whole bytes per second.
///
/// ```
/// use tc_core::rate::Rate;
///
/// let rate = Rate::bits_per_second(1_000_000);
/// assert_eq!(rate, Rate::bytes_per_second(125_000));
/// assert_eq!(rate.to_string(), "1Mbit");
/// assert_eq!("1.5mbit".parse(), Ok(Rate::bytes_per_second(187_500)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

impl Rate {
    /// No data at all; most kinds take it for "no rate given".
    pub const ZERO: Self = Self(0);
    /// The highest rate that the kernel can be given.
    pub const MAX: Self = Self(u64::MAX);

    /// A rate in bytes per second.
    pub const fn bytes_per_second(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A rate in bits per second, rounded down to whole bytes as `tc` does.
    pub const fn bits_per_second(bits: u64) -> Self {
        Self(bits / 8)
    }

    /// The rate in bytes per second.
    pub const fn as_bytes_per_second(self) -> u64 {
        self.0
    }

    /// The rate in bits per second.
    pub const fn as_bits_per_second(self) -> u128 {
        self.0 as u128 * 8
    }

    /// Whether the rate is 0.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// As `tc` prints rates: `1500Kbit`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PrintRate { bytes: self.0, iec: false }.fmt(f)
    }
}

/// Reads a rate as `tc` does: see [`parse_rate`].
impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse_rate(text).map(Self)
    }
}
