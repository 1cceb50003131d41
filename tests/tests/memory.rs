//! The memory of tc-cli: constant for short and for long work.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use tests::lab::{fewer_if_emulated, shaped, tc_cli};
use tests::need;

const WORDS: &str = "TC_MEMORY_OF";

/// Run again by [`most_kib`] in a separate process: the kernel reports the maximum of all children of a
/// process.
#[test]
fn reports_the_memory_of_a_command() {
    let Some(words) = env::var_os(WORDS) else { return };
    let words = words.into_string().unwrap();
    let status = Command::new(tc_cli()).args(words.split(' ')).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{words}");
    println!("\nmost: {}", getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss());
}

/// The most memory that `tc-cli WORDS` had, in KiB.
fn most_kib(words: &str) -> i64 {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "reports_the_memory_of_a_command", "--nocapture"])
        .env(WORDS, words)
        // Or the largest child could be the compiler.
        .env("TC_CLI", tc_cli())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let most = text.lines().find_map(|line| line.strip_prefix("most: "));
    most.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).parse().unwrap()
}

fn assert_flat(short: i64, long: i64, what: &str) {
    assert!((500..20_000).contains(&short), "{what}: {short} KiB is another program");
    assert!(long * 10 <= short * 11, "{what}: {short} KiB grew to {long} KiB");
}

#[test]
fn a_batchs_memory_is_constant() {
    need!("netns", "ifb", "sch_htb");
    let (_net, ..) = shaped(8);
    let file = |lines: usize| {
        let path = env::temp_dir().join(format!("tc-memory-{}-{lines}", std::process::id()));
        let mut text = String::new();
        for line in 0..lines {
            let minor = 1 + line % 8;
            writeln!(text, "class change dev b0 parent 1: classid 1:{minor} htb rate 1mbit").unwrap();
        }
        fs::write(&path, text).unwrap();
        path
    };
    let many = fewer_if_emulated(100_000);
    let (short, long) = (file(many / 10), file(many));
    for way in ["-batch", "--pipelined -batch"] {
        let most = |path: &std::path::Path| most_kib(&format!("{way} {}", path.display()));
        assert_flat(most(&short), most(&long), way);
    }
    let _ = fs::remove_file(short).and(fs::remove_file(long));
}

/// No more than 3,000 classes: the kernel walks all of them for each one that is added. That the
/// printing itself allocates nothing for 50,000 is shown beside `tc_cli::show`.
#[test]
fn a_lists_memory_is_constant() {
    need!("netns", "ifb", "sch_htb");
    let lists =
        ["-s class show dev b0", "-s -d class show dev b0", "-s -j class show dev b0", "-j -p qdisc show"];
    let short = {
        let (_net, ..) = shaped(500);
        lists.map(most_kib)
    };
    let (_net, ..) = shaped(if fewer_if_emulated(10) == 10 { 3000 } else { 1500 });
    for (list, short) in lists.into_iter().zip(short) {
        assert_flat(short, most_kib(list), list);
    }
}
