//! Network namespaces.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Error};
use crate::socket;

/// Puts the calling thread into the network namespace of this name, as `tc -n`
/// does: one of `ip netns add`, below `/run/netns`. A name with a slash is taken
/// as a path (`/proc/PID/ns/net`).
///
/// What the thread opens from then on belongs to that namespace.
pub fn enter(name: &str) -> Result<(), Error> {
    let path = if name.contains('/') { PathBuf::from(name) } else { Path::new("/var/run/netns").join(name) };
    let entered = File::open(&path).and_then(|file| socket::enter_netns(&file));
    entered.map_err(|error| Error::new("enter", format!("network namespace {name:?}"), Cause::System(error)))
}

/// Puts the calling thread into a new network namespace, which ends with the
/// last thread or socket in it. All that is in it is a loopback device that is
/// down.
///
/// Where the process may not, it first makes a user namespace of its own in
/// which it may; the kernel allows that only while it has a single thread.
pub fn unshare() -> Result<(), Error> {
    let made = socket::unshare(libc::CLONE_NEWNET).or_else(|error| match error.raw_os_error() {
        Some(libc::EPERM) => unshare_user(),
        _ => Err(error),
    });
    made.map_err(|error| Error::new("make", "network namespace", Cause::System(error)))
}

fn unshare_user() -> io::Result<()> {
    socket::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)
}
