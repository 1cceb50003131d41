//! A class of an htb.
//!
//! UAPI: a nest of `TCA_HTB_*`: `struct tc_htb_opt` (two rates, both bursts as
//! the time that they take, quantum and priority), 64-bit rates, and rate
//! tables, which are not read since Linux 3.8, when the link layer is given.
//!
//! Kernel, `net/sched/sch_htb.c`: quantum and priority count only in a class
//! without children.

use derive_setters::Setters;
use tc_core::print::{Formatted, Hex, Printer, Rate, Size, Size64};
use tc_core::rate::{Burst, LinkLayer, Rate as DataRate, RateSpec};
use tc_core::units::{TICK_NS, bytes_of_ticks, checked_transmit_ticks, transmit_bytes};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Reader, Syntax, TcType, Xstats, object,
};

use super::builder::HtbClassBuilder;
use super::{
    TCA_HTB_CEIL64, TCA_HTB_CTAB, TCA_HTB_OFFLOAD, TCA_HTB_PARMS, TCA_HTB_RATE64, TCA_HTB_RTAB, USAGE,
    print_offload,
};

/// The options of a class of an htb; [`HtbClass::builder`] makes them.
///
/// ```
/// use tc_core::rate::Rate;
/// use tc_qdiscs::htb::HtbClass;
///
/// // 1 Mbit/s, and up to 10 Mbit/s where others leave it.
/// let rate = Rate::bits_per_second(1_000_000);
/// let class = HtbClass::builder(rate).ceil(Rate::bits_per_second(10_000_000)).build()?;
/// assert_eq!(class.burst.as_bytes(), 1600);
/// # Ok::<(), tc_core::EncodeError>(())
/// ```
///
/// Two classes are equal if the kernel is sent the same: bursts of different
/// bytes can take equal times.
#[derive(Clone, Copy, Debug, Setters)]
#[non_exhaustive]
pub struct HtbClass {
    /// The class's own rate, and how packets count against it.
    pub rate: RateSpec,
    /// The rate that it may borrow up to.
    pub ceil: RateSpec,
    /// Bytes that may leave at once at `rate`.
    pub burst: Burst,
    /// Bytes that may leave at once at `ceil`.
    pub cburst: Burst,
    /// Bytes served before the next class of the same priority. 0 lets the
    /// kernel compute it from the rate and the qdisc's `r2q`.
    pub quantum_bytes: u32,
    /// The priority for excess bandwidth: the lowest number first; 0 to 7.
    pub prio: u32,
    /// 0 for a class without children; in dumps alone.
    pub level: u32,
    /// Whether the device does the shaping; in dumps alone.
    pub offload: bool,
}

impl HtbClass {
    /// Starts with a rate.
    pub const fn builder(rate: DataRate) -> HtbClassBuilder {
        HtbClassBuilder::new(rate)
    }

    /// The times that the two bursts take.
    fn burst_times(&self) -> [Option<u32>; 2] {
        [self.burst.time(self.rate.rate), self.cburst.time(self.ceil.rate)]
    }

    /// The times that both bursts take, if 32 bits can hold them.
    fn sent_times(&self) -> Result<[u32; 2], EncodeError> {
        let [burst, cburst] = self.burst_times();
        Ok([
            burst.ok_or_else(|| out_of_range("burst", self.burst, self.rate.rate))?,
            cburst.ok_or_else(|| out_of_range("cburst", self.cburst, self.ceil.rate))?,
        ])
    }
}

pub(super) fn out_of_range(name: &str, burst: Burst, rate: DataRate) -> EncodeError {
    let bytes = burst.as_bytes();
    EncodeError::Invalid(format!(
        "htb: {name} out of range: {bytes} bytes at {rate} take more than 274 seconds"
    ))
}

impl PartialEq for HtbClass {
    fn eq(&self, other: &Self) -> bool {
        let rest = |class: &Self| {
            (class.rate, class.ceil, class.quantum_bytes, class.prio, class.level, class.offload)
        };
        let bursts = match (self.sent_times(), other.sent_times()) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            (Err(_), Err(_)) => (self.burst, self.cburst) == (other.burst, other.cburst),
            _ => false,
        };
        bursts && rest(self) == rest(other)
    }
}

impl Eq for HtbClass {}

