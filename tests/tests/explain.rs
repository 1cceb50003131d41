//! `tc-cli explain`: the way of a packet, as text and as JSON, and bad input.
#![expect(clippy::panic, reason = "a test stops at an unexpected error")]

use std::fs;

use serde_json::Value;
use tests::lab::{Net, Output};
use tests::need;

fn explain(net: &Net, words: &[&str]) -> Output {
    net.run(tests::lab::tc_cli(), &[&["explain"], words].concat())
}

fn json(net: &Net, words: &[&str]) -> Value {
    let text = net.run(tests::lab::tc_cli(), &[&["-j", "explain"], words].concat()).ok();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    value[0].clone()
}

const TCP: &str = "tcp 10.0.0.1:80 > 10.0.0.9:4711 mark 7 vlan 5";

#[test]
fn bad_words_are_one_line_and_exit_1() {
    need!("netns");
    let net = Net::new();
    for words in [
        &[][..],
        &["lo"],
        &["dev"],
        &["dev", "lo"],
        &["dev", "lo", "egress"],
        &["dev", "nodev", TCP],
        &["dev", "lo", "tcp"],
        &["dev", "lo", "tcp 10.0.0.1:80 > 10.0.0.9:4711 mark x"],
        &["dev", "lo", "tcp 10.0.0.1:80 > fd00::1"],
        &["dev", "lo", "police", "maybe", TCP],
        &["dev", "lo", "pcap"],
        &["dev", "lo", "pcap", "/nonexistent"],
        &["dev", "lo", "pcap", "/proc/self/stat"],
        &["dev", "lo", "pcap", "file", "count", "x"],
    ] {
        let output = explain(&net, words);
        assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{words:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{words:?}: {}", output.stderr);
    }
    assert!(explain(&net, &["--help"]).ok().contains("PACKET := "));
}

#[test]
fn a_packet_ends_in_a_class_by_default() {
    need!("sch_htb", "dummy");
    let net = Net::new();
    net.ip("link add d0 type dummy").ok();
    net.tc_cli("qdisc add dev d0 root handle 1: htb default 10").ok();
    net.tc_cli("class add dev d0 parent 1: classid 1:10 htb rate 1mbit").ok();
    let text = explain(&net, &["dev", "d0", TCP]).ok();
    assert!(text.contains("qdisc 1: htb\n  class 1:10, by default\nend: class 1:10, in pfifo\n"), "{text}");
    let direct = explain(&net, &["dev", "d0", "ip 10.0.0.1 > 10.0.0.2 prio 1:"]).ok();
    assert!(direct.contains("end: sent without a queue"), "{direct}");
    let end = &json(&net, &["dev", "d0", "udp 10.0.0.1:1 > 10.0.0.2:2 prio 1:10"])["end"];
    assert_eq!((end["what"].as_str(), end["class"].as_str()), (Some("queued"), Some("1:10")));
    assert!(explain(&net, &["dev", "d0", "ingress", TCP]).ok().contains("end: received by the machine"));
}

#[test]
fn filters_and_actions_are_named_with_reasons() {
    need!("sch_htb", "sch_clsact", "cls_u32", "cls_flower", "cls_basic", "act_police", "act_mirred", "dummy");
    let net = Net::new();
    net.ip("link add d0 type dummy").ok();
    net.ip("link add d1 type dummy").ok();
    for command in [
        "qdisc add dev d0 root handle 1: htb default 10",
        "class add dev d0 parent 1: classid 1:10 htb rate 1mbit",
        "class add dev d0 parent 1: classid 1:20 htb rate 1mbit",
        "qdisc add dev d0 clsact",
        "filter add dev d0 parent 1: pref 1 protocol ip u32 match ip dport 22 0xffff classid 1:10",
        "filter add dev d0 parent 1: pref 2 protocol ip u32 match ip dport 80 0xffff classid 1:20",
        "filter add dev d0 egress pref 3 protocol ip flower ip_proto tcp dst_port 443 action mirred egress redirect dev d1",
        "filter add dev d0 ingress pref 4 protocol ip flower ip_proto udp action police rate 1mbit burst 10k mtu 9000 drop",
        "filter add dev d0 ingress pref 5 protocol ip flower ct_state +trk action drop",
    ] {
        net.tc_cli(command).ok();
    }
    let text = explain(&net, &["dev", "d0", "tcp 10.0.0.1:4711 > 10.0.0.9:80"]).ok();
    for line in [
        "    chain 0 pref 3 protocol ip handle 0x1 flower: no: dst_port is 80, not 443/0xffff",
        "    chain 0 pref 1 protocol ip handle 800::800 u32: no: at 20 is 0x12670050, not 0x00000016/0x0000ffff",
        "    chain 0 pref 2 protocol ip handle 801::800 u32: matches, class 1:20",
        "  class 1:20, by a filter",
        "end: class 1:20, in pfifo",
    ] {
        assert!(text.lines().any(|other| other == line), "no {line}\n{text}");
    }
    let taken = json(&net, &["dev", "d0", "tcp 10.0.0.1:4711 > 10.0.0.9:443"]);
    assert_eq!(
        (&taken["end"]["what"], &taken["copies"][0]["dev"]),
        (&"stolen".into(), &"d1".into()),
        "{taken}"
    );
    let udp = "udp 10.0.0.1:1 > 10.0.0.2:2";
    let ends = [&["dev", "d0", "ingress", udp][..], &["dev", "d0", "ingress", "police", "exceed", udp]];
    let ends = ends.map(|words| json(&net, words)["end"]["what"].clone());
    assert_eq!(ends, ["unknown", "dropped"].map(Value::from));
    let unknown = explain(&net, &["dev", "d0", "ingress", "tcp 10.0.0.1:1 > 10.0.0.2:2"]).ok();
    assert!(unknown.contains("end: cannot know: the key ct_state of flower"), "{unknown}");
}

#[test]
fn packets_of_a_capture_are_explained() {
    need!("netns");
    let net = Net::new();
    let mut capture = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    capture.extend([0; 16]);
    capture.extend(1_u32.to_le_bytes());
    for length in [60_u32, 80, 9] {
        capture.extend([0; 8]);
        capture.extend(length.to_le_bytes());
        capture.extend(length.to_le_bytes());
        capture.extend(vec![2; length as usize]);
    }
    let path = std::env::temp_dir().join(format!("explain-{}.pcap", std::process::id()));
    fs::write(&path, capture).unwrap();
    let path_text = path.to_str().unwrap();
    let text = explain(&net, &["dev", "lo", "pcap", path_text, "count", "2"]);
    let all = explain(&net, &["dev", "lo", "pcap", path_text]);
    fs::remove_file(&path).unwrap();
    assert_eq!(text.ok().matches("\nend: sent without a queue\n").count(), 2);
    assert!(all.ok().contains("packet 3 of "));
}
