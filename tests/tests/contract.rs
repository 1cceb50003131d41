//! What every registered kind keeps to, whoever wrote it.
//!
//! Words come from the commands of the captures, from usage texts, and from [`MORE_WORDS`]; payloads
//! from the captures and from what these words are written as.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

use std::cell::Cell;
use std::sync::LazyLock;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use tc_core::print::{Form, Printer, Style};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, EncodeError, Fill, FillContext, Options, Registered, Registry, TcOps, Verb, Wording, contract,
};
use tc_qdiscs as _;
use tests::captures::{self, Capture};
use tests::lab::count;

/// Words that no capture has.
const MORE_WORDS: &[(&str, &str)] =
    &[("plug", ""), ("plug", "release_indefinite"), ("plug", "limit 9 block"), ("pfifo", "")];

const VERBS: [Verb; 4] = [Verb::Add, Verb::Change, Verb::Replace, Verb::Link];
const FORMS: [Form; 3] = [Form::Text, Form::Json, Form::PrettyJson];

/// Values for the vocabulary, good and bad ones.
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "10",
    "100",
    "65535",
    "4294967295",
    "4294967296",
    "-1",
    "0x10",
    "0.5",
    "1e300",
    "nan",
    "inf",
    "",
    "1k",
    "32kb",
    "1mbit",
    "10gbit",
    "50%",
    "100%",
    "101%",
    "100ms",
    "1s",
    "20us",
    "100ns",
    "1:",
    "1:10",
    "x",
    "é",
    "\0",
    "-",
    "normal",
    "on",
    "off",
];

#[test]
fn every_kind_of_ours_has_captures() {
    for_each_kind(|kind| assert!(!kind.captures.is_empty() || kind.package != "tc-qdiscs"));
}

#[test]
fn every_kind_keeps_to_the_contract_for_kinds() {
    for_each_kind(|kind| {
        let commands = kind.commands();
        let commands: Vec<_> = commands.iter().map(|(words, verb)| (words.as_str(), *verb)).collect();
        contract::check_ops(kind.ops, &commands, &captures::Machine).unwrap();
    });
}

#[test]
fn options_of_another_kind_are_refused() {
    let some: Vec<_> = kinds().iter().flat_map(Tested::some_options).collect();
    assert!(some.len() > 1);
    for kind in kinds() {
        for options in &some {
            let written = kind.fill(Some(&**options), FillContext { verb: Verb::Add, as_tc: false });
            let own = (options.tc_type(), options.kind()) == (kind.ops.tc_type(), kind.ops.kind());
            assert_eq!(
                matches!(written, Err(EncodeError::WrongKind { .. })),
                !own,
                "{options:?} to {:?}",
                kind.ops
            );
        }
    }
}

#[test]
fn a_short_payload_is_an_error_or_a_value_and_never_a_panic() {
    for_each_kind(|kind| {
        for payload in &kind.payloads {
            for length in 0..payload.len() {
                kind.check_any_payload(&payload[..length]);
            }
        }
        for xstats in &kind.xstats {
            for length in 0..xstats.len() {
                kind.check_any_xstats(&xstats[..length]);
            }
        }
    });
}

/// Newer kernels lengthen structs and add attributes.
#[test]
fn a_longer_payload_means_the_same() {
    for_each_kind(|kind| {
        for payload in &kind.payloads {
            let before = kind.ops.msg_parse(payload).unwrap();
            let mut buffer = BytesMut::from(&payload[..]);
            buffer.resize(payload.len().next_multiple_of(4), 0);
            AttrWriter::new(&mut buffer).attr(0x3ffe, &[1, 2, 3, 4, 5, 6, 7, 8]);
            let after = kind.ops.msg_parse(&buffer).unwrap_or_else(|error| panic!("{before:?}: {error}"));
            assert_eq!(format!("{before:?}"), format!("{after:?}"));
        }
    });
}

#[test]
fn printing_never_fails_and_json_is_valid() {
    for_each_kind(|kind| {
        for style in styles() {
            for payload in &kind.payloads {
                kind.print(style, |out| kind.ops.print(payload, out).unwrap());
            }
            for xstats in &kind.xstats {
                kind.print(style, |out| {
                    let _any = kind.ops.print_xstats(xstats, out).unwrap();
                });
            }
        }
    });
}

#[test]
fn any_bytes_are_an_error_or_a_value() {
    property("any bytes", vec(any::<u8>(), 0..200), |kind, bytes| {
        kind.check_any_payload(bytes);
        kind.check_any_xstats(bytes);
    });
}

