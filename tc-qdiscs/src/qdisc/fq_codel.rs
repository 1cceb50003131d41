//! `fq_codel`: flows by hash, served in turn, each with CoDel's control of
//! delay.
//!
//! UAPI: attributes (`TCA_FQ_CODEL_*`); statistics in
//! `struct tc_fq_codel_xstats`.
//!
//! Kernel, `net/sched/sch_fq_codel.c`:
//! - the number of flows cannot be changed later;
//! - times are kept in units of 1024 ns, so that 5 ms reads back as 4999 us.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Hex0x, Printer, Time};
use tc_core::units::parse_u8;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Reader, Syntax, TcType, Xstats, object, zero_extended,
};

use crate::common::not_zero;
use crate::params::{self, Param, Unit, number, switch, time};

tc_core::register!(FqCodel);

/// The options of an fq_codel. `None` leaves an option as it is; for a new
/// qdisc it is then the kernel's default.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::fq_codel::FqCodel;
///
/// let for_slow_link = FqCodel::default().target(Duration::from_millis(20)).ecn(false);
/// # let _ = for_slow_link;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct FqCodel {
    /// Most packets in the qdisc (10240).
    pub limit_packets: Option<u32>,
    /// Number of flows, 1 to 65536 (1024). The kernel refuses a change that names
    /// it, even with an equal number.
    pub flows: Option<u32>,
    /// Bytes that a flow may send in its turn, at least 256 (the MTU).
    pub quantum_bytes: Option<u32>,
    /// Acceptable delay (5 ms).
    pub target: Option<Duration>,
    /// How long the delay may stay above the target (100 ms).
    pub interval: Option<Duration>,
    /// Whether to mark ECN-capable packets instead of dropping them (yes).
    pub ecn: Option<bool>,
    /// Delay above which all such packets are marked (none).
    pub ce_threshold: Option<Duration>,
    /// Which packets that threshold is for (all).
    pub ce_threshold_selector: Option<Selector>,
    /// Most bytes of memory for packets (32 MiB).
    pub memory_limit_bytes: Option<u32>,
    /// Most packets dropped at once when the qdisc is full (64).
    pub drop_batch_packets: Option<u32>,
}

/// Packets whose DS field (the former TOS byte), masked, has this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Selector {
    /// The value.
    pub value: u8,
    /// Which bits count.
    pub mask: u8,
}

impl Selector {
    /// Packets whose DS field, masked with `mask`, is `value`.
    pub const fn new(value: u8, mask: u8) -> Self {
        Self { value, mask }
    }
}

impl Kind for FqCodel {
    type Object = object::Qdisc;
    const KIND: &'static str = "fq_codel";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL
        .only_new(&["flows"])
        .not_dumped(&["ce_threshold_selector without ce_threshold"])
        .rounded(&["target", "interval", "ce_threshold"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let before_selector = [LIMIT, FLOWS, QUANTUM, INTERVAL, TARGET, ECN, CE_THRESHOLD];
        params::encode(PARAMS, before_selector, self, out)?;
        if let Some(selector) = self.ce_threshold_selector {
            out.attr_u8(CE_THRESHOLD_MASK, selector.mask);
            out.attr_u8(CE_THRESHOLD_SELECTOR, selector.value);
        }
        params::encode(PARAMS, [MEMORY_LIMIT, DROP_BATCH_SIZE], self, out)?;
        Ok(Fill::Written)
    }

    fn as_change(&self) -> Self {
        Self { flows: None, ..*self }
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let byte = |kind| Attrs::new(payload).find(kind)?.map(|attr| attr.u8()).transpose();
        let selector = match (byte(CE_THRESHOLD_SELECTOR)?, byte(CE_THRESHOLD_MASK)?) {
            (None, None) => None,
            (value, mask) => Some(Selector { value: value.unwrap_or(0), mask: mask.unwrap_or(0) }),
        };
        Ok(Self { ce_threshold_selector: selector, ..params::decode(PARAMS, payload)? })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            quantum_bytes: self.quantum_bytes.map(|bytes| bytes.max(256)),
            // Told only beside a threshold.
            ce_threshold_selector: self.ce_threshold.and(self.ce_threshold_selector),
            memory_limit_bytes: self.memory_limit_bytes.map(|bytes| bytes.min(1 << 31)),
            ..params::as_dumped(PARAMS, self, environment)
        }
    }

