//! The ring of the scenario, on either kernel.

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

use tc_core::monitor::Monitor;
use tc_core::{Connection, DumpRequest, Transport};
use tc_qdiscs::plug::commit::{Ack, AttachOptions, Epoch, Limit, OnDeath, OnTaint};
use tc_qdiscs::plug::place::Place;
use tc_qdiscs::plug::ring::{Depth, Ring, RingOptions, Site};

use super::{Act, Counters};

const LIMIT_BYTES: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not 0");

/// A ring, and the tokens of its closed epochs.
pub(super) struct Session<T: Transport> {
    ring: Ring<T>,
    closed: VecDeque<Epoch>,
    /// The journals, which end with this value.
    dir: PathBuf,
}

impl<T: Transport> Session<T> {
    pub(super) fn attach(
        tc: Connection<T>,
        monitor: Monitor<T>,
        place: Place,
    ) -> Result<Self, Box<dyn Error>> {
        let dir = std::env::temp_dir().join(format!("tc-plug-demo-{}", std::process::id()));
        let options = AttachOptions::new(Limit::bytes(LIMIT_BYTES), OnTaint::FailClosed, OnDeath::StayClosed);
        let options = RingOptions::new(options.journal_dir(&dir)).depth(Depth::new(4)?);
        let ring = Ring::attach_over(tc, monitor, &[Site::new("tx", place)], options)?;
        Ok(Self { ring, closed: VecDeque::new(), dir })
    }

    pub(super) fn act(&mut self, act: Act) -> Result<(), Box<dyn Error>> {
        match act {
            Act::Hold => self.ring.start_buffer()?,
            Act::Close => self.closed.push_back(self.ring.close()?),
            Act::Ack => {
                let epoch = self.closed.pop_front().ok_or("no epoch is closed")?;
                let ack = Ack::of(epoch.number());
                self.ring.release(epoch, ack)?;
            }
            Act::Open => self.ring.open()?,
            Act::Attach | Act::Send(_) => {}
        }
        Ok(())
    }

    /// The counters of the prio, which are those of all bands.
    pub(super) fn counters<U: Transport>(&self, tc: &mut Connection<U>) -> Result<Counters, Box<dyn Error>> {
        let device = self.ring.journal().devices.first().ok_or("no device")?;
        // A list: before Linux 6.8 a request for one qdisc looks like a change to the session.
        for listed in tc.list_confirmed(&DumpRequest::qdiscs().device(device.ifindex))? {
            let entry = listed.entry()?;
            if entry.header.handle == device.handles[0] {
                return Ok(Counters::of(&entry.stats()?.unwrap_or_default()));
            }
        }
        Err("the ring is gone".into())
    }

    pub(super) fn detach(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.ring.detach()?)
    }
}

impl<T: Transport> Drop for Session<T> {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.dir);
    }
}
