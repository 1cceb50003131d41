//! `fq`: flows by socket, served in turn, each sent at its own pace. Made for
//! hosts, and for TCP's pacing.
//!
//! UAPI: attributes (`TCA_FQ_*`); statistics in `struct tc_fq_qd_stats`.
//!
//! Kernel, `net/sched/sch_fq.c`: times are kept in nanoseconds; the default rate
//! is not used any more. Bands are there since Linux 6.7, the horizon of the
//! device since 6.13; older kernels ignore options that they do
//! not know.

mod bands;
mod stats;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Null, Printer, Rate, Size, Time, TimeNs};
use tc_core::rate::{Rate as DataRate, parse_rate_of_link};
use tc_core::units::{nanos, parse_rate32, parse_time_ns, parse_time_us, parse_u32, words_of_rate};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

use crate::common::{attr_micros_if, bool_at, in_us, jiffies_us, micros_at, narrow_rate, of_us, u32_at, us};

pub use bands::{BANDS, Bands};
pub use stats::FqXstats;

tc_core::register!(Fq);

/// The options of an fq. `None` leaves an option as it is; for a new qdisc it is
/// then the kernel's default.
///
/// ```
/// use tc_core::rate::Rate;
/// use tc_qdiscs::fq::Fq;
///
/// // No flow faster than 10 Mbit/s.
/// let slow = Fq::default().max_rate(Rate::bits_per_second(10_000_000));
/// # let _ = slow;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Fq {
    /// Most packets in the qdisc (10000).
    pub limit_packets: Option<u32>,
    /// Most packets of a flow (100).
    pub flow_limit_packets: Option<u32>,
    /// Bytes that a flow may send in its turn (two packets).
    pub quantum_bytes: Option<u32>,
    /// Bytes that a new flow may send at first (ten packets).
    pub initial_quantum_bytes: Option<u32>,
    /// Logarithm to base 2 of the number of hash buckets, at most 18 (10).
    pub buckets_log: Option<u32>,
    /// Whether flows are paced (yes).
    pub pacing: Option<bool>,
    /// Fastest rate of a flow, in 32 bits of bytes per second. [`Fq::NO_MAX_RATE`] is
    /// no limit, the default.
    pub max_rate: Option<DataRate>,
    /// Rate of flows that are not paced. Kernels since 3.13 do not use it.
    pub default_rate: Option<DataRate>,
    /// Below this rate every packet is delayed, and not whole quanta (550 kbit/s).
    pub low_rate_threshold: Option<DataRate>,
    /// How long a flow has to be idle for a full quantum (40 ms).
    pub refill_delay: Option<Duration>,
    /// Flows for packets without a socket, less one (1023).
    pub orphan_mask: Option<u32>,
    /// Delay above which ECN-capable packets are marked (default
    /// [`Fq::NO_CE_THRESHOLD`]: never).
    pub ce_threshold: Option<Duration>,
    /// How exact timers are (10 us).
    pub timer_slack: Option<Duration>,
    /// How far in the future a packet may want to be sent (10 s).
    pub horizon: Option<Duration>,
    /// Whether packets beyond the horizon are dropped (yes), or sent at it.
    pub horizon_drop: Option<bool>,
    /// The band of each priority. Bands are served in turn by their weights.
    pub bands: Option<Bands>,
    /// Bytes that each band may send in its turn, each at least 16384 (589824,
    /// 196608, 65536).
    pub weights: Option<[u32; BANDS]>,
    /// How far in the future packets are given to the device, if it can wait with them itself (0).
    pub offload_horizon: Option<Duration>,
}

impl Fq {
    /// No limit to the rate of a flow.
    pub const NO_MAX_RATE: DataRate = DataRate::bytes_per_second(u32::MAX as u64);
    /// No packet is marked because of its delay.
    pub const NO_CE_THRESHOLD: Duration = Duration::from_micros(u32::MAX as u64);
}

