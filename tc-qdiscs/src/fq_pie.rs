//! `fq_pie`: flows by hash, served in turn, each with PIE's control of delay.
//!
//! UAPI: attributes (`TCA_FQ_PIE_*`), in a `TCA_OPTIONS` that must have
//! `NLA_F_NESTED`; statistics in `struct tc_fq_pie_xstats`.
//!
//! Kernel, `net/sched/sch_fq_pie.c`: the number of flows cannot be changed
//! later.

use tc_core::print::{Printer, Size, Time};
use tc_core::units::{parse_size, parse_time_us, parse_u32, words_of_size};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Upkeep, Wording,
    zero_extended,
};

use crate::common::{asked_ticks_us, bool_at, jiffies_us, not_zero, ticks_us, u32_at, us};
use crate::pie::{parse_weight, print_switches, write_switches};

tc_core::register!(FqPie);

/// The options of an fq_pie. `None` leaves an option as it is; for a new qdisc
/// it is then the kernel's default.
///
/// ```
/// use tc_qdiscs::fq_pie::FqPie;
///
/// let many = FqPie { flows: Some(4096), target_us: Some(10_000), ..FqPie::default() };
/// # let _ = many;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqPie {
    /// Most packets in the qdisc (10240).
    pub limit_packets: Option<u32>,
    /// Number of flows, 1 to 65536 (1024).
    pub flows: Option<u32>,
    /// The delay to keep, in microseconds (15000).
    pub target_us: Option<u32>,
    /// How often the probability is computed, in microseconds (15000).
    pub tupdate_us: Option<u32>,
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
    /// Whether to mark packets that say they support it (no).
    pub ecn: Option<bool>,
    /// Whether large packets are dropped more often than small ones (no).
    pub bytemode: Option<bool>,
    /// Whether the delay is estimated from the departure rate, in place of
    /// timestamps (no).
    pub dq_rate_estimator: Option<bool>,
}

