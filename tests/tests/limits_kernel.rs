//! At the limits, and beside others, on a real kernel: slow readers, two programs at once, one that
//! is killed, output that cannot be written, and no privilege.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tc_core::message::{Entry, Message, Messages};
use tc_core::monitor::{Event, Follower, Monitor};
use tc_core::rate::Rate;
use tc_core::uapi::{RTM_DELQDISC, RTM_DELTCLASS, RTNLGRP_TC};
use tc_core::{Connection, DumpRequest, Handle, Request, Socket, Verb};
use tc_qdiscs::htb::HtbClass;
use tests::lab::need::has;
use tests::lab::{count, fewer_if_emulated, shaped, tc_cli};
use tests::need;

const ONE: Handle = Handle::qdisc(1);

/// The result of a shell command that uses `$T` as tc-cli: status, standard output and error.
fn sh(script: &str) -> (i32, String, String) {
    let output =
        Command::new("bash").arg("-c").arg(script).env("T", tc_cli()).env("LC_ALL", "C").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// A reader's state: the last notice of each qdisc and class, with options.
type Picture = BTreeMap<String, Vec<u8>>;

fn note(picture: &mut Picture, message: &Message<'_>) {
    let entry = Entry::decode(message).unwrap();
    let key = format!("{} {} {}", entry.tc_type(), entry.header.ifindex, entry.header.handle);
    match entry.message_type {
        RTM_DELQDISC | RTM_DELTCLASS => drop(picture.remove(&key)),
        _ => drop(picture.insert(key, entry.options().unwrap_or_default().to_vec())),
    }
}

fn listed(tc: &mut Connection, dev: i32) -> Picture {
    let mut picture = Picture::new();
    for select in [DumpRequest::qdiscs().device(dev), DumpRequest::classes(dev)] {
        for entry in tc.list(&select).unwrap() {
            note(&mut picture, &Messages::new(entry.bytes()).next().unwrap().unwrap());
        }
    }
    picture
}

/// Creates, changes and deletes a number of classes, in a fixed way.
fn churn(tc: &mut Connection, dev: i32, changes: u32) {
    let mut batch = tc.pipeline(|_, _| {});
    for n in 0..changes {
        let minor = 1 + (n * 7919 % 199) as u16;
        let class = Request::class(dev).parent(ONE).handle(Handle::class(1, minor));
        let shape = HtbClass::builder(Rate::bytes_per_second(u64::from(125_000 + n))).build().unwrap();
        match n % 5 {
            4 => batch.push(Verb::Delete, &class).unwrap(),
            _ => batch.push(Verb::Replace, &class.options(&shape)).unwrap(),
        };
    }
    assert_eq!(batch.finish(), changes as usize);
}

#[test]
fn follower_when_slow_ends_with_the_right_picture() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    let mut socket = Socket::open().unwrap();
    socket.set_receive_buffer(1 << 20).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.join(RTNLGRP_TC).unwrap();
    let mut follower = Follower::over(Monitor::over(socket), Connection::open().unwrap());
    follower.list_anew();
    let mut picture = Picture::new();
    let (mut notices, mut overflows) = (0, 0);
    // First what is there, and then what comes while nobody reads: more than fits.
    for changes in [0, 10_000] {
        churn(&mut tc, dev, changes);
        let mut events = 0;
        while let Some(event) = follower.next().unwrap() {
            events += 1;
            // And changes go on while it reads.
            if overflows > 0 && events % 10 == 0 && events < 200 {
                churn(&mut tc, dev, 50);
            }
            match event {
                Event::Notice(message) => {
                    notices += 1;
                    note(&mut picture, &message);
                }
                Event::Overflow => {
                    overflows += 1;
                    picture.clear();
                }
                Event::Listed(entry) => {
                    note(&mut picture, &Messages::new(entry.bytes()).next().unwrap().unwrap());
                }
                _ => {}
            }
        }
    }
    picture.retain(|key, _| key.contains(&format!(" {dev} ")));
    assert!(overflows > 0, "it was to lose notices");
    assert_eq!(picture, listed(&mut tc, dev));
    count(&format!("10000 changes followed by a slow reader: {notices} notices read, {overflows} losses"));
}

