//! Stories run on two hosts at once, in as few processes as possible: tc works in one host, tc-cli in the
//! other, each with a batch of all commands. Each story has its device, so that the results of all are
//! compared together.

#![expect(clippy::panic, reason = "a test stops at an unexpected error")]

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tests::kernel_versions::{ageless_json, ageless_text};
use tests::lab::{Net, Output};
use tests::random::Chance;
use tests::{newer_tc, repeated};

use super::story::Story;

/// An object that neither knows: the error about it ends the output of a command.
const MARK: &str = "mark";
/// A device with a qdisc that no other has: its output ends that of a device.
const MARKED: &str = "qdisc pfifo 7fff: root refcnt 2 limit 77p";
const MARKED_JSON: &str = r#""kind":"pfifo","handle":"7fff:""#;
/// The number of a round's failures whose exit codes are compared, which takes separate processes.
const CODES: usize = 2;

/// Two hosts, alike, with a device for each story.
pub(crate) struct Round<'a> {
    stories: &'a [Story],
    theirs: Net,
    ours: Net,
}

/// A command of a story.
struct Line {
    story: usize,
    text: String,
    /// tc takes a wrong value in it that we refuse.
    taken: bool,
}

/// How a command ended.
#[derive(Clone, PartialEq)]
struct End {
    failed: bool,
    said: String,
}

impl<'a> Round<'a> {
    pub(crate) fn of(stories: &'a [Story]) -> Self {
        let net = || {
            let net = Net::aside();
            let mut lines = format!("link add {MARK} type ifb\n");
            for dev in 0..stories.len() {
                let _ = writeln!(lines, "link add d{dev} numtxqueues 4 numrxqueues 4 type ifb");
            }
            let file = File::of(&lines);
            net.ip(&format!("-batch {}", file.0)).ok();
            net.tc(&format!("qdisc replace dev {MARK} root handle 7fff: pfifo limit 77")).ok();
            net
        };
        Self { stories, theirs: net(), ours: net() }
    }

    /// The differences between tc and tc-cli, for each story.
    pub(crate) fn differences(&self, chance: &mut Chance) -> Vec<Option<String>> {
        let line = |story| move |(text, taken)| Line { story, text, taken };
        let lines: Vec<Line> = (0..)
            .zip(self.stories)
            .flat_map(|(at, story)| story.lines(&format!("d{at}")).into_iter().map(line(at)))
            .collect();
        let mut found = vec![None; self.stories.len()];
        let mut note = |at: usize, text: String| {
            let _ = found[at].get_or_insert(text);
        };
        let (theirs, ours) = (self.run(&lines, false), self.run(&lines, true));
        let (mut failed, mut apart) = (Vec::new(), vec![false; self.stories.len()]);
        for ((line, theirs), ours) in lines.iter().zip(&theirs).zip(&ours) {
            if line.taken {
                // From here on they may differ.
                apart[line.story] = true;
                if !ours.failed {
                    note(line.story, format!("it is not refused: {}", line.text));
                }
            } else if apart[line.story] {
            } else if theirs != ours {
                let told = |end: &End| format!("{}, {}", if end.failed { "fails" } else { "0" }, end.said);
                note(line.story, format!("they end unlike\n tc: {}\nour: {}", told(theirs), told(ours)));
            } else if theirs.failed {
                failed.push(line);
            }
        }
        for _ in 0..CODES.min(failed.len()) {
            let Line { story, text, .. } = chance.of(&failed);
            let (theirs, ours) = (self.theirs.tc(text).code, self.ours.tc_cli(text).code);
            if theirs != ours {
                note(*story, format!("they end unlike\n tc: {theirs}, our: {ours} after {text}"));
            }
        }
        let shown = [self.show(&self.theirs, false, ""), self.show(&self.ours, false, "")];
        let printed = self.show(&self.ours, true, "");
        let json = [self.show(&self.ours, false, "-j"), self.show(&self.ours, true, "-j")];
        for (at, story) in self.stories.iter().enumerate() {
            let comparable = |text: &str| match story.text().contains(" index ") {
                true => newer_tc::text(text),
                false => newer_tc::text(&without_index(text)),
            };
            let [theirs, ours] = [&shown[0][at], &shown[1][at]];
            if comparable(theirs) != comparable(ours) && !apart[at] {
                note(at, format!("the kernels got other things\n tc: {theirs}our: {ours}"));
            }
            if newer_tc::text(&printed[at]) != newer_tc::text(ours) {
                note(at, format!("-s -d prints unlike\n tc: {ours}our: {}", printed[at]));
            }
            let [theirs, ours] = [&json[0][at], &json[1][at]];
            if !same_json(theirs, ours) {
                note(at, format!("-s -d -j prints unlike\n tc: {theirs}\nour: {ours}"));
            }
        }
        found
    }

