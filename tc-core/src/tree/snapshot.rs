//! The current state: qdiscs, classes, filters, chains and actions that were configured.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::connection::{Connection, Transport};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::Error;
use crate::kind::action::Action;
use crate::kind::{FilterPlace, Options, Stab};
use crate::tree::context::Context;
use crate::tree::object::{Current, Object};
use crate::tree::order::{in_order, sort};
use crate::tree::place::{ChainId, FilterId, On, Place, class_parent, hook};
use crate::wire::handle::Handle;
use crate::wire::message::Entry;
use crate::wire::uapi::{TCA_CHAIN, TCA_EGRESS_BLOCK, TCA_INGRESS_BLOCK, TCA_STAB};
use crate::wire::verb::TcType;

/// The current objects of one device, or of all devices, in an order in which they can be created. That of all
/// devices has the actions that stand by themselves as well.
///
/// Objects that the kernel made itself are left out: qdiscs without a handle, and parts of others.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) objects: Vec<Object<'static>>,
    /// The priorities in use, also those without a filter.
    pub(super) priorities: HashSet<(ChainId, u16)>,
    names: HashMap<i32, String>,
}

/// A place where filters can be.
#[derive(Clone, Copy, Debug)]
struct Hook {
    /// The qdisc, class or hook; unspecified for a shared block.
    parent: Handle,
    /// The list of its filters.
    filters: DumpRequest,
}

impl Snapshot {
    /// Reads the objects of the device with this index, or of all devices.
    ///
    /// Several lists are read. Where other processes can change the objects meanwhile, call it within
    /// [`ChangeWatch::read`](crate::ChangeWatch::read).
    pub fn read<T: Transport>(
        tc: &mut Connection<T>,
        only: Option<i32>,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        let mut read = Read { context, snapshot: Self::default(), filtered: HashSet::new() };
        let select = only.map_or(DumpRequest::qdiscs(), |ifindex| DumpRequest::qdiscs().device(ifindex));
        let mut with_classes = Vec::new();
        for listed in tc.list(&select)? {
            let Ok(entry) = listed.entry() else { continue };
            let (ifindex, handle) = (entry.header.ifindex, entry.header.handle);
            if !handle.is_unspec() {
                if read.has_classes(entry.kind().unwrap_or_default()) {
                    with_classes.push(DumpRequest::classes(ifindex).parent(handle));
                }
                read.add(listed);
            }
        }
        // Kernel: a list of all classes ends early at some qdiscs, such as sfb.
        for select in with_classes {
            for listed in tc.list(&select)? {
                // A qdisc shows itself as a class too: hfsc.
                if listed.entry().is_ok_and(|entry| entry.header.handle.minor() != 0) {
                    read.add(listed);
                }
            }
        }
        for hook in read.hooks() {
            read.add_filters(hook, tc)?;
            read.add_chains(hook, tc)?;
        }
        // Actions are of no device.
        if only.is_none() {
            read.add_actions(tc)?;
        }
        let Self { mut objects, priorities, names } = read.snapshot;
        sort(&mut objects, |ifindex| names.get(&ifindex).map_or("", String::as_str));
        let order = in_order(&objects);
        let mut objects: Vec<_> = objects.into_iter().map(Some).collect();
        let objects = order.into_iter().filter_map(|at| objects[at].take()).collect();
        Ok(Self { objects, priorities, names })
    }

    /// The objects.
    pub fn objects(&self) -> &[Object<'static>] {
        &self.objects
    }

    /// The name of a device of the snapshot, as [lossless](crate::lossless) text.
    pub fn device_name(&self, ifindex: i32) -> Option<&str> {
        self.names.get(&ifindex).map(String::as_str)
    }
}

struct Read<'r, 'c> {
    context: &'r Context<'c>,
    snapshot: Snapshot,
    /// The chains that have filters.
    filtered: HashSet<ChainId>,
}

/// A list, or none where the kernel has no such objects at all.
fn or_none(listed: Result<Vec<OwnedEntry>, Error>) -> Result<Vec<OwnedEntry>, Error> {
    match listed {
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(Vec::new()),
        listed => listed,
    }
}

impl Read<'_, '_> {
    /// Whether a qdisc of this kind can have classes that somebody makes, and not
    /// the qdisc.
    fn has_classes(&self, kind: &str) -> bool {
        let registry = self.context.registry;
        match registry.get(TcType::Class, kind) {
            Some(ops) => !ops.change_semantics().of_qdisc,
            None => registry.get(TcType::Qdisc, kind).is_none(),
        }
    }