#[test]
fn the_monitor_command_goes_on_with_what_is_there() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    let mut monitor = Command::new(tc_cli())
        .args(["-j", "monitor"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    // It listens once it shows something.
    let class = Request::class(dev).parent(ONE).handle(Handle::class(1, 0x999));
    let shape = HtbClass::builder(Rate::bytes_per_second(125_000)).build().unwrap();
    let watch = std::thread::spawn(move || {
        let first = lines.next().unwrap().unwrap();
        (first, lines)
    });
    while !watch.is_finished() {
        tc.replace(&class.clone().options(&shape)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, mut lines) = watch.join().unwrap();
    // Its output is not read now, and a pipe holds 64 KiB.
    churn(&mut tc, dev, 20_000);
    tc.delete(&class).unwrap();
    // A special class marks the end.
    let mut rates: BTreeMap<String, Value> = BTreeMap::new();
    let (mut overflows, mut in_step) = (0, 0);
    let end = Request::class(dev).parent(ONE).handle(Handle::class(1, 0x777));
    let mut ended = false;
    loop {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        match line["event"].as_str() {
            Some("overflow") => {
                overflows += 1;
                rates.clear();
            }
            Some("in step") => {
                in_step += 1;
                if !std::mem::replace(&mut ended, true) {
                    tc.replace(&end.clone().options(&shape)).unwrap();
                }
            }
            Some(event) => panic!("{event}"),
            None => {
                let Some(handle) = line["class"].as_str().and(line["handle"].as_str()) else { continue };
                let handle = handle.to_owned();
                if handle == "1:777" {
                    break;
                }
                match line["deleted"].is_null() && line.get("deleted").is_none() {
                    true => drop(rates.insert(handle, line["rate"].clone())),
                    false => drop(rates.remove(&handle)),
                }
            }
        }
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let mut said = String::new();
    monitor.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(overflows > 0 && in_step > 0, "{overflows} losses, {in_step} lists: {said}");
    let warning: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert!(warning["warning"].as_str().unwrap().starts_with("Notices were lost"), "{said}");
    tc.delete(&end).unwrap();
    let (code, there, _) = sh("$T -j class show dev b0");
    assert_eq!(code, 0);
    let there: Value = serde_json::from_str(&there).unwrap();
    let there = there.as_array().unwrap().iter();
    let there: BTreeMap<_, _> =
        there.map(|class| (class["handle"].as_str().unwrap().to_owned(), class["rate"].clone())).collect();
    assert_eq!(rates, there);
}

/// Commands of a batch, and those that succeeded, derived from the reported failures.
fn run_batch(name: &str, seed: u32) -> (Vec<(bool, u16)>, std::process::Child) {
    let mut commands = Vec::new();
    let mut text = String::new();
    for n in 0..3_000_u32 {
        let random = n.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 13;
        let (add, minor) = (random & 1 == 0, 1 + (random >> 1) as u16 % 8);
        let verb = if add { "add" } else { "del" };
        let rate = if add { " htb rate 1mbit" } else { "" };
        writeln!(text, "class {verb} dev b0 parent 1: classid 1:{minor}{rate}").unwrap();
        commands.push((add, minor));
    }
    let path = std::env::temp_dir().join(format!("tc-limits-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let child =
        Command::new(tc_cli()).args(["-force", "-batch"]).arg(&path).stderr(Stdio::piped()).spawn().unwrap();
    (commands, child)
}

#[test]
fn two_at_once_on_one_device_are_both_told_the_truth() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    let both = [run_batch("one", 1), run_batch("two", 2)];
    // For each class: the number of creations minus deletions.
    let mut balance = BTreeMap::<u16, i32>::new();
    let mut refused = 0;
    for (commands, child) in both {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let failed: Vec<usize> = said
            .lines()
            .filter_map(|line| line.strip_prefix("Command failed ")?.rsplit_once(':')?.1.parse().ok())
            .collect();
        assert_eq!(ended.status.code(), Some(i32::from(!failed.is_empty())), "{said}");
        refused += failed.len();
        let failed: std::collections::BTreeSet<_> = failed.into_iter().collect();
        for (number, (add, minor)) in (1..).zip(commands) {
            if !failed.contains(&number) {
                *balance.entry(minor).or_default() += if add { 1 } else { -1 };
            }
        }
    }
    // An add fails where the class is, a delete where it is not: only the truth adds up.
    let there: Vec<_> = tc.list(&DumpRequest::classes(dev)).unwrap();
    let there: Vec<u16> = there.iter().map(|class| class.entry().unwrap().header.handle.minor()).collect();
    for (minor, balance) in balance {
        assert_eq!(balance, i32::from(there.contains(&minor)), "class 1:{minor}");
    }
    assert!((1..6_000).contains(&refused), "{refused} refused");
    // And with a process for each command.
    let (code, said, wrong) = sh("
        work() { for i in $(seq 15); do
            if $T class add dev b0 parent 1: classid 1:99 htb rate 1mbit 2>/dev/null; then echo 1; else c=$?; [ $c = 2 ] || echo bad $c; fi
            if $T class del dev b0 classid 1:99 2>/dev/null; then echo -1; else c=$?; [ $c = 2 ] || echo bad $c; fi
        done; }
        work & work & wait");
    assert_eq!((code, wrong.as_str()), (0, ""));
    let sum: i32 = said.lines().map(|line| line.parse::<i32>().unwrap_or_else(|_| panic!("{line}"))).sum();
    let left = tc.get(&Request::class(dev).handle(Handle::class(1, 0x99))).is_ok();
    assert_eq!(sum, i32::from(left));
}

#[test]
fn batch_when_killed_did_its_reports_and_at_most_one_line_more() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    for round in 0..3 {
        let mut batch = Command::new(tc_cli())
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut orders, answers) = (batch.stdin.take().unwrap(), batch.stdout.take().unwrap());
        let writer = std::thread::spawn(move || {
            for n in 1..2_000 {
                let lines = format!(
                    "class add dev b0 parent 1: classid 1:{n:x} htb rate 1mbit\nclass show dev b0 classid 1:{n:x}\n"
                );
                if orders.write_all(lines.as_bytes()).is_err() {
                    return; // it is dead
                }
            }
        });
        let mut lines = BufReader::new(answers).lines().map_while(Result::ok);
        let mut said: Vec<String> = lines.by_ref().take(50 + 40 * round).collect();
        batch.kill().unwrap();
        batch.wait().unwrap();
        writer.join().unwrap();
        said.extend(lines);
        let there = tc.list(&DumpRequest::classes(dev)).unwrap().len();
        assert!(said.last().unwrap().starts_with("class htb 1:"), "{said:?}");
        assert!(
            (said.len()..=said.len() + 1).contains(&there),
            "{} were told of, {there} are there",
            said.len()
        );
        let mut clean = tc.pipeline(|_, outcome| outcome.unwrap());
        for minor in 1..=there as u16 {
            clean.push(Verb::Delete, &Request::class(dev).handle(Handle::class(1, minor))).unwrap();
        }
        clean.finish();
    }
}

#[test]
fn every_command_that_prints_says_when_it_cannot() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    churn(&mut tc, dev, 20);
    let listing = [
        "qdisc show",
        "-j -p qdisc show",
        "class show dev b0",
        "-g class show dev b0",
        "-j class show dev b0",
        "-echo qdisc replace dev lo root handle 7: pfifo limit 9",
        "--dry-run qdisc add dev b0 root pfifo",
        "-j --dry-run qdisc add dev b0 root pfifo",
        "-V",
        "kinds",
        "-j kinds",
        "man",
        "completions bash",
        "plug status",
        "plug doctor --dev b0",
        "plug demo",
        "export dev b0",
        "-j export dev b0",
    ];
    // A failed write does not concern the kernel.
    for words in listing.into_iter().step_by(10 / fewer_if_emulated(10)) {
        let (code, shown, said) = sh(&format!("$T {words}"));
        assert!(!said.contains("panicked"), "{words}: {said}");
        // Who closes both does not want to hear; it is done as well.
        assert_eq!(sh(&format!("$T {words} >&- 2>&-")), (code, String::new(), String::new()), "{words}");
        let _ = sh(&format!("$T {words} 2>/dev/full"));
        if shown.is_empty() {
            continue; // no output, and no failure
        }
        let (full, _, said) = sh(&format!("$T {words} >/dev/full"));
        assert!(said.contains("No space left on device"), "{words}: {said}");
        assert!(full != 0 && !said.contains("panicked"), "{words}: {full} {said} (else {code})");
        // The reader is gone before the first byte.
        let (_, _, closed) = sh(&format!("{{ sleep 0.1; $T {words}; echo $? >&2; }} | true"));
        assert!(closed.trim() != "0" && !closed.contains("panicked"), "{words}: {closed}");
    }
}

/// A description of one class of b0 more, and one that cannot be.
fn described(name: &str, more: &str) -> String {
    let path = std::env::temp_dir().join(format!("tc-limits-{}-{name}", std::process::id()));
    let (_, exported, _) = sh("$T export dev b0");
    std::fs::write(&path, exported + more).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_was_done_and_what_was_not_is_told_where_it_can_be() {
    need!("netns", "ifb", "sch_htb");
    let (_net, _tc, _dev) = shaped(0);
    const FULL: &str = "Cannot write to standard output: No space left on device";
    let class = |minor: u32| format!("class add dev b0 parent 1: classid 1:{minor} htb rate 1mbit\n");
    let is_there = |minor: u32| sh("$T class show dev b0").1.contains(&format!("class htb 1:{minor} "));
    for (json, minor) in [("", 11), ("-j", 12)] {
        let wanted = described("wanted", &class(minor));
        assert_eq!(sh(&format!("$T {json} diff {wanted}")).0, 1);
        // It cannot tell the two apart.
        let (code, _, said) = sh(&format!("$T {json} diff {wanted} >/dev/full"));
        assert!(code == 2 && said.contains(FULL), "{code} {said}");
        let (code, _, said) =
            sh(&format!("set -o pipefail; {{ sleep 0.1; $T {json} diff {wanted}; }} | true"));
        assert_eq!((code, said.as_str()), (2, ""));
        let (code, _, said) = sh(&format!("$T {json} apply {wanted} >/dev/full"));
        let told = format!("apply {wanted}: 1 commands done, 0 not; {FULL}");
        assert!(code == 1 && said.contains(&told) && is_there(minor), "{code} {said}");
        // A parent that is not there: the second command fails.
        let orphan = "qdisc add dev b0 parent 1:777 handle 5: pfifo\n";
        let wrong = described("wrong", &(class(minor + 10) + orphan));
        let (code, _, said) = sh(&format!("$T {json} apply {wrong} >/dev/full"));
        assert!(code == 2 && said.contains(FULL) && is_there(minor + 10), "{code} {said}");
        assert!(json == "-j" || said.contains("1 commands done, 1 not"), "{said}");
        assert_eq!(sh(&format!("$T {json} apply {wrong} >&- 2>&-")).0, 2);
        assert_eq!(sh(&format!("$T {json} apply {wrong} 2>/dev/full")).0, 2);
        std::fs::remove_file(wanted).unwrap();
        std::fs::remove_file(wrong).unwrap();
    }
}

#[test]
fn a_monitor_that_cannot_write_ends_with_the_next_notice() {
    need!("netns", "ifb", "sch_htb");
    let (_net, _tc, _dev) = shaped(0);
    let change = "while kill -0 $! 2>/dev/null; do $T qdisc replace dev lo root handle 3: pfifo; \
                  $T qdisc del dev lo root; done";
    for (to, told) in [(">/dev/full", "No space left on device"), ("| true", "")] {
        for json in ["", "-j"] {
            let (_, _, said) = sh(&format!("{{ $T {json} monitor & {change}; wait $!; echo $? >&2; }} {to}"));
            let (said, code) = said.trim_end().rsplit_once('\n').unwrap_or(("", said.trim_end()));
            assert_eq!(code, "1", "{to} {json}: {said}");
            assert!(said.contains(told) && said.is_empty() == told.is_empty(), "{to} {json}: {said}");
        }
    }
}

#[test]
fn who_may_not_hears_which_capability_is_missing_and_may_read() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(0);
    churn(&mut tc, dev, 20);
    // A new user namespace has no power over the network namespace of another.
    for words in [
        "qdisc add dev lo root pfifo",
        "qdisc del dev b0 root",
        "class add dev b0 parent 1: classid 1:1 htb rate 1mbit",
        "class del dev b0 classid 1:1",
        "filter add dev b0 parent 1: protocol all matchall",
        "filter del dev b0 parent 1:",
        "actions add action gact drop",
        "plug attach --dev lo --limit 16M",
        "plug hold --dev lo --limit 16M --max-hold 2s --on-death open -- true",
    ] {
        let (code, shown, said) = sh(&format!("unshare -U $T {words}"));
        assert_ne!(code, 0, "{words}: {shown}");
        assert!(said.contains("CAP_NET_ADMIN"), "{words}: {code} {said}");
    }
    let as_root = sh("$T class show dev b0; $T qdisc show; $T filter show dev b0");
    assert_eq!(
        sh("unshare -U bash -c '$T class show dev b0; $T qdisc show; $T filter show dev b0'"),
        as_root
    );
    assert_eq!(sh("unshare -U $T -j qdisc show").0, 0);
    assert_eq!(sh("unshare -U $T plug status").0, 0);
    if has("sch_plug") {
        let (code, _, said) = sh("$T plug attach --dev lo --limit 16M");
        assert_eq!(code, 0, "{said}");
        for words in [
            "buffer --dev lo",
            "release --dev lo",
            "open --dev lo",
            "limit --dev lo --limit 16M",
            "detach --dev lo",
        ] {
            let (code, shown, said) = sh(&format!("unshare -U $T plug {words}"));
            assert_ne!(code, 0, "{words}: {shown}");
            assert!(said.contains("CAP_NET_ADMIN"), "{words}: {code} {said}");
        }
        assert_eq!(sh("unshare -U $T plug status").0, 0);
        assert_eq!(sh("$T plug detach --dev lo").0, 0);
    }
    // And to listen.
    let (code, heard, said) = sh("unshare -U $T monitor > /tmp/heard.$$ & m=$!
        for i in $(seq 200); do
            $T qdisc replace dev lo root handle 3: pfifo; $T qdisc del dev lo root
            [ -s /tmp/heard.$$ ] && break
            sleep 0.02
        done; kill $m; cat /tmp/heard.$$; rm /tmp/heard.$$");
    assert_eq!(code, 0, "{said}");
    assert!(heard.contains("qdisc"), "{heard} {said}");
}
