//! `dualpi2`: two queues for one link, a short one for senders that react to
//! marks at once (L4S), and one for the others (RFC 9332).
//!
//! UAPI: attributes (`TCA_DUALPI2_*`); statistics in `struct tc_dualpi2_xstats`.
//!
//! Kernel, `net/sched/sch_dualpi2.c`, since Linux 6.17: two thresholds in one
//! request are refused; a `limit` brings a limit of memory, unless that is given.

mod tuning;
mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Float, Formatted, Item, Null, Printer, Style, Time};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, Xstats, object,
};

use crate::common::{asked, attr_micros_if, in_us, micros_at, u32_at};
use crate::counters::counters;

pub use tuning::Tuning;

tc_core::register!(Dualpi2);

/// The options of a dualpi2. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::dualpi2::{Dualpi2, Tuning};
///
/// // For a data centre, with round trips of at most 1 ms.
/// let tuning = Tuning::for_round_trips(Duration::from_millis(1), Duration::from_micros(200))?;
/// let near = Dualpi2::default().tuning(tuning);
/// # let _ = near;
/// # Ok::<(), tc_core::words::WordError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Dualpi2 {
    /// Most packets in both queues (10000).
    pub limit_packets: Option<u32>,
    /// Most memory of both queues in bytes (two MTUs for each packet of the
    /// limit).
    pub memory_limit_bytes: Option<u32>,
    /// The controller.
    pub tuning: Tuning,
    /// Packets in the short queue from which all are marked.
    pub step_threshold_packets: Option<u32>,
    /// Delay of the short queue from which all are marked (1 ms).
    pub step_threshold: Option<Duration>,
    /// Packets that the short queue has at least, for the threshold to count (0).
    pub min_qlen_step_packets: Option<u32>,
    /// How many times more likely a mark is in the short queue than a drop or mark
    /// in the other, 1 to 255 (2).
    pub coupling_factor: Option<u8>,
    /// Under overload, whether packets of the short queue are dropped as the
    /// others are (yes), or the queue overflows.
    pub drop_on_overload: Option<bool>,
    /// Whether packets are dropped or marked as they come, and not as they leave
    /// (no).
    pub drop_early: Option<bool>,
    /// Percents of the link that the other queue has in any case (10).
    pub classic_protection_percent: Option<u8>,
    /// Which packets go to the short queue ([`EcnMask::L4S`]).
    pub ecn_mask: Option<EcnMask>,
    /// Whether GSO packets are split (yes).
    pub split_gso: Option<bool>,
}

/// `TC_DUALPI2_ECN_MASK_*`: bits of the ECN field. A packet needs one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcnMask(pub u8);

impl EcnMask {
    /// ECT(1), the identifier of L4S, and CE.
    pub const L4S: Self = Self(1);
    /// Any ECN.
    pub const ANY: Self = Self(3);

    /// The word for it; `tc` prints the mask 2 as the mask 3.
    const fn name(self, of_json: bool) -> &'static str {
        match (self.0 & 3, of_json) {
            (0, _) => "",
            (1, false) => "l4s_ect",
            (1, true) => "l4s-ect",
            (_, false) => "any_ect",
            (_, true) => "any-ect",
        }
    }
}

