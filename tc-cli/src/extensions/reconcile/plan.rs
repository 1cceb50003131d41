//! Computes the smallest set of changes that turns the current tree into the desired one.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use tc_core::{Change, Difference, Handle};

use super::desired::Desired;
use super::left_out::LeftOut;
use super::object::{FilterPlace, Object, On, Place};
use super::snapshot::{Snapshot, describe};
use crate::context::failure::Failure;

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) verb: &'static str,
    pub(super) words: Vec<String>,
    /// The current value of the changed options.
    pub(super) was: Option<String>,
    pub(super) place: Place,
    /// The actions that a new filter holds, if their indices are given.
    pub(super) actions: Vec<(String, u32)>,
}

impl Step {
    /// The command as the line of a batch.
    pub(super) fn command(&self) -> String {
        self.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn new(verb: &'static str, line: &[String], place: &Place) -> Self {
        let mut words = line.to_vec();
        words.insert(words.len().min(1), verb.to_owned());
        Self { verb, words, was: None, place: place.clone(), actions: Vec::new() }
    }
}

/// A word in quotes, if a batch would read it as other words without them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_one = !word.is_empty() && !word.starts_with(['\'', '"']) && !word.contains(char::is_whitespace);
    match (is_one, word.contains('\'')) {
        (true, _) => word.into(),
        (false, false) => format!("'{word}'").into(),
        (false, true) => format!("\"{word}\"").into(),
    }
}

/// The fate of a current object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It has to be deleted.
    Goes,
    /// It is deleted with its ancestor.
    ImplicitlyDeleted,
}

/// The commands: deletions first, last to first; then new and changed objects,
/// parents first.
///
/// An error if something that the file leaves out would go along.
pub(super) fn plan(desired: &Desired<'_>, snapshot: &Snapshot<'_>) -> Result<Planned, Failure> {
    let plan = Plan::new(desired, snapshot);
    plan.check()?;
    let mut steps = plan.deletions();
    steps
        .extend(plan.desired.objects.iter().zip(&plan.there).flat_map(|(object, at)| plan.made(object, *at)));
    let left = plan.left.iter().filter(|at| plan.fates[**at] == Fate::Stays);
    let mut left: Vec<_> = left
        .map(|at| match plan.left_out.contains(at) {
            true => format!("{}: the file leaves it out", describe(&plan.objects[*at])),
            false => snapshot.describe_lost(&plan.objects[*at]),
        })
        .collect();
    left.extend(desired.left_out.iter().filter_map(|(_, left_out)| {
        match left_out {
            LeftOut::Object(place) => (!snapshot.objects.iter().any(|object| object.place.is_same(place)))
                .then(|| format!("{left_out}: the file leaves it out, and it is not there")),
            _ => Some(format!("{left_out}: the file leaves it out")),
        }
    }));
    Ok(Planned { steps, left, not_taken: plan.not_taken() })
}

/// The plan.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) steps: Vec<Step>,
    /// Undesired objects that are left alone, with reasons.
    pub(super) left: Vec<String>,
    /// Requested options that the kernel did not take although it has the object.
    pub(super) not_taken: Vec<String>,
}

struct Plan<'p, 'n> {
    desired: &'p Desired<'n>,
    objects: &'p [Object<'n>],
    /// For each desired object the one that is there, and how they differ.
    there: Vec<Option<usize>>,
    differences: HashMap<usize, Difference>,
    fates: Vec<Fate>,
    /// Those that a new one replaces in one step.
    replaced: HashSet<usize>,
    /// Objects that no words can express, so that no file could contain them.
    unknown: HashSet<&'p Place>,
    left: Vec<usize>,
    /// Objects that the file leaves out, and their descendants.
    left_out: HashSet<usize>,
}

