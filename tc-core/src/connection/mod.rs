//! Requests and their answers: one by one, and dumps.

mod apply;
mod dump;
mod echo;
pub(crate) mod ensure;
mod exchange;
mod group;
pub mod ipset;
pub mod monitor;
pub mod netns;
mod pipeline;
#[cfg(feature = "netlink-packet-route")]
mod route;
#[cfg(test)]
pub(crate) mod scripted;
mod socket;
pub(crate) mod talk;
#[cfg(feature = "tokio")]
pub mod tokio;
mod transport;
pub(crate) mod watch;

use std::time::Duration;

use bytes::BytesMut;

use crate::connection::echo::Echo;
use crate::connection::exchange::ForeignDatagramGuard;
use crate::connection::netns::Namespace;
use crate::exchange::error::{Cause, Error};
use crate::exchange::request::Request;
use crate::exchange::sans_io::Exchange;
use crate::wire::ack::ExtAck;
use crate::wire::error::EncodeError;
use crate::wire::message::Entry;
use crate::wire::verb::Verb;

pub use dump::{Dump, DumpEntry};
pub use ensure::Ensured;
pub use group::{Done, RequestGroup};
pub use pipeline::Pipeline;
pub use socket::Socket;
pub use transport::{DEFAULT_TIMEOUT, Received, Transport};

/// Room for one datagram. The kernel builds dumps in pieces of up to 32 KiB,
/// but only for a receiver that has shown that much room before.
///
/// Of this size, allocators take it from the kernel as it is, and memory that
/// is never written costs nothing: zeroing 64 KiB was a tenth of a millisecond
/// in a short-lived program.
const ROOM: usize = 256 * 1024;

/// A conversation with the kernel about traffic control.
///
/// Both buffers are made once and used again: a request that succeeds allocates
/// nothing and costs one send and one receive.
///
/// A call waits for the kernel's rtnl lock, which all changes of links, addresses, routes and traffic control
/// share: tens of milliseconds while links are made or destroyed in any network namespace. See
/// [`Connection::set_timeout`].
///
/// ```no_run
/// use tc_core::{Connection, Handle, Request};
///
/// let mut tc = Connection::open()?;
/// let lo = tc.ifindex("lo")?;
/// tc.add(&Request::qdisc(lo).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo"))?;
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection<T: Transport = Socket> {
    pub(crate) transport: T,
    pub(crate) exchange: Exchange,
    timeout: Duration,
    pub(crate) answer: Box<[u8]>,
    pub(crate) echo: Echo,
    stray: ForeignDatagramGuard,
    /// How often something was received.
    datagrams: u64,
}

impl Connection {
    /// Opens a connection in the network namespace of the calling thread. To
    /// look needs no privilege; to change anything, `CAP_NET_ADMIN` there.
    pub fn open() -> Result<Self, Error> {
        let socket =
            Socket::open().map_err(|error| Error::new("open", "netlink socket", Cause::System(error)))?;
        Ok(Self::over(socket))
    }

    /// Opens a connection in a network namespace, whichever the calling thread
    /// is in. It stays there.
    pub fn open_in(netns: &Namespace) -> Result<Self, Error> {
        netns.within(Self::open)?
    }
}

impl<T: Transport> Connection<T> {
    /// A connection over any transport: the embedded kernel, or one of a test.
    pub fn over(transport: T) -> Self {
        Self {
            transport,
            exchange: Exchange::new(),
            timeout: DEFAULT_TIMEOUT,
            answer: vec![0; ROOM].into_boxed_slice(),
            echo: Echo::default(),
            stray: ForeignDatagramGuard::default(),
            datagrams: 0,
        }
    }

    /// How long an answer may take (30 s unless set) before the outcome is
    /// reported as unknown. Zero is rounded up to the smallest timeout.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.timeout = timeout;
        let set = self.transport.set_timeout(Some(timeout));
        set.map_err(|error| Error::new("set", "receive timeout", Cause::System(error)))
    }

    /// The transport below.
    pub const fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport below, to change it.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Makes a new object; [`Error::is_exists`] if it is there.
    ///
    /// Kernel: a qdisc without a handle takes the place of one of another kind;
    /// with a handle it does not.
    pub fn add<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Add, request).map(|_| ())
    }

    /// Changes an existing object. Unspecified options stay as they are, unless the
    /// kind documents otherwise.
    ///
    /// Give its handle: see [`Request::handle`]. [`Error::is_not_found`] if it does
    /// not exist, [`Error::is_exists`] if there is one with another handle;
    /// [`Error::is_invalid`] or [`Error::is_unsupported`] if the kind cannot be
    /// changed.
    pub fn change<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Change, request).map(|_| ())
    }

    /// Changes an object, or replaces it with a new one.
    ///
    /// Kernel: a qdisc of the same kind, and of the same handle if one is given, is
    /// changed. One of the same handle and another kind is an error
    /// ([`Error::is_invalid`]). Any other is deleted with all its descendants.
    pub fn replace<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Replace, request).map(|_| ())
    }

    /// Attaches a qdisc that is there, named by its handle, to another parent.
    ///
    /// Kernel: 6.18, and 6.1 with its later fixes, refuse it
    /// ([`Error::is_invalid`]).
    pub fn link<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Link, request).map(|_| ())
    }

    /// Deletes an object and all its descendants. Queued packets are lost.
    /// [`Error::is_not_found`] if it does not exist. A device without its root qdisc
    /// gets the default one.
    pub fn delete<O>(&mut self, request: &Request<'_, O>) -> Result<(), Error> {
        self.apply(Verb::Delete, request).map(|_| ())
    }

    /// Sends one message and waits for the kernel's verdict: two system calls.
    /// Returns the kernel's warning, if any.
    ///
    /// Most callers want [`Connection::apply`], which does more for kinds that
    /// need it.
    pub fn apply_as_it_is<O>(
        &mut self,
        verb: Verb,
        request: &Request<'_, O>,
    ) -> Result<Option<ExtAck>, Error> {
        talk::now(talk::apply_one(self, verb, &request.parts))
    }

    /// Asks for one object, by its handle or parent: one send and two receives.
    ///
    /// [`Error::is_not_found`] if it is not there, and also of a built-in default
    /// such as noqueue, which the kernel does not show.
    ///
    /// ```
    /// use tc_core::embedded::{Device, Kernel};
    /// use tc_core::{Connection, Handle, Request};
    ///
    /// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).build();
    /// let mut tc = Connection::over(kernel.connect());
    /// let missing = tc.get(&Request::qdisc(2).handle(Handle::qdisc(1))).unwrap_err();
    /// assert!(missing.is_not_found());
    /// ```
    pub fn get<O>(&mut self, request: &Request<'_, O>) -> Result<Entry<'_>, Error> {
        talk::now(talk::get(self, &request.parts))
    }

    /// Sends the message that `encode` writes, and waits for its acknowledgement.
    pub(crate) fn transact(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Option<ExtAck>, Cause> {
        talk::now(talk::transact(self, encode))
    }

    #[cfg(test)]
    pub(crate) const fn set_sequence(&mut self, sequence: u32) {
        self.exchange.set_sequence(sequence);
    }
}

#[cfg(test)]
mod tests;
