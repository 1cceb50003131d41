//! Lists during which something changes.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::connection::monitor::{Event, Follower, Monitor};
use crate::wire::uapi::*;
use crate::{Cause, ChangeWatch, DumpRequest, Error, OwnedEntry};

const DEVICES: usize = 700;

/// A list of its qdiscs takes several pieces.
fn kernel() -> Kernel {
    (0..DEVICES).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build()
}

fn watch(kernel: &Kernel) -> ChangeWatch<Socket> {
    let socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    socket.join(RTNLGRP_LINK);
    ChangeWatch::over(Monitor::over(socket))
}

fn tc(kernel: &Kernel) -> Connection<Faults<Socket>> {
    Connection::over(Faults::over(kernel.connect()))
}

/// Before the receive of the second datagram a device is deleted, and later ones move up.
fn unplug(kernel: &Kernel, tc: &mut Connection<Faults<Socket>>) {
    let unplugged = kernel.clone();
    tc.transport_mut().before_call(2, move || assert!(unplugged.remove_device(ETH0)));
}

#[test]
fn list_with_change_in_the_middle_is_read_again() {
    // Control: a plain list has the qdisc of eth0, and lacks that of a device that nobody touched.
    let kernel = kernel();
    let mut plain = tc(&kernel);
    unplug(&kernel, &mut plain);
    let list = plain.list(&DumpRequest::qdiscs()).unwrap();
    assert_eq!((list.len(), devices(&list).contains(&ETH0)), (DEVICES, true));

    let kernel = self::kernel();
    let (mut tc, mut watch) = (tc(&kernel), watch(&kernel));
    unplug(&kernel, &mut tc);
    assert_eq!(tc.list_consistent(&mut watch, &DumpRequest::qdiscs()).unwrap().len(), DEVICES);
    assert_eq!(watch.rereads(), 1);
    // Without a change one list is enough.
    let calls = tc.transport().calls();
    assert_eq!(tc.list_consistent(&mut watch, &DumpRequest::qdiscs()).unwrap().len(), DEVICES);
    let quiet = tc.transport().calls() - calls;
    tc.list(&DumpRequest::qdiscs()).unwrap();
    assert_eq!((watch.rereads(), tc.transport().calls() - calls), (1, 2 * quiet));
}

fn devices(list: &[OwnedEntry]) -> Vec<i32> {
    list.iter().map(|owned| owned.entry().unwrap().header.ifindex).collect()
}

/// Before each call the root qdisc of a device is replaced.
fn never_quiet(kernel: &Kernel, tc: &mut Connection<Faults<Socket>>, dev: i32) {
    let mut other = Connection::over(kernel.connect());
    let root = Request::qdisc(dev).parent(Handle::ROOT).kind("tbf");
    tc.transport_mut().before_each_call(move || other.replace(&root).unwrap());
}

#[test]
fn list_that_is_never_quiet_ends_with_an_error() {
    let kernel = kernel();
    let (mut tc, mut watch) = (tc(&kernel), watch(&kernel));
    never_quiet(&kernel, &mut tc, ETH0);
    let error = tc.list_consistent(&mut watch, &DumpRequest::qdiscs()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Interrupted(10)), "{error}");
    assert_eq!((error.read().len(), watch.rereads()), (DEVICES + 1, 9));
    // Those of another device are not concerned, and a list in one piece never is.
    let d5 = tc.ifindex("d5").unwrap();
    for select in [DumpRequest::qdiscs().device(d5), DumpRequest::classes(d5), DumpRequest::filters(d5)] {
        tc.list_consistent(&mut watch, &select).unwrap();
        assert!(!watch.changed(&select).unwrap(), "{select:?}");
    }
    tc.list_consistent(&mut watch, &DumpRequest::classes(ETH0)).unwrap();
    assert!(watch.changed(&DumpRequest::classes(ETH0)).unwrap());
    assert_eq!(watch.rereads(), 9);
}

