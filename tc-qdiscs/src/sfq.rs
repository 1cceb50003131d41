//! `sfq`: flows by hash, served in turn; with RED for each flow, if wanted.
//!
//! UAPI: `struct tc_sfq_qopt_v1`, bare, whose first part is `struct tc_sfq_qopt`,
//! all that kernels before 3.3 know; a dump ends with statistics of RED.
//! Statistics of a class in `struct tc_sfq_xstats`.
//!
//! Kernel, `net/sched/sch_sfq.c`: only the quantum, the period, the limit and what
//! belongs to RED can be changed later; 0 leaves a number as it is.

use tc_core::print::{Printer, Size};
use tc_core::units::{parse_i32, parse_size, parse_u32, words_of_size};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Upkeep, Wording, zero_extended,
};

use crate::common::not_zero;
use crate::red::math::{Curve, Kept, parse_probability};
use crate::red::{Flags, print_probability};

tc_core::register!(Sfq);

/// The options of an sfq. 0 is the kernel's default.
///
/// ```
/// use tc_qdiscs::sfq::Sfq;
///
/// let fair = Sfq { perturb_secs: 10, ..Sfq::default() };
/// # let _ = fair;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sfq {
    /// Bytes that a flow may send in its turn (the MTU).
    pub quantum_bytes: u32,
    /// How often flows get new hashes, in seconds (never).
    pub perturb_secs: i32,
    /// Most packets in the qdisc, at least 2 (127).
    pub limit_packets: u32,
    /// Number of hash buckets, a power of two (1024).
    pub divisor: u32,
    /// Most flows at a time (128).
    pub flows: u32,
    /// Most packets of a flow (127).
    pub depth_packets: u32,
    /// Whether the oldest packet of a flow is dropped when it is full, in place
    /// of the newest.
    pub headdrop: bool,
    /// RED for each flow. Not active while `min_bytes` is 0.
    pub red: FlowRed,
}

/// RED for each flow of an sfq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowRed {
    /// Most bytes of a flow.
    pub limit_bytes: u32,
    /// Average length in bytes from which packets are dropped or marked.
    pub min_bytes: u32,
    /// Average length in bytes from which all packets are.
    pub max_bytes: u32,
    /// Weight of a packet in the average, as a negative logarithm to base 2.
    pub average_log: u8,
    /// Logarithm to base 2 for kernels that do not know `max_probability`.
    pub probability_log: u8,
    /// Size of the damping table's steps; the kernel makes that table itself.
    pub cell_log: u8,
    /// What to do with packets; only [`Flags::ecn`] and [`Flags::harddrop`]
    /// count.
    pub flags: Flags,
    /// Probability at `max_bytes`, in parts of 2^32.
    pub max_probability: u32,
    /// What was done so far, in a dump.
    pub counters: Counters,
}

/// `struct tc_sfqred_stats`: packets that RED dropped or marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Dropped below `max_bytes`.
    pub early_drops: u32,
    /// Dropped above `max_bytes`.
    pub forced_drops: u32,
    /// Marked below `max_bytes`.
    pub early_marks: u32,
    /// Marked above `max_bytes`.
    pub forced_marks: u32,
    /// Oldest packets marked below `max_bytes`.
    pub early_marks_head: u32,
    /// Oldest packets marked above `max_bytes`.
    pub forced_marks_head: u32,
}

