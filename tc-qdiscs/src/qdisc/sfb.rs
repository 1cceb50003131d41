//! `sfb`: Stochastic Fair Blue: flows that do not answer to marks and drops are
//! found in a Bloom filter and held to a rate.
//!
//! UAPI: one attribute (`TCA_SFB_PARMS`) with `struct tc_sfb_qopt`; statistics in
//! `struct tc_sfb_xstats`.
//!
//! Kernel, `net/sched/sch_sfb.c`: a limit of 0 is the device's `txqueuelen`.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Float, Printer, Time};
use tc_core::units::{millis, parse_u32, split_number};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, Change, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind,
    OptionWords, Syntax, Xstats, object,
};

use crate::common::{jiffies_ms, not_zero};
use crate::counters::counters;

tc_core::register!(Sfb);

/// The options of an sfb. Probabilities are in parts of 65535.
///
/// ```
/// use tc_qdiscs::sfb::Sfb;
///
/// let short = Sfb::default().limit_packets(100);
/// # let _ = short;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Sfb {
    /// How often flows get new hashes, in whole milliseconds (600 s).
    pub rehash: Duration,
    /// How long new hashes warm up, in whole milliseconds (60 s).
    pub warmup: Duration,
    /// Most packets of a bin (25).
    pub max_packets: u32,
    /// Packets of a bin above which its probability rises (20).
    pub target_packets: u32,
    /// How much the probability rises at a time (33).
    pub increment: u32,
    /// How much it falls at a time (3).
    pub decrement: u32,
    /// Most packets in the qdisc; 0: the device's `txqueuelen`.
    pub limit_packets: u32,
    /// Packets per second that flows may send that do not answer (10).
    pub penalty_rate_pps: u32,
    /// Packets that they may send at once (20).
    pub penalty_burst_packets: u32,
}

impl Default for Sfb {
    /// `tc`'s defaults.
    fn default() -> Self {
        Self {
            rehash: Duration::from_secs(600),
            warmup: Duration::from_secs(60),
            max_packets: 25,
            target_packets: 20,
            increment: (MAX_PROB + 1000) / 2000,
            decrement: (MAX_PROB + 10_000) / 20_000,
            limit_packets: 0,
            penalty_rate_pps: 10,
            penalty_burst_packets: 20,
        }
    }
}

