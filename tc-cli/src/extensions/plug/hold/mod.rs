//! `plug hold`: holds a device's output while a command runs, then lets it go:
//! for maintenance that must not lose a packet.
//!
//! Held packets leave when the command ends, at the deadline, or at SIGTERM,
//! SIGINT, SIGHUP or SIGQUIT. The command receives the signal once: from this
//! process, or from the terminal, which sends it to both. If this process is
//! killed (SIGKILL), `--on-death` decides what happens to the output, and the
//! command keeps running, as under `timeout`, `flock` and `nice`: a half-finished
//! change of the system would be worse than one that nobody waits for.

mod report;
mod wait;

use std::io;
use std::process::{Child, Command as Program, ExitStatus};
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use tc_core::netns::Namespace;
use tc_qdiscs::plug::commit::{Counts, Error, NetworkState, OnDrop, State};

use super::place::{self, Placement};
use super::start::{Started, start};
use super::words;
use crate::context::environment::path;
use crate::context::failure::{Failure, reason};
use crate::context::session::Session;
use report::{Report, Why};
use wait::{Event, Received, Wait};

pub(super) fn words() -> Command {
    let netns = Arg::new("netns").long("netns").value_name("NAME");
    let cmd = Arg::new("cmd").value_name("CMD").last(true).required(true).num_args(1..);
    Command::new("hold")
        .about("Hold a device's outgoing packets while a command runs, then let them go and report")
        .after_help(
            "SIGTERM, SIGINT, SIGHUP and SIGQUIT let go. The command receives the signal once: from this program,\n\
             or from the terminal (Ctrl-C, Ctrl-\\, hangup), which sends it to both. A SIGHUP that is ignored at\n\
             the start (nohup) stays ignored. If this program is killed with SIGKILL, the command keeps running,\n\
             and --on-death decides what happens to the output. For a command that must not outlive this\n\
             program: -- setpriv --pdeathsig TERM CMD\n\n\
             A plug of plug attach that is buffering is refused: plug open or plug drop it first.\n\
             The capability CAP_NET_ADMIN is enough; --netns needs CAP_SYS_ADMIN too.",
        )
        .args([words::dev(), words::max_hold(), words::on_death(), words::journal_dir()])
        .args(words::limits())
        .args(place::words())
        .arg(netns.help("The device's network namespace; the command runs where this one does"))
        .arg(cmd.help("The command, whose exit status is returned"))
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    words::the_policy("hold", words)?;
    // Before anything is held: a signal must not end us from then on.
    let mut wait =
        Wait::new().map_err(|error| Failure::System(format!("plug hold: {error}; nothing was changed")))?;
    let placement = Placement::of("hold", words, session)?;
    let mut hold = Hold::begin(words, &placement)?;
    let ended = hold.while_it_runs(words, &mut wait, session);
    let left = hold.leave();
    let report = hold.report;
    let (status, ended) = match ended {
        Ok(status) => (code(status), Ok(())),
        Err(failure) => (1, Err(failure)),
    };
    if has_room(PATIENCE) {
        hold.session.report_stale("hold", session.report);
        session.report.text(&report.show(session.globals.json, status));
    }
    // The second error has the state of the network, if it failed.
    left.map_err(|error| Failure::Extension(format!("plug hold: {error}"))).and(ended)?;
    match status {
        0 => Ok(()),
        status => Err(Failure::Status(status)),
    }
}

/// How long the report waits for a reader.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// A session in which one epoch is held, and then let go.
struct Hold {
    session: Started,
    since: Instant,
    deadline: Option<Instant>,
    /// The counters before.
    before: Counts,
    report: Report,
}

impl Hold {
    /// In the namespace that is asked for; the thread comes back from it.
    fn begin(words: &ArgMatches, placement: &Placement) -> Result<Self, Failure> {
        let untouched =
            |error: tc_core::Error| Failure::Extension(format!("plug hold: {error}; nothing was changed"));
        // Not without --netns: it needs CAP_SYS_ADMIN, also for the namespace that the thread is in.
        let mut here = None;
        if let Some(name) = words.get_one::<String>("netns") {
            here = Some(Namespace::current().map_err(untouched)?);
            Namespace::open(path(name)).and_then(|there| there.enter()).map_err(untouched)?;
        }
        let dev = words::the_dev(words);
        let started = start("hold", &[dev], words, placement, OnDrop::Report);
        let back = here.map_or(Ok(()), |here| here.enter());
        let (since, before) = (Instant::now(), Counts::default());
        let mut hold = Self { session: started?, since, deadline: None, before, report: Report::new(dev) };
        let failed = match back {
            Err(error) => Some(format!("{error}; the network is open")),
            Ok(()) => hold.session.output.start_buffer().err().map(|error| {
                hold.tainted(&error);
                error.to_string()
            }),
        };
        if let Some(why) = failed {
            let why = hold.leave().err().unwrap_or(why);
            return Err(Failure::Extension(format!("plug hold: {why}")));
        }
        hold.since = Instant::now();
        let time = words.get_one::<Duration>("max-hold");
        hold.deadline = time.and_then(|time| hold.since.checked_add(*time));
        hold.before = hold.session.output.counts();
        Ok(hold)
    }

