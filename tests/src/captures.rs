//! Captures: messages that iproute2's tc sent, and objects as a kernel dumped them and tc printed
//! them, in `tc-qdiscs/captures/KIND/NAME.hex`. `tests/capture` makes these files.
//!
//! Lines that start with `#` come first:
//!
//! | line | meaning |
//! |---|---|
//! | `# command: tc qdisc add dev lo root plug limit 32768` | the commands; the last tc command is the captured one |
//! | `# iproute2 6.1.0, Linux 6.1.0` | where |
//! | `# direction: request` or `dump` | from tc to the kernel, or back |
//! | `# options: "limit 10p"` | tc's text of the options, as a JSON string |
//! | `# options -s -d: "..."` | the same with these flags, where it differs |
//! | `# options-json: {"limit":10}` | the JSON of `tc -j` |
//! | `# actions: "..."`, `# actions-json: {...}` | tc's text of a list of actions |
//! | `# xstats: "..."`, `# xstats-json: {...}` | the kind's extended statistics (`tc -s`) |
//! | `# differs: REASON` | why our options differ from tc's |
//!
//! Behind them stand the bytes of one netlink message in hexadecimal, its sequence number and port
//! zeroed.
#![expect(clippy::expect_used, clippy::panic, reason = "a capture that cannot be read is named")]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, io};

use serde_json::Value;
use tc_core::link::{DeviceName, DeviceNames};
use tc_core::message::{Entry, Message, Messages};
use tc_core::print::Style;
use tc_core::uapi::{
    RTM_GETACTION, RTM_NEWACTION, RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, TCA_ACT_KIND, TCA_ACT_OPTIONS,
    TCA_ACT_TAB, TCA_OPTIONS,
};
use tc_core::words::Environment;
use tc_core::{Attr, FilterPlace, TcType, Verb};

use crate::words::split;

/// One capture file.
#[derive(Clone, Debug)]
pub struct Capture {
    /// `KIND/NAME.hex`.
    pub name: String,
    /// The kind, from the message.
    pub kind: String,
    /// The object of the message.
    pub tc_type: TcType,
    /// Whether the kernel sent it; otherwise tc did.
    pub is_dump: bool,
    /// The last tc command, word by word.
    pub command: Vec<String>,
    /// The version of iproute2 that made it.
    pub iproute2: Version,
    /// Why our options differ from tc's.
    pub differs: Option<String>,
    /// The output of tc.
    pub printed: Vec<Printed>,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A version's first numbers, as far as words depend on them.
pub type Version = (u32, u32);

/// The version in `iproute2 6.1.0, ...` or `tc utility, iproute2-6.1.0, ...`.
#[must_use]
pub fn iproute2_version(text: &str) -> Option<Version> {
    let (_, text) = text.split_once("iproute2")?;
    let mut numbers = text[1..].split(|end: char| !end.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The output of tc with some flags.
#[derive(Clone, Debug)]
pub struct Printed {
    /// `options`, `xstats` or `actions`, or one of them with `-json`.
    pub what: String,
    /// The style that the flags select.
    pub style: Style,
    /// A string, or an object for JSON.
    pub value: Value,
}

/// All captures, sorted by name.
#[must_use]
pub fn all() -> &'static [Capture] {
    static ALL: LazyLock<Vec<Capture>> = LazyLock::new(read_all);
    &ALL
}

/// All captures of one kind.
pub fn of(tc_type: TcType, kind: &str) -> impl Iterator<Item = &'static Capture> {
    all().iter().filter(move |capture| capture.tc_type == tc_type && capture.kind == kind)
}

impl Capture {
    /// The netlink message.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        let mut messages = Messages::new(&self.bytes);
        let message = messages.next().expect("a capture is not empty");
        let message = message.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        assert!(messages.next().is_none(), "{}: more than one message", self.name);
        message
    }

    /// The object that the message is about.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        Entry::decode(&self.message()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// `TCA_OPTIONS`, or those of the first action.
    #[must_use]
    pub fn options(&self) -> Option<Attr<'_>> {
        match self.tc_type {
            TcType::Action => first_action(&self.entry()).attrs().find(TCA_ACT_OPTIONS).ok()?,
            _ => self.entry().attr(TCA_OPTIONS),
        }
    }

    /// The words of the list of actions, `action` first.
    #[must_use]
    pub fn action_words(&self) -> Vec<&str> {
        self.command.iter().map(String::as_str).skip_while(|word| *word != "action").collect()
    }

    /// The verb of the command.
    #[must_use]
    pub fn verb(&self) -> Verb {
        let verbs = [Verb::Add, Verb::Change, Verb::Replace, Verb::Link];
        let verb = verbs.into_iter().find(|verb| self.command.get(2).is_some_and(|word| word == verb.name()));
        verb.unwrap_or_else(|| panic!("{}: no verb in {:?}", self.name, self.command))
    }

    /// The place of a filter; unknown for other objects.
    #[must_use]
    pub fn place(&self) -> FilterPlace<'static> {
        match self.tc_type {
            TcType::Filter => FilterPlace::of(&self.entry()),
            _ => FilterPlace::default(),
        }
    }

    /// The words after the kind.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        let mut words = self.command.iter().map(String::as_str).skip(3);
        while let Some(word) = words.next() {
            match word {
                "dev" | "handle" | "parent" | "classid" => drop_value(&mut words),
                "protocol" | "pref" | "chain" if self.tc_type == TcType::Filter => drop_value(&mut words),
                word if word == self.kind => return words.collect(),
                _ => {}
            }
        }
        panic!("{}: the command does not name the kind", self.name)
    }
}

fn drop_value<'a>(words: &mut impl Iterator<Item = &'a str>) {
    words.next();
}