impl Kind for Sfb {
    type Object = object::Qdisc;
    const KIND: &'static str = "sfb";
    const CHANGE: ChangeSemantics =
        ChangeSemantics { change: Change::DropsChild, ..ChangeSemantics::USUAL }.rounded(&["rehash", "db"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut nest = out.nest(PARMS);
        for number in [
            millis("rehash", self.rehash)?,
            millis("warmup", self.warmup)?,
            self.max_packets,
            self.target_packets,
            self.increment,
            self.decrement,
            self.limit_packets,
            self.penalty_rate_pps,
            self.penalty_burst_packets,
        ] {
            nest.put_u32(number);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let parms = Attrs::new(payload).find(PARMS)?.ok_or(DecodeError::Missing { what: "parameters" })?;
        let mut parms = parms.reader();
        Ok(Self {
            rehash: of_ms(parms.u32()?),
            warmup: of_ms(parms.u32()?),
            max_packets: parms.u32()?,
            target_packets: parms.u32()?,
            increment: parms.u32()?,
            decrement: parms.u32()?,
            limit_packets: parms.u32()?,
            penalty_rate_pps: parms.u32()?,
            penalty_burst_packets: parms.u32()?,
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        let hz = environment.timer_hz();
        let in_jiffies = |time| of_ms(jiffies_ms(in_ms(time), hz));
        Self { rehash: in_jiffies(self.rehash), warmup: in_jiffies(self.warmup), ..*self }
    }
}

impl Syntax for Sfb {
    const USAGE: &'static str = "\
Usage: ... sfb [ rehash SECS ] [ db SECS ]\n\
\t    [ limit PACKETS ] [ max PACKETS ] [ target PACKETS ]\n\
\t    [ increment FLOAT ] [ decrement FLOAT ]\n\
\t    [ penalty_rate PPS ] [ penalty_burst PACKETS ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self { max_packets: 0, target_packets: 0, ..Self::default() };
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "rehash" => options.rehash = of_ms(words.parse(parse_u32, illegal)?),
                "db" => options.warmup = of_ms(words.parse(parse_u32, illegal)?),
                "limit" => options.limit_packets = words.parse(parse_u32, illegal)?,
                "max" => options.max_packets = words.parse(parse_u32, illegal)?,
                "target" => options.target_packets = words.parse(parse_u32, illegal)?,
                "increment" => options.increment = parse_probability(word, words)?,
                "decrement" => options.decrement = parse_probability(word, words)?,
                "penalty_rate" => options.penalty_rate_pps = words.parse(parse_u32, illegal)?,
                "penalty_burst" => options.penalty_burst_packets = words.parse(parse_u32, illegal)?,
                word => return Err(WordError::what_is(word)),
            }
        }
        // tc takes 0 for not given.
        options.max_packets = match (options.max_packets, options.target_packets) {
            (0, 0) => 25,
            (0, target) => target.wrapping_mul(5).wrapping_add(1) / 4,
            (max, _) => max,
        };
        if options.target_packets == 0 {
            options.target_packets = options.max_packets.wrapping_mul(4).wrapping_add(3) / 5;
        }
        Ok(Some(options))
    }

    fn print(&self, out: &mut Printer) {
        // As tc: in 32 bits of microseconds.
        let time = |time| Time(in_ms(time).wrapping_mul(1000));
        out.item("rehash", "rehash ", time(self.rehash), " ");
        out.item("db", "db ", time(self.warmup), " ");
        out.item("limit", "limit ", self.limit_packets, "p ");
        out.item("max", "max ", self.max_packets, "p ");
        out.item("target", "target ", self.target_packets, "p ");
        out.item("increment", "increment ", share(self.increment), " ");
        out.item("decrement", "decrement ", share(self.decrement), " ");
        out.item("penalty_rate", "penalty_rate ", self.penalty_rate_pps, "pps ");
        out.item("penalty_burst", "penalty_burst ", self.penalty_burst_packets, "p ");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("rehash", in_ms(self.rehash));
        out.say("db", in_ms(self.warmup));
        out.say_if("limit", not_zero(self.limit_packets));
        out.say("max", self.max_packets);
        out.say("target", self.target_packets);
        let share = |parts: u32| f64::from(parts) / f64::from(MAX_PROB);
        out.say("increment", share(self.increment));
        out.say("decrement", share(self.decrement));
        out.say("penalty_rate", self.penalty_rate_pps);
        out.say("penalty_burst", self.penalty_burst_packets);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = SfbXstats::decode(payload)?;
        out.item("earlydrop", "  earlydrop ", stats.early_drop, "");
        out.item("penaltydrop", " penaltydrop ", stats.penalty_drop, "");
        out.item("bucketdrop", " bucketdrop ", stats.bucket_drop, "");
        out.item("queuedrop", " queuedrop ", stats.queue_drop, "");
        out.item("childdrop", " childdrop ", stats.child_drop, "");
        out.item("marked", " marked ", stats.marked, "");
        out.newline();
        out.item("maxqlen", "  maxqlen ", stats.max_queue_packets, "");
        out.item("maxprob", " maxprob ", share(stats.max_probability), "");
        out.item("avgprob", " avgprob ", share(stats.average_probability), "");
        Ok(true)
    }
}

fn of_ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn in_ms(time: Duration) -> u32 {
    millis("", time).unwrap_or(u32::MAX)
}

const PARMS: u16 = 1;
/// `SFB_MAX_PROB`: the number that represents 1.
const MAX_PROB: u32 = 0xffff;

fn share(parts: u32) -> Float {
    Float(f64::from(parts) / f64::from(MAX_PROB))
}

counters! {
    /// The counters of the qdisc: `struct tc_sfb_xstats`.
    pub struct SfbXstats() of Qdisc "sfb" {
        /// Packets dropped at random before the queue was full.
        pub early_drop: u32 = u32,
        /// Packets of flows that do not respond, dropped by the limit of their rate.
        pub penalty_drop: u32 = u32,
        /// Packets dropped because a bin was full.
        pub bucket_drop: u32 = u32,
        /// Packets dropped because the qdisc was full.
        pub queue_drop: u32 = u32,
        /// Packets that the inner qdisc dropped.
        pub child_drop: u32 = u32,
        /// Packets marked instead of dropped.
        pub marked: u32 = u32,
        /// The length of the longest bin, in packets.
        pub max_queue_packets: u32 = u32,
        /// The highest probability of a bin, in 65,535ths.
        pub max_probability: u32 = u32,
        /// The mean probability of all bins, in 65,535ths.
        pub average_probability: u32 = u32,
    }
}

/// Reads a probability. Like `strtod`, tc skips the text after a number.
fn parse_probability(key: &str, words: &mut Words<'_>) -> Result<u32, WordError> {
    let number = split_number(words.value()?).map(|(number, _)| number);
    match number.filter(|number| (0.0..=1.0).contains(number)) {
        Some(share) => Ok((share * f64::from(MAX_PROB) + 0.5) as u32),
        None => Err(WordError::Kind(format!("Illegal \"{key}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn max_and_target_follow_from_each_other() {
        let parse = |words: &[&str]| {
            let options = Sfb::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
            options.unwrap().unwrap()
        };
        assert_eq!(parse(&[]), Sfb::default());
        assert_eq!(parse(&["target", "40"]).max_packets, 50);
        assert_eq!(parse(&["max", "50"]).target_packets, 40);
        assert_eq!(parse(&["increment", "0.5"]).increment, 32768);
    }
}
