//! Sockets of the embedded kernel.

use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::kernel::Kernel;
use super::state::State;
use crate::connection::{Received, Transport};
use crate::wire::device::{DeviceName, DeviceNames};
use crate::wire::queues::QueueEvents;
use crate::wire::uapi::IFNAMSIZ;

/// A socket of an embedded kernel: a [`Transport`].
///
/// A request is carried out within the send. A receive from an empty queue
/// returns `WouldBlock` at once, unless [`Socket::set_timeout`] gave other
/// threads time to act.
#[derive(Debug)]
pub struct Socket {
    kernel: Kernel,
    port: u32,
    timeout: Duration,
}

impl Socket {
    pub(super) const fn new(kernel: Kernel, port: u32) -> Self {
        Self { kernel, port, timeout: Duration::ZERO }
    }

    /// How long a receive waits for something to come (not at all unless set).
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Joins a multicast group: `RTNLGRP_TC` or `RTNLGRP_LINK`.
    pub fn join(&self, group: u32) {
        self.with(|mailbox| {
            mailbox.groups.insert(group);
        });
    }

    /// Leaves a multicast group.
    pub fn leave(&self, group: u32) {
        self.with(|mailbox| {
            mailbox.groups.remove(&group);
        });
    }

    /// Sets the size of the receive buffer in bytes (default 212,992). A datagram
    /// takes 768 bytes more than its length. One that does not fit is lost, and
    /// the next receive fails with `ENOBUFS`.
    pub fn set_receive_buffer(&self, bytes: usize) {
        self.with(|mailbox| mailbox.set_room(bytes));
    }

    /// `NETLINK_EXT_ACK`: whether errors carry a sentence (they do at first).
    pub fn set_extended_acks(&self, on: bool) {
        self.with(|mailbox| mailbox.extended_acks = on);
    }

    /// `NETLINK_CAP_ACK`: whether errors carry the request's header alone, and
    /// not all of it (as with [`Socket::open`](crate::Socket::open), at first).
    pub fn set_capped_acks(&self, on: bool) {
        self.with(|mailbox| mailbox.caps_acks = on);
    }

    fn with(&self, work: impl FnOnce(&mut super::mailbox::Mailbox)) {
        if let Some(mailbox) = self.kernel.lock().sockets.get_mut(&self.port) {
            work(mailbox);
        }
    }

    fn take(&self, state: &mut State, buffer: &mut [u8]) -> Option<io::Result<Received>> {
        let taken = state.sockets.get_mut(&self.port)?.take(buffer)?;
        // Kernel: the next piece of a dump is made when one has been read.
        state.continue_dump(self.port);
        Some(taken)
    }
}

impl Transport for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.kernel.lock().receive(self.port, datagram);
        self.kernel.news().notify_all();
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let end = Instant::now() + self.timeout;
        let mut state = self.kernel.lock();
        loop {
            if let Some(taken) = self.take(&mut state, buffer) {
                return taken;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let waited = self.kernel.news().wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [Received],
        wait: bool,
    ) -> io::Result<usize> {
        if received.is_empty() {
            return Ok(0);
        }
        let share = buffer.len() / received.len();
        let mut count = 0;
        for (place, one) in buffer.chunks_exact_mut(share.max(1)).zip(received) {
            let came = match count {
                0 if wait => Some(self.receive(place)),
                _ => self.take(&mut self.kernel.lock(), place),
            };
            match came {
                Some(Ok(came)) => *one = came,
                Some(Err(error)) if count == 0 => return Err(error),
                Some(Err(_)) => {
                    // For the next call, as sock->sk_err is.
                    self.with(super::mailbox::Mailbox::overrun);
                    break;
                }
                None if count == 0 => return Err(io::ErrorKind::WouldBlock.into()),
                None => break,
            }
            count += 1;
        }
        Ok(count)
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<usize> {
        let mut room = 0;
        self.with(|mailbox| room = mailbox.make_room(bytes));
        Ok(room)
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Ok(Box::new(Names(self.kernel.clone())))
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        let at = self.kernel.lock().lost_queues.len();
        Ok(Box::new(Events { kernel: self.kernel.clone(), at }))
    }
}

/// The socket must have no time limit: see [`Socket::set_timeout`].
#[cfg(feature = "tokio")]
impl crate::tokio::AsyncTransport for Socket {
    fn poll_readable(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        match self.kernel.lock().sockets.get_mut(&self.port) {
            Some(mailbox) => mailbox.poll_readable(context).map(Ok),
            None => std::task::Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// The queue events from the `at`th on.
#[derive(Debug)]
struct Events {
    kernel: Kernel,
    at: usize,
}

impl QueueEvents for Events {
    fn next_removal(&mut self) -> io::Result<Option<DeviceName>> {
        let next = self.kernel.lock().lost_queues.get(self.at).copied();
        self.at += usize::from(next.is_some());
        Ok(next)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.kernel.lock().sockets.remove(&self.port);
    }
}

#[derive(Debug)]
struct Names(Kernel);

impl DeviceNames for Names {
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName> {
        let state = self.0.lock();
        let gone = |_| io::Error::from_raw_os_error(libc::ENODEV);
        let device = &state.devices[state.position(ifindex).map_err(gone)?];
        let mut bytes = [0; IFNAMSIZ];
        let name = device.name.as_bytes();
        let length = name.len().min(IFNAMSIZ - 1);
        bytes[..length].copy_from_slice(&name[..length]);
        Ok(DeviceName::new(bytes))
    }
}
