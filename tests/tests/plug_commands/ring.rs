//! Sessions on a ring: the default of `plug hold` and `plug commit`.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::lab::{Output, PATIENCE, QUIET, tc_cli};
use tests::need;

use super::stage::{FRAME, NOTHING, Stage, Talk, end, signal, wait_for};

/// Runs `tc-cli plug`; a `+` in a word is a blank.
fn plug(stage: &Stage, global: &str, words: &str) -> Output {
    let words: Vec<_> = stage.words(global, words).iter().map(|word| word.replace('+', " ")).collect();
    stage.pair.near.run(tc_cli(), &words)
}

/// Puts a shaper at the root of `near`.
fn shaped(stage: &Stage) -> String {
    let near = &stage.pair.near;
    near.tc("qdisc add dev near root handle 1: htb default 10").ok();
    near.tc("class add dev near parent 1: classid 1:10 htb rate 1gbit").ok();
    stage.root()
}

/// The qdiscs of `near`, without counters of references and without the clsact that stays.
fn kept(stage: &Stage) -> String {
    let lines = stage.root();
    lines.lines().filter(|line| !line.contains("clsact")).map(|line| format!("{line}\n")).collect()
}

/// The IFBs of ours.
fn ifbs(stage: &Stage) -> usize {
    let links = stage.pair.near.ip("-o link show type ifb").ok();
    links.lines().filter(|line| line.contains("plug-")).count()
}

#[test]
fn commit_on_a_ring_holds_several_epochs_and_keeps_the_shaper() {
    need!("sch_plug", "sch_prio", "sch_htb", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring");
    let (pair, before) = (&stage.pair, shaped(&stage));
    let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --depth 4 --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    pair.send(&[1, 2]);
    talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
    pair.send(&[3]);
    talk.says("begin 2", "ok 2 held=3 bytes=129 drops=0");
    pair.send(&[4]);
    talk.says("begin 3", "ok 3 held=4 bytes=172 drops=0");
    talk.refuses("begin 4", "3 epochs are closed and not acknowledged, epoch 0 first; output is held");
    for (order, why) in [
        ("ack 1", "epoch 0 is closed, and not 1; output is held"),
        ("ack 3", "epoch 0 is closed, and not 3; output is held"),
        ("ack 99", "epoch 0 is closed, and not 99; output is held"),
        ("begin 9", "epoch 3 is open, and 9 is not the next; output is held"),
        ("quit", "epoch 0 is closed and not acknowledged; output is held"),
    ] {
        talk.refuses(order, why);
    }
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    assert!(talk.ask("ack 0").starts_with("ok 0 "));
    assert_eq!(pair.receive(3, QUIET), [1, 2]);
    talk.refuses("ack 0", "epoch 1 is closed, and not 0");
    // A flap of the device taints nothing, and loses nothing.
    for words in ["link set near down", "link set near up", "link set near txqueuelen 77"] {
        pair.near.ip(words).ok();
    }
    pair.near.ip("neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:02 nud permanent").ok();
    talk.says("status", "ok 3 held=2 bytes=86 drops=0");
    assert!(talk.ask("ack 1").starts_with("ok 1 "));
    assert_eq!(pair.receive(2, QUIET), [3]);
    talk.says("begin 4", "ok 4 held=1 bytes=43 drops=0");
    assert!(talk.ask("ack 2").starts_with("ok 2 "));
    assert!(talk.ask("ack 3").starts_with("ok 3 "));
    assert_eq!(pair.receive(2, QUIET), [4]);
    pair.send(&[5]);
    talk.says("quit", "ok 4 held=0 bytes=0 drops=0");
    assert_eq!(pair.receive(2, QUIET), [5]);
    assert_eq!(talk.end(), (0, String::new()));
    assert_eq!((kept(&stage), ifbs(&stage)), (before, 0));
    assert_eq!(stage.json("status"), Value::Array(Vec::new()), "no journal is left");
}

#[test]
fn hold_on_a_shaped_device_holds_and_loses_nothing() {
    need!("sch_plug", "sch_prio", "sch_htb", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-hold");
    let (pair, before) = (&stage.pair, shaped(&stage));
    let ready = stage.dir.join("ready");
    // The limit is computed.
    let words = format!(
        "hold --dev near --rate 1mbit --max-hold 30s --on-death open -- sh -c :>{};sleep${{IFS}}0.5",
        ready.display()
    );
    let hold = stage.start("-j", &words);
    wait_for(&ready);
    pair.send(&[1, 2]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "held");
    let (code, stderr) = end(hold);
    let report: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &report["held_packets"], &report["held_bytes"]), (0, &2.into(), &(2 * FRAME).into()));
    assert_eq!((&report["dropped_packets"], &report["released"]), (&0.into(), &true.into()));
    assert_eq!(pair.receive(3, QUIET), [1, 2]);
    assert!(stage.opens(3));
    assert_eq!((kept(&stage), ifbs(&stage)), (before, 0));
}

