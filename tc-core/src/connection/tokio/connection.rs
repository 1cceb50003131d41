//! A connection whose methods are asynchronous.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tokio::time::{Instant, Sleep, sleep};

use super::{AsyncTransport, Dump, RequestGroup, Socket};
use crate::connection::apply::apply_parts;
use crate::connection::netns::Namespace;
use crate::connection::talk::{self, Talk};
use crate::connection::{Ensured, dump, ensure};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::request::Request;
use crate::exchange::sans_io::Step;
use crate::wire::ack::ExtAck;
use crate::wire::message::Entry;
use crate::wire::verb::Verb;

/// How many datagrams one task receives before it gives others their turn.
const TURN: u64 = 32;

/// A conversation with the kernel about traffic control: [`tc_core::Connection`](crate::Connection) with asynchronous
/// methods. See the [module](super) for the effect of a dropped future.
///
/// A request that succeeds allocates nothing and costs the same two system calls; the reactor is asked only where the
/// answer is not there yet.
#[derive(Debug)]
pub struct Connection<T: AsyncTransport = Socket> {
    inner: crate::Connection<T>,
    limit: Limit,
    /// The number of datagrams when others had their turn.
    turn: u64,
}

/// The time limit of a receive.
#[derive(Debug, Default)]
struct Limit {
    /// Made at the first wait.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether it counts, and the number of datagrams at its start.
    since: Option<u64>,
}

impl Limit {
    /// Whether the time since the last datagram is over.
    fn poll(&mut self, context: &mut Context<'_>, datagrams: u64, timeout: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if self.since.replace(datagrams) != Some(datagrams) {
            let far = Duration::from_secs(u32::MAX.into());
            sleep.as_mut().reset(Instant::now() + timeout.min(far));
        }
        sleep.as_mut().poll(context)
    }
}

impl Connection {
    /// Opens a connection in the network namespace of the calling thread, in which it stays. To look needs no
    /// privilege; to change anything, `CAP_NET_ADMIN` there.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O; its methods, in one without time.
    pub fn open() -> Result<Self, Error> {
        let socket =
            Socket::open().map_err(|error| Error::new("open", "netlink socket", Cause::System(error)))?;
        Ok(Self::over(socket))
    }

    /// Opens a connection in a network namespace, whichever the calling thread is in.
    ///
    /// # Panics
    ///
    /// As [`Connection::open`].
    pub fn open_in(netns: &Namespace) -> Result<Self, Error> {
        Socket::open_in(netns).map(Self::over)
    }
}

impl<T: AsyncTransport> Talk for Connection<T> {
    type Transport = T;

