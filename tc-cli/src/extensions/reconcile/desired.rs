//! The desired state: a file's commands, read as a description.

use std::collections::HashMap;

use tc_core::tree::{LeftOut, Part, Place, Wanted, WantedError};
use tc_core::{Estimator, Request, Verb};

use super::left_out::{MARK, parse_mark};
use super::words::{Names, Reader};
use crate::batch::{self, At, Numbered};
use crate::command::actions::Operation;
use crate::command::{self, Command};
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

/// The contents of the file.
#[derive(Debug)]
pub(super) struct Desired<'a> {
    pub(super) wanted: Wanted<'a>,
    pub(super) names: Names,
    /// The words of each request, without the verb.
    pub(super) words: Vec<Vec<String>>,
    pub(super) estimators: Vec<Option<Estimator>>,
    /// The described devices that are not there.
    pub(super) missing: Vec<String>,
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

/// The words of a description, borrowed.
pub(super) type Borrowed<'l> = Vec<(u64, Vec<&'l str>)>;

pub(super) fn borrow(lines: &Lines) -> Borrowed<'_> {
    lines.iter().map(|(number, line)| (*number, line.iter().map(String::as_str).collect())).collect()
}

/// Reads the description. With devices, commands for others are skipped. `find` finds a device by its name.
pub(super) fn read<'a>(
    lines: &'a Borrowed<'a>,
    only: &[String],
    reader: &Reader<'a>,
    find: &mut dyn FnMut(&str) -> Option<i32>,
) -> Result<Desired<'a>, At> {
    let context = reader.context().map_err(|failure| (failure, 0))?;
    let devices = Devices { find, known: HashMap::new(), names: Vec::new() };
    let mut read = Read {
        reader,
        wanted: Wanted::new(context),
        devices,
        names: Names::default(),
        words: Vec::new(),
        estimators: Vec::new(),
    };
    let mut left_out = Vec::new();
    for (number, words) in lines {
        match words.split_first() {
            Some((word, words)) if word.starts_with(MARK) => {
                // Later versions may have other marks; this version has this word alone.
                let words = if *word == MARK { words } else { &[] };
                let parsed = parse_mark(words, &mut |dev| read.device(dev));
                left_out.push((*number, parsed.map_err(|failure| (failure, *number))?));
            }
            _ => read.line(words).map_err(|failure| (failure, *number))?,
        }
    }
    for (number, left_out) in &left_out {
        if let LeftOut::Object(place) = left_out
            && read.wanted.is_described(place)
        {
            let place = read.names.title(place);
            let text = format!("Error: {place} is described, and it is marked as left out");
            return Err((Failure::Words(text), *number));
        }
    }
    left_out.into_iter().for_each(|(_, left_out)| read.wanted.leave_out(left_out));
    if !only.is_empty() {
        let devices: Vec<i32> = only.iter().map(|dev| read.device(dev)).collect();
        read.wanted.only_devices(&devices);
    }
    let Read { wanted, devices, names, words, estimators, .. } = read;
    let described = wanted.devices();
    let missing =
        devices.names.into_iter().filter(|(_, ifindex)| *ifindex < 0 && described.contains(ifindex));
    let missing = missing.map(|(name, _)| name).collect();
    Ok(Desired { wanted, names, words, estimators, missing })
}

/// The devices of a description. A missing one has a negative index.
struct Devices<'f> {
    find: &'f mut dyn FnMut(&str) -> Option<i32>,
    known: HashMap<String, i32>,
    names: Vec<(String, i32)>,
}

impl Devices<'_> {
    fn ifindex(&mut self, name: &str) -> i32 {
        if let Some(ifindex) = self.known.get(name) {
            return *ifindex;
        }
        // No index of the kernel's: that of a shared block is -1.
        let missing = i32::MIN + self.known.len() as i32;
        let ifindex = (self.find)(name).unwrap_or(missing);
        self.known.insert(name.to_owned(), ifindex);
        self.names.push((name.to_owned(), ifindex));
        ifindex
    }
}

struct Read<'r, 'a, 'f> {
    reader: &'r Reader<'a>,
    wanted: Wanted<'a>,
    devices: Devices<'f>,
    names: Names,
    words: Vec<Vec<String>>,
    estimators: Vec<Option<Estimator>>,
}

impl<'a> Read<'_, 'a, '_> {
    fn device(&mut self, name: &str) -> i32 {
        let ifindex = self.devices.ifindex(name);
        self.names.insert(ifindex, name);
        ifindex
    }

    fn line(&mut self, words: &'a [&'a str]) -> Result<(), Failure> {
        let Reader { registry, environment, .. } = *self.reader;
        let context = ParseContext { registry, environment, extensions: &[] };
        let change = match command::parse(words, context)? {
            Command::Change(change) if MAKES.contains(&change.verb) => change,
            Command::Actions(operations) => return self.actions(operations, words),
            _ => return Err(no_description()),
        };
        let ifindex = change.dev.map_or(0, |dev| self.device(dev));
        let (verb, estimator) = (change.verb, change.estimator);
        self.wanted.push(verb, change.into_request(ifindex)).map_err(|error| self.failure(&error))?;
        self.words.push(without_verb(words));
        self.estimators.push(estimator);
        Ok(())
    }

    /// Actions that stand by themselves.
    fn actions(&mut self, operations: Vec<Operation<'a>>, words: &[&str]) -> Result<(), Failure> {
        let [Operation::Change(verb @ (Verb::Add | Verb::Replace), actions)] = &operations[..] else {
            return Err(no_description());
        };
        let request = Request::with_actions(actions.clone());
        self.wanted.push(*verb, request).map_err(|error| self.failure(&error))?;
        self.words.push(without_verb(words));
        self.estimators.push(None);
        Ok(())
    }

    fn failure(&self, error: &WantedError) -> Failure {
        let needs = |what: &str| Failure::Words(format!("Error: {what}, to be compared"));
        let there =
            |place: &Place, is: &str| Failure::Words(format!("Error: {} {is}", self.names.title(place)));
        match error {
            WantedError::Missing(Part::Device) => needs("a device is needed"),
            WantedError::Missing(Part::QdiscParent) => needs("a qdisc needs its parent"),
            WantedError::Missing(Part::FilterParent) => needs("a filter needs its parent"),
            WantedError::Missing(Part::ClassHandle) => needs("a class needs its classid"),
            WantedError::Missing(Part::Priority) => needs("a filter needs its pref"),
            WantedError::Missing(Part::Chain) => needs("a chain needs its number"),
            WantedError::Missing(Part::Index) => needs("an action needs its index"),
            WantedError::SeveralActions => needs("each action needs a line of its own"),
            WantedError::Missing(Part::Kind(tc_type)) => needs(&format!("a {tc_type} needs its kind")),
            WantedError::Twice(place) => there(place, "is there twice"),
            WantedError::NotAdded(place) => there(place, "was not added before"),
            WantedError::Verb(_) => no_description(),
            other => Failure::Words(format!("Error: {other}")),
        }
    }
}

const MAKES: [Verb; 3] = [Verb::Add, Verb::Replace, Verb::Change];

fn no_description() -> Failure {
    Failure::Words("Error: only add, replace and change say what there shall be".into())
}

/// The words, less the second one.
fn without_verb(words: &[&str]) -> Vec<String> {
    let kept = words.iter().enumerate().filter(|(at, _)| *at != 1);
    kept.map(|(_, word)| (*word).to_owned()).collect()
}
