//! Names of qdiscs and classes, as libnl's tools know them.

use std::collections::HashMap;
use std::{env, fs, io};

use crate::wire::handle::Handle;

/// Names of qdiscs and classes, from libnl's file `classid`.
///
/// A line has a handle and its name; `#` starts a comment. The handle may begin
/// with the name of a qdisc that an earlier line defines.
///
/// ```
/// use tc_core::{ClassIds, Handle};
///
/// let names = ClassIds::parse("1: top\ntop:2 www # servers\n").unwrap_or_default();
/// assert_eq!(names.handle("www"), Some(Handle::class(1, 2)));
/// assert_eq!(names.handle("top:3"), Some(Handle::class(1, 3)));
/// assert_eq!(names.name(Handle::class(1, 2)), Some("www"));
/// ```
///
/// As in libnl's `rtnl_tc_str2handle`, a number takes precedence over a name, and
/// names ignore case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassIds {
    handles: HashMap<String, Handle>,
    names: HashMap<Handle, String>,
}

/// A line that does not define a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: expected a handle and a name: {line:?}")]
pub struct ClassIdError {
    /// Its number, from 1 on.
    pub number: usize,
    /// The line.
    pub line: String,
}

/// Where libnl's file is: it was built for one of these folders.
const FOLDERS: [&str; 2] = ["/etc/libnl", "/etc/libnl-3"];

impl ClassIds {
    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Result<Self, ClassIdError> {
        let mut ids = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(id) = words.next() else { continue };
            let defined = ids.handle(id).zip(words.next());
            let (handle, name) = defined.ok_or_else(|| ClassIdError { number, line: line.to_owned() })?;
            ids.handles.insert(name.to_ascii_lowercase(), handle);
            // The first name of a handle is shown.
            ids.names.entry(handle).or_insert_with(|| name.to_owned());
        }
        Ok(ids)
    }

    /// Reads the file of this machine: `classid` in the folder `$NLSYSCONFDIR`, or
    /// else in `/etc/libnl` or `/etc/libnl-3`. Without the file there are no
    /// names; a line that defines none is an error of the kind `InvalidData`.
    pub fn load() -> io::Result<Self> {
        let folders = match env::var("NLSYSCONFDIR") {
            Ok(folder) => vec![folder],
            Err(_) => FOLDERS.map(str::to_owned).to_vec(),
        };
        for folder in folders {
            let path = format!("{folder}/classid");
            match fs::read_to_string(&path) {
                Ok(text) => {
                    let invalid = |error| format!("{path}: {error}");
                    return Self::parse(&text)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, invalid(error)));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::default())
    }

    /// The handle that a word means: a number in any form of [`Handle`]'s, a name,
    /// or the name of a qdisc and a minor number.
    pub fn handle(&self, word: &str) -> Option<Handle> {
        if let Ok(handle) = word.parse() {
            return Some(handle);
        }
        let by_name = |name: &str| self.handles.get(&name.to_ascii_lowercase()).copied();
        let Some((qdisc, minor)) = word.split_once(':') else { return by_name(word) };
        let qdisc = by_name(qdisc).filter(|handle| handle.minor() == 0)?;
        let class: Handle = format!(":{minor}").parse().ok().filter(|_| !minor.is_empty())?;
        Some(Handle::class(qdisc.major(), class.minor()))
    }

    /// The name of a handle.
    pub fn name(&self, handle: Handle) -> Option<&str> {
        self.names.get(&handle).map(String::as_str)
    }

    /// All handles that have a name.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &str)> {
        self.names.iter().map(|(handle, name)| (*handle, name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_handles() {
        let ids =
            ClassIds::parse("0:0 none\n\n# c\n1:\ttop\n top:1 Bulk\n2:1 b # never b:\n1:1 later\n").unwrap();
        for (word, handle) in [
            ("bulk", Some("1:1")),
            ("TOP", Some("1:")),
            ("top:ff", Some("1:ff")),
            ("later", Some("1:1")),
            ("b", Some("0:b")),
            ("bulk:1", None),
            ("top:", None),
            ("top:10000", None),
            ("other", None),
        ] {
            assert_eq!(ids.handle(word), handle.map(|text| text.parse().unwrap()), "{word}");
        }
        assert_eq!(ids.name(Handle::class(1, 1)), Some("Bulk"));
        assert_eq!(ids.iter().count(), 4);
    }

    #[test]
    fn a_malformed_line_is_reported() {
        for (text, number) in [("1: a\na\n", 2), ("30:1 leaf\nleaf:2 e\n", 2), ("zz name\n", 1)] {
            assert_eq!(ClassIds::parse(text).unwrap_err().number, number, "{text}");
        }
    }
}
