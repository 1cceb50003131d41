//! A tree of many kinds with traffic: tc and tc-cli show it alike, in every form.

use serde_json::Value;
use tests::lab::Net;
use tests::{need, newer_tc};

/// A device for each root; packets are sent into all of them.
const COMMANDS: &[&str] = &[
    "qdisc add dev d0 root handle 1: htb default 10",
    "class add dev d0 parent 1: classid 1:1 htb rate 1gbit ceil 1gbit",
    "class add dev d0 parent 1:1 classid 1:10 htb rate 100mbit ceil 1gbit",
    "class add dev d0 parent 1:1 classid 1:20 htb rate 10mbit prio 3",
    "qdisc add dev d0 parent 1:10 handle 10: netem limit 100 delay 200s",
    "qdisc add dev d0 parent 1:20 handle 20: fq_codel",
    "qdisc add dev d0 clsact",
    "qdisc add dev d1 root handle 1: prio bands 5",
    "qdisc add dev d1 parent 1:1 handle 11: pfifo limit 3",
    "qdisc add dev d1 parent 1:2 handle 12: bfifo limit 200",
    "qdisc add dev d1 parent 1:3 handle 13: pfifo_head_drop limit 3",
    "qdisc add dev d1 parent 1:4 handle 14: tbf rate 1mbit burst 10k latency 50ms",
    "qdisc add dev d1 parent 1:5 handle 15: pfifo_fast",
    "qdisc add dev d1 ingress",
    "qdisc add dev d2 root handle 1: plug limit 300",
    "qdisc add dev d3 root handle 1: tbf rate 8bit burst 100b limit 300b",
    "qdisc add dev q0 root handle 1: mq",
];

const SHOWS: &[&str] = &[
    "qdisc show",
    "-s -d qdisc show",
    "-s -d -r qdisc show",
    "-s -d -iec qdisc show",
    "-g qdisc show",
    "-s -d class show dev d0",
    "-s -r class show dev d1",
    "-j qdisc show",
    "-j -p -s -d qdisc show",
    "-j -s -d -r qdisc show dev d0",
];

#[test]
fn a_tree_with_traffic_is_shown_alike() {
    need!(
        "all-words-in-tc",
        "sch_plug",
        "sch_htb",
        "sch_netem",
        "sch_fq_codel",
        "sch_prio",
        "sch_tbf",
        "sch_clsact",
        "ifb",
        "veth"
    );
    let net = Net::new();
    net.veth("d0", "d1");
    net.veth("d2", "d3");
    net.ip("link add q0 numtxqueues 4 type ifb").ok();
    for command in COMMANDS {
        net.tc_cli(command).ok();
    }
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9, 0x88, 0xb5], &[0; 86]].concat();
    for dev in ["d0", "d1", "d2", "d3"] {
        let wire = net.wire(dev);
        for _ in 0..7 {
            // Packets that a full queue refuses count as well.
            let _ = wire.send(&frame);
        }
    }
    let all = net.tc("-s qdisc show").ok();
    for counted in ["qdisc plug 1:", "dropped 4", "qdisc noqueue 0:", "qdisc mq 1:", "qdisc ingress ffff:"] {
        assert!(all.contains(counted), "no {counted}\n{all}");
    }
    for words in SHOWS {
        let (theirs, ours) = (net.tc(words).ok(), net.tc_cli(words).ok());
        if words.contains("-j") {
            let [theirs, ours] = [theirs, ours].map(|text| serde_json::from_str::<Value>(&text).ok());
            assert!(ours.is_some(), "tc-cli {words} is no JSON");
            let [theirs, ours] = [theirs, ours].map(|value| value.as_ref().map(newer_tc::json));
            assert_eq!(ours, theirs, "{words}");
        } else {
            assert_eq!(newer_tc::text(&ours), newer_tc::text(&theirs), "{words}");
        }
    }
}
