//! Options as words that make the kernel keep the dumped options.
//!
//! [`Syntax::to_words`](crate::Syntax::to_words) describes options item by item.
//! The items also show whether an object is as desired, and the change that
//! makes it so: [`OptionWords::difference`].

mod difference;

use std::fmt::{self, Display};

use crate::wire::device::DeviceNames;
use crate::wire::units::{parse_rate, words_of_rate, words_of_size};

pub use difference::{Change, ChangeSemantics, Difference};

/// Options as words, and the meaning of each in a comparison.
///
/// A kind describes its options in [`Syntax::to_words`](crate::Syntax::to_words),
/// one item for each, under a key by which two descriptions are matched:
///
/// | method | words | compared | without a value |
/// |---|---|---|---|
/// | [`say`](Self::say) | yes | yes | |
/// | [`flag`](Self::flag), [`text`](Self::text) | yes | yes | off; a change makes it so |
/// | [`say_sticky`](Self::say_sticky), [`sticky_text`](Self::sticky_text) | yes | yes | off; only a new object can be so |
/// | [`say_if`](Self::say_if), [`switch`](Self::switch) | yes | yes | left to the kernel: as good as any |
/// | [`silent`](Self::silent), [`silent_sticky`](Self::silent_sticky) | no | yes | as `text`, as `sticky_text` |
/// | [`not_dumped`](Self::not_dumped) | yes | no | |
///
/// ```
/// use tc_core::OptionWords;
///
/// let mut words = OptionWords::new();
/// words.say("limit", 10);
/// words.flag("ecn", true);
/// assert_eq!(words.lines(), ["limit 10 ecn"]);
/// ```
#[derive(Clone, Default)]
pub struct OptionWords<'n> {
    items: Vec<Item>,
    group: String,
    line: usize,
    unsayable: Vec<String>,
    names: Option<&'n dyn DeviceNames>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    key: String,
    /// The compared text.
    value: String,
    /// The printed words; can be empty.
    text: String,
    line: usize,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Told,
    /// Dumped, but a change cannot unset it.
    Sticky,
    /// Left to the kernel, or not known.
    Open,
}

impl<'n> OptionWords<'n> {
    /// No words yet; devices are not known by name.
    pub fn new() -> Self {
        Self::default()
    }

    /// No words yet; device names come from there.
    pub fn with_names(names: &'n dyn DeviceNames) -> Self {
        Self { names: Some(names), ..Self::default() }
    }

    /// A parameter and its value: `limit 10`.
    pub fn say(&mut self, key: &str, value: impl Display) {
        self.push(key, format!("{key} {value}"), Meaning::Told);
    }

    /// A parameter that is left to the kernel if there is no value.
    pub fn say_if(&mut self, key: &str, value: Option<impl Display>) {
        match value {
            Some(value) => self.say(key, value),
            None => self.leave_open(key),
        }
    }

    /// A parameter that is off without a value, and that a change without it
    /// leaves as it is.
    pub fn say_sticky(&mut self, key: &str, value: Option<impl Display>) {
        let text = value.map(|value| format!("{key} {value}")).unwrap_or_default();
        self.push(key, text, Meaning::Sticky);
    }

    /// A name that is off without a value, and that a change without it leaves as it is. Words cannot say a
    /// name that is not one [plain](crate::words::is_plain) word.
    pub fn say_name(&mut self, key: &str, name: Option<&str>) {
        match name {
            Some(name) if !crate::words::is_plain(name) => self.cannot_say(&format!("{key} {name:?}")),
            name => self.say_sticky(key, name),
        }
    }

    /// A word that is there or not.
    pub fn flag(&mut self, key: &str, on: bool) {
        self.text(key, if on { key } else { "" });
    }

    /// One of two words, or neither, which leaves it to the kernel.
    pub fn switch(&mut self, key: &str, on: Option<bool>, yes: &str, no: &str) {
        match on {
            Some(on) => self.text(key, if on { yes } else { no }),
            None => self.leave_open(key),
        }
    }

    /// Words of any form under `key`; empty if it is off.
    pub fn text(&mut self, key: &str, text: impl Into<String>) {
        self.push(key, text.into(), Meaning::Told);
    }

    /// Words of any form, or none; a change without them leaves it as it is.
    pub fn sticky_text(&mut self, key: &str, text: impl Into<String>) {
        self.push(key, text.into(), Meaning::Sticky);
    }

    /// A value without words that is compared.
    pub fn silent(&mut self, key: &str, value: impl Display) {
        self.text(key, format!("{key} {value}"));
        if let Some(item) = self.items.last_mut() {
            item.text.clear();
        }
    }

