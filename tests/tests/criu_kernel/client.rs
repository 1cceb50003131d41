//! A client that sends numbered records, and counts those that come back and the resets on the line.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tests::lab::{PATIENCE, Wire, count};

/// The end of a wait for records, longer than TCP's back-off after a dump in an emulated machine.
const END: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) lost: u64,
    pub(crate) resets: u64,
}

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    echoed: AtomicU64,
    resets: AtomicU64,
    broken: AtomicBool,
    stop: AtomicBool,
    end: AtomicBool,
}

pub(crate) struct Client {
    stream: TcpStream,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    /// Connects, and sends until [`Client::outcome`]. `wire` opens the host's end of the line.
    pub(crate) fn start(server: SocketAddr, wire: impl FnOnce() -> Wire) -> Self {
        let since = Instant::now();
        let stream = loop {
            match TcpStream::connect(server) {
                Ok(stream) => break stream,
                Err(error) => assert!(since.elapsed() < PATIENCE * 3, "{server}: {error}"),
            }
            thread::sleep(Duration::from_millis(20));
        };
        // Only now: a server that does not listen yet has refused with RST.
        let wire = wire();
        stream.set_nodelay(true).unwrap();
        let shared = Arc::new(Shared::default());
        let (writer, reader) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let (sends, receives, listens) = (Arc::clone(&shared), Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || send(writer, &sends)),
            thread::spawn(move || receive(reader, &receives)),
            thread::spawn(move || listen(&wire, &listens)),
        ];
        let client = Self { stream, shared, threads };
        client.wait_for_more();
        client
    }

    /// Waits until records that are sent from now on come back, or the connection is broken.
    fn wait_for_more(&self) {
        let want = self.shared.sent.load(Ordering::SeqCst) + 20;
        let since = Instant::now();
        while self.shared.echoed.load(Ordering::SeqCst) < want && !self.shared.broken.load(Ordering::SeqCst) {
            assert!(since.elapsed() < END, "no record comes back");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until records come back again, stops, and counts.
    pub(crate) fn outcome(mut self, name: &str) -> Outcome {
        self.wait_for_more();
        self.shared.stop.store(true, Ordering::SeqCst);
        self.threads.remove(0).join().unwrap();
        let sent = self.shared.sent.load(Ordering::SeqCst);
        let since = Instant::now();
        while self.shared.echoed.load(Ordering::SeqCst) < sent
            && !self.shared.broken.load(Ordering::SeqCst)
            && since.elapsed() < END
        {
            thread::sleep(Duration::from_millis(10));
        }
        self.shared.end.store(true, Ordering::SeqCst);
        self.threads.pop().unwrap().join().unwrap();
        let lost = sent - self.shared.echoed.load(Ordering::SeqCst);
        let outcome = Outcome { lost, resets: self.shared.resets.load(Ordering::SeqCst) };
        count(&format!("criu: {name}: {lost} of {sent} records lost, {} RST", outcome.resets));
        outcome
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.end.store(true, Ordering::SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn send(mut stream: TcpStream, shared: &Shared) {
    while !shared.stop.load(Ordering::SeqCst) {
        let number = shared.sent.load(Ordering::SeqCst);
        if stream.write_all(&number.to_ne_bytes()).is_err() {
            shared.broken.store(true, Ordering::SeqCst);
            return;
        }
        shared.sent.store(number + 1, Ordering::SeqCst);
        // The rate, and not a wait.
        thread::sleep(Duration::from_millis(2));
    }
}

fn receive(mut stream: TcpStream, shared: &Shared) {
    let mut record = [0; 8];
    for number in 0_u64.. {
        if stream.read_exact(&mut record).is_err() || u64::from_ne_bytes(record) != number {
            shared.broken.store(true, Ordering::SeqCst);
            return;
        }
        shared.echoed.store(number + 1, Ordering::SeqCst);
    }
}

fn listen(wire: &Wire, shared: &Shared) {
    while !shared.end.load(Ordering::SeqCst) {
        if wire.receive(Duration::from_millis(100)).is_some_and(|frame| is_reset(&frame)) {
            shared.resets.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whether a frame is IPv4, TCP, and has the RST flag.
fn is_reset(frame: &[u8]) -> bool {
    const RST: u8 = 4;
    let header = |at: usize| frame.get(14 + at).copied().unwrap_or(0);
    let tcp = usize::from(header(0) & 15) * 4;
    frame.get(12..14) == Some(&[8, 0]) && header(9) == 6 && header(tcp + 13) & RST != 0
}
