use super::*;
use bytes::BytesMut;
use tc_core::Verb;
use tc_core::print::{Form, Style};

const MBIT: DataRate = DataRate::bits_per_second(1_000_000);

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
    let class = HtbClass::builder(MBIT)
        .ceil(DataRate::bits_per_second(2_000_000))
        .burst_bytes(15 << 10)
        .cburst_bytes(20 << 10);
    assert_eq!(parse(&words), Ok(class.quantum_bytes(3000).prio(3).overhead_bytes(8).build().unwrap()));
    let words = ["mtu", "9000", "mpu", "64", "l", "ad", "rate", "1mbit"];
    let class = HtbClass::builder(MBIT).linklayer(LinkLayer::Atm).mpu_bytes(64).mtu_bytes(9000);
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
    assert_eq!(class.burst.as_bytes(), 1250 + 1600);
    assert_eq!(HtbClass::builder(MBIT).build().unwrap().burst.as_bytes(), 1600);
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
    let wide = HtbClass::builder(DataRate::bytes_per_second(5_000_000_000))
        .ceil(DataRate::MAX)
        .quantum_bytes(1)
        .build()
        .unwrap();
    let dump = HtbClass {
        level: 2,
        offload: true,
        ..HtbClass::builder(DataRate::bytes_per_second(1000)).build().unwrap()
    };
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
    let class = HtbClass::builder(MBIT).prio(1).overhead_bytes(4).build().unwrap();
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
    let xstats = HtbXstats { lends: 7, borrows: 8, giants: 0, tokens_ns: 320, ctokens_ns: -384 };
    assert_eq!(HtbXstats::decode(&bytes), Ok(xstats));
    assert!(HtbXstats::decode(&bytes[..19]).is_err());
    let mut out = Printer::new(Form::Json, Style::default());
    out.object("", |out| xstats.print(out));
    assert_eq!(out.as_str(), r#"{"lended":7,"borrowed":8,"giants":0,"tokens":5,"ctokens":-6}"#);
}

#[test]
fn burst_stays_when_the_rate_of_a_dump_changes() {
    let sent = HtbClass::builder(DataRate::bits_per_second(100_000_000)).build().unwrap();
    let mut class = HtbClass::decode(&payload(&sent, false)).unwrap();
    assert_eq!(payload(&class, false), payload(&sent, false), "unchanged");
    class.rate.rate = MBIT;
    let read = HtbClass::decode(&payload(&class, false)).unwrap();
    assert_eq!((read.burst.as_bytes(), read.cburst.as_bytes()), (1600, 1600));
    assert_eq!(read.burst.time(MBIT), Some(200_000), "not 2000 ticks, which are 16 bytes");
    assert_eq!((read.ceil, read.prio, read.quantum_bytes), (sent.ceil, sent.prio, sent.quantum_bytes));
}

#[test]
fn burst_of_ticks_without_words_says_the_next_longer() {
    let class = HtbClass::builder(DataRate::bits_per_second(1_000_000_000)).build().unwrap();
    assert_eq!(class.burst.time(class.rate.rate), Some(200));
    let mut words = OptionWords::new();
    class.to_words(&mut words);
    let line = words.lines().remove(0);
    assert!(line.contains(" burst 1700b ") && line.contains(" cburst 1700b"), "{line}");
}

#[test]
fn burst_that_takes_too_long_is_refused_by_name() {
    let slow = DataRate::bytes_per_second(1);
    let error = HtbClass::builder(slow).build().unwrap_err().to_string();
    assert!(error.contains("burst out of range: 1600 bytes at 8bit take more than 274 seconds"), "{error}");
    let mut class = HtbClass::builder(MBIT).burst_bytes(8 << 30).build();
    assert!(class.is_err(), "8 GiB at 1 Mbit/s");
    class = HtbClass::builder(DataRate::bits_per_second(1_000_000_000_000)).burst_bytes(8 << 30).build();
    let mut class = class.unwrap();
    assert_eq!(HtbClass::decode(&payload(&class, false)).unwrap().burst.as_bytes(), 8 << 30);
    class.rate.rate = slow;
    let mut buffer = BytesMut::new();
    let filled =
        class.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut AttrWriter::new(&mut buffer));
    assert!(filled.unwrap_err().to_string().contains("burst out of range"));
}

#[test]
fn burst_above_4_gib_in_words() {
    let parse = |line: &str| parse(&line.split_whitespace().collect::<Vec<_>>());
    let class = parse("rate 1tbit burst 8gb cburst 8gb").unwrap();
    assert_eq!(class.burst.as_bytes(), 8 << 30);
    let read = HtbClass::decode(&payload(&class, false)).unwrap();
    assert_eq!(read.burst.as_bytes(), 8 << 30);
    let mut words = OptionWords::new();
    read.to_words(&mut words);
    let line = words.lines().remove(0);
    assert!(line.contains(" burst 8589934592b ") && words.unsayable().is_empty(), "{line}");
    assert_eq!(parse(&line).unwrap(), read);
    let mut out = Printer::new(Form::Text, Style::default());
    read.print(&mut out);
    assert!(out.as_str().contains(" burst 8192Mb "), "{}", out.as_str());
    let error = parse("rate 1mbit burst 8gb").unwrap_err().to_string();
    assert!(error.contains("burst out of range: 8589934592 bytes at 1Mbit"), "{error}");
}
