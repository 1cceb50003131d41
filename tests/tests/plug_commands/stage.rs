//! Two hosts, and `tc-cli plug` between them.

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

pub(crate) const NOTHING: [u8; 0] = [];
pub(crate) const FRAME: u64 = Pair::FRAME_BYTES as u64;

/// Two hosts, and a directory for journals that ends with them.
pub(crate) struct Stage {
    pub(crate) pair: Pair,
    pub(crate) dir: PathBuf,
}

impl Stage {
    pub(crate) fn new(test: &str) -> Self {
        let dir = env::temp_dir().join(format!("tc-plug-cmd-{test}-{}", std::process::id()));
        Self { pair: Pair::new(), dir }
    }

    /// `tc-cli plug COMMAND --journal-dir DIR WORDS`
    pub(crate) fn plug(&self, words: &str) -> Output {
        self.pair.near.run(tc_cli(), &self.words("", words))
    }

    /// Runs it with `-j`, and returns its output.
    pub(crate) fn json(&self, words: &str) -> Value {
        let text = self.pair.near.run(tc_cli(), &self.words("-j", words)).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn words(&self, global: &str, words: &str) -> Vec<String> {
        let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
        let dir = self.dir.to_str().unwrap();
        let global = Some(global).filter(|word| !word.is_empty());
        let ours = ["plug", command, "--journal-dir", dir];
        global.into_iter().chain(ours).chain(rest.split_whitespace()).map(str::to_owned).collect()
    }

    /// Starts it, with pipes.
    pub(crate) fn start(&self, global: &str, words: &str) -> Child {
        let mut command = Command::new(tc_cli());
        command.args(self.words(global, words));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.pair.near.inside(move || command.spawn()).unwrap()
    }

    /// Runs it after other words of a shell, with redirections.
    pub(crate) fn shell(&self, before: &str, global: &str, words: &str, redirection: &str) -> Output {
        let command = self.words(global, words).iter().map(|word| format!(" '{word}'")).collect::<String>();
        let script = format!("set -o pipefail; {before} '{}' {command} {redirection}", tc_cli().display());
        self.pair.near.run("bash", &["-c".to_owned(), script])
    }

    pub(crate) fn root(&self) -> String {
        self.pair.near.tc("qdisc show dev near").ok()
    }

    pub(crate) fn observed(&self, key: &str) -> Value {
        self.json("status --dev near")[0]["observed"][key].clone()
    }

    /// Whether a packet with this number passes after the held ones.
    pub(crate) fn opens(&self, number: u8) -> bool {
        self.pair.send(&[number]);
        self.pair.receive(255, QUIET).contains(&number)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Waits until a file exists: its writer is running.
pub(crate) fn wait_for(path: &Path) {
    let since = Instant::now();
    while !path.exists() {
        assert!(since.elapsed() < PATIENCE, "{} does not come", path.display());
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// The exit status and standard error of one that ends in time.
pub(crate) fn end(mut child: Child) -> (i32, String) {
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

/// A `plug commit` that is talked to.
pub(crate) struct Talk {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    pub(crate) fn start(stage: &Stage, global: &str, words: &str) -> Self {
        let mut child = stage.start(global, &format!("commit {words}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), child, lines }
    }

    /// With a standard input that is given, whose other end the caller has.
    pub(crate) fn start_on(stage: &Stage, words: &str, input: impl Into<Stdio>) -> Self {
        let mut command = Command::new(tc_cli());
        command.args(stage.words("", &format!("commit {words}")));
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = stage.pair.near.inside(move || command.spawn()).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: None, child, lines }
    }

    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.write(order.as_bytes());
        self.write(b"\n");
        self.answer(order)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn answer(&mut self, order: &str) -> String {
        self.lines.next().unwrap_or_else(|| panic!("{order}: no answer")).unwrap()
    }

    /// The end of standard input.
    pub(crate) fn finish_input(&mut self) {
        self.input = None;
    }

    #[track_caller]
    pub(crate) fn says(&mut self, order: &str, answer: &str) {
        assert_eq!(self.ask(order), answer, "{order}");
    }

    /// An order that is refused, with these words.
    #[track_caller]
    pub(crate) fn refuses(&mut self, order: &str, why: &str) {
        let answer = self.ask(order);
        assert!(answer.starts_with("err ") && answer.contains(why), "{order}: {answer}");
    }

    pub(crate) fn end(mut self) -> (i32, String) {
        self.input = None;
        end(self.child)
    }
}
