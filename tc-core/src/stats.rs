//! The counters that every qdisc and class has.

mod print;

use crate::attr::Attr;
use crate::error::DecodeError;
use crate::uapi::*;

/// The counters of one qdisc or class, from `TCA_STATS2` (or from the older
/// `TCA_STATS`). A group that the kernel did not send is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats<'a> {
    /// `TCA_STATS_BASIC` and `TCA_STATS_PKT64`: what was sent.
    pub basic: Option<Basic>,
    /// `TCA_STATS_BASIC_HW`: the part of it that hardware sent.
    pub basic_hw: Option<Basic>,
    /// `TCA_STATS_QUEUE`: the queue now, and what it refused.
    pub queue: Option<Queue>,
    /// `TCA_STATS_RATE_EST` or `TCA_STATS_RATE_EST64`: estimated rates.
    pub rate: Option<Rate>,
    /// `TCA_STATS_APP`: counters of the kind's own, for the kind to read.
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
    /// Reads `TCA_STATS2`.
    pub fn decode(attr: &Attr<'a>) -> Result<Self, DecodeError> {
        let table = attr.attrs().table::<{ TCA_STATS_PKT64 as usize + 1 }>()?;
        let group = |kind: u16| table[usize::from(kind)];
        let mut stats = Self { app: group(TCA_STATS_APP).map(|a| a.payload), ..Self::default() };
        if let Some(attr) = group(TCA_STATS_BASIC) {
            let mut basic = Basic::decode(&attr)?;
            // Kernel: the 64-bit count is sent only when it says more.
            if let Some(packets) = group(TCA_STATS_PKT64).map(|a| a.u64()).transpose()?.filter(|n| *n != 0) {
                basic.packets = packets;
            }
            stats.basic = Some(basic);
        }
        stats.basic_hw = group(TCA_STATS_BASIC_HW).map(|a| Basic::decode(&a)).transpose()?;
        stats.queue = group(TCA_STATS_QUEUE).map(|a| Queue::decode(&a)).transpose()?;
        stats.rate = match (group(TCA_STATS_RATE_EST64), group(TCA_STATS_RATE_EST)) {
            (Some(attr), _) => {
                let mut reader = attr.reader();
                Some(Rate { bytes: reader.u64()?, packets: reader.u64()?, wide: true })
            }
            (None, Some(attr)) => {
                let mut reader = attr.reader();
                Some(Rate { bytes: reader.u32()?.into(), packets: reader.u32()?.into(), wide: false })
            }
            (None, None) => None,
        };
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
    fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        Ok(Self { bytes: reader.u64()?, packets: reader.u32()?.into() })
    }
}

impl Queue {
    fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        Ok(Self {
            qlen: reader.u32()?,
            backlog: reader.u32()?,
            drops: reader.u32()?,
            requeues: reader.u32()?,
            overlimits: reader.u32()?,
        })
    }
}
