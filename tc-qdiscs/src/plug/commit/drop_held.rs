//! How held packets are dropped while their plug stays.

use tc_core::{Connection, Handle, Request, Transport, Verb};

use super::super::Plug;
use super::error::{Error, NetworkState};
use super::limit::Limit;
use super::orphaned::OrphanedSession;
use super::root::{open, own_plug, own_ring};

/// The packets that [`OrphanedSession::drop_held`] dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Devices that still had their plug.
    pub devices: usize,
    /// Packets that were held.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl OrphanedSession {
    /// Drops the packets that are held, then opens the plugs. Plugs and journal
    /// stay. No packet that was held leaves.
    ///
    /// Each plug is replaced by a new one under its spare handle, with `limit`,
    /// which begins closed and empty and is opened last. If this process dies in
    /// between, the device stays closed.
    ///
    /// Kernel: packets sent while it swaps two root qdiscs are dropped, as at an
    /// [attach](super::OutputCommit::attach). They are not counted: they were not
    /// held.
    pub fn drop_held<T: Transport>(&self, tc: &mut Connection<T>, limit: Limit) -> Result<Dropped, Error> {
        let mut dropped = Dropped::default();
        for device in &self.journal().devices {
            let so_far = if dropped.devices == 0 { NetworkState::Untouched } else { NetworkState::Unknown };
            let failed = |error| Error::kernel(error, so_far);
            if let Some(mut ring) = own_ring(tc, device).map_err(failed)? {
                let (packets, bytes) = ring
                    .renew(tc, limit.get())
                    .map_err(|error| Error::kernel(error, NetworkState::Unknown))?;
                ring.open(tc).map_err(|error| Error::kernel(error, NetworkState::HeldAnew))?;
                dropped.devices += 1;
                dropped.packets += packets;
                dropped.bytes += bytes;
                continue;
            }
            let Some(own) = own_plug(tc, device).map_err(failed)? else { continue };
            let [one, other] = device.handles;
            let spare = if own == one { other } else { one };
            let request = |handle| Request::qdisc(device.ifindex).parent(Handle::ROOT).handle(handle);

            let entry = tc.get(&request(own)).map_err(failed)?;
            let queue = entry.stats().ok().flatten().and_then(|stats| stats.queue).unwrap_or_default();
            let (packets, bytes) = (queue.qlen, queue.backlog);
            let plug = Plug::set_limit(limit.get());
            tc.apply_as_it_is(Verb::Replace, &request(spare).options(&plug)).map_err(|error| {
                let unknown = error.is_outcome_unknown();
                Error::kernel(error, if unknown { NetworkState::Unknown } else { so_far })
            })?;
            open(tc, device.ifindex, spare).map_err(|error| Error::kernel(error, NetworkState::HeldAnew))?;
            dropped.devices += 1;
            dropped.packets += u64::from(packets);
            dropped.bytes += u64::from(bytes);
        }
        Ok(dropped)
    }
}
