//! `red`: drops or marks packets at random, the more the longer the queue is on
//! average.
//!
//! UAPI: attributes (`TCA_RED_*`), among them `struct tc_red_qopt`; statistics
//! in `struct tc_red_xstats`.
//!
//! Kernel, `net/sched/sch_red.c`: the damping table is needed and cannot be read
//! back.

mod family;
pub(crate) mod math;

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::units::{parse_decimal, parse_size, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, Change, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind,
    OptionWords, Syntax, Xstats, object,
};

use crate::common::u32_at;
use crate::counters::counters;
use math::{Curve, Kept, damping, parse_probability};

pub use family::Flags;
pub(crate) use family::{or_10_mbit, parse_bandwidth, print_logs, print_probability};

tc_core::register!(Red);

/// The options of a red, as the kernel has them. [`Red::for_traffic`] computes
/// them from a description of the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Red {
    /// Most bytes in the queue.
    pub limit_bytes: u32,
    /// Average length in bytes from which packets are dropped or marked.
    pub min_bytes: u32,
    /// Average length in bytes from which all packets are.
    pub max_bytes: u32,
    /// Weight of a packet in the average, as a negative logarithm to base 2.
    pub average_log: u8,
    /// Logarithm to base 2 for kernels that do not know `max_probability`.
    pub probability_log: u8,
    /// Size of the damping table's steps, as a logarithm to base 2 of ticks.
    pub cell_log: u8,
    /// How fast the average falls while the queue is idle. Never in a dump; a
    /// request without it has one that fits `average_log` and `cell_log`.
    pub damping: Option<Damping>,
    /// Probability at `max_bytes`, in parts of 2^32.
    pub max_probability: Option<u32>,
    /// Flags.
    pub flags: Flags,
    /// The shared filter block that packets go to before they are dropped early.
    pub early_drop_block: Option<u32>,
    /// The shared filter block that packets go to when they are marked.
    pub mark_block: Option<u32>,
}

/// A description of the traffic through a red.
#[derive(Clone, Copy, Debug, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes of a packet on average; not 0.
    pub average_packet_bytes: u32,
    /// Packets of a burst that are accepted. `None`: a third of the sum of twice the
    /// minimum and the maximum length.
    pub burst_packets: Option<u32>,
    /// Bytes per second of the link.
    pub bandwidth: u32,
    /// Probability of a drop when the average reaches its most.
    pub probability: f64,
}

impl Traffic {
    /// Packets of this mean size on a link of `bandwidth` bytes per second, dropped with a probability
    /// of at most `probability`.
    pub const fn new(average_packet_bytes: u32, bandwidth: u32, probability: f64) -> Self {
        Self { average_packet_bytes, burst_packets: None, bandwidth, probability }
    }
}

/// The damping table (`TCA_RED_STAB`): for each number of idle steps, how far
/// the average is shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping(pub [u8; 256]);

impl Red {
    /// Options for a queue of at most `limit_bytes` that begins to drop at
    /// `min_bytes` and drops all from `max_bytes`. An error is `tc`'s text.
    ///
    /// ```
    /// use tc_qdiscs::red::{Red, Traffic};
    ///
    /// let traffic = Traffic::new(1000, 1_250_000, 0.02);
    /// let red = Red::for_traffic(400_000, 30_000, 90_000, &traffic)?;
    /// assert_eq!(red.average_log, 5);
    /// # Ok::<(), String>(())
    /// ```
    pub fn for_traffic(
        limit_bytes: u32,
        min_bytes: u32,
        max_bytes: u32,
        traffic: &Traffic,
    ) -> Result<Self, String> {
        let packet = traffic.average_packet_bytes;
        let usual = || Curve::usual_burst(min_bytes, max_bytes, packet);
        let curve = Curve {
            min: min_bytes,
            max: max_bytes,
            burst: traffic.burst_packets.unwrap_or_else(usual),
            average_packet: packet,
            probability: traffic.probability,
        };
        let context = WordsContext::new(tc_core::Verb::Add);
        let red = Self { limit_bytes, ..Self::default() };
        red.computed(&curve, traffic.bandwidth, &context).map_err(|error| error.to_string())
    }

