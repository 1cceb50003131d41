//! Filters that are made anew while a stand-in has their place, so that no packet is without a filter.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::kind::Options;
use crate::tree::gone::{Fate, Gone};
use crate::tree::object::{Needed, Object};
use crate::tree::place::{ChainId, FilterId, Place};

/// The priorities of each chain.
#[derive(Default)]
pub(super) struct Priorities(HashMap<ChainId, BTreeSet<u16>>);

impl Priorities {
    pub(super) fn insert(&mut self, chain: ChainId, priority: u16) {
        self.0.entry(chain).or_default().insert(priority);
    }

    /// A free priority beside the filter's: no other one is between them.
    fn beside(&self, id: &FilterId) -> Option<u16> {
        let is_free = |priority: &u16| {
            *priority != 0 && self.0.get(&id.chain_id()).is_none_or(|used| !used.contains(priority))
        };
        // Behind it, where the filter itself comes first as long as both are there.
        let neighbours = [id.priority.checked_add(1), id.priority.checked_sub(1)];
        neighbours.into_iter().flatten().find(is_free)
    }
}

/// The priority of the stand-in for a filter that is to be made anew, if there can be one.
///
/// Kernel: a filter inside another one (a node of a table of u32) does not go with its priority.
pub(super) fn stand_in(
    wanted: &Object<'_>,
    there: &Object<'_>,
    gone: &Gone,
    needed: &HashSet<Needed>,
    priorities: &Priorities,
) -> Option<u16> {
    let Place::Filter(id) = &there.place else { return None };
    let is_alone = wanted.within.is_none() && there.within.is_none() && wanted.requests.len() == 1;
    let is_needed = there.needed_as().is_some_and(|as_needed| needed.contains(&as_needed));
    let can = is_alone && !is_needed && gone.fate(there) == Fate::Stays && has_its_actions(wanted, there);
    priorities.beside(id).filter(|_| can)
}

/// Whether the new filter gets the actions that it asks for while the old one is there. Kernel: an action with the
/// index of an existing one is that one, whatever its options are.
fn has_its_actions(wanted: &Object<'_>, there: &Object<'_>) -> bool {
    if !wanted.actions.iter().any(|action| there.actions.contains(action)) {
        return true;
    }
    let actions = |object: &Object<'_>| object.options.as_deref().and_then(Options::actions).cloned();
    match (actions(wanted), actions(there)) {
        // A police beside the list is not in it.
        (Some(new), Some(old)) => new.indices().len() >= wanted.actions.len() && new.is_like(&old),
        _ => false,
    }
}
