//! `htb`: a tree of classes, each with a guaranteed rate (`rate`) and one that it
//! may borrow up to (`ceil`). This file has the qdisc, `class.rs` its classes,
//! `builder.rs` the builder of those.
//!
//! UAPI: a nest of `TCA_HTB_*`: `struct tc_htb_glob`, the length of the queue of
//! packets that no class takes, and a flag for offload.
//!
//! Kernel, `net/sched/sch_htb.c`: a request has the version 3, a dump has 3.17
//! in its place; there is no change.

mod builder;
mod class;

use derive_setters::Setters;
use tc_core::print::{Formatted, Hex0x, Null, Printer};
use tc_core::units::{UnitError, parse_decimal, parse_hex};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

pub use builder::HtbClassBuilder;
pub use class::{HtbClass, HtbXstats};

tc_core::register!(Htb, HtbClass);

/// The options of an htb.
///
/// ```
/// use tc_qdiscs::htb::Htb;
///
/// // Unclassified packets go to class :10.
/// let htb = Htb::default().default_minor(0x10);
/// # let _ = htb;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Htb {
    /// The minor number of the class for packets that no filter takes. With 0,
    /// and where that class is not, they go out at once, unshaped.
    pub default_minor: u32,
    /// The quantum of a class without one is its rate in bytes per second divided by
    /// this number.
    pub r2q: u32,
    /// Most unshaped packets that wait. `None` means the device's `txqueuelen`.
    pub direct_qlen_packets: Option<u32>,
    /// Whether the device does the shaping.
    pub offload: bool,
    /// Two bits for each of 16 areas; kernels since 2.6 do not read it.
    pub debug: u32,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: HtbReported,
}

/// The fields of an htb that only the kernel sets. Requests leave them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HtbReported {
    /// Unshaped packets so far.
    pub direct_packets: u32,
    /// The version, major number in the high half.
    pub version: Option<u32>,
}

impl Default for Htb {
    /// The defaults of `tc`.
    fn default() -> Self {
        Self {
            default_minor: 0,
            r2q: 10,
            direct_qlen_packets: None,
            offload: false,
            debug: 0,
            reported: HtbReported::default(),
        }
    }
}

impl Kind for Htb {
    type Object = object::Qdisc;
    const KIND: &'static str = "htb";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE.not_dumped(&["debug"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        {
            let mut init = out.nest(TCA_HTB_INIT);
            for number in [VERSION, self.r2q, self.default_minor, self.debug, 0] {
                init.put_u32(number);
            }
        }
        if let Some(packets) = self.direct_qlen_packets {
            out.attr_u32(TCA_HTB_DIRECT_QLEN, packets);
        }
        if self.offload {
            out.attr_flag(TCA_HTB_OFFLOAD);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TCA_HTB_OFFLOAD as usize + 1 }>()?;
        let group = |kind: u16| table[usize::from(kind)];
        let init = group(TCA_HTB_INIT).ok_or(DecodeError::Missing { what: "htb parameters" })?;
        let mut reader = init.reader();
        let mut number = || reader.u32().map_err(|error| error.at_attribute(TCA_HTB_INIT));
        let version = Some(number()?).filter(|version| *version != VERSION);
        Ok(Self {
            r2q: number()?,
            default_minor: number()?,
            debug: number()?,
            reported: HtbReported { direct_packets: number()?, version },
            direct_qlen_packets: group(TCA_HTB_DIRECT_QLEN).map(|attr| attr.u32()).transpose()?,
            offload: group(TCA_HTB_OFFLOAD).is_some(),
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        Self { r2q: self.r2q.max(1), ..*self }
    }
}

impl Syntax for Htb {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut htb = Self::default();
        while let Some(word) = words.next() {
            if is_prefix(word, "r2q") {
                htb.r2q = number("r2q", words, parse_decimal)?;
            } else if is_prefix(word, "default") {
                htb.default_minor = number("default", words, parse_hex)?;
            } else if is_prefix(word, "debug") {
                htb.debug |= debug_bits(words.value()?);
            } else if is_prefix(word, "direct_qlen") {
                let packets = number("direct_qlen", words, parse_decimal)?;
                htb.direct_qlen_packets = Some(packets).filter(|packets| *packets != u32::MAX);
            } else if is_prefix(word, "offload") {
                htb.offload = true;
            } else {
                return Err(WordError::what_is(word));
            }
        }
        Ok(Some(htb))
    }

    fn print(&self, out: &mut Printer) {
        out.item("r2q", "r2q ", self.r2q.cast_signed(), "");
        out.item("default", " default ", Hex0x(self.default_minor.into()), "");
        out.item("direct_packets_stat", " direct_packets_stat ", self.reported.direct_packets, "");
        if out.style().details {
            let version = self.reported.version.unwrap_or(VERSION);
            let (major, minor) = (version >> 16, version & 0xffff);
            out.item("ver", " ver ", Formatted(format_args!("{major}.{minor}")), "");
        }
        if let Some(packets) = self.direct_qlen_packets {
            out.item("direct_qlen", " direct_qlen ", packets, "");
        }
        print_offload(self.offload, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("r2q", self.r2q);
        out.say("default", format_args!("{:x}", self.default_minor));
        out.say_if("direct_qlen", self.direct_qlen_packets);
        out.flag("offload", self.offload);
    }
}

