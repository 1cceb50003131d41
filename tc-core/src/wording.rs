//! Options put into words: what `tc` has to read so that the kernel keeps what
//! it told.
//!
//! [`Kind::write_words`](crate::Kind::write_words) says options one item after
//! the other. The same items tell whether an object is as it is wanted, and
//! what it takes to make it so: [`Wording::difference`].

use std::fmt::{self, Display};

use crate::link::DeviceNames;
use crate::units::{parse_rate, words_of_rate, words_of_size};

/// Options as words, and what each of them means to a comparison.
///
/// ```
/// use tc_core::Wording;
///
/// let mut words = Wording::new();
/// words.say("limit", 10);
/// words.flag("ecn", true);
/// assert_eq!(words.lines(), ["limit 10 ecn"]);
/// ```
#[derive(Clone, Default)]
pub struct Wording<'n> {
    items: Vec<Item>,
    group: String,
    line: usize,
    unsayable: Vec<String>,
    names: Option<&'n dyn DeviceNames>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    key: String,
    /// What is compared.
    value: String,
    /// What is printed; empty for nothing.
    text: String,
    line: usize,
    meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Told,
    /// As told, but a change cannot take it away.
    Sticky,
    /// Left to the kernel, or not known.
    Open,
}

/// What it takes to make an object what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// A change.
    Change {
        /// What there is of what differs, in words.
        was: String,
    },
    /// A new object: a change would not do.
    Renew {
        /// What there is of what differs, in words.
        was: String,
    },
}

/// What a change does to an object, and what the kernel does not tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// What a change does.
    pub change: Change,
    /// Keys of the wording that only a new object can have otherwise.
    pub fixed: &'static [&'static str],
    /// What a dump does not tell, or not all of, by the words for it.
    pub untold: &'static [&'static str],
    /// Of classes: that they come and go with the qdisc, whose options say all
    /// of theirs.
    pub of_qdisc: bool,
}

/// What a change does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It changes the object where it is.
    InPlace,
    /// It also takes away a qdisc that was put below.
    DropsChild,
    /// The kernel refuses it.
    Refused,
}

impl Upkeep {
    /// That of most kinds: all can be changed, and all is told.
    pub const USUAL: Self = Self { change: Change::InPlace, fixed: &[], untold: &[], of_qdisc: false };
    /// That of a kind that cannot be changed.
    pub const REFUSES_CHANGE: Self = Self { change: Change::Refused, ..Self::USUAL };

    /// The same with keys that cannot be changed.
    #[must_use]
    pub const fn fixed(self, fixed: &'static [&'static str]) -> Self {
        Self { fixed, ..self }
    }

    /// The same with words for what a dump does not tell.
    #[must_use]
    pub const fn untold(self, untold: &'static [&'static str]) -> Self {
        Self { untold, ..self }
    }
}

impl<'n> Wording<'n> {
    /// No words yet; devices are not known by name.
    pub fn new() -> Self {
        Self::default()
    }

    /// No words yet; device names come from there.
    pub fn with_names(names: &'n dyn DeviceNames) -> Self {
        Self { names: Some(names), ..Self::default() }
    }

    /// A parameter and its value.
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

    /// Words of any form for what `key` stands for; none are as good as any.
    pub fn text(&mut self, key: &str, text: impl Into<String>) {
        self.push(key, text.into(), Meaning::Told);
    }

    /// Words of any form, or none; a change without them leaves it as it is.
    pub fn sticky_text(&mut self, key: &str, text: impl Into<String>) {
        self.push(key, text.into(), Meaning::Sticky);
    }

    /// What counts in a comparison, and has no words.
    pub fn silent(&mut self, key: &str, value: impl Display) {
        self.text(key, format!("{key} {value}"));
        if let Some(item) = self.items.last_mut() {
            item.text.clear();
        }
    }

    /// What counts in a comparison, if there is any, and has no words; a change
    /// without it leaves it as it is.
    pub fn silent_sticky(&mut self, key: &str, value: Option<impl Display>) {
        self.say_sticky(key, value);
        if let Some(item) = self.items.last_mut() {
            item.text.clear();
        }
    }

