//! Commands at once, journals that others wrote, and controllers that live elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::lab::QUIET;
use tests::need;

use super::stage::{NOTHING, Stage, Talk, end, signal};

fn journals(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.dir.join("attached")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|suffix| suffix == "journal")).count()
}

#[test]
fn attach_when_two_processes_attach_at_once() {
    need!("sch_plug", "veth");
    let stage = Stage::new("at-once");
    for round in 0..25 {
        let started = [(); 2].map(|()| stage.start("", "attach --dev near --limit 64k"));
        let ended = started.map(end);
        let (won, lost): (Vec<_>, Vec<_>) = ended.iter().partition(|(code, _)| *code == 0);
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {ended:?}");
        let why = &lost[0].1;
        assert!(why.trim_end().ends_with("; nothing was changed"), "round {round}: {why}");
        let reasons = ["in a session of process ", "has a plug of plug attach"];
        assert!(reasons.iter().any(|reason| why.contains(reason)), "round {round}: {why}");
        assert!(stage.root().contains("qdisc plug "), "round {round}: {ended:?}");
        assert_eq!(journals(&stage), 1, "round {round}: {ended:?}");
        // The plug is known, and works.
        stage.plug("buffer --dev near").ok();
        stage.pair.send(&[round]);
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "round {round}");
        stage.plug("detach --dev near").ok();
        assert_eq!(stage.pair.receive(2, QUIET), [round]);
    }
}

#[test]
fn rescue_when_the_controller_is_in_another_pid_namespace() {
    need!("sch_plug", "veth");
    let stage = Stage::new("pid-namespace");
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1]);
    let elsewhere = |words: &str| {
        let mut all: Vec<String> = ["-p", "-f", "-m", "--mount-proc", tests::lab::tc_cli().to_str().unwrap()]
            .map(str::to_owned)
            .to_vec();
        all.extend(stage.words("", words));
        stage.pair.near.run("unshare", &all)
    };
    for how in ["--open", "--drop", "--release"] {
        let alive = elsewhere(&format!("rescue --dev near {how}"));
        assert!(alive.code == 1 && alive.stderr.contains("is alive"), "{how}: {alive:?}");
    }
    let status = elsewhere("status --dev near").ok();
    assert!(status.contains("(alive)"), "{status}");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "held");
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    let status = elsewhere("status --dev near").ok();
    assert!(status.contains("(dead)"), "{status}");
    elsewhere("rescue --dev near --release").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
}

#[test]
fn end_when_the_plug_is_of_another_session() {
    need!("sch_plug", "veth");
    let stage = Stage::new("another");
    let mut first = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    first.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    let refused = stage.plug("attach --dev near --limit 64k");
    let pid = format!("process {}", first.child.id());
    assert!(refused.code == 1 && refused.stderr.contains(&pid), "{refused:?}");
    // It looks as soon as something happens, and puts its plug back.
    signal(&first.child, Signal::SIGSTOP);
    stage.pair.near.tc("qdisc del dev near root").ok();
    stage.plug("attach --dev near --limit 64k").ok();
    let root = stage.root();
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1]);
    signal(&first.child, Signal::SIGCONT);
    first.refuses("status", "another qdisc is there and decides what leaves");
    assert_eq!(stage.root(), root, "its policy");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "the second one holds");
    let _end = first.ask("quit");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert_eq!(stage.root(), root, "its end");
    let _nothing_left = stage.plug("rescue --dev near --release");
    assert_eq!(stage.root(), root, "a rescue of the first session");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "and it still holds");
    stage.plug("detach --dev near").ok();
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
}

#[test]
fn commands_when_the_directory_has_files_of_other_kinds() {
    need!("sch_plug", "veth");
    let stage = Stage::new("kinds");
    for dir in [stage.dir.clone(), stage.dir.join("attached")] {
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["fifo.journal", "fifo.part"] {
            assert!(Command::new("mkfifo").arg(dir.join(name)).status().unwrap().success());
        }
        symlink("/dev/zero", dir.join("zero.journal")).unwrap();
        symlink("/etc/passwd", dir.join("link.journal")).unwrap();
        fs::write(dir.join("12.part"), "tc-plug journal 2\nsess").unwrap();
    }
    stage.plug("attach --dev near --limit 64k").ok();
    assert!(!stage.dir.join("attached/12.part").exists());
    let status = stage.plug("status");
    assert!(status.code == 0 && status.stderr.matches("is no regular file").count() == 6, "{status:?}");
    stage.plug("buffer --dev near").ok();
    stage.plug("detach --dev near").ok();
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    assert!(!stage.dir.join("12.part").exists());
    stage.plug("rescue --dev near --drop").ok();
    assert!(!stage.root().contains("plug"));
    assert_eq!(fs::read_link(stage.dir.join("link.journal")).unwrap().to_str(), Some("/etc/passwd"));
}

#[test]
fn commands_when_others_can_write_to_the_directory() {
    need!("sch_plug", "veth");
    let stage = Stage::new("others");
    fs::create_dir_all(&stage.dir).unwrap();
    let mut cases = vec![0o770, 0o777];
    for case in 0..3 {
        match cases.pop() {
            Some(mode) => fs::set_permissions(&stage.dir, fs::Permissions::from_mode(mode)).unwrap(),
            None => {
                fs::set_permissions(&stage.dir, fs::Permissions::from_mode(0o755)).unwrap();
                std::os::unix::fs::chown(&stage.dir, Some(12345), None).unwrap();
            }
        }
        for words in [
            "attach --dev near --limit 64k",
            "commit --where root --dev near --limit 64k --on-death closed",
            "hold --where root --dev near --limit 64k --on-death closed -- true",
            "rescue --dev near --drop",
        ] {
            let done = stage.plug(words);
            assert!(
                done.code != 0 && done.stderr.contains("only their owner can write"),
                "{case} {words}: {done:?}"
            );
            assert!(!stage.root().contains("plug"), "{words}");
        }
    }
}

#[test]
fn attach_when_an_old_journal_has_lost_its_plug() {
    need!("sch_plug", "veth");
    let stage = Stage::new("old");
    stage.plug("attach --dev near --limit 64k").ok();
    stage.pair.near.tc("qdisc del dev near root").ok();
    let again = stage.plug("attach --dev near --limit 64k");
    assert!(again.code == 0 && again.stderr.contains("deleted the old journal "), "{again:?}");
    assert_eq!(journals(&stage), 1);
    // A session that died, and whose plug somebody deleted.
    stage.plug("detach --dev near").ok();
    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    stage.pair.near.tc("qdisc del dev near root").ok();
    let held = stage.plug("hold --where root --dev near --limit 64k --on-death closed -- true");
    assert!(held.code == 0 && held.stderr.contains("deleted the old journal "), "{held:?}");
    assert_eq!(stage.json("status"), Value::Array(Vec::new()));
}
