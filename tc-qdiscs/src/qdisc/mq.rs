//! `mq`: one class for each transmit queue of a device, each with a qdisc of its
//! own. It takes no options.
//!
//! Kernel, `net/sched/sch_mq.c`: only as root, and only of a device with several
//! transmit queues; a dump has no `TCA_OPTIONS`.

use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{ChangeSemantics, Kind, Syntax, object};

use crate::common::{no_option_words, no_options, no_words};

tc_core::register!(Mq);

/// The options of an mq, which has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mq;

impl Kind for Mq {
    type Object = object::Qdisc;
    const KIND: &'static str = "mq";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    no_options!();
}

impl Syntax for Mq {
    const USAGE: &'static str = "Usage: ... mq\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        no_words(words)
    }

    no_option_words!();
}
