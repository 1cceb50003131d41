//! The words of gate.

use std::time::Duration;

use tc_core::OptionWords;
use tc_core::action::Control;
use tc_core::units::{parse_decimal, parse_i32, parse_size, parse_time_ns, parse_u32};
use tc_core::words::{WordError, Words, is_prefix};

use super::super::generic;
use super::{ANY, Gate, GateEntry};
use crate::qdisc::taprio::Clock;

pub(super) fn parse(words: &mut Words<'_>) -> Result<Gate, WordError> {
    if words.is_empty() {
        return Err(WordError::Incomplete);
    }
    let mut gate = Gate::new([]);
    while let Some(word) = words.peek() {
        if !parse_word(word, words, &mut gate)? {
            break;
        }
    }
    if words.peek().is_some_and(Control::is_word) {
        gate.control = Control::parse_words(words)?;
    }
    match gate.entries.is_empty() && gate.index == 0 {
        true => Err(WordError::Kind("gate: must add at least one entry".into())),
        false => Ok(gate),
    }
}

/// Reads a word with its value; false for a word that is not the kind's.
fn parse_word(word: &str, words: &mut Words<'_>, gate: &mut Gate) -> Result<bool, WordError> {
    let is = |name| is_prefix(word, name);
    let known = ["index", "priority", "base-time", "cycle-time", "cycle-time-ext", "clockid", "flags"];
    if is("help") && !known.into_iter().any(is) {
        return Err(WordError::Help);
    }
    let Some(name) = known.into_iter().find(|name| is(name)) else {
        if is("sched-entry") {
            words.next();
            gate.entries.push(parse_entry(words)?);
            return Ok(true);
        }
        return Ok(false);
    };
    words.next();
    let word = words.value()?;
    let wrong = || WordError::invalid(name, word);
    match name {
        "index" => gate.index = parse_decimal(word).map_err(|_| wrong())?,
        "priority" => {
            let priority = parse_i32(word).map_err(|_| wrong())?;
            gate.priority = Some(priority).filter(|priority| *priority != ANY);
        }
        "base-time" => gate.base_time_ns = nanoseconds(word).ok_or_else(wrong)?,
        "cycle-time" => {
            gate.cycle_time = Some(duration(word).ok_or_else(wrong)?).filter(|time| !time.is_zero())
        }
        "cycle-time-ext" => gate.cycle_time_extension = duration(word).ok_or_else(wrong)?,
        "clockid" => gate.clock = Some(Clock::by_name(word).ok_or_else(wrong)?),
        _ => gate.flags = parse_u32(word).map_err(|_| wrong())?,
    }
    Ok(true)
}

/// A decimal number of nanoseconds, or a time with its unit.
fn nanoseconds(word: &str) -> Option<i64> {
    parse_decimal(word).or_else(|_| parse_time_ns(word)).ok()
}

fn duration(word: &str) -> Option<Duration> {
    nanoseconds(word).and_then(|ns| u64::try_from(ns).ok()).map(Duration::from_nanos)
}

/// Reads `open|close INTERVAL [IPV [MAX_OCTETS]]`.
fn parse_entry(words: &mut Words<'_>) -> Result<GateEntry, WordError> {
    let usage = "Usage: sched-entry <open | close> <interval> [ <interval ipv> <octets max bytes> ]";
    let incomplete = || WordError::Kind(format!("{usage}\n\"sched-entry\" is incomplete"));
    let open = match words.next() {
        Some(word) if word.eq_ignore_ascii_case("open") => true,
        Some(word) if word.eq_ignore_ascii_case("close") => false,
        _ => return Err(incomplete()),
    };
    let word = words.next().ok_or_else(incomplete)?;
    let interval = match parse_u32(word) {
        Ok(ns) => i64::from(ns),
        Err(_) => parse_time_ns(word).map_err(|_| incomplete())?,
    };
    if interval > i64::from(u32::MAX) {
        return Err(WordError::Kind("\"interval\" is too large".into()));
    }
    let interval = u32::try_from(interval).map_err(|_| incomplete())?;
    let mut entry = GateEntry { open, ..GateEntry::open(Duration::from_nanos(interval.into())) };
    let Some(ipv) = words.peek().and_then(|word| parse_i32(word).ok()) else { return Ok(entry) };
    words.next();
    entry.ipv = Some(ipv).filter(|ipv| open && *ipv != ANY);
    let Some(word) = words.peek() else { return Ok(entry) };
    let octets = match (parse_i32(word), parse_size(word)) {
        (Ok(octets), _) => octets,
        (Err(_), Ok(octets)) => {
            i32::try_from(octets).map_err(|_| WordError::Kind("\"maxoctets\" is too large".into()))?
        }
        (Err(_), Err(_)) => return Ok(entry),
    };
    words.next();
    entry.max_octets = Some(octets).filter(|octets| open && *octets != ANY);
    Ok(entry)
}

pub(super) fn write(gate: &Gate, out: &mut OptionWords<'_>) {
    let mut text = |name: &str, value: Option<String>| {
        out.text(name, value.map(|value| format!("{name} {value}")).unwrap_or_default());
    };
    let ns =
        |time: Duration| Some(time).filter(|time| !time.is_zero()).map(|time| time.as_nanos().to_string());
    text("priority", gate.priority.map(|priority| priority.to_string()));
    text("base-time", Some(gate.base_time_ns).filter(|time| *time != 0).map(|time| time.to_string()));
    text("cycle-time-ext", ns(gate.cycle_time_extension));
    text("flags", Some(gate.flags).filter(|flags| *flags != 0).map(|flags| format!("{flags:#x}")));
    out.say_if("cycle-time", gate.cycle_time.and_then(ns));
    let clock = gate.clock.map(Clock::name);
    if clock == Some("invalid") {
        out.cannot_say("the clock of gate");
    }
    out.say_if("clockid", clock.map(|name| format!("CLOCK_{name}")));
    let mut closed_has_limits = false;
    let entries = gate.entries.iter().map(|entry| {
        closed_has_limits |= !entry.open && (entry.ipv, entry.max_octets) != (None, None);
        let (ipv, octets) = (entry.ipv.unwrap_or(ANY), entry.max_octets.unwrap_or(ANY));
        let state = if entry.open { "open" } else { "close" };
        format!("sched-entry {state} {} {ipv} {octets}", entry.interval.as_nanos())
    });
    let entries = entries.collect::<Vec<_>>().join(" ");
    if closed_has_limits {
        out.cannot_say("limits of a closed gate");
    }
    out.text("entries", entries);
    // tc reads the index before the control action.
    generic::say_index(gate.index, out);
    generic::say_control(gate.control, Some(Control::Pipe), out);
}
