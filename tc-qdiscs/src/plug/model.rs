//! The reference state machine of plug: the behaviour of `net/sched/sch_plug.c`,
//! including its traps.
//!
//! Pure: no clock, no device. The embedded kernel's plug is made of it, and the
//! real one is tested against it.

use std::collections::VecDeque;

use tc_core::{DecodeError, Reader};

/// A plug and the packets that it holds.
///
/// ```
/// use tc_qdiscs::plug::Model;
///
/// let mut plug = Model::with_limit(1000);
/// plug.enqueue("a0", 100);
/// plug.buffer(); // the first epoch ends
/// plug.enqueue("b0", 100);
/// assert_eq!(plug.dequeue(), None);
/// plug.release_one();
/// assert_eq!((plug.dequeue(), plug.dequeue()), (Some("a0"), None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<P> {
    packets: VecDeque<(P, u32)>,
    backlog_bytes: u32,
    limit_bytes: u32,
    drops: u32,
    passes: bool,
    throttled: bool,
    current_epoch: u32,
    last_epoch: u32,
    to_release: u32,
}

/// The follow-up that a change asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wakeup {
    /// Nothing.
    Stays,
    /// The device dequeues (`netif_schedule_queue`).
    Runs,
}

impl<P> Model<P> {
    /// A new plug, which holds. `options` is the payload of `TCA_OPTIONS`; its
    /// action is ignored. Without options the limit is `tx_queue_len` packets of
    /// `frame_bytes` (MTU and link header).
    pub fn init(options: Option<&[u8]>, tx_queue_len: u32, frame_bytes: u32) -> Result<Self, DecodeError> {
        // Kernel: the product is one of unsigned ints, and wraps.
        let default = tx_queue_len.wrapping_mul(frame_bytes);
        Ok(Self::with_limit(match options {
            Some(options) => decode(options)?.1,
            None => default,
        }))
    }

    /// A new plug with a limit in bytes, which holds.
    pub const fn with_limit(bytes: u32) -> Self {
        Self {
            packets: VecDeque::new(),
            backlog_bytes: 0,
            limit_bytes: bytes,
            drops: 0,
            passes: false,
            throttled: true,
            current_epoch: 0,
            last_epoch: 0,
            to_release: 0,
        }
    }

    /// A change with these options. Kernel: the limit counts only if the action
    /// is `TCQ_PLUG_LIMIT`; an action that is not known is refused.
    pub fn change(&mut self, options: &[u8]) -> Result<Wakeup, DecodeError> {
        match decode(options)? {
            (0, _) => self.buffer(),
            (1, _) => {
                self.release_one();
                return Ok(Wakeup::Runs);
            }
            (2, _) => {
                self.release_indefinite();
                return Ok(Wakeup::Runs);
            }
            (3, limit) => self.set_limit(limit),
            _ => return Err(DecodeError::Malformed { what: "plug action" }),
        }
        Ok(Wakeup::Stays)
    }

    /// `TCQ_PLUG_BUFFER`: ends the epoch.
    ///
    /// Kernel: the size of the previous epoch is overwritten, not added to. Pending
    /// releases stay.
    pub const fn buffer(&mut self) {
        self.last_epoch = self.current_epoch;
        self.current_epoch = 0;
        if self.passes {
            self.throttled = true;
        }
        self.passes = false;
    }

    /// `TCQ_PLUG_RELEASE_ONE`: lets as many packets go as the epoch had that
    /// ended last.
    pub const fn release_one(&mut self) {
        self.to_release = self.to_release.wrapping_add(self.last_epoch);
        self.last_epoch = 0;
        self.throttled = false;
    }

    /// `TCQ_PLUG_RELEASE_INDEFINITE`: lets everything go until the next
    /// [`Model::buffer`].
    pub const fn release_indefinite(&mut self) {
        self.passes = true;
        self.to_release = 0;
        self.last_epoch = 0;
        self.current_epoch = 0;
        self.throttled = false;
    }

    /// `TCQ_PLUG_LIMIT`. Held packets stay.
    pub const fn set_limit(&mut self, bytes: u32) {
        self.limit_bytes = bytes;
    }

    /// Enqueues a packet of `bytes` bytes; `false` if it is dropped.
    pub fn enqueue(&mut self, packet: P, bytes: u32) -> bool {
        self.enqueue_counted(packet, bytes, bytes)
    }

    /// Enqueues a packet whose accounted length comes from a size table. Kernel: the
    /// packet's own length decides whether it fits; the accounted length adds to the
    /// backlog.
    pub fn enqueue_counted(&mut self, packet: P, bytes: u32, counted_bytes: u32) -> bool {
        if u64::from(self.backlog_bytes) + u64::from(bytes) > u64::from(self.limit_bytes) {
            self.drops = self.drops.wrapping_add(1);
            return false;
        }
        if !self.passes {
            self.current_epoch = self.current_epoch.wrapping_add(1);
        }
        self.backlog_bytes = self.backlog_bytes.wrapping_add(counted_bytes);
        self.packets.push_back((packet, counted_bytes));
        true
    }

    /// The next packet to send, if one may go.
    ///
    /// Kernel: a release is used up even if no packet is there for it.
    pub fn dequeue(&mut self) -> Option<P> {
        if self.throttled {
            return None;
        }
        if !self.passes {
            if self.to_release == 0 {
                self.throttled = true;
                return None;
            }
            self.to_release -= 1;
        }
        let (packet, counted_bytes) = self.packets.pop_front()?;
        self.backlog_bytes = self.backlog_bytes.wrapping_sub(counted_bytes);
        Some(packet)
    }

    /// Purges the queue, as the kernel does when the device goes down, loses its
    /// carrier or gets another `txqueuelen`.
    ///
    /// Kernel: that is no drop, and the epochs keep the counts of packets that
    /// are not there any more.
    pub fn reset(&mut self) {
        self.packets.clear();
        self.backlog_bytes = 0;
    }

    /// How many packets it holds.
    pub fn qlen(&self) -> u32 {
        u32::try_from(self.packets.len()).unwrap_or(u32::MAX)
    }

    /// How many bytes it holds.
    pub const fn backlog_bytes(&self) -> u32 {
        self.backlog_bytes
    }

    /// How many packets were above the limit.
    pub const fn drops(&self) -> u32 {
        self.drops
    }

    /// The most bytes it may hold.
    pub const fn limit_bytes(&self) -> u32 {
        self.limit_bytes
    }

    /// Whether everything passes ([`Model::release_indefinite`]).
    pub const fn passes(&self) -> bool {
        self.passes
    }

    /// The held packets, in order.
    pub fn held(&self) -> impl Iterator<Item = &P> {
        self.packets.iter().map(|(packet, _)| packet)
    }
}

/// `struct tc_plug_qopt`: action and limit. Longer is accepted.
fn decode(options: &[u8]) -> Result<(i32, u32), DecodeError> {
    let mut reader = Reader::new(options);
    Ok((reader.i32()?, reader.u32()?))
}

#[cfg(test)]
mod tests;