impl Kind for Dualpi2 {
    type Object = object::Qdisc;
    const KIND: &'static str = "dualpi2";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.rounded(&["alpha", "beta"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(LIMIT, self.limit_packets);
        out.attr_u32_if(MEMORY_LIMIT, self.memory_limit_bytes);
        attr_micros_if(TUPDATE, "tupdate", self.tuning.tupdate, out)?;
        attr_micros_if(TARGET, "target", self.tuning.target, out)?;
        out.attr_u32_if(ALPHA, self.tuning.alpha_256th_hz);
        out.attr_u32_if(BETA, self.tuning.beta_256th_hz);
        attr_u8_if(ECN_MASK, self.ecn_mask.map(|mask| mask.0), out);
        attr_u8_if(DROP_OVERLOAD, self.drop_on_overload.map(u8::from), out);
        attr_u8_if(COUPLING, self.coupling_factor, out);
        attr_u8_if(SPLIT_GSO, self.split_gso.map(u8::from), out);
        out.attr_u32_if(STEP_THRESH_PKTS, self.step_threshold_packets);
        attr_micros_if(STEP_THRESH_US, "step_threshold", self.step_threshold, out)?;
        out.attr_u32_if(MIN_QLEN_STEP, self.min_qlen_step_packets);
        attr_u8_if(DROP_EARLY, self.drop_early.map(u8::from), out);
        attr_u8_if(C_PROTECTION, self.classic_protection_percent, out);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ SPLIT_GSO as usize + 1 }>()?;
        let u8_at = |kind: u16| table[usize::from(kind)].map(|attr| attr.u8()).transpose();
        let switch_at = |kind| Ok(u8_at(kind)?.map(|number| number != 0));
        Ok(Self {
            limit_packets: u32_at(&table, LIMIT)?,
            memory_limit_bytes: u32_at(&table, MEMORY_LIMIT)?,
            tuning: Tuning {
                target: micros_at(&table, TARGET)?,
                tupdate: micros_at(&table, TUPDATE)?,
                alpha_256th_hz: u32_at(&table, ALPHA)?,
                beta_256th_hz: u32_at(&table, BETA)?,
            },
            step_threshold_packets: u32_at(&table, STEP_THRESH_PKTS)?,
            step_threshold: micros_at(&table, STEP_THRESH_US)?,
            min_qlen_step_packets: u32_at(&table, MIN_QLEN_STEP)?,
            coupling_factor: u8_at(COUPLING)?,
            drop_on_overload: switch_at(DROP_OVERLOAD)?,
            drop_early: switch_at(DROP_EARLY)?,
            classic_protection_percent: u8_at(C_PROTECTION)?,
            ecn_mask: u8_at(ECN_MASK)?.map(EcnMask),
            split_gso: switch_at(SPLIT_GSO)?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let kept = |parts: Option<u32>| parts.map(tuning::as_dumped);
        let (alpha, beta) = (self.tuning.alpha_256th_hz, self.tuning.beta_256th_hz);
        let tuning = Tuning { alpha_256th_hz: kept(alpha), beta_256th_hz: kept(beta), ..self.tuning };
        Self { tuning, ..*self }
    }

    fn as_request(&self) -> Self {
        let ask = |parts: Option<u32>| parts.map(|parts| asked(parts, tuning::as_dumped));
        let (alpha, beta) = (self.tuning.alpha_256th_hz, self.tuning.beta_256th_hz);
        let tuning = Tuning { alpha_256th_hz: ask(alpha), beta_256th_hz: ask(beta), ..self.tuning };
        Self { tuning, ..*self }
    }
}

impl Syntax for Dualpi2 {
    const USAGE: &'static str = words::USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words, context).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        let hertz = |number: Option<u32>| number.map(|number| Fixed(f64::from(number as f32 / 256.0)));
        let time = |time: Option<Duration>| time.map(in_us).map(Time);
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("memory-limit", "memlimit ", self.memory_limit_bytes, "B ");
        out.item_if("target", "target ", time(self.tuning.target), " ");
        out.item_if("tupdate", "tupdate ", time(self.tuning.tupdate), " ");
        out.item_if("alpha", "alpha ", hertz(self.tuning.alpha_256th_hz), " ");
        out.item_if("beta", "beta ", hertz(self.tuning.beta_256th_hz), " ");
        out.item_if("step-thresh-pkts", "step_thresh ", self.step_threshold_packets, "p ");
        out.item_if("step-thresh-us", "step_thresh ", time(self.step_threshold), " ");
        out.item_if("min-qlen-step", "min_qlen_step ", self.min_qlen_step_packets, "p ");
        out.item_if("coupling", "coupling_factor ", self.coupling_factor, " ");
        let either = |on: bool, yes, no| if on { yes } else { no };
        if let Some(drop) = self.drop_on_overload {
            out.json("drop-overload", either(drop, "drop", "overflow"));
            out.text(either(drop, "drop_on_overload ", "overflow "));
        }
        if let Some(early) = self.drop_early {
            out.json("drop-early", either(early, "drop-enqueue", "drop-dequeue"));
            out.text(either(early, "drop_enqueue ", "drop_dequeue "));
        }
        out.item_if("c-protection", "classic_protection ", self.classic_protection_percent, "% ");
        if let Some(mask) = self.ecn_mask {
            out.json("ecn-mask", mask.name(true));
            out.text_item("", mask.name(false), " ");
        }
        if let Some(split) = self.split_gso {
            out.text(either(split, "split_gso ", "no_split_gso "));
            if split {
                out.json("split-gso", Null(""));
            }
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = Dualpi2Xstats::decode(payload)?;
        out.item("prob", "prob ", Fixed(f64::from(stats.probability) / f64::from(u32::MAX)), " ");
        out.item("delay-c", "delay_c ", stats.delay_classic_us, "us ");
        out.item("delay-l", "delay_l ", stats.delay_l4s_us, "us");
        out.newline();
        out.item("pkts-in-c", "pkts_in_c ", stats.packets_in_classic, " ");
        out.item("pkts-in-l", "pkts_in_l ", stats.packets_in_l4s, " ");
        out.item("maxq", "maxq ", stats.max_queue_packets, "");
        out.newline();
        out.item("ecn-mark", "ecn_mark ", stats.ecn_mark, " ");
        out.item("step-mark", "step_mark ", stats.step_marks, "");
        out.newline();
        out.item("credit", "credit ", stats.credit, " ");
        out.text(if stats.credit > 0 { "(C-queue)" } else { "(L-queue)" });
        out.newline();
        out.item("memory-used", "memory_used ", stats.memory_used_bytes, " ");
        out.item("max-memory-used", "(max ", stats.max_memory_used_bytes, ") ");
        out.item("memory-limit", "of memory limit ", stats.memory_limit_bytes, "");
        out.newline();
        Ok(true)
    }
}