impl<'p, 'n> Plan<'p, 'n> {
    fn new(desired: &'p Desired<'n>, snapshot: &'p Snapshot<'n>) -> Self {
        let objects = &snapshot.objects;
        let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
        for (at, object) in objects.iter().enumerate() {
            places.entry(object.place.key()).or_default().push(at);
        }
        let find = |object: &Object<'_>| {
            let near = places.get(&object.place.key()).into_iter().flatten();
            near.copied().find(|at| objects[*at].place.is_same(&object.place))
        };
        let there: Vec<_> = desired.objects.iter().map(find).collect();
        let mut plan = Self {
            desired,
            objects,
            there,
            differences: HashMap::new(),
            fates: vec![Fate::Stays; objects.len()],
            replaced: HashSet::new(),
            unknown: snapshot.unknown().collect(),
            left: Vec::new(),
            left_out: HashSet::new(),
        };
        plan.leave_out();
        plan.compare();
        plan.spread();
        plan
    }

    /// Finds the objects to delete: undesired ones, and those to be created anew.
    fn compare(&mut self) {
        let mut unwanted: HashSet<usize> = (0..self.objects.len()).filter(|at| self.is_ours(*at)).collect();
        for (object, there) in self.desired.objects.iter().zip(&self.there) {
            let Some(at) = there else { continue };
            unwanted.remove(at);
            let difference = object.difference(&self.objects[*at]);
            if matches!(difference, Difference::Renew { .. }) {
                self.fates[*at] = Fate::Goes;
                if self.can_replace(object, &self.objects[*at]) {
                    self.replaced.insert(*at);
                }
            }
            self.differences.insert(*at, difference);
        }
        let mut unwanted: Vec<_> = unwanted.into_iter().collect();
        unwanted.sort_unstable();
        for at in unwanted {
            match self.left_out.contains(&at) || self.unknown.contains(&self.objects[at].place) {
                true => self.left.push(at),
                false => self.fates[at] = Fate::Goes,
            }
        }
    }

    /// Finds the objects that the file leaves out. Parents precede their children, except for filters whose
    /// parent is below them.
    fn leave_out(&mut self) {
        let places: Vec<_> = self
            .desired
            .left_out
            .iter()
            .filter_map(|(_, left_out)| match left_out {
                LeftOut::Object(place) => Some(place),
                _ => None,
            })
            .collect();
        let desired: HashSet<usize> = self.there.iter().flatten().copied().collect();
        for (at, object) in self.objects.iter().enumerate() {
            let is_marked = places.iter().any(|place| place.is_same(&object.place));
            let is_below = || self.left_out.iter().any(|above| object.is_below(&self.objects[*above]));
            if is_marked || (!desired.contains(&at) && is_below()) {
                self.left_out.insert(at);
            }
        }
    }

    /// Nothing that the file leaves out may go with something else.
    fn check(&self) -> Result<(), Failure> {
        let mut goes: Vec<_> = self.left_out.iter().filter(|at| self.fates[**at] != Fate::Stays).collect();
        goes.sort_unstable();
        let goes = goes.into_iter().map(|at| describe(&self.objects[*at]));
        // A chain exists as long as its parent.
        let gone = Gone::of(self);
        let chains = self.desired.left_out.iter().filter(|(_, left_out)| {
            matches!(left_out, LeftOut::Chain { .. })
                && left_out.stand_in().is_some_and(|chain| gone.fate(&chain) != Fate::Stays)
        });
        let goes: Vec<_> = goes.chain(chains.map(|(_, chain)| chain.to_string())).collect();
        if goes.is_empty() {
            return Ok(());
        }
        let lines: String = goes.iter().map(|goes| format!("would be deleted: {goes}\n")).collect();
        let text =
            "the file leaves this out, and describes something for which it has to go; nothing was done";
        Err(Failure::Extension(format!("{lines}{text}")))
    }

    /// Requested options of unchanged objects that differ nevertheless.
    fn not_taken(&self) -> Vec<String> {
        let stays = self.desired.objects.iter().zip(&self.there).filter_map(|(object, at)| {
            let at = at.filter(|at| self.fates[*at] == Fate::Stays)?;
            Some((object, &self.objects[at]))
        });
        let not_taken = stays.flat_map(|(object, there)| {
            let name = describe(there);
            object.not_taken(there).into_iter().map(move |words| format!("{name}: {words}"))
        });
        not_taken.collect()
    }

    /// Whether the file speaks of the device or block of this object.
    fn is_ours(&self, at: usize) -> bool {
        match &self.objects[at].place {
            Place::Filter(FilterPlace { on: On::Block(block), .. }) => self.desired.blocks.contains(block),
            place => self.desired.devices.iter().any(|dev| Some(dev.as_str()) == place.dev()),
        }
    }

    /// Whether one step can replace the old qdisc. Kernel: with the handle of an
    /// existing qdisc the request would address that one.
    fn can_replace(&self, desired: &Object<'_>, there: &Object<'_>) -> bool {
        let Place::Qdisc { dev, parent } = &there.place else { return false };
        let is_taken = |object: &Object<'_>| {
            object.handle == desired.handle && object.place.dev() == Some(dev) && !is_filter(object)
        };
        *parent != Handle::INGRESS && !desired.handle.is_unspec() && !self.objects.iter().any(is_taken)
    }

    /// Finds objects that are deleted with others, and those that must be deleted first.
    fn spread(&mut self) {
        loop {
            let before = self.fates.clone();
            let gone = Gone::of(self);
            for (at, object) in self.objects.iter().enumerate() {
                let fate = gone.fate(object);
                match (self.fates[at], fate) {
                    (Fate::ImplicitlyDeleted, _) | (_, Fate::Stays) => {}
                    (_, fate) => self.fates[at] = fate,
                }
            }
            if before == self.fates {
                return;
            }
        }
    }

    fn deletions(&self) -> Vec<Step> {
        let goes = |at: &usize| self.fates[*at] == Fate::Goes && !self.replaced.contains(at);
        // Filters hold on to classes, and come last.
        (0..self.objects.len()).rev().filter(goes).map(|at| deletion(&self.objects[at])).collect()
    }

    /// The commands for one desired object.
    fn made(&self, object: &Object<'_>, there: Option<usize>) -> Vec<Step> {
        let stays = there.filter(|at| self.fates[*at] == Fate::Stays);
        let difference = there.and_then(|at| self.differences.get(&at));
        let (first, was) = match (stays, difference) {
            (Some(_), Some(Difference::Change { was })) => ("change", Some(was.clone())),
            (Some(_), _) => return Vec::new(),
            (None, Some(Difference::Renew { was })) if there.is_some_and(|at| self.is_replaced(at)) => {
                ("replace", Some(was.clone()))
            }
            (None, _) => ("add", None),
        };
        let mut steps: Vec<_> =
            object.lines.iter().map(|line| Step::new("change", line, &object.place)).collect();
        if let (Some(step), Some(line)) = (steps.first_mut(), object.lines.first()) {
            let mut line = line.clone();
            // Kernel: fq_codel and fq_pie refuse this in a change also where it is the same.
            let fixed = |word: &String| word == "flows" && object.change_semantics.fixed.contains(&"flows");
            if let Some(at) =
                line.iter().position(fixed).filter(|at| first == "change" && at + 1 < line.len())
            {
                line.drain(at..at + 2);
            }
            let actions = object.actions.clone();
            *step = Step { was, actions, ..Step::new(first, &line, &object.place) };
        }
        steps
    }

    fn is_replaced(&self, at: usize) -> bool {
        self.replaced.contains(&at) && self.fates[at] == Fate::Goes
    }
}

