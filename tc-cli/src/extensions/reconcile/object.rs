//! Qdiscs, classes and filters, each with the words that make it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use tc_core::{ChangeSemantics, Difference, Handle, OptionWords, Options, Stab, TcType};

use tc_core::protocol;

/// Where an object is. There is one at a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Qdisc { dev: String, parent: Handle },
    Class { dev: String, handle: Handle },
    Filter(FilterPlace),
}

/// The place of a filter. Its handle is unspecified if it is the only one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FilterPlace {
    pub(super) on: On,
    /// Of a filter of a device.
    pub(super) parent: Handle,
    pub(super) chain: u32,
    pub(super) priority: u16,
    pub(super) handle: Handle,
}

/// The parent of filters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum On {
    Dev(String),
    Block(u32),
}

/// A current or desired object.
#[derive(Debug)]
pub(super) struct Object<'n> {
    pub(super) place: Place,
    pub(super) kind: String,
    /// Of a qdisc; unspecified where any will do.
    pub(super) handle: Handle,
    /// Of a class.
    pub(super) parent: Handle,
    /// Of a filter.
    pub(super) protocol: u16,
    pub(super) stab: Option<Stab>,
    /// The shared blocks of ingress and egress.
    pub(super) blocks: [Option<u32>; 2],
    /// The shared blocks that the options name.
    pub(super) more_blocks: Vec<u32>,
    /// The class that a filter leads to.
    pub(super) target_class: Option<Handle>,
    /// The actions of a filter whose indices are given.
    pub(super) actions: Vec<(String, u32)>,
    /// `None`: the options are unspecified.
    pub(super) words: Option<OptionWords<'n>>,
    /// The words as the file has them, before the kernel rounds or limits them. Of a desired object.
    pub(super) asked: Option<OptionWords<'n>>,
    pub(super) change_semantics: ChangeSemantics,
    /// The commands that make it; their verb is left out.
    pub(super) lines: Vec<Vec<String>>,
    /// The handle of a filter that is there, if the word in `lines` leaves a part of it to the kernel.
    pub(super) own_handle: Option<String>,
}

impl Place {
    pub(super) const fn tc_type(&self) -> TcType {
        match self {
            Self::Qdisc { .. } => TcType::Qdisc,
            Self::Class { .. } => TcType::Class,
            Self::Filter(_) => TcType::Filter,
        }
    }

    /// The device, unless it is a filter of a block.
    pub(super) fn dev(&self) -> Option<&str> {
        match self {
            Self::Qdisc { dev, .. } | Self::Class { dev, .. } => Some(dev),
            Self::Filter(FilterPlace { on: On::Dev(dev), .. }) => Some(dev),
            Self::Filter(_) => None,
        }
    }

    /// The words of its place, as a request needs them. The kind determines the place
    /// of an ingress qdisc.
    pub(super) fn words(&self, handle: Handle) -> Vec<String> {
        let words = match self {
            Self::Qdisc { dev, parent: Handle::INGRESS } => format!("dev {dev}"),
            Self::Qdisc { dev, parent } => {
                let parent = parent_words(*parent);
                match handle.is_unspec() {
                    true => format!("dev {dev} {parent}"),
                    false => format!("dev {dev} {parent} handle {handle}"),
                }
            }
            Self::Class { dev, handle } => format!("dev {dev} classid {handle}"),
            Self::Filter(place) => {
                let on = match &place.on {
                    On::Block(block) => format!("block {block}"),
                    On::Dev(dev) => format!("dev {dev} {}", parent_words(place.parent)),
                };
                let chain = if place.chain == 0 { String::new() } else { format!("chain {}", place.chain) };
                format!("{on} pref {} {chain}", place.priority)
            }
        };
        words.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether both can be the same place: a filter's handle may be unspecified.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter(one), Self::Filter(other)) => {
                let handles = [one.handle, other.handle];
                one.without_handle() == other.without_handle()
                    && (one.handle == other.handle || handles.iter().any(|handle| handle.is_unspec()))
            }
            (one, other) => one == other,
        }
    }

    /// For sorting: the device, then the identity within the device. Filters of one parent are in
    /// the kernel's order; those of one priority in that of their handles.
    fn order(&self) -> (Option<&str>, [u32; 5]) {
        let numbers = match self {
            Self::Qdisc { parent, .. } => [0, u32::from(*parent == Handle::INGRESS), parent.raw(), 0, 0],
            Self::Class { handle, .. } => [1, handle.raw(), 0, 0, 0],
            Self::Filter(FilterPlace { on, parent, chain, priority, handle }) => {
                let on = if let On::Block(block) = on { *block } else { parent.raw() };
                [2, on, *chain, (*priority).into(), handle.raw()]
            }
        };
        (self.dev(), numbers)
    }

    /// The key that [`Place::is_same`] narrows down.
    pub(super) fn key(&self) -> Self {
        match self {
            Self::Filter(place) => Self::Filter(place.without_handle()),
            other => other.clone(),
        }
    }
}

