//! Which classes may be interrupted in the middle of a packet (IEEE 802.1Qbu),
//! for taprio too.

use tc_core::print::Printer;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::words::Words;
use tc_core::{AttrWriter, Attrs, DecodeError, OptionWords};

use super::MAX_CLASSES;
use crate::common::u32_at;

/// `TC_FP_*`: the preemption of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preemption {
    /// Interrupts a preemptible one (`TC_FP_EXPRESS`).
    Express,
    /// Lets itself be interrupted (`TC_FP_PREEMPTIBLE`).
    Preemptible,
    /// A number that this library does not know.
    Other(u32),
}

impl Preemption {
    pub(crate) const fn raw(self) -> u32 {
        match self {
            Self::Express => 1,
            Self::Preemptible => 2,
            Self::Other(other) => other,
        }
    }

    pub(crate) const fn from_raw(raw: u32) -> Self {
        match raw {
            1 => Self::Express,
            2 => Self::Preemptible,
            other => Self::Other(other),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Express => "E",
            Self::Preemptible => "P",
            Self::Other(_) => "?",
        }
    }
}

/// Something of each class, where it is given.
pub(crate) type ByClass<T> = [Option<T>; MAX_CLASSES];

/// Reads `E` and `P` as long as they follow, for the classes from 0 on.
pub(crate) fn parse(words: &mut Words<'_>, list: &mut ByClass<Preemption>) {
    for slot in list {
        *slot = match words.peek() {
            Some("E") => Some(Preemption::Express),
            Some("P") => Some(Preemption::Preemptible),
            _ => return,
        };
        words.next();
    }
}

/// Appends an entry for each class that is given.
pub(super) fn encode(list: &ByClass<Preemption>, out: &mut AttrWriter<'_>) {
    for (class, preemption) in (0..).zip(list) {
        if let Some(preemption) = preemption {
            let mut nest = out.nest(TC_ENTRY | NLA_F_NESTED);
            nest.attr_u32(TC_ENTRY_INDEX, class);
            nest.attr_u32(TC_ENTRY_FP, preemption.raw());
        }
    }
}

/// As tc: an entry without a class, or of one that there cannot be, is left out.
pub(super) fn decode(attributes: &[u8]) -> Result<ByClass<Preemption>, DecodeError> {
    let mut list = ByClass::default();
    for attr in Attrs::new(attributes) {
        let attr = attr?;
        if attr.kind != TC_ENTRY {
            continue;
        }
        let table = attr.attrs().table::<{ TC_ENTRY_FP as usize + 1 }>()?;
        let class = u32_at(&table, TC_ENTRY_INDEX)?.and_then(|class| usize::try_from(class).ok());
        if let Some(slot) = class.and_then(|class| list.get_mut(class)) {
            *slot = u32_at(&table, TC_ENTRY_FP)?.map(Preemption::from_raw).or(*slot);
        }
    }
    Ok(list)
}

/// Writes the classes up to the last one that is not express, the default.
pub(crate) fn to_words(list: &ByClass<Preemption>, out: &mut OptionWords<'_>) {
    let is_told = |preemption: &Option<Preemption>| preemption.is_some_and(|it| it != Preemption::Express);
    let count = list.iter().rposition(is_told).map_or(0, |last| last + 1);
    let words = list[..count].iter().map(|preemption| preemption.map_or("E", Preemption::name));
    let words: Vec<_> = words.collect();
    out.text("fp", if words.is_empty() { String::new() } else { format!("fp {}", words.join(" ")) });
}

/// Prints the classes up to the last one that is given.
pub(crate) fn print(list: &ByClass<Preemption>, out: &mut Printer) {
    out.array("fp", |out| {
        for preemption in given(list) {
            out.item("", " ", preemption.map_or("?", Preemption::name), "");
        }
    });
    out.newline();
}

/// The given entries, up to the last one.
pub(crate) fn given<T>(list: &ByClass<T>) -> &[Option<T>] {
    let count = list.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    &list[..count]
}

const TC_ENTRY: u16 = 5;
const TC_ENTRY_INDEX: u16 = 1;
const TC_ENTRY_FP: u16 = 2;