/// The deleted objects, by the properties that others depend on.
struct Gone<'p> {
    /// Majors of qdiscs by device.
    qdiscs: HashSet<(&'p str, u16)>,
    /// Majors of qdiscs that lose their children.
    childless: HashSet<(&'p str, u16)>,
    classes: HashSet<(&'p str, Handle)>,
    /// Blocks that somebody still holds.
    blocks: HashSet<u32>,
    /// Blocks that nobody holds any more.
    lost_blocks: HashSet<u32>,
}

impl<'p> Gone<'p> {
    fn of(plan: &Plan<'p, '_>) -> Self {
        let mut gone = Self {
            qdiscs: HashSet::new(),
            childless: HashSet::new(),
            classes: HashSet::new(),
            blocks: HashSet::new(),
            lost_blocks: HashSet::new(),
        };
        for (at, object) in plan.objects.iter().enumerate() {
            let changes = matches!(plan.differences.get(&at), Some(Difference::Change { .. }));
            let blocks = object.blocks.iter().flatten().chain(&object.more_blocks).copied();
            match (&object.place, plan.fates[at]) {
                (Place::Qdisc { dev, .. }, Fate::Stays) => {
                    if changes && object.change_semantics.change == Change::DropsChild {
                        gone.childless.insert((dev, object.handle.major()));
                    }
                    gone.blocks.extend(blocks);
                }
                (Place::Qdisc { dev, .. }, _) => {
                    gone.qdiscs.insert((dev, object.handle.major()));
                    gone.lost_blocks.extend(blocks);
                }
                (Place::Class { dev, handle }, Fate::Goes | Fate::ImplicitlyDeleted) => {
                    gone.classes.insert((dev, *handle));
                }
                _ => {}
            }
        }
        gone
    }

    fn fate(&self, object: &Object<'_>) -> Fate {
        if let Place::Filter(FilterPlace { on: On::Block(block), .. }) = &object.place {
            let lost = self.lost_blocks.contains(block) && !self.blocks.contains(block);
            return if lost { Fate::ImplicitlyDeleted } else { Fate::Stays };
        }
        let dev = object.place.dev().unwrap_or_default();
        if object.below().is_some_and(|major| self.qdiscs.contains(&(dev, major))) {
            return Fate::ImplicitlyDeleted;
        }
        let below_class = |handle: Handle| self.classes.contains(&(dev, handle));
        match &object.place {
            Place::Qdisc { parent, .. } => {
                let childless = self.childless.contains(&(dev, parent.major()));
                if below_class(*parent) || childless { Fate::ImplicitlyDeleted } else { Fate::Stays }
            }
            // Kernel: a class with children stays until they are gone.
            Place::Class { .. } if below_class(object.parent) => Fate::Goes,
            Place::Class { .. } => Fate::Stays,
            // A class also stays until the filters that lead to it are gone.
            Place::Filter(place) if below_class(place.parent) => Fate::ImplicitlyDeleted,
            Place::Filter(_) => {
                let leads_there = object
                    .target_class
                    .is_some_and(|class| below_class(class) || self.qdiscs.contains(&(dev, class.major())));
                if leads_there { Fate::Goes } else { Fate::Stays }
            }
        }
    }
}

const fn is_filter(object: &Object<'_>) -> bool {
    matches!(object.place, Place::Filter(_))
}

fn deletion(object: &Object<'_>) -> Step {
    let mut words = vec![object.place.tc_type().name().to_owned()];
    words.extend(object.place.words(object.handle));
    match &object.place {
        Place::Qdisc { parent: Handle::INGRESS, .. } => words.push(object.kind.clone()),
        Place::Filter(_) => {
            // The words of its creation up to the handle. `filter dev DEV` or `filter block N` come first.
            let made = object.lines.first().map(Vec::as_slice).unwrap_or_default();
            let end = made.iter().skip(3).position(|word| word == "protocol").map_or(0, |at| at + 5);
            let (place, rest) = made.split_at(end.min(made.len()));
            words = place.to_vec();
            match &object.own_handle {
                _ if object.change_semantics.of_priority => {}
                Some(own) => words.extend(["handle".to_owned(), own.clone()]),
                None => words.extend(rest.iter().take(2).cloned()),
            }
            words.push(object.kind.clone());
        }
        _ => {}
    }
    Step::new("del", &words, &object.place)
}
