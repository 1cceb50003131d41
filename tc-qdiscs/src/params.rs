//! Options that are numbers, each in one attribute: a table has the name, the
//! place, the parser and the format of each.
//!
//! A table stands in the order in which `tc` prints. An option of another form
//! (a mask, an array) is handled beside it.

use std::time::Duration;

use tc_core::print::{Printer, Size, Time};
use tc_core::units::{micros, parse_size, parse_time_us, parse_u32, words_of_size};
use tc_core::words::{Environment, WordError, Words};
use tc_core::{AttrWriter, Attrs, DecodeError, EncodeError, OptionWords};

use crate::common::{asked, codel_us, in_us, jiffies_us, of_us, ticks_us, u32_at, us};

/// A parameter of a kind with the options `O`.
pub(crate) struct Param<O> {
    attribute: u16,
    word: &'static str,
    unit: Unit,
    field: Field<O>,
    most: u32,
    /// The number that `tc` treats as absent.
    not_given: Option<u32>,
    sticky: bool,
}

/// Where the parameter stands in the options. To read is done by the same way, on
/// a copy of them.
enum Field<O> {
    Number(fn(&mut O) -> &mut Option<u32>),
    /// In microseconds.
    Time(fn(&mut O) -> &mut Option<Duration>),
    Switch(fn(&mut O) -> &mut Option<bool>),
}

/// The type of a parameter's number.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Number,
    Packets,
    /// Bytes, read as a number and printed with a unit.
    Bytes,
    /// Bytes, read and printed with a unit.
    Size,
    /// Microseconds that CoDel keeps in units of 1024 ns.
    CodelUs,
    /// Microseconds that PIE keeps in ticks of 64 ns.
    TicksUs,
    /// Microseconds that the kernel keeps in timer interrupts.
    JiffiesUs,
    /// 1, or with another word 0.
    Switch {
        off: &'static str,
    },
}

/// A number; `tc` takes 0 for not given.
pub(crate) const fn number<O>(
    attribute: u16,
    word: &'static str,
    unit: Unit,
    field: fn(&mut O) -> &mut Option<u32>,
) -> Param<O> {
    let (field, not_given) = (Field::Number(field), Some(0));
    Param { attribute, word, unit, field, most: u32::MAX, not_given, sticky: false }
}

/// A time; `tc` takes 0 for not given.
pub(crate) const fn time<O>(
    attribute: u16,
    word: &'static str,
    unit: Unit,
    field: fn(&mut O) -> &mut Option<Duration>,
) -> Param<O> {
    let (field, not_given) = (Field::Time(field), Some(0));
    Param { attribute, word, unit, field, most: u32::MAX, not_given, sticky: false }
}

/// A switch: on with one word, off with the other.
pub(crate) const fn switch<O>(
    attribute: u16,
    word: &'static str,
    off: &'static str,
    field: fn(&mut O) -> &mut Option<bool>,
) -> Param<O> {
    let (unit, field) = (Unit::Switch { off }, Field::Switch(field));
    Param { attribute, word, unit, field, most: 1, not_given: None, sticky: false }
}

impl<O: Copy> Param<O> {
    /// A number above this is an error.
    pub(crate) const fn at_most(self, most: u32) -> Self {
        Self { most, ..self }
    }

    /// `tc` takes the largest number for not given, and not 0.
    pub(crate) const fn or_max(self) -> Self {
        Self { not_given: Some(u32::MAX), ..self }
    }

    /// Off if it was never given, and left as it is by a change without it.
    pub(crate) const fn sticky(self) -> Self {
        Self { sticky: true, ..self }
    }

    pub(crate) const fn word(&self) -> &'static str {
        self.word
    }

    fn get(&self, options: &mut O) -> Option<u32> {
        match self.field {
            Field::Number(field) => *field(options),
            Field::Time(field) => field(options).map(in_us),
            Field::Switch(field) => field(options).map(u32::from),
        }
    }

    /// The number to send; a time can be too long for it.
    fn checked(&self, options: &mut O) -> Result<Option<u32>, EncodeError> {
        match self.field {
            Field::Time(field) => field(options).map(|time| micros(self.word, time)).transpose(),
            _ => Ok(self.get(options)),
        }
    }

    fn set(&self, options: &mut O, value: Option<u32>) {
        match self.field {
            Field::Number(field) => *field(options) = value,
            Field::Time(field) => *field(options) = value.map(of_us),
            Field::Switch(field) => *field(options) = value.map(|number| number != 0),
        }
    }
}

/// Reads the words of a kind that has no other parameters.
pub(crate) fn parse_words<O: Copy + Default>(
    params: &[Param<O>],
    words: &mut Words<'_>,
) -> Result<Option<O>, WordError> {
    let mut options = O::default();
    while let Some(word) = words.next() {
        parse_word(params, word, words, &mut options)?;
    }
    Ok(Some(options))
}

