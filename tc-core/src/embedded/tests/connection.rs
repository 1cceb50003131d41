//! Requests and lists.

use super::*;
use crate::wire::uapi::*;
use crate::{Cause, DumpRequest, Stab};

fn text(error: &crate::Error) -> Option<&str> {
    error.kernel()?.ext_ack.message.as_deref()
}

#[test]
fn every_verb() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    assert_eq!(shown(&mut tc).0, "pfifo_fast");
    tc.add(&root().handle(Handle::qdisc(1)).kind("pfifo")).unwrap();
    assert_eq!(shown(&mut tc), ("pfifo".into(), Handle::qdisc(1), None));
    let error = tc.add(&root().handle(Handle::qdisc(1)).kind("pfifo")).unwrap_err();
    assert!(error.is_exists());
    assert_eq!(text(&error), Some("Exclusivity flag on, cannot modify"));
    let error = tc.change(&root().handle(Handle::qdisc(2)).kind("pfifo")).unwrap_err();
    assert_eq!((error.errno(), text(&error)), (Some(libc::EEXIST), Some("NLM_F_REPLACE needed to override")));
    tc.replace(&root().handle(Handle::qdisc(2)).kind("tbf")).unwrap();
    assert_eq!(shown(&mut tc), ("tbf".into(), Handle::qdisc(2), None));
    let error = tc.link(&root().handle(Handle::qdisc(3)).kind("tbf")).unwrap_err();
    assert_eq!(text(&error), Some("Qdisc not found. To create specify NLM_F_CREATE flag"));
    tc.delete(&root()).unwrap();
    let error = tc.delete(&root()).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(text(&error), Some("Cannot delete qdisc with handle of zero"));
    assert_eq!(shown(&mut tc).0, "pfifo_fast", "the default is back");
    let error = tc.add(&Request::qdisc(99).parent(Handle::ROOT).kind("tbf")).unwrap_err();
    assert_eq!((error.errno(), text(&error)), (Some(libc::ENODEV), None));
    let error = tc.get(&Request::qdisc(99).parent(Handle::ROOT)).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENODEV));
}

#[test]
fn new_handles_start_at_8001() {
    let kernel = builder().device(Device::new("eth1").ifindex(7)).build();
    let mut tc = Connection::over(kernel.connect());
    for (ifindex, handle) in [(ETH0, "8001:"), (7, "8002:")] {
        let request = Request::qdisc(ifindex).parent(Handle::ROOT);
        tc.add(&request.clone().kind("tbf")).unwrap();
        assert_eq!(tc.get(&request).unwrap().header.handle.to_string(), handle);
    }
}

#[test]
fn an_error_points_at_the_bad_attribute() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    let error = tc.add(&root().kind("tbf").estimator(crate::Estimator { interval: 9, ewma_log: 1 }));
    assert_eq!(text(&error.unwrap_err()), Some("Failed to generate new estimator"));
    // A kind of no bytes: NLA_STRING wants one.
    let mut socket = kernel.connect();
    let mut message = vec![0; 40];
    message[..4].copy_from_slice(&40_u32.to_ne_bytes());
    message[4..8].copy_from_slice(&[36_u16.to_ne_bytes(), 5_u16.to_ne_bytes()].concat());
    message[36..40].copy_from_slice(&[4_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
    crate::Transport::send(&mut socket, &message).unwrap();
    let mut buffer = [0; 512];
    let received = crate::Transport::receive(&mut socket, &mut buffer).unwrap();
    let answer = crate::wire::message::Messages::new(&buffer[..received.length]).next().unwrap().unwrap();
    let error = crate::wire::ack::decode_error(&answer).unwrap().unwrap_err();
    assert_eq!((error.errno, error.ext_ack.offset), (libc::ERANGE, Some(36)));
    assert_eq!(error.ext_ack.policy.unwrap().to_string(), "text");
}

#[test]
fn a_careful_change_refuses_a_foreign_qdisc() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    tc.add(&root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    let gate = Gate { number: 1, later: None };
    let error = tc.change(&root().options(&gate)).unwrap_err();
    assert!(matches!(error.cause(), Cause::Refused(_)), "{error}");
    assert_eq!(shown(&mut tc).0, "tbf");
    // Nor one that appears in between: the look finds the default.
    tc.delete(&root()).unwrap();
    let mut faults = Connection::over(Faults::over(kernel.connect()));
    let theirs = kernel.clone();
    faults.transport_mut().before_send(1, move || {
        Connection::over(theirs.connect()).add(&root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    });
    let error = faults.change(&root().options(&gate)).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(shown(&mut tc).0, "tbf");
    // A single change message replaces the foreign qdisc.
    tc.apply_as_it_is(Verb::Change, &root().options(&gate)).unwrap();
    assert_eq!(shown(&mut tc).0, "gate");
}

#[test]
fn a_careful_change_keeps_the_size_table() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    let stab = Stab { overhead: 4, mpu: 64, ..Stab::default() };
    tc.add(&root().options(&Gate { number: 1, later: None }).stab(&stab)).unwrap();
    let read =
        |tc: &mut Connection<Socket>| tc.get(&root()).unwrap().attr(TCA_STAB).map(|a| a.payload.to_vec());
    let before = read(&mut tc);
    assert!(before.is_some());
    tc.change(&root().options(&Gate { number: 2, later: None })).unwrap();
    assert_eq!((read(&mut tc), shown(&mut tc).2), (before.clone(), Some(2_u32.to_ne_bytes().to_vec())));
    let other = Stab { overhead: 8, ..stab };
    tc.change(&root().options(&Gate::default()).stab(&other)).unwrap();
    assert!(read(&mut tc) != before, "its own comes first");
    tc.apply_as_it_is(Verb::Change, &root().options(&Gate::default())).unwrap();
    assert_eq!(read(&mut tc), None, "a careless change loses it");
}

#[test]
fn a_failed_second_request_undoes_the_add() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    tc.add(&root().options(&Gate { number: 1, later: Some(2) })).unwrap();
    assert_eq!(shown(&mut tc).2, Some(2_u32.to_ne_bytes().to_vec()));
    tc.delete(&root()).unwrap();
    let error = tc.add(&root().options(&Gate { number: 1, later: Some(13) })).unwrap_err();
    assert_eq!((error.errno(), text(&error)), (Some(libc::ERANGE), Some("Thirteen is not accepted")));
    assert_eq!(shown(&mut tc).0, "pfifo_fast", "all of it or nothing");
    // Whether it was taken back is not known, if the answer to that is lost.
    let mut tc = Connection::over(Faults::over(kernel.connect()).at(4, Fault::Lost));
    let error = tc.add(&root().options(&Gate { number: 1, later: Some(13) })).unwrap_err();
    assert!(error.is_outcome_unknown() && tc.transport().happened() == [Fault::Lost], "{error}");
}

