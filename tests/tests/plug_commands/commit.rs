//! `plug commit`: the coprocess and its orders.

use tests::lab::{PATIENCE, QUIET};
use tests::need;

use super::stage::{NOTHING, Stage, Talk};

#[test]
fn plug_commit_when_acknowledged_then_releases_and_never_leaks() {
    need!("sch_plug", "veth");
    let stage = Stage::new("commit");
    let pair = &stage.pair;
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("status", "ok 0 held=0 bytes=0 drops=0");
    talk.refuses("ack 5", "no epoch is closed; the network is open");
    // A script numbers epochs as it likes.
    talk.says("begin 5", "ok 5 held=0 bytes=0 drops=0");
    pair.send(&[1, 2]);
    talk.refuses("ack 5", "no epoch is closed; output is held");
    talk.refuses("begin 5", "epoch 5 is open");
    talk.refuses("begin 7", "is not the next");
    talk.refuses("nonsense", "nothing was changed");
    talk.says("begin 6", "ok 6 held=2 bytes=86 drops=0");
    pair.send(&[3]);
    talk.refuses("ack 6", "epoch 5 is closed, and not 6");
    talk.refuses("begin 7", "epoch 5 is closed and not acknowledged; output is held");
    talk.refuses("quit", "epoch 5 is closed and not acknowledged; output is held");
    assert_eq!(pair.receive(1, QUIET), NOTHING, "nothing of it leaked");
    talk.says("status", "ok 6 held=3 bytes=129 drops=0");
    assert!(talk.ask("ack 5").starts_with("ok 5 held="));
    assert_eq!(pair.receive(3, QUIET), [1, 2]);
    talk.refuses("ack 5", "no epoch is closed");
    talk.says("begin 7", "ok 7 held=1 bytes=43 drops=0");
    assert!(talk.ask("ack 6").starts_with("ok 6 held="));
    assert_eq!(pair.receive(2, QUIET), [3]);
    pair.send(&[4]);
    talk.says("quit", "ok 7 held=0 bytes=0 drops=0");
    assert_eq!(pair.receive(2, QUIET), [4]);
    assert_eq!(talk.end(), (0, String::new()));
    assert!(!stage.root().contains("plug"));
}

