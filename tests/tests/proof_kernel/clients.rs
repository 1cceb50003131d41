//! The clients: they ask, and remember every reply that they saw.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};
use tc_core::netns::Namespace;
use tests::random::Chance;

use super::words::{CLIENTS, Reply, Request};
use super::world::World;

/// All clients, each in a thread.
pub(crate) struct Clients {
    seen: Arc<Mutex<Vec<Reply>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The clients below this number use UDP, the others TCP.
pub(crate) const UDP: usize = 4;
/// How long a TCP client waits to be connected.
const CONNECTS: Duration = Duration::from_millis(40);

impl Clients {
    /// Starts to ask. A TCP client waits for so long for a server that may be dead.
    pub(crate) fn start(world: &World, seed: u64, tcp_patience: Duration) -> Self {
        let mut clients = Self { seen: Arc::default(), stop: Arc::default(), threads: Vec::new() };
        clients.spawn(world, move |seen, stop| udp(seed, seen, stop));
        for client in UDP..CLIENTS {
            clients.spawn(world, move |seen, stop| tcp(client as u32, tcp_patience, seen, stop));
        }
        clients
    }

    /// The replies that were seen since the last time this was asked for.
    pub(crate) fn take(&self) -> Vec<Reply> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    fn spawn(&mut self, world: &World, work: impl FnOnce(&Mutex<Vec<Reply>>, &AtomicBool) + Send + 'static) {
        let (seen, stop) = (Arc::clone(&self.seen), Arc::clone(&self.stop));
        let far = Namespace::open(world.far.path()).unwrap();
        self.threads.push(thread::spawn(move || {
            far.enter().unwrap();
            work(&seen, &stop);
        }));
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a client panicked");
        }
    }
}

/// Asks in bursts by chance, without waiting for an answer: epochs are of very different sizes.
fn udp(seed: u64, seen: &Mutex<Vec<Reply>>, stop: &AtomicBool) {
    let mut chance = Chance(seed);
    let sockets: Vec<UdpSocket> = (0..UDP as u32)
        .map(|client| {
            let socket = UdpSocket::bind(World::any(client)).unwrap();
            socket.connect(World::server(client)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        })
        .collect();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        if chance.is(70) {
            let most = *chance.of(&[2, 4, 8, 30]);
            for _ in 0..=chance.below(most) {
                let client = chance.below(UDP);
                number += 1;
                // A server that is dead refuses; it will not be for long.
                let _ = sockets[client].send(&Request { client: client as u32, number }.encode());
            }
        }
        let mut fds: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut fds, 1_u8).unwrap();
        for socket in &sockets {
            let mut bytes = [0; Reply::BYTES];
            while let Ok(length) = socket.recv(&mut bytes) {
                assert_eq!(length, Reply::BYTES);
                seen.lock().unwrap().push(Reply::decode(&bytes).unwrap());
            }
        }
        thread::sleep(Duration::from_micros(chance.below(1000) as u64));
    }
}

/// Asks and waits; asks another server if none answers.
fn tcp(client: u32, patience: Duration, seen: &Mutex<Vec<Reply>>, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect_timeout(&World::server(client), CONNECTS) else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let mut bytes = [0; Reply::BYTES];
            let asked = stream.write_all(&Request { client, number }.encode());
            if asked.and_then(|()| stream.read_exact(&mut bytes)).is_err() {
                break;
            }
            seen.lock().unwrap().push(Reply::decode(&bytes).unwrap());
        }
    }
}
