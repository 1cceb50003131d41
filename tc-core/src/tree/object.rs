//! The objects of a tree.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::connection::ensure::raw_difference;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::request::Request;
use crate::kind::action::{Action, Actions};
use crate::kind::object::Any;
use crate::kind::{Change, ChangeSemantics, Difference, OptionWords, Options, Stab};
use crate::tree::place::{ChainId, FilterId, On, Place};
use crate::wire::handle::Handle;
use crate::wire::protocol;

/// An object of a [`Snapshot`](super::Snapshot), or one that is [`Wanted`](super::Wanted).
#[derive(Clone, Debug)]
pub struct Object<'a> {
    pub(super) place: Place,
    pub(super) kind: Cow<'a, str>,
    /// Of a qdisc; unspecified where any will do.
    pub(super) handle: Handle,
    /// Of a class.
    pub(super) parent: Handle,
    /// Of a filter.
    pub(super) protocol: u16,
    pub(super) stab: Option<Stab>,
    pub(super) blocks: [Option<u32>; 2],
    /// The shared blocks that the options name.
    pub(super) more_blocks: Vec<u32>,
    pub(super) target_class: Option<Handle>,
    /// The actions of a filter whose indices are given.
    pub(super) actions: Vec<(String, u32)>,
    /// The handles of the filters that a filter is in, and that it leads to.
    pub(super) within: Option<Handle>,
    pub(super) leads_to: Option<Handle>,
    pub(super) options: Option<Arc<dyn Options>>,
    /// An action that stands by itself.
    pub(super) action: Option<Action>,
    /// The options as the kernel reports them. `None`: they are unspecified or unknown.
    pub(super) words: Option<OptionWords<'static>>,
    /// The options as requested, before the kernel rounds or limits them.
    pub(super) asked: Option<OptionWords<'static>>,
    pub(super) change_semantics: ChangeSemantics,
    /// Of a wanted object: the requests that make it, with their numbers.
    pub(super) requests: Vec<(usize, Request<'a>)>,
    pub(super) current: Option<Current>,
}

/// A filter that others need. Kernel: u32 finds tables in all chains and priorities.
pub(super) type Needed = (On, Handle, String, Handle);

/// The part that only a current object has.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) entry: OwnedEntry,
    /// The handle, with a part that the kernel chose.
    pub(super) handle: Handle,
    /// Whether the kernel chose a part of a filter's handle.
    pub(super) has_chosen_handle: bool,
    pub(super) unreadable: Vec<String>,
}

impl<'a> Object<'a> {
    /// An object with an unknown kind.
    pub(super) fn at(place: Place) -> Self {
        Self {
            place,
            kind: Cow::Borrowed(""),
            handle: Handle::UNSPEC,
            parent: Handle::UNSPEC,
            protocol: 0,
            stab: None,
            blocks: [None; 2],
            more_blocks: Vec::new(),
            target_class: None,
            actions: Vec::new(),
            within: None,
            leads_to: None,
            options: None,
            action: None,
            words: None,
            asked: None,
            change_semantics: ChangeSemantics::USUAL,
            requests: Vec::new(),
            current: None,
        }
    }

    /// Takes over the facts that the options contain.
    pub(super) fn set_options(&mut self, options: &dyn Options) {
        self.more_blocks = options.filter_blocks();
        self.target_class = options.target_class();
        self.actions = options.held_actions();
        self.actions.retain(|(_, index)| *index != 0);
        if let Place::Filter(id) = &self.place {
            let whole = self.current.as_ref().map_or(id.handle, |current| current.handle);
            (self.within, self.leads_to) = (options.within_filter(whole), options.leads_to_filter());
        }
    }

    /// A filter that others can need, as they name it.
    pub(super) fn needed_as(&self) -> Option<Needed> {
        match &self.place {
            Place::Filter(id) => Some((id.on, id.parent, self.kind.clone().into_owned(), id.handle)),
            _ => None,
        }
    }