#[test]
fn plug_commit_over_several_devices_in_json() {
    need!("sch_plug", "veth");
    let stage = Stage::new("several");
    stage.pair.near.veth_to("near2", &stage.pair.far, "far2");
    let mut talk =
        Talk::start(&stage, "-j", "--where root --dev near --dev near2 --limit 64k --on-death closed");
    talk.says("begin 0", r#"{"bytes":0,"drops":0,"held":0,"ok":0}"#);
    stage.pair.send(&[1]);
    assert!(stage.pair.near.tc("qdisc show dev near2").ok().contains("qdisc plug "));
    talk.says("begin 1", r#"{"bytes":43,"drops":0,"held":1,"ok":1}"#);
    talk.says("quit", r#"{"err":"epoch 0 is closed and not acknowledged; output is held"}"#);
    assert!(talk.ask("ack 0").contains(r#""ok":0"#));
    assert_eq!(stage.pair.receive(1, PATIENCE), [1]);
    talk.says("quit", r#"{"bytes":0,"drops":0,"held":0,"ok":1}"#);
    assert_eq!(talk.end().0, 0);
}

#[test]
fn plug_commit_aborts_and_meets_its_end_by_policy() {
    need!("sch_plug", "veth");
    // (policy, what arrives of an aborted epoch, of one at the end of standard input)
    for (words, death, arrives) in
        [("--on-death closed", "closed", &[][..]), ("--on-death open --max-hold 60s", "open", &[1, 2][..])]
    {
        let stage = Stage::new("abort");
        let mut talk = Talk::start(&stage, "", &format!("--where root --dev near --limit 64k {words}"));
        talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
        stage.pair.send(&[1, 2]);
        talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
        assert!(talk.ask("abort").starts_with("ok 1 "));
        assert_eq!(stage.pair.receive(3, QUIET), arrives, "{death}");
        talk.refuses("ack 0", "aborted; ");
        talk.refuses("status", "aborted; ");
        // With a new checkpoint it goes on.
        assert!(talk.ask("begin 2").starts_with("ok 2 held=0 "), "{death}");
        stage.pair.send(&[3]);
        talk.says("begin 3", "ok 3 held=1 bytes=43 drops=0");
        assert!(talk.ask("ack 2").starts_with("ok 2 "));
        assert_eq!(stage.pair.receive(2, QUIET), [3]);
        stage.pair.send(&[4]);
        let (code, stderr) = talk.end();
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("standard input ended without quit; "), "{stderr}");
        let arrives: &[u8] = if death == "open" { &[4] } else { &[] };
        assert_eq!(stage.pair.receive(2, QUIET), arrives, "{death}");
        stage.plug("rescue --dev near --drop").ok();
    }
}

#[test]
fn plug_commit_releases_nothing_of_a_queue_that_was_reset() {
    need!("sch_plug", "veth");
    let stage = Stage::new("taint");
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1, 2]);
    talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
    stage.pair.near.ip("link set dev near txqueuelen 77").ok();
    // The kernel would release these instead of the two lost ones.
    stage.pair.send(&[3, 4]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    // Told with the first answer, whatever was asked; then it can start anew.
    talk.refuses("begin 2", "what was held is lost, and new output is held");
    talk.refuses("ack 0", "tainted: ");
    assert!(talk.ask("begin 2").starts_with("ok 2 held=0 "));
    talk.refuses("ack 0", "no epoch is closed; output is held");
    stage.pair.send(&[6]);
    talk.says("begin 3", "ok 3 held=1 bytes=43 drops=0");
    assert!(talk.ask("ack 2").starts_with("ok 2 "));
    assert_eq!(stage.pair.receive(2, QUIET), [6]);
    stage.pair.send(&[7]);
    assert!(talk.ask("abort").starts_with("ok 3 held=0 "));
    assert!(talk.ask("quit").starts_with("ok "));
    assert_eq!(talk.end().0, 0);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "dropped, and not let go");
    assert!(stage.opens(5));
}

#[test]
fn plug_commit_takes_attached_plugs_over_and_gives_them_back() {
    need!("sch_plug", "veth");
    let stage = Stage::new("attached");
    let near = &stage.pair.near;
    near.veth_to("near2", &stage.pair.far, "far2");
    near.veth_to("near3", &stage.pair.far, "far3");
    stage.plug("attach --dev near --limit 5000 --handle d01:").ok();
    stage.plug("attach --dev near2 --limit 6000").ok();
    let mut talk = Talk::start(
        &stage,
        "",
        "--where root --dev near --dev near2 --dev near3 --limit 64k --on-death closed",
    );
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    for dev in ["near", "near2", "near3"] {
        let wrong = stage.plug(&format!("buffer --dev {dev}"));
        assert!(wrong.code == 1 && wrong.stderr.contains("in a session"), "{wrong:?}");
    }
    stage.pair.send(&[1, 2]);
    talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
    assert!(talk.ask("ack 0").starts_with("ok 0 "));
    assert_eq!(stage.pair.receive(3, QUIET), [1, 2]);
    // Held packets must be dropped: the spare plug replaces near's.
    near.ip("link set dev near txqueuelen 77").ok();
    talk.refuses("status", "what was held is lost, and new output is held");
    assert!(stage.root().contains("qdisc plug d02: root"), "{}", stage.root());
    assert!(talk.ask("begin 2").starts_with("ok 2 held=0 "));
    stage.pair.send(&[3]);
    assert!(talk.ask("quit").starts_with("ok 2 "));
    assert_eq!(talk.end().0, 0);
    assert_eq!(stage.pair.receive(2, QUIET), [3]);

    assert!(!near.tc("qdisc show dev near3").ok().contains("plug"), "its own is taken away");
    assert!(near.tc("qdisc show dev near2").ok().contains("qdisc plug "), "given back");
    for (dev, limit) in [("near", 5000), ("near2", 6000)] {
        let believed = stage.json(&format!("status --dev {dev}"))[0]["believed"].clone();
        assert_eq!(believed.as_array().unwrap().len(), 1, "{believed}");
        assert_eq!((&believed[0]["by"], &believed[0]["limit_bytes"]), (&"attach".into(), &limit.into()));
        assert_eq!(believed[0]["plug_is_there"], true, "{dev}");
    }
    // With the limit of plug attach again: 116 frames of 43 bytes.
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[0; 120]);
    assert_eq!((stage.observed("held_packets"), stage.observed("dropped_packets")), (116.into(), 4.into()));
    for dev in ["near", "near2"] {
        stage.plug(&format!("detach --dev {dev}")).ok();
    }
    assert_eq!(stage.json("status"), serde_json::Value::Array(Vec::new()));
}

#[test]
fn plug_commit_is_not_tainted_by_commands_that_were_refused() {
    need!("sch_plug", "veth");
    let mut stage = Stage::new("refused");
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1]);
    // With other journals, only the plug itself shows the session.
    for dir in [stage.dir.clone(), stage.dir.join("elsewhere")] {
        stage.dir = dir;
        for words in [
            "attach --dev near --limit 64k",
            "hold --where root --dev near --limit 64k --on-death closed -- true",
        ] {
            let refused = stage.plug(words);
            assert_eq!(refused.code, 1, "{words}: {refused:?}");
            assert!(refused.stderr.trim_end().ends_with("; nothing was changed"), "{words}: {refused:?}");
            talk.says("status", "ok 0 held=1 bytes=43 drops=0");
        }
    }
    talk.says("quit", "ok 0 held=0 bytes=0 drops=0");
    assert_eq!(stage.pair.receive(1, PATIENCE), [1]);
    assert_eq!(talk.end().0, 0);
}

