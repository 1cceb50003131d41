//! Expressions in messages: terms in one flat list, where a group refers to its first term.

use super::tree::{Item, Link};
use super::{AnyEmatch, Ematches, MAX_DEPTH, Relation};
use crate::wire::attr::{Attr, AttrWriter, Reader};
use crate::wire::error::{DecodeError, EncodeError};

const TREE_HDR: u16 = 1;
const TREE_LIST: u16 = 2;

/// The number of a group (`TCF_EM_CONTAINER`).
const CONTAINER: u16 = 0;
const REL_AND: u16 = 1;
const REL_OR: u16 = 2;
const REL_MASK: u16 = 3;
const INVERT: u16 = 4;
const SIMPLE: u16 = 8;

impl Ematches {
    /// Appends the expression as the attribute `kind` (`TCA_BASIC_EMATCHES`, ...), or nothing if it is
    /// empty. Groups more than [`MAX_DEPTH`] inside each other are an error.
    pub fn encode(&self, kind: u16, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        if self.is_empty() {
            return Ok(());
        }
        if self.depth() > MAX_DEPTH {
            return Err(EncodeError::Invalid(too_deep()));
        }
        let (mut starts, mut count) = (Vec::with_capacity(self.sequences.len()), 0);
        for links in &self.sequences {
            starts.push(count);
            count += links.len() as u32;
        }
        let matches = u16::try_from(count)
            .map_err(|_| EncodeError::Invalid("an expression has at most 65535 terms".into()))?;
        let mut tree = out.nest(kind);
        let mut header = tree.nest(TREE_HDR);
        header.put_u16(matches);
        header.put_u16(0); // TCF_EM_PROG_TC
        drop(header);
        let mut list = tree.nest(TREE_LIST);
        let links = self
            .sequences
            .iter()
            .enumerate()
            .flat_map(|(at, links)| links.iter().map(move |link| (at, link)));
        for ((at, link), number) in links.zip(1..) {
            link.encode(&starts[at..], &mut list.nest(number))?;
        }
        Ok(())
    }

    /// Reads the expression from its attribute.
    ///
    /// Fails if a reference does not lead forward to a term that no other group has, as in the
    /// messages of every program known.
    pub fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let table = attr.attrs().table::<{ TREE_LIST as usize + 1 }>()?;
        let missing = |what| DecodeError::Missing { what };
        let header = table[usize::from(TREE_HDR)].ok_or(missing("header of the ematches"))?;
        let count = usize::from(header.u16()?);
        if count == 0 {
            return Ok(Self::default());
        }
        let list = table[usize::from(TREE_LIST)].ok_or(missing("list of the ematches"))?;
        let wires = list.attrs().map(|attr| Wire::read(&attr?)).collect::<Result<Vec<_>, _>>()?;
        Self::of_wires(&wires)
    }

    fn of_wires(wires: &[Wire<'_>]) -> Result<Self, DecodeError> {
        let mut taken = vec![false; wires.len()];
        let mut sequences: Vec<Vec<Link>> = Vec::new();
        // The groups to come, the next one last: their first terms, and the places that refer to them.
        let mut groups: Vec<(usize, Option<(usize, usize)>)> = vec![(0, None)];
        while let Some((first, from)) = groups.pop() {
            let place = sequences.len();
            if let Some((sequence, link)) = from {
                let links = &mut sequences[sequence];
                links[link].item = Item::Group(place - sequence);
            }
            let (mut links, mut inner) = (Vec::new(), Vec::new());
            let mut is_whole = false;
            for ((at, wire), taken) in wires.iter().enumerate().zip(&mut taken).skip(first) {
                if std::mem::replace(taken, true) {
                    return Err(DecodeError::Malformed { what: "ematches: two groups have the same term" });
                }
                let next = wire.relation()?;
                let item = match wire.kind {
                    CONTAINER => {
                        let group = Reader::new(wire.data).u32()? as usize;
                        if group <= at {
                            return Err(DecodeError::Malformed { what: "ematches: a group refers back" });
                        }
                        inner.push((group, Some((place, links.len()))));
                        Item::Group(0)
                    }
                    kind => Item::Ematch(AnyEmatch::decode(kind, wire.flags & SIMPLE != 0, wire.data)),
                };
                links.push(Link { inverted: wire.flags & INVERT != 0, item, next });
                is_whole = next.is_none();
                if is_whole {
                    break;
                }
            }
            if !is_whole {
                return Err(DecodeError::Missing { what: "term of the ematches" });
            }
            sequences.push(links);
            groups.extend(inner.into_iter().rev());
        }
        Ok(Self { sequences })
    }
}

/// The error for an expression that is deeper than [`MAX_DEPTH`].
pub(super) fn too_deep() -> String {
    format!("an expression has at most {MAX_DEPTH} parentheses inside each other: the kernel's stack")
}

impl Link {
    fn encode(&self, starts: &[u32], out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let (kind, simple) = match &self.item {
            Item::Group(_) => (CONTAINER, false),
            Item::Ematch(ematch) => (ematch.kind(), ematch.raw().is_some_and(|raw| raw.simple)),
        };
        let relation = match self.next {
            None => 0,
            Some(Relation::And) => REL_AND,
            Some(Relation::Or) => REL_OR,
        };
        let flag = |on: bool, flag: u16| if on { flag } else { 0 };
        out.put_u16(0); // matchid
        out.put_u16(kind);
        out.put_u16(relation | flag(self.inverted, INVERT) | flag(simple, SIMPLE));
        out.put_u16(0); // pad
        match &self.item {
            Item::Group(group) => out.put_u32(starts[*group]),
            Item::Ematch(ematch) => ematch.encode(out)?,
        }
        // tc counts the padding as data.
        out.align();
        Ok(())
    }
}

/// One term of the list.
struct Wire<'a> {
    kind: u16,
    flags: u16,
    data: &'a [u8],
}

impl<'a> Wire<'a> {
    fn read(attr: &Attr<'a>) -> Result<Self, DecodeError> {
        let read = || {
            let mut reader = attr.reader();
            reader.skip(2)?; // matchid
            let (kind, flags) = (reader.u16()?, reader.u16()?);
            reader.skip(2)?;
            Ok(Self { kind, flags, data: reader.rest() })
        };
        read().map_err(|error: DecodeError| error.at_attribute(attr.kind))
    }

    const fn relation(&self) -> Result<Option<Relation>, DecodeError> {
        match self.flags & REL_MASK {
            0 => Ok(None),
            REL_AND => Ok(Some(Relation::And)),
            REL_OR => Ok(Some(Relation::Or)),
            _ => Err(DecodeError::Malformed { what: "relation of an ematch" }),
        }
    }
}
