//! Filters: which of a priority matches a packet.

mod basic;
mod ematch;
mod flower;
mod fw;
mod matchall;
mod u32;

use std::ops::Range;

use tc_core::action::{Action, Actions};
use tc_core::{AttrWriter, Attrs, Fill, FillContext, FilterPlace, Handle, Kind, Verb, object};

use super::action::execute;
use super::{CannotKnow, Hits, Outcome, Packet, Step, Verdict, Walk};
use crate::action::police::Police;
use crate::filter::{basic::Basic, flower::Flower, fw::Fw, matchall::Matchall, u32::U32};

/// A filter with its place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Filter {
    /// The chain.
    pub chain: u32,
    /// The priority.
    pub priority: u16,
    /// The protocol (`ETH_P_*`), in the machine's byte order.
    pub protocol: u16,
    /// The handle. A line for a priority alone, with which dumps begin, has none.
    pub handle: Handle,
    /// The kind.
    pub kind: String,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// The priority alone.
    Priority,
    U32(Box<U32>),
    Fw(Box<Fw>),
    Flower(Box<Flower>),
    Basic(Box<Basic>),
    Matchall(Box<Matchall>),
    /// A kind that depends on facts outside the packet, or is not known.
    Other,
}

impl Filter {
    /// A filter from its kind and the payload of `TCA_OPTIONS`.
    pub fn new(kind: &str, place: &FilterPlace<'_>, payload: Option<&[u8]>) -> Self {
        Self { body: Body::decode(kind, place.handle, payload), ..Self::bare(kind, place) }
    }

    /// A filter from its options.
    pub fn of<K: Kind<Object = object::Filter>>(options: &K, place: &FilterPlace<'_>) -> Self {
        let mut buffer = bytes::BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let written = options.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out);
        let written = written.is_ok_and(|fill| fill != Fill::Absent) && out.finish().is_ok();
        Self::new(K::KIND, place, written.then_some(&buffer[..]))
    }

    fn bare(kind: &str, place: &FilterPlace<'_>) -> Self {
        Self {
            chain: place.chain.unwrap_or_default(),
            priority: place.priority.unwrap_or_default(),
            protocol: place.protocol.unwrap_or_default(),
            handle: place.handle,
            kind: kind.to_owned(),
            body: Body::Other,
        }
    }

    /// Whether this is a line for a priority alone.
    pub fn is_priority(&self) -> bool {
        self.body == Body::Priority
    }

    /// The kind's name, if the options can be read.
    pub const fn options(&self) -> Option<&'static str> {
        match &self.body {
            Body::U32(_) => Some(U32::KIND),
            Body::Fw(_) => Some(Fw::KIND),
            Body::Flower(_) => Some(Flower::KIND),
            Body::Basic(_) => Some(Basic::KIND),
            Body::Matchall(_) => Some(Matchall::KIND),
            Body::Priority | Body::Other => None,
        }
    }

    /// The number of keys of a u32 filter; `None` for its tables, and for other kinds.
    pub fn key_count(&self) -> Option<usize> {
        match &self.body {
            Body::U32(options) => options.selector.as_ref().map(|selector| selector.keys.len()),
            _ => None,
        }
    }

    /// Whether a u32 filter has a mark.
    pub const fn has_mark(&self) -> bool {
        matches!(&self.body, Body::U32(options) if options.mark.is_some())
    }

    /// The actions, those that stand for the filter's own police included.
    pub fn actions(&self) -> Vec<Action> {
        let (police, actions) = match &self.body {
            Body::U32(options) => (options.police.as_ref(), &options.actions),
            Body::Fw(options) => (options.police.as_ref(), &options.actions),
            Body::Basic(options) => (options.police.as_ref(), &options.actions),
            Body::Flower(options) => (None, &options.actions),
            Body::Matchall(options) => (None, &options.actions),
            Body::Priority | Body::Other => return Vec::new(),
        };
        match police {
            Some(police) => vec![Action::new(*police)],
            None => actions.iter().cloned().collect(),
        }
    }

    pub(super) fn step(&self, outcome: Outcome) -> Step {
        Step::Filter {
            chain: self.chain,
            priority: self.priority,
            protocol: self.protocol,
            kind: self.kind.clone(),
            handle: self.handle,
            outcome,
        }
    }
}

