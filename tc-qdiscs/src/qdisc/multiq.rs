//! `multiq`: one band for each transmit queue of a device, served in turn; a
//! band waits alone when its queue is stopped.
//!
//! UAPI: `struct tc_multiq_qopt { __u16 bands; __u16 max_bands; }`, bare.
//!
//! Kernel, `net/sched/sch_multiq.c`: only on a device with several transmit
//! queues; options are required, and their content is ignored.

use derive_setters::Setters;
use tc_core::print::{Formatted, Printer};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

tc_core::register!(Multiq);

/// The options of a multiq: the kernel chooses them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Multiq {
    /// The transmit queues that the device uses; in dumps alone.
    pub bands: u16,
    /// The transmit queues that the device has; in dumps alone.
    pub max_bands: u16,
}

impl Kind for Multiq {
    type Object = object::Qdisc;
    const KIND: &'static str = "multiq";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u16(self.bands);
        out.put_u16(self.max_bands);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { bands: reader.u16()?, max_bands: reader.u16()? })
    }
}

impl Syntax for Multiq {
    const USAGE: &'static str = "Usage: ... multiq [help]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.next() {
            None => Ok(Some(Self::default())),
            Some("help") => Err(WordError::Help),
            Some(word) => Err(WordError::what_is(word)),
        }
    }

    fn print(&self, out: &mut Printer) {
        // tc 6.1 prints text in its JSON here; the keys are those of tc 7.
        out.text_item("bands ", Formatted(format_args!("{}/{}", self.bands, self.max_bands)), " ");
        out.json("bands", self.bands);
        out.json("max_bands", self.max_bands);
    }

    fn to_words(&self, _: &mut OptionWords<'_>) {
        // There are no words.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    #[test]
    fn no_words_still_send_options() {
        let parse =
            |words: &[&str]| Multiq::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        assert_eq!(parse(&[]), Ok(Some(Multiq::default())));
        assert_eq!(parse(&["bands"]), Err(WordError::KindUsage("What is \"bands\"?".into())));
    }

    #[test]
    fn json_has_the_keys_of_tc_7() {
        let mut out = Printer::new(Form::Json, Style::default());
        out.object("", |out| Multiq { bands: 2, max_bands: 4 }.print(out));
        assert_eq!(out.as_str(), r#"{"bands":2,"max_bands":4}"#);
    }
}
