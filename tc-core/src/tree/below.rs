//! The children of a set of objects.

use std::collections::HashSet;

use crate::tree::object::Object;
use crate::tree::place::{ChainId, FilterId, Place};
use crate::wire::handle::Handle;

/// A set of qdiscs and classes, to find what is below one of them: see [`Object::is_below`].
#[derive(Clone, Debug, Default)]
pub struct Subtrees {
    qdiscs: HashSet<(i32, u16)>,
    hooks: HashSet<(i32, u16)>,
    classes: HashSet<(i32, Handle)>,
}

impl Subtrees {
    /// No objects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object. Nothing is below a filter.
    pub fn insert(&mut self, object: &Object<'_>) {
        match &object.place {
            Place::Qdisc { ifindex, parent } => {
                let majors = if *parent == Handle::INGRESS { &mut self.hooks } else { &mut self.qdiscs };
                majors.insert((*ifindex, object.handle.major()));
            }
            Place::Class { ifindex, handle } => {
                self.classes.insert((*ifindex, *handle));
            }
            Place::Filter(_) | Place::Chain(_) | Place::Action { .. } => {}
        }
    }

    /// Whether the object is below one of these.
    pub fn contains(&self, object: &Object<'_>) -> bool {
        let Some(ifindex) = object.place.device() else { return false };
        let of_class = |handle: Handle| self.classes.contains(&(ifindex, handle));
        let below_class = match &object.place {
            Place::Qdisc { parent, .. } => of_class(*parent),
            Place::Class { .. } => of_class(object.parent),
            Place::Filter(FilterId { parent, .. }) | Place::Chain(ChainId { parent, .. }) => {
                of_class(*parent) || self.hooks.contains(&(ifindex, parent.major()))
            }
            Place::Action { .. } => false,
        };
        below_class || object.below().is_some_and(|major| self.qdiscs.contains(&(ifindex, major)))
    }
}