fn read_all() -> Vec<Capture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tc-qdiscs/captures");
    let mut captures = Vec::new();
    for folder in list(&root) {
        captures.extend(list(&folder).iter().map(|path| read(path)));
    }
    captures
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Capture {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name: PathBuf = path.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
    parse(name.display().to_string(), &text)
}

fn parse(name: String, text: &str) -> Capture {
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
    let bytes = hex(&name, text);
    let direction = line("direction").unwrap_or_else(|| panic!("{name}: no direction"));
    assert!(matches!(direction, "request" | "dump"), "{name}: direction {direction}");
    let command = line("command").unwrap_or_else(|| panic!("{name}: no command"));
    let last = command.split(';').map(str::trim).rfind(|step| step.starts_with("tc "));
    let mut capture = Capture {
        kind: String::new(),
        tc_type: TcType::Qdisc,
        is_dump: direction == "dump",
        command: split(last.expect("a tc command")).into_iter().map(str::to_owned).collect(),
        iproute2: iproute2_version(text).unwrap_or_else(|| panic!("{name}: no version")),
        differs: line("differs").map(str::to_owned),
        printed: text.lines().filter_map(|line| printed(&name, line)).collect(),
        bytes,
        name,
    };
    let (message, entry) = (capture.message(), capture.entry());
    let tc_type = match message.kind {
        RTM_NEWQDISC => TcType::Qdisc,
        RTM_NEWTCLASS => TcType::Class,
        RTM_NEWTFILTER => TcType::Filter,
        RTM_NEWACTION | RTM_GETACTION => TcType::Action,
        other => panic!("{}: message type {other}", capture.name),
    };
    let kind = match tc_type {
        TcType::Action => {
            first_action(&entry).attrs().find(TCA_ACT_KIND).and_then(|attr| attr.expect("a kind").str())
        }
        _ => entry.kind(),
    };
    (capture.kind, capture.tc_type) =
        (kind.unwrap_or_else(|error| panic!("{}: {error}", capture.name)).to_owned(), tc_type);
    capture
}

fn first_action<'a>(entry: &Entry<'a>) -> Attr<'a> {
    let list = entry.attr(TCA_ACT_TAB).expect("a list of actions");
    list.attrs().flatten().next().expect("an action")
}

fn printed(name: &str, line: &str) -> Option<Printed> {
    let (head, value) = line.strip_prefix("# ")?.split_once(": ")?;
    let (what, flags) = head.split_once(' ').unwrap_or((head, ""));
    if !matches!(what, "options" | "options-json" | "xstats" | "xstats-json" | "actions" | "actions-json") {
        return None;
    }
    let mut style = Style { stats: what.starts_with("xstats"), ..Style::default() };
    for flag in flags.split_whitespace() {
        match flag {
            "-s" => style.stats = true,
            "-d" => style.details = true,
            "-r" => style.raw = true,
            "-iec" => style.iec = true,
            "-N" => style.numeric = true,
            "-o" => style.oneline = true,
            flag => panic!("{name}: unknown flag {flag}"),
        }
    }
    let value = serde_json::from_str(value).unwrap_or_else(|error| panic!("{name}: {error} in {line}"));
    Some(Printed { what: what.to_owned(), style, value })
}

/// The machine that captures were made on: `lo` and `d0`.
#[derive(Debug)]
pub struct Machine;

impl Environment for Machine {
    fn ifindex(&self, dev: &str) -> Result<i32, String> {
        let devices = ["lo", "d0"];
        let at = devices.iter().position(|device| *device == dev);
        at.map(|at| at as i32 + 1).ok_or_else(|| format!("Cannot find device \"{dev}\""))
    }
}

impl DeviceNames for Machine {
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName> {
        match ifindex {
            1 => Ok(DeviceName::of("lo")),
            2 => Ok(DeviceName::of("d0")),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn hex(name: &str, text: &str) -> Vec<u8> {
    let digits = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    let byte = |pair| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{name}: {pair:?} is no byte"));
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# command: ip link add d0 type ifb; tc qdisc add dev d0 handle 1: root pfifo limit 10; tc -V
# iproute2 6.1.0, Linux 6.1.0
# direction: dump
# options: \"limit 10p\"
# options-json -s -iec: {\"limit\":10}
# differs: why not
30 00 00 00 24 00 00 00 00 00 00 00 00 00 00 00
00 00 00 00 02 00 00 00 00 00 01 00 ff ff ff ff
05 00 00 00 0a 00 01 00 70 66 69 66 6f 00 00 00
";

    #[test]
    fn a_capture_file_is_read() {
        let text = TEXT.replace("; tc -V", "");
        let capture = parse("pfifo/x.hex".into(), &text);
        assert_eq!((capture.kind.as_str(), capture.tc_type, capture.is_dump), ("pfifo", TcType::Qdisc, true));
        assert_eq!((capture.verb(), capture.words()), (Verb::Add, vec!["limit", "10"]));
        assert_eq!(capture.differs.as_deref(), Some("why not"));
        assert_eq!(capture.printed[0].value, "limit 10p");
        assert!(capture.printed[1].style.iec && capture.printed[1].style.stats);
        assert!(capture.options().is_none());
    }

    #[test]
    #[should_panic(expected = "no verb")]
    fn the_last_tc_command_is_the_captured_one() {
        let _ = parse("pfifo/x.hex".into(), TEXT).verb();
    }

    #[test]
    #[should_panic(expected = "is no byte")]
    fn a_byte_that_is_not_hexadecimal_is_an_error() {
        let _ = parse("pfifo/x.hex".into(), &TEXT.replace("30 00", "30 0g"));
    }
}
