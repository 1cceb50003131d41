//! The controller's numbers, and how they follow from round trip times.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::units::PrintTime;
use tc_core::words::WordError;

use crate::common::{in_us, of_us};

/// The controller that sets the probability of drops and marks. `None` as in
/// [`Dualpi2`](super::Dualpi2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Tuning {
    /// The delay to keep in the classic queue (15 ms).
    pub target: Option<Duration>,
    /// How often the probability is computed (16 ms).
    pub tupdate: Option<Duration>,
    /// Weight of the distance to the target, in 1/256 Hz (41).
    pub alpha_256th_hz: Option<u32>,
    /// Weight of the delay's trend, in 1/256 Hz (819).
    pub beta_256th_hz: Option<u32>,
}

/// Fractions of a hertz: the unit in which alpha and beta are sent.
pub(super) const SCALE: u32 = 256;
/// Most hertz that `tc` takes for alpha and beta.
pub(super) const MOST_HERTZ: f32 = 16_777_215.0;

impl Tuning {
    /// Computes, as `tc` does, the tuning for round trips of at most `max_rtt` and
    /// typically `typical_rtt`. Fails with `tc`'s text if one is out of bounds.
    pub fn for_round_trips(max_rtt: Duration, typical_rtt: Duration) -> Result<Self, WordError> {
        Gains::of(in_us(max_rtt), in_us(typical_rtt)).map(|gains| gains.tuning())
    }
}

/// An alpha or beta as the kernel reports it: it is kept scaled to
/// probabilities and nanoseconds (`dualpi2_scale_alpha_beta` and back).
pub(super) fn as_dumped(parts: u32) -> u32 {
    const MOST: u64 = u32::MAX as u64;
    const BILLION: u64 = 1_000_000_000;
    let scaled = ((u64::from(parts) * MOST) >> 2) / BILLION;
    (((scaled * BILLION) << 2) / MOST) as u32
}

/// Parameters derived from round trip times.
pub(super) struct Gains {
    max_rtt_us: u32,
    typical_rtt_us: u32,
    tupdate_us: u32,
    alpha: f64,
    beta: f64,
}

impl Gains {
    pub(super) fn of(max_rtt_us: u32, typical_rtt_us: u32) -> Result<Self, WordError> {
        let error = |text: String| Err(WordError::Kind(text));
        if typical_rtt_us > max_rtt_us {
            return error("typical_rtt must be <= max_rtt!".into());
        }
        let (max_rtt, third) = (f64::from(max_rtt_us), f64::from(max_rtt_us) / 3.0);
        let tupdate_us = if f64::from(typical_rtt_us) < third { typical_rtt_us } else { third as u32 }.max(1);
        // In tc the constants have 32 bits, and the results 64.
        let alpha = f64::from(tupdate_us) / max_rtt / max_rtt * 1e6 * f64::from(0.1_f32);
        let beta = f64::from(0.3_f32) / max_rtt * 1e6;
        let least = 1.0 / f64::from(SCALE);
        if !beta.is_finite() || beta > f64::from(MOST_HERTZ) {
            let rtt = PrintTime(max_rtt_us);
            return error(format!("max_rtt={rtt} is too low and cause beta to overflow!"));
        }
        if alpha < least || beta < least {
            let rtt = PrintTime(max_rtt_us);
            return error(format!("Large max_rtt={rtt} rounds down alpha={alpha:.6} and/or beta={beta:.6}!"));
        }
        Ok(Self { max_rtt_us, typical_rtt_us, tupdate_us, alpha, beta })
    }

    pub(super) fn tuning(&self) -> Tuning {
        let scaled = |hertz: f64| Some((hertz * f64::from(SCALE)) as u32);
        Tuning {
            target: Some(of_us(self.typical_rtt_us)),
            tupdate: Some(of_us(self.tupdate_us)),
            alpha_256th_hz: scaled(self.alpha),
            beta_256th_hz: scaled(self.beta),
        }
    }

    /// The text of `tc`.
    pub(super) fn said(&self) -> String {
        let Self { alpha, beta, .. } = self;
        let [most, typical, update] = [self.max_rtt_us, self.typical_rtt_us, self.tupdate_us].map(PrintTime);
        format!(
            "Auto-config [max_rtt: {most}, typical_rtt: {typical}]: target={typical} tupdate={update} \
             alpha={alpha:.6} beta={beta:.6}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_follow_from_round_trips() {
        let tuning = Tuning::for_round_trips(Duration::from_millis(100), Duration::from_millis(15)).unwrap();
        let scaled = (tuning.alpha_256th_hz, tuning.beta_256th_hz);
        assert_eq!((tuning.tupdate, scaled), (Some(Duration::from_millis(15)), (Some(38), Some(768))));
    }

    #[test]
    fn round_trips_have_bounds() {
        let text =
            |most, typical| Tuning::for_round_trips(of_us(most), of_us(typical)).unwrap_err().to_string();
        assert_eq!(text(1, 2), "typical_rtt must be <= max_rtt!");
        assert_eq!(text(0, 0), "max_rtt=0us is too low and cause beta to overflow!");
        let large = "Large max_rtt=100s rounds down alpha=0.000300 and/or beta=0.003000!";
        assert_eq!(text(100_000_000, 30_000_000), large);
    }
}