#[test]
fn journal_of_a_device_that_is_gone_is_named_and_deleted() {
    need!("sch_plug", "veth");
    let stage = Stage::new("gone");
    stage.pair.near.veth_to("near2", &stage.pair.far, "far2");
    let mut talk = Talk::start(&stage, "", "--where root --dev near2 --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.near.ip("link del dev near2").ok();
    talk.refuses("status", "the device is gone");
    assert_eq!(talk.end().0, 1);
    let status = stage.plug("status").ok();
    assert!(status.starts_with("near2\n  observed: the device is gone\n"), "{status}");
    assert!(stage.plug("rescue --dev near3 --drop").stderr.contains("Cannot find device \"near3\""));
    stage.plug("rescue --dev near2 --drop").ok();
    assert_eq!(stage.plug("status").ok(), "");
}

#[test]
fn plug_commands_without_output_report_the_network_state() {
    need!("sch_plug", "veth");
    let stage = Stage::new("unanswered");
    let commit = |policy: &str, orders: &str, redirection: &str| {
        let words = format!("commit --where root --dev near --limit 64k {policy}");
        // The other end of a pipe has time to go.
        let before = format!("printf '{orders}' | ( sleep 0.5; exec");
        let done = stage.shell(&before, "", &words, &format!(") {redirection}"));
        assert_eq!(done.code, 1, "{done:?}");
        done.stderr
    };
    let (closed, open) = ("--on-death closed", "--on-death open --max-hold 60s");
    let full = "plug commit: Cannot write to standard output: No space left on device; ";
    assert_eq!(
        commit(closed, "quit\\n", ">/dev/full"),
        format!("{full}the plugs were taken away, and the network is open\n")
    );
    assert!(!stage.root().contains("plug") && stage.opens(1));

    let left = "the network is open, and the plug is left, see plug rescue\n";
    assert_eq!(commit(open, "begin 0\\n", ">/dev/full"), format!("{full}{left}"));
    assert!(stage.opens(2));
    stage.plug("rescue --dev near --drop").ok();

    let stays = "the plug stays as it is, see plug rescue\n";
    let gone = "plug commit: Cannot write to standard output: Broken pipe; ";
    assert_eq!(commit(closed, "begin 0\\n", "| true"), format!("{gone}{stays}"));
    assert!(stage.root().contains("plug"));
    stage.pair.send(&[3]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "held");
    let done = stage.shell("", "", "rescue --dev near --release", ">/dev/full");
    let what = "this was done: released on 1 device(s); the network is open\n";
    assert!(done.code == 1 && done.stderr.ends_with(what), "{done:?}");
    assert_eq!(stage.pair.receive(2, QUIET), [3]);
    assert!(!stage.root().contains("plug"));

    let done = stage.shell("", "-j", "attach --dev near --limit 64k", ">/dev/full");
    assert!(done.code == 1 && done.stderr.contains("this was done: "), "{done:?}");
    stage.plug("detach --dev near").ok();
}