#[test]
fn careful_requests_keep_their_order_in_a_batch() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    let mut told = Vec::new();
    let mut batch = tc.pipeline(|index, outcome| told.push((index, outcome.is_ok())));
    let gate = Gate { number: 1, later: Some(2) };
    batch.push(Verb::Add, &root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    batch.push(Verb::Change, &root().options(&gate)).unwrap();
    batch.push(Verb::Delete, &root()).unwrap();
    batch.push(Verb::Add, &root().options(&gate)).unwrap();
    batch.finish();
    assert_eq!(told, [(0, true), (1, false), (2, true), (3, true)]);
    assert_eq!(shown(&mut tc).2, Some(2_u32.to_ne_bytes().to_vec()));
}

/// A kernel with enough devices that a dump takes several datagrams.
fn crowded() -> Kernel {
    (0..100).fold(builder(), |builder, n| builder.device(Device::new(&format!("d{n}")))).build()
}

#[test]
fn a_dump_comes_in_pieces() {
    let kernel = crowded();
    let mut tc = Connection::over(kernel.connect());
    let all = tc.list(&DumpRequest::qdiscs()).unwrap();
    assert_eq!(all.len(), 101);
    assert_eq!(tc.list(&DumpRequest::qdiscs().device(ETH0)).unwrap().len(), 1);
    assert_eq!(tc.list(&DumpRequest::classes(ETH0)).unwrap().len(), 0);
    assert_eq!(tc.list(&DumpRequest::classes(4711)).unwrap().len(), 0, "no such device, and no error");
}

#[test]
fn a_half_read_dump_does_not_disturb_the_next_request() {
    let kernel = crowded();
    let mut tc = Connection::over(kernel.connect());
    for _ in 0..3 {
        let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
        dump.next().unwrap().unwrap();
        drop(dump);
        let nothing = crate::Transport::receive(tc.transport_mut(), &mut [0; 16]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(shown(&mut tc).0, "pfifo_fast");
    }
    assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 101);
}

#[test]
fn two_dumps_at_once_are_refused() {
    let kernel = crowded();
    let mut socket = kernel.connect();
    let mut request = bytes::BytesMut::new();
    DumpRequest::qdiscs().encode(1, &mut request).unwrap();
    crate::Transport::send(&mut socket, &request).unwrap();
    crate::Transport::send(&mut socket, &request).unwrap();
    let mut buffer = [0; 65536];
    let mut errors = Vec::new();
    while let Ok(received) = crate::Transport::receive(&mut socket, &mut buffer) {
        for message in crate::wire::message::Messages::new(&buffer[..received.length]).flatten() {
            if message.kind == NLMSG_ERROR {
                errors.push(crate::wire::ack::decode_error(&message).unwrap().unwrap_err().errno);
            }
        }
    }
    assert_eq!(errors, [libc::EBUSY]);
}

#[test]
fn any_bytes_are_survived() {
    use proptest::prelude::*;
    let kernel = builder().device(Device::new("eth1").tx_queues(4)).build();
    let kinds = prop::sample::select((16u16..64).collect::<Vec<_>>());
    proptest!(ProptestConfig::with_cases(2000), |(
        kind in kinds,
        flags in any::<u16>(),
        mut bytes in prop::collection::vec(any::<u8>(), 16..120),
        known in any::<bool>(),
    )| {
        let mut socket = kernel.connect();
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        if known && bytes.len() > 36 {
            bytes[20..24].copy_from_slice(&ETH0.to_ne_bytes());
            bytes[28..32].copy_from_slice(&Handle::ROOT.raw().to_ne_bytes());
        }
        crate::Transport::send(&mut socket, &bytes).unwrap();
        let mut buffer = [0; 4096];
        while crate::Transport::receive(&mut socket, &mut buffer).is_ok() {}
    });
    // It still works.
    let mut tc = Connection::over(kernel.connect());
    tc.replace(&root().kind("tbf")).unwrap();
    assert_eq!(shown(&mut tc).0, "tbf");
}
