//! Notices of changes in traffic control and of devices.

mod follow;

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Poll, ready};

use crate::connection::Socket;
use crate::connection::netns::Namespace;
use crate::connection::{Received, Transport, talk};
use crate::exchange::error::{Cause, Error};
use crate::exchange::inbox::{Inbox, SLOTS};
use crate::exchange::reply::MessageRange;
use crate::wire::message::Message;
use crate::wire::uapi::*;

pub use follow::{Event, Follower};
#[cfg(feature = "tokio")]
pub(crate) use follow::{Following, Heard, Listen, next_event};

/// Upper bound on such calls, against an endless flood.
const MOST_FORGOTTEN: usize = 1 << 16;

/// How much room the kernel gets for notices that were not read yet.
pub(crate) const ROOM_FOR_NOTICES: u32 = 4 * 1024 * 1024;

/// Receives notices. Those of other processes, which could forge them, are
/// skipped. To track the current state, use a [`Follower`].
///
/// ```no_run
/// use tc_core::message::Entry;
/// use tc_core::monitor::{Monitor, Notice};
/// use tc_core::uapi::RTNLGRP_TC;
///
/// let mut monitor = Monitor::open(&[RTNLGRP_TC])?;
/// while let Some(notice) = monitor.receive()? {
///     match notice {
///         Notice::Message(message) => println!("{:?}", Entry::decode(&message)?.header),
///         Notice::Overflow => println!("some were lost"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor<T: Transport = Socket> {
    transport: T,
    buffer: Box<[u8]>,
    inbox: Inbox,
}

/// An event, with the place of its message in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Message(MessageRange),
    Overflow,
}

/// An event of a monitor.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// A message of the kernel's: `RTM_NEWQDISC`, `RTM_DELTCLASS`,
    /// `RTM_NEWLINK`, ...
    Message(Message<'a>),
    /// Notices were lost because they were not read in time: the state has to be
    /// listed again.
    Overflow,
}

impl Monitor {
    /// Opens a monitor of these groups (`RTNLGRP_*`) in the network namespace of
    /// the calling thread. It waits without a time limit.
    pub fn open(groups: &[u32]) -> Result<Self, Error> {
        let open = || {
            let mut socket = Socket::open()?;
            socket.set_timeout(None)?;
            socket.set_receive_buffer(ROOM_FOR_NOTICES)?;
            groups.iter().try_for_each(|group| socket.join(*group))?;
            Ok(socket)
        };
        let socket = open().map_err(|error| Error::new("open", "monitor", Cause::System(error)))?;
        Ok(Self::over(socket))
    }

    /// Opens it in a network namespace, independent of the calling thread's.
    pub fn open_in(netns: &Namespace, groups: &[u32]) -> Result<Self, Error> {
        netns.within(|| Self::open(groups))?
    }

    /// Sets whether [`Monitor::receive`] returns `None` at once instead of waiting.
    pub fn set_nonblocking(&mut self, nonblocking: bool) -> Result<(), Error> {
        let set = self.transport.set_nonblocking(nonblocking);
        set.map_err(|error| Error::new("set", "monitor", Cause::System(error)))
    }
}

/// Readable when notices have come. To wait for them in an event loop or an
/// asynchronous program, [set it to be non-blocking](Monitor::set_nonblocking),
/// and receive until there is `None`.
impl<T: Transport + AsFd> AsFd for Monitor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}

/// For interfaces that take numbers, such as `tokio::io::unix::AsyncFd`.
impl<T: Transport + AsFd> AsRawFd for Monitor<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: Transport> Monitor<T> {
    /// A monitor over any transport that delivers notices.
    pub fn over(transport: T) -> Self {
        Self { transport, buffer: vec![0; 64 * 1024].into_boxed_slice(), inbox: Inbox::default() }
    }

