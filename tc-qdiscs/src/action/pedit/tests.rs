use super::*;
use std::net::Ipv4Addr;

use tc_core::Verb;

fn parse(words: &str) -> Result<(Pedit, usize), WordError> {
    let list: Vec<_> = words.split_whitespace().collect();
    let mut words = Words::new(&list);
    let pedit = Pedit::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
    Ok((pedit.unwrap(), words.rest().len()))
}

fn words_of(pedit: &Pedit) -> String {
    let mut words = OptionWords::new();
    pedit.to_words(&mut words);
    assert!(words.unsayable().is_empty(), "{pedit:?}: {:?}", words.unsayable());
    words.lines().join(" ")
}

#[test]
fn words_of_fields_become_their_keys() {
    let src = Ipv4Addr::new(1, 2, 3, 4).to_bits();
    for (words, keys) in [
        ("ex munge ip ttl decrement", vec![Field::IP_TTL.decrement()]),
        ("munge ip src set 1.2.3.4", vec![Field::IP_SRC.set(src).in_network_header()]),
        ("munge ip dst clear", vec![Field::IP_DST.set(0).in_network_header()]),
        ("ex munge ip ds set 8 munge ip p add 1", vec![Field::IP_TOS.set(8), Field::IP_TOS.add(1)]),
        ("ex munge eth src set 2:0:0:0:0:1", eth_src([2, 0, 0, 0, 0, 1]).to_vec()),
        ("ex munge ip6 dst set fe80::1", ip6_dst("fe80::1".parse().unwrap()).to_vec()),
        ("ex munge ip6 flow_lbl set 0xabcde", vec![Field::IP6_FLOW_LABEL.set(0xabcde)]),
        (
            "ex munge tcp flags invert munge udp dport set 9",
            vec![Field::TCP_FLAGS.invert(), Field::UDP_DPORT.set(9)],
        ),
        ("munge offset 12 u32 set 0x90abcdef", vec![Key::new(Header::Network, 12, 0x90ab_cdef)]),
    ] {
        let (pedit, left) = parse(words).unwrap();
        assert_eq!((pedit.keys, left), (keys, 0), "{words}");
    }
}

#[test]
fn words_become_these_values_and_masks() {
    for (words, keys) in [
        ("munge ip ihl set 0xff", &[(0, 0x0f00_0000, 0xf0ff_ffff)][..]),
        ("munge ip df set 0xff", &[(4, 0x4000, 0xffff_bfff)]),
        ("munge ip dport set 0x1234", &[(20, 0x1234, 0xffff_0000)]),
        (
            "munge ip icmp_type set 8 munge ip icmp_code set 3",
            &[(20, 0x0800_0000, 0x00ff_ffff), (20, 0x0003_0000, 0xff00_ffff)],
        ),
        ("ex munge ip6 traffic_class set 0x40", &[(0, 0x0400_0000, 0xf00f_ffff)]),
        ("munge offset -14 u16 set 5", &[(-16, 5, 0xffff_0000)]),
        ("munge offset 1 u16 set 0x3456", &[(0, 0x0034_5600, 0xff00_00ff)]),
        ("munge offset 2 u8 invert", &[(0, 0xff00, u32::MAX)]),
        ("munge offset 0 u16 preserve", &[(0, 0, u32::MAX)]),
        ("munge offset 12 u32 set 0x12345678 retain 0xff00", &[(12, 0x5600, 0xffff_00ff)]),
        ("munge offset 0 u32 invert retain 0xf", &[(0, 0xf, u32::MAX)]),
        ("ex munge offset 15 u8 add 40 retain 0xf0", &[(12, 0x20, 0xffff_ff0f)]),
    ] {
        let (pedit, _) = parse(words).unwrap();
        let found: Vec<_> = pedit.keys.iter().map(|key| (key.offset, key.value, key.mask)).collect();
        assert_eq!(found, keys, "{words}");
        let again = words_of(&pedit);
        assert_eq!(parse(&again), Ok((pedit, 0)), "{words}: {again}");
    }
}

#[test]
fn a_moving_offset_has_three_numbers() {
    let (pedit, _) = parse("munge offset 22 u16 at 0 0f 2 set 5").unwrap();
    let key = pedit.keys[0];
    assert_eq!((key.at, key.offset_mask, key.shift, key.value), (0, 0xf, 2, 5));
    assert_eq!(parse("munge offset 22 u16 at 0 offmask 0f shift 2 set 5"), Ok((pedit.clone(), 0)));
    assert_eq!(words_of(&pedit), "munge offset 20 u32 at 0 0xf 2 set 0x00000005 retain 0xffff");
}

