//! Any words are an error or options, and options are written, read and written the same.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tc_core::uapi::*;
use tc_core::words::{Words, WordsContext};
use tc_core::{AttrWriter, Fill, FillContext, FilterPlace, Options, TcOps, Verb};
use tests::captures::Machine;

/// Protocols of filters: the words of flower depend on them.
const PROTOCOLS: [u16; 7] =
    [ETH_P_IP, ETH_P_IPV6, ETH_P_ARP, ETH_P_8021Q, ETH_P_MPLS_UC, ETH_P_PPP_SES, ETH_P_ALL];

fuzz_target!(|input: &[u8]| {
    let Some((&[number, how], text)) = input.split_first_chunk() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let ops = fuzz::kind(number);
    let verb = [Verb::Add, Verb::Change, Verb::Replace, Verb::Link][usize::from(how % 4)];
    let words: Vec<&str> = text.split_whitespace().collect();
    let context = WordsContext { environment: &Machine, ..WordsContext::new(verb) };
    let mut place = FilterPlace::default();
    place.protocol = PROTOCOLS.get(usize::from(how >> 3)).copied();
    let Ok((options, _)) = ops.parse_words_at(&mut Words::new(&words), &context, &place) else { return };
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
