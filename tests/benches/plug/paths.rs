//! Packets through an open ring on an IFB, beside an open plug at the root and no hold.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use tc_core::{Connection, Handle, Request};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{AttachOptions, Limit, OnDeath, OnTaint};
use tc_qdiscs::plug::ring::Ring;
use tests::lab::{PATIENCE, Pair};

const LIMIT: NonZeroU32 = NonZeroU32::new(50_000_000).expect("not 0");
/// How long a stream flows.
const FLOW: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Clsact,
    RootPlug,
    Ring,
}

/// How often each way is measured, by turns. The best run counts, because the machine may have had other
/// work in the others.
const REPEATS: usize = 5;

/// One table: each way, and its ratios to the first.
pub(crate) fn table(rounds: usize) {
    println!("| Packets through | Mbit/s | ratio | ping-pong p50 us | ratio | p99 us |");
    println!("|---|--:|--:|--:|--:|--:|");
    let ways = [
        (Way::Direct, "no hold, the kernel's default"),
        (Way::Clsact, "a clsact without filters"),
        (Way::RootPlug, "an open plug at the root"),
        (Way::Ring, "an open ring of 8 on an IFB"),
    ];
    let mut best = vec![(0.0, Vec::new()); ways.len()];
    for _ in 0..REPEATS {
        for ((way, _), best) in ways.iter().zip(&mut best) {
            let (mbit, times) = measure(*way, rounds);
            best.0 = f64::max(best.0, mbit);
            if best.1.is_empty() || times[times.len() / 2] < best.1[best.1.len() / 2] {
                best.1 = times;
            }
        }
    }
    let mut first = None;
    for ((_, name), (mbit, times)) in ways.iter().zip(best) {
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
        let (mbit_of_first, p50_of_first) = *first.get_or_insert((mbit, at(50)));
        println!(
            "| {name} | {mbit:.0} | {:.2} | {:.0} | {:.2} | {:.0} |",
            mbit / mbit_of_first,
            at(50),
            at(50) / p50_of_first,
            at(99)
        );
    }
    println!();
}

fn measure(way: Way, rounds: usize) -> (f64, Vec<Duration>) {
    let dir = env::temp_dir().join(format!("tc-plug-bench-way-{}", std::process::id()));
    let pair = Pair::new();
    let mut tc = Connection::open().expect("a socket");
    let near = tc.ifindex(Pair::NEAR).expect("the device");
    let mut ring = None;
    match way {
        Way::Direct => {}
        Way::Clsact => drop(pair.near.tc("qdisc add dev near clsact").ok()),
        Way::RootPlug => {
            let root = Request::qdisc(near).parent(Handle::ROOT).handle(Handle::qdisc(1));
            tc.add(&root.clone().options(&Plug::set_limit(LIMIT.get()))).expect("a plug");
            tc.change(&root.options(&Plug::release_indefinite())).expect("an open plug");
        }
        Way::Ring => {
            let options = AttachOptions::new(Limit::bytes(LIMIT), OnTaint::FailClosed, OnDeath::StayClosed);
            ring = Some(Ring::attach(&["near".into()], options.journal_dir(&dir)).expect("a ring"));
        }
    }
    let mbit = stream(&pair);
    let mut times = ping_pong(&pair, rounds);
    times.sort();
    if let Some(mut ring) = ring {
        ring.detach().expect("it ends in order");
    }
    let _gone = fs::remove_dir_all(&dir);
    (mbit, times)
}

/// One TCP stream out of `near`, in Mbit/s.
fn stream(pair: &Pair) -> f64 {
    let listener = pair.far.inside(|| TcpListener::bind("192.0.2.2:5001")).expect("a listener");
    let sender = pair.near.inside(|| TcpStream::connect("192.0.2.2:5001")).expect("a connection");
    let (mut receiver, _) = listener.accept().expect("a connection");
    let counts = thread::spawn(move || {
        let (mut buffer, mut bytes, since) = (vec![0; 1 << 18], 0_usize, Instant::now());
        while let Ok(read @ 1..) = receiver.read(&mut buffer) {
            bytes += read;
        }
        bytes as f64 * 8.0 / 1e6 / since.elapsed().as_secs_f64()
    });
    let (mut sender, since, piece) = (sender, Instant::now(), vec![0; 1 << 16]);
    while since.elapsed() < FLOW {
        sender.write_all(&piece).expect("the stream flows");
    }
    drop(sender);
    counts.join().expect("a receiver")
}

fn ping_pong(pair: &Pair, rounds: usize) -> Vec<Duration> {
    let (near, far) = (pair.near.udp("192.0.2.1:5002"), pair.far.udp("192.0.2.2:5002"));
    near.connect("192.0.2.2:5002").expect("an address");
    far.connect("192.0.2.1:5002").expect("an address");
    let answer = |socket: &UdpSocket| {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    };
    answer(&near);
    answer(&far);
    let echoes = thread::spawn(move || {
        let mut byte = [0];
        for _ in 0..rounds {
            far.recv(&mut byte).expect("a ping");
            far.send(&byte).expect("a pong");
        }
    });
    let times = (0..rounds)
        .map(|_| {
            let since = Instant::now();
            near.send(&[1]).expect("a ping");
            near.recv(&mut [0]).expect("a pong");
            since.elapsed()
        })
        .collect();
    echoes.join().expect("an echo");
    times
}
