//! The comparison of a snapshot with the wanted state, and the fate of each current object.

use std::collections::{HashMap, HashSet};

use crate::exchange::request::Request;
use crate::kind::Difference;
use crate::tree::below::Subtrees;
use crate::tree::gone::{Fate, Gone};
use crate::tree::left_out::LeftOut;
use crate::tree::object::{Needed, Object};
use crate::tree::order::in_order;
use crate::tree::place::{ChainId, FilterId, On, Place};
use crate::tree::plan::{Left, PlanError, Step};
use crate::tree::snapshot::Snapshot;
use crate::tree::swap::{Priorities, stand_in};
use crate::tree::wanted::{Described, Wanted};
use crate::wire::handle::Handle;
use crate::wire::verb::Verb;

pub(super) struct Draft<'p> {
    wanted: &'p Wanted<'p>,
    /// The wanted objects in an order in which they can be created.
    pub(super) ordered: Vec<&'p Object<'p>>,
    described: Described,
    objects: &'p [Object<'static>],
    /// The current objects by the keys of their places.
    places: HashMap<Place, Vec<usize>>,
    /// For each wanted object the current one.
    pub(super) there: Vec<Option<usize>>,
    differences: HashMap<usize, Difference>,
    fates: Vec<Fate>,
    /// Those that a new one replaces in one step.
    replaced: HashSet<usize>,
    /// The filters that are made anew with a stand-in, and its priority.
    swaps: HashMap<usize, u16>,
    /// The unwanted objects that stay.
    left: Vec<usize>,
    /// Objects that the description leaves out, and their descendants.
    left_out: HashSet<usize>,
    /// Wanted chains without a template that filters have made.
    made_by_filters: HashSet<ChainId>,
    /// The actions that other objects keep.
    kept_actions: HashSet<(String, u32)>,
    /// The handles of current qdiscs.
    handles: HashSet<(i32, Handle)>,
}

impl<'p> Draft<'p> {
    pub(super) fn new(wanted: &'p Wanted<'p>, snapshot: &'p Snapshot) -> Self {
        let objects = &snapshot.objects;
        let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
        for (at, object) in objects.iter().enumerate() {
            places.entry(object.place.key()).or_default().push(at);
        }
        let mut draft = Self {
            wanted,
            ordered: in_order(&wanted.objects).into_iter().map(|at| &wanted.objects[at]).collect(),
            described: wanted.described(),
            objects,
            places,
            there: Vec::new(),
            differences: HashMap::new(),
            fates: vec![Fate::Stays; objects.len()],
            replaced: HashSet::new(),
            swaps: HashMap::new(),
            left: Vec::new(),
            left_out: HashSet::new(),
            made_by_filters: HashSet::new(),
            kept_actions: HashSet::new(),
            handles: objects
                .iter()
                .filter_map(|object| Some((object.place.device()?, object.handle)))
                .collect(),
        };
        draft.there = draft.ordered.iter().map(|object| draft.find(&object.place)).collect();
        draft.leave_out();
        draft.compare();
        draft.compare_chains();
        draft.compare_actions();
        draft.spread();
        draft.swap(snapshot);
        draft.keep_actions();
        draft
    }

    /// The current object at a place.
    fn find(&self, place: &Place) -> Option<usize> {
        let near = self.places.get(&place.key()).into_iter().flatten();
        near.copied().find(|at| self.objects[*at].place.is_same(place))
    }

    /// Finds the objects to delete: undesired ones, and those to be created anew.
    fn compare(&mut self) {
        let mut unwanted = vec![true; self.objects.len()];
        for (object, there) in self.ordered.iter().zip(&self.there) {
            let Some(at) = *there else { continue };
            unwanted[at] = false;
            let current = &self.objects[at];
            let difference = object.difference(current);
            if matches!(difference, Difference::Renew { .. }) {
                self.fates[at] = Fate::Goes;
                if self.can_replace(object, current) {
                    self.replaced.insert(at);
                }
            }
            self.differences.insert(at, difference);
        }
        let filtered: HashSet<ChainId> = self.ordered.iter().filter_map(|object| object.chain_id()).collect();
        for (at, object) in self.objects.iter().enumerate() {
            if !unwanted[at] || !self.is_ours(object) || is_made_by_filters(object, &filtered) {
                continue;
            }
            let is_kept = object.is_unknown() || self.wanted.kept.contains(&object.place);
            match self.left_out.contains(&at) || is_kept {
                true => self.left.push(at),
                false => self.fates[at] = Fate::Goes,
            }
        }
    }

