//! A tc with one more kind: `blackhole`, a qdisc that drops every packet. The kernel has it, this workspace has
//! not.
//!
//! `own_kind qdisc add dev lo root handle 1: blackhole`; all other words work as in `tc-cli`.

use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object};
use tc_qdiscs as _; // the other kinds

/// It has no options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackhole;

tc_core::register!(Blackhole);

/// For the kernel: bytes.
impl Kind for Blackhole {
    type Object = object::Qdisc;
    const KIND: &'static str = "blackhole";

    fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        Ok(Fill::Absent)
    }

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// For people: words and output.
impl Syntax for Blackhole {
    const USAGE: &'static str = "Usage: ... blackhole\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(None),
            Some("help") => Err(WordError::Help),
            Some(word) => Err(WordError::what_is(word)),
        }
    }

    fn print(&self, _: &mut Printer) {}

    fn to_words(&self, _: &mut OptionWords<'_>) {}
}

fn main() -> std::process::ExitCode {
    tc_cli::main()
}
