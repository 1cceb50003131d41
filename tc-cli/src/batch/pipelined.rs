//! `--pipelined`: commands of a batch that go to the kernel many at a time.
//!
//! The kernel continues after a failed request, so a pipelined batch continues after a
//! failure as with `-force`. All failures are reported in the order of their lines.
//! Warnings of successful requests are not reported: they would take an answer for
//! each request, which costs half of the time that packing saves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;

use tc_core::message::TcHeader;
use tc_core::{Cause, Error, Pipeline, Request, TcType, Transport, Verb};

use crate::batch::{self, Lines, split};
use crate::command::change::{Change, refused};
use crate::command::{self, Command};
use crate::context::devices::Devices;
use crate::context::environment::Machine;
use crate::context::failure::Failure;
use crate::context::globals::Globals;
use crate::context::progress::Progress;
use crate::context::report::{Line, Report};
use crate::context::session::{Kernel, Session};

/// Reads up to the next command that must stand for itself, and carries out
/// those before it. Returns as [`batch::read`] does.
pub(crate) fn read<R: Read>(
    lines: &mut Lines<R>,
    file: &str,
    failed: &mut bool,
    progress: &mut Progress,
    session: &mut Session<'_>,
) -> Result<Result<bool, Failure>, Failure> {
    session.output.flush()?;
    let Some(mut kernel) = session.take_kernel() else {
        return batch::read(lines, progress, session, || ());
    };
    let Kernel { connection, devices, .. } = &mut kernel;
    let outcomes = Outcomes { file, report: *session.report, waiting: RefCell::default() };
    let mut batch = connection.pipeline(|_, outcome| *failed |= !outcomes.tell(outcome));
    let machine = session.silent_machine();
    let read = loop {
        let read = batch::read(lines, progress, session, || batch.flush());
        if !matches!(read, Ok(Ok(true))) || !push(lines, &mut batch, &outcomes, &machine, devices, session) {
            break read;
        }
    };
    batch.finish();
    session.put_kernel(kernel);
    read
}

/// Adds a command to those that go together; false if it cannot be one of them.
fn push<R, T: Transport, F: FnMut(usize, Result<(), Cause>)>(
    lines: &Lines<R>,
    batch: &mut Pipeline<'_, T, F>,
    outcomes: &Outcomes<'_>,
    machine: &Machine,
    devices: &Devices,
    session: &mut Session<'_>,
) -> bool {
    let Ok(words) = split(&lines.line) else { return false };
    if words.is_empty() {
        return true;
    }
    // Additional options apply to their line.
    if words.iter().any(|word| word.starts_with("--")) {
        return false;
    }
    let Ok(Command::Change(change)) = command::parse(&words, session.parse_context(machine)) else {
        return false;
    };
    // Warnings about words are printed when the line is read again, in its turn.
    if machine.has_warned() || !can_wait(&change, &session.globals) {
        return false;
    }
    let ifindex = match change.dev.map(|dev| session.recent_ifindex_of(dev, devices)) {
        None => 0,
        Some(Some(ifindex)) => ifindex,
        Some(None) => return false,
    };
    let request = change.request(ifindex, session.globals.as_tc);
    outcomes.wait(lines.number, &change, &request);
    let pushed = batch.push(change.verb, &request).is_ok();
    if !pushed {
        outcomes.waiting.borrow_mut().pop_back();
    }
    pushed
}

/// Whether it is one request of which only a failure is reported.
fn can_wait(change: &Change<'_>, globals: &Globals) -> bool {
    let told = globals.echo || globals.dry_run || (globals.raw && change.estimator.is_some());
    let known = change.ops.is_some() || change.kind.is_empty();
    change.verb != Verb::Get && !told && known
}

/// The requests whose outcome is pending, and the receiver of their outcomes.
struct Outcomes<'a> {
    file: &'a str,
    report: Report,
    waiting: RefCell<VecDeque<Waiting>>,
}

/// The facts for the report of a failure.
struct Waiting {
    line: u64,
    verb: Verb,
    tc_type: TcType,
    header: TcHeader,
    kind: &'static str,
}

impl Outcomes<'_> {
    fn wait(&self, line: u64, change: &Change<'_>, request: &Request<'_>) {
        let (verb, tc_type, header) = (change.verb, change.tc_type, *request.header());
        let kind = change.ops.map_or("", |ops| ops.kind());
        self.waiting.borrow_mut().push_back(Waiting { line, verb, tc_type, header, kind });
    }

    /// Reports the outcome of the oldest; returns whether it is a success.
    fn tell(&self, outcome: Result<(), Cause>) -> bool {
        let waiting = self.waiting.borrow_mut().pop_front();
        let (Err(cause), Some(Waiting { line, verb, tc_type, header, kind })) = (outcome, waiting) else {
            return true;
        };
        let object =
            Request::new(tc_type, header.ifindex).handle(header.handle).parent(header.parent).kind(kind);
        let failure = refused(Error::new(verb.name(), object.describe(), cause), tc_type, kind);
        self.report.failure_at(&failure, Some(Line { file: self.file, number: line }));
        false
    }
}
