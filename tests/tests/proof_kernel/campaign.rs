//! Kills servers one after the other, and judges the replies that clients received.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, fs, thread};

use tc_core::Connection;
use tc_core::link::LinkChange;
use tests::lab::{PATIENCE, QUIET, number};
use tests::random::Chance;

use super::clients::Clients;
use super::gate::Kind;
use super::ledger::Ledger;
use super::replica::{Orders, ROLE, STEPS};
use super::words::Reply;
use super::world::World;

const PATIENT: usize = 10;

/// How servers are to be killed.
pub(crate) struct Campaign<'a> {
    /// The name of the test, with which replicas are started.
    pub(crate) test: &'a str,
    pub(crate) world: &'a World,
    pub(crate) kind: Kind,
    /// The link of each server goes down and up once, before it is killed.
    pub(crate) flaps: bool,
    /// Below how many milliseconds a checkpoint is on its way.
    pub(crate) line_ms: usize,
    /// How many are killed; on a busy machine up to `PATIENT` times as many, until that many replies were seen.
    pub(crate) kills: usize,
    pub(crate) tcp: Tcp,
    /// The steps at which half of the servers are killed; the others, or all without steps, are killed at
    /// any time.
    pub(crate) steps: &'a [&'static str],
    /// Whether to end with the first violation.
    pub(crate) until_violated: bool,
}

/// The fate of TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tcp {
    /// Clients soon turn to the next server, and sockets end with the process.
    Brief,
    /// Clients wait longer than the kernel does before it sends again.
    Patient,
    /// TCP whose sockets outlive their process.
    Outlives,
}

/// The result.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) kills: usize,
    pub(crate) epochs: u64,
    /// How often a session distrusted its queue.
    pub(crate) taints: usize,
    /// How many servers were killed at each step, or at any time.
    pub(crate) moments: BTreeMap<&'static str, usize>,
    pub(crate) ledger: Ledger,
    pub(crate) seed: u64,
}

impl Outcome {
    /// Replies that a client received and a backup lacks.
    pub(crate) fn missing(&self) -> &[Reply] {
        &self.ledger.missing
    }

    /// A line for the report.
    pub(crate) fn text(&self) -> String {
        let Self { kills, epochs, seed, ledger, .. } = self;
        let (checked, missing, twice) = (ledger.checked, ledger.missing.len(), ledger.twice.len());
        let overtaken = ledger.overtaken();
        format!(
            "{kills} kills, {epochs} epochs, {checked} replies checked, {missing} missing from the backup, \
             {twice} counts seen twice, {overtaken} requests overtaken, seed {seed}"
        )
    }
}

/// How one server ends.
struct End {
    /// It kills itself when it comes to this step for this many times.
    dies_at: Option<(usize, usize)>,
    /// Otherwise it is killed so long after it has begun to serve.
    time: Duration,
}

