//! tc and tc-cli do the same: the same commands in paired namespaces end alike and leave equal
//! states, and both print a state identically.
#![expect(clippy::panic, reason = "a test stops at an unexpected error")]

use std::time::SystemTime;

use serde_json::Value;
use tc_core::{Registry, TcType};
use tc_qdiscs as _;
use tests::captures;
use tests::lab::need::has;
use tests::lab::{Net, Output, one_in};
use tests::paired_hosts::{Shown, Twins};
use tests::{need, newer_tc};

fn twins() -> Twins {
    Twins::new(|net| net.veth("d0", "d1"))
}

/// Runs a command on both sides: exit code and first line must agree. Returns the code.
#[track_caller]
fn run(twins: &Twins, words: &str) -> i32 {
    let [theirs, ours] = twins.run(words);
    assert_eq!(outcome(&ours), outcome(&theirs), "{words}");
    ours.code
}

/// Both tools show both hosts alike.
#[track_caller]
fn show(twins: &Twins, shows: &[&str], after: &str) {
    for words in shows {
        let Shown { theirs, ours_by_tc, ours } = twins.look(words);
        let [left, right] = [&theirs, &ours_by_tc].map(|said| unnumbered(&newer_tc::text(&said.stdout)));
        assert_eq!(right, left, "tc {words}: the hosts differ after {after}");
        assert_eq!([&theirs.stderr, &ours_by_tc.stderr, &ours.stderr], [""; 3], "{words} after {after}");
        match words.contains("-j") {
            true => same_json(&ours.stdout, &ours_by_tc.stdout, words, after),
            false => {
                let [ours, theirs] = [&ours, &ours_by_tc].map(|said| newer_tc::text(&said.stdout));
                assert_eq!(ours, theirs, "tc-cli {words} after {after}");
            }
        }
    }
}

/// Deletes the objects of a command.
fn clear(twins: &Twins) {
    let places = ["dev lo root", "dev lo ingress", "dev d0 root", "dev d0 ingress"];
    let _what_was_there = twins.tell(&places.map(|place| format!("qdisc del {place}")).join("\n"));
}

/// The lists compared after each of many commands.
const BRIEFLY: &[&str] = &["-s -d -r qdisc show", "-j -s -d qdisc show", "-s -d class show dev d0"];

const SHOWS: &[&str] = &[
    "qdisc",
    "-s -d qdisc show dev d0",
    "-r -iec -N qdisc show",
    "-o -s -r -col qdisc list",
    "qdisc show dev d0 root",
    "qdisc show ingress invisible",
    "-s -d -r class show dev d0",
    "class show dev d0 qdisc 1:",
    "-j -s -d qdisc show",
    "-j -p -iec qdisc show dev d0",
];

/// The text without the handles that the kernel chose: it counts from 8001: to fffe:, in all namespaces
/// together. They also stand in brackets, as eight digits.
fn unnumbered(text: &str) -> String {
    let counted = 0x8001..0xffff_u32;
    let is_chosen = |word: &str| {
        let major = if word.len() == 8 { word.strip_suffix("0000") } else { Some(word) };
        major.is_some_and(|major| {
            major.len() == 4 && u32::from_str_radix(major, 16).is_ok_and(|major| counted.contains(&major))
        })
    };
    let words = text.split_inclusive(|end: char| !end.is_ascii_alphanumeric());
    words.map(|word| if is_chosen(&word[..word.len() - 1]) { "8xxx" } else { word }).collect()
}

fn outcome(output: &Output) -> (i32, &str) {
    (output.code, output.stderr.lines().next().unwrap_or_default())
}

/// The JSON of tc-cli must parse; if tc's does as well, both must be equal.
#[track_caller]
fn same_json(ours: &str, theirs: &str, words: &str, after: &str) {
    let parse = serde_json::from_str::<Value>;
    let ours = parse(ours).unwrap_or_else(|error| panic!("tc-cli {words} after {after}: {error}\n{ours}"));
    if let Ok(theirs) = parse(theirs) {
        assert_eq!(newer_tc::json(&ours), newer_tc::json(&theirs), "{words} after {after}");
    }
}

