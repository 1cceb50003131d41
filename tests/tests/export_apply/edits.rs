//! One edit, and nothing else is touched.

use std::fs;

use tc_core::monitor::{Monitor, Notice};
use tc_core::uapi::{ETH_P_IP, RTNLGRP_TC};
use tc_core::{Connection, Handle, Request};
use tc_qdiscs::filter::flower::Flower;
use tc_qdiscs::htb::HtbClass;
use tests::lab::{PATIENCE, Pair, QUIET, count};
use tests::need;

/// A file that goes away.
struct File(String);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path.display().to_string())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _left = fs::remove_file(&self.0);
    }
}

/// The number of changed objects that the kernel reports.
fn notices(monitor: &mut Monitor) -> usize {
    let mut count = 0;
    while let Some(notice) = monitor.receive().unwrap() {
        count += usize::from(matches!(notice, Notice::Message(_)));
    }
    count
}

#[test]
fn a_change_elsewhere_keeps_a_plugs_packets() {
    need!("sch_plug", "sch_prio", "sch_netem", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: prio priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0").ok();
    near.tc("qdisc add dev near parent 1:1 handle 10: plug limit 32768").ok();
    near.tc("qdisc add dev near parent 1:2 handle 20: pfifo limit 7").ok();
    near.tc("qdisc add dev near parent 1:3 handle 30: netem delay 5ms loss 1%").ok();
    pair.send(&[1, 2, 3]);
    assert_eq!(pair.receive(1, QUIET), [0u8; 0], "held");

    let exported = near.tc_cli("export dev near").ok();
    let edited = exported.replace("pfifo limit 7", "pfifo limit 8").replace("delay 5000us", "delay 6000us");
    let file = File::new("edited", &edited);
    let mut monitor = Monitor::open(&[RTNLGRP_TC]).unwrap();
    monitor.set_nonblocking(true).unwrap();
    let done = near.tc_cli(&format!("apply {}", file.0)).ok();
    assert_eq!(done.lines().count(), 2, "{done}");
    assert!(done.lines().all(|line| line.starts_with("qdisc change dev near parent 1:")), "{done}");
    assert_eq!(notices(&mut monitor), 2);

    // The second time there is nothing to do, and nobody hears of it.
    assert_eq!(near.tc_cli(&format!("apply {}", file.0)).ok(), "");
    assert_eq!(notices(&mut monitor), 0);
    assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, 0);

    near.tc("qdisc change dev near parent 1:1 handle 10: plug release_indefinite").ok();
    assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3], "all that was held");
}

