//! The record of a session on disk, for the processes after its own.
//!
//! The kernel keeps held packets when a controller dies, without a record of their
//! owner. The journal has it: it is written when a session attaches, deleted when
//! it detaches, and never touched between two epochs.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tc_core::Handle;

use super::folder::{Folder, SUFFIX, is_locked, read};
use super::process::{NetnsId, Process};

/// Where journals are kept unless another place is named.
pub const JOURNAL_DIR: &str = "/run/tc-plug";

/// How every version begins.
pub(super) const FAMILY: &str = "tc-plug journal ";
/// The first line; another version has another number.
const HEAD: &str = "tc-plug journal 2";
/// The line after the checksum once the session is attached.
pub(super) const READY: &str = "ready\n";

/// The plugs of one session, by device.
///
/// The file is text, a line each, and ends with a checksum. A session that is
/// attached adds the last line:
///
/// ```text
/// tc-plug journal 2
/// session 5f1c0b3a9e24d768
/// controller 4711 8823561
/// boot 0b6e2a5c6ef14b5e9d6f2f6a1c7d3e90
/// netns 4026531840 4096
/// limit 7065536
/// on-death stay-closed
/// device 3 4a10 4a11 eth0
/// end 8c1f6a0e31b2d947
/// ready
/// ```
///
/// As long as the controller or its guardian lives, it has a lock (`flock`) on
/// the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The session's number, drawn at random: its journal is named after it.
    pub session: u64,
    /// The process that made the session. For reports: see
    /// [`Journal::is_alive`].
    pub controller: Process,
    /// Its network namespace.
    pub netns: NetnsId,
    /// The limit of each plug, in bytes.
    pub limit_bytes: u32,
    /// After how long without a sign of life the guardian opens the network;
    /// `None` if it stays closed.
    pub open_after: Option<Duration>,
    /// The devices.
    pub devices: Vec<JournalDevice>,
    /// Whether the session finished attaching.
    pub ready: bool,
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
        /// The operation.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's error.
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
        /// The reason.
        what: String,
    },
    /// A process has locked it: the controller, its guardian, or a rescue that
    /// is under way.
    #[error("the session of journal {} is alive: process {pid}, or its guardian, has it", .path.display())]
    Alive {
        /// Which file.
        path: PathBuf,
        /// The controller, as its own pid namespace numbers it.
        pid: u32,
    },
    /// It is of another network namespace than the calling thread's.
    #[error("journal {} is of another network namespace: {netns}", .path.display())]
    Namespace {
        /// Which file.
        path: PathBuf,
        /// Its namespace.
        netns: NetnsId,
    },
    /// Somebody else may have written it.
    #[error("{} {what}: journals need a directory that only their owner can write", .path.display())]
    Untrusted {
        /// The directory, or the journal.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// Another process has locked the directory.
    #[error("another process has locked {} for more than {waited:?}; try again", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
}

impl Journal {
    /// The paths of the journals in `dir`, readable or not, sorted. A missing
    /// directory has none. Fails if others can write to the directory.
    pub fn find(dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
        match Folder::open(dir)? {
            Some(folder) => folder.journals().map_err(|error| file_error("find", dir, error)),
            None => Ok(Vec::new()),
        }
    }