/// Whether both tc-cli and the kernel know all these kinds.
fn known(kinds: &[&str]) -> bool {
    let registry = Registry::of_program().unwrap_or_default();
    kinds.iter().all(|kind| registry.get(TcType::Qdisc, kind).is_some() && has(&format!("sch_{kind}")))
}

/// Commands that build on each other, and the kinds they need.
const STORIES: &[(&[&str], &[&str])] = &[
    (
        &["pfifo"],
        &[
            "qdisc add dev d0 root handle 1: pfifo",
            "qdisc add dev d0 root handle 1: pfifo",
            "qdisc change dev d0 root handle 1: pfifo limit 7",
            "qdisc change dev d0 root handle 1: pfifo",
            "qdisc replace dev d0 root handle 2: pfifo limit 7",
            "qdisc replace dev d0 root handle 2: stab overhead 20 linklayer atm pfifo limit 7",
            "qdisc replace dev d0 root handle 2: estimator 1s 8s pfifo limit 7",
            "-r qdisc change dev d0 root handle 2: est 2s 9s pfifo limit 7",
            "qdisc link dev d0 root handle 3:",
            "qdisc add dev d0 parent 2:1 pfifo",
            "qdisc add dev d0 parent 9:1 handle 9: pfifo",
            "class add dev d0 parent 2: classid 2:1",
            "qdisc del dev d0 root handle 7:",
            "qdisc del dev d0 root",
            "qdisc del dev d0 root",
            "qdisc del dev d0 parent 1:",
            "qdisc add dev d0 root nosuch",
            "qdisc add root pfifo",
            "qdisc add dev d0 root handle 4: stab mtu 1500 mpu 64 overhead 20 linklayer atm est 1s 8s pfifo",
        ],
    ),
    (
        &["ingress", "clsact"],
        &[
            "qdisc add dev d0 ingress",
            "qdisc add dev d0 clsact",
            "qdisc del dev d0 ingress",
            "qdisc add dev d0 clsact",
            "qdisc del dev d0 clsact",
            "qdisc add dev d0 ingress_block 3 ingress",
            "qdisc add dev d1 ingress_block 3 egress_block 4 clsact",
            "qdisc add dev d0 root ingress",
        ],
    ),
    (
        &["tbf", "pfifo"],
        &[
            "qdisc add dev d0 root handle 1: tbf rate 1mbit burst 10k latency 50ms",
            "qdisc change dev d0 root handle 1: tbf rate 2mbit burst 20k limit 64k peakrate 4mbit mtu 3000",
            "qdisc add dev d0 parent 1: handle 2: pfifo limit 9",
            "class show dev d0 parent 1:",
            "qdisc add dev d1 root tbf rate 1mbit",
            "qdisc add dev d1 root tbf rate x",
        ],
    ),
    (
        &["htb", "pfifo"],
        &[
            "qdisc add dev d0 root handle 1: htb default 10 r2q 5",
            "class add dev d0 parent 1: classid 1:1 htb rate 10mbit ceil 20mbit burst 15k",
            "class add dev d0 parent 1:1 classid 1:10 htb rate 1gbit prio 3 quantum 2000",
            "class add dev d0 parent 1:1 classid 1:20 est 1s 8s htb rate 50gbit",
            "class add dev d0 parent 1:1 classid 1:20 htb rate 1mbit",
            "class change dev d0 parent 1:1 classid 1:20 htb rate 1mbit",
            "class replace dev d0 parent 1:1 classid 1:30 htb rate 3mbit",
            "qdisc add dev d0 parent 1:30 handle 30: pfifo limit 5",
            "class add dev d0 parent 1:1 classid 1:40 htb rate",
            "class add dev d0 parent 1:1 classid 1:40 htb",
            "class del dev d0 classid 1:20",
            "class del dev d0 classid 1:99",
            "class del dev d0 classid 1:1",
            "qdisc change dev d0 root handle 1: htb default 20",
        ],
    ),
    (
        &["prio", "netem", "fq_codel"],
        &[
            "qdisc add dev d0 root handle 1: prio bands 4 priomap 1 2 2 2",
            "qdisc add dev d0 parent 1:1 handle 10: netem delay 100ms 10ms 25% loss 1%",
            "qdisc add dev d0 parent 1:2 handle 20: fq_codel limit 100 target 4ms",
            "qdisc change dev d0 parent 1:2 handle 20: fq_codel quantum 3000",
            "class add dev d0 parent 1: classid 1:9 prio",
        ],
    ),
];

