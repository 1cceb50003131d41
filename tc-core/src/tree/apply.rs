//! A plan carried out.

use std::ops::Range;
use std::thread;
use std::time::Duration;

use crate::connection::{Connection, Transport};
use crate::exchange::error::Error;
use crate::exchange::request::Request;
use crate::kind::action::{Action, Actions};
use crate::tree::plan::{Plan, Step};
use crate::wire::ack::ExtAck;
use crate::wire::verb::{TcType, Verb};

/// How long an [`Executor`] waits for actions to go, all in all: another filter may have
/// the same.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// Carries out the steps of a plan, one by one.
///
/// Kernel: actions of a deleted filter are deleted shortly after it. A new action with the index of such a one would
/// be the old one, and an action or a table of u32 that the filter used is still in use. The executor waits for that,
/// up to 500 ms in all.
#[derive(Clone, Debug, Default)]
pub struct Executor {
    deleted: bool,
    waited: Duration,
}

impl Executor {
    /// No step was carried out yet.
    pub const fn new() -> Self {
        Self { deleted: false, waited: Duration::ZERO }
    }

    /// Carries out the next step, and returns the kernel's warning, if any.
    pub fn run<T: Transport>(
        &mut self,
        step: &Step<'_>,
        tc: &mut Connection<T>,
    ) -> Result<Option<ExtAck>, Error> {
        self.wait(step, tc);
        let mut done = tc.apply(step.verb, &step.request);
        while self.deleted
            && step.is_in_use
            && matches!(&done, Err(error) if is_in_use(error))
            && self.pause()
        {
            done = tc.apply(step.verb, &step.request);
        }
        // Kernel: a table of u32 goes with the last filter of the parent, which can be in another table.
        let is_gone = self.deleted && step.is_in_use && step.object.place().tc_type() == TcType::Filter;
        self.deleted |= step.verb == Verb::Delete;
        match done {
            Err(error) if is_gone && error.is_not_found() => Ok(None),
            done => done,
        }
    }

    /// Whether a step may have to wait for the end of earlier ones.
    fn waits(step: &Step<'_>) -> bool {
        step.is_in_use || !step.waits_for.is_empty()
    }

    /// Waits for a moment; false if that was too long in all.
    fn pause(&mut self) -> bool {
        if self.waited >= PATIENCE {
            return false;
        }
        thread::sleep(PAUSE);
        self.waited += PAUSE;
        true
    }

    fn wait<T: Transport>(&mut self, step: &Step<'_>, tc: &mut Connection<T>) {
        if !self.deleted || !Self::waits(step) {
            return;
        }
        for (kind, index) in &step.waits_for {
            let action = Actions::new().with(Action::at_index(kind.clone(), *index));
            while tc.get(&Request::actions(&action)).is_ok() && self.pause() {}
        }
    }
}

/// Kernel: an action in use is EPERM, a table of u32 EBUSY.
fn is_in_use(error: &Error) -> bool {
    error.is_permission_denied() || error.is_busy()
}

/// The outcome of each step of a plan.
#[derive(Debug)]
#[must_use = "a plan can stop at any step"]
#[non_exhaustive]
pub struct Applied {
    /// One for each step, in order.
    pub outcomes: Vec<Outcome>,
}

/// The outcome of a step.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The kernel carried it out.
    Done,
    /// It failed. The error says whether the outcome is [unknown](Error::is_outcome_unknown).
    Failed(Error),
    /// It was not sent, because an earlier step failed.
    NotSent,
}

impl Applied {
    /// How many steps were carried out.
    pub fn done(&self) -> usize {
        self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done)).count()
    }

    /// The number of steps, or the error of the first step that failed.
    pub fn into_result(self) -> Result<usize, Error> {
        let done = self.done();
        let failed = self.outcomes.into_iter().find_map(|outcome| match outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        });
        failed.map_or(Ok(done), Err)
    }
}

impl Plan<'_> {
    /// Carries out the steps, and stops at an error.
    ///
    /// Consecutive steps of one verb and one type of object are sent in few datagrams. Where one of them fails,
    /// the kernel carries out the others nevertheless, and the plan stops behind them: no object is deleted
    /// after an object that should come before it failed.
    ///
    /// A second plan shows whether the kernel made of the requests what they ask for: see
    /// [`establish`](super::establish).
    pub fn apply<T: Transport>(&self, tc: &mut Connection<T>) -> Applied {
        let mut executor = Executor::new();
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(self.steps.len());
        while outcomes.len() < self.steps.len() {
            let run = self.run_from(outcomes.len());
            let is_good = match run.len() {
                1 => {
                    let done = executor.run(&self.steps[run.start], tc);
                    outcomes.push(done.map_or_else(Outcome::Failed, |_warning| Outcome::Done));
                    matches!(outcomes.last(), Some(Outcome::Done))
                }
                _ => {
                    executor.deleted |= self.steps[run.start].verb == Verb::Delete;
                    self.send(run, tc, &mut outcomes)
                }
            };
            if !is_good {
                outcomes.resize_with(self.steps.len(), || Outcome::NotSent);
            }
        }
        Applied { outcomes }
    }

    /// The steps from this one on that can be sent together.
    fn run_from(&self, start: usize) -> Range<usize> {
        let first = &self.steps[start];
        let is_like = |step: &&Step<'_>| {
            step.verb == first.verb
                && step.object.place().tc_type() == first.object.place().tc_type()
                && !Executor::waits(step)
        };
        start..start + self.steps[start..].iter().take_while(is_like).count().max(1)
    }

    /// Sends some steps; returns whether all of them were carried out.
    fn send<T: Transport>(
        &self,
        run: Range<usize>,
        tc: &mut Connection<T>,
        outcomes: &mut Vec<Outcome>,
    ) -> bool {
        let steps = &self.steps[run];
        let mut is_good = true;
        let mut pipeline = tc.pipeline(|at, done| {
            let step = &steps[at];
            let fail = |cause| Error::new(step.verb.name(), step.request.describe(), cause);
            is_good &= done.is_ok();
            outcomes.push(done.map_or_else(|cause| Outcome::Failed(fail(cause)), |()| Outcome::Done));
        });
        let mut refused = None;
        for step in steps {
            if let Err(error) = pipeline.push(step.verb, &step.request) {
                refused = Some(error);
                break;
            }
        }
        pipeline.finish();
        if let Some(error) = refused {
            outcomes.push(Outcome::Failed(error));
            return false;
        }
        is_good
    }
}
