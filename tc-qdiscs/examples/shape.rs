//! Shapes what a device sends: an HTB with one class for everything, and a short queue below it.
//!
//! `shape DEVICE MBIT`. Run again, it changes the rate, and leaves the queue alone.

use std::error::Error;

use tc_core::rate::Rate;
use tc_core::{Connection, Ensured, Handle, Request};
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::pfifo::Pfifo;

const ROOT: Handle = Handle::qdisc(1);
const CLASS: Handle = Handle::class(1, 10);

/// Gives the device this rate; returns what that took for each object.
pub fn shape(device: &str, rate: Rate) -> Result<[Ensured; 3], Box<dyn Error>> {
    let mut tc = Connection::open()?;
    let ifindex = tc.ifindex(device)?;
    let htb = Htb::default().default_minor(0x10);
    let class = HtbClass::builder(rate).build()?;
    let queue = Pfifo::new(100);
    let root = Request::qdisc(ifindex).parent(Handle::ROOT).handle(ROOT).options(&htb);
    let class = Request::class(ifindex).parent(ROOT).handle(CLASS).options(&class);
    let queue = Request::qdisc(ifindex).parent(CLASS).handle(Handle::qdisc(2)).options(&queue);
    Ok([tc.ensure(&root)?, tc.ensure(&class)?, tc.ensure(&queue)?])
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [device, mbit] = &words[..] else { return Err("usage: shape DEVICE MBIT".into()) };
    let rate = Rate::bits_per_second(mbit.parse::<u64>()? * 1_000_000);
    for done in shape(device, rate)? {
        println!("{done:?}");
    }
    Ok(())
}