#[test]
fn hold_of_a_match_holds_that_alone() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_flower", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-match");
    for (matching, held) in [
        ("flower+ip_proto+udp+dst_port+7", true),
        ("flower+ip_proto+udp+dst_port+8", false),
        ("protocol+ip+flower+dst_ip+192.0.2.0/24", true),
        ("protocol+ip+flower+src_ip+198.51.100.1", false),
    ] {
        let ready = stage.dir.join("ready");
        let _absent = fs::remove_file(&ready);
        let words = format!(
            "hold --dev near --limit 64k --match {matching} --on-death closed -- sh -c :>{};sleep${{IFS}}1",
            ready.display()
        );
        let words: Vec<_> = stage.words("", &words).iter().map(|word| word.replace('+', " ")).collect();
        let mut command = std::process::Command::new(tc_cli());
        command.args(words).stderr(std::process::Stdio::piped());
        let hold = stage.pair.near.inside(move || command.spawn()).unwrap();
        wait_for(&ready);
        let filters = stage.pair.near.tc("filter show dev near egress").ok();
        assert!(filters.contains("flower") && !filters.contains("matchall"), "{filters}");
        stage.pair.send(&[1]);
        let expected: &[u8] = if held { &[] } else { &[1] };
        assert_eq!(stage.pair.receive(1, QUIET), expected, "{matching}");
        let (code, stderr) = end(hold);
        let counted = format!("held {} packets", u8::from(held));
        assert!(code == 0 && stderr.contains(&counted), "{matching}: {stderr}");
        if held {
            assert_eq!(stage.pair.receive(1, PATIENCE), [1], "{matching}");
        }
        let filters = stage.pair.near.tc("filter show dev near egress").ok();
        assert_eq!(filters, "", "{matching}");
        assert_eq!(ifbs(&stage), 0);
    }
}

#[test]
fn ring_of_a_dead_controller_is_shown_and_rescued() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-rescue");
    for (how, arrives, stays) in
        [("--drop", &[][..], false), ("--release", &[1, 2][..], false), ("--open", &[1, 2][..], true)]
    {
        let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --on-death closed");
        talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
        stage.pair.send(&[1]);
        talk.says("begin 1", "ok 1 held=1 bytes=43 drops=0");
        stage.pair.send(&[2]);
        let alive = stage.plug(&format!("rescue --dev near {how}"));
        assert!(alive.code == 1 && alive.stderr.contains("is alive"), "{alive:?}");
        talk.child.kill().unwrap();
        talk.child.wait().unwrap();
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "it stays closed");
        let status = stage.json("status --dev near");
        let [status] = &status.as_array().unwrap()[..] else { panic!("one: {status}") };
        assert_eq!((&status["dev"], &status["where"]), (&"near".into(), &"egress".into()), "{status}");
        assert_eq!(
            (&status["observed"]["kind"], &status["observed"]["held_packets"]),
            (&"prio".into(), &2.into())
        );
        assert_eq!(
            (&status["believed"][0]["alive"], &status["believed"][0]["plug_is_there"]),
            (&false.into(), &true.into())
        );
        for words in [
            "hold --dev near --limit 64k --on-death closed -- true",
            "attach --where egress --dev near --limit 64k",
        ] {
            let refused = stage.plug(words);
            assert!(
                refused.code == 1 && refused.stderr.contains("which died: see plug rescue")
                    || refused.stderr.contains("rescue it (plug rescue)"),
                "{words}: {refused:?}"
            );
        }
        stage.plug(&format!("rescue --dev near {how}")).ok();
        assert_eq!(stage.pair.receive(3, QUIET), arrives, "{how}");
        assert!(stage.opens(9), "{how}");
        assert_eq!(ifbs(&stage), usize::from(stays), "{how}");
    }
    // It is as after plug attach now.
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    stage.plug("detach --dev near").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
    assert_eq!((stage.json("status"), ifbs(&stage)), (Value::Array(Vec::new()), 0));
}