    const fn as_kept(&self) -> Kept {
        Kept {
            average_log: self.average_log,
            probability_log: self.probability_log,
            cell_log: Some(self.cell_log),
            max_probability: self.max_probability,
            adaptive: self.flags.adaptive,
        }
    }

    fn curve(&self, packet: u32) -> Curve {
        Curve::between(self.min_bytes, self.max_bytes, packet)
    }

    fn computed(self, curve: &Curve, bandwidth: u32, context: &WordsContext<'_>) -> Result<Self, WordError> {
        let logs = curve.logs("RED", context)?;
        let (cell_log, table) = damping("RED", logs.average, curve.average_packet, bandwidth)?;
        Ok(Self {
            min_bytes: curve.min,
            max_bytes: curve.max,
            average_log: logs.average,
            probability_log: logs.probability,
            cell_log,
            damping: Some(table),
            max_probability: Some(curve.probability_32()),
            ..self
        })
    }
}

impl Kind for Red {
    type Object = object::Qdisc;
    const KIND: &'static str = "red";
    const CHANGE: ChangeSemantics = ChangeSemantics {
        change: Change::DropsChild,
        ..ChangeSemantics::USUAL.fixed(&["qevent early_drop", "qevent mark"]).not_dumped(&math::NOT_DUMPED)
    };

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        {
            let mut nest = out.nest(PARMS);
            for number in [self.limit_bytes, self.min_bytes, self.max_bytes] {
                nest.put_u32(number);
            }
            nest.put(&[self.average_log, self.probability_log, self.cell_log, 0]);
        }
        let computed = || self.as_kept().damping(|packet| self.curve(packet));
        if let Some(Damping(table)) = &self.damping.or_else(computed) {
            out.attr(STAB, table);
        }
        out.attr_u32_if(MAX_P, self.max_probability);
        {
            // struct nla_bitfield32: value, selector
            let mut nest = out.nest(FLAGS);
            nest.put_u32(self.flags.raw());
            nest.put_u32(Flags::ALL.raw());
        }
        out.attr_u32_if(EARLY_DROP_BLOCK, self.early_drop_block);
        out.attr_u32_if(MARK_BLOCK, self.mark_block);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ MARK_BLOCK as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "parameters" })?;
        let mut parms = parms.reader();
        let (limit_bytes, min_bytes, max_bytes) = (parms.u32()?, parms.u32()?, parms.u32()?);
        let [average_log, probability_log, cell_log, flags] = parms.array()?;
        let stab = table[usize::from(STAB)].map(|attr| attr.reader().array()).transpose()?;
        Ok(Self {
            limit_bytes,
            min_bytes,
            max_bytes,
            average_log,
            probability_log,
            cell_log,
            damping: stab.map(Damping),
            max_probability: u32_at(&table, MAX_P)?,
            flags: Flags::from_raw(u32_at(&table, FLAGS)?.unwrap_or(flags.into())),
            early_drop_block: u32_at(&table, EARLY_DROP_BLOCK)?,
            mark_block: u32_at(&table, MARK_BLOCK)?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        Self { damping: None, ..*self }
    }

    fn filter_blocks(&self) -> Vec<u32> {
        self.early_drop_block.into_iter().chain(self.mark_block).collect()
    }
}

