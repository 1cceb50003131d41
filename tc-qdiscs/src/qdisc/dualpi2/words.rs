//! Words.

use std::time::Duration;

use tc_core::OptionWords;
use tc_core::units::{parse_decimal, parse_i32, parse_percent, parse_time_us, split_number};
use tc_core::words::{WordError, Words, WordsContext};

use super::tuning::{Gains, MOST_HERTZ, SCALE, as_dumped};
use super::{Dualpi2, EcnMask};
use crate::common::{asked, in_us, not_zero, of_us, us};

pub(super) const USAGE: &str = "\
Usage: ... dualpi2
               [limit PACKETS]
               [memlimit BYTES]
               [coupling_factor NUMBER]
               [step_thresh TIME|PACKETS]
               [min_qlen_step PACKETS]
               [drop_on_overload|overflow]
               [drop_enqueue|drop_dequeue]
               [classic_protection PERCENTAGE]
               [max_rtt TIME [typical_rtt TIME]]
               [target TIME] [tupdate TIME]
               [alpha ALPHA] [beta BETA]
               [split_gso|no_split_gso]
";

/// Where `typical_rtt` is not given, it is the longest by this number, and the
/// other way round.
const MAX_BY_TYPICAL: u32 = 6;

pub(super) fn parse(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Dualpi2, WordError> {
    let mut options = Dualpi2::default();
    let (mut max_rtt, mut typical_rtt) = (None, None);
    while let Some(word) = words.next() {
        let illegal = |_: &str| format!("Illegal \"{word}\"");
        let tuning = &mut options.tuning;
        match word {
            "limit" => options.limit_packets = not_zero(words.parse(parse_decimal, illegal)?),
            "memlimit" => options.memory_limit_bytes = not_zero(words.parse(parse_decimal, illegal)?),
            "target" => tuning.target = not_zero(words.parse(parse_time_us, illegal)?).map(of_us),
            "tupdate" => tuning.tupdate = not_zero(words.parse(parse_time_us, illegal)?).map(of_us),
            "alpha" => tuning.alpha_256th_hz = Some(parse_hertz(word, words, context)?),
            "beta" => tuning.beta_256th_hz = Some(parse_hertz(word, words, context)?),
            "coupling_factor" => {
                let factor = u8::try_from(words.parse(parse_i32, illegal)?);
                options.coupling_factor = Some(factor.map_err(|_| WordError::Kind(illegal("")))?);
            }
            "l4s_ect" => options.ecn_mask = Some(EcnMask::L4S),
            "any_ect" => options.ecn_mask = Some(EcnMask::ANY),
            "step_thresh" => parse_threshold(words, &mut options)?,
            "min_qlen_step" => {
                options.min_qlen_step_packets = Some(words.parse(parse_decimal, illegal)?);
            }
            "overflow" => options.drop_on_overload = Some(false),
            "drop_on_overload" => options.drop_on_overload = Some(true),
            "drop_enqueue" => options.drop_early = Some(true),
            "drop_dequeue" => options.drop_early = Some(false),
            "split_gso" => options.split_gso = Some(true),
            "no_split_gso" => options.split_gso = Some(false),
            "classic_protection" => {
                // A share of 0 to 1, so that the percents fit.
                let percent = (words.parse(parse_percent, illegal)? * 100.0).round_ties_even();
                options.classic_protection_percent = Some(percent as u8);
            }
            "max_rtt" => max_rtt = not_zero(words.parse(parse_time_us, illegal)?),
            "typical_rtt" => typical_rtt = not_zero(words.parse(parse_time_us, illegal)?),
            "help" => return Err(WordError::Help),
            word => return Err(WordError::what_is(word)),
        }
    }
    let (most, typical) = match (max_rtt, typical_rtt) {
        (None, None) => return Ok(options),
        (Some(most), None) => (most, (most / MAX_BY_TYPICAL).max(1)),
        // tc multiplies in 32 bits and truncates.
        (None, Some(typical)) => (typical.checked_mul(MAX_BY_TYPICAL).ok_or_else(too_long)?, typical),
        (Some(most), Some(typical)) => (most, typical),
    };
    if options.tuning != super::Tuning::default() && typical <= most {
        context.environment.warn("rtt_max is specified, ignore alpha/beta/tupdate/target");
    }
    let gains = Gains::of(most, typical)?;
    context.environment.warn(&gains.said());
    options.tuning = gains.tuning();
    Ok(options)
}

pub(super) fn write(options: &Dualpi2, out: &mut OptionWords<'_>) {
    let time = |time: Option<Duration>| time.map(|time| us(in_us(time)));
    let hertz = |told: Option<u32>| told.map(|told| f64::from(asked(told, as_dumped)) / f64::from(SCALE));
    out.say_if("limit", options.limit_packets);
    out.say_if("memlimit", options.memory_limit_bytes);
    out.say_if("target", time(options.tuning.target));
    out.say_if("tupdate", time(options.tuning.tupdate));
    out.say_if("alpha", hertz(options.tuning.alpha_256th_hz));
    out.say_if("beta", hertz(options.tuning.beta_256th_hz));
    out.say_if("coupling_factor", options.coupling_factor);
    match options.ecn_mask {
        None => out.leave_open("ecn mask"),
        Some(EcnMask::L4S) => out.text("ecn mask", "l4s_ect"),
        Some(EcnMask::ANY) => out.text("ecn mask", "any_ect"),
        Some(EcnMask(mask)) => out.cannot_say(&format!("the ECN mask {mask}")),
    }
    let packets = options.step_threshold_packets.map(|packets| format!("{packets}p"));
    out.say_if("step_thresh", packets.or_else(|| time(options.step_threshold)));
    out.say_if("min_qlen_step", options.min_qlen_step_packets);
    out.switch("drop_on_overload", options.drop_on_overload, "drop_on_overload", "overflow");
    out.switch("drop_enqueue", options.drop_early, "drop_enqueue", "drop_dequeue");
    out.say_if("classic_protection", options.classic_protection_percent.map(|percent| format!("{percent}%")));
    out.switch("split_gso", options.split_gso, "split_gso", "no_split_gso");
}

fn too_long() -> WordError {
    WordError::Kind("Illegal \"typical_rtt\"".into())
}

/// Reads `alpha` or `beta`.
fn parse_hertz(key: &str, words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<u32, WordError> {
    let hertz = match split_number(words.value()?) {
        Some((hertz, "")) if (0.0..=MOST_HERTZ).contains(&(hertz as f32)) => hertz as f32,
        _ => return Err(WordError::Kind(format!("Illegal \"{key}\""))),
    };
    if hertz < 1.0 / SCALE as f32 {
        let message = format!("Warning: \"{key}\" is too small and will be rounded to zero.");
        context.environment.warn(&message);
    }
    Ok((hertz * SCALE as f32) as u32)
}

/// Reads a time, or packets: `5p`, `1packet`. The last one counts.
fn parse_threshold(words: &mut Words<'_>, options: &mut Dualpi2) -> Result<(), WordError> {
    let word = words.value()?;
    (options.step_threshold, options.step_threshold_packets) = (None, None);
    if let Ok(us) = parse_time_us(word) {
        options.step_threshold = not_zero(us).map(of_us);
        return Ok(());
    }
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    match parse_decimal(number) {
        Ok(packets) if ["p", "pkt", "pkts", "packet", "packets"].contains(&unit) => {
            options.step_threshold_packets = not_zero(packets);
            Ok(())
        }
        _ => Err(WordError::Kind("Illegal \"step_thresh\"".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn read(words: &str) -> Result<Dualpi2, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        parse(&mut Words::new(&words), &WordsContext::new(Verb::Add))
    }

    #[test]
    fn a_threshold_is_a_time_or_packets() {
        let threshold =
            |words| read(words).map(|options| (options.step_threshold, options.step_threshold_packets));
        assert_eq!(threshold("step_thresh 5ms"), Ok((Some(of_us(5_000)), None)));
        assert_eq!(threshold("step_thresh 5"), Ok((Some(of_us(5)), None)));
        assert_eq!(threshold("step_thresh 5ms step_thresh 7pkts"), Ok((None, Some(7))));
        assert_eq!(threshold("step_thresh 5ms step_thresh 0"), Ok((None, None)));
    }

    #[test]
    fn round_trips_replace_the_controllers_numbers() {
        let tuning = |words| read(words).map(|options| options.tuning);
        let expected =
            super::super::Tuning::for_round_trips(Duration::from_millis(6), Duration::from_millis(1));
        assert_eq!(tuning("typical_rtt 1ms alpha 7"), expected);
        assert_eq!(tuning("max_rtt 6ms target 1s"), expected);
        assert_eq!(tuning("max_rtt 0 alpha 0.5").map(|tuning| tuning.alpha_256th_hz), Ok(Some(128)));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 0x10", "Illegal \"limit\""),
            ("memlimit 1mb", "Illegal \"memlimit\""),
            ("alpha 16777216", "Illegal \"alpha\""),
            ("beta nan", "Illegal \"beta\""),
            ("beta 1x", "Illegal \"beta\""),
            ("coupling_factor 256", "Illegal \"coupling_factor\""),
            ("coupling_factor -1", "Illegal \"coupling_factor\""),
            ("step_thresh 5q", "Illegal \"step_thresh\""),
            ("step_thresh p", "Illegal \"step_thresh\""),
            ("step_thresh -5p", "Illegal \"step_thresh\""),
            ("classic_protection 101%", "Illegal \"classic_protection\""),
            ("max_rtt 1ms typical_rtt 2ms", "typical_rtt must be <= max_rtt!"),
            ("typical_rtt 800s", "Illegal \"typical_rtt\""),
            ("l4s", "What is \"l4s\"?"),
        ] {
            assert_eq!(read(words).unwrap_err().to_string(), text, "{words}");
        }
    }
}
