//! The mode of a plug of `plug attach`: `hold` and `commit` take over none that
//! holds.

use tests::lab::{PATIENCE, QUIET};
use tests::need;

use super::stage::{NOTHING, Stage};

const HOLD: &str = "hold --where root --dev near --limit 64k --on-death closed -- true";
const COMMIT: &str = "commit --where root --dev near --limit 64k --on-death closed";

/// Each command is refused, changes nothing, and lets nothing go.
fn refused(stage: &Stage, why: &str) {
    let before = stage.root();
    for words in [HOLD, COMMIT] {
        let done = stage.plug(words);
        assert_eq!(done.code, 1, "{words}: {done:?}");
        assert!(done.stderr.contains(why) && done.stderr.contains("plug drop"), "{words}: {done:?}");
        assert!(done.stderr.trim_end().ends_with("; nothing was changed"), "{words}: {done:?}");
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "{words}");
        assert_eq!(stage.root(), before, "{words}");
    }
}

#[test]
fn hold_and_commit_when_a_plug_is_buffering_refuse() {
    need!("sch_plug", "veth");
    let stage = Stage::new("buffering");
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug("buffer --dev near").ok();
    // Nothing is held yet: the mode alone decides.
    refused(&stage, "is buffering");
    stage.pair.send(&[1, 2]);
    refused(&stage, "is buffering");
    let believed = stage.json("status --dev near")[0]["believed"][0].clone();
    assert_eq!(believed["mode"], "buffering", "{believed}");

    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[3]);
    stage.plug("release --dev near").ok();
    assert_eq!(stage.pair.receive(2, PATIENCE), [1, 2]);
    refused(&stage, "is buffering");
    stage.plug("open --dev near").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [3]);
    let text = stage.plug("status --dev near").ok();
    assert!(text.contains("believed: attached, limit 65536 bytes, open"), "{text}");
    stage.plug(HOLD).ok();
    assert!(stage.opens(4), "given back open");

    stage.plug("buffer --dev near").ok();
    stage.plug("detach --dev near").ok();
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug(HOLD).ok();
    stage.plug("detach --dev near").ok();
}

#[test]
fn hold_when_a_plug_was_closed_by_another_tool_refuses() {
    need!("sch_plug", "veth");
    let stage = Stage::new("closed-by-tc");
    stage.plug("attach --dev near --limit 64k --handle d01:").ok();
    stage.pair.near.tc("qdisc change dev near root handle d01: plug block").ok();
    stage.pair.send(&[1, 2]);
    refused(&stage, "holds 2 packets");
    // The record of a plug that is gone is not that of the next one.
    stage.plug("buffer --dev near").ok();
    stage.pair.near.tc("qdisc del dev near root").ok();
    stage.plug("attach --dev near --limit 64k --handle d01:").ok();
    stage.plug(HOLD).ok();
    // An unreadable record counts as unknown.
    stage.plug("buffer --dev near").ok();
    let attached = stage.dir.join("attached");
    for entry in std::fs::read_dir(&attached).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "mode") {
            std::fs::write(path, "mode op").unwrap();
        }
    }
    refused(&stage, "has a record that cannot be read");
    stage.plug("open --dev near").ok();
    stage.plug(HOLD).ok();
    stage.plug("detach --dev near").ok();
}

#[test]
fn limit_when_set_by_plug_limit_is_given_back() {
    need!("sch_plug", "veth");
    let stage = Stage::new("limit");
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug("limit --dev near --limit 1600").ok();
    for words in ["status --dev near", "open --dev near", HOLD, "drop --dev near"] {
        stage.plug(words).ok();
        let believed = stage.json("status --dev near")[0]["believed"][0].clone();
        assert_eq!(believed["limit_bytes"], 1600, "{words}: {believed}");
    }
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1; 50]);
    // 37 frames of 43 bytes are 1591.
    assert_eq!(stage.observed("held_packets"), 37);
    stage.plug("detach --dev near").ok();
}