    /// Finds the chains that filters have made. Kernel: a template is set when the chain is made.
    fn compare_chains(&mut self) {
        let mut filters: HashMap<ChainId, Vec<usize>> = HashMap::new();
        for (at, object) in self.objects.iter().enumerate() {
            if let Some(id) = object.chain_id() {
                filters.entry(id).or_default().push(at);
            }
        }
        for (object, there) in self.ordered.iter().zip(&self.there) {
            let (Place::Chain(id), None) = (&object.place, there) else { continue };
            for at in filters.get(id).into_iter().flatten() {
                match object.kind.is_empty() {
                    true => drop(self.made_by_filters.insert(id.clone())),
                    false => self.fates[*at] = Fate::Goes,
                }
            }
        }
    }

    /// The wanted actions that do not stand by themselves yet.
    fn new_actions(&self) -> HashSet<(String, u32)> {
        let new = self.ordered.iter().zip(&self.there).filter(|(_, at)| at.is_none());
        new.filter_map(|(object, _)| object.own_action()).collect()
    }

    /// Finds filters whose actions are wanted to stand by themselves. Kernel: an action that a filter has made cannot.
    fn compare_actions(&mut self) {
        let new = self.new_actions();
        for (object, fate) in self.objects.iter().zip(&mut self.fates) {
            if object.actions.iter().any(|action| new.contains(action)) {
                *fate = Fate::Goes;
            }
        }
    }

    /// Finds the objects that the description leaves out. Parents precede their children, except for filters
    /// whose parent is below them.
    fn leave_out(&mut self) {
        let mut places: HashMap<Place, Vec<Place>> = HashMap::new();
        for left_out in &self.wanted.left_out {
            let place = left_out.place();
            places.entry(place.key()).or_default().push(place);
        }
        if places.is_empty() {
            return;
        }
        let wanted: HashSet<usize> = self.there.iter().flatten().copied().collect();
        let mut above = Subtrees::new();
        for (at, object) in self.objects.iter().enumerate() {
            let near = places.get(&object.place.key()).into_iter().flatten();
            let is_marked = near.into_iter().any(|place| place.is_same(&object.place));
            if is_marked || (!wanted.contains(&at) && above.contains(object)) {
                above.insert(object);
                self.left_out.insert(at);
            }
        }
    }

    fn gone(&self) -> Gone {
        let objects = self.objects.iter().enumerate();
        Gone::of(objects.map(|(at, object)| (object, self.fates[at], self.differences.get(&at))))
    }