impl Kind for Fq {
    type Object = object::Qdisc;
    const KIND: &'static str = "fq";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.rounded(&["refill_delay"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let rate = |kind, field, rate: Option<DataRate>, out: &mut AttrWriter<'_>| {
            out.attr_u32_if(kind, rate.map(|rate| narrow_rate(field, rate)).transpose()?);
            Ok::<_, EncodeError>(())
        };
        out.attr_u32_if(BUCKETS_LOG, self.buckets_log);
        out.attr_u32_if(PLIMIT, self.limit_packets);
        out.attr_u32_if(FLOW_PLIMIT, self.flow_limit_packets);
        out.attr_u32_if(QUANTUM, self.quantum_bytes);
        out.attr_u32_if(INITIAL_QUANTUM, self.initial_quantum_bytes);
        out.attr_u32_if(RATE_ENABLE, self.pacing.map(u32::from));
        rate(FLOW_MAX_RATE, "max_rate", self.max_rate, out)?;
        rate(LOW_RATE_THRESHOLD, "low_rate_threshold", self.low_rate_threshold, out)?;
        rate(FLOW_DEFAULT_RATE, "default_rate", self.default_rate, out)?;
        attr_micros_if(FLOW_REFILL_DELAY, "refill_delay", self.refill_delay, out)?;
        out.attr_u32_if(ORPHAN_MASK, self.orphan_mask);
        attr_micros_if(CE_THRESHOLD, "ce_threshold", self.ce_threshold, out)?;
        let slack = self.timer_slack.map(|slack| nanos("timer_slack", slack)).transpose()?;
        out.attr_u32_if(TIMER_SLACK, slack);
        attr_micros_if(HORIZON, "horizon", self.horizon, out)?;
        if let Some(drop) = self.horizon_drop {
            out.attr_u8(HORIZON_DROP, drop.into());
        }
        if let Some(bands) = &self.bands {
            bands.encode(&mut out.nest(PRIOMAP));
        }
        if let Some(weights) = &self.weights {
            out.attr(WEIGHTS, weights.map(u32::to_ne_bytes).as_flattened());
        }
        attr_micros_if(OFFLOAD_HORIZON, "offload_horizon", self.offload_horizon, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ OFFLOAD_HORIZON as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let horizon_drop = attr(HORIZON_DROP).map(|attr| attr.u8()).transpose()?;
        Ok(Self {
            limit_packets: u32_at(&table, PLIMIT)?,
            flow_limit_packets: u32_at(&table, FLOW_PLIMIT)?,
            quantum_bytes: u32_at(&table, QUANTUM)?,
            initial_quantum_bytes: u32_at(&table, INITIAL_QUANTUM)?,
            buckets_log: u32_at(&table, BUCKETS_LOG)?,
            pacing: bool_at(&table, RATE_ENABLE)?,
            max_rate: rate_at(&table, FLOW_MAX_RATE)?,
            default_rate: rate_at(&table, FLOW_DEFAULT_RATE)?,
            low_rate_threshold: rate_at(&table, LOW_RATE_THRESHOLD)?,
            refill_delay: micros_at(&table, FLOW_REFILL_DELAY)?,
            orphan_mask: u32_at(&table, ORPHAN_MASK)?,
            ce_threshold: micros_at(&table, CE_THRESHOLD)?,
            timer_slack: u32_at(&table, TIMER_SLACK)?.map(|ns| Duration::from_nanos(ns.into())),
            horizon: micros_at(&table, HORIZON)?,
            horizon_drop: horizon_drop.map(|drop| drop != 0),
            bands: attr(PRIOMAP).map(|attr| Bands::decode(attr.payload)).transpose()?,
            weights: attr(WEIGHTS).map(|attr| bands::decode_weights(attr.payload)).transpose()?,
            offload_horizon: micros_at(&table, OFFLOAD_HORIZON)?,
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        let hz = environment.timer_hz();
        let in_jiffies = |delay| of_us(jiffies_us(in_us(delay), hz));
        Self { refill_delay: self.refill_delay.map(in_jiffies), ..*self }
    }
}

impl Syntax for Fq {
    const USAGE: &'static str = "\
Usage: ... fq\t[ limit PACKETS ] [ flow_limit PACKETS ]\n\
\t\t[ quantum BYTES ] [ initial_quantum BYTES ]\n\
\t\t[ maxrate RATE ] [ buckets NUMBER ]\n\
\t\t[ [no]pacing ] [ refill_delay TIME ]\n\
\t\t[ bands 3 priomap P0 P1 ... P14 P15 ]\n\
\t\t[ weights W1 W2 W3 ]\n\
\t\t[ low_rate_threshold RATE ]\n\
\t\t[ orphan_mask MASK]\n\
\t\t[ timer_slack TIME]\n\
\t\t[ ce_threshold TIME ]\n\
\t\t[ horizon TIME ]\n\
\t\t[ horizon_{cap|drop} ]\n\
\t\t[ offload_horizon TIME ]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => options.limit_packets = Some(words.parse(parse_u32, illegal)?),
                "flow_limit" => options.flow_limit_packets = Some(words.parse(parse_u32, illegal)?),
                "buckets" => {
                    let buckets = words.parse(parse_u32, illegal)?;
                    // tc takes 0 for not given, and the next power of two.
                    options.buckets_log = buckets.checked_sub(1).map(|below| 32 - below.leading_zeros());
                }
                "maxrate" => options.max_rate = Some(parse_rate(word, words, context)?),
                "defrate" => options.default_rate = Some(parse_rate(word, words, context)?),
                "low_rate_threshold" => {
                    let rate = words.parse(parse_rate32, illegal)?;
                    options.low_rate_threshold = Some(DataRate::bytes_per_second(rate.into()));
                }
                "ce_threshold" => options.ce_threshold = Some(of_us(words.parse(parse_time_us, illegal)?)),
                "timer_slack" => {
                    let out_of_range = |_| WordError::Kind("Illegal (out of range) \"timer_slack\"".into());
                    let ns = words.parse(parse_time_ns, illegal)?;
                    let ns = u32::try_from(ns).map_err(out_of_range)?;
                    options.timer_slack = Some(Duration::from_nanos(ns.into()));
                }
                "horizon_drop" => options.horizon_drop = Some(true),
                "horizon_cap" => options.horizon_drop = Some(false),
                "horizon" => options.horizon = Some(of_us(words.parse(parse_time_us, illegal)?)),
                "quantum" => options.quantum_bytes = Some(words.parse(parse_u32, illegal)?),
                "initial_quantum" => options.initial_quantum_bytes = Some(words.parse(parse_u32, illegal)?),
                // tc's text names another word here.
                "orphan_mask" => {
                    let illegal = |_: &str| "Illegal \"initial_quantum\"".into();
                    options.orphan_mask = Some(words.parse(parse_u32, illegal)?);
                }
                "refill_delay" => options.refill_delay = Some(of_us(words.parse(parse_time_us, illegal)?)),
                "bands" if options.bands.is_some() => return Err(bands::duplicate(word)),
                "bands" => options.bands = Some(Bands::parse(words)?),
                "weights" if options.weights.is_some() => return Err(bands::duplicate(word)),
                "weights" => options.weights = Some(bands::parse_weights(words)?),
                "offload_horizon" => {
                    options.offload_horizon = Some(of_us(words.parse(parse_time_us, illegal)?))
                }
                "pacing" => options.pacing = Some(true),
                "nopacing" => options.pacing = Some(false),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(options))
    }

