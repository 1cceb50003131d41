//! Delays what a container sends, from outside: the device is in the container's network namespace.
//!
//! `netem_container PID|NAME|PATH DEVICE MILLISECONDS`; 0 takes the delay away.

use std::error::Error;
use std::time::Duration;

use tc_core::netns::Namespace;
use tc_core::{Connection, Handle, Request};
use tc_qdiscs::netem::Netem;

/// Delays packets in a network namespace: one of `ip netns`, a path, or that of a process.
pub fn delay(container: &str, device: &str, delay: Duration) -> Result<(), Box<dyn Error>> {
    let mut tc = Connection::open_in(&Namespace::open(container)?)?;
    let root = Request::qdisc(tc.ifindex(device)?).parent(Handle::ROOT).handle(Handle::qdisc(1));
    if delay.is_zero() {
        tc.delete_if_exists(&root)?;
        return Ok(());
    }
    let netem = Netem::default().delay(delay);
    tc.replace(&root.options(&netem))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [container, device, milliseconds] = &words[..] else {
        return Err("usage: netem_container PID|NAME|PATH DEVICE MILLISECONDS".into());
    };
    delay(container, device, Duration::from_millis(milliseconds.parse()?))
}
