use super::*;
use tc_core::Verb;
use tc_core::words::Usual;

fn parse(words: &str) -> Result<(Ife, usize), WordError> {
    let list: Vec<_> = words.split_whitespace().collect();
    let mut words = Words::new(&list);
    let ife = Ife::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
    Ok((ife.unwrap(), words.rest().len()))
}

#[test]
fn words_are_read_and_the_rest_stays() {
    let all = Ife::encoder()
        .mark(Metadata::Allow)
        .prio(Metadata::Use(5))
        .tcindex(Metadata::Use(7))
        .ethertype(0xdead)
        .dst([2, 0, 0, 0, 0, 1])
        .src([2, 0, 0, 0, 0, 2]);
    for (words, ife, left) in [
        ("decode", Ife::decoder(), 0),
        ("d pass index 0x5 action ok", Ife::decoder().control(Control::Pass).index(5), 2),
        ("index 5", Ife::decoder().index(5), 0),
        ("encode", Ife::encoder(), 0),
        (
            "encode use mark 9 allow mark drop",
            Ife::encoder().mark(Metadata::Use(9)).control(Control::Drop),
            0,
        ),
        (
            "encode allow mark use prio 5 use tcindex 7 type 0xdead dst 2:0:0:0:0:1 src 02:00:00:00:00:02",
            all,
            0,
        ),
    ] {
        assert_eq!(parse(words), Ok((ife, left)), "{words}");
        let mut told = OptionWords::new();
        ife.to_words(&mut told);
        assert!(told.unsayable().is_empty(), "{told:?}");
        assert_eq!(parse(&told.lines().join(" ")), Ok((ife, 0)), "{told:?}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("", "Command line is not complete. Try option \"help\""),
        ("encode allow", "Command line is not complete. Try option \"help\""),
        ("encode use mark", "Command line is not complete. Try option \"help\""),
        ("allow mark", "IFE requires decode/encode specified"),
        ("encode allow x", "Error: argument \"x\" is wrong: Illegal meta define"),
        ("encode use x", "Error: argument \"x\" is wrong: Illegal meta use type"),
        ("encode use prio x", "Error: argument \"x\" is wrong: ife prio val is invalid"),
        ("encode use tcindex 65536", "Error: argument \"65536\" is wrong: ife tcindex val is invalid"),
        ("encode type x", "Error: argument \"x\" is wrong: ife type is invalid"),
        ("encode dst 2:0", "Error: argument \"2:0\" is wrong: Invalid mac address"),
        ("encode index x", "ife: Illegal \"index\""),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(parse("help"), Err(WordError::Help));
}

#[test]
fn a_value_of_zero_is_sent_and_has_no_words() {
    let (ife, _) = parse("encode use mark 0").unwrap();
    assert_eq!(ife.mark, Some(Metadata::Use(0)));
    let mut told = OptionWords::new();
    ife.to_words(&mut told);
    assert_eq!(told.unsayable().len(), 1);
}

#[test]
fn a_dump_has_a_type_and_of_decode_all_metadata() {
    assert_eq!(Ife::encoder().as_dumped(&Usual), Ife::encoder().ethertype(0xed3e));
    let dumped = Ife::decoder().mark(Metadata::Allow).ethertype(0);
    assert_eq!(dumped.as_dumped(&Usual), Ife::decoder());
}
