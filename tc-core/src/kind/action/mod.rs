//! Actions on the packets that a filter matches.
//!
//! [`Actions`] is the list that classifiers hold in their options
//! (`TCA_MATCHALL_ACT` and its like) and that requests for actions themselves
//! carry ([`Request::actions`](crate::Request::actions)). The options of each
//! are those of a kind of [`TcType::Action`]; those of a kind that the program
//! does not know stay as bytes.

mod control;
mod print;
mod words;

use std::fmt;

use bytes::Bytes;

use crate::kind::object;
use crate::kind::{Fill, FillContext, Kind, OptionWords, Options, Registry, TcOps};
use crate::wire::attr::{Attr, AttrWriter, Attrs};
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::stats::Stats;
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

pub use control::Control;
pub use print::Times;

/// Actions, one after the other.
///
/// The options of a known kind are read through [`Registry::global`], those of further kinds by
/// [`Actions::resolved`]; the words through the registry of the [`Environment`](crate::kind::words::Environment).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actions {
    list: Vec<(u16, Action)>,
}

impl Actions {
    /// No actions.
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Appends an action.
    #[must_use]
    pub fn with(mut self, action: Action) -> Self {
        self.push(action);
        self
    }

    /// Adds one at the end.
    pub fn push(&mut self, action: Action) {
        let last = self.list.last().map_or(0, |(order, _)| *order);
        self.list.push((last.saturating_add(1), action));
    }

    /// The actions in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Action> {
        self.list.iter().map(|(_, action)| action)
    }

    /// Whether the list is empty.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether both lists do the same to packets: their descriptions in words are equal.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let words = |actions: &Self| {
            let mut words = OptionWords::new();
            actions.to_words(&mut words);
            words
        };
        words(self).is_same(&words(other))
    }

    /// The kinds and indices of the actions: for [`Kind::held_actions`]. The index is 0 if the kernel chooses it,
    /// or if the program does not know the kind.
    pub fn indices(&self) -> Vec<(String, u32)> {
        self.iter().map(|action| (action.kind.clone(), action.own_index())).collect()
    }

    /// Appends the list as the attribute `kind` (`TCA_MATCHALL_ACT`, ...), or
    /// nothing if it is empty. More than 32 are an error: the kernel would pass
    /// over those.
    pub fn encode(
        &self,
        kind: u16,
        context: &FillContext,
        out: &mut AttrWriter<'_>,
    ) -> Result<(), EncodeError> {
        if self.list.len() > TCA_ACT_MAX_PRIO {
            return Err(EncodeError::Invalid(format!("more than {TCA_ACT_MAX_PRIO} actions")));
        }
        if self.list.is_empty() {
            return Ok(());
        }
        let mut list = out.nest(kind);
        for (order, action) in &self.list {
            action.encode(&mut list.nest(*order), context)?;
        }
        Ok(())
    }

    /// Reads the options of further kinds, which are in this registry and not in the
    /// [global](Registry::global) one: until then they are [raw](Action::raw_options).
    #[must_use]
    pub fn resolved(mut self, registry: &Registry) -> Self {
        for (_, action) in &mut self.list {
            if let ActionOptions::Raw(bytes) = &action.options {
                action.options = ActionOptions::decode(&action.kind, bytes, Some(registry));
            }
        }
        self
    }

    /// Reads the list from its attribute, with the kinds of the [global](Registry::global) registry.
    pub fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let read = |attr: Result<Attr<'_>, DecodeError>| {
            let attr = attr?;
            Ok((attr.kind, Action::decode(attr.attrs()).map_err(|error| error.at_attribute(attr.kind))?))
        };
        attr.attrs().map(read).collect::<Result<_, _>>().map(|list| Self { list })
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::new(), Self::with)
    }
}

/// `struct nla_bitfield32`: bits, and a mask of the valid ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitfield32 {
    /// The bits.
    pub value: u32,
    /// Which bits mean something.
    pub selector: u32,
}

