//! `apply`: a plan carried out.

use std::collections::HashSet;

use serde_json::{Value, json};
use tc_core::tree::{Executor, Step};

use super::planned::{Line, Planned};
use super::{Description, NOT_TAKEN, name_left, print_json, to_json, to_text};
use crate::command::change::{carry_out, report_estimator};
use crate::context::failure::Failure;
use crate::context::session::Session;

/// Carries out a diff, until a second look finds nothing to do.
pub(super) fn run(desired: &Description, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut done = Done::default();
    loop {
        let is_last = desired.plan(session, |planned, session| done.round(desired, &planned, session))?;
        if is_last {
            return Ok(());
        }
    }
}

/// The remaining differences.
fn differing(planned: &Planned<'_>) -> Result<(), Failure> {
    if planned.lines.is_empty() && planned.not_taken.is_empty() {
        return Ok(());
    }
    let steps = planned.lines.iter().map(|line| format!("still differs: {}", to_text(line)));
    let not_taken = planned.not_taken.iter().map(|words| format!("{NOT_TAKEN}: {words}\n"));
    let lines: String = steps.chain(not_taken).collect();
    let text = "the kernel made something else of it; export says what";
    Err(Failure::Extension(format!("{lines}apply: {text}")))
}

/// The steps done so far.
#[derive(Default)]
struct Done {
    tried: HashSet<String>,
    executor: Executor,
    steps: Vec<Value>,
}

impl Done {
    /// Carries out one plan. Returns whether there was nothing to do.
    fn round(
        &mut self,
        desired: &Description,
        planned: &Planned<'_>,
        session: &mut Session<'_>,
    ) -> Result<bool, Failure> {
        let lines = &planned.lines;
        if self.steps.is_empty() {
            name_left(planned, session);
        }
        // A kernel that makes something else of it is not asked again and again.
        if !lines.iter().any(|line| !self.tried.contains(&line.command)) {
            let written = self.report(&[], &planned.not_taken, session);
            // It was done all the same.
            let differing = differing(planned).and(written.map_err(|unwritten| {
                let done = self.steps.len();
                Failure::Extension(format!(
                    "apply {}: {done} commands done, 0 not; {unwritten}",
                    desired.file
                ))
            }));
            return differing.map(|()| true);
        }
        for (at, (step, line)) in planned.plan.steps.iter().zip(lines).enumerate() {
            if let Err(failure) = self.run(step, line, session) {
                self.stopped(&desired.file, &lines[at..], session);
                return Err(failure);
            }
        }
        Ok(false)
    }

    fn run(&mut self, step: &Step<'_>, line: &Line, session: &mut Session<'_>) -> Result<(), Failure> {
        session.before_command(true);
        report_estimator(line.estimator, session);
        let (kind, tc_type) = (step.object.kind(), step.object.place().tc_type());
        let mut step = step.clone();
        step.request = step.request.as_tc(session.globals.as_tc);
        carry_out(tc_type, kind, session, |connection| self.executor.run(&step, connection))?;
        self.tried.insert(line.command.clone());
        self.steps.push(to_json(line));
        if !session.globals.json {
            session.output.printer.text(&to_text(line));
        }
        Ok(())
    }

    /// The first command that fails ends it; the steps that were not done are reported.
    fn stopped(&self, file: &str, left: &[Line], session: &mut Session<'_>) {
        if let Err(unwritten) = self.report(left, &[], session) {
            session.report.failure(&unwritten);
        }
        if !session.globals.json {
            let lines: String = left.iter().map(|line| format!("not done: {}\n", line.command)).collect();
            let (done, left) = (self.steps.len(), left.len());
            session.report.text(&format!("{lines}apply {file}: {done} commands done, {left} not\n"));
        }
    }

    /// Text was printed as it was done.
    fn report(&self, left: &[Line], not_taken: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
        if !session.globals.json {
            return session.output.flush();
        }
        let left: Vec<_> = left.iter().map(to_json).collect();
        print_json(&json!({ "done": self.steps, "not_done": left, "not_taken": not_taken }), session)
    }
}
