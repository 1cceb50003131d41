//! `apply`: a plan carried out.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tc_core::{Action, Actions, Request};

use super::plan::{Planned, Step};
use super::{Description, NOT_TAKEN, print_json, to_json, to_text};
use crate::command;
use crate::context::failure::Failure;
use crate::context::session::Session;

/// Carries out a diff, until a second look finds nothing to do.
pub(super) fn run(desired: &Description, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut done = Done::default();
    loop {
        let planned = desired.plan(session)?;
        let steps = &planned.steps;
        if done.steps.is_empty() {
            planned.name_left(session);
        }
        // A kernel that makes something else of it is not asked again and again.
        if !steps.iter().any(|step| !done.tried.contains(&step.command())) {
            let written = done.report(&[], &planned.not_taken, session);
            // It was done all the same.
            return differing(&planned).and(written.map_err(|unwritten| {
                let done = done.steps.len();
                Failure::Extension(format!(
                    "apply {}: {done} commands done, 0 not; {unwritten}",
                    desired.file
                ))
            }));
        }
        for (at, step) in steps.iter().enumerate() {
            if let Err(failure) = done.run(step, session) {
                done.stopped(&desired.file, &steps[at..], session);
                return Err(failure);
            }
        }
    }
}

/// The remaining differences.
fn differing(planned: &Planned) -> Result<(), Failure> {
    if planned.steps.is_empty() && planned.not_taken.is_empty() {
        return Ok(());
    }
    let steps = planned.steps.iter().map(|step| format!("still differs: {}", to_text(step)));
    let not_taken = planned.not_taken.iter().map(|words| format!("{NOT_TAKEN}: {words}\n"));
    let lines: String = steps.chain(not_taken).collect();
    let text = "the kernel made something else of it; export says what";
    Err(Failure::Extension(format!("{lines}apply: {text}")))
}

/// How long an apply waits for actions to go, all in all: another filter may have
/// the same.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// The steps done so far.
#[derive(Default)]
struct Done {
    tried: HashSet<String>,
    deleted: bool,
    waited: Duration,
    steps: Vec<Value>,
}

impl Done {
    fn run(&mut self, step: &Step, session: &mut Session<'_>) -> Result<(), Failure> {
        if step.verb == "del" {
            self.deleted = true;
        } else if self.deleted {
            self.wait_for_actions(step, session)?;
        }
        let words: Vec<_> = step.words.iter().map(String::as_str).collect();
        command::run(&words, session)?;
        self.tried.insert(step.command());
        self.steps.push(to_json(step));
        if !session.globals.json {
            session.output.printer.text(&to_text(step));
        }
        Ok(())
    }

    /// Kernel: actions of a deleted filter go a little later. A new one with the
    /// index of such a one would be that one.
    fn wait_for_actions(&mut self, step: &Step, session: &mut Session<'_>) -> Result<(), Failure> {
        for (kind, index) in &step.actions {
            let action = Actions::new().with(Action::at_index(kind.clone(), *index));
            let connection = &mut session.kernel()?.0.connection;
            while self.waited < PATIENCE && connection.get(&Request::actions(&action)).is_ok() {
                thread::sleep(PAUSE);
                self.waited += PAUSE;
            }
        }
        Ok(())
    }

    /// The first command that fails ends it; the steps that were not done are reported.
    fn stopped(&self, file: &str, left: &[Step], session: &mut Session<'_>) {
        if let Err(unwritten) = self.report(left, &[], session) {
            session.report.failure(&unwritten);
        }
        if !session.globals.json {
            let lines: String = left.iter().map(|step| format!("not done: {}\n", step.command())).collect();
            let (done, left) = (self.steps.len(), left.len());
            session.report.text(&format!("{lines}apply {file}: {done} commands done, {left} not\n"));
        }
    }

    /// Text was printed as it was done.
    fn report(&self, left: &[Step], not_taken: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
        if !session.globals.json {
            return session.output.flush();
        }
        let left: Vec<_> = left.iter().map(to_json).collect();
        print_json(&json!({ "done": self.steps, "not_done": left, "not_taken": not_taken }), session)
    }
}
