//! The current state: qdiscs, classes and filters that were configured.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use tc_core::link::DeviceNames;
use tc_core::lossless::to_text;
use tc_core::message::Entry;
use tc_core::uapi::{TCA_CHAIN, TCA_EGRESS_BLOCK, TCA_INGRESS_BLOCK, TCA_STAB, TCA_STATS2};
use tc_core::words::{Environment, Words, WordsContext};
use tc_core::{
    ChangeSemantics, Connection, DumpRequest, Handle, OptionWords, Options, Registry, Stab, TcOps, TcType,
    Transport, Verb,
};

use super::object::{FilterPlace, Object, On, Place, hook, in_order, indexed_actions, sort};
use crate::context::failure::Failure;
use tc_core::protocol;

/// All of it, in the order in which it can be made.
#[derive(Debug, Default)]
pub(super) struct Snapshot<'n> {
    pub(super) objects: Vec<Object<'n>>,
    /// Objects that words express incompletely, with reasons.
    pub(super) lost: HashMap<Place, Lost>,
    /// Objects of which the kernel reports nothing.
    pub(super) noted: HashSet<Place>,
    /// Where filters can be: the parent, unless it is a block, and how they are asked for.
    pub(super) hooks: Vec<(Handle, DumpRequest)>,
}

impl<'n> Snapshot<'n> {
    /// Objects of unknown kinds.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &Place> {
        let is_lost =
            |object: &Object<'n>| self.lost.get(&object.place).is_some_and(|lost| !lost.is_beside());
        let unknown = move |object: &&Object<'n>| object.words.is_none() && is_lost(object);
        self.objects.iter().filter(unknown).map(|object| &object.place)
    }

    /// An object and what is lost of it.
    pub(super) fn describe_lost(&self, object: &Object<'n>) -> String {
        let why = self.lost.get(&object.place).map(Lost::to_string).unwrap_or_default();
        format!("{}: {why}", describe(object))
    }
}

/// An object in words, for people.
pub(super) fn describe(object: &Object<'_>) -> String {
    match object.handle.is_unspec() {
        true => format!("{} {}", object.place, object.kind),
        false => format!("{} handle {} {}", object.place, object.handle, object.kind),
    }
}

/// The lost parts of an object.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Why its commands would make something else.
    why: Vec<String>,
    /// Its other parts.
    beside: Option<&'static str>,
}

impl Lost {
    /// Whether the commands are good, as far as they go.
    pub(super) const fn is_beside(&self) -> bool {
        self.why.is_empty()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.iter().map(String::as_str).chain(self.beside);
        f.write_str(&why.collect::<Vec<_>>().join("; "))
    }
}

/// The context of a reading.
pub(super) struct Reader<'r, 'n> {
    pub(super) registry: &'static Registry,
    pub(super) names: &'n dyn DeviceNames,
    pub(super) environment: &'r dyn Environment,
}

