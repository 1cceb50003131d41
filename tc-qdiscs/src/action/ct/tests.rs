use super::*;
use std::net::IpAddr;
use tc_core::Verb;
use tc_core::words::Usual;

fn parse(words: &str) -> Result<(Ct, usize), WordError> {
    let list: Vec<_> = words.split_whitespace().collect();
    let mut words = Words::new(&list);
    let ct = Ct::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
    Ok((ct.unwrap(), words.rest().len()))
}

#[test]
fn words_are_read_and_the_rest_stays() {
    let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
    let commit = Ct::new().commit(true);
    let range = NatRange::addresses(ip(1), ip(5));
    let v6 = "fe80::1".parse().unwrap();
    let mut label = [0; 16];
    label[..2].copy_from_slice(&[1, 2]);
    for (words, ct, left) in [
        ("", Ct::new(), 0),
        ("clear index 5 drop", Ct::new().clear(true).index(5).control(Control::Drop), 0),
        ("nat", Ct::new().nat(Nat::Restore), 0),
        ("nat pipe action ok", Ct::new().nat(Nat::Restore), 2),
        ("commit force mark 0x5/0xff", commit.clone().force(true).mark(Masked { value: 5, mask: 255 }), 0),
        ("commit zone 0x7 mark 9", commit.clone().zone(7).mark(Masked::from(9)), 0),
        ("commit label 0102", commit.clone().label(Masked::from(label)), 0),
        ("commit nat src addr 10.0.0.1-10.0.0.5", commit.clone().nat(Nat::Src(range)), 0),
        (
            "commit nat dst addr fe80::1 port 80-90 drop",
            commit
                .clone()
                .nat(Nat::Dst(NatRange::addresses(v6, v6).with_ports(80, 90)))
                .control(Control::Drop),
            0,
        ),
        ("commit helper ipv4-tcp-ftp", commit.clone().helper(Helper::ipv4(6, "ftp")), 0),
        ("commit helper ipv6-99-x", commit.helper(Helper::ipv6(99, "x")), 0),
    ] {
        assert_eq!(parse(words), Ok((ct.clone(), left)), "{words}");
        let mut told = OptionWords::new();
        ct.to_words(&mut told);
        assert!(told.unsayable().is_empty(), "{told:?}");
        assert_eq!(parse(&told.lines().join(" ")), Ok((ct, 0)), "{told:?}");
    }
}

/// tc 6.1 reads the index before the control action, and wants a word after a translation.
#[test]
fn words_stand_in_the_order_that_tc_reads() {
    let mut told = OptionWords::new();
    let range = NatRange::addresses([10, 0, 0, 1].into(), [10, 0, 0, 1].into());
    Ct::new().commit(true).zone(3).nat(Nat::Src(range)).index(5).to_words(&mut told);
    assert_eq!(told.lines(), ["commit zone 3 nat src addr 10.0.0.1 index 5 pipe"]);
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("zone 65536", "ct: Illegal \"zone\""),
        ("zone", "Command line is not complete. Try option \"help\""),
        ("mark 1/x", "ct: Illegal \"mark\""),
        ("label 0x", "Error: argument \"0x\" is wrong: ct: labels must be a hex string\n"),
        ("label 01/2", "Error: argument \"2\" is wrong: ct: labels mask must be a hex string\n"),
        ("clear commit", "ct: clear can only be used alone"),
        ("commit nat", "ct: commit and nat must set src or dst"),
        ("nat src addr 10.0.0.1", "ct: src or dst is only valid if commit is set"),
        ("commit nat src addr 10.0.0.1 nat dst addr 10.0.0.1", "ct: src and dst nat can't be used together"),
        ("commit nat src addr x", "Error: any valid address is expected rather than \"x\"."),
        ("commit nat src addr ::1-10.0.0.1", "Error: inet6 address is expected rather than \"10.0.0.1\"."),
        ("commit nat src addr ::1 port x", "ct: Illegal nat port range"),
        ("commit helper tcp-ftp", "ct: Illegal \"helper\""),
        ("commit helper ipv4-tcp-a-b", "ct: Illegal \"helper\""),
        ("index x", "ct: Illegal \"index\""),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
    }
    let long = parse(&format!("label {}", "0".repeat(34))).unwrap_err().to_string();
    assert!(long.ends_with("is wrong: 34 Max allowed size 32"), "{long}");
    for words in ["help", "commit nat src port"] {
        assert_eq!(parse(words), Err(WordError::Help));
    }
}

#[test]
fn a_dump_has_a_zone_and_no_empty_masks() {
    let asked = Ct::new().commit(true).mark(Masked { value: 5, mask: 0 });
    let dumped = asked.as_dumped(&Usual);
    assert_eq!((dumped.zone, dumped.mark), (Some(0), None));
    let cleared = Ct::new().clear(true).zone(7).as_dumped(&Usual);
    assert_eq!(cleared, Ct::new().clear(true));
}
