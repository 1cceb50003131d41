//! Any lines of `tc-cli -batch` are run or refused; with `--dry-run`, so that nothing is sent.
#![no_main]

use std::ffi::OsString;
use std::sync::LazyLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;

/// The objects that have a dry run. The other commands start programs, or never end.
const OBJECTS: [&str; 4] = ["qdisc", "class", "filter", "actions"];
/// They only read, and much.
const READING: [&str; 6] = ["show", "list", "ls", "lst", "get", "flush"];

fuzz_target!(|input: &[u8]| {
    static FILE: LazyLock<OsString> =
        LazyLock::new(|| env::temp_dir().join(format!("tc-fuzz-batch.{}", process::id())).into_os_string());
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').filter(|line| is_tried(line)).collect();
    if lines.is_empty() || fs::write(&*FILE, lines.join(&b'\n')).is_err() {
        return;
    }
    let words = ["--dry-run", "-force", "-batch"].map(OsString::from);
    let _ = tc_cli::run(words.into_iter().chain([FILE.clone()]));
});

fn is_tried(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace();
    words.next().is_some_and(|word| OBJECTS.contains(&word))
        && words.next().is_some_and(|word| !READING.iter().any(|reading| reading.starts_with(word)))
        // A line that goes on could begin the next with anything.
        && !text.contains('\\')
}
