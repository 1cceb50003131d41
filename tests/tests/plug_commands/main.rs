//! `tc-cli plug` with real packets through a real sch_plug: commands that end, a
//! hold around a command, the coprocess, and the script for CRIU.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod commit;
mod criu;
mod doctor;
mod dropped;
mod hold;
mod mode;
mod orders;
mod owners;
mod ring;
mod signals;
mod stage;

use serde_json::Value;
use tests::lab::QUIET;
use tests::need;

use stage::{FRAME, NOTHING, Stage, Talk};

#[test]
fn plug_single_operations_act_on_the_attached_plug() {
    need!("sch_plug", "veth");
    let stage = Stage::new("single");
    let pair = &stage.pair;
    stage.plug("attach --dev near --limit 64k").ok();
    let root = stage.root();
    let handle = root.split(' ').nth(2).unwrap();
    let major = u16::from_str_radix(handle.trim_end_matches(':'), 16).unwrap();
    assert!(root.contains("qdisc plug ") && (0x4000..0x8000).contains(&major), "{root}");
    assert!(stage.opens(1), "attached, and open");
    stage.plug("buffer --dev near").ok();
    pair.send(&[2, 3]);
    stage.plug("buffer --dev near").ok();
    pair.send(&[4]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "held");

    let status = stage.json("status");
    let [status] = &status.as_array().unwrap()[..] else { panic!("one device: {status}") };
    assert_eq!(status["dev"], "near");
    let observed = &status["observed"];
    assert_eq!((&observed["kind"], &observed["handle"]), (&"plug".into(), &handle.into()), "{observed}");
    assert_eq!((&observed["held_packets"], &observed["held_bytes"]), (&3.into(), &(3 * FRAME).into()));
    assert_eq!((&observed["dropped_packets"], &observed["sent_packets"]), (&0.into(), &1.into()));
    let believed = &status["believed"][0];
    assert_eq!((&believed["by"], &believed["limit_bytes"]), (&"attach".into(), &65536.into()), "{believed}");
    let text = stage.plug("status --dev near").ok();
    let held = format!("observed: plug {handle} held 3 packets 129 bytes, dropped 0");
    assert!(text.contains(&held), "{text}");
    assert!(text.contains("believed: attached, limit 65536 bytes"), "{text}");

    stage.plug("release --dev near").ok();
    assert_eq!(pair.receive(3, QUIET), [2, 3], "the epoch that ended");
    stage.plug("limit --dev near --limit 50").ok();
    pair.send(&[5]);
    assert_eq!(stage.observed("dropped_packets"), 1, "the limit is in force");
    stage.plug("open --dev near").ok();
    assert_eq!(pair.receive(2, QUIET), [4]);
    stage.plug("buffer --dev near").ok();
    pair.send(&[6]);
    stage.plug("detach --dev near").ok();
    assert_eq!(pair.receive(2, QUIET), [6], "let go before the plug went");
    assert!(!stage.root().contains("plug"));
    assert_eq!(stage.json("status"), Value::Array(Vec::new()));
}

#[test]
fn plug_commands_leave_what_is_not_ours_alone() {
    need!("sch_plug", "veth");
    let stage = Stage::new("foreign");
    let near = &stage.pair.near;
    for kind in ["pfifo limit 5", "plug limit 9999"] {
        near.tc(&format!("qdisc add dev near root handle c01: {kind}")).ok();
        for words in [
            "attach --dev near --limit 64k",
            "buffer --dev near",
            "release --dev near",
            "open --dev near",
            "limit --dev near --limit 5000",
            "detach --dev near",
            "hold --where root --dev near --limit 64k --on-death closed -- true",
            "commit --where root --dev near --limit 64k --on-death closed",
        ] {
            let done = stage.plug(words);
            assert_eq!(done.code, 1, "{words}: {done:?}");
            assert!(done.stderr.trim_end().ends_with("; nothing was changed"), "{words}: {}", done.stderr);
            assert_eq!(done.stderr.lines().count(), 1, "{words}: {}", done.stderr);
        }
        assert!(stage.root().contains(&format!("{} c01: root", &kind[..kind.find(' ').unwrap()])));
        near.tc("qdisc del dev near root").ok();
    }
    let done = stage.plug("rescue --dev near --drop");
    assert!(done.code == 1 && done.stderr.contains("nothing was changed"), "{done:?}");
    assert_eq!(stage.plug("attach --dev nodev --limit 64k").code, 1);
}

