//! One process: first the backup of a server, and when that dies the server itself.
//!
//! It is this test's executable once more. Its standard input is a line to the test, to which it says
//! what it is doing.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use nix::unistd::getpid;
use tc_core::netns::Namespace;
use tests::chance::Chance;
use tests::lab::PATIENCE;

use super::gate::{self, Gate, Kind};
use super::words::{Checkpoint, Request, State};
use super::world::World;

/// How long a server works between two checkpoints.
const EPOCH: Duration = Duration::from_millis(2);
/// The number of the checkpoint that a new backup begins with.
const BASE: u64 = u64::MAX;

/// What a replica is told, in its environment.
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

/// What a replica is to do.
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
fn backup_path(dir: &Path, generation: u32) -> PathBuf {
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

/// Takes in checkpoints until the server dies. Returns the last one, and how many there were.
///
/// What was still on its way then is lost, as on the line from a machine that is dead.
fn stand_by(orders: &Orders, test: &UnixStream) -> (State, u64) {
    let mut chance = Chance(orders.seed);
    let path = backup_path(&orders.dir, orders.generation);
    let listener = UnixListener::bind(&path).unwrap();
    wait_for(&listener, test);
    let (mut server, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    let (mut state, mut epochs) = (None, 0);
    while wait_for(&server, test) && !is_dead(&server, on_its_way_ms(orders, &mut chance)) {
        let mut bytes = [0; Checkpoint::BYTES];
        if server.read_exact(&mut bytes).is_err() {
            break;
        }
        let checkpoint = Checkpoint::decode(&bytes);
        state = Some(checkpoint.state);
        epochs += u64::from(checkpoint.epoch != BASE);
        if server.write_all(&checkpoint.epoch.to_be_bytes()).is_err() {
            break;
        }
    }
    (state.expect("a server is killed only after its first checkpoint"), epochs)
}

/// How long a checkpoint is on its way: often less than an epoch, and often not.
fn on_its_way_ms(orders: &Orders, chance: &mut Chance) -> usize {
    let most = if chance.is(50) { orders.line_ms } else { 2 };
    chance.below(most)
}

/// Waits until there is something to read. The process ends if the test has ended.
fn wait_for(what: impl AsFd, test: &UnixStream) -> bool {
    let mut fds =
        [PollFd::new(what.as_fd(), PollFlags::POLLIN), PollFd::new(test.as_fd(), PollFlags::empty())];
    poll(&mut fds, 60_000_u16).unwrap();
    assert!(fds[1].any() != Some(true), "the test has ended");
    fds[0].any() == Some(true)
}

/// Whether the other end is gone, now or within some milliseconds.
fn is_dead(server: &UnixStream, within_ms: usize) -> bool {
    let mut fds = [PollFd::new(server.as_fd(), PollFlags::empty())];
    poll(&mut fds, u8::try_from(within_ms).unwrap()).unwrap() > 0
}

/// Serves from this state on, until it is killed.
fn serve(orders: Orders, test: UnixStream, state: State) {
    let path = backup_path(&orders.dir, orders.generation + 1);
    let mut backup = again(|| UnixStream::connect(&path));
    backup.write_all(&Checkpoint { epoch: BASE, state }.encode()).unwrap();
    backup.read_exact(&mut [0; 8]).unwrap();
    (&test).write_all(b"base\n").unwrap();

    let mut server = Server::new(orders, test, backup, state);
    server.step("held");
    loop {
        server.work();
        server.checkpoint();
    }
}

fn again<T>(mut attempt: impl FnMut() -> io::Result<T>) -> T {
    let since = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

struct Server {
    orders: Orders,
    /// How often it has come to the step at which it dies.
    times: usize,
    test: UnixStream,
    backup: UnixStream,
    state: State,
    gate: Box<dyn Gate>,
    udp: UdpSocket,
    listener: TcpListener,
    streams: Vec<TcpStream>,
}

impl Server {
    /// Holds all output before it has a socket to send anything from.
    fn new(orders: Orders, test: UnixStream, backup: UnixStream, state: State) -> Self {
        let mut chance = Chance(!orders.seed);
        if orders.dies_at == Some((0, 1)) {
            let pid = getpid();
            // At some time within the attach, which is long.
            let time = Duration::from_micros(chance.below(20_000) as u64);
            thread::spawn(move || {
                thread::sleep(time);
                kill(pid, Signal::SIGKILL)
            });
        }
        let gate = gate::hold(orders.kind, &orders.dev, &orders.dir, orders.generation, &mut chance);
        let net = orders.server_net.clone();
        let sockets = thread::spawn(move || {
            Namespace::open(&net).unwrap().enter().unwrap();
            (UdpSocket::bind(World::listen()).unwrap(), TcpListener::bind(World::listen()).unwrap())
        });
        let (udp, listener) = sockets.join().unwrap();
        udp.set_nonblocking(true).unwrap();
        listener.set_nonblocking(true).unwrap();
        (&test).write_all(b"serves\n").unwrap();
        Self { orders, times: 0, test, backup, state, gate, udp, listener, streams: Vec::new() }
    }

    /// Serves for one epoch.
    fn work(&mut self) {
        const MOST: usize = 64;
        let end = Instant::now() + EPOCH;
        while Instant::now() < end {
            self.wait();
            if self.gate.fd().is_some_and(|fd| readable(fd)) && self.gate.look() {
                (&self.test).write_all(b"tainted\n").unwrap();
            }
            for _ in 0..MOST {
                let mut bytes = [0; Request::BYTES];
                let Ok((_, client)) = self.udp.recv_from(&mut bytes) else { break };
                let reply = self.state.count(Request::decode(&bytes).unwrap(), self.orders.generation);
                // A full send buffer is a loss on the way.
                let _ = self.udp.send_to(&reply.encode(), client);
                self.step("request");
            }
            self.serve_streams();
            while readable(self.backup.as_fd()) {
                let mut epoch = [0; 8];
                self.backup.read_exact(&mut epoch).unwrap();
                self.step("acknowledged");
                self.gate.acknowledged(u64::from_be_bytes(epoch));
                self.step("released");
            }
        }
    }

    fn wait(&self) {
        let sockets = [self.udp.as_fd(), self.listener.as_fd(), self.backup.as_fd()];
        let streams = self.streams.iter().map(AsFd::as_fd);
        let all = sockets.into_iter().chain(streams).chain(self.gate.fd());
        let mut fds: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        fds.push(PollFd::new(self.test.as_fd(), PollFlags::empty()));
        poll(&mut fds, 1_u8).unwrap();
        assert!(fds.last().and_then(PollFd::any) != Some(true), "the test has ended");
    }

    fn serve_streams(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.orders.resets {
                // Kernel: it goes on sending for a process that is dead, but for a lingering time of 0.
                setsockopt(&stream, Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
            }
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            self.streams.push(stream);
        }
        let mut streams = std::mem::take(&mut self.streams);
        streams.retain_mut(|stream| {
            let mut bytes = [0; Request::BYTES];
            match stream.read(&mut bytes) {
                Ok(Request::BYTES) => {
                    let request = Request::decode(&bytes).unwrap();
                    let reply = self.state.count(request, self.orders.generation);
                    let sent = stream.write_all(&reply.encode());
                    self.step("request");
                    sent.is_ok()
                }
                Ok(_) => false,
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            }
        });
        self.streams = streams;
    }

    /// Ends the epoch, and sends its checkpoint.
    fn checkpoint(&mut self) {
        let Some(epoch) = self.gate.close() else { return };
        self.step("buffer");
        let bytes = Checkpoint { epoch, state: self.state }.encode();
        self.step("checkpoint");
        let (first, rest) = bytes.split_at(Checkpoint::BYTES / 2);
        self.backup.write_all(first).unwrap();
        self.step("half-shipped");
        self.backup.write_all(rest).unwrap();
        self.gate.written(epoch);
        self.step("shipped");
    }

    /// Dies here, if it shall.
    fn step(&mut self, step: &str) {
        let Some((at, times)) = self.orders.dies_at else { return };
        if STEPS.get(at) == Some(&step) {
            self.times += 1;
            if self.times == times {
                kill(getpid(), Signal::SIGKILL).unwrap();
            }
        }
    }
}

fn readable(fd: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, 0_u8).unwrap() > 0
}
