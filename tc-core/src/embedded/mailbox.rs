//! The kernel's end of a socket.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use bytes::BytesMut;

use super::dump::Dump;
use crate::connection::Received;

/// `net.core.rmem_default`.
const DEFAULT_ROOM: usize = 212_992;
/// The overhead of a datagram in receive-buffer accounting (`skb->truesize`).
const OVERHEAD: usize = 768;
/// `NLMSG_GOODSIZE`, with 4 KiB pages: the size of a dump's datagram.
const SMALL_PIECE: usize = 3776;
/// The largest datagram, for a receiver that has offered as much room before.
const LARGEST_PIECE: usize = 32 * 1024 - 320;

#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) groups: BTreeSet<u32>,
    /// `NETLINK_EXT_ACK`.
    pub(super) extended_acks: bool,
    /// `NETLINK_CAP_ACK`.
    pub(super) caps_acks: bool,
    pub(super) dump: Option<Dump>,
    queue: VecDeque<BytesMut>,
    held: usize,
    room: usize,
    overrun: bool,
    /// `NETLINK_S_CONGESTED`: after a loss nothing more is taken in until all
    /// was read.
    congested: bool,
    largest_receive: usize,
    /// Woken when something comes.
    #[cfg(feature = "tokio")]
    waker: Option<std::task::Waker>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self {
            groups: BTreeSet::new(),
            extended_acks: true,
            caps_acks: true,
            dump: None,
            queue: VecDeque::new(),
            held: 0,
            room: DEFAULT_ROOM,
            overrun: false,
            congested: false,
            largest_receive: 0,
            #[cfg(feature = "tokio")]
            waker: None,
        }
    }

    /// Room for at least this much; returns how much there is.
    pub(super) fn make_room(&mut self, bytes: usize) -> usize {
        if self.room < bytes {
            self.set_room(bytes);
        }
        self.room
    }

    pub(super) fn set_room(&mut self, bytes: usize) {
        self.room = bytes;
    }

    /// Queues a datagram. If there is no room it is lost, and the next receive
    /// fails.
    pub(super) fn put(&mut self, datagram: BytesMut) {
        let size = datagram.len() + OVERHEAD;
        if self.congested || !self.queue.is_empty() && self.held + size > self.room {
            self.overrun |= !self.congested;
            self.congested = true;
            self.wake();
            return;
        }
        self.held += size;
        self.queue.push_back(datagram);
        self.wake();
    }

    /// Wakes who waits for something to come.
    fn wake(&mut self) {
        #[cfg(feature = "tokio")]
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether there is something to receive.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_readable(&mut self, context: &std::task::Context<'_>) -> std::task::Poll<()> {
        if self.overrun || !self.queue.is_empty() {
            return std::task::Poll::Ready(());
        }
        self.waker = Some(context.waker().clone());
        std::task::Poll::Pending
    }

    /// Makes the next receive report a loss.
    pub(super) const fn overrun(&mut self) {
        self.overrun = true;
    }

    /// Removes the next datagram; `None` if the queue is empty.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Option<io::Result<Received>> {
        if std::mem::take(&mut self.overrun) {
            return Some(Err(io::Error::from_raw_os_error(libc::ENOBUFS)));
        }
        self.largest_receive = self.largest_receive.max(buffer.len());
        let taken = self.queue.pop_front();
        self.congested &= !self.queue.is_empty();
        let datagram = taken?;
        self.held = self.held.saturating_sub(datagram.len() + OVERHEAD);
        let fits = datagram.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&datagram[..fits]);
        Some(Ok(Received { length: datagram.len(), sender: 0 }))
    }

    pub(super) fn dump_room(&self) -> usize {
        self.largest_receive.clamp(SMALL_PIECE, LARGEST_PIECE)
    }
}
