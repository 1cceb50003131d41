//! The checks of a session, one by one: without each, packets leave or are lost needlessly.

use tc_core::link::LinkChange;
use tc_core::{Handle, Request, Verb, object};
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::Plug;

use super::*;

type Happening<'a> = &'a dyn Fn(&World);

pub(crate) fn root(device: usize) -> Request<'static, object::Qdisc> {
    Request::qdisc(DEVICES[device]).parent(Handle::ROOT)
}

fn ingress(device: usize) -> Request<'static, object::Qdisc> {
    let handle = Handle::qdisc(0xffff);
    Request::qdisc(DEVICES[device]).parent(Handle::INGRESS).handle(handle).kind("ingress")
}

fn flap(kernel: &Kernel, device: usize) {
    kernel.set_carrier(DEVICES[device], false);
    kernel.set_carrier(DEVICES[device], true);
}

/// Whether the session holds, and releases what it closed and nothing else.
pub(crate) fn goes_on(world: &mut World) {
    let number = world.session.epoch();
    world.send(b"closed");
    let epoch = world.session.close().unwrap();
    world.send(b"open");
    world.session.release(epoch, Ack::of(number)).unwrap();
    assert_eq!(world.sent(), both(&[b"closed"]));
}

#[test]
fn send_when_one_device_fails_names_it_and_fails_for_all() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.send(b"0");
    world.other().delete(&root(0)).unwrap();
    world.kernel.remove_device(DEVICES[1]);
    let Error::Tainted { taint, network } = world.session.close().unwrap_err() else { panic!() };
    assert_eq!((taint.device.as_str(), taint.cause), ("eth0", TaintCause::PlugGone));
    assert_eq!(network, NetworkState::HeldAnew, "a device that is gone says nothing of the other");
    world.send(b"1");
    assert_eq!(world.sent(), NONE);
}

#[test]
fn what_a_look_finds_is_told_also_where_no_notice_came() {
    let pfifo = Pfifo::new(5);
    let other_kind = |world: &World| {
        world.other().delete(&root(1)).unwrap();
        world.other().add(&root(1).handle(Handle::qdisc(0xc01)).options(&pfifo)).unwrap();
    };
    let gone = |world: &World| assert!(world.kernel.remove_device(DEVICES[1]));
    let other_handle = |world: &World| {
        world.other().replace(&root(1).handle(Handle::qdisc(7)).options(&pfifo)).unwrap();
    };
    let not_ours = TaintCause::NotOurs { kind: "pfifo".into(), handle: Handle::qdisc(0xc01) };
    let causes: [(Happening<'_>, _, _); 3] = [
        (&other_kind, not_ours, NetworkState::Foreign),
        (&gone, TaintCause::DeviceGone, NetworkState::HeldAnew),
        (&other_handle, TaintCause::PlugGone, NetworkState::Foreign),
    ];
    for (happens, expected, left) in causes {
        let mut world = world();
        world.session.start_buffer().unwrap();
        happens(&world);
        drain(&world.monitor);
        assert_eq!(cause(world.session.check().unwrap_err()), (expected, left));
    }
}

/// As the kernel shows them while a queue is being sent from.
#[test]
fn counters_that_do_not_account_for_all_are_read_again() {
    // One packet of 999 bytes waits, and is not shown.
    let hide: fn(&mut [u8]) = |answer| {
        for at in 0..answer.len() - 3 {
            if answer[at..at + 4] == 999_u32.to_ne_bytes() {
                answer[at..at + 4].fill(0);
            }
        }
    };
    for (readings, fine) in [(3, true), (50, false)] {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.kernel.send(DEVICES[0], [0; 999]);
        world.session.check().unwrap();
        world.tc.get().inner_mut().changes.extend([hide, |_| {}].repeat(readings).iter());
        let checked = world.session.check();
        assert_eq!(checked.is_ok(), fine, "{readings} readings: {checked:?}");
        if let Err(error) = checked {
            assert_eq!(cause(error).0, TaintCause::HeldLost { bytes: 999 });
        }
    }
}

#[test]
fn what_happened_while_it_was_open_is_no_news() {
    let mut world = World::new(OnTaint::FailClosed, OnDrop::Taint, 2000).unwrap();
    world.kernel.set_transmitting(DEVICES[0], false);
    (0..30).for_each(|_| world.send(&[0; 100]));
    world.kernel.set_transmitting(DEVICES[0], true);
    flap(&world.kernel, 0);
    let change = LinkChange { tx_queue_len: Some(77), ..LinkChange::default() };
    world.other().set_link(DEVICES[1], &change).unwrap();
    assert!(world.kernel.lose_queues(DEVICES[1], 1));
    world.other().add(&ingress(0)).unwrap();
    world.sent();
    world.session.start_buffer().unwrap();
    goes_on(&mut world);
    // But it does not start where the queue will be reset, or is gone.
    world.session.open().unwrap();
    world.kernel.set_carrier(DEVICES[1], false);
    assert!(matches!(world.session.start_buffer(), Err(Error::DeviceDown { device }) if device == "eth1"));
    assert_eq!(world.session.state(), State::Open);
    world.kernel.remove_device(DEVICES[1]);
    assert_eq!(cause(world.session.start_buffer().unwrap_err()).0, TaintCause::DeviceGone);
}

#[test]
fn packets_that_did_not_fit_taint_or_are_reported() {
    for (on_drop, closes) in [(OnDrop::Taint, true), (OnDrop::Taint, false), (OnDrop::Report, true)] {
        let mut world = World::new(OnTaint::FailClosed, on_drop, 2000).unwrap();
        world.session.start_buffer().unwrap();
        for _ in 0..30 {
            world.kernel.send(DEVICES[1], [0; 100]);
        }
        let told =
            if closes { world.session.close().map(Some) } else { world.session.check().map(|()| None) };
        match told {
            Ok(epoch) => {
                assert_eq!(on_drop, OnDrop::Report);
                let released = world.session.release(epoch.unwrap(), Ack::of(0)).unwrap();
                assert_eq!((released.dropped_packets, released.peak_bytes), (10, 2000));
                goes_on_with(&mut world);
            }
            Err(error) => {
                assert_eq!(on_drop, OnDrop::Taint);
                let (cause, network) = cause(error);
                assert!(matches!(cause, TaintCause::Dropped { packets: 10, .. }), "{cause}");
                assert_eq!((network, world.sent()), (NetworkState::HeldAnew, NONE));
            }
        }
    }
}

/// The next epoch has no drops of the last one.
fn goes_on_with(world: &mut World) {
    let epoch = world.session.close().unwrap();
    assert_eq!(world.session.release(epoch, Ack::of(1)).unwrap().dropped_packets, 0);
}

#[test]
fn after_a_restart_it_counts_anew_and_knows_no_token_of_before() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    goes_on(&mut world);
    let epoch = world.session.close().unwrap();
    world.send(&[0; 500]);
    flap(&world.kernel, 1);
    world.session.check().unwrap_err();
    world.send(b"lost");
    world.session.restart().unwrap();
    let refused = world.session.release(epoch, Ack::of(1)).unwrap_err();
    assert!(matches!(refused, Error::OtherSession { .. }), "{refused}");
    goes_on(&mut world);
    // As many failures as there may be, on either plug.
    for _ in 0..3 {
        (0..3).for_each(|_| flap(&world.kernel, 0));
        world.session.check().unwrap_err();
        world.session.restart().unwrap();
        goes_on(&mut world);
    }
}