#[test]
fn ring_of_plug_attach_is_held_and_given_back() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-attach");
    stage.plug("attach --where egress --depth 3 --dev near --limit 5000").ok();
    assert!(stage.opens(1));
    for round in 0..3 {
        // With the limit and the depth of plug attach.
        let mut talk = Talk::start(&stage, "", "--dev near --on-death closed");
        talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
        let wrong = stage.plug("buffer --dev near");
        assert!(wrong.code == 1 && wrong.stderr.contains("in a session"), "{wrong:?}");
        stage.pair.send(&[2, 3]);
        talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
        talk.says("begin 2", "ok 2 held=2 bytes=86 drops=0");
        talk.refuses("begin 3", "2 epochs are closed and not acknowledged, epoch 0 first");
        assert!(talk.ask("ack 0").starts_with("ok 0 "));
        assert_eq!(stage.pair.receive(3, QUIET), [2, 3], "{round}");
        assert!(talk.ask("ack 1").starts_with("ok 1 "));
        stage.pair.send(&[4]);
        assert!(talk.ask("quit").starts_with("ok 2 "));
        assert_eq!(talk.end(), (0, String::new()));
        assert_eq!(stage.pair.receive(2, QUIET), [4]);
        assert!(stage.opens(5) && ifbs(&stage) == 1);
    }
    let other = stage.plug("hold --dev near --depth 5 --limit 64k --on-death closed -- true");
    assert!(other.code == 1 && other.stderr.contains("has 3 bands, not 5; nothing was changed"), "{other:?}");
    // 116 frames of 43 bytes fit.
    stage.plug("buffer --dev near").ok();
    let again = stage.plug("buffer --dev near");
    assert!(again.code == 1 && again.stderr.ends_with("see plug open; nothing was changed\n"), "{again:?}");
    let release = stage.plug("release --dev near");
    assert!(release.code == 1 && release.stderr.ends_with("keeps account of epochs; nothing was changed\n"));
    stage.pair.send(&[0; 120]);
    let held = || (stage.observed("held_packets"), stage.observed("dropped_packets"));
    assert_eq!(held(), (116.into(), 4.into()));
    stage.plug("limit --dev near --limit 64k").ok();
    stage.pair.send(&[0; 4]);
    assert_eq!(held(), (120.into(), 4.into()));
    let refused = stage.plug("hold --dev near --on-death closed -- true");
    assert!(refused.code == 1 && refused.stderr.contains("is buffering"), "{refused:?}");
    assert_eq!(stage.plug("drop --dev near").ok(), "dropped 120 packets, 5160 bytes; the network is open\n");
    assert!(stage.opens(7));
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[8]);
    stage.plug("open --dev near").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [8]);
    stage.plug("detach --dev near").ok();
    assert_eq!((stage.json("status"), ifbs(&stage)), (Value::Array(Vec::new()), 0));
}

#[test]
fn hold_when_an_old_ring_is_gone_goes_on() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-stale");
    let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1]);
    signal(&talk.child, Signal::SIGKILL);
    talk.child.wait().unwrap();
    let ifb = stage.json("status --dev near")[0]["ifb"].as_str().unwrap().to_owned();
    stage.pair.near.ip(&format!("link del {ifb}")).ok();
    // The filter drops what would go to the IFB.
    stage.pair.send(&[2]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    let done = stage.plug("hold --dev near --limit 64k --on-death closed -- true");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stderr.contains("deleted the old journal "), "{done:?}");
    assert!(stage.opens(3));
    assert_eq!((stage.json("status"), ifbs(&stage)), (Value::Array(Vec::new()), 0));
}