    /// The transport below.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport below, to change it.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Throws away the notices that wait; false if there was no end of them.
    pub(crate) fn forget(&mut self) -> Result<bool, Error> {
        self.inbox.clear();
        let mut received = [Received::default(); SLOTS];
        for _ in 0..MOST_FORGOTTEN {
            match self.transport.receive_many(&mut self.buffer, &mut received, false) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Discarded notices may be lost as well.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(Error::new("receive", "notice", Cause::System(error))),
            }
        }
        Ok(false)
    }

    /// Reads the notices that are there, without waiting for more; whether one of
    /// them counts, or some were lost. Without an end of them they count.
    pub(crate) fn drain(&mut self, mut counts: impl FnMut(&Message<'_>) -> bool) -> Result<bool, Error> {
        let mut counted = self.count(&mut counts);
        let share = self.buffer.len() / SLOTS;
        let mut received = [Received::default(); SLOTS];
        for _ in 0..MOST_FORGOTTEN {
            match self.transport.receive_many(&mut self.buffer, &mut received, false) {
                // This transport can only wait: its time limit ends it.
                Ok(0) => match self.receive()? {
                    None => return Ok(counted),
                    Some(Notice::Message(message)) => counted |= counts(&message),
                    Some(Notice::Overflow) => counted = true,
                },
                Ok(datagrams) => {
                    counted |= !self.inbox.put_many(share, &received[..datagrams]);
                    counted |= self.count(&mut counts);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(counted),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => counted = true,
                Err(error) => return Err(Error::new("receive", "notice", Cause::System(error))),
            }
        }
        Ok(true)
    }

    /// Waits for the next notice; `None` when nothing came within the
    /// transport's time limit (at once, if it does not block).
    pub fn receive(&mut self) -> Result<Option<Notice<'_>>, Error> {
        let found = talk::now(poll_fn(|_| self.poll_receive(|_| true, |_| Poll::Ready(false))))?;
        Ok(found.map(|found| self.notice(found)))
    }

    /// The next notice with a type (`RTM_*`) that is `wanted`. If nothing is there yet, `wait` decides: to try again,
    /// not yet, or no notice.
    pub(crate) fn poll_receive(
        &mut self,
        wanted: impl Fn(u16) -> bool,
        mut wait: impl FnMut(&mut T) -> Poll<bool>,
    ) -> Poll<Result<Option<Found>, Error>> {
        let fail = |cause: Cause| Error::new("receive", "notice", cause);
        loop {
            match self.inbox.next(&self.buffer).map_err(|error| fail(error.into()))? {
                Some(place) if place.kind() == NLMSG_OVERRUN => {
                    return Poll::Ready(Ok(Some(Found::Overflow)));
                }
                Some(place) if wanted(place.kind()) => return Poll::Ready(Ok(Some(Found::Message(place)))),
                Some(_) => continue,
                None => {}
            }
            let is_whole = match self.transport.receive(&mut self.buffer) {
                Ok(received) => self.inbox.put(0, self.buffer.len(), received),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match ready!(wait(&mut self.transport)) {
                        true => true,
                        false => return Poll::Ready(Ok(None)),
                    }
                }
                Err(error) => return Poll::Ready(Err(fail(Cause::System(error)))),
            };
            if !is_whole {
                return Poll::Ready(Ok(Some(Found::Overflow)));
            }
        }
    }

    /// The notice at a place.
    pub(crate) fn notice(&self, found: Found) -> Notice<'_> {
        match found {
            Found::Message(place) => Notice::Message(place.message(&self.buffer)),
            Found::Overflow => Notice::Overflow,
        }
    }

    /// The message at a place, header included.
    #[cfg(feature = "tokio")]
    pub(crate) fn bytes(&self, place: MessageRange) -> &[u8] {
        place.bytes(&self.buffer)
    }

    /// Whether one of the messages that were received counts, or cannot be read.
    fn count(&mut self, counts: &mut impl FnMut(&Message<'_>) -> bool) -> bool {
        let mut counted = false;
        loop {
            // All are looked at: `counts` may keep something of each.
            match self.inbox.next(&self.buffer) {
                Ok(None) => return counted,
                Ok(Some(place)) => {
                    counted |= place.kind() == NLMSG_OVERRUN || counts(&place.message(&self.buffer));
                }
                Err(_) => counted = true,
            }
        }
    }
}
