//! `plug hold`: signals, and its requirements.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::Signal;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use serde_json::Value;
use tests::lab::{PATIENCE, QUIET, tc_cli};
use tests::need;

use super::stage::{FRAME, NOTHING, Stage, end, signal, wait_for};

/// A command that writes a line for each SIGINT and SIGQUIT until the file `done` is there.
const COUNTS: &str = "trap 'echo x >>heard' INT QUIT; : >ready; \
                      while [ ! -e done ]; do sleep 0.02; done; exit 3";

#[test]
fn hold_when_ctrl_c_is_typed_signals_the_command_once() {
    need!("sch_plug", "veth", "program_setsid");
    for (key, name) in [(3, "SIGINT"), (28, "SIGQUIT")] {
        let stage = Stage::new("ctrl-c");
        fs::create_dir_all(&stage.dir).unwrap();
        let terminal = openpty(None, None).unwrap();
        let words = "hold --where root --dev near --limit 1M --on-death closed -- sh -c";
        let mut command = Command::new("setsid");
        command.arg("-c").arg(tc_cli()).args(stage.words("", words)).arg(COUNTS).current_dir(&stage.dir);
        command.stdin(terminal.slave).stdout(Stdio::null()).stderr(Stdio::piped());
        let hold = stage.pair.near.inside(move || command.spawn()).unwrap();
        wait_for(&stage.dir.join("ready"));
        stage.pair.send(&[1]);
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
        let mut keyboard = File::from(terminal.master);
        keyboard.write_all(&[key]).unwrap();
        assert_eq!(stage.pair.receive(1, PATIENCE), [1], "{name} lets go");
        wait_for(&stage.dir.join("heard"));
        // Whatever is forwarded is so by now.
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
        fs::write(stage.dir.join("done"), "").unwrap();
        let (code, stderr) = end(hold);
        assert!(code == 3 && stderr.ends_with(&format!("released when: {name} came\n")), "{code} {stderr}");
        assert_eq!(fs::read_to_string(stage.dir.join("heard")).unwrap(), "x\n", "{name}");
    }
}

#[test]
fn hold_when_under_nohup_ignores_a_hangup() {
    need!("sch_plug", "veth");
    let stage = Stage::new("nohup");
    let ready = stage.dir.join("ready");
    let words = format!(
        "hold --where root --dev near --limit 1M --on-death closed -- sh -c :>{};exec${{IFS}}sleep${{IFS}}60",
        ready.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "bash"]).arg(tc_cli()).args(stage.words("", &words));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let hold = stage.pair.near.inside(move || command.spawn()).unwrap();
    wait_for(&ready);
    stage.pair.send(&[1]);
    signal(&hold, Signal::SIGHUP);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "it holds on");
    signal(&hold, Signal::SIGTERM);
    let (code, stderr) = end(hold);
    assert!(code == 128 + 15 && stderr.ends_with("SIGTERM came\n"), "{code} {stderr}");
    assert_eq!(stage.pair.receive(2, QUIET), [1]);
}

#[test]
fn hold_when_sigchld_is_ignored_returns_the_exit_code() {
    need!("sch_plug", "veth");
    let stage = Stage::new("sigchld");
    for death in ["--on-death closed", "--on-death open --max-hold 60s"] {
        let words = format!("hold --where root --dev near --limit 1M {death} -- sh -c exit${{IFS}}7");
        let mut arguments = vec!["-c".into(), "trap '' CHLD; exec \"$@\"".into(), "bash".into()];
        arguments.push(tc_cli().display().to_string());
        arguments.extend(stage.words("", &words));
        let done = stage.pair.near.run("bash", &arguments);
        assert_eq!(done.code, 7, "{done:?}");
        assert!(done.stderr.ends_with("released when: the command ended\n"), "{done:?}");
        assert!(!stage.root().contains("plug"), "{}", stage.root());
    }
}

