//! A cursor over the words of a command, and the errors that words can be.

use crate::kind::{Registry, RegistryError};
use crate::wire::units::UnitError;
use crate::wire::verb::Verb;

/// The words of a command after the kind's name.
///
/// ```
/// use tc_core::units::parse_u32;
/// use tc_core::words::{WordError, Words};
///
/// let mut words = Words::new(&["limit", "1k"]);
/// assert_eq!(words.next(), Some("limit"));
/// let limit = words.parse(parse_u32, |word| format!("Illegal \"limit\": {word}"));
/// assert_eq!(limit, Err(WordError::Kind("Illegal \"limit\": 1k".into())));
/// ```
#[derive(Clone, Debug)]
pub struct Words<'a> {
    words: &'a [&'a str],
}

impl<'a> Words<'a> {
    /// A cursor at the first of these words.
    pub const fn new(words: &'a [&'a str]) -> Self {
        Self { words }
    }

    /// The next word, which stays.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.first().copied()
    }

    /// The value that belongs to the word before it; that there is one is not
    /// optional.
    pub fn value(&mut self) -> Result<&'a str, WordError> {
        self.next().ok_or(WordError::Incomplete)
    }

    /// The words that are left.
    pub const fn rest(&self) -> &'a [&'a str] {
        self.words
    }

    /// Whether no word is left.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The value that follows, read by `parse`; `error` makes the text for one
    /// that cannot be read.
    pub fn parse<T>(
        &mut self,
        parse: impl FnOnce(&str) -> Result<T, UnitError>,
        error: impl FnOnce(&str) -> String,
    ) -> Result<T, WordError> {
        let word = self.value()?;
        parse(word).map_err(|_| WordError::Kind(error(word)))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

/// Whether a text is one word of a batch and of a shell as it stands: it is not empty and has no white space,
/// control character, quote, backslash or `#`.
pub fn is_plain(text: &str) -> bool {
    let is_special = |c: char| c.is_whitespace() || c.is_control() || "\"'\\#".contains(c);
    !text.is_empty() && !text.contains(is_special)
}

/// Splits a command at white space. A word that begins with a quote goes on to the next such quote, as in a
/// batch.
///
/// ```
/// assert_eq!(tc_core::words::split("a  'b c' d"), ["a", "b c", "d"]);
/// ```
pub fn split(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Whether `word` is a prefix of `name`, as `tc` allows for many words. An empty
/// word is not.
#[inline]
pub fn is_prefix(word: &str, name: &str) -> bool {
    // The first byte separates most words, without a call.
    let first = word.as_bytes().first();
    first.is_some() && first == name.as_bytes().first() && name.starts_with(word)
}

/// Words that cannot be read. The texts are those of `tc`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordError {
    /// A word is missing at the end.
    #[error("Command line is not complete. Try option \"help\"")]
    Incomplete,
    /// A value that is wrong.
    #[error("Error: argument \"{argument}\" is wrong: {message}")]
    Invalid {
        /// The value.
        argument: String,
        /// The text of the error.
        message: String,
    },
    /// A parameter that was given before.
    #[error("Error: duplicate \"{key}\": \"{value}\" is the second value.")]
    Duplicate {
        /// The parameter.
        key: String,
        /// Its second value.
        value: String,
    },
    /// Words given to a kind that takes none.
    #[error("qdisc '{kind}' does not support option parsing")]
    NoOptions {
        /// The kind.
        kind: &'static str,
    },
    /// The kind's error text, without a newline at the end.
    #[error("{0}")]
    Kind(String),
    /// The kind's error text, followed by its usage text.
    #[error("{0}")]
    KindUsage(String),
    /// A usage text, with its newline at the end, instead of the kind's: that of an
    /// action inside a filter. `tc` then ends with status 255.
    #[error("{0}")]
    Usage(String),
    /// A word that is no address. `tc` ends with status 1, also among actions, where other wrong
    /// words end with 255.
    #[error("Error: {family} address is expected rather than \"{word}\".")]
    Address {
        /// The family: `inet`, `inet6` or `any valid`.
        family: &'static str,
        /// The word.
        word: String,
    },
    /// The word `help`: not an error; the usage text is printed.
    #[error("help asked for")]
    Help,
}

impl WordError {
    /// A wrong value, in the words of `tc`: `Error: argument "X" is wrong: MSG`.
    pub fn invalid(message: impl Into<String>, argument: impl Into<String>) -> Self {
        Self::Invalid { argument: argument.into(), message: message.into() }
    }

    /// A word that is no address of this family.
    pub fn no_address(family: &'static str, word: impl Into<String>) -> Self {
        Self::Address { family, word: word.into() }
    }

    /// A parameter that was given before.
    pub fn duplicate(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Duplicate { key: key.into(), value: value.into() }
    }

    /// The error of most kinds for an unknown word: `What is "X"?` and the usage text.
    pub fn what_is(word: &str) -> Self {
        Self::KindUsage(format!("What is \"{word}\"?"))
    }
}

/// The context that the meaning of words can depend on.
///
/// Reading words does no I/O: facts of the machine come through [`Environment`].
#[derive(Clone, Copy, Debug)]
pub struct WordsContext<'a> {
    /// The operation.
    pub verb: Verb,
    /// The device's name, if one was given before the kind.
    pub dev: Option<&'a str>,
    /// The machine around.
    pub environment: &'a dyn Environment,
}

