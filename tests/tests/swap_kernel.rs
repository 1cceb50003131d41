//! Packets lost while a session attaches its plug at the root and removes it, under a flood.
//!
//! Kernel: to swap a root qdisc it takes the device out of service (`dev_deactivate`, with an RCU
//! grace period); packets sent meanwhile reach `noop_qdisc`, which drops them without a counter and
//! without an error for the sender.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use tc_qdiscs::plug::commit::{AttachOptions, DetachMode, Limit, OnDeath, OnTaint, OutputCommit};
use tests::lab::{PATIENCE, Pair, QUIET, count};
use tests::need;

const ROUNDS: u32 = 8;
/// From one datagram to the next.
const PACE: Duration = Duration::from_micros(150);
/// How long the flood goes on undisturbed.
const CALM: Duration = Duration::from_millis(20);

/// Numbered datagrams at the rate [`PACE`], while another thread changes the device.
struct Flood {
    sender: UdpSocket,
    receiver: UdpSocket,
    /// When each one was sent.
    sent: Mutex<Vec<Instant>>,
    stop: AtomicBool,
}

impl Flood {
    fn new(pair: &Pair) -> Self {
        let (sender, receiver) = (pair.near.udp("192.0.2.1:9"), pair.far.udp("192.0.2.2:9"));
        sender.connect("192.0.2.2:9").unwrap();
        setsockopt(&receiver, sockopt::RcvBufForce, &(16 << 20)).unwrap();
        Self { sender, receiver, sent: Mutex::default(), stop: AtomicBool::new(false) }
    }

    /// Floods while `work` runs; returns how many were sent, and those that did not arrive.
    fn during(&self, work: impl FnOnce()) -> (u32, BTreeSet<u32>) {
        thread::scope(|scope| {
            scope.spawn(|| {
                while !self.stop.load(Ordering::Relaxed) {
                    let since = Instant::now();
                    self.sender.send(&self.next().to_be_bytes()).unwrap();
                    self.sent.lock().unwrap().push(since);
                    while since.elapsed() < PACE {
                        thread::yield_now();
                    }
                }
            });
            let receiver = scope.spawn(|| {
                let mut arrived = BTreeSet::new();
                loop {
                    let ended = self.stop.load(Ordering::Relaxed);
                    self.receiver.set_read_timeout(Some(if ended { QUIET } else { PATIENCE })).unwrap();
                    let mut number = [0; 4];
                    match self.receiver.recv(&mut number) {
                        Ok(_) => drop(arrived.insert(u32::from_be_bytes(number))),
                        Err(_) => return arrived,
                    }
                }
            });
            work();
            self.stop.store(true, Ordering::Relaxed);
            let arrived = receiver.join().unwrap();
            let sent = self.next();
            (sent, (0..sent).filter(|number| !arrived.contains(number)).collect())
        })
    }

    /// The numbers of the datagrams sent while `work` runs, with those in flight.
    fn around(&self, work: impl FnOnce()) -> RangeInclusive<u32> {
        thread::sleep(CALM);
        let first = self.next();
        work();
        first..=self.next()
    }

    /// The number of the one that is sent next, or just now.
    fn next(&self) -> u32 {
        u32::try_from(self.sent.lock().unwrap().len()).unwrap()
    }

    /// From the first of these to the one after the last.
    fn time_of(&self, lost: &[u32]) -> Duration {
        let sent = self.sent.lock().unwrap();
        let at = |number: u32| sent.get(number as usize).copied();
        let times = lost.first().zip(lost.last()).and_then(|(first, last)| at(*first).zip(at(last + 1)));
        times.map_or(Duration::ZERO, |(first, end)| end - first)
    }
}

#[test]
fn packets_are_lost_only_while_the_root_is_swapped() {
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let dir = std::env::temp_dir().join(format!("tc-swap-{}", std::process::id()));
    let limit = Limit::bytes(4_000_000.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let flood = Flood::new(&pair);
    // The datagrams sent during each of these.
    let (mut attached, mut held, mut removed, mut left) = (vec![], vec![], vec![], vec![]);
    let (sent, lost) = flood.during(|| {
        for round in 0..ROUNDS {
            let mut session = None;
            attached.push(flood.around(|| {
                session = Some(OutputCommit::attach(&[Pair::NEAR], options.clone()).unwrap());
            }));
            let mut session = session.unwrap();
            held.push(flood.around(|| {
                session.start_buffer().unwrap();
                thread::sleep(CALM);
                session.open().unwrap();
            }));
            if round % 2 == 0 {
                removed.push(flood.around(|| session.detach(DetachMode::Remove).unwrap()));
            } else {
                left.push(flood.around(|| session.detach(DetachMode::Leave).unwrap()));
                removed.push(flood.around(|| drop(pair.near.tc("qdisc del dev near root").ok())));
            }
        }
        thread::sleep(CALM);
    });
    let _ = fs::remove_dir_all(&dir);

    let of = |ranges: &[RangeInclusive<u32>]| -> Vec<Vec<u32>> {
        ranges.iter().map(|range| lost.range(range.clone()).copied().collect()).collect()
    };
    let number = |ranges: &[RangeInclusive<u32>]| of(ranges).iter().map(Vec::len).sum::<usize>();
    for (what, ranges) in [("attach", &attached), ("hold", &held), ("remove", &removed), ("leave", &left)] {
        let each = of(ranges);
        let ms: Vec<_> = each.iter().map(|lost| flood.time_of(lost).as_millis()).collect();
        let each: Vec<_> = each.iter().map(Vec::len).collect();
        count(&format!("swap: {what}: datagrams lost each time {each:?}, in {ms:?} ms"));
    }
    let swapped = number(&attached) + number(&removed);
    assert_eq!(lost.len(), swapped, "of {sent}, lost while nothing was swapped: {lost:?}");
    assert_eq!((number(&held), number(&left)), (0, 0), "to hold, to open and to leave lose nothing");
}