impl<'n> Reader<'_, 'n> {
    /// Reads the objects of one device, or of all. Objects that the kernel made itself
    /// are left out: qdiscs without a handle, and parts of others.
    pub(super) fn read<T: Transport>(
        &self,
        only: Option<i32>,
        tc: &mut Connection<T>,
    ) -> Result<Snapshot<'n>, Failure> {
        let mut snapshot = Snapshot::default();
        let select = only.map_or(DumpRequest::qdiscs(), |ifindex| DumpRequest::qdiscs().device(ifindex));
        let mut devices = BTreeSet::new();
        let mut with_classes = Vec::new();
        for listed in tc.list(&select).map_err(Failure::List)? {
            let Ok(entry) = listed.entry() else { continue };
            let (ifindex, handle) = (entry.header.ifindex, entry.header.handle);
            if !handle.is_unspec() {
                devices.insert(ifindex);
                self.add(&entry, &mut snapshot);
                if self.has_classes(entry.kind().unwrap_or_default()) {
                    with_classes.push(DumpRequest::classes(ifindex).parent(handle));
                }
            }
        }
        // Kernel: a list of all classes ends early at some qdiscs, such as sfb.
        for select in with_classes {
            for listed in tc.list(&select).map_err(Failure::List)? {
                let Ok(entry) = listed.entry() else { continue };
                // A qdisc shows itself as a class too: hfsc.
                if entry.header.handle.minor() != 0 {
                    self.add(&entry, &mut snapshot);
                }
            }
        }
        for ifindex in devices {
            self.read_filters(ifindex, tc, &mut snapshot)?;
        }
        let objects = &snapshot.objects;
        let named =
            objects.iter().flat_map(|object| object.blocks.iter().flatten().chain(&object.more_blocks));
        let blocks: BTreeSet<u32> = named.copied().collect();
        for block in blocks {
            self.add_filters(Handle::UNSPEC, &DumpRequest::filters_of_block(block), tc, &mut snapshot)?;
        }
        sort(&mut snapshot.objects);
        snapshot.objects = in_order(snapshot.objects);
        Ok(snapshot)
    }

    /// Whether a qdisc of this kind can have classes that somebody makes, and not
    /// the qdisc.
    fn has_classes(&self, kind: &str) -> bool {
        match self.registry.get(TcType::Class, kind) {
            Some(ops) => !ops.change_semantics().of_qdisc,
            None => self.registry.get(TcType::Qdisc, kind).is_none(),
        }
    }

    fn read_filters<T: Transport>(
        &self,
        ifindex: i32,
        tc: &mut Connection<T>,
        snapshot: &mut Snapshot<'n>,
    ) -> Result<(), Failure> {
        let dev = self.name(ifindex);
        let mut parents = Vec::new();
        for object in snapshot.objects.iter().filter(|object| object.place.dev() == Some(&dev)) {
            match &object.place {
                Place::Qdisc { parent: Handle::INGRESS, .. } => {
                    let hooks = [Handle::FILTER_INGRESS, Handle::FILTER_EGRESS];
                    let hooks = hooks.into_iter().zip(object.blocks);
                    let own = hooks.filter(|(hook, block)| {
                        block.is_none() && (*hook == Handle::FILTER_INGRESS || object.kind == "clsact")
                    });
                    parents.extend(own.map(|(hook, _)| hook));
                }
                Place::Qdisc { .. } => parents.push(object.handle),
                Place::Class { handle, .. } => parents.push(*handle),
                Place::Filter(_) => {}
            }
        }
        parents.into_iter().try_for_each(|parent| {
            self.add_filters(parent, &DumpRequest::filters(ifindex).parent(parent), tc, snapshot)
        })
    }

    fn add_filters<T: Transport>(
        &self,
        parent: Handle,
        select: &DumpRequest,
        tc: &mut Connection<T>,
        snapshot: &mut Snapshot<'n>,
    ) -> Result<(), Failure> {
        snapshot.hooks.push((parent, *select));
        // Kernel: filters of hooks and blocks can change without its lock; notices come later.
        let is_hook = matches!(parent, Handle::UNSPEC | Handle::FILTER_INGRESS | Handle::FILTER_EGRESS);
        let listed = match if is_hook { tc.list_confirmed(select) } else { tc.list(select) } {
            Ok(listed) => listed,
            // Kernel: the reply if there are no filters at all.
            Err(error) if error.is_not_found() || error.is_unsupported() => return Ok(()),
            Err(error) => return Err(Failure::List(error)),
        };
        for listed in listed {
            let Ok(entry) = listed.entry() else { continue };
            // The priority is listed as well, without a filter.
            if entry.options().is_some() || !entry.header.handle.is_unspec() {
                self.add(&entry, snapshot);
            }
        }
        Ok(())
    }

    pub(super) fn name(&self, ifindex: i32) -> String {
        let name = self.names.device_name(ifindex);
        name.map_or_else(|_| format!("if{ifindex}"), |name| to_text(name.as_bytes()).into_owned())
    }

    fn add(&self, entry: &Entry<'_>, snapshot: &mut Snapshot<'n>) {
        let (header, tc_type) = (&entry.header, entry.tc_type());
        let number = |kind: u16| entry.attr(kind).and_then(|attr| attr.u32().ok());
        let kind = entry.kind().unwrap_or_default().to_owned();
        let dev = self.name(header.ifindex);
        let mut lost = Vec::new();
        if dev.contains(['#', '\'', '"', '\\']) {
            lost.push("a batch cannot name the device".to_owned());
        }
        let mut place = match tc_type {
            TcType::Class => Place::Class { dev, handle: header.handle },
            TcType::Filter => Place::Filter(FilterPlace {
                on: entry.block().map_or(On::Dev(dev), On::Block),
                parent: if entry.block().is_some() { Handle::UNSPEC } else { hook(header.parent) },
                chain: number(TCA_CHAIN).unwrap_or_default(),
                priority: entry.priority(),
                handle: header.handle,
            }),
            _ => Place::Qdisc { dev, parent: header.parent },
        };
        let ops = self.registry.get(tc_type, &kind);
        let options = match (ops, entry.options()) {
            (_, None) => None,
            (Some(ops), Some(payload)) => {
                ops.msg_parse(payload).map_err(|error| lost.push(error.to_string())).ok()
            }
            (None, Some(_)) => {
                lost.push(format!("{tc_type} \"{kind}\" is not known here"));
                None
            }
        };
        let mut filter_place = tc_core::FilterPlace::of(entry);
        let known = options.as_deref().zip(ops);
        if known.is_some_and(|(options, ops)| ops.is_implicit_at(options, &filter_place)) {
            return;
        }
        let handle_word = known.map(|(options, ops)| ops.handle_word_at(options, &filter_place));
        let mut own_handle = None;
        if let (Place::Filter(place), Some((word, (_, ops)))) =
            (&mut place, handle_word.as_deref().filter(|word| !word.is_empty()).zip(known))
        {
            // A part that the kernel chooses is no part of a description.
            let described = ops.parse_handle(word).unwrap_or(header.handle);
            if described != header.handle {
                own_handle = Some(ops.write_handle(header.handle));
                place.handle = described;
            }
            filter_place.handle_word = Some(word);
        }
        if let (Some(""), Some((_, ops))) = (handle_word.as_deref(), known) {
            // The kind computes it from the options.
            own_handle = Some(ops.write_handle(header.handle));
        }
        let words = options.as_deref().zip(ops);
        let words = words.map(|(options, ops)| self.words(options, ops, &filter_place));
        let stab = entry.attr(TCA_STAB).map(|attr| Stab::decode(&attr));
        let stab = stab.and_then(|stab| stab.map_err(|error| lost.push(error.to_string())).ok());
        let is_class = tc_type == TcType::Class;
        let mut object = Object {
            kind,
            handle: if is_class || tc_type == TcType::Filter { Handle::UNSPEC } else { header.handle },
            parent: if is_class { class_parent(header.parent, header.handle) } else { Handle::UNSPEC },
            protocol: if tc_type == TcType::Filter { entry.protocol() } else { 0 },
            stab,
            blocks: [number(TCA_INGRESS_BLOCK), number(TCA_EGRESS_BLOCK)],
            more_blocks: options.as_deref().map(Options::filter_blocks).unwrap_or_default(),
            target_class: options.as_deref().and_then(Options::target_class),
            actions: options.as_deref().map(indexed_actions).unwrap_or_default(),
            words,
            asked: None,
            change_semantics: ops.map_or(ChangeSemantics::USUAL, |ops| *ops.change_semantics()),
            lines: Vec::new(),
            own_handle,
            place,
        };
        object.lines = lines(&object, handle_word.as_deref(), header.handle, &mut lost);
        if let Some(ops) = ops {
            lost.extend(self.check(&object, ops, &filter_place));
        }
        let estimator = "the kernel does not tell the times of its estimator";
        let lost = Lost { why: lost, beside: has_estimator(entry).then_some(estimator) };
        if !lost.is_beside() || lost.beside.is_some() {
            snapshot.lost.insert(object.place.clone(), lost);
        }
        if object.words.is_none() && !object.change_semantics.not_dumped.is_empty() {
            snapshot.noted.insert(object.place.clone());
        }
        snapshot.objects.push(object);
    }

    pub(super) fn words(
        &self,
        options: &dyn Options,
        ops: &dyn TcOps,
        place: &tc_core::FilterPlace<'_>,
    ) -> OptionWords<'n> {
        let mut words = OptionWords::with_names(self.names);
        ops.to_words_at(options, place, &mut words);
        words
    }

    /// Reads the words back, and returns the reasons why they do not describe
    /// the object.
    fn check(&self, object: &Object<'n>, ops: &dyn TcOps, place: &tc_core::FilterPlace<'_>) -> Vec<String> {
        let Some(words) = &object.words else { return Vec::new() };
        if !words.unsayable().is_empty() {
            return words.unsayable().iter().map(|what| format!("there are no words for {what}")).collect();
        }
        let mut again = OptionWords::with_names(self.names);
        for (number, line) in words.lines().iter().enumerate() {
            let verb = if number == 0 { Verb::Add } else { Verb::Change };
            let line = match crate::batch::split(line) {
                Ok(line) => line,
                Err(failure) => return vec![failure.to_string()],
            };
            let context =
                WordsContext { verb, dev: object.place.dev(), environment: &Silent(self.environment) };
            match ops.parse_words_at(&mut Words::new(&line), &context, place) {
                Ok((Some(options), _)) => {
                    again.amend(&self.words(&*options.as_dumped(self.environment), ops, place));
                }
                Ok((None, _)) => {}
                Err(error) => {
                    // A comment has one line.
                    let error = error.to_string();
                    let error = error.lines().next().unwrap_or_default();
                    return vec![format!("tc does not take {:?}: {error}", line.join(" "))];
                }
            }
        }
        let none = tc_core::Difference::None;
        let usual = &ChangeSemantics::USUAL;
        match words.difference(&again, usual) == none && again.difference(words, usual) == none {
            true => Vec::new(),
            false => vec![format!("tc takes {:?} for something else", words.lines().join(" "))],
        }
    }
}