impl Body {
    fn decode(kind: &str, handle: Handle, payload: Option<&[u8]>) -> Self {
        let Some(payload) = payload else {
            return if handle.is_unspec() { Self::Priority } else { Self::Other };
        };
        fn read<K: Kind>(payload: &[u8], body: impl FnOnce(Box<K>) -> Body) -> Body {
            // A list that can be cut is no filter.
            let is_whole = Attrs::new(payload).all(|attr| attr.is_ok());
            K::decode(payload)
                .ok()
                .filter(|_| is_whole)
                .map_or(Body::Other, |options| body(Box::new(options)))
        }
        match kind {
            U32::KIND => read(payload, Self::U32),
            Fw::KIND => read(payload, Self::Fw),
            Flower::KIND => read(payload, Self::Flower),
            Basic::KIND => read(payload, Self::Basic),
            Matchall::KIND => read(payload, Self::Matchall),
            _ => Self::Other,
        }
    }
}

/// Asks the filters of one priority, `group` of the list.
pub(super) fn run(
    list: &[Filter],
    group: Range<usize>,
    hits: &mut [Hits],
    packet: &mut Packet,
    walk: &mut Walk,
) -> Result<Verdict, CannotKnow> {
    let mut scene = Scene { list, hits, packet, walk };
    match list[group.start].kind.as_str() {
        U32::KIND => u32::classify(&mut scene, group),
        Fw::KIND => fw::classify(&mut scene, group),
        Flower::KIND => flower::classify(&mut scene, group),
        Basic::KIND => basic::classify(&mut scene, group),
        Matchall::KIND => matchall::classify(&mut scene, group),
        kind => {
            let reason = match kind {
                "bpf" => "the filter bpf runs a program",
                "cgroup" => "the filter cgroup depends on the sender's control group",
                "flow" => "the filter flow depends on hashes and on facts outside the packet",
                "route" => "the filter route depends on the packet's route",
                kind => return scene.cannot_know(group.start, &format!("the filter {kind} is not known")),
            };
            scene.cannot_know(group.start, reason)
        }
    }
}

/// The packet among the filters.
struct Scene<'a> {
    list: &'a [Filter],
    hits: &'a mut [Hits],
    packet: &'a mut Packet,
    walk: &'a mut Walk,
}

impl Scene<'_> {
    /// Records that a filter does not match.
    fn misses(&mut self, at: usize, why: impl Into<String>) {
        self.walk.step(self.list[at].step(Outcome::Missed(why.into())));
    }

    /// Records that the result of a filter is not known, which ends the classification.
    fn cannot_know<T>(&mut self, at: usize, reason: &str) -> Result<T, CannotKnow> {
        self.walk.step(self.list[at].step(Outcome::Unknown(reason.to_owned())));
        Err(CannotKnow::new(reason))
    }

    /// Records a match, and runs the actions.
    fn matches(
        &mut self,
        at: usize,
        class: Option<Handle>,
        police: Option<&Police>,
        actions: &Actions,
    ) -> Result<Verdict, CannotKnow> {
        let class = class.unwrap_or_default();
        self.walk.step(self.list[at].step(Outcome::Matched { class }));
        self.hits[at].matched += 1;
        let control = execute(police, actions, self.packet, &mut self.hits[at], self.walk)?;
        Ok(Verdict::Match { control, class })
    }

    /// `tcf_match_indev`.
    fn is_from(&self, indev: Option<&str>) -> Result<bool, CannotKnow> {
        match indev {
            None => Ok(true),
            Some(_) if self.packet.iif == 0 => Ok(false),
            // The device that a packet came in from is known by name if it is the packet's own.
            Some(name) if self.packet.iif == self.packet.ifindex => Ok(name == self.packet.device),
            Some(name) => Err(CannotKnow::new(format!("whether the packet came in from \"{name}\""))),
        }
    }
}

#[cfg(test)]
mod tests;
