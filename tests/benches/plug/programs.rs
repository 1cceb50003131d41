//! Epochs by programs, started for each command.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::lab::{PATIENCE, Pair, tc_cli};

use crate::{Row, time};

const ADD: &str = "qdisc add dev near root handle 1: plug limit 10000000";

/// A program that can hold output and let it go.
struct Program {
    name: &'static str,
    path: PathBuf,
    /// The words that hold, and those that release; or its input.
    orders: [&'static str; 2],
    reads: bool,
}

/// The reason why it cannot run here.
pub(crate) fn missing() -> Vec<String> {
    let there = programs();
    let mut missing: Vec<String> = ["tc", "nl-qdisc-add", "iptables-restore"]
        .into_iter()
        .filter(|name| there.iter().all(|program| program.name != *name))
        .map(|name| format!("{name} is not installed"))
        .collect();
    missing.extend(there.iter().filter_map(|program| {
        let _fresh = Pair::new();
        program.prepare().err()
    }));
    missing
}

/// The end of an epoch and its release, each of them one start.
pub(crate) fn epochs(starts: usize) -> Vec<Row> {
    let works = |program: &Program| {
        let pair = Pair::new();
        program.prepare().ok()?;
        let times = (0..starts)
            .map(|_| {
                if !program.reads {
                    pair.send(&[1]);
                }
                let took = time(|| program.orders.iter().for_each(|order| program.obey(order)));
                if !program.reads {
                    assert_eq!(pair.receive(1, PATIENCE), [1], "{}: the epoch leaves", program.name);
                }
                took
            })
            .collect();
        let what = if program.reads { "lock and unlock, drops" } else { "both" };
        Some(Row::new(format!("{}: {what}", program.name), times))
    };
    programs().iter().filter_map(works).collect()
}

fn programs() -> Vec<Program> {
    const TC: [&str; 2] = [
        "qdisc change dev near root handle 1: plug block",
        "qdisc change dev near root handle 1: plug release",
    ];
    const LIBNL: [&str; 2] = [
        "--update-only --dev=near --parent=root --id=1: plug --buffer",
        "--update-only --dev=near --parent=root --id=1: plug --release-one",
    ];
    // As CRIU does it, without the mark that lets its own packets through.
    const IPTABLES: [&str; 2] = [
        "*filter\n:CRIU - [0:0]\n-I INPUT -j CRIU\n-I OUTPUT -j CRIU\n-A CRIU -j DROP\nCOMMIT\n",
        "*filter\n:CRIU - [0:0]\n-D INPUT -j CRIU\n-D OUTPUT -j CRIU\n-X CRIU\nCOMMIT\n",
    ];
    let program =
        |name, path: Option<PathBuf>, orders, reads| Some(Program { name, path: path?, orders, reads });
    [
        program("tc-cli", Some(tc_cli().to_owned()), TC, false),
        program("tc", find("tc"), TC, false),
        program("nl-qdisc-add", find("nl-qdisc-add"), LIBNL, false),
        program("iptables-restore", find("iptables-restore"), IPTABLES, true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Program {
    /// In a fresh namespace: puts the plug there, and tries the orders once.
    fn prepare(&self) -> Result<(), String> {
        if !self.reads {
            run(tc_cli(), ADD, None)?;
        }
        let tried = self.orders.iter().try_for_each(|order| self.try_to(order));
        tried.map_err(|why| format!("{} does not work here: {why}", self.name))
    }

    fn try_to(&self, order: &str) -> Result<(), String> {
        if self.reads { run(&self.path, "--noflush", Some(order)) } else { run(&self.path, order, None) }
    }

    fn obey(&self, order: &str) {
        self.try_to(order).expect("what worked once");
    }
}

/// Runs a program with these words and this input.
fn run(program: &Path, words: &str, input: Option<&str>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let failed = |error: std::io::Error| error.to_string();
    let mut child = command.spawn().map_err(failed)?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(input.as_bytes()).map_err(failed)?;
    }
    let done = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&done.stderr);
    if done.status.success() {
        Ok(())
    } else {
        Err(said.lines().next().unwrap_or("no reason given").to_owned())
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}
