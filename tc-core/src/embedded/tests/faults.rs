//! Faults of the transport, and the framework's reaction to them.

use std::io;

use super::*;
use crate::connection::scripted::{Scripted, message, verdict};
use crate::{Cause, DumpRequest, Transport};

type Tc = Connection<Faults<Socket>>;

fn faulty(kernel: &Kernel, faults: &[(u64, Fault)]) -> Tc {
    let over = Faults::over(kernel.connect());
    Connection::over(faults.iter().fold(over, |over, (n, fault)| over.at(*n, *fault)))
}

fn add(tc: &mut Tc) -> Result<(), crate::Error> {
    tc.add(&root().handle(Handle::qdisc(1)).kind("tbf"))
}

#[test]
fn a_lost_answer_is_an_unknown_outcome() {
    for fault in [Fault::Lost, Fault::Late] {
        let kernel = builder().build();
        let mut tc = faulty(&kernel, &[(0, fault)]);
        let error = add(&mut tc).unwrap_err();
        assert!(matches!(error.cause(), Cause::Timeout(_)) && error.is_outcome_unknown(), "{error}");
        // It was done, and the answer that comes late is not taken for this one's.
        assert_eq!(shown(&mut tc).0, "tbf");
        assert!(add(&mut tc).unwrap_err().is_exists());
        assert_eq!(tc.transport().happened(), [fault]);
    }
}

#[test]
fn duplicate_and_forged_answers_are_skipped() {
    for fault in [Fault::Doubled, Fault::Forged, Fault::OtherSequence, Fault::OtherPort] {
        let kernel = builder().build();
        let mut tc = faulty(&kernel, &[(0, fault), (1, fault), (2, fault)]);
        add(&mut tc).unwrap();
        assert!(add(&mut tc).unwrap_err().is_exists(), "{fault:?}");
        assert_eq!(shown(&mut tc).0, "tbf");
        tc.delete(&root()).unwrap();
        assert_eq!(tc.transport().happened(), [fault; 3]);
    }
}

#[test]
fn a_full_receive_buffer_is_an_unknown_outcome() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[(0, Fault::NoBuffers)]);
    let error = add(&mut tc).unwrap_err();
    assert!(matches!(error.cause(), Cause::AnswerLost(_)) && error.is_outcome_unknown());
    assert_eq!(error.errno(), Some(libc::ENOBUFS));
    assert_eq!(shown(&mut tc).0, "tbf");
}

#[test]
fn a_truncated_answer_is_an_unknown_outcome() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[(0, Fault::Truncated)]);
    assert!(add(&mut tc).unwrap_err().is_outcome_unknown());
    assert_eq!(shown(&mut tc).0, "tbf");
}

#[test]
fn a_call_interrupted_by_a_signal_is_repeated() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[]);
    for n in [0, 2] {
        tc.transport_mut().at_call(n, Fault::Interrupted);
    }
    add(&mut tc).unwrap();
    assert_eq!(tc.transport().happened(), [Fault::Interrupted; 2]);
    assert_eq!(shown(&mut tc).0, "tbf");
    // And where several datagrams are received at once.
    tc.transport_mut().at_call(1, Fault::Interrupted);
    let mut pack = tc.group();
    pack.push(Verb::Replace, &root().handle(Handle::qdisc(1)).kind("tbf")).unwrap();
    pack.send(|_, outcome| assert!(outcome.is_ok(), "{outcome:?}")).unwrap();
    // The send is retried a bounded number of times, and known not to have happened.
    for n in 0..1000 {
        tc.transport_mut().at_call(n, Fault::Interrupted);
    }
    let error = tc.delete(&root()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Send(_)) && !error.is_outcome_unknown(), "{error}");
    assert_eq!(shown(&mut tc).0, "tbf");
}

#[test]
fn a_failed_send_is_no_unknown_outcome() {
    for fault in [Fault::NoBuffers, Fault::WouldBlock] {
        let kernel = builder().build();
        let mut tc = faulty(&kernel, &[]);
        tc.transport_mut().at_call(0, fault);
        let error = add(&mut tc).unwrap_err();
        assert!(matches!(error.cause(), Cause::Send(_)) && !error.is_outcome_unknown(), "{error}");
        assert_ne!(shown(&mut tc).0, "tbf");
    }
}

