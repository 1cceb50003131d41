//! Objects as words: their places, the commands that make and delete them, and the parts that no words express.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use tc_core::link::DeviceNames;
use tc_core::message::Entry;
use tc_core::tree::{ChainId, Context, FilterId, LeftOut, Object, On, Place, Snapshot, Step};
use tc_core::uapi::TCA_STATS2;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Action, Actions, ChangeSemantics, Difference, FilterPlace, Handle, OptionWords, Registry, TcOps, Verb,
    protocol,
};

use crate::batch;
use crate::context::failure::Failure;

/// The context of a reading.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r> {
    pub(super) registry: &'static Registry,
    pub(super) names: &'r dyn DeviceNames,
    pub(super) environment: &'r dyn Environment,
}

impl<'r> Reader<'r> {
    pub(super) fn context(&self) -> Result<Context<'r>, Failure> {
        Ok(Context::new(self.names)?.registry(self.registry).environment(self.environment))
    }
}

/// Names of devices by index.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<i32, String>);

impl Names {
    /// The names of a snapshot.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut names = Self::default();
        names.learn(snapshot);
        names
    }

    /// Takes over the names of a snapshot.
    pub(super) fn learn(&mut self, snapshot: &Snapshot) {
        for ifindex in snapshot.objects().iter().filter_map(|object| object.place().device()) {
            if let Some(name) = snapshot.device_name(ifindex) {
                self.0.insert(ifindex, name.to_owned());
            }
        }
    }

    pub(super) fn insert(&mut self, ifindex: i32, name: &str) {
        self.0.insert(ifindex, name.to_owned());
    }

    pub(super) fn name(&self, ifindex: i32) -> Cow<'_, str> {
        self.0.get(&ifindex).map_or_else(|| format!("if{ifindex}").into(), |name| name.into())
    }

    /// The words of a place, as a request needs them. The kind determines the place of an ingress qdisc.
    pub(super) fn place(&self, place: &Place, handle: Handle) -> Vec<String> {
        let words = match place {
            Place::Qdisc { ifindex, parent: Handle::INGRESS } => format!("dev {}", self.name(*ifindex)),
            Place::Qdisc { ifindex, parent } => {
                let (dev, parent) = (self.name(*ifindex), parent_words(*parent));
                match handle.is_unspec() {
                    true => format!("dev {dev} {parent}"),
                    false => format!("dev {dev} {parent} handle {handle}"),
                }
            }
            Place::Class { ifindex, handle } => format!("dev {} classid {handle}", self.name(*ifindex)),
            Place::Filter(FilterId { on, parent, chain, priority, .. }) => {
                let chain = if *chain == 0 { String::new() } else { format!("chain {chain}") };
                format!("{} pref {priority} {chain}", self.on(*on, *parent))
            }
            Place::Chain(ChainId { on, parent, chain }) => {
                format!("{} chain {chain}", self.on(*on, *parent))
            }
            Place::Action { kind, index } => format!("{kind} index {index}"),
            place => place.to_string(),
        };
        words.split_whitespace().map(str::to_owned).collect()
    }

    /// `dev DEV PARENT` or `block N`.
    fn on(&self, on: On, parent: Handle) -> String {
        match on {
            On::Block(block) => format!("block {block}"),
            On::Device(ifindex) => format!("dev {} {}", self.name(ifindex), parent_words(parent)),
        }
    }

    /// The type and the place.
    pub(super) fn title(&self, place: &Place) -> String {
        format!("{} {}", place.name(), self.place(place, Handle::UNSPEC).join(" "))
    }

    /// An object in words, for people.
    pub(super) fn describe(&self, object: &Object<'_>) -> String {
        let title = self.title(object.place());
        if object.kind().is_empty() || matches!(object.place(), Place::Action { .. }) {
            return title;
        }
        match object.handle().is_unspec() {
            true => format!("{title} {}", object.kind()),
            false => format!("{title} handle {} {}", object.handle(), object.kind()),
        }
    }

    /// An object that is left out, as in its mark.
    pub(super) fn left_out(&self, left_out: &LeftOut) -> String {
        match left_out {
            // A command has it in the kind.
            LeftOut::Object(Place::Qdisc { ifindex, parent: Handle::INGRESS }) => {
                format!("qdisc dev {} ingress", self.name(*ifindex))
            }
            LeftOut::Object(place @ Place::Filter(FilterId { handle, .. })) => {
                format!("{} handle {:#x}", self.title(place), handle.raw())
            }
            left_out => self.title(&left_out.place()),
        }
    }
}

