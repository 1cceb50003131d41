//! `hfsc`: a tree of classes that share a link by service curves: a real-time curve
//! is guaranteed, a link-share curve divides the rest, an upper limit caps both.
//!
//! UAPI: the qdisc has the bare `struct tc_hfsc_qopt { __u16 defcls; }`; a class
//! has a nest of `TCA_HFSC_RSC`, `_FSC` and `_USC`, each a
//! `struct tc_service_curve`.
//!
//! Kernel, `net/sched/sch_hfsc.c`: the qdisc needs options; a class needs a curve
//! for real time or for link share, and on a change keeps those that are not
//! sent. It computes with shifted numbers: dumps can differ slightly.

mod curve;

use derive_setters::Setters;
use tc_core::print::{Hex, Hex0x, Printer};
use tc_core::units::parse_hex;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax,
    Xstats, object,
};

pub use curve::ServiceCurve;

use crate::counters::counters;

tc_core::register!(Hfsc, HfscClass);

/// The options of an hfsc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Hfsc {
    /// The minor number of the class for packets that no filter takes; where
    /// that class is not, they are dropped.
    pub default_minor: u16,
}

impl Kind for Hfsc {
    type Object = object::Qdisc;
    const KIND: &'static str = "hfsc";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u16(self.default_minor);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { default_minor: Reader::new(payload).u16()? })
    }
}

impl Syntax for Hfsc {
    const USAGE: &'static str =
        "Usage: ... hfsc [ default CLASSID ]\n\n default: default class for unclassified packets\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut hfsc = Self::default();
        while let Some(word) = words.next() {
            if is_prefix(word, "default") {
                let value = words.value()?;
                if hfsc.default_minor != 0 {
                    return Err(WordError::Kind("HFSC: Double \"default\"".into()));
                }
                let illegal = |_| WordError::Kind("HFSC: Illegal \"default\"".into());
                hfsc.default_minor = parse_hex(value).map_err(illegal)?;
            } else if is_prefix(word, "help") {
                return Err(WordError::Help);
            } else {
                return Err(what_is(word));
            }
        }
        Ok(Some(hfsc))
    }

    fn print(&self, out: &mut Printer) {
        if self.default_minor != 0 {
            // tc 6.1 prints text in its JSON here; the value is that of tc 7.
            out.text_item("default ", Hex(self.default_minor.into()), " ");
            out.json("default", Hex0x(self.default_minor.into()));
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("default", format_args!("{:x}", self.default_minor));
    }
}

/// The options of a class of an hfsc.
///
/// ```
/// use std::time::Duration;
/// use tc_core::rate::Rate;
/// use tc_qdiscs::hfsc::{HfscClass, ServiceCurve};
///
/// // 1 Mbit/s, and 4 Mbit/s in the first 10 ms; up to 8 Mbit/s where others leave it.
/// let [start, later] = [4_000_000, 1_000_000].map(Rate::bits_per_second);
/// let curve = ServiceCurve::default().m1(start).d(Duration::from_millis(10)).m2(later);
/// let class = HfscClass::shared(curve).upper_limit(ServiceCurve::rate(Rate::bits_per_second(8_000_000)));
/// # let _ = class;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct HfscClass {
    /// `rt`: the guaranteed curve; only for classes without children.
    pub real_time: Option<ServiceCurve>,
    /// `ls`: how classes of one parent share the rest.
    pub link_share: Option<ServiceCurve>,
    /// `ul`: the most that link share gives.
    #[setters(skip)]
    pub upper_limit: Option<ServiceCurve>,
}

impl HfscClass {
    /// One curve for real time and link share (`sc`).
    pub const fn shared(curve: ServiceCurve) -> Self {
        Self { real_time: Some(curve), link_share: Some(curve), upper_limit: None }
    }

    /// Sets an upper limit. The class needs a link-share curve as well.
    #[must_use]
    pub const fn upper_limit(mut self, curve: ServiceCurve) -> Self {
        self.upper_limit = Some(curve);
        self
    }
}

impl Kind for HfscClass {
    type Object = object::Class;
    const KIND: &'static str = "hfsc";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let curves = [
            (TCA_HFSC_RSC, &self.real_time),
            (TCA_HFSC_FSC, &self.link_share),
            (TCA_HFSC_USC, &self.upper_limit),
        ];
        for (kind, curve) in curves {
            if let Some(curve) = curve {
                curve.encode(&mut out.nest(kind))?;
            }
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TCA_HFSC_USC as usize + 1 }>()?;
        let curve = |kind: u16| {
            let read = |attr: tc_core::Attr<'_>| ServiceCurve::decode(&mut attr.reader());
            table[usize::from(kind)].map(read).transpose().map_err(|error| error.at_attribute(kind))
        };
        Ok(Self {
            real_time: curve(TCA_HFSC_RSC)?,
            link_share: curve(TCA_HFSC_FSC)?,
            upper_limit: curve(TCA_HFSC_USC)?,
        })
    }
}

