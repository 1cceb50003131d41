use super::*;
use bytes::BytesMut;
use tc_core::Verb;
use tc_core::print::{Form, Style};

fn parse(words: &[&str]) -> Result<HtbClass, WordError> {
    HtbClass::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add)).map(Option::unwrap)
}

fn payload(class: &HtbClass, as_tc: bool) -> BytesMut {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    class.encode(&FillContext { verb: Verb::Add, as_tc }, &mut out).unwrap();
    out.finish().unwrap();
    buffer
}

#[test]
fn words_and_calls_make_the_same() {
    let words = ["rate", "1mbit", "ceil", "2mbit", "b", "15k", "c", "20k", "q", "3000", "p", "3", "o", "8"];
    let class = HtbClass::builder(125_000).ceil(250_000).burst_bytes(15 << 10).cburst_bytes(20 << 10);
    assert_eq!(parse(&words), Ok(class.quantum_bytes(3000).prio(3).overhead_bytes(8).build().unwrap()));
    let words = ["mtu", "9000", "mpu", "64", "l", "ad", "rate", "1mbit"];
    let class = HtbClass::builder(125_000).linklayer(LinkLayer::Atm).mpu_bytes(64).mtu_bytes(9000);
    assert_eq!(parse(&words), Ok(class.build().unwrap()));
}

#[test]
fn a_burst_that_is_not_said_is_an_mtu_and_a_timer_tick() {
    #[derive(Debug)]
    struct SlowTimer;
    impl tc_core::words::Environment for SlowTimer {
        fn psched_hz(&self) -> u32 {
            100
        }
    }
    let context = WordsContext { environment: &SlowTimer, ..WordsContext::new(Verb::Add) };
    let class = HtbClass::parse_words(&mut Words::new(&["rate", "1mbit"]), &context).unwrap().unwrap();
    assert_eq!(class.burst_bytes(), 1250 + 1600);
    assert_eq!(HtbClass::builder(125_000).build().unwrap().burst_bytes(), 1600);
}

#[test]
fn bad_words_have_tcs_text() {
    let usage = |text: &str| Err(WordError::KindUsage(text.into()));
    let plain = |text: &str| Err(WordError::Kind(text.into()));
    assert_eq!(parse(&[]), plain("\"rate\" is required."));
    assert_eq!(parse(&["rate", "1mbit", "rate", "2mbit"]), plain("Double \"rate\" spec"));
    assert_eq!(parse(&["ceil", "fast"]), usage("Illegal \"ceil\""));
    let no_device = "No device specified; specify device to rate limit by percentage\n";
    assert_eq!(parse(&["rate", "5%"]), usage(&(no_device.to_owned() + "Illegal \"rate\"")));
    assert_eq!(parse(&["buffer", "9/7"]), usage("Illegal \"buffer\""));
    assert_eq!(parse(&["ce", "1mbit"]), usage("What is \"ce\"?"));
    assert_eq!(parse(&["help"]), Err(WordError::Help));
    assert_eq!(parse(&["rate"]), Err(WordError::Incomplete));
    assert_eq!(parse(&["rate", "8bit"]), plain("htb: burst out of range"));
    assert_eq!(parse(&["rate", "1mbit", "ceil", "8bit"]), plain("htb: cburst out of range"));
}

#[test]
fn what_is_sent_reads_back_with_and_without_tables() {
    let wide = HtbClass::builder(5_000_000_000).ceil(u64::MAX).quantum_bytes(1).build().unwrap();
    let dump = HtbClass { level: 2, offload: true, ..HtbClass::builder(1000).build().unwrap() };
    for class in [wide, dump] {
        assert_eq!(HtbClass::decode(&payload(&class, true)), Ok(class));
        assert_eq!(HtbClass::decode(&payload(&class, false)), Ok(class));
        assert_eq!(payload(&class, true).len(), payload(&class, false).len() + 2 * 1028);
    }
    assert!(HtbClass::decode(&payload(&wide, false)[..60]).is_err(), "cut off");
    assert!(HtbClass::decode(&[]).is_err());
}

#[test]
fn json_has_the_keys_of_tc_7() {
    let class = HtbClass::builder(125_000).prio(1).overhead_bytes(4).build().unwrap();
    let json = |class: HtbClass, style| {
        let mut out = Printer::new(Form::Json, style);
        out.object("", |out| class.print(out));
        out.as_str().to_owned()
    };
    assert_eq!(
        json(class, Style::default()),
        r#"{"prio":1,"rate":125000,"overhead":4,"ceil":125000,"burst":1600,"cburst":1600}"#
    );
    let style = Style { details: true, raw: true, ..Style::default() };
    assert_eq!(
        json(HtbClass { level: 1, offload: true, ..class }, style),
        concat!(
            r#"{"rate":125000,"overhead":4,"ceil":125000,"linklayer":"ethernet","burst":1600,"burst_cell":8,"#,
            r#""mpu_rate":0,"cburst":1600,"cburst_cell":8,"mpu_ceil":0,"level":1,"burst_raw":"30d40","#,
            r#""cburst_raw":"30d40","offload":null}"#
        )
    );
}

#[test]
fn counters_read_and_print() {
    let bytes: Vec<u8> =
        [7u32, 8, 0, 5, (-6i32).cast_unsigned()].into_iter().flat_map(u32::to_ne_bytes).collect();
    let xstats = HtbXstats { lends: 7, borrows: 8, giants: 0, tokens_ticks: 5, ctokens_ticks: -6 };
    assert_eq!(HtbXstats::decode(&bytes), Ok(xstats));
    assert!(HtbXstats::decode(&bytes[..19]).is_err());
    let mut out = Printer::new(Form::Json, Style::default());
    out.object("", |out| xstats.print(out));
    assert_eq!(out.as_str(), r#"{"lended":7,"borrowed":8,"giants":0,"tokens":5,"ctokens":-6}"#);
}
