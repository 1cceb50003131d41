//! The counters that every qdisc and class has.

use crate::wire::attr::{Attr, Reader};
use crate::wire::error::DecodeError;
use crate::wire::uapi::*;

/// The counters of one qdisc or class, from `TCA_STATS2` (or from the older
/// `TCA_STATS`). A group that the kernel did not send is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats<'a> {
    /// `TCA_STATS_BASIC` and `TCA_STATS_PKT64`: bytes and packets sent.
    pub basic: Option<Basic>,
    /// `TCA_STATS_BASIC_HW`: the part of it that hardware sent.
    pub basic_hw: Option<Basic>,
    /// `TCA_STATS_QUEUE`: the current queue, and drops.
    pub queue: Option<Queue>,
    /// `TCA_STATS_RATE_EST` or `TCA_STATS_RATE_EST64`: estimated rates.
    pub rate: Option<Rate>,
    /// `TCA_STATS_APP`: the kind's extended statistics, encoded.
    pub app: Option<&'a [u8]>,
}

/// `struct gnet_stats_basic`, with packets in 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basic {
    /// Bytes sent.
    pub bytes: u64,
    /// Packets sent. A GSO super-packet counts as its segments.
    pub packets: u64,
}

/// `struct gnet_stats_queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Packets that wait (a GSO super-packet counts as one).
    pub qlen: u32,
    /// Bytes that wait.
    pub backlog: u32,
    /// Packets dropped.
    pub drops: u32,
    /// Packets put back.
    pub requeues: u32,
    /// How often a limit made packets wait.
    pub overlimits: u32,
}

/// `struct gnet_stats_rate_est64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Bytes per second.
    pub bytes: u64,
    /// Packets per second.
    pub packets: u64,
    /// Whether the kernel sent it in 64 bits too.
    pub wide: bool,
}

impl<'a> Stats<'a> {
    /// The change since an earlier reading of the same object: counters are differences, the queue's
    /// length and the rates are those of now. `None` if a counter went back: the object was made anew.
    ///
    /// Counters of 32 bits wrap around: their difference is taken modulo 2^32.
    ///
    /// ```
    /// use tc_core::stats::{Basic, Queue, Stats};
    ///
    /// let at = |bytes, packets, drops| {
    ///     let mut stats = Stats::default();
    ///     stats.basic = Some(Basic { bytes, packets });
    ///     stats.queue = Some(Queue { drops, ..Queue::default() });
    ///     stats
    /// };
    /// let change = at(1500, 3, 1).since(&at(500, 1, u32::MAX)).unwrap();
    /// assert_eq!(change.basic, Some(Basic { bytes: 1000, packets: 2 }));
    /// assert_eq!(change.queue.unwrap().drops, 2);
    /// assert!(at(500, 1, 0).since(&at(1500, 3, 0)).is_none());
    /// ```
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let basic = |now: Option<Basic>, then: Option<Basic>| match (now, then) {
            (Some(now), Some(then)) => Some(Some(Basic {
                bytes: now.bytes.checked_sub(then.bytes)?,
                packets: now.packets.checked_sub(then.packets)?,
            })),
            (now, _) => Some(now),
        };
        let queue = match (self.queue, earlier.queue) {
            (Some(now), Some(then)) => Some(Queue {
                drops: now.drops.wrapping_sub(then.drops),
                requeues: now.requeues.wrapping_sub(then.requeues),
                overlimits: now.overlimits.wrapping_sub(then.overlimits),
                ..now
            }),
            (now, _) => now,
        };
        Some(Self {
            basic: basic(self.basic, earlier.basic)?,
            basic_hw: basic(self.basic_hw, earlier.basic_hw)?,
            queue,
            ..*self
        })
    }

    /// Reads `TCA_STATS2`.
    pub fn decode(attr: &Attr<'a>) -> Result<Self, DecodeError> {
        let (mut stats, mut wide_packets, mut wide_rate) = (Self::default(), None, None);
        for attr in attr.attrs() {
            let attr = attr?;
            let mut reader = attr.reader();
            match attr.kind {
                TCA_STATS_BASIC => stats.basic = Some(Basic::decode(&mut reader)?),
                TCA_STATS_BASIC_HW => stats.basic_hw = Some(Basic::decode(&mut reader)?),
                TCA_STATS_QUEUE => stats.queue = Some(Queue::decode(&mut reader)?),
                TCA_STATS_APP => stats.app = Some(attr.payload),
                TCA_STATS_PKT64 => wide_packets = Some(reader.u64()?),
                TCA_STATS_RATE_EST => {
                    let (bytes, packets) = (reader.u32()?.into(), reader.u32()?.into());
                    stats.rate = Some(Rate { bytes, packets, wide: false });
                }
                TCA_STATS_RATE_EST64 => {
                    wide_rate = Some(Rate { bytes: reader.u64()?, packets: reader.u64()?, wide: true });
                }
                _ => {}
            }
        }
        // Kernel: the 64-bit count is sent only if it differs.
        if let (Some(basic), Some(packets @ 1..)) = (&mut stats.basic, wide_packets) {
            basic.packets = packets;
        }
        stats.rate = wide_rate.or(stats.rate);
        Ok(stats)
    }

    /// Reads `TCA_STATS` (`struct tc_stats`), which kernels before 2.6.10 sent
    /// alone and later ones send beside `TCA_STATS2`.
    pub fn decode_old(attr: &Attr<'a>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        let basic = Basic { bytes: reader.u64()?, packets: reader.u32()?.into() };
        let (drops, overlimits) = (reader.u32()?, reader.u32()?);
        let rate = Rate { bytes: reader.u32()?.into(), packets: reader.u32()?.into(), wide: false };
        let (qlen, backlog) = (reader.u32()?, reader.u32()?);
        Ok(Self {
            basic: Some(basic),
            queue: Some(Queue { qlen, backlog, drops, requeues: 0, overlimits }),
            rate: (rate.bytes != 0 || rate.packets != 0).then_some(rate),
            ..Self::default()
        })
    }
}

impl Basic {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { bytes: reader.u64()?, packets: reader.u32()?.into() })
    }
}

impl Queue {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            qlen: reader.u32()?,
            backlog: reader.u32()?,
            drops: reader.u32()?,
            requeues: reader.u32()?,
            overlimits: reader.u32()?,
        })
    }
}
