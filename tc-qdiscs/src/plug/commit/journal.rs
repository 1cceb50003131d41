//! What a session leaves on disk for whoever comes after its process.
//!
//! The kernel keeps held packets when a controller dies, and tells nobody whose
//! they are. The journal does: it is written when a session attaches, taken
//! away when it detaches, and never touched between two epochs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tc_core::Handle;

use super::process::{Process, current_netns};

/// Where journals are kept unless another place is named.
pub const JOURNAL_DIR: &str = "/run/tc-plug";

/// The first line; another version has another number.
const HEAD: &str = "tc-plug journal 1";
const SUFFIX: &str = "journal";

/// What one session has put on which devices.
///
/// The file is text, a line each, and ends with a checksum:
///
/// ```text
/// tc-plug journal 1
/// controller 4711 8823561
/// netns 4026531840
/// limit 7065536
/// on-death stay-closed
/// device 3 c01 c02 eth0
/// end 8c1f6a0e31b2d947
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The process that has the session.
    pub controller: Process,
    /// The inode of its network namespace, as `/proc/PID/ns/net` shows it.
    pub netns: u64,
    /// The limit of each plug, in bytes.
    pub limit_bytes: u32,
    /// After how long without a sign of life the guardian opens the network;
    /// `None` if it stays closed.
    pub open_after: Option<Duration>,
    /// The devices.
    pub devices: Vec<JournalDevice>,
}

/// A device that a journal names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalDevice {
    /// Its index.
    pub ifindex: i32,
    /// Its name when the session attached.
    pub name: String,
    /// The handles that the session's plug can have: one at a time.
    pub handles: [Handle; 2],
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("cannot {doing} journal {}: {error}", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// It is of another version of this library.
    #[error("journal {} is of another version: it begins with {head:?}", .path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its first line.
        head: String,
    },
    /// It was cut short or changed, or makes no sense.
    #[error("journal {} is damaged: {what}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Its controller is alive and has the session.
    #[error("the session of journal {} is alive: process {pid} has it", .path.display())]
    Alive {
        /// Which file.
        path: PathBuf,
        /// The process.
        pid: u32,
    },
    /// It is of another network namespace than the calling thread's.
    #[error("journal {} is of network namespace {netns}, and this is {here}", .path.display())]
    Namespace {
        /// Which file.
        path: PathBuf,
        /// Its namespace's inode.
        netns: u64,
        /// The calling thread's.
        here: u64,
    },
}

impl Journal {
    /// The journals in `dir`, oldest name first, readable or not. A directory
    /// that is not there holds none.
    pub fn find(dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths?;
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
        paths.sort();
        Ok(paths)
    }

    /// Reads a journal.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let text = fs::read(path).map_err(|error| file_error("read", path, error))?;
        Self::decode(&text, path)
    }

    /// Where it belongs in `dir`: one for each namespace and first device, which
    /// has one root qdisc.
    pub fn path_in(&self, dir: &Path) -> PathBuf {
        let first = self.devices.first().map_or(0, |device| device.ifindex);
        dir.join(format!("{}-{first}.{SUFFIX}", self.netns))
    }

    /// Whether it is of the calling thread's network namespace.
    pub fn is_here(&self) -> io::Result<bool> {
        Ok(current_netns()? == self.netns)
    }

    /// Writes it: whoever reads meanwhile sees the old one or the new one, whole.
    pub(super) fn write(&self, path: &Path) -> Result<(), JournalError> {
        let fail = |error| file_error("write", path, error);
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
        }
        let part = path.with_extension(format!("{}.part", std::process::id()));
        // One of an earlier process with this id; a link is not followed.
        let _absent = fs::remove_file(&part);
        let written = File::options().write(true).create_new(true).mode(0o600).open(&part).and_then(
            |mut file: File| {
                file.write_all(self.encode().as_bytes())?;
                file.sync_all()?;
                fs::rename(&part, path)
            },
        );
        if written.is_err() {
            let _absent = fs::remove_file(&part);
        }
        written.map_err(fail)
    }

    /// Takes the file away.
    pub(super) fn delete(path: &Path) -> Result<(), JournalError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("delete", path, error)),
            _ => Ok(()),
        }
    }

    /// An error if the controller lives, or the calling thread is in another
    /// network namespace.
    pub(super) fn check_left(&self, path: &Path) -> Result<(), JournalError> {
        let path_buf = || path.to_owned();
        if self.controller.is_alive() {
            return Err(JournalError::Alive { path: path_buf(), pid: self.controller.pid });
        }
        let here = current_netns().map_err(|error| file_error("check", path, error))?;
        if here != self.netns {
            return Err(JournalError::Namespace { path: path_buf(), netns: self.netns, here });
        }
        Ok(())
    }

    /// The text.
    pub(super) fn encode(&self) -> String {
        let death = match self.open_after {
            None => "stay-closed".to_owned(),
            Some(time) => format!("open-after {}", time.as_millis()),
        };
        let mut text = format!(
            "{HEAD}\ncontroller {} {}\nnetns {}\nlimit {}\non-death {death}\n",
            self.controller.pid, self.controller.start_time, self.netns, self.limit_bytes,
        );
        for device in &self.devices {
            let [one, other] = device.handles.map(Handle::major);
            text += &format!("device {} {one:x} {other:x} {}\n", device.ifindex, device.name);
        }
        let sum = checksum(text.as_bytes());
        text + &format!("end {sum:016x}\n")
    }

    /// Reads the text; `path` is for errors.
    pub(super) fn decode(text: &[u8], path: &Path) -> Result<Self, JournalError> {
        let damaged = |what: &str| JournalError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let text = std::str::from_utf8(text).map_err(|_| damaged("it is no text"))?;
        let (head, _) = text.split_once('\n').ok_or_else(|| damaged("it has no end"))?;
        if head != HEAD && head.starts_with("tc-plug journal ") {
            return Err(JournalError::Version { path: path.to_owned(), head: head.to_owned() });
        }
        let (body, sum) = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once("\nend "))
            .ok_or_else(|| damaged("it has no end"))?;
        let length = body.len() + 1;
        if sum != format!("{:016x}", checksum(&text.as_bytes()[..length])) {
            return Err(damaged("its checksum is wrong"));
        }
        parse(body).ok_or_else(|| damaged("a line makes no sense"))
    }
}

