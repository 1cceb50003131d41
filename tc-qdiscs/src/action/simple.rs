//! `simple`: writes a text and a counter to the kernel's log for each packet. For demonstrations.
//!
//! UAPI: `struct tc_defact` in `TCA_DEF_PARMS`, the text in `TCA_DEF_DATA`
//! (`linux/tc_act/tc_defact.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext, is_plain, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic, explained};

tc_core::register!(Simple);

/// The options of a simple action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::simple::Simple;
///
/// let action = Action::new(Simple::new("hello"));
/// # let _ = action;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Simple {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The text, of at most 31 bytes. Without a text the index names an existing action.
    pub data: Option<String>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Simple {
    /// Writes this text, after which the next action follows.
    pub fn new(data: impl Into<String>) -> Self {
        let reported = Reported::default();
        Self { index: 0, control: Control::Pipe, data: Some(data.into()), reported }
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let reported = Reported { refcnt: 0, bindcnt: 0, times: None };
        Self { index, control: Control::Pipe, data: None, reported }
    }
}

impl Kind for Simple {
    type Object = object::Action;
    const KIND: &'static str = "simple";

    /// The text has zeros after it, up to the size of the kernel's buffer.
    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        generic::put(self.index, self.control, &mut out.nest(PARMS));
        if let Some(data) = &self.data {
            let mut bytes = [0; SIMP_MAX_DATA];
            if data.len() >= SIMP_MAX_DATA || data.contains('\0') {
                let what = "the text of simple must have at most 31 bytes and no NUL";
                return Err(EncodeError::Invalid(format!("{what}: {data:?}")));
            }
            bytes[..data.len()].copy_from_slice(data.as_bytes());
            out.attr(DATA, &bytes);
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ DATA as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "simple parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        let data = attr(DATA).map(|attr| attr.str()).transpose()?.map(str::to_owned);
        Ok(Self { index, control, data, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Simple {
    const USAGE: &'static str = "\
Usage:... simple [sdata STRING] [index INDEX] [CONTROL]
\tSTRING being an arbitrary string
\tINDEX := optional index value used
\tCONTROL := reclassify|pipe|drop|continue|ok
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut data = None;
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        while let Some(word) = words.peek() {
            if is_prefix(word, Self::KIND) {
                // tc passes over its own name, which has to be followed by a word.
                words.next();
                if words.is_empty() {
                    return Err(WordError::Incomplete);
                }
            } else if is_prefix(word, "sdata") {
                words.next();
                data = Some(words.value()?);
            } else if is_prefix(word, "help") {
                return Err(WordError::Help);
            } else {
                break;
            }
        }
        let illegal = |word: &str| format!("simple: Illegal \"index\" ({word})");
        let (control, index) = generic::parse_end(words, Control::Pipe, illegal)?;
        if data.is_none() && index.is_none() {
            return Err(explained::<Self>(""));
        }
        if let Some(data) = data.filter(|data| data.len() >= SIMP_MAX_DATA) {
            let text = format!("simple: Illegal string len {} <{data}>", data.len());
            return Err(WordError::Kind(text));
        }
        let simple = Self::at_index(index.unwrap_or_default());
        Ok(Some(Self { control, data: data.map(str::to_owned), ..simple }))
    }

    fn print(&self, out: &mut Printer) {
        out.json("kind", Self::KIND);
        out.item("simple", "Simple <", self.data.as_deref().unwrap_or_default(), ">");
        // As in tc, the control action is not printed as text.
        if out.is_json() {
            self.control.print("", out);
        }
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let data = self.data.as_deref();
        // Words have no quotes.
        let is_word = |data: &str| data.is_ascii() && is_plain(data);
        match data {
            Some(data) if !is_word(data) => out.cannot_say(&format!("the text {data:?} of simple")),
            Some(data) => out.say("sdata", data),
            None => out.text("sdata", ""),
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

/// The size of the kernel's buffer (`SIMP_MAX_DATA` of `net/sched/act_simple.c`).
const SIMP_MAX_DATA: usize = 32;
const TM: u16 = 1;
const PARMS: u16 = 2;
const DATA: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Simple, usize), WordError> {
        let mut words = Words::new(words);
        let simple = Simple::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((simple.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let hello = Simple::new("hello");
        for (words, simple, left) in [
            (&["sdata", "hello"][..], hello.clone(), 0),
            (&["sdata", "x", "sdata", "hello", "cookie"], hello.clone(), 1),
            (
                &["sdata", "hello", "drop", "index", "3"],
                Simple { control: Control::Drop, index: 3, ..hello },
                0,
            ),
            (&["index", "5"], Simple::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((simple, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let long = "12345678901234567890123456789012";
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["sdata"], "Command line is not complete. Try option \"help\""),
            (&["drop"], Simple::USAGE.trim_end()),
            (&["sdata", long], &*format!("simple: Illegal string len 32 <{long}>")),
            (&["index", "x"], "simple: Illegal \"index\" (x)"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }

    fn encode(simple: &Simple) -> Result<Vec<u8>, EncodeError> {
        let mut buffer = BytesMut::new();
        let fill = FillContext { verb: Verb::Add, as_tc: true };
        simple.encode(&fill, &mut AttrWriter::new(&mut buffer))?;
        Ok(buffer.to_vec())
    }

    #[test]
    fn zeros_follow_the_text() {
        let bytes = encode(&Simple::new("hi")).unwrap();
        let mut data = vec![36, 0, 3, 0, b'h', b'i'];
        data.resize(36, 0);
        assert_eq!(bytes[24..], data);
    }

    #[test]
    fn a_text_too_long_is_not_sent() {
        assert!(matches!(encode(&Simple::new("x".repeat(32))), Err(EncodeError::Invalid(_))));
        assert!(encode(&Simple::new("x".repeat(31))).is_ok());
    }

    #[test]
    fn a_text_with_blanks_is_inexpressible() {
        for data in ["hello world", "", "\"", "#x", "\u{e9}"] {
            let mut words = OptionWords::new();
            Simple::new(data).to_words(&mut words);
            assert_eq!(words.unsayable().len(), 1, "{data:?}");
        }
    }
}
