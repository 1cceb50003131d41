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

/// The steps for a filter of priority 7 that is made anew.
const ANEW: &[&str] = &[
    "filter add dev near ingress pref 8 protocol ip handle 0x1 flower ",
    "filter del dev near ingress pref 7 protocol ip handle 0x1 flower",
    "filter add dev near ingress pref 7 protocol ip handle 0x1 flower ",
    "filter del dev near ingress pref 8 protocol ip flower",
];

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
        // Kernel: a mask is that of its filter for ever. A stand-in has its place meanwhile.
        ("src_ip 10.0.0.0/8", "src_ip 10.0.0.0/16", ANEW),
        ("dst_port 81 ", "", ANEW),
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
fn chains_and_shared_actions_are_exported_once() {
    need!("sch_clsact", "cls_matchall", "cls_flower", "act_gact", "act_skbedit", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near clsact").ok();
    near.tc("chain add dev near ingress chain 5").ok();
    near.tc("chain add dev near egress chain 6 protocol ip flower dst_ip 0.0.0.0/24").ok();
    near.tc("filter add dev near egress pref 1 chain 6 protocol ip handle 1 flower dst_ip 10.0.0.0/24 action drop").ok();
    near.tc("actions add action drop index 8").ok();
    near.tc("actions add action skbedit mark 3 index 9").ok();
    for pref in [1, 2] {
        near.tc(&format!(
            "filter add dev near ingress pref {pref} protocol all matchall action drop index 8"
        ))
        .ok();
    }
    let exported = near.tc_cli("export").ok();
    let lines: Vec<_> = exported.lines().collect();
    let expected = [
        "actions add action gact drop index 8",
        "actions add action skbedit mark 3 index 9",
        "qdisc add dev near clsact",
        "chain add dev near ingress chain 5",
        "chain add dev near egress chain 6 protocol ip flower dst_ip 0.0.0.0/24",
        "filter add dev near ingress pref 1 protocol all handle 0x1 matchall action gact drop index 8",
    ];
    assert_eq!(lines[..6], expected);
    assert_eq!(lines.len(), 8, "{exported}");
    let file = File::new("beside", &exported);
    assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, 0);

    // All of it is deleted, made again by tc and by an apply.
    let skbedit = "qdisc add dev near clsact\nactions add action skbedit mark 3 index 9\n";
    let bare = File::new("bare", &format!("{skbedit}actions add action pass index 7\n"));
    let gone = near.tc_cli(&format!("apply {}", bare.0)).ok();
    assert!(gone.contains("chain del dev near egress chain 6\n"), "{gone}");
    assert!(gone.contains("actions del action gact index 8\n"), "{gone}");
    // A kind of actions that no line is about is left alone.
    let skbedit = File::new("skbedit", skbedit);
    assert_eq!(near.tc_cli(&format!("apply {}", skbedit.0)).ok(), "");
    let made = near.tc_cli(&format!("apply {}", file.0)).ok();
    assert_eq!(made.lines().count(), 7, "{made}");
    assert!(made.starts_with("actions del action gact index 7\n"), "{made}");
    assert_eq!(near.tc_cli("export").ok(), exported);

    // A shared action is changed in place, and another mask of the template makes the chain anew.
    let other = exported.replace("mark 3", "mark 4").replace("0.0.0.0/24", "0.0.0.0/16");
    let other = other.replace("dst_ip 10.0.0.0/24", "dst_ip 10.0.0.0/16");
    let file = File::new("other", &other);
    let done = near.tc_cli(&format!("apply {}", file.0)).ok();
    let starts = [
        "chain del dev near egress chain 6",
        "actions change action skbedit mark 4 index 9 # was mark 3",
        "chain add dev near egress chain 6 protocol ip flower dst_ip 0.0.0.0/16",
        "filter add dev near egress pref 1 chain 6 ",
    ];
    let done: Vec<_> = done.lines().collect();
    assert_eq!(done.len(), starts.len(), "{done:#?}");
    assert!(done.iter().zip(starts).all(|(done, start)| done.starts_with(start)), "{done:#?}");
    assert_eq!(near.tc_cli("export").ok(), other);
    near.tc("qdisc del dev near clsact").ok();
}

/// A mark of an earlier export stays in force.
#[test]
fn chain_and_action_marked_as_left_out_stay() {
    need!("sch_clsact", "act_gact", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near clsact").ok();
    near.tc("chain add dev near ingress chain 5").ok();
    near.tc("actions add action drop index 8").ok();
    let marks = "#!left-out chain dev near ingress chain 5\n#!left-out action gact index 8\n";
    let file =
        File::new("marks", &format!("qdisc add dev near clsact\nactions add action pass index 7\n{marks}"));
    let done = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "actions add action pass index 7\n"),
        "{}",
        done.stderr
    );
    for left in ["chain dev near ingress chain 5", "action gact index 8"] {
        assert!(
            done.stderr.contains(&format!("left alone: {left}: the file leaves it out\n")),
            "{}",
            done.stderr
        );
    }
    let file = File::new("marks-gone", &format!("qdisc add dev near ingress\n{marks}"));
    let refused = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(
        refused.stderr.contains("would be deleted: chain dev near ingress chain 5\n"),
        "{}",
        refused.stderr
    );
}

/// Kernel: a link needs its table, which can be of a later priority; and a table in use stays.
#[test]
fn u32_tables_come_first_and_links_last() {
    need!("sch_clsact", "cls_u32", "act_gact", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near clsact").ok();
    for words in [
        "pref 9 protocol ip handle 2: u32 divisor 16",
        "pref 9 protocol ip u32 ht 2:3: match ip dst 10.0.0.3/32 classid 1:3",
        "pref 3 protocol ip u32 match ip dst 10.0.0.0/8 link 2: hashkey mask 0xf at 16",
        "pref 3 protocol ip u32 match ip dst 11.0.0.0/8 classid 1:1",
    ] {
        near.tc(&format!("filter add dev near ingress {words}")).ok();
    }
    let exported = near.tc_cli("export").ok();
    let words = |line: &str| line.split_once(" u32 ").unwrap().1.to_owned();
    let order: Vec<_> = exported.lines().skip(1).map(words).collect();
    let starts = ["divisor 16", "match u32 0x0b000000 0xff000000 at 16", "ht 2:3: ", "match u32 "];
    assert_eq!(order.len(), starts.len(), "{exported}");
    assert!(order.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{exported}");
    assert!(order[3].ends_with(" link 2:"), "{exported}");
    let file = File::new("u32", &exported);
    near.tc("qdisc del dev near clsact").ok();
    near.tc(&format!("-b {}", file.0)).ok();
    assert_eq!(near.tc_cli("export").ok(), exported);
    // Another size of the table: what is in it, and what leads to it, goes and comes again.
    let other = exported.replace("divisor 16", "divisor 32");
    let file = File::new("u32-other", &other);
    let done = near.tc_cli(&format!("apply {}", file.0)).ok();
    assert_eq!(done.lines().filter(|line| line.starts_with("filter add ")).count(), 3, "{done}");
    assert_eq!(near.tc_cli("export").ok(), other);
    near.tc("qdisc del dev near clsact").ok();
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