#[test]
fn an_acknowledgement_of_another_epoch_releases_nothing() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.send(b"0");
    let epoch = world.session.close().unwrap();
    let error = world.session.release(epoch, Ack::of(1)).unwrap_err();
    assert!(matches!(error, Error::AckOutOfOrder { acknowledged: 1, .. }), "{error}");
    assert!(matches!(world.session.close(), Err(Error::EpochOutstanding { number: 0 })));
    assert_eq!(world.sent(), NONE);
    world.session.release(error.into_epoch().unwrap(), Ack::of(0)).unwrap();
    assert_eq!(world.sent(), both(&[b"0"]));
}

#[test]
fn what_a_state_does_not_allow_changes_nothing() {
    let mut world = world();
    let refused = |outcome: Result<(), Error>| matches!(outcome, Err(Error::WrongState { .. }));
    assert!(refused(world.session.close().map(|_| ())) && refused(world.session.check()));
    assert!(refused(world.session.abort().map(|_| ())) && refused(world.session.open()));
    assert!(refused(world.session.restart()));
    world.send(b"0");
    assert_eq!(world.sent(), both(&[b"0"]));
    world.session.start_buffer().unwrap();
    assert!(refused(world.session.start_buffer()) && refused(world.session.restart()));
    goes_on(&mut world);
    assert_eq!(world.session.counts().held_packets, 2);
    world.session.abort().unwrap();
    assert_eq!(world.session.counts().held_packets, 0, "of the new plugs");
    assert!(refused(world.session.detach(DetachMode::Leave)));
}

#[test]
fn a_notice_that_cannot_be_read_taints() {
    // A length beyond the end, and a malformed attribute.
    let changes: [fn(&mut [u8]); 2] =
        [|notice| notice[..4].fill(0xff), |notice| notice[32..34].copy_from_slice(&[2, 0])];
    for change in changes {
        let mut world = world();
        world.session.start_buffer().unwrap();
        drain(&world.monitor);
        let mtu = LinkChange { mtu: Some(1400), ..LinkChange::default() };
        world.other().set_link(DEVICES[0], &mtu).unwrap();
        world.monitor.get().inner_mut().changes.push_back(change);
        let (cause, network) = cause(world.session.check().unwrap_err());
        assert!(matches!(cause, TaintCause::Command { .. } | TaintCause::Unreadable(_)), "{cause}");
        assert_eq!(network, NetworkState::HeldAnew);
    }
}

