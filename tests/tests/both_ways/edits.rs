//! One edit, and nothing else is touched.

use std::fs;

use tc_core::monitor::{Monitor, Notice};
use tc_core::uapi::RTNLGRP_TC;
use tests::lab::{PATIENCE, Pair, QUIET};
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

/// How many objects the kernel says it changed.
fn notices(monitor: &mut Monitor) -> usize {
    let mut count = 0;
    while let Some(notice) = monitor.receive().unwrap() {
        count += usize::from(matches!(notice, Notice::Message(_)));
    }
    count
}

#[test]
fn what_a_plug_holds_stays_where_another_qdisc_is_changed() {
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
fn apply_stops_at_the_first_error_and_says_what_was_not_done() {
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

    // What the file does not speak of is not touched.
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
fn what_cannot_be_exported_is_named() {
    need!("cls_u32", "sch_prio", "veth");
    let pair = Pair::new();
    let near = &pair.near;
    near.tc("qdisc add dev near root handle 1: prio").ok();
    near.tc("filter add dev near parent 1: pref 1 protocol ip u32 match ip dst 192.0.2.9 flowid 1:1").ok();
    near.tc("qdisc add dev near parent 1:1 handle 2: pfifo limit 9").ok();
    let exported = near.tc_cli("export");
    assert_eq!(exported.code, 1);
    let why = "filter \"u32\" is not known here";
    assert!(exported.stderr.contains(why), "{}", exported.stderr);
    let comments = exported.stdout.lines().filter(|line| line.starts_with("# "));
    assert!(comments.clone().all(|line| line.contains(why)) && comments.count() > 0, "{}", exported.stdout);
    assert!(exported.stdout.contains("handle 2: pfifo limit 9\n"), "{}", exported.stdout);
    // An apply of that leaves the filter alone, and says so.
    let file = File::new("partly", &exported.stdout);
    let applied = near.tc_cli(&format!("apply {}", file.0));
    assert_eq!((applied.code, applied.stdout.as_str()), (0, ""), "{}", applied.stderr);
    assert!(applied.stderr.contains("left alone: filter"), "{}", applied.stderr);
}

#[test]
fn what_is_beside_the_tree_is_named() {
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
    // It is a batch and a description all the same.
    let file = File::new("beside", &exported.stdout);
    assert_eq!(near.tc_cli(&format!("diff {}", file.0)).code, 0);
}