#[test]
fn an_unreadable_answer_is_an_unknown_outcome() {
    // The length in the header leads outside of the datagram.
    struct Spoiled(Socket);
    impl Transport for Spoiled {
        fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
            self.0.send(datagram)
        }
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<crate::Received> {
            let received = self.0.receive(buffer)?;
            buffer[0] = buffer[0].wrapping_add(4);
            Ok(received)
        }
        fn port(&self) -> u32 {
            self.0.port()
        }
        fn device_names(&self) -> io::Result<Box<dyn crate::wire::device::DeviceNames>> {
            self.0.device_names()
        }
    }
    let kernel = builder().build();
    let mut tc = Connection::over(Spoiled(kernel.connect()));
    let error = tc.add(&root().handle(Handle::qdisc(1)).kind("tbf")).unwrap_err();
    assert!(matches!(error.cause(), Cause::Decode(_)) && error.is_outcome_unknown(), "{error}");
}

#[test]
fn an_object_before_a_refusal_is_no_success() {
    let mut tc = Connection::over(Scripted::new(|all| {
        let shown = message(crate::wire::uapi::RTM_NEWQDISC, all[0].sequence, 7, all[0].payload);
        vec![shown.clone(), shown, verdict(&all[0], 16)]
    }));
    assert_eq!(tc.add(&root().kind("tbf")).unwrap_err().errno(), Some(16));
    assert_eq!(tc.get(&root()).unwrap_err().errno(), Some(16));
}

#[test]
fn a_flood_of_stray_datagrams_ends_in_time() {
    struct Flood;
    impl Transport for Flood {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn receive(&mut self, _: &mut [u8]) -> io::Result<crate::Received> {
            Ok(crate::Received { length: 16, sender: 4711 })
        }
        fn port(&self) -> u32 {
            7
        }
        fn device_names(&self) -> io::Result<Box<dyn crate::wire::device::DeviceNames>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
    let mut tc = Connection::over(Flood);
    let limit = std::time::Duration::from_millis(20);
    tc.set_timeout(limit).unwrap();
    let since = std::time::Instant::now();
    assert!(tc.add(&root().kind("tbf")).unwrap_err().is_outcome_unknown());
    let mut batch = tc.pipeline(|_, outcome| assert!(outcome.unwrap_err().is_outcome_unknown()));
    batch.push(Verb::Delete, &root()).unwrap();
    batch.finish();
    assert!(since.elapsed() < 100 * limit);
    // Nor is a list asked for without end that the kernel is too busy to make.
    let mut tc = Connection::over(Scripted::new(|all| vec![verdict(&all[0], 16)]));
    tc.set_timeout(limit).unwrap();
    let error = tc.list(&DumpRequest::qdiscs()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Timeout(_)), "{error}");
}

#[test]
fn an_error_names_the_attribute_and_its_policy() {
    let kernel = builder().build();
    // With the request's copy in the answer, and without.
    for capped in [true, false] {
        let socket = kernel.connect();
        socket.set_capped_acks(capped);
        let mut tc = Connection::over(socket);
        // A kind without a byte: the embedded kernel wants text.
        let error = tc.transact(|sequence, buffer| {
            let start =
                crate::wire::message::begin_message(buffer, crate::wire::uapi::RTM_NEWQDISC, 5, sequence);
            root().header().encode(buffer);
            let mut out = AttrWriter::new(buffer);
            out.attr_u32(crate::wire::uapi::TCA_OPTIONS, 0);
            out.attr(crate::wire::uapi::TCA_KIND, &[]);
            out.finish()?;
            crate::wire::message::end_message(buffer, start);
            Ok(())
        });
        let Err(Cause::Kernel(error)) = error else { panic!("{error:?}") };
        let ext_ack = &error.ext_ack;
        assert_eq!((ext_ack.offset, ext_ack.attribute.as_deref()), (Some(44), Some("TCA_KIND")));
        assert_eq!(
            error.to_string(),
            "Attribute failed policy validation (Numerical result out of range), \
             at byte 44 of the request: TCA_KIND, which has to be text"
        );
    }
}

