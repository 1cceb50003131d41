//! Marks in a batch: objects that an export left out, so that `diff` and `apply` leave them alone.
//!
//! A mark is a comment, which `tc -batch` passes over: `#!left-out` at the start of a line, and the words
//! of the object's place.

use std::fmt;

use tc_core::Handle;

use super::object::{FilterPlace, Object, On, Place, hook, parent_words};
use crate::context::failure::Failure;

/// The word that begins a mark.
pub(crate) const MARK: &str = "#!left-out";

/// The objects left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    Object(Place),
    Chain {
        on: On,
        parent: Handle,
        chain: u32,
    },
    /// An action by itself, which no command of a description concerns.
    Action {
        kind: String,
        index: u32,
    },
}

impl LeftOut {
    /// Reads the words after [`MARK`].
    pub(super) fn parse(words: &[&str]) -> Result<Self, Failure> {
        Fields::parse(words).ok_or_else(|| {
            let words = words.join(" ");
            Failure::Words(format!("Error: {MARK:?} is followed by no place of an object: {words:?}"))
        })
    }

    /// The device, unless it is of a block or an action.
    pub(super) fn dev(&self) -> Option<&str> {
        match self {
            Self::Object(place) => place.dev(),
            Self::Chain { on: On::Dev(dev), .. } => Some(dev),
            Self::Chain { .. } | Self::Action { .. } => None,
        }
    }

    /// An object at the same place. A chain is deleted with the parent of its filters.
    pub(super) fn stand_in<'n>(&self) -> Option<Object<'n>> {
        match self {
            Self::Object(place) => Some(Object::at(place.clone())),
            Self::Chain { on, parent, chain } => Some(Object::at(Place::Filter(FilterPlace {
                on: on.clone(),
                parent: *parent,
                chain: *chain,
                priority: 0,
                handle: Handle::UNSPEC,
            }))),
            Self::Action { .. } => None,
        }
    }

    /// The line of a batch.
    pub(super) fn mark(&self) -> String {
        format!("{MARK} {self}")
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |on: &On, parent: Handle| match on {
            On::Block(block) => format!("block {block}"),
            On::Dev(dev) => format!("dev {dev} {}", parent_words(parent)),
        };
        match self {
            // A command has it in the kind.
            Self::Object(Place::Qdisc { dev, parent: Handle::INGRESS }) => {
                write!(f, "qdisc dev {dev} ingress")
            }
            Self::Object(place) => {
                write!(f, "{place}")?;
                match place {
                    Place::Filter(FilterPlace { handle, .. }) => write!(f, " handle {:#x}", handle.raw()),
                    _ => Ok(()),
                }
            }
            Self::Chain { on: place, parent, chain } => {
                write!(f, "chain {} chain {chain}", on(place, *parent))
            }
            Self::Action { kind, index } => write!(f, "action {kind} index {index}"),
        }
    }
}

/// The words of a mark, by their keys.
#[derive(Default)]
struct Fields<'a> {
    dev: Option<&'a str>,
    parent: Option<Handle>,
    classid: Option<Handle>,
    block: Option<u32>,
    priority: Option<u16>,
    chain: Option<u32>,
    handle: Option<u32>,
    index: Option<u32>,
}

impl<'a> Fields<'a> {
    fn parse(words: &[&'a str]) -> Option<LeftOut> {
        let (what, mut words) = words.split_first()?;
        let mut kind = None;
        if *what == "action" {
            (kind, words) = words.split_first().map(|(kind, rest)| (Some(*kind), rest))?;
        }
        let mut fields = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "root" => fields.parent = Some(Handle::ROOT),
                // Of a qdisc and of filters these are two numbers.
                "ingress" if *what == "qdisc" => fields.parent = Some(Handle::INGRESS),
                "ingress" => fields.parent = Some(Handle::FILTER_INGRESS),
                "egress" => fields.parent = Some(Handle::FILTER_EGRESS),
                key => fields.set(key, words.next()?)?,
            }
        }
        fields.left_out(what, kind)
    }

    fn set(&mut self, key: &str, value: &'a str) -> Option<()> {
        match key {
            "dev" => self.dev = Some(value),
            "parent" => self.parent = Some(value.parse().ok()?),
            "classid" => self.classid = Some(value.parse().ok()?),
            "block" => self.block = Some(value.parse().ok()?),
            "pref" => self.priority = Some(value.parse().ok()?),
            "chain" => self.chain = Some(value.parse().ok()?),
            "handle" => self.handle = Some(u32::from_str_radix(value.strip_prefix("0x")?, 16).ok()?),
            "index" => self.index = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }

    fn left_out(self, what: &str, kind: Option<&str>) -> Option<LeftOut> {
        let dev = || self.dev.map(str::to_owned);
        let hook = || match self.block {
            Some(block) => Some((On::Block(block), Handle::UNSPEC)),
            None => Some((On::Dev(dev()?), hook(self.parent?))),
        };
        Some(match what {
            "qdisc" => LeftOut::Object(Place::Qdisc { dev: dev()?, parent: self.parent? }),
            "class" => LeftOut::Object(Place::Class { dev: dev()?, handle: self.classid? }),
            "filter" => {
                let ((on, parent), chain) = (hook()?, self.chain.unwrap_or_default());
                let handle = Handle::from_raw(self.handle?);
                LeftOut::Object(Place::Filter(FilterPlace {
                    on,
                    parent,
                    chain,
                    priority: self.priority?,
                    handle,
                }))
            }
            "chain" => {
                let (on, parent) = hook()?;
                LeftOut::Chain { on, parent, chain: self.chain? }
            }
            "action" => LeftOut::Action { kind: kind?.to_owned(), index: self.index? },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_is_read_as_it_is_written() {
        for words in [
            "qdisc dev eth0 root",
            "qdisc dev eth0 ingress",
            "qdisc dev eth0 parent 1:10",
            "class dev e#th classid 1:10",
            "filter dev eth0 ingress pref 5 handle 0x80000001",
            "filter dev eth0 parent 1: pref 5 chain 7 handle 0x0",
            "filter block 3 pref 5 handle 0x1",
            "chain dev eth0 egress chain 5",
            "chain block 3 chain 0",
            "action gact index 8",
        ] {
            let split: Vec<_> = words.split(' ').collect();
            assert_eq!(LeftOut::parse(&split).unwrap().to_string(), words);
        }
        for words in [
            "",
            "qdisc dev eth0",
            "class dev eth0 parent 1:",
            "filter dev eth0 ingress pref 5",
            "x dev eth0 root",
        ] {
            let split: Vec<_> = words.split(' ').collect();
            assert!(LeftOut::parse(&split).is_err(), "{words}");
        }
    }
}
