//! Notices, received asynchronously.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::{AsyncTransport, Connection, Socket};
use crate::connection::monitor::{
    self, Event, Following, Found, Heard, Listen, Notice, ROOM_FOR_NOTICES, next_event,
};
use crate::connection::netns::Namespace;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::wire::error::DecodeError;
use crate::wire::uapi::{RTNLGRP_LINK, RTNLGRP_TC};

/// Receives notices: [`monitor::Monitor`](crate::monitor::Monitor) with an asynchronous
/// [`receive`](Self::receive).
#[derive(Debug)]
pub struct Monitor<T: AsyncTransport = Socket> {
    inner: monitor::Monitor<T>,
}

impl Monitor {
    /// Opens a monitor of these groups (`RTNLGRP_*`) in the network namespace of the calling thread.
    ///
    /// # Panics
    ///
    /// As [`Socket::open`].
    pub fn open(groups: &[u32]) -> Result<Self, Error> {
        let socket = open(groups).and_then(Socket::over);
        socket.map(Self::over).map_err(|error| Error::new("open", "monitor", Cause::System(error)))
    }

    /// Opens it in a network namespace, independent of the calling thread's.
    ///
    /// # Panics
    ///
    /// As [`Socket::open`].
    pub fn open_in(netns: &Namespace, groups: &[u32]) -> Result<Self, Error> {
        let socket = netns.within(|| open(groups))?.and_then(Socket::over);
        socket.map(Self::over).map_err(|error| Error::new("open", "monitor", Cause::System(error)))
    }
}

fn open(groups: &[u32]) -> std::io::Result<crate::Socket> {
    let mut socket = crate::Socket::open()?;
    socket.set_receive_buffer(ROOM_FOR_NOTICES)?;
    groups.iter().try_for_each(|group| socket.join(*group))?;
    Ok(socket)
}

impl<T: AsyncTransport> Monitor<T> {
    /// A monitor over any transport that delivers notices and does not wait.
    pub fn over(transport: T) -> Self {
        Self { inner: monitor::Monitor::over(transport) }
    }

    /// The transport below, to change it.
    pub const fn transport_mut(&mut self) -> &mut T {
        self.inner.transport_mut()
    }

    /// Waits for the next notice, without a time limit.
    ///
    /// Cancel safety: no notice is lost.
    pub async fn receive(&mut self) -> Result<Notice<'_>, Error> {
        let found = loop {
            let found = poll_fn(|context| self.poll_notice(context, |_| true)).await?;
            if let Some(found) = found {
                break found;
            }
        };
        Ok(self.inner.notice(found))
    }
}

impl<T: AsyncTransport> Listen for Monitor<T> {
    type Transport = T;

    fn monitor(&mut self) -> &mut monitor::Monitor<T> {
        &mut self.inner
    }

    fn poll_notice(
        &mut self,
        context: &mut Context<'_>,
        wanted: fn(u16) -> bool,
    ) -> Poll<Result<Option<Found>, Error>> {
        let mut failed = None;
        let polled =
            self.inner.poll_receive(wanted, |transport| match ready!(transport.poll_readable(context)) {
                Ok(()) => Poll::Ready(true),
                // There is no time limit here.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Poll::Ready(true),
                Err(error) => {
                    failed = Some(error);
                    Poll::Ready(false)
                }
            });
        match failed {
            Some(error) => Poll::Ready(Err(Error::new("receive", "notice", Cause::System(error)))),
            None => polled,
        }
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<T> {
        ::tokio::time::sleep(time)
    }
}

/// Follows qdiscs, classes and filters: [`monitor::Follower`](crate::monitor::Follower) with an asynchronous
/// [`next`](Self::next), and a [`Stream`] of its events.
///
/// The guarantee is the same: a loss is told ([`Event::Overflow`]), and a list of all objects follows, which counts only
/// if nothing changed while it was read.
#[derive(Debug)]
pub struct Follower<M: AsyncTransport = Socket, C: AsyncTransport = Socket> {
    monitor: Monitor<M>,
    connection: Connection<C>,
    following: Following,
}

impl Follower {
    /// Follows the network namespace of the calling thread.
    ///
    /// # Panics
    ///
    /// As [`Connection::open`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self::over(Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK])?, Connection::open()?))
    }