    fn print(&self, out: &mut Printer) {
        let shown = |rate: DataRate| Rate(rate.as_bytes_per_second());
        let rate = |rate: Option<DataRate>, none| rate.filter(|rate| *rate != none).map(shown);
        let time = |time: Option<Duration>| time.map(in_us).map(Time);
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("flow_limit", "flow_limit ", self.flow_limit_packets, "p ");
        out.item_if("buckets", "buckets ", self.buckets_log.map(|log| 1u32.wrapping_shl(log)), " ");
        out.item_if("orphan_mask", "orphan_mask ", self.orphan_mask, " ");
        if self.pacing == Some(false) {
            out.json("pacing", false);
            out.text("nopacing ");
        }
        bands::print(self.bands.as_ref(), self.weights.as_ref(), out);
        out.item_if("quantum", "quantum ", self.quantum_bytes.map(Size), " ");
        out.item_if("initial_quantum", "initial_quantum ", self.initial_quantum_bytes.map(Size), " ");
        out.item_if("maxrate", "maxrate ", rate(self.max_rate, Self::NO_MAX_RATE), " ");
        out.item_if("defrate", "defrate ", rate(self.default_rate, DataRate::ZERO), " ");
        out.item_if(
            "low_rate_threshold",
            "low_rate_threshold ",
            rate(self.low_rate_threshold, DataRate::ZERO),
            " ",
        );
        out.item_if("refill_delay", "refill_delay ", time(self.refill_delay), " ");
        let threshold = self.ce_threshold.filter(|threshold| *threshold != Self::NO_CE_THRESHOLD);
        out.item_if("ce_threshold", "ce_threshold ", time(threshold), " ");
        let slack = self.timer_slack.map(|slack| TimeNs(slack.as_nanos().try_into().unwrap_or(i64::MAX)));
        out.item_if("timer_slack", "timer_slack ", slack, " ");
        out.item_if("horizon", "horizon ", time(self.horizon), " ");
        match self.horizon_drop {
            Some(true) => out.item("horizon_drop", "", Null("horizon_drop "), ""),
            Some(false) => out.item("horizon_cap", "", Null("horizon_cap "), ""),
            None => {}
        }
        out.item_if("offload_horizon", "offload_horizon ", time(self.offload_horizon), " ");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let rate = |rate: Option<DataRate>| rate.map(|rate| words_of_rate(rate.as_bytes_per_second()));
        let time = |time: Option<Duration>| time.map(|time| us(in_us(time)));
        out.say_if("limit", self.limit_packets);
        out.say_if("flow_limit", self.flow_limit_packets);
        out.say_if("buckets", self.buckets_log.map(|log| 1u32.checked_shl(log).unwrap_or(0)));
        out.say_if("orphan_mask", self.orphan_mask);
        out.switch("pacing", self.pacing, "pacing", "nopacing");
        out.say_if("quantum", self.quantum_bytes);
        out.say_if("initial_quantum", self.initial_quantum_bytes);
        out.say_if("maxrate", rate(self.max_rate));
        out.say_if("defrate", rate(self.default_rate));
        out.say_if("low_rate_threshold", rate(self.low_rate_threshold));
        out.say_if("refill_delay", time(self.refill_delay));
        out.say_if("ce_threshold", time(self.ce_threshold));
        out.say_if("timer_slack", self.timer_slack.map(|slack| format!("{}ns", slack.as_nanos())));
        out.say_if("horizon", time(self.horizon));
        out.switch("horizon_drop", self.horizon_drop, "horizon_drop", "horizon_cap");
        out.say_if("bands", self.bands.as_ref().map(Bands::words));
        out.say_if("weights", self.weights.map(|weights| weights.map(|weight| weight.to_string()).join(" ")));
        out.say_if("offload_horizon", time(self.offload_horizon));
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        stats::print(payload, out)?;
        Ok(true)
    }
}

