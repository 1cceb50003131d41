//! The record of a plug of `plug attach`: its mode and limit, which the kernel
//! does not report.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// Whether a plug holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    Buffering,
    /// The record cannot be read.
    Unknown,
}

/// The record, kept in a file beside the plug's journal. A plug without one is
/// open, with the limit that its journal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) mode: Mode,
    /// The limit that `plug limit` set last.
    pub(super) limit_bytes: Option<u32>,
}

impl Mode {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Buffering => "buffering",
            Self::Unknown => "unknown",
        }
    }
}

impl Kept {
    pub(super) const NEW: Self = Self { mode: Mode::Open, limit_bytes: None };

    pub(super) fn read(journal: &Path) -> Self {
        match read(&path(journal)) {
            Ok(text) => parse(&text).unwrap_or(Self { mode: Mode::Unknown, limit_bytes: None }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::NEW,
            Err(_) => Self { mode: Mode::Unknown, limit_bytes: None },
        }
    }

    /// Writes it. A reader sees the old or the new one, whole.
    pub(super) fn write(&self, journal: &Path) -> io::Result<()> {
        let part = journal.with_extension(format!("{}.part", std::process::id()));
        let _absent = fs::remove_file(&part);
        let create = |part: &Path| File::options().write(true).create_new(true).mode(0o600).open(part);
        let written = create(&part).and_then(|mut file| {
            file.write_all(self.to_string().as_bytes())?;
            fs::rename(&part, path(journal))
        });
        if written.is_err() {
            let _absent = fs::remove_file(&part);
        }
        written
    }

    /// Deletes it, if there is one.
    pub(super) fn forget(journal: &Path) -> io::Result<()> {
        match fs::remove_file(path(journal)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "mode {}", self.mode.name())?;
        self.limit_bytes.map_or(Ok(()), |bytes| writeln!(f, "limit {bytes}"))
    }
}

fn path(journal: &Path) -> PathBuf {
    journal.with_extension("mode")
}

/// Follows no link, and waits for no writer of a FIFO.
fn read(path: &Path) -> io::Result<String> {
    const LONGEST: u64 = 256;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn parse(text: &str) -> Option<Kept> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mode = match lines.next()? {
        "mode open" => Mode::Open,
        "mode buffering" => Mode::Buffering,
        _ => return None,
    };
    let limit_bytes = match lines.next() {
        Some(line) => Some(line.strip_prefix("limit ")?.parse().ok()?),
        None => None,
    };
    lines.next().is_none().then_some(Kept { mode, limit_bytes })
}

/// The right to change plugs of `plug attach`, for one process at a time: from
/// the look at a plug's mode until the action that follows from it.
pub(super) struct Lock {
    _held: Option<File>,
}

impl Lock {
    /// Waits for it. A missing directory has no journals.
    ///
    /// A separate file: sessions lock the directory and their journals.
    pub(super) fn take(dir: &Path) -> io::Result<Self> {
        const PATIENCE: Duration = Duration::from_secs(20);
        const PAUSE: Duration = Duration::from_millis(2);
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let held = match options.open(dir.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { _held: None }),
            opened => opened?,
        };
        let since = Instant::now();
        loop {
            match flock(&held, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _held: Some(held) }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if since.elapsed() < PATIENCE => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return Err(io::Error::other("another plug command has it locked"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("tc-plug-kept-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_record_reads_back_and_none_is_open() {
        let dir = scratch("back");
        let journal = dir.join("1-2.journal");
        assert_eq!(Kept::read(&journal), Kept::NEW);
        for mode in [Mode::Open, Mode::Buffering] {
            for limit_bytes in [None, Some(5000)] {
                let kept = Kept { mode, limit_bytes };
                kept.write(&journal).unwrap();
                assert_eq!(Kept::read(&journal), kept);
            }
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "no other file is left");
        Kept::forget(&journal).unwrap();
        Kept::forget(&journal).unwrap();
        assert_eq!(Kept::read(&journal), Kept::NEW);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_record_that_cannot_be_read_is_unknown() {
        let dir = scratch("unknown");
        let journal = dir.join("1-2.journal");
        for text in ["", "mode open", "mode\n", "mode open\nlimit x\n", "mode open\nlimit 1\nx\n", "x"] {
            fs::write(path(&journal), text).unwrap();
            assert_eq!(Kept::read(&journal).mode, Mode::Unknown, "{text:?}");
        }
        fs::remove_file(path(&journal)).unwrap();
        std::os::unix::fs::symlink("/proc/self/status", path(&journal)).unwrap();
        assert_eq!(Kept::read(&journal).mode, Mode::Unknown, "a link");
        fs::remove_file(path(&journal)).unwrap();
        fs::create_dir(path(&journal)).unwrap();
        assert_eq!(Kept::read(&journal).mode, Mode::Unknown, "a directory");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_lock_excludes_another_until_it_ends() {
        let dir = scratch("lock");
        let lock = Lock::take(&dir).unwrap();
        let other = File::open(dir.join("lock")).unwrap();
        let attempt = || flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(attempt(), Err(Errno::WOULDBLOCK));
        drop(lock);
        attempt().unwrap();
        assert!(Lock::take(&dir.join("absent")).is_ok());
        fs::remove_dir_all(&dir).unwrap();
    }
}
