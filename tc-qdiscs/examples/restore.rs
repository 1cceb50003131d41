//! Watches a device, and puts its root qdisc back whenever somebody deletes or replaces it.
//!
//! `restore DEVICE`. It ends when the device is gone.

use std::error::Error;

use tc_core::message::Entry;
use tc_core::monitor::{Event, Follower};
use tc_core::uapi::RTM_DELQDISC;
use tc_core::{Connection, Ensured, Handle, Request};
use tc_qdiscs::pfifo::Pfifo;

/// Whether this says that the root qdisc is gone, or another one.
///
/// Kernel: the answer to a get goes to all who listen, too. A watcher that asks after each notice never ends.
fn is_other(entry: &Entry<'_>, wanted: &Pfifo) -> bool {
    entry.header.parent == Handle::ROOT
        && (entry.message_type == RTM_DELQDISC || entry.options_as().ok().flatten().as_ref() != Some(wanted))
}

/// Keeps a pfifo at the root of the device until it is gone; reports each repair.
pub fn restore(device: &str, mut repaired: impl FnMut(&Ensured)) -> Result<(), Box<dyn Error>> {
    let mut tc = Connection::open()?;
    let ifindex = tc.ifindex(device)?;
    let queue = Pfifo::new(100);
    let wanted = Request::qdisc(ifindex).parent(Handle::ROOT).handle(Handle::qdisc(1)).options(&queue);
    let mut follower = Follower::open()?;
    // Whatever happened before the follower was there is in its first list.
    follower.list_anew();
    while let Some(event) = follower.next()? {
        match event {
            Event::DeviceGone(gone) if gone == ifindex => return Ok(()),
            Event::Notice(message) => {
                let entry = Entry::decode(&message)?;
                if entry.header.ifindex != ifindex || !is_other(&entry, &queue) {
                    continue;
                }
            }
            // The end of a list, after a loss: anything may have changed.
            Event::InStep => {}
            _ => continue,
        }
        match tc.ensure(&wanted) {
            Ok(Ensured::Unchanged) => {}
            Ok(done) => repaired(&done),
            // Another one acts at the same time, or the device goes: a notice follows.
            Err(error) if error.is_exists() || error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).ok_or("usage: restore DEVICE")?;
    restore(&device, |done| println!("{done:?}"))
}