#[test]
fn hold_when_pidfd_open_is_refused_holds_or_refuses() {
    need!("sch_plug", "veth", "program_strace");
    for (death, errno) in [("closed", "ENOSYS"), ("closed", "EMFILE"), ("open --max-hold 60s", "ENOSYS")] {
        let stage = Stage::new("pidfd");
        let (ready, ran) = (stage.dir.join("ready"), stage.dir.join("ran"));
        let strace =
            format!("strace -qq -f -o /dev/null -e trace=pidfd_open -e inject=pidfd_open:error={errno}");
        let words = format!("hold --where root --dev near --limit 1M --on-death {death} -- sh -c");
        let script =
            format!(": >{}; while [ ! -e {} ]; do sleep 0.02; done; exit 5", ready.display(), ran.display());
        let mut command = Command::new("strace");
        command
            .args(strace.split_whitespace().skip(1))
            .arg(tc_cli())
            .args(stage.words("-j", &words))
            .arg(script);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut hold = stage.pair.near.inside(move || command.spawn()).unwrap();
        let since = Instant::now();
        while !ready.exists() && hold.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < PATIENCE, "it neither runs the command nor ends");
            thread::sleep(Duration::from_millis(5));
        }
        if !ready.exists() {
            let (code, stderr) = end(hold);
            assert!(code == 1 && stderr.contains("; nothing was changed\""), "{death}: {stderr}");
            assert!(!stage.root().contains("plug"), "{}", stage.root());
            continue;
        }
        stage.pair.send(&[1, 2]);
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "{death} {errno}: the command runs, so it is held");
        fs::write(&ran, "").unwrap();
        let (code, stderr) = end(hold);
        let report: Value = serde_json::from_str(&stderr).unwrap_or_else(|error| panic!("{error}: {stderr}"));
        assert_eq!(
            (code, &report["held_packets"], &report["held_bytes"]),
            (5, &2.into(), &(2 * FRAME).into())
        );
        assert_eq!(report["reason"], "the command ended");
        assert_eq!(stage.pair.receive(3, QUIET), [1, 2]);
    }
}

#[test]
fn hold_with_cap_net_admin_alone_holds() {
    need!("sch_plug", "veth");
    let stage = Stage::new("capability");
    for death in ["--on-death closed", "--on-death open --max-hold 60s"] {
        let words = stage.words(
            "",
            &format!("hold --where root --dev near --limit 1M {death} -- grep CapEff /proc/self/status"),
        );
        // Capabilities belong to a thread, and its children have no others.
        let run = || {
            for bit in 0..=40 {
                let one = CapabilitySet::from_bits_retain(1 << bit);
                if one != CapabilitySet::NET_ADMIN {
                    let _newer_kernels_have_more = remove_capability_from_bounding_set(one);
                }
            }
            Command::new(tc_cli()).args(&words).output().unwrap()
        };
        let done = thread::scope(|scope| scope.spawn(run).join()).unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(done.status.code(), Some(0), "{stderr}");
        assert_eq!(stdout, "CapEff:\t0000000000001000\n", "no other capability");
        assert!(stderr.ends_with("released when: the command ended\n"), "{stderr}");
        assert!(!stage.root().contains("plug"), "{}", stage.root());
    }
}

#[test]
fn hold_when_its_queue_is_reset_reports_no_release() {
    need!("sch_plug", "veth");
    let stage = Stage::new("reset");
    let ready = stage.dir.join("ready");
    let words = format!(
        "hold --where root --dev near --limit 1M --on-death closed -- sh -c :>{};exec${{IFS}}sleep${{IFS}}60",
        ready.display()
    );
    let hold = stage.start("-j", &words);
    wait_for(&ready);
    stage.pair.send(&[1, 2]);
    stage.pair.near.ip("link set dev near txqueuelen 77").ok();
    signal(&hold, Signal::SIGTERM);
    let (code, stderr) = end(hold);
    assert_eq!(code, 1, "{stderr}");
    let report =
        stderr.lines().find(|line| line.starts_with("{\"dev\"")).unwrap_or_else(|| panic!("{stderr}"));
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!(
        (&report["held_packets"], &report["dropped_packets"]),
        (&Value::Null, &Value::Null),
        "{report}"
    );
    assert_eq!(report["released"], false);
    assert!(report["reason"].as_str().unwrap().starts_with("tainted: "), "{report}");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "what was held is lost");
}