    /// The filters that this one needs.
    pub(super) fn needed(&self) -> impl Iterator<Item = Needed> + '_ {
        let id = if let Place::Filter(id) = &self.place { Some(id) } else { None };
        let handles = [self.within, self.leads_to].into_iter().flatten();
        let needs = handles.filter_map(move |handle| Some((id?, handle)));
        needs.map(|(id, handle)| (id.on, id.parent, self.kind.clone().into_owned(), handle))
    }

    /// Its place.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The kind's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The handle of a qdisc; unspecified if it is left to the kernel, and for other objects.
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// The parent of a class; a qdisc at the top. Unspecified for other objects.
    pub const fn parent(&self) -> Handle {
        self.parent
    }

    /// The Ethernet protocol of a filter or of a chain's template (`ETH_P_*`), in the machine's byte order.
    pub const fn protocol(&self) -> u16 {
        self.protocol
    }

    /// The size table of a qdisc.
    pub const fn stab(&self) -> Option<&Stab> {
        self.stab.as_ref()
    }

    /// The shared blocks of the ingress and the egress side of a qdisc.
    pub const fn blocks(&self) -> [Option<u32>; 2] {
        self.blocks
    }

    /// The options: of a current object as the kernel reports them, of a wanted one as requested.
    pub fn options(&self) -> Option<&dyn Options> {
        self.options.as_deref()
    }

    /// The items of the options as the kernel reports them, if the kind has words.
    pub const fn words(&self) -> Option<&OptionWords<'static>> {
        self.words.as_ref()
    }

    /// The effect of a change of the kind, and the options that dumps leave out.
    pub const fn change_semantics(&self) -> &ChangeSemantics {
        &self.change_semantics
    }

    /// The kinds and indices of the actions that a filter holds, where the indices are known.
    pub fn held_actions(&self) -> &[(String, u32)] {
        &self.actions
    }

    /// An action that stands by itself.
    pub const fn action(&self) -> Option<&Action> {
        self.action.as_ref()
    }

    /// The dump entry of a current object; of an action that of several.
    pub fn entry(&self) -> Option<&OwnedEntry> {
        self.current.as_ref().map(|current| &current.entry)
    }

    /// The reasons why parts of a current object could not be read.
    pub fn unreadable(&self) -> &[String] {
        self.current.as_ref().map_or(&[], |current| &current.unreadable)
    }

    /// Whether a current object has options that no request can repeat: its kind is not in the registry, or
    /// the options cannot be decoded.
    pub fn is_unknown(&self) -> bool {
        self.words.is_none() && !self.unreadable().is_empty()
    }

    /// Whether this is below the other one, and goes with it.
    pub fn is_below(&self, above: &Object<'_>) -> bool {
        if self.place.device() != above.place.device() {
            return false;
        }
        match (&above.place, &self.place) {
            (Place::Qdisc { parent: Handle::INGRESS, .. }, Place::Filter(FilterId { parent, .. }))
            | (Place::Qdisc { parent: Handle::INGRESS, .. }, Place::Chain(ChainId { parent, .. })) => {
                parent.major() == above.handle.major()
            }
            (Place::Qdisc { .. }, _) => self.below().is_some_and(|major| major == above.handle.major()),
            (Place::Class { handle, .. }, Place::Qdisc { parent, .. }) => parent == handle,
            (Place::Class { handle, .. }, Place::Class { .. }) => self.parent == *handle,
            (Place::Class { handle, .. }, Place::Filter(id)) => id.parent == *handle,
            (Place::Class { handle, .. }, Place::Chain(id)) => id.parent == *handle,
            (Place::Class { .. }, Place::Action { .. }) => false,
            (Place::Filter(_) | Place::Chain(_) | Place::Action { .. }, _) => false,
        }
    }

    /// The kind and index of an action that stands by itself.
    pub(super) fn own_action(&self) -> Option<(String, u32)> {
        match &self.place {
            Place::Action { kind, index } => Some((kind.clone(), *index)),
            _ => None,
        }
    }

    /// The chain that a filter is in.
    pub(super) const fn chain_id(&self) -> Option<ChainId> {
        match &self.place {
            Place::Filter(id) => Some(id.chain_id()),
            _ => None,
        }
    }

    /// The qdisc that it is below, by the major number, if it is below one.
    pub(super) fn below(&self) -> Option<u16> {
        let handle = match &self.place {
            Place::Qdisc { parent: Handle::ROOT | Handle::INGRESS, .. } => return None,
            Place::Qdisc { parent, .. } => *parent,
            Place::Class { handle, .. } => *handle,
            Place::Filter(FilterId { on: On::Device(_), parent, .. })
            | Place::Chain(ChainId { on: On::Device(_), parent, .. }) => *parent,
            Place::Filter(_) | Place::Chain(_) | Place::Action { .. } => return None,
        };
        Some(handle.major()).filter(|major| *major != 0)
    }

    /// The step from the current object to this one. The kernel changes no chain, and every action.
    pub(super) fn difference(&self, there: &Object<'_>) -> Difference {
        match (&self.place, self.difference_of_parts(there)) {
            (Place::Chain(_), Difference::Change { was }) => Difference::Renew { was },
            (Place::Action { .. }, Difference::Renew { was }) => Difference::Change { was },
            (_, difference) => difference,
        }
    }

    fn difference_of_parts(&self, there: &Object<'_>) -> Difference {
        let renew = |was: String| Difference::Renew { was };
        if self.kind != there.kind {
            return renew(there.kind.clone().into_owned());
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
            (None, _) => self.raw_difference(there),
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
            Change::Refused => renew(stab),
            _ => Difference::Change { was: stab },
        }
    }

    /// Options of a kind without words are compared byte by byte.
    fn raw_difference(&self, there: &Object<'_>) -> Difference {
        let payload = there.entry().and_then(|entry| entry.entry().ok()?.options().map(<[u8]>::to_vec));
        let (Some((_, request)), Some(payload)) = (self.requests.last(), payload) else {
            return Difference::None;
        };
        // The request itself is refused where it cannot be put into bytes.
        raw_difference(&request.parts, &payload).unwrap_or(Difference::None)
    }

    /// The options of this object that the current one did not take.
    pub(super) fn not_taken(&self, there: &Object<'_>) -> Vec<String> {
        let none = OptionWords::new();
        match (&self.asked, &self.words) {
            (Some(asked), Some(kept)) => {
                asked.not_taken(kept, there.words.as_ref().unwrap_or(&none), &self.change_semantics)
            }
            _ => Vec::new(),
        }
    }

    /// The request that deletes a current object.
    pub fn deletion(&self) -> Request<'_, Any> {
        let request = self.place.request();
        let handle = self.current.as_ref().map_or(Handle::UNSPEC, |current| current.handle);
        match &self.place {
            Place::Qdisc { parent: Handle::INGRESS, .. } => request.handle(self.handle).kind(&self.kind),
            Place::Qdisc { .. } => request.handle(self.handle),
            Place::Class { .. } | Place::Chain(_) | Place::Action { .. } => request,
            Place::Filter(_) => {
                let request = request.protocol(self.protocol).kind(&self.kind);
                if self.change_semantics.of_priority { request } else { request.handle(handle) }
            }
        }
    }

    /// The requests that make a current object again: the first adds it, the others change it. Empty if its
    /// options are [unknown](Self::is_unknown).
    pub fn requests(&self) -> Vec<Request<'_, Any>> {
        if !self.requests.is_empty() {
            return self.requests.iter().map(|(_, request)| request.clone()).collect();
        }
        if self.is_unknown() {
            return Vec::new();
        }
        if let Some(action) = &self.action {
            return vec![Request::with_actions(Actions::new().with(action.clone())).any()];
        }
        let bare = self.bare_request();
        match &self.options {
            None => vec![bare],
            Some(options) => {
                let requests = options.requests().into_iter();
                requests.map(|options| bare.clone().with_boxed_options(options)).collect()
            }
        }
    }

    /// The request that makes it, without options.
    fn bare_request(&self) -> Request<'_, Any> {
        let mut request = self.place.request().kind(&self.kind);
        match &self.place {
            Place::Qdisc { .. } => request = request.handle(self.handle),
            Place::Class { .. } => request = request.parent(self.parent),
            Place::Filter(id) => request = request.handle(id.handle).protocol(self.protocol),
            Place::Chain(_) => request = request.protocol(self.protocol),
            Place::Action { .. } => {}
        }
        if let Some(stab) = &self.stab {
            request = request.stab(stab);
        }
        let [ingress, egress] = self.blocks;
        if let Some(block) = ingress {
            request = request.ingress_block(block);
        }
        if let Some(block) = egress {
            request = request.egress_block(block);
        }
        request
    }
}

/// The place and the kind, for messages.
impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.kind)
    }
}
