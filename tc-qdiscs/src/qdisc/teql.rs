//! `teql0`: joins the queues of several devices into the one device `teql0`,
//! whose packets go out over them in turn. It takes no options.
//!
//! Kernel, `net/sched/sch_teql.c`: the module makes the device, and a kind of
//! the same name for the devices below; `max_equalizers=N` makes `teql1` and so
//! on, which work as kinds without options do. A device has to have a queue and
//! a hardware address; a dump has no `TCA_OPTIONS`.

use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{ChangeSemantics, Kind, Syntax, object};

use crate::common::{no_option_words, no_options, no_words};

tc_core::register!(Teql0);

/// The options of a teql, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Teql0;

impl Kind for Teql0 {
    type Object = object::Qdisc;
    const KIND: &'static str = "teql0";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    no_options!();
}

impl Syntax for Teql0 {
    const USAGE: &'static str = "Usage: ... teql0\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        no_words(words)
    }

    no_option_words!();
}
