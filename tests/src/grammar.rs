//! Commands by chance, after `grammar.txt` beside this file.

use std::collections::BTreeMap;

use crate::random::Chance;

/// One group of a kind's line.
struct Group {
    required: bool,
    items: Vec<Vec<String>>,
}

/// Kind, or `class KIND`, and its possible words.
pub struct Grammar(BTreeMap<String, Vec<Group>>);

impl Grammar {
    /// The grammar of this workspace's kinds.
    #[must_use]
    pub fn of_kinds() -> Self {
        let lines = include_str!("grammar.txt").lines().filter(|line| !line.starts_with('#'));
        Self(
            lines
                .filter_map(|line| line.split_once(':'))
                .map(|(kind, rest)| (kind.to_owned(), groups(rest)))
                .collect(),
        )
    }

    /// Whether there is this line.
    #[must_use]
    pub fn has(&self, line: &str) -> bool {
        self.0.contains_key(line)
    }

    /// The lines' names.
    pub fn kinds(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// Every option of a line with every value that its pool has at this place, among as few others as
    /// the line needs: the words, the option's name, the value.
    #[must_use]
    pub fn each_value(&self, line: &str, of: Values) -> Vec<(Vec<String>, String, &'static str)> {
        let mut cases = Vec::new();
        for (before, item) in self.each_option(line) {
            for (place, word) in item.iter().enumerate() {
                let Some(pool) = pool(&name_of(word)) else { continue };
                let values = match of {
                    Values::Right => pool.right.to_vec(),
                    Values::Wrong => [pool.wrong, pool.taken].concat(),
                    Values::Extreme => EXTREME.to_vec(),
                };
                for value in values {
                    let mut words: Vec<_> = item.iter().map(|word| first(word)).collect();
                    words[place] = word.replace(&name_of(word), value);
                    cases.push(([before.clone(), words].concat(), item[0].clone(), value));
                }
            }
        }
        cases
    }

    /// Every option with each of its words in turn replaced by `value`, among as few others as the line needs:
    /// the words and the option's name.
    #[must_use]
    pub fn each_word(&self, line: &str, value: &str) -> Vec<(Vec<String>, String)> {
        self.each_option(line)
            .flat_map(|(before, item)| {
                (0..item.len()).map(move |place| {
                    let mut words: Vec<_> = item.iter().map(|word| first(word)).collect();
                    value.clone_into(&mut words[place]);
                    ([before.clone(), words].concat(), item[0].clone())
                })
            })
            .collect()
    }

    /// Every option, `times` times each.
    #[must_use]
    pub fn each_again(&self, line: &str, times: usize) -> Vec<Vec<String>> {
        let again = |(before, item): (Vec<String>, &Vec<String>)| {
            let words: Vec<_> = item.iter().map(|word| first(word)).collect();
            before.into_iter().chain(std::iter::repeat_n(words, times).flatten()).collect()
        };
        self.each_option(line).map(again).collect()
    }

    /// The options of a line, preceded by those that each of them requires.
    fn each_option(&self, line: &str) -> impl Iterator<Item = (Vec<String>, &Vec<String>)> {
        let groups = self.0.get(line).map(Vec::as_slice).unwrap_or_default();
        let items =
            groups.iter().enumerate().flat_map(|(at, group)| group.items.iter().map(move |item| (at, item)));
        items.map(move |(at, item)| {
            let needed = groups.iter().enumerate().filter(|(other, group)| *other != at && group.required);
            (needed.flat_map(|(_, group)| &group.items[0]).map(|word| first(word)).collect(), item)
        })
    }

    /// Words for a kind, an option with its values a part; now and then a wrong one among them.
    pub fn say(&self, kind: &str, chance: &mut Chance) -> Vec<String> {
        let mut parts = Vec::new();
        for group in self.0.get(kind).into_iter().flatten() {
            if chance.is(if group.required { 97 } else { 30 }) {
                let words = chance.of(&group.items).clone();
                let words: Vec<String> = words.iter().map(|word| value(word, chance)).collect();
                let at = chance.below(parts.len() + 1);
                parts.insert(at, words.join(" "));
            }
        }
        if chance.is(15) {
            spoil(&mut parts, chance);
        }
        parts
    }
}

/// Values that a kind takes, or that it refuses.
#[derive(Clone, Copy)]
pub enum Values {
    /// Values that tc accepts.
    Right,
    /// Values that tc refuses.
    Wrong,
    /// Values at the limits of arithmetic.
    Extreme,
}

const EXTREME: &[&str] = &[
    "0",
    "1",
    "0.0000001",
    "1e-300",
    "255",
    "65535",
    "65536",
    "2147483647",
    "4294967295",
    "18446744073709551615",
    "1e300",
    "100%",
    "4294s",
    "34gbit",
    "-2147483648",
];

/// The name of the pool in a word, or nothing.
fn name_of(word: &str) -> String {
    word.chars().filter(char::is_ascii_uppercase).collect()
}

/// The word with the first value of its pool.
fn first(word: &str) -> String {
    let name = name_of(word);
    pool(&name).map_or_else(|| word.to_owned(), |pool| word.replace(&name, pool.right[0]))
}

fn groups(line: &str) -> Vec<Group> {
    line.split_inclusive([']', ')'])
        .filter_map(|group| {
            let group = group.trim();
            let items = group.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
            let word = |word: &str| word.replace('{', "(").replace('}', ")");
            let items = items.split('|').map(|item| item.split_whitespace().map(word).collect());
            Some(Group { required: group.starts_with('('), items: items.collect() })
        })
        .collect()
}

/// An unknown word, a word twice, a word without its value, or help.
fn spoil(parts: &mut Vec<String>, chance: &mut Chance) {
    let at = chance.below(parts.len() + 1);
    match (chance.below(5), parts.get(at).cloned()) {
        (0, Some(part)) => parts.push(part),
        (1, Some(part)) => parts[at] = part.split(' ').next().unwrap_or_default().to_owned(),
        (2, Some(part)) => parts[at] = format!("{part} 3"),
        (3, _) => parts.insert(at, "help".to_owned()),
        _ => parts.insert(at, "bogus".to_owned()),
    }
}

/// Values for a word of the grammar.
struct Pool {
    right: &'static [&'static str],
    wrong: &'static [&'static str],
    /// Wrong values that tc accepts, truncated or reinterpreted, or refuses for their consequences.
    taken: &'static [&'static str],
}

