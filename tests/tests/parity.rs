//! tc and tc-cli do the same: the same commands in twin namespaces end alike and leave the same
//! behind, and both show the same state the same way.
#![expect(clippy::panic, reason = "a test that cannot go on says so and stops")]

use serde_json::Value;
use tc_core::{Registry, TcType};
use tc_qdiscs as _;
use tests::captures;
use tests::lab::need::has;
use tests::lab::{Net, Output};
use tests::need;

/// Two hosts, alike: tc works in one, tc-cli in the other.
struct Twins {
    theirs: Net,
    ours: Net,
}

impl Twins {
    fn new() -> Self {
        let net = || {
            let net = Net::aside();
            net.veth("d0", "d1");
            net
        };
        Self { theirs: net(), ours: net() }
    }

    /// Runs a command on both sides: exit code and first line must agree. Returns the code.
    #[track_caller]
    fn run(&self, words: &str) -> i32 {
        let (theirs, ours) = (self.theirs.tc(words), self.ours.tc_cli(words));
        assert_eq!(outcome(&ours), outcome(&theirs), "{words}");
        ours.code
    }

    /// Both tools show both hosts alike.
    #[track_caller]
    fn show(&self, after: &str) {
        for words in SHOWS {
            let [left, right] = [self.theirs.tc(words).ok(), self.ours.tc(words).ok()];
            assert_eq!(unnumbered(&right), unnumbered(&left), "tc {words}: the hosts differ after {after}");
            let shown = self.ours.tc_cli(words).ok();
            match words.contains("-j") {
                true => same_json(&shown, &right, words, after),
                false => assert_eq!(shown, right, "tc-cli {words} after {after}"),
            }
        }
    }
}

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

/// The text without the handles that the kernel chose: it counts from 8001: on, in all namespaces
/// together. They also stand in brackets, as eight digits.
fn unnumbered(text: &str) -> String {
    let is_chosen = |word: &str| word.len() == 4 && word.starts_with('8') || word.ends_with("0000");
    let words = text.split_inclusive(|end: char| !end.is_ascii_alphanumeric());
    words.map(|word| if is_chosen(&word[..word.len() - 1]) { "8xxx" } else { word }).collect()
}

fn outcome(output: &Output) -> (i32, &str) {
    (output.code, output.stderr.lines().next().unwrap_or_default())
}

/// Ours must be JSON; where tc's is as well, it must say the same.
#[track_caller]
fn same_json(ours: &str, theirs: &str, words: &str, after: &str) {
    let parse = serde_json::from_str::<Value>;
    let ours = parse(ours).unwrap_or_else(|error| panic!("tc-cli {words} after {after}: {error}\n{ours}"));
    if let Ok(theirs) = parse(theirs) {
        assert_eq!(ours, theirs, "{words} after {after}");
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
    need!("veth");
    let mut told = 0;
    for (kinds, story) in STORIES {
        if !known(kinds) {
            println!("skipped a story of {kinds:?}");
            continue;
        }
        let twins = Twins::new();
        for command in *story {
            if twins.run(command) == 0 {
                twins.show(command);
            }
        }
        told += 1;
    }
    assert_ne!(told, 0, "every kernel has pfifo");
}

#[test]
fn every_captured_command_does_the_same() {
    need!("veth");
    let mut twins = Twins::new();
    let mut compared = 0;
    for capture in captures::all() {
        let parts: Vec<&str> = capture.command.iter().skip(1).map(String::as_str).collect();
        let command = parts.join(" ");
        if !known(&[&capture.kind]) || capture.differs.is_some() {
            continue;
        }
        if twins.run(&command) == 0 {
            twins.show(&command);
            twins = Twins::new();
            compared += 1;
        }
    }
    assert_ne!(compared, 0, "every kernel has pfifo");
}

#[test]
fn words_are_refused_alike() {
    need!("veth");
    let twins = Twins::new();
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
        "class add dev d0 parent 1: classid 1:1 nosuch",
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
        twins.run(words);
    }
}
