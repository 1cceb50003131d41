//! `codel`: one queue with CoDel's control of delay: it drops packets when all
//! of them have waited too long.
//!
//! UAPI: attributes (`TCA_CODEL_*`); statistics in `struct tc_codel_xstats`.
//!
//! Kernel, `net/sched/sch_codel.c`: times are kept in units of 1024 ns, so that
//! 5 ms reads back as 4999 us.

use tc_core::print::{Printer, Time};
use tc_core::units::{parse_time_us, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Wording, zero_extended,
};

use crate::common::{asked_codel_us, bool_at, codel_us, not_max, not_zero, u32_at};

tc_core::register!(Codel);

/// The options of a codel. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use tc_qdiscs::codel::Codel;
///
/// let marking = Codel { target_us: Some(10_000), ecn: Some(true), ..Codel::default() };
/// # let _ = marking;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codel {
    /// Most packets in the queue (1000).
    pub limit_packets: Option<u32>,
    /// Acceptable delay in microseconds (5000).
    pub target_us: Option<u32>,
    /// How long the delay may stay above the target, in microseconds (100000).
    pub interval_us: Option<u32>,
    /// Whether to mark packets that say they support it, in place of dropping
    /// them (no).
    pub ecn: Option<bool>,
    /// Delay in microseconds above which all such packets are marked (none).
    pub ce_threshold_us: Option<u32>,
}

impl Kind for Codel {
    const KIND: &'static str = "codel";
    const USAGE: &'static str = "\
Usage: ... codel [ limit PACKETS ] [ target TIME ]\n\
\t\t [ interval TIME ] [ ecn | noecn ]\n\
\t\t [ ce_threshold TIME ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                "limit" => options.limit_packets = not_zero(words.parse(parse_u32, illegal)?),
                "target" => options.target_us = not_zero(words.parse(parse_time_us, illegal)?),
                "interval" => options.interval_us = not_zero(words.parse(parse_time_us, illegal)?),
                "ce_threshold" => options.ce_threshold_us = not_max(words.parse(parse_time_us, illegal)?),
                "ecn" => options.ecn = Some(true),
                "noecn" => options.ecn = Some(false),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(options))
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(LIMIT, self.limit_packets);
        out.attr_u32_if(INTERVAL, self.interval_us);
        out.attr_u32_if(TARGET, self.target_us);
        out.attr_u32_if(ECN, self.ecn.map(u32::from));
        out.attr_u32_if(CE_THRESHOLD, self.ce_threshold_us);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ CE_THRESHOLD as usize + 1 }>()?;
        Ok(Self {
            limit_packets: u32_at(&table, LIMIT)?,
            target_us: u32_at(&table, TARGET)?,
            interval_us: u32_at(&table, INTERVAL)?,
            ecn: bool_at(&table, ECN)?,
            ce_threshold_us: u32_at(&table, CE_THRESHOLD)?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        out.say_if("limit", self.limit_packets);
        out.say_if("target", self.target_us.map(asked_codel_us));
        out.say_if("interval", self.interval_us.map(asked_codel_us));
        out.say_sticky("ce_threshold", self.ce_threshold_us.map(asked_codel_us));
        out.switch("ecn", self.ecn, "ecn", "noecn");
    }

    fn kept(&self, _: &dyn Environment) -> Self {
        Self {
            target_us: self.target_us.map(codel_us),
            interval_us: self.interval_us.map(codel_us),
            ce_threshold_us: self.ce_threshold_us.map(codel_us),
            ..*self
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item_if("limit", "limit ", self.limit_packets, "p ");
        out.item_if("target", "target ", self.target_us.map(Time), " ");
        out.item_if("ce_threshold", "ce_threshold ", self.ce_threshold_us.map(Time), " ");
        out.item_if("interval", "interval ", self.interval_us.map(Time), " ");
        if self.ecn == Some(true) {
            out.flag("ecn", "ecn ");
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let stats: [u8; 36] = zero_extended(payload);
        let mut stats = Reader::new(&stats);
        let max_packet = stats.u32()?;
        out.item("count", "  count ", stats.u32()?, "");
        out.item("lastcount", " lastcount ", stats.u32()?, "");
        out.item("ldelay", " ldelay ", Time(stats.u32()?), "");
        let (next, overlimit, marks) = (stats.i32()?, stats.u32()?, stats.u32()?);
        if stats.u32()? != 0 {
            out.flag("dropping", " dropping");
        }
        out.json("drop_next", next);
        let before = if next < 0 { " drop_next -" } else { " drop_next " };
        out.text_item(before, Time(next.unsigned_abs()), "");
        out.newline();
        out.item("maxpacket", "  maxpacket ", max_packet, "");
        out.item("ecn_mark", " ecn_mark ", marks, "");
        out.item("drop_overlimit", " drop_overlimit ", overlimit, "");
        out.item_if("ce_mark", " ce_mark ", not_zero(stats.u32()?), "");
        Ok(true)
    }
}

const TARGET: u16 = 1;
const LIMIT: u16 = 2;
const INTERVAL: u16 = 3;
const ECN: u16 = 4;
const CE_THRESHOLD: u16 = 5;
