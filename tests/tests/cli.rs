//! tc-cli's own behaviour: exit codes, texts, batches, output that cannot be written.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::Value;
use tests::lab::{Net, tc_cli};
use tests::need;

/// The result of a shell command that uses `$T` as tc-cli.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs a shell command in this thread's namespace.
fn sh(script: &str) -> Ended {
    let output =
        Command::new("bash").arg("-c").arg(script).env("T", tc_cli()).env("LC_ALL", "C").output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A file of commands that is removed with this value.
struct Pipeline(PathBuf);

impl Pipeline {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tc-cli-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn words_that_are_wrong_end_with_255_and_tcs_text() {
    for (words, text) in [
        ("bogus", "Object \"bogus\" is unknown, try \"tc help\".\n"),
        ("qdisc bogus", "Command \"bogus\" is unknown, try \"tc qdisc help\".\n"),
        ("-bogus", "Option \"-bogus\" is unknown, try \"tc -help\".\n"),
        ("qdisc add dev", "Command line is not complete. Try option \"help\"\n"),
        ("qdisc add handle x", "Error: argument \"x\" is wrong: invalid qdisc ID\n"),
        ("qdisc add dev a dev b", "Error: duplicate \"dev\": \"b\" is the second value.\n"),
        ("qdisc show x", "What is \"x\"? Try \"tc qdisc help\".\n"),
        ("exec", "No command given, try \"tc exec help\".\n"),
        ("-n", "Command line is not complete. Try option \"help\"\n"),
        ("-cf", "Command line is not complete. Try option \"help\"\n"),
        ("-b", "Error: argument \"batch file\" is required\n"),
        ("qdisc add dev d0 root stab mtu 9", "Error: stab needs a linklayer, an overhead or an mpu\n"),
    ] {
        let ended = sh(&format!("$T {words}"));
        assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.as_str()), (255, text, ""), "{words}");
    }
}

#[test]
fn what_a_kind_refuses_ends_with_1() {
    for (words, text) in [
        ("qdisc add root pfifo limit x", "pfifo: Illegal value for \"limit\": \"x\"\n"),
        ("class add parent 1: pfifo", "Error: Qdisc \"pfifo\" is classless.\n"),
    ] {
        let ended = sh(&format!("$T {words}"));
        assert_eq!((ended.code, ended.stderr.as_str()), (1, text), "{words}");
    }
    // The text of tc, and that tc-cli has fewer kinds than tc.
    for (words, code, text, kind) in [
        (
            "qdisc add root nosuch x",
            1,
            "Unknown qdisc \"nosuch\", hence option \"x\" is unparsable",
            "qdisc \"nosuch\"",
        ),
        (
            "filter add dev lo parent 1: rsvp match u32 0 0",
            1,
            "Unknown filter \"rsvp\", hence option \"match\" is unparsable",
            "filter \"rsvp\"",
        ),
        (
            "class add dev lo parent 1: classid 1:1 nosuch rate 1mbit",
            1,
            "Unknown class \"nosuch\", hence option \"rate\" is unparsable",
            "class \"nosuch\"",
        ),
        ("class del dev lo classid 1:1 nosuch", 1, "Unknown class \"nosuch\"", "class \"nosuch\""),
        (
            "actions get action nosuch index 10",
            255,
            "Error: non existent action: nosuch",
            "action \"nosuch\"",
        ),
        (
            "actions del action nosuch index 10",
            255,
            "Error: non existent action: nosuch",
            "action \"nosuch\"",
        ),
        (
            "filter add dev lo parent 1: matchall action xt rate 1mbit burst 9k",
            255,
            "Bad action type xt",
            "action \"xt\"",
        ),
    ] {
        let ended = sh(&format!("$T {words}"));
        let (first, last) = (ended.stderr.lines().next().unwrap(), ended.stderr.lines().last().unwrap());
        let advice =
            format!("There is no {kind} in tc-cli (tc-cli kinds lists what there is); tc may have it.");
        assert_eq!((ended.code, first, last), (code, text, advice.as_str()), "{words}");
        assert_eq!(json(&sh(&format!("$T -j {words}")).stderr)["advice"], advice.as_str());
    }
    let help = sh("$T qdisc add pfifo help");
    assert_eq!(help.code, 1);
    assert!(help.stderr.starts_with("Usage: ... <[p|b]fifo"), "{}", help.stderr);
}

