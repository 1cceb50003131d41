//! Computes the smallest set of changes that turns the current tree into the wanted one.

use std::fmt;

use crate::exchange::request::Request;
use crate::tree::draft::Draft;
use crate::tree::left_out::LeftOut;
use crate::tree::object::Object;
use crate::tree::snapshot::Snapshot;
use crate::tree::wanted::Wanted;
use crate::wire::verb::Verb;

/// The steps from the current to the wanted state.
///
/// Deletions come first, children before parents; then new and changed objects, parents before children.
///
/// A filter that no change can make as wanted is made anew while a [stand-in](Step::stand_in) has its place, so that
/// no packet is without a filter. There is no stand-in where the neighbouring priorities are in use, for a filter in
/// a table of u32, and for one that asks for another action with the index of an action of the current filter: these
/// are deleted and added.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan<'p> {
    /// The steps, in the order in which they are carried out.
    pub steps: Vec<Step<'p>>,
    /// Objects that are not wanted, or left out, and that stay as they are.
    pub left: Vec<Left<'p>>,
    /// Wanted objects with the requested options that the kernel did not take, in words, although it has the
    /// object. See [`OptionWords::not_taken`](crate::OptionWords::not_taken).
    pub not_taken: Vec<(&'p Object<'p>, Vec<String>)>,
}

/// One request of a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step<'p> {
    /// [`Verb::Add`], [`Verb::Change`], [`Verb::Replace`] or [`Verb::Delete`].
    pub verb: Verb,
    /// The current object of a deletion, else the wanted one.
    pub object: &'p Object<'p>,
    /// The request.
    pub request: Request<'p>,
    /// The current value of the options that differ, in words, if the object is changed in place or replaced.
    pub was: Option<String>,
    /// The [number](Wanted::push) of the wanted request, unless the step is a deletion.
    pub number: Option<usize>,
    /// The priority of a stand-in, if the step adds or deletes one: a filter beside the object that has its place
    /// while it is made anew.
    pub stand_in: Option<u16>,
    /// The actions of a new filter that must be gone before, if they go.
    pub(super) waits_for: Vec<(String, u32)>,
    /// Whether the step deletes an object that a filter used which is deleted before.
    pub(super) is_in_use: bool,
}

/// An object that stays as it is although it is not described.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Left<'p> {
    /// The description leaves out the object or one above it.
    LeftOut(&'p Object<'p>),
    /// Its options are unknown, or it is [kept](Wanted::keep).
    Kept(&'p Object<'p>),
    /// The description leaves it out, and there is no such object.
    Missing(&'p LeftOut),
    /// The description leaves it out, and no snapshot has objects like it.
    Beside(&'p LeftOut),
}

/// A wanted state that would delete objects that its description leaves out. No step exists.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlanError<'p> {
    /// The objects.
    pub objects: Vec<&'p Object<'p>>,
    /// The chains.
    pub chains: Vec<&'p LeftOut>,
}

impl fmt::Display for PlanError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the description leaves out objects that would be deleted:")?;
        let objects = self.objects.iter().map(ToString::to_string);
        let chains = self.chains.iter().map(|chain| format!("{chain:?}"));
        let all: Vec<_> = objects.chain(chains).collect();
        write!(f, " {}", all.join(", "))
    }
}

impl std::error::Error for PlanError<'_> {}

impl<'p> Plan<'p> {
    /// The steps that lead from the snapshot to the wanted state; none if they are equal.
    pub fn new(wanted: &'p Wanted<'p>, snapshot: &'p Snapshot) -> Result<Self, PlanError<'p>> {
        let draft = Draft::new(wanted, snapshot);
        draft.check()?;
        let mut steps = draft.deletions();
        for (object, there) in draft.ordered.iter().zip(&draft.there) {
            draft.make(object, *there, &mut steps);
        }
        Ok(Self { steps, left: draft.left_alone(), not_taken: draft.not_taken() })
    }
}
