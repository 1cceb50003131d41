//! The cost of one epoch: its end (BUFFER) and its release, through this library and by other programs, on a
//! quiet machine and while another process keeps the kernel's rtnl lock busy.
//!
//! ```text
//! tests/run --bench plug [--quick] [--cycles N] [--starts N]       in the VM
//! cargo bench -p tests --bench plug -- [the same words]           on a kernel with sch_plug, as root
//! ```
//!
//! Prints a table for Markdown. A packet waits in every epoch. `release` includes a session's checks before the
//! command: notices of the kernel, the counters, the journal's state. A share of operations is
//! shown where enough were timed: 100 for p99, 1000 for p999. The programs are started for each
//! command, as scripts do; iptables-restore locks and unlocks like CRIU, which drops packets.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so and stops")]

mod latency;
mod paths;
mod programs;
mod session;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tc_core::{Connection, Handle, Request};
use tests::lab::Net;
use tests::lab::need::has;

/// How often each is done.
#[derive(Clone)]
struct Sizes {
    /// Epochs through the library.
    cycles: usize,
    /// Epochs by programs, two starts each.
    starts: usize,
    /// Packets of a ping-pong, and of a measurement of latency.
    rounds: usize,
    /// One part: `epochs`, `paths` or `latency`.
    only: Option<String>,
}

const WHOLE: Sizes = Sizes { cycles: 5000, starts: 200, rounds: 1000, only: None };
const QUICK: Sizes = Sizes { cycles: 1000, starts: 20, rounds: 200, only: None };

/// Makes this program the one that disturbs.
const DISTURB: &str = "--disturb";
/// The line that it prints once it is at work.
const READY: &str = "ready";

fn main() {
    let words: Vec<_> = env::args().skip(1).filter(|word| word != "--bench").collect();
    if words.iter().any(|word| word == DISTURB) {
        return disturb();
    }
    // Without --bench, cargo asks for tests, and this has none.
    if !env::args().any(|word| word == "--bench") {
        return;
    }
    let mut sizes = WHOLE;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--only" {
            sizes.only = words.next().cloned();
            continue;
        }
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).expect("a number");
        match word.as_str() {
            "--quick" => sizes = QUICK,
            "--cycles" => sizes.cycles = number(),
            "--starts" => sizes.starts = number(),
            "--rounds" => sizes.rounds = number(),
            // A filter for tests.
            _ => {}
        }
    }
    if !has("sch_plug") || !has("veth") {
        println!(
            "This kernel has no sch_plug, or this is not root: tests/run --bench plug runs it in the VM."
        );
        return;
    }
    println!("Linux {}\n", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim());
    for missing in programs::missing() {
        println!("Left out: {missing}\n");
    }
    let ring = ["sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb"].into_iter().all(has);
    let wanted = |part: &str| sizes.only.as_deref().is_none_or(|only| only == part);
    if wanted("epochs") {
        table("quiet", &rows(&sizes, ring));
        let disturber = Disturber::start();
        table("rtnl lock contended", &rows(&sizes, ring));
        drop(disturber);
    }
    if ring && wanted("paths") {
        paths::table(sizes.rounds);
    }
    if ring && wanted("latency") {
        latency::table(sizes.rounds);
    }
}

fn rows(sizes: &Sizes, ring: bool) -> Vec<Row> {
    let mut rows = session::epochs(sizes.cycles);
    rows.extend(session::bare(sizes.cycles));
    if ring {
        rows.extend(session::ring(sizes.cycles));
        rows.extend(session::bare_ring(sizes.cycles));
    }
    rows.extend(programs::epochs(sizes.starts));
    rows
}

/// One line of the table.
struct Row {
    name: String,
    times: Vec<Duration>,
}

impl Row {
    fn new(name: impl Into<String>, times: Vec<Duration>) -> Self {
        Self { name: name.into(), times }
    }
}

/// How long `work` takes.
fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn table(how: &str, rows: &[Row]) {
    println!("| One epoch, {how} | p50 us | p99 us | p999 us | times |");
    println!("|---|--:|--:|--:|--:|");
    for Row { name, times } in rows {
        let mut times = times.clone();
        times.sort();
        let at = |share: f64, least: usize| {
            let time = times.get((times.len().saturating_sub(1) as f64 * share) as usize);
            let time = time.filter(|_| times.len() >= least);
            time.map_or_else(String::new, |time| format!("{:.1}", time.as_secs_f64() * 1e6))
        };
        println!("| {name} | {} | {} | {} | {} |", at(0.5, 1), at(0.99, 100), at(0.999, 1000), times.len());
    }
    println!();
}

/// Another process that adds and deletes qdiscs as fast as it can.
struct Disturber(Child);

impl Disturber {
    fn start() -> Self {
        let own = env::current_exe().expect("this program has a path");
        let child = Command::new(own).arg(DISTURB).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("this program can be started");
        let mut said = [0; READY.len()];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("it says when it is at work");
        Self(child)
    }
}

impl Drop for Disturber {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Until it is killed. Kernel: the swap of a root qdisc holds the lock while it waits for all users of the
/// old one (`synchronize_net`).
fn disturb() {
    let _net = Net::new();
    let mut tc = Connection::open().expect("a socket");
    let root = Request::qdisc(1).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo");
    for round in 0_u64.. {
        tc.add(&root).expect("lo takes a qdisc");
        tc.delete(&root).expect("and gives it back");
        if round == 10 {
            print!("{READY}");
            io::stdout().flush().expect("somebody reads it");
        }
    }
}
