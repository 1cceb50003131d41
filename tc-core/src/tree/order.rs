//! The order in which objects can be created.

use std::collections::{HashMap, HashSet};

use crate::tree::object::Object;
use crate::tree::place::{FilterId, On, Place};
use crate::wire::handle::Handle;

/// Sorts current objects by their places, so that the order of their creation has no effect. Devices are in the
/// order of their names.
pub(super) fn sort<'n>(objects: &mut [Object<'_>], name: impl Fn(i32) -> &'n str) {
    objects.sort_by_cached_key(|object| {
        let (device, mut numbers) = order(&object.place);
        // Filters in a table that the kernel made can link to other tables, which come first.
        if object.current.as_ref().is_some_and(|current| current.has_chosen_handle) {
            numbers[4] |= 0xfff0_0000;
        }
        (device.map(&name), numbers, object.handle.raw())
    });
}

/// The device, and the identity within the device. Filters of one parent are in the kernel's order; those of one
/// priority in that of their handles.
fn order(place: &Place) -> (Option<i32>, [u32; 5]) {
    let numbers = match place {
        Place::Qdisc { parent, .. } => [0, u32::from(*parent == Handle::INGRESS), parent.raw(), 0, 0],
        Place::Class { handle, .. } => [1, handle.raw(), 0, 0, 0],
        Place::Filter(FilterId { on, parent, chain, priority, handle }) => {
            let on = if let On::Block(block) = on { *block } else { parent.raw() };
            [2, on, *chain, (*priority).into(), handle.raw()]
        }
    };
    (place.device(), numbers)
}

/// The positions of the objects in an order in which they can be created: parents first, filters last. The
/// sort is stable.
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
            (Place::Filter(_), _) => {}
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
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    // Deepest last; objects without a parent here, and circles, come at the end.
    let rest = (0..objects.len()).filter(|at| !matches!(objects[*at].place, Place::Filter(_)));
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
    let is_filter = |at: &usize| matches!(objects[*at].place, Place::Filter(_));
    let of_block = |at: &usize| objects[*at].place.device().is_none();
    let mut filters: Vec<_> = (0..objects.len()).filter(is_filter).collect();
    filters.sort_by_key(of_block);
    order.extend(filters);
    order
}
