//! Control actions: the fate of the packet after an action.

use crate::kind::print::{Formatted, Printer};
use crate::kind::words::{WordError, Words, is_prefix};

/// The fate of a packet (`TC_ACT_*` of `linux/pkt_cls.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// `TC_ACT_UNSPEC`: the next filter is asked.
    Continue,
    /// `TC_ACT_OK`: the packet passes.
    Pass,
    /// `TC_ACT_RECLASSIFY`: all filters are asked again.
    Reclassify,
    /// `TC_ACT_SHOT`: the packet is dropped.
    Drop,
    /// `TC_ACT_PIPE`: the next action of the list follows.
    Pipe,
    /// `TC_ACT_STOLEN`: the action took the packet.
    Stolen,
    /// `TC_ACT_TRAP`: hardware hands the packet to the CPU; elsewhere as
    /// [`Control::Stolen`].
    Trap,
    /// `TC_ACT_JUMP`: this number of actions in the list is skipped.
    Jump(u32),
    /// `TC_ACT_GOTO_CHAIN`: the filters of this chain are asked.
    GotoChain(u32),
    /// Another number.
    Other(i32),
}

impl Control {
    /// From its number.
    pub const fn from_raw(raw: i32) -> Self {
        let value = (raw & VALUE_MASK).cast_unsigned();
        match raw {
            -1 => Self::Continue,
            0 => Self::Pass,
            1 => Self::Reclassify,
            2 => Self::Drop,
            3 => Self::Pipe,
            4 => Self::Stolen,
            8 => Self::Trap,
            _ if raw & !VALUE_MASK == JUMP => Self::Jump(value),
            _ if raw & !VALUE_MASK == GOTO_CHAIN => Self::GotoChain(value),
            _ => Self::Other(raw),
        }
    }

    /// Its number. Values above 28 bits are cut.
    pub const fn raw(self) -> i32 {
        match self {
            Self::Continue => -1,
            Self::Pass => 0,
            Self::Reclassify => 1,
            Self::Drop => 2,
            Self::Pipe => 3,
            Self::Stolen => 4,
            Self::Trap => 8,
            Self::Jump(count) => JUMP | count.cast_signed() & VALUE_MASK,
            Self::GotoChain(chain) => GOTO_CHAIN | chain.cast_signed() & VALUE_MASK,
            Self::Other(raw) => raw,
        }
    }

    /// Whether `tc` takes the word for a control action (any beginning of one).
    pub fn is_word(word: &str) -> bool {
        Self::base(word).is_some()
    }

    /// Reads one at the cursor, with its chain or count.
    pub fn parse_words(words: &mut Words<'_>) -> Result<Self, WordError> {
        let word = words.value()?;
        let bad = || WordError::Kind(format!("Bad action type {word}"));
        match Self::base(word).ok_or_else(bad)? {
            Self::GotoChain(_) => {
                if !is_prefix(words.value()?, "chain") {
                    return Err(WordError::Kind("\"chain index\" expected".into()));
                }
                let illegal = || WordError::Kind("Illegal \"chain index\"".into());
                value(words.value()?).map(Self::GotoChain).ok_or_else(illegal)
            }
            Self::Jump(_) => {
                let word = words.value()?;
                let invalid = || WordError::Kind(format!("Invalid \"jump count\" ({word})"));
                value(word).map(Self::Jump).ok_or_else(invalid)
            }
            control => Ok(control),
        }
    }

    /// Prints it as `tc` does, in text after `before`.
    pub fn print(self, before: &str, out: &mut Printer) {
        self.print_under("control_action", before, out);
    }

    /// Prints it as [`Control::print`] does, in JSON under another key.
    pub fn print_under(self, key: &str, before: &str, out: &mut Printer) {
        out.text(before);
        out.object(key, |out| {
            match self {
                Self::Other(raw) => out.item("type", "", Formatted(format_args!("{raw}")), ""),
                _ => out.item("type", "", self.name(), ""),
            }
            match self {
                Self::GotoChain(chain) => out.item("chain", " chain ", chain, ""),
                Self::Jump(count) => out.item("jump", " ", count, ""),
                _ => {}
            }
        });
    }