    /// Opens it in a network namespace, independent of the calling thread's.
    ///
    /// # Panics
    ///
    /// As [`Connection::open`].
    pub fn open_in(netns: &Namespace) -> Result<Self, Error> {
        let monitor = Monitor::open_in(netns, &[RTNLGRP_TC, RTNLGRP_LINK])?;
        Ok(Self::over(monitor, Connection::open_in(netns)?))
    }
}

impl<M: AsyncTransport, C: AsyncTransport> Follower<M, C> {
    /// Follows over any monitor that has joined `RTNLGRP_TC` and `RTNLGRP_LINK`, and a connection for the lists.
    pub fn over(monitor: Monitor<M>, connection: Connection<C>) -> Self {
        Self { monitor, connection, following: Following::default() }
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
    pub const fn list_anew(&mut self) {
        self.following.list_anew();
    }

    /// Waits for the next event, without a time limit.
    ///
    /// After an error it can be called again, and lists again if it has to; see
    /// [`Follower::next`](crate::monitor::Follower::next).
    ///
    /// Cancel safety: no event is lost. A list that had begun begins anew.
    pub async fn next(&mut self) -> Result<Event<'_>, Error> {
        let heard = self.hear().await?;
        Ok(Event::of(heard, &self.monitor.inner))
    }

    async fn hear(&mut self) -> Result<Heard, Error> {
        let Self { monitor, connection, following } = self;
        loop {
            if let Some(heard) = next_event(following, monitor, connection).await? {
                return Ok(heard);
            }
        }
    }

    /// The events as a stream without an end, each in its own memory. An error is an item; the stream goes on after
    /// it, as [`next`](Self::next) does.
    pub fn into_stream(self) -> Events<M, C>
    where
        M: Send + 'static,
        C: Send + 'static,
    {
        Events { waiting: wait(self) }
    }
}

/// An event of a [`Follower`] in its own memory.
#[derive(Debug)]
#[non_exhaustive]
pub enum OwnedEvent {
    /// As [`Event::Notice`].
    Notice(OwnedEntry),
    /// As [`Event::DeviceGone`].
    DeviceGone(i32),
    /// As [`Event::Overflow`].
    Overflow,
    /// As [`Event::Listed`].
    Listed(OwnedEntry),
    /// As [`Event::InStep`].
    InStep,
}

type Waiting<M, C> =
    Pin<Box<dyn Future<Output = (Follower<M, C>, Result<OwnedEvent, Error>)> + Send + 'static>>;

/// The events of a [`Follower`]; see [`Follower::into_stream`].
pub struct Events<M: AsyncTransport = Socket, C: AsyncTransport = Socket> {
    waiting: Waiting<M, C>,
}

fn wait<M, C>(mut follower: Follower<M, C>) -> Waiting<M, C>
where
    M: AsyncTransport + Send + 'static,
    C: AsyncTransport + Send + 'static,
{
    Box::pin(async move {
        let event = follower.hear().await.and_then(|heard| {
            Ok(match heard {
                Heard::Notice(place) => {
                    let notice = OwnedEntry::copy(follower.monitor.inner.bytes(place));
                    notice.entry().map_err(|error: DecodeError| Error::from(error))?;
                    OwnedEvent::Notice(notice)
                }
                Heard::DeviceGone(ifindex) => OwnedEvent::DeviceGone(ifindex),
                Heard::Overflow => OwnedEvent::Overflow,
                Heard::Listed(entry) => OwnedEvent::Listed(entry),
                Heard::InStep => OwnedEvent::InStep,
            })
        });
        (follower, event)
    })
}

impl<M, C> Stream for Events<M, C>
where
    M: AsyncTransport + Send + 'static,
    C: AsyncTransport + Send + 'static,
{
    type Item = Result<OwnedEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (follower, event) = ready!(self.waiting.as_mut().poll(context));
        self.waiting = wait(follower);
        Poll::Ready(Some(event))
    }
}

impl<M: AsyncTransport, C: AsyncTransport> fmt::Debug for Events<M, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
