use tc_core::print::{Form, Style};
use tc_core::{Request, Verb};

use super::*;
use crate::action::tests::{Devices, message};
use crate::ematch::Operand;
use crate::ematch::meta::{Field, Meta};

fn parse(words: &str) -> Result<Flow, WordError> {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
    let read = Flow::parse_filter(&mut Words::new(&words), &context, &FilterPlace::default());
    read.map(|(options, _)| options.unwrap_or_default())
}

fn payload(flow: &Flow) -> Vec<u8> {
    message(&Request::filter(1).options(flow), Verb::Add)[52..].to_vec()
}

#[test]
fn words_are_read() {
    let addresses = FlowKeys::SRC | FlowKeys::DST;
    for (words, flow) in [
        ("map key dst", Flow::map(FlowKeys::DST)),
        ("hash keys s,dst,proto-s", Flow::hash(addresses | FlowKeys::PROTO_SRC)),
        (
            "hash keys src divisor 1024 perturb 10 baseclass 1:1",
            Flow::hash(FlowKeys::SRC)
                .divisor(1024)
                .perturb(Duration::from_secs(10))
                .base_class(Handle::class(1, 1)),
        ),
        ("key mark rshift 4 addend -1", Flow::map(FlowKeys::MARK).rshift(4).addend(u32::MAX)),
        ("map key dst addend -10.0.0.1", Flow::map(FlowKeys::DST).addend(0xf5ff_ffff)),
        ("map key nfct-src addend 10.0.0.1", Flow::map(FlowKeys::NFCT_SRC).addend(0x0a00_0001)),
        ("map key src addend ::ffff", Flow::map(FlowKeys::SRC).addend(0xffff)),
        ("map key iif and 0xffffffff", Flow::map(FlowKeys::IIF)),
        (
            "map key iif mat meta(pkt_len gt 5)",
            Flow::map(FlowKeys::IIF).ematches(Ematches::new(Meta::new(Field::PKT_LEN, Operand::Gt, 5))),
        ),
    ] {
        assert_eq!(parse(words), Ok(flow.clone()), "{words}");
        assert_eq!(Flow::decode(&payload(&flow)), Ok(flow), "{words}");
    }
}

/// The sums of `and`, `or` and `xor` are those of tc 6.1, and come back in exact words.
#[test]
fn operations_on_bits_are_added_up() {
    for (words, mask, xor, again) in [
        ("and 0xff or 0x10 xor 3", 0xef, 0x13, "and 0xef xor 0x3 or 0x10"),
        ("and 0xff", 0xff, 0, "and 0xff"),
        ("or 0xff", !0xff, 0xff, "and 0xffffff00 or 0xff"),
        ("xor 0xff", u32::MAX, 0xff, "xor 0xff"),
        ("xor 0xff and 0xf", 0xf, 0xf, "and 0xf xor 0xf"),
        ("or 0xff xor 0x1ff and 0xf0f", 0xf00, 0x100, "and 0xf00 xor 0x100"),
    ] {
        let flow = parse(&format!("map key dst {words}")).unwrap();
        assert_eq!((flow.mask, flow.xor), (Some(mask), Some(xor)), "{words}");
        let mut said = OptionWords::new();
        flow.to_words(&FilterPlace::default(), &mut said);
        assert_eq!(said.lines(), [format!("map keys dst {again}")], "{words}");
        assert_eq!(parse(&said.lines()[0]), Ok(flow), "{words}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("map key", "Command line is not complete. Try option \"help\""),
        ("map key nope", "Unknown flow key \"nope\""),
        ("map key src,", "Unknown flow key \"\""),
        ("map key src,dst", "Invalid mode \"map\" for multiple keys"),
        ("map key src,src", "Invalid mode \"map\" for multiple keys"),
        ("map key src and x", "Illegal \"mask\""),
        ("map key src or -1", "Illegal \"or\""),
        ("map key src xor 0x1ffffffff", "Illegal \"xor\""),
        ("map key src rshift x", "Illegal \"rshift\""),
        ("map key src addend x", "Illegal \"addend\""),
        ("map key proto-src addend 10.0.0.1", "Illegal \"addend\""),
        ("map key src divisor x", "Illegal \"divisor\""),
        ("map key src baseclass 1:", "Illegal \"baseclass\""),
        ("map key src perturb x", "Illegal \"perturb\""),
        ("map key src action", "Command line is not complete. Try option \"help\""),
        ("map key src match x(y)", "Unknown ematch \"x\"\nIllegal \"ematch\""),
        // As in tc, the prefix of another word.
        ("map key src m y", "What is \"y\"?"),
        ("bogus", "What is \"bogus\"?"),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(parse("he"), Err(WordError::Help));
    let mut place = FilterPlace::default();
    place.handle_word = Some("x");
    let handle = Flow::handle_in(&place).unwrap_err();
    assert_eq!(handle.to_string(), "Illegal \"handle\"");
}

#[test]
fn reported_values_follow_the_kernel() {
    let asked = Flow::map(FlowKeys::DST).mask(0xff).rshift(0).addend(0).divisor(0).perturb(Duration::ZERO);
    let dumped = Flow { mask: Some(0xff), xor: Some(0), ..Flow::map(FlowKeys::DST) };
    assert_eq!(asked.base_class(Handle::class(0, 5)).as_dumped(&Devices), dumped);
    let default = Flow::map(FlowKeys::DST).mask(u32::MAX).xor(0);
    assert_eq!(default.as_dumped(&Devices), Flow::map(FlowKeys::DST));
}

#[test]
fn fractions_of_seconds_are_refused() {
    let flow = Flow::hash(FlowKeys::SRC);
    for time in [Duration::from_millis(1500), Duration::from_secs(1 << 32)] {
        let request = Request::filter(1).with_options(flow.clone().perturb(time));
        let mut buffer = bytes::BytesMut::new();
        assert!(request.encode(Verb::Add, 0, &mut buffer).is_err(), "{time:?}");
    }
}

#[test]
fn json_is_that_of_later_versions() {
    let flow = parse(
        "hash keys src,dst and 0xff or 0x10 xor 3 rshift 4 addend -1 divisor 9 baseclass 1:1 perturb 3",
    );
    let mut place = FilterPlace::default();
    place.handle = Handle::from_raw(2);
    let mut out = Printer::new(Form::Json, Style::default());
    out.object("", |out| flow.unwrap().print(&place, out));
    assert_eq!(
        out.as_str(),
        r#"{"handle":"0x2","mode":"hash","keys":["src","dst"],"and":"0xef","xor":"0x3","or":"0x10","rshift":4,"addend":"0xffffffff","divisor":9,"baseclass":"1:1","perturb":3}"#
    );
}
