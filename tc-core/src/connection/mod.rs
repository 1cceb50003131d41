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
#[cfg(test)]
pub(crate) mod scripted;
mod socket;
mod transport;
pub(crate) mod watch;

use std::time::Duration;

use bytes::BytesMut;

use crate::connection::echo::Echo;
use crate::connection::netns::Namespace;
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::reply::{MessageRange, Reply};
use crate::exchange::request::Request;
use crate::wire::ack::ExtAck;
use crate::wire::error::{DecodeError, EncodeError};
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
    sequence: u32,
    timeout: Duration,
    request: BytesMut,
    pub(crate) answer: Box<[u8]>,
    pub(crate) echo: Echo,
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
            sequence: 0,
            timeout: DEFAULT_TIMEOUT,
            request: BytesMut::with_capacity(4096),
            answer: vec![0; ROOM].into_boxed_slice(),
            echo: Echo::default(),
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
        self.apply_one(verb, &request.parts)
    }

    pub(crate) fn apply_one(&mut self, verb: Verb, request: &Parts<'_>) -> Result<Option<ExtAck>, Error> {
        let fail = |cause: Cause| Error::new(verb.name(), request.describe(), cause);
        self.transact(|sequence, buffer| request.encode(verb, sequence, buffer)).map_err(fail)
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
        self.get_one(&request.parts)
    }

    pub(crate) fn get_one(&mut self, request: &Parts<'_>) -> Result<Entry<'_>, Error> {
        let fail = |cause: Cause| Error::new(Verb::Get.name(), request.describe(), cause);
        self.send(|sequence, buffer| request.encode(Verb::Get, sequence, buffer)).map_err(fail)?;
        let waited = self.wait_for_object();
        let place = self.clean(waited).map_err(fail)?;
        let message = place.message(&self.answer);
        Entry::decode(&message).map_err(|error| fail(error.into()))
    }

    /// Sends the message that `encode` writes, and waits for its acknowledgement.
    pub(crate) fn transact(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Option<ExtAck>, Cause> {
        if self.echo.is_on() {
            return self.transact_with_echo(encode);
        }
        self.send(encode)?;
        let verdict = loop {
            match self.wait() {
                Ok(Reply::Verdict(verdict)) => break verdict.map_err(Cause::from),
                // It may be shown before it fails: the verdict alone counts.
                Ok(Reply::Object(_)) => {}
                Err(cause) => break Err(cause),
            }
        };
        self.clean(verdict)
    }

    /// Sends the message that `encode` writes, and waits for the object in reply.
    pub(crate) fn ask(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<MessageRange, Cause> {
        self.send(encode)?;
        let waited = self.wait();
        match self.clean(waited)? {
            Reply::Object(place) => Ok(place),
            Reply::Verdict(Err(error)) => Err(error.into()),
            Reply::Verdict(Ok(_)) => Err(DecodeError::Missing { what: "object in the answer" }.into()),
        }
    }

    /// The outcome, with nothing left in the way of the next one if an answer
    /// was lost.
    pub(crate) fn clean<R>(&mut self, outcome: Result<R, Cause>) -> Result<R, Cause> {
        if matches!(outcome, Err(Cause::AnswerLost(_))) {
            self.forget_answers();
        }
        outcome
    }

    #[cfg(test)]
    pub(crate) const fn set_sequence(&mut self, sequence: u32) {
        self.sequence = sequence;
    }
}

#[cfg(test)]
mod tests;