    fn as_request(&self) -> Self {
        params::as_request(PARAMS, self)
    }
}

impl Syntax for FqCodel {
    const USAGE: &'static str = "\
Usage: ... fq_codel\t[ limit PACKETS ] [ flows NUMBER ]\n\
[ memory_limit BYTES ]\n\
[ target TIME ] [ interval TIME ]\n\
[ quantum BYTES ] [ [no]ecn ]\n\
[ ce_threshold TIME ]\n\
[ ce_threshold_selector VALUE/MASK ]\n\
[ drop_batch SIZE ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut options = Self::default();
        while let Some(word) = words.next() {
            match word {
                "ce_threshold_selector" => options.ce_threshold_selector = parse_selector(words.value()?)?,
                word => params::parse_word(PARAMS, word, words, &mut options)?,
            }
        }
        Ok(Some(options))
    }

    fn print(&self, out: &mut Printer) {
        let (before_selector, behind) = PARAMS.split_at(5);
        params::print(before_selector, self, out);
        if let Some(Selector { value, mask }) = self.ce_threshold_selector.filter(|s| s.value | s.mask != 0) {
            out.json("ce_threshold_selector", value);
            out.json("ce_threshold_mask", mask);
            out.text_item("ce_threshold_selector ", Hex0x(value.into()), "/");
            out.text_item("", Hex0x(mask.into()), " ");
        }
        let drop_batch_packets = self.drop_batch_packets.and_then(not_zero);
        params::print(behind, &Self { drop_batch_packets, ..*self }, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let selector = self.ce_threshold_selector.filter(|s| s.value | s.mask != 0);
        let selector = selector.map(|Selector { value, mask }| format!("{value:#x}/{mask:#x}"));
        params::to_words(PARAMS, self, out);
        out.say_sticky("ce_threshold_selector", selector);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        match FqCodelXstats::decode(payload)? {
            FqCodelXstats::Qdisc(stats) => stats.print(out),
            FqCodelXstats::Flow(stats) => stats.print(out),
            FqCodelXstats::Unknown(_) => {}
        }
        Ok(true)
    }
}

const PARAMS: &[Param<FqCodel>] = &[
    number(LIMIT, "limit", Unit::Packets, |codel| &mut codel.limit_packets),
    number(FLOWS, "flows", Unit::Number, |codel| &mut codel.flows),
    number(QUANTUM, "quantum", Unit::Number, |codel| &mut codel.quantum_bytes),
    time(TARGET, "target", Unit::CodelUs, |codel| &mut codel.target),
    time(CE_THRESHOLD, "ce_threshold", Unit::CodelUs, |codel: &mut FqCodel| &mut codel.ce_threshold)
        .or_max()
        .sticky(),
    time(INTERVAL, "interval", Unit::CodelUs, |codel| &mut codel.interval),
    number(MEMORY_LIMIT, "memory_limit", Unit::Size, |codel: &mut FqCodel| &mut codel.memory_limit_bytes)
        .or_max(),
    switch(ECN, "ecn", "noecn", |codel| &mut codel.ecn),
    number(DROP_BATCH_SIZE, "drop_batch", Unit::Number, |codel| &mut codel.drop_batch_packets),
];