    /// An optional value without words that is compared; a change without it leaves it
    /// as it is.
    pub fn silent_sticky(&mut self, key: &str, value: Option<impl Display>) {
        self.say_sticky(key, value);
        if let Some(item) = self.items.last_mut() {
            item.text.clear();
        }
    }

    /// Words for options that dumps leave out: they are not compared.
    pub fn not_dumped(&mut self, key: &str, text: impl Into<String>) {
        self.push(key, text.into(), Meaning::Open);
    }

    /// That `key` is left to the kernel, or not known.
    pub fn leave_open(&mut self, key: &str) {
        self.push(key, String::new(), Meaning::Open);
    }

    /// A rate in bytes per second, in bits and without rounding.
    pub fn say_rate(&mut self, key: &str, rate: u64) {
        let words = words_of_rate(rate);
        if parse_rate(&words) != Ok(rate) {
            self.cannot_say(&format!("{key} of {rate} bytes per second"));
        }
        self.say(key, words);
    }

    /// A size in bytes, without rounding.
    pub fn say_size(&mut self, key: &str, bytes: u32) {
        self.say(key, words_of_size(bytes));
    }

    /// A time in microseconds, without rounding.
    pub fn say_us(&mut self, key: &str, us: u32) {
        self.say(key, format_args!("{us}us"));
    }

    /// Items whose keys begin with `group`, so that they match only items of that
    /// group. Their words are unchanged.
    pub fn group(&mut self, group: &str, say: impl FnOnce(&mut Self)) {
        let before = self.group.len();
        self.group.push_str(group);
        self.group.push(' ');
        say(self);
        self.group.truncate(before);
    }

    /// Starts the words of a further change request.
    pub const fn next_line(&mut self) {
        self.line += 1;
    }

    /// Adds an inexpressible option.
    pub fn cannot_say(&mut self, what: &str) {
        self.unsayable.push(what.to_owned());
    }

    /// The inexpressible options.
    pub fn unsayable(&self) -> &[String] {
        &self.unsayable
    }

    /// The items without the source of names.
    pub(crate) fn without_names(self) -> OptionWords<'static> {
        let Self { items, group, line, unsayable, names: _ } = self;
        OptionWords { items, group, line, unsayable, names: None }
    }

    /// Where names come from, if that is known.
    pub(crate) const fn names(&self) -> Option<&'n dyn DeviceNames> {
        self.names
    }

    /// The name of a device, as [lossless](crate::lossless) text.
    pub fn device_name(&mut self, ifindex: i32) -> String {
        match self.names.map(|names| names.device_name(ifindex)) {
            Some(Ok(name)) => crate::wire::lossless::to_text(name.as_bytes()).into_owned(),
            _ => {
                self.cannot_say(&format!("the device with the index {ifindex}, which is not there"));
                format!("if{ifindex}")
            }
        }
    }

    /// The words of the request that creates the object, and of each change that
    /// follows it.
    pub fn lines(&self) -> Vec<String> {
        let line = |line: usize| {
            let texts = self.items.iter().filter(|item| item.line == line && !item.text.is_empty());
            texts.map(|item| item.text.as_str()).collect::<Vec<_>>().join(" ")
        };
        (0..=self.line).map(line).collect()
    }

    fn push(&mut self, key: &str, text: String, meaning: Meaning) {
        let key = format!("{}{key}", self.group);
        self.items.push(Item { key, value: text.clone(), text, line: self.line, meaning });
    }
}

impl fmt::Debug for OptionWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionWords").field("items", &self.items).field("unsayable", &self.unsayable).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn words(say: impl FnOnce(&mut OptionWords<'_>)) -> OptionWords<'static> {
        let mut words = OptionWords::new();
        say(&mut words);
        words
    }

    #[test]
    fn words_are_exact_and_in_order() {
        let said = words(|out| {
            out.say_rate("rate", 1000);
            out.say_size("burst", 1600);
            out.switch("ecn", Some(false), "ecn", "noecn");
            out.switch("drop", None, "drop", "cap");
            out.silent("limit", 3);
            out.group("vq 1", |out| out.say_us("time", 1500));
            out.next_line();
            out.flag("late", true);
        });
        assert_eq!(said.lines(), ["rate 8000bit burst 1600b noecn time 1500us", "late"]);
    }

    #[test]
    fn inexpressible_options_are_listed() {
        let said = words(|out| {
            out.device_name(7);
            out.say_rate("rate", u64::MAX - 1);
            out.say_name("indev", Some("a b"));
        });
        assert_eq!(said.unsayable().len(), 3);
    }
}
