//! Notices for programs that track the current state, with recovery after a loss.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::{Monitor, Notice};
use crate::connection::Connection;
use crate::connection::Socket;
use crate::connection::Transport;
use crate::connection::netns::Namespace;
use crate::connection::watch::read_consistent;
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::Error;
use crate::wire::error::DecodeError;
use crate::wire::handle::Handle;
use crate::wire::message::Message;
use crate::wire::uapi::{RTM_DELLINK, RTM_NEWLINK, RTNLGRP_LINK, RTNLGRP_TC};

/// Follows qdiscs, classes and filters: notices as they come, and after a loss a
/// list of all objects.
///
/// Kernel: a slow reader loses notices, and gets one `ENOBUFS`; until it has
/// emptied its queue, it gets no more. So the queue, which is older than the
/// list, is discarded, and all objects are listed. A
/// list counts only if nothing changed while it was read, since a change makes
/// it lose other objects (see [`ChangeWatch`](crate::ChangeWatch)): otherwise
/// it is read again, ten times in all.
///
/// ```no_run
/// use tc_core::monitor::{Event, Follower};
///
/// let mut follower = Follower::open()?;
/// follower.list_anew(); // begin with a list
/// while let Some(event) = follower.next()? {
///     match event {
///         Event::Notice(message) => println!("message {}", message.kind),
///         Event::DeviceGone(ifindex) => println!("forget device {ifindex}"),
///         Event::Overflow => println!("forget all; a list follows"),
///         Event::Listed(entry) => println!("{:?}", entry.entry()?.header),
///         Event::InStep => println!("that was all"),
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Follower<M: Transport = Socket, C: Transport = Socket> {
    monitor: Monitor<M>,
    connection: Connection<C>,
    state: State,
    listed: VecDeque<OwnedEntry>,
}

/// An event of a follower.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A change: `RTM_NEWQDISC`, `RTM_DELTCLASS`, ...
    Notice(Message<'a>),
    /// The device with this index is gone from the network namespace, and all its qdiscs, classes and
    /// filters with it. The kernel sends no notices for them.
    DeviceGone(i32),
    /// Notices were lost. The known state is void; a list of all objects follows.
    Overflow,
    /// One object that is there.
    Listed(OwnedEntry),
    /// That was all that is there. Notices follow; the first of them can be of
    /// changes that the list shows already.
    InStep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Watching,
    Lost,
    Listing,
}

impl Follower {
    /// Follows the network namespace of the calling thread, and waits without a
    /// time limit.
    pub fn open() -> Result<Self, Error> {
        Ok(Self::over(Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK])?, Connection::open()?))
    }

    /// Opens it in a network namespace, independent of the calling thread's.
    pub fn open_in(netns: &Namespace) -> Result<Self, Error> {
        netns.within(Self::open)?
    }

    /// Sets whether [`Follower::next`] returns `None` at once instead of waiting for
    /// a notice. It waits for lists in either case.
    pub fn set_nonblocking(&mut self, nonblocking: bool) -> Result<(), Error> {
        self.monitor.set_nonblocking(nonblocking)
    }
}

/// Readable when notices have come. Listed objects do not make it readable: before
/// each wait, including the first, call [`Follower::next`] until it returns
/// `None`.
impl<M: Transport + AsFd, C: Transport> AsFd for Follower<M, C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.monitor.as_fd()
    }
}

/// For interfaces that take numbers, such as `tokio::io::unix::AsyncFd`.
impl<M: Transport + AsFd, C: Transport> AsRawFd for Follower<M, C> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<M: Transport, C: Transport> Follower<M, C> {
    /// Follows over any monitor, and a connection for the lists.
    pub const fn over(monitor: Monitor<M>, connection: Connection<C>) -> Self {
        Self { monitor, connection, state: State::Watching, listed: VecDeque::new() }
    }

    /// The monitor below.
    pub const fn monitor(&self) -> &Monitor<M> {
        &self.monitor
    }

    /// The monitor below, to change it.
    pub const fn monitor_mut(&mut self) -> &mut Monitor<M> {
        &mut self.monitor
    }

    /// The connection that lists, to change it.
    pub const fn connection_mut(&mut self) -> &mut Connection<C> {
        &mut self.connection
    }

    /// Makes a list of all objects follow, as after a loss.
    pub fn list_anew(&mut self) {
        self.state = State::Lost;
    }

    /// Waits for the next event; `None` when nothing came within the monitor's
    /// time limit.
    ///
    /// After an error it can be called again, and lists again if it has to. The
    /// error is [`Cause::Interrupted`](crate::Cause::Interrupted) while changes
    /// come one after the other.
    #[expect(clippy::should_implement_trait, reason = "it lends from the monitor's buffer")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, Error> {
        if self.state == State::Lost {
            if !self.monitor.forget()? {
                return Ok(Some(Event::Overflow)); // a flood
            }
            let Self { monitor, connection, .. } = self;
            let list = || list_all(connection);
            self.listed = read_consistent(monitor, &mut 0, "qdiscs, classes and filters", list)??.into();
            self.state = State::Listing;
        }
        if self.state == State::Listing {
            return Ok(Some(match self.listed.pop_front() {
                Some(entry) => Event::Listed(entry),
                None => {
                    self.state = State::Watching;
                    Event::InStep
                }
            }));
        }
        // New devices matter to lists alone.
        let wanted = |kind: u16| kind != RTM_NEWLINK;
        Ok(match self.monitor.receive_of(wanted)? {
            None => None,
            Some(Notice::Message(message)) if message.kind == RTM_DELLINK => {
                let ifindex = message.payload.get(4..).and_then(|rest| rest.first_chunk());
                let ifindex = ifindex.ok_or(DecodeError::Malformed { what: "link message" })?;
                Some(Event::DeviceGone(i32::from_ne_bytes(*ifindex)))
            }
            Some(Notice::Message(message)) => Some(Event::Notice(message)),
            Some(Notice::Overflow) => {
                self.state = State::Lost;
                Some(Event::Overflow)
            }
        })
    }
}

/// All qdiscs, their classes, and the filters of each qdisc and hook.
fn list_all<C: Transport>(connection: &mut Connection<C>) -> Result<Vec<OwnedEntry>, Error> {
    let mut all = connection.list(&DumpRequest::qdiscs())?;
    let mut devices = BTreeSet::new();
    let mut filtered = BTreeSet::new();
    for qdisc in all.iter().filter_map(|qdisc| qdisc.entry().ok()) {
        let (ifindex, handle) = (qdisc.header.ifindex, qdisc.header.handle);
        devices.insert(ifindex);
        match qdisc.kind() {
            // Kernel: ingress, by its handle or either hook, shows its only filters.
            Ok("clsact") => {
                filtered.extend([Handle::FILTER_INGRESS, Handle::FILTER_EGRESS].map(|hook| (ifindex, hook)));
            }
            // Kernel: a built-in default has no filters.
            _ if handle.is_unspec() => {}
            _ => {
                filtered.insert((ifindex, handle));
            }
        }
    }
    for ifindex in devices {
        all.extend(connection.list(&DumpRequest::classes(ifindex))?);
    }
    for (ifindex, parent) in filtered {
        // A parent that was deleted meanwhile has no filters, which is not an error.
        all.extend(connection.list(&DumpRequest::filters(ifindex).parent(parent))?);
    }
    Ok(all)
}
