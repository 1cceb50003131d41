//! `plug commit`: lines that are not exactly one order.

use std::fs;
use std::io::Write;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tests::lab::QUIET;
use tests::need;

use super::stage::{NOTHING, Stage, Talk};

/// With epoch 1 closed, and two packets in it.
fn begun(stage: &Stage, global: &str) -> Talk {
    let mut talk = Talk::start(stage, global, "--where root --dev near --limit 64k --on-death closed");
    talk.ask("begin 1");
    stage.pair.send(&[1, 2]);
    talk.ask("begin 2");
    talk
}

#[test]
fn commit_when_a_line_is_not_one_order_changes_nothing() {
    need!("sch_plug", "veth");
    let stage = Stage::new("not-one");
    let mut talk = begun(&stage, "");
    let long =
        |start: &str, fill: u8, end: &str| [start.as_bytes(), &vec![fill; 4300], end.as_bytes()].concat();
    let lines: [Vec<u8>; 21] = [
        long("ack 1", b' ', "garbage"),
        long("ack 1", b' ', ""),
        long("", b' ', "ack 1"),
        long("ack 1", 0, ""),
        b"".to_vec(),
        b"   ".to_vec(),
        b"ack".to_vec(),
        b"ack 01".to_vec(),
        b"ack +1".to_vec(),
        b"ack -1".to_vec(),
        b"ack 0x1".to_vec(),
        b"ack 18446744073709551617".to_vec(),
        b"ack 1 2".to_vec(),
        b"ack 1 ack 1".to_vec(),
        b"ack 1;quit".to_vec(),
        b"ack 1\0".to_vec(),
        b"ack\x001".to_vec(),
        b"ack 1\xff".to_vec(),
        b"\xef\xbb\xbfack 1".to_vec(),
        b"ack 1\r".to_vec(),
        b"ACK 1".to_vec(),
    ];
    for line in &lines {
        let shown = line.get(..20).unwrap_or(line).escape_ascii().to_string();
        talk.write(line);
        talk.write(b"\n");
        let answer = talk.answer(&shown);
        assert!(answer.starts_with("err ") && answer.ends_with("; nothing was changed"), "{shown}: {answer}");
        assert!(answer.len() < 400 && answer.is_ascii(), "{shown}: {answer}");
    }
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    talk.says("status", "ok 2 held=2 bytes=86 drops=0");
    // Many orders in one write are orders still.
    talk.write(b"ack 1\nstatus\nack 1\n");
    assert!(talk.answer("ack 1").starts_with("ok 1 "));
    assert!(talk.answer("status").starts_with("ok 2 "));
    assert!(talk.answer("ack 1").starts_with("err no epoch is closed"));
    assert_eq!(stage.pair.receive(3, QUIET), [1, 2]);
    talk.ask("quit");
    assert_eq!(talk.end().0, 0);
}

#[test]
fn commit_when_the_last_line_has_no_end_does_not_obey() {
    need!("sch_plug", "veth");
    for (global, order) in [("", "ack 1"), ("-j", "ack 1"), ("", "abort"), ("", "begin 3")] {
        let stage = Stage::new("unfinished");
        let mut talk = begun(&stage, global);
        talk.write(order.as_bytes());
        talk.finish_input();
        let answer = talk.answer(order);
        assert!(
            answer.contains("err") && answer.contains("has no end of line; nothing was changed"),
            "{answer}"
        );
        let (code, stderr) = talk.end();
        assert!(
            code == 1 && stderr.contains("standard input ended without quit; the plug stays"),
            "{stderr}"
        );
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "{order}");
        stage.plug("rescue --dev near --drop").ok();
    }
}

#[test]
fn commit_when_a_line_never_ends_keeps_its_memory() {
    need!("sch_plug", "veth");
    let stage = Stage::new("endless");
    let mut talk = begun(&stage, "");
    let pid = talk.child.id();
    let peak_kb = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let before = peak_kb();
    talk.write(b"ack 1");
    for _ in 0..128 {
        talk.write(&[b' '; 65_536]);
    }
    talk.write(b"\n");
    assert!(talk.answer("8 MB").contains("is too long for an order; nothing was changed"));
    assert!(peak_kb() < before + 2048, "{before} kB and {} kB", peak_kb());
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    assert!(talk.ask("ack 1").starts_with("ok 1 "));
    talk.ask("quit");
    assert_eq!(talk.end().0, 0);
}

#[test]
fn commit_when_stdin_does_not_block_waits_for_orders() {
    need!("sch_plug", "veth");
    let stage = Stage::new("non-blocking");
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut talk = Talk::start_on(&stage, "--where root --dev near --limit 64k --on-death closed", reader);
    // Open first, then protected.
    while !stage.root().contains("plug") {
        assert_eq!(talk.child.try_wait().unwrap(), None, "it ended");
    }
    for (order, answer) in [
        ("sta", ""),
        ("tus\n", "ok 0 held=0 bytes=0 drops=0"),
        ("begin 0\n", "ok 0 held=0 bytes=0 drops=0"),
        ("sta", ""),
        ("tus\n", "ok 0 held=0 bytes=0 drops=0"),
        ("quit\n", "ok 0 held=0 bytes=0 drops=0"),
    ] {
        writer.write_all(order.as_bytes()).unwrap();
        if !answer.is_empty() {
            assert_eq!(talk.answer(order), answer);
        }
    }
    assert_eq!(talk.end(), (0, String::new()));
}
