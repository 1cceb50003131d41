//! RED for each flow of an sfq.

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::units::{parse_size, parse_u32};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{AttrWriter, DecodeError, OptionWords, Reader};

use crate::qdisc::red::math::{Curve, Kept, parse_probability};
use crate::qdisc::red::{Flags, print_probability};

/// RED for each flow of an sfq.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
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
    /// Flags; only [`Flags::ecn`] and [`Flags::harddrop`] count.
    pub flags: Flags,
    /// Probability at `max_bytes`, in parts of 2^32.
    pub max_probability: u32,
    /// Counters (reported only).
    pub counters: Counters,
}

/// `struct tc_sfqred_stats`: packets that RED dropped or marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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

impl FlowRed {
    /// Appends the part of `struct tc_sfq_qopt_v1` after the flows.
    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) {
        for number in [self.limit_bytes, self.min_bytes, self.max_bytes] {
            out.put_u32(number);
        }
        out.put(&[self.average_log, self.probability_log, self.cell_log, self.flags.raw() as u8]);
        out.put_u32(self.max_probability);
        let counters = &self.counters;
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
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
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
        })
    }

    pub(super) fn to_words(self, out: &mut OptionWords<'_>) {
        if self.min_bytes == 0 {
            return;
        }
        // Kernel: it does not look at the limit; tc wants one.
        out.not_dumped("redflowlimit", format!("redflowlimit {}", self.max_bytes));
        out.say("min", self.min_bytes);
        out.say("max", self.max_bytes);
        Kept {
            average_log: self.average_log,
            probability_log: self.probability_log,
            cell_log: None,
            max_probability: Some(self.max_probability),
            adaptive: false,
        }
        .to_words(|packet| Curve::between(self.min_bytes, self.max_bytes, packet), out);
        out.flag("ecn", self.flags.ecn);
        out.flag("harddrop", self.flags.harddrop);
    }

    pub(super) fn print(&self, out: &mut Printer) {
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
pub(super) fn parse(
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

/// The kernel's parameters for RED, with tc's defaults.
pub(super) fn compute(
    red: &mut FlowRed,
    mut curve: Curve,
    context: &WordsContext<'_>,
) -> Result<(), WordError> {
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
