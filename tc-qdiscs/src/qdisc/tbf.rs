//! `tbf`: a token bucket. Packets leave at a rate; a burst may go at once; what
//! comes faster waits, up to a limit, and is dropped above it.
//!
//! UAPI: a nest of `TCA_TBF_*`: `struct tc_tbf_qopt` (two rates, the limit, both
//! buckets as the time that they take), 64-bit rates, the buckets in bytes, and
//! rate tables.
//!
//! Kernel, `net/sched/sch_tbf.c`:
//! - a bucket in bytes, where it is sent, wins over the one in ticks; a dump has
//!   ticks alone;
//! - the peak rate has to be above the rate;
//! - rate tables are not read since Linux 3.8, when the link layer is given.

mod builder;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Formatted, Hex, Printer, Rate, Size, Time};
use tc_core::rate::{Burst, LinkLayer, Rate as DataRate, RateSpec};
use tc_core::units::{PrintSize, cut_u32, transmit_bytes, us_from_ticks};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

pub use builder::TbfBuilder;

tc_core::register!(Tbf);

/// The options of a tbf; [`Tbf::builder`] makes them.
///
/// ```
/// use std::time::Duration;
/// use tc_core::rate::Rate;
/// use tc_qdiscs::tbf::Tbf;
///
/// // 1 Mbit/s, 16 KiB at once, and at most 50 ms of waiting.
/// let rate = Rate::bits_per_second(1_000_000);
/// let tbf = Tbf::builder(rate, 16 << 10).latency(Duration::from_millis(50)).build()?;
/// assert_eq!(tbf.limit_bytes, 6250 + (16 << 10));
/// # Ok::<(), tc_core::EncodeError>(())
/// ```
///
/// Two tbfs are equal if a dump shows them alike: bursts of different bytes can
/// take equal times.
#[derive(Clone, Copy, Debug, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Tbf {
    /// The rate, and how packets count against it.
    pub rate: RateSpec,
    /// Bytes that may leave at once after a pause: at least the device's MTU.
    pub burst: Burst,
    /// Most bytes that wait.
    pub limit_bytes: u32,
    /// A second bucket, which spreads the burst.
    pub peak: Option<Peak>,
}

/// The peak rate of a tbf.
#[derive(Clone, Copy, Debug, Setters)]
#[non_exhaustive]
pub struct Peak {
    /// The rate at which a burst leaves.
    pub rate: RateSpec,
    /// Bytes that may leave at once above that rate: at least the device's MTU.
    pub mtu: Burst,
}

impl Peak {
    /// A burst of at most `mtu` leaves at `rate`.
    pub const fn new(rate: RateSpec, mtu: Burst) -> Self {
        Self { rate, mtu }
    }
}

impl Tbf {
    /// Starts with a rate and a burst in bytes: at least the device's MTU, and
    /// the bytes of a timer tick at this rate. A limit or a latency is needed
    /// too.
    pub const fn builder(rate: DataRate, burst_bytes: u64) -> TbfBuilder {
        TbfBuilder::new(rate, burst_bytes)
    }

    /// The longest that a packet waits, from the limit, the rates and the burst.
    /// `None` if the limit is below the burst.
    pub fn latency(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.latency_us() / 1e6).ok()
    }

    fn latency_us(&self) -> f64 {
        let wait = |spec: &RateSpec, burst: &Burst| {
            let rate = spec.rate.as_bytes_per_second();
            1e6 * (f64::from(self.limit_bytes) / rate as f64)
                - f64::from(us_from_ticks(burst.printed_time(spec)))
        };
        let latency = wait(&self.rate, &self.burst);
        self.peak.map_or(latency, |peak| latency.max(wait(&peak.rate, &peak.mtu)))
    }
}

impl PartialEq for Tbf {
    fn eq(&self, other: &Self) -> bool {
        let all = |tbf: &Self| (tbf.rate, tbf.burst.dumped_time(&tbf.rate), tbf.limit_bytes, tbf.peak);
        all(self) == all(other)
    }
}

impl Eq for Tbf {}

impl PartialEq for Peak {
    fn eq(&self, other: &Self) -> bool {
        let all = |peak: &Self| (peak.rate, peak.mtu.dumped_time(&peak.rate));
        all(self) == all(other)
    }
}