#[test]
fn apply_stops_at_the_first_error_and_lists_the_rest() {
    need!("sch_htb", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    let text = "\
qdisc add dev near root handle 1: htb r2q 10 default 0
class add dev near classid 1:1 parent 1: htb prio 0 rate 8000000bit burst 1600b ceil 8000000bit cburst 1600b
qdisc add dev near parent 7:1 handle 2: pfifo limit 3
qdisc add dev near parent 7:2 handle 3: pfifo limit 3
";
    let file = File::new("wrong", text);
    let failed = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!(failed.code, 2, "{}", failed.stderr);
    assert_eq!(failed.stdout.lines().count(), 2, "{}", failed.stdout);
    let not_done = "not done: qdisc add dev near parent 7:2 handle 3: pfifo limit 3\n";
    assert!(failed.stderr.contains(not_done), "{}", failed.stderr);
    assert!(failed.stderr.contains("2 commands done, 2 not"), "{}", failed.stderr);
}

#[test]
fn diff_ends_as_diff_does_and_apply_makes_it_so() {
    need!("sch_tbf", "sch_ingress", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: tbf rate 1mbit burst 10k limit 20k").ok();
    near.tc("qdisc add dev near clsact").ok();
    let file = File::new("plain", &near.tc_cli("export").ok());
    let run = |words: &str| near.tc_cli(&format!("{words} {}", file.0));
    assert_eq!((run("diff").code, run("diff").stdout.as_str()), (0, ""));

    near.tc("qdisc change dev near root handle 1: tbf rate 2mbit burst 10k limit 20k").ok();
    near.tc("qdisc del dev near clsact").ok();
    near.tc("qdisc add dev near ingress").ok();
    let differs = run("diff");
    assert_eq!(differs.code, 1, "{}", differs.stderr);
    let lines: Vec<_> = differs.stdout.lines().collect();
    assert_eq!(lines[0], "qdisc del dev near ingress");
    assert!(lines[1].starts_with("qdisc change dev near root handle 1: tbf rate 1000000bit"), "{lines:?}");
    assert!(lines[1].ends_with("# was rate 2000000bit"), "{lines:?}");
    assert_eq!(lines[2..], ["qdisc add dev near clsact"]);
    let dry = run("apply --dry-run");
    assert_eq!((dry.code, &dry.stdout), (1, &differs.stdout));

    let json: serde_json::Value = serde_json::from_str(&run("-j diff").stdout).unwrap();
    assert_eq!(json[0]["command"], "qdisc del dev near ingress");
    let json: serde_json::Value = serde_json::from_str(&run("-j apply").ok()).unwrap();
    assert_eq!((json["done"].as_array().unwrap().len(), &json["not_done"]), (3, &serde_json::json!([])));
    assert_eq!(run("diff").code, 0);

    // Objects outside the file are not touched.
    near.tc("qdisc add dev lo root handle 1: pfifo limit 3").ok();
    assert_eq!(run("diff").code, 0);
    let other = run("diff").command;
    assert!(other.ends_with(&file.0), "{other}");

    let wrong = File::new("wrong-words", "qdisc add dev near root handle 1: tbf fast\n");
    let failed = near.tc_cli(&format!("diff {}", wrong.0));
    assert_eq!(failed.code, 2);
    assert!(failed.stderr.contains(&format!("Command failed {}:1", wrong.0)), "{}", failed.stderr);
    assert_eq!(near.tc_cli("diff /nonexistent").code, 2);
}

#[test]
fn inexpressible_objects_are_named() {
    need!("cls_flower", "sch_prio", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: prio").ok();
    let mut tc = Connection::open().unwrap();
    let place = Request::filter(tc.ifindex("near").unwrap()).parent(Handle::qdisc(1)).priority(1);
    let by_hash = Flower::default().hash(7).class(Handle::class(1, 1));
    tc.add(&place.protocol(ETH_P_IP).with_options(by_hash)).unwrap();
    near.tc("qdisc add dev near parent 1:1 handle 2: pfifo limit 9").ok();
    let exported = near.tc_cli("export");
    assert_eq!(exported.code, 1);
    let why = "there are no words for ";
    assert!(exported.stderr.contains(why), "{}", exported.stderr);
    let comments = exported.stdout.lines().filter(|line| line.starts_with("# "));
    assert!(comments.clone().all(|line| line.contains(why)) && comments.count() > 0, "{}", exported.stdout);
    assert!(exported.stdout.contains("handle 2: pfifo limit 9\n"), "{}", exported.stdout);
    // The mark has its place; to tc it is a comment.
    let marks: Vec<_> = exported.stdout.lines().filter(|line| line.starts_with("#!")).collect();
    assert_eq!(marks[0], "#!left-out filter dev near parent 1: pref 1 handle 0x1");
    // An apply of that leaves the filter alone, and names it.
    let file = File::new("partly", &exported.stdout);
    let applied = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!((applied.code, applied.stdout.as_str()), (0, ""), "{}", applied.stderr);
    assert!(applied.stderr.contains("left alone: filter"), "{}", applied.stderr);
}

/// Kernel: a change with other masks is EINVAL.
#[test]
fn flower_when_values_differ_then_it_is_changed_in_place() {
    need!("cls_flower", "act_gact", "sch_clsact", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near clsact").ok();
    let filter = "filter add dev near ingress pref 7 protocol ip flower";
    near.tc(&format!("{filter} ip_proto tcp dst_port 80 src_ip 10.0.0.0/8 skip_hw action drop")).ok();
    let exported = near.tc_cli("export dev near").ok();
    // Kernel: the action takes over skip_hw.
    let words = "ip_proto tcp src_ip 10.0.0.0/8 dst_port 80 skip_hw action gact drop index 1 skip_hw";
    assert!(exported.contains(words), "{exported}");
    let same = File::new("flower-same", &exported);
    assert_eq!(near.tc_cli(&format!("diff {}", same.0)).code, 0);
    for (from, to, lines) in [
        ("dst_port 80", "dst_port 81", &["filter change "][..]),
        ("action gact drop index 1 skip_hw", "action pass", &["filter change "]),
        // Kernel: the index names the action that is there.
        ("gact pass", "gact continue", &["filter del ", "filter add "]),
        ("src_ip 10.0.0.0/8", "src_ip 10.0.0.0/16", &["filter del ", "filter add "]),
        ("dst_port 81 ", "", &["filter del ", "filter add "]),
    ] {
        let there = near.tc_cli("export dev near").ok();
        let wanted = there.replace(from, to);
        assert_ne!(wanted, there, "{from}");
        let file = File::new("flower-other", &wanted);
        let done = near.tc_cli(&format!("apply {}", file.0)).ok();
        let done: Vec<_> = done.lines().collect();
        assert_eq!(done.len(), lines.len(), "{done:?}");
        assert!(done.iter().zip(lines).all(|(done, start)| done.starts_with(start)), "{done:?}");
        assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, 0, "{done:?}");
    }
}

#[test]
fn objects_beside_the_tree_are_named() {
    need!("sch_clsact", "cls_matchall", "cls_flower", "act_gact", "act_skbedit", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near clsact").ok();
    near.tc("filter add dev near ingress pref 1 protocol all matchall action drop index 4").ok();
    assert_eq!(near.tc_cli("export").code, 0);
    near.tc("chain add dev near ingress chain 5").ok();
    near.tc("chain add dev near egress chain 6 protocol ip flower dst_ip 0.0.0.0/24").ok();
    near.tc("actions add action drop index 8").ok();
    near.tc("actions add action skbedit mark 3 index 9").ok();
    let beside = [
        "chain dev near ingress chain 5: it has no filter, and chains are not exported",
        "chain dev near egress chain 6: it has a template of flower, and chains are not exported",
        "action gact index 8: no exported filter has it, and actions by themselves are not exported",
        "action skbedit index 9: no exported filter has it, and actions by themselves are not exported",
    ];
    let exported = near.tc_cli("export");
    assert_eq!(exported.code, 1);
    let comments: Vec<_> = exported.stdout.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_eq!(comments, beside);
    let said: Vec<_> = exported.stderr.lines().collect();
    assert_eq!(said[..4], beside);
    assert_eq!(said[4..], ["export: 4 not exported, or not all of it"]);
    let marks: Vec<_> = exported.stdout.lines().filter_map(|line| line.strip_prefix("#!left-out ")).collect();
    assert!(
        beside.iter().zip(&marks).all(|(line, mark)| line.starts_with(mark)) && marks.len() == 4,
        "{marks:?}"
    );
    // It is a batch and a description all the same.
    let file = File::new("beside", &exported.stdout);
    assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, 0);
}

/// A class without words: its ceil has another framing than its rate.
#[test]
fn apply_of_an_incomplete_export_deletes_nothing() {
    need!("sch_htb", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: htb").ok();
    near.tc("class add dev near parent 1: classid 1:1 htb rate 8mbit").ok();
    let mut tc = Connection::open().unwrap();
    let mut odd = HtbClass::builder(tc_core::rate::Rate::bytes_per_second(125_000)).build().unwrap();
    odd.ceil.overhead = 40;
    let class = Request::class(tc.ifindex("near").unwrap()).parent(Handle::class(1, 1));
    tc.add(&class.handle(Handle::class(1, 0x10)).options(&odd)).unwrap();
    near.tc("qdisc add dev near parent 1:10 handle 10: pfifo limit 5").ok();

    let exported = near.tc_cli("export");
    assert_eq!(exported.code, 1, "{}", exported.stdout);
    let marks: Vec<_> = exported.stdout.lines().filter(|line| line.starts_with("#!")).collect();
    assert_eq!(
        marks,
        ["#!left-out class dev near classid 1:10", "#!left-out qdisc dev near parent 1:10"],
        "{}",
        exported.stdout
    );
    let file = File::new("incomplete", &exported.stdout);
    let all = || near.tc("class show dev near").ok() + &near.tc("qdisc show dev near").ok();
    let before = all();
    assert!(before.contains("class htb 1:10") && before.contains("qdisc pfifo 10:"), "{before}");
    for words in ["diff", "apply"] {
        let run = near.tc_cli(&format!("{words} {}", file.0));
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{words}: {}", run.stderr);
        for left in ["class dev near classid 1:10 htb", "qdisc dev near parent 1:10 handle 10: pfifo"] {
            assert!(run.stderr.contains(&format!("left alone: {left}: ")), "{words}: {}", run.stderr);
        }
        assert_eq!(all(), before);
    }
    // A change that would take it along is refused, and nothing is done.
    let other = exported.stdout.replace("htb r2q 10 default 0", "htb r2q 10 default 0x20");
    assert_ne!(other, exported.stdout);
    let file = File::new("incomplete-other", &other);
    for (words, code) in [("diff", 2), ("apply", 1)] {
        let run = near.tc_cli(&format!("{words} {}", file.0));
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{words}: {}", run.stderr);
        assert!(run.stderr.contains("would be deleted: class dev near classid 1:10 htb\n"), "{}", run.stderr);
        assert_eq!(all(), before);
    }
    // tc passes over the marks.
    near.tc("qdisc del dev near root").ok();
    near.tc(&format!("-b {}", file.0)).ok();
}

#[test]
fn words_that_the_kernel_does_not_take_are_named() {
    need!("sch_sfq", "sch_prio", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    let file = File::new(
        "not-taken",
        "qdisc add dev near root handle 1: prio\n\
         qdisc add dev near parent 1:1 handle 10: sfq limit 100000 perturb 10\n\
         qdisc add dev near parent 1:2 handle 20: pfifo limit 5\n",
    );
    let applied = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!((applied.code, applied.stdout.lines().count()), (1, 3), "{}", applied.stderr);
    let why = "not taken by the kernel: qdisc dev near parent 1:1 handle 10: sfq: limit 100000 (there is limit 16256)\n";
    assert!(applied.stderr.contains(why), "{}", applied.stderr);
    // There is nothing to do, and it is not as it was asked for.
    for words in ["apply", "diff"] {
        let again = near.tc_cli(&format!("{words} {}", file.0));
        assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{words}: {}", again.stderr);
        assert!(again.stderr.contains(why), "{words}: {}", again.stderr);
    }
    let json = near.tc_cli(&format!("-j apply {}", file.0));
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["not_taken"].as_array().map(Vec::len), Some(1), "{value}");
    // The kernel's value is exact.
    let file = File::new("taken", &near.tc_cli("export dev near").ok());
    assert_eq!(near.tc_cli(&format!("apply {}", file.0)).ok(), "");
}

/// Words of later kernels: they are taken, or named.
#[test]
fn words_that_the_kernel_does_not_know_are_named() {
    need!("sch_fq", "sch_netem", "sch_prio", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: prio").ok();
    let (mut named, mut taken) = (0, 0);
    for (kind, words, since) in [
        ("fq", "weights 589824 196608 65536", (6, 7)),
        ("fq", "bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1", (6, 7)),
        ("fq", "offload_horizon 1ms", (6, 13)),
        ("netem", "seed 12345", (6, 6)),
        ("fq", "defrate 8mbit", (u32::MAX, 0)),
        // Rounded.
        ("fq", "refill_delay 1001us", (0, 0)),
        ("fq", "quantum 3000", (0, 0)),
    ] {
        let file = File::new(
            "unknown-words",
            &format!(
                "qdisc add dev near root handle 1: prio\nqdisc add dev near parent 1:1 handle 10: {kind} {words}\n"
            ),
        );
        let applied = near.tc_cli(&format!("apply {}", file.0));
        let is_known = release() >= since;
        assert_eq!(applied.code, i32::from(!is_known), "{kind} {words}: {}", applied.stderr);
        let first = words.split(' ').next().unwrap();
        let name = format!("not taken by the kernel: qdisc dev near parent 1:1 handle 10: {kind}: {first} ");
        assert_eq!(applied.stderr.contains(&name), !is_known, "{kind} {words}: {}", applied.stderr);
        assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, i32::from(!is_known));
        *(if is_known { &mut taken } else { &mut named }) += 1;
        near.tc("qdisc del dev near parent 1:1").ok();
    }
    count(&format!("words of later kernels: {named} were not taken and named, {taken} taken"));
}

/// This kernel's version.
fn release() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|end: char| !end.is_ascii_digit()).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// So many that several share a bucket of the kernel's hash tables, where the youngest comes first.
const SIBLINGS: u32 = 40;

#[test]
fn export_does_not_depend_on_the_order_of_making() {
    need!("sch_htb", "ifb");
    let lines = |order: &[u32]| -> String {
        let classes = order.iter().map(|n| {
            format!(
                "class add dev d0 parent 1: classid 1:{n:x} htb rate 1mbit\n\
                 qdisc add dev d0 parent 1:{n:x} handle {n:x}0: pfifo limit {n}\n"
            )
        });
        "qdisc add dev d0 root handle 1: htb\n".to_owned() + &classes.collect::<String>()
    };
    let upward: Vec<u32> = (1..=SIBLINGS).collect();
    let downward: Vec<u32> = upward.iter().rev().copied().collect();
    let mixed: Vec<u32> = upward.iter().map(|n| n * 7 % (SIBLINGS + 1)).collect();
    let exported = [upward, downward, mixed].map(|order| {
        let net = tests::lab::Net::new();
        net.ip("link add d0 type ifb").ok();
        let file = File::new("order", &lines(&order));
        net.tc_cli(&format!("-b {}", file.0)).ok();
        net.tc_cli("export").ok()
    });
    assert_eq!(exported[0].lines().count() as u32, 1 + 2 * SIBLINGS, "{}", exported[0]);
    assert_eq!(exported[1], exported[0]);
    assert_eq!(exported[2], exported[0]);
}