impl FilterPlace {
    fn without_handle(&self) -> Self {
        Self { handle: Handle::UNSPEC, ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tc_type(), self.words(Handle::UNSPEC).join(" "))
    }
}

/// `root`, `ingress`, `egress` or `parent H`.
pub(super) fn parent_words(parent: Handle) -> String {
    match parent {
        Handle::ROOT => "root".into(),
        Handle::FILTER_INGRESS => "ingress".into(),
        Handle::FILTER_EGRESS => "egress".into(),
        parent => format!("parent {parent}"),
    }
}

/// Both names of a device's ingress hook are one.
pub(super) fn hook(parent: Handle) -> Handle {
    if parent == Handle::INGRESS.qdisc_of() { Handle::FILTER_INGRESS } else { parent }
}

/// The actions of a filter whose indices are given.
pub(super) fn indexed_actions(options: &dyn Options) -> Vec<(String, u32)> {
    let mut actions = options.held_actions();
    actions.retain(|(_, index)| *index != 0);
    actions
}

impl Object<'_> {
    /// An object of which only the place is known.
    pub(super) fn at(place: Place) -> Self {
        Self {
            place,
            kind: String::new(),
            handle: Handle::UNSPEC,
            parent: Handle::UNSPEC,
            protocol: 0,
            stab: None,
            blocks: [None; 2],
            more_blocks: Vec::new(),
            target_class: None,
            actions: Vec::new(),
            words: None,
            asked: None,
            change_semantics: ChangeSemantics::USUAL,
            lines: Vec::new(),
            own_handle: None,
        }
    }

    /// Whether this is below the other one, and goes with it.
    pub(super) fn is_below(&self, above: &Object<'_>) -> bool {
        if self.place.dev() != above.place.dev() {
            return false;
        }
        match (&above.place, &self.place) {
            (Place::Qdisc { parent, .. }, Place::Filter(place)) if *parent == Handle::INGRESS => {
                place.parent.major() == above.handle.major()
            }
            (Place::Qdisc { .. }, _) => self.below().is_some_and(|major| major == above.handle.major()),
            (Place::Class { handle, .. }, Place::Qdisc { parent, .. }) => parent == handle,
            (Place::Class { handle, .. }, Place::Class { .. }) => self.parent == *handle,
            (Place::Class { handle, .. }, Place::Filter(place)) => place.parent == *handle,
            (Place::Filter(_), _) => false,
        }
    }

    /// The step from the current object to this one.
    pub(super) fn difference(&self, there: &Self) -> Difference {
        let renew = |was: String| Difference::Renew { was };
        if self.kind != there.kind {
            return renew(there.kind.clone());
        }
        if !self.handle.is_unspec() && self.handle != there.handle {
            return renew(format!("handle {}", there.handle));
        }
        if self.parent != there.parent {
            return renew(format!("parent {}", there.parent));
        }
        if self.protocol != there.protocol {
            return renew(format!("protocol {}", protocol::word(there.protocol)));
        }
        if self.blocks != there.blocks {
            return renew(format!("blocks {:?}", there.blocks.iter().flatten().collect::<Vec<_>>()));
        }
        let difference = match (&self.words, &there.words) {
            (Some(desired), Some(words)) => desired.difference(words, &self.change_semantics),
            _ => Difference::None,
        };
        if difference != Difference::None || self.stab.as_ref().map(Stab::as_dumped) == there.stab {
            return difference;
        }
        let stab = there
            .stab
            .as_ref()
            .map_or("no stab".into(), |stab| format!("stab {}", stab.words().unwrap_or_default()));
        match self.change_semantics.change {
            tc_core::Change::Refused => renew(stab),
            _ => Difference::Change { was: stab },
        }
    }

    /// The options of this object that the one that is there did not take.
    pub(super) fn not_taken(&self, there: &Self) -> Vec<String> {
        let none = OptionWords::new();
        match (&self.asked, &self.words) {
            (Some(asked), Some(kept)) => {
                asked.not_taken(kept, there.words.as_ref().unwrap_or(&none), &self.change_semantics)
            }
            _ => Vec::new(),
        }
    }

    /// The qdisc that it is below, by the major number, if it is below one.
    pub(super) fn below(&self) -> Option<u16> {
        let handle = match &self.place {
            Place::Qdisc { parent: Handle::ROOT | Handle::INGRESS, .. } => return None,
            Place::Qdisc { parent, .. } => *parent,
            Place::Class { handle, .. } => *handle,
            Place::Filter(FilterPlace { on: On::Dev(_), parent, .. }) => *parent,
            Place::Filter(_) => return None,
        };
        Some(handle.major()).filter(|major| *major != 0)
    }
}

