//! `pie`: one queue that drops packets with a probability which a controller
//! keeps such that the delay stays at a target (RFC 8033).
//!
//! UAPI: attributes (`TCA_PIE_*`); statistics in `struct tc_pie_xstats`.
//!
//! Kernel, `net/sched/sch_pie.c`: times are kept in ticks of 64 ns and in timer
//! ticks, so that they read back rounded.

use tc_core::print::{Float, Printer, Time};
use tc_core::units::{parse_time_us, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Upkeep, Wording,
};

use crate::common::{asked_ticks_us, bool_at, jiffies_us, not_zero, ticks_us, u32_at, us};

tc_core::register!(Pie);

/// The options of a pie. `None` leaves an option as it is; for a new qdisc it is
/// then the kernel's default.
///
/// ```
/// use tc_qdiscs::pie::Pie;
///
/// let marking = Pie { target_us: Some(20_000), ecn: Some(true), ..Pie::default() };
/// # let _ = marking;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pie {
    /// Most packets in the queue (1000).
    pub limit_packets: Option<u32>,
    /// The delay to keep, in microseconds (15000).
    pub target_us: Option<u32>,
    /// How often the probability is computed, in microseconds (15000).
    pub tupdate_us: Option<u32>,
    /// Weight of the distance to the target, in sixteenths, at most 32 (2).
    pub alpha: Option<u32>,
    /// Weight of the delay's trend, in sixteenths, at most 32 (20).
    pub beta: Option<u32>,
    /// Whether to mark packets that say they support it, in place of dropping
    /// them, while the probability is low (no).
    pub ecn: Option<bool>,
    /// Whether large packets are dropped more often than small ones (no).
    pub bytemode: Option<bool>,
    /// Whether the delay is estimated from the departure rate, in place of
    /// timestamps (no).
    pub dq_rate_estimator: Option<bool>,
}