impl Eq for Peak {}

impl Kind for Tbf {
    type Object = object::Qdisc;
    const KIND: &'static str = "tbf";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL
        .not_dumped(&["the cells of burst and mtu", "bytes of burst and mtu that pass within one tick"])
        .rounded(&["burst", "mtu"]);

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let (burst, burst_bytes) = sent("burst", self.burst, &self.rate)?;
        let mtu = self.peak.map(|peak| sent("mtu", peak.mtu, &peak.rate)).transpose()?;
        let (mtu, mtu_bytes) = mtu.unwrap_or_default();
        {
            let mut parms = out.nest(TCA_TBF_PARMS);
            self.rate.encode(&mut parms);
            match &self.peak {
                Some(peak) => peak.rate.encode(&mut parms),
                None => parms.put(&[0; RateSpec::LENGTH]),
            }
            parms.put_u32(self.limit_bytes);
            parms.put_u32(burst);
            parms.put_u32(mtu);
        }
        out.attr_u32_if(TCA_TBF_BURST, burst_bytes);
        if let Some(rate) = self.rate.wide_rate() {
            out.attr_u64(TCA_TBF_RATE64, rate);
        }
        if context.as_tc {
            self.rate.encode_table(TCA_TBF_RTAB, out);
        }
        let Some(peak) = &self.peak else { return Ok(Fill::Written) };
        if let Some(rate) = peak.rate.wide_rate() {
            out.attr_u64(TCA_TBF_PRATE64, rate);
        }
        out.attr_u32_if(TCA_TBF_PBURST, mtu_bytes);
        if context.as_tc {
            peak.rate.encode_table(TCA_TBF_PTAB, out);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TCA_TBF_PBURST as usize + 1 }>()?;
        let group = |kind: u16| table[usize::from(kind)];
        let wide = |kind| group(kind).map(|attr| attr.u64()).transpose();
        let bytes = |kind| group(kind).map(|attr| attr.u32()).transpose();
        let parms = group(TCA_TBF_PARMS).ok_or(DecodeError::Missing { what: "tbf parameters" })?;
        let read = |attr: Attr<'_>| {
            let mut reader = attr.reader();
            let rate = RateSpec::decode(&mut reader, wide(TCA_TBF_RATE64)?)?;
            let peak = RateSpec::decode(&mut reader, wide(TCA_TBF_PRATE64)?)?;
            let limit_bytes = reader.u32()?;
            let burst = Burst::from_kernel_time(reader.u32()?, &rate, bytes(TCA_TBF_BURST)?);
            let mtu = Burst::from_kernel_time(reader.u32()?, &peak, bytes(TCA_TBF_PBURST)?);
            let peak = (!peak.is_zero()).then_some(Peak { rate: peak, mtu });
            Ok(Self { rate, burst, limit_bytes, peak })
        };
        read(parms).map_err(|error: DecodeError| error.at_attribute(TCA_TBF_PARMS))
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let dumped =
            |burst: Burst, spec: &RateSpec| Burst::from_kernel_time(burst.dumped_time(spec), spec, None);
        Self {
            burst: dumped(self.burst, &self.rate),
            peak: self.peak.map(|peak| Peak { mtu: dumped(peak.mtu, &peak.rate), ..peak }),
            ..*self
        }
    }
}