    /// Reads a journal. Fails if it is no regular file, or another user's.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        Self::decode(&read(path)?, path)
    }

    /// Whether the session of the journal at `path` lives: its controller, its
    /// guardian, or a rescue has locked the file.
    ///
    /// The pid, time and mount namespace of the caller do not matter.
    pub fn is_alive(path: &Path) -> Result<bool, JournalError> {
        is_locked(path)
    }

    /// Its path in `dir`.
    pub fn path_in(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{:016x}.{SUFFIX}", self.session))
    }

    /// Whether it is of the calling thread's network namespace.
    pub fn is_here(&self) -> io::Result<bool> {
        Ok(NetnsId::current()? == self.netns)
    }

    /// Whether it names a qdisc with this handle on this device.
    pub fn names(&self, ifindex: i32, handle: Handle) -> bool {
        self.devices.iter().any(|device| device.ifindex == ifindex && device.handles.contains(&handle))
    }

    /// Whether it names this device.
    pub(super) fn names_device(&self, ifindex: i32) -> bool {
        self.devices.iter().any(|device| device.ifindex == ifindex)
    }

    /// Fails if the calling thread is in another network namespace.
    pub(super) fn check_here(&self, path: &Path) -> Result<(), JournalError> {
        match self.is_here() {
            Ok(true) => Ok(()),
            Ok(false) => Err(JournalError::Namespace { path: path.to_owned(), netns: self.netns }),
            Err(error) => Err(file_error("check", path, error)),
        }
    }

    /// The text.
    pub(super) fn encode(&self) -> String {
        let death = match self.open_after {
            None => "stay-closed".to_owned(),
            Some(time) => format!("open-after {}", time.as_millis()),
        };
        let Self { session, controller, netns, limit_bytes, .. } = self;
        let cookie = netns.cookie.map_or_else(|| "none".to_owned(), |cookie| cookie.to_string());
        let mut text = format!(
            "{HEAD}\nsession {session:016x}\ncontroller {} {}\nboot {:032x}\nnetns {} {cookie}\n\
             limit {limit_bytes}\non-death {death}\n",
            controller.pid, controller.start_time, netns.boot, netns.inode,
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
        if head != HEAD && head.starts_with(FAMILY) {
            return Err(JournalError::Version { path: path.to_owned(), head: head.to_owned() });
        }
        let (text, ready) = match text.strip_suffix(READY) {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (body, sum) = text
            .strip_suffix('\n')
            .and_then(|text| text.rsplit_once("\nend "))
            .ok_or_else(|| damaged("it has no end"))?;
        let length = body.len() + 1;
        if sum != format!("{:016x}", checksum(&text.as_bytes()[..length])) {
            return Err(damaged("its checksum is wrong"));
        }
        let journal = parse(body).ok_or_else(|| damaged("a line makes no sense"))?;
        Ok(Self { ready, ..journal })
    }
}

/// A random number, for the names and handles of sessions.
pub(super) fn random() -> u64 {
    // Each state has different keys, also in a forked process.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    hasher.write_u128(now.map_or(0, |now| now.as_nanos()));
    hasher.finish()
}

fn parse(body: &str) -> Option<Journal> {
    let mut lines = body.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let session = u64::from_str_radix(lines.next()?.strip_prefix("session ")?, 16).ok()?;
    let (pid, start_time) = lines.next()?.strip_prefix("controller ")?.split_once(' ')?;
    let controller = Process { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? };
    let boot = u128::from_str_radix(lines.next()?.strip_prefix("boot ")?, 16).ok()?;
    let (inode, cookie) = lines.next()?.strip_prefix("netns ")?.split_once(' ')?;
    let cookie = if cookie == "none" { None } else { Some(cookie.parse().ok()?) };
    let netns = NetnsId { boot, inode: inode.parse().ok()?, cookie };
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
    let journal = Journal { session, controller, netns, limit_bytes, open_after, devices, ready: false };
    (!journal.devices.is_empty()).then_some(journal)
}

/// FNV-1a, 64 bits: against accidents, not against forgers.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) fn file_error(doing: &'static str, path: &Path, error: io::Error) -> JournalError {
    JournalError::File { doing, path: path.to_owned(), error }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    /// A directory that goes with this value.
    pub(in super::super) struct TestDir(pub(in super::super) PathBuf);

    impl TestDir {
        pub(in super::super) fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("tc-plug-{name}-{}", std::process::id()));
            let _absent = fs::remove_dir_all(&dir);
            Self(dir)
        }
    }

    impl Drop for TestDir {
        fn drop(&mut self) {
            let _absent = fs::remove_dir_all(&self.0);
        }
    }

    pub(in super::super) fn journal() -> Journal {
        let device = |ifindex, name: &str| JournalDevice {
            ifindex,
            name: name.to_owned(),
            handles: [Handle::qdisc(0x4a10), Handle::qdisc(0x4a11)],
        };
        Journal {
            session: 0x5f1c_0b3a_9e24_d768,
            controller: Process { pid: 4711, start_time: 8_823_561 },
            netns: NetnsId { boot: 1 << 100, inode: 4_026_531_840, cookie: Some(4096) },
            limit_bytes: 7_065_536,
            open_after: Some(Duration::from_millis(1500)),
            devices: vec![device(3, "eth0"), device(7, "vif1.0-emu")],
            ready: false,
        }
    }

    fn read(text: &[u8]) -> Result<Journal, JournalError> {
        Journal::decode(text, Path::new("/x"))
    }

    #[test]
    fn decode_when_encoded() {
        let cookies = [None, Some(u64::MAX)];
        for (open_after, cookie) in [None, Some(Duration::from_secs(30))].into_iter().zip(cookies) {
            let netns = NetnsId { cookie, ..journal().netns };
            let journal = Journal { open_after, netns, ..journal() };
            let text = journal.encode();
            let decoded = read(text.as_bytes()).unwrap();
            assert_eq!((&decoded, decoded.netns.cookie), (&journal, cookie));
            assert!(read((text + READY).as_bytes()).unwrap().ready);
        }
    }

    #[test]
    fn decode_when_cut_short_or_changed() {
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
    fn decode_when_of_another_version() {
        for number in [1, 3] {
            let error = read(format!("tc-plug journal {number}\nwhatever\n").as_bytes()).unwrap_err();
            let text =
                format!("journal /x is of another version: it begins with \"tc-plug journal {number}\"");
            assert_eq!(error.to_string(), text);
        }
        assert!(matches!(read(b"tc-plug journa"), Err(JournalError::Damaged { .. })));
    }
}
