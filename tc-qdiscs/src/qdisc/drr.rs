//! `drr`: classes that take turns, each with a quantum of bytes. A filter has to
//! select the class of a packet; other packets are dropped.
//!
//! UAPI: the qdisc has no options; a class has a nest with `TCA_DRR_QUANTUM`.
//!
//! Kernel, `net/sched/sch_drr.c`: the default quantum of a new class is the
//! device's MTU; a class without `TCA_OPTIONS` is refused.

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::units::{parse_size, words_of_size};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, Xstats, object,
};

use crate::common::{no_option_words, no_options};
use crate::counters::counters;

tc_core::register!(Drr, DrrClass);

/// The options of a drr, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drr;

/// The options of a class of a drr.
///
/// ```
/// use tc_qdiscs::drr::DrrClass;
///
/// let double_share = DrrClass::default().quantum_bytes(3000);
/// # let _ = double_share;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct DrrClass {
    /// Bytes that the class sends in its turn, not 0; newer kernels keep it
    /// between 256 and 1 MiB. `None` means the device's MTU, and no change on a
    /// change.
    pub quantum_bytes: Option<u32>,
}

impl Kind for Drr {
    type Object = object::Qdisc;
    const KIND: &'static str = "drr";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    no_options!();
}

impl Syntax for Drr {
    const USAGE: &'static str = "Usage: ... drr\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(None),
            Some("help") => Err(WordError::Help),
            Some(word) => Err(WordError::what_is(word)),
        }
    }

    no_option_words!();
}

impl Kind for DrrClass {
    type Object = object::Class;
    const KIND: &'static str = "drr";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(quantum) = self.quantum_bytes {
            out.attr_u32(TCA_DRR_QUANTUM, quantum);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let quantum = Attrs::new(payload).find(TCA_DRR_QUANTUM)?;
        Ok(Self { quantum_bytes: quantum.map(|attr| attr.u32()).transpose()? })
    }
}

impl Syntax for DrrClass {
    const USAGE: &'static str = "Usage: ... drr quantum SIZE\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut class = Self::default();
        while let Some(word) = words.next() {
            match word {
                "quantum" => {
                    class.quantum_bytes = Some(words.parse(parse_size, |_| "Illegal \"quantum\"".into())?);
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(class))
    }

    fn print(&self, out: &mut Printer) {
        if let Some(quantum) = self.quantum_bytes {
            out.item("quantum", "quantum ", Size(quantum), " ");
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_if("quantum", self.quantum_bytes.map(words_of_size));
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        out.item("deficit", " deficit ", Size(DrrXstats::decode(payload)?.deficit_bytes), " ");
        Ok(true)
    }
}

counters! {
    /// The counters of a class: `struct tc_drr_stats`.
    pub struct DrrXstats() of Class "drr" {
        /// Bytes that are left of this turn; 0 while nothing waits.
        pub deficit_bytes: u32 = u32,
    }
}

const TCA_DRR_QUANTUM: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn words_have_tcs_texts() {
        let qdisc = |words: &[&str]| Drr::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        let class =
            |words: &[&str]| DrrClass::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        let usage = |word: &str| WordError::KindUsage(format!("What is \"{word}\"?"));
        assert_eq!(qdisc(&[]), Ok(None));
        assert_eq!(qdisc(&["quantum"]), Err(usage("quantum")));
        assert_eq!(class(&[]), Ok(Some(DrrClass::default())), "empty, not absent");
        assert_eq!(class(&["quantum", "2k"]), Ok(Some(DrrClass { quantum_bytes: Some(2048) })));
        assert_eq!(class(&["quant"]), Err(usage("quant")));
        assert_eq!(class(&["quantum", "x"]), Err(WordError::Kind("Illegal \"quantum\"".into())));
    }

    #[test]
    fn short_counters_are_an_error() {
        assert!(DrrXstats::decode(&[1, 0, 0]).is_err());
        assert_eq!(DrrXstats::decode(&5u32.to_ne_bytes()), Ok(DrrXstats { deficit_bytes: 5 }));
    }
}