impl Kind for HtbClass {
    type Object = object::Class;
    const KIND: &'static str = "htb";
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.not_dumped(&["mtu and the cells of burst and cburst"]);

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let [burst, cburst] = self.sent_times()?;
        for (kind, spec) in [(TCA_HTB_RATE64, &self.rate), (TCA_HTB_CEIL64, &self.ceil)] {
            if let Some(rate) = spec.wide_rate() {
                out.attr_u64(kind, rate);
            }
        }
        {
            let mut parms = out.nest(TCA_HTB_PARMS);
            self.rate.encode(&mut parms);
            self.ceil.encode(&mut parms);
            for number in [burst, cburst, self.quantum_bytes, self.level, self.prio] {
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
            let rate = RateSpec::decode(&mut reader, rate64)?;
            let ceil = RateSpec::decode(&mut reader, ceil64)?;
            Ok(Self {
                rate,
                ceil,
                burst: Burst::from_time(reader.u32()?, rate.rate),
                cburst: Burst::from_time(reader.u32()?, ceil.rate),
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
        let builder = HtbClassBuilder::new(DataRate::ZERO).read_words(words, context)?;
        builder.build_as_tc().map(Some).map_err(|error| WordError::Kind(error.to_string()))
    }

    fn print(&self, out: &mut Printer) {
        let style = *out.style();
        if self.level == 0 {
            out.item("prio", "prio ", self.prio.cast_signed(), " ");
            if style.details {
                out.item("quantum", "quantum ", self.quantum_bytes.cast_signed(), " ");
            }
        }
        out.item("rate", "rate ", Rate(self.rate.rate.as_bytes_per_second()), " ");
        if self.rate.overhead != 0 {
            out.item("overhead", "overhead ", self.rate.overhead, " ");
        }
        out.item("ceil", "ceil ", Rate(self.ceil.rate.as_bytes_per_second()), " ");
        if !matches!(self.rate.linklayer, LinkLayer::Unspec | LinkLayer::Ethernet) || style.details {
            out.item("linklayer", "linklayer ", self.rate.linklayer.name(), " ");
        }
        let [burst_ticks, cburst_ticks] = self.burst_times().map(|ticks| ticks.unwrap_or(u32::MAX));
        // As tc: from the time, rounded down to microseconds; above 4 GiB in full, as later versions.
        let size = |rate: DataRate, burst: Burst, ticks| match burst.as_bytes() {
            bytes if bytes > u32::MAX.into() => Size64(bytes),
            _ => Size64(transmit_bytes(rate.as_bytes_per_second(), ticks).into()),
        };
        let burst = size(self.rate.rate, self.burst, burst_ticks);
        let cburst = size(self.ceil.rate, self.cburst, cburst_ticks);
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
                [("burst_raw", "buffer", burst_ticks), ("cburst_raw", "cbuffer", cburst_ticks)]
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
        out.say_rate("rate", self.rate.rate.as_bytes_per_second());
        let mut mtu = write_burst("burst", self.rate.rate, self.burst, out);
        out.say_rate("ceil", self.ceil.rate.as_bytes_per_second());
        mtu = write_burst("cburst", self.ceil.rate, self.cburst, out).or(mtu);
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

/// Writes a burst. No burst at all follows from an MTU of 0, whose words are
/// returned.
fn write_burst(key: &str, rate: DataRate, burst: Burst, out: &mut OptionWords<'_>) -> Option<&'static str> {
    let ticks_of =
        |bytes| checked_transmit_ticks(rate.as_bytes_per_second(), bytes).map_or(u64::MAX, u64::from);
    let Some(ticks) = burst.time(rate) else {
        out.cannot_say(&format!("{key} of {} bytes at {rate}", burst.as_bytes()));
        out.silent(key, burst.as_bytes());
        return None;
    };
    if ticks == 0 {
        out.silent(key, 0);
        return Some("mtu 0");
    }
    if let Some(bytes) = bytes_of_ticks(ticks.into(), ticks_of) {
        out.say_size(key, bytes);
        return None;
    }
    if let Some(bytes) = burst.bytes_in_words().filter(|bytes| u32::try_from(*bytes).is_err()) {
        out.say(key, format_args!("{bytes}b"));
        return None;
    }
    // tc sends only times of whole microseconds: the words are for the next longer one.
    let longer = (ticks..=ticks.saturating_add(16)).find_map(|ticks| bytes_of_ticks(ticks.into(), ticks_of));
    match longer {
        Some(bytes) => out.say_size(key, bytes),
        None => {
            out.cannot_say(&format!("{key} of {ticks} ticks"));
            out.silent(key, ticks);
        }
    }
    None
}

/// The counters of a class: `struct tc_htb_xstats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HtbXstats {
    /// Packets sent at the own rate, or lent to classes below.
    pub lends: u32,
    /// Packets sent with what a class above lent.
    pub borrows: u32,
    /// Not counted any more: 0.
    pub giants: u32,
    /// Time that the rest of the burst takes at `rate`, in nanoseconds; the
    /// class waits while it is negative.
    pub tokens_ns: i64,
    /// Time that the rest of `cburst` takes at `ceil`, in nanoseconds.
    pub ctokens_ns: i64,
}

impl Xstats for HtbXstats {
    const OF: &'static [(TcType, &'static str)] = &[(TcType::Class, "htb")];

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            lends: reader.u32()?,
            borrows: reader.u32()?,
            giants: reader.u32()?,
            tokens_ns: i64::from(reader.i32()?) * i64::from(TICK_NS),
            ctokens_ns: i64::from(reader.i32()?) * i64::from(TICK_NS),
        })
    }
}

impl HtbXstats {
    fn print(&self, out: &mut Printer) {
        out.item("lended", " lended: ", self.lends, "");
        out.item("borrowed", " borrowed: ", self.borrows, "");
        out.item("giants", " giants: ", self.giants, "\n");
        // As tc: in ticks.
        let ticks = |ns: i64| ns / i64::from(TICK_NS);
        out.item("tokens", " tokens: ", ticks(self.tokens_ns), "");
        out.item("ctokens", " ctokens: ", ticks(self.ctokens_ns), "\n");
    }
}

#[cfg(test)]
mod tests;
