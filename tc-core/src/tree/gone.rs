//! The effect of deletions on other objects.

use std::collections::HashSet;

use crate::kind::{Change, Difference};
use crate::tree::object::{Needed, Object};
use crate::tree::place::{ChainId, FilterId, On, Place};
use crate::wire::handle::Handle;

/// The fate of a current object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It has to be deleted.
    Goes,
    /// It is deleted with its ancestor.
    ImplicitlyDeleted,
}

/// The deleted objects, by the properties that others depend on.
#[derive(Default)]
pub(super) struct Gone {
    /// Majors of qdiscs by device.
    qdiscs: HashSet<(i32, u16)>,
    /// Majors of qdiscs that lose their children.
    childless: HashSet<(i32, u16)>,
    classes: HashSet<(i32, Handle)>,
    /// Blocks that a qdisc still holds.
    blocks: HashSet<u32>,
    /// Blocks that no qdisc holds any more.
    lost_blocks: HashSet<u32>,
    chains: HashSet<ChainId>,
    filters: HashSet<Needed>,
}

impl Gone {
    pub(super) fn of<'o>(
        objects: impl Iterator<Item = (&'o Object<'static>, Fate, Option<&'o Difference>)>,
    ) -> Self {
        let mut gone = Self::default();
        for (object, fate, difference) in objects {
            let changes = matches!(difference, Some(Difference::Change { .. }));
            let blocks = object.blocks.iter().flatten().chain(&object.more_blocks).copied();
            match (&object.place, fate) {
                (Place::Qdisc { ifindex, .. }, Fate::Stays) => {
                    if changes && object.change_semantics.change == Change::DropsChild {
                        gone.childless.insert((*ifindex, object.handle.major()));
                    }
                    gone.blocks.extend(blocks);
                }
                (Place::Qdisc { ifindex, .. }, _) => {
                    gone.qdiscs.insert((*ifindex, object.handle.major()));
                    gone.lost_blocks.extend(blocks);
                }
                (Place::Class { ifindex, handle }, Fate::Goes | Fate::ImplicitlyDeleted) => {
                    gone.classes.insert((*ifindex, *handle));
                }
                (Place::Chain(id), Fate::Goes | Fate::ImplicitlyDeleted) => {
                    gone.chains.insert(id.clone());
                }
                (Place::Filter(_), Fate::Goes | Fate::ImplicitlyDeleted) => {
                    gone.filters.extend(object.needed_as());
                }
                _ => {}
            }
        }
        gone
    }

    pub(super) fn fate(&self, object: &Object<'_>) -> Fate {
        if let Place::Filter(id) = &object.place
            && self.chains.contains(&id.chain_id())
        {
            return Fate::ImplicitlyDeleted;
        }
        if let Place::Filter(FilterId { on: On::Block(block), .. })
        | Place::Chain(ChainId { on: On::Block(block), .. }) = &object.place
        {
            let lost = self.lost_blocks.contains(block) && !self.blocks.contains(block);
            return match lost {
                true => Fate::ImplicitlyDeleted,
                false if object.needed().any(|needed| self.filters.contains(&needed)) => Fate::Goes,
                false => Fate::Stays,
            };
        }
        let device = object.place.device().unwrap_or_default();
        let needs_gone = || object.needed().any(|needed| self.filters.contains(&needed));
        if object.below().is_some_and(|major| self.qdiscs.contains(&(device, major))) {
            return Fate::ImplicitlyDeleted;
        }
        let below_class = |handle: Handle| self.classes.contains(&(device, handle));
        match &object.place {
            Place::Qdisc { parent, .. } => {
                let childless = self.childless.contains(&(device, parent.major()));
                if below_class(*parent) || childless { Fate::ImplicitlyDeleted } else { Fate::Stays }
            }
            // Kernel: a class with children stays until they are gone.
            Place::Class { .. } if below_class(object.parent) => Fate::Goes,
            Place::Class { .. } => Fate::Stays,
            // A class also stays until the filters that lead to it are gone.
            Place::Filter(id) if below_class(id.parent) => Fate::ImplicitlyDeleted,
            Place::Filter(_) => {
                let leads_there = object.target_class.is_some_and(|class| {
                    below_class(class) || self.qdiscs.contains(&(device, class.major()))
                });
                if leads_there || needs_gone() { Fate::Goes } else { Fate::Stays }
            }
            Place::Chain(id) if below_class(id.parent) => Fate::ImplicitlyDeleted,
            Place::Chain(_) | Place::Action { .. } => Fate::Stays,
        }
    }
}
