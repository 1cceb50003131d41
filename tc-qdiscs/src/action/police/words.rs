//! The words of police.

use tc_core::OptionWords;
use tc_core::action::Control;
use tc_core::rate::{Burst, LinkLayer, Rate, RateSpec, parse_size_and_cell};
use tc_core::units::{
    bytes_of_ticks, checked_transmit_ticks, parse_decimal, parse_rate, parse_rate32, parse_size,
};
use tc_core::words::{WordError, Words, is_prefix};

use super::{PacketRate, Police};

/// The words so far. As in `tc`, 0 means that a value was not given.
#[derive(Default)]
struct Read {
    rate: u64,
    peak: u64,
    average: u32,
    burst: u32,
    burst_cell_log: Option<u8>,
    mtu_cell_log: Option<u8>,
    packets: u64,
    packet_burst: u64,
    counting: RateSpec,
}

/// Reads the words up to one that is not of police.
pub(super) fn parse(words: &mut Words<'_>) -> Result<Police, WordError> {
    let mut police = Police::NONE;
    let mut read = Read { counting: RateSpec::new(Rate::ZERO), ..Read::default() };
    let first = words.peek().ok_or(WordError::Incomplete)?;
    let before = words.rest().len();
    while let Some(word) = words.peek() {
        if !read.take(word, words, &mut police)? {
            break;
        }
    }
    if words.rest().len() == before {
        return Err(error(format!("police: what is \"{first}\"?")));
    }
    read.finish(police)
}