#[test]
fn the_same_commands_do_the_same() {
    need!("all-words-in-tc", "veth");
    let mut told = 0;
    for (kinds, story) in STORIES {
        if !known(kinds) {
            println!("skipped a story of {kinds:?}");
            continue;
        }
        let twins = twins();
        for command in *story {
            if run(&twins, command) == 0 {
                show(&twins, BRIEFLY, command);
            }
        }
        show(&twins, SHOWS, "the story");
        told += 1;
    }
    assert_ne!(told, 0, "every kernel has pfifo");
}

#[test]
fn every_captured_command_does_the_same() {
    need!("all-words-in-tc", "veth");
    let twins = twins();
    let registry = Registry::of_program().unwrap_or_default();
    let here = captures::iproute2_version(&twins.ours.tc("-V").ok());
    let here = here.unwrap_or_else(|| panic!("tc -V tells no version"));
    let mut compared = 0;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let first = now.subsec_millis() as usize;
    for capture in captures::all() {
        let parts: Vec<&str> = capture.command.iter().skip(1).map(String::as_str).collect();
        let command = parts.join(" ");
        // An older tc does not have all the words.
        if !known(&[&capture.kind]) || capture.differs.is_some() || capture.iproute2 > here {
            continue;
        }
        let [theirs, ours] = twins.tell(&command);
        // For a kind that is read before a change, the library refuses requests that could hit another
        // qdisc before the kernel does, with another text.
        let careful =
            registry.get(capture.tc_type, &capture.kind).is_some_and(|ops| ops.reads_before_change());
        match careful {
            true => assert_eq!(ours.stderr.is_empty(), theirs.stderr.is_empty(), "{command}: {ours:?}"),
            false => assert_eq!(ours, theirs, "{command}"),
        }
        if ours.stderr.is_empty() {
            if (first + compared).is_multiple_of(one_in()) {
                show(&twins, BRIEFLY, &command);
            }
            clear(&twins);
            compared += 1;
        }
    }
    assert_ne!(compared, 0, "every kernel has pfifo");
}

#[test]
fn a_tree_of_classes_is_drawn_alike() {
    need!("sch_htb", "veth");
    if !known(&["htb"]) {
        return println!("skipped: tc-cli does not know htb");
    }
    let net = Net::new();
    net.veth("d0", "d1");
    net.tc("qdisc add dev d0 root handle 1: htb default 10").ok();
    for class in ["1: 1:1", "1:1 1:10", "1:1 1:20", "1:20 1:21", "1: 1:2", "1:2 1:30", "1:20 1:22"] {
        let (parent, id) = class.split_once(' ').unwrap_or_default();
        net.tc(&format!("class add dev d0 parent {parent} classid {id} htb rate 1mbit")).ok();
    }
    // tc draws the bars in the lines that end a branch from memory that it has freed.
    let drawn = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim_matches([' ', '|']).is_empty());
        lines.map(newer_tc::text).collect()
    };
    for words in ["-g class show dev d0", "-g -s class show dev d0"] {
        assert_eq!(drawn(net.tc_cli(words).ok()), drawn(net.tc(words).ok()), "{words}");
    }
}

