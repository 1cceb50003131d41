//! The two kernels, and their observable state.

use std::thread::{sleep, yield_now};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tc_core::embedded::{self, Device, Kernel, Sent};
use tc_core::link::LinkChange;
use tc_core::stats::{Basic, Queue};
use tc_core::{Connection, Handle, Request, Transport, Verb};
use tests::lab::{Net, Wire};

use crate::step::{OVERHEAD, Step};

/// The start of every sequence.
const FRESH: LinkChange = LinkChange { up: Some(true), tx_queue_len: Some(4), mtu: Some(286) };

/// How long the real kernel is given to send by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Quick,
    Calm,
}

impl Pace {
    /// After each step that makes the device's queue run later: the kernel's thread that does it
    /// waits for this processor.
    fn pause(self) {
        match self {
            Self::Quick => yield_now(),
            // More than one: after a long halt of the whole machine both wake at once.
            Self::Calm => (0..4).for_each(|_| sleep(Duration::from_millis(1))),
        }
    }

    /// How often to look until a difference is believed. Not how long: the machine may be an
    /// emulated one that is halted meanwhile.
    const fn looks(self) -> usize {
        match self {
            Self::Quick => 10,
            Self::Calm => 100,
        }
    }
}

/// Where the two came apart: the step's number, and both sides after it.
pub(crate) struct Difference {
    pub(crate) at: usize,
    pub(crate) kernel: Seen,
    pub(crate) model: Seen,
}

/// The result of a step.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    outcome: Outcome,
    frames: Vec<Vec<u8>>,
    root: Result<Root, Option<i32>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Refused(Option<i32>),
    Sent(Vec<Sent>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Root {
    kind: String,
    handle: Handle,
    basic: Option<Basic>,
    queue: Option<Queue>,
}

/// A real device, and an embedded kernel that gets another one for each sequence.
pub(crate) struct Lab {
    embedded: Kernel,
    model: Connection<embedded::Socket>,
    _net: Net,
    tc: Connection,
    near: Wire,
    far: Wire,
    ifindex: i32,
    queues: u32,
    link: LinkChange,
    buffer: Vec<u8>,
}

impl Lab {
    /// A veth pair whose near end has this number of transmit queues.
    pub(crate) fn new(queues: u32) -> Self {
        // A frame is received on the same processor, before the system call returns.
        stay_on_one_processor(queues as usize);
        let net = Net::new();
        net.ip(&format!("link add near numtxqueues {queues} type veth peer far")).ok();
        net.ip("link set far up").ok();
        net.ip("link set near up").ok();
        let mut tc = Connection::open().expect("a socket");
        let ifindex = tc.ifindex("near").expect("the device");
        tc.set_link(ifindex, &FRESH).expect("a device that can be changed");
        let (near, far) = (net.wire("near"), net.wire("far"));
        let embedded = tc_qdiscs::embedded::kinds(Kernel::builder()).build();
        let model = Connection::over(embedded.connect());
        Self {
            embedded,
            model,
            _net: net,
            tc,
            near,
            far,
            ifindex,
            queues,
            link: FRESH,
            buffer: vec![0; 2048],
        }
    }

    /// Takes the same steps on both sides, until they differ.
    pub(crate) fn run(&mut self, steps: &[Step], pace: Pace) -> Option<Difference> {
        self.refresh();
        let device = Device::new("near").queueless().tx_queues(self.queues).tx_queue_len(4).mtu(286);
        let here = self.embedded.add_device(device);
        let (mut number, mut different) = (0, None);
        for (at, step) in steps.iter().enumerate() {
            let frames = frames(step, &mut number);
            let outcome = match step {
                Step::Send { .. } => Outcome::Sent(
                    frames.iter().map(|frame| self.embedded.send(here, frame.clone())).collect(),
                ),
                _ => ask(&mut self.model, here, step),
            };
            let model =
                Seen { outcome, frames: self.embedded.take_sent(here), root: root(&mut self.model, here) };
            let kernel = self.see(step, &frames, &model, pace);
            if kernel != model {
                different = Some(Difference { at, kernel, model });
                break;
            }
        }
        self.embedded.remove_device(here);
        different
    }

    fn refresh(&mut self) {
        // There may be none.
        let _ = self.tc.delete(&Request::qdisc(self.ifindex).parent(Handle::ROOT));
        if self.link != FRESH {
            self.tc.set_link(self.ifindex, &FRESH).expect("a device that can be changed");
            self.link = FRESH;
        }
        self.near.forget_error();
        while self.far.receive_now(&mut self.buffer).is_some() {}
    }

    /// Takes the step on the real kernel, and waits for the expected result.
    fn see(&mut self, step: &Step, frames: &[Vec<u8>], expected: &Seen, pace: Pace) -> Seen {
        let outcome = match step {
            Step::Send { .. } => Outcome::Sent(frames.iter().map(|frame| self.send(frame)).collect()),
            _ => ask(&mut self.tc, self.ifindex, step),
        };
        if let Step::Link(change) = step {
            self.link.up = change.up.or(self.link.up);
            self.link.mtu = change.mtu.or(self.link.mtu);
            self.link.tx_queue_len = change.tx_queue_len.or(self.link.tx_queue_len);
            // Kernel: a packet socket hears that its device went down, and its next call fails.
            self.near.forget_error();
        }
        if step.kicks() {
            pace.pause();
        }
        let mut seen = Seen { outcome, frames: Vec::new(), root: Err(None) };
        for look in 1.. {
            while let Some(length) = self.far.receive_now(&mut self.buffer) {
                seen.frames.push(self.buffer[..length].to_vec());
            }
            seen.root = root(&mut self.tc, self.ifindex);
            if seen == *expected || look > pace.looks() {
                break;
            }
            sleep(Duration::from_micros(200));
        }
        seen
    }

    fn send(&self, frame: &[u8]) -> Sent {
        match self.near.send(frame) {
            Ok(()) => Sent::Taken,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOBUFS) => Sent::Dropped,
                Some(Errno::ENETDOWN) => Sent::Down,
                _ => panic!("a frame of {} bytes: {error}", frame.len()),
            },
        }
    }
}