/// `struct tc_fq_codel_xstats`: counters of the qdisc, or of one flow. Counters
/// that an older kernel lacks are 0.
///
/// ```no_run
/// use tc_core::{Connection, DumpRequest};
/// use tc_qdiscs::fq_codel::FqCodelXstats;
///
/// for qdisc in Connection::open()?.list(&DumpRequest::qdiscs())? {
///     let qdisc = qdisc.entry()?;
///     if qdisc.kind()? == "fq_codel" {
///         println!("{} {:?}", qdisc.header.handle, qdisc.xstats_as::<FqCodelXstats>()?);
///     }
/// }
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FqCodelXstats {
    /// Of the qdisc.
    Qdisc(FqCodelStats),
    /// Of a flow with packets, which is shown as a class.
    Flow(FqCodelFlowStats),
    /// Of something that later kernels have: its type.
    Unknown(u32),
}

/// `struct tc_fq_codel_qd_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FqCodelStats {
    /// The largest packet that was seen, in bytes.
    pub max_packet_bytes: u32,
    /// Packets dropped because the qdisc was full.
    pub drop_overlimit: u32,
    /// Packets marked instead of dropped.
    pub ecn_mark: u32,
    /// How often a packet began a flow.
    pub new_flow_count: u32,
    /// Flows that began and had no turn yet.
    pub new_flows_len: u32,
    /// The other flows with packets.
    pub old_flows_len: u32,
    /// Packets marked above `ce_threshold`.
    pub ce_mark: u32,
    /// Bytes of memory that packets take.
    pub memory_usage_bytes: u32,
    /// Packets dropped because of the limit of memory.
    pub drop_overmemory: u32,
}

/// `struct tc_fq_codel_cl_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FqCodelFlowStats {
    /// Bytes that the flow may still send in its turn.
    pub deficit_bytes: i32,
    /// The delay of the packet that left last, in microseconds.
    pub ldelay_us: u32,
    /// Packets dropped or marked since dropping began.
    pub count: u32,
    /// The counter of the previous interval.
    pub lastcount: u32,
    /// Whether it is dropping.
    pub dropping: bool,
    /// Microseconds until the next drop, while it is dropping.
    pub drop_next_us: i32,
}

impl Xstats for FqCodelXstats {
    const OF: &'static [(TcType, &'static str)] = &[(TcType::Qdisc, "fq_codel"), (TcType::Class, "fq_codel")];

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let stats: [u8; XSTATS_LEN] = zero_extended(payload);
        let mut stats = Reader::new(&stats);
        Ok(match stats.u32()? {
            XSTATS_QDISC => Self::Qdisc(FqCodelStats {
                max_packet_bytes: stats.u32()?,
                drop_overlimit: stats.u32()?,
                ecn_mark: stats.u32()?,
                new_flow_count: stats.u32()?,
                new_flows_len: stats.u32()?,
                old_flows_len: stats.u32()?,
                ce_mark: stats.u32()?,
                memory_usage_bytes: stats.u32()?,
                drop_overmemory: stats.u32()?,
            }),
            XSTATS_CLASS => Self::Flow(FqCodelFlowStats {
                deficit_bytes: stats.i32()?,
                ldelay_us: stats.u32()?,
                count: stats.u32()?,
                lastcount: stats.u32()?,
                dropping: stats.u32()? != 0,
                drop_next_us: stats.i32()?,
            }),
            other => Self::Unknown(other),
        })
    }
}

impl FqCodelStats {
    fn print(&self, out: &mut Printer) {
        out.item("maxpacket", "  maxpacket ", self.max_packet_bytes, "");
        out.item("drop_overlimit", " drop_overlimit ", self.drop_overlimit, "");
        out.item("new_flow_count", " new_flow_count ", self.new_flow_count, "");
        out.item("ecn_mark", " ecn_mark ", self.ecn_mark, "");
        out.item_if("ce_mark", " ce_mark ", not_zero(self.ce_mark), "");
        out.item_if("memory_used", " memory_used ", not_zero(self.memory_usage_bytes), "");
        out.item_if("drop_overmemory", " drop_overmemory ", not_zero(self.drop_overmemory), "");
        out.newline();
        out.item("new_flows_len", "  new_flows_len ", self.new_flows_len, "");
        out.item("old_flows_len", " old_flows_len ", self.old_flows_len, "");
    }
}

