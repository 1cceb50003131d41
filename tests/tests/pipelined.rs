//! `tc-cli --pipelined -batch`: many commands in one send, with the outcomes of one by one.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::fs;
use std::process::{Command, Output};

use tests::lab::{Net, fewer_if_emulated, tc_cli};
use tests::need;

/// Runs a shell command with `$T` for tc-cli and `$F` for the file.
fn sh(script: &str, file: &str) -> Output {
    Command::new("bash").args(["-c", script]).env("T", tc_cli()).env("F", file).output().unwrap()
}

/// A device with an htb, and a file of commands; the result of this way to run them.
fn outcome(way: &str, commands: &str) -> (Option<i32>, String, String, String) {
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    net.tc("qdisc add dev b0 root handle 1: htb").ok();
    let name = format!("tc-pipelined-{}-{:?}", std::process::id(), std::thread::current().id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, commands).unwrap();
    let ended = sh(&format!("cd /tmp && $T {way} -b $F"), file.to_str().unwrap());
    let text =
        |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(file.to_str().unwrap(), "FILE");
    let _ = fs::remove_file(&file);
    let after = net.tc("class show dev b0").stdout + &net.tc("qdisc show").stdout;
    (ended.status.code(), text(&ended.stdout), text(&ended.stderr), after)
}

/// Classes with refusals of all sorts between them, and lines that cannot wait.
fn mixture() -> String {
    let mut commands = String::new();
    // In the VM the last of the special lines is among them as well.
    for at in 1..=fewer_if_emulated(300).max(120) {
        let parent = if at % 50 == 7 { "9:" } else { "1:" };
        commands += &format!(
            "class add dev b0 parent {parent} classid 1:{at:x} htb rate {at}kbit quantum 3000 # {at}\n"
        );
        commands += match at {
            10 => "class show dev b0 classid 1:1\n",
            20 => "class add dev b0 parent 1: classid 1:999 htb\n",
            30 => "class add dev nope parent 1: classid 1:999 htb rate 1mbit\n",
            40 => "qdisc bogus\n\n\\\n\n",
            60 => "qdisc add dev b0 parent 1:1 handle 20: red limit 100000 avpkt 1000\n",
            70 => "qdisc add dev b0 parent 1:2 nosuch\n",
            80 => "class change dev b0 parent 1: classid 1:50 --as-tc htb rate 7mbit\n",
            90 => "qdisc add dev b0 parent 1:3 handle 30: pfifo limit 9\nqdisc show dev b0\n",
            100 => "class add dev 'b0 parent\n",
            110 => "class del dev b0 classid 1:5\nclass del dev b0 classid 1:5\n",
            _ => "",
        };
    }
    commands
}

#[test]
fn outcomes_equal_those_of_single_requests() {
    need!("netns", "ifb", "sch_htb");
    for options in ["", "-j"] {
        let (alone, pipelined) = (
            outcome(&format!("{options} -force"), &mixture()),
            outcome(&format!("{options} --pipelined"), &mixture()),
        );
        assert_eq!((pipelined.0, alone.0), (Some(1), Some(1)));
        assert!(alone.2.matches("FILE").count() > 7, "failures name the file: {}", alone.2);
        assert_eq!(pipelined.2, alone.2);
        assert_eq!(pipelined.1, alone.1);
        assert_eq!(pipelined.3, alone.3);
    }
}

#[test]
fn read_lines_run_before_more_are_awaited() {
    need!("netns", "ifb");
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    // Each line is sent when the one before it was seen to be done; no input ends before.
    let ended = sh(
        "coproc X { $T --pipelined -batch - 2>&1; }
        wait_for() { for i in {1..200}; do tc qdisc show dev b0 | grep -q \"$1\" && return; sleep 0.05; done; echo missing $1; }
        echo 'qdisc add dev b0 root handle 1: pfifo limit 5' >&${X[1]}; wait_for 'limit 5p'
        echo 'qdisc change dev b0 root handle 1: pfifo limit 6' >&${X[1]}; wait_for 'limit 6p'
        echo 'qdisc del dev b0 root handle 2:' >&${X[1]}; read -r -t 20 said <&${X[0]}
        echo \"$said\"; read -r -t 20 said <&${X[0]}; echo \"$said\"",
        "",
    );
    let said = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(said, "Error: Invalid handle.\nCommand failed -:3\n", "{said}");
}

#[test]
fn many_changes_take_few_system_calls() {
    need!("netns", "ifb", "sch_htb", "program_strace");
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    net.tc("qdisc add dev b0 root handle 1: htb").ok();
    net.tc("class add dev b0 parent 1: classid 1:1 htb rate 1mbit").ok();
    let many = fewer_if_emulated(1000);
    let calls = |way: &str| {
        let script = format!(
            "for i in {{1..{many}}}; do echo class change dev b0 parent 1: classid 1:1 htb rate 1mbit; done |
            strace -qq -e trace=sendto,ioctl $T {way} -b - 2>&1 | cut -d'(' -f1"
        );
        let output = sh(&script, "");
        let text = String::from_utf8(output.stdout).unwrap();
        let of = |name: &str| text.lines().filter(|line| *line == name).count();
        (of("sendto"), of("ioctl"))
    };
    let (sends, _) = calls("");
    assert_eq!(sends, many, "one by one");
    let (sends, lookups) = calls("--pipelined");
    // The lines come in pieces of a pipe; each piece may end with a datagram that is not full.
    assert!(sends <= many / 10, "{sends} sends");
    assert!(lookups <= many, "{lookups} look-ups");
}

#[test]
fn interrupted_system_calls_are_repeated() {
    need!("netns", "ifb", "sch_htb", "program_strace");
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    net.tc("qdisc add dev b0 root handle 1: htb").ok();
    let calls = "sendto,recvfrom,recvmmsg";
    for way in ["", "--pipelined"] {
        let script = format!(
            "for i in {{1..9}}; do echo class replace dev b0 parent 1: classid 1:$i htb rate 1mbit; done |
            strace -qq -o /dev/null -e trace={calls} -e inject={calls}:error=EINTR:when=1+2 $T {way} -b -"
        );
        let ended = sh(&script, "");
        assert!(ended.status.success(), "{way}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(net.tc("class show dev b0").ok().lines().count(), 9, "{way}");
        (1..=9).for_each(|minor| drop(net.tc(&format!("class del dev b0 classid 1:{minor}")).ok()));
    }
}

#[test]
fn a_renamed_device_is_found_by_its_new_name() {
    need!("netns", "ifb");
    for way in ["", "--pipelined"] {
        let net = Net::new();
        net.ip("link add d0 type ifb").ok();
        net.ip("link add d1 type ifb").ok();
        let ended = sh(
            &format!(
                "coproc X {{ $T {way} -batch - 2>&1; }}
                echo 'qdisc add dev d0 root handle 1: pfifo limit 1' >&${{X[1]}}
                for i in {{1..200}}; do tc qdisc show dev d0 | grep -q 'limit 1p' && break; sleep 0.05; done
                ip link set d0 name d2 && ip link set d1 name d0
                echo 'qdisc add dev d0 root handle 1: pfifo limit 2' >&${{X[1]}}
                exec {{X[1]}}>&-; cat <&${{X[0]}}; wait"
            ),
            "",
        );
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "", "{way}");
        for (dev, limit) in [("d0", "limit 2p"), ("d2", "limit 1p")] {
            let shown = net.tc(&format!("qdisc show dev {dev}")).stdout;
            assert!(shown.contains(limit), "{way} {dev}: {shown}");
        }
    }
}
