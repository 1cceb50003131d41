//! Any words are an error or options, and options are written, read and written the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tc_core::words::{Words, WordsContext};
use tc_core::{AttrWriter, Fill, FillContext, Options, TcOps, Verb};
use tests::captures::Machine;

fuzz_target!(|input: &[u8]| {
    let Some((&[number, how], text)) = input.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let ops = fuzz::kind(number);
    let verb = [Verb::Add, Verb::Change, Verb::Replace, Verb::Link][usize::from(how % 4)];
    let words: Vec<&str> = text.split_whitespace().collect();
    let context = WordsContext { environment: &Machine, ..WordsContext::new(verb) };
    let Ok(options) = ops.parse_words(&mut Words::new(&words), &context) else { return };
    let context = FillContext { verb, as_tc: how & 4 != 0 };
    let Some(first) = fill(ops, options.as_deref(), context) else { return };
    let read = ops.msg_parse(&first).unwrap_or_else(|error| panic!("{options:?}: {error}"));
    assert_eq!(fill(ops, Some(&*read), context), Some(first), "{options:?} was read back as {read:?}");
});

/// The bytes of the options, if the kind has any for them.
fn fill(ops: &dyn TcOps, options: Option<&dyn Options>, context: FillContext) -> Option<Vec<u8>> {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    let fill = ops.msg_fill(options, &context, &mut out).ok()?;
    out.finish().ok()?;
    (fill != Fill::Absent).then(|| buffer.to_vec())
}
