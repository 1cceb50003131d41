//! `u32_classify` of `net/sched/cls_u32.c`.

use std::ops::Range;

use tc_core::Handle;
use tc_core::uapi::TCA_CLS_FLAGS_SKIP_SW;

use super::super::action::data_start;
use super::super::chain::is_negative;
use super::super::{CannotKnow, Step, Verdict};
use super::{Body, Filter, Scene};
use crate::filter::u32::{Key, Selector, U32};

/// `TC_U32_MAXDEPTH`.
const DEEPEST: usize = 8;
/// The first root table.
const ROOT: u32 = 0x800;

pub(super) fn classify(scene: &mut Scene<'_>, group: Range<usize>) -> Result<Verdict, CannotKnow> {
    let list = scene.list;
    if let Some(at) = group.clone().find(|at| matches!(list[*at].body, Body::Other)) {
        return scene.cannot_know(at, "the options of the filter cannot be read");
    }
    let mut roots: Vec<u32> =
        group.clone().map(|at| location(&list[at]).0).filter(|table| *table >= ROOT).collect();
    roots.dedup();
    let root = match roots[..] {
        [] => 0,
        [root] => root,
        _ => return scene.cannot_know(group.start, "which of the root tables belongs to this chain"),
    };
    Search { scene, group, off2: 0 }.search(Place { table: root, bucket: 0, next: 0 })
}

/// The table, the bucket and the node of a filter. Table 0 is the root table of a filter that no kernel
/// has numbered.
fn location(filter: &Filter) -> (u32, u32, u32) {
    let (table, bucket, node) = parts(filter.handle);
    match &filter.body {
        Body::U32(options) => match options.table.map(parts) {
            Some((table, bucket, _)) => (table, bucket, node),
            None => (table, bucket, node),
        },
        _ => (table, bucket, node),
    }
}

/// The table, the bucket and the node of a handle.
const fn parts(handle: Handle) -> (u32, u32, u32) {
    (handle.raw() >> 20, handle.raw() >> 12 & 0xff, handle.raw() & 0xfff)
}

/// A position in a bucket.
#[derive(Clone, Copy)]
struct Place {
    table: u32,
    bucket: u32,
    /// The least number of the next node.
    next: u32,
}

/// A table that does not exist.
const NOWHERE: Place = Place { table: u32::MAX, bucket: 0, next: 0 };

/// A filter whose linked table is being searched.
struct Above {
    filter: usize,
    place: Place,
    offset: i64,
}

/// Why a filter does not match.
enum Not {
    Match(String),
    /// The search ends: the packet is too short.
    Whole,
    Known(CannotKnow),
}

impl From<CannotKnow> for Not {
    fn from(unknown: CannotKnow) -> Self {
        Self::Known(unknown)
    }
}

struct Search<'s, 'a> {
    scene: &'s mut Scene<'a>,
    group: Range<usize>,
    /// The distance to the next header. Kernel: not restored with the offset.
    off2: i64,
}