impl Kind for Sfq {
    const KIND: &'static str = "sfq";
    const USAGE: &'static str = "\
Usage: ... sfq\t[ limit NUMBER ] [ perturb SECS ] [ quantum BYTES ]\n\
\t\t[ divisor NUMBER ] [ flows NUMBER] [ depth NUMBER ]\n\
\t\t[ headdrop ]\n\
\t\t[ redflowlimit BYTES ] [ min BYTES ] [ max BYTES ]\n\
\t\t[ avpkt BYTES ] [ burst PACKETS ] [ probability P ]\n\
\t\t[ ecn ] [ harddrop ]\n";
    const UPKEEP: Upkeep = Upkeep::REFUSES_CHANGE.untold(&["redflowlimit", "avpkt and burst beyond ewma"]);

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        if words.is_empty() {
            return Ok(None);
        }
        let mut sfq = Self::default();
        let mut with_red = false;
        let mut curve = Curve { min: 0, max: 0, burst: 0, average_packet: 1000, probability: 0.02 };
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                // tc's text names another word here, and for depth.
                "quantum" => {
                    sfq.quantum_bytes = words.parse(parse_size, |_| "Illegal \"limit\"".into())?;
                }
                "perturb" => {
                    // Kernel: before Linux 6.16 its timer then never rests.
                    let secs = words.parse(parse_i32, illegal)?;
                    let from_zero = Some(secs).filter(|secs| *secs >= 0);
                    sfq.perturb_secs = from_zero.ok_or_else(|| WordError::Kind(illegal("")))?;
                }
                "limit" => {
                    sfq.limit_packets = words.parse(parse_u32, illegal)?;
                    if sfq.limit_packets < 2 {
                        return Err(WordError::Kind("Illegal \"limit\", must be > 1".into()));
                    }
                }
                "divisor" => sfq.divisor = words.parse(parse_u32, illegal)?,
                "flows" => sfq.flows = words.parse(parse_u32, illegal)?,
                "depth" => sfq.depth_packets = words.parse(parse_u32, |_| "Illegal \"flows\"".into())?,
                "headdrop" => sfq.headdrop = true,
                "help" => return Err(WordError::Help),
                _ => {
                    parse_red(word, words, &mut sfq.red, &mut curve)?;
                    with_red = true;
                }
            }
        }
        if with_red {
            compute(&mut sfq.red, curve, context)?;
        }
        Ok(Some(sfq))
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.quantum_bytes);
        out.put_i32(self.perturb_secs);
        out.put_u32(self.limit_packets);
        out.put_u32(self.divisor);
        out.put_u32(self.flows);
        out.put_u32(self.depth_packets);
        out.put_u32(self.headdrop.into());
        let red = &self.red;
        for number in [red.limit_bytes, red.min_bytes, red.max_bytes] {
            out.put_u32(number);
        }
        out.put(&[red.average_log, red.probability_log, red.cell_log, red.flags.raw() as u8]);
        out.put_u32(red.max_probability);
        let counters = &red.counters;
        for number in [
            counters.early_drops,
            counters.forced_drops,
            counters.early_marks,
            counters.forced_marks,
            counters.early_marks_head,
            counters.forced_marks_head,
        ] {
            out.put_u32(number);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        if payload.len() < OLD_LENGTH {
            return Err(DecodeError::Short { need: OLD_LENGTH, have: payload.len() });
        }
        // What is between the two lengths is of no kernel.
        let known = if payload.len() < LENGTH { &payload[..OLD_LENGTH] } else { payload };
        let all: [u8; LENGTH] = zero_extended(known);
        let mut reader = Reader::new(&all);
        Ok(Self {
            quantum_bytes: reader.u32()?,
            perturb_secs: reader.i32()?,
            limit_packets: reader.u32()?,
            divisor: reader.u32()?,
            flows: reader.u32()?,
            depth_packets: reader.u32()?,
            headdrop: reader.u32()? != 0,
            red: FlowRed {
                limit_bytes: reader.u32()?,
                min_bytes: reader.u32()?,
                max_bytes: reader.u32()?,
                average_log: reader.u8()?,
                probability_log: reader.u8()?,
                cell_log: reader.u8()?,
                flags: Flags::from_raw(reader.u8()?.into()),
                max_probability: reader.u32()?,
                counters: Counters {
                    early_drops: reader.u32()?,
                    forced_drops: reader.u32()?,
                    early_marks: reader.u32()?,
                    forced_marks: reader.u32()?,
                    early_marks_head: reader.u32()?,
                    forced_marks_head: reader.u32()?,
                },
            },
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        out.say_if("quantum", not_zero(self.quantum_bytes).map(words_of_size));
        out.say("perturb", self.perturb_secs);
        // Kernel: a limit that is said also bounds the flows; one below them was never said.
        match not_zero(self.limit_packets) {
            Some(limit) if limit < self.flows => out.silent("limit", limit),
            limit => out.say_if("limit", limit),
        }
        out.say_if("divisor", not_zero(self.divisor));
        out.say_if("flows", not_zero(self.flows));
        out.say_if("depth", not_zero(self.depth_packets));
        out.flag("headdrop", self.headdrop);
        out.group("red", |out| self.red.write_words(out));
    }

    fn kept(&self, _: &dyn Environment) -> Self {
        kept(self)
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", self.limit_packets, "p ");
        out.item("quantum", "quantum ", Size(self.quantum_bytes), " ");
        if self.depth_packets != 0 {
            out.item("depth", "depth ", self.depth_packets, " ");
        }
        if self.headdrop {
            out.flag("headdrop", "headdrop ");
        }
        if out.style().details {
            out.item("flows", "flows ", self.flows, " ");
        }
        out.item("divisor", "divisor ", self.divisor, " ");
        if self.perturb_secs != 0 {
            out.item("perturb", "perturb ", self.perturb_secs, "sec ");
        }
        if self.red.min_bytes != 0 {
            self.red.print(out);
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        out.item("allot", "  allot ", Reader::new(payload).i32()?, "");
        Ok(true)
    }
}

/// Length of `struct tc_sfq_qopt`.
const OLD_LENGTH: usize = 20;
/// Length of `struct tc_sfq_qopt_v1`.
const LENGTH: usize = 72;

/// What the kernel makes of the numbers for a new qdisc (`sfq_change`).
fn kept(asked: &Sfq) -> Sfq {
    const MAX_FLOWS: u32 = 0x10000 - 127 - 1;
    const MAX_DEPTH: u32 = 127;
    let or = |number: u32, usual: u32| if number == 0 { usual } else { number };
    let mut kept = *asked;
    // The default is the device's business.
    kept.quantum_bytes = not_zero(asked.quantum_bytes).map_or(0, |bytes| bytes.max(256));
    kept.divisor = or(asked.divisor, 1024);
    kept.depth_packets = or(asked.depth_packets, MAX_DEPTH).min(MAX_DEPTH);
    kept.flows = or(asked.flows, 128).min(MAX_FLOWS).min(kept.divisor.max(128));
    if asked.divisor != 0 {
        kept.flows = kept.flows.min(kept.divisor);
    }
    kept.limit_packets = MAX_DEPTH;
    if asked.limit_packets != 0 {
        kept.limit_packets = asked.limit_packets.min(kept.depth_packets.saturating_mul(kept.flows));
        kept.flows = kept.flows.min(kept.limit_packets);
    }
    kept.red.limit_bytes = 0;
    kept.red.counters = Counters::default();
    kept
}

impl FlowRed {
    fn write_words(&self, out: &mut Wording<'_>) {
        if self.min_bytes == 0 {
            return;
        }
        // Kernel: it does not look at the limit; tc wants one.
        out.untold("redflowlimit", format!("redflowlimit {}", self.max_bytes));
        out.say("min", self.min_bytes);
        out.say("max", self.max_bytes);
        Kept {
            average_log: self.average_log,
            probability_log: self.probability_log,
            cell_log: None,
            max_probability: Some(self.max_probability),
            adaptive: false,
        }
        .write_words(|packet| Curve::between(self.min_bytes, self.max_bytes, packet), out);
        out.flag("ecn", self.flags.ecn);
        out.flag("harddrop", self.flags.harddrop);
    }

    fn print(&self, out: &mut Printer) {
        out.item("ewma", "ewma ", self.average_log, " ");
        out.item("min", "min ", Size(self.min_bytes), " ");
        out.item("max", "max ", Size(self.max_bytes), " ");
        print_probability(self.max_probability, out);
        self.flags.print(out);
        if out.style().stats {
            let counters = &self.counters;
            out.newline();
            out.item("prob_mark", "  prob_mark ", counters.early_marks, "");
            out.item("prob_mark_head", " prob_mark_head ", counters.early_marks_head, "");
            out.item("prob_drop", " prob_drop ", counters.early_drops, "");
            out.newline();
            out.item("forced_mark", "  forced_mark ", counters.forced_marks, "");
            out.item("forced_mark_head", " forced_mark_head ", counters.forced_marks_head, "");
            out.item("forced_drop", " forced_drop ", counters.forced_drops, "");
        }
    }
}

/// The words that belong to RED.
fn parse_red(
    word: &str,
    words: &mut Words<'_>,
    red: &mut FlowRed,
    curve: &mut Curve,
) -> Result<(), WordError> {
    let illegal = |_: &str| format!("Illegal \"{word}\"");
    match word {
        "redflowlimit" => red.limit_bytes = words.parse(parse_u32, illegal)?,
        "min" => curve.min = words.parse(parse_u32, illegal)?,
        "max" => curve.max = words.parse(parse_u32, illegal)?,
        "burst" => curve.burst = words.parse(parse_u32, illegal)?,
        "avpkt" => curve.average_packet = words.parse(parse_size, illegal)?,
        "probability" => curve.probability = parse_probability(words)?,
        "ecn" => red.flags.ecn = true,
        "harddrop" => red.flags.harddrop = true,
        word => return Err(WordError::what_is(word)),
    }
    Ok(())
}

/// What the kernel needs for RED, with tc's defaults.
fn compute(red: &mut FlowRed, mut curve: Curve, context: &WordsContext<'_>) -> Result<(), WordError> {
    let error = |text: &str| Err(WordError::Kind(text.into()));
    if red.limit_bytes == 0 {
        return error("Required parameter (redflowlimit) is missing");
    }
    // tc takes 0 for not given.
    if curve.max == 0 {
        curve.max = red.limit_bytes / 4;
    }
    if curve.min == 0 {
        curve.min = curve.max / 3;
    }
    if curve.burst == 0 {
        curve.burst = Curve::usual_burst(curve.min, curve.max, curve.average_packet);
    }
    if curve.max > red.limit_bytes {
        return error("\"max\" is larger than \"limit\"");
    }
    if curve.min >= curve.max {
        return error("\"min\" is not smaller than \"max\"");
    }
    let logs = curve.logs("SFQ", context)?;
    (red.min_bytes, red.max_bytes) = (curve.min, curve.max);
    (red.average_log, red.probability_log) = (logs.average, logs.probability);
    red.max_probability = curve.probability_32();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 1", "Illegal \"limit\", must be > 1"),
            ("quantum x", "Illegal \"limit\""),
            ("depth x", "Illegal \"flows\""),
            ("ecn", "Required parameter (redflowlimit) is missing"),
            ("redflowlimit 1000 max 1001", "\"max\" is larger than \"limit\""),
            ("redflowlimit 1000 min 250", "\"min\" is not smaller than \"max\""),
            ("x", "What is \"x\"?"),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            let error = Sfq::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).unwrap_err();
            assert_eq!(error.to_string(), text, "{words:?}");
        }
    }

    #[test]
    fn the_short_struct_of_old_kernels_is_read() {
        let mut short = [0; OLD_LENGTH];
        short[8] = 127;
        let mut out = Printer::new(Form::Text, Style::default());
        Sfq::decode(&short).unwrap().print(&mut out);
        assert_eq!(out.as_str(), "limit 127p quantum 0b divisor 0 ");
        assert!(Sfq::decode(&short[1..]).is_err());
    }
}