/// `root`, `ingress`, `egress` or `parent H`.
fn parent_words(parent: Handle) -> String {
    match parent {
        Handle::ROOT => "root".into(),
        Handle::FILTER_INGRESS => "ingress".into(),
        Handle::FILTER_EGRESS => "egress".into(),
        parent => format!("parent {parent}"),
    }
}

/// A command as the line of a batch.
pub(super) fn command(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A line of words with its verb, which comes second.
pub(super) fn with_verb(verb: &str, line: &[String]) -> Vec<String> {
    let mut words = line.to_vec();
    words.insert(words.len().min(1), verb.to_owned());
    words
}

/// A word in quotes, if a batch would read it as other words without them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_one = !word.is_empty() && !word.starts_with(['\'', '"']) && !word.contains(char::is_whitespace);
    match (is_one, word.contains('\'')) {
        (true, _) => word.into(),
        (false, false) => format!("'{word}'").into(),
        (false, true) => format!("\"{word}\"").into(),
    }
}

/// The words for a current object.
#[derive(Debug)]
pub(super) struct Worded {
    /// The commands that make it, without their verbs.
    pub(super) lines: Vec<Vec<String>>,
    pub(super) lost: Lost,
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

    /// Whether no part is lost.
    pub(super) const fn is_empty(&self) -> bool {
        self.why.is_empty() && self.beside.is_none()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.iter().map(String::as_str).chain(self.beside);
        f.write_str(&why.collect::<Vec<_>>().join("; "))
    }
}

/// A filter's handle in words.
#[derive(Default)]
struct HandleWords {
    /// In a command that makes the filter. `None`: as a number; empty: the kind computes it from the options.
    described: Option<String>,
    /// The whole handle, if that differs.
    own: Option<String>,
}

