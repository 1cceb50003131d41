//! `hhf`: separates heavy hitters from other flows, and serves the others first.
//!
//! UAPI: attributes (`TCA_HHF_*`); statistics in `struct tc_hhf_xstats`.
//!
//! Kernel, `net/sched/sch_hhf.c`: times are kept in timer ticks, so that they
//! read back rounded.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    Xstats, object,
};

use crate::counters::counters;
use crate::params::{self, Param, Unit, number, time};

tc_core::register!(Hhf);

/// The options of an hhf. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use tc_qdiscs::hhf::Hhf;
///
/// let sooner = Hhf::default().admit_bytes(32_768);
/// # let _ = sooner;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Hhf {
    /// Most packets in the qdisc (1000).
    pub limit_packets: Option<u32>,
    /// Bytes that each of the two queues may send in its turn (the MTU).
    pub quantum_bytes: Option<u32>,
    /// Most heavy hitters known at a time (2048).
    pub hh_limit: Option<u32>,
    /// How often the counters of flows start anew (40 ms).
    pub reset_timeout: Option<Duration>,
    /// Bytes within that time that make a flow a heavy hitter (131072).
    pub admit_bytes: Option<u32>,
    /// How long a heavy hitter has to be silent to be forgotten (1 s).
    pub evict_timeout: Option<Duration>,
    /// How many times the quantum the other flows have (2).
    pub non_hh_weight: Option<u32>,
}

impl Kind for Hhf {
    type Object = object::Qdisc;
    const KIND: &'static str = "hhf";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.rounded(&["reset_timeout", "evict_timeout"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        params::encode(PARAMS, BACKLOG_LIMIT..=NON_HH_WEIGHT, self, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        params::decode(PARAMS, payload)
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        params::as_dumped(PARAMS, self, environment)
    }

    fn requests(&self) -> Vec<Self> {
        let hh_limit = self.hh_limit.filter(|limit| *limit != USUAL_HH_LIMIT);
        // Kernel: a new one has the usual limit, whatever was asked for.
        let change = hh_limit.map(|limit| Self { hh_limit: Some(limit), ..Self::default() });
        std::iter::once(self.as_request()).chain(change).collect()
    }
}

impl Syntax for Hhf {
    const USAGE: &'static str = "\
Usage: ... hhf\t[ limit PACKETS ] [ quantum BYTES]\n\
\t\t[ hh_limit NUMBER ]\n\
\t\t[ reset_timeout TIME ]\n\
\t\t[ admit_bytes BYTES ]\n\
\t\t[ evict_timeout TIME ]\n\
\t\t[ non_hh_weight NUMBER ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        params::parse_words(PARAMS, words)
    }

    fn print(&self, out: &mut Printer) {
        params::print(PARAMS, self, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let (first, last): (Vec<_>, Vec<_>) = PARAMS.iter().partition(|param| param.word() != "hh_limit");
        params::to_words(first, self, out);
        if self.hh_limit.is_some_and(|limit| limit != USUAL_HH_LIMIT) {
            // Kernel: a new one has the usual limit, whatever was asked for.
            out.next_line();
        }
        params::to_words(last, self, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats = HhfXstats::decode(payload)?;
        out.item("drop_overlimit", "  drop_overlimit ", stats.drop_overlimit, "");
        out.item("hh_overlimit", " hh_overlimit ", stats.hh_overlimit, "");
        out.item("tot_hh", " tot_hh ", stats.hh_tot_count, "");
        out.item("cur_hh", " cur_hh ", stats.hh_cur_count, "");
        Ok(true)
    }
}

/// `2 * HH_FLOWS_CNT`.
const USUAL_HH_LIMIT: u32 = 2048;

counters! {
    /// The counters of the qdisc: `struct tc_hhf_xstats`.
    pub struct HhfXstats() of Qdisc "hhf" {
        /// How often the qdisc was full.
        pub drop_overlimit: u32 = u32,
        /// How often the list of heavy hitters was full.
        pub hh_overlimit: u32 = u32,
        /// Heavy hitters found since the qdisc was made.
        pub hh_tot_count: u32 = u32,
        /// Heavy hitters known now.
        pub hh_cur_count: u32 = u32,
    }
}

const PARAMS: &[Param<Hhf>] = &[
    number(BACKLOG_LIMIT, "limit", Unit::Packets, |hhf| &mut hhf.limit_packets),
    number(QUANTUM, "quantum", Unit::Bytes, |hhf| &mut hhf.quantum_bytes),
    number(HH_FLOWS_LIMIT, "hh_limit", Unit::Number, |hhf| &mut hhf.hh_limit),
    time(RESET_TIMEOUT, "reset_timeout", Unit::JiffiesUs, |hhf| &mut hhf.reset_timeout),
    number(ADMIT_BYTES, "admit_bytes", Unit::Bytes, |hhf| &mut hhf.admit_bytes),
    time(EVICT_TIMEOUT, "evict_timeout", Unit::JiffiesUs, |hhf| &mut hhf.evict_timeout),
    number(NON_HH_WEIGHT, "non_hh_weight", Unit::Number, |hhf| &mut hhf.non_hh_weight),
];

const BACKLOG_LIMIT: u16 = 1;
const QUANTUM: u16 = 2;
const HH_FLOWS_LIMIT: u16 = 3;
const RESET_TIMEOUT: u16 = 4;
const ADMIT_BYTES: u16 = 5;
const EVICT_TIMEOUT: u16 = 6;
const NON_HH_WEIGHT: u16 = 7;
