//! `plug hold`: a hold around a command.

use std::fs;
use std::io::Write;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::lab::{PATIENCE, QUIET, tc_cli};
use tests::need;

use super::stage::{FRAME, NOTHING, Stage, end, signal, wait_for};

#[test]
fn plug_hold_lets_nothing_pass_and_then_all() {
    need!("sch_plug", "veth");
    for global in ["", "-j"] {
        let stage = Stage::new("hold");
        let ready = stage.dir.join("ready");
        let words = format!(
            "hold --where root --dev near --limit 1M --max-hold 30s --on-death open -- sh -c :>{};sleep${{IFS}}1;exit${{IFS}}7",
            ready.display()
        );
        let hold = stage.start(global, &words);
        wait_for(&ready);
        let since = Instant::now();
        let mut sent = Vec::new();
        while since.elapsed() < Duration::from_millis(500) {
            let next = sent.len() as u8;
            stage.pair.send(&[next]);
            sent.push(next);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(stage.pair.receive(1, Duration::from_millis(100)), NOTHING, "nothing passes");
        let (code, stderr) = end(hold);
        assert_eq!(code, 7, "{stderr}");
        let count = sent.len() as u64;
        assert_eq!(stage.pair.receive(sent.len() + 1, QUIET), sent, "all, in order");
        if global == "-j" {
            let report: Value = serde_json::from_str(&stderr).unwrap();
            assert_eq!(report["held_packets"], count, "{report}");
            assert_eq!(report["held_bytes"], count * FRAME);
            assert_eq!((&report["dropped_packets"], &report["status"]), (&0.into(), &7.into()));
            let ms = report["held_ms"].as_u64().unwrap();
            assert!((1000..20_000).contains(&ms), "{ms}");
        } else {
            let held = format!("plug hold: near: held {count} packets, {} bytes for ", count * FRAME);
            assert!(stderr.starts_with(&held), "{stderr}");
            assert!(stderr.ends_with(" s, dropped 0; released when: the command ended\n"), "{stderr}");
        }
        assert!(!stage.root().contains("plug"), "{}", stage.root());
        assert_eq!(stage.json("status"), Value::Array(Vec::new()), "no journal is left");
    }
}

#[test]
fn plug_hold_on_an_attached_plug_loses_nothing() {
    need!("sch_plug", "veth");
    let stage = Stage::new("stream");
    stage.plug("attach --dev near --limit 1M").ok();
    let hold = stage
        .start("", "hold --where root --dev near --limit 1M --max-hold 30s --on-death open -- sleep 0.5");
    let mut hold = Some(hold);
    let (mut sent, mut after) = (Vec::new(), 0);
    while after < 20 {
        let next = sent.len() as u8;
        stage.pair.send(&[next]);
        sent.push(next);
        thread::sleep(Duration::from_millis(10));
        let ended = hold.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
        match &hold {
            Some(_) if ended => {
                let (code, stderr) = end(hold.take().unwrap());
                assert_eq!(code, 0, "{stderr}");
                assert!(stderr.contains("dropped 0; released when: the command ended"), "{stderr}");
                assert!(!stderr.contains("held 0 packets"), "{stderr}");
            }
            Some(_) => assert!(sent.len() < 2000, "it does not end"),
            None => after += 1,
        }
    }
    assert_eq!(stage.pair.receive(sent.len() + 1, QUIET), sent, "before, in and after the hold");
    stage.plug("buffer --dev near").ok();
    stage.plug("detach --dev near").ok();
}

#[test]
fn plug_hold_reports_drops() {
    need!("sch_plug", "veth");
    let stage = Stage::new("full");
    let ready = stage.dir.join("ready");
    // 36 frames of 43 bytes fit.
    let words = format!(
        "hold --where root --dev near --limit 1550 --on-death closed -- sh -c :>{};sleep${{IFS}}0.5",
        ready.display()
    );
    let hold = stage.start("-j", &words);
    wait_for(&ready);
    stage.pair.send(&(0..50).collect::<Vec<_>>());
    let (code, stderr) = end(hold);
    let report: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((code, &report["held_packets"], &report["dropped_packets"]), (0, &36.into(), &14.into()));
    assert_eq!(stage.pair.receive(50, QUIET), (0..36).collect::<Vec<_>>());
}

#[test]
fn plug_hold_opens_at_its_deadline_and_reports_it() {
    need!("sch_plug", "veth");
    let stage = Stage::new("deadline");
    for death in ["open", "closed"] {
        let ready = stage.dir.join(death);
        let words = format!(
            "hold --where root --dev near --limit 1M --max-hold 500ms --on-death {death} -- sh -c :>{};sleep${{IFS}}2",
            ready.display()
        );
        let since = Instant::now();
        let hold = stage.start("", &words);
        wait_for(&ready);
        while !stage.opens(9) {
            assert!(since.elapsed() < PATIENCE, "it does not open");
        }
        assert!(since.elapsed() >= Duration::from_millis(500));
        let (code, stderr) = end(hold);
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.starts_with("plug hold: --max-hold is over, and the network is open\n"), "{stderr}");
        assert!(stderr.ends_with("released when: --max-hold was over\n"), "{stderr}");
        assert!(!stage.root().contains("plug"));
    }
}