impl WordsContext<'_> {
    /// A context for `verb` without a device, with the default environment.
    pub const fn new(verb: Verb) -> Self {
        Self { verb, dev: None, environment: &Usual }
    }
}

/// Facts of the machine that words can refer to, looked up on demand.
pub trait Environment: std::fmt::Debug {
    /// Ticks a second of the packet scheduler's timer, the fourth number in
    /// `/proc/net/psched`: 1,000,000,000 with high-resolution timers.
    fn psched_hz(&self) -> u32 {
        1_000_000_000
    }

    /// Timer interrupts a second (`CONFIG_HZ`), in which the kernel keeps some
    /// times: the resolution of `CLOCK_MONOTONIC_COARSE`.
    fn timer_hz(&self) -> u32 {
        250
    }

    /// Tells the user of something that will be done all the same, in one line.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// A device's speed in Mbit/s, for rates in percent (`/sys/class/net/DEV/speed`).
    fn link_speed_mbit(&self, dev: &str) -> Result<u64, String> {
        Err(format!("the speed of {dev} is not known"))
    }

    /// The index of a device. The error is the text for the user.
    fn ifindex(&self, dev: &str) -> Result<i32, String> {
        Err(format!("Cannot find device \"{dev}\""))
    }

    /// A routing realm by name; by default none has a name.
    fn realm(&self, name: &str) -> Option<u8> {
        let _ = name;
        None
    }

    /// The index of a netfilter set by name. The error is a line for the user; empty if there is no such set.
    fn ipset_index(&self, name: &str) -> Result<u16, String> {
        let _ = name;
        Err(String::new())
    }

    /// The kinds that words can name inside a kind's own: the actions of a
    /// filter. Those of the program, unless an application keeps its own.
    fn registry(&self) -> Result<&Registry, RegistryError> {
        Registry::global()
    }

    /// The text of a file that a word names: the bytecode of bpf. The error is the cause for the user.
    fn read_text(&self, path: &str) -> Result<String, String> {
        Err(format!("no file {path}"))
    }

    /// A delay distribution by name, for netem: samples of the inverse
    /// cumulative distribution, scaled by 8192.
    fn distribution(&self, name: &str) -> Result<Vec<i16>, String> {
        Err(format!("no distribution {name:?}"))
    }
}

/// The usual machine: high-resolution timers, and nothing else known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usual;

impl Environment for Usual {}

/// A value read once: a parameter that must not be given twice.
///
/// ```
/// use tc_core::words::{Once, WordError};
///
/// let mut limit = Once::new("limit");
/// limit.set("10", 10)?;
/// assert_eq!(limit.set("20", 20), Err(WordError::duplicate("limit", "20")));
/// assert_eq!(limit.get(), Some(10));
/// # Ok::<(), WordError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Once<T> {
    key: &'static str,
    value: Option<T>,
}

impl<T> Once<T> {
    /// A parameter that was not given yet.
    pub const fn new(key: &'static str) -> Self {
        Self { key, value: None }
    }

    /// Takes the value; a second one is an error that names `word`.
    pub fn set(&mut self, word: &str, value: T) -> Result<(), WordError> {
        if self.value.is_some() {
            return Err(WordError::duplicate(self.key, word));
        }
        self.value = Some(value);
        Ok(())
    }

    /// The value, if it was given.
    pub fn get(self) -> Option<T> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_beginning_and_not_nothing() {
        assert!(is_prefix("ch", "change") && is_prefix("change", "change"));
        assert!(!is_prefix("", "change") && !is_prefix("changes", "change") && !is_prefix("x", "change"));
    }

    #[test]
    fn errors_have_the_texts_that_scripts_match() {
        assert_eq!(WordError::Incomplete.to_string(), "Command line is not complete. Try option \"help\"");
        assert_eq!(WordError::invalid("MSG", "X").to_string(), "Error: argument \"X\" is wrong: MSG");
        assert_eq!(
            WordError::duplicate("dev", "b").to_string(),
            "Error: duplicate \"dev\": \"b\" is the second value."
        );
    }

    #[test]
    fn words_come_one_after_the_other() {
        let mut words = Words::new(&["limit", "10"]);
        assert_eq!((words.peek(), words.next(), words.value()), (Some("limit"), Some("limit"), Ok("10")));
        assert!(words.is_empty());
        assert_eq!(words.value(), Err(WordError::Incomplete));
    }
}