    /// The places where filters can be: those of each device, then the shared blocks.
    fn hooks(&self) -> Vec<Hook> {
        let mut parents: BTreeMap<i32, Vec<Handle>> = BTreeMap::new();
        let mut blocks = BTreeSet::new();
        for object in &self.snapshot.objects {
            blocks.extend(object.blocks.iter().flatten().chain(&object.more_blocks));
            let Some(ifindex) = object.place.device() else { continue };
            let parents = parents.entry(ifindex).or_default();
            match &object.place {
                Place::Qdisc { parent: Handle::INGRESS, .. } => {
                    // Filters of a hook with a shared block are in the block.
                    let hooks = self.context.hooks(&object.kind).iter().zip(object.blocks);
                    parents.extend(hooks.filter(|(_, block)| block.is_none()).map(|(hook, _)| *hook));
                }
                Place::Qdisc { .. } => parents.push(object.handle),
                Place::Class { handle, .. } => parents.push(*handle),
                _ => {}
            }
        }
        let of_devices = parents.into_iter().flat_map(|(ifindex, parents)| {
            parents
                .into_iter()
                .map(move |parent| Hook { parent, filters: DumpRequest::filters(ifindex).parent(parent) })
        });
        let of_blocks = blocks
            .into_iter()
            .map(|block| Hook { parent: Handle::UNSPEC, filters: DumpRequest::filters_of_block(block) });
        of_devices.chain(of_blocks).collect()
    }

