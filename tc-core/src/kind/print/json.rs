//! The layout of JSON: on one line, or indented as iproute2 indents it.

use super::Item;
use super::value::is_plain;

/// An open object or array, and its layout.
#[derive(Debug)]
pub(super) struct Json {
    /// With line ends: objects have a line for each key, arrays stay on theirs.
    pretty: bool,
    /// Objects and arrays that are not ended, innermost last.
    open: Vec<Open>,
    /// Whether the last thing that was begun or ended is a value, and not the
    /// start of something: a comma comes before the next.
    has_value: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

impl Json {
    pub(super) const fn new(pretty: bool) -> Self {
        Self { pretty, open: Vec::new(), has_value: false }
    }

    /// A value under its key.
    ///
    /// Inlined, as [`Printer::item`](super::Printer::item) is: the key is a constant.
    #[inline(always)]
    pub(super) fn item(&mut self, key: &str, value: impl Item, out: &mut Vec<u8>) {
        self.begin_value(key, out);
        value.json(out);
        self.has_value = true;
    }

    /// Starts an object or an array.
    pub(super) fn begin(&mut self, key: &str, array: bool, out: &mut Vec<u8>) {
        self.begin_value(key, out);
        out.push(if array { b'[' } else { b'{' });
        if array && self.pretty {
            out.push(b' ');
        }
        self.open.push(if array { Open::Array } else { Open::Object });
        self.has_value = false;
    }

    /// Ends the innermost object or array.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let Some(ended) = self.open.pop() else { return };
        if self.pretty && self.has_value {
            match ended {
                Open::Array => out.push(b' '),
                Open::Object => self.line(out),
            }
        }
        out.push(if ended == Open::Array { b']' } else { b'}' });
        self.has_value = true;
    }

    pub(super) const fn depth(&self) -> usize {
        self.open.len()
    }

    /// The comma and the key before a value.
    #[inline(always)]
    fn begin_value(&mut self, key: &str, out: &mut Vec<u8>) {
        let Some(open) = self.open.last() else { return };
        if self.has_value {
            out.push(b',');
        }
        if *open == Open::Array {
            return;
        }
        if self.pretty {
            self.line(out);
        }
        debug_assert!(is_plain(key), "{key:?} needs escapes");
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        if self.pretty {
            out.push(b' ');
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        (0..self.open.len()).for_each(|_| out.extend_from_slice(b"    "));
    }
}
