//! Names of classes, from a file such as `/etc/iproute2/tc_cls`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::rc::Rc;

use tc_core::print::{Item, Style};
use tc_core::{ClassIds, Handle};

use super::failure::Failure;
use super::report::Report;

const FILE: &str = "/etc/iproute2/tc_cls";

/// Names of classes by handle; without names a handle is shown as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassNames(Rc<BTreeMap<Handle, String>>);

impl ClassNames {
    /// Reads the file. Where the usual one is missing, libnl's names are taken; a
    /// line that cannot be read is reported, and there are no names then.
    pub(crate) fn load(file: Option<&str>, report: &Report) -> Result<Self, Failure> {
        let path = file.unwrap_or(FILE);
        let text = match (fs::read(super::environment::path(path)), file) {
            (Ok(bytes), _) => String::from_utf8_lossy(&bytes).into_owned(),
            (Err(_), None) => {
                return Ok(ClassIds::load().map(|ids| Self::from(&ids)).unwrap_or_else(|error| {
                    report.warning(&error.to_string());
                    Self::default()
                }));
            }
            (Err(_), Some(path)) => {
                return Err(Failure::Words(format!("Can't open class names file: {path}")));
            }
        };
        Ok(Self::parse(&text).unwrap_or_else(|line| {
            report.warning(&format!("Database {path} is corrupted at {line}"));
            Self::default()
        }))
    }

    /// Lines of a handle and a name; the error is the malformed line.
    fn parse(text: &str) -> Result<Self, &str> {
        let mut names = BTreeMap::new();
        for line in text.lines().map(|line| line.trim_start_matches([' ', '\t'])) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(id), Some(name)) = (words.next(), words.next()) else { return Err(line) };
            names.insert(handle(id).ok_or(line)?, name.to_owned());
        }
        Ok(Self(Rc::new(names)))
    }

    /// The handle for display: `name#1:1`, or `1:1`.
    pub(crate) fn of(&self, handle: Handle) -> Named<'_> {
        Named { name: self.0.get(&handle).map(String::as_str), handle }
    }
}

impl From<&ClassIds> for ClassNames {
    fn from(ids: &ClassIds) -> Self {
        // libnl names those that name themselves.
        let special = [Handle::UNSPEC, Handle::ROOT, Handle::INGRESS];
        let names = ids.iter().filter(|(handle, _)| !special.contains(handle));
        Self(Rc::new(names.map(|(handle, name)| (handle, name.to_owned())).collect()))
    }
}

/// `1:10`, a raw number as `0x10010`, or the same in decimal.
fn handle(id: &str) -> Option<Handle> {
    match (id.contains(':'), id.strip_prefix("0x")) {
        (true, _) => id.parse().ok(),
        (false, Some(digits)) => u32::from_str_radix(digits, 16).ok().map(Handle::from_raw),
        (false, None) => id.parse().ok().map(Handle::from_raw),
    }
}

/// A handle with its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    name: Option<&'a str>,
    handle: Handle,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            Some(name) => write!(f, "{name}#{}", self.handle),
            None => self.handle.fmt(f),
        }
    }
}

impl Item for Named<'_> {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        if let Some(name) = self.name {
            name.text(out, style);
            out.push(b'#');
        }
        self.handle.text(out, style);
    }

    fn json(&self, out: &mut Vec<u8>) {
        match self.name {
            None => self.handle.json(out),
            Some(_) => self.to_string().json(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_three_ways() {
        let names = ClassNames::parse("# c\n1:a ten\n 0x00010010\thex # c\n65537 dec\n1:a later\n").unwrap();
        for (handle, shown) in
            [("1:a", "later#1:a"), ("1:10", "hex#1:10"), ("1:1", "dec#1:1"), ("2:", "2:"), ("none", "none")]
        {
            assert_eq!(names.of(handle.parse().unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn libnls_names_are_names_too() {
        let ids = tc_core::ClassIds::parse("ffff:ffff root\n1: top\ntop:1 www\n").unwrap();
        let names = ClassNames::from(&ids);
        let shown = ["1:1", "1:", "root"].map(|handle| names.of(handle.parse().unwrap()).to_string());
        assert_eq!(shown, ["www#1:1", "top#1:", "root"]);
    }

    #[test]
    fn a_malformed_line_is_reported() {
        assert_eq!(ClassNames::parse("1:1 a\nzz b\n").unwrap_err(), "zz b");
        assert_eq!(ClassNames::parse("1:1\n").unwrap_err(), "1:1");
    }
}