/// A machine without warnings: the words are our own export.
#[derive(Debug)]
struct Silent<'r>(&'r dyn Environment);

impl Environment for Silent<'_> {
    fn psched_hz(&self) -> u32 {
        self.0.psched_hz()
    }

    fn timer_hz(&self) -> u32 {
        self.0.timer_hz()
    }

    fn ifindex(&self, dev: &str) -> Result<i32, String> {
        self.0.ifindex(dev)
    }

    fn realm(&self, name: &str) -> Option<u8> {
        self.0.realm(name)
    }

    fn ipset_index(&self, name: &str) -> Result<u16, String> {
        self.0.ipset_index(name)
    }
}

/// A class at the top has the root or its qdisc as its parent.
pub(super) fn class_parent(parent: Handle, class: Handle) -> Handle {
    match parent {
        Handle::ROOT | Handle::UNSPEC => class.qdisc_of(),
        parent if parent.major() == 0 => Handle::class(class.major(), parent.minor()),
        parent => parent,
    }
}

/// `TCA_STATS_RATE_EST`.
const RATE_EST: u16 = 2;

fn has_estimator(entry: &Entry<'_>) -> bool {
    entry.attr(TCA_STATS2).is_some_and(|stats| matches!(stats.attrs().find(RATE_EST), Ok(Some(_))))
}

