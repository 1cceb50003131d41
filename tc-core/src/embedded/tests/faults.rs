//! What goes wrong on the way, and what the framework makes of it.

use std::io;

use super::*;
use crate::{Cause, Select, Transport};

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
fn answers_that_are_doubled_or_forged_are_passed_over() {
    for fault in [Fault::Doubled, Fault::Forged] {
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
fn an_interrupted_or_truncated_receive_is_an_unknown_outcome() {
    for fault in [Fault::Interrupted, Fault::Truncated] {
        let kernel = builder().build();
        let mut tc = faulty(&kernel, &[(0, fault)]);
        assert!(add(&mut tc).unwrap_err().is_outcome_unknown(), "{fault:?}");
        assert_eq!(shown(&mut tc).0, "tbf");
    }
}

#[test]
fn a_list_that_was_interrupted_is_read_again() {
    let kernel = builder().build();
    let mut tc = faulty(&kernel, &[(0, Fault::DumpInterrupted)]);
    assert_eq!(tc.list(&Select::qdiscs()).unwrap().len(), 1);
    assert_eq!(tc.transport().happened(), [Fault::DumpInterrupted]);
    // One that is interrupted again and again is given up.
    let always = Chances::none().with(Fault::DumpInterrupted, 1000);
    let mut tc = Connection::over(Faults::seeded(kernel.connect(), 0, always));
    let error = tc.list(&Select::qdiscs()).unwrap_err();
    assert!(matches!(error.cause(), Cause::Interrupted(_)), "{error}");
}

#[test]
fn a_piece_of_a_dump_that_is_lost_is_not_an_end() {
    let kernel = (0..100).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build();
    for (n, fault) in [(0, Fault::NoBuffers), (1, Fault::NoBuffers), (1, Fault::Truncated), (1, Fault::Late)]
    {
        let mut tc = faulty(&kernel, &[(n, fault)]);
        tc.list(&Select::qdiscs()).unwrap_err();
        assert_eq!(tc.list(&Select::qdiscs()).unwrap().len(), 101, "{fault:?} at {n}");
    }
}

#[test]
fn pieces_of_a_dump_in_another_order_are_all_read() {
    let kernel = (0..100).fold(builder(), |all, n| all.device(Device::new(&format!("d{n}")))).build();
    let mut tc = faulty(&kernel, &[(0, Fault::Reordered)]);
    assert_eq!(tc.list(&Select::qdiscs()).unwrap().len(), 101);
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
    assert!(tc.list(&Select::qdiscs()).unwrap().is_empty());
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
    assert_eq!(faults.device_names().unwrap().device_name(ETH0).unwrap().as_str(), "eth0");
    assert!(faults.happened().is_empty());
}