/// Sorts objects by their places, so that the order of their creation has no effect.
pub(super) fn sort(objects: &mut [Object<'_>]) {
    let handle = |object: &Object<'_>| object.handle.raw();
    // Filters in a table that the kernel made can link to other tables, which come first.
    let order = |object: &Object<'_>| {
        let (dev, mut numbers) = object.place.order();
        if object.own_handle.is_some() {
            numbers[4] |= 0xfff0_0000;
        }
        (dev.map(str::to_owned), numbers)
    };
    objects.sort_by(|one, other| order(one).cmp(&order(other)).then(handle(one).cmp(&handle(other))));
}

/// Sorts objects into an order in which they can be created: parents first, filters last. The sort is
/// stable.
pub(super) fn in_order(objects: Vec<Object<'_>>) -> Vec<Object<'_>> {
    let order = order(&objects);
    let mut objects: Vec<_> = objects.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| objects[at].take()).collect()
}

fn order(objects: &[Object<'_>]) -> Vec<usize> {
    let mut below: HashMap<(&str, u16), Vec<usize>> = HashMap::new();
    let mut classes: HashMap<(&str, Handle), Vec<usize>> = HashMap::new();
    let mut tops = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        match (&object.place, object.below()) {
            (Place::Class { dev, .. }, _) => classes.entry((dev, object.parent)).or_default().push(at),
            (Place::Qdisc { dev, .. }, Some(major)) => below.entry((dev, major)).or_default().push(at),
            (Place::Qdisc { .. }, None) => tops.push(at),
            (Place::Filter(_), _) => {}
        }
    }
    // The hooks after the roots, the devices in their order of appearance.
    let mut devices: Vec<&str> = Vec::new();
    for dev in objects.iter().filter_map(|object| object.place.dev()) {
        if !devices.contains(&dev) {
            devices.push(dev);
        }
    }
    let rank = |at: &usize| {
        let place = &objects[*at].place;
        let dev = devices.iter().position(|dev| Some(*dev) == place.dev());
        (dev, matches!(place, Place::Qdisc { parent: Handle::INGRESS, .. }))
    };
    tops.sort_by_key(rank);
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
                Place::Qdisc { dev, .. } if !object.handle.is_unspec() => {
                    let classes = classes.get(&(dev.as_str(), object.handle)).into_iter().flatten();
                    let below = below.get(&(dev.as_str(), object.handle.major())).into_iter().flatten();
                    classes.chain(below).copied().collect()
                }
                Place::Class { dev, handle } => {
                    classes.get(&(dev.as_str(), *handle)).into_iter().flatten().copied().collect()
                }
                _ => Vec::new(),
            };
            stack.extend(next.into_iter().rev());
        }
    }
    let is_filter = |at: &usize| matches!(objects[*at].place, Place::Filter(_));
    let of_block = |at: &usize| objects[*at].place.dev().is_none();
    let mut filters: Vec<_> = (0..objects.len()).filter(is_filter).collect();
    filters.sort_by_key(of_block);
    order.extend(filters);
    order
}
