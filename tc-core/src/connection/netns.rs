//! Network namespaces.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use crate::connection::socket;
use crate::exchange::error::{Cause, Error};

/// Where `ip netns add` puts names; usually both are one folder.
const FOLDERS: [&str; 2] = ["/run/netns", "/var/run/netns"];

/// A network namespace that is held open: it lives at least as long as this value.
///
/// Threads, not processes, are in a namespace. A socket stays in the namespace in
/// which a thread opened it.
///
/// ```no_run
/// use tc_core::Connection;
/// use tc_core::netns::Namespace;
///
/// let here = Namespace::current()?;
/// Namespace::open("blue")?.enter()?;
/// let mut blue = Connection::open()?;
/// here.enter()?;
/// println!("{}", blue.ifindex("eth0")?); // that of blue, all the same
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Namespace {
    file: File,
    name: String,
}

impl Namespace {
    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, Error> {
        Self::open_path(Path::new("/proc/thread-self/ns/net"), OsStr::new("of this thread"))
    }

    /// The namespace of this name: one of `ip netns add`, as `tc -n` takes it, a path
    /// (`/proc/PID/ns/net`), or else the id of a process.
    pub fn open(name: impl AsRef<OsStr>) -> Result<Self, Error> {
        let name = name.as_ref();
        let bytes = name.as_bytes();
        let is_process = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
        if bytes.contains(&b'/') {
            return Self::open_path(Path::new(name), name);
        }
        let [first, second] = FOLDERS.map(|folder| Path::new(folder).join(name));
        let process = is_process.then(|| Path::new("/proc").join(name).join("ns/net"));
        let mut opened = Self::open_path(&first, name);
        for path in std::iter::once(second).chain(process) {
            if opened.as_ref().is_err_and(Error::is_not_found) {
                opened = Self::open_path(&path, name);
            }
        }
        opened
    }

    fn open_path(path: &Path, name: &OsStr) -> Result<Self, Error> {
        let name = name.to_string_lossy();
        match File::open(path) {
            Ok(file) => Ok(Self { file, name: name.into_owned() }),
            Err(error) => Err(fail("open", &name, error)),
        }
    }

    /// Puts the calling thread into this namespace, until it enters another one.
    /// Needs `CAP_SYS_ADMIN`, here and in the user namespace that owns the other.
    pub fn enter(&self) -> Result<(), Error> {
        socket::enter_netns(&self.file).map_err(|error| fail("enter", &self.name, error))
    }

    /// Runs a closure in this namespace, on a separate thread, so that the caller's
    /// namespace never changes.
    ///
    /// ```no_run
    /// use std::net::UdpSocket;
    /// use tc_core::netns::Namespace;
    ///
    /// let guest = Namespace::open("guest")?;
    /// let socket = guest.within(|| UdpSocket::bind("127.0.0.1:0"))??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, Error> {
        let inside = || self.enter().map(|()| work());
        thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, inside) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(error) => Err(fail("enter", &self.name, error)),
        })
    }

    /// Puts the calling thread into a new namespace. All that is in it is a
    /// loopback device that is down.
    ///
    /// A process without the capability first creates a user namespace that grants
    /// it; the kernel allows that only while it has a single thread.
    pub fn unshare() -> Result<Self, Error> {
        let made = socket::unshare(libc::CLONE_NEWNET).or_else(|error| match error.raw_os_error() {
            Some(libc::EPERM) => socket::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET),
            _ => Err(error),
        });
        made.map_err(|error| Error::new("make", "a private network namespace", Cause::System(error)))?;
        Self::current()
    }
}

/// The cookie of the calling thread's network namespace: a number that no other
/// namespace gets until the next boot, unlike the inode of `/proc/PID/ns/net`,
/// which the kernel reuses. `None` before Linux 5.14, which has no cookies.
pub fn current_cookie() -> Result<Option<u64>, Error> {
    socket::netns_cookie().map_err(|error| fail("identify", "of this thread", error))
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn fail(operation: &'static str, name: &str, error: io::Error) -> Error {
    Error::new(operation, format!("network namespace {name:?}"), Cause::System(error))
}
