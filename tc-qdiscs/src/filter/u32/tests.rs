use super::*;
use crate::action::tests::{Devices, message};
use tc_core::print::{Form, Style};
use tc_core::{Request, Verb};

fn read_at(words: &str, handle: Option<&str>) -> Result<(Option<U32>, Handle), WordError> {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
    let mut place = FilterPlace::default();
    place.handle_word = handle;
    U32::parse_filter(&mut Words::new(&words), &context, &place)
}

fn read(words: &str) -> U32 {
    let read = read_at(words, None);
    read.unwrap_or_else(|error| panic!("{words}: {error}")).0.unwrap()
}

fn keys(words: &str) -> Vec<(u32, u32, i32, i32)> {
    let selector = read(words).selector.unwrap();
    selector.keys.iter().map(|key| (key.value, key.mask, key.at, key.offset_mask)).collect()
}

#[test]
fn matches_become_keys() {
    for (words, expected) in [
        ("u32 0x0a000001 ff00ff00 at 12", &[(0x0a00_0000, 0xff00_ff00, 12, 0)][..]),
        ("u16 80 0xffff at 22", &[(80, 0xffff, 20, 0)]),
        ("u16 80 0xffff at nexthdr+0", &[(80 << 16, 0xffff_0000, 0, -1)]),
        ("u8 6 ff at nexthdr+ 9", &[(6 << 16, 0x00ff_0000, 8, -1)]),
        ("u8 1 ff at -3", &[(1 << 16, 0x00ff_0000, -4, 0)]),
        ("ip src 10.1.2.3/8", &[(0x0a00_0000, 0xff00_0000, 12, 0)]),
        ("ip dst 10/255.255.0.0", &[(0x0a00_0000, 0xffff_0000, 16, 0)]),
        ("ip src any", &[(0, 0, 12, 0)]),
        ("ip src 0.0.0.0/0", &[(0, 0, 12, 0)]),
        ("ip dport 22 0xffff", &[(22, 0xffff, 20, 0)]),
        ("ip sport 22 ffff match ip dport 80 ffff", &[(22 << 16 | 80, u32::MAX, 20, 0)]),
        ("ip protocol 6 0xff", &[(6 << 16, 0x00ff_0000, 8, 0)]),
        ("ip tos 0x10 0xff", &[(0x10 << 16, 0x00ff_0000, 0, 0)]),
        ("ip nofrag match u32 0 0", &[(0, 0x3fff, 4, 0), (0, 0, 0, 0)]),
        ("tcp dst 80 0xffff", &[(80, 0xffff, 0, -1)]),
        ("icmp code 3 0xff", &[(3 << 16, 0x00ff_0000, 0, -1)]),
        ("ip6 priority 0x10 0xff", &[(0x0100_0000, 0x0ff0_0000, 0, 0)]),
        ("ip6 dst 2001:db8::/48", &[(0x2001_0db8, u32::MAX, 24, 0), (0, 0xffff_0000, 28, 0)]),
        ("ip6 src any", &[]),
        ("ip6 icmp_code 1 0xff", &[(1 << 16, 0x00ff_0000, 40, 0)]),
        ("ether src 02:00:00:00:00:01", &[(0x0200_0000, u32::MAX, -8, 0), (0x0001_0000, 0xffff_0000, -4, 0)]),
        ("ether dst 2:0:0:0:0:1", &[(0x0200, 0xffff, -16, 0), (1, u32::MAX, -12, 0)]),
    ] {
        assert_eq!(keys(&format!("match {words}")), expected, "{words}");
    }
}

#[test]
fn sample_computes_the_bucket() {
    for (words, table) in [
        ("ht 2: sample ip src 1.2.3.4", U32::bucket(2, 4)),
        ("sample ip src 1.2.3.4 ht 2:", U32::bucket(2, 4)),
        ("ht 2: sample ip src 1.2.3.4/24", U32::bucket(2, 3)),
        ("ht 2: sample tcp dst 80 0xffff divisor 16", U32::bucket(2, 0)),
        ("ht 2:5:", U32::bucket(2, 5)),
    ] {
        assert_eq!(read(&format!("{words} match u32 0 0")).table, Some(table), "{words}");
    }
}

