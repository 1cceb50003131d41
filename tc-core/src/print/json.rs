//! The layout of JSON: on one line, or indented as iproute2 indents it.

use super::Item;
use super::value::is_plain;

/// What is open, and how it is laid out.
#[derive(Debug)]
pub(super) struct Json {
    /// With line ends: objects have a line for each key, arrays stay on theirs.
    pretty: bool,
    /// Objects and arrays that are not ended, innermost last.
    open: Vec<Open>,
    /// Whether the last thing that was begun or ended is a value, and not the
    /// start of something.
    has_value: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    array: bool,
    empty: bool,
}

impl Json {
    pub(super) const fn new(pretty: bool) -> Self {
        Self { pretty, open: Vec::new(), has_value: false }
    }

    /// A value under its key.
    pub(super) fn item(&mut self, key: &str, value: impl Item, out: &mut Vec<u8>) {
        self.begin_value(key, out);
        value.json(out);
        self.has_value = true;
    }

    /// Starts an object or an array.
    pub(super) fn begin(&mut self, key: &str, array: bool, out: &mut Vec<u8>) {
        self.begin_value(key, out);
        out.extend_from_slice(match (array, self.pretty) {
            (false, _) => b"{",
            (true, false) => b"[",
            (true, true) => b"[ ",
        });
        self.open.push(Open { array, empty: true });
        self.has_value = false;
    }

    /// Ends the innermost object or array.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let Some(Open { array, .. }) = self.open.pop() else { return };
        if self.pretty && self.has_value {
            match array {
                true => out.push(b' '),
                false => self.line(out),
            }
        }
        out.push(if array { b']' } else { b'}' });
        self.has_value = true;
    }

    pub(super) const fn depth(&self) -> usize {
        self.open.len()
    }

    /// The comma and the key before a value.
    fn begin_value(&mut self, key: &str, out: &mut Vec<u8>) {
        let Some(open) = self.open.last_mut() else { return };
        let Open { array, empty } = std::mem::replace(open, Open { empty: false, ..*open });
        if !empty {
            out.push(b',');
        }
        if array {
            return;
        }
        if self.pretty {
            self.line(out);
        }
        debug_assert!(is_plain(key), "{key:?} needs escapes");
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(if self.pretty { b"\": " } else { b"\":" });
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        (0..self.open.len()).for_each(|_| out.extend_from_slice(b"    "));
    }
}
