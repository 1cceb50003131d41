//! Expressions of ematches: any words and any bytes are an error or an expression. An expression is written and
//! read as the same one, as bytes and as words, and prints as valid JSON.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tc_core::ematch::Ematches;
use tc_core::print::{Form, Printer, Style};
use tc_core::words::{Words, WordsContext};
use tc_core::{Attr, AttrWriter, Attrs, OptionWords, Verb};
use tests::captures::Machine;

/// Any will do.
const EMATCHES: u16 = 2;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((0, words)) => from_words(words),
        Some((_, payload)) => from_bytes(payload),
        None => {}
    }
});

fn from_words(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((expression, left)) = parse(text) else { return };
    assert!(left <= text.len(), "{left} of {text:?} are left");
    check(&expression);
}

fn from_bytes(payload: &[u8]) {
    let attr = Attr { kind: EMATCHES, nested: false, payload };
    if let Ok(expression) = Ematches::decode(&attr) {
        check(&expression);
    }
}

fn check(expression: &Ematches) {
    for form in [Form::Text, Form::Json] {
        let mut out = Printer::new(form, Style::default());
        out.object("", |out| expression.print(out));
        let valid = form == Form::Text || serde_json::from_slice::<serde_json::Value>(out.bytes()).is_ok();
        assert!(valid, "{}", out.as_str());
    }
    let dumped = expression.as_dumped();
    let mut said = OptionWords::new();
    dumped.to_words(&mut said);
    // Deeper than the kernel's stack, too long, or of objects that contradict each other.
    let Some(bytes) = encode(&dumped) else { return };
    let attr = Attrs::new(&bytes).next();
    let read = attr.map(|attr| Ematches::decode(&attr.expect("an attribute")).expect("an expression"));
    assert_eq!(
        encode(&read.clone().unwrap_or_default()).as_deref(),
        Some(&bytes[..]),
        "{dumped:?}: {read:?}"
    );
    if said.unsayable().is_empty() && !dumped.is_empty() {
        let (again, left) = parse(&dumped.to_string()).expect("its words are read");
        assert_eq!((again.to_string(), left), (dumped.to_string(), 0));
        assert_eq!(encode(&again.as_dumped()).as_deref(), Some(&bytes[..]), "{dumped}");
    }
}

/// The expression, and how many words are left.
fn parse(text: &str) -> Option<(Ematches, usize)> {
    let list: Vec<&str> = text.split('\n').collect();
    let mut words = Words::new(&list);
    let context = WordsContext { environment: &Machine, ..WordsContext::new(Verb::Add) };
    let expression = Ematches::parse_words(&mut words, &context).ok()?;
    Some((expression, words.rest().len()))
}

fn encode(expression: &Ematches) -> Option<Vec<u8>> {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    expression.encode(EMATCHES, &mut out).ok()?;
    out.finish().ok()?;
    Some(buffer.to_vec())
}
