//! `choke`: as red, and packets of flows that already have much in the queue are
//! dropped first.
//!
//! UAPI: attributes (`TCA_CHOKE_*`), among them `struct tc_red_qopt`; statistics
//! in `struct tc_choke_xstats`.
//!
//! Kernel, `net/sched/sch_choke.c`: lengths are counted in packets; the damping
//! table is needed and cannot be read back.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::{parse_size, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, Xstats, object,
};

use crate::common::u32_at;
use crate::counters::counters;
use crate::qdisc::red::math::{Curve, Kept, damping, parse_probability};
use crate::qdisc::red::{self, Damping, Flags, parse_bandwidth, print_logs};

tc_core::register!(Choke);

/// The options of a choke, as the kernel has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Choke {
    /// Most packets in the queue.
    pub limit_packets: u32,
    /// Average length in packets from which packets are dropped or marked.
    pub min_packets: u32,
    /// Average length in packets from which all packets are.
    pub max_packets: u32,
    /// Weight of a packet in the average, as a negative logarithm to base 2.
    pub average_log: u8,
    /// Logarithm to base 2 for kernels that do not know `max_probability`.
    pub probability_log: u8,
    /// Size of the damping table's steps, as a logarithm to base 2 of ticks.
    pub cell_log: u8,
    /// Flags; only [`Flags::ecn`] and [`Flags::harddrop`] count.
    pub flags: Flags,
    /// How fast the average falls while the queue is idle. Never in a dump; a
    /// request without it has one that fits `average_log` and `cell_log`.
    pub damping: Option<Damping>,
    /// Probability at `max_packets`, in parts of 2^32.
    pub max_probability: Option<u32>,
}

impl Choke {
    const fn as_kept(&self) -> Kept {
        Kept {
            average_log: self.average_log,
            probability_log: self.probability_log,
            cell_log: Some(self.cell_log),
            max_probability: self.max_probability,
            adaptive: false,
        }
    }

    fn curve(&self, average_packet: u32) -> Curve {
        let bytes = |packets: u32| packets.wrapping_mul(average_packet);
        Curve::between(bytes(self.min_packets), bytes(self.max_packets), average_packet)
    }
}

impl Kind for Choke {
    type Object = object::Qdisc;
    const KIND: &'static str = "choke";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.not_dumped(&red::math::NOT_DUMPED);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        {
            let mut nest = out.nest(PARMS);
            for number in [self.limit_packets, self.min_packets, self.max_packets] {
                nest.put_u32(number);
            }
            nest.put(&[self.average_log, self.probability_log, self.cell_log, self.flags.raw() as u8]);
        }
        let computed = || self.as_kept().damping(|packet| self.curve(packet));
        if let Some(Damping(table)) = &self.damping.or_else(computed) {
            out.attr(STAB, table);
        }
        out.attr_u32_if(MAX_P, self.max_probability);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ MAX_P as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "parameters" })?;
        let mut parms = parms.reader();
        let (limit_packets, min_packets, max_packets) = (parms.u32()?, parms.u32()?, parms.u32()?);
        let [average_log, probability_log, cell_log, flags] = parms.array()?;
        let stab = table[usize::from(STAB)].map(|attr| attr.reader().array()).transpose()?;
        Ok(Self {
            limit_packets,
            min_packets,
            max_packets,
            average_log,
            probability_log,
            cell_log,
            flags: Flags::from_raw(flags.into()),
            damping: stab.map(Damping),
            max_probability: u32_at(&table, MAX_P)?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        Self { damping: None, ..*self }
    }
}