    /// Runs the command; whatever comes first lets go. The error is that it
    /// cannot be run.
    fn while_it_runs(
        &mut self,
        words: &ArgMatches,
        wait: &mut Wait,
        session: &Session<'_>,
    ) -> Result<ExitStatus, Failure> {
        let cmd: Vec<_> = words.get_many::<String>("cmd").into_iter().flatten().collect();
        let Some((program, arguments)) = cmd.split_first() else {
            return Err(Failure::Words("plug hold: no command; nothing was changed".into()));
        };
        let started = Program::new(path(program)).args(arguments.iter().map(|word| path(word))).spawn();
        let mut child = started.map_err(|error| {
            self.let_go(Why::NotStarted);
            Failure::Extension(format!("plug hold: {program}: {}; the network is open", reason(&error)))
        })?;
        loop {
            let held = (self.session.output.state() == State::Protected).then_some(&self.session.output);
            let event = wait.next(&mut child, held, self.deadline.filter(|_| held.is_some()));
            match event.map_err(|error| self.lost(program, &error))? {
                Event::Ended(status) => {
                    self.let_go(Why::Ended);
                    return Ok(status);
                }
                Event::Deadline => {
                    self.let_go(Why::Deadline);
                    warn("--max-hold is over, and the network is open", session.report);
                }
                Event::Signal(Received { signal, from_terminal }) => {
                    self.let_go(Why::Signal(signal));
                    if !from_terminal {
                        forward(&child, signal);
                    }
                }
                Event::Notice => {
                    if let Err(error) = self.session.output.check() {
                        self.tainted(&error);
                        warn(&error.to_string(), session.report);
                    }
                }
            }
        }
    }

    fn lost(&mut self, program: &str, error: &io::Error) -> Failure {
        self.let_go(Why::NotWatched);
        Failure::Extension(format!(
            "plug hold: cannot wait for the end of {program}, which may still run: {}; the network is open",
            reason(error)
        ))
    }

    /// Counts what is held and lets it go, if that was not done before.
    fn let_go(&mut self, why: Why) {
        if self.session.output.state() != State::Protected {
            return;
        }
        let done = self.session.output.check().and_then(|()| {
            self.count(why);
            self.session.output.open()
        });
        if let Err(error) = done {
            self.tainted(&error);
        }
    }

    fn count(&mut self, why: Why) {
        let Counts { held_packets, held_bytes, dropped_packets } = self.session.output.counts();
        self.report.why = why;
        self.report.held_packets = held_packets;
        self.report.held_bytes = held_bytes;
        self.report.dropped_packets = dropped_packets.saturating_sub(self.before.dropped_packets);
        self.report.held_for = self.since.elapsed();
    }

    fn tainted(&mut self, error: &Error) {
        let released = error.network() == NetworkState::Opened;
        self.count(Why::Tainted { why: error.to_string(), released });
    }

    /// Gives the plug up, or back. Of a queue that is not trusted nothing more
    /// leaves: what is held is dropped.
    fn leave(&mut self) -> Result<(), String> {
        match self.session.output.state() {
            State::Tainted => {
                let why = match &self.report.why {
                    Why::Tainted { why, .. } => why.clone(),
                    _ => "tainted".to_owned(),
                };
                let discarded = self.session.output.discard();
                discarded.map_err(|error| error.to_string())?;
                Err(format!("{why}; now the plug is gone, and the network is open"))
            }
            _ => self.session.finish(),
        }
    }
}

/// Reports progress if that does not block: a blocked write would miss the command's
/// end and signals. The report repeats it.
fn warn(text: &str, report: &crate::context::report::Report) {
    if has_room(Timespec::default()) {
        report.warning(&format!("plug hold: {text}"));
    }
}

/// Whether standard error takes text, or will in time: not if it is a pipe that
/// is full and that nobody reads.
fn has_room(patience: Timespec) -> bool {
    let stderr = io::stderr();
    poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&patience)).is_ok_and(|ready| ready > 0)
}

/// Sends the command a signal. It may have ended.
fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        let _gone = kill_process(pid, signal);
    }
}

/// As shells have it: 128 and the signal's number for one that was killed.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
