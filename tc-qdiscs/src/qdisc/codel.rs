//! `codel`: one queue with CoDel's control of delay: it drops packets when all
//! of them have waited too long.
//!
//! UAPI: attributes (`TCA_CODEL_*`); statistics in `struct tc_codel_xstats`.
//!
//! Kernel, `net/sched/sch_codel.c`: times are kept in units of 1024 ns, so that
//! 5 ms reads back as 4999 us.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Printer, Time};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    Xstats, object,
};

use crate::common::not_zero;
use crate::counters::counters;
use crate::params::{self, Param, Unit, number, switch, time};

tc_core::register!(Codel);

/// The options of a codel. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::codel::Codel;
///
/// let marking = Codel::default().target(Duration::from_millis(10)).ecn(true);
/// # let _ = marking;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Codel {
    /// Most packets in the queue (1000).
    pub limit_packets: Option<u32>,
    /// Acceptable delay (5 ms).
    pub target: Option<Duration>,
    /// How long the delay may stay above the target (100 ms).
    pub interval: Option<Duration>,
    /// Whether to mark ECN-capable packets instead of dropping them (no).
    pub ecn: Option<bool>,
    /// Delay above which all such packets are marked (none).
    pub ce_threshold: Option<Duration>,
}

impl Kind for Codel {
    type Object = object::Qdisc;
    const KIND: &'static str = "codel";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.rounded(&["target", "interval", "ce_threshold"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let order = [LIMIT, INTERVAL, TARGET, ECN, CE_THRESHOLD];
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

impl Syntax for Codel {
    const USAGE: &'static str = "\
Usage: ... codel [ limit PACKETS ] [ target TIME ]\n\
\t\t [ interval TIME ] [ ecn | noecn ]\n\
\t\t [ ce_threshold TIME ]\n";

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
        let stats = CodelXstats::decode(payload)?;
        out.item("count", "  count ", stats.count, "");
        out.item("lastcount", " lastcount ", stats.lastcount, "");
        out.item("ldelay", " ldelay ", Time(stats.ldelay_us), "");
        if stats.dropping {
            out.flag("dropping", " dropping");
        }
        out.json("drop_next", stats.drop_next_us);
        let before = if stats.drop_next_us < 0 { " drop_next -" } else { " drop_next " };
        out.text_item(before, Time(stats.drop_next_us.unsigned_abs()), "");
        out.newline();
        out.item("maxpacket", "  maxpacket ", stats.max_packet_bytes, "");
        out.item("ecn_mark", " ecn_mark ", stats.ecn_mark, "");
        out.item("drop_overlimit", " drop_overlimit ", stats.drop_overlimit, "");
        out.item_if("ce_mark", " ce_mark ", not_zero(stats.ce_mark), "");
        Ok(true)
    }
}

counters! {
    /// The counters of the qdisc: `struct tc_codel_xstats`. Counters that an older kernel lacks are 0.
    pub struct CodelXstats(36) of Qdisc "codel" {
        /// The largest packet that was seen, in bytes.
        pub max_packet_bytes: u32 = u32,
        /// Packets dropped or marked since dropping began.
        pub count: u32 = u32,
        /// The counter of the previous interval.
        pub lastcount: u32 = u32,
        /// The delay of the packet that left last, in microseconds.
        pub ldelay_us: u32 = u32,
        /// Microseconds until the next drop, while it is dropping.
        pub drop_next_us: i32 = i32,
        /// Packets dropped because the qdisc was full.
        pub drop_overlimit: u32 = u32,
        /// Packets marked instead of dropped.
        pub ecn_mark: u32 = u32,
        /// Whether it is dropping.
        pub dropping: bool = flag,
        /// Packets marked above `ce_threshold`.
        pub ce_mark: u32 = u32,
    }
}

const PARAMS: &[Param<Codel>] = &[
    number(LIMIT, "limit", Unit::Packets, |codel| &mut codel.limit_packets),
    time(TARGET, "target", Unit::CodelUs, |codel| &mut codel.target),
    time(CE_THRESHOLD, "ce_threshold", Unit::CodelUs, |codel: &mut Codel| &mut codel.ce_threshold)
        .or_max()
        .sticky(),
    time(INTERVAL, "interval", Unit::CodelUs, |codel| &mut codel.interval),
    switch(ECN, "ecn", "noecn", |codel| &mut codel.ecn),
];

const TARGET: u16 = 1;
const LIMIT: u16 = 2;
const INTERVAL: u16 = 3;
const ECN: u16 = 4;
const CE_THRESHOLD: u16 = 5;