fn pool(name: &str) -> Option<Pool> {
    let (right, wrong, taken): (&[_], &[_], &[_]) = match name {
        "COUNT" => (
            &["0", "1", "7", "100", "1000", "1024", "65535", "0x10"],
            &["4294967296", "x", "1.5", "-1", "9k", "nan", "99999999999999999999"],
            &[],
        ),
        "SMALL" => (&["0", "1", "2", "3", "8", "15"], &["17", "256", "x", "-1"], &[]),
        "HEX" => (&["0", "10", "ff", "0x20"], &["10000", "zz"], &[]),
        "SIZE" => (
            &["1600", "10k", "15kb", "1mb", "3000", "64kbit", "1.5k", "2000b", "1", "0", "100000"],
            &["x", "5q", "99999999999", "-1", "1e400"],
            &["nan"],
        ),
        "RATE" => (
            &[
                "1mbit", "1.5mbit", "1234567", "10gbit", "100kbps", "1gibit", "50gbit", "8bit", "20kbit",
                "1Mibps",
            ],
            &["fast", "10zbit", "0", "5%"],
            &["-1mbit", "nan", "inf"],
        ),
        "TIME" => (
            &["1ms", "100us", "5s", "1.5ms", "20", "0", "100msec", "3sec", "50ms"],
            &["soon", "5h"],
            &["-1ms", "9999999s", "nan", "inf"],
        ),
        "PERCENT" => (&["0%", "1%", "0.5%", "33.3%", "100%", "25"], &["101%", "x", "-1%"], &["nan%"]),
        "PROBABILITY" => (&["0.02", "0.5", "0.001", "1"], &["x"], &["2", "-0.1", "nan"]),
        "LINK" => (&["ethernet", "atm", "adsl"], &["token"], &[]),
        _ => return None,
    };
    Some(Pool { right, wrong, taken })
}

/// The prefix of a value that tc accepts and tc-cli does not.
pub const TAKEN: &str = "\u{1}";

/// `word` with the name of a pool in it replaced: `-COUNT`, `SIZE/8`.
fn value(word: &str, chance: &mut Chance) -> String {
    let name = name_of(word);
    let Some(pool) = pool(&name) else {
        return word.to_owned();
    };
    if chance.is(1) && !pool.taken.is_empty() {
        let chosen: &&str = chance.of(pool.taken);
        return format!("{TAKEN}{}", word.replace(&name, chosen));
    }
    let from = if chance.is(4) { pool.wrong } else { pool.right };
    let chosen: &&str = chance.of(from);
    word.replace(&name, chosen)
}
