//! The desired state: a file's commands, read as a description.

use std::collections::HashMap;

use tc_core::{ChangeSemantics, Handle, Options, Stab, TcType, Verb};

use super::left_out::{LeftOut, MARK};
use super::object::{FilterPlace, Object, On, Place, hook, in_order, indexed_actions};
use super::snapshot::{Reader, class_parent};
use crate::batch::{self, At, Numbered};
use crate::command::change::Change;
use crate::command::{self, Command};
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

/// The contents of the file.
#[derive(Debug, Default)]
pub(super) struct Desired<'n> {
    /// In an order in which they can be created.
    pub(super) objects: Vec<Object<'n>>,
    /// The devices that it names.
    pub(super) devices: Vec<String>,
    /// The shared blocks that it names.
    pub(super) blocks: Vec<u32>,
    /// The objects marked as left out, with line numbers.
    pub(super) left_out: Vec<(u64, LeftOut)>,
}

/// The words of each command, with its line's number.
pub(super) type Lines = Vec<Numbered>;

/// Loads a file, `-` for standard input.
pub(super) fn load(file: &str) -> Result<Lines, At> {
    let mut lines = batch::Lines::open_with(file, MARK).map_err(|failure| (failure, 0))?;
    let mut loaded = Vec::new();
    while let Some((number, words)) = lines.next_words()? {
        if !words.is_empty() {
            loaded.push((number, words));
        }
    }
    Ok(loaded)
}

/// Reads the description. With devices, commands for others are skipped.
pub(super) fn read<'n>(
    lines: &Lines,
    devices: &[String],
    reader: &Reader<'_, 'n>,
) -> Result<Desired<'n>, At> {
    let mut read = Read { reader, objects: Vec::new(), places: HashMap::new() };
    let mut left_out = Vec::new();
    for (number, words) in lines {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words.split_first() {
            Some((word, words)) if word.starts_with(MARK) => {
                // Later versions may have other marks; this version has this word alone.
                let parsed = if *word == MARK { LeftOut::parse(words) } else { LeftOut::parse(&[]) };
                left_out.push((*number, parsed.map_err(|failure| (failure, *number))?));
            }
            _ => read.line(&words).map_err(|failure| (failure, *number))?,
        }
    }
    for (number, left_out) in &left_out {
        if let LeftOut::Object(place) = left_out
            && read.objects.iter().any(|object| object.place.is_same(place))
        {
            let text = format!("Error: {place} is described, and it is marked as left out");
            return Err((Failure::Words(text), *number));
        }
    }
    let mut desired = Desired { devices: devices.to_vec(), ..Desired::default() };
    let counts = |dev: Option<&str>| {
        devices.is_empty() || dev.is_none_or(|dev| devices.iter().any(|counted| counted == dev))
    };
    read.objects.retain(|object| counts(object.place.dev()));
    left_out.retain(|(_, left_out)| counts(left_out.dev()));
    desired.left_out = left_out;
    for object in &read.objects {
        match &object.place {
            Place::Filter(FilterPlace { on: On::Block(block), .. }) => desired.blocks.push(*block),
            place => {
                let dev = place.dev().unwrap_or_default();
                if !desired.devices.iter().any(|known| known == dev) {
                    desired.devices.push(dev.to_owned());
                }
            }
        }
        desired.blocks.extend(object.blocks.iter().flatten().chain(&object.more_blocks));
    }
    desired.objects = in_order(read.objects);
    Ok(desired)
}

struct Read<'r, 'n> {
    reader: &'r Reader<'r, 'n>,
    objects: Vec<Object<'n>>,
    places: HashMap<Place, usize>,
}

impl<'n> Read<'_, 'n> {
    fn line(&mut self, words: &[&str]) -> Result<(), Failure> {
        let Reader { registry, environment, .. } = *self.reader;
        let context = ParseContext { registry, environment, extensions: &[] };
        let change = match command::parse(words, context)? {
            Command::Change(change) if MAKES.contains(&change.verb) => change,
            _ => return Err(no_description()),
        };
        let object = object(&change, words, self.reader)?;
        let known = match change.verb {
            Verb::Change if change.parent.is_unspec() => {
                let is_it = |known: &Object<'_>| {
                    known.place.dev() == change.dev
                        && known.handle == change.handle
                        && known.place.tc_type() == change.tc_type
                };
                self.objects.iter().position(|known| match change.tc_type {
                    TcType::Qdisc => is_it(known),
                    _ => known.place == object.place,
                })
            }
            _ => self.places.get(&object.place).copied(),
        };
        match (change.verb, known) {
            (Verb::Add | Verb::Replace, None) => {
                self.places.insert(object.place.clone(), self.objects.len());
                self.objects.push(object);
            }
            (Verb::Replace, Some(at)) => self.objects[at] = object,
            (Verb::Change, Some(at)) => amend(&mut self.objects[at], object),
            (Verb::Add, Some(_)) => {
                return Err(Failure::Words(format!("Error: {} is there twice", object.place)));
            }
            (Verb::Change, None) => {
                return Err(Failure::Words(format!("Error: {} was not added before", object.place)));
            }
            _ => return Err(no_description()),
        }
        Ok(())
    }
}