/// As many bytes come as were lost, so that no counter shows it.
#[test]
fn a_reset_that_new_packets_make_up_for_is_found() {
    let resets: [(Happening<'_>, TaintCause); 3] = [
        (&|world| world.other().add(&ingress(1)).map(drop).unwrap(), TaintCause::IngressTouched { port: 0 }),
        (&|world| assert!(world.kernel.lose_queues(DEVICES[1], 1)), TaintCause::QueueLost),
        (&|world| flap(&world.kernel, 1), TaintCause::Carrier),
    ];
    for (resets, expected) in resets {
        let mut world = world();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        let epoch = world.session.close().unwrap();
        resets(&world);
        world.send(b"1");
        let (seen, network) = cause(world.session.release(epoch, Ack::of(0)).unwrap_err());
        match seen {
            TaintCause::IngressTouched { .. } => {
                assert!(matches!(expected, TaintCause::IngressTouched { .. }))
            }
            seen => assert_eq!(seen, expected),
        }
        assert_eq!((network, world.sent()), (NetworkState::HeldAnew, NONE));
        world.session.restart().unwrap();
        goes_on(&mut world);
    }
}

#[test]
fn a_device_of_several_queues_taints_when_it_is_renamed() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    let rename: fn(&mut [u8]) = |notice| {
        for at in 0..notice.len() - 4 {
            if &notice[at..at + 4] == b"eth1" {
                notice[at..at + 4].copy_from_slice(b"eth7");
            }
        }
    };
    drain(&world.monitor);
    let mtu = LinkChange { mtu: Some(1400), ..LinkChange::default() };
    world.other().set_link(DEVICES[1], &mtu).unwrap();
    world.monitor.get().inner_mut().changes.push_back(rename);
    let (seen, _) = cause(world.session.check().unwrap_err());
    assert_eq!(seen, TaintCause::Renamed { name: "eth7".into() });
}

/// Whatever it is, and at whichever call of a release it happens.
#[test]
fn release_when_a_queue_changes_meanwhile_fails() {
    let happenings: [fn(&Kernel); 7] = [
        |kernel| Connection::over(kernel.connect()).add(&ingress(1)).map(drop).unwrap(),
        |kernel| assert!(kernel.lose_queues(DEVICES[1], 1)),
        |kernel| flap(kernel, 1),
        |kernel| drop(Connection::over(kernel.connect()).delete(&root(1))),
        |kernel| assert!(kernel.remove_device(DEVICES[1])),
        |kernel| {
            let change = LinkChange { tx_queue_len: Some(77), ..LinkChange::default() };
            Connection::over(kernel.connect()).set_link(DEVICES[1], &change).unwrap();
        },
        |kernel| {
            let handle = Handle::qdisc(0xc01);
            let theirs = Plug::buffer();
            let request = root(1).handle(handle).options(&theirs);
            Connection::over(kernel.connect()).apply_as_it_is(Verb::Change, &request).unwrap();
        },
    ];
    for (at, happens) in happenings.into_iter().enumerate() {
        for on_monitor in [false, true] {
            for call in 0.. {
                let mut world = world();
                world.session.start_buffer().unwrap();
                world.send(b"0");
                let epoch = world.session.close().unwrap();
                let kernel = world.kernel.clone();
                let hand = if on_monitor { world.monitor.clone() } else { world.tc.clone() };
                let before = hand.get().calls();
                hand.get().before_call(call, move || happens(&kernel));
                let released = world.session.release(epoch, Ack::of(0));
                if hand.get().calls() - before <= call {
                    break;
                }
                assert!(released.is_err(), "happening {at} at call {call}, on the monitor: {on_monitor}");
                world.sent();
                world.send(b"1");
                assert_eq!(world.sent(), NONE, "happening {at} at call {call}, on the monitor: {on_monitor}");
            }
        }
    }
}

#[test]
fn policy_when_closing_lets_nothing_out_and_reports_failures() {
    for call in 0..8 {
        let mut world = world();
        world.session.start_buffer().unwrap();
        flap(&world.kernel, 0);
        let kernel = world.kernel.clone();
        world.tc.get().before_send(call, move || {
            for device in DEVICES {
                kernel.send(device, *b"between");
            }
        });
        // The send of the first replacement: after a look, and a request for the root.
        world.tc.get().at_call(6, Fault::NoBuffers);
        assert_eq!(cause(world.session.check().unwrap_err()), (TaintCause::Carrier, NetworkState::Unknown));
        assert_eq!(world.sent(), NONE);
        world.session.restart().unwrap();
        goes_on(&mut world);
    }
}

#[test]
fn what_was_let_go_stays_let_go_whatever_follows() {
    let mut world = world();
    world.session.start_buffer().unwrap();
    world.kernel.set_transmitting(DEVICES[0], false);
    world.send(b"0");
    assert!(matches!(world.session.detach(DetachMode::Remove), Err(Error::StillDraining { .. })));
    world.tc.get().next(Fault::Lost);
    let (_, network) = cause(world.session.detach(DetachMode::Remove).unwrap_err());
    assert_eq!(network, NetworkState::Open);
    world.kernel.set_transmitting(DEVICES[0], true);
    assert_eq!(world.sent(), both(&[b"0"]));
}
