//! Notices for programs that track the current state, with recovery after a loss.

use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Found, Monitor};
use crate::connection::Connection;
use crate::connection::Socket;
use crate::connection::Transport;
use crate::connection::dump::list;
use crate::connection::netns::Namespace;
use crate::connection::talk::{self, Talk};
use crate::connection::watch::{MOST_SILENCES, SILENCE, TRIES};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::reply::MessageRange;
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
    following: Following,
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

/// The state of a follower.
#[derive(Debug, Default)]
pub(crate) struct Following {
    state: State,
    listed: VecDeque<OwnedEntry>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Watching,
    Lost,
    Listing,
}

/// An event, with the place of its message in the monitor's buffer.
#[derive(Debug)]
pub(crate) enum Heard {
    Notice(MessageRange),
    DeviceGone(i32),
    Overflow,
    Listed(OwnedEntry),
    InStep,
}

/// A monitor, whether it waits or not.
pub(crate) trait Listen {
    type Transport: Transport;

    /// The monitor below.
    fn monitor(&mut self) -> &mut Monitor<Self::Transport>;

    /// The next notice with a type that is `wanted`.
    fn poll_notice(
        &mut self,
        context: &mut Context<'_>,
        wanted: fn(u16) -> bool,
    ) -> Poll<Result<Option<Found>, Error>>;

    /// Waits for a time.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<Self>;
}

impl<M: Transport> Listen for Monitor<M> {
    type Transport = M;

    fn monitor(&mut self) -> &mut Self {
        self
    }

    fn poll_notice(
        &mut self,
        _: &mut Context<'_>,
        wanted: fn(u16) -> bool,
    ) -> Poll<Result<Option<Found>, Error>> {
        self.poll_receive(wanted, |_| Poll::Ready(false))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<M> {
        std::thread::sleep(time);
        std::future::ready(())
    }
}

impl Following {
    /// Makes a list of all objects follow, as after a loss.
    pub(crate) const fn list_anew(&mut self) {
        self.state = State::Lost;
    }
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
    pub fn over(monitor: Monitor<M>, connection: Connection<C>) -> Self {
        Self { monitor, connection, following: Following::default() }
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
        self.following.list_anew();
    }

    /// Waits for the next event; `None` when nothing came within the monitor's
    /// time limit.
    ///
    /// After an error it can be called again, and lists again if it has to. The
    /// error is [`Cause::Interrupted`](crate::Cause::Interrupted) while changes
    /// come one after the other.
    #[expect(clippy::should_implement_trait, reason = "it lends from the monitor's buffer")]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, Error> {
        let Self { monitor, connection, following } = self;
        let heard = talk::now(next_event(following, monitor, connection))?;
        Ok(heard.map(|heard| Event::of(heard, &self.monitor)))
    }
}

impl<'a> Event<'a> {
    pub(crate) fn of<M: Transport>(heard: Heard, monitor: &'a Monitor<M>) -> Self {
        match heard {
            Heard::Notice(place) => Self::Notice(place.message(&monitor.buffer)),
            Heard::DeviceGone(ifindex) => Self::DeviceGone(ifindex),
            Heard::Overflow => Self::Overflow,
            Heard::Listed(entry) => Self::Listed(entry),
            Heard::InStep => Self::InStep,
        }
    }
}

/// See [`Follower::next`]. If it is dropped, no event is lost: a list that had begun begins anew.
pub(crate) async fn next_event<M: Listen, C: Talk>(
    following: &mut Following,
    monitor: &mut M,
    connection: &mut C,
) -> Result<Option<Heard>, Error> {
    if following.state == State::Lost {
        if !monitor.monitor().forget()? {
            return Ok(Some(Heard::Overflow)); // a flood
        }
        following.listed = list_steadily(monitor, connection).await?.into();
        following.state = State::Listing;
    }
    if following.state == State::Listing {
        return Ok(Some(match following.listed.pop_front() {
            Some(entry) => Heard::Listed(entry),
            None => {
                following.state = State::Watching;
                Heard::InStep
            }
        }));
    }
    // New devices matter to lists alone.
    let found = poll_fn(|context| monitor.poll_notice(context, |kind| kind != RTM_NEWLINK)).await?;
    Ok(match found {
        None => None,
        Some(Found::Message(place)) if place.kind() == RTM_DELLINK => {
            let message = place.message(&monitor.monitor().buffer);
            let ifindex = message.payload.get(4..).and_then(|rest| rest.first_chunk());
            let ifindex = ifindex.ok_or(DecodeError::Malformed { what: "link message" })?;
            Some(Heard::DeviceGone(i32::from_ne_bytes(*ifindex)))
        }
        Some(Found::Message(place)) => Some(Heard::Notice(place)),
        Some(Found::Overflow) => {
            following.state = State::Lost;
            Some(Heard::Overflow)
        }
    })
}

/// Lists all objects until nothing changes meanwhile.
async fn list_steadily<M: Listen, C: Talk>(
    monitor: &mut M,
    connection: &mut C,
) -> Result<Vec<OwnedEntry>, Error> {
    for _ in 1..TRIES {
        let is_empty = monitor.monitor().forget()?;
        let listed = list_all(connection).await;
        if is_empty && !monitor.monitor().drain(|_| true)? {
            return listed;
        }
        for _ in 0..MOST_SILENCES {
            monitor.sleep(SILENCE).await;
            if !monitor.monitor().drain(|_| true)? {
                break;
            }
        }
    }
    let is_empty = monitor.monitor().forget()?;
    let listed = list_all(connection).await?;
    match is_empty && !monitor.monitor().drain(|_| true)? {
        true => Ok(listed),
        false => Err(Error::new("list", "qdiscs, classes and filters", Cause::Interrupted(TRIES))),
    }
}

/// All qdiscs, their classes, and the filters of each qdisc and hook.
async fn list_all<C: Talk>(connection: &mut C) -> Result<Vec<OwnedEntry>, Error> {
    let mut all = list(connection, &DumpRequest::qdiscs()).await?;
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
        all.extend(list(connection, &DumpRequest::classes(ifindex)).await?);
    }
    for (ifindex, parent) in filtered {
        // A parent that was deleted meanwhile has no filters, which is not an error.
        all.extend(list(connection, &DumpRequest::filters(ifindex).parent(parent)).await?);
    }
    Ok(all)
}