#[test]
fn plug_hold_releases_at_a_signal_and_by_policy_when_killed() {
    need!("sch_plug", "veth");
    for death in ["open", "closed"] {
        for how in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGKILL] {
            let stage = Stage::new("signal");
            let ready = stage.dir.join("ready");
            let words = format!(
                "hold --where root --dev near --limit 1M --max-hold 60s --on-death {death} -- sh -c :>{};exec${{IFS}}sleep${{IFS}}20",
                ready.display()
            );
            let hold = stage.start("", &words);
            wait_for(&ready);
            stage.pair.send(&[1, 2]);
            assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "{death}: held");
            let command = command_of(&hold);
            signal(&hold, how);
            if how != Signal::SIGKILL {
                let (code, stderr) = end(hold);
                assert_eq!(code, 128 + how as i32, "the command got it too: {stderr}");
                let held = format!("held 2 packets, {} bytes", 2 * FRAME);
                assert!(stderr.contains(&held) && stderr.ends_with(&format!("{how} came\n")), "{stderr}");
                assert_eq!(stage.pair.receive(3, QUIET), [1, 2], "{death} {how}");
                assert!(!stage.root().contains("plug"));
                continue;
            }
            let pid = hold.id();
            let mut hold = hold;
            hold.wait().unwrap();
            kill(command, Signal::SIGTERM).expect("the command runs on");
            let arrives: &[u8] = if death == "open" { &[1, 2] } else { &[] };
            assert_eq!(stage.pair.receive(3, QUIET), arrives, "{death} {how}");
            let believed = stage.json("status --dev near")[0]["believed"][0].clone();
            assert_eq!((&believed["controller"], &believed["alive"]), (&pid.into(), &false.into()));
            assert_eq!((&believed["on_death"], &believed["plug_is_there"]), (&death.into(), &true.into()));
            // Nobody else takes it over by accident.
            for words in
                ["buffer --dev near", "hold --where root --dev near --limit 1M --on-death closed -- true"]
            {
                let done = stage.plug(words);
                assert!(done.code == 1 && done.stderr.contains("see plug rescue; nothing"), "{done:?}");
            }
            stage.plug("rescue --dev near --release").ok();
            let rest: &[u8] = if death == "open" { &[] } else { &[1, 2] };
            assert_eq!(stage.pair.receive(3, QUIET), rest, "{death}");
            assert!(!stage.root().contains("plug"));
        }
    }
}

#[test]
fn plug_hold_in_another_namespace_or_without_a_command() {
    need!("sch_plug", "veth");
    let stage = Stage::new("netns");
    let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let words = format!(
        "hold --where root --dev far --netns {} --limit 1M --on-death closed -- readlink /proc/self/ns/net",
        stage.pair.far.path()
    );
    assert_eq!(stage.plug(&words).ok().trim(), here.to_str().unwrap(), "the command runs here");
    let done =
        stage.plug("hold --where root --dev near --limit 1M --on-death closed -- /nonexistent/program");
    assert!(done.code == 1 && done.stderr.contains("the network is open"), "{done:?}");
    assert!(!stage.root().contains("plug") && stage.opens(1));
    let words = "hold --where root --dev near --limit 1M --on-death closed -- echo --dry-run";
    assert_eq!(stage.plug(words).ok(), "--dry-run\n", "the command's words are its own");
}

