//! `ingress`: a hook for filters on received packets. It holds no packets and
//! takes no options.
//!
//! Its handle is always `ffff:`, its parent `ingress`
//! ([`Handle::INGRESS`](tc_core::Handle::INGRESS)).
//!
//! Kernel, `net/sched/sch_ingress.c`: a dump has an empty `TCA_OPTIONS`.

use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Handle, Kind, OptionWords,
    Syntax, object,
};

tc_core::register!(Ingress);

/// The options of an ingress qdisc, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingress;

impl Kind for Ingress {
    type Object = object::Qdisc;
    const KIND: &'static str = "ingress";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;
    const HOOKS: &'static [Handle] = &[Handle::FILTER_INGRESS];

    fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        Ok(Fill::Absent)
    }

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Syntax for Ingress {
    const USAGE: &'static str = "Usage: ... ingress\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        while let Some(word) = words.next() {
            match word {
                // tc skips it: the handle is always the same.
                "handle" => drop(words.value()?),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(None)
    }

    fn print(&self, out: &mut Printer) {
        out.text("---------------- ");
    }

    fn to_words(&self, _: &mut OptionWords<'_>) {
        // There are no words.
    }
}