impl Bitfield32 {
    /// These bits set, the others unspecified.
    pub const fn set(bits: u32) -> Self {
        Self { value: bits, selector: bits }
    }

    pub(crate) fn encode(self, kind: u16, out: &mut AttrWriter<'_>) {
        let mut attr = out.nest(kind);
        attr.put_u32(self.value);
        attr.put_u32(self.selector);
    }

    fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        let field = reader.u32().and_then(|value| Ok(Self { value, selector: reader.u32()? }));
        field.map_err(|error| error.at_attribute(attr.kind))
    }
}

/// One action: its kind, the kind's options, and the common attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    kind: String,
    options: ActionOptions,
    /// `TCA_ACT_INDEX`: which action of the kind a delete or get is about. In
    /// other requests the index belongs to the kind's own options.
    pub index: Option<u32>,
    /// `TCA_ACT_COOKIE`: up to 16 bytes for the user, which the kernel keeps; empty
    /// means absent.
    pub cookie: Vec<u8>,
    /// `TCA_ACT_FLAGS`: `TCA_ACT_FLAGS_NO_PERCPU_STATS`, `..._SKIP_SW`, ...
    pub flags: Option<Bitfield32>,
    /// `TCA_ACT_HW_STATS`: the requested hardware counters. `None` requests any, 0
    /// disables them.
    pub hw_stats: Option<Bitfield32>,
    /// `TCA_ACT_USED_HW_STATS` (reported only): the hardware counters in use.
    pub used_hw_stats: Option<Bitfield32>,
    /// `TCA_ACT_IN_HW_COUNT` (reported only): the number of devices that have the
    /// action in hardware.
    pub in_hw_count: Option<u32>,
    stats: Option<Bytes>,
}

#[derive(Debug)]
enum ActionOptions {
    Absent,
    /// With the words of the kind, if the program has them.
    Known(Box<dyn Options>, Option<&'static dyn TcOps>),
    Raw(Bytes),
}

impl Action {
    /// An action with these options.
    pub fn new<K: Kind<Object = object::Action>>(options: K) -> Self {
        Self::of(K::KIND, ActionOptions::Known(Box::new(options), None))
    }

    /// The action of a kind with this index, to delete or to get it.
    pub fn at_index(kind: impl Into<String>, index: u32) -> Self {
        Self { index: Some(index), ..Self::of(kind, ActionOptions::Absent) }
    }

    /// Sets a cookie of up to 16 bytes; the kernel refuses a longer one.
    #[must_use]
    pub fn cookie(mut self, cookie: &[u8]) -> Self {
        self.cookie = cookie.to_vec();
        self
    }

    /// The kind's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The options as a value of type `K`, if they are of that kind.
    pub fn options_as<K: Kind>(&self) -> Option<&K> {
        match &self.options {
            ActionOptions::Known(options, _) => options.downcast_ref(),
            _ => None,
        }
    }

