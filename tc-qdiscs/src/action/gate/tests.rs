use super::*;
use tc_core::Verb;
use tc_core::words::Usual;

const US: fn(u64) -> Duration = Duration::from_micros;

fn parse(words: &str) -> Result<(Gate, usize), WordError> {
    let list: Vec<_> = words.split_whitespace().collect();
    let mut words = Words::new(&list);
    let gate = Gate::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
    Ok((gate.unwrap(), words.rest().len()))
}

#[test]
fn words_are_read_and_the_rest_stays() {
    let one = || Gate::new([GateEntry::open(US(200))]);
    let limited = GateEntry { ipv: Some(4), max_octets: Some(8_000_000), ..GateEntry::open(US(200)) };
    for (words, gate, left) in [
        ("sched-entry open 200us", one(), 0),
        ("sched-entry OPEN 200000 -1 -1 action ok", one(), 2),
        ("sched-entry open 200us -1 drop", one().control(Control::Drop), 0),
        ("sched-entry open 200us 4 8000000b", Gate::new([limited]), 0),
        ("sched-entry close 0x64 5 6", Gate::new([GateEntry::close(Duration::from_nanos(100))]), 0),
        ("index 5", Gate::new([]).index(5), 0),
        (
            "clockid clock_tai base-time 1s cycle-time 600us cycle-time-ext 100 priority 3 flags 0x1 index 7 \
             sched-entry open 200us sched-entry close 200us pass",
            Gate::new([GateEntry::open(US(200)), GateEntry::close(US(200))])
                .clock(Clock::TAI)
                .base_time_ns(1_000_000_000)
                .cycle_time(US(600))
                .cycle_time_extension(Duration::from_nanos(100))
                .priority(3)
                .flags(1)
                .index(7)
                .control(Control::Pass),
            0,
        ),
    ] {
        assert_eq!(parse(words), Ok((gate.clone(), left)), "{words}");
        let mut told = OptionWords::new();
        gate.to_words(&mut told);
        assert!(told.unsayable().is_empty(), "{told:?}");
        assert_eq!(parse(&told.lines().join(" ")), Ok((gate, 0)), "{told:?}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    let entry = "Usage: sched-entry <open | close> <interval> [ <interval ipv> <octets max bytes> ]";
    let first = |words: &str| {
        let text = parse(words).unwrap_err().to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    for (words, text) in [
        ("", "Command line is not complete. Try option \"help\""),
        ("priority", "Command line is not complete. Try option \"help\""),
        ("pipe", "gate: must add at least one entry"),
        ("priority x", "Error: argument \"x\" is wrong: priority"),
        ("base-time x", "Error: argument \"x\" is wrong: base-time"),
        ("cycle-time -5", "Error: argument \"-5\" is wrong: cycle-time"),
        ("clockid CLOCK_X", "Error: argument \"CLOCK_X\" is wrong: clockid"),
        ("flags -1", "Error: argument \"-1\" is wrong: flags"),
        ("index x", "Error: argument \"x\" is wrong: index"),
        ("sched-entry", entry),
        ("sched-entry ajar 1", entry),
        ("sched-entry open", entry),
        ("sched-entry open -1", entry),
        ("sched-entry open 5s", "\"interval\" is too large"),
        ("sched-entry open 1 1 3gb", "\"maxoctets\" is too large"),
    ] {
        assert_eq!(first(words), text, "{words}");
    }
    assert_eq!(parse("help"), Err(WordError::Help));
}

#[test]
fn times_that_do_not_fit_are_not_sent() {
    let long = Duration::from_nanos(1 << 32);
    for gate in [Gate::new([GateEntry::open(long)]), Gate::new([]).cycle_time(Duration::MAX)] {
        let mut buffer = bytes::BytesMut::new();
        let context = FillContext { verb: Verb::Add, as_tc: true };
        let written = gate.encode(&context, &mut AttrWriter::new(&mut buffer));
        assert!(matches!(written, Err(EncodeError::Invalid(_))), "{written:?}");
    }
}

#[test]
fn a_dump_has_a_clock_and_a_cycle_time() {
    let asked = Gate::new([GateEntry::open(US(200)), GateEntry::close(US(100))]);
    let dumped = asked.as_dumped(&Usual);
    assert_eq!((dumped.clock, dumped.cycle_time), (Some(Clock::TAI), Some(US(300))));
}
