//! The contract of every kind, for the tests of the crate that defines it.
//!
//! ```
//! # use tc_core::{AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax};
//! # use tc_core::{object, print::Printer, words::{WordError, Words, WordsContext}};
//! # #[derive(Clone, Debug, PartialEq)]
//! # struct Shelf { places: u32 }
//! # impl Kind for Shelf {
//! #     type Object = object::Qdisc;
//! #     const KIND: &'static str = "shelf";
//! #     fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
//! #         out.attr_u32(1, self.places);
//! #         Ok(Fill::Written)
//! #     }
//! #     fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
//! #         let places = Attrs::new(payload).find(1)?.ok_or(DecodeError::Missing { what: "places" })?;
//! #         Ok(Self { places: places.u32()? })
//! #     }
//! # }
//! # impl Syntax for Shelf {
//! #     const USAGE: &'static str = "Usage: ... shelf [ places NUMBER ]\n";
//! #     fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
//! #         let mut places = 100;
//! #         while let Some(word) = words.next() {
//! #             match word {
//! #                 "places" => places = words.parse(tc_core::units::parse_u32, |_| "Illegal \"places\"".into())?,
//! #                 "help" => return Err(WordError::Help),
//! #                 word => return Err(WordError::what_is(word)),
//! #             }
//! #         }
//! #         Ok(Some(Self { places }))
//! #     }
//! #     fn print(&self, out: &mut Printer) { out.item("places", "places ", self.places, " "); }
//! #     fn to_words(&self, out: &mut OptionWords<'_>) { out.say("places", self.places); }
//! # }
//! use tc_core::contract;
//!
//! contract::check::<Shelf>(&["", "places 7"])?;
//! # Ok::<(), contract::Broken>(())
//! ```

use bytes::BytesMut;

use crate::kind::print::{Form, Printer, Style};
use crate::kind::words::{Environment, Usual, WordError, Words, WordsContext, split};
use crate::kind::{Fill, FillContext, FilterPlace, KindWithWords, Options, TcOps, ops_of};
use crate::wire::attr::AttrWriter;
use crate::wire::error::EncodeError;
use crate::wire::verb::{TcType, Verb};

/// A breach of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{tc_type} {kind}: {what}")]
pub struct Broken {
    /// The type of its objects.
    pub tc_type: TcType,
    /// Its name.
    pub kind: &'static str,
    /// The breach.
    pub what: String,
}

/// Checks a kind with valid command lines, given as the words after its name.
///
/// - `help` is help, and an unknown word is an error; an action may leave it unread;
/// - each command is read, and its encoding decodes to the same options, also in a
///   used buffer; absent options encode to no bytes;
/// - a truncated payload is an error or a value; an unknown attribute at the end
///   changes nothing;
/// - every value that can be read can be printed, as text and as valid JSON.
pub fn check<K: KindWithWords>(commands: &[&str]) -> Result<(), Broken> {
    let commands: Vec<_> = commands.iter().map(|words| (*words, Verb::Add)).collect();
    check_ops(ops_of::<K>(), &commands, &Usual)
}

/// Checks the operations of a registered kind, with verbs, in an environment of the
/// caller's choice.
pub fn check_ops(
    ops: &dyn TcOps,
    commands: &[(&str, Verb)],
    environment: &dyn Environment,
) -> Result<(), Broken> {
    check_ops_at(ops, commands, &FilterPlace::default(), environment)
}

/// Checks a filter kind whose words depend on the filter's place, with commands that are valid
/// there. The place counts for filters alone.
pub fn check_ops_at(
    ops: &dyn TcOps,
    commands: &[(&str, Verb)],
    place: &FilterPlace<'_>,
    environment: &dyn Environment,
) -> Result<(), Broken> {
    let broken = |what| Broken { tc_type: ops.tc_type(), kind: ops.kind(), what };
    let kind = Tested { ops, environment, place };
    kind.check_texts().map_err(broken)?;
    for (words, verb) in commands {
        kind.check_command(words, *verb).map_err(|what| broken(format!("{words:?}: {what}")))?;
    }
    Ok(())
}

struct Tested<'a> {
    ops: &'a dyn TcOps,
    environment: &'a dyn Environment,
    place: &'a FilterPlace<'a>,
}