    /// The words for it; `None` where `tc` has none.
    pub fn words(self) -> Option<String> {
        match self {
            Self::Stolen | Self::Other(_) => None,
            Self::GotoChain(chain) => Some(format!("goto chain {chain}")),
            Self::Jump(count) => Some(format!("jump {count}")),
            _ => Some(self.name().to_owned()),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Pass => "pass",
            Self::Reclassify => "reclassify",
            Self::Drop => "drop",
            Self::Pipe => "pipe",
            Self::Stolen => "stolen",
            Self::Trap => "trap",
            Self::Jump(_) => "jump",
            Self::GotoChain(_) => "goto",
            Self::Other(_) => "",
        }
    }

    fn base(word: &str) -> Option<Self> {
        WORDS.iter().find(|(name, _)| is_prefix(word, name)).map(|(_, control)| *control)
    }
}

const JUMP: i32 = 1 << 28;
const GOTO_CHAIN: i32 = 2 << 28;
const VALUE_MASK: i32 = (1 << 28) - 1;

/// In the order of `tc`'s prefix matching.
const WORDS: [(&str, Control); 10] = [
    ("continue", Control::Continue),
    ("drop", Control::Drop),
    ("shot", Control::Drop),
    ("pass", Control::Pass),
    ("ok", Control::Pass),
    ("reclassify", Control::Reclassify),
    ("pipe", Control::Pipe),
    ("goto", Control::GotoChain(0)),
    ("jump", Control::Jump(0)),
    ("trap", Control::Trap),
];

/// A decimal number of at most 28 bits.
fn value(word: &str) -> Option<u32> {
    word.parse().ok().filter(|number: &u32| number.cast_signed() & VALUE_MASK == number.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::print::{Form, Style};

    #[test]
    fn every_control_has_its_word_and_number() {
        for (words, raw, text) in [
            (&["continue"][..], -1, "continue"),
            (&["pass"], 0, "pass"),
            (&["ok"], 0, "pass"),
            (&["p"], 0, "pass"),
            (&["reclassify"], 1, "reclassify"),
            (&["shot"], 2, "drop"),
            (&["pip"], 3, "pipe"),
            (&["trap"], 8, "trap"),
            (&["goto", "chain", "42"], 0x2000_002a, "goto chain 42"),
            (&["jump", "3"], 0x1000_0003, "jump 3"),
        ] {
            let control = Control::parse_words(&mut Words::new(words)).unwrap();
            assert_eq!((control.raw(), Control::from_raw(raw)), (raw, control), "{words:?}");
            let mut out = Printer::new(Form::Text, Style::default());
            control.print("", &mut out);
            assert_eq!(out.as_str(), text);
        }
        assert_eq!(Control::from_raw(99).raw(), 99);
        assert_eq!(Control::from_raw(4), Control::Stolen);
    }

    #[test]
    fn unknown_numbers_are_printed_as_numbers() {
        for (form, text) in [(Form::Text, "99"), (Form::Json, r#"{"control_action":{"type":"99"}}"#)] {
            let mut out = Printer::new(form, Style::default());
            out.object("", |out| Control::Other(99).print("", out));
            assert_eq!(out.as_str(), text);
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&["stolen"][..], "Bad action type stolen"),
            (&["goto", "5"], "\"chain index\" expected"),
            (&["goto", "chain", "268435456"], "Illegal \"chain index\""),
            (&["jump", "0x1"], "Invalid \"jump count\" (0x1)"),
            (&["jump"], "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(Control::parse_words(&mut Words::new(words)).unwrap_err().to_string(), text);
        }
    }
}