impl Syntax for Choke {
    const USAGE: &'static str = "\
Usage: ... choke limit PACKETS bandwidth KBPS [ecn]\n\
\t\t [ min PACKETS ] [ max PACKETS ] [ burst PACKETS ]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let (mut limit, mut min, mut max, mut burst) = (0, 0, 0, 0);
        let (mut average_packet, mut probability, mut bandwidth) = (1000u32, 0.02, 0);
        let mut flags = Flags::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => limit = words.parse(parse_u32, illegal)?,
                "bandwidth" => bandwidth = parse_bandwidth(words, context)?,
                "ecn" => flags.ecn = true,
                "min" => min = words.parse(parse_u32, illegal)?,
                "max" => max = words.parse(parse_u32, illegal)?,
                "burst" => burst = words.parse(parse_u32, illegal)?,
                "avpkt" => average_packet = words.parse(parse_size, illegal)?,
                "probability" => probability = parse_probability(words)?,
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        let error = |text: &str| Err(WordError::Kind(text.into()));
        if bandwidth == 0 || limit == 0 {
            return error("Required parameter (bandwidth, limit) is missing");
        }
        // tc takes 0 for not given.
        max = if max == 0 { limit / 4 } else { max };
        min = if min == 0 { max / 3 } else { min };
        burst = if burst == 0 { Curve::usual_burst(min, max, 1) } else { burst };
        if max > limit {
            return error("\"max\" is larger than \"limit\"");
        }
        if min >= max {
            return error("\"min\" is not smaller than \"max\"");
        }
        let bytes = |packets: u32| packets.wrapping_mul(average_packet);
        let curve = Curve { min: bytes(min), max: bytes(max), burst, average_packet, probability };
        let logs = curve.logs("CHOKE", context)?;
        let (cell_log, table) = damping("CHOKE", logs.average, average_packet, bandwidth)?;
        Ok(Some(Self {
            limit_packets: limit,
            min_packets: min,
            max_packets: max,
            average_log: logs.average,
            probability_log: logs.probability,
            cell_log,
            flags,
            damping: Some(table),
            max_probability: Some(curve.probability_32()),
        }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", self.limit_packets, "p ");
        out.item("min", "min ", self.min_packets, "p ");
        out.item("max", "max ", self.max_packets, "p ");
        self.flags.print(out);
        if out.style().details {
            print_logs(self.average_log, self.max_probability, self.probability_log, out);
            out.item("Scell_log", "Scell_log ", self.cell_log, "");
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("limit", self.limit_packets);
        out.say("min", self.min_packets);
        out.say("max", self.max_packets);
        self.as_kept().to_words(|packet| self.curve(packet), out);
        out.flag("ecn", self.flags.ecn);
        if (Flags { ecn: false, ..self.flags }) != Flags::default() {
            out.cannot_say("harddrop");
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = ChokeXstats::decode(payload)?;
        out.item("marked", "  marked ", stats.marked, "");
        out.item("early", " early ", stats.early, "");
        out.item("pdrop", " pdrop ", stats.pdrop, "");
        out.item("other", " other ", stats.other, "");
        out.item("matched", " matched ", stats.matched, "");
        Ok(true)
    }
}

const PARMS: u16 = 1;
const STAB: u16 = 2;
const MAX_P: u16 = 3;

counters! {
    /// The counters of the qdisc: `struct tc_choke_xstats`.
    pub struct ChokeXstats() of Qdisc "choke" {
        /// Packets dropped at random before the queue was full.
        pub early: u32 = u32,
        /// Packets dropped because the queue was full.
        pub pdrop: u32 = u32,
        /// Packets dropped for other reasons.
        pub other: u32 = u32,
        /// Packets marked instead of dropped.
        pub marked: u32 = u32,
        /// Pairs of packets of the same flow that were dropped.
        pub matched: u32 = u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 100", "Required parameter (bandwidth, limit) is missing"),
            ("limit 100 bandwidth 1mbit max 101", "\"max\" is larger than \"limit\""),
            ("limit 100 bandwidth 1mbit min 25", "\"min\" is not smaller than \"max\""),
            ("limit 100 bandwidth 1mbit avpkt 0", "CHOKE: failed to calculate EWMA constant."),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            let error =
                Choke::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).unwrap_err();
            assert_eq!(error.to_string(), text, "{words:?}");
        }
    }
}
