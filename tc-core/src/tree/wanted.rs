//! The wanted state.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::exchange::action::Target;
use crate::exchange::request::Request;
use crate::kind::action::{Action, Actions};
use crate::kind::object::ObjectType;
use crate::kind::{FilterPlace, OptionWords, Options, Stab};
use crate::tree::context::Context;
use crate::tree::left_out::LeftOut;
use crate::tree::object::Object;
use crate::tree::place::{ChainId, FilterId, On, Place, class_parent, hook};
use crate::tree::snapshot::Snapshot;
use crate::wire::handle::Handle;
use crate::wire::verb::{TcType, Verb};

/// The wanted state of some devices and shared blocks, as requests that create it.
///
/// A device that a request names is described completely: a [`Plan`](super::Plan) deletes its other objects.
/// Devices and blocks that no request names are left alone. A description of an action that stands by itself is
/// complete for those of its kind.
///
/// Requests come in an order in which they can be carried out, at least those for filters of one parent.
#[derive(Debug)]
pub struct Wanted<'a> {
    context: Context<'a>,
    pub(super) objects: Vec<Object<'a>>,
    places: HashMap<Place, usize>,
    qdiscs: HashMap<(i32, Handle), usize>,
    requests: usize,
    devices: HashSet<i32>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) kept: HashSet<Place>,
}

/// The devices, shared blocks and kinds of actions of a description.
#[derive(Default)]
pub(super) struct Described {
    pub(super) devices: HashSet<i32>,
    pub(super) blocks: HashSet<u32>,
    pub(super) actions: HashSet<String>,
}

/// A request that describes no object of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WantedError {
    /// Only add, replace and change describe a state.
    #[error("only add, replace and change describe a state, and not {}", .0.name())]
    Verb(Verb),
    /// A request for all actions of a kind.
    #[error("it is no object")]
    NoObject,
    /// A request for several actions.
    #[error("each action needs a separate request")]
    SeveralActions,
    /// A part of the object's place is missing.
    #[error("{0} is needed")]
    Missing(Part),
    /// An object was added twice.
    #[error("{0} is there twice")]
    Twice(Place),
    /// A change of an object that was not added before.
    #[error("{0} was not added before")]
    NotAdded(Place),
}

/// A part of an object's place, for [`WantedError::Missing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The index of the device.
    Device,
    /// The parent of a qdisc.
    QdiscParent,
    /// The parent of a filter.
    FilterParent,
    /// The handle of a class.
    ClassHandle,
    /// The priority of a filter.
    Priority,
    /// The number of a chain.
    Chain,
    /// The index of an action.
    Index,
    /// The kind.
    Kind(TcType),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device => f.write_str("a device"),
            Self::QdiscParent => f.write_str("the parent of the qdisc"),
            Self::FilterParent => f.write_str("the parent of the filter"),
            Self::ClassHandle => f.write_str("the handle of the class"),
            Self::Priority => f.write_str("the priority of the filter"),
            Self::Chain => f.write_str("the number of the chain"),
            Self::Index => f.write_str("the index of the action"),
            Self::Kind(tc_type) => write!(f, "the kind of the {tc_type}"),
        }
    }
}

impl<'a> Wanted<'a> {
    /// Nothing is described yet.
    pub fn new(context: Context<'a>) -> Self {
        Self {
            context,
            objects: Vec::new(),
            places: HashMap::new(),
            qdiscs: HashMap::new(),
            requests: 0,
            devices: HashSet::new(),
            left_out: Vec::new(),
            kept: HashSet::new(),
        }
    }

    /// The state of a snapshot, to return to it. Objects whose options are [unknown](Object::is_unknown) are
    /// left out, with their children.
    pub fn of(snapshot: &'a Snapshot, context: Context<'a>) -> Result<Self, WantedError> {
        let mut wanted = Self::new(context);
        for object in snapshot.objects() {
            wanted.devices.extend(object.place.device());
            if object.is_unknown() {
                wanted.leave_out(LeftOut::of(object.place().clone()));
            }
            let verbs = std::iter::once(Verb::Add).chain(std::iter::repeat(Verb::Change));
            for (verb, request) in verbs.zip(object.requests()) {
                wanted.push(verb, request)?;
            }
        }
        Ok(wanted)
    }

    /// Describes an object as this request creates it.
    pub fn add<T: ObjectType>(&mut self, request: Request<'a, T>) -> Result<(), WantedError> {
        self.push(Verb::Add, request).map(drop)
    }