impl Read {
    /// Takes an option and its value, in `tc`'s order of prefixes; false if the
    /// word is none.
    fn take(&mut self, word: &str, words: &mut Words<'_>, police: &mut Police) -> Result<bool, WordError> {
        let is = |name| is_prefix(word, name);
        if is("index") {
            let value = next(words)?;
            police.index = parse_decimal(value).map_err(|_| WordError::invalid("index", value))?;
        } else if is("burst") || matches!(word, "buffer" | "maxburst") {
            let value = next(words)?;
            once(self.burst == 0, "buffer/burst", value)?;
            (self.burst, self.burst_cell_log) = size(value, "buffer", self.burst_cell_log)?;
        } else if matches!(word, "mtu" | "minburst") {
            let value = next(words)?;
            once(police.mtu == 0, "mtu/minburst", value)?;
            (police.mtu, self.mtu_cell_log) = size(value, "mtu", self.mtu_cell_log)?;
        } else if word == "mpu" {
            let value = next(words)?;
            once(self.counting.mpu == 0, "mpu", value)?;
            // tc cuts a value over the struct's 16 bits.
            let mpu = parse_size(value).ok().and_then(|mpu| u16::try_from(mpu).ok());
            self.counting.mpu = mpu.ok_or_else(|| WordError::invalid("mpu", value))?;
        } else if word == "rate" {
            let value = next(words)?;
            once(self.rate == 0, "rate", value)?;
            self.rate = parse_rate(value).map_err(|_| WordError::invalid("rate", value))?;
        } else if word == "avrate" {
            let value = next(words)?;
            once(self.average == 0, "avrate", value)?;
            self.average = parse_rate32(value).map_err(|_| WordError::invalid("avrate", value))?;
        } else if is("peakrate") {
            let value = next(words)?;
            once(self.peak == 0, "peakrate", value)?;
            self.peak = parse_rate(value).map_err(|_| WordError::invalid("peakrate", value))?;
        } else if CONTROLS.iter().any(|name| is(name)) {
            police.exceed = Control::parse_words(words)?;
        } else if word == "conform-exceed" {
            words.next();
            (police.exceed, police.conform) = controls(words, police.conform)?;
        } else if is("overhead") {
            let value = next(words)?;
            self.counting.overhead =
                parse_decimal(value).map_err(|_| WordError::invalid("overhead", value))?;
        } else if is("linklayer") {
            let value = next(words)?;
            self.counting.linklayer =
                LinkLayer::parse(value).ok_or_else(|| WordError::invalid("linklayer", value))?;
        } else if is("pkts_rate") {
            let value = next(words)?;
            once(self.packets == 0, "pkts_rate", value)?;
            self.packets = parse_decimal(value).map_err(|_| WordError::invalid("pkts_rate", value))?;
        } else if is("pkts_burst") {
            let value = next(words)?;
            once(self.packet_burst == 0, "pkts_burst", value)?;
            self.packet_burst = parse_decimal(value).map_err(|_| WordError::invalid("pkts_burst", value))?;
        } else if word == "help" {
            return Err(WordError::Help);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The options, if they belong together.
    fn finish(self, mut police: Police) -> Result<Police, WordError> {
        if self.rate != 0 && self.average != 0 {
            return Err(error("police: 'rate' and 'avrate' are not allowed in same action."));
        }
        let limits = [self.rate, self.average.into(), police.index.into(), police.mtu.into(), self.packets];
        for (wrong, text) in [
            (limits == [0; 5], "'rate' or 'avrate' or 'mtu' or 'pkts_rate' MUST be specified."),
            (self.rate != 0 && self.burst == 0, "'burst' requires 'rate'."),
            (self.packets != 0 && self.packet_burst == 0, "'pkts_burst' requires 'pkts_rate'."),
            (self.packets != 0 && self.rate != 0, "'rate' and 'pkts_rate' are not allowed in same action."),
            (self.peak != 0 && self.rate == 0, "'peakrate' requires 'rate'."),
            (self.peak != 0 && police.mtu == 0, "'mtu' is required, if 'peakrate' is requested."),
        ] {
            if wrong {
                return Err(error(text));
            }
        }
        let spec = |rate, cell_log| {
            let mut spec = self.counting;
            spec.rate = Rate::bytes_per_second(rate);
            spec.set_cells(police.mtu, cell_log);
            spec
        };
        if self.rate != 0 {
            let rate = spec(self.rate, self.burst_cell_log);
            // tc cuts a longer time.
            let ticks = checked_transmit_ticks(self.rate, self.burst)
                .ok_or_else(|| error("police: the burst takes more than 274 s at this rate"))?;
            police.burst = Burst::bytes(self.burst.into()).with_time(ticks, rate.rate);
            police.rate = Some(rate);
        }
        if self.peak != 0 {
            police.peak = Some(spec(self.peak, self.mtu_cell_log));
        }
        if self.average != 0 {
            police.average = Some(Rate::bytes_per_second(self.average.into()));
        }
        if self.packets != 0 {
            // tc cuts a burst over 32 bits, and a longer time.
            let burst = u32::try_from(self.packet_burst).ok();
            let packets = burst.and_then(|burst| PacketRate::new(self.packets, burst));
            let long = || error("police: the pkts_burst takes more than 274 s at this rate");
            police.packets = Some(packets.ok_or_else(long)?);
        }
        Ok(police)
    }
}

/// The fates after `conform-exceed`: `drop`, `drop/pass` or `drop / pass`.
fn controls(words: &mut Words<'_>, conform: Control) -> Result<(Control, Control), WordError> {
    let word = words.peek().ok_or(WordError::Incomplete)?;
    if let Some((exceed, conform)) = word.split_once('/') {
        let control = |name: &str| {
            // As in tc, a chain or a count is 0 here.
            let with = |more: &[&str]| {
                let words = [&[name][..], more].concat();
                Control::parse_words(&mut Words::new(&words)).ok()
            };
            number(name)
                .or_else(|| with(&["chain", "0"]))
                .or_else(|| with(&["0"]))
                .ok_or_else(|| error(format!("Bad action type {name}")))
        };
        let both = (control(exceed)?, control(conform)?);
        words.next();
        return Ok(both);
    }
    let exceed = one_control(words)?;
    if words.peek() != Some("/") {
        return Ok((exceed, conform));
    }
    words.next();
    Ok((exceed, one_control(words)?))
}

/// A control action, or its number.
fn one_control(words: &mut Words<'_>) -> Result<Control, WordError> {
    match words.peek().and_then(number) {
        Some(control) => {
            words.next();
            Ok(control)
        }
        None => Control::parse_words(words),
    }
}

fn number(word: &str) -> Option<Control> {
    parse_decimal(word).ok().map(Control::from_raw)
}

/// The value after the option at the cursor.
fn next<'a>(words: &mut Words<'a>) -> Result<&'a str, WordError> {
    words.next();
    words.value()
}

