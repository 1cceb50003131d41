//! Any bytes as a kind's options or counters are an error or a value; a value prints as valid JSON,
//! and is written without a panic.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tc_core::print::{Form, Printer, Style};
use tc_core::{AttrWriter, FillContext, TcOps, Verb};

fuzz_target!(|input: &[u8]| {
    let Some((&[number, how], payload)) = input.split_first_chunk() else { return };
    let ops = fuzz::kind(number);
    let bit = |n: u8| how & 1 << n != 0;
    let style = Style {
        stats: bit(0),
        details: bit(1),
        raw: bit(2),
        iec: bit(3),
        numeric: bit(4),
        oneline: bit(5),
        ..Style::default()
    };
    match bit(7) {
        true => print(style, |out| {
            let depth = out.depth();
            if ops.print_xstats(payload, out).is_err() {
                out.close_to(depth);
            }
        }),
        false => options(ops, payload, style),
    }
});

fn options(ops: &dyn TcOps, payload: &[u8], style: Style) {
    let Ok(options) = ops.msg_parse(payload) else { return };
    print(style, |out| ops.print(payload, out).expect("what was read can be printed"));
    for verb in [Verb::Add, Verb::Change] {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let _ = ops.msg_fill(Some(&*options), &FillContext { verb, as_tc: style.raw }, &mut out);
    }
}

fn print(style: Style, print: impl Fn(&mut Printer)) {
    for form in [Form::Text, Form::Json] {
        let mut out = Printer::new(form, style);
        out.object("", &print);
        if form == Form::Json {
            let value: Result<serde_json::Value, _> = serde_json::from_slice(out.bytes());
            assert!(value.is_ok(), "{value:?}: {}", out.as_str());
        }
    }
}