#[test]
fn handle_of_unknown_filter_kind_when_given_then_refused() {
    let advice =
        "There is no filter \"nosuch\" in tc-cli (tc-cli kinds lists what there is); tc may have it.";
    let place = "dev lo parent 1: protocol ip prio 1";
    let (mut lines, mut texts) = (String::new(), String::new());
    for verb in ["add", "change", "replace", "del", "get"] {
        for (words, option) in [
            ("handle 10 nosuch", "handle"),
            ("handle 0x10/0xf0 nosuch", "handle"),
            ("handle 800::1 nosuch", "handle"),
            ("handle 10 nosuch opt", "opt"),
            ("handle 10 nosuch handle 10", "handle"),
            ("nosuch handle 10", "handle"),
        ] {
            if verb == "get" && words.starts_with("nosuch") {
                continue;
            }
            lines += &format!("filter {verb} {place} {words}\n");
            let number = lines.lines().count();
            texts +=
                &format!("Unknown filter \"nosuch\", hence option \"{option}\" is unparsable\n{advice}\n");
            texts += &format!("Command failed -:{number}\n");
        }
    }
    let file = Pipeline::new("unknown-filters", &lines);
    for options in ["-force", "--pipelined"] {
        let ended = sh(&format!("$T --dry-run {options} -b - < {}", file.path()));
        assert_eq!((ended.code, ended.stderr, ended.stdout.as_str()), (1, texts.clone(), ""), "{options}");
    }
    let ended = sh(&format!("$T --dry-run filter del {place} handle 10 nosuch"));
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    let ended = sh(&format!("$T --dry-run filter del {place} handle 10"));
    let text = "Must specify filter type when using \"handle\"\n";
    assert_eq!((ended.code, ended.stderr.as_str(), ended.stdout.as_str()), (255, text, ""));
}

#[test]
fn own_commands_when_followed_by_options_then_take_them() {
    for words in ["kinds -j", "-j kinds", "kinds --json", "plug status -j", "plug -j status"] {
        let ended = sh(&format!("$T {words}"));
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{words}");
        assert!(json(&ended.stdout).is_array(), "{words}: {}", ended.stdout);
    }
    let ended = sh("$T kinds -n nosuch");
    assert_eq!(ended.code, 255);
    assert!(ended.stderr.starts_with("Cannot open network namespace \"nosuch\""), "{}", ended.stderr);
    let ended = sh("$T kinds -x");
    assert_eq!(ended.code, 255);
    assert!(ended.stderr.contains("unexpected argument '-x'"), "{}", ended.stderr);
}

#[test]
fn usage_goes_to_standard_error_and_is_no_failure() {
    for words in ["", "help", "-h", "qdisc help", "class help", "qdisc add help", "class show help"] {
        let ended = sh(&format!("$T {words}"));
        assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{words}");
        assert!(ended.stderr.starts_with("Usage:"), "{words}: {}", ended.stderr);
    }
    let version = sh("$T -V");
    assert!(version.stdout.starts_with("tc utility, iproute2-6.1"), "{}", version.stdout);
}

#[test]
fn what_the_kernel_refuses_ends_with_2_and_advice() {
    need!("netns");
    let _net = Net::new();
    let ended = sh("$T qdisc add dev lo root nosuch");
    assert_eq!(ended.code, 2);
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "Error: Specified qdisc kind is unknown.");
    assert!(lines[1].contains("sch_nosuch"), "{}", ended.stderr);
    let ended = sh("$T -j qdisc del dev lo root");
    let error = json(&ended.stderr);
    assert_eq!((ended.code, &error["exit_code"]), (2, &2.into()));
    assert_eq!(error["error"], "Error: Cannot delete qdisc with handle of zero.");
    assert_eq!(error["kernel"]["strerror"], "No such file or directory");
    assert_eq!(error["kernel"]["message"], "Cannot delete qdisc with handle of zero");
}

#[test]
fn who_may_not_hears_what_is_missing() {
    need!("netns");
    let _net = Net::new();
    // A new user namespace has no power over the network namespace of another.
    let ended = sh("unshare -U $T qdisc add dev lo root pfifo");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!((ended.code, lines[0]), (2, "RTNETLINK answers: Operation not permitted"), "{}", ended.stderr);
    assert!(lines[1].contains("CAP_NET_ADMIN"), "{}", ended.stderr);
}

#[test]
fn a_device_that_is_not_there_ends_with_1() {
    need!("netns");
    let _net = Net::new();
    for words in ["qdisc add dev nope root pfifo", "qdisc show dev nope", "class show dev nope"] {
        let ended = sh(&format!("$T {words}"));
        assert_eq!((ended.code, ended.stderr.as_str()), (1, "Cannot find device \"nope\"\n"), "{words}");
    }
}