#[test]
fn plug_words_that_are_wrong_send_nothing() {
    need!("sch_plug", "veth");
    let stage = Stage::new("words");
    for words in [
        "hold --where root --dev near --limit 64k --on-death open -- true",
        "hold --where root --dev near --limit 64k -- true",
        "hold --where root --dev near --limit 64k --on-death closed",
        "hold --where root --dev near --limit 0 --on-death closed -- true",
        "hold --where root --dev near --limit 64k --max-hold 2 --on-death open -- true",
        "commit --where root --dev near --limit 64k --on-death open",
        "commit --where root --dev near --limit 64k --on-death closed --max-hold 2s",
        "attach --dev near",
        "attach --dev near --limit 64k --handle 1:1",
        "rescue --dev near",
        "rescue --dev near --drop --open",
        "nonsense",
    ] {
        let done = stage.plug(words);
        assert_eq!(done.code, 255, "{words}: {done:?}");
        assert!(!stage.root().contains("plug"), "{words}");
    }
    assert!(!stage.dir.exists(), "no journal was written");
}

#[test]
fn plug_rescue_drops_opens_or_releases() {
    need!("sch_plug", "veth");
    let stage = Stage::new("rescue");
    for (how, arrives, stays) in
        [("--drop", &[][..], false), ("--release", &[1, 2][..], false), ("--open", &[1, 2][..], true)]
    {
        let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
        talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
        stage.pair.send(&[1, 2]);
        let alive = stage.plug(&format!("rescue --dev near {how}"));
        assert!(alive.code == 1 && alive.stderr.contains("is alive"), "{alive:?}");
        talk.child.kill().unwrap();
        talk.child.wait().unwrap();
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "it stays closed");
        stage.plug(&format!("rescue --dev near {how}")).ok();
        assert_eq!(stage.pair.receive(3, QUIET), arrives, "{how}");
        assert!(stage.opens(9), "{how}");
        assert_eq!(stage.root().contains("plug"), stays, "{how}");
    }
    // It is as after plug attach now, and no dead session's.
    let believed = stage.json("status --dev near")[0]["believed"].clone();
    assert_eq!(believed.as_array().unwrap().len(), 1, "{believed}");
    assert_eq!((&believed[0]["by"], &believed[0]["limit_bytes"]), (&"attach".into(), &65536.into()));
    assert_eq!(stage.plug("rescue --dev near --drop").code, 1, "nothing is left to rescue");
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    stage.plug("detach --dev near").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
    assert!(!stage.root().contains("plug"));
    assert_eq!(stage.json("status"), Value::Array(Vec::new()));
}

#[test]
fn plug_rescue_opens_devices_that_are_detached_one_by_one() {
    need!("sch_plug", "veth");
    let stage = Stage::new("rescue-several");
    stage.pair.near.veth_to("near2", &stage.pair.far, "far2");
    let mut talk =
        Talk::start(&stage, "", "--where root --dev near --dev near2 --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1]);
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    let said = stage.plug("rescue --dev near2 --open").ok();
    assert_eq!(said, "opened on 2 device(s); the network is open\n");
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
    stage.plug("detach --dev near").ok();
    assert!(!stage.root().contains("plug"));
    assert!(stage.pair.near.tc("qdisc show dev near2").ok().contains("qdisc plug "), "the other one stays");
    stage.plug("detach --dev near2").ok();
    assert_eq!(stage.json("status"), Value::Array(Vec::new()));
}