impl Kind for Pie {
    const KIND: &'static str = "pie";
    const USAGE: &'static str = "\
Usage: ... pie [ limit PACKETS ] [ target TIME ]
               [ tupdate TIME ] [ alpha ALPHA ] [ beta BETA ]
               [ bytemode | nobytemode ] [ ecn | noecn ]
               [ dq_rate_estimator | no_dq_rate_estimator ]
";
    const UPKEEP: Upkeep = Upkeep::USUAL.untold(&["target above 4.29 s"]);

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => options.limit_packets = not_zero(words.parse(parse_u32, illegal)?),
                "target" => options.target_us = not_zero(words.parse(parse_time_us, illegal)?),
                "tupdate" => options.tupdate_us = not_zero(words.parse(parse_time_us, illegal)?),
                "alpha" => options.alpha = parse_weight(word, words)?,
                "beta" => options.beta = parse_weight(word, words)?,
                "ecn" => options.ecn = Some(true),
                "noecn" => options.ecn = Some(false),
                "bytemode" => options.bytemode = Some(true),
                "nobytemode" => options.bytemode = Some(false),
                "dq_rate_estimator" => options.dq_rate_estimator = Some(true),
                "no_dq_rate_estimator" => options.dq_rate_estimator = Some(false),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(options))
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(LIMIT, self.limit_packets);
        out.attr_u32_if(TUPDATE, self.tupdate_us);
        out.attr_u32_if(TARGET, self.target_us);
        out.attr_u32_if(ALPHA, self.alpha);
        out.attr_u32_if(BETA, self.beta);
        out.attr_u32_if(ECN, self.ecn.map(u32::from));
        out.attr_u32_if(BYTEMODE, self.bytemode.map(u32::from));
        out.attr_u32_if(DQ_RATE_ESTIMATOR, self.dq_rate_estimator.map(u32::from));
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ DQ_RATE_ESTIMATOR as usize + 1 }>()?;
        Ok(Self {
            limit_packets: u32_at(&table, LIMIT)?,
            target_us: u32_at(&table, TARGET)?,
            tupdate_us: u32_at(&table, TUPDATE)?,
            alpha: u32_at(&table, ALPHA)?,
            beta: u32_at(&table, BETA)?,
            ecn: bool_at(&table, ECN)?,
            bytemode: bool_at(&table, BYTEMODE)?,
            dq_rate_estimator: bool_at(&table, DQ_RATE_ESTIMATOR)?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        out.say_if("limit", self.limit_packets);
        out.say_if("target", self.target_us.map(asked_ticks_us));
        out.say_if("tupdate", self.tupdate_us.map(us));
        out.say_if("alpha", self.alpha);
        out.say_if("beta", self.beta);
        write_switches(self.ecn, self.bytemode, self.dq_rate_estimator, out);
    }

    fn kept(&self, environment: &dyn Environment) -> Self {
        let hz = environment.timer_hz();
        Self {
            target_us: self.target_us.map(ticks_us),
            tupdate_us: self.tupdate_us.map(|us| jiffies_us(us, hz)),
            ..*self
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("target", "target ", self.target_us.map(Time), " ");
        out.item_if("tupdate", "tupdate ", self.tupdate_us.map(Time), " ");
        out.item_if("alpha", "alpha ", self.alpha, " ");
        out.item_if("beta", "beta ", self.beta, " ");
        print_switches(self.ecn, self.bytemode, self.dq_rate_estimator, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let mut stats = Reader::new(payload);
        let (probability, delay, departures) = (stats.u64()?, stats.u32()?, stats.u32()?);
        let (estimates, packets, dropped) = (stats.u32()?, stats.u32()?, stats.u32()?);
        let (overlimit, most, marks) = (stats.u32()?, stats.u32()?, stats.u32()?);
        out.item("prob", "  prob ", Float(probability as f64 / u64::MAX as f64), "");
        out.item("delay", " delay ", Time(delay), "");
        if estimates != 0 {
            out.item("avg_dq_rate", " avg_dq_rate ", departures, "");
        }
        out.newline();
        out.item("pkts_in", "  pkts_in ", packets, "");
        out.item("overlimit", " overlimit ", overlimit, "");
        out.item("dropped", " dropped ", dropped, "");
        out.item("maxq", " maxq ", most, "");
        out.item("ecn_mark", " ecn_mark ", marks, "");
        Ok(true)
    }
}

const TARGET: u16 = 1;
const LIMIT: u16 = 2;
const TUPDATE: u16 = 3;
const ALPHA: u16 = 4;
const BETA: u16 = 5;
const ECN: u16 = 6;
const BYTEMODE: u16 = 7;
const DQ_RATE_ESTIMATOR: u16 = 8;

/// Reads `alpha` or `beta`, for fq_pie too.
pub(crate) fn parse_weight(key: &str, words: &mut Words<'_>) -> Result<Option<u32>, WordError> {
    const MOST: u32 = 32;
    let illegal = || format!("Illegal \"{key}\"");
    match words.parse(parse_u32, |_| illegal())? {
        weight if weight > MOST => Err(WordError::Kind(illegal())),
        weight => Ok(not_zero(weight)),
    }
}

/// Says the switches in words, for fq_pie too.
pub(crate) fn write_switches(
    ecn: Option<bool>,
    bytemode: Option<bool>,
    dq_rate_estimator: Option<bool>,
    out: &mut Wording<'_>,
) {
    out.switch("ecn", ecn, "ecn", "noecn");
    out.switch("bytemode", bytemode, "bytemode", "nobytemode");
    out.switch("dq_rate_estimator", dq_rate_estimator, "dq_rate_estimator", "no_dq_rate_estimator");
}

/// Prints what is switched on, for fq_pie too.
pub(crate) fn print_switches(
    ecn: Option<bool>,
    bytemode: Option<bool>,
    dq_rate_estimator: Option<bool>,
    out: &mut Printer,
) {
    if ecn == Some(true) {
        out.flag("ecn", "ecn ");
    }
    if bytemode == Some(true) {
        out.flag("bytemode", "bytemode ");
    }
    if dq_rate_estimator == Some(true) {
        out.flag("dq_rate_estimator", "dq_rate_estimator ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn weights_have_a_bound() {
        let parse = |words: &[&str]| Pie::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        assert_eq!(parse(&["alpha", "32"]).unwrap().unwrap().alpha, Some(32));
        assert_eq!(parse(&["alpha", "0"]).unwrap().unwrap().alpha, None);
        assert_eq!(parse(&["beta", "33"]), Err(WordError::Kind("Illegal \"beta\"".into())));
    }

    #[test]
    fn short_counters_are_an_error() {
        let mut out = Printer::new(tc_core::print::Form::Text, tc_core::print::Style::default());
        assert!(Pie::print_xstats(&[0; 39], &mut out).is_err() && out.bytes().is_empty());
        assert_eq!(Pie::print_xstats(&[0; 40], &mut out), Ok(true));
    }
}
