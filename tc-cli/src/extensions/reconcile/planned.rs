//! A plan in words.

use tc_core::tree::{Left, Object, Plan, PlanError, Snapshot, Step};
use tc_core::{Estimator, Verb};

use super::desired::Desired;
use super::words::{Names, Reader, command, with_verb};
use crate::context::failure::Failure;

/// A plan and its words.
#[derive(Debug)]
pub(super) struct Planned<'p> {
    pub(super) plan: Plan<'p>,
    /// One for each step.
    pub(super) lines: Vec<Line>,
    /// Undesired objects that are left alone, with reasons.
    pub(super) left: Vec<String>,
    /// Requested options that the kernel did not take although it has the object.
    pub(super) not_taken: Vec<String>,
}

/// A step in words.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) object: &'static str,
    pub(super) verb: &'static str,
    /// The line of a batch.
    pub(super) command: String,
    /// The current value of the changed options.
    pub(super) was: Option<String>,
    pub(super) estimator: Option<Estimator>,
}

impl Desired<'_> {
    /// Takes over the names of a snapshot, and keeps the objects that no file can describe.
    pub(super) fn learn(&mut self, snapshot: &Snapshot, reader: &Reader<'_>) {
        self.names.learn(snapshot);
        for object in snapshot.objects().iter().filter(|object| object.words().is_none()) {
            if !reader.worded(object, &self.names).lost.is_beside() {
                self.wanted.keep(object.place().clone());
            }
        }
    }
}

impl<'p> Planned<'p> {
    /// An error if an object that the file leaves out would be deleted.
    pub(super) fn new(
        desired: &'p Desired<'p>,
        snapshot: &'p Snapshot,
        reader: &Reader<'_>,
    ) -> Result<Self, Failure> {
        let names = &desired.names;
        let plan = Plan::new(&desired.wanted, snapshot).map_err(|error| refused(&error, names))?;
        let lines = plan.steps.iter().map(|step| line(step, desired, reader)).collect();
        let describe = |object: &Object<'_>| names.describe(object);
        let left = plan.left.iter().map(|left| match left {
            Left::LeftOut(object) => format!("{}: the file leaves it out", describe(object)),
            Left::Kept(object) => format!("{}: {}", describe(object), reader.worded(object, names).lost),
            Left::Missing(left_out) => {
                format!("{}: the file leaves it out, and it is not there", names.left_out(left_out))
            }
            Left::Beside(left_out) => format!("{}: the file leaves it out", names.left_out(left_out)),
            other => format!("{other:?}"),
        });
        let left = left.collect();
        let not_taken = plan.not_taken.iter().flat_map(|(object, words)| {
            let name = names.describe(object);
            words.iter().map(move |words| format!("{name}: {words}"))
        });
        let not_taken = not_taken.collect();
        Ok(Self { plan, lines, left, not_taken })
    }
}

fn refused(error: &PlanError<'_>, names: &Names) -> Failure {
    let objects = error.objects.iter().map(|object| names.describe(object));
    let chains = error.chains.iter().map(|chain| names.left_out(chain));
    let lines: String = objects.chain(chains).map(|goes| format!("would be deleted: {goes}\n")).collect();
    let text = "the file leaves this out, and describes something for which it has to go; nothing was done";
    Failure::Extension(format!("{lines}{text}"))
}

fn line(step: &Step<'_>, desired: &Desired<'_>, reader: &Reader<'_>) -> Line {
    let verb = match step.verb {
        Verb::Delete => "del",
        verb => verb.name(),
    };
    let words = match (step.number, step.stand_in) {
        (_, Some(priority)) => reader.stand_in(step, priority, &desired.names),
        (None, None) => reader.deletion(step.object, &desired.names),
        (Some(number), None) => {
            let mut words = desired.words[number].clone();
            if step.verb == Verb::Change && step.was.is_some() {
                leave_out(step.object.change_semantics().only_new, &mut words);
            }
            words
        }
    };
    Line {
        object: step.object.place().name(),
        verb,
        command: command(&with_verb(verb, &words)),
        was: step.was.clone(),
        estimator: step.number.and_then(|number| desired.estimators[number]),
    }
}

/// Drops options that a change must not have. Each is a word and a value.
fn leave_out(keys: &[&str], words: &mut Vec<String>) {
    for key in keys {
        if let Some(at) = words.iter().position(|word| word == key).filter(|at| at + 1 < words.len()) {
            words.drain(at..at + 2);
        }
    }
}
