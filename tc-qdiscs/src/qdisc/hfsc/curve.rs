//! Service curves: their words, bytes and text.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Printer, Rate, Time};
use tc_core::rate::{Rate as DataRate, parse_rate_of_link};
use tc_core::units::{cut_u32, micros, parse_size, parse_time_us, words_of_rate};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

use crate::common::{in_us, narrow_rate, of_us};

/// How much a class gets over time, in two straight lines
/// (`struct tc_service_curve`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct ServiceCurve {
    /// The rate at the start, in 32 bits of bytes per second.
    pub m1: DataRate,
    /// How long that rate holds.
    pub d: Duration,
    /// The rate after it, in 32 bits of bytes per second.
    pub m2: DataRate,
}

impl ServiceCurve {
    /// A rate that holds from the start.
    pub const fn rate(rate: DataRate) -> Self {
        Self { m1: DataRate::ZERO, d: Duration::ZERO, m2: rate }
    }

    fn of_numbers(m1: u32, d_us: u32, m2: u32) -> Self {
        let rate = |bytes: u32| DataRate::bytes_per_second(bytes.into());
        Self { m1: rate(m1), d: of_us(d_us), m2: rate(m2) }
    }

    /// Reads one of the two forms: the slopes, or a unit of work and its delay.
    /// `name` is that of the curve.
    pub(super) fn parse_words(
        name: &str,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Self, WordError> {
        // As tc: prints the error of the first form, and then tries the second one.
        let mut said = Said(String::new());
        let start = words.clone();
        let mut curve = said.slopes(words, context)?;
        if curve.is_none() {
            *words = start;
            curve = said.work_and_delay(words, context)?;
        }
        if curve.is_some_and(|curve| curve.m1.is_zero() && curve.m2.is_zero()) {
            curve = said.wrong("HFSC: Service Curve has two zero slopes");
        }
        curve.ok_or_else(|| WordError::Kind(format!("{}HFSC: Illegal \"{name}\"", said.0)))
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        for number in [narrow_rate("m1", self.m1)?, micros("d", self.d)?, narrow_rate("m2", self.m2)?] {
            out.put_u32(number);
        }
        Ok(())
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::of_numbers(reader.u32()?, reader.u32()?, reader.u32()?))
    }

    /// The words after the curve's name.
    pub(super) fn words(&self) -> String {
        let [m1, m2] = [self.m1, self.m2].map(|rate| words_of_rate(rate.as_bytes_per_second()));
        format!("m1 {m1} d {}us m2 {m2}", in_us(self.d))
    }

    pub(super) fn print(&self, name: &str, out: &mut Printer) {
        out.text(name);
        out.text(" ");
        out.object(name, |out| {
            out.item("m1", "m1 ", Rate(self.m1.as_bytes_per_second()), " ");
            out.item("d", "d ", Time(in_us(self.d)), " ");
            out.item("m2", "m2 ", Rate(self.m2.as_bytes_per_second()), " ");
        });
    }
}

/// The printed error lines. A wrong form is `None`; a missing word ends the reading.
struct Said(String);

impl Said {
    /// `[[m1 BPS] d SEC] m2 BPS`.
    fn slopes(
        &mut self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Option<ServiceCurve>, WordError> {
        let (mut m1, mut d) = (Some(0), Some(0));
        let mut word = words.value()?;
        if is_prefix(word, "m1") {
            m1 = self.rate("m1", words.value()?, context);
            if m1.is_some() {
                word = words.value()?;
            }
        }
        if m1.is_some() && is_prefix(word, "d") {
            d = self.or_illegal("d", parse_time_us(words.value()?).ok());
            if d.is_some() {
                word = words.value()?;
            }
        }
        let (Some(m1), Some(d)) = (m1, d) else { return Ok(None) };
        if !is_prefix(word, "m2") {
            return Ok(None);
        }
        let m2 = self.rate("m2", words.value()?, context);
        Ok(m2.map(|m2| ServiceCurve::of_numbers(m1, d, m2)))
    }

    /// `[[umax BYTES] dmax SEC] rate BPS`.
    fn work_and_delay(
        &mut self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Option<ServiceCurve>, WordError> {
        let (mut umax, mut dmax) = (Some(0), Some(0));
        let mut word = words.value()?;
        if is_prefix(word, "umax") {
            umax = self.or_illegal("umax", parse_size(words.value()?).ok());
            if umax.is_some() {
                word = words.value()?;
            }
        }
        if umax.is_some() && is_prefix(word, "dmax") {
            dmax = self.or_illegal("dmax", parse_time_us(words.value()?).ok());
            if dmax.is_some() {
                word = words.value()?;
            }
        }
        let (Some(umax), Some(dmax)) = (umax, dmax) else { return Ok(None) };
        if !is_prefix(word, "rate") {
            return Ok(None);
        }
        let Some(rate) = self.rate("rate", words.value()?, context) else { return Ok(None) };
        if umax != 0 && dmax == 0 {
            return Ok(self.wrong("HFSC: umax given but dmax is zero."));
        }
        Ok(Some(curve_of_delay(umax, dmax, rate)))
    }

    fn rate(&mut self, name: &str, value: &str, context: &WordsContext<'_>) -> Option<u32> {
        let rate = parse_rate_of_link(value, context);
        if let Err(lines) = &rate {
            self.0 += lines;
        }
        self.or_illegal(name, rate.ok().and_then(|rate| u32::try_from(rate.as_bytes_per_second()).ok()))
    }

    fn or_illegal<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        value.or_else(|| self.wrong(&format!("HFSC: Illegal \"{name}\"")))
    }

    fn wrong<T>(&mut self, line: &str) -> Option<T> {
        self.0 += line;
        self.0 += "\n";
        None
    }
}

/// The curve that does `umax` bytes of work within `dmax` microseconds, and has
/// this rate in bytes per second in the long run.
fn curve_of_delay(umax: u32, dmax: u32, rate: u32) -> ServiceCurve {
    let slope = (f64::from(umax) * 1e6 / f64::from(dmax)).ceil();
    if dmax != 0 && slope > f64::from(rate) {
        return ServiceCurve::of_numbers(cut_u32(slope), dmax, rate);
    }
    // tc multiplies in 32 bits: from 4295 bytes on it waits longer than it had to. Both numbers are 0
    // where tc divides by zero; the caller refuses that.
    let head_start = umax.wrapping_mul(1_000_000).checked_div(rate).unwrap_or(0);
    ServiceCurve::of_numbers(0, dmax.wrapping_sub(head_start), rate)
}

#[cfg(test)]
mod tests {
    use super::super::HfscClass;
    use super::*;
    use tc_core::{Syntax, Verb};