impl<'a> Search<'_, 'a> {
    fn search(&mut self, mut place: Place) -> Result<Verdict, CannotKnow> {
        // Kernel: from the start of the data, which a vlan action can move meanwhile.
        let packet = &*self.scene.packet;
        let mut offset = packet.network as i64 - data_start(packet) as i64;
        let mut stack: Vec<Above> = Vec::new();
        loop {
            let Some((at, node, options)) = self.node(place) else {
                let Some(above) = stack.pop() else { return Ok(Verdict::Miss) };
                (place, offset) = (above.place, above.offset);
                if let Some(verdict) = self.end(above.filter)? {
                    return Ok(verdict);
                }
                continue;
            };
            place.next = node + 1;
            let link = options.link.filter(|link| !link.is_unspec());
            let matched = self.keys(at, options, offset).and_then(|()| match link {
                Some(_) if stack.len() >= DEEPEST => Err(Not::Whole),
                Some(link) => self.below(options, link, offset).map(Some),
                None => Ok(None),
            });
            match matched {
                Ok(None) => {
                    if let Some(verdict) = self.end(at)? {
                        return Ok(verdict);
                    }
                }
                Ok(Some((below, there))) => {
                    let text = format!("the filter {} leads to {}", self.scene.list[at].handle, below.text());
                    self.scene.walk.step(Step::Note { text });
                    stack.push(Above { filter: at, place, offset });
                    (place, offset) = (below, there);
                }
                Err(Not::Match(why)) => self.scene.misses(at, why),
                Err(Not::Whole) => {
                    self.scene.misses(at, "the packet ends before the key, or links are nested too deeply");
                    return Ok(Verdict::Miss);
                }
                Err(Not::Known(unknown)) => return self.scene.cannot_know(at, &unknown.reason),
            }
        }
    }

    /// The filter at a position or after it, with the number of its node.
    fn node(&self, place: Place) -> Option<(usize, u32, &'a U32)> {
        let list = self.scene.list;
        let filters = list.iter().enumerate().filter_map(|(at, filter)| match &filter.body {
            Body::U32(options) if options.selector.is_some() => Some((at, filter, &**options)),
            _ => None,
        });
        let here = filters.filter_map(|(at, filter, options)| {
            let (table, bucket, node) = location(filter);
            let is_here = (table, bucket) == (place.table, place.bucket) && node >= place.next;
            // The root table of filters without numbers is that of their priority.
            (is_here && (table != 0 || self.group.contains(&at))).then_some((at, node, options))
        });
        here.min_by_key(|(at, node, _)| (*node, *at))
    }

    fn keys(&mut self, at: usize, options: &U32, offset: i64) -> Result<(), Not> {
        let hits = &mut self.scene.hits[at];
        hits.seen += 1;
        if options.flags & TCA_CLS_FLAGS_SKIP_SW != 0 {
            return Err(Not::Match("skip_sw".into()));
        }
        if let Some(mark) = options.mark {
            if self.scene.packet.mark & mark.mask != mark.value {
                return Err(Not::Match(format!("the mark is {:#x}", self.scene.packet.mark)));
            }
            hits.marks += 1;
        }
        for (number, key) in keys_of(options).iter().enumerate() {
            let place = i64::from(key.at) + (self.off2 & i64::from(key.offset_mask));
            let word = self.word(offset, place)?;
            if (word ^ key.value) & key.mask != 0 {
                let expected = format!("{:#010x}/{:#010x}", key.value, key.mask);
                return Err(Not::Match(format!("at {place} is {word:#010x}, not {expected}")));
            }
            self.scene.hits[at].key(number);
        }
        Ok(())
    }

    fn word(&self, offset: i64, at: i64) -> Result<u32, Not> {
        let packet = &*self.scene.packet;
        let bytes = packet.bytes_from(data_start(packet), offset.saturating_add(at), 4)?;
        let word = bytes.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        word.ok_or(Not::Whole)
    }

    /// The bucket that a filter leads to, and the offset there.
    fn below(&mut self, options: &U32, link: Handle, offset: i64) -> Result<(Place, i64), Not> {
        let table = parts(link).0;
        let divisor = self.scene.list.iter().find_map(|filter| match &filter.body {
            Body::U32(options) if parts(filter.handle).0 == table => options.divisor,
            _ => None,
        });
        let Some(selector) = &options.selector else { return Ok((NOWHERE, offset)) };
        let mut bucket = 0;
        if let Some(last) = divisor.and_then(|divisor| divisor.checked_sub(1)).filter(|last| *last > 0) {
            let word = self.word(offset, selector.hash_at.into())? & selector.hash_mask;
            let shift = if selector.hash_mask == 0 { 0 } else { selector.hash_mask.trailing_zeros() };
            bucket = last & word >> shift;
        }
        let place = Place { table, bucket, next: 0 };
        if selector.plus.is_none() && selector.offset.is_none() && !selector.eat {
            return Ok((place, offset));
        }
        if selector.plus.is_some() || selector.offset.is_some() {
            self.off2 = self.next_header(selector, offset)?;
        }
        let mut there = offset;
        if selector.eat {
            there += self.off2;
            self.off2 = 0;
        }
        // Kernel: the search goes on above if the packet ends before the next header.
        let is_inside = (0..i64::from(self.scene.packet.length())).contains(&there);
        Ok((if is_inside { place } else { NOWHERE }, there))
    }

    fn next_header(&self, selector: &Selector, offset: i64) -> Result<i64, Not> {
        let mut distance = i64::from(selector.plus.unwrap_or_default()) + 3;
        if let Some(variable) = selector.offset {
            let packet = &*self.scene.packet;
            let bytes = packet.bytes_from(data_start(packet), offset + i64::from(variable.at), 2)?;
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Not::Whole)?;
            let masked = u32::from(u16::from_be_bytes(bytes) & variable.mask);
            distance += i64::from(masked.checked_shr(variable.shift.into()).unwrap_or_default());
        }
        Ok(distance & !3)
    }

    /// The end of a filter whose keys match: a verdict, unless the search goes on.
    fn end(&mut self, at: usize) -> Result<Option<Verdict>, CannotKnow> {
        let Body::U32(options) = &self.scene.list[at].body else { return Ok(None) };
        if !options.selector.as_ref().is_some_and(|selector| selector.terminal) {
            self.scene.misses(at, "the keys match, and the filter is not terminal");
            return Ok(None);
        }
        match self.scene.is_from(options.indev.as_deref()) {
            Ok(true) => {}
            Ok(false) => {
                self.scene.misses(at, "the packet came in from another device");
                return Ok(None);
            }
            Err(unknown) => return self.scene.cannot_know(at, &unknown.reason),
        }
        match self.scene.matches(at, options.class, options.police.as_ref(), &options.actions)? {
            Verdict::Match { control, .. } if is_negative(control) => Ok(None),
            verdict => Ok(Some(verdict)),
        }
    }
}

impl Place {
    fn text(self) -> String {
        match self.table {
            u32::MAX => "no table, because the packet ends there".to_owned(),
            table => format!("the table {table:x}:{:x}:", self.bucket),
        }
    }
}

fn keys_of(options: &U32) -> &[Key] {
    options.selector.as_ref().map(|selector| &selector.keys[..]).unwrap_or_default()
}