    /// No object that is left out may be deleted with another one.
    pub(super) fn check(&self) -> Result<(), PlanError<'p>> {
        let mut doomed: Vec<_> = self.left_out.iter().filter(|at| self.fates[**at] != Fate::Stays).collect();
        doomed.sort_unstable();
        let objects: Vec<_> = doomed.into_iter().map(|at| &self.objects[*at]).collect();
        // A chain exists as long as its parent.
        let gone = self.gone();
        let goes = |left_out: &&LeftOut| {
            matches!(left_out, LeftOut::Chain { .. })
                && self.find(&left_out.place()).is_none()
                && gone.fate(&Object::at(left_out.place())) != Fate::Stays
        };
        let chains: Vec<_> = self.wanted.left_out.iter().filter(goes).collect();
        match objects.is_empty() && chains.is_empty() {
            true => Ok(()),
            false => Err(PlanError { objects, chains }),
        }
    }

    /// Requested options of unchanged objects that differ nevertheless.
    pub(super) fn not_taken(&self) -> Vec<(&'p Object<'p>, Vec<String>)> {
        let stays = self.ordered.iter().zip(&self.there).filter_map(|(object, at)| {
            let current = &self.objects[at.filter(|at| self.fates[*at] == Fate::Stays)?];
            let not_taken = object.not_taken(current);
            (!not_taken.is_empty()).then_some((current as &Object<'_>, not_taken))
        });
        stays.collect()
    }

    pub(super) fn left_alone(&self) -> Vec<Left<'p>> {
        let left = self.left.iter().filter(|at| self.fates[**at] == Fate::Stays);
        let left = left.map(|at| match self.left_out.contains(at) {
            true => Left::LeftOut(&self.objects[*at]),
            false => Left::Kept(&self.objects[*at]),
        });
        let beside = self.wanted.left_out.iter().filter_map(|left_out| match left_out {
            LeftOut::Object(place) => self.find(place).is_none().then_some(Left::Missing(left_out)),
            _ => {
                let at = self.find(&left_out.place());
                let is_reported = at.is_some_and(|at| self.left.contains(&at));
                (!is_reported).then_some(Left::Beside(left_out))
            }
        });
        left.chain(beside).collect()
    }

    /// Whether the description is about the device or block of this object.
    fn is_ours(&self, object: &Object<'_>) -> bool {
        match &object.place {
            Place::Filter(FilterId { on: On::Block(block), .. })
            | Place::Chain(ChainId { on: On::Block(block), .. }) => self.described.blocks.contains(block),
            Place::Action { kind, .. } => self.described.actions.contains(kind),
            place => place.device().is_some_and(|device| self.described.devices.contains(&device)),
        }
    }

    /// Whether one step can replace the old qdisc. Kernel: with the handle of an
    /// existing qdisc the request would address that one.
    fn can_replace(&self, wanted: &Object<'_>, there: &Object<'_>) -> bool {
        let Place::Qdisc { ifindex, parent } = &there.place else { return false };
        *parent != Handle::INGRESS
            && !wanted.handle.is_unspec()
            && !self.handles.contains(&(*ifindex, wanted.handle))
    }

    /// Finds objects that are deleted with others, and those that must be deleted first.
    fn spread(&mut self) {
        loop {
            let gone = self.gone();
            let mut changed = false;
            for (at, object) in self.objects.iter().enumerate() {
                let fate = gone.fate(object);
                match (self.fates[at], fate) {
                    (Fate::ImplicitlyDeleted, _) | (_, Fate::Stays) => {}
                    (before, fate) => {
                        changed |= before != fate;
                        self.fates[at] = fate;
                    }
                }
            }
            if !changed {
                return;
            }
        }
    }

    pub(super) fn deletions(&self) -> Vec<Step<'p>> {
        let goes = |at: &usize| {
            self.fates[*at] == Fate::Goes && !self.replaced.contains(at) && !self.swaps.contains_key(at)
        };
        // Filters hold on to classes, and come last.
        let needed: HashSet<Needed> = self.objects.iter().flat_map(|object| object.needed()).collect();
        let is_in_use = |object: &Object<'_>| {
            let is_needed = || object.needed_as().is_some_and(|as_needed| needed.contains(&as_needed));
            matches!(object.place, Place::Action { .. }) || (!needed.is_empty() && is_needed())
        };
        let objects = (0..self.objects.len()).rev().filter(goes).map(|at| &self.objects[at]);
        objects.map(|object| Step { is_in_use: is_in_use(object), ..deletion(object) }).collect()
    }

    /// Finds filters that are made anew with a stand-in.
    fn swap(&mut self, snapshot: &Snapshot) {
        let mut priorities = Priorities::default();
        for (chain, priority) in &snapshot.priorities {
            priorities.insert(chain.clone(), *priority);
        }
        for object in &self.ordered {
            if let Place::Filter(id) = &object.place {
                priorities.insert(id.chain_id(), id.priority);
            }
        }
        let needed = self.objects.iter().flat_map(|object| object.needed()).collect();
        let gone = self.gone();
        let new_actions = self.new_actions();
        // How many new filters have each action.
        let mut made: HashMap<&(String, u32), usize> = HashMap::new();
        for (object, there) in self.ordered.iter().zip(&self.there) {
            if there.is_none_or(|at| self.fates[at] != Fate::Stays) {
                object.actions.iter().for_each(|action| *made.entry(action).or_default() += 1);
            }
        }
        for (object, there) in self.ordered.iter().zip(&self.there) {
            let Some(at) = there.filter(|at| self.fates[*at] == Fate::Goes) else { continue };
            let is_renewed = matches!(self.differences.get(&at), Some(Difference::Renew { .. }));
            // An action of the old filter must be gone before another filter makes one with its index.
            let makes = |action: &(String, u32)| usize::from(object.actions.contains(action));
            let is_wanted = |action: &(String, u32)| {
                new_actions.contains(action) || made.get(action).is_some_and(|count| *count > makes(action))
            };
            let is_renewed = is_renewed && !self.objects[at].actions.iter().any(is_wanted);
            let stand_in = || stand_in(object, &self.objects[at], &gone, &needed, &priorities);
            if let Some(priority) = is_renewed.then(stand_in).flatten() {
                self.swaps.insert(at, priority);
            }
        }
    }

    /// The steps for a filter that is made anew.
    fn make_with_stand_in(
        &self,
        object: &'p Object<'p>,
        at: usize,
        priority: u16,
        steps: &mut Vec<Step<'p>>,
    ) {
        let there = &self.objects[at];
        let Some((number, request)) = object.requests.first() else { return };
        let mut waits_for = self.leaving(object);
        waits_for.retain(|action| !there.actions.contains(action));
        let add = Step {
            verb: Verb::Add,
            object,
            request: request.clone(),
            was: None,
            number: Some(*number),
            stand_in: None,
            waits_for,
            is_in_use: false,
        };
        let stand_in = Step {
            request: request.clone().priority(priority),
            number: None,
            stand_in: Some(priority),
            ..add.clone()
        };
        let gone = Step {
            verb: Verb::Delete,
            request: object.place.request().priority(priority).protocol(object.protocol).kind(&object.kind),
            waits_for: Vec::new(),
            ..stand_in.clone()
        };
        steps.extend([stand_in, deletion(there), add, gone]);
    }

    /// Adds the steps for one wanted object.
    pub(super) fn make(&self, object: &'p Object<'p>, there: Option<usize>, steps: &mut Vec<Step<'p>>) {
        if let Place::Chain(id) = &object.place
            && self.made_by_filters.contains(id)
        {
            return;
        }
        if let Some((at, priority)) = there.and_then(|at| Some((at, *self.swaps.get(&at)?))) {
            self.make_with_stand_in(object, at, priority, steps);
            return;
        }
        let stays = there.filter(|at| self.fates[*at] == Fate::Stays);
        let difference = there.and_then(|at| self.differences.get(&at));
        let (first, mut was) = match (stays, difference) {
            (Some(_), Some(Difference::Change { was })) => (Verb::Change, Some(was.clone())),
            (Some(_), _) => return,
            (None, Some(Difference::Renew { was })) if there.is_some_and(|at| self.is_replaced(at)) => {
                (Verb::Replace, Some(was.clone()))
            }
            (None, _) => (Verb::Add, None),
        };
        for (at, (number, request)) in object.requests.iter().enumerate() {
            let verb = if at == 0 { first } else { Verb::Change };
            steps.push(Step {
                verb,
                object,
                request: if at == 0 && verb == Verb::Change { as_change(request) } else { request.clone() },
                was: was.take(),
                number: Some(*number),
                stand_in: None,
                waits_for: if at == 0 && verb != Verb::Change { self.leaving(object) } else { Vec::new() },
                is_in_use: false,
            });
        }
    }

    /// The actions of a new filter that no other object keeps; a new action itself.
    fn leaving(&self, object: &Object<'_>) -> Vec<(String, u32)> {
        if let Some(own) = object.own_action() {
            return vec![own];
        }
        object.actions.iter().filter(|action| !self.kept_actions.contains(*action)).cloned().collect()
    }

    /// Finds the actions that filters keep, or that stand by themselves.
    fn keep_actions(&mut self) {
        let actions = |at: usize| self.objects[at].actions.iter().cloned();
        let stays = (0..self.objects.len()).filter(|at| self.fates[*at] == Fate::Stays);
        let mut kept: HashSet<_> = stays.flat_map(actions).collect();
        let swapped: HashSet<_> = self.swaps.keys().flat_map(|at| actions(*at)).collect();
        for (object, fate) in self.objects.iter().zip(&mut self.fates) {
            // Kernel: an action in use cannot be deleted.
            let is_used = |action| kept.contains(&action) || swapped.contains(&action);
            if object.own_action().is_some_and(is_used) {
                *fate = Fate::Stays;
            }
        }
        let current = self.objects.iter().filter_map(|object| object.own_action());
        kept.extend(current.chain(self.ordered.iter().filter_map(|object| object.own_action())));
        self.kept_actions = kept;
    }

    fn is_replaced(&self, at: usize) -> bool {
        self.replaced.contains(&at) && self.fates[at] == Fate::Goes
    }
}

fn deletion<'p>(object: &'p Object<'static>) -> Step<'p> {
    Step {
        verb: Verb::Delete,
        object,
        request: object.deletion(),
        was: None,
        number: None,
        stand_in: None,
        waits_for: Vec::new(),
        is_in_use: false,
    }
}

/// Whether an object is a chain without a template that has wanted filters.
fn is_made_by_filters(object: &Object<'_>, filtered: &HashSet<ChainId>) -> bool {
    matches!(&object.place, Place::Chain(id) if object.kind.is_empty() && filtered.contains(id))
}

/// The request without options that the kernel refuses in a change.
fn as_change<'p>(request: &Request<'p>) -> Request<'p> {
    match request.get_options() {
        Some(options) => request.clone().with_boxed_options(options.as_change()),
        None => request.clone(),
    }
}
