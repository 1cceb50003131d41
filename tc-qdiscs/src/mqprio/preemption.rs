//! Which classes may be interrupted in the middle of a packet (IEEE 802.1Qbu),
//! for taprio too.

use tc_core::Wording;
use tc_core::print::Printer;
use tc_core::words::Words;

use super::MAX_CLASSES;

/// `TC_FP_*`: what a packet of a class does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Says the classes up to the last one that is not express, which all are if
/// nothing is said.
pub(crate) fn write_words(list: &ByClass<Preemption>, out: &mut Wording<'_>) {
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

/// What is given, up to the last one.
pub(crate) fn given<T>(list: &ByClass<T>) -> &[Option<T>] {
    let count = list.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    &list[..count]
}