    fn parse(words: &str) -> Result<HfscClass, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        HfscClass::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(Option::unwrap)
    }

    #[test]
    fn a_curve_has_two_forms() {
        let curve = ServiceCurve::of_numbers;
        for (words, expected) in [
            ("m1 4mbit d 10ms m2 1mbit", curve(500_000, 10_000, 125_000)),
            ("m 4mbit d 10ms m2 1mbit", curve(500_000, 10_000, 125_000)),
            ("d 10ms m2 1mbit", curve(0, 10_000, 125_000)),
            ("m2 1mbit", curve(0, 0, 125_000)),
            ("umax 1500 dmax 10ms rate 1mbit", curve(150_000, 10_000, 125_000)),
            ("umax 1500 dmax 20ms rate 1mbit", curve(0, 8_000, 125_000)),
            ("d 10ms r 1mbit", curve(0, 10_000, 125_000)),
            ("rate 1mbit", curve(0, 0, 125_000)),
        ] {
            assert_eq!(parse(&format!("sc {words}")), Ok(HfscClass::shared(expected)), "{words}");
        }
        let two = parse("rt m2 1mbit ls rate 2mbit u m2 3mbit").unwrap();
        assert_eq!((two.real_time, two.link_share), (Some(curve(0, 0, 125_000)), Some(curve(0, 0, 250_000))));
        assert_eq!(two.upper_limit, Some(curve(0, 0, 375_000)));
    }

    #[test]
    fn all_that_is_wrong_is_said() {
        for (words, text) in [
            ("rt m1 x", "HFSC: Illegal \"m1\"\nHFSC: Illegal \"rt\""),
            ("ls d 1parsec", "HFSC: Illegal \"d\"\nHFSC: Illegal \"dmax\"\nHFSC: Illegal \"ls\""),
            ("sc umax x", "HFSC: Illegal \"umax\"\nHFSC: Illegal \"sc\""),
            ("sc umax 1k rate 1mbit", "HFSC: umax given but dmax is zero.\nHFSC: Illegal \"sc\""),
            ("ul m2 100gbit", "HFSC: Illegal \"m2\"\nHFSC: Illegal \"ul\""),
            ("rt m2 0", "HFSC: Service Curve has two zero slopes\nHFSC: Illegal \"rt\""),
            ("rt rate 0", "HFSC: Service Curve has two zero slopes\nHFSC: Illegal \"rt\""),
            ("rt fast", "HFSC: Illegal \"rt\""),
        ] {
            assert_eq!(parse(words), Err(WordError::Kind(text.into())), "{words}");
        }
        for (words, text) in [
            ("", "HFSC: no parameters given"),
            ("x", "HFSC: What is \"x\" ?"),
            ("ul m2 1mbit", "HFSC: Upper-limit Service Curve without Link-Share Service Curve"),
        ] {
            assert_eq!(parse(words), Err(WordError::KindUsage(text.into())), "{words}");
        }
        for words in ["rt", "rt m1 1mbit", "rt umax 1k dmax 5ms", "rt m2"] {
            assert_eq!(parse(words), Err(WordError::Incomplete), "{words}");
        }
    }
}
