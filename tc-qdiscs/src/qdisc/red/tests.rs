use super::*;
use tc_core::Verb;

fn parse(words: &str) -> Result<Red, WordError> {
    let words: Vec<_> = words.split(' ').collect();
    Red::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(|red| red.unwrap())
}

#[test]
fn lengths_follow_from_each_other() {
    let red = parse("limit 400k avpkt 1000").unwrap();
    assert_eq!((red.min_bytes, red.max_bytes), (34_133, 102_400));
    let red = parse("limit 400k avpkt 1000 min 10k").unwrap();
    assert_eq!((red.min_bytes, red.max_bytes), (10_240, 30_720));
}

#[test]
fn bad_words_have_tcs_text() {
    let needed = "limit 400k avpkt 1000 ";
    for (words, text) in [
        ("limit 400k", "RED: Required parameter (limit, avpkt) is missing"),
        ("qevent x block 1", "Unknown qevent `x'"),
        ("qevent mark x", "Unspecified qevent block index"),
        ("qevent mark block 0", "Illegal qevent block index"),
        ("qevent mark block 1 block 2", "Qevent block index already specified"),
        ("qevent mark block 1 qevent mark block 2", "Duplicate qevent"),
        ("probability x", "Illegal \"probability\""),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(parse(&format!("{needed}qevent mark")), Err(WordError::Incomplete));
    assert!(parse(&format!("{needed}q early_drop block 7")).unwrap().early_drop_block == Some(7));
}

#[test]
fn parameters_are_needed() {
    assert_eq!(Red::decode(&[]), Err(DecodeError::Missing { what: "parameters" }));
}
