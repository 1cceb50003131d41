//! `police`: a rate limit without a queue. Packets above the limit get another fate than the others.
//!
//! UAPI: `struct tc_police` in `TCA_POLICE_TBF`, rate tables, 64-bit rates and packet rates in the
//! other attributes of `TCA_POLICE_*` (`linux/pkt_cls.h`), `struct tcf_t` in `TCA_POLICE_TM`. As an
//! action they are its options; fw, u32, basic, route, flow, cgroup and rsvp have them in an attribute
//! of their own, too.
//!
//! Kernel, `net/sched/act_police.c`:
//! - a rate needs a rate table and a `cell_log` from 1 to 31, otherwise ENOMEM: these tables are always
//!   sent;
//! - a packet above the `mtu` exceeds the limit. Without one the `mtu` is the largest size in the rate
//!   table: 2040 bytes, below most packets of segmentation offloads;
//! - an average rate needs a rate estimator on the same request.

mod words;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Formatted, Printer, Rate as PrintedRate, Size};
use tc_core::rate::{Burst, LinkLayer, Rate, RateSpec};
use tc_core::units::{bytes_of_ticks, checked_transmit_ticks, transmit_bytes};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;

tc_core::register!(Police);

/// The options of a police action.
///
/// ```
/// use tc_core::action::{Action, Actions, Control};
/// use tc_core::rate::Rate;
/// use tc_qdiscs::action::police::Police;
///
/// // Packets above 10 Mbit/s are dropped; segments of offloads are as large as 64 KiB.
/// let police = Police::at_rate(Rate::bits_per_second(10_000_000), 128 << 10).mtu(64 << 10);
/// let actions = Actions::new().with(Action::new(police.exceed(Control::Drop)));
/// # let _ = actions;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Police {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of packets above the limit.
    pub exceed: Control,
    /// The fate of the other packets.
    pub conform: Control,
    /// The limit in bytes per second.
    pub rate: Option<RateSpec>,
    /// Bytes that may pass at once after a pause.
    pub burst: Burst,
    /// The largest packet that conforms; 0 lets the kernel choose it from the rate table.
    pub mtu: u32,
    /// A second limit, which spreads the burst: a packet of `mtu` bytes may pass at once.
    pub peak: Option<RateSpec>,
    /// The limit of the average rate, which a rate estimator measures.
    pub average: Option<Rate>,
    /// The limit in packets per second. Since Linux 5.13.
    pub packets: Option<PacketRate>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// A rate in packets, and how many may pass at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRate {
    /// Packets per second.
    pub per_second: u64,
    /// The time of the burst at this rate, in ticks of 64 ns.
    burst_ticks: u64,
}

impl PacketRate {
    /// `None` if the rate is 0, or the burst takes more than 274 seconds.
    pub fn new(per_second: u64, burst: u32) -> Option<Self> {
        let ticks = checked_transmit_ticks(per_second, burst).filter(|_| per_second != 0)?;
        Some(Self { per_second, burst_ticks: ticks.into() })
    }

    /// Packets that may pass at once.
    pub fn burst(&self) -> u32 {
        transmit_bytes(self.per_second, u32::try_from(self.burst_ticks).unwrap_or(u32::MAX))
    }

    fn burst_in_words(self) -> Option<u32> {
        let ticks = |packets| checked_transmit_ticks(self.per_second, packets).map_or(u64::MAX, u64::from);
        bytes_of_ticks(self.burst_ticks, ticks)
    }
}

impl Police {
    /// Without a limit: packets are reclassified if they exceed one.
    const NONE: Self = Self {
        index: 0,
        exceed: Control::Reclassify,
        conform: Control::Pass,
        rate: None,
        burst: Burst::bytes(0),
        mtu: 0,
        peak: None,
        average: None,
        packets: None,
        reported: Reported::NONE,
    };

    /// A limit in bytes per second, and the bytes that may pass at once.
    pub const fn at_rate(rate: Rate, burst_bytes: u64) -> Self {
        Self { rate: Some(RateSpec::new(rate)), burst: Burst::bytes(burst_bytes), ..Self::NONE }
    }

    /// A limit in packets per second.
    pub const fn at_packet_rate(rate: PacketRate) -> Self {
        Self { packets: Some(rate), ..Self::NONE }
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        Self { index, ..Self::NONE }
    }

