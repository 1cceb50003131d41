//! The arithmetic by which red, choke, gred and sfq derive the kernel's parameters
//! from a description of the traffic. C's conversions of numbers are kept, so that the bytes
//! are those of `tc`.

use tc_core::OptionWords;
use tc_core::units::{TICK_NS, cut_u32, split_number, transmit_ticks, words_of_rate};
use tc_core::words::{WordError, Words, WordsContext};

use super::Damping;

/// A description of the traffic: the average queue lengths in bytes at which
/// drops begin and at which all packets are dropped, and the packets.
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

    /// The default burst of `tc`. `unit` is the unit of min and max.
    pub(crate) fn usual_burst(min: u32, max: u32, unit: u32) -> u32 {
        let packets = min.wrapping_mul(2).wrapping_add(max);
        packets.checked_div(unit.wrapping_mul(3)).unwrap_or(0)
    }

    /// The probability as a fixed-point number with 32 fractional bits.
    pub(crate) fn probability_32(&self) -> u32 {
        cut_u32(self.probability * 4_294_967_296.0)
    }
}

impl Curve {
    /// Lengths for packets of this size; how much each counts is still open.
    pub(crate) const fn between(min: u32, max: u32, average_packet: u32) -> Self {
        Self { min, max, burst: 0, average_packet, probability: 0.0 }
    }

    /// The least burst for which a packet counts this much.
    fn burst_for(self, average_log: u8) -> Option<Self> {
        let log = |burst: u32| {
            let curve = Self { burst, ..self };
            // Too small a burst is below all logarithms, and too large a one above.
            let room = f64::from(burst) + 1.0 - f64::from(self.min) / f64::from(self.average_packet);
            if room < 1.0 { 0 } else { curve.average_log().unwrap_or(u8::MAX) }
        };
        let (mut below, mut enough) = (0u32, u32::MAX);
        while enough - below > 1 {
            let middle = u32::midpoint(below, enough);
            match log(middle) >= average_log {
                true => enough = middle,
                false => below = middle,
            }
        }
        (log(enough) == average_log).then_some(Self { burst: enough, ..self })
    }
}

/// Parameters in the words of red that a dump lacks.
pub(crate) const NOT_DUMPED: [&str; 1] =
    ["the damping table: avpkt, burst and bandwidth beyond their logarithms"];

/// The kernel's parameters for a described traffic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) average_log: u8,
    pub(crate) probability_log: u8,
    /// `None` where it is not sent.
    pub(crate) cell_log: Option<u8>,
    pub(crate) max_probability: Option<u32>,
    /// Whether the kernel goes on to change the probability, and not its
    /// logarithm.
    pub(crate) adaptive: bool,
}

impl Kept {
    /// Writes words for a traffic that leads to the same parameters. `curve_of` has
    /// the lengths, for packets of a size.
    pub(crate) fn to_words(self, curve_of: impl Fn(u32) -> Curve, out: &mut OptionWords<'_>) {
        // The kept parameters are compared.
        out.silent("ewma", self.average_log);
        out.silent("Scell_log", self.cell_log.unwrap_or_default());
        let probability = self.probability();
        match self.adaptive {
            true => out.not_dumped("probability", format!("probability {probability}")),
            false => out.say("probability", probability),
        }
        let Some((curve, bandwidth)) = self.traffic(curve_of) else {
            return out.cannot_say(&format!(
                "avpkt, burst and bandwidth for ewma {}, Plog {} and Scell_log {}",
                self.average_log,
                self.probability_log,
                self.cell_log.unwrap_or_default()
            ));
        };
        out.not_dumped("avpkt", format!("avpkt {}b", curve.average_packet));
        out.not_dumped("burst", format!("burst {}", curve.burst));
        if self.cell_log.is_some() {
            out.not_dumped("bandwidth", format!("bandwidth {}", words_of_rate(bandwidth.into())));
        }
    }

    /// A damping table for such a traffic. Dumps have none, and the kernel
    /// requires one with every change.
    pub(crate) fn damping(self, curve_of: impl Fn(u32) -> Curve) -> Option<Damping> {
        let (curve, bandwidth) = self.traffic(curve_of)?;
        damping("", self.average_log, curve.average_packet, bandwidth).ok().map(|(_, table)| table)
    }

    fn probability(&self) -> f64 {
        f64::from(self.max_probability.unwrap_or_default()) / 4_294_967_296.0
    }

    fn traffic(self, curve_of: impl Fn(u32) -> Curve) -> Option<(Curve, u32)> {
        if self.average_log >= 32 {
            return None;
        }
        let usual = [1000, 500, 1500].into_iter();
        usual.chain((0..24).map(|log| 1 << log)).find_map(|packet| {
            let curve = Curve { probability: self.probability(), ..curve_of(packet) };
            if !self.adaptive && curve.probability_log() != Some(self.probability_log) {
                return None;
            }
            Some((curve.burst_for(self.average_log)?, self.bandwidth(packet)?))
        })
    }

    /// A bandwidth for which the steps of the damping table are as large as they
    /// are.
    fn bandwidth(self, average_packet: u32) -> Option<u32> {
        let Some(cell_log) = self.cell_log else { return Some(0) };
        let is_right = |bandwidth: &u32| {
            *bandwidth != 0
                && damping("", self.average_log, average_packet, *bandwidth)
                    .is_ok_and(|(found, _)| found == cell_log)
        };
        let usual = [1_250_000, 12_500_000, 125_000_000, 1_250_000_000, 125_000];
        // The table ends at 31 halvings, which take between 256 and 512 steps.
        let fall = -(1.0 - 0.5f64.powi(self.average_log.into())).ln();
        let steps = 2f64.powi(cell_log.into()) * fall / 31.0;
        let exact = [384.0, 300.0, 450.0, 500.0, 200.0, 100.0].map(|count| {
            let seconds = count * steps * f64::from(TICK_NS) / 1e9;
            cut_u32(f64::from(average_packet) / seconds)
        });
        usual.into_iter().chain(exact).find(is_right)
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

/// Reads a probability. Like `scanf`, tc skips the text after a number. tc also
/// accepts any number, with meaningless results.
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
    fn impossible_traffic_has_tcs_text() {
        let text = |curve: Curve| curve.logs("RED", &WordsContext::new(Verb::Add)).unwrap_err().to_string();
        assert_eq!(
            text(Curve { burst: 1, ..CURVE }),
            "tc_red_eval_ewma() burst 1 is too small ? Try burst 31\nRED: failed to calculate EWMA constant."
        );
        assert_eq!(text(Curve { max: 20_000, ..CURVE }), "RED: failed to calculate probability.");
        assert_eq!(text(Curve { average_packet: 0, ..CURVE }), "RED: failed to calculate EWMA constant.");
    }
}
