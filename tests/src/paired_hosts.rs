//! Two hosts, alike, to compare tc with tc-cli.
#![expect(clippy::panic, reason = "a test stops at an unexpected error")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;

use crate::lab::{Net, Output, Said, Shell, tc_cli};
use crate::newer_tc;

/// tc works in one host, tc-cli in the other.
pub struct Twins {
    /// tc's.
    pub theirs: Net,
    /// tc-cli's.
    pub ours: Net,
    /// The programs that show, by the words that each always gets.
    showing: RefCell<HashMap<String, [Shell; 3]>>,
    /// The two tools that receive changes.
    working: RefCell<Option<[Shell; 2]>>,
}

/// The output of one `show` command on both hosts, and of both tools on one of them.
#[derive(Debug)]
pub struct Shown {
    /// tc on its host.
    pub theirs: Said,
    /// tc of tc-cli's host.
    pub ours_by_tc: Said,
    /// tc-cli on its host.
    pub ours: Said,
}

impl Twins {
    /// Twins in fresh namespaces, each made ready by `prepare`.
    pub fn new(prepare: impl Fn(&Net)) -> Self {
        let [theirs, ours] = [Net::aside(), Net::aside()];
        prepare(&theirs);
        prepare(&ours);
        Self { theirs, ours, showing: RefCell::default(), working: RefCell::default() }
    }

    /// Runs a command with tc and with tc-cli, each started for it.
    pub fn run(&self, words: &str) -> [Output; 2] {
        [self.theirs.tc(words), self.ours.tc_cli(words)]
    }

    /// Runs a command in a batch of tc and of tc-cli; their texts are those of a batch.
    ///
    /// # Panics
    ///
    /// When a program gives no answer.
    pub fn tell(&self, words: &str) -> [Said; 2] {
        let mut working = self.working.borrow_mut();
        let shells = working
            .get_or_insert_with(|| [self.theirs.shell("tc", NO_FLAGS), self.ours.shell(tc_cli(), NO_FLAGS)]);
        let said = shells.each_mut().map(|shell| answer(shell, words));
        if said.iter().any(|said| said.ended.is_some()) {
            *working = None;
        }
        said
    }

    /// The output of both hosts.
    ///
    /// # Panics
    ///
    /// When a program gives no answer.
    pub fn look(&self, words: &str) -> Shown {
        if !newer_tc::writes_at_once() {
            return self.look_started(words);
        }
        // A program for each command, since tc remembers in a batch which device an earlier line was
        // about.
        let mut showing = self.showing.borrow_mut();
        let (flags, command) = words.split_at(end_of_flags(words));
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let shells = showing.entry(words.to_owned()).or_insert_with(|| {
            [
                self.theirs.shell("tc", &flags),
                self.ours.shell("tc", &flags),
                self.ours.shell(tc_cli(), &flags),
            ]
        });
        let [theirs, ours_by_tc, ours] = shells.each_mut().map(|shell| answer(shell, command));
        if [&theirs, &ours_by_tc, &ours].iter().any(|said| said.ended.is_some()) {
            showing.remove(words);
        }
        Shown { theirs, ours_by_tc, ours }
    }

    /// The output of both hosts, from programs started for it.
    pub fn look_started(&self, words: &str) -> Shown {
        let said =
            |output: Output| Said { stdout: output.stdout, stderr: output.stderr, ended: Some(output.code) };
        Shown {
            theirs: said(self.theirs.tc(words)),
            ours_by_tc: said(self.ours.tc(words)),
            ours: said(self.ours.tc_cli(words)),
        }
    }
}

const NO_FLAGS: &[&OsStr] = &[];

fn answer(shell: &mut Shell, line: &str) -> Said {
    shell.say(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn end_of_flags(words: &str) -> usize {
    let flags = words.split_inclusive(' ').take_while(|word| word.starts_with('-'));
    flags.map(str::len).sum()
}
