//! `connmark`: copies the mark of a packet's connection to the packet.
//!
//! UAPI: `struct tc_connmark` in `TCA_CONNMARK_PARMS` (`linux/tc_act/tc_connmark.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Connmark);

/// The options of a connmark action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::connmark::Connmark;
///
/// let action = Action::new(Connmark::default().zone(5));
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Connmark {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The zone of connection tracking.
    pub zone: u16,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// Zone 0, and the next action follows.
impl Default for Connmark {
    fn default() -> Self {
        Self { index: 0, control: Control::Pipe, zone: 0, reported: Reported::default() }
    }
}

impl Kind for Connmark {
    type Object = object::Action;
    const KIND: &'static str = "connmark";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_u16(self.zone);
        parms.put_u16(0); // padding of the struct
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TM as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "connmark parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, table[usize::from(TM)])?;
        Ok(Self { index, control, zone: reader.u16()?, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Connmark {
    const USAGE: &'static str = "\
Usage: ... connmark [zone ZONE] [CONTROL] [index <INDEX>]
where :
\tZONE is the conntrack zone
\tCONTROL := reclassify | pipe | drop | continue | ok |
\t           goto chain <CHAIN_INDEX>
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut connmark = Self::default();
        let next_is = |words: &Words<'_>, name: &str| words.peek().is_some_and(|word| is_prefix(word, name));
        if next_is(words, "help") {
            return Err(WordError::Help);
        }
        if next_is(words, "zone") {
            words.next();
            connmark.zone = words.parse(parse_decimal, |_| "connmark: Illegal \"zone\"".into())?;
        }
        let illegal = |_: &str| "connmark: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, connmark.control, illegal)?;
        Ok(Some(Self { control, index: index.unwrap_or_default(), ..connmark }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item("zone", "zone ", self.zone, "");
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.text("zone", if self.zone == 0 { String::new() } else { format!("zone {}", self.zone) });
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

const PARMS: u16 = 1;
const TM: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Connmark, usize), WordError> {
        let mut words = Words::new(words);
        let connmark = Connmark::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((connmark.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let plain = Connmark::default();
        for (words, connmark, left) in [
            (&[][..], plain, 0),
            (&["zone", "010", "continue"], Connmark { zone: 10, control: Control::Continue, ..plain }, 0),
            (&["index", "5", "action", "ok"], Connmark { index: 5, ..plain }, 2),
            (&["bogus"], plain, 1),
        ] {
            assert_eq!(parse(words), Ok((connmark, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&["zone"][..], "Command line is not complete. Try option \"help\""),
            (&["zone", "65536"], "connmark: Illegal \"zone\""),
            (&["zone", "1", "index", "x"], "connmark: Illegal \"index\""),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }
}
