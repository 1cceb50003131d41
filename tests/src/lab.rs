//! Tests against a real kernel, in private network namespaces.
//!
//! ```no_run
//! use tests::{lab::Net, need};
//!
//! fn plug_is_added() {
//!     need!("sch_plug", "dummy");
//!     let net = Net::new();
//!     net.ip("link add d0 type dummy").ok();
//!     net.tc("qdisc add dev d0 root plug").ok();
//! }
//! ```
//!
//! `tests/run` runs these tests twice: on this machine's kernel, where [`need!`](crate::need) skips
//! tests whose feature is missing, and in a small VM, where a skip is a failure.
#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod cli;
mod command;
mod count;
mod counting;
pub mod need;
mod pair;
mod shaped;
mod shared;
mod shell;
mod wire;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::marker::PhantomData;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use tc_core::Connection;
use tc_core::link::LinkChange;

pub use cli::tc_cli;
pub use command::Output;
pub use count::{count, fewer_if_emulated, number, one_in, tries};
pub use counting::{Calls, Counting};
pub use pair::Pair;
pub use shaped::shaped;
pub use shared::Shared;
pub use shell::{Said, Shell};
pub use wire::Wire;

/// How long a socket of the lab waits before it gives up; long, since an emulated machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing must arrive before the lab believes that nothing will.
pub const QUIET: Duration = Duration::from_millis(300);

/// A network namespace. It lives as long as this value and the sockets made in it.
///
/// `lo` is up and IPv6 is off, so that no packet flows that the test did not send.
pub struct Net {
    space: OwnedFd,
    back: Option<OwnedFd>,
    /// Entering and leaving concern one thread.
    _thread: PhantomData<*const ()>,
}

impl Net {
    /// Moves the calling thread into a new namespace, until this value is dropped. Processes and sockets
    /// that the thread opens meanwhile are in it too.
    #[must_use]
    pub fn new() -> Self {
        let back = current();
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            panic!("no network namespace: {error}; a test that may run without root begins with need!");
        }
        Self::prepared(current(), Some(back))
    }

    /// A fresh namespace beside the thread's own: a second host.
    #[must_use]
    pub fn aside() -> Self {
        let space = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("no network namespace");
                current()
            });
            maker.join().unwrap_or_else(|cause| resume_unwind(cause))
        });
        Self::prepared(space, None)
    }

    fn prepared(space: OwnedFd, back: Option<OwnedFd>) -> Self {
        let net = Self { space, back, _thread: PhantomData };
        // Fails where IPv6 is absent, which is as good.
        let _ = net.inside(|| fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));
        net.inside(|| up("lo")).expect("lo can be set up");
        net
    }

    /// Runs `work` on another thread that is in this namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let space = self.space.as_fd();
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                setns(space, CloneFlags::CLONE_NEWNET).expect("the namespace was made here");
                work()
            });
            worker.join().unwrap_or_else(|cause| resume_unwind(cause))
        })
    }

    /// Runs a program in this namespace; it is killed if it takes too long.
    pub fn run<A: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, arguments: &[A]) -> Output {
        let mut command = command::command(program.as_ref(), arguments);
        self.inside(move || command::run(&mut command))
    }

    /// `ip WORDS`.
    pub fn ip(&self, words: &str) -> Output {
        self.run("ip", &split(words))
    }

    /// `tc WORDS`, with iproute2's tc.
    pub fn tc(&self, words: &str) -> Output {
        self.run("tc", &split(words))
    }

    /// `tc-cli WORDS`, with the tc of this workspace.
    pub fn tc_cli(&self, words: &str) -> Output {
        self.run(tc_cli(), &split(words))
    }

    /// Starts a program in this namespace that reads commands, as tc does with `-force -batch -`.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn shell<A: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, arguments: &[A]) -> Shell {
        let mut command = command::command(program.as_ref(), arguments);
        self.inside(move || Shell::start(&mut command)).expect("a program that is told commands")
    }

    /// Two connected devices in this namespace, up and without addresses.
    pub fn veth(&self, one: &str, other: &str) {
        self.veth_to(one, self, other);
    }

    /// Two connected devices, `near` here and `far` in another namespace, up and without addresses.
    pub fn veth_to(&self, near: &str, there: &Net, far: &str) {
        let peer = (self.space.as_raw_fd() != there.space.as_raw_fd()).then(|| there.space.as_fd());
        let made = self.inside(|| {
            Connection::open()?.add_veth(near, far, peer)?;
            up(near)
        });
        made.and_then(|()| there.inside(|| up(far))).expect("two devices");
    }

    /// A name of this namespace that `ip` takes.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.space.as_raw_fd())
    }

    /// A UDP socket in this namespace that waits no longer than [`PATIENCE`].
    #[must_use]
    pub fn udp(&self, address: &str) -> UdpSocket {
        let socket = self.inside(|| UdpSocket::bind(address)).expect(address);
        socket.set_read_timeout(Some(PATIENCE)).expect("a UDP socket takes a timeout");
        socket
    }

    /// Whole frames in and out of a device of this namespace.
    #[must_use]
    pub fn wire(&self, dev: &str) -> Wire {
        self.inside(|| Wire::open(dev)).expect(dev)
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Some(back) = &self.back {
            // Without privilege over the old namespace the thread stays; the test ends anyway.
            let _ = setns(back, CloneFlags::CLONE_NEWNET);
        }
    }
}

/// Without `ip`: each start of it takes as long as many tests in an emulated machine.
fn up(dev: &str) -> Result<(), tc_core::Error> {
    let mut tc = Connection::open()?;
    let dev = tc.ifindex(dev)?;
    tc.set_link(dev, &LinkChange { up: Some(true), ..LinkChange::default() })
}

fn current() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").expect("every thread has a network namespace").into()
}

/// The words of a command; quotes hold words together, as in a shell.
fn split(words: &str) -> Vec<&str> {
    let parts = words.split('\'').enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}
