//! Hold and release under a flood, on a device that shapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tc_qdiscs::plug::commit::{Ack, OnTaint};
use tc_qdiscs::plug::ring::{Depth, Ring};
use tests::lab::{PATIENCE, Pair, count, fewer_if_emulated};
use tests::need;

use crate::{Dir, options};

/// The most datagrams that are under way: the receiver's socket has room for them (`rmem_default`).
const WINDOW: u64 = 80;

/// A steady sender through `near`, and a receiver that counts.
struct Flood {
    ends: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    disordered: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    fn start(pair: &Pair) -> Self {
        let sender = pair.near.udp("192.0.2.1:9");
        sender.connect("192.0.2.2:9").unwrap();
        let receiver = pair.far.udp("192.0.2.2:9");
        receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let counters = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let [sent, received, disordered] = counters.clone();
        let [out, into, late] = counters;
        let (sender_ends, receiver_ends) = (Arc::clone(&ends), Arc::clone(&ends));
        let seen = Arc::clone(&into);
        let sends = thread::spawn(move || {
            while !sender_ends.load(Ordering::Relaxed) {
                let number = out.load(Ordering::Relaxed);
                if number.saturating_sub(seen.load(Ordering::Relaxed)) < WINDOW {
                    sender.send(&number.to_ne_bytes()).unwrap();
                    out.store(number + 1, Ordering::Relaxed);
                } else {
                    thread::yield_now();
                }
            }
        });
        let receives = thread::spawn(move || {
            let (mut number, mut next) = ([0; 8], 0);
            let mut idle_since = Instant::now();
            // After the end, until nothing comes any more.
            while !receiver_ends.load(Ordering::Relaxed) || idle_since.elapsed() < Duration::from_millis(500)
            {
                if receiver.recv(&mut number).is_ok() {
                    into.fetch_add(1, Ordering::Relaxed);
                    let this = u64::from_ne_bytes(number);
                    late.fetch_add(u64::from(this < next), Ordering::Relaxed);
                    next = next.max(this + 1);
                    idle_since = Instant::now();
                }
            }
        });
        Self { ends, sent, received, disordered, threads: vec![sends, receives] }
    }

    /// Waits until this many more have arrived.
    fn goes_on(&self, more: u64) {
        let (from, end) = (self.received.load(Ordering::Relaxed), Instant::now() + PATIENCE);
        while self.received.load(Ordering::Relaxed) < from + more {
            assert!(Instant::now() < end, "the flood stands still");
            thread::yield_now();
        }
    }

    /// Waits until this many more were sent, or the window is full.
    fn fills(&self, more: u64) {
        let from = self.sent.load(Ordering::Relaxed);
        let full = || {
            let sent = self.sent.load(Ordering::Relaxed);
            sent >= from + more || sent.saturating_sub(self.received.load(Ordering::Relaxed)) >= WINDOW
        };
        while !full() {
            thread::yield_now();
        }
    }

    /// Sent, received, and received after a later one.
    fn end(self) -> [u64; 3] {
        self.ends.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        [self.sent, self.received, self.disordered].map(|counter| counter.load(Ordering::Relaxed))
    }
}

#[test]
fn hold_release_and_detach_on_htb_lose_nothing() {
    need!("sch_plug", "sch_prio", "sch_htb", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("flood"), Pair::new());
    for words in [
        "qdisc add dev near root handle 1: htb default 10",
        "class add dev near parent 1: classid 1:10 htb rate 1gbit",
        // The one moment that can lose packets, before the flood.
        "qdisc add dev near clsact",
    ] {
        pair.near.tc(words).ok();
    }
    let root = || pair.near.tc("qdisc show dev near root").ok();
    let before = root();
    let flood = Flood::start(&pair);
    flood.goes_on(100);
    let rounds = fewer_if_emulated(40);
    let (mut epochs, mut held, mut overtaken) = (0, 0, 0);
    for _ in 0..rounds {
        let options = options(&dir, OnTaint::FailClosed).depth(Depth::new(8).unwrap());
        let mut ring = Ring::attach(&["near".into()], options).unwrap();
        flood.goes_on(20);
        ring.start_buffer().unwrap();
        for _ in 0..4 {
            let mut tokens = Vec::new();
            for _ in 0..3 {
                flood.fills(15);
                tokens.push(ring.close().unwrap());
            }
            for token in tokens {
                let number = token.number();
                let released = ring.release(token, Ack::of(number)).unwrap();
                assert_eq!(released.dropped_packets, 0);
                (epochs, held) = (epochs + 1, held + released.packets);
                overtaken += released.overtaken_packets;
            }
        }
        ring.detach().unwrap();
        flood.goes_on(20);
    }
    let [sent, received, disordered] = flood.end();
    let snmp = pair.far.run("cat", &["/proc/self/net/snmp"]).ok();
    assert_eq!(sent, received, "lost; UDP of the receiver: {snmp}");
    assert!(epochs > 0 && held > epochs, "{held} packets in {epochs} epochs");
    assert_eq!(root(), before, "the device's own tree");
    let class = pair.near.tc("-s class show dev near").ok();
    let shaped = class.split("bytes ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(shaped.parse::<u64>().unwrap() >= sent, "htb has seen all: {class}");
    count(&format!(
        "ring: flood on htb, {rounds} attaches, {epochs} epochs with {held} packets held, {sent} sent, \
         {received} received, 0 lost; {disordered} out of order, {overtaken} could be overtaken"
    ));
}
