//! Transports that never wait, and say when to try again.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::tokio::io::unix::AsyncFd;

use crate::connection::netns::Namespace;
use crate::connection::socket::in_reactor;
use crate::connection::{Received, Transport};
use crate::wire::device::DeviceNames;
use crate::wire::queues::QueueEvents;

/// A [`Transport`] whose receives never wait.
///
/// [`Socket`] is the real one; a socket of the embedded kernel is one too, and so are
/// [`Faults`](crate::embedded::Faults) over either.
pub trait AsyncTransport: Transport {
    /// Polls whether to try again after a receive that failed with `WouldBlock`.
    ///
    /// `Pending` means that the task is woken when something comes. `Ready` can come too early: the receive is then
    /// repeated, and this is polled again. The error `WouldBlock` means that nothing comes in time.
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<T: AsyncTransport + ?Sized> AsyncTransport for &mut T {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_readable(context)
    }
}

impl<T: AsyncTransport + ?Sized> AsyncTransport for Box<T> {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_readable(context)
    }
}

/// A route-netlink [socket](crate::Socket) in tokio's reactor.
#[derive(Debug)]
pub struct Socket {
    socket: AsyncFd<crate::Socket>,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O, as everything of tokio's that waits for a descriptor.
    pub fn open() -> io::Result<Self> {
        Self::over(crate::Socket::open()?)
    }

    /// Opens it in a network namespace, whichever the calling thread is in.
    ///
    /// # Panics
    ///
    /// As [`Socket::open`].
    pub fn open_in(netns: &Namespace) -> Result<Self, crate::Error> {
        let opened = netns.within(crate::Socket::open)?.and_then(Self::over);
        opened.map_err(|error| crate::Error::new("open", "netlink socket", crate::Cause::System(error)))
    }

    /// A socket that was opened and set up before.
    ///
    /// # Panics
    ///
    /// As [`Socket::open`].
    pub fn over(socket: crate::Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: in_reactor(socket)? })
    }

    /// Makes room for `bytes` of answers and notices; see
    /// [`Socket::set_receive_buffer`](crate::Socket::set_receive_buffer).
    pub fn set_receive_buffer(&mut self, bytes: u32) -> io::Result<()> {
        self.socket.get_mut().set_receive_buffer(bytes)
    }
}

impl AsyncTransport for Socket {
    fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A receive has just found nothing, so that this readiness is an old one, or something came since. The next
        // receive decides.
        ready!(self.socket.poll_read_ready(context))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}

impl Transport for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.get_mut().send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.get_mut().receive(buffer)
    }

    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [Received],
        wait: bool,
    ) -> io::Result<usize> {
        self.socket.get_mut().receive_many(buffer, received, wait)
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<usize> {
        self.socket.get_mut().make_room(bytes)
    }

    /// Does nothing: a receive does not wait.
    fn set_timeout(&mut self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn port(&self) -> u32 {
        self.socket.get_ref().port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.socket.get_ref().device_names()
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        self.socket.get_ref().queue_events()
    }
}
