//! The way to a kernel: a socket, or a kernel in memory.

use std::io;
use std::time::Duration;

pub use crate::exchange::inbox::Received;
use crate::wire::device::DeviceNames;
use crate::wire::queues::QueueEvents;

/// How long an answer may take before its outcome is reported as unknown.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Carries netlink datagrams to a kernel and back.
///
/// [`Socket`](crate::Socket) is the real one; the embedded kernel implements it
/// in memory, and a test can stand between. A call is one system call at most;
/// a caller repeats a call that a signal stopped (`Interrupted`).
///
/// Lists rely on two properties of netlink: datagrams arrive in the order of their
/// sending, and a receive reports a loss (`ENOBUFS`) before it delivers a later
/// datagram. A request with its own answer relies on neither: a missing answer is
/// an unknown outcome.
pub trait Transport {
    /// Sends one datagram (which may hold several messages) to the kernel. After
    /// an error nothing was sent.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Waits for one datagram and copies it into `buffer`.
    ///
    /// `WouldBlock` means that nothing came in time; the raw error `ENOBUFS`
    /// means that the kernel dropped something.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received>;

    /// Receives as many datagrams as there are slots in `received`, each into
    /// its equal share of `buffer`, and returns how many came. It waits for the
    /// first, if `wait` is set, and never for another.
    ///
    /// The default implementation receives one, and none if it may not wait.
    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [Received],
        wait: bool,
    ) -> io::Result<usize> {
        let slots = received.len();
        match received.first_mut().filter(|_| wait) {
            None => Ok(0),
            Some(first) => {
                let share = buffer.len() / slots;
                *first = self.receive(&mut buffer[..share])?;
                Ok(1)
            }
        }
    }

    /// Makes room for `bytes` of answers that wait to be received, as far as the
    /// system allows it, and returns how much there is.
    ///
    /// The default implementation reports no limit.
    fn make_room(&mut self, bytes: usize) -> io::Result<usize> {
        let _ = bytes;
        Ok(usize::MAX)
    }

    /// Sets the time limit of a receive; `None` has no limit.
    ///
    /// The default implementation does nothing.
    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// The port number that the kernel addresses its answers to.
    fn port(&self) -> u32;

    /// The names of devices, on demand.
    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>>;

    /// Announces the transmit queues that devices lose from now on, in the
    /// network namespace of the calling thread.
    ///
    /// The default implementation fails with the kind `Unsupported`.
    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

macro_rules! forward_to_what_it_points_at {
    ($($pointer:ty),*) => {$(
        impl<T: Transport + ?Sized> Transport for $pointer {
            fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
                (**self).send(datagram)
            }

            fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
                (**self).receive(buffer)
            }

            fn receive_many(
                &mut self,
                buffer: &mut [u8],
                received: &mut [Received],
                wait: bool,
            ) -> io::Result<usize> {
                (**self).receive_many(buffer, received, wait)
            }

            fn make_room(&mut self, bytes: usize) -> io::Result<usize> {
                (**self).make_room(bytes)
            }

            fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
                (**self).set_timeout(timeout)
            }

            fn port(&self) -> u32 {
                (**self).port()
            }

            fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
                (**self).device_names()
            }

            fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
                (**self).queue_events()
            }
        }
    )*};
}

forward_to_what_it_points_at!(&mut T, Box<T>);
