//! The guardian's own side.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tc_core::{Connection, Transport};

use super::super::journal::Journal;
use super::super::root::open_own;
use super::watch::{Event, Watch};
use super::word;

/// How a guardian's watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The session detached; nothing was touched.
    Dismissed,
    /// The controller died or dropped its session. The number of devices whose plug was
    /// still the session's, and is open now.
    Opened(usize),
}

/// The most that orders may be: more than any number of devices takes.
const MOST_ORDERS: usize = 1 << 20;
/// How often, and how long apart, opening is tried where the kernel refuses.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Is the guardian, until the session ends: reads its orders from standard
/// input, which [a session](super::super::OutputCommit) has connected to itself.
///
/// Call it at the start of `main`, in a process that does nothing else. An error
/// before it watches is reported to the session, whose attach then fails. A later
/// one means that a plug could not be opened.
pub fn run() -> io::Result<End> {
    let lifeline = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    match arm(&lifeline) {
        Ok((mut watch, mut tc, orders, _lock)) => {
            (&lifeline).write_all(&[word::ARMED])?;
            guard(&mut watch, &mut tc, &orders)
        }
        Err(error) => {
            let _gone = (&lifeline).write_all(error.to_string().as_bytes());
            Err(error)
        }
    }
}

/// The inputs of a guardian. The last one is the lock of the journal, which lasts as
/// long as this process.
type Armed = (Watch, Connection, Journal, OwnedFd);

fn arm(lifeline: &UnixStream) -> io::Result<Armed> {
    // A leader of a process group cannot leave its session; it has its own group.
    let _leader = rustix::process::setsid();
    // No mount stays busy for our sake.
    env::set_current_dir("/")?;
    let (orders, controller, lock) = read_orders(lifeline)?;
    if !orders.is_here()? {
        return Err(io::Error::other("it is in another network namespace"));
    }
    let tc = Connection::open().map_err(io::Error::other)?;
    let watch = Watch::new(lifeline.try_clone()?, controller)?;
    Ok((watch, tc, orders, lock))
}

/// The orders, the controller's pidfd, and the lock of its journal.
fn read_orders(mut lifeline: &UnixStream) -> io::Result<(Journal, OwnedFd, OwnedFd)> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(lifeline, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let (controller, lock) = (fds.next(), fds.next());
    let (1, Some(controller), Some(lock)) = (received.bytes, controller, lock) else {
        return Err(io::Error::other("standard input is no session"));
    };
    let mut text = byte.to_vec();
    // Byte by byte: the bytes after the orders are for the watch.
    while text.len() < MOST_ORDERS {
        lifeline.read_exact(&mut byte)?;
        text.push(byte[0]);
        let last = text.strip_suffix(b"\n").and_then(|text| text.rsplit(|byte| *byte == b'\n').next());
        if last.is_some_and(|line| line.starts_with(b"end ")) {
            let orders = Journal::decode(&text, Path::new("(orders)")).map_err(io::Error::other)?;
            return Ok((orders, controller, lock));
        }
    }
    Err(io::Error::other("orders without an end"))
}

fn guard<T: Transport>(watch: &mut Watch, tc: &mut Connection<T>, orders: &Journal) -> io::Result<End> {
    loop {
        // A guardian that cannot watch must not leave it closed.
        match watch.next().unwrap_or(Event::Death) {
            Event::Leave => return Ok(End::Dismissed),
            Event::Hold => watch.set_deadline(orders.open_after),
            Event::Free => watch.set_deadline(None),
            Event::Deadline => {
                // The controller may wake up again; it then finds its session
                // tainted. Its death is watched on.
                watch.set_deadline(None);
                open_all(tc, orders)?;
            }
            Event::Death => return open_all(tc, orders).map(End::Opened),
        }
    }
}