fn print_offload(offload: bool, out: &mut Printer) {
    if offload {
        out.item("offload", " ", Null("offload"), "");
    }
}

/// The value that follows; the error names the parameter, as `tc`'s does.
fn number<T>(
    name: &str,
    words: &mut Words<'_>,
    parse: impl FnOnce(&str) -> Result<T, UnitError>,
) -> Result<T, WordError> {
    parse(words.value()?).map_err(|_| illegal(name))
}

fn illegal(name: &str) -> WordError {
    WordError::KindUsage(format!("Illegal \"{name}\""))
}

/// Up to 16 digits from 0 to 3; like `tc`, skips the rest.
fn debug_bits(digits: &str) -> u32 {
    let digits = digits.bytes().take_while(|digit| (b'0'..=b'3').contains(digit)).take(16);
    digits.enumerate().fold(0, |bits, (at, digit)| bits | u32::from(digit - b'0') << (2 * at))
}

const VERSION: u32 = 3;

const USAGE: &str = r#"Usage: ... qdisc add ... htb [default N] [r2q N]
                      [direct_qlen P] [offload]
 default  minor id of class to which unclassified packets are sent {0}
 r2q      DRR quantums are computed as rate in Bps/r2q {10}
 debug    string of 16 numbers each 0-3 {0}

 direct_qlen  Limit of the direct queue {in packets}
 offload  enable hardware offload
... class add ... htb rate R1 [burst B1] [mpu B] [overhead O]
                      [prio P] [slot S] [pslot PS]
                      [ceil R2] [cburst B2] [mtu MTU] [quantum Q]
 rate     rate allocated to this class (class can still borrow)
 burst    max bytes burst which can be accumulated during idle period {computed}
 mpu      minimum packet size used in rate computations
 overhead per-packet size overhead used in rate computations
 linklay  adapting to a linklayer e.g. atm
 ceil     definite upper class rate (no borrows) {rate}
 cburst   burst but for ceil {computed}
 mtu      max packet size we create rate map for {1600}
 prio     priority of leaf; lower are served first {0}
 quantum  how much bytes to serve from leaf at once {use r2q}

TC HTB version 3.3
"#;

const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_CTAB: u16 = 3;
const TCA_HTB_RTAB: u16 = 4;
const TCA_HTB_DIRECT_QLEN: u16 = 5;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
const TCA_HTB_OFFLOAD: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<Htb, WordError> {
        Htb::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add)).map(Option::unwrap)
    }

    fn payload(htb: &Htb) -> BytesMut {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        htb.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out).unwrap();
        out.finish().unwrap();
        buffer
    }

    #[test]
    fn words_may_be_short_and_come_twice() {
        let htb = parse(&["d", "0x1f", "r", "5", "dir", "7", "o", "default", "20"]).unwrap();
        let expected = Htb { r2q: 5, direct_qlen_packets: Some(7), offload: true, ..Htb::default() };
        assert_eq!(htb, Htb { default_minor: 0x20, ..expected });
        assert_eq!(parse(&["debug", "1203x3"]), Ok(Htb { debug: 0b1100_1001, ..Htb::default() }));
        assert_eq!(parse(&["direct_qlen", "4294967295"]), Ok(Htb::default()), "tc: not sent");
        assert_eq!(parse(&[]), Ok(Htb::default()));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let usage = |text: &str| WordError::KindUsage(text.into());
        assert_eq!(parse(&["default", "xyz"]), Err(usage("Illegal \"default\"")));
        assert_eq!(parse(&["r2q", "0x1"]), Err(usage("Illegal \"r2q\"")));
        assert_eq!(parse(&["x"]), Err(usage("What is \"x\"?")));
        assert_eq!(parse(&["direct_qlen"]), Err(WordError::Incomplete));
    }

    #[test]
    fn a_sent_table_reads_back() {
        let full = Htb {
            default_minor: 9,
            r2q: 1,
            direct_qlen_packets: Some(3),
            offload: true,
            debug: 5,
            ..Htb::default()
        };
        for htb in [full, Htb::default()] {
            assert_eq!(Htb::decode(&payload(&htb)), Ok(htb));
        }
    }

    #[test]
    fn a_dump_can_be_sent_again() {
        let mut dump = payload(&Htb::default());
        dump[4..8].copy_from_slice(&0x30011u32.to_ne_bytes());
        dump[20] = 77;
        let htb = Htb::decode(&dump).unwrap();
        assert_eq!((htb.reported.version, htb.reported.direct_packets), (Some(0x30011), 77));
        assert_eq!(payload(&htb), payload(&Htb::default()), "the kernel refuses its own version");
    }

    #[test]
    fn short_structs_are_errors() {
        let bytes = payload(&Htb::default());
        assert!(Htb::decode(&[]).is_err());
        assert!(Htb::decode(&[&[20, 0, 2, 0], &bytes[4..20]].concat()).is_err());
    }
}