impl Reader<'_> {
    /// The words for a current object, read back to see whether they describe it.
    pub(super) fn worded(&self, object: &Object<'_>, names: &Names) -> Worded {
        let mut lost = Vec::new();
        let name = object.place().device().map(|ifindex| names.name(ifindex));
        if name.is_some_and(|name| name.contains(['#', '\'', '"', '\\'])) {
            lost.push("a batch cannot name the device".to_owned());
        }
        lost.extend(object.unreadable().iter().cloned());
        if let Some(action) = object.action() {
            return self.worded_action(action, object, lost);
        }
        let handle = self.handle_words(object);
        let lines = lines(object, names, handle.described.as_deref(), &mut lost);
        if let Some(ops) = self.ops(object) {
            lost.extend(self.check(object, ops, names, handle.described.as_deref()));
        }
        let estimator = "the kernel does not tell the times of its estimator";
        let entry = object.entry().and_then(|entry| entry.entry().ok());
        let has_estimator = entry.is_some_and(|entry| has_estimator(&entry));
        Worded { lines, lost: Lost { why: lost, beside: has_estimator.then_some(estimator) } }
    }

    /// The words for an action that stands by itself.
    fn worded_action(&self, action: &Action, object: &Object<'_>, mut lost: Vec<String>) -> Worded {
        let Some(words) = object.words() else {
            return Worded { lines: Vec::new(), lost: Lost { why: lost, beside: None } };
        };
        lost.extend(words.unsayable().iter().map(|what| format!("there are no words for {what}")));
        let line = words.lines().join(" ");
        let line = batch::split(&line).unwrap_or_else(|_| line.split_whitespace().collect());
        if lost.is_empty() {
            let context = WordsContext { verb: Verb::Add, dev: None, environment: &Silent(self.environment) };
            match Actions::parse_words(&mut Words::new(&line), &context) {
                Ok(read) => {
                    let mut again = OptionWords::with_names(self.names);
                    read.as_dumped(self.environment).to_words(&mut again);
                    lost.extend(differs(words, &again));
                }
                Err(error) => lost.push(not_taken(&line, &error)),
            }
        }
        if action.own_index() == 0 {
            lost.push("its index is not known".to_owned());
        }
        let line = std::iter::once("actions").chain(line).map(str::to_owned).collect();
        Worded { lines: vec![line], lost: Lost { why: lost, beside: None } }
    }

    fn ops(&self, object: &Object<'_>) -> Option<&'static dyn TcOps> {
        self.registry.get(object.place().tc_type(), object.kind())
    }

    fn handle_words(&self, object: &Object<'_>) -> HandleWords {
        let entry = object.entry().and_then(|entry| entry.entry().ok());
        let (Some(entry), Some(options), Some(ops)) = (entry, object.options(), self.ops(object)) else {
            return HandleWords::default();
        };
        let word = ops.handle_word_at(options, &FilterPlace::of(&entry));
        let handle = entry.header.handle;
        let is_whole = !word.is_empty() && ops.parse_handle(&word).unwrap_or(handle) == handle;
        HandleWords { own: (!is_whole).then(|| ops.write_handle(handle)), described: Some(word) }
    }

    /// Reads the words back, and returns the reasons why they do not describe
    /// the object.
    fn check(
        &self,
        object: &Object<'_>,
        ops: &dyn TcOps,
        names: &Names,
        handle: Option<&str>,
    ) -> Vec<String> {
        let (Some(words), Some(entry)) = (object.words(), object.entry()) else { return Vec::new() };
        let Ok(entry) = entry.entry() else { return Vec::new() };
        if !words.unsayable().is_empty() {
            return words.unsayable().iter().map(|what| format!("there are no words for {what}")).collect();
        }
        let mut place = FilterPlace::of(&entry);
        place.protocol = Some(object.protocol()).filter(|protocol| *protocol != 0);
        place.handle_word =
            handle.filter(|word| !word.is_empty() && matches!(object.place(), Place::Filter(_)));
        let dev = object.place().device().map(|ifindex| names.name(ifindex));
        let mut again = OptionWords::with_names(self.names);
        for (number, line) in words.lines().iter().enumerate() {
            let verb = if number == 0 { Verb::Add } else { Verb::Change };
            let line = match batch::split(line) {
                Ok(line) => line,
                Err(failure) => return vec![failure.to_string()],
            };
            let context = WordsContext { verb, dev: dev.as_deref(), environment: &Silent(self.environment) };
            match ops.parse_words_at(&mut Words::new(&line), &context, &place) {
                Ok((Some(options), _)) => {
                    let mut read = OptionWords::with_names(self.names);
                    ops.to_words_at(&*options.as_dumped(self.environment), &place, &mut read);
                    again.amend(&read);
                }
                Ok((None, _)) => {}
                Err(error) => return vec![not_taken(&line, &error)],
            }
        }
        differs(words, &again).into_iter().collect()
    }

    /// The words of the command that adds or deletes a stand-in for a filter, without the verb.
    pub(super) fn stand_in(&self, step: &Step<'_>, priority: u16, names: &Names) -> Vec<String> {
        let object = step.object;
        let Place::Filter(id) = object.place() else { return Vec::new() };
        let id = FilterId { priority, ..id.clone() };
        let mut place = FilterPlace::default();
        (place.handle, place.protocol) = (id.handle, Some(object.protocol()));
        let mut words = vec!["filter".to_owned()];
        words.extend(names.place(&Place::Filter(id), Handle::UNSPEC));
        words.extend(["protocol".to_owned(), protocol::word(object.protocol()).to_string()]);
        let add = object.options().zip(self.ops(object)).filter(|_| step.verb == Verb::Add);
        if let Some((options, ops)) = add {
            let handle = ops.handle_word_at(options, &place);
            if !place.handle.is_unspec() && !handle.is_empty() {
                words.extend(["handle".to_owned(), handle]);
            }
        }
        words.push(object.kind().to_owned());
        if let Some((options, ops)) = add {
            let mut said = OptionWords::with_names(self.names);
            ops.to_words_at(options, &place, &mut said);
            let line = said.lines().join(" ");
            let line = batch::split(&line).unwrap_or_else(|_| line.split_whitespace().collect());
            words.extend(line.into_iter().map(str::to_owned));
        }
        words
    }

    /// The words of the command that deletes a current object, without the verb.
    pub(super) fn deletion(&self, object: &Object<'_>, names: &Names) -> Vec<String> {
        if let Place::Action { kind, index } = object.place() {
            return ["actions", "action", kind, "index", &index.to_string()].map(str::to_owned).to_vec();
        }
        let mut words = vec![object.place().name().to_owned()];
        words.extend(names.place(object.place(), object.handle()));
        match object.place() {
            Place::Qdisc { parent: Handle::INGRESS, .. } => words.push(object.kind().to_owned()),
            Place::Filter(id) => {
                words.extend(["protocol".to_owned(), protocol::word(object.protocol()).to_string()]);
                let handle = self.handle_words(object);
                let handle =
                    handle.own.or(handle.described).unwrap_or_else(|| format!("{:#x}", id.handle.raw()));
                if !object.change_semantics().of_priority {
                    words.extend(["handle".to_owned(), handle]);
                }
                words.push(object.kind().to_owned());
            }
            _ => {}
        }
        words
    }
}