    /// Describes an object: a new one with [`Verb::Add`] or [`Verb::Replace`], a further request for one added
    /// before with [`Verb::Change`]. Returns the number of the request, counted from 0: see
    /// [`Step::number`](super::Step::number). A request that is refused has no number.
    pub fn push(&mut self, verb: Verb, request: impl Into<Request<'a>>) -> Result<usize, WantedError> {
        if !matches!(verb, Verb::Add | Verb::Replace | Verb::Change) {
            return Err(WantedError::Verb(verb));
        }
        let object = self.object(verb, request.into())?;
        let known = match &object.place {
            Place::Qdisc { ifindex, parent: Handle::UNSPEC } => self.qdiscs.get(&(*ifindex, object.handle)),
            place => self.places.get(place),
        };
        let known = known.copied();
        match (verb, known) {
            (Verb::Change, Some(at)) => amend(&mut self.objects[at], object),
            (Verb::Change, None) => return Err(WantedError::NotAdded(object.place)),
            (Verb::Add, Some(_)) => return Err(WantedError::Twice(object.place)),
            (_, Some(at)) => {
                self.index(&object, at);
                self.objects[at] = object;
            }
            (_, None) => {
                self.index(&object, self.objects.len());
                self.objects.push(object);
            }
        }
        self.requests += 1;
        Ok(self.requests - 1)
    }

    fn index(&mut self, object: &Object<'_>, at: usize) {
        if let Place::Qdisc { ifindex, .. } = &object.place {
            self.qdiscs.entry((*ifindex, object.handle)).or_insert(at);
        }
        self.places.insert(object.place.clone(), at);
    }

    /// Describes a device, also one on which nothing is wanted.
    pub fn device(&mut self, ifindex: i32) {
        self.devices.insert(ifindex);
    }

    /// Describes these devices alone: objects of others are dropped. Objects of shared blocks stay.
    pub fn only_devices(&mut self, devices: &[i32]) {
        let counts = |device: Option<i32>| device.is_none_or(|device| devices.contains(&device));
        self.objects.retain(|object| counts(object.place.device()));
        self.left_out.retain(|left_out| counts(left_out.device()));
        let objects = std::mem::take(&mut self.objects);
        (self.places, self.qdiscs) = Default::default();
        objects.iter().enumerate().for_each(|(at, object)| self.index(object, at));
        self.objects = objects;
        self.devices = devices.iter().copied().collect();
    }

    /// Leaves an object out of the description: it and its children stay as they are. A
    /// [`Plan`](super::Plan) that would delete one of them is an error.
    pub fn leave_out(&mut self, left_out: LeftOut) {
        self.left_out.push(left_out);
    }

    /// Keeps the object at this place, if it is there, although it is not wanted.
    pub fn keep(&mut self, place: Place) {
        self.kept.insert(place);
    }

