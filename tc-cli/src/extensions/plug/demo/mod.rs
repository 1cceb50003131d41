//! `tc-cli plug demo`: output commit on one screen.
//!
//! Packets of three epochs wait in a ring of plugs at once; each epoch comes out when it
//! is released and not before. This scenario runs on a private network of
//! the real kernel, or on the embedded one.

mod real;
mod report;
mod session;
mod simulated;

use std::error::Error;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command};
use tc_core::stats::Stats;

use crate::context::failure::Failure;
use crate::context::output;
use crate::context::session::Session;
use report::Report;

/// `tc-cli plug demo`: its words.
pub(super) fn words() -> Command {
    Command::new("demo")
        .about("Show plug at work: real packets on a private network, or the embedded kernel")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The same facts as JSON"))
}

/// `tc-cli plug demo`: on the real kernel where that is possible, or else on
/// the embedded one.
pub(super) fn run(words: &ArgMatches, session: &Session<'_>) -> Result<(), Failure> {
    let report = play_somewhere().map_err(|error| Failure::Extension(format!("plug demo: {error}")))?;
    if words.get_flag("json") || session.globals.json {
        output::say(&format!("{}\n", report.to_json()))?;
    } else {
        output::say(&report.to_string())?;
    }
    match report.is_as_expected() {
        true => Ok(()),
        false => Err(Failure::Extension("plug demo: what came out is not what had to".into())),
    }
}

/// The network of the scenario: a sender, a receiver, and between them a device
/// that can have a ring.
pub(crate) trait Stage {
    /// Puts the ring there.
    fn attach(&mut self) -> Result<(), Box<dyn Error>>;
    /// An order to the ring.
    fn act(&mut self, act: Act) -> Result<(), Box<dyn Error>>;
    /// Sends one packet.
    fn send(&mut self, name: &str) -> Result<(), Box<dyn Error>>;
    /// The packets that came out within `time`; returns early when there are
    /// `want`.
    fn receive(&mut self, want: usize, time: Duration) -> Result<Vec<String>, Box<dyn Error>>;
    /// The counters of the ring.
    fn counters(&mut self) -> Result<Counters, Box<dyn Error>>;
}

/// The ring's counters, as the kernel reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Packets that passed.
    pub(crate) sent_packets: u64,
    /// Bytes that passed.
    pub(crate) sent_bytes: u64,
    /// Packets that wait.
    pub(crate) held_packets: u32,
    /// Bytes that wait.
    pub(crate) held_bytes: u32,
    /// Packets dropped.
    pub(crate) dropped: u32,
}

impl Counters {
    pub(crate) fn of(stats: &Stats<'_>) -> Self {
        let (basic, queue) = (stats.basic.unwrap_or_default(), stats.queue.unwrap_or_default());
        Self {
            sent_packets: basic.packets,
            sent_bytes: basic.bytes,
            held_packets: queue.qlen,
            held_bytes: queue.backlog,
            dropped: queue.drops,
        }
    }
}

/// The action of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Attach,
    /// Starts to hold: epoch 0 is open.
    Hold,
    /// Closes the open epoch.
    Close,
    /// Releases the oldest closed epoch.
    Ack,
    /// Lets all go.
    Open,
    Send(&'static [&'static str]),
}

/// A step: its description, its action, and the packets expected after it.
type Step = (&'static str, Act, &'static [&'static str]);

const STEPS: &[Step] = &[
    ("attach a ring of 4 plugs, 1 MB each", Act::Attach, &[]),
    ("hold: epoch 0 is open", Act::Hold, &[]),
    ("epoch 0 sends", Act::Send(&["a1", "a2", "a3"]), &[]),
    ("close epoch 0, its checkpoint goes", Act::Close, &[]),
    ("epoch 1 sends", Act::Send(&["b1", "b2"]), &[]),
    ("close epoch 1", Act::Close, &[]),
    ("epoch 2 sends", Act::Send(&["c1"]), &[]),
    ("close epoch 2: three are in flight", Act::Close, &[]),
    ("epoch 3 sends", Act::Send(&["d1"]), &[]),
    ("ack 0: checkpoint 0 is safe", Act::Ack, &["a1", "a2", "a3"]),
    ("ack 1: checkpoint 1 is safe", Act::Ack, &["b1", "b2"]),
    ("ack 2: checkpoint 2 is safe", Act::Ack, &["c1"]),
    ("open: all may go", Act::Open, &["d1"]),
    ("send once more", Act::Send(&["e1"]), &["e1"]),
];

/// How long nothing must come out for "held" to be believed.
const QUIET: Duration = Duration::from_millis(120);
/// The time limit for released packets.
const PATIENCE: Duration = Duration::from_secs(2);

fn play_somewhere() -> Result<Report, Box<dyn Error>> {
    match real::Network::new() {
        Ok(mut network) => {
            let about = format!("Linux {}, real packets in a private network", real::release());
            play(&mut network, about)
        }
        Err(reason) => {
            let about = format!("the embedded kernel, because {reason}");
            play(&mut simulated::Network::new()?, about)
        }
    }
}

fn play(stage: &mut dyn Stage, about: String) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::new(about);
    let start = Instant::now();
    for (words, act, expected) in STEPS {
        let at = start.elapsed();
        match act {
            Act::Attach => stage.attach()?,
            Act::Send(names) => {
                for name in *names {
                    report.sent(name, start.elapsed());
                    stage.send(name)?;
                }
            }
            order => stage.act(*order)?,
        }
        let mut out = Vec::new();
        if !expected.is_empty() {
            out = stage.receive(expected.len(), PATIENCE)?;
            out.iter().for_each(|name| report.came_out(name, start.elapsed()));
        }
        // A packet that arrives now is too early.
        for name in stage.receive(usize::MAX, QUIET)? {
            report.came_out(&name, start.elapsed());
            out.push(name);
        }
        report.step(words, at, out, expected, stage.counters()?);
    }
    Ok(report)
}
