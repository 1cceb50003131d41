//! `tc-cli plug` with real packets through a real sch_plug: commands that end, a
//! hold around a command, the coprocess, and the script for CRIU.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::lab::{Output, PATIENCE, Pair, QUIET, tc_cli};
use tests::need;

const NOTHING: [u8; 0] = [];
const FRAME: u64 = Pair::FRAME_BYTES as u64;

/// Two hosts, and a directory for journals that ends with them.
struct Stage {
    pair: Pair,
    dir: PathBuf,
}

impl Stage {
    fn new(test: &str) -> Self {
        let dir = env::temp_dir().join(format!("tc-plug-cmd-{test}-{}", std::process::id()));
        Self { pair: Pair::new(), dir }
    }

    /// `tc-cli plug COMMAND --journal-dir DIR WORDS`
    fn plug(&self, words: &str) -> Output {
        self.pair.near.run(tc_cli(), &self.words("", words))
    }

    /// The same with `-j`: what it printed.
    fn json(&self, words: &str) -> Value {
        let text = self.pair.near.run(tc_cli(), &self.words("-j", words)).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn words(&self, global: &str, words: &str) -> Vec<String> {
        let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
        let dir = self.dir.to_str().unwrap();
        let global = Some(global).filter(|word| !word.is_empty());
        let ours = ["plug", command, "--journal-dir", dir];
        global.into_iter().chain(ours).chain(rest.split_whitespace()).map(str::to_owned).collect()
    }

    /// Starts it, with pipes.
    fn start(&self, global: &str, words: &str) -> Child {
        let mut command = Command::new(tc_cli());
        command.args(self.words(global, words));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.pair.near.inside(move || command.spawn()).unwrap()
    }

    fn root(&self) -> String {
        self.pair.near.tc("qdisc show dev near").ok()
    }

    fn observed(&self, key: &str) -> Value {
        self.json("status --dev near")[0]["observed"][key].clone()
    }

    /// Whether a packet with this number gets through, behind what is held.
    fn opens(&self, number: u8) -> bool {
        self.pair.send(&[number]);
        self.pair.receive(255, QUIET).contains(&number)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Waits until a file is there: what writes it runs.
fn wait_for(path: &Path) {
    let since = Instant::now();
    while !path.exists() {
        assert!(since.elapsed() < PATIENCE, "{} does not come", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// The exit status and standard error of one that ends in time.
fn end(mut child: Child) -> (i32, String) {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let done = child.wait_with_output().unwrap();
    (done.status.code().unwrap_or(-1), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn plug_single_operations_act_on_the_attached_plug() {
    need!("sch_plug", "veth");
    let stage = Stage::new("single");
    let pair = &stage.pair;
    stage.plug("attach --dev near --limit 64k").ok();
    assert!(stage.root().contains("qdisc plug c01: root"), "{}", stage.root());
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
    assert_eq!((&observed["kind"], &observed["handle"]), (&"plug".into(), &"c01:".into()), "{observed}");
    assert_eq!((&observed["held_packets"], &observed["held_bytes"]), (&3.into(), &(3 * FRAME).into()));
    assert_eq!((&observed["dropped_packets"], &observed["sent_packets"]), (&0.into(), &1.into()));
    let believed = &status["believed"][0];
    assert_eq!((&believed["by"], &believed["limit_bytes"]), (&"attach".into(), &65536.into()), "{believed}");
    let text = stage.plug("status --dev near").ok();
    assert!(text.contains("observed: plug c01: held 3 packets 129 bytes, dropped 0"), "{text}");
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
            "hold --dev near --limit 64k --on-death closed -- true",
            "commit --dev near --limit 64k --on-death closed",
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
        "hold --dev near --limit 64k --on-death open -- true",
        "hold --dev near --limit 64k -- true",
        "hold --dev near --limit 64k --on-death closed",
        "hold --dev near --limit 0 --on-death closed -- true",
        "hold --dev near --limit 64k --max-hold 2 --on-death open -- true",
        "commit --dev near --limit 64k --on-death open",
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
fn plug_hold_lets_nothing_pass_and_then_all() {
    need!("sch_plug", "veth");
    for global in ["", "-j"] {
        let stage = Stage::new("hold");
        let ready = stage.dir.join("ready");
        let words = format!(
            "hold --dev near --limit 1M --max-hold 30s --on-death open -- sh -c :>{};sleep${{IFS}}1;exit${{IFS}}7",
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
fn plug_hold_on_an_attached_plug_loses_nothing_of_a_stream_and_gives_it_back() {
    need!("sch_plug", "veth");
    let stage = Stage::new("stream");
    stage.plug("attach --dev near --limit 1M").ok();
    let hold = stage.start("", "hold --dev near --limit 1M --max-hold 30s --on-death open -- sleep 0.5");
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
fn plug_hold_reports_what_did_not_fit() {
    need!("sch_plug", "veth");
    let stage = Stage::new("full");
    let ready = stage.dir.join("ready");
    // 36 frames of 43 bytes fit.
    let words = format!(
        "hold --dev near --limit 1550 --on-death closed -- sh -c :>{};sleep${{IFS}}0.5",
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
fn plug_hold_opens_at_its_deadline_and_says_so() {
    need!("sch_plug", "veth");
    let stage = Stage::new("deadline");
    for death in ["open", "closed"] {
        let ready = stage.dir.join(death);
        let words = format!(
            "hold --dev near --limit 1M --max-hold 500ms --on-death {death} -- sh -c :>{};sleep${{IFS}}2",
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
fn plug_hold_lets_go_at_a_signal_and_obeys_its_policy_when_killed() {
    need!("sch_plug", "veth");
    for death in ["open", "closed"] {
        for how in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
            let stage = Stage::new("signal");
            let ready = stage.dir.join("ready");
            let words = format!(
                "hold --dev near --limit 1M --max-hold 60s --on-death {death} -- sh -c :>{};exec${{IFS}}sleep${{IFS}}20",
                ready.display()
            );
            let hold = stage.start("", &words);
            wait_for(&ready);
            stage.pair.send(&[1, 2]);
            assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "{death}: held");
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
            let arrives: &[u8] = if death == "open" { &[1, 2] } else { &[] };
            assert_eq!(stage.pair.receive(3, QUIET), arrives, "{death} {how}");
            let believed = stage.json("status --dev near")[0]["believed"][0].clone();
            assert_eq!((&believed["controller"], &believed["alive"]), (&pid.into(), &false.into()));
            assert_eq!((&believed["on_death"], &believed["plug_is_there"]), (&death.into(), &true.into()));
            // Nobody else takes it over by accident.
            for words in ["buffer --dev near", "hold --dev near --limit 1M --on-death closed -- true"] {
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
fn plug_hold_in_another_namespace_and_of_a_command_that_is_not_there() {
    need!("sch_plug", "veth");
    let stage = Stage::new("netns");
    let here = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let words = format!(
        "hold --dev far --netns {} --limit 1M --on-death closed -- readlink /proc/self/ns/net",
        stage.pair.far.path()
    );
    assert_eq!(stage.plug(&words).ok().trim(), here.to_str().unwrap(), "the command runs here");
    let done = stage.plug("hold --dev near --limit 1M --on-death closed -- /nonexistent/program");
    assert!(done.code == 1 && done.stderr.contains("the network is open"), "{done:?}");
    assert!(!stage.root().contains("plug") && stage.opens(1));
    let words = "hold --dev near --limit 1M --on-death closed -- echo --dry-run";
    assert_eq!(stage.plug(words).ok(), "--dry-run\n", "the command's words are its own");
}

#[test]
fn plug_rescue_drops_opens_or_releases() {
    need!("sch_plug", "veth");
    let stage = Stage::new("rescue");
    for (how, arrives, stays) in
        [("--drop", &[][..], false), ("--release", &[1, 2][..], false), ("--open", &[1, 2][..], true)]
    {
        let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --on-death closed");
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
    stage.plug("rescue --dev near --drop").ok();
    assert!(!stage.root().contains("plug"));
}

/// A `plug commit` that is talked to.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn start(stage: &Stage, global: &str, words: &str) -> Self {
        let mut child = stage.start(global, &format!("commit {words}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), child, lines }
    }

    fn ask(&mut self, order: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
        self.lines.next().unwrap_or_else(|| panic!("{order}: no answer")).unwrap()
    }

    #[track_caller]
    fn says(&mut self, order: &str, answer: &str) {
        assert_eq!(self.ask(order), answer, "{order}");
    }

    /// An order that is refused, with these words.
    #[track_caller]
    fn refuses(&mut self, order: &str, why: &str) {
        let answer = self.ask(order);
        assert!(answer.starts_with("err ") && answer.contains(why), "{order}: {answer}");
    }

    fn end(mut self) -> (i32, String) {
        self.input = None;
        end(self.child)
    }
}

#[test]
fn plug_commit_releases_epochs_when_they_are_acknowledged_and_refuses_what_would_leak() {
    need!("sch_plug", "veth");
    let stage = Stage::new("commit");
    let pair = &stage.pair;
    let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --on-death closed");
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
    let mut talk = Talk::start(&stage, "-j", "--dev near --dev near2 --limit 64k --on-death closed");
    talk.says("begin 0", r#"{"bytes":0,"drops":0,"held":0,"ok":0}"#);
    stage.pair.send(&[1]);
    assert!(stage.pair.near.tc("qdisc show dev near2").ok().contains("plug c01:"));
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
        let mut talk = Talk::start(&stage, "", &format!("--dev near --limit 64k {words}"));
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
    let mut talk = Talk::start(&stage, "", "--dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    stage.pair.send(&[1, 2]);
    talk.says("begin 1", "ok 1 held=2 bytes=86 drops=0");
    stage.pair.near.ip("link set dev near txqueuelen 77").ok();
    // The kernel would let these go in place of the two that are lost.
    stage.pair.send(&[3, 4]);
    talk.refuses("ack 0", "what was held is lost, and new output is held");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    assert!(talk.ask("quit").starts_with("ok "));
    assert_eq!(talk.end().0, 0);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "dropped, and not let go");
    assert!(stage.opens(5));
}

#[test]
fn plug_doctor_finds_what_is_in_the_way() {
    need!("sch_plug", "veth");
    let stage = Stage::new("doctor");
    let levels = |words: &str| -> Vec<(String, String)> {
        let out = stage.pair.near.run(tc_cli(), &stage.words("-j", words));
        let list: Value = serde_json::from_str(&out.stdout).unwrap();
        let level = |finding: &Value| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("check"), text("level"))
        };
        list.as_array().unwrap().iter().map(level).collect()
    };
    let has = |found: &[(String, String)], check: &str, level: &str| {
        assert!(found.contains(&(check.to_owned(), level.to_owned())), "{check} {level}: {found:?}");
    };
    let found = levels("doctor --dev near");
    for check in ["module", "device", "root", "bypass"] {
        has(&found, check, "ok");
    }
    stage.plug("attach --dev near --limit 2000").ok();
    let wire = stage.pair.near.wire("near");
    let found = levels("doctor --dev near");
    has(&found, "root", "ok");
    has(&found, "limit", "warn");
    has(&found, "bypass", "warn");
    drop(wire);
    stage.pair.near.tc("qdisc replace dev near root handle 5: pfifo").ok();
    has(&levels("doctor --dev near"), "root", "fail");
    let done = stage.plug("doctor --dev near");
    assert!(done.code == 1 && done.stdout.contains("fail root: pfifo 5: is somebody else's"), "{done:?}");
    stage.pair.far.ip("link set dev far down").ok();
    has(&levels("doctor --dev near"), "device", "fail");
}

#[test]
fn plug_script_for_criu_holds_and_lets_go() {
    need!("sch_plug", "veth");
    let stage = Stage::new("criu");
    let script = stage.dir.join("criu-action-script.sh");
    fs::create_dir_all(&stage.dir).unwrap();
    fs::write(&script, include_str!("../../tc-cli/docs/criu-action-script.sh")).unwrap();
    let run = |action: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg(&script).env("CRTOOLS_SCRIPT_ACTION", action).env("TC_CLI", tc_cli());
        command.env("PLUG_DEV", "near").env("PLUG_JOURNAL", &stage.dir);
        stage.pair.near.inside(move || command.output()).unwrap()
    };
    let refused = run("network-lock");
    assert_eq!(refused.status.code(), Some(1), "CRIU must not believe that it is locked: {refused:?}");
    stage.plug("attach --dev near --limit 64k").ok();
    for round in [1, 4] {
        assert!(run("pre-dump").status.success());
        assert!(stage.opens(round));
        let done = run("network-lock");
        assert!(done.status.success(), "{done:?}");
        stage.pair.send(&[round + 1, round + 2]);
        assert!(run("post-dump").status.success());
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "locked: held");
        assert_eq!(stage.observed("held_packets"), 2, "and not dropped");
        assert!(run("network-unlock").status.success());
        assert_eq!(stage.pair.receive(3, QUIET), [round + 1, round + 2]);
    }
    stage.plug("detach --dev near").ok();
}
