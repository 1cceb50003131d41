//! Something to count, list and change: a device with many classes.

use tc_core::rate::Rate;
use tc_core::{Connection, Handle, Request, Verb};
use tc_qdiscs::htb::{Htb, HtbClass};

use super::Net;

/// The ifb `b0` with an htb `1:` at its root and the classes `1:1` to `1:classes`, in a namespace of
/// its own; a connection there, and the device's index.
///
/// # Panics
///
/// If the kernel refuses any of it.
#[must_use]
pub fn shaped(classes: u16) -> (Net, Connection, i32) {
    let one = Handle::qdisc(1);
    let net = Net::new();
    let mut tc = Connection::open().expect("a socket");
    tc.add_link("b0", "ifb").expect("an ifb");
    let dev = tc.ifindex("b0").expect("the ifb");
    tc.add(&Request::qdisc(dev).parent(Handle::ROOT).handle(one).options(&Htb::default())).expect("an htb");
    let class = HtbClass::builder(Rate::bytes_per_second(125_000)).build().expect("a class");
    let mut batch = tc.pipeline(|_, outcome| outcome.expect("every class"));
    for minor in 1..=classes {
        let request = Request::class(dev).parent(one).handle(Handle::class(1, minor)).options(&class);
        batch.push(Verb::Add, &request).expect("a class can be written");
    }
    assert_eq!(batch.finish(), usize::from(classes));
    (net, tc, dev)
}
