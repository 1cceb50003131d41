use super::*;
use bytes::BytesMut;
use tc_core::Verb;
use tc_core::print::{Form, Style};
use tc_core::words::Usual;

fn parse(words: &str) -> Result<Option<Police>, WordError> {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    Police::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add))
}

fn read(words: &str) -> Police {
    parse(words).unwrap().unwrap()
}

fn payload(police: &Police) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    police.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out).unwrap();
    out.finish().unwrap();
    buffer.to_vec()
}

const MBIT: Rate = Rate::bits_per_second(1_000_000);

#[test]
fn words_are_read() {
    let mbit = Police::at_rate(MBIT, 10 << 10);
    for (words, exceed, conform, mtu) in [
        ("rate 1mbit burst 10k", Control::Reclassify, Control::Pass, 0),
        ("burst 10k rate 1mbit drop mtu 2k", Control::Drop, Control::Pass, 2048),
        ("rate 1mbit buffer 10k conform-exceed drop/pipe", Control::Drop, Control::Pipe, 0),
        ("rate 1mbit maxburst 10k conform-exceed drop / 3", Control::Drop, Control::Pipe, 0),
        ("rate 1mbit burst 10k conform-exceed goto chain 3", Control::GotoChain(3), Control::Pass, 0),
        ("rate 1mbit burst 10k conform-exceed goto/7", Control::GotoChain(0), Control::Other(7), 0),
    ] {
        let read = read(words);
        assert_eq!((read.exceed, read.conform, read.mtu), (exceed, conform, mtu), "{words}");
        assert_eq!((read.burst, read.rate.unwrap().rate), (mbit.burst, MBIT), "{words}");
    }
    assert_eq!(parse("index 5"), Ok(Some(Police::at_index(5))));
    assert_eq!(read("pkts_rate 1000 pkts_burst 200").packets.unwrap().burst(), 200);
    assert_eq!(read("avrate 1mbit").average, Some(MBIT));
}

#[test]
fn words_end_at_the_first_unknown_one() {
    let mut words = Words::new(&["mtu", "1500", "drop", "flowid", "1:1"]);
    assert_eq!(Police::parse_in_filter(&mut words).unwrap().exceed, Control::Drop);
    assert_eq!(words.rest(), ["flowid", "1:1"]);
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("", "Command line is not complete. Try option \"help\""),
        ("drop", "'rate' or 'avrate' or 'mtu' or 'pkts_rate' MUST be specified."),
        ("rate 1mbit", "'burst' requires 'rate'."),
        ("pkts_rate 1", "'pkts_burst' requires 'pkts_rate'."),
        (
            "pkts_rate 1 pkts_burst 1 rate 8bit burst 1",
            "'rate' and 'pkts_rate' are not allowed in same action.",
        ),
        ("mtu 2k peakrate 1mbit", "'peakrate' requires 'rate'."),
        ("rate 1mbit burst 9k peakrate 2mbit", "'mtu' is required, if 'peakrate' is requested."),
        ("rate x", "Error: argument \"x\" is wrong: rate"),
        ("burst 1k burst 2k", "Error: duplicate \"buffer/burst\": \"2k\" is the second value."),
        ("overhead 65536", "Error: argument \"65536\" is wrong: overhead"),
        ("mpu 65536", "Error: argument \"65536\" is wrong: mpu"),
        ("rate 1mbit burst 9k conform-exceed x", "Bad action type x"),
        ("rate 1mbit burst 9k conform-exceed", "Command line is not complete. Try option \"help\""),
        ("rate 8bit burst 1k", "police: the burst takes more than 274 s at this rate"),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(parse("help"), Err(WordError::Help));
    let in_filter = Police::parse_in_filter(&mut Words::new(&["drop"])).unwrap_err().to_string();
    assert!(in_filter.ends_with("MUST be specified.\nIllegal \"police\""), "{in_filter}");
}

#[test]
fn rate_tables_are_sent_without_being_asked_for() {
    let sizes = |police: &Police| {
        let bytes = payload(police);
        let attrs = Attrs::new(&bytes).flatten();
        attrs.map(|attr| (attr.kind, attr.payload.len())).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&read("rate 1mbit burst 10k")), [(TBF, 56), (RATE, 1024)]);
    let peak = read("rate 1mbit burst 10k mtu 2k peakrate 40gbit");
    assert_eq!(sizes(&peak), [(TBF, 56), (RATE, 1024), (PEAKRATE, 1024), (PEAKRATE64, 8)]);
    assert_eq!(sizes(&read("mtu 1500 drop")), [(TBF, 56)]);
}

/// The kernel refuses a `cell_log` of 0, which a dump has, and `tc` sends for an MTU below 256.
#[test]
fn cells_are_of_two_bytes_or_more() {
    let cell_log = |police: &Police| payload(police)[4 + 20];
    let mut spec = RateSpec::default();
    spec.rate = MBIT;
    let dumped = Police { rate: Some(spec), ..Police::NONE };
    assert_eq!(cell_log(&dumped), 3);
    assert_eq!(cell_log(&dumped.mtu(65280)), 8);
    assert_eq!(cell_log(&read("rate 1mbit burst 10k mtu 100")), 1);
    assert_eq!(cell_log(&read("rate 1mbit burst 10k/16")), 4);
}

#[test]
fn mtu_of_a_dump_is_the_largest_in_the_table() {
    assert_eq!(read("rate 1mbit burst 10k").as_dumped(&Usual).mtu, 2040);
    assert_eq!(read("rate 1mbit burst 10k/16").as_dumped(&Usual).mtu, 4080);
    assert_eq!(read("pkts_rate 1 pkts_burst 1").as_dumped(&Usual).mtu, u32::MAX);
}

#[test]
fn every_option_reads_back_from_bytes_and_words() {
    for words in [
        "rate 1mbit burst 10k drop",
        "rate 40gbit burst 1m mtu 64k peakrate 50gbit mpu 64 overhead 14 linklayer atm conform-exceed 4/jump",
        "avrate 1mbit index 3 conform-exceed goto chain 5 / goto chain 6",
        "pkts_rate 1000 pkts_burst 200 pipe",
        "mtu 1500",
    ] {
        let police = read(words);
        assert_eq!(payload(&Police::decode(&payload(&police)).unwrap()), payload(&police), "{words}");
        let mut out = OptionWords::new();
        police.to_words(&mut out);
        assert_eq!(out.unsayable(), [""; 0], "{words}");
        let again = read(&out.lines().concat());
        assert_eq!(payload(&again), payload(&police), "{words}: {:?}", out.lines());
    }
}

#[test]
fn json_has_each_key_once() {
    let mut out = Printer::new(Form::Json, Style::default());
    out.object("", |out| read("rate 1mbit burst 10k conform-exceed drop/pipe").print(out));
    assert_eq!(
        out.as_str(),
        concat!(
            r#"{"kind":"police","index":0,"control_action":{"type":"drop"},"#,
            r#""conform_action":{"type":"pipe"},"overhead":0,"ref":0,"bind":0}"#
        )
    );
}

#[test]
fn burst_that_no_time_holds_is_refused_by_name() {
    let police = Police::at_rate(Rate::bytes_per_second(1), 1 << 20);
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    let error = police.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out).unwrap_err();
    assert!(error.to_string().contains("police: a burst of 1048576 bytes"), "{error}");
}