    /// Words for what a dump does not tell: they count in no comparison.
    pub fn untold(&mut self, key: &str, text: impl Into<String>) {
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

    /// Items whose keys begin with `group`.
    pub fn group(&mut self, group: &str, say: impl FnOnce(&mut Self)) {
        let before = self.group.len();
        self.group.push_str(group);
        self.group.push(' ');
        say(self);
        self.group.truncate(before);
    }

    /// What follows is said by a change behind what was said so far.
    pub const fn next_line(&mut self) {
        self.line += 1;
    }

    /// That there is something for which there are no words.
    pub fn cannot_say(&mut self, what: &str) {
        self.unsayable.push(what.to_owned());
    }

    /// What there are no words for.
    pub fn unsayable(&self) -> &[String] {
        &self.unsayable
    }

    /// The name of a device.
    pub fn device_name(&mut self, ifindex: i32) -> String {
        match self.names.map(|names| names.device_name(ifindex)) {
            Some(Ok(name)) => name.as_str().to_owned(),
            _ => {
                self.cannot_say(&format!("the device with the index {ifindex}, which is not there"));
                format!("if{ifindex}")
            }
        }
    }

    /// The words: those of the request that makes the object, and of each
    /// change behind it.
    pub fn lines(&self) -> Vec<String> {
        let line = |line: usize| {
            let texts = self.items.iter().filter(|item| item.line == line && !item.text.is_empty());
            texts.map(|item| item.text.as_str()).collect::<Vec<_>>().join(" ")
        };
        (0..=self.line).map(line).collect()
    }

    /// Whether both say the same, with nothing left open by one alone.
    pub fn is_same(&self, other: &Self) -> bool {
        let told = |words: &Self| -> Vec<(String, String)> {
            let items = words.items.iter().filter(|item| item.meaning != Meaning::Open);
            items.map(|item| (item.key.clone(), item.value.clone())).collect()
        };
        told(self) == told(other)
    }

    /// What a later change says takes the place of what was said.
    pub fn amend(&mut self, later: &Self) {
        for item in &later.items {
            let known = self.items.iter_mut().find(|known| known.key == item.key);
            match known {
                Some(_) if item.meaning == Meaning::Open && item.text.is_empty() => {}
                Some(known) => *known = item.clone(),
                None => self.items.push(item.clone()),
            }
        }
        self.unsayable.extend(later.unsayable.iter().cloned());
    }

    /// What it takes to make an object what these words say that is now what
    /// `there` says.
    pub fn difference(&self, there: &Self, upkeep: &Upkeep) -> Difference {
        let mut was = Vec::new();
        let mut renew = false;
        for (wanted, there) in self.pairs(there) {
            let (wanted_value, there_value) =
                (wanted.map_or("", |item| &item.value), there.map_or("", |item| &item.value));
            let open = |item: Option<&Item>| item.is_some_and(|item| item.meaning == Meaning::Open);
            if wanted_value == there_value || open(wanted) || open(there) {
                continue;
            }
            let sticky = there.is_some_and(|item| item.meaning == Meaning::Sticky);
            let key = wanted.or(there).map_or("", |item| item.key.as_str());
            renew |= (wanted_value.is_empty() && (sticky || wanted.is_none())) || upkeep.fixed.contains(&key);
            was.push(match there_value {
                "" => format!("no {key}"),
                value => value.to_owned(),
            });
        }
        let was_text = was.join(" ");
        match (was.is_empty(), renew || upkeep.change == Change::Refused) {
            (true, _) => Difference::None,
            (false, false) => Difference::Change { was: was_text },
            (false, true) => Difference::Renew { was: was_text },
        }
    }

    /// The items of both by key.
    fn pairs<'a>(
        &'a self,
        there: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a Item>, Option<&'a Item>)> + 'a {
        let of = |words: &'a Self, key: &str| words.items.iter().find(|item| item.key == key);
        let mine = self.items.iter().map(move |item| (Some(item), of(there, &item.key)));
        let others = there.items.iter().filter(move |item| of(self, &item.key).is_none());
        mine.chain(others.map(|item| (None, Some(item))))
    }

    fn push(&mut self, key: &str, text: String, meaning: Meaning) {
        let key = format!("{}{key}", self.group);
        self.items.push(Item { key, value: text.clone(), text, line: self.line, meaning });
    }
}

impl fmt::Debug for Wording<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wording").field("items", &self.items).field("unsayable", &self.unsayable).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(say: impl FnOnce(&mut Wording<'_>)) -> Wording<'static> {
        let mut words = Wording::new();
        say(&mut words);
        words
    }

    fn difference(wanted: &Wording<'_>, there: &Wording<'_>) -> Difference {
        wanted.difference(there, &Upkeep::USUAL.fixed(&["flows"]))
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
    fn what_is_left_open_is_no_difference() {
        let there = words(|out| {
            out.say("limit", 10);
            out.switch("ecn", Some(true), "ecn", "noecn");
        });
        let wanted = words(|out| {
            out.say_if("limit", None::<u32>);
            out.switch("ecn", Some(true), "ecn", "noecn");
        });
        assert_eq!(difference(&wanted, &there), Difference::None);
        assert!(!wanted.is_same(&there));
        let wanted = words(|out| out.say("limit", 20));
        let there = words(|out| out.say("limit", 10));
        assert_eq!(difference(&wanted, &there), Difference::Change { was: "limit 10".into() });
    }

    #[test]
    fn a_change_cannot_do_everything() {
        let there = words(|out| out.say_sticky("ce_threshold", Some(5)));
        let wanted = words(|out| out.say_sticky("ce_threshold", None::<u32>));
        let renew = Difference::Renew { was: "ce_threshold 5".into() };
        assert_eq!(difference(&wanted, &there), renew);
        assert_eq!(difference(&words(|_| ()), &there), renew);
        assert!(matches!(difference(&there, &wanted), Difference::Change { .. }));
        let flows = |number: u32| words(|out| out.say("flows", number));
        assert!(matches!(difference(&flows(1), &flows(2)), Difference::Renew { .. }));
        let refused = flows(1).difference(&flows(2), &Upkeep::REFUSES_CHANGE);
        assert!(matches!(refused, Difference::Renew { .. }));
    }

    #[test]
    fn later_words_take_the_place_of_earlier_ones() {
        let mut first = words(|out| {
            out.say("limit", 10);
            out.say("flows", 3);
        });
        first.amend(&words(|out| {
            out.say("limit", 20);
            out.leave_open("flows");
        }));
        assert_eq!(first.lines(), ["limit 20 flows 3"]);
    }

    #[test]
    fn what_cannot_be_said_is_remembered() {
        let said = words(|out| {
            out.device_name(7);
            out.say_rate("rate", u64::MAX - 1);
        });
        assert_eq!(said.unsayable().len(), 2);
    }
}