#[test]
fn a_list_that_fails_at_its_end_is_an_error() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[(1, Fault::DumpFailed)]);
    let error = tc.list(&DumpRequest::qdiscs()).unwrap_err();
    assert_eq!((error.errno(), error.read().len()), (Some(libc::EIO), 1));
    assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 1);
}

#[test]
fn a_list_that_was_interrupted_is_read_again() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[(0, Fault::DumpInterrupted)]);
    assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 1);
    assert_eq!(tc.transport().happened(), [Fault::DumpInterrupted]);
    // One that is interrupted again and again is given up.
    let always = Chances::none().with(Fault::DumpInterrupted, 1000);
    let mut tc = Connection::over(Faults::seeded(kernel.connect(), 0, always));
    let error = tc.list(&DumpRequest::qdiscs()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Interrupted(10)), "{error}");
    assert_eq!(error.read().len(), 1, "what the last try read");
    // A single dump is not read again.
    let always = Chances::none().with(Fault::DumpInterrupted, 1000);
    let mut tc = Connection::over(Faults::seeded(kernel.connect(), 0, always));
    let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
    assert!(dump.next().unwrap().is_some());
    assert!(matches!(dump.next().unwrap_err().cause(), Cause::Interrupted(1)));
}

#[test]
fn a_list_with_a_lost_part_is_read_again() {
    for fault in [Fault::NoBuffers, Fault::Truncated] {
        let kernel = (0..100).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build();
        let mut tc = faulty(&kernel, &[(1, fault)]);
        assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 101, "{fault:?}");
        assert_eq!(tc.transport().happened(), [fault]);
    }
}

#[test]
fn a_lost_datagram_does_not_end_a_dump() {
    let kernel = (0..100).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build();
    for (n, fault) in [(0, Fault::NoBuffers), (1, Fault::NoBuffers), (1, Fault::Truncated), (1, Fault::Late)]
    {
        let mut tc = faulty(&kernel, &[(n, fault)]);
        let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
        let error = loop {
            match dump.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{fault:?} at {n}: a part is missing"),
                Err(error) => break error,
            }
        };
        assert!(error.is_outcome_unknown(), "{error}");
        drop(dump);
        assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 101, "{fault:?} at {n}");
    }
}

#[test]
fn reordered_datagrams_of_a_dump_are_all_read() {
    let kernel = (0..100).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build();
    let mut tc = faulty(&kernel, &[(0, Fault::Reordered)]);
    assert_eq!(tc.list(&DumpRequest::qdiscs()).unwrap().len(), 101);
    assert_eq!(tc.transport().happened(), [Fault::Reordered]);
}

#[test]
fn a_device_can_vanish_between_two_calls() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[]);
    add(&mut tc).unwrap();
    let unplugged = kernel.clone();
    tc.transport_mut().before_send(1, move || assert!(unplugged.remove_device(ETH0)));
    assert_eq!(shown(&mut tc).0, "tbf");
    assert_eq!(tc.delete(&root()).unwrap_err().errno(), Some(libc::ENODEV));
    assert!(tc.list(&DumpRequest::qdiscs()).unwrap().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let run = |seed| {
        let kernel = builder().build();
        let mut tc = Connection::over(Faults::seeded(kernel.connect(), seed, Chances::all(40)));
        let done: Vec<bool> = (0..200).map(|_| tc.replace(&root().kind("tbf")).is_ok()).collect();
        (done, tc.transport().happened().to_vec())
    };
    let (done, happened) = run(7);
    assert_eq!(run(7), (done.clone(), happened.clone()));
    assert_ne!(run(8).1, happened);
    let kinds: std::collections::HashSet<_> = happened.into_iter().collect();
    assert!(kinds.len() > 5 && done.contains(&true) && done.contains(&false), "{kinds:?}");
}

#[test]
fn without_faults_nothing_is_changed() {
    let kernel = builder().build();
    let mut faults = Faults::over(kernel.connect());
    let mut buffer = [0; 16];
    let error = faults.receive(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert_eq!(faults.port(), faults.inner().port());
    assert_eq!(faults.device_names().unwrap().device_name(ETH0).unwrap().to_str(), Some("eth0"));
    assert!(faults.happened().is_empty());
}
