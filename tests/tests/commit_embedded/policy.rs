//! The state of the network after a taint, and its report.

use tc_core::message::Messages;
use tc_core::uapi::NLMSG_ERROR;
use tc_core::{Handle, Verb};
use tc_qdiscs::plug::Plug;

use super::guards::{goes_on, root};
use super::*;

#[test]
fn rescue_reports_the_worst_and_opens_no_foreign_plug() {
    let plug = Plug::set_limit(9999);
    for (on_taint, fate) in
        [(OnTaint::FailClosed, NetworkState::HeldAnew), (OnTaint::FailOpen, NetworkState::Opened)]
    {
        for device in [0, 1] {
            let mut world = World::new(on_taint, OnDrop::Taint, 32_768).unwrap();
            world.session.start_buffer().unwrap();
            let theirs = root(device).handle(Handle::qdisc(7)).options(&plug);
            world.other().apply_as_it_is(Verb::Replace, &theirs).unwrap();
            assert_eq!(cause(world.session.check().unwrap_err()).1, NetworkState::Foreign);
            world.send(b"1");
            let sent = world.sent();
            assert_eq!(sent[device], [b""; 0], "{on_taint:?}");
            assert_eq!(sent[1 - device].is_empty(), fate == NetworkState::HeldAnew, "{on_taint:?}");
            assert!(matches!(
                world.session.restart(),
                Err(Error::WrongState { network: NetworkState::Foreign, .. })
            ));
            // The undo: it is deleted.
            world.other().delete(&root(device)).unwrap();
            world.session.restart().unwrap();
            if on_taint == OnTaint::FailOpen {
                world.session.start_buffer().unwrap();
            }
            world.sent();
            goes_on(&mut world);
        }
    }
}

#[test]
fn what_has_the_kernels_default_again_is_open() {
    let mut world = World::new(OnTaint::FailOpen, OnDrop::Taint, 32_768).unwrap();
    world.session.start_buffer().unwrap();
    for device in [0, 1] {
        world.other().delete(&root(device)).unwrap();
    }
    assert_eq!(cause(world.session.check().unwrap_err()).1, NetworkState::OpenedEmpty);
    world.send(b"0");
    assert_eq!(world.sent(), both(&[b"0"]));
}

#[test]
fn packets_dropped_by_a_reset_are_not_reported_as_left() {
    for (refilled, expected) in [(false, NetworkState::OpenedEmpty), (true, NetworkState::Opened)] {
        let mut world = World::new(OnTaint::FailOpen, OnDrop::Taint, 32_768).unwrap();
        world.session.start_buffer().unwrap();
        world.send(b"0");
        for device in DEVICES {
            world.kernel.set_carrier(device, false);
            world.kernel.set_carrier(device, true);
        }
        if refilled {
            world.kernel.send(DEVICES[1], *b"1");
        }
        assert_eq!(cause(world.session.check().unwrap_err()).1, expected);
        assert_eq!(world.sent().concat().len(), usize::from(refilled));
        world.session.restart().unwrap();
        assert_eq!(world.session.state(), State::Open);
    }
}

/// Makes a refusal of a success.
fn refuse(answer: &mut [u8]) {
    if Messages::new(answer).flatten().any(|message| message.kind == NLMSG_ERROR) {
        answer[16..20].copy_from_slice(&(-1_i32).to_ne_bytes()); // EPERM
    }
}

#[test]
fn what_could_not_be_opened_is_not_said_to_be_open() {
    let unknown = (0..8).filter(|before| {
        let mut world = World::new(OnTaint::FailOpen, OnDrop::Taint, 32_768).unwrap();
        world.session.start_buffer().unwrap();
        let as_it_is: fn(&mut [u8]) = |_| {};
        let changes = [vec![as_it_is; *before], vec![refuse]].concat();
        world.tc.get().inner_mut().changes.extend(changes);
        world.session.abort().unwrap() == NetworkState::Unknown
    });
    assert_eq!(unknown.count(), 2, "the opening of each device");
}