#[test]
fn payloads_with_some_bytes_changed_are_an_error_or_a_value() {
    let changes = (any::<Index>(), vec((any::<Index>(), any::<u8>()), 1..4));
    property("changed payloads", changes, |kind, (which, changes)| {
        let change = |payloads: &[Vec<u8>]| -> Vec<u8> {
            let mut bytes = if payloads.is_empty() { vec![0; 4] } else { which.get(payloads).clone() };
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
            }
            bytes
        };
        kind.check_any_payload(&change(&kind.payloads));
        kind.check_any_xstats(&change(&kind.xstats));
    });
}

#[test]
fn any_words_are_an_error_or_options() {
    let words = (vec(".{0,12}", 0..6), select(VERBS.to_vec()));
    property("any words", words, |kind, (words, verb)| {
        kind.check_any_words(&words.iter().map(String::as_str).collect::<Vec<_>>(), *verb);
    });
}

#[test]
fn words_of_the_kind_in_any_order_are_an_error_or_options() {
    let picks = (vec((any::<Index>(), any::<bool>()), 0..10), select(VERBS.to_vec()));
    property("words of the kind", picks, |kind, (picks, verb)| {
        let word = |(index, value): &(Index, bool)| match value {
            true => *index.get(VALUES),
            false => index.get(&kind.vocabulary).as_str(),
        };
        kind.check_any_words(&picks.iter().map(word).collect::<Vec<_>>(), *verb);
    });
}