#[test]
fn several_lists_fit_each_other() {
    let kernel = kernel();
    let (mut tc, mut watch) = (tc(&kernel), watch(&kernel));
    let seen = AtomicU32::new(0);
    let mut other = Connection::over(kernel.connect());
    let read = watch.read("tree", || {
        // Between the first two lists, and the second two.
        if seen.fetch_add(1, Ordering::Relaxed) < 2 {
            other.replace(&root().kind("tbf"))?;
        }
        tc.list(&DumpRequest::classes(ETH0))
    });
    assert!(read.unwrap().unwrap().is_empty());
    assert_eq!((seen.into_inner(), watch.rereads()), (3, 2));
    // An error counts if nothing changed, and a list that changes without end is one.
    let failed = watch.read("tree", || Err::<(), Error>(Error::new("list", "x", Cause::NotShown)));
    assert!(failed.unwrap().is_err());
    let changed = watch.read("tree", || other.replace(&root().kind("tbf"))).unwrap_err();
    assert_eq!(changed.to_string(), "list tree: the list changed while it was read (10 tries)");
}

#[test]
fn watch_that_lost_notices_counts_them_as_changes() {
    let kernel = kernel();
    let (mut tc, mut watch) = (tc(&kernel), watch(&kernel));
    watch.monitor_mut().transport().set_receive_buffer(1);
    let mut other = Connection::over(kernel.connect());
    watch.reset().unwrap();
    assert!(!watch.any_changed().unwrap());
    (0..3).for_each(|_| other.replace(&root().kind("tbf")).unwrap());
    assert!(watch.any_changed().unwrap());
    // The loss hides which device it was of.
    watch.reset().unwrap();
    (0..3).for_each(|_| other.replace(&root().kind("tbf")).unwrap());
    assert!(watch.changed(&DumpRequest::classes(ETH0 + 1)).unwrap());
    assert_eq!(tc.list_consistent(&mut watch, &DumpRequest::qdiscs()).unwrap().len(), DEVICES + 1);
}

#[test]
fn confirmed_list_is_read_until_two_agree() {
    let kernel = kernel();
    let mut tc = tc(&kernel);
    unplug(&kernel, &mut tc);
    let list = tc.list_confirmed(&DumpRequest::qdiscs()).unwrap();
    assert_eq!((list.len(), devices(&list).contains(&ETH0)), (DEVICES, false));
    // A device goes within each list.
    let mut left: Vec<_> = devices(&list);
    let unplugged = kernel.clone();
    let mut calls = 0;
    tc.transport_mut().before_each_call(move || {
        calls += 1;
        if calls % 3 == 0 {
            assert!(unplugged.remove_device(left.remove(0)));
        }
    });
    let error = tc.list_confirmed(&DumpRequest::qdiscs()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Interrupted(10)), "{error}");
}

#[test]
fn follower_lists_again_when_something_changed_meanwhile() {
    let kernel = kernel();
    let monitor = watch(&kernel).into_monitor();
    let mut follower = Follower::over(monitor, tc(&kernel));
    unplug(&kernel, follower.connection_mut());
    follower.list_anew();
    let mut listed = Vec::new();
    loop {
        match follower.next().unwrap().unwrap() {
            Event::Listed(entry) => listed.push(entry),
            Event::InStep => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((listed.len(), devices(&listed).contains(&ETH0)), (DEVICES, false));
    // It has no device notices.
    kernel.add_device(Device::new("late"));
    assert!(follower.next().unwrap().is_none());
    // While changes come without end it is an error, and it can be asked again.
    never_quiet(&kernel, follower.connection_mut(), devices(&listed)[0]);
    follower.list_anew();
    let error = follower.next().unwrap_err();
    assert!(matches!(error.cause(), Cause::Interrupted(10)), "{error}");
    follower.connection_mut().transport_mut().before_each_call(|| ());
    assert!(matches!(follower.next().unwrap(), Some(Event::Listed(_))));
}
