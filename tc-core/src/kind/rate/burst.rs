//! Bursts: bytes for people, times on the wire.

use std::fmt;

use super::{Rate, RateSpec};
use crate::wire::units::TICK_NS;

/// The size of a token bucket, in bytes.
///
/// The kernel keeps a bucket as the time that its bytes take at the bucket's
/// rate, in ticks of 64 ns. A burst from a dump keeps this time privately and
/// sends it again while the rate is unchanged. At another rate the time is
/// computed from the bytes and rounded up.
///
/// ```
/// use tc_core::rate::{Burst, Rate};
///
/// // 1600 bytes at 100 Mbit/s, as a dump has them: 2000 ticks.
/// let read = Burst::from_time(2000, Rate::bits_per_second(100_000_000));
/// assert_eq!(read.as_bytes(), 1600);
/// // The bytes stay when the rate changes.
/// assert_eq!(read.time(Rate::bits_per_second(1_000_000)), Some(200_000));
/// ```
#[derive(Clone, Copy)]
pub struct Burst {
    /// Known bytes. `None` computes them from the time.
    bytes: Option<u64>,
    time: Option<Time>,
}

/// A time and the rate for which it holds.
#[derive(Clone, Copy)]
struct Time {
    ticks: u32,
    clock: Clock,
}

/// How bytes make ticks.
#[derive(Clone, Copy, PartialEq)]
enum Clock {
    /// The sender computes them, and the kernel keeps the ticks (htb).
    Sent(Rate),
    /// The kernel computes them from bytes, and dumps the ticks (tbf).
    Kernel(RateSpec),
}

impl Burst {
    /// A burst of this size.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bytes: Some(bytes), time: None }
    }

    /// The size in bytes. Above 125 Mbit/s a tick is longer than a byte: a
    /// burst from a dump then has the roundest number of bytes that fits.
    pub fn as_bytes(&self) -> u64 {
        match (self.bytes, self.time) {
            (Some(bytes), _) => bytes,
            (None, Some(Time { ticks, clock })) => clock.bytes(ticks),
            (None, None) => 0,
        }
    }

    /// A burst from the time in a dump of a kind that sends times.
    pub const fn from_time(ticks: u32, rate: Rate) -> Self {
        Self { bytes: None, time: Some(Time { ticks, clock: Clock::Sent(rate) }) }
    }

    /// Sets the time, rounded by the caller, at this rate.
    #[must_use]
    pub const fn with_time(self, ticks: u32, rate: Rate) -> Self {
        Self { time: Some(Time { ticks, clock: Clock::Sent(rate) }), ..self }
    }

    /// Ticks to send at this rate, rounded up to at least 1 for a burst of a
    /// byte. `None` if 32 bits cannot hold them, above 274 seconds.
    pub fn time(&self, rate: Rate) -> Option<u32> {
        let clock = Clock::Sent(rate);
        self.kept(clock).or_else(|| u32::try_from(ticks_up(self.as_bytes(), rate)).ok())
    }

    /// A burst from the time in a message of a kind that sends bytes; `bytes`
    /// are those beside it, which only requests have.
    pub fn from_kernel_time(ticks: u32, spec: &RateSpec, bytes: Option<u32>) -> Self {
        let time = Time { ticks, clock: Clock::kernel(spec) };
        Self { bytes: bytes.map(u64::from), time: Some(time) }
    }

    /// Ticks and bytes to send for a kind whose kernel prefers the bytes.
    ///
    /// At the rate of the dump these are the most bytes that take the dumped
    /// time, so that no packet is dropped that fitted before. No bytes are sent
    /// if none take this time. `None` if 32 bits cannot hold the bytes.
    pub fn kernel_time(&self, spec: &RateSpec) -> Option<(u32, Option<u32>)> {
        let clock = Clock::kernel(spec);
        if let (Some(ticks), None) = (self.kept(clock), self.bytes) {
            return Some((ticks, clock.most_bytes(ticks)));
        }
        let bytes = u32::try_from(self.as_bytes()).ok()?;
        Some((self.printed_time(spec), Some(bytes)))
    }

    /// The ticks of [`Burst::kernel_time`] alone.
    pub fn printed_time(&self, spec: &RateSpec) -> u32 {
        let ticks = || ticks_up(self.as_bytes(), spec.rate).try_into().unwrap_or(u32::MAX);
        self.kept(Clock::kernel(spec)).unwrap_or_else(ticks)
    }

    /// Ticks that a dump has after this burst was set.
    pub fn dumped_time(&self, spec: &RateSpec) -> u32 {
        match (self.kept(Clock::kernel(spec)), self.bytes) {
            (Some(ticks), None) => ticks,
            // Kernel: cut to 32 bits.
            _ => spec.kernel_ticks(u32::try_from(self.as_bytes()).unwrap_or(u32::MAX)) as u32,
        }
    }

    /// Bytes of a burst in words: known ones, or the roundest that take the
    /// dumped time. `None` if no number takes it.
    pub fn bytes_in_words(&self) -> Option<u64> {
        match (self.bytes, self.time) {
            (None, Some(Time { ticks, clock })) => {
                Some(clock.bytes(ticks)).filter(|bytes| clock.ticks(*bytes) == ticks.into())
            }
            _ => self.bytes,
        }
    }

    fn kept(&self, clock: Clock) -> Option<u32> {
        self.time.filter(|time| time.clock == clock).map(|time| time.ticks)
    }
}