/// Checks all kinds with 64 values of a strategy, and says how many cases that were.
fn property<S: Strategy>(what: &str, values: S, check: impl Fn(&Tested, &S::Value)) {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    let cases = Cell::new(0);
    let outcome = TestRunner::new(config).run(&values, |value| {
        for_each_kind(|kind| {
            check(kind, &value);
            cases.set(cases.get() + 1);
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
    count(&format!("property: {what}: {} cases", cases.get()));
}

/// A kind under test, and what is known of it.
struct Tested {
    ops: &'static dyn TcOps,
    package: &'static str,
    captures: Vec<&'static Capture>,
    /// Payloads of `TCA_OPTIONS` that are right.
    payloads: Vec<Vec<u8>>,
    xstats: Vec<Vec<u8>>,
    vocabulary: Vec<String>,
}

fn kinds() -> &'static [Tested] {
    static KINDS: LazyLock<Vec<Tested>> =
        LazyLock::new(|| Registry::global().unwrap().iter().map(Tested::new).collect());
    &KINDS
}

/// Runs a check over all kinds; a panic in it is preceded by the kind's name.
fn for_each_kind(check: impl Fn(&Tested)) {
    assert!(kinds().len() >= 2);
    for kind in kinds() {
        print!("\n{} {}: ", kind.ops.tc_type(), kind.ops.kind());
        check(kind);
    }
}

impl Tested {
    fn new(entry: &'static Registered) -> Self {
        let ops = entry.ops();
        let mut new = Self {
            ops,
            package: entry.origin().package,
            captures: captures::of(ops.tc_type(), ops.kind()).collect(),
            payloads: Vec::new(),
            xstats: Vec::new(),
            vocabulary: Vec::new(),
        };
        new.payloads = new.find_payloads();
        new.xstats = new.captures.iter().filter_map(|c| Some(c.entry().xstats().ok()??.to_vec())).collect();
        new.vocabulary = new.find_words();
        new
    }

    fn parse(&self, words: &str, verb: Verb) -> Result<Option<Box<dyn Options>>, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        self.ops.parse_words(&mut Words::new(&words), &context(verb))
    }

    /// Writes options into a buffer that is dirty.
    fn fill(
        &self,
        options: Option<&dyn Options>,
        context: FillContext,
    ) -> Result<(Fill, Vec<u8>), EncodeError> {
        let mut buffer = BytesMut::from(&[0xa5; 65536][..]);
        buffer.clear();
        let mut out = AttrWriter::new(&mut buffer);
        let fill = self.ops.msg_fill(options, &context, &mut out)?;
        out.finish()?;
        Ok((fill, buffer.to_vec()))
    }

    fn check_round_trip(&self, options: Option<&dyn Options>, context: FillContext) {
        let Ok((first, bytes)) = self.fill(options, context) else { return };
        if first == Fill::Absent {
            assert!(bytes.is_empty(), "absent, and yet {bytes:02x?}");
            return;
        }
        let read = self.ops.msg_parse(&bytes);
        let read = read.unwrap_or_else(|error| panic!("{options:?} as {bytes:02x?}: {error}"));
        let again = self.fill(Some(&*read), context);
        assert_eq!(again, Ok((first, bytes)), "{options:?} was read back as {read:?}");
    }

    /// Words of captures and others, with their verbs.
    fn commands(&self) -> Vec<(String, Verb)> {
        let captured = self.captures.iter().map(|capture| (capture.words().join(" "), capture.verb()));
        let more = MORE_WORDS.iter().filter(|(kind, _)| *kind == self.ops.kind());
        captured.chain(more.map(|(_, words)| ((*words).to_owned(), Verb::Change))).collect()
    }

    fn some_options(&self) -> Vec<Box<dyn Options>> {
        self.commands().iter().filter_map(|(words, verb)| self.parse(words, *verb).unwrap()).collect()
    }

    fn find_payloads(&self) -> Vec<Vec<u8>> {
        let captured = self.captures.iter().filter_map(|capture| Some(capture.options()?.payload.to_vec()));
        let mut payloads: Vec<_> = captured.collect();
        for (words, verb) in self.commands() {
            let Ok(options) = self.parse(&words, verb) else { continue };
            if let Ok((fill, bytes)) = self.fill(options.as_deref(), FillContext { verb, as_tc: true })
                && fill != Fill::Absent
            {
                payloads.push(bytes);
            }
        }
        payloads
    }

    /// Every word of the usage text and of the captures.
    fn find_words(&self) -> Vec<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        let commands = self.commands();
        let texts = commands.iter().flat_map(|(words, _)| words.split_whitespace());
        let usage = self.ops.usage().split(|c| !is_word(c)).filter(|word| !word.is_empty());
        usage.chain(texts).map(str::to_owned).collect()
    }

    /// Prints in one style and all forms; what is JSON has to read as JSON.
    fn print(&self, style: Style, print: impl Fn(&mut Printer)) {
        for form in FORMS {
            let mut out = Printer::new(form, style);
            out.object("", &print);
            if form != Form::Text {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(out.bytes());
                assert!(value.is_ok(), "{value:?}: {}", out.as_str());
            }
        }
    }

    fn check_any_payload(&self, payload: &[u8]) {
        let Ok(options) = self.ops.msg_parse(payload) else {
            let mut out = Printer::new(Form::Text, Style::default());
            assert!(self.ops.print(payload, &mut out).is_err() && out.bytes().is_empty());
            return;
        };
        for style in [Style::default(), Style { stats: true, details: true, raw: true, ..Style::default() }] {
            self.print(style, |out| self.ops.print(payload, out).unwrap());
        }
        for as_tc in [true, false] {
            let _written = self.fill(Some(&*options), FillContext { verb: Verb::Change, as_tc });
        }
        for told in [&*options, &*options.kept(&captures::Machine)] {
            let mut words = Wording::with_names(&captures::Machine);
            told.write_words(&mut words);
            let is_tidy = |line: &String| !line.contains("  ") && line.trim() == line;
            assert!(!words.unsayable().is_empty() || words.lines().iter().all(is_tidy), "{words:?}");
        }
    }

    fn check_any_xstats(&self, payload: &[u8]) {
        self.print(Style { stats: true, ..Style::default() }, |out| {
            let depth = out.depth();
            // An error half way leaves valid JSON, once it is closed.
            if self.ops.print_xstats(payload, out).is_err() {
                out.close_to(depth);
            }
        });
    }

    fn check_any_words(&self, words: &[&str], verb: Verb) {
        if let Ok(options) = self.ops.parse_words(&mut Words::new(words), &context(verb)) {
            for as_tc in [true, false] {
                self.check_round_trip(options.as_deref(), FillContext { verb, as_tc });
            }
        }
    }
}

fn context(verb: Verb) -> WordsContext<'static> {
    WordsContext { environment: &captures::Machine, ..WordsContext::new(verb) }
}

fn styles() -> impl Iterator<Item = Style> {
    (0..64u8).map(|bits| {
        let bit = |n: u8| bits & (1 << n) != 0;
        Style {
            stats: bit(0),
            details: bit(1),
            raw: bit(2),
            iec: bit(3),
            numeric: bit(4),
            oneline: bit(5),
            ..Style::default()
        }
    })
}