/// Numbered frames of a protocol that nobody speaks.
fn frames(step: &Step, number: &mut u32) -> Vec<Vec<u8>> {
    let Step::Send { count, bytes } = *step else { return Vec::new() };
    (0..count)
        .map(|_| {
            *number += 1;
            let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
            frame.extend(number.to_be_bytes());
            frame.resize(bytes, 0);
            frame
        })
        .collect()
}

fn ask<T: Transport>(tc: &mut Connection<T>, ifindex: i32, step: &Step) -> Outcome {
    let done = match step {
        Step::Send { .. } => Ok(()),
        Step::Link(change) => tc.set_link(ifindex, change),
        Step::Qdisc { verb, major, options, stab } => {
            let root = Request::qdisc(ifindex).parent(Handle::ROOT).handle(Handle::qdisc(*major));
            let mut root = match options {
                _ if *verb == Verb::Delete => root,
                Some(options) => root.options(options),
                None => root.kind("plug"),
            };
            if *stab {
                root = root.stab(&OVERHEAD);
            }
            tc.apply_as_it_is(*verb, &root).map(|_| ())
        }
    };
    done.map_or_else(|error| Outcome::Refused(error.errno()), |()| Outcome::Done)
}

fn root<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Root, Option<i32>> {
    let entry = tc.get(&Request::qdisc(ifindex).parent(Handle::ROOT)).map_err(|error| error.errno())?;
    let stats = entry.stats().expect("whole counters").unwrap_or_default();
    Ok(Root {
        kind: entry.kind().expect("a kind").to_owned(),
        handle: entry.header.handle,
        basic: stats.basic,
        queue: stats.queue,
    })
}

fn stay_on_one_processor(nth: usize) {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).expect("this thread runs somewhere");
    let all: Vec<_> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    one.set(all[nth % all.len()]).expect("a processor that is there");
    sched_setaffinity(this, &one).expect("one that is allowed");
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |frame: &Vec<u8>| {
            frame.get(14..18).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let frames: Vec<_> = self.frames.iter().map(|frame| number(frame).unwrap_or_default()).collect();
        write!(f, "{:?}, frames out {frames:?}\n       {:?}", self.outcome, self.root)
    }
}
