//! The directory of journals, and a journal file as its session holds it.
//!
//! A session locks its journal (`flock`) as long as it lives, and its guardian
//! shares the lock. The lock belongs to the file: a reader in any pid, time or
//! mount namespace sees it, and the kernel releases it when the last holder ends.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::journal::{FAMILY, Journal, JournalError, READY, file_error};

/// The extension of a journal.
pub(super) const SUFFIX: &str = "journal";
/// The extension of a journal that is not written to its end.
const PART: &str = "part";
/// Upper bound on the size of a journal.
const MOST_BYTES: u64 = 1 << 20;
/// How long a reader that only asks whether a journal is locked may hold it.
const GLANCE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(1);

/// A directory of journals that nobody else can write to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    /// Opens the directory; makes it, for its owner alone, where it is missing.
    pub(super) fn make(path: &Path) -> Result<Self, JournalError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        // The open reports a file that is not a directory.
        if let Err(error) = made.as_ref()
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            made.map_err(|error| file_error("make the directory of", path, error))?;
        }
        Self::open(path)?.ok_or_else(|| file_error("open", path, io::ErrorKind::NotFound.into()))
    }

    /// Opens the directory; `None` if it is missing.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, JournalError> {
        let untrusted = |what: String| JournalError::Untrusted { path: path.to_owned(), what };
        // Without a final slash, which would follow a link.
        let path: PathBuf = path.components().collect();
        let file = match open(&path, OFlags::DIRECTORY) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&error) => {
                return Err(untrusted("is a symbolic link, or no directory".to_owned()));
            }
            Err(error) => return Err(file_error("open the directory of", &path, error)),
        };
        let meta = file.metadata().map_err(|error| file_error("open the directory of", &path, error))?;
        check_owner(&meta).map_err(untrusted)?;
        let (others, sticky) = (meta.mode() & 0o022 != 0, meta.mode() & 0o1000 != 0);
        if others && !sticky {
            return Err(untrusted(format!("has mode {:o}: others can write to it", meta.mode() & 0o7777)));
        }
        Ok(Some(Self { path, file }))
    }

    /// Locks the directory until this value is dropped: one process at a time
    /// looks for journals and adds its own.
    pub(super) fn lock(&self, patience: Duration) -> Result<(), JournalError> {
        match try_lock(&self.file, patience) {
            Ok(true) => Ok(()),
            Ok(false) => Err(JournalError::Busy { path: self.path.clone(), waited: patience }),
            Err(error) => Err(file_error("lock the directory of", &self.path, error)),
        }
    }

    /// The paths of the journals, sorted.
    pub(super) fn journals(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = self.files(SUFFIX)?;
        paths.sort();
        Ok(paths)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn files(&self, suffix: &str) -> io::Result<Vec<PathBuf>> {
        let paths: io::Result<Vec<_>> =
            fs::read_dir(&self.path)?.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths?;
        paths.retain(|path| path.extension().is_some_and(|other| other == suffix));
        Ok(paths)
    }

    /// Deletes partial journals of processes that died while writing. The caller has
    /// the lock, so that none is being written.
    pub(super) fn sweep(&self) -> io::Result<()> {
        for path in self.files(PART)? {
            let mut start = Vec::new();
            let read =
                open_regular(&path).and_then(|file| file.take(FAMILY.len() as u64).read_to_end(&mut start));
            // Other files with this extension are not ours.
            if read.is_ok() && FAMILY.as_bytes().starts_with(&start) {
                let _gone = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Writes a journal, and locks it. The caller has the lock of the directory.
    /// Readers see nothing, or the whole of it.
    pub(super) fn add(&self, journal: &Journal) -> Result<Claim, JournalError> {
        let path = journal.path_in(&self.path);
        let part = path.with_extension(PART);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let write = |mut file: File| {
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            file.write_all(journal.encode().as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            Ok(file)
        };
        let written = options.open(&part).and_then(|file| {
            write(file).inspect_err(|_| {
                let _gone = fs::remove_file(&part);
            })
        });
        match written {
            Ok(file) => Ok(Claim { file, path }),
            Err(error) => Err(file_error("write", &path, error)),
        }
    }
}

/// A journal that this process has locked: nobody else acts for its session.
#[derive(Debug)]
pub(super) struct Claim {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Locks the journal of a session that nobody has. Fails if its controller,
    /// its guardian, or another rescue has the lock.
    pub(super) fn take(path: &Path) -> Result<(Self, Journal), JournalError> {
        let fail = |error| file_error("lock", path, error);
        let file = open_journal(path)?;
        let locked = try_lock(&file, GLANCE).map_err(fail)?;
        let journal = Journal::decode(&read_text(&file, path)?, path)?;
        if !locked {
            return Err(JournalError::Alive { path: path.to_owned(), pid: journal.controller.pid });
        }
        // Another rescue had the lock before, and has deleted the file.
        if file.metadata().map_err(fail)?.nlink() == 0 {
            return Err(file_error("read", path, io::ErrorKind::NotFound.into()));
        }
        Ok((Self { file, path: path.to_owned() }, journal))
    }

    /// Marks the session as attached.
    pub(super) fn ready(&mut self) -> Result<(), JournalError> {
        let written = self.file.write_all(READY.as_bytes());
        written.map_err(|error| file_error("write", &self.path, error))
    }

    /// Deletes the file; the lock lasts until this value is dropped.
    pub(super) fn delete(&self) -> Result<(), JournalError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file_error("delete", &self.path, error))
            }
            _ => Ok(()),
        }
    }

    /// Whether this is the file at `path`, which another path may name too.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let id = |meta: io::Result<Metadata>| meta.ok().map(|meta| (meta.dev(), meta.ino()));
        let own = id(self.file.metadata());
        own.is_some() && own == id(fs::symlink_metadata(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Claim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether somebody has locked the journal at `path`.
pub(super) fn is_locked(path: &Path) -> Result<bool, JournalError> {
    let file = open_journal(path)?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(file_error("ask for the lock of", path, error.into())),
    }
}

/// The contents of the journal at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    read_text(&open_journal(path)?, path)
}

fn read_text(file: &File, path: &Path) -> Result<Vec<u8>, JournalError> {
    let mut text = Vec::new();
    let read = file.take(MOST_BYTES).read_to_end(&mut text);
    read.map(|_| text).map_err(|error| file_error("read", path, error))
}

fn open_journal(path: &Path) -> Result<File, JournalError> {
    let untrusted = |what: String| JournalError::Untrusted { path: path.to_owned(), what };
    let file = open_regular(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => untrusted("is no regular file".to_owned()),
        _ => file_error("read", path, error),
    })?;
    let meta = file.metadata().map_err(|error| file_error("read", path, error))?;
    check_owner(&meta).map_err(untrusted)?;
    Ok(file)
}