#[test]
fn handles_have_three_parts() {
    for (text, raw, written) in [
        ("2:5:7", 0x0020_5007, "2:5:7"),
        ("800::801", 0x8000_0801, "800::801"),
        ("::801", 0x801, "::801"),
        ("2:", 0x0020_0000, "2:"),
        ("2:5", 0x0020_5000, "2:5:"),
        ("0x80000800", 0x8000_0800, "800::800"),
    ] {
        assert_eq!(U32::parse_handle(text), Ok(Handle::from_raw(raw)), "{text}");
        assert_eq!(U32::write_handle(Handle::from_raw(raw)), written);
        assert_eq!(U32::parse_handle(written), Ok(Handle::from_raw(raw)), "{written}");
    }
    for text in ["12", "", "1000:", "1:100:", "1:1:1000", "x:", "1:1:1:1"] {
        assert_eq!(U32::parse_handle(text).unwrap_err().to_string(), "Illegal filter ID", "{text}");
    }
}

#[test]
fn order_is_the_node_of_the_handle() {
    assert_eq!(read_at("match u32 0 0 order 7", None).unwrap().1, Handle::from_raw(7));
    assert_eq!(read_at("match u32 0 0 order 7", Some("2:5:7")).unwrap().1, Handle::from_raw(0x0020_5007));
    let wrong = read_at("match u32 0 0 order 8", Some("2:5:7")).unwrap_err().to_string();
    assert_eq!(wrong, "\"order\" contradicts \"handle\"");
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("match", "Command line is not complete. Try option \"help\""),
        ("match ip", "Command line is not complete. Try option \"help\""),
        ("match foo 1 1", "Illegal \"match\""),
        ("match ip src 1.2.3.4/33", "Illegal \"match\""),
        ("match ip src 1.2.3.256", "Illegal \"match\""),
        ("match u8 256 0xff at 0", "Illegal \"match\""),
        ("match u16 65536 0xffff at 0", "Illegal \"match\""),
        ("match u32 0 0 at 2", "Illegal \"match\""),
        ("match u8 1 0xff at 0 match u8 2 0xff at 0", "Illegal \"match\""),
        ("match ether type 1", "Unknown match: ether type\nIllegal \"match\""),
        ("match ether src 1:2", "parse_ether_addr: improperly formed address '1:2'\nIllegal \"match\""),
        ("match mark 2 1 flowid 1:1", "Illegal \"mark\" (impossible combination)\nIllegal \"match\""),
        ("offset at 3", "offset \"at\" must be even\nIllegal \"offset\""),
        ("offset plus 65536", "Illegal \"offset\""),
        ("hashkey mask ff at 3", "Illegal \"hashkey\""),
        ("divisor 3", "Illegal \"divisor\""),
        ("divisor 512", "Illegal \"divisor\""),
        ("link 2:1:1", "\"link\" must be a hash table."),
        ("link 2", "Illegal \"link\""),
        ("sample mark 1 1", "\"sample\" must contain exactly ONE key."),
        ("ht 2: sample ip src 1.2.3.4 divisor 3", "Illegal sample \"divisor\""),
        ("order 0x1000", "Illegal \"order\""),
        ("classid x", "Illegal \"classid\""),
        ("indev", "Illegal indev"),
        (
            "match u32 0 0 police drop",
            "'rate' or 'avrate' or 'mtu' or 'pkts_rate' MUST be specified.\nIllegal \"police\"",
        ),
        ("skip_hw skip_sw", "skip_hw and skip_sw are mutually exclusive"),
        ("verbose", "What is \"verbose\"?"),
    ] {
        assert_eq!(read_at(words, None).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(read_at("help", None), Err(WordError::Help));
}

#[test]
fn police_beside_actions_is_refused() {
    let police = read("match u32 0 0 police rate 1mbit burst 10k flowid 1:1").police;
    assert!(police.is_some());
    let both = U32 {
        police,
        actions: read("match u32 0 0 action mirred egress redirect dev lo").actions,
        ..U32::default()
    };
    let request = Request::filter(1).options(&both);
    let refused = request.encode(Verb::Add, 0, &mut bytes::BytesMut::new()).unwrap_err().to_string();
    assert!(refused.contains("\"police\" and \"action\" are mutually exclusive"), "{refused}");
}

#[test]
fn every_option_reads_back_from_bytes_and_words() {
    let sent = |u32: &U32| message(&Request::filter(1).options(u32), Verb::Add)[44..].to_vec();
    for words in [
        "divisor 256",
        "match ip src 10.0.0.0/8 match ip dport 80 0xffff flowid 1:10",
        "ht 2:5: match u32 0 0 police rate 1mbit burst 10k conform-exceed drop/pass",
        "match ip dst 1.2.3.0/24 link 2: hashkey mask 0xff at 16",
        "match mark 1 0xff offset at 0 mask 0f00 shift 6 plus 4 eat indev lo skip_hw flowid 1:10",
        "match tcp dst 80 0xffff action drop",
        "match ip6 src any flowid 1:1",
        "match u32 0 0 classid none",
    ] {
        let u32 = read(words);
        let bytes = sent(&u32);
        assert_eq!(U32::decode(&bytes[4..]), Ok(u32.clone()), "{words}");
        let mut out = OptionWords::new();
        u32.to_words(&FilterPlace::default(), &mut out);
        assert_eq!(out.unsayable(), [""; 0], "{words}");
        let line = out.lines().concat();
        assert_eq!(sent(&read(&line)), bytes, "{words}: {line}");
    }
}

fn print(u32: &U32, protocol: u16, form: Form, style: Style) -> String {
    let mut out = Printer::new(form, style);
    let mut place = FilterPlace::default();
    (place.protocol, place.handle) = (Some(protocol), Handle::from_raw(0x8000_0800));
    out.object("", |out| FilterSyntax::print(u32, &place, out));
    out.as_str().to_owned()
}

#[test]
fn fields_are_printed_each_on_its_line() {
    let style = Style { pretty: true, ..Style::default() };
    let ip = read(
        "match ip src 10.0.0.0/8 match ip dport 80 0xffff match ip protocol 6 ff match tcp dst 1 ff flowid 1:1",
    );
    assert_eq!(
        print(&ip, ETH_P_IP, Form::Text, style),
        "fh 800::800 order 2048 flowid 1:1 \n  match IP src 10.0.0.0/8\n  match dport 80\n  \
         match IP protocol 6\n  match 00000001/000000ff at nexthdr+0"
    );
    let ip6 = read("match ip6 dst 2001:db8::/48 match ip6 protocol 58 ff match ip6 sport 53 ffff flowid 1:1");
    assert_eq!(
        print(&ip6, ETH_P_IPV6, Form::Text, style),
        "fh 800::800 order 2048 flowid 1:1 \n  match IP6 dst 2001:db8::/48\n  match IP6 protocol 58\n  match sport 53"
    );
    assert!(print(&ip6, ETH_P_ALL, Form::Text, style).contains("match 20010db8/ffffffff at 24"));
}

#[test]
fn json_is_valid_where_tcs_is_not() {
    let u32 = read("match ip src 10.0.0.0/8 match u32 0 0 offset plus 4 eat flowid 1:1");
    assert_eq!(
        print(&u32, ETH_P_IP, Form::Json, Style::default()),
        concat!(
            r#"{"fh":"800::800","order":2048,"flowid":"1:1","matches":["#,
            r#"{"value":"a000000","mask":"ff000000","offmask":"","off":12},"#,
            r#"{"value":"0","mask":"0","offmask":"","off":0}],"plus":4,"eat":true}"#
        )
    );
}

#[test]
fn reported_fields_are_not_sent() {
    let there = U32 { flags: TCA_CLS_FLAGS_NOT_IN_HW, counters: Some(Counters::default()), ..U32::default() };
    let bytes = message(&Request::filter(1).options(&there), Verb::Add);
    assert_eq!(&bytes[36..], b"\x08\0\x01\0u32\0\x04\0\x02\0");
}