    /// The end of each line, all in one process. An error in an argument ends tc, which is then restarted
    /// after that line.
    fn run(&self, lines: &[Line], ours: bool) -> Vec<End> {
        let mut ends = Vec::new();
        while ends.len() < lines.len() {
            let left = &lines[ends.len()..];
            let file =
                File::of(&left.iter().map(|line| format!("{}\n{MARK}\n", line.text)).collect::<String>());
            let words = format!("-force -batch {}", file.0);
            let output = if ours { self.ours.tc_cli(&words) } else { self.theirs.tc(&words) };
            let before = ends.len();
            ends.extend(ends_of(&output));
            assert_ne!(ends.len(), before, "nothing was done\n{}", output.stderr);
        }
        ends
    }

    /// The output for each story's device.
    fn show(&self, net: &Net, ours: bool, form: &str) -> Vec<String> {
        let mut lines = String::new();
        for (at, story) in self.stories.iter().enumerate() {
            let text = story.text();
            let _ = writeln!(lines, "qdisc show dev d{at}");
            // Lists of classes are no JSON with tc 6.1; ours has to be JSON all the same.
            if text.contains("; class ") && (ours || form.is_empty()) {
                let _ = writeln!(lines, "class show dev d{at}");
            }
            if text.contains("filter ") {
                let _ = writeln!(lines, "filter show dev d{at} ingress\nfilter show dev d{at} egress");
            }
            let _ = writeln!(lines, "qdisc show dev {MARK}");
        }
        let file = File::of(&lines);
        let words = format!("-s -d {form} -force -batch {}", file.0);
        let output = if ours { net.tc_cli(&words) } else { net.tc(&words) };
        let parts = parts_of(&output.stdout);
        assert_eq!(parts.len(), self.stories.len(), "{} ends too soon\n{}", output.command, output.stderr);
        parts
    }
}

/// Text without the numbers of actions. Without a word for it the kernel gives each the first free one,
/// which depends on how soon the actions of a refused filter are gone.
fn without_index(text: &str) -> String {
    let mut parts = text.split(" index ");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    rest.fold(first, |text, part| text + " index N" + part)
}

/// How the commands of a batch ended, the last of them perhaps with the process.
fn ends_of(output: &Output) -> Vec<End> {
    let mark = format!("Object \"{MARK}\" is unknown");
    let mut ends = Vec::new();
    let (mut said, mut failed, mut marked) = (None, false, false);
    for line in output.stderr.lines() {
        if line.starts_with(&mark) {
            ends.push(End { failed, said: said.take().unwrap_or_default() });
            (failed, marked) = (false, true);
        } else if line.starts_with("Command failed ") {
            // The mark's own line follows it.
            failed = !marked;
            marked = false;
        } else if !repeated::is_note(line) {
            said.get_or_insert_with(|| line.to_owned());
        }
    }
    match output.code {
        // At an address that it cannot read tc ends with 1.
        1 if said.is_none() => {}
        1 => ends.push(End { failed: true, said: said.unwrap_or_default() }),
        255 => ends.push(End { failed: true, said: said.unwrap_or_default() }),
        code => ends.push(End { failed: true, said: format!("ended with {code}") }),
    }
    ends
}

/// The output before each mark.
fn parts_of(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with(MARKED) {
            // Its counters.
            let _ = (lines.next(), lines.next());
        } else if !line.contains(MARKED_JSON) {
            part = part + line + "\n";
            continue;
        }
        parts.push(repeated::without_star(&ageless_text(&part)));
        part.clear();
    }
    parts
}

/// The JSON of tc-cli parses, line by line; if tc's does as well, both are equal.
fn same_json(theirs: &str, ours: &str) -> bool {
    let value = |line: &str| serde_json::from_str(line).map(|value| repeated::as_tc(ageless_json(value)));
    let parse = |text: &str| text.lines().map(value).collect::<Result<Vec<Value>, _>>();
    match (parse(theirs), parse(ours)) {
        (_, Err(_)) => false,
        (Err(_), Ok(_)) => true,
        (Ok(theirs), Ok(ours)) => {
            // Behind them is the list of classes.
            theirs.iter().zip(&ours).all(|(theirs, ours)| newer_tc::json(theirs) == newer_tc::json(ours))
        }
    }
}

/// A file that is gone after its use.
struct File(String);

impl File {
    fn of(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}/parity-{}-{number}", std::env::temp_dir().display(), std::process::id());
        fs::write(&name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self(name)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}