impl From<u32> for Burst {
    fn from(bytes: u32) -> Self {
        Self::bytes(bytes.into())
    }
}

impl From<u64> for Burst {
    fn from(bytes: u64) -> Self {
        Self::bytes(bytes)
    }
}

/// Bursts are equal if their bytes are.
impl PartialEq for Burst {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Burst {}

impl fmt::Debug for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut burst = f.debug_struct("Burst");
        burst.field("bytes", &self.as_bytes());
        if let Some(time) = self.time {
            burst.field("ticks", &time.ticks);
        }
        burst.finish()
    }
}

/// Above all bytes that a burst can have.
const MOST_SENT: u64 = 1 << 63;

impl Clock {
    fn kernel(spec: &RateSpec) -> Self {
        let mut plain = RateSpec::new(spec.rate);
        (plain.overhead, plain.mpu, plain.linklayer) = (spec.overhead, spec.mpu, spec.linklayer);
        Self::Kernel(plain)
    }

    fn ticks(self, bytes: u64) -> u128 {
        match self {
            Self::Sent(rate) => ticks_up(bytes, rate),
            Self::Kernel(spec) => spec.kernel_ticks(u32::try_from(bytes).unwrap_or(u32::MAX)).into(),
        }
    }

    /// The first number of bytes that takes longer than this.
    fn first_above(self, ticks: u128) -> u64 {
        match self {
            // Rounded up: `bytes * 10^9 > ticks * rate * TICK_NS`.
            Self::Sent(rate) if !rate.is_zero() => {
                let per_tick = u128::from(rate.as_bytes_per_second()) * u128::from(TICK_NS);
                let bytes = ticks.saturating_mul(per_tick) / 1_000_000_000;
                u64::try_from(bytes).map_or(MOST_SENT, |bytes| bytes.saturating_add(1).min(MOST_SENT))
            }
            Self::Sent(_) => self.search(ticks, MOST_SENT),
            Self::Kernel(_) => self.search(ticks, 1 << 32),
        }
    }

    fn search(self, ticks: u128, most: u64) -> u64 {
        let (mut below, mut first) = (0, most);
        while first - below > 1 {
            let middle = u64::midpoint(below, first);
            match self.ticks(middle) > ticks {
                true => first = middle,
                false => below = middle,
            }
        }
        first
    }

    /// The roundest number of bytes that takes this time, or else the first
    /// number that takes longer.
    fn bytes(self, ticks: u32) -> u64 {
        if let (0, Self::Sent(_)) = (ticks, self) {
            return 0;
        }
        let least = ticks.checked_sub(1).map_or(1, |below| self.first_above(below.into()));
        let most = self.first_above(self.ticks(least)) - 1;
        let round = [1 << 20, 1000, 1 << 10, 100, 10, 1].into_iter();
        if ticks == 0 {
            return most;
        }
        // The end of the range from which the time was rounded.
        let multiple = |step: u64| match self {
            Self::Sent(_) => most / step * step,
            Self::Kernel(_) => least.next_multiple_of(step),
        };
        round.map(multiple).find(|bytes| (least..=most).contains(bytes)).unwrap_or(least)
    }

    fn most_bytes(self, ticks: u32) -> Option<u32> {
        let most = self.first_above(ticks.into()) - 1;
        u32::try_from(most).ok().filter(|most| *most != 0 && self.ticks((*most).into()) == ticks.into())
    }
}

/// Ticks that the bytes take at a rate, rounded up.
fn ticks_up(bytes: u64, rate: Rate) -> u128 {
    let (bytes, rate) = (u128::from(bytes), u128::from(rate.as_bytes_per_second()));
    match rate {
        0 => {
            if bytes == 0 {
                0
            } else {
                u128::MAX
            }
        }
        rate => (bytes * 1_000_000_000).div_ceil(rate * u128::from(TICK_NS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_above_a_time_are_computed_as_searched() {
        let rates = [1, 7, 125, 125_000, 12_500_000, 1_250_000_000, 100_000_000_000, u64::MAX];
        let ticks =
            [0, 1, 2, 15, 1000, 15_625, 1 << 20, (1 << 32) - 1, u128::from(u64::MAX), 1 << 100, u128::MAX];
        for rate in rates {
            let clock = Clock::Sent(Rate::bytes_per_second(rate));
            for ticks in ticks {
                assert_eq!(clock.first_above(ticks), clock.search(ticks, MOST_SENT), "{ticks} at {rate}");
            }
        }
        assert_eq!(Clock::Sent(Rate::ZERO).first_above(u128::MAX), MOST_SENT);
    }
}
