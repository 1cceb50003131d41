//! `sfq`: flows by hash, served in turn; with RED for each flow, if wanted.
//!
//! UAPI: `struct tc_sfq_qopt_v1`, bare, whose first part is `struct tc_sfq_qopt`,
//! all that kernels before 3.3 know; a dump ends with statistics of RED.
//! Statistics of a class in `struct tc_sfq_xstats`.
//!
//! Kernel, `net/sched/sch_sfq.c`: only the quantum, the period, the limit and the
//! parameters of RED can be changed later; 0 leaves a number as it is.

mod red;

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::units::{parse_i32, parse_size, parse_u32, words_of_size};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader,
    Syntax, Xstats, object, zero_extended,
};

use crate::common::not_zero;
use crate::counters::counters;
use crate::qdisc::red::math::Curve;

pub use red::{Counters, FlowRed};

tc_core::register!(Sfq);

/// The options of an sfq. 0 is the kernel's default.
///
/// ```
/// use tc_qdiscs::sfq::Sfq;
///
/// let fair = Sfq::default().perturb_secs(10);
/// # let _ = fair;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Sfq {
    /// Bytes that a flow may send in its turn (the MTU).
    pub quantum_bytes: u32,
    /// How often flows get new hashes, in seconds (never).
    pub perturb_secs: i32,
    /// Most packets in the qdisc, at least 2 (127).
    pub limit_packets: u32,
    /// Number of hash buckets, a power of two (1024).
    pub divisor: u32,
    /// Most flows at a time (128).
    pub flows: u32,
    /// Most packets of a flow (127).
    pub depth_packets: u32,
    /// Whether the oldest packet of a flow is dropped when it is full, in place
    /// of the newest.
    pub headdrop: bool,
    /// RED for each flow. Not active while `min_bytes` is 0.
    pub red: FlowRed,
}

impl Kind for Sfq {
    type Object = object::Qdisc;
    const KIND: &'static str = "sfq";
    const CHANGE: ChangeSemantics =
        ChangeSemantics::REFUSES_CHANGE.not_dumped(&["redflowlimit", "avpkt and burst beyond ewma"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.quantum_bytes);
        out.put_i32(self.perturb_secs);
        out.put_u32(self.limit_packets);
        out.put_u32(self.divisor);
        out.put_u32(self.flows);
        out.put_u32(self.depth_packets);
        out.put_u32(self.headdrop.into());
        self.red.encode(out);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        if payload.len() < OLD_LENGTH {
            return Err(DecodeError::Short { need: OLD_LENGTH, have: payload.len() });
        }
        // No kernel sends a length between the two.
        let known = if payload.len() < LENGTH { &payload[..OLD_LENGTH] } else { payload };
        let all: [u8; LENGTH] = zero_extended(known);
        let mut reader = Reader::new(&all);
        Ok(Self {
            quantum_bytes: reader.u32()?,
            perturb_secs: reader.i32()?,
            limit_packets: reader.u32()?,
            divisor: reader.u32()?,
            flows: reader.u32()?,
            depth_packets: reader.u32()?,
            headdrop: reader.u32()? != 0,
            red: FlowRed::decode(&mut reader)?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        as_dumped(self)
    }
}

impl Syntax for Sfq {
    const USAGE: &'static str = "\
Usage: ... sfq\t[ limit NUMBER ] [ perturb SECS ] [ quantum BYTES ]\n\
\t\t[ divisor NUMBER ] [ flows NUMBER] [ depth NUMBER ]\n\
\t\t[ headdrop ]\n\
\t\t[ redflowlimit BYTES ] [ min BYTES ] [ max BYTES ]\n\
\t\t[ avpkt BYTES ] [ burst PACKETS ] [ probability P ]\n\
\t\t[ ecn ] [ harddrop ]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        if words.is_empty() {
            return Ok(None);
        }
        let mut sfq = Self::default();
        let mut with_red = false;
        let mut curve = Curve { min: 0, max: 0, burst: 0, average_packet: 1000, probability: 0.02 };
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            match word {
                // tc's text names another word here, and for depth.
                "quantum" => {
                    sfq.quantum_bytes = words.parse(parse_size, |_| "Illegal \"limit\"".into())?;
                }
                "perturb" => {
                    // Kernel: before Linux 6.16 its timer then never rests.
                    let secs = words.parse(parse_i32, illegal)?;
                    let from_zero = Some(secs).filter(|secs| *secs >= 0);
                    sfq.perturb_secs = from_zero.ok_or_else(|| WordError::Kind(illegal("")))?;
                }
                "limit" => {
                    sfq.limit_packets = words.parse(parse_u32, illegal)?;
                    if sfq.limit_packets < 2 {
                        return Err(WordError::Kind("Illegal \"limit\", must be > 1".into()));
                    }
                }
                "divisor" => sfq.divisor = words.parse(parse_u32, illegal)?,
                "flows" => sfq.flows = words.parse(parse_u32, illegal)?,
                "depth" => sfq.depth_packets = words.parse(parse_u32, |_| "Illegal \"flows\"".into())?,
                "headdrop" => sfq.headdrop = true,
                "help" => return Err(WordError::Help),
                _ => {
                    red::parse(word, words, &mut sfq.red, &mut curve)?;
                    with_red = true;
                }
            }
        }
        if with_red {
            red::compute(&mut sfq.red, curve, context)?;
        }
        Ok(Some(sfq))
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", self.limit_packets, "p ");
        out.item("quantum", "quantum ", Size(self.quantum_bytes), " ");
        if self.depth_packets != 0 {
            out.item("depth", "depth ", self.depth_packets, " ");
        }
        if self.headdrop {
            out.flag("headdrop", "headdrop ");
        }
        if out.style().details {
            out.item("flows", "flows ", self.flows, " ");
        }
        out.item("divisor", "divisor ", self.divisor, " ");
        if self.perturb_secs != 0 {
            out.item("perturb", "perturb ", self.perturb_secs, "sec ");
        }
        if self.red.min_bytes != 0 {
            self.red.print(out);
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_if("quantum", not_zero(self.quantum_bytes).map(words_of_size));
        out.say("perturb", self.perturb_secs);
        // Kernel: an explicit limit also bounds the flows; one below them was not explicit.
        match not_zero(self.limit_packets) {
            Some(limit) if limit < self.flows => out.silent("limit", limit),
            limit => out.say_if("limit", limit),
        }
        out.say_if("divisor", not_zero(self.divisor));
        out.say_if("flows", not_zero(self.flows));
        out.say_if("depth", not_zero(self.depth_packets));
        out.flag("headdrop", self.headdrop);
        out.group("red", |out| self.red.to_words(out));
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        out.item("allot", "  allot ", SfqFlowXstats::decode(payload)?.allot_bytes, "");
        Ok(true)
    }
}

