//! A class of an htb.
//!
//! UAPI: a nest of `TCA_HTB_*`: `struct tc_htb_opt` (two rates, both bursts as
//! the time that they take, quantum and priority), 64-bit rates, and rate
//! tables, which are not read since Linux 3.8, when the link layer is given.
//!
//! Kernel, `net/sched/sch_htb.c`: quantum and priority count only in a class
//! without children.

use tc_core::print::{Formatted, Hex, Printer, Rate, Size};
use tc_core::rate::{LinkLayer, RateSpec};
use tc_core::units::{bytes_of_ticks, checked_transmit_ticks, transmit_bytes};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Reader, Syntax, object,
};

use super::builder::HtbClassBuilder;
use super::{
    TCA_HTB_CEIL64, TCA_HTB_CTAB, TCA_HTB_OFFLOAD, TCA_HTB_PARMS, TCA_HTB_RATE64, TCA_HTB_RTAB, USAGE,
    print_offload,
};

/// The options of a class of an htb; [`HtbClass::builder`] makes them.
///
/// ```
/// use tc_qdiscs::htb::HtbClass;
///
/// // 1 Mbit/s, and up to 10 Mbit/s where others leave it.
/// let class = HtbClass::builder(125_000).ceil(1_250_000).build()?;
/// assert_eq!(class.burst_bytes(), 1600);
/// # Ok::<(), tc_core::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HtbClass {
    /// The class's own rate, and how packets count against it.
    pub rate: RateSpec,
    /// The rate that it may borrow up to.
    pub ceil: RateSpec,
    /// What may go at once at the own rate: the time that it takes, in ticks of
    /// 64 ns.
    pub burst_ticks: u32,
    /// The same at the rate `ceil`.
    pub cburst_ticks: u32,
    /// Bytes served before the next class of the same priority. 0 lets the
    /// kernel compute it from the rate and the qdisc's `r2q`.
    pub quantum_bytes: u32,
    /// What other classes leave goes to the lowest number first; 0 to 7.
    pub prio: u32,
    /// 0 for a class without children; in dumps alone.
    pub level: u32,
    /// Whether the device does the shaping; in dumps alone.
    pub offload: bool,
}

impl HtbClass {
    /// Starts with a rate in bytes per second.
    pub const fn builder(rate_bytes_per_s: u64) -> HtbClassBuilder {
        HtbClassBuilder::new(rate_bytes_per_s)
    }

    /// What may go at once at the own rate, in bytes: at most a few less than
    /// were asked for.
    pub fn burst_bytes(&self) -> u32 {
        transmit_bytes(self.rate.rate, self.burst_ticks)
    }

    /// What may go at once at the rate `ceil`, in bytes.
    pub fn cburst_bytes(&self) -> u32 {
        transmit_bytes(self.ceil.rate, self.cburst_ticks)
    }
}

impl Kind for HtbClass {
    type Object = object::Class;
    const KIND: &'static str = "htb";
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.not_dumped(&["mtu and the cells of burst and cburst"]);

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        for (kind, spec) in [(TCA_HTB_RATE64, &self.rate), (TCA_HTB_CEIL64, &self.ceil)] {
            if let Some(rate) = spec.wide_rate() {
                out.attr_u64(kind, rate);
            }
        }
        {
            let mut parms = out.nest(TCA_HTB_PARMS);
            self.rate.encode(&mut parms);
            self.ceil.encode(&mut parms);
            for number in [self.burst_ticks, self.cburst_ticks, self.quantum_bytes, self.level, self.prio] {
                parms.put_u32(number);
            }
        }
        if context.as_tc {
            self.rate.encode_table(TCA_HTB_RTAB, out);
            self.ceil.encode_table(TCA_HTB_CTAB, out);
        }
        if self.offload {
            out.attr_flag(TCA_HTB_OFFLOAD);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TCA_HTB_OFFLOAD as usize + 1 }>()?;
        let group = |kind: u16| table[usize::from(kind)];
        let wide = |kind| group(kind).map(|attr| attr.u64()).transpose();
        let parms = group(TCA_HTB_PARMS).ok_or(DecodeError::Missing { what: "htb class parameters" })?;
        let (rate64, ceil64) = (wide(TCA_HTB_RATE64)?, wide(TCA_HTB_CEIL64)?);
        let read = |mut reader: Reader<'_>| {
            Ok(Self {
                rate: RateSpec::decode(&mut reader, rate64)?,
                ceil: RateSpec::decode(&mut reader, ceil64)?,
                burst_ticks: reader.u32()?,
                cburst_ticks: reader.u32()?,
                quantum_bytes: reader.u32()?,
                level: reader.u32()?,
                prio: reader.u32()?,
                offload: group(TCA_HTB_OFFLOAD).is_some(),
            })
        };
        read(parms.reader()).map_err(|error: DecodeError| error.at_attribute(TCA_HTB_PARMS))
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        Self { prio: self.prio.min(7), ..*self }
    }
}

