//! Keeps a queue at the root of devices, on tokio, and prints its counters now and then.
//!
//! `asynchronous DEVICE...`. It ends when the last device is gone. Feature `tokio`.

use std::collections::BTreeSet;
use std::time::Duration;

use tc_core::monitor::Event;
use tc_core::tokio::{Connection, Follower};
use tc_core::uapi::RTM_DELQDISC;
use tc_core::{Error, Handle, Request, object};
use tc_qdiscs::pfifo::Pfifo;
use tokio::time::timeout;

fn root(ifindex: i32) -> Request<'static, object::Qdisc> {
    Request::qdisc(ifindex).parent(Handle::ROOT).handle(Handle::qdisc(1)).with_options(Pfifo::new(100))
}

async fn restore(tc: &mut Connection, devices: &BTreeSet<i32>) -> Result<(), Error> {
    for ifindex in devices {
        match tc.ensure(&root(*ifindex)).await {
            // The device goes, or another program acts at the same time: a notice follows.
            Err(error) if !error.is_not_found() && !error.is_exists() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Keeps a pfifo at the root of each device until all of them are gone; reports its drops whenever nothing has
/// happened for a while.
pub async fn keep(
    mut devices: BTreeSet<i32>,
    quiet: Duration,
    mut report: impl FnMut(i32, u32),
) -> Result<(), Error> {
    let mut tc = Connection::open()?;
    let mut follower = Follower::open()?;
    follower.list_anew();
    while !devices.is_empty() {
        // A future that is dropped here loses no event.
        let Ok(event) = timeout(quiet, follower.next()).await else {
            for ifindex in &devices {
                let there = tc.get_if_exists(&root(*ifindex)).await?;
                let entry = there.as_ref().map(|there| there.entry()).transpose()?;
                let queue = entry.and_then(|entry| entry.stats().ok()??.queue).unwrap_or_default();
                report(*ifindex, queue.drops);
            }
            continue;
        };
        match event? {
            Event::DeviceGone(gone) => drop(devices.remove(&gone)),
            // Kernel: the answer to a get goes to all who listen, too; hence the type.
            Event::Notice(message) if message.kind == RTM_DELQDISC => restore(&mut tc, &devices).await?,
            Event::InStep => restore(&mut tc, &devices).await?,
            _ => {}
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tc = Connection::open()?;
        let mut devices = BTreeSet::new();
        for name in std::env::args().skip(1) {
            devices.insert(tc.ifindex(&name).await?);
        }
        let report = |ifindex, drops| println!("device {ifindex}: {drops} drops");
        Ok(keep(devices, Duration::from_secs(10), report).await?)
    })
}
