//! The order in which objects can be created.

use std::collections::{HashMap, HashSet};

use crate::tree::object::{Needed, Object};
use crate::tree::place::{ChainId, FilterId, On, Place};
use crate::wire::handle::Handle;

/// Sorts current objects by their places, so that the order of their creation has no effect. Devices are in the
/// order of their names.
pub(super) fn sort<'n>(objects: &mut [Object<'_>], name: impl Fn(i32) -> &'n str) {
    let needed: HashSet<Needed> = objects.iter().flat_map(|object| object.needed()).collect();
    // Filters that others need, in any priority, come first; those that lead to others, last: no packet gets
    // into a table that is half full.
    let rank = |object: &Object<'_>| match object.needed_as() {
        _ if needed.is_empty() => 1,
        Some(as_needed) if needed.contains(&as_needed) => 0,
        _ if object.leads_to.is_some() => 3,
        _ if object.within.is_some() => 2,
        _ => 1,
    };
    objects.sort_by_cached_key(|object| {
        let (device, mut numbers) = order(&object.place, rank(object));
        // Filters in a table that the kernel made can link to other tables, which come first.
        if object.current.as_ref().is_some_and(|current| current.has_chosen_handle) {
            numbers[5] |= 0xfff0_0000;
        }
        let kind = if let Place::Action { kind, .. } = &object.place { kind.clone() } else { String::new() };
        (device.map(&name), kind, numbers, object.handle.raw())
    });
}

/// The device, and the identity within the device. Filters of one parent are in the kernel's order; those of one
/// priority in that of their handles.
fn order(place: &Place, rank: u32) -> (Option<i32>, [u32; 6]) {
    let numbers = match place {
        Place::Qdisc { parent, .. } => [0, u32::from(*parent == Handle::INGRESS), parent.raw(), 0, 0, 0],
        Place::Class { handle, .. } => [1, handle.raw(), 0, 0, 0, 0],
        Place::Filter(FilterId { on, parent, chain, priority, handle }) => {
            let on = if let On::Block(block) = on { *block } else { parent.raw() };
            [3, on, rank, *chain, (*priority).into(), handle.raw()]
        }
        Place::Chain(ChainId { on, parent, chain }) => {
            let on = if let On::Block(block) = on { *block } else { parent.raw() };
            [2, on, *chain, 0, 0, 0]
        }
        Place::Action { index, .. } => [0, *index, 0, 0, 0, 0],
    };
    (place.device(), numbers)
}

/// The positions of the objects in an order in which they can be created: actions, then parents before children,
/// chains and filters last. The sort is stable.
pub(super) fn in_order(objects: &[Object<'_>]) -> Vec<usize> {
    let mut below: HashMap<(i32, u16), Vec<usize>> = HashMap::new();
    let mut classes: HashMap<(i32, Handle), Vec<usize>> = HashMap::new();
    let mut tops = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        match (&object.place, object.below()) {
            (Place::Class { ifindex, .. }, _) => {
                classes.entry((*ifindex, object.parent)).or_default().push(at);
            }
            (Place::Qdisc { ifindex, .. }, Some(major)) => {
                below.entry((*ifindex, major)).or_default().push(at);
            }
            (Place::Qdisc { .. }, None) => tops.push(at),
            (Place::Filter(_) | Place::Chain(_) | Place::Action { .. }, _) => {}
        }
    }
    // The hooks after the roots, the devices in their order of appearance.
    let mut devices: HashMap<i32, usize> = HashMap::new();
    for device in objects.iter().filter_map(|object| object.place.device()) {
        let count = devices.len();
        devices.entry(device).or_insert(count);
    }
    tops.sort_by_key(|at| {
        let place = &objects[*at].place;
        let device = place.device().and_then(|device| devices.get(&device));
        (device, matches!(place, Place::Qdisc { parent: Handle::INGRESS, .. }))
    });
    let mut order: Vec<usize> = Vec::new();
    let mut seen = HashSet::new();
    // Deepest last; objects without a parent here, and circles, come at the end.
    let is_in_tree = |at: &usize| matches!(objects[*at].place, Place::Qdisc { .. } | Place::Class { .. });
    let rest = (0..objects.len()).filter(is_in_tree);
    for top in tops.into_iter().chain(rest) {
        let mut stack = vec![top];
        while let Some(at) = stack.pop() {
            if !seen.insert(at) {
                continue;
            }
            order.push(at);
            let object = &objects[at];
            let next: Vec<usize> = match &object.place {
                Place::Qdisc { ifindex, .. } if !object.handle.is_unspec() => {
                    let classes = classes.get(&(*ifindex, object.handle)).into_iter().flatten();
                    let below = below.get(&(*ifindex, object.handle.major())).into_iter().flatten();
                    classes.chain(below).copied().collect()
                }
                Place::Class { ifindex, handle } => {
                    classes.get(&(*ifindex, *handle)).into_iter().flatten().copied().collect()
                }
                _ => Vec::new(),
            };
            stack.extend(next.into_iter().rev());
        }
    }
    // The chains of a parent are sorted before their filters.
    let is_filter = |at: &usize| matches!(objects[*at].place, Place::Filter(_) | Place::Chain(_));
    let mut filters: Vec<_> = (0..objects.len()).filter(is_filter).collect();
    filters.sort_by_key(|at| {
        let place = &objects[*at].place;
        (place.device().is_none(), !matches!(place, Place::Chain(_)))
    });
    let is_action = |at: &usize| matches!(objects[*at].place, Place::Action { .. });
    (0..objects.len()).filter(is_action).chain(order).chain(filters).collect()
}