impl Syntax for HtbClass {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let builder = HtbClassBuilder::new(0).read_words(words, context)?;
        builder.build().map(Some).map_err(|error| WordError::Kind(error.to_string()))
    }

    fn print(&self, out: &mut Printer) {
        let style = *out.style();
        if self.level == 0 {
            out.item("prio", "prio ", self.prio.cast_signed(), " ");
            if style.details {
                out.item("quantum", "quantum ", self.quantum_bytes.cast_signed(), " ");
            }
        }
        out.item("rate", "rate ", Rate(self.rate.rate), " ");
        if self.rate.overhead != 0 {
            out.item("overhead", "overhead ", self.rate.overhead, " ");
        }
        out.item("ceil", "ceil ", Rate(self.ceil.rate), " ");
        if !matches!(self.rate.linklayer, LinkLayer::Unspec | LinkLayer::Ethernet) || style.details {
            out.item("linklayer", "linklayer ", self.rate.linklayer.name(), " ");
        }
        let (burst, cburst) = (Size(self.burst_bytes()), Size(self.cburst_bytes()));
        if style.details {
            out.item("burst", "burst ", burst, "/");
            out.item("burst_cell", "", self.rate.cell_bytes(), " ");
            out.item("mpu_rate", "mpu ", Size(self.rate.mpu.into()), " ");
            out.item("cburst", "cburst ", cburst, "/");
            out.item("cburst_cell", "", self.ceil.cell_bytes(), " ");
            out.item("mpu_ceil", "mpu ", Size(self.ceil.mpu.into()), " ");
            out.item("level", "level ", self.level.cast_signed(), " ");
        } else {
            out.item("burst", "burst ", burst, " ");
            out.item("cburst", "cburst ", cburst, " ");
        }
        if style.raw {
            // tc prints text in its JSON here; the keys are as those of tbf.
            for (key, name, ticks) in
                [("burst_raw", "buffer", self.burst_ticks), ("cburst_raw", "cbuffer", self.cburst_ticks)]
            {
                out.json(key, Hex(ticks));
                out.text_item(name, Formatted(format_args!(" [{ticks:08x}]")), " ");
            }
        }
        print_offload(self.offload, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        // Kernel: of a class with children they do not count.
        let inner = self.level > 0;
        let quantum = Some(self.quantum_bytes).filter(|bytes| *bytes != 0);
        match quantum {
            Some(bytes) if inner => out.not_dumped("quantum", format!("quantum {bytes}")),
            quantum => out.say_if("quantum", quantum),
        }
        match inner {
            true => out.not_dumped("prio", format!("prio {}", self.prio)),
            false => out.say("prio", self.prio),
        }
        out.say_rate("rate", self.rate.rate);
        let mut mtu = write_burst("burst", self.rate.rate, self.burst_ticks, out);
        out.say_rate("ceil", self.ceil.rate);
        mtu = write_burst("cburst", self.ceil.rate, self.cburst_ticks, out).or(mtu);
        out.not_dumped("mtu", mtu.unwrap_or_default());
        self.rate.to_words(out);
        let frame = |spec: &RateSpec| (spec.overhead, spec.mpu, spec.linklayer);
        if frame(&self.rate) != frame(&self.ceil) {
            out.cannot_say("a framing of ceil other than that of rate");
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        HtbXstats::decode(payload)?.print(out);
        Ok(true)
    }
}

/// Says a burst. One of nothing is what follows from an MTU of nothing, whose
/// words are returned.
fn write_burst(key: &str, rate: u64, ticks: u32, out: &mut OptionWords<'_>) -> Option<&'static str> {
    let ticks_of = |bytes| checked_transmit_ticks(rate, bytes).map_or(u64::MAX, u64::from);
    match bytes_of_ticks(ticks.into(), ticks_of) {
        Some(bytes) => out.say_size(key, bytes),
        None if ticks == 0 => {
            out.silent(key, 0);
            return Some("mtu 0");
        }
        None => {
            out.cannot_say(&format!("{key} of {ticks} ticks"));
            out.silent(key, ticks);
        }
    }
    None
}

/// The counters of a class: `struct tc_htb_xstats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HtbXstats {
    /// Packets sent at the own rate, or lent to classes below.
    pub lends: u32,
    /// Packets sent with what a class above lent.
    pub borrows: u32,
    /// Not counted any more: 0.
    pub giants: u32,
    /// What is left of the burst, in ticks of 64 ns at the own rate; below zero
    /// the class waits.
    pub tokens_ticks: i32,
    /// The same at the rate `ceil`.
    pub ctokens_ticks: i32,
}

impl HtbXstats {
    /// Reads `TCA_STATS_APP`.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            lends: reader.u32()?,
            borrows: reader.u32()?,
            giants: reader.u32()?,
            tokens_ticks: reader.i32()?,
            ctokens_ticks: reader.i32()?,
        })
    }

    fn print(&self, out: &mut Printer) {
        out.item("lended", " lended: ", self.lends, "");
        out.item("borrowed", " borrowed: ", self.borrows, "");
        out.item("giants", " giants: ", self.giants, "\n");
        out.item("tokens", " tokens: ", self.tokens_ticks, "");
        out.item("ctokens", " ctokens: ", self.ctokens_ticks, "\n");
    }
}

#[cfg(test)]
mod tests;