    /// Reads the words after a filter's own word `police`.
    pub fn parse_in_filter(words: &mut Words<'_>) -> Result<Self, WordError> {
        let illegal = |text| WordError::Kind(format!("{text}\nIllegal \"police\""));
        words::parse(words).map_err(|error| match error {
            WordError::Kind(text) => illegal(text),
            WordError::Help => WordError::Usage(Self::USAGE.to_owned()),
            other => other,
        })
    }

    /// Appends the options as the attribute `kind` of a filter (`TCA_U32_POLICE`, ...).
    pub fn encode_in_filter(&self, kind: u16, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        self.write(&mut out.nest(kind))
    }

    /// Reads the options from a filter's attribute.
    pub fn decode_in_filter(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        Self::decode(attr.payload).map_err(|error| error.at_attribute(attr.kind))
    }

    /// Describes the options in a filter's own words.
    pub fn to_words_in_filter(&self, out: &mut OptionWords<'_>) {
        out.text("police", "police");
        out.group("police", |out| self.to_words(out));
    }

    fn write(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let rate = self.rate.map(|rate| self.with_cells(rate));
        let peak = self.peak.map(|peak| self.with_cells(peak));
        let burst = rate.map_or(Ok(0), |rate| self.burst.time(rate.rate).ok_or_else(|| self.too_long()))?;
        let mut parms = out.nest(TBF);
        parms.put_u32(self.index);
        parms.put_i32(self.exceed.raw());
        parms.put_u32(0); // limit
        parms.put_u32(burst);
        parms.put_u32(self.mtu);
        for spec in [&rate, &peak] {
            match spec {
                Some(spec) => spec.encode(&mut parms),
                None => parms.put(&[0; RateSpec::LENGTH]),
            }
        }
        parms.put(&[0; 8]); // the counts are the kernel's
        parms.put_u32(0); // capab
        drop(parms);
        for (spec, table, wide) in [(rate, RATE, RATE64), (peak, PEAKRATE, PEAKRATE64)] {
            let Some(spec) = spec else { continue };
            spec.encode_wide_table(table, out);
            if let Some(rate) = spec.wide_rate() {
                out.attr_u64(wide, rate);
            }
        }
        if let Some(average) = self.average {
            let narrow = u32::try_from(average.as_bytes_per_second());
            let error = |_| EncodeError::Invalid("police: avrate over 32 bits of bytes per second".into());
            out.attr_u32(AVRATE, narrow.map_err(error)?);
        }
        if self.conform != Control::Pass {
            out.attr_u32(RESULT, self.conform.raw().cast_unsigned());
        }
        if let Some(packets) = self.packets {
            out.attr_u64(PKTRATE64, packets.per_second);
            out.attr_u64(PKTBURST64, packets.burst_ticks);
        }
        Ok(())
    }

    /// With cells in the rate table: a dump has none, and the kernel refuses cells of a byte.
    fn with_cells(&self, mut spec: RateSpec) -> RateSpec {
        if spec.cell_bytes() == 1 {
            spec.set_cells(if self.mtu == 0 { 0 } else { self.mtu.max(LEAST_MTU) }, None);
        }
        spec
    }

    fn too_long(&self) -> EncodeError {
        let bytes = self.burst.as_bytes();
        EncodeError::Invalid(format!("police: a burst of {bytes} bytes takes more than 274 s at this rate"))
    }
}