    /// The context of its comparisons.
    pub const fn context(&self) -> &Context<'a> {
        &self.context
    }

    /// The wanted objects.
    pub fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    /// The devices that the description is about.
    pub fn devices(&self) -> HashSet<i32> {
        self.described().devices
    }

    /// Whether an object is described that [can be](Place::is_same) at this place.
    pub fn is_described(&self, place: &Place) -> bool {
        match place {
            Place::Filter(id) if id.handle.is_unspec() => {
                self.objects.iter().any(|object| object.place.is_same(place))
            }
            place => self.places.contains_key(place) || self.places.contains_key(&place.key()),
        }
    }

    /// The devices and blocks that the description is about.
    pub(super) fn described(&self) -> Described {
        let mut described = Described { devices: self.devices.clone(), ..Described::default() };
        for object in &self.objects {
            described.devices.extend(object.place.device());
            match &object.place {
                Place::Filter(FilterId { on: On::Block(block), .. })
                | Place::Chain(ChainId { on: On::Block(block), .. }) => {
                    described.blocks.insert(*block);
                }
                Place::Action { kind, .. } => {
                    described.actions.insert(kind.clone());
                }
                _ => {}
            }
            described.blocks.extend(object.blocks.iter().flatten().chain(&object.more_blocks));
        }
        described
    }

    fn object(&self, verb: Verb, request: Request<'a>) -> Result<Object<'a>, WantedError> {
        let parts = &request.parts;
        let header = parts.header;
        if let Some(target) = &parts.target {
            let action = single(target)?.clone();
            return self.action(action, request);
        }
        let place = place(verb, &request)?;
        if parts.kind.is_empty() && !parts.is_chain {
            return Err(WantedError::Missing(Part::Kind(parts.tc_type)));
        }
        let mut object = Object::at(place);
        match parts.tc_type {
            TcType::Class => object.parent = class_parent(header.parent, header.handle),
            TcType::Filter => object.protocol = u16::from_be(header.info as u16),
            _ => object.handle = header.handle,
        }
        object.kind = Cow::Borrowed(parts.kind);
        object.stab = parts.stab.as_ref().map(Stab::as_dumped);
        object.blocks = [parts.ingress_block, parts.egress_block];
        let registered = self.context.registry.get(parts.tc_type, parts.kind);
        let ops = parts.ops.or(registered);
        if let Some(ops) = ops {
            object.change_semantics = *ops.change_semantics();
        }
        if let Some(options) = parts.options() {
            let dumped = options.as_dumped(self.context.environment);
            object.set_options(&*dumped);
            let filter_place = filter_place(&request);
            let words = |options: &dyn Options| Some(self.context.words(options, ops?, &filter_place));
            (object.words, object.asked) = (words(&*dumped), words(options));
            object.options = Some(Arc::from(options.boxed()));
        }
        object.requests = vec![(self.requests, request)];
        Ok(object)
    }

    fn action(&self, action: Action, request: Request<'a>) -> Result<Object<'a>, WantedError> {
        let place = Place::Action { kind: action.kind().to_owned(), index: action.own_index() };
        let mut object = Object::at(place);
        object.kind = Cow::Owned(action.kind().to_owned());
        let dumped = Actions::new().with(action.clone()).as_dumped(self.context.environment);
        object.words = dumped.iter().next().map(|action| self.context.action_words(action));
        object.asked = Some(self.context.action_words(&action));
        object.action = Some(action);
        object.requests = vec![(self.requests, request)];
        Ok(object)
    }
}

/// The one action of a request.
fn single<'t>(target: &'t Target<'_>) -> Result<&'t Action, WantedError> {
    let Target::These(actions) = target else { return Err(WantedError::NoObject) };
    let mut actions = actions.get().iter();
    match (actions.next(), actions.next()) {
        (Some(action), None) if action.own_index() == 0 => Err(WantedError::Missing(Part::Index)),
        (Some(action), None) => Ok(action),
        _ => Err(WantedError::SeveralActions),
    }
}

/// The place of the object that a request is for.
fn place(verb: Verb, request: &Request<'_>) -> Result<Place, WantedError> {
    let parts = &request.parts;
    let header = parts.header;
    let missing = WantedError::Missing;
    let device = || match header.ifindex {
        0 => Err(missing(Part::Device)),
        ifindex => Ok(ifindex),
    };
    Ok(match parts.tc_type {
        TcType::Filter => {
            let priority = (header.info >> 16) as u16;
            match (parts.is_chain, parts.chain) {
                (false, _) if priority == 0 => return Err(missing(Part::Priority)),
                (true, None) => return Err(missing(Part::Chain)),
                _ => {}
            }
            let (on, parent) = match On::of(&header) {
                On::Block(block) => (On::Block(block), Handle::UNSPEC),
                On::Device(_) if header.parent.is_unspec() => return Err(missing(Part::FilterParent)),
                On::Device(_) => (On::Device(device()?), hook(header.parent)),
            };
            let chain = parts.chain.unwrap_or_default();
            if parts.is_chain {
                return Ok(Place::Chain(ChainId { on, parent, chain }));
            }
            Place::Filter(FilterId { on, parent, chain, priority, handle: header.handle })
        }
        TcType::Class if header.handle.is_unspec() => return Err(missing(Part::ClassHandle)),
        TcType::Class => Place::Class { ifindex: device()?, handle: header.handle },
        _ if header.parent.is_unspec() && verb != Verb::Change => {
            return Err(missing(Part::QdiscParent));
        }
        _ => Place::Qdisc { ifindex: device()?, parent: header.parent },
    })
}

fn filter_place<'p>(request: &Request<'_>) -> FilterPlace<'p> {
    let header = request.parts.header;
    let mut filter = FilterPlace::default();
    if request.parts.tc_type != TcType::Filter {
        return filter;
    }
    let block = if let On::Block(block) = On::of(&header) { Some(block) } else { None };
    filter.protocol = Some(u16::from_be(header.info as u16)).filter(|protocol| *protocol != 0);
    filter.priority = Some((header.info >> 16) as u16).filter(|priority| *priority != 0);
    filter.parent = if block.is_some() { Handle::UNSPEC } else { header.parent };
    filter.chain = request.parts.chain;
    filter.block = block;
    filter.handle = header.handle;
    filter
}

/// A change of an object described before.
fn amend<'a>(known: &mut Object<'a>, change: Object<'a>) {
    known.requests.extend(change.requests);
    known.stab = change.stab;
    let later = |known: &mut Option<OptionWords<'static>>, change: Option<OptionWords<'static>>| match (
        known, change,
    ) {
        (Some(words), Some(change)) => words.amend(&change),
        (known, change) => *known = known.take().or(change),
    };
    later(&mut known.words, change.words);
    later(&mut known.asked, change.asked);
}
