//! Words that both refuse.

use super::*;

#[test]
fn words_are_refused_alike() {
    need!("sch_clsact", "cls_matchall", "act_mirred", "act_gact", "veth");
    let twins = twins();
    for words in [
        "filter bogus",
        "filter help",
        "filter add help",
        "filter add dev",
        "filter add dev d0 dev d1",
        "filter add dev d0 block 3",
        "filter add block 3 dev d0",
        "filter add block 0",
        "filter add block 3 block 4",
        "filter add dev d0 root ingress",
        "filter add dev d0 parent 1: parent 2:",
        "filter add dev d0 parent x",
        "filter add dev d0 handle 1",
        "filter add dev d0 handle 1 handle 2",
        "filter add dev d0 pref 65536",
        "filter add dev d0 pref 1 prio 2",
        "filter add dev d0 protocol nope",
        "filter add dev d0 protocol ip protocol arp",
        "filter add dev d0 chain x",
        "filter add dev d0 chain 1 chain 2",
        "filter add dev d0 ingress estimator x",
        "filter add dev d0 ingress nosuch opt",
        "filter add dev d0 ingress matchall help",
        "filter add dev d0 ingress matchall bogus",
        "filter add dev d0 ingress matchall action",
        "filter add dev d0 ingress matchall action bogus",
        "filter add dev d0 ingress matchall action mirred",
        "filter add dev d0 ingress matchall action mirred help",
        "filter add dev d0 ingress matchall action mirred bogus",
        "filter add dev d0 ingress matchall action mirred egress redirect dev nope",
        "filter add dev d0 ingress matchall action drop cookie abc",
        "filter add dev d0 ingress matchall action drop hw_stats bogus",
        "filter add dev d0 ingress matchall action drop action",
        "filter add dev d0 ingress matchall skip_hw skip_sw classid 1:1",
        "filter show bogus",
        "filter show dev d0 block 3",
        "filter show dev nope",
        "filter show block 77",
        "filter get dev d0 ingress",
        "filter get dev d0 ingress protocol all",
        "filter get dev d0 protocol all pref 1",
        "filter get dev d0 ingress protocol all pref 1",
        "filter get dev d0 ingress protocol all pref 1 matchall",
        "actions bogus",
        "actions help",
        "actions add",
        "actions add action",
        "actions add action mirred egress redirect dev nope",
        "actions add action gact bogus",
        "actions del action mirred",
        "actions del action mirred index x",
        "actions list",
        "actions list action",
        "actions flush",
        "actions list action mirred since x",
    ] {
        let code = run(&twins, words);
        assert!(code != 0 || words.contains("help"), "{words}");
    }
}

/// All lines are tc's: advice would be false here.
#[test]
fn actions_when_refused_then_end_with_tcs_lines() {
    need!("sch_clsact", "cls_matchall", "act_gact", "veth");
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    let twins = twins();
    for command in [
        "qdisc add dev d0 clsact",
        "filter add dev d0 ingress matchall action drop index 7",
        "actions add action pass index 8",
        "actions flush action gact",
        "actions del action gact index 7",
        "actions del action gact index 99",
        "actions get action gact index 99",
        "actions del action gact index 7 action gact index 99",
        "actions add action pass index 8",
        "actions flush action nosuch",
        "actions flush action mirred",
        "-force actions flush action gact",
    ] {
        let [theirs, ours] = twins.run(command);
        assert_eq!((ours.code, ours.stderr), (theirs.code, theirs.stderr), "{command}");
        assert_eq!(ours.stdout, theirs.stdout, "{command}");
    }
}

#[test]
fn devices_when_empty_then_as_none() {
    need!("sch_clsact", "cls_matchall", "veth");
    let twins = twins();
    let run = |net: &Net, program: &std::ffi::OsStr, words: &str| {
        let words: Vec<_> = words.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
        net.run(program, &words)
    };
    for words in [
        "qdisc show dev ''",
        "qdisc show dev '' dev d0",
        "class show dev ''",
        "filter show dev ''",
        "filter show dev '' block 3",
        "qdisc add dev '' root pfifo",
        "qdisc add dev '' dev d0 root handle 1: pfifo",
        "qdisc del dev '' root",
        "class add dev '' parent 1: classid 1:1 htb rate 1mbit",
        "class del dev '' classid 1:1",
        "filter add dev '' ingress matchall",
        "filter del dev ''",
        "filter get dev '' parent 1: protocol ip pref 1 handle 1 matchall",
    ] {
        let theirs = run(&twins.theirs, "tc".as_ref(), words);
        let ours = run(&twins.ours, tests::lab::tc_cli().as_os_str(), words);
        assert_eq!(
            (ours.code, &ours.stdout, &ours.stderr),
            (theirs.code, &theirs.stdout, &theirs.stderr),
            "{words}"
        );
    }
}

/// The filters of `fw`, `basic` and `flower` have handles in bases that tc-cli cannot know.
#[test]
fn filters_of_unknown_kinds_when_named_by_handle_stay() {
    need!("sch_htb", "cls_fw", "cls_basic", "cls_flower", "veth");
    let net = Net::aside();
    net.veth("d0", "d1");
    net.tc("qdisc add dev d0 root handle 1: htb").ok();
    let registry = Registry::of_program().unwrap_or_default();
    let mut tried = 0;
    // Two filters of flower have different keys.
    for (kind, key) in [("fw", ""), ("basic", ""), ("flower", "src_ip 10.0.0.")] {
        if registry.get(TcType::Filter, kind).is_some() {
            continue;
        }
        for handle in [10, 16] {
            let place = "dev d0 parent 1: protocol ip prio 1";
            let key = if key.is_empty() { String::new() } else { format!("{key}{handle}") };
            net.tc(&format!("filter add {place} handle {handle} {kind} {key} classid 1:1")).ok();
        }
        let before = net.tc("filter show dev d0").ok();
        for verb in ["del", "change", "replace", "add", "get"] {
            let words = format!("filter {verb} dev d0 parent 1: protocol ip prio 1 handle 10 {kind}");
            let ended = net.tc_cli(&words);
            assert_eq!(ended.code, 1, "{words}: {}", ended.stderr);
            assert!(ended.stderr.starts_with(&format!("Unknown filter \"{kind}\"")), "{}", ended.stderr);
            assert_eq!(net.tc("filter show dev d0").stdout, before, "{words}");
        }
        let _all = net.tc("filter del dev d0").ok();
        tried += 1;
    }
    assert!(tried > 0 || registry.get(TcType::Filter, "fw").is_some(), "all three kinds are known");
}
