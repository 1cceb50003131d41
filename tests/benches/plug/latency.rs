//! Added latency of output, against the length of an epoch and the time until its acknowledgement: one plug
//! beside a ring of 8.

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Epoch, Error, Limit, OnDeath, OnTaint, OutputCommit,
};
use tc_qdiscs::plug::ring::Ring;
use tests::lab::{PATIENCE, Pair};

const LIMIT: NonZeroU32 = NonZeroU32::new(50_000_000).expect("not 0");
const EPOCHS_MS: [u64; 3] = [1, 10, 100];
const ANSWERS_MS: [u64; 3] = [1, 10, 50];

/// A session of either kind.
enum Session {
    Plug(Box<OutputCommit>),
    Ring(Box<Ring>),
}

impl Session {
    fn start(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.start_buffer(),
            Self::Ring(ring) => ring.start_buffer(),
        }
    }

    fn close(&mut self) -> Result<Option<Epoch>, Error> {
        match self {
            Self::Plug(plug) => plug.close_or_extend(),
            Self::Ring(ring) => ring.close_or_extend(),
        }
    }

    fn release(&mut self, epoch: Epoch) -> Result<(), Error> {
        let ack = Ack::of(epoch.number());
        match self {
            Self::Plug(plug) => plug.release(epoch, ack).map(|_| ()),
            Self::Ring(ring) => ring.release(epoch, ack).map(|_| ()),
        }
    }

    fn detach(&mut self) -> Result<(), Error> {
        match self {
            Self::Plug(plug) => plug.detach(DetachMode::Remove),
            Self::Ring(ring) => ring.detach(),
        }
    }
}

/// How often each cell is measured, by turns. The run with the least median counts, because the machine
/// may have had other work in the others.
const REPEATS: usize = 3;

/// One table. `rounds` packets for each measurement.
pub(crate) fn table(rounds: usize) {
    println!(
        "| epoch ms | answer ms | half an epoch and the answer | ring p50 ms | ring p99 ms | plug p50 ms | plug p99 ms |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    for epoch in EPOCHS_MS {
        for answer in ANSWERS_MS {
            let expected = epoch as f64 / 2.0 + answer as f64;
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..REPEATS {
                for (best, is_ring) in times.iter_mut().zip([true, false]) {
                    let next = measure(is_ring, epoch, answer, rounds);
                    if best.is_empty() || next[next.len() / 2] < best[best.len() / 2] {
                        *best = next;
                    }
                }
            }
            let at =
                |times: &[Duration], share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
            let [ring, plug] = &times;
            println!(
                "| {epoch} | {answer} | {expected:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
                at(ring, 50),
                at(ring, 99),
                at(plug, 50),
                at(plug, 99)
            );
        }
    }
    println!();
}

/// The sorted times from the send of a packet to its arrival.
fn measure(is_ring: bool, epoch_ms: u64, answer_ms: u64, rounds: usize) -> Vec<Duration> {
    let dir = env::temp_dir().join(format!("tc-plug-bench-latency-{}", std::process::id()));
    let pair = Pair::new();
    let options = AttachOptions::new(Limit::bytes(LIMIT), OnTaint::FailClosed, OnDeath::StayClosed);
    let options = options.journal_dir(&dir);
    let mut session = match is_ring {
        true => Session::Ring(Box::new(Ring::attach(&["near".into()], options).expect("a ring"))),
        false => Session::Plug(Box::new(OutputCommit::attach(&[Pair::NEAR], options).expect("a plug"))),
    };
    session.start().expect("it holds");
    let (sender, receiver) = (pair.near.udp("192.0.2.1:5003"), pair.far.udp("192.0.2.2:5003"));
    sender.connect("192.0.2.2:5003").expect("an address");
    receiver.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let start = Instant::now();
    // Packets come at any moment of an epoch: the period is no divisor of its length.
    let period = Duration::from_micros(epoch_ms * 1000 * 37 / 100 + 170);
    let sends = thread::spawn(move || {
        for number in 0..rounds as u32 {
            let due = period * number;
            thread::sleep(due.saturating_sub(start.elapsed()));
            let now = u64::try_from(start.elapsed().as_nanos()).expect("a short run");
            sender.send(&now.to_ne_bytes()).expect("a packet");
        }
    });
    let done = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&done);
    let receives = thread::spawn(move || {
        let mut times: Vec<_> = (0..rounds)
            .map(|_| {
                let mut sent = [0; 8];
                receiver.recv(&mut sent).expect("every packet arrives");
                start.elapsed() - Duration::from_nanos(u64::from_ne_bytes(sent))
            })
            .collect();
        ends.store(true, Ordering::Relaxed);
        times.sort();
        times
    });
    control(&mut session, Duration::from_millis(epoch_ms), Duration::from_millis(answer_ms), &done);
    sends.join().expect("a sender");
    let times = receives.join().expect("a receiver");
    session.detach().expect("it ends in order");
    let _gone = fs::remove_dir_all(&dir);
    times
}

/// Closes an epoch at its end, or as soon as it can be closed after that, and releases it when the answer
/// has come.
fn control(session: &mut Session, epoch: Duration, answer: Duration, done: &AtomicBool) {
    let mut waiting: VecDeque<(Instant, Epoch)> = VecDeque::new();
    let mut due = Instant::now() + epoch;
    let mut full = false;
    while !done.load(Ordering::Relaxed) || !waiting.is_empty() {
        let answered = waiting.front().map(|(answered, _)| *answered);
        let next = match answered {
            Some(answered) if full || done.load(Ordering::Relaxed) => answered,
            Some(answered) => answered.min(due),
            None => due,
        };
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if answered.is_some_and(|answered| answered <= Instant::now())
            && let Some((_, token)) = waiting.pop_front()
        {
            session.release(token).expect("nothing disturbs the queue");
            full = false;
        }
        if due <= Instant::now() && !full && !done.load(Ordering::Relaxed) {
            match session.close().expect("nothing disturbs the queue") {
                Some(token) => {
                    waiting.push_back((Instant::now() + answer, token));
                    due = Instant::now() + epoch;
                }
                None => full = true,
            }
        }
    }
}