/// Opens a regular file. `InvalidInput` stands for any other kind, a symbolic
/// link among them: a FIFO would block its reader, a device may do anything.
fn open_regular(path: &Path) -> io::Result<File> {
    let irregular = || io::Error::from(io::ErrorKind::InvalidInput);
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(irregular());
    }
    // Another file may have taken its place.
    let file = open(path, OFlags::NONBLOCK | OFlags::NOCTTY)
        .map_err(|error| if is_link(&error) { irregular() } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_link(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(Errno::LOOP.raw_os_error()) || errno == Some(Errno::NOTDIR.raw_os_error())
}

fn check_owner(meta: &Metadata) -> Result<(), String> {
    match meta.uid() {
        0 => Ok(()),
        uid if uid == rustix::process::geteuid().as_raw() => Ok(()),
        uid => Err(format!("belongs to user {uid}")),
    }
}

/// Waits for an exclusive lock; false if the time is over.
fn try_lock(file: &File, patience: Duration) -> io::Result<bool> {
    let since = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if since.elapsed() < patience => thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::{TestDir, journal};
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::process::Command;

    const NOW: Duration = Duration::ZERO;

    fn folder(dir: &TestDir) -> Folder {
        Folder::make(&dir.0).unwrap()
    }

    fn other(session: u64) -> Journal {
        Journal { session, ..journal() }
    }

    #[test]
    fn journal_when_written_and_deleted() {
        let dir = TestDir::new("written");
        assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
        let mut claim = folder(&dir).add(&journal()).unwrap();
        let path = dir.0.join("5f1c0b3a9e24d768.journal");
        assert_eq!(claim.path(), path);
        assert_eq!(Journal::find(&dir.0).unwrap(), std::slice::from_ref(&path));
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "no other file is left");
        assert_eq!(Journal::read(&path).unwrap(), journal());
        claim.ready().unwrap();
        assert_eq!(Journal::read(&path).unwrap(), Journal { ready: true, ..journal() });
        claim.delete().unwrap();
        claim.delete().unwrap();
        assert!(Journal::read(&path).is_err());
    }

    #[test]
    fn journal_when_its_owner_lives_or_is_gone() {
        let dir = TestDir::new("lives");
        let claim = folder(&dir).add(&journal()).unwrap();
        let path = claim.path().to_owned();
        for _ in 0..2 {
            assert!(Journal::is_alive(&path).unwrap());
            assert!(matches!(Claim::take(&path), Err(JournalError::Alive { pid: 4711, .. })));
        }
        // A process that shares the open file keeps the lock.
        let mut child = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::from(claim.as_fd().try_clone_to_owned().unwrap()))
            .spawn()
            .unwrap();
        drop(claim);
        assert!(Journal::is_alive(&path).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!Journal::is_alive(&path).unwrap());
        let (claim, _) = Claim::take(&path).unwrap();
        assert!(matches!(Claim::take(&path), Err(JournalError::Alive { .. })), "one rescue at a time");
        // Another rescue deletes it while this one waits for the lock.
        let late = open_journal(&path).unwrap();
        claim.delete().unwrap();
        drop(claim);
        assert_eq!(late.metadata().unwrap().nlink(), 0);
        assert!(Claim::take(&path).is_err());
    }

    #[test]
    fn journal_when_it_is_no_regular_file() {
        let dir = TestDir::new("irregular");
        let folder = folder(&dir);
        let claim = folder.add(&journal()).unwrap();
        let path = |name: &str| dir.0.join(format!("{name}.journal"));
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        symlink(claim.path(), path("link")).unwrap();
        symlink("/dev/zero", path("device")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert_eq!(Journal::find(&dir.0).unwrap().len(), 6);
        for name in ["fifo", "link", "device", "directory", "socket"] {
            let path = path(name);
            let results =
                [Journal::read(&path).err(), Journal::is_alive(&path).err(), Claim::take(&path).err()];
            for error in results {
                assert!(matches!(error, Some(JournalError::Untrusted { .. })), "{name}: {error:?}");
            }
        }
    }

    #[test]
    fn folder_when_others_can_write_to_it() {
        let dir = TestDir::new("others");
        drop(folder(&dir));
        assert_eq!(fs::metadata(&dir.0).unwrap().mode() & 0o7777, 0o700);
        for (mode, trusted) in [(0o770, false), (0o702, false), (0o755, true), (0o1777, true)] {
            fs::set_permissions(&dir.0, fs::Permissions::from_mode(mode)).unwrap();
            let results = [Folder::make(&dir.0).map(|_| ()), Journal::find(&dir.0).map(|_| ())];
            for result in results {
                let untrusted = matches!(result, Err(JournalError::Untrusted { .. }));
                assert_eq!(untrusted, !trusted, "{mode:o}: {result:?}");
            }
        }
        let link = TestDir(dir.0.with_extension("link"));
        let _absent = fs::remove_file(&link.0);
        symlink(&dir.0, &link.0).unwrap();
        let slash = PathBuf::from(format!("{}/", link.0.display()));
        for path in [&link.0, &slash] {
            let found = Journal::find(path);
            assert!(matches!(found, Err(JournalError::Untrusted { .. })), "{found:?}");
        }
        fs::remove_file(&link.0).unwrap();
        // Only root can give it to somebody else.
        if chown(&dir.0, Some(12345), None).is_ok() {
            let found = Journal::find(&dir.0).unwrap_err().to_string();
            assert!(found.contains("belongs to user 12345"), "{found}");
        }
    }

    #[test]
    fn journal_when_another_user_wrote_it() {
        let dir = TestDir::new("forged");
        let claim = folder(&dir).add(&journal()).unwrap();
        if chown(claim.path(), Some(12345), None).is_ok() {
            let error = Journal::read(claim.path()).unwrap_err().to_string();
            assert!(error.contains("belongs to user 12345"), "{error}");
        }
    }

    #[test]
    fn sweep_when_processes_died_while_writing() {
        let dir = TestDir::new("sweep");
        let folder = folder(&dir);
        let kept = folder.add(&journal()).unwrap();
        let whole = journal().encode();
        // Also of the first version, which used other names.
        let parts =
            [("1.part", &whole[..]), ("4026531840-2.999.part", "tc-plug journal 1\n"), ("3.part", "")];
        for (name, text) in parts {
            fs::write(dir.0.join(name), text).unwrap();
        }
        fs::write(dir.0.join("film.part"), "another program's").unwrap();
        assert!(Command::new("mkfifo").arg(dir.0.join("fifo.part")).status().unwrap().success());
        folder.sweep().unwrap();
        let left = || {
            let names = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(left(), ["5f1c0b3a9e24d768.journal", "fifo.part", "film.part"]);
        drop(kept);
    }

    #[test]
    fn add_when_the_file_cannot_be_written() {
        let dir = TestDir::new("unwritable");
        let folder = folder(&dir);
        // The name is taken by a directory, which a rename does not replace.
        fs::create_dir(journal().path_in(&dir.0)).unwrap();
        assert!(folder.add(&journal()).is_err());
        assert_eq!(folder.files(PART).unwrap(), Vec::<PathBuf>::new());
        folder.add(&other(2)).unwrap();
    }

    #[test]
    fn lock_when_another_process_has_it() {
        let dir = TestDir::new("busy");
        let first = folder(&dir);
        first.lock(NOW).unwrap();
        let second = folder(&dir);
        let error = second.lock(NOW).unwrap_err();
        assert!(matches!(error, JournalError::Busy { .. }), "{error}");
        drop(first);
        second.lock(NOW).unwrap();
    }
}
