//! One process: first the backup of a server, and when that dies the server itself.
//!
//! It is this test's executable. It reports its steps to the test on its standard input, a socket.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::backup::stand_by;
use super::gate::Kind;
use super::server::serve;
use super::words::State;

/// The number of the checkpoint that a new backup begins with.
pub(crate) const BASE: u64 = u64::MAX;

/// The settings of a replica, in its environment.
pub(crate) const ROLE: &str = "TC_PROOF_REPLICA";

/// Where a server can be made to kill itself.
pub(crate) const STEPS: [&str; 9] = [
    "attach",
    "held",
    "request",
    "buffer",
    "checkpoint",
    "half-shipped",
    "shipped",
    "acknowledged",
    "released",
];

/// The role of a replica.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) kind: Kind,
    pub(crate) generation: u32,
    pub(crate) seed: u64,
    /// It kills itself when it comes to this step for this many times.
    pub(crate) dies_at: Option<(usize, usize)>,
    /// Below how many milliseconds a checkpoint is on its way to it as a backup.
    pub(crate) line_ms: usize,
    /// Whether its TCP sockets end with it.
    pub(crate) resets: bool,
    /// Where journals and the sockets of backups are.
    pub(crate) dir: PathBuf,
    pub(crate) dev: String,
    /// The namespace of the server's sockets.
    pub(crate) server_net: String,
}

impl Orders {
    pub(crate) fn words(&self) -> String {
        let (step, times) = self.dies_at.unwrap_or((STEPS.len(), 0));
        let Self { generation, seed, line_ms, resets, dir, dev, server_net, .. } = self;
        let (kind, dir) = (self.kind.word(), dir.display());
        format!("{kind} {generation} {seed} {step} {times} {line_ms} {resets} {dir} {dev} {server_net}")
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let kind = Kind::of(words.next()?)?;
        let generation = words.next()?.parse().ok()?;
        let seed = words.next()?.parse().ok()?;
        let dies_at = Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?));
        let (line_ms, resets) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (dir, dev, server_net) = (words.next()?.into(), words.next()?.into(), words.next()?.into());
        Some(Self { kind, generation, seed, dies_at, line_ms, resets, dir, dev, server_net })
    }
}

/// Where the backup of a generation listens.
pub(crate) fn backup_path(dir: &Path, generation: u32) -> PathBuf {
    dir.join(format!("backup-{generation}"))
}

/// Plays the replica, if this process is one.
pub(crate) fn played() -> bool {
    let Ok(words) = std::env::var(ROLE) else { return false };
    let orders = Orders::read(&words).unwrap();
    let test = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut state = State::default();
    if orders.generation > 0 {
        let (last, epochs) = stand_by(&orders, &test);
        (&test).write_all(format!("takeover {epochs} {last}\n").as_bytes()).unwrap();
        state = last;
    }
    serve(orders, test, state);
    true
}