/// The commands, without their verbs.
fn lines(
    object: &Object<'_>,
    handle_word: Option<&str>,
    handle: Handle,
    lost: &mut Vec<String>,
) -> Vec<Vec<String>> {
    let mut head = vec![object.place.tc_type().name().to_owned()];
    head.extend(object.place.words(handle));
    let mut say = |words: String| head.extend(words.split_whitespace().map(str::to_owned));
    match &object.place {
        Place::Class { .. } => say(format!("parent {}", object.parent)),
        Place::Filter(place) => {
            say(format!("protocol {}", protocol::word(object.protocol)));
            match handle_word {
                Some("") => {}
                Some(word) => say(format!("handle {word}")),
                None => say(format!("handle {:#x}", place.handle.raw())),
            }
        }
        Place::Qdisc { .. } => {}
    }
    if let Some(stab) = &object.stab {
        match stab.words() {
            Some(words) => say(format!("stab {words}")),
            None => lost.push("there is no word for the link layer of its stab".to_owned()),
        }
    }
    for (name, block) in [("ingress_block", object.blocks[0]), ("egress_block", object.blocks[1])] {
        if let Some(block) = block {
            say(format!("{name} {block}"));
        }
    }
    head.push(object.kind.clone());
    let words = object.words.as_ref().map_or(vec![String::new()], OptionWords::lines);
    let line = |words: &String| {
        let mut line = head.clone();
        match crate::batch::split(words) {
            Ok(words) => line.extend(words.into_iter().map(str::to_owned)),
            Err(_) => line.extend(words.split_whitespace().map(str::to_owned)),
        }
        line
    };
    words.iter().map(line).collect()
}
