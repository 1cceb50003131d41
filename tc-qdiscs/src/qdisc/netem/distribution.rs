//! Delay distributions, made from their formulas.
//!
//! The kernel takes a table of the inverse cumulative distribution: it picks
//! a sample at random, multiplies it by the jitter and divides it by 8192. The
//! samples here equal those of the files that iproute2 installs, so that a
//! system without these files behaves the same.

use std::sync::LazyLock;

/// The distributions that need no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distribution {
    /// Evenly spread, as far as the jitter to both sides.
    Uniform,
    /// Gauss's; the jitter is its standard deviation.
    Normal,
    /// Pareto's with exponent 3, shifted to the mean 0.
    Pareto,
    /// A quarter normal, three quarters Pareto's: close to measured networks.
    ParetoNormal,
}

impl Distribution {
    /// The distribution with this name in `tc`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "normal" => Some(Self::Normal),
            "pareto" => Some(Self::Pareto),
            "paretonormal" => Some(Self::ParetoNormal),
            _ => None,
        }
    }

    /// The name of the one that has these samples.
    pub(super) fn of(samples: &[i16]) -> Option<&'static str> {
        let names = ["uniform", "normal", "pareto", "paretonormal"];
        names.into_iter().find(|name| Self::by_name(name).is_some_and(|known| table(known) == samples))
    }
}

const SAMPLES: usize = 4096;
/// `NETEM_DIST_SCALE`.
const SCALE: f64 = 8192.0;

/// The samples of a distribution, 4096 of them, in ascending order, scaled by
/// 8192.
///
/// ```
/// use tc_qdiscs::netem::{Distribution, table};
///
/// let normal = table(Distribution::Normal);
/// assert_eq!((normal.len(), normal[2048]), (4096, 0));
/// ```
pub fn table(distribution: Distribution) -> Vec<i16> {
    match distribution {
        Distribution::Uniform => (0..SAMPLES).map(uniform).collect(),
        Distribution::Normal => NORMAL.iter().map(|sample| clamp(*sample)).collect(),
        Distribution::Pareto => (0..SAMPLES).map(|n| clamp(pareto(n))).collect(),
        Distribution::ParetoNormal => NORMAL
            .iter()
            .enumerate()
            // The files' numbers are cut, not rounded.
            .map(|(n, normal)| clamp(((normal + 3.0 * pareto(n)) / 4.0).trunc()))
            .collect(),
    }
}

/// The nearest that 16 bits hold.
fn clamp(sample: f64) -> i16 {
    sample as i16
}

/// The middle of the nth of equal steps from -1 to 1.
fn uniform(n: usize) -> i16 {
    clamp(SCALE * ((2 * n + 1) as f64 / SAMPLES as f64 - 1.0))
}

/// Where a share 1 - n/4096 of all values lies above.
fn pareto(n: usize) -> f64 {
    const EXPONENT: f64 = 3.0;
    let above = 1.0 - n as f64 / SAMPLES as f64;
    // The mean of the values is 3/2, their standard deviation √3/2; 3/4 has
    // become customary for it.
    let value = (above.powf(-1.0 / EXPONENT) - 1.5) / 0.75;
    (value * SCALE).min(f64::from(i16::MAX)).round_ties_even()
}

static NORMAL: LazyLock<Vec<f64>> = LazyLock::new(normal);

/// Where the area under the bell reaches each share, summed up in small steps.
fn normal() -> Vec<f64> {
    const STEP: f64 = 0.000_05;
    // The files have every fourth of 16384 parts, each up to the last step that
    // still rounds to it.
    const PARTS: f64 = 16384.0;
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let mut samples = Vec::with_capacity(SAMPLES);
    let (mut below, mut steps) = (0.0, 0u32);
    let at = |steps: u32| f64::from(steps) * STEP - 10.0;
    for n in 0..SAMPLES {
        let bound = ((4 * n) as f64 + 0.5) / PARTS;
        loop {
            // Simpson's rule for the area of one step.
            let x = at(steps);
            let area = (density(x) + 4.0 * density(x + STEP / 2.0) + density(x + STEP)) * STEP / 6.0;
            if below + area > bound {
                break;
            }
            below += area;
            steps += 1;
        }
        samples.push((at(steps) * SCALE).round_ties_even());
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_ascend_and_have_the_moments_of_their_distribution() {
        for (distribution, mean, deviation) in
            [(Distribution::Uniform, 0.0, 1.0 / f64::sqrt(3.0)), (Distribution::Normal, 0.0, 1.0)]
        {
            let table = table(distribution);
            assert!(table.is_sorted() && table.len() == SAMPLES);
            let values: Vec<f64> = table.iter().map(|sample| f64::from(*sample) / SCALE).collect();
            let average = values.iter().sum::<f64>() / SAMPLES as f64;
            let variance = values.iter().map(|value| (value - average).powi(2)).sum::<f64>() / SAMPLES as f64;
            assert!((average - mean).abs() < 0.001, "{distribution:?}: mean {average}");
            assert!((variance.sqrt() - deviation).abs() < 0.01, "{distribution:?}: {}", variance.sqrt());
        }
    }

    /// Some samples of iproute2's files, from all parts of them.
    #[test]
    fn samples_are_those_of_the_installed_files() {
        for (distribution, samples) in [
            (Distribution::Normal, [(0, -32768), (1, -28307), (7, -23937), (31, -19887)]),
            (Distribution::Pareto, [(0, -5461), (1, -5460), (3, -5459), (31, -5434)]),
            (Distribution::ParetoNormal, [(0, -12305), (1, -11171), (7, -10075), (31, -9047)]),
        ] {
            let table = table(distribution);
            for (at, sample) in samples {
                assert_eq!(table[at], sample, "{distribution:?} {at}");
            }
        }
    }

    #[test]
    fn every_name_is_known() {
        for name in ["uniform", "normal", "pareto", "paretonormal"] {
            assert!(Distribution::by_name(name).is_some());
        }
        assert_eq!(Distribution::by_name("experimental"), None);
    }
}