/// Opens all that are still our own; one that fails does not keep the others.
fn open_all<T: Transport>(tc: &mut Connection<T>, orders: &Journal) -> io::Result<usize> {
    let mut opened = 0;
    let mut failed = Ok(());
    for device in &orders.devices {
        let mut tries = 0..TRIES;
        let outcome = loop {
            let outcome = open_own(tc, device);
            if outcome.is_ok() || tries.next().is_none() {
                break outcome;
            }
            thread::sleep(PAUSE);
        };
        match outcome {
            Ok(handle) => opened += usize::from(handle.is_some()),
            Err(error) => failed = Err(io::Error::other(error)),
        }
    }
    failed.map(|()| opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plug::Plug;
    use crate::plug::commit::guardian::watch::tests::me;
    use crate::plug::commit::journal::JournalDevice;
    use crate::plug::commit::journal::tests::journal;
    use tc_core::embedded::{Device, Fault, Faults, Kernel, Socket};
    use tc_core::{Handle, Request};

    const DEADLINE: Duration = Duration::from_millis(30);

    /// A kernel with a closed plug on each device, c01: (the session's) and 7:; the controller's end of the
    /// lifeline, and the inputs of a guardian.
    fn armed() -> (Kernel, UnixStream, Watch, Connection<Faults<Socket>>, Journal) {
        let kernel = crate::embedded::kinds(Kernel::builder())
            .device(Device::new("eth0").ifindex(2))
            .device(Device::new("eth1").ifindex(3))
            .build();
        let mut tc = Connection::over(Faults::over(kernel.connect()));
        let handles = [Handle::qdisc(0xc01), Handle::qdisc(0xc02)];
        let mut devices = Vec::new();
        for (ifindex, handle) in [(2, handles[0]), (3, Handle::qdisc(7))] {
            let plug = Plug::set_limit(10_000);
            tc.add(&Request::qdisc(ifindex).parent(Handle::ROOT).handle(handle).options(&plug)).unwrap();
            devices.push(JournalDevice { ifindex, name: String::new(), handles });
        }
        let (lifeline, theirs) = UnixStream::pair().unwrap();
        let watch = Watch::new(theirs, me()).unwrap();
        let orders = Journal { open_after: Some(DEADLINE), devices, ..journal() };
        (kernel, lifeline, watch, tc, orders)
    }

    /// Which devices let a packet out.
    fn open(kernel: &Kernel) -> [bool; 2] {
        [2, 3].map(|device| {
            kernel.send(device, *b"?");
            !kernel.take_sent(device).is_empty()
        })
    }

    #[test]
    fn what_is_free_has_no_deadline() {
        let (kernel, mut lifeline, mut watch, mut tc, orders) = armed();
        lifeline.write_all(&[word::HOLD, word::FREE]).unwrap();
        let said = thread::spawn(move || {
            thread::sleep(3 * DEADLINE);
            lifeline.write_all(&[word::LEAVE]).unwrap();
        });
        assert_eq!(guard(&mut watch, &mut tc, &orders).unwrap(), End::Dismissed);
        assert_eq!(open(&kernel), [false; 2]);
        said.join().unwrap();
    }

    #[test]
    fn a_deadline_opens_once_and_the_watch_goes_on() {
        let (kernel, mut lifeline, mut watch, mut tc, orders) = armed();
        let before = tc.transport().calls();
        lifeline.write_all(&[word::HOLD]).unwrap();
        let said = thread::spawn(move || {
            thread::sleep(10 * DEADLINE);
            lifeline.write_all(&[word::LEAVE]).unwrap();
        });
        assert_eq!(guard(&mut watch, &mut tc, &orders).unwrap(), End::Dismissed);
        assert_eq!(open(&kernel), [true, false]);
        // A command that is carried out, and two that the kernel refuses.
        assert_eq!(tc.transport().calls() - before, 2 + 2 + 2);
        said.join().unwrap();
    }

    #[test]
    fn death_opens_own_plugs_and_retries_failures() {
        for unreadable in [false, true] {
            let (kernel, mut lifeline, mut watch, mut tc, orders) = armed();
            tc.transport_mut().at_call(1, Fault::NoBuffers);
            if unreadable {
                // A guardian that cannot watch must not leave it closed.
                lifeline.write_all(b"?").unwrap();
            } else {
                drop(lifeline);
            }
            assert_eq!(guard(&mut watch, &mut tc, &orders).unwrap(), End::Opened(1));
            assert_eq!(open(&kernel), [true, false]);
        }
    }
}
