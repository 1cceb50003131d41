//! Words.
//!
//! tc stops reading at a malformed number and sends a part; here this is an error.

use tc_core::units::{parse_decimal, parse_hex, parse_u32};
use tc_core::words::{WordError, Words};

use super::schedule::COMMANDS;
use super::{Clock, Entry, Schedule, Taprio};
use crate::common::{not_zero, of_ns};
use crate::qdisc::mqprio::TrafficClasses;

pub(super) const USAGE: &str = "\
Usage: ... taprio clockid CLOCKID\n\
\t\t[num_tc NUMBER] [map P0 P1 ...] \t\t[queues COUNT@OFFSET COUNT@OFFSET COUNT@OFFSET ...] \
\t\t[ [sched-entry index cmd gate-mask interval] ... ] \t\t[base-time time] [txtime-delay delay] \
\t\t[max-sdu SDU0 SDU1 SDU2 ...] [fp FP0 FP1 FP2 ...]\n\
CLOCKID must be a valid SYS-V id (i.e. CLOCK_TAI)\n";

pub(super) fn parse(words: &mut Words<'_>) -> Result<Taprio, WordError> {
    let mut classes = TrafficClasses::default();
    let mut entries = Vec::new();
    let mut schedule = Schedule::default();
    let mut taprio = Taprio::default();
    while let Some(word) = words.next() {
        let illegal = |_: &str| format!("Illegal \"{word}\"");
        match word {
            "num_tc" => classes.count = words.parse(parse_decimal, illegal)?,
            "map" => classes.parse_map(words),
            "queues" => {
                classes.parse_queues(words);
            }
            "fp" => taprio.by_class.parse_preemption(words),
            "max-sdu" => taprio.by_class.parse_max_sdu(words),
            "sched-entry" => entries.push(parse_entry(words)?),
            "base-time" => schedule.base_time_ns = time_not_zero(words.parse(parse_decimal, illegal)?),
            "cycle-time" => once(word, words, &mut schedule.cycle_time_ns, |words| {
                words.parse(parse_decimal, illegal).map(time_not_zero)
            })?,
            "cycle-time-extension" => once(word, words, &mut schedule.cycle_time_extension_ns, |words| {
                words.parse(parse_decimal, illegal).map(time_not_zero)
            })?,
            "clockid" => once(word, words, &mut taprio.clock, |words| parse_clock(words).map(Some))?,
            "flags" => {
                once(word, words, &mut taprio.flags, |words| words.parse(parse_u32, illegal).map(not_zero))?;
            }
            "txtime-delay" => once(word, words, &mut taprio.txtime_delay, |words| {
                words.parse(parse_u32, illegal).map(|ns| not_zero(ns).map(of_ns))
            })?,
            "help" => return Err(WordError::Help),
            _ => return Err(WordError::Kind("Unknown argument".into())),
        }
    }
    // As tc: the list is sent also when it is empty.
    schedule.entries = Some(entries);
    Ok(Taprio { classes: Some(classes).filter(|classes| classes.count != 0), schedule, ..taprio })
}

/// tc takes 0 for not given.
fn time_not_zero(ns: i64) -> Option<i64> {
    Some(ns).filter(|ns| *ns != 0)
}

/// Reads the value of a word that must not come twice. A missing value takes
/// precedence over a duplicate.
fn once<T>(
    key: &str,
    words: &mut Words<'_>,
    place: &mut Option<T>,
    parse: impl FnOnce(&mut Words<'_>) -> Result<Option<T>, WordError>,
) -> Result<(), WordError> {
    if words.is_empty() {
        return Err(WordError::Incomplete);
    }
    if place.is_some() {
        return Err(WordError::Kind(format!("taprio: duplicate \"{key}\" specification")));
    }
    *place = parse(words)?;
    Ok(())
}

fn parse_entry(words: &mut Words<'_>) -> Result<Entry, WordError> {
    let usage = |_: &str| "Usage: ... taprio ... sched-entry <cmd> <gate mask> <interval>".to_owned();
    let word = words.value()?;
    let Some(command) = (0..).zip(COMMANDS).find(|(_, name)| *name == word) else {
        return Err(WordError::Kind(usage("")));
    };
    let mask = words.parse(parse_hex, usage)?;
    let gates = Entry::gates(mask, of_ns(words.parse(parse_u32, usage)?));
    Ok(Entry { command: command.0, ..gates })
}

fn parse_clock(words: &mut Words<'_>) -> Result<Clock, WordError> {
    let word = words.value()?;
    let illegal = || {
        let text = format!("taprio: illegal value for \"clockid\": \"{word}\".");
        WordError::Kind(text + "\nIt must be a valid SYS-V id (i.e. CLOCK_TAI)")
    };
    Clock::by_name(word).ok_or_else(illegal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Taprio, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        parse(&mut Words::new(&words))
    }

    #[test]
    fn clocks_have_names() {
        for (word, clock) in
            [("CLOCK_TAI", Clock::TAI), ("monotonic", Clock::MONOTONIC), ("clock_realtime", Clock::REALTIME)]
        {
            assert_eq!(read(&format!("clockid {word}")).unwrap().clock, Some(clock));
        }
        assert_eq!((Clock::BOOTTIME.name(), Clock(3).name()), ("BOOTTIME", "invalid"));
        assert_eq!(Clock::by_name("éclock_"), None);
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let usage = "Usage: ... taprio ... sched-entry <cmd> <gate mask> <interval>";
        for (words, text) in [
            ("sched-entry X 1 1", usage),
            ("sched-entry S x 1", usage),
            ("flags 1 flags 1", "taprio: duplicate \"flags\" specification"),
            ("num_tc x", "Illegal \"num_tc\""),
            ("limit 1", "Unknown argument"),
            ("base-time x", "Illegal \"base-time\""),
            (
                "clockid x",
                "taprio: illegal value for \"clockid\": \"x\".\nIt must be a valid SYS-V id (i.e. CLOCK_TAI)",
            ),
        ] {
            assert_eq!(read(words).unwrap_err().to_string(), text, "{words}");
        }
        assert_eq!(read("flags 1 flags"), Err(WordError::Incomplete));
    }
}
