//! `pie`: one queue that drops packets with a probability which a controller
//! keeps such that the delay stays at a target (RFC 8033).
//!
//! UAPI: attributes (`TCA_PIE_*`); statistics in `struct tc_pie_xstats`.
//!
//! Kernel, `net/sched/sch_pie.c`: times are kept in ticks of 64 ns and in timer
//! ticks, so that they read back rounded.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Float, Printer, Time};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    Xstats, object,
};

use crate::counters::counters;
use crate::params::{self, Param, Unit, number, switch, time};

tc_core::register!(Pie);

/// The options of a pie. `None` leaves an option as it is; for a new qdisc it is
/// then the kernel's default.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::pie::Pie;
///
/// let marking = Pie::default().target(Duration::from_millis(20)).ecn(true);
/// # let _ = marking;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Pie {
    /// Most packets in the queue (1000).
    pub limit_packets: Option<u32>,
    /// The delay to keep (15 ms).
    pub target: Option<Duration>,
    /// How often the probability is computed (15 ms).
    pub tupdate: Option<Duration>,
    /// Weight of the distance to the target, in sixteenths, at most 32 (2).
    pub alpha: Option<u32>,
    /// Weight of the delay's trend, in sixteenths, at most 32 (20).
    pub beta: Option<u32>,
    /// Whether to mark ECN-capable packets instead of dropping them, while the
    /// probability is low (no).
    pub ecn: Option<bool>,
    /// Whether large packets are dropped more often than small ones (no).
    pub bytemode: Option<bool>,
    /// Whether the delay is estimated from the departure rate instead of
    /// timestamps (no).
    pub dq_rate_estimator: Option<bool>,
}

impl Kind for Pie {
    type Object = object::Qdisc;
    const KIND: &'static str = "pie";
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.not_dumped(&["target above 4.29 s"]).rounded(&["target", "tupdate"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let order = [LIMIT, TUPDATE, TARGET, ALPHA, BETA, ECN, BYTEMODE, DQ_RATE_ESTIMATOR];
        params::encode(PARAMS, order, self, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        params::decode(PARAMS, payload)
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        params::as_dumped(PARAMS, self, environment)
    }

    fn as_request(&self) -> Self {
        params::as_request(PARAMS, self)
    }
}

impl Syntax for Pie {
    const USAGE: &'static str = "\
Usage: ... pie [ limit PACKETS ] [ target TIME ]
               [ tupdate TIME ] [ alpha ALPHA ] [ beta BETA ]
               [ bytemode | nobytemode ] [ ecn | noecn ]
               [ dq_rate_estimator | no_dq_rate_estimator ]
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        params::parse_words(PARAMS, words)
    }

    fn print(&self, out: &mut Printer) {
        params::print(PARAMS, self, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        params::to_words(PARAMS, self, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = PieXstats::decode(payload)?;
        out.item("prob", "  prob ", Float(stats.probability as f64 / u64::MAX as f64), "");
        out.item("delay", " delay ", Time(stats.delay_us), "");
        if stats.estimates_dq_rate {
            out.item("avg_dq_rate", " avg_dq_rate ", stats.average_dq_rate, "");
        }
        out.newline();
        out.item("pkts_in", "  pkts_in ", stats.packets_in, "");
        out.item("overlimit", " overlimit ", stats.overlimit, "");
        out.item("dropped", " dropped ", stats.dropped, "");
        out.item("maxq", " maxq ", stats.max_queue_packets, "");
        out.item("ecn_mark", " ecn_mark ", stats.ecn_mark, "");
        Ok(true)
    }
}

counters! {
    /// The counters of the qdisc: `struct tc_pie_xstats`.
    pub struct PieXstats() of Qdisc "pie" {
        /// The probability that a packet is dropped; `u64::MAX` is 1.
        pub probability: u64 = u64,
        /// The delay of the queue, in microseconds.
        pub delay_us: u32 = u32,
        /// The mean rate at which packets leave, in bytes per second; valid if `estimates_dq_rate`.
        pub average_dq_rate: u32 = u32,
        /// Whether the rate at which packets leave is estimated.
        pub estimates_dq_rate: bool = flag,
        /// Packets that entered the queue.
        pub packets_in: u32 = u32,
        /// Packets dropped by the algorithm.
        pub dropped: u32 = u32,
        /// Packets dropped because the queue was full.
        pub overlimit: u32 = u32,
        /// The largest number of packets in the queue.
        pub max_queue_packets: u32 = u32,
        /// Packets marked instead of dropped.
        pub ecn_mark: u32 = u32,
    }
}

const PARAMS: &[Param<Pie>] = &[
    number(LIMIT, "limit", Unit::Packets, |pie| &mut pie.limit_packets),
    time(TARGET, "target", Unit::TicksUs, |pie| &mut pie.target),
    time(TUPDATE, "tupdate", Unit::JiffiesUs, |pie| &mut pie.tupdate),
    number(ALPHA, "alpha", Unit::Number, |pie: &mut Pie| &mut pie.alpha).at_most(32),
    number(BETA, "beta", Unit::Number, |pie: &mut Pie| &mut pie.beta).at_most(32),
    switch(ECN, "ecn", "noecn", |pie| &mut pie.ecn),
    switch(BYTEMODE, "bytemode", "nobytemode", |pie| &mut pie.bytemode),
    switch(DQ_RATE_ESTIMATOR, "dq_rate_estimator", "no_dq_rate_estimator", |pie| &mut pie.dq_rate_estimator),
];

const TARGET: u16 = 1;
const LIMIT: u16 = 2;
const TUPDATE: u16 = 3;
const ALPHA: u16 = 4;
const BETA: u16 = 5;
const ECN: u16 = 6;
const BYTEMODE: u16 = 7;
const DQ_RATE_ESTIMATOR: u16 = 8;

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
