//! Notices, and pictures made of them, with every fault at every call.

use std::collections::BTreeMap;

use tc_core::embedded::{Fault, Faults, Kernel, Socket};
use tc_core::message::{Entry, Message};
use tc_core::monitor::{Event, Follower, Monitor, Notice};
use tc_core::rate::Rate;
use tc_core::uapi::{ETH_P_ALL, RTM_DELQDISC, RTM_DELTCLASS, RTM_DELTFILTER, RTM_NEWTFILTER, RTNLGRP_TC};
use tc_core::{Connection, Error, Handle, Request};
use tc_qdiscs::filter::matchall::Matchall;
use tc_qdiscs::htb::{Htb, HtbClass};
use tests::lab::count;

use crate::world::{ETH0, kernel, line};

/// The state of a reader of notices.
pub(crate) type Picture = BTreeMap<String, String>;

pub(crate) fn note(picture: &mut Picture, message: &Message<'_>) {
    let entry = Entry::decode(message).unwrap();
    let header = entry.header;
    let key = format!("{} {} {} {}", entry.tc_type(), header.ifindex, header.handle, header.parent);
    match entry.message_type {
        RTM_DELQDISC | RTM_DELTCLASS | RTM_DELTFILTER => drop(picture.remove(&key)),
        // Counters and reference counts change without a notice.
        _ => drop(picture.insert(key, line(&entry).split(" info ").next().unwrap().to_owned())),
    }
}

pub(crate) fn list(picture: &mut Picture, entry: &tc_core::OwnedEntry) {
    let bytes = entry.bytes();
    note(picture, &tc_core::message::Messages::new(bytes).next().unwrap().unwrap());
}

/// The objects, without the kernel's defaults, for which there are no notices.
pub(crate) fn there(kernel: &Kernel) -> Picture {
    let socket = kernel.connect();
    let mut follower = Follower::over(Monitor::over(socket), Connection::over(kernel.connect()));
    follower.list_anew();
    let mut picture = Picture::new();
    while let Some(Event::Listed(entry)) = follower.next().unwrap() {
        list(&mut picture, &entry);
    }
    picture.retain(|key, _| !key.contains(" none "));
    picture
}

pub(crate) fn change(kernel: &Kernel, from: u16, to: u16) {
    let mut tc = Connection::over(kernel.connect());
    let one = Handle::qdisc(1);
    let _there = tc.add(&Request::qdisc(ETH0).parent(Handle::ROOT).handle(one).options(&Htb::default()));
    let shape = HtbClass::builder(Rate::bytes_per_second(125_000)).build().unwrap();
    for minor in from..to {
        let class = Request::class(ETH0).parent(one).handle(Handle::class(1, minor));
        tc.add(&class.clone().options(&shape)).unwrap();
        if minor % 3 == 0 {
            tc.delete(&class).unwrap();
        }
    }
}

fn joined(kernel: &Kernel) -> Socket {
    let socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    socket
}

#[test]
fn a_monitor_shows_every_notice_or_says_that_it_did_not() {
    let right = seen_without_faults();
    let mut survived = 0;
    for fault in Fault::ALL {
        for call in 0..12 {
            let kernel = kernel();
            let mut monitor = Monitor::over(Faults::over(joined(&kernel)));
            monitor.transport_mut().at_call(call, fault);
            change(&kernel, 1, 8);
            let (mut seen, mut told) = (Vec::new(), false);
            let mut silence = 0;
            // Behind a `None` there can be more: nothing came in time.
            while silence < 2 {
                match monitor.receive().unwrap() {
                    Some(Notice::Message(message)) => seen.push((message.kind, message.payload.to_vec())),
                    Some(Notice::Overflow) => told = true,
                    None => silence += 1,
                }
            }
            let happened = !monitor.transport().happened().is_empty();
            survived += u32::from(happened);
            if matches!(fault, Fault::Doubled | Fault::OtherSequence | Fault::OtherPort) {
                // To a monitor all three are the same notices once more.
                let mut first = Vec::new();
                seen.retain(|notice| !first.contains(notice) && (first.push(notice.clone()), true).1);
            }
            let exempt = matches!(fault, Fault::Lost | Fault::Late | Fault::Reordered);
            assert!(
                told || seen == right || happened && exempt,
                "{fault:?} at call {call}: {} of {} notices and no word",
                seen.len(),
                right.len()
            );
        }
    }
    count(&format!("{survived} faults survived by a monitor"));
}