fn once(first: bool, key: &str, value: &str) -> Result<(), WordError> {
    if first { Ok(()) } else { Err(WordError::duplicate(key, value)) }
}

fn size(value: &str, name: &str, before: Option<u8>) -> Result<(u32, Option<u8>), WordError> {
    let (bytes, cell) = parse_size_and_cell(value).map_err(|shown| WordError::invalid(name, shown))?;
    let bytes = u32::try_from(bytes).map_err(|_| WordError::invalid(name, value))?;
    Ok((bytes, cell.or(before)))
}

fn error(text: impl Into<String>) -> WordError {
    WordError::Kind(text.into())
}

/// Describes the options in words.
pub(super) fn write(police: &Police, out: &mut OptionWords<'_>) {
    let limited = police.rate.is_some();
    match police.rate {
        Some(rate) => {
            out.say_rate("rate", rate.rate.as_bytes_per_second());
            write_burst(police.burst, rate.rate, out);
        }
        None => ["rate", "burst"].into_iter().for_each(|key| out.text(key, "")),
    }
    match police.mtu {
        0 => out.text("mtu", ""),
        // Without a rate the kernel takes this for no MTU.
        u32::MAX if !limited => out.text("mtu", ""),
        mtu => out.say_size("mtu", mtu),
    }
    for (key, rate) in [("peakrate", police.peak.map(|peak| peak.rate)), ("avrate", police.average)] {
        match rate {
            Some(rate) => out.say_rate(key, rate.as_bytes_per_second()),
            None => out.text(key, ""),
        }
    }
    police.rate.unwrap_or_default().to_words(out);
    let packets = police.packets.map_or_else(String::new, |packets| {
        let burst = packets.burst_in_words().unwrap_or_else(|| {
            out.cannot_say("the burst in packets");
            packets.burst()
        });
        format!("pkts_rate {} pkts_burst {burst}", packets.per_second)
    });
    out.text("packets", packets);
    let control = |control: Control| control.words().unwrap_or_else(|| control.raw().to_string());
    let conform = match police.conform {
        Control::Pass => String::new(),
        conform => format!(" / {}", control(conform)),
    };
    out.text("control", format!("conform-exceed {}{conform}", control(police.exceed)));
    out.say_if("index", Some(police.index).filter(|index| *index != 0));
}

fn write_burst(burst: Burst, rate: Rate, out: &mut OptionWords<'_>) {
    let ticks_of =
        |bytes| checked_transmit_ticks(rate.as_bytes_per_second(), bytes).map_or(u64::MAX, u64::from);
    let ticks = burst.time(rate).map_or(u64::MAX, u64::from);
    // tc sends only times of whole microseconds, at most 16 ticks apart: the next longer one.
    match (ticks..=ticks.saturating_add(16)).find_map(|ticks| bytes_of_ticks(ticks, ticks_of)) {
        Some(bytes) => out.say_size("burst", bytes),
        None => {
            out.cannot_say(&format!("a burst of {ticks} ticks"));
            out.silent("burst", ticks);
        }
    }
}

/// The control actions that stand alone.
const CONTROLS: [&str; 8] = ["reclassify", "drop", "shot", "continue", "pass", "ok", "pipe", "goto"];
