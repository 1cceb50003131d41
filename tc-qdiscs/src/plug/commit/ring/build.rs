//! How the qdiscs of a ring are made, or taken over.

use std::time::Duration;

use tc_core::{Connection, Error, Transport, Verb};

use super::objects::Objects;
use crate::plug::Plug;
use crate::plug::commit::error::Error as CommitError;
use crate::plug::commit::options::OnAdopt;

/// Makes the ring, open: one send, which the kernel carries out whole.
///
/// Kernel: a new prio has pfifos in its bands, which pass; then the plugs take their
/// places, and the last request opens the plug of band 0, to which the map leads.
pub(super) fn build<T: Transport>(
    tc: &mut Connection<T>,
    ring: &Objects,
    limit_bytes: u32,
) -> Result<(), Error> {
    let (map, limit, open) = (ring.map(0), Plug::set_limit(limit_bytes), Plug::release_indefinite());
    let mut pack = tc.group();
    pack.push(Verb::Add, &ring.prio().options(&map))?;
    for band in ring.bands() {
        pack.push(Verb::Add, &ring.plug(band).options(&limit))?;
    }
    pack.push(Verb::Change, &ring.plug(0).options(&open))?;
    send(pack, ring)
}

/// Takes a ring over: what it holds is dropped, or released and sent. Then it is as new.
pub(super) fn take_over<T: Transport>(
    tc: &mut Connection<T>,
    ring: &mut Objects,
    held: OnAdopt,
    name: &str,
    limit_bytes: u32,
    patience: Duration,
) -> Result<(), CommitError> {
    let failed = |error| CommitError::kernel(error, crate::plug::commit::error::NetworkState::Unknown);
    match held {
        OnAdopt::Drop => {
            ring.renew(tc, limit_bytes).map_err(failed)?;
        }
        OnAdopt::Release => {
            ring.open(tc).map_err(failed)?;
            ring.drain(tc, None, name, patience)?;
        }
    }
    ring.set_limit(tc, limit_bytes).map_err(failed)?;
    let (map, open, buffer) = (ring.map(0), Plug::release_indefinite(), Plug::buffer());
    let mut pack = tc.group();
    pack.push(Verb::Change, &ring.plug(0).options(&open)).map_err(failed)?;
    pack.push(Verb::Change, &ring.prio().options(&map)).map_err(failed)?;
    for band in ring.bands().skip(1) {
        pack.push(Verb::Change, &ring.plug(band).options(&buffer)).map_err(failed)?;
    }
    send(pack, ring).map_err(failed)
}

fn send<T: Transport>(pack: tc_core::RequestGroup<'_, T>, ring: &Objects) -> Result<(), Error> {
    let mut failed = None;
    pack.send(|_, outcome| {
        if let Err(cause) = outcome {
            failed.get_or_insert(cause);
        }
    })?;
    failed.map_or(Ok(()), |cause| Err(Error::new("add", ring.prio().describe(), cause)))
}