const PLIMIT: u16 = 1;
const FLOW_PLIMIT: u16 = 2;
const QUANTUM: u16 = 3;
const INITIAL_QUANTUM: u16 = 4;
const RATE_ENABLE: u16 = 5;
const FLOW_DEFAULT_RATE: u16 = 6;
const FLOW_MAX_RATE: u16 = 7;
const BUCKETS_LOG: u16 = 8;
const FLOW_REFILL_DELAY: u16 = 9;
const ORPHAN_MASK: u16 = 10;
const LOW_RATE_THRESHOLD: u16 = 11;
const CE_THRESHOLD: u16 = 12;
const TIMER_SLACK: u16 = 13;
const HORIZON: u16 = 14;
const HORIZON_DROP: u16 = 15;
const PRIOMAP: u16 = 16;
const WEIGHTS: u16 = 17;
const OFFLOAD_HORIZON: u16 = 18;

/// A rate in 32 bits, or a percentage of the link's.
fn parse_rate(key: &str, words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<DataRate, WordError> {
    let illegal = |lines: String| WordError::Kind(format!("{lines}Illegal \"{key}\""));
    let rate = parse_rate_of_link(words.value()?, context).map_err(illegal)?;
    narrow_rate(key, rate).map_err(|_| illegal(String::new()))?;
    Ok(rate)
}

fn rate_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<DataRate>, DecodeError> {
    Ok(u32_at(table, kind)?.map(|rate| DataRate::bytes_per_second(rate.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<Fq, WordError> {
        Fq::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add)).map(|fq| fq.unwrap())
    }

    #[test]
    fn buckets_are_powers_of_two() {
        for (words, log) in
            [("0", None), ("1", Some(0)), ("2", Some(1)), ("1000", Some(10)), ("1024", Some(10))]
        {
            assert_eq!(parse(&["buckets", words]).unwrap().buckets_log, log, "{words}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert_eq!(text(&["timer_slack", "5s"]), "Illegal (out of range) \"timer_slack\"");
        assert_eq!(text(&["orphan_mask", "x"]), "Illegal \"initial_quantum\"");
        assert_eq!(text(&["maxrate", "40gbit"]), "Illegal \"maxrate\"", "32 bits");
    }
}
