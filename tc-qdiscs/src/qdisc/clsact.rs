//! `clsact`: hooks for filters on received and on transmitted packets. It holds
//! no packets and takes no options.
//!
//! Its handle is always `ffff:`, its parent `clsact`
//! ([`Handle::CLSACT`](tc_core::Handle::CLSACT)).
//!
//! Kernel, `net/sched/sch_ingress.c`: a dump has an empty `TCA_OPTIONS`.

use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{ChangeSemantics, Handle, Kind, Syntax, object};

use crate::common::{no_option_words, no_options};

tc_core::register!(Clsact);

/// The options of a clsact qdisc, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clsact;

impl Kind for Clsact {
    type Object = object::Qdisc;
    const KIND: &'static str = "clsact";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;
    const HOOKS: &'static [Handle] = &[Handle::FILTER_INGRESS, Handle::FILTER_EGRESS];

    no_options!();
}

impl Syntax for Clsact {
    const USAGE: &'static str = "Usage: ... clsact\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(None),
            Some(word) => Err(WordError::what_is(word)),
        }
    }

    no_option_words!();
}
