//! What red, choke, gred and sfq compute for the kernel from what people know
//! about their traffic. C's conversions of numbers are kept, so that the bytes
//! are those of `tc`.

use tc_core::units::{cut_u32, split_number, transmit_ticks};
use tc_core::words::{WordError, Words, WordsContext};

use super::Damping;

/// The queue's average length in bytes at which packets are dropped at all, and
/// at which all are, and what passes through it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) burst: u32,
    pub(crate) average_packet: u32,
    pub(crate) probability: f64,
}

/// Powers of two for the kernel's shifts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logs {
    pub(crate) average: u8,
    pub(crate) probability: u8,
}

impl Curve {
    /// Computes both logarithms; `name` stands before the texts, and `warn`
    /// takes one.
    pub(crate) fn logs(&self, name: &str, context: &WordsContext<'_>) -> Result<Logs, WordError> {
        let failed =
            |lines: &str, what| WordError::Kind(format!("{lines}{name}: failed to calculate {what}."));
        let average = self.average_log().map_err(|lines| failed(&lines, "EWMA constant"))?;
        if average >= 10 {
            let burst = self.burst;
            context.environment.warn(&format!("{name}: WARNING. Burst {burst} seems to be too large."));
        }
        let probability = self.probability_log().ok_or_else(|| failed("", "probability"))?;
        Ok(Logs { average, probability })
    }

    /// How much a packet counts in the average, such that a burst passes:
    /// `burst + 1 - min/avpkt < (1 - (1 - W)^burst) / W`.
    fn average_log(&self) -> Result<u8, String> {
        if self.average_packet == 0 {
            // tc divides by it, and at times crashes.
            return Err(String::new());
        }
        let burst = f64::from(self.burst);
        let room = burst + 1.0 - f64::from(self.min) / f64::from(self.average_packet);
        if room < 1.0 {
            let enough = 1 + self.min / self.average_packet;
            let burst = self.burst;
            return Err(format!("tc_red_eval_ewma() burst {burst} is too small ? Try burst {enough}\n"));
        }
        let mut weight = 0.5f64;
        for log in 1..32 {
            if room <= (1.0 - (1.0 - weight).powf(burst)) / weight {
                return Ok(log);
            }
            weight /= 2.0;
        }
        Err(String::new())
    }

    /// `log2` of the probability over the distance between min and max.
    fn probability_log(&self) -> Option<u8> {
        let distance = self.max.wrapping_sub(self.min).cast_signed();
        if distance == 0 {
            return Some(0);
        }
        if distance < 0 {
            return None;
        }
        let mut probability = self.probability / f64::from(distance);
        for log in 0..32 {
            if probability > 1.0 {
                return Some(log);
            }
            probability *= 2.0;
        }
        None
    }

    /// The burst that `tc` chooses if none is given. `unit` is what min and max
    /// are counted in.
    pub(crate) fn usual_burst(min: u32, max: u32, unit: u32) -> u32 {
        let packets = min.wrapping_mul(2).wrapping_add(max);
        packets.checked_div(unit.wrapping_mul(3)).unwrap_or(0)
    }

    /// The probability as 32 bits behind the point.
    pub(crate) fn probability_32(&self) -> u32 {
        cut_u32(self.probability * 4_294_967_296.0)
    }
}

/// How fast the average falls while nothing comes, for a link of this speed:
/// the size of a step as a logarithm, and the shift for each number of steps.
pub(crate) fn damping(
    name: &str,
    average_log: u8,
    average_packet: u32,
    bytes_per_second: u32,
) -> Result<(u8, Damping), WordError> {
    let ticks = f64::from(transmit_ticks(bytes_per_second.into(), average_packet));
    // C: an int, whose highest bit is the sign.
    let power = |log: u8| f64::from((1u32 << log).cast_signed());
    let fall = -(1.0 - 1.0 / power(average_log)).ln() / ticks;
    let longest = 31.0 / fall;
    let cell_log = (0..32u8).find(|log| longest / power(*log) < 512.0);
    let failed = || WordError::Kind(format!("{name}: failed to calculate idle damping table."));
    let cell_log = cell_log.ok_or_else(failed)?;
    let mut table = [0; 256];
    for (step, shift) in (0u32..).zip(&mut table).skip(1) {
        let exact = f64::from((step << cell_log).cast_signed()) * fall;
        // C: to int, and then cut to 8 bits.
        *shift = if exact.abs() < 2_147_483_648.0 { (exact as i32 as u8).min(31) } else { 0 };
    }
    table[255] = 31;
    Ok((cell_log, Damping(table)))
}

/// Reads a probability. As `scanf`, tc passes over what follows a number; unlike
/// here it takes any number, and computes nonsense of it.
pub(crate) fn parse_probability(words: &mut Words<'_>) -> Result<f64, WordError> {
    let number = split_number(words.value()?).map(|(number, _)| number);
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| WordError::Kind("Illegal \"probability\"".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    const CURVE: Curve =
        Curve { min: 30_000, max: 90_000, burst: 55, average_packet: 1000, probability: 0.02 };

    #[test]
    fn logarithms_are_tcs() {
        let logs = CURVE.logs("RED", &WordsContext::new(Verb::Add)).unwrap();
        assert_eq!((logs.average, logs.probability), (5, 22));
        let (cell_log, table) = damping("RED", logs.average, 1000, 1_250_000).unwrap();
        assert_eq!((cell_log, table.0[1], table.0[255]), (15, 0, 31));
    }

    #[test]
    fn a_probability_is_a_share_of_one() {
        let parse = |word| parse_probability(&mut Words::new(&[word]));
        assert_eq!((parse("0.5x"), parse("1")), (Ok(0.5), Ok(1.0)));
        assert!(parse("1.5").is_err() && parse("-0.1").is_err());
    }

    #[test]
    fn what_cannot_be_has_tcs_text() {
        let text = |curve: Curve| curve.logs("RED", &WordsContext::new(Verb::Add)).unwrap_err().to_string();
        assert_eq!(
            text(Curve { burst: 1, ..CURVE }),
            "tc_red_eval_ewma() burst 1 is too small ? Try burst 31\nRED: failed to calculate EWMA constant."
        );
        assert_eq!(text(Curve { max: 20_000, ..CURVE }), "RED: failed to calculate probability.");
        assert_eq!(text(Curve { average_packet: 0, ..CURVE }), "RED: failed to calculate EWMA constant.");
    }
}