    /// The options of a kind that this program does not know.
    pub fn raw_options(&self) -> Option<&[u8]> {
        match &self.options {
            ActionOptions::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of the action: that of its options, or of a request for an action by its index. 0 lets the
    /// kernel choose one.
    pub fn own_index(&self) -> u32 {
        match &self.options {
            ActionOptions::Known(options, _) => options.action_index(),
            _ => self.index.unwrap_or_default(),
        }
    }

    /// See [`Kind::stands_alone`].
    pub(crate) fn stands_alone(&self) -> Option<bool> {
        match &self.options {
            ActionOptions::Known(options, _) => options.stands_alone(),
            _ => None,
        }
    }

    /// The counters (reported only).
    pub fn stats(&self) -> Result<Option<Stats<'_>>, DecodeError> {
        let attr = |payload| Attr { kind: TCA_ACT_STATS, nested: true, payload };
        self.stats.as_deref().map(|payload| Stats::decode(&attr(payload))).transpose()
    }

    fn of(kind: impl Into<String>, options: ActionOptions) -> Self {
        Self {
            kind: kind.into(),
            options,
            index: None,
            cookie: Vec::new(),
            flags: None,
            hw_stats: None,
            used_hw_stats: None,
            in_hw_count: None,
            stats: None,
        }
    }

    fn encode(&self, out: &mut AttrWriter<'_>, context: &FillContext) -> Result<(), EncodeError> {
        out.attr_str(TCA_ACT_KIND, &self.kind);
        match &self.options {
            ActionOptions::Absent => {}
            ActionOptions::Raw(bytes) => out.attr(TCA_ACT_OPTIONS | NLA_F_NESTED, bytes),
            ActionOptions::Known(options, _) => {
                let start = out.begin(TCA_ACT_OPTIONS);
                match options.fill(context, out)? {
                    Fill::Absent => out.truncate(start),
                    Fill::Written => out.end(start),
                    Fill::Nested => {
                        out.set_nested(start);
                        out.end(start);
                    }
                }
            }
        }
        if let Some(index) = self.index.filter(|index| *index != 0) {
            out.attr_u32(TCA_ACT_INDEX, index);
        }
        if !self.cookie.is_empty() {
            out.attr(TCA_ACT_COOKIE, &self.cookie);
        }
        if let Some(wanted) = self.hw_stats {
            wanted.encode(TCA_ACT_HW_STATS, out);
        }
        if let Some(flags) = self.flags {
            flags.encode(TCA_ACT_FLAGS, out);
        }
        Ok(())
    }

    fn decode(attrs: Attrs<'_>) -> Result<Self, DecodeError> {
        let table = attrs.table::<{ TCA_ACT_IN_HW_COUNT as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let bits = |kind: u16| attr(kind).map(|attr| Bitfield32::decode(&attr)).transpose();
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        let kind = attr(TCA_ACT_KIND).ok_or(DecodeError::Missing { what: "kind of the action" })?.str()?;
        let options = attr(TCA_ACT_OPTIONS)
            .map(|attr| ActionOptions::decode(kind, attr.payload, Registry::global().ok()));
        Ok(Self {
            index: number(TCA_ACT_INDEX)?,
            cookie: attr(TCA_ACT_COOKIE).map(|attr| attr.payload.to_vec()).unwrap_or_default(),
            flags: bits(TCA_ACT_FLAGS)?,
            hw_stats: bits(TCA_ACT_HW_STATS)?,
            used_hw_stats: bits(TCA_ACT_USED_HW_STATS)?,
            in_hw_count: number(TCA_ACT_IN_HW_COUNT)?,
            stats: attr(TCA_ACT_STATS).map(|attr| Bytes::copy_from_slice(attr.payload)),
            ..Self::of(kind, options.unwrap_or(ActionOptions::Absent))
        })
    }
}

impl ActionOptions {
    /// Options that the kind cannot read stay as bytes too, so that one action does
    /// not make its filter unreadable.
    fn decode(kind: &str, payload: &[u8], registry: Option<&Registry>) -> Self {
        let ops = registry.and_then(|registry| registry.get(TcType::Action, kind));
        match ops.map(|ops| (ops.msg_parse(payload), ops.to_static())) {
            Some((Ok(options), words)) => Self::Known(options, words),
            _ => Self::Raw(Bytes::copy_from_slice(payload)),
        }
    }

    /// The words of the options' kind: those that came with them, or those that
    /// the program has.
    fn words(&self) -> Option<(&dyn Options, &'static dyn TcOps)> {
        let Self::Known(options, words) = self else { return None };
        let linked = || Registry::global().ok()?.get(TcType::Action, options.kind())?.to_static();
        Some((&**options, words.or_else(linked)?))
    }
}

impl Clone for ActionOptions {
    fn clone(&self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Known(options, words) => Self::Known(options.boxed(), *words),
            Self::Raw(bytes) => Self::Raw(bytes.clone()),
        }
    }
}

impl PartialEq for ActionOptions {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Absent) => true,
            (Self::Known(one, _), Self::Known(other, _)) => one.equals(&**other),
            (Self::Raw(one), Self::Raw(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match self.index {
            Some(index) => write!(f, " index {index}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