impl Kind for Police {
    type Object = object::Action;
    const KIND: &'static str = "police";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        self.write(out).map(|()| Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PKTBURST64 as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let wide = |kind: u16| attr(kind).map(|attr| attr.u64()).transpose();
        let mut reader = attr(TBF).ok_or(DecodeError::Missing { what: "police parameters" })?.reader();
        let (index, exceed) = (reader.u32()?, Control::from_raw(reader.i32()?));
        reader.skip(4)?;
        let (ticks, mtu) = (reader.u32()?, reader.u32()?);
        let rate = RateSpec::decode(&mut reader, wide(RATE64)?)?;
        let peak = RateSpec::decode(&mut reader, wide(PEAKRATE64)?)?;
        let given = |spec: RateSpec| (!spec.is_zero()).then_some(spec);
        let average = attr(AVRATE).map(|attr| attr.u32()).transpose()?;
        let reported = Reported::read(&mut reader, attr(TM))?;
        let packets = |(per_second, burst_ticks)| PacketRate { per_second, burst_ticks };
        Ok(Self {
            index,
            exceed,
            conform: attr(RESULT).map_or(Ok(Control::Pass), |attr| attr.i32().map(Control::from_raw))?,
            rate: given(rate),
            burst: if rate.is_zero() { Burst::bytes(0) } else { Burst::from_time(ticks, rate.rate) },
            mtu,
            peak: given(peak),
            average: average.map(|bytes| Rate::bytes_per_second(bytes.into())),
            packets: wide(PKTRATE64)?.zip(wide(PKTBURST64)?).map(packets),
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let largest = |spec: RateSpec| self.with_cells(spec).cell_bytes().wrapping_mul(255);
        let mtu = if self.mtu == 0 { self.rate.map_or(u32::MAX, largest) } else { self.mtu };
        let ticks = self.rate.and_then(|spec| Some((self.burst.time(spec.rate)?, spec.rate)));
        let burst = ticks.map_or(self.burst, |(ticks, rate)| Burst::from_time(ticks, rate));
        Self { mtu, burst, ..*self }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Police {
    const USAGE: &'static str = "\
Usage: ... police [ rate BPS burst BYTES[/BYTES] ] 
\t\t[ pkts_rate RATE pkts_burst PACKETS ] [ mtu BYTES[/BYTES] ]
\t\t[ peakrate BPS ] [ avrate BPS ] [ overhead BYTES ]
\t\t[ linklayer TYPE ] [ CONTROL ]
Where: CONTROL := conform-exceed <EXCEEDACT>[/NOTEXCEEDACT]
\t\t  Define how to handle packets which exceed (<EXCEEDACT>)
\t\t  or conform (<NOTEXCEEDACT>) the configured bandwidth limit.
       EXCEEDACT/NOTEXCEEDACT := { pipe | ok | reclassify | drop | continue |
\t\t\t\t   goto chain <CHAIN_INDEX> }
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        let spec = self.rate.unwrap_or_default();
        let rate = spec.rate.as_bytes_per_second();
        let ticks = self.burst.time(spec.rate).unwrap_or(u32::MAX);
        out.json("kind", Self::KIND);
        out.text_item(" police ", Formatted(format_args!("{:#x}", self.index)), " ");
        out.json("index", self.index);
        // As in tc, JSON has none of these.
        out.text_item("rate ", PrintedRate(rate), " ");
        out.text_item("burst ", Size(transmit_bytes(rate, ticks)), " ");
        out.text_item("mtu ", Size(self.mtu), " ");
        if out.style().raw {
            out.text_item("[", Formatted(format_args!("{ticks:08x}")), "] ");
        }
        for (before, rate) in [("peakrate ", self.peak.map(|peak| peak.rate)), ("avrate ", self.average)] {
            if let Some(rate) = rate {
                out.text_item(before, PrintedRate(rate.as_bytes_per_second()), " ");
            }
        }
        if let Some(packets) = self.packets {
            out.item("pkts_rate", "pkts_rate ", packets.per_second, " ");
            out.item("pkts_burst", "pkts_burst ", packets.burst(), " ");
        }
        self.exceed.print("action ", out);
        if self.conform != Control::Pass {
            // tc has the key "control_action" twice.
            self.conform.print_under("conform_action", "/", out);
        }
        out.text(" ");
        out.item("overhead", "overhead ", Size(spec.overhead.into()), " ");
        if !matches!(spec.linklayer, LinkLayer::Unspec | LinkLayer::Ethernet) || out.style().details {
            out.item("linklayer", "linklayer ", spec.linklayer.name(), " ");
        }
        out.newline();
        out.item("ref", "\tref ", self.reported.refcnt, " ");
        out.item("bind", "bind ", self.reported.bindcnt, " ");
        if let Some(times) = self.reported.times.filter(|_| out.style().stats) {
            times.print(out);
        }
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }
}

/// The least MTU whose rate table has cells of two bytes.
const LEAST_MTU: u32 = 256;

const TBF: u16 = 1;
const RATE: u16 = 2;
const PEAKRATE: u16 = 3;
const AVRATE: u16 = 4;
const RESULT: u16 = 5;
const TM: u16 = 6;
const RATE64: u16 = 8;
const PEAKRATE64: u16 = 9;
const PKTRATE64: u16 = 10;
const PKTBURST64: u16 = 11;

#[cfg(test)]
mod tests;