const GOOD: &str = "qdisc add dev lo root handle 1: pfifo limit 5\nqdisc show dev lo\n";
const SHOWN: &str = "qdisc pfifo 1: root refcnt 2 limit 5p\n";

#[test]
fn a_batch_stops_at_the_first_failure_and_names_its_line() {
    need!("netns");
    for (name, bad, text) in [
        ("word", "qdisc bogus", "Command \"bogus\" is unknown, try \"tc qdisc help\".\n"),
        ("argument", "qdisc add dev", "Command line is not complete. Try option \"help\"\n"),
        ("kernel", "qdisc del dev lo parent 7:1", "Error: Failed to find specified qdisc.\n"),
        ("quote", "qdisc add dev 'lo", "Unterminated quoted string\n"),
    ] {
        let _net = Net::new();
        // A comment, an empty line and a continued one count as lines.
        let file = Pipeline::new(name, &format!("# c\n\n{GOOD}{bad} \\\n\nqdisc del dev lo root\n"));
        let ended = sh(&format!("$T -b {}", file.path()));
        assert_eq!((ended.code, ended.stdout.as_str()), (1, SHOWN), "{name}: {}", ended.stderr);
        let (first, last) = ended.stderr.split_once('\n').unwrap();
        if name != "kernel" {
            assert_eq!(format!("{first}\n"), text);
        }
        assert_eq!(last, format!("Command failed {}:6\n", file.path()), "{name}");
        assert_eq!(sh("$T qdisc show dev lo").stdout, SHOWN, "what came behind was not done");

        let ended = sh(&format!("$T -force -b {}", file.path()));
        assert_eq!(ended.code, 1);
        // The first line fails as well now; the last is done.
        assert_eq!(ended.stderr.matches("Command failed").count(), 2, "{}", ended.stderr);
        assert_eq!(sh("$T qdisc show dev lo").stdout, "qdisc noqueue 0: root refcnt 2 \n");
    }
}

#[test]
fn a_batch_from_standard_input_answers_line_by_line() {
    need!("netns");
    let _net = Net::new();
    // The second command is sent when the first was answered.
    let ended = sh("coproc X { $T -batch -; }
        echo 'qdisc show dev lo' >&${X[1]}; read -r -t 20 one <&${X[0]}
        echo 'qdisc add dev lo root handle 1: pfifo limit 5' >&${X[1]}
        echo 'qdisc show dev lo' >&${X[1]}; read -r -t 20 two <&${X[0]}
        echo \"$one|$two\"");
    assert_eq!(ended.stdout, "qdisc noqueue 0: root refcnt 2|qdisc pfifo 1: root refcnt 2 limit 5p\n");
}

/// The contents of a terminal's screen during a batch of slow lines, and the output of this batch into a
/// pipe.
#[test]
fn a_long_batch_shows_on_a_terminal_alone_how_far_it_is() {
    need!("netns");
    let _net = Net::new();
    let script = |options: &str| {
        format!(
            "for i in {{1..16}}; do echo qdisc show dev lo; sleep 0.1; done |
            TERM=xterm $T {options} -b - >/dev/null; echo qdisc bogus | TERM=xterm $T {options} -b -"
        )
    };
    let mut pty = nix::pty::openpty(None, None).unwrap();
    let mut child = Command::new("bash")
        .args(["-c", &script("")])
        .env("T", tc_cli())
        .stderr(pty.slave.try_clone().unwrap())
        .spawn()
        .unwrap();
    drop(std::mem::replace(&mut pty.slave, fs::File::open("/dev/null").unwrap().into()));
    assert!(!child.wait().unwrap().success());
    let mut screen = Vec::new();
    // Ends with an error: nobody has the other end any more.
    let _ = fs::File::from(pty.master).read_to_end(&mut screen);
    let screen = String::from_utf8(screen).unwrap();
    let failure = "Command \"bogus\" is unknown, try \"tc qdisc help\".\r\nCommand failed -:1\r\n";
    let progress = screen.strip_suffix(failure).unwrap_or_else(|| panic!("{screen:?}"));
    assert!(progress.contains(" lines\x1b[K"), "{screen:?}");
    assert!(progress.ends_with("\r\x1b[K"), "it is taken away: {screen:?}");

    assert_eq!(sh(&script("")).stderr, failure.replace('\r', ""), "a pipe");
    let quick = sh("TERM=xterm $T -j -b /dev/null");
    assert_eq!((quick.stdout.as_str(), quick.stderr.as_str()), ("", ""));
}