fn parse(body: &str) -> Option<Journal> {
    let mut lines = body.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let (pid, start_time) = lines.next()?.strip_prefix("controller ")?.split_once(' ')?;
    let controller = Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
    let netns = lines.next()?.strip_prefix("netns ")?.parse().ok()?;
    let limit_bytes = lines.next()?.strip_prefix("limit ")?.parse().ok()?;
    let open_after = match lines.next()?.strip_prefix("on-death ")? {
        "stay-closed" => None,
        other => Some(Duration::from_millis(other.strip_prefix("open-after ")?.parse().ok()?)),
    };
    let device = |line: &str| {
        let mut words = line.strip_prefix("device ")?.splitn(4, ' ');
        let ifindex = words.next()?.parse().ok()?;
        let mut handle = || u16::from_str_radix(words.next()?, 16).ok().map(Handle::qdisc);
        let handles = [handle()?, handle()?];
        Some(JournalDevice { ifindex, handles, name: words.next()?.to_owned() })
    };
    let devices = lines.map(device).collect::<Option<Vec<_>>>()?;
    (!devices.is_empty()).then_some(Journal { controller, netns, limit_bytes, open_after, devices })
}

/// FNV-1a, 64 bits: against accidents, not against forgers.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn file_error(doing: &'static str, path: &Path, error: io::Error) -> JournalError {
    JournalError::File { doing, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let device = |ifindex, name: &str| JournalDevice {
            ifindex,
            name: name.to_owned(),
            handles: [Handle::qdisc(0xc01), Handle::qdisc(0xc02)],
        };
        Journal {
            controller: Process { pid: 4711, start_time: 8_823_561 },
            netns: 4_026_531_840,
            limit_bytes: 7_065_536,
            open_after: Some(Duration::from_millis(1500)),
            devices: vec![device(3, "eth0"), device(7, "vif1.0-emu")],
        }
    }

    fn read(text: &[u8]) -> Result<Journal, JournalError> {
        Journal::decode(text, Path::new("/x"))
    }

    #[test]
    fn what_is_written_reads_back() {
        for open_after in [None, Some(Duration::from_secs(30))] {
            let journal = Journal { open_after, ..journal() };
            assert_eq!(read(journal.encode().as_bytes()).unwrap(), journal);
        }
    }

    #[test]
    fn one_that_was_cut_short_or_changed_is_refused() {
        let text = journal().encode().into_bytes();
        for length in 0..text.len() {
            assert!(matches!(read(&text[..length]), Err(JournalError::Damaged { .. })), "{length} bytes");
        }
        for at in 20..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_version_is_told_from_damage() {
        let error = read(b"tc-plug journal 2\nwhatever\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "journal /x is of another version: it begins with \"tc-plug journal 2\""
        );
        assert!(matches!(read(b"tc-plug journa"), Err(JournalError::Damaged { .. })));
    }

    #[test]
    fn files_appear_whole_and_are_found() {
        let dir = std::env::temp_dir().join(format!("tc-plug-journal-{}", std::process::id()));
        assert_eq!(Journal::find(&dir).unwrap(), Vec::<PathBuf>::new());
        let journal = journal();
        let path = journal.path_in(&dir);
        journal.write(&path).unwrap();
        journal.write(&path).unwrap();
        assert_eq!(Journal::find(&dir).unwrap(), std::slice::from_ref(&path));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing else is left behind");
        assert_eq!(Journal::read(&path).unwrap(), journal);
        Journal::delete(&path).unwrap();
        Journal::delete(&path).unwrap();
        assert!(Journal::read(&path).is_err());
        fs::remove_dir(&dir).unwrap();
    }
}
