//! Marks in a batch: objects that an export left out, so that `diff` and `apply` leave them alone.
//!
//! A mark is a comment, which `tc -batch` passes over: `#!left-out` at the start of a line, and the words
//! of the object's place.

use tc_core::Handle;
use tc_core::tree::{FilterId, LeftOut, On, Place};

use super::words::Names;
use crate::context::failure::Failure;

/// The word that begins a mark.
pub(crate) const MARK: &str = "#!left-out";

/// Reads the words after [`MARK`]. `ifindex` finds a device by its name.
pub(super) fn parse_mark(words: &[&str], ifindex: &mut dyn FnMut(&str) -> i32) -> Result<LeftOut, Failure> {
    Fields::parse(words, ifindex).ok_or_else(|| {
        let words = words.join(" ");
        Failure::Words(format!("Error: {MARK:?} is followed by no place of an object: {words:?}"))
    })
}

/// The line of a batch.
pub(super) fn mark(left_out: &LeftOut, names: &Names) -> String {
    format!("{MARK} {}", names.left_out(left_out))
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
    fn parse(words: &[&'a str], ifindex: &mut dyn FnMut(&str) -> i32) -> Option<LeftOut> {
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
        fields.left_out(what, kind, ifindex)
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

    fn left_out(
        self,
        what: &str,
        kind: Option<&str>,
        ifindex: &mut dyn FnMut(&str) -> i32,
    ) -> Option<LeftOut> {
        let mut device = || self.dev.map(&mut *ifindex);
        let hook = |device: Option<i32>| match self.block {
            Some(block) => Some((On::Block(block), Handle::UNSPEC)),
            None => Some((On::Device(device?), self.parent?)),
        };
        Some(match what {
            "qdisc" => LeftOut::Object(Place::Qdisc { ifindex: device()?, parent: self.parent? }),
            "class" => LeftOut::Object(Place::Class { ifindex: device()?, handle: self.classid? }),
            "filter" => {
                let ((on, parent), chain) = (hook(device())?, self.chain.unwrap_or_default());
                let handle = Handle::from_raw(self.handle?);
                let id = FilterId { on, parent, chain, priority: self.priority?, handle };
                LeftOut::Object(Place::filter(id))
            }
            "chain" => {
                let (on, parent) = hook(device())?;
                LeftOut::chain(on, parent, self.chain?)
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
        let mut names = Names::default();
        names.insert(1, "e#th");
        for words in [
            "qdisc dev e#th root",
            "qdisc dev e#th ingress",
            "qdisc dev e#th parent 1:10",
            "class dev e#th classid 1:10",
            "filter dev e#th ingress pref 5 handle 0x80000001",
            "filter dev e#th parent 1: pref 5 chain 7 handle 0x0",
            "filter block 3 pref 5 handle 0x1",
            "chain dev e#th egress chain 5",
            "chain block 3 chain 0",
            "action gact index 8",
        ] {
            let split: Vec<_> = words.split(' ').collect();
            assert_eq!(names.left_out(&parse_mark(&split, &mut |_| 1).unwrap()), words);
        }
        for words in [
            "",
            "qdisc dev eth0",
            "class dev e#th parent 1:",
            "filter dev e#th ingress pref 5",
            "x dev e#th root",
        ] {
            let split: Vec<_> = words.split(' ').collect();
            assert!(parse_mark(&split, &mut |_| 1).is_err(), "{words}");
        }
    }
}