#[test]
fn filters_of_one_line_do_not_leak_into_the_next() {
    need!("netns");
    let _net = Net::new();
    let ended = sh("$T qdisc add dev lo root handle 1: pfifo
        printf 'qdisc show dev lo handle 9:\\nqdisc show\\n' | $T -b -");
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "qdisc pfifo 1: dev lo root refcnt 2 limit 1000p\n"));
}

#[test]
fn json_batch_has_an_array_a_command_and_error_objects() {
    need!("netns");
    let _net = Net::new();
    let ended = sh("printf 'qdisc show\\nqdisc bogus\\nqdisc show dev lo\\n' | $T -j -force -b -");
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stdout.lines().map(json).filter(Value::is_array).count(), 2);
    let error = json(&ended.stderr);
    assert_eq!((&error["file"], &error["line"]), (&"-".into(), &2.into()));
    assert_eq!(error["exit_code"], 255);
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    need!("netns");
    let _net = Net::new();
    for words in ["qdisc show", "-j qdisc show", "-V", "kinds", "completions bash"] {
        let full = sh(&format!("$T {words} >/dev/full"));
        assert_eq!(full.code, 1, "{words}: {}", full.stderr);
        assert!(full.stderr.contains("No space left on device"), "{words}: {}", full.stderr);
        // The reader is gone before the first byte.
        let closed = sh(&format!("{{ sleep 0.3; $T {words}; echo $? >&2; }} | true"));
        assert_eq!(closed.stderr, "1\n", "{words}");
    }
    assert_eq!(sh("$T qdisc bogus 2>/dev/full").code, 255);
}

#[test]
fn json_is_valid_also_where_there_is_nothing() {
    need!("netns");
    let _net = Net::new();
    for words in ["qdisc show dev lo handle 9:", "class show", "class show dev lo", "-p class show dev lo"] {
        assert_eq!(json(&sh(&format!("$T -j {words}")).stdout), Value::Array(vec![]), "{words}");
    }
}

