//! The rate estimator of a qdisc or class (`TCA_RATE`).

use std::time::Duration;

use crate::kind::words::{WordError, Words, is_prefix};
use crate::wire::attr::AttrWriter;
use crate::wire::uapi::TCA_RATE;
use crate::wire::units::parse_time_us;

/// How the kernel measures a rate: `struct tc_estimator`. The result is in
/// [`Stats::rate`](crate::wire::stats::Stats::rate).
///
/// ```
/// use std::time::Duration;
/// use tc_core::Estimator;
///
/// // A sample each second, averaged over 8 seconds.
/// let estimator = Estimator::new(Duration::from_secs(1), Duration::from_secs(8));
/// assert_eq!(estimator, Some(Estimator { interval: 0, ewma_log: 3 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimator {
    /// The time between samples is 2^interval seconds, from -2 (250 ms) to 3
    /// (8 s).
    pub interval: i8,
    /// Weight of a new sample: 2^-ewma_log.
    pub ewma_log: u8,
}

impl Estimator {
    /// The estimator that samples at each `interval` and averages over about
    /// `time_constant`. The interval is rounded up to one that the kernel has;
    /// `None` where it has none.
    pub fn new(interval: Duration, time_constant: Duration) -> Option<Self> {
        let shortest = Duration::from_millis(250);
        let (interval_s, time_constant_s) = (interval.as_secs_f64(), time_constant.as_secs_f64());
        let interval = (0..=5).find(|n| interval <= shortest * (1 << n))?;
        let weighs_enough = |log: &u32| {
            let rest = 1.0 - 1.0 / f64::from(1u32 << log);
            interval_s / -rest.ln() > time_constant_s
        };
        let ewma_log = (1..32).find(weighs_enough).unwrap_or(32) - 1;
        (1..31).contains(&ewma_log).then_some(Self { interval: interval - 2, ewma_log: ewma_log as u8 })
    }

    /// Reads `INTERVAL TIME_CONSTANT` after the word `estimator`.
    pub fn parse_words(words: &mut Words<'_>) -> Result<Self, WordError> {
        let mut time = |wrong: &str| {
            let word = words.value()?;
            if is_prefix(word, "help") {
                return Err(WordError::KindUsage(USAGE.trim_end().to_owned()));
            }
            parse_time_us(word)
                .map(|us| Duration::from_micros(us.into()))
                .map_err(|_| WordError::invalid("estimator", wrong))
        };
        let interval = time("invalid estimator interval")?;
        let time_constant = time("invalid estimator time constant")?;
        Self::new(interval, time_constant)
            .ok_or_else(|| WordError::Kind("Error: estimator parameters are out of range.".into()))
    }

    pub(crate) fn encode(self, out: &mut AttrWriter<'_>) {
        let [interval] = self.interval.to_ne_bytes();
        out.attr(TCA_RATE, &[interval, self.ewma_log]);
    }
}

const USAGE: &str = "Usage: ... estimator INTERVAL TIME-CONST
  INTERVAL is interval between measurements
  TIME-CONST is averaging time constant
Example: ... est 1sec 8sec
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_the_nearest_powers_of_two() {
        let ms = Duration::from_millis;
        assert_eq!(Estimator::new(ms(1_000), ms(8_000)), Some(Estimator { interval: 0, ewma_log: 3 }));
        assert_eq!(Estimator::new(ms(250), ms(500)), Some(Estimator { interval: -2, ewma_log: 1 }));
        assert_eq!(Estimator::new(ms(9_000), ms(20_000)), None, "the longest interval is 8 s");
        assert_eq!(Estimator::new(ms(1_000), Duration::ZERO), None);
    }

    #[test]
    fn words_that_are_no_times_have_tcs_text() {
        let read = |words: &[&str]| Estimator::parse_words(&mut Words::new(words)).unwrap_err().to_string();
        assert_eq!(read(&["x"]), "Error: argument \"invalid estimator interval\" is wrong: estimator");
        assert_eq!(read(&["1s"]), WordError::Incomplete.to_string());
        assert_eq!(read(&["9s", "20s"]), "Error: estimator parameters are out of range.");
    }
}
