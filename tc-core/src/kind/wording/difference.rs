//! The comparison of desired and current options.

use super::{Item, Meaning, OptionWords};

/// The step from the current to the desired options.
///
/// ```
/// use tc_core::{ChangeSemantics, Difference, OptionWords};
///
/// let limit = |packets: u32| {
///     let mut words = OptionWords::new();
///     words.say("limit", packets);
///     words
/// };
/// let semantics = ChangeSemantics::USUAL;
/// assert_eq!(limit(10).difference(&limit(10), &semantics), Difference::None);
/// let change = Difference::Change { was: "limit 10".into() };
/// assert_eq!(limit(20).difference(&limit(10), &semantics), change);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// A change.
    Change {
        /// The current value of the differing options, in words.
        was: String,
    },
    /// A new object: a change would not do.
    Renew {
        /// The current value of the differing options, in words.
        was: String,
    },
}

/// The effect of a change of an object, and the options that dumps leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeSemantics {
    /// The effect of a change.
    pub change: Change,
    /// Keys of options that a change cannot set: only a new object can.
    pub fixed: &'static [&'static str],
    /// Keys of options, each a word and a value, that the kernel refuses in a change even if the value stays
    /// the same: see [`Kind::as_change`](crate::Kind::as_change). They are [fixed](Self::fixed) as well.
    pub only_new: &'static [&'static str],
    /// The words of options that a dump leaves out, in whole or in part.
    pub not_dumped: &'static [&'static str],
    /// Keys of options that the kernel rounds. Any other value that the kernel
    /// changes is not taken: see [`OptionWords::not_taken`].
    pub rounded: &'static [&'static str],
    /// Classes only: the qdisc makes and removes the classes, and its options
    /// contain theirs.
    pub of_qdisc: bool,
    /// Filters only: the kernel deletes the filter along with its priority alone, and not by its
    /// handle.
    pub of_priority: bool,
}

/// The effect of a change of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It changes the object where it is.
    InPlace,
    /// It also deletes a qdisc that was attached below.
    DropsChild,
    /// The kernel refuses it.
    Refused,
}

impl ChangeSemantics {
    /// Most kinds: a change can set all options, and a dump has all of them.
    pub const USUAL: Self = Self {
        change: Change::InPlace,
        fixed: &[],
        only_new: &[],
        not_dumped: &[],
        rounded: &[],
        of_qdisc: false,
        of_priority: false,
    };
    /// A kind that cannot be changed.
    pub const REFUSES_CHANGE: Self = Self { change: Change::Refused, ..Self::USUAL };

    /// Sets the keys of options that a change cannot set.
    #[must_use]
    pub const fn fixed(self, fixed: &'static [&'static str]) -> Self {
        Self { fixed, ..self }
    }

    /// Sets the keys of options that the kernel refuses in a change even if the value stays the same.
    #[must_use]
    pub const fn only_new(self, keys: &'static [&'static str]) -> Self {
        Self { fixed: keys, only_new: keys, ..self }
    }

    /// Sets the words of options that a dump leaves out.
    #[must_use]
    pub const fn not_dumped(self, not_dumped: &'static [&'static str]) -> Self {
        Self { not_dumped, ..self }
    }

    /// Sets that a filter is deleted along with its priority.
    #[must_use]
    pub const fn of_priority(self) -> Self {
        Self { of_priority: true, ..self }
    }

    /// Sets the keys of options that the kernel rounds.
    #[must_use]
    pub const fn rounded(self, rounded: &'static [&'static str]) -> Self {
        Self { rounded, ..self }
    }
}

impl OptionWords<'_> {
    /// Whether both have the same specified options.
    pub fn is_same(&self, other: &Self) -> bool {
        let told = |words: &Self| -> Vec<(String, String)> {
            let items = words.items.iter().filter(|item| item.meaning != Meaning::Open);
            items.map(|item| (item.key.clone(), item.value.clone())).collect()
        };
        told(self) == told(other)
    }

    /// Merges the words of a later change, which override these.
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

    /// The step from the options `there` to these.
    pub fn difference(&self, there: &Self, semantics: &ChangeSemantics) -> Difference {
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
            renew |=
                (wanted_value.is_empty() && (sticky || wanted.is_none())) || semantics.fixed.contains(&key);
            was.push(match there_value {
                "" => format!("no {key}"),
                value => value.to_owned(),
            });
        }
        let was_text = was.join(" ");
        match (was.is_empty(), renew || semantics.change == Change::Refused) {
            (true, _) => Difference::None,
            (false, false) => Difference::Change { was: was_text },
            (false, true) => Difference::Renew { was: was_text },
        }
    }

    /// Returns the requested options that the kernel did not take, in words. These
    /// words are the options as requested, `dumped` as the kernel reports them
    /// after accepting them ([`Kind::as_dumped`](crate::Kind::as_dumped)), and
    /// `there` those of the dump.
    ///
    /// An option is not taken if the dump lacks it, because the kernel does not
    /// know it and ignores it, or if the kernel limits its value. A rounded value
    /// is taken ([`ChangeSemantics::rounded`]). An option for which `there`
    /// differs from `dumped` is reported by [`difference`](Self::difference) alone.
    ///
    /// ```
    /// use tc_core::{ChangeSemantics, OptionWords};
    ///
    /// let words = |limit: u32, seed: Option<u32>| {
    ///     let mut words = OptionWords::new();
    ///     words.say("limit", limit);
    ///     words.say_if("seed", seed);
    ///     words
    /// };
    /// let (asked, dumped) = (words(100_000, Some(7)), words(16_256, Some(7)));
    /// let not_taken = asked.not_taken(&dumped, &words(16_256, None), &ChangeSemantics::USUAL);
    /// assert_eq!(not_taken, ["limit 100000 (there is limit 16256)", "seed 7 (there is none)"]);
    /// ```
    pub fn not_taken(&self, dumped: &Self, there: &Self, semantics: &ChangeSemantics) -> Vec<String> {
        let of = |words: &Self, key: &str| -> Option<String> {
            let item = words.items.iter().find(|item| item.key == key)?;
            (item.meaning != Meaning::Open).then(|| item.value.clone())
        };
        let mut not_taken = Vec::new();
        for item in self.items.iter().filter(|item| item.meaning != Meaning::Open && !item.value.is_empty()) {
            // A dump never has it.
            let Some(dumped) = of(dumped, &item.key) else { continue };
            // With words the dump has it, and it does not count.
            let is_open = there
                .items
                .iter()
                .any(|one| one.key == item.key && one.meaning == Meaning::Open && one.text.is_empty());
            match of(there, &item.key) {
                None if is_open => not_taken.push(format!("{} (there is none)", item.value)),
                Some(there)
                    if there == dumped
                        && there != item.value
                        && !semantics.rounded.contains(&item.key.as_str()) =>
                {
                    let there = if there.is_empty() { "none" } else { &there };
                    not_taken.push(format!("{} (there is {there})", item.value));
                }
                _ => {}
            }
        }
        not_taken
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
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;
    use super::*;

    fn difference(wanted: &OptionWords<'_>, there: &OptionWords<'_>) -> Difference {
        wanted.difference(there, &ChangeSemantics::USUAL.fixed(&["flows"]))
    }

    #[test]
    fn unspecified_options_are_no_difference() {
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
        let refused = flows(1).difference(&flows(2), &ChangeSemantics::REFUSES_CHANGE);
        assert!(matches!(refused, Difference::Renew { .. }));
    }

    #[test]
    fn later_words_override_earlier_ones() {
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
}