impl Kind for FqPie {
    const KIND: &'static str = "fq_pie";
    const USAGE: &'static str = "\
Usage: ... fq_pie [ limit PACKETS ] [ flows NUMBER ]
                  [ target TIME ] [ tupdate TIME ]
                  [ alpha NUMBER ] [ beta NUMBER ]
                  [ quantum BYTES ] [ memory_limit BYTES ]
                  [ ecn_prob PERCENTAGE ] [ [no]ecn ]
                  [ [no]bytemode ] [ [no_]dq_rate_estimator ]
";
    const UPKEEP: Upkeep = Upkeep::USUAL.fixed(&["flows"]).untold(&["target above 4.29 s"]);

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => options.limit_packets = not_zero(words.parse(parse_u32, illegal)?),
                "flows" => options.flows = not_zero(words.parse(parse_u32, illegal)?),
                "target" => options.target_us = not_zero(words.parse(parse_time_us, illegal)?),
                "tupdate" => options.tupdate_us = not_zero(words.parse(parse_time_us, illegal)?),
                "alpha" => options.alpha = parse_weight(word, words)?,
                "beta" => options.beta = parse_weight(word, words)?,
                "quantum" => options.quantum_bytes = not_zero(words.parse(parse_size, illegal)?),
                "memory_limit" => options.memory_limit_bytes = not_zero(words.parse(parse_size, illegal)?),
                "ecn_prob" => {
                    let percent = words.parse(parse_u32, illegal)?;
                    if percent >= 100 {
                        return Err(WordError::Kind(illegal("")));
                    }
                    options.ecn_prob_percent = not_zero(percent);
                }
                "ecn" => options.ecn = Some(true),
                "noecn" => options.ecn = Some(false),
                "bytemode" => options.bytemode = Some(true),
                "nobytemode" => options.bytemode = Some(false),
                "dq_rate_estimator" => options.dq_rate_estimator = Some(true),
                "no_dq_rate_estimator" => options.dq_rate_estimator = Some(false),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(options))
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(LIMIT, self.limit_packets);
        out.attr_u32_if(FLOWS, self.flows);
        out.attr_u32_if(TARGET, self.target_us);
        out.attr_u32_if(TUPDATE, self.tupdate_us);
        out.attr_u32_if(ALPHA, self.alpha);
        out.attr_u32_if(BETA, self.beta);
        out.attr_u32_if(QUANTUM, self.quantum_bytes);
        out.attr_u32_if(MEMORY_LIMIT, self.memory_limit_bytes);
        out.attr_u32_if(ECN_PROB, self.ecn_prob_percent);
        out.attr_u32_if(ECN, self.ecn.map(u32::from));
        out.attr_u32_if(BYTEMODE, self.bytemode.map(u32::from));
        out.attr_u32_if(DQ_RATE_ESTIMATOR, self.dq_rate_estimator.map(u32::from));
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ DQ_RATE_ESTIMATOR as usize + 1 }>()?;
        Ok(Self {
            limit_packets: u32_at(&table, LIMIT)?,
            flows: u32_at(&table, FLOWS)?,
            target_us: u32_at(&table, TARGET)?,
            tupdate_us: u32_at(&table, TUPDATE)?,
            alpha: u32_at(&table, ALPHA)?,
            beta: u32_at(&table, BETA)?,
            quantum_bytes: u32_at(&table, QUANTUM)?,
            memory_limit_bytes: u32_at(&table, MEMORY_LIMIT)?,
            ecn_prob_percent: u32_at(&table, ECN_PROB)?,
            ecn: bool_at(&table, ECN)?,
            bytemode: bool_at(&table, BYTEMODE)?,
            dq_rate_estimator: bool_at(&table, DQ_RATE_ESTIMATOR)?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        out.say_if("limit", self.limit_packets);
        out.say_if("flows", self.flows);
        out.say_if("target", self.target_us.map(asked_ticks_us));
        out.say_if("tupdate", self.tupdate_us.map(us));
        out.say_if("alpha", self.alpha);
        out.say_if("beta", self.beta);
        out.say_if("quantum", self.quantum_bytes.map(words_of_size));
        out.say_if("memory_limit", self.memory_limit_bytes.map(words_of_size));
        out.say_if("ecn_prob", self.ecn_prob_percent);
        write_switches(self.ecn, self.bytemode, self.dq_rate_estimator, out);
    }

    fn kept(&self, environment: &dyn Environment) -> Self {
        let hz = environment.timer_hz();
        Self {
            target_us: self.target_us.map(ticks_us),
            tupdate_us: self.tupdate_us.map(|us| jiffies_us(us, hz)),
            ..*self
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("flows", "flows ", self.flows, " ");
        out.item_if("target", "target ", self.target_us.map(Time), " ");
        out.item_if("tupdate", "tupdate ", self.tupdate_us.map(Time), " ");
        out.item_if("alpha", "alpha ", self.alpha, " ");
        out.item_if("beta", "beta ", self.beta, " ");
        out.item_if("quantum", "quantum ", self.quantum_bytes.map(Size), " ");
        out.item_if("memory_limit", "memory_limit ", self.memory_limit_bytes.map(Size), " ");
        out.item_if("ecn_prob", "ecn_prob ", self.ecn_prob_percent, " ");
        print_switches(self.ecn, self.bytemode, self.dq_rate_estimator, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats: [u8; 36] = zero_extended(payload);
        let mut stats = Reader::new(&stats);
        out.item("pkts_in", "  pkts_in ", stats.u32()?, "");
        let dropped = stats.u32()?;
        out.item("overlimit", " overlimit ", stats.u32()?, "");
        out.item("overmemory", " overmemory ", stats.u32()?, "");
        out.item("dropped", " dropped ", dropped, "");
        out.item("ecn_mark", " ecn_mark ", stats.u32()?, "");
        out.newline();
        out.item("new_flow_count", "  new_flow_count ", stats.u32()?, "");
        out.item("new_flows_len", " new_flows_len ", stats.u32()?, "");
        out.item("old_flows_len", " old_flows_len ", stats.u32()?, "");
        out.item("memory_used", " memory_used ", stats.u32()?, "");
        Ok(true)
    }
}

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