impl Syntax for HfscClass {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut class = Self::default();
        while let Some(word) = words.next() {
            let mut curve = |name| ServiceCurve::parse_words(name, words, context).map(Some);
            if is_prefix(word, "rt") {
                class.real_time = curve("rt")?;
            } else if is_prefix(word, "ls") {
                class.link_share = curve("ls")?;
            } else if is_prefix(word, "sc") {
                class.real_time = curve("sc")?;
                class.link_share = class.real_time;
            } else if is_prefix(word, "ul") {
                class.upper_limit = curve("ul")?;
            } else if is_prefix(word, "help") {
                return Err(WordError::Help);
            } else {
                return Err(what_is(word));
            }
        }
        if class == Self::default() {
            return Err(WordError::KindUsage("HFSC: no parameters given".into()));
        }
        if class.upper_limit.is_some() && class.link_share.is_none() {
            let text = "HFSC: Upper-limit Service Curve without Link-Share Service Curve";
            return Err(WordError::KindUsage(text.into()));
        }
        Ok(Some(class))
    }

    fn print(&self, out: &mut Printer) {
        let both_in_one = self.real_time.is_some() && self.real_time == self.link_share;
        let (sc, rt, ls) = match both_in_one {
            true => (self.real_time, None, None),
            false => (None, self.real_time, self.link_share),
        };
        for (name, curve) in [("sc", sc), ("rt", rt), ("ls", ls), ("ul", self.upper_limit)] {
            if let Some(curve) = curve {
                curve.print(name, out);
            }
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        for (key, curve) in [("rt", self.real_time), ("ls", self.link_share), ("ul", self.upper_limit)] {
            out.say_sticky(key, curve.map(|curve| curve.words()));
        }
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        HfscXstats::decode(payload)?.print(out);
        Ok(true)
    }
}

counters! {
    /// The counters of a class: `struct tc_hfsc_stats`.
    pub struct HfscXstats() of Class "hfsc" {
        /// Bytes sent.
        pub work_bytes: u64 = u64,
        /// Bytes of them that the real-time curve made go.
        pub real_time_work_bytes: u64 = u64,
        /// How often the class became busy.
        pub period: u32 = u32,
        /// 0 for a class without children.
        pub level: u32 = u32,
    }
}

impl HfscXstats {
    fn print(&self, out: &mut Printer) {
        out.item("period", " period ", self.period, " ");
        if self.work_bytes != 0 {
            out.item("work", "work ", self.work_bytes, " bytes ");
        }
        if self.real_time_work_bytes != 0 {
            out.item("rtwork", "rtwork ", self.real_time_work_bytes, " bytes ");
        }
        out.item("level", "level ", self.level, " \n");
    }
}

fn what_is(word: &str) -> WordError {
    WordError::KindUsage(format!("HFSC: What is \"{word}\" ?"))
}

const USAGE: &str = "\
Usage: ... hfsc [ [ rt SC ] [ ls SC ] | [ sc SC ] ] [ ul SC ]

SC := [ [ m1 BPS ] d SEC ] m2 BPS

 m1 : slope of first segment
 d  : x-coordinate of intersection
 m2 : slope of second segment

Alternative format:

SC := [ [ umax BYTE ] dmax SEC ] rate BPS

 umax : maximum unit of work
 dmax : maximum delay
 rate : rate

Remarks:
 - at least one of 'rt', 'ls' or 'sc' must be specified
 - 'ul' can only be specified with 'ls' or 'sc'

";

const TCA_HFSC_RSC: u16 = 1;
const TCA_HFSC_FSC: u16 = 2;
const TCA_HFSC_USC: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use std::time::Duration;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};
    use tc_core::rate::Rate;

    #[test]
    fn words_of_the_qdisc_have_tcs_texts() {
        let parse = |words: &[&str]| Hfsc::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        assert_eq!(parse(&[]), Ok(Some(Hfsc::default())));
        assert_eq!(parse(&["d", "0", "default", "1f"]), Ok(Some(Hfsc { default_minor: 0x1f })));
        assert_eq!(parse(&["d", "1", "d", "x"]), Err(WordError::Kind("HFSC: Double \"default\"".into())));
        assert_eq!(parse(&["d", "10000"]), Err(WordError::Kind("HFSC: Illegal \"default\"".into())));
        assert_eq!(parse(&["x"]), Err(WordError::KindUsage("HFSC: What is \"x\" ?".into())));
    }

    #[test]
    fn a_sent_table_reads_back() {
        let class =
            HfscClass { real_time: None, ..HfscClass::shared(ServiceCurve::rate(Rate::bytes_per_second(7))) };
        let class = class.upper_limit(ServiceCurve {
            m1: Rate::bytes_per_second(1),
            d: Duration::from_micros(2),
            m2: Rate::bytes_per_second(3),
        });
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        class.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out).unwrap();
        out.finish().unwrap();
        assert_eq!(HfscClass::decode(&buffer), Ok(class));
        assert!(HfscClass::decode(&buffer[..20]).is_err());
    }

    #[test]
    fn json_has_the_keys_of_tc_7() {
        let json = |print: &dyn Fn(&mut Printer)| {
            let mut out = Printer::new(Form::Json, Style::default());
            out.object("", |out| print(out));
            out.as_str().to_owned()
        };
        assert_eq!(json(&|out| Hfsc { default_minor: 0x10 }.print(out)), r#"{"default":"0x10"}"#);
        let rate = Rate::bytes_per_second;
        let class =
            HfscClass::shared(ServiceCurve { m1: rate(8), d: Duration::from_micros(9), m2: rate(10) });
        assert_eq!(json(&|out| class.print(out)), r#"{"sc":{"m1":8,"d":9,"m2":10}}"#);
        let xstats = HfscXstats { work_bytes: 5, period: 2, ..HfscXstats::default() };
        assert_eq!(json(&|out| xstats.print(out)), r#"{"period":2,"work":5,"level":0}"#);
    }
}