impl FqCodelFlowStats {
    fn print(&self, out: &mut Printer) {
        out.item("deficit", "  deficit ", self.deficit_bytes, "");
        out.item("count", " count ", self.count, "");
        out.item("lastcount", " lastcount ", self.lastcount, "");
        out.item("ldelay", " ldelay ", Time(self.ldelay_us), "");
        if self.dropping {
            out.flag("dropping", " dropping");
            out.json("drop_next", self.drop_next_us);
            let sign = if self.drop_next_us < 0 { " drop_next -" } else { " drop_next " };
            out.text_item(sign, Time(self.drop_next_us.unsigned_abs()), "");
        }
    }
}

const TARGET: u16 = 1;
const LIMIT: u16 = 2;
const INTERVAL: u16 = 3;
const ECN: u16 = 4;
const FLOWS: u16 = 5;
const QUANTUM: u16 = 6;
const CE_THRESHOLD: u16 = 7;
const DROP_BATCH_SIZE: u16 = 8;
const MEMORY_LIMIT: u16 = 9;
const CE_THRESHOLD_SELECTOR: u16 = 10;
const CE_THRESHOLD_MASK: u16 = 11;

const XSTATS_QDISC: u32 = 0;
const XSTATS_CLASS: u32 = 1;
const XSTATS_LEN: usize = 40;

fn parse_selector(word: &str) -> Result<Option<Selector>, WordError> {
    let error = |text: &str| WordError::Kind(format!("{text} \"ce_threshold_selector\""));
    let (value, mask) = word.split_once('/').ok_or_else(|| error("Missing mask for"))?;
    let mask = parse_u8(mask).map_err(|_| error("Illegal mask for"))?;
    let value = parse_u8(value).map_err(|_| error("Illegal"))?;
    // tc takes this value for not given.
    Ok(Some(Selector { value, mask }).filter(|selector| selector.value != 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    fn parse(words: &str) -> Result<FqCodel, WordError> {
        let words: Vec<_> = words.split(' ').collect();
        FqCodel::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(|o| o.unwrap())
    }

    #[test]
    fn values_that_tc_treats_as_absent_are_absent() {
        let words =
            "limit 0 target 0 ce_threshold 4294967295 memory_limit 4294967295 ce_threshold_selector 255/1";
        assert_eq!(parse(words), Ok(FqCodel::default()));
        assert_eq!(parse("ce_threshold 0").unwrap().ce_threshold, Some(Duration::ZERO));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 4294967296", "Illegal \"limit\""),
            ("target 5m", "Illegal \"target\""),
            ("ce_threshold_selector 1", "Missing mask for \"ce_threshold_selector\""),
            ("ce_threshold_selector 1/256", "Illegal mask for \"ce_threshold_selector\""),
            ("ce_threshold_selector x/1", "Illegal \"ce_threshold_selector\""),
            ("ECN", "What is \"ECN\"?"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
        }
    }

    #[test]
    fn a_flow_shows_when_it_drops_next() {
        // struct tc_fq_codel_cl_stats: deficit, ldelay, count, lastcount, dropping, drop_next
        let stats = [XSTATS_CLASS as i32, -5, 1500, 2, 1, 1, -250];
        let bytes: Vec<u8> = stats.iter().flat_map(|number| number.to_ne_bytes()).collect();
        let mut out = Printer::new(Form::Text, Style::default());
        assert_eq!(FqCodel::print_xstats(&bytes, &mut out), Ok(true));
        assert_eq!(out.as_str(), "  deficit -5 count 2 lastcount 1 ldelay 1.5ms dropping drop_next -250us");
        let Ok(FqCodelXstats::Flow(flow)) = FqCodelXstats::decode(&bytes) else { panic!("of a flow") };
        assert_eq!((flow.ldelay_us, flow.count, flow.drop_next_us), (1500, 2, -250));
    }
}
