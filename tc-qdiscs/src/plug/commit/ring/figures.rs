//! The counters of a ring.

use std::time::{Duration, Instant};

/// The figures of a released epoch, over all devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleasedEpoch {
    /// Its number.
    pub epoch: u64,
    /// Packets of it that were held.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets of it that did not fit and are lost.
    pub dropped_packets: u64,
    /// Packets of earlier, released epochs that leave with it because their band was
    /// used again before it had sent them.
    pub carried_packets: u64,
    /// Packets of earlier epochs that were not sent yet when this one was released, and
    /// that this one overtakes if it is sent first: its band comes before theirs.
    pub overtaken_packets: u64,
    /// From the close to the release.
    pub held: Duration,
    /// The limit of each band, in bytes.
    pub limit_bytes: u32,
}

/// The packets in the bands of a ring, over all devices, as last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingCounts {
    /// Closed epochs that wait for their acknowledgement.
    pub closed_epochs: u8,
    /// Packets that wait.
    pub held_packets: u64,
    /// Bytes that wait.
    pub held_bytes: u64,
    /// Packets that did not fit since the session began.
    pub dropped_packets: u64,
    /// Packets that could be overtaken so far.
    pub overtaken_packets: u64,
    /// Packets that left with a later epoch so far.
    pub carried_packets: u64,
    /// Packets that waited in the devices' root qdiscs when attaching added a clsact qdisc, and that
    /// the kernel dropped then: [`Redirect::purged_packets`](crate::plug::place::Redirect::purged_packets).
    pub purged_packets: u64,
}

/// The counters of a band of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BandCounters {
    pub(super) packets: u32,
    pub(super) bytes: u32,
    pub(super) drops: u32,
    /// Those when the band's epoch was opened.
    pub(super) at_start: Start,
}

/// The counters of a band when its epoch was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    packets: u32,
    bytes: u32,
    drops: u32,
}

impl BandCounters {
    /// A new epoch is open in this band.
    pub(super) const fn begin(&mut self) {
        self.at_start = Start { packets: self.packets, bytes: self.bytes, drops: self.drops };
    }

    /// A new plug is there.
    pub(super) fn renew(&mut self) {
        *self = Self::default();
    }
}

/// The figures of the epoch in a band, over all devices.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EpochFigures {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) drops: u64,
    pub(super) carried: u64,
    pub(super) closed: Option<Instant>,
}

impl EpochFigures {
    /// The sum over the devices' counters of the band, at the close.
    pub(super) fn at_close<'a>(bands: impl Iterator<Item = &'a BandCounters>) -> Self {
        let mut sum = Self { closed: Some(Instant::now()), ..Self::default() };
        for band in bands {
            let start = band.at_start;
            sum.packets += u64::from(band.packets.saturating_sub(start.packets));
            sum.bytes += u64::from(band.bytes.saturating_sub(start.bytes));
            sum.drops += u64::from(band.drops.wrapping_sub(start.drops));
            sum.carried += u64::from(start.packets);
        }
        sum
    }
}