/// Length of `struct tc_sfq_qopt`.
const OLD_LENGTH: usize = 20;
/// Length of `struct tc_sfq_qopt_v1`.
const LENGTH: usize = 72;

/// The kernel's normalisation of a new qdisc (`sfq_change`).
fn as_dumped(asked: &Sfq) -> Sfq {
    const MAX_FLOWS: u32 = 0x10000 - 127 - 1;
    const MAX_DEPTH: u32 = 127;
    let or = |number: u32, usual: u32| if number == 0 { usual } else { number };
    let mut kept = *asked;
    // The default is the device's business.
    kept.quantum_bytes = not_zero(asked.quantum_bytes).map_or(0, |bytes| bytes.max(256));
    kept.divisor = or(asked.divisor, 1024);
    kept.depth_packets = or(asked.depth_packets, MAX_DEPTH).min(MAX_DEPTH);
    kept.flows = or(asked.flows, 128).min(MAX_FLOWS).min(kept.divisor.max(128));
    if asked.divisor != 0 {
        kept.flows = kept.flows.min(kept.divisor);
    }
    kept.limit_packets = MAX_DEPTH;
    if asked.limit_packets != 0 {
        kept.limit_packets = asked.limit_packets.min(kept.depth_packets.saturating_mul(kept.flows));
        kept.flows = kept.flows.min(kept.limit_packets);
    }
    kept.red.limit_bytes = 0;
    kept.red.counters = Counters::default();
    kept
}

counters! {
    /// The counters of a flow, which is shown as a class: `struct tc_sfq_xstats`.
    pub struct SfqFlowXstats() of Class "sfq" {
        /// Bytes that the flow may still send in its turn.
        pub allot_bytes: i32 = i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 1", "Illegal \"limit\", must be > 1"),
            ("quantum x", "Illegal \"limit\""),
            ("depth x", "Illegal \"flows\""),
            ("ecn", "Required parameter (redflowlimit) is missing"),
            ("redflowlimit 1000 max 1001", "\"max\" is larger than \"limit\""),
            ("redflowlimit 1000 min 250", "\"min\" is not smaller than \"max\""),
            ("x", "What is \"x\"?"),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            let error = Sfq::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).unwrap_err();
            assert_eq!(error.to_string(), text, "{words:?}");
        }
    }

    #[test]
    fn the_short_struct_of_old_kernels_is_read() {
        let mut short = [0; OLD_LENGTH];
        short[8] = 127;
        let mut out = Printer::new(Form::Text, Style::default());
        Sfq::decode(&short).unwrap().print(&mut out);
        assert_eq!(out.as_str(), "limit 127p quantum 0b divisor 0 ");
        assert!(Sfq::decode(&short[1..]).is_err());
    }
}