impl Syntax for Red {
    const USAGE: &'static str = "\
Usage: ... red\tlimit BYTES [min BYTES] [max BYTES] avpkt BYTES [burst PACKETS]\n\
\t\t[adaptive] [probability PROBABILITY] [bandwidth KBPS]\n\
\t\t[ecn] [harddrop] [nodrop]\n\
\t\t[qevent early_drop block IDX] [qevent mark block IDX]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut red = Self::default();
        let (mut min, mut max, mut burst, mut average_packet) = (0, 0, 0, 0);
        let (mut probability, mut bandwidth) = (0.02, 0);
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => red.limit_bytes = words.parse(parse_size, illegal)?,
                "min" => min = words.parse(parse_size, illegal)?,
                "max" => max = words.parse(parse_size, illegal)?,
                "burst" => burst = words.parse(parse_u32, illegal)?,
                "avpkt" => average_packet = words.parse(parse_size, illegal)?,
                "probability" => probability = parse_probability(words)?,
                "bandwidth" => bandwidth = parse_bandwidth(words, context)?,
                "ecn" => red.flags.ecn = true,
                "harddrop" => red.flags.harddrop = true,
                "nodrop" => red.flags.nodrop = true,
                "adaptative" | "adaptive" => red.flags.adaptive = true,
                word if is_prefix(word, "qevent") => parse_qevent(words, &mut red)?,
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        if red.limit_bytes == 0 || average_packet == 0 {
            return Err(WordError::Kind("RED: Required parameter (limit, avpkt) is missing".into()));
        }
        // tc takes 0 for not given.
        max = match (max, min) {
            (0, 0) => red.limit_bytes / 4,
            (0, min) => min.wrapping_mul(3),
            (max, _) => max,
        };
        min = if min == 0 { max / 3 } else { min };
        burst = if burst == 0 { Curve::usual_burst(min, max, average_packet) } else { burst };
        bandwidth = or_10_mbit("RED", bandwidth, context);
        let curve = Curve { min, max, burst, average_packet, probability };
        red.computed(&curve, bandwidth, context).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", Size(self.limit_bytes), " ");
        out.item("min", "min ", Size(self.min_bytes), " ");
        out.item("max", "max ", Size(self.max_bytes), " ");
        self.flags.print(out);
        if out.style().details {
            print_logs(self.average_log, self.max_probability, self.probability_log, out);
            out.item("Scell_log", "Scell_log ", self.cell_log, "");
        }
        let blocks = [("early_drop", self.early_drop_block), ("mark", self.mark_block)];
        if blocks.iter().any(|(_, block)| block.is_some()) {
            out.array("qevents", |out| {
                for (kind, block) in blocks {
                    let Some(block) = block else { continue };
                    out.object("", |out| {
                        out.item("kind", "qevent ", kind, "");
                        out.item("block", " block ", block, " ");
                    });
                }
            });
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_size("limit", self.limit_bytes);
        out.say_size("min", self.min_bytes);
        out.say_size("max", self.max_bytes);
        self.as_kept().to_words(|packet| self.curve(packet), out);
        self.flags.to_words(out);
        for (name, block) in [("early_drop", self.early_drop_block), ("mark", self.mark_block)] {
            let text = block.map(|block| format!("qevent {name} block {block}"));
            out.text(&format!("qevent {name}"), text.unwrap_or_default());
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = RedXstats::decode(payload)?;
        out.item("marked", "  marked ", stats.marked, " ");
        out.item("early", "early ", stats.early, " ");
        out.item("pdrop", "pdrop ", stats.pdrop, " ");
        out.item("other", "other ", stats.other, " ");
        Ok(true)
    }
}

const PARMS: u16 = 1;
const STAB: u16 = 2;
const MAX_P: u16 = 3;
const FLAGS: u16 = 4;
const EARLY_DROP_BLOCK: u16 = 5;
const MARK_BLOCK: u16 = 6;

/// `qevent NAME block INDEX`, after the first word.
fn parse_qevent(words: &mut Words<'_>, red: &mut Red) -> Result<(), WordError> {
    let error = |text: &str| Err(WordError::Kind(text.into()));
    let name = words.value()?;
    let block = match name {
        "early_drop" => &mut red.early_drop_block,
        "mark" => &mut red.mark_block,
        name => return error(&format!("Unknown qevent `{name}'")),
    };
    if words.is_empty() {
        return Err(WordError::Incomplete);
    }
    if block.is_some() {
        return error("Duplicate qevent");
    }
    while words.peek() == Some("block") {
        words.next();
        let value = words.value()?;
        if block.is_some() {
            return error("Qevent block index already specified");
        }
        match parse_decimal(value) {
            Ok(index) if index != 0 => *block = Some(index),
            _ => return error("Illegal qevent block index"),
        }
    }
    if block.is_none() { error("Unspecified qevent block index") } else { Ok(()) }
}

counters! {
    /// The counters of the qdisc: `struct tc_red_xstats`.
    pub struct RedXstats() of Qdisc "red" {
        /// Packets dropped at random before the queue was full.
        pub early: u32 = u32,
        /// Packets dropped because the queue was full.
        pub pdrop: u32 = u32,
        /// Packets dropped for other reasons.
        pub other: u32 = u32,
        /// Packets marked instead of dropped.
        pub marked: u32 = u32,
    }
}

#[cfg(test)]
mod tests;