impl Syntax for Tbf {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let builder = TbfBuilder::new(DataRate::ZERO, 0).read_words(words, context)?;
        builder.build_as_tc().map(Some).map_err(|missing| WordError::KindUsage(missing.to_string()))
    }

    fn print(&self, out: &mut Printer) {
        out.item("rate", "rate ", Rate(self.rate.rate.as_bytes_per_second()), " ");
        let ticks = self.burst.printed_time(&self.rate);
        print_bucket(&self.rate, ticks, ["burst", "burst", "mpu"], out);
        print_raw("burst_raw", ticks, out);
        if let Some(peak) = &self.peak {
            // Only text, as in tc.
            out.text_item("peakrate ", Rate(peak.rate.rate.as_bytes_per_second()), " ");
            let ticks = peak.mtu.printed_time(&peak.rate);
            if ticks != 0 || peak.rate.mpu != 0 {
                print_bucket(&peak.rate, ticks, ["minburst", "mtu", ""], out);
                print_raw("mtu_raw", ticks, out);
            }
        }
        let latency = self.latency_us();
        if latency >= 0.0 {
            out.json("lat", latency as u64);
            out.text_item("lat ", Time(cut_u32(latency)), " ");
        }
        if out.style().raw || latency < 0.0 {
            out.item("limit", "limit ", Size(self.limit_bytes), " ");
        }
        if self.rate.overhead != 0 {
            out.item("overhead", "overhead ", self.rate.overhead, " ");
        }
        if !matches!(self.rate.linklayer, LinkLayer::Unspec | LinkLayer::Ethernet) || out.style().details {
            out.item("linklayer", "linklayer ", self.rate.linklayer.name(), " ");
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_rate("rate", self.rate.rate.as_bytes_per_second());
        write_burst("burst", self.burst, &self.rate, out);
        out.say_size("limit", self.limit_bytes);
        match &self.peak {
            None => ["peakrate", "mtu"].into_iter().for_each(|key| out.text(key, "")),
            Some(peak) => {
                out.say_rate("peakrate", peak.rate.rate.as_bytes_per_second());
                write_burst("mtu", peak.mtu, &peak.rate, out);
            }
        }
        self.rate.to_words(out);
    }
}

/// The time and the bytes of a bucket to send.
fn sent(name: &str, burst: Burst, spec: &RateSpec) -> Result<(u32, Option<u32>), EncodeError> {
    burst.kernel_time(spec).ok_or_else(|| {
        let bytes = burst.as_bytes();
        EncodeError::Invalid(format!("tbf: {name} out of range: {bytes} bytes are more than {}", u32::MAX))
    })
}

fn write_burst(key: &str, burst: Burst, spec: &RateSpec, out: &mut OptionWords<'_>) {
    let bytes = burst.bytes_in_words().and_then(|bytes| u32::try_from(bytes).ok());
    let Some(bytes) = bytes else {
        let ticks = burst.dumped_time(spec);
        out.cannot_say(&format!("{key} of {ticks} ticks"));
        return out.silent(key, ticks);
    };
    out.say_size(key, bytes);
}

/// A bucket's size under the key that it has without details, or with the cells
/// of the rate table and the MPU under the two that it has with them.
fn print_bucket(rate: &RateSpec, ticks: u32, keys: [&str; 3], out: &mut Printer) {
    let [short, long, mpu] = keys;
    let bytes = transmit_bytes(rate.rate.as_bytes_per_second(), ticks);
    if !out.style().details {
        out.text_item(short, " ", "");
        return out.item(short, "", Size(bytes), " ");
    }
    let cell = rate.cell_bytes();
    out.text_item(long, " ", "");
    out.item(long, "", Formatted(format_args!("{}/{cell}", PrintSize(bytes.into()))), " ");
    // tc has "mpu" twice in one JSON object: the second one, an equal value, is text here.
    if mpu.is_empty() {
        out.text_item("mpu ", Size(rate.mpu.into()), " ");
    } else {
        out.item(mpu, "mpu ", Size(rate.mpu.into()), " ");
    }
}

fn print_raw(key: &str, ticks: u32, out: &mut Printer) {
    if out.style().raw {
        out.json(key, Hex(ticks));
        out.text_item("[", Formatted(format_args!("{ticks:08x}")), "] ");
    }
}

const USAGE: &str = "\
Usage: ... tbf limit BYTES burst BYTES[/BYTES] rate KBPS [ mtu BYTES[/BYTES] ]
\t[ peakrate KBPS ] [ latency TIME ] [ overhead BYTES ] [ linklayer TYPE ]
";

