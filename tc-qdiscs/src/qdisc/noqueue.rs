//! `noqueue`: no queue at all; packets go to the driver at once, or are dropped.
//! It takes no options.
//!
//! Kernel, `net/sched/sch_generic.c`: the default of virtual devices; a dump has
//! no `TCA_OPTIONS`.

use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{ChangeSemantics, Kind, Syntax, object};

use crate::common::{no_option_words, no_options, no_words};

tc_core::register!(Noqueue);

/// The options of a noqueue qdisc, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noqueue;

impl Kind for Noqueue {
    type Object = object::Qdisc;
    const KIND: &'static str = "noqueue";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    no_options!();
}

impl Syntax for Noqueue {
    const USAGE: &'static str = "Usage: ... noqueue\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        no_words(words)
    }

    no_option_words!();
}