impl Campaign<'_> {
    /// Kills, and judges.
    pub(crate) fn run(&self) -> Outcome {
        let seed = seed();
        let mut chance = Chance(seed);
        let mut outcome = Outcome { seed, ..Outcome::default() };
        let dir = Dir::new();
        let ends: Vec<_> = (0..self.kills * PATIENT).map(|_| self.end(&mut chance)).collect();
        let start = |generation: usize| {
            let dies_at = ends.get(generation).and_then(|end| end.dies_at);
            self.start(&dir.0, u32::try_from(generation).unwrap(), chance_of(seed, generation), dies_at)
        };
        let tcp_patience = Duration::from_millis(if self.tcp == Tcp::Brief { 60 } else { 3000 });
        let clients = Clients::start(self.world, seed, tcp_patience);
        let mut link = Connection::open().unwrap();
        // A server without its backup would complain: it is dropped first.
        let (mut backup, mut server) = (start(1), start(0));
        for (generation, end) in ends.iter().enumerate() {
            let spare = start(generation + 2);
            server.expect("base");
            if end.dies_at.is_none() {
                server.expect("serves");
                if self.flaps {
                    flap(&mut link, &self.world.dev, &mut chance);
                    if self.kind == Kind::Commit && chance.is(60) {
                        server.expect("tainted");
                        outcome.taints += 1;
                    }
                }
                thread::sleep(end.time);
                server.child.kill().unwrap();
            }
            let takeover = backup.expect("takeover");
            let (epochs, state) = takeover.split_once(' ').unwrap();
            outcome.kills += 1;
            outcome.epochs += epochs.parse::<u64>().unwrap();
            *outcome.moments.entry(end.moment()).or_default() += 1;
            outcome.taints += server.bury();
            outcome.ledger.takeover(state.parse().unwrap());
            outcome.ledger.seen(clients.take());
            server = std::mem::replace(&mut backup, spare);
            let found = self.until_violated && !outcome.missing().is_empty();
            let enough = self.until_violated || outcome.ledger.checked >= self.kills as u64;
            if found || outcome.kills >= self.kills && enough {
                break;
            }
        }
        // Replies in flight.
        thread::sleep(QUIET);
        outcome.ledger.seen(clients.take());
        outcome
    }

    fn end(&self, chance: &mut Chance) -> End {
        // Time for a few epochs.
        let life_us = 1000 * (20 + 2 * self.line_ms);
        let longer_us = if self.tcp == Tcp::Brief { 0 } else { 500_000 };
        let time = Duration::from_micros((longer_us + chance.below(life_us)) as u64);
        let step = if self.steps.is_empty() { "" } else { *chance.of(self.steps) };
        let times = match step {
            "attach" | "held" => 1,
            "request" => 1 + chance.below(40),
            _ => 1 + chance.below(6),
        };
        let step = STEPS.iter().position(|known| *known == step).filter(|_| chance.is(50));
        End { dies_at: step.map(|step| (step, times)), time }
    }

    fn start(&self, dir: &Path, generation: u32, seed: u64, dies_at: Option<(usize, usize)>) -> Replica {
        let orders = Orders {
            kind: self.kind,
            generation,
            seed,
            dies_at,
            line_ms: self.line_ms,
            resets: self.tcp != Tcp::Outlives,
            dir: dir.to_owned(),
            dev: self.world.dev.clone(),
            server_net: self.world.server_net(),
        };
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args([self.test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ROLE, orders.words())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        Replica { child, lines: BufReader::new(ours), taints: 0 }
    }
}

impl End {
    fn moment(&self) -> &'static str {
        self.dies_at.map_or("any time", |(step, _)| STEPS[step])
    }
}

/// `PROOF_SEED`, or another one each time.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    number("PROOF_SEED").unwrap_or(now.as_micros() as u64)
}

/// A seed for one of many.
fn chance_of(seed: u64, generation: usize) -> u64 {
    Chance(seed ^ generation as u64).number()
}

/// The link goes down and up: its queue is emptied.
fn flap(link: &mut Connection, dev: &str, chance: &mut Chance) {
    let mut pause = || thread::sleep(Duration::from_micros(chance.below(8_000) as u64));
    let ifindex = link.ifindex(dev).unwrap();
    pause();
    for up in [false, true] {
        link.set_link(ifindex, &LinkChange { up: Some(up), ..LinkChange::default() }).unwrap();
        pause();
    }
}

/// A process, and its output.
struct Replica {
    child: Child,
    lines: BufReader<UnixStream>,
    taints: usize,
}

impl Replica {
    /// Waits for a line with this prefix, and returns the rest of it.
    fn expect(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line);
            assert!(
                matches!(read, Ok(1..)),
                "no {word:?} from a replica: {read:?}, {:?}",
                self.child.try_wait()
            );
            match line.trim_end().split_once(' ').unwrap_or((line.trim_end(), "")) {
                ("tainted", _) if word != "tainted" => self.taints += 1,
                (said, rest) if said == word => return rest.to_owned(),
                // It came further than was waited for.
                ("serves", _) => {}
                (said, _) => panic!("{said:?} and not {word:?}"),
            }
        }
    }

    /// It is dead. Returns how often it distrusted its queue.
    fn bury(&mut self) -> usize {
        self.child.wait().unwrap();
        let last = self.lines.by_ref().lines().map_while(Result::ok);
        self.taints + last.filter(|line| line == "tainted").count()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that ends with the campaign.
struct Dir(PathBuf);

impl Dir {
    /// A short name: it is part of the addresses of sockets.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tc-proof-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