#[test]
fn words_of_keys_name_their_fields() {
    for words in [
        "ex munge eth dst set 02:00:00:00:00:01 munge eth src add 02:00:00:00:00:02 munge eth type set 2048",
        "ex munge ip6 src set fe80::1 munge ip6 dst set ::2 munge ip6 hoplimit add 255",
        "ex munge ip src set 10.0.0.1 munge ip ttl set 3 retain 0xf munge ip ihl invert retain 0xf",
        "ex munge tcp sport set 1 munge udp dport add 2 drop index 5",
        "munge offset -4 u32 set 0x00000005 continue",
        "ex munge ip6 flow_lbl set 5 retain 0xfffff",
    ] {
        let (pedit, left) = parse(words).unwrap();
        assert_eq!((words_of(&pedit), left), (words.to_owned(), 0));
    }
}

#[test]
fn keys_without_words_are_named() {
    let [half, _] = eth_dst([1; 6]);
    let wide = Key { mask: 0xff00_0000, ..Key::new(Header::Tcp, 0, 7) };
    let other = Key { command: Command::Other(7), ..Key::new(Header::Tcp, 0, 7) };
    let unknown = Key::new(Header::Other(9), 0, 7);
    let between = Key::new(Header::Network, 2, 7);
    for key in [half, wide, other, unknown, between] {
        let mut words = OptionWords::new();
        Pedit::new([key]).to_words(&mut words);
        assert_eq!(words.unsayable().len(), 1, "{key:?}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    let first = |words: &str| {
        let text = parse(words).unwrap_err().to_string();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let incomplete = "Command line is not complete. Try option \"help\"";
    for (words, text) in [
        ("", incomplete),
        ("ex", incomplete),
        ("munge", incomplete),
        ("munge ip", incomplete),
        ("munge ip src", "bad pedit parsing"),
        ("munge ip src set", incomplete),
        ("munge ip src set 10.0.0.0/8", "bad pedit parsing"),
        ("munge ip nothing set 1", "bad pedit parsing"),
        ("munge tcp dport set 80", "bad pedit parsing"),
        ("ex munge ip dport set 80", "bad pedit parsing"),
        ("munge icmp type set 8", "bad pedit parsing"),
        ("munge what ever", "Unknown action  hence option \"ever\" is unparsable"),
        ("munge ip ttl set 300", "pack_key8 bad value (val 12c mask 0"),
        ("ex munge eth type set 65536", "pack_key16 bad value"),
        ("ex munge eth src invert", "invert is not supported for fields longer the 32 bits"),
        ("ex munge ip6 dst preserve", "retain is not supported for fields longer the 32 bits"),
        ("munge ip ttl add 1", "Non extended mode. only 'set' command is supported"),
        ("munge ip ttl decrement", "Non extended mode. only 'set' command is supported"),
        ("ex munge ip tos decrement", "decrement command is not supported for this field"),
        ("munge offset x u32 set 1", "Bad pedit construct (x)"),
        ("munge offset 0 u9 set 1", "Bad pedit construct (0)"),
        ("munge offset 2 u32 set 1", "pack_key32: 32 bit offsets must begin in 32bit boundaries"),
        ("munge offset 3 u16 set 1", "pack_key16 bad index value 3"),
        ("munge offset 0 u8 retain 1", "Bad pedit construct (retain)"),
        ("munge offset 12 u32 set x", "Bad pedit construct (set)"),
        ("ex munge eth src set 2:0:x:0:0:1", "\"x\" is invalid lladdr."),
        ("munge ip ttl set 1 pedit ex", "'ex' must be before first 'munge'"),
        ("munge ip ttl set 1 index x", "Pedit: Illegal \"index\""),
    ] {
        assert_eq!(first(words), text, "{words}");
    }
    assert_eq!(parse("help"), Err(WordError::Help));
    let many = "munge ip ttl set 1 ".repeat(129);
    assert!(first(&many).starts_with("more than 128 keys"));
}

#[test]
fn a_plain_pedit_refuses_keys_of_headers() {
    let pedit = Pedit { extended: false, ..Pedit::new([Field::TCP_DPORT.set(80)]) };
    let mut buffer = bytes::BytesMut::new();
    let context = FillContext { verb: Verb::Add, as_tc: true };
    let written = pedit.encode(&context, &mut AttrWriter::new(&mut buffer));
    assert!(matches!(written, Err(EncodeError::Invalid(_))), "{written:?}");
}
