//! Words: `setup ...`, or the parameters of a virtual queue.

use tc_core::units::{parse_decimal, parse_size, parse_u32};
use tc_core::words::{WordError, Words, WordsContext};

use super::{Gred, MAX_QUEUES, Queue, Setup};
use crate::common::not_zero;
use crate::qdisc::red::math::{Curve, damping, parse_probability};
use crate::qdisc::red::{Flags, or_10_mbit, parse_bandwidth};

pub(super) const USAGE: &str = "\
Usage: tc qdisc { add | replace | change } ... gred setup vqs NUMBER
           default DEFAULT_VQ [ grio ] [ limit BYTES ] [ecn] [harddrop]
       tc qdisc change ... gred vq VQ [ prio VALUE ] limit BYTES
           min BYTES max BYTES avpkt BYTES [ burst PACKETS ]
           [ probability PROBABILITY ] [ bandwidth KBPS ] [ecn] [harddrop]
";

const MOST: u32 = MAX_QUEUES as u32;

pub(super) fn parse(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Gred, WordError> {
    let (mut limit, mut number, mut prio, mut bandwidth) = (0, MOST, 0, 0);
    let mut curve = Curve { min: 0, max: 0, burst: 0, average_packet: 0, probability: 0.02 };
    let mut flags = Flags::default();
    let mut any = false;
    while let Some(word) = words.next() {
        let illegal = |_: &str| format!("Illegal \"{word}\"");
        match word {
            "limit" => limit = words.parse(parse_size, illegal)?,
            "setup" if any => return Err(error("Illegal \"setup\"")),
            "setup" => return parse_setup(words).map(Gred::Setup),
            "min" => curve.min = words.parse(parse_size, illegal)?,
            "max" => curve.max = words.parse(parse_size, illegal)?,
            "vq" | "DP" => {
                number = words.parse(parse_decimal, |_| "Illegal \"vq\"".into())?;
                if number >= MOST {
                    return Err(too_many());
                }
            }
            "burst" => curve.burst = words.parse(parse_u32, illegal)?,
            "avpkt" => curve.average_packet = words.parse(parse_size, illegal)?,
            "probability" => curve.probability = parse_probability(words)?,
            // tc reads the number at the start of a word, and cuts it to 8 bits.
            "prio" => prio = words.parse(parse_decimal, illegal)?,
            "bandwidth" => bandwidth = parse_bandwidth(words, context)?,
            "ecn" => flags.ecn = true,
            "harddrop" => flags.harddrop = true,
            "help" => return Err(WordError::Help),
            word => return Err(WordError::what_is(word)),
        }
        any |= !matches!(word, "ecn" | "harddrop");
    }
    if !any {
        return Err(WordError::Help);
    }
    if number == MOST || [limit, curve.min, curve.max, curve.average_packet].contains(&0) {
        return Err(error("Required parameter (vq, limit, min, max, avpkt) is missing"));
    }
    if curve.burst == 0 {
        curve.burst = Curve::usual_burst(curve.min, curve.max, curve.average_packet);
        context.environment.warn(&format!("GRED: set burst to {}", curve.burst));
    }
    bandwidth = or_10_mbit("GRED", bandwidth, context);
    let logs = curve.logs("GRED", context)?;
    let (cell_log, table) = damping("GRED", logs.average, curve.average_packet, bandwidth)?;
    Ok(Gred::Queue(Box::new(Queue {
        queue: number,
        prio,
        limit_bytes: limit,
        min_bytes: curve.min,
        max_bytes: curve.max,
        average_log: logs.average,
        probability_log: logs.probability,
        cell_log,
        damping: Some(table),
        max_probability: Some(curve.probability_32()),
        flags: Some(flags),
    })))
}

fn parse_setup(words: &mut Words<'_>) -> Result<Setup, WordError> {
    let mut setup = Setup { default_queue: MOST, ..Setup::default() };
    while let Some(word) = words.next() {
        match word {
            "vqs" | "DPs" => {
                setup.queues = words.parse(parse_decimal, |_| "Illegal \"vqs\"".into())?;
                if setup.queues > MOST {
                    return Err(too_many());
                }
            }
            "default" if setup.queues == 0 => {
                return Err(error("\"default\" must be defined after \"vqs\""));
            }
            "default" => {
                setup.default_queue = words.parse(parse_decimal, |_| "Illegal \"default\"".into())?;
                if setup.default_queue >= setup.queues {
                    return Err(error("\"default\" must be less than \"vqs\""));
                }
            }
            "grio" => setup.grio = true,
            "limit" => {
                setup.limit_bytes = not_zero(words.parse(parse_size, |_| "Illegal \"limit\"".into())?);
            }
            "ecn" => setup.flags.ecn = true,
            "harddrop" => setup.flags.harddrop = true,
            "help" => return Err(WordError::Help),
            word => return Err(WordError::what_is(word)),
        }
    }
    if setup.queues == 0 || setup.default_queue == MOST {
        return Err(error("Illegal gred setup parameters"));
    }
    Ok(setup)
}

fn error(text: &str) -> WordError {
    WordError::Kind(text.into())
}

fn too_many() -> WordError {
    error("GRED: only 16 VQs are currently supported")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn read(words: &str) -> Result<Gred, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        parse(&mut Words::new(&words), &WordsContext::new(Verb::Change))
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("vq 1 setup", "Illegal \"setup\""),
            ("setup default 1", "\"default\" must be defined after \"vqs\""),
            ("setup vqs 2 default 2", "\"default\" must be less than \"vqs\""),
            ("setup vqs 17", "GRED: only 16 VQs are currently supported"),
            ("setup vqs 2", "Illegal gred setup parameters"),
            ("vq 16", "GRED: only 16 VQs are currently supported"),
            ("vq 0x1", "Illegal \"vq\""),
            ("vq 1 limit 1k", "Required parameter (vq, limit, min, max, avpkt) is missing"),
        ] {
            assert_eq!(read(words).unwrap_err().to_string(), text, "{words}");
        }
        assert_eq!(read("ecn"), Err(WordError::Help), "as tc: the usage, and no more");
    }
}
