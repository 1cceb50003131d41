//! A wanted state, made and verified.

use std::collections::HashSet;

use crate::connection::{Connection, Transport};
use crate::exchange::error::Error;
use crate::tree::plan::{Plan, Step};
use crate::tree::snapshot::Snapshot;
use crate::tree::wanted::Wanted;

/// The wanted state could not be established.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstablishError {
    /// The current state cannot be read.
    #[error("{0}")]
    Read(Error),
    /// The plan would delete objects that the description leaves out. Nothing was changed by it.
    #[error("{0}")]
    Plan(String),
    /// A step failed.
    #[error("{error} ({done} steps done, {not_done} not)")]
    Step {
        /// The error of the first step that failed.
        error: Error,
        /// How many steps were carried out.
        done: usize,
        /// How many steps were not, the failed ones included.
        not_done: usize,
    },
    /// The kernel carried out all steps, and the state still differs.
    #[error("the kernel made another state of it: {}", .0.join("; "))]
    Differs(Vec<String>),
}

/// Makes the current state as wanted: reads it, plans, and [applies](Plan::apply) the plan, until a further look
/// finds no difference. Returns the number of steps, which is 0 if the state was as wanted.
///
/// Stops with an error if a step fails, or if the kernel made another state of the requests.
pub fn establish<T: Transport>(tc: &mut Connection<T>, wanted: &Wanted<'_>) -> Result<usize, EstablishError> {
    let mut done = 0;
    let mut tried: HashSet<String> = HashSet::new();
    loop {
        let snapshot = Snapshot::read(tc, None, wanted.context()).map_err(EstablishError::Read)?;
        let plan = Plan::new(wanted, &snapshot).map_err(|error| EstablishError::Plan(error.to_string()))?;
        let steps: Vec<_> = plan.steps.iter().map(name).collect();
        // A kernel that makes another object of a request is not asked again and again.
        if steps.iter().all(|step| tried.contains(step)) {
            let not_taken = plan.not_taken.iter();
            let not_taken = not_taken.map(|(object, words)| format!("{object}: {}", words.join(", ")));
            let differs: Vec<_> = steps.into_iter().chain(not_taken).collect();
            return if differs.is_empty() { Ok(done) } else { Err(EstablishError::Differs(differs)) };
        }
        let applied = plan.apply(tc);
        let (now, all) = (applied.done(), plan.steps.len());
        applied.into_result().map_err(|error| EstablishError::Step {
            error,
            done: done + now,
            not_done: all - now,
        })?;
        done += now;
        tried.extend(steps);
    }
}

/// A step for messages, and to recognize it in a later plan.
fn name(step: &Step<'_>) -> String {
    let was = step.was.as_ref().map(|was| format!(" (was {was})")).unwrap_or_default();
    let stand_in = step.stand_in.map(|priority| format!(" at priority {priority}")).unwrap_or_default();
    let name = format!("{} {}{stand_in}{was}", step.verb.name(), step.object);
    step.number.map_or_else(|| name.clone(), |number| format!("{name}, request {number}"))
}
