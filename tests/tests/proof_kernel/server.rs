//! A replica's second life: it serves and ships its checkpoints, until it is killed.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use nix::unistd::getpid;
use tc_core::netns::Namespace;
use tests::lab::PATIENCE;
use tests::random::Chance;

use super::gate::{self, Gate};
use super::replica::{BASE, Orders, STEPS, backup_path};
use super::words::{Checkpoint, Request, State};
use super::world::World;

/// How long a server works between two checkpoints.
const EPOCH: Duration = Duration::from_millis(2);

/// Serves from this state on, until it is killed.
pub(crate) fn serve(orders: Orders, test: UnixStream, state: State) {
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

struct Server {
    orders: Orders,
    /// The number of times that it reached the step at which it dies.
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

    /// Dies here, if this is its step.
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

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, 0_u8).unwrap() > 0
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