fn not_taken(line: &[&str], error: &WordError) -> String {
    // A comment has one line.
    let error = error.to_string();
    let error = error.lines().next().unwrap_or_default();
    format!("tc does not take {:?}: {error}", line.join(" "))
}

/// Whether words that were read back mean something else.
fn differs(words: &OptionWords<'_>, again: &OptionWords<'_>) -> Option<String> {
    let none = Difference::None;
    let usual = &ChangeSemantics::USUAL;
    let is_same = words.difference(again, usual) == none && again.difference(words, usual) == none;
    (!is_same).then(|| format!("tc takes {:?} for something else", words.lines().join(" ")))
}

/// A machine without warnings, for words that an export has written.
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

/// `TCA_STATS_RATE_EST`.
const RATE_EST: u16 = 2;

fn has_estimator(entry: &Entry<'_>) -> bool {
    entry.attr(TCA_STATS2).is_some_and(|stats| matches!(stats.attrs().find(RATE_EST), Ok(Some(_))))
}

/// The commands, without their verbs.
fn lines(
    object: &Object<'_>,
    names: &Names,
    handle_word: Option<&str>,
    lost: &mut Vec<String>,
) -> Vec<Vec<String>> {
    let mut head = vec![object.place().name().to_owned()];
    head.extend(names.place(object.place(), object.handle()));
    let mut say = |words: String| head.extend(words.split_whitespace().map(str::to_owned));
    match object.place() {
        Place::Class { .. } => say(format!("parent {}", object.parent())),
        Place::Filter(id) => {
            say(format!("protocol {}", protocol::word(object.protocol())));
            match handle_word {
                Some("") => {}
                Some(word) => say(format!("handle {word}")),
                None => say(format!("handle {:#x}", id.handle.raw())),
            }
        }
        Place::Chain(_) if object.protocol() != 0 => {
            say(format!("protocol {}", protocol::word(object.protocol())));
        }
        _ => {}
    }
    if let Some(stab) = object.stab() {
        match stab.words() {
            Some(words) => say(format!("stab {words}")),
            None => lost.push("there is no word for the link layer of its stab".to_owned()),
        }
    }
    for (name, block) in ["ingress_block", "egress_block"].into_iter().zip(object.blocks()) {
        if let Some(block) = block {
            say(format!("{name} {block}"));
        }
    }
    if !object.kind().is_empty() {
        head.push(object.kind().to_owned());
    }
    let words = object.words().map_or(vec![String::new()], OptionWords::lines);
    let line = |words: &String| {
        let mut line = head.clone();
        match batch::split(words) {
            Ok(words) => line.extend(words.into_iter().map(str::to_owned)),
            Err(_) => line.extend(words.split_whitespace().map(str::to_owned)),
        }
        line
    };
    words.iter().map(line).collect()
}