fn seen_without_faults() -> Vec<(u16, Vec<u8>)> {
    let kernel = kernel();
    let mut monitor = Monitor::over(joined(&kernel));
    change(&kernel, 1, 8);
    let mut seen = Vec::new();
    while let Some(Notice::Message(message)) = monitor.receive().unwrap() {
        seen.push((message.kind, message.payload.to_vec()));
    }
    seen
}

#[test]
fn follower_when_any_call_fails_has_the_right_picture_again() {
    let mut survived = 0;
    for fault in Fault::ALL {
        for on_list in [false, true] {
            for call in 0..14 {
                let kernel = kernel();
                let socket = joined(&kernel);
                // Room for a few notices: the rest is lost.
                socket.set_receive_buffer(6000);
                let monitor = Monitor::over(Faults::over(socket));
                let connection = Connection::over(Faults::over(kernel.connect()));
                let mut follower = Follower::over(monitor, connection);
                let faults = match on_list {
                    false => follower.monitor_mut().transport_mut(),
                    true => follower.connection_mut().transport_mut(),
                };
                faults.at_call(call, fault);
                let mut picture = Picture::new();
                let (mut overflows, mut errors, mut silence) = (0, 0, 0);
                change(&kernel, 1, 30);
                while silence < 3 {
                    match follower.next() {
                        Ok(None) => {
                            silence += 1;
                            if silence == 1 {
                                change(&kernel, 30, 33);
                            }
                        }
                        Ok(Some(Event::Notice(message))) => note(&mut picture, &message),
                        Ok(Some(Event::Overflow)) => {
                            overflows += 1;
                            picture.clear();
                        }
                        Ok(Some(Event::Listed(entry))) => list(&mut picture, &entry),
                        Ok(Some(_)) => {}
                        Err(error) => {
                            errors += 1;
                            picture.clear();
                            assert!(errors < 3, "{fault:?}: {error}");
                        }
                    }
                }
                picture.retain(|key, _| !key.contains(" none "));
                assert!(overflows > 0);
                let unlike_netlink = matches!(fault, Fault::Lost | Fault::Reordered | Fault::Late);
                assert!(
                    picture == there(&kernel) || unlike_netlink,
                    "{fault:?} at call {call} of {}",
                    if on_list { "the list" } else { "the notices" }
                );
                survived += 1;
            }
        }
    }
    count(&format!("{survived} pictures were right again after a loss and a fault"));
}

#[test]
fn filters_of_each_hook_are_listed_once_or_not_at_all() {
    let kernel = kernel();
    let mut tc = Connection::over(kernel.connect());
    let hooks = Request::qdisc(ETH0).parent(Handle::INGRESS).handle(Handle::qdisc(0xffff));
    let both = [Handle::FILTER_INGRESS, Handle::FILTER_EGRESS];
    for (kind, parents) in [("clsact", &both[..]), ("ingress", &both[..1])] {
        tc.add(&hooks.clone().kind(kind)).unwrap();
        for parent in parents {
            let filter = Request::filter(ETH0).parent(*parent).priority(5).protocol(ETH_P_ALL);
            tc.add(&filter.handle(Handle::from_raw(1)).options(&Matchall::default())).unwrap();
        }
        let connection = Connection::over(Faults::over(kernel.connect()));
        let mut follower = Follower::over(Monitor::over(kernel.connect()), connection);
        let filters = |follower: &mut Follower<_, _>| {
            let mut filters = 0;
            follower.list_anew();
            while let Some(Event::Listed(listed)) = follower.next()? {
                filters += usize::from(listed.entry().unwrap().message_type == RTM_NEWTFILTER);
            }
            Ok::<_, Error>(filters)
        };
        assert_eq!(filters(&mut follower).unwrap(), parents.len(), "{kind}");
        // The end of the last list, which is one of filters. (Lists take fewer calls the second time.)
        let before = follower.connection_mut().transport().calls();
        filters(&mut follower).unwrap();
        let faults = follower.connection_mut().transport_mut();
        faults.at_call(faults.calls() - before - 1, Fault::DumpFailed);
        assert!(filters(&mut follower).is_err(), "{kind}");
        tc.delete(&hooks).unwrap();
    }
}