#[test]
fn ring_words_and_devices_that_are_wrong_change_nothing() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "cls_flower", "act_mirred", "ifb", "veth");
    let stage = Stage::new("ring-wrong");
    let near = &stage.pair.near;
    near.ip("link add ifb7 type ifb").ok();
    let state = || {
        near.tc("qdisc show").ok()
            + &near.tc("filter show dev near egress").ok()
            + &near.ip("-o link show").ok()
    };
    let ifindex = near.ip("-o link show near").ok().split(':').next().unwrap().to_owned();
    let hold = |words: &str| plug(&stage, "", &format!("hold {words} --on-death closed -- true"));
    let check = |words: &str, code: i32, why: &str| {
        let before = state();
        let done = hold(words);
        assert_eq!(done.code, code, "{words}: {done:?}");
        assert!(done.stderr.contains(why), "{words}: {}", done.stderr);
        assert_eq!(state(), before, "{words}");
    };
    for (words, why) in [
        ("--dev near --limit 64k --depth 0", "a ring has 2 to 16 bands, not 0"),
        ("--dev near --limit 64k --depth 1", "a ring has 2 to 16 bands, not 1"),
        ("--dev near --limit 64k --depth 17", "a ring has 2 to 16 bands, not 17"),
        ("--dev near --limit 0", "a limit of 0 drops every packet"),
        ("--dev near", "--limit SIZE is needed"),
        ("--dev near --rate 1mbit", "--rate needs --max-hold or --epoch"),
        ("--dev near --rate 0bit --max-hold 1s", "a rate of 0 sends nothing"),
        ("--dev near --rate 1mbit --limit 1k --max-hold 1s", "cannot be used with"),
        ("--dev near --limit 64k --where class:1", "egress, ingress, root, or a class"),
        ("--dev near --limit 64k --pref 0", "a number from 1 to 65535"),
        ("--dev near --limit 64k --where root --match matchall", "are for --where egress and ingress"),
        ("--dev near --limit 64k --match nosuch+dst_port+1", "no filter is called nosuch"),
        ("--dev near --limit 64k --match flower+dst_port+1", "--match 'flower dst_port 1': "),
        ("--dev near --limit 64k --match matchall+action+drop", "has actions: give it without"),
        ("--dev near --limit 64k --match protocol", "--match 'protocol': "),
    ] {
        check(words, 255, why);
    }
    check(
        "--dev ifb7 --limit 64k",
        1,
        "device ifb7 is an IFB: put the hold at its root (--where root); nothing was changed",
    );
    check("--dev nodev --limit 64k", 1, "No such device; nothing was changed");
    check("--dev near --limit 100", 1, "too small for one packet");
    check("--dev near --limit 64k --where class:1:4", 1, "nothing was changed");

    near.ip(&format!("link property add dev ifb7 altname plug-egress-{ifindex}")).ok();
    check("--dev near --limit 64k", 1, "is taken by device ifb7, which is not ours; nothing was changed");
    near.ip("link del ifb7").ok();

    near.tc("qdisc add dev near clsact").ok();
    near.tc("filter add dev near egress pref 1 protocol ip matchall action pass").ok();
    near.tc("filter add dev near egress pref 9 protocol ip flower dst_ip 192.0.2.9 action pass").ok();
    check(
        "--dev near --limit 64k",
        1,
        "has a filter matchall at priority 1 of its egress, which is not ours",
    );
    // At another priority it works, and the filters of others stay.
    let filters = near.tc("filter show dev near egress").ok();
    assert_eq!(hold("--dev near --limit 64k --pref 5").code, 0);
    assert_eq!(near.tc("filter show dev near egress").ok(), filters);
    near.tc("filter del dev near egress pref 1").ok();

    // Somebody uses our IFB.
    stage.plug("attach --where egress --dev near --limit 64k").ok();
    let ifb = stage.json("status --dev near")[0]["ifb"].as_str().unwrap().to_owned();
    near.tc(&format!("qdisc del dev {ifb} root")).ok();
    near.tc(&format!("qdisc add dev {ifb} root handle 5: pfifo limit 9")).ok();
    check("--dev near --limit 64k", 1, "has the root qdisc pfifo 5:, which is not ours; nothing was changed");
}

#[test]
fn hold_on_a_kernel_without_the_kinds_names_them() {
    need!("ifb", "veth");
    if tests::lab::need::has("cls_matchall") {
        return; // nothing is missing here
    }
    let stage = Stage::new("ring-no-module");
    let links = || stage.pair.near.ip("-o link show").ok();
    let before = (stage.root(), links());
    let done = stage.plug("hold --dev near --limit 64k --on-death closed -- true");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("the kernel does not have matchall with mirred"), "{done:?}");
    assert!(done.stderr.trim_end().ends_with("; nothing was changed"), "{done:?}");
    assert_eq!((stage.root(), links()), before);
}
