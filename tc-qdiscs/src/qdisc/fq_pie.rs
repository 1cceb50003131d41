//! `fq_pie`: flows by hash, served in turn, each with PIE's control of delay.
//!
//! UAPI: attributes (`TCA_FQ_PIE_*`), in a `TCA_OPTIONS` that must have
//! `NLA_F_NESTED`; statistics in `struct tc_fq_pie_xstats`.
//!
//! Kernel, `net/sched/sch_fq_pie.c`: the number of flows cannot be changed
//! later.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    Xstats, object,
};

use crate::counters::counters;
use crate::params::{self, Param, Unit, number, switch, time};

tc_core::register!(FqPie);

/// The options of an fq_pie. `None` leaves an option as it is; for a new qdisc
/// it is then the kernel's default.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::fq_pie::FqPie;
///
/// let many = FqPie::default().flows(4096).target(Duration::from_millis(10));
/// # let _ = many;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FqPie {
    /// Most packets in the qdisc (10240).
    pub limit_packets: Option<u32>,
    /// Number of flows, 1 to 65536 (1024). The kernel refuses a change that names
    /// it, even with an equal number.
    pub flows: Option<u32>,
    /// The delay to keep (15 ms).
    pub target: Option<Duration>,
    /// How often the probability is computed (15 ms).
    pub tupdate: Option<Duration>,
    /// Weight of the distance to the target, in sixteenths, at most 32 (2).
    pub alpha: Option<u32>,
    /// Weight of the delay's trend, in sixteenths, at most 32 (20).
    pub beta: Option<u32>,
    /// Bytes that a flow may send in its turn (the MTU).
    pub quantum_bytes: Option<u32>,
    /// Most bytes of memory for packets (32 MiB).
    pub memory_limit_bytes: Option<u32>,
    /// Percentage of dropping below which packets are marked instead, below 100
    /// (10).
    pub ecn_prob_percent: Option<u32>,
    /// Whether to mark ECN-capable packets (no).
    pub ecn: Option<bool>,
    /// Whether large packets are dropped more often than small ones (no).
    pub bytemode: Option<bool>,
    /// Whether the delay is estimated from the departure rate instead of
    /// timestamps (no).
    pub dq_rate_estimator: Option<bool>,
}

impl Kind for FqPie {
    type Object = object::Qdisc;
    const KIND: &'static str = "fq_pie";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL
        .only_new(&["flows"])
        .not_dumped(&["target above 4.29 s"])
        .rounded(&["target", "tupdate"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        params::encode(PARAMS, LIMIT..=DQ_RATE_ESTIMATOR, self, out)?;
        Ok(Fill::Nested)
    }

    fn as_change(&self) -> Self {
        Self { flows: None, ..*self }
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

impl Syntax for FqPie {
    const USAGE: &'static str = "\
Usage: ... fq_pie [ limit PACKETS ] [ flows NUMBER ]
                  [ target TIME ] [ tupdate TIME ]
                  [ alpha NUMBER ] [ beta NUMBER ]
                  [ quantum BYTES ] [ memory_limit BYTES ]
                  [ ecn_prob PERCENTAGE ] [ [no]ecn ]
                  [ [no]bytemode ] [ [no_]dq_rate_estimator ]
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
        let stats = FqPieXstats::decode(payload)?;
        out.item("pkts_in", "  pkts_in ", stats.packets_in, "");
        out.item("overlimit", " overlimit ", stats.overlimit, "");
        out.item("overmemory", " overmemory ", stats.overmemory, "");
        out.item("dropped", " dropped ", stats.dropped, "");
        out.item("ecn_mark", " ecn_mark ", stats.ecn_mark, "");
        out.newline();
        out.item("new_flow_count", "  new_flow_count ", stats.new_flow_count, "");
        out.item("new_flows_len", " new_flows_len ", stats.new_flows_len, "");
        out.item("old_flows_len", " old_flows_len ", stats.old_flows_len, "");
        out.item("memory_used", " memory_used ", stats.memory_usage_bytes, "");
        Ok(true)
    }
}

counters! {
    /// The counters of the qdisc: `struct tc_fq_pie_xstats`. Counters that an older kernel lacks are 0.
    pub struct FqPieXstats(36) of Qdisc "fq_pie" {
        /// Packets that entered a flow.
        pub packets_in: u32 = u32,
        /// Packets dropped by the algorithm.
        pub dropped: u32 = u32,
        /// Packets dropped because the qdisc was full.
        pub overlimit: u32 = u32,
        /// Packets dropped because of the limit of memory.
        pub overmemory: u32 = u32,
        /// Packets marked instead of dropped.
        pub ecn_mark: u32 = u32,
        /// How often a packet began a flow.
        pub new_flow_count: u32 = u32,
        /// Flows that began and had no turn yet.
        pub new_flows_len: u32 = u32,
        /// The other flows with packets.
        pub old_flows_len: u32 = u32,
        /// Bytes of memory that packets take.
        pub memory_usage_bytes: u32 = u32,
    }
}

const PARAMS: &[Param<FqPie>] = &[
    number(LIMIT, "limit", Unit::Packets, |fq_pie| &mut fq_pie.limit_packets),
    number(FLOWS, "flows", Unit::Number, |fq_pie| &mut fq_pie.flows),
    time(TARGET, "target", Unit::TicksUs, |fq_pie| &mut fq_pie.target),
    time(TUPDATE, "tupdate", Unit::JiffiesUs, |fq_pie| &mut fq_pie.tupdate),
    number(ALPHA, "alpha", Unit::Number, |fq_pie: &mut FqPie| &mut fq_pie.alpha).at_most(32),
    number(BETA, "beta", Unit::Number, |fq_pie: &mut FqPie| &mut fq_pie.beta).at_most(32),
    number(QUANTUM, "quantum", Unit::Size, |fq_pie| &mut fq_pie.quantum_bytes),
    number(MEMORY_LIMIT, "memory_limit", Unit::Size, |fq_pie| &mut fq_pie.memory_limit_bytes),
    number(ECN_PROB, "ecn_prob", Unit::Number, |fq_pie: &mut FqPie| &mut fq_pie.ecn_prob_percent).at_most(99),
    switch(ECN, "ecn", "noecn", |fq_pie| &mut fq_pie.ecn),
    switch(BYTEMODE, "bytemode", "nobytemode", |fq_pie| &mut fq_pie.bytemode),
    switch(DQ_RATE_ESTIMATOR, "dq_rate_estimator", "no_dq_rate_estimator", |fq_pie| {
        &mut fq_pie.dq_rate_estimator
    }),
];

const LIMIT: u16 = 1;
const FLOWS: u16 = 2;
const TARGET: u16 = 3;
const TUPDATE: u16 = 4;
const ALPHA: u16 = 5;
const BETA: u16 = 6;
const QUANTUM: u16 = 7;
const MEMORY_LIMIT: u16 = 8;
const ECN_PROB: u16 = 9;
const ECN: u16 = 10;
const BYTEMODE: u16 = 11;
const DQ_RATE_ESTIMATOR: u16 = 12;