/// Reads one of these parameters, or `help`.
pub(crate) fn parse_word<O: Copy>(
    params: &[Param<O>],
    word: &str,
    words: &mut Words<'_>,
    options: &mut O,
) -> Result<(), WordError> {
    let illegal = || format!("Illegal \"{word}\"");
    for param in params {
        let value = match param.unit {
            Unit::Switch { off } if word == off => 0,
            _ if word != param.word => continue,
            unit => unit.parse(words, |_| illegal())?,
        };
        if value > param.most {
            return Err(WordError::Kind(illegal()));
        }
        param.set(options, Some(value).filter(|_| param.not_given != Some(value)));
        return Ok(());
    }
    Err(if word == "help" { WordError::Help } else { WordError::what_is(word) })
}

/// Appends these attributes as far as they are given, in this order: `tc`'s.
pub(crate) fn encode<O: Copy>(
    params: &[Param<O>],
    order: impl IntoIterator<Item = u16>,
    options: &O,
    out: &mut AttrWriter<'_>,
) -> Result<(), EncodeError> {
    let mut options = *options;
    for attribute in order {
        if let Some(param) = params.iter().find(|param| param.attribute == attribute) {
            out.attr_u32_if(attribute, param.checked(&mut options)?);
        }
    }
    Ok(())
}

pub(crate) fn decode<O: Copy + Default>(params: &[Param<O>], payload: &[u8]) -> Result<O, DecodeError> {
    const ATTRIBUTES: usize = 16;
    let table = Attrs::new(payload).table::<ATTRIBUTES>()?;
    let mut options = O::default();
    for param in params {
        param.set(&mut options, u32_at(&table, param.attribute)?);
    }
    Ok(options)
}

pub(crate) fn to_words<'p, O: Copy + 'static>(
    params: impl IntoIterator<Item = &'p Param<O>>,
    options: &O,
    out: &mut OptionWords<'_>,
) {
    let mut options = *options;
    for param in params {
        let (word, value) = (param.word, param.get(&mut options));
        let asked = value.map(|told| param.unit.asked(told));
        match param.unit {
            Unit::Switch { off } => out.switch(word, value.map(|on| on != 0), word, off),
            _ if param.sticky => out.say_sticky(word, asked),
            _ => out.say_if(word, asked),
        }
    }
}

/// The options as the kernel reports them.
pub(crate) fn as_dumped<O: Copy>(params: &[Param<O>], options: &O, environment: &dyn Environment) -> O {
    let mut kept = *options;
    for param in params {
        let told = param.get(&mut kept).map(|asked| param.unit.told(asked, environment));
        param.set(&mut kept, told);
    }
    kept
}

/// The options to send so that the kernel reports these.
pub(crate) fn as_request<O: Copy>(params: &[Param<O>], options: &O) -> O {
    let mut request = *options;
    for param in params {
        let asked = param.get(&mut request).map(|told| param.unit.to_ask(told));
        param.set(&mut request, asked);
    }
    request
}

pub(crate) fn print<O: Copy>(params: &[Param<O>], options: &O, out: &mut Printer) {
    let mut options = *options;
    for param in params {
        if let Some(value) = param.get(&mut options) {
            param.unit.print(param.word, value, out);
        }
    }
}

impl Unit {
    fn parse(self, words: &mut Words<'_>, error: impl FnOnce(&str) -> String) -> Result<u32, WordError> {
        match self {
            Self::Number | Self::Packets | Self::Bytes => words.parse(parse_u32, error),
            Self::Size => words.parse(parse_size, error),
            Self::CodelUs | Self::TicksUs | Self::JiffiesUs => words.parse(parse_time_us, error),
            Self::Switch { .. } => Ok(1),
        }
    }

    /// Words whose values the kernel reports as these.
    fn asked(self, told: u32) -> String {
        match self {
            Self::Number | Self::Packets | Self::Bytes | Self::Switch { .. } => told.to_string(),
            Self::Size => words_of_size(told),
            Self::CodelUs | Self::TicksUs | Self::JiffiesUs => us(self.to_ask(told)),
        }
    }

    /// The number to ask the kernel for, of which it then reports this one.
    fn to_ask(self, told: u32) -> u32 {
        match self {
            Self::CodelUs => asked(told, codel_us),
            Self::TicksUs => asked(told, ticks_us),
            _ => told,
        }
    }

    /// The options as the kernel reports them after accepting these.
    fn told(self, asked: u32, environment: &dyn Environment) -> u32 {
        match self {
            Self::CodelUs => codel_us(asked),
            Self::TicksUs => ticks_us(asked),
            Self::JiffiesUs => jiffies_us(asked, environment.timer_hz()),
            Self::Number | Self::Packets | Self::Bytes | Self::Size | Self::Switch { .. } => asked,
        }
    }

    fn print(self, word: &str, value: u32, out: &mut Printer) {
        if matches!(self, Self::Switch { .. }) && value == 0 {
            return;
        }
        out.text(word);
        match self {
            Self::Number => out.item(word, " ", value, " "),
            Self::Packets => out.item(word, " ", value, "p "),
            Self::Bytes | Self::Size => out.item(word, " ", Size(value), " "),
            Self::CodelUs | Self::TicksUs | Self::JiffiesUs => out.item(word, " ", Time(value), " "),
            Self::Switch { .. } => out.flag(word, " "),
        }
    }
}
