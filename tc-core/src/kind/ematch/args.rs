//! The arguments between the parentheses of an ematch.

use std::borrow::Cow;

use crate::wire::units::parse_u32;

/// One argument: a bare word, or text in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arg {
    pub(super) bytes: Vec<u8>,
    pub(super) quoted: bool,
}

impl Arg {
    /// The argument in a message: `.` stands for bytes that are not printable.
    pub(super) fn shown(&self) -> String {
        printable(&self.bytes)
    }
}

/// Bytes as text; `.` stands for those that are not printable in ASCII.
pub(super) fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
    bytes.iter().map(shown).collect()
}

/// A cursor over the arguments of an ematch.
///
/// An error marks the argument that was taken last.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    list: &'a [Arg],
    /// How many are taken.
    taken: usize,
}

impl<'a> Args<'a> {
    pub(super) const fn new(list: &'a [Arg]) -> Self {
        Self { list, taken: 0 }
    }

    /// The next argument as text. Bytes that are not UTF-8 have no meaning in a word, and
    /// are replaced.
    pub fn word(&mut self) -> Option<Cow<'a, str>> {
        self.bytes().map(String::from_utf8_lossy)
    }

    /// The next argument as bytes, with its escapes resolved.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let arg = self.list.get(self.taken)?;
        self.taken += 1;
        Some(&arg.bytes)
    }

    /// The next argument as text, without taking it.
    pub fn peek(&self) -> Option<Cow<'a, str>> {
        self.list.get(self.taken).map(|arg| String::from_utf8_lossy(&arg.bytes))
    }

    /// Whether the next argument is in quotes.
    pub fn is_quoted(&self) -> bool {
        self.list.get(self.taken).is_some_and(|arg| arg.quoted)
    }

    /// The next argument as a number in any base, at most `u32::MAX`. `missing` and `wrong` are the texts of
    /// errors.
    pub fn number(&mut self, missing: &str, wrong: &str) -> Result<u32, ArgError> {
        let Some(word) = self.word() else { return Err(self.wrong(missing)) };
        parse_u32(&word).map_err(|_| self.wrong(wrong))
    }

    /// Fails if an argument is left.
    pub fn end(&mut self, text: &str) -> Result<(), ArgError> {
        match self.bytes() {
            None => Ok(()),
            Some(_) => Err(self.wrong(text)),
        }
    }

    /// An error that marks the argument that was taken last.
    pub fn wrong(&self, text: &str) -> ArgError {
        ArgError { text: text.to_owned(), marked: self.taken.checked_sub(1), is_list: false }
    }

    /// An error that marks no argument.
    pub fn lacking(&self, text: &str) -> ArgError {
        ArgError { text: text.to_owned(), marked: None, is_list: false }
    }

    /// A text that is printed as it is: `meta(list)`.
    pub fn list(&self, text: &str) -> ArgError {
        ArgError { text: text.to_owned(), marked: None, is_list: true }
    }
}

/// Arguments that an ematch cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ArgError {
    pub(super) text: String,
    pub(super) marked: Option<usize>,
    pub(super) is_list: bool,
}