const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RTAB: u16 = 2;
const TCA_TBF_PTAB: u16 = 3;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_PRATE64: u16 = 5;
const TCA_TBF_BURST: u16 = 6;
const TCA_TBF_PBURST: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    const MBIT: DataRate = DataRate::bits_per_second(1_000_000);

    fn payload(tbf: &Tbf, as_tc: bool) -> BytesMut {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        tbf.encode(&FillContext { verb: Verb::Add, as_tc }, &mut out).unwrap();
        out.finish().unwrap();
        buffer
    }

    #[test]
    fn what_is_sent_reads_back_with_and_without_tables() {
        let plain = Tbf::builder(MBIT, 10_000).limit_bytes(20_000);
        let wide = plain
            .peak(DataRate::bytes_per_second(5_000_000_000), 1540)
            .overhead_bytes(9)
            .linklayer(LinkLayer::Atm);
        for (tbf, tables) in [(plain, 1), (wide, 2)] {
            let tbf = tbf.build().unwrap();
            assert_eq!(Tbf::decode(&payload(&tbf, true)), Ok(tbf));
            assert_eq!(Tbf::decode(&payload(&tbf, false)), Ok(tbf));
            assert_eq!(payload(&tbf, true).len(), payload(&tbf, false).len() + tables * 1028);
        }
        let tbf = plain.build().unwrap();
        let tbf = Tbf { burst: Burst::from_kernel_time(9, &tbf.rate, None), ..tbf };
        assert_eq!(Tbf::decode(&payload(&tbf, false)), Ok(tbf), "ticks alone");
        assert!(Tbf::decode(&payload(&tbf, false)[..36]).is_err() && Tbf::decode(&[]).is_err());
    }

    #[test]
    fn json_is_valid_where_tcs_says_a_key_twice() {
        let tbf = Tbf::builder(MBIT, 10_000)
            .limit_bytes(20_000)
            .mpu_bytes(64)
            .peak(DataRate::bits_per_second(2_000_000), 1600);
        let style = Style { details: true, raw: true, ..Style::default() };
        let mut out = Printer::new(Form::Json, style);
        out.object("", |out| tbf.build().unwrap().print(out));
        assert_eq!(
            out.as_str(),
            concat!(
                r#"{"rate":125000,"burst":"10000b/8","mpu":64,"burst_raw":"1312d0","#,
                r#""mtu":"1600b/8","mtu_raw":"186a0","lat":80000,"limit":20000,"#,
                r#""linklayer":"ethernet"}"#
            )
        );
    }

    #[test]
    fn a_limit_below_the_burst_has_no_latency() {
        let tbf = Tbf::builder(MBIT, 10_000).limit_bytes(1000).build().unwrap();
        assert_eq!(tbf.latency_us(), -72_000.0);
        let mut out = Printer::new(Form::Text, Style::default());
        tbf.print(&mut out);
        assert_eq!(out.as_str(), "rate 1Mbit burst 10000b limit 1000b ");
    }

    #[test]
    fn burst_stays_when_the_rate_of_a_dump_changes() {
        let fast = DataRate::bits_per_second(100_000_000);
        let sent =
            Tbf::builder(fast, 1600).limit_bytes(20_000).peak(DataRate::bits_per_second(200_000_000), 1514);
        let mut tbf = sent.build().unwrap().as_dumped(&tc_core::words::Usual);
        assert_eq!(tbf.burst.as_bytes(), 1600);
        tbf.rate.rate = MBIT;
        let sent = Tbf::decode(&payload(&tbf, false)).unwrap();
        assert_eq!((sent.burst.as_bytes(), sent.peak, sent.limit_bytes), (1600, tbf.peak, 20_000));
        assert_eq!(sent.burst.kernel_time(&sent.rate), Some((200_000, Some(1600))), "not 2000 ticks");
        tbf.rate.overhead = 24;
        assert_eq!(tbf.burst.kernel_time(&tbf.rate), Some((200_000, Some(1600))));
    }

    #[test]
    fn burst_above_32_bits_is_refused_by_name() {
        let error = Tbf::builder(MBIT, 1 << 32).limit_bytes(20_000).build().unwrap_err().to_string();
        assert!(error.contains("tbf: burst out of range: 4294967296 bytes"), "{error}");
        let mut tbf = Tbf::builder(MBIT, 1600).limit_bytes(20_000).build().unwrap();
        tbf.burst = Burst::bytes(1 << 32);
        let mut buffer = BytesMut::new();
        let filled =
            tbf.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut AttrWriter::new(&mut buffer));
        assert!(filled.unwrap_err().to_string().contains("burst out of range"));
    }
}
