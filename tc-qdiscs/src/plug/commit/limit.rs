//! How large the queue must be.

use std::num::NonZeroU32;
use std::time::Duration;

/// The most bytes that a plug holds; never 0, which would drop every packet.
///
/// The kernel's default for a new plug is `txqueuelen` packets of the MTU: about
/// 1.5 MB on most devices, 48 KB on an IFB. Both are far too small for epochs, so
/// there is no default here.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::plug::commit::{Limit, TrafficLoad};
///
/// // A guest that sends 1 Gbit/s, checkpointed 40 times a second.
/// let load = TrafficLoad {
///     bytes_per_second: 125_000_000,
///     epoch: Duration::from_millis(25),
///     pause: Duration::from_millis(3),
///     replication: Duration::from_millis(20),
/// };
/// assert_eq!(load.limit()?, Limit::bytes(7_524_298.try_into().unwrap()));
/// // The device has no BIG TCP.
/// assert_eq!(load.limit_with(65_554)?, Limit::bytes(7_065_554.try_into().unwrap()));
/// # Ok::<(), tc_qdiscs::plug::commit::LimitError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(NonZeroU32);

impl Limit {
    /// A limit of this many bytes.
    pub const fn bytes(bytes: NonZeroU32) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// The load of the queue, on one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficLoad {
    /// The most that is sent, in bytes per second (the kernel counts the
    /// Ethernet header, not preamble and checksum).
    pub bytes_per_second: u64,
    /// From the end of one pause to the start of the next.
    pub epoch: Duration,
    /// The pause of the sender for a checkpoint. Earlier packets may reach the queue
    /// meanwhile.
    pub pause: Duration,
    /// From the close of an epoch to its acknowledgement.
    pub replication: Duration,
}

/// A load that no limit bears: the kernel counts bytes in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "two epochs of this load are {bytes} bytes, and a plug holds {} at most: shorten the epoch",
    u32::MAX
)]
pub struct LimitError {
    /// The bytes that must be held.
    pub bytes: u128,
}

/// The largest packet of any Linux, in bytes: with segmentation offload and BIG TCP
/// it is segmented after the queue (`GSO_MAX_SIZE`, Ethernet header, VLAN tag).
const LARGEST_PACKET: u32 = 8 * 65_535 + 14 + 4;

impl TrafficLoad {
    /// The limit that holds two epochs, the closed one and the open one.
    ///
    /// Each lasts as long as the slower of running and replicating, because an epoch
    /// that cannot be closed yet continues, and a pause. The largest packet of Linux,
    /// 512 KB with BIG TCP, must fit after them: the kernel drops a
    /// packet whole.
    pub fn limit(&self) -> Result<Limit, LimitError> {
        self.limit_with(LARGEST_PACKET)
    }

    /// The limit for another size of the largest packet, in bytes:
    /// [`Link::largest_packet`](tc_core::link::Link::largest_packet) of a device
    /// that only this host sends through. What a device forwards may be as large
    /// as the device that received it allows (`gro_max_size`).
    pub fn limit_with(&self, largest_packet: u32) -> Result<Limit, LimitError> {
        let one = self.epoch.max(self.replication).as_nanos() + self.pause.as_nanos();
        let held = (2 * one).saturating_mul(self.bytes_per_second.into()).div_ceil(1_000_000_000);
        let bytes = held.saturating_add(largest_packet.into());
        let limit = u32::try_from(bytes).ok().and_then(NonZeroU32::new);
        limit.map(Limit).ok_or(LimitError { bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bytes_per_second: u64, epoch: u64, pause: u64, replication: u64) -> TrafficLoad {
        let ms = Duration::from_millis;
        TrafficLoad { bytes_per_second, epoch: ms(epoch), pause: ms(pause), replication: ms(replication) }
    }

    #[test]
    fn two_epochs_fit_and_a_packet() {
        assert_eq!(load(1_000_000, 100, 10, 50).limit().unwrap().get(), 220_000 + LARGEST_PACKET);
        // Replication is slower than running: epochs grow to its length.
        assert_eq!(load(1_000_000, 100, 10, 150).limit().unwrap().get(), 320_000 + LARGEST_PACKET);
    }

    #[test]
    fn a_silent_load_still_has_room_for_a_packet() {
        assert_eq!(load(0, 100, 10, 50).limit().unwrap().get(), LARGEST_PACKET);
    }

    #[test]
    fn what_does_not_fit_in_32_bits_is_an_error() {
        let error = load(12_500_000_000, 250, 0, 0).limit().unwrap_err();
        assert_eq!(error.bytes, 6_250_000_000 + u128::from(LARGEST_PACKET));
        let absurd = TrafficLoad {
            epoch: Duration::MAX,
            pause: Duration::MAX,
            replication: Duration::ZERO,
            bytes_per_second: u64::MAX,
        };
        assert!(absurd.limit().is_err());
    }
}