#[test]
fn changes_are_shown_alike_as_they_happen() {
    need!("veth");
    let net = Net::new();
    net.veth("d0", "d1");
    // Both see the same changes; the first one that both print ends the wait.
    let script = "tc monitor >$D/theirs & a=$!; $T monitor >$D/ours & b=$!
        for i in $(seq 100); do
            tc qdisc replace dev d1 root handle 9: pfifo
            [ -s $D/theirs ] && [ -s $D/ours ] && break
            sleep 0.1
        done
        tc qdisc add dev d0 root handle 7: pfifo; tc qdisc change dev d0 root handle 7: pfifo limit 5
        tc qdisc replace dev d0 root handle 8: bfifo; tc qdisc del dev d0 root
        tc qdisc add dev d0 ingress; tc qdisc del dev d0 ingress; tc qdisc add dev d0 root handle 77: pfifo
        for i in $(seq 100); do
            grep -q 77: $D/theirs && grep -q 77: $D/ours && break
            sleep 0.1
        done
        kill $a $b; cat $D/theirs; echo ---; cat $D/ours";
    let folder = std::env::temp_dir().join(format!("parity-{}", std::process::id()));
    let (d, t) = (folder.display(), tests::lab::tc_cli().display());
    let shown =
        net.run("bash", &["-c", &format!("export D={d} T={t}; mkdir -p $D; {script}; rm -r $D")]).ok();
    let (theirs, ours) = shown.split_once("---\n").unwrap_or_default();
    let changes = |text: &str| text.split_once("qdisc pfifo 7:").map(|(_, rest)| rest.to_owned());
    assert!(changes(theirs).is_some_and(|text| text.contains("deleted ")), "{theirs}");
    assert_eq!(changes(ours), changes(theirs));
}

#[test]
fn words_are_refused_alike() {
    need!("veth");
    let twins = twins();
    for words in [
        "bogus",
        "qdisc bogus",
        "class bogus",
        "-x qdisc",
        "-color=x qdisc",
        "-n nope qdisc",
        "-nm -cf /nope qdisc",
        "monitor bogus",
        "monitor help",
        "monitor file /nope",
        "qdisc help",
        "class help",
        "qdisc add dev",
        "qdisc add dev d0 dev d1",
        "qdisc add dev nope root pfifo",
        "qdisc add dev d0 handle",
        "qdisc add dev d0 handle zz root pfifo",
        "qdisc add dev d0 handle 10000: root pfifo",
        "qdisc add dev d0 handle 1: handle 2: pfifo",
        "qdisc add dev d0 root root pfifo",
        "qdisc add dev d0 root parent 1:1 pfifo",
        "qdisc add dev d0 parent 1:1 parent 1:2 pfifo",
        "qdisc add dev d0 parent x pfifo",
        "qdisc add dev d0 root clsact",
        "qdisc add dev d0 root ingress",
        "qdisc add dev d0 root estimator",
        "qdisc add dev d0 root estimator x",
        "qdisc add dev d0 root estimator 1s",
        "qdisc add dev d0 root estimator 1s x",
        "qdisc add dev d0 root estimator 9s 20s",
        "qdisc add dev d0 root est 1s 8s est 1s 8s",
        "qdisc add dev d0 root stab",
        "qdisc add dev d0 root stab help",
        "qdisc add dev d0 root stab mtu x",
        "qdisc add dev d0 root stab mpu 1 mpu 2",
        "qdisc add dev d0 root stab linklayer x",
        "qdisc add dev d0 ingress_block 0 ingress",
        "qdisc add dev d0 ingress_block x ingress",
        "qdisc add dev d0 egress_block 0 clsact",
        "qdisc add dev d0 root nosuch",
        "qdisc add dev d0 root nosuch x",
        "qdisc add dev d0 root nosuch help",
        "qdisc add dev d0 root pfifo help",
        "qdisc add dev d0 root pfifo limit",
        "qdisc add dev d0 root pfifo limit x",
        "qdisc add dev d0 root pfifo x",
        "qdisc show bogus",
        "qdisc show dev nope",
        "qdisc show dev",
        "qdisc show root parent 1:",
        "qdisc show handle 1: root",
        "qdisc show ingress root",
        "qdisc show parent x",
        "qdisc show handle x",
        "class add dev d0 handle 1:1",
        "class add dev d0 classid 1:1 classid 1:2",
        "class add dev d0 classid x",
        "class add dev d0 root root",
        "class add dev d0 root parent 1:",
        "class add dev d0 parent 1: classid 1:1 pfifo",
        "class add dev d0 parent 1: classid 1:1",
        "class show",
        "class show bogus",
        "class show dev nope",
        "class show dev d0 dev d0",
        "class show dev d0 qdisc 1: qdisc 1:",
        "class show dev d0 classid 1: classid 1:",
        "class show dev d0 root root",
        "class show dev d0 parent 1: parent 1:",
        "class show dev d0 qdisc x",
        "-b /nope",
    ] {
        run(&twins, words);
    }
}
