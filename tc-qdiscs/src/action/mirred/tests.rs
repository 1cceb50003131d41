use super::*;
use crate::action::tests::Devices;
use tc_core::Verb;

fn parse(words: &[&str]) -> Result<(Mirred, usize), WordError> {
    let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
    let mut words = Words::new(words);
    let mirred = Mirred::parse_words(&mut words, &context)?;
    Ok((mirred.unwrap(), words.rest().len()))
}

#[test]
fn words_are_read_and_the_rest_stays() {
    let to = Mirred::to;
    for (words, mirred, left) in [
        (&["egress", "redirect", "dev", "lo"][..], to(Eaction::EgressRedirect, 1), 0),
        (
            &["ingress", "redirect", "dev", "lo", "index", "7"],
            Mirred { index: 7, ..to(Eaction::IngressRedirect, 1) },
            0,
        ),
        (
            &["egress", "mirror", "index", "7", "dev", "lo", "continue", "action", "x"],
            Mirred { index: 7, control: Control::Continue, ..to(Eaction::EgressMirror, 1) },
            2,
        ),
        (&["ing", "mirr", "dev", "lo", "cookie"], to(Eaction::IngressMirror, 1), 1),
        (&["index", "5", "action"], Mirred::at_index(5), 1),
        (&["egress", "redirect", "dev", "lo", "drop"], to(Eaction::EgressRedirect, 1), 1),
        (&["egress", "redirect", "odd", "dev", "lo"], to(Eaction::EgressRedirect, 1), 0),
        (
            &["egress", "mirror", "blockid", "0x16", "drop", "index", "7"],
            Mirred {
                index: 7,
                control: Control::Drop,
                block: NonZero::new(22),
                ..to(Eaction::EgressMirror, 0)
            },
            0,
        ),
    ] {
        assert_eq!(parse(words), Ok((mirred, left)), "{words:?}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    let incomplete = "Command line is not complete. Try option \"help\"";
    for (words, text) in [
        (&[][..], incomplete),
        (&["egress"], incomplete),
        (&["egress", "redirect"], incomplete),
        (&["egress", "redirect", "dev"], incomplete),
        (&["egress", "redirct", "dev", "lo"], incomplete),
        (&["egress", "ingress", "dev", "lo"], "Can't have both ingress and egress"),
        (&["ingress", "egress", "dev", "lo"], "Can't have both egress and ingress"),
        (&["egress", "mirror", "redirect", "dev", "lo"], "Can't have both mirror and redir"),
        (&["index", "x"], "Illegal \"index\""),
        (&["index", "0x5"], "Illegal \"index\""),
        (&["egress", "redirect", "dev", "lo", "index", "x"], "mirred: Illegal \"index\""),
        (&["egress", "redirect", "index", "1", "dev", "lo", "index", "2"], "mirred: Illegal double index"),
        (&["egress", "redirect", "blockid", "0"], "invalid block ID"),
        (&["egress", "redirect", "blockid", "4294967296"], "invalid block ID"),
        (&["egress", "redirect", "blockid", "3", "dev", "lo"], "blockid and device are mutually exclusive."),
        (&["redirect", "dev", "lo"], "mirred option not supported redirect"),
        (&["egress", "redirect", "dev", "nix"], "Cannot find device \"nix\""),
        (&["egress", "mirror", "dev", "lo", "goto", "5"], "\"chain index\" expected"),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
    }
    assert_eq!(parse(&["help"]), Err(WordError::Help));
}

#[test]
fn short_payloads_are_errors() {
    assert!(Mirred::decode(&[]).is_err());
    assert!(Mirred::decode(&[8, 0, 2, 0, 1, 0, 0, 0]).is_err());
}
