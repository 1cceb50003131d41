//! `qfq`: classes that share by weight, with a delay close to the ideal and
//! little work for each packet. A filter has to select the class of a packet;
//! other packets are dropped.
//!
//! UAPI: the qdisc has no options; a class has a nest with `TCA_QFQ_WEIGHT` and
//! `TCA_QFQ_LMAX`.
//!
//! Kernel, `net/sched/sch_qfq.c`: a change resets unspecified options to
//! their defaults; a class without `TCA_OPTIONS` is refused.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

use crate::common::{no_option_words, no_options};
use crate::counters::counters;

tc_core::register!(Qfq, QfqClass);

/// The options of a qfq, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qfq;

/// The options of a class of a qfq.
///
/// ```
/// use tc_qdiscs::qfq::QfqClass;
///
/// let triple_share = QfqClass::default().weight(3);
/// # let _ = triple_share;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct QfqClass {
    /// The weight, 1 to 1024 (default 1).
    pub weight: Option<u32>,
    /// The largest packet in bytes, 512 to 65536 (default: the device's MTU).
    pub max_packet_bytes: Option<u32>,
}

impl Kind for Qfq {
    type Object = object::Qdisc;
    const KIND: &'static str = "qfq";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    no_options!();
}

impl Syntax for Qfq {
    const USAGE: &'static str = "Usage: ... qfq\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(None),
            Some(word) if is_prefix(word, "help") => Err(WordError::Help),
            Some(word) => Err(WordError::what_is(word)),
        }
    }

    no_option_words!();
}

impl Kind for QfqClass {
    type Object = object::Class;
    const KIND: &'static str = "qfq";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        // tc writes them in the order of the words; to the kernel it is the same.
        for (kind, value) in [(TCA_QFQ_WEIGHT, self.weight), (TCA_QFQ_LMAX, self.max_packet_bytes)] {
            if let Some(value) = value {
                out.attr_u32(kind, value);
            }
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let value = |kind| Attrs::new(payload).find(kind)?.map(|attr| attr.u32()).transpose();
        Ok(Self { weight: value(TCA_QFQ_WEIGHT)?, max_packet_bytes: value(TCA_QFQ_LMAX)? })
    }
}

impl Syntax for QfqClass {
    const USAGE: &'static str = "Usage: ... qfq weight NUMBER maxpkt BYTES\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut class = Self::default();
        while let Some(word) = words.next() {
            if is_prefix(word, "weight") {
                class.weight = Some(words.parse(parse_decimal, |_| "Illegal \"weight\"".into())?);
            } else if is_prefix(word, "maxpkt") {
                class.max_packet_bytes = Some(words.parse(parse_decimal, |_| "Illegal \"maxpkt\"".into())?);
            } else if word == "help" {
                return Err(WordError::Help);
            } else {
                return Err(WordError::what_is(word));
            }
        }
        Ok(Some(class))
    }

    fn print(&self, out: &mut Printer) {
        if let Some(weight) = self.weight {
            out.item("weight", "weight ", weight, " ");
        }
        if let Some(bytes) = self.max_packet_bytes {
            out.item("maxpkt", "maxpkt ", bytes, " ");
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_if("weight", self.weight);
        out.say_if("maxpkt", self.max_packet_bytes);
    }
}

const TCA_QFQ_WEIGHT: u16 = 1;
const TCA_QFQ_LMAX: u16 = 2;

counters! {
    /// The numbers by which a class is served: `struct tc_qfq_stats`.
    pub struct QfqXstats() of Class "qfq" {
        /// The weight.
        pub weight: u32 = u32,
        /// The largest packet, in bytes.
        pub max_packet_bytes: u32 = u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn words_have_tcs_texts() {
        let qdisc = |words: &[&str]| Qfq::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        let class =
            |words: &[&str]| QfqClass::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        let usage = |word: &str| WordError::KindUsage(format!("What is \"{word}\"?"));
        assert_eq!((qdisc(&[]), qdisc(&["h"])), (Ok(None), Err(WordError::Help)));
        assert_eq!(qdisc(&["weight"]), Err(usage("weight")));
        let both = QfqClass { weight: Some(10), max_packet_bytes: Some(1500) };
        assert_eq!(class(&["m", "1500", "w", "010"]), Ok(Some(both)));
        assert_eq!(class(&["h"]), Err(usage("h")));
        assert_eq!(class(&["maxpkt", "1k"]), Err(WordError::Kind("Illegal \"maxpkt\"".into())));
        assert_eq!(class(&["weight", "-1"]), Err(WordError::Kind("Illegal \"weight\"".into())));
    }
}
