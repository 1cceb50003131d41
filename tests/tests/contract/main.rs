//! The contract of every registered kind.
//!
//! Words come from the commands of the captures, from usage texts, and from
//! [`tested::MORE_WORDS`]; payloads from the captures and from the encoding of these words.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod tested;

use std::cell::Cell;
use std::sync::LazyLock;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use tc_core::print::Style;
use tc_core::{AttrWriter, EncodeError, FillContext, Registry, Verb, contract};
use tc_qdiscs as _;
use tests::captures;
use tests::lab::{count, tries};

use tested::Tested;

const VERBS: [Verb; 4] = [Verb::Add, Verb::Change, Verb::Replace, Verb::Link];

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
fn every_kind_passes_the_contract_check() {
    for_each_kind(|kind| {
        for command in kind.commands() {
            let commands = [(command.words.as_str(), command.verb)];
            contract::check_ops_at(kind.ops, &commands, &command.place, &captures::Machine).unwrap();
        }
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
fn a_short_payload_is_an_error_or_a_value() {
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
fn changed_payloads_are_an_error_or_a_value() {
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

/// Checks all kinds with 64 values of a strategy, or as many as `PROPTEST_CASES` says, and reports the number
/// of cases.
fn property<S: Strategy>(what: &str, values: S, check: impl Fn(&Tested, &S::Value)) {
    let values_each = tries("PROPTEST_CASES", 64).try_into().unwrap_or(u32::MAX);
    let config =
        ProptestConfig { cases: values_each, failure_persistence: None, ..ProptestConfig::default() };
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