#[test]
fn plug_hold_gives_an_attached_plug_back_as_it_was() {
    need!("sch_plug", "veth");
    let stage = Stage::new("back");
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug("hold --where root --dev near --limit 1550 --on-death closed -- true").ok();
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1; 50]);
    assert_eq!(stage.observed("held_packets"), 50, "with its own limit");
    stage.plug("open --dev near").ok();
    assert_eq!(stage.pair.receive(50, PATIENCE).len(), 50);

    // (the operation, whether the plug stays)
    for (how, stays) in [("--open", true), ("--release", false)] {
        let ready = stage.dir.join(&how[2..]);
        let words = format!(
            "hold --where root --dev near --limit 64k --on-death closed -- sh -c :>{};exec${{IFS}}sleep${{IFS}}20",
            ready.display()
        );
        let mut hold = stage.start("", &words);
        wait_for(&ready);
        stage.pair.send(&[2]);
        signal(&hold, Signal::SIGKILL);
        hold.wait().unwrap();
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
        assert_eq!(stage.plug("open --dev near").code, 1, "it is a dead session's");
        stage.plug(&format!("rescue --dev near {how}")).ok();
        assert_eq!(stage.pair.receive(2, QUIET), [2]);
        assert_eq!(stage.root().contains("plug"), stays);
        assert_eq!(stage.plug("buffer --dev near").code, i32::from(!stays));
        assert_eq!(stage.json("status").as_array().unwrap().len(), usize::from(stays));
        if stays {
            stage.plug("open --dev near").ok();
        }
    }
}

/// The command of a hold: its child that is not the guardian.
fn command_of(hold: &Child) -> Pid {
    let pid = hold.id();
    let since = Instant::now();
    loop {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        // Until its exec a child has the name of its parent.
        let name = |child: &str| fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        let command = children.split_whitespace().find(|child| name(child) == "sleep\n");
        if let Some(command) = command {
            return Pid::from_raw(command.parse().unwrap());
        }
        assert!(since.elapsed() < PATIENCE, "no command among {children}");
    }
}

#[test]
fn plug_hold_ends_alike_if_its_report_cannot_be_written() {
    need!("sch_plug", "veth");
    let stage = Stage::new("unheard");
    for (number, redirection) in
        [">/dev/full 2>/dev/full", ">&- 2>&-", "2>&1 >/dev/null | true"].iter().enumerate()
    {
        for (number, json) in [(2 * number, ""), (2 * number + 1, "-j")] {
            let words = "hold --where root --dev near --limit 64k --max-hold 100ms --on-death open -- sh -c sleep${IFS}0.3;exit${IFS}7";
            let done = stage.shell("", json, words, redirection);
            assert_eq!((done.code, done.stderr.as_str()), (7, ""), "{redirection} {json}");
            assert!(!stage.root().contains("plug"), "{redirection}: {}", stage.root());
            assert!(stage.opens(number as u8), "{redirection} {json}");
        }
    }
    // A pipe that is full, and that nobody reads.
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[b'x'; 65_536]).unwrap();
    let words = "hold --where root --dev near --limit 64k --max-hold 100ms --on-death open -- sleep 60";
    let mut command = Command::new(tc_cli());
    command.args(stage.words("", words)).stderr(writer);
    let mut hold = stage.pair.near.inside(move || command.spawn()).unwrap();
    while !stage.root().contains("plug") {
        assert_eq!(hold.try_wait().unwrap(), None, "it ended before");
    }
    // The deadline opens, and it still hears a signal.
    let since = Instant::now();
    while !stage.opens(20) {
        assert!(since.elapsed() < PATIENCE, "it does not open");
    }
    signal(&hold, Signal::SIGTERM);
    let (code, _) = end(hold);
    assert_eq!(code, 128 + 15);
    assert!(!stage.root().contains("plug"), "{}", stage.root());
    drop(reader);
}