#[test]
fn a_dry_run_shows_the_message_and_sends_nothing() {
    need!("netns");
    let _net = Net::new();
    for words in [
        "--dry-run qdisc add dev lo root plug limit 32768",
        "qdisc add dev lo root --dry-run plug limit 32768",
        "qdisc add dev lo root plug limit 32768 --dry-run",
    ] {
        let ended = sh(&format!("$T -j {words}"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let messages = json(&ended.stdout);
        let message = &messages[0];
        assert_eq!(
            message["hex"],
            "3c000000240005060000000000000000000000000100000000000000ffffffff0000000009000100706c7567\
             000000000c0002000300000000800000"
        );
        assert_eq!(message["attributes"][0]["name"], "TCA_KIND");
        assert_eq!(message["tcmsg"]["ifindex"], 1);
    }
    assert_eq!(sh("$T qdisc show dev lo").stdout, "qdisc noqueue 0: root refcnt 2 \n");
    let absent = sh("$T --dry-run qdisc add dev nope root handle 1: pfifo");
    assert_eq!(absent.code, 0);
    assert!(absent.stdout.contains("ifindex 0 (nope)"), "{}", absent.stdout);
}

#[test]
fn an_echo_shows_what_the_kernel_made() {
    need!("netns");
    let _net = Net::new();
    let ended = sh("$T -echo qdisc add dev lo root handle 1: pfifo limit 5");
    assert!(ended.stdout.ends_with("qdisc pfifo 1: dev lo root refcnt 2 limit 5p\n"), "{}", ended.stdout);
    let ended = sh("$T -j -echo qdisc del dev lo root");
    let deleted = json(&ended.stdout);
    assert_eq!((&deleted[0]["deleted"], &deleted[0]["kind"]), (&true.into(), &"pfifo".into()));
}

#[test]
fn a_monitor_shows_changes_as_they_happen() {
    need!("netns");
    let _net = Net::new();
    let ended = sh("$T -ts -j monitor > /tmp/m.$$ & m=$!
        $T monitor > /tmp/n.$$ & n=$!
        for i in $(seq 100); do
            $T qdisc replace dev lo root handle 1: pfifo limit 5; $T qdisc del dev lo root
            # Both have seen a whole round.
            [ $(grep -c pfifo /tmp/n.$$) -ge 3 ] && [ $(grep -c pfifo /tmp/m.$$) -ge 3 ] && break
            sleep 0.1
        done
        kill $m $n; cat /tmp/m.$$; echo ---; cat /tmp/n.$$; rm /tmp/[mn].$$");
    let (objects, text) = ended.stdout.split_once("---\n").unwrap();
    let objects: Vec<_> = objects.lines().map(json).collect();
    assert!(objects.iter().any(|object| object["kind"] == "pfifo" && object["options"]["limit"] == 5));
    assert!(objects.iter().all(|object| object["timestamp"].is_string()));
    assert!(text.contains("deleted qdisc pfifo 1: dev lo root limit 5p\n"), "{text}");
    assert!(text.contains("qdisc pfifo 1: dev lo root refcnt 2 limit 5p\n"), "{text}");
}

#[test]
fn class_names_stand_before_their_ids() {
    need!("sch_ingress");
    let _net = Net::new();
    let names = Pipeline::new("names", "# names\nffff:fff1 inside\n");
    let ended = sh(&format!("$T qdisc add dev lo ingress; $T -nm -cf {} qdisc show ingress", names.path()));
    assert!(ended.stdout.contains("parent inside#ffff:fff1 "), "{}", ended.stdout);
    let broken = Pipeline::new("broken", "zz\n");
    let ended = sh(&format!("$T -nm -cf {} qdisc show ingress", broken.path()));
    assert_eq!(ended.code, 0);
    assert_eq!(ended.stderr, format!("Database {} is corrupted at zz\n", broken.path()));
}

#[test]
fn every_kind_is_listed_with_what_the_kernel_has() {
    let ended = sh("$T -j kinds");
    let kinds = json(&ended.stdout);
    let plug = kinds.as_array().unwrap().iter().find(|kind| kind["kind"] == "plug").unwrap();
    assert_eq!((&plug["type"], &plug["crate"]), (&"qdisc".into(), &"tc-qdiscs".into()));
    let states = ["built-in", "loaded", "loadable", "absent", "unknown"];
    assert!(states.iter().any(|state| plug["kernel"] == *state), "{plug}");
}

#[test]
fn completions_and_the_man_page_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = sh(&format!("$T completions {shell}"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        for word in ["qdisc", "kinds", "--dry-run", "replace"] {
            assert!(ended.stdout.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
    assert!(sh("$T man").stdout.contains(".TH tc-cli 1"));
    assert_eq!(sh("$T completions bash | bash -n").code, 0);
}

#[test]
fn libnls_names_are_handles() {
    let folder = std::env::temp_dir().join(format!("classid-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    std::fs::write(folder.join("classid"), "1: top\ntop:2 www\n").expect("a temporary file");
    let words = "class add dev lo parent top classid www htb rate 1mbit";
    let by_name = sh(&format!("NLSYSCONFDIR={} $T --dry-run {words}", folder.display()));
    let by_number = sh("$T --dry-run class add dev lo parent 1: classid 1:2 htb rate 1mbit");
    assert_eq!((by_name.code, by_name.stdout), (0, by_number.stdout));
    let wrong = sh(&format!("NLSYSCONFDIR={} $T {}", folder.display(), words.replace("www", "ftp")));
    assert_eq!(
        (wrong.code, wrong.stderr.as_str()),
        (255, "Error: argument \"ftp\" is wrong: invalid class ID\n")
    );
    std::fs::remove_dir_all(&folder).expect("the folder is there");
}

#[test]
fn batch_when_stdin_and_stdout_do_not_block_waits() {
    need!("netns");
    let net = Net::new();
    net.ip("link set dev lo up").ok();
    let nonblocking = |fd: &dyn std::os::fd::AsFd| {
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    };
    let ((input, mut orders), (mut answers, output)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    nonblocking(&input);
    nonblocking(&output);
    let mut batch = Command::new(tc_cli()).args(["-b", "-"]).stdin(input).stdout(output).spawn().unwrap();
    // An answer to the first line: then the batch waits for the next one.
    orders.write_all(b"qdisc show dev lo\n").unwrap();
    let mut first = [0];
    answers.read_exact(&mut first).unwrap();
    // More than a pipe holds.
    let lines = 4000;
    let writer = std::thread::spawn(move || {
        for _ in 1..lines {
            orders.write_all(b"qdisc show dev lo\n").unwrap();
        }
    });
    let mut text = String::new();
    answers.read_to_string(&mut text).unwrap();
    writer.join().unwrap();
    assert!(batch.wait().unwrap().success());
    assert_eq!(text.lines().count(), lines, "{}", text.len());
}