const LIMIT: u16 = 1;
const MEMORY_LIMIT: u16 = 2;
const TARGET: u16 = 3;
const TUPDATE: u16 = 4;
const ALPHA: u16 = 5;
const BETA: u16 = 6;
const STEP_THRESH_PKTS: u16 = 7;
const STEP_THRESH_US: u16 = 8;
const MIN_QLEN_STEP: u16 = 9;
const COUPLING: u16 = 10;
const DROP_OVERLOAD: u16 = 11;
const DROP_EARLY: u16 = 12;
const C_PROTECTION: u16 = 13;
const ECN_MASK: u16 = 14;
const SPLIT_GSO: u16 = 15;

fn attr_u8_if(kind: u16, value: Option<u8>, out: &mut AttrWriter<'_>) {
    if let Some(value) = value {
        out.attr_u8(kind, value);
    }
}

/// A number as C prints it with `%f`; in JSON as with `%g`.
struct Fixed(f64);

impl Item for Fixed {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        Formatted(format_args!("{:.6}", self.0)).text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        Float(self.0).json(out);
    }
}

counters! {
    /// The counters of the qdisc: `struct tc_dualpi2_xstats`.
    pub struct Dualpi2Xstats() of Qdisc "dualpi2" {
        /// The base probability; `u32::MAX` is 1.
        pub probability: u32 = u32,
        /// The delay of the classic queue, in microseconds.
        pub delay_classic_us: u32 = u32,
        /// The delay of the low-latency queue, in microseconds.
        pub delay_l4s_us: u32 = u32,
        /// Packets that entered the classic queue.
        pub packets_in_classic: u32 = u32,
        /// Packets that entered the low-latency queue.
        pub packets_in_l4s: u32 = u32,
        /// The largest number of packets in the qdisc.
        pub max_queue_packets: u32 = u32,
        /// Packets marked.
        pub ecn_mark: u32 = u32,
        /// Packets marked because of the step threshold.
        pub step_marks: u32 = u32,
        /// The credit of the scheduler: the classic queue is next above 0, the low-latency queue below.
        pub credit: i32 = i32,
        /// Bytes of memory that packets take.
        pub memory_used_bytes: u32 = u32,
        /// The most bytes of memory that packets took.
        pub max_memory_used_bytes: u32 = u32,
        /// The limit of memory, in bytes.
        pub memory_limit_bytes: u32 = u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_counters_are_an_error() {
        let mut out = Printer::new(tc_core::print::Form::Text, Style::default());
        assert!(Dualpi2::print_xstats(&[0; 47], &mut out).is_err() && out.bytes().is_empty());
        assert_eq!(Dualpi2::print_xstats(&[0; 48], &mut out), Ok(true));
    }

    #[test]
    fn a_mask_without_a_word_prints_nothing() {
        let names = [0, 1, 2, 3, 4].map(|mask| EcnMask(mask).name(false));
        assert_eq!(names, ["", "l4s_ect", "any_ect", "any_ect", ""]);
    }
}