impl Tested<'_> {
    fn check_texts(&self) -> Result<(), String> {
        let usage = self.ops.usage();
        hold(usage.ends_with('\n') && usage.contains("Usage"), || format!("its usage text is {usage:?}"))?;
        let unknown = match self.parse_word("no-such-word") {
            Err(unknown) => unknown,
            // Options of an action can be absent, and another action can follow.
            Ok(true) if self.ops.tc_type() == TcType::Action => {
                return match self.parse_word("help") {
                    Err(WordError::Help) => Ok(()),
                    other => Err(format!("help is {other:?}")),
                };
            }
            Ok(_) => return Err("a word that no kind knows is read".into()),
        };
        let text = unknown.to_string();
        hold(unknown != WordError::Help && !text.ends_with('\n'), || format!("an unknown word is {text:?}"))?;
        match self.parse("help", Verb::Add) {
            Err(WordError::Help) => Ok(()),
            // To some of tc's own kinds it is a word like any other.
            Err(error) if error.to_string() == text.replace("no-such-word", "help") => Ok(()),
            other => Err(format!("help is {other:?}")),
        }
    }

    fn check_command(&self, words: &str, verb: Verb) -> Result<(), String> {
        let options = self.parse(words, verb).map_err(|error| format!("it is not read: {error}"))?;
        for as_tc in [true, false] {
            let context = FillContext { verb, as_tc };
            let none = self.fill(None, context);
            hold(none == Ok((Fill::Absent, Vec::new())), || format!("no options are written as {none:?}"))?;
            // Options that cannot be sent for this verb are no breach.
            let Ok((fill, payload)) = self.fill(options.as_deref(), context) else { continue };
            if fill == Fill::Absent {
                hold(payload.is_empty(), || format!("absent options have bytes: {payload:02x?}"))?;
                continue;
            }
            let read = self.ops.msg_parse(&payload);
            let read = read.map_err(|error| format!("{payload:02x?} is not read back: {error}"))?;
            let again = self.fill(Some(&*read), context);
            hold(again == Ok((fill, payload.clone())), || {
                format!("{options:?}, {payload:02x?}, is read back as {read:?}, {again:02x?}")
            })?;
            self.check_payload(&payload, &*read)?;
        }
        Ok(())
    }

    fn check_payload(&self, payload: &[u8], means: &dyn Options) -> Result<(), String> {
        for length in 0..=payload.len() {
            self.print(&payload[..length])?;
        }
        // Newer kernels lengthen structs and add attributes.
        let mut longer = BytesMut::from(payload);
        longer.resize(payload.len().next_multiple_of(4), 0);
        AttrWriter::new(&mut longer).attr(0x3ffe, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let read = self.ops.msg_parse(&longer);
        hold(read.as_ref().is_ok_and(|read| format!("{read:?}") == format!("{means:?}")), || {
            format!("{means:?} with an attribute more is {read:?}")
        })
    }

    fn print(&self, payload: &[u8]) -> Result<(), String> {
        let readable = self.ops.msg_parse(payload).is_ok();
        for form in [Form::Text, Form::Json, Form::PrettyJson] {
            let mut out = Printer::new(form, Style { stats: true, details: true, ..Style::default() });
            let mut printed = Ok(());
            out.object("", |out| printed = self.ops.print_at(payload, self.place, out));
            hold(printed.is_ok() == readable, || format!("{payload:02x?} is printed: {printed:?}"))?;
            let valid =
                form == Form::Text || serde_json::from_slice::<serde_json::Value>(out.bytes()).is_ok();
            hold(valid, || format!("{payload:02x?} is no JSON: {}", out.as_str()))?;
        }
        Ok(())
    }

    /// Reads one word; whether it stays unread.
    fn parse_word(&self, word: &str) -> Result<bool, WordError> {
        let list = [word];
        let mut words = Words::new(&list);
        let context = WordsContext { environment: self.environment, ..WordsContext::new(Verb::Add) };
        self.ops.parse_words_at(&mut words, &context, self.place)?;
        Ok(!words.is_empty())
    }

    fn parse(&self, words: &str, verb: Verb) -> Result<Option<Box<dyn Options>>, WordError> {
        let words = split(words);
        let context = WordsContext { environment: self.environment, ..WordsContext::new(verb) };
        let read = self.ops.parse_words_at(&mut Words::new(&words), &context, self.place);
        read.map(|(options, _)| options)
    }

    /// Writes options into a buffer.
    fn fill(
        &self,
        options: Option<&dyn Options>,
        context: FillContext,
    ) -> Result<(Fill, Vec<u8>), EncodeError> {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let fill = self.ops.msg_fill(options, &context, &mut out)?;
        out.finish()?;
        Ok((fill, buffer.to_vec()))
    }
}

fn hold(kept: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(what()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Kind, OptionWords, Syntax, object};
    use crate::wire::attr::Attrs;
    use crate::wire::error::DecodeError;

    /// Writes a number that it then reads with `OFF` added.
    #[derive(Clone, Debug, PartialEq)]
    struct Number<const OFF: u32>(u32);

    impl<const OFF: u32> Kind for Number<OFF> {
        type Object = object::Qdisc;
        const KIND: &'static str = "number";

        fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
            out.attr_u32(1, self.0);
            Ok(Fill::Written)
        }

        fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
            let number = Attrs::new(payload).find(1)?.ok_or(DecodeError::Missing { what: "number" })?;
            Ok(Self(number.u32()? + OFF))
        }
    }

    impl<const OFF: u32> Syntax for Number<OFF> {
        const USAGE: &'static str = "Usage: ... number NUMBER\n";

        fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
            match words.next() {
                None => Ok(None),
                Some("help") => Err(WordError::Help),
                Some(word) => word.parse().map(|n| Some(Self(n))).map_err(|_| WordError::what_is(word)),
            }
        }

        fn print(&self, out: &mut Printer) {
            out.item("number", "number ", self.0, " ");
        }

        fn to_words(&self, out: &mut OptionWords<'_>) {
            out.text("number", self.0.to_string());
        }
    }

    #[test]
    fn a_kind_with_unequal_encode_and_decode_is_found() {
        assert_eq!(check::<Number<0>>(&["", "7"]), Ok(()));
        let broken = check::<Number<1>>(&["", "7"]).unwrap_err();
        assert!(broken.to_string().starts_with("qdisc number: \"7\": Some(Number(7)), "), "{broken}");
        let broken = check::<Number<0>>(&["x"]).unwrap_err();
        assert_eq!(broken.what, "\"x\": it is not read: What is \"x\"?");
    }
}
