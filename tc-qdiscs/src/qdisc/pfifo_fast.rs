//! `pfifo_fast`: three bands that are served in strict order, without classes; the
//! default of devices. It takes no options.
//!
//! UAPI: a dump has `struct tc_prio_qopt`, as prio.
//!
//! Kernel, `net/sched/sch_generic.c`: the limit of each band is the device's
//! `txqueuelen`.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    object,
};

use crate::qdisc::prio::Prio;

tc_core::register!(PfifoFast);

/// The reported options of a pfifo_fast. They are never sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct PfifoFast {
    /// Its bands, always the same three.
    pub bands: Prio,
}

impl Kind for PfifoFast {
    type Object = object::Qdisc;
    const KIND: &'static str = "pfifo_fast";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        Ok(Fill::Absent)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { bands: Prio::decode(payload)? })
    }
}

impl Syntax for PfifoFast {
    const USAGE: &'static str = "Usage: ... pfifo_fast\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(None),
            Some(_) => Err(WordError::NoOptions { kind: Self::KIND }),
        }
    }

    fn print(&self, out: &mut Printer) {
        self.bands.print(out);
    }

    fn to_words(&self, _: &mut OptionWords<'_>) {
        // There are no words.
    }
}