    fn connection(&mut self) -> &mut crate::Connection<T> {
        &mut self.inner
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, Box<Cause>>> {
        let Self { inner, limit, turn } = self;
        if inner.datagrams - *turn >= TURN {
            *turn = inner.datagrams;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let timeout = inner.timeout;
        let step = inner.poll_step(|transport, datagrams| match transport.poll_readable(context) {
            Poll::Pending => {
                limit.poll(context, datagrams, timeout).map(|()| Err(io::ErrorKind::WouldBlock.into()))
            }
            ready => ready,
        });
        match step {
            Poll::Ready(_) => limit.since = None,
            Poll::Pending => *turn = inner.datagrams,
        }
        step
    }
}

impl<T: AsyncTransport> Connection<T> {
    /// A connection over any transport that does not wait: one of the embedded kernel, or of a test.
    pub fn over(transport: T) -> Self {
        Self { inner: crate::Connection::over(transport), limit: Limit::default(), turn: 0 }
    }

    /// How long an answer may take (30 s unless set) before the outcome is reported as unknown.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.inner.timeout = timeout;
    }

    /// The transport below.
    pub const fn transport(&self) -> &T {
        self.inner.transport()
    }

    /// The transport below, to change it.
    pub const fn transport_mut(&mut self) -> &mut T {
        self.inner.transport_mut()
    }

    /// Makes a new object; see [`Connection::add`](crate::Connection::add).
    ///
    /// Cancel safety: a *change*.
    pub async fn add<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Add, request).await.map(|_| ())
    }

    /// Changes an existing object; see [`Connection::change`](crate::Connection::change).
    ///
    /// Cancel safety: a *change*.
    pub async fn change<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Change, request).await.map(|_| ())
    }

    /// Changes an object, or replaces it with a new one; see [`Connection::replace`](crate::Connection::replace).
    ///
    /// Cancel safety: a *change*.
    pub async fn replace<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Replace, request).await.map(|_| ())
    }

    /// Attaches a qdisc to another parent; see [`Connection::link`](crate::Connection::link).
    ///
    /// Cancel safety: a *change*.
    pub async fn link<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Link, request).await.map(|_| ())
    }

    /// Deletes an object and all its descendants; see [`Connection::delete`](crate::Connection::delete).
    ///
    /// Cancel safety: a *change*.
    pub async fn delete<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Delete, request).await.map(|_| ())
    }

    /// Deletes an object; false if it is not there.
    ///
    /// Cancel safety: a *change*.
    pub async fn delete_if_exists<O>(&mut self, request: &Request<'_, O>) -> Result<bool, Error> {
        match self.delete(request).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Carries a request out, and returns the kernel's warning, if any; see
    /// [`Connection::apply`](crate::Connection::apply).
    ///
    /// Cancel safety: a *change*. For kinds that take several messages, a part of them can have been carried out.
    pub async fn apply<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<Option<ExtAck>, Error> {
        apply_parts(self, verb, &request.parts).await
    }

    /// Sends one message and waits for the kernel's verdict; see
    /// [`Connection::apply_as_it_is`](crate::Connection::apply_as_it_is).
    ///
    /// Cancel safety: a *change*.
    pub async fn apply_as_it_is<O>(
        &mut self,
        verb: Verb,
        request: &Request<'_, O>,
    ) -> Result<Option<ExtAck>, Error> {
        talk::apply_one(self, verb, &request.parts).await
    }

    /// Makes an object as requested, and does nothing if it is so already; see
    /// [`Connection::ensure`](crate::Connection::ensure).
    ///
    /// Cancel safety: a *change*, which is sent after the object was looked up.
    pub async fn ensure<O>(&mut self, request: &Request<'_, O>) -> Result<Ensured, Error> {
        ensure::ensure_parts(self, &request.parts).await
    }

    /// Asks for one object; see [`Connection::get`](crate::Connection::get).
    ///
    /// Cancel safety: a *question*.
    pub async fn get<O>(&mut self, request: &Request<'_, O>) -> Result<Entry<'_>, Error> {
        talk::get(self, &request.parts).await
    }

    /// Asks for one object; `None` if it is not there.
    ///
    /// Cancel safety: a *question*.
    pub async fn get_if_exists<O>(&mut self, request: &Request<'_, O>) -> Result<Option<OwnedEntry>, Error> {
        talk::get_if_exists(self, &request.parts).await
    }

    /// Lists objects as the kernel sends them; see [`Connection::dump`](crate::Connection::dump). The request is sent
    /// at once.
    pub fn dump(&mut self, select: &DumpRequest) -> Result<Dump<'_, T>, Error> {
        let begun = dump::begin(self, select);
        begun.map_err(|cause| Error::new("list", dump::plural(select), cause))?;
        Ok(Dump::new(self, *select))
    }

    /// Lists objects into memory; see [`Connection::list`](crate::Connection::list).
    ///
    /// Cancel safety: a *question*.
    pub async fn list(&mut self, select: &DumpRequest) -> Result<Vec<OwnedEntry>, Error> {
        dump::list(self, select).await
    }

    /// Starts a group of requests that are sent in one datagram; see [`Connection::group`](crate::Connection::group).
    pub fn group(&mut self) -> RequestGroup<'_, T> {
        RequestGroup::new(self)
    }
}