const MAKES: [Verb; 3] = [Verb::Add, Verb::Replace, Verb::Change];

fn no_description() -> Failure {
    Failure::Words("Error: only add, replace and change say what there shall be".into())
}

/// A change of an object described before.
fn amend<'n>(known: &mut Object<'n>, change: Object<'n>) {
    known.lines.extend(change.lines);
    known.stab = change.stab;
    for (known, change) in [(&mut known.words, change.words), (&mut known.asked, change.asked)] {
        match (known, change) {
            (Some(words), Some(change)) => words.amend(&change),
            (words, change) => *words = words.take().or(change),
        }
    }
}

/// The description in one command.
fn object<'n>(change: &Change<'_>, words: &[&str], reader: &Reader<'_, 'n>) -> Result<Object<'n>, Failure> {
    let needs = |what: &str| Failure::Words(format!("Error: {what}, to be compared"));
    let dev = || change.dev.map(str::to_owned).ok_or_else(|| needs("a device is needed"));
    let place = match change.tc_type {
        TcType::Filter => {
            if change.place.priority == 0 {
                return Err(needs("a filter needs its pref"));
            }
            let on = match change.place.block {
                Some(block) => On::Block(block),
                None if change.parent.is_unspec() => return Err(needs("a filter needs its parent")),
                None => On::Dev(dev()?),
            };
            let parent = if change.place.block.is_some() { Handle::UNSPEC } else { hook(change.parent) };
            let (chain, priority) = (change.place.chain.unwrap_or_default(), change.place.priority);
            Place::Filter(FilterPlace { on, parent, chain, priority, handle: change.handle })
        }
        TcType::Class if change.handle.is_unspec() => return Err(needs("a class needs its classid")),
        TcType::Class => Place::Class { dev: dev()?, handle: change.handle },
        _ if change.parent.is_unspec() && change.verb != Verb::Change => {
            return Err(needs("a qdisc needs its parent"));
        }
        _ => Place::Qdisc { dev: dev()?, parent: change.parent },
    };
    if change.kind.is_empty() {
        return Err(needs(&format!("a {} needs its kind", change.tc_type)));
    }
    let is_class = change.tc_type == TcType::Class;
    let options = change.options.as_deref().map(|options| options.as_dumped(reader.environment));
    let words_of = |options: &dyn Options| {
        let mut place = change.place.of_filter(change.parent, None);
        place.handle = change.handle;
        change.ops.map(|ops| reader.words(options, ops, &place))
    };
    Ok(Object {
        kind: change.kind.to_owned(),
        handle: if change.tc_type == TcType::Qdisc { change.handle } else { Handle::UNSPEC },
        parent: if is_class { class_parent(change.parent, change.handle) } else { Handle::UNSPEC },
        protocol: change.place.protocol.unwrap_or_default(),
        stab: change.stab.as_ref().map(Stab::as_dumped),
        blocks: [change.ingress_block, change.egress_block],
        more_blocks: options.as_deref().map(Options::filter_blocks).unwrap_or_default(),
        target_class: options.as_deref().and_then(Options::target_class),
        actions: options.as_deref().map(indexed_actions).unwrap_or_default(),
        words: options.as_deref().and_then(words_of),
        asked: change.options.as_deref().and_then(words_of),
        change_semantics: change.ops.map_or(ChangeSemantics::USUAL, |ops| *ops.change_semantics()),
        lines: vec![without_verb(words)],
        own_handle: None,
        place,
    })
}

/// The words, less the second one.
fn without_verb(words: &[&str]) -> Vec<String> {
    let kept = words.iter().enumerate().filter(|(at, _)| *at != 1);
    kept.map(|(_, word)| (*word).to_owned()).collect()
}
