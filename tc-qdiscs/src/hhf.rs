//! `hhf`: tells heavy hitters from other flows, and serves the others first.
//!
//! UAPI: attributes (`TCA_HHF_*`); statistics in `struct tc_hhf_xstats`.
//!
//! Kernel, `net/sched/sch_hhf.c`: times are kept in timer ticks, so that they
//! read back rounded.

use tc_core::print::{Printer, Size, Time};
use tc_core::units::{parse_time_us, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Wording};

use crate::common::{jiffies_us, not_zero, u32_at, us};

tc_core::register!(Hhf);

/// The options of an hhf. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use tc_qdiscs::hhf::Hhf;
///
/// let sooner = Hhf { admit_bytes: Some(32_768), ..Hhf::default() };
/// # let _ = sooner;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hhf {
    /// Most packets in the qdisc (1000).
    pub limit_packets: Option<u32>,
    /// Bytes that each of the two queues may send in its turn (the MTU).
    pub quantum_bytes: Option<u32>,
    /// Most heavy hitters known at a time (2048).
    pub hh_limit: Option<u32>,
    /// How often the counters of flows start anew, in microseconds (40000).
    pub reset_timeout_us: Option<u32>,
    /// Bytes within that time that make a flow a heavy hitter (131072).
    pub admit_bytes: Option<u32>,
    /// How long a heavy hitter has to be silent to be forgotten, in microseconds
    /// (1000000).
    pub evict_timeout_us: Option<u32>,
    /// How many times the quantum the other flows have (2).
    pub non_hh_weight: Option<u32>,
}

impl Kind for Hhf {
    const KIND: &'static str = "hhf";
    const USAGE: &'static str = "\
Usage: ... hhf\t[ limit PACKETS ] [ quantum BYTES]\n\
\t\t[ hh_limit NUMBER ]\n\
\t\t[ reset_timeout TIME ]\n\
\t\t[ admit_bytes BYTES ]\n\
\t\t[ evict_timeout TIME ]\n\
\t\t[ non_hh_weight NUMBER ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => options.limit_packets = not_zero(words.parse(parse_u32, illegal)?),
                "quantum" => options.quantum_bytes = not_zero(words.parse(parse_u32, illegal)?),
                "hh_limit" => options.hh_limit = not_zero(words.parse(parse_u32, illegal)?),
                "reset_timeout" => options.reset_timeout_us = not_zero(words.parse(parse_time_us, illegal)?),
                "admit_bytes" => options.admit_bytes = not_zero(words.parse(parse_u32, illegal)?),
                "evict_timeout" => options.evict_timeout_us = not_zero(words.parse(parse_time_us, illegal)?),
                "non_hh_weight" => options.non_hh_weight = not_zero(words.parse(parse_u32, illegal)?),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(options))
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(BACKLOG_LIMIT, self.limit_packets);
        out.attr_u32_if(QUANTUM, self.quantum_bytes);
        out.attr_u32_if(HH_FLOWS_LIMIT, self.hh_limit);
        out.attr_u32_if(RESET_TIMEOUT, self.reset_timeout_us);
        out.attr_u32_if(ADMIT_BYTES, self.admit_bytes);
        out.attr_u32_if(EVICT_TIMEOUT, self.evict_timeout_us);
        out.attr_u32_if(NON_HH_WEIGHT, self.non_hh_weight);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ NON_HH_WEIGHT as usize + 1 }>()?;
        Ok(Self {
            limit_packets: u32_at(&table, BACKLOG_LIMIT)?,
            quantum_bytes: u32_at(&table, QUANTUM)?,
            hh_limit: u32_at(&table, HH_FLOWS_LIMIT)?,
            reset_timeout_us: u32_at(&table, RESET_TIMEOUT)?,
            admit_bytes: u32_at(&table, ADMIT_BYTES)?,
            evict_timeout_us: u32_at(&table, EVICT_TIMEOUT)?,
            non_hh_weight: u32_at(&table, NON_HH_WEIGHT)?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        out.say_if("limit", self.limit_packets);
        out.say_if("quantum", self.quantum_bytes);
        out.say_if("reset_timeout", self.reset_timeout_us.map(us));
        out.say_if("admit_bytes", self.admit_bytes);
        out.say_if("evict_timeout", self.evict_timeout_us.map(us));
        out.say_if("non_hh_weight", self.non_hh_weight);
        if self.hh_limit.is_some_and(|limit| limit != USUAL_HH_LIMIT) {
            // Kernel: a new one has the usual limit, whatever was asked for.
            out.next_line();
        }
        out.say_if("hh_limit", self.hh_limit);
    }

    fn kept(&self, environment: &dyn Environment) -> Self {
        let hz = environment.timer_hz();
        Self {
            reset_timeout_us: self.reset_timeout_us.map(|us| jiffies_us(us, hz)),
            evict_timeout_us: self.evict_timeout_us.map(|us| jiffies_us(us, hz)),
            ..*self
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("quantum", "quantum ", self.quantum_bytes.map(Size), " ");
        out.item_if("hh_limit", "hh_limit ", self.hh_limit, " ");
        out.item_if("reset_timeout", "reset_timeout ", self.reset_timeout_us.map(Time), " ");
        out.item_if("admit_bytes", "admit_bytes ", self.admit_bytes.map(Size), " ");
        out.item_if("evict_timeout", "evict_timeout ", self.evict_timeout_us.map(Time), " ");
        out.item_if("non_hh_weight", "non_hh_weight ", self.non_hh_weight, " ");
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let mut stats = Reader::new(payload);
        let (overlimit, hh_overlimit) = (stats.u32()?, stats.u32()?);
        let (total, current) = (stats.u32()?, stats.u32()?);
        out.item("drop_overlimit", "  drop_overlimit ", overlimit, "");
        out.item("hh_overlimit", " hh_overlimit ", hh_overlimit, "");
        out.item("tot_hh", " tot_hh ", total, "");
        out.item("cur_hh", " cur_hh ", current, "");
        Ok(true)
    }
}

/// `2 * HH_FLOWS_CNT`.
const USUAL_HH_LIMIT: u32 = 2048;

const BACKLOG_LIMIT: u16 = 1;
const QUANTUM: u16 = 2;
const HH_FLOWS_LIMIT: u16 = 3;
const RESET_TIMEOUT: u16 = 4;
const ADMIT_BYTES: u16 = 5;
const EVICT_TIMEOUT: u16 = 6;
const NON_HH_WEIGHT: u16 = 7;