    fn add_filters<T: Transport>(&mut self, hook: Hook, tc: &mut Connection<T>) -> Result<(), Error> {
        let Hook { parent, filters } = hook;
        // Kernel: filters of hooks and blocks can change without its lock; notices come later.
        let is_hook = matches!(parent, Handle::UNSPEC | Handle::FILTER_INGRESS | Handle::FILTER_EGRESS);
        let listed = if is_hook { tc.list_confirmed(&filters) } else { tc.list(&filters) };
        for listed in or_none(listed)? {
            let Ok(entry) = listed.entry() else { continue };
            let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok()).unwrap_or_default();
            let id = ChainId { on: On::of(&entry.header), parent, chain };
            self.snapshot.priorities.insert((id, entry.priority()));
            // The priority is listed as well, without a filter.
            if entry.options().is_some() || !entry.header.handle.is_unspec() {
                self.add(listed);
            }
        }
        Ok(())
    }

    /// Chains that have a template, and chains without a filter: filters make neither.
    fn add_chains<T: Transport>(&mut self, hook: Hook, tc: &mut Connection<T>) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for listed in or_none(tc.list(&hook.filters.chains()))? {
            let Ok(entry) = listed.entry() else { continue };
            let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok()).unwrap_or_default();
            // Kernel: of a device's hooks it reports only the qdisc.
            let id = ChainId { on: On::of(&entry.header), parent: hook.parent, chain };
            // Kernel: a list that leaves out a chain that only actions hold has the last chain twice (6.1).
            if !seen.insert(chain) {
                continue;
            }
            // Chain 0 comes with its block.
            if entry.kind().is_err() && (chain == 0 || self.filtered.contains(&id)) {
                continue;
            }
            if let Some(mut object) = self.object(&entry, listed.clone()) {
                object.place = Place::Chain(id);
                self.snapshot.objects.push(object);
            }
        }
        Ok(())
    }

    /// Actions that stand by themselves: filters make others, and take them along.
    fn add_actions<T: Transport>(&mut self, tc: &mut Connection<T>) -> Result<(), Error> {
        let objects = &self.snapshot.objects;
        let held: HashSet<(String, u32)> =
            objects.iter().flat_map(|object| object.actions.iter().cloned()).collect();
        let registered = self.context.registry.iter().map(|entry| entry.ops());
        let kinds: BTreeSet<&str> =
            registered.filter(|ops| ops.tc_type() == TcType::Action).map(|ops| ops.kind()).collect();
        // The kernel lists one kind at a time.
        for kind in kinds {
            for listed in or_none(tc.list(&DumpRequest::actions(kind)))? {
                let Ok(actions) = listed.entry().and_then(|entry| entry.actions()) else { continue };
                for action in actions.resolved(self.context.registry).iter() {
                    let index = action.own_index();
                    let is_held = || held.contains(&(kind.to_owned(), index));
                    if action.stands_alone().unwrap_or_else(|| !is_held()) {
                        let place = Place::Action { kind: kind.to_owned(), index };
                        self.snapshot.objects.push(self.action(action, place, listed.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    fn action(&self, action: &Action, place: Place, owned: OwnedEntry) -> Object<'static> {
        let mut object = Object::at(place);
        object.kind = Cow::Owned(action.kind().to_owned());
        let unreadable = action.raw_options().map(|_| "its options cannot be read".to_owned());
        if unreadable.is_none() {
            object.words = Some(self.context.action_words(action));
        }
        object.action = Some(action.clone());
        object.current = Some(Current {
            entry: owned,
            handle: Handle::UNSPEC,
            has_chosen_handle: false,
            unreadable: unreadable.into_iter().collect(),
        });
        object
    }

    fn add(&mut self, listed: OwnedEntry) {
        let Ok(entry) = listed.entry() else { return };
        let ifindex = entry.header.ifindex;
        if entry.block().is_none() && !self.snapshot.names.contains_key(&ifindex) {
            self.snapshot.names.insert(ifindex, self.context.device_name(ifindex));
        }
        if let Some(object) = self.object(&entry, listed.clone()) {
            if let Place::Filter(id) = &object.place {
                self.filtered.insert(id.chain_id());
            }
            self.snapshot.objects.push(object);
        }
    }

    /// The object of an entry, unless it comes and goes with another one.
    fn object(&self, entry: &Entry<'_>, owned: OwnedEntry) -> Option<Object<'static>> {
        let (header, tc_type) = (&entry.header, entry.tc_type());
        let number = |kind: u16| entry.attr(kind).and_then(|attr| attr.u32().ok());
        let kind = entry.kind().unwrap_or_default();
        let place = match tc_type {
            TcType::Class => Place::Class { ifindex: header.ifindex, handle: header.handle },
            TcType::Filter => Place::Filter(FilterId {
                on: On::of(header),
                parent: if entry.block().is_some() { Handle::UNSPEC } else { hook(header.parent) },
                chain: number(TCA_CHAIN).unwrap_or_default(),
                priority: entry.priority(),
                handle: header.handle,
            }),
            _ => Place::Qdisc { ifindex: header.ifindex, parent: header.parent },
        };
        let mut current =
            Current { entry: owned, handle: header.handle, has_chosen_handle: false, unreadable: Vec::new() };
        let mut object = Object::at(place);
        let ops = self.context.registry.get(tc_type, kind);
        let options = match (ops, entry.options()) {
            (_, None) => None,
            (Some(ops), Some(payload)) => {
                ops.msg_parse(payload).map_err(|error| current.unreadable.push(error.to_string())).ok()
            }
            (None, Some(_)) => {
                current.unreadable.push(format!("{tc_type} \"{kind}\" is not known here"));
                None
            }
        };
        if let Some((options, ops)) = options.as_deref().zip(ops) {
            let mut filter_place = FilterPlace::of(entry);
            filter_place.protocol = filter_place.protocol.or(options.template_protocol());
            if ops.is_implicit_at(options, &filter_place) {
                return None;
            }
            let word = ops.handle_word_at(options, &filter_place);
            if let Place::Filter(id) = &mut object.place {
                // A part that the kernel chooses, or that the kind computes, is no part of a description.
                if !word.is_empty() {
                    id.handle = ops.parse_handle(&word).unwrap_or(header.handle);
                }
                current.has_chosen_handle = word.is_empty() || id.handle != header.handle;
                filter_place.handle_word = Some(&*word).filter(|word| !word.is_empty());
            }
            object.words = Some(self.context.words(options, ops, &filter_place));
        }
        let stab = entry.attr(TCA_STAB).map(|attr| Stab::decode(&attr));
        object.stab =
            stab.and_then(|stab| stab.map_err(|error| current.unreadable.push(error.to_string())).ok());
        match tc_type {
            TcType::Class => object.parent = class_parent(header.parent, header.handle),
            TcType::Filter => {
                let template = || options.as_deref().and_then(Options::template_protocol);
                object.protocol = match entry.protocol() {
                    0 => template().unwrap_or_default(),
                    protocol => protocol,
                };
            }
            _ => object.handle = header.handle,
        }
        object.blocks = [number(TCA_INGRESS_BLOCK), number(TCA_EGRESS_BLOCK)];
        object.kind = Cow::Owned(kind.to_owned());
        object.current = Some(current);
        if let Some(options) = &options {
            object.set_options(&**options);
        }
        object.options = options.map(Arc::from);
        object.change_semantics = ops.map_or(object.change_semantics, |ops| *ops.change_semantics());
        Some(object)
    }
}
