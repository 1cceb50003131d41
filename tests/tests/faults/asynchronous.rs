//! The asynchronous connection, with every fault at every call: the operations and the judge of the one that waits.
//!
//! Time is tokio's paused clock: a time limit passes as soon as nothing else can happen.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tc_core::embedded::{Fault, Faults, Socket};
use tc_core::link::LinkChange;
use tc_core::tokio::{Connection, Follower, Monitor, OwnedEvent};
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{DumpRequest, Error, Handle, Verb};
use tc_qdiscs::htb::Htb;
use tc_qdiscs::plug::{self, Plug};
use tests::lab::count;

use crate::follow::{Picture, change, list, note, there};
use crate::operations::{Operation, TWO, class, operations, pfifo, refused_in_pack, root, shape};
use crate::world::{ETH1, Said, World, kernel, line, lines};
use crate::{Right, Trouble, judge, without_trouble};

type Tc = Connection<Faults<Socket>>;

/// Runs `work` with a clock that stands still while something happens.
fn run<R>(work: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

fn one<T>(outcome: Result<T, Error>) -> Vec<Said> {
    vec![Said::of(outcome, |_| Vec::new())]
}

fn distinct(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

/// Runs the operation with this name; `None` if the asynchronous connection has none.
async fn operate(name: &str, tc: &mut Tc) -> Option<Vec<Said>> {
    let classes = DumpRequest::classes(crate::ETH0);
    Some(match name {
        "qdisc add" | "qdisc add, refused" => one(tc.add(&root().options(&pfifo(5))).await),
        "qdisc change" => one(tc.change(&root().options(&pfifo(9))).await),
        "qdisc replace" => one(tc.replace(&root().handle(TWO).options(&Htb::default())).await),
        "qdisc delete" => one(tc.delete(&root()).await),
        "qdisc get" => vec![Said::of(tc.get(&root()).await, |entry| vec![line(&entry)])],
        "qdisc list" => {
            vec![Said::of(tc.list(&DumpRequest::qdiscs()).await, |list| distinct(lines(&list)))]
        }
        "qdisc dump" => vec![Said::of(dump(tc, &DumpRequest::qdiscs()).await, distinct)],
        "class add" => one(tc.add(&class(1).options(&shape(125_000))).await),
        "class change" => one(tc.change(&class(1).options(&shape(250_000))).await),
        "class delete" => one(tc.delete(&class(1)).await),
        "class get" => vec![Said::of(tc.get(&class(1)).await, |entry| vec![line(&entry)])],
        "class list" => vec![Said::of(tc.list(&classes).await, |list| distinct(lines(&list)))],
        "plug add, in two messages" => {
            let plug = Plug::set_limit(32_768).action(plug::Action::ReleaseIndefinite);
            one(tc.add(&root().options(&plug)).await)
        }
        "pack" => {
            let shape = shape(125_000);
            let mut group = tc.group();
            for part in 0..10 {
                let verb = if refused_in_pack(part) { Verb::Change } else { Verb::Add };
                group.push(verb, &class(part as u16 + 1).options(&shape)).unwrap();
            }
            let mut said = BTreeMap::new();
            let sent = group
                .send(|index, outcome| {
                    let outcome = outcome.map(|_| ()).map_err(|cause| Error::new("group", "", cause));
                    assert!(said.insert(index, Said::of(outcome, |()| Vec::new())).is_none());
                })
                .await;
            match sent {
                Ok(()) => said.into_values().collect(),
                Err(error) => vec![Said::Failed(error.to_string()); 10],
            }
        }
        "device change" => {
            one(tc.set_link(crate::ETH0, &LinkChange { mtu: Some(9000), ..LinkChange::default() }).await)
        }
        "device add" => one(tc.add_link("ifb7", "ifb").await),
        "device by name" => {
            vec![Said::of(tc.link_by_name("eth1").await, |link| vec![format!("{link:?}")])]
        }
        "index of a device" => vec![Said::of(tc.ifindex("eth1").await, |index| vec![index.to_string()])],
        _ => return None,
    })
}

async fn dump(tc: &mut Tc, select: &DumpRequest) -> Result<Vec<String>, Error> {
    let mut dump = tc.dump(select)?;
    let mut all = Vec::new();
    while let Some(entry) = dump.next().await? {
        all.push(line(&entry.entry()?));
    }
    Ok(all)
}

#[test]
fn every_asynchronous_operation_reports_truthfully() {
    let (mut survived, mut names, mut troubles) = (0, 0, BTreeSet::new());
    for operation in operations() {
        let mut world = World::new(operation);
        let mut tc = Connection::over(Faults::over(world.kernel.connect()));
        let Some(said) = run(operate(operation.name, &mut tc)) else { continue };
        let right = Right { said, ..without_trouble(operation) };
        let refused = |part| (operation.refused)(part);
        let as_told = |(part, said): (usize, &Said)| matches!(said, Said::Done(_)) != refused(part);
        assert!(right.said.iter().enumerate().all(as_told), "{}: {:?}", operation.name, right.said);
        assert_eq!(tc.transport().calls(), right.calls, "{}: as many system calls", operation.name);
        world.truth();
        names += 1;
        for trouble in Trouble::all() {
            for call in 0..right.calls + 2 {
                if with_trouble(operation, &right, trouble, call) {
                    survived += 1;
                    troubles.insert(format!("{trouble:?}"));
                }
            }
        }
    }
    assert!(names >= 18, "only {names} operations have names that are known here");
    assert_eq!(troubles.len(), Fault::ALL.len() + 1, "every one of them happened: {troubles:?}");
    count(&format!("{survived} faults survived: {names} asynchronous operations"));
}

fn with_trouble(operation: &Operation, right: &Right, trouble: Trouble, call: u64) -> bool {
    let mut world = World::new(operation);
    let mut faults = Faults::over(world.kernel.connect());
    match trouble {
        Trouble::Fault(fault) => faults.at_call(call, fault),
        Trouble::Unplugged => {
            let kernel = world.kernel.clone();
            faults.before_call(call, move || assert!(kernel.remove_device(crate::ETH0)));
        }
    }
    let mut tc = Connection::over(faults);
    let said = run(operate(operation.name, &mut tc)).unwrap();
    let happened = match trouble {
        Trouble::Fault(_) => !tc.transport().happened().is_empty(),
        Trouble::Unplugged => call < tc.transport().calls(),
    };
    let unplugged = trouble == Trouble::Unplugged && happened;
    judge(operation, right, &mut world, &said, trouble, unplugged, call);
    if happened {
        let next = run(tc.link_by_index(ETH1));
        assert_eq!(next.unwrap().ifindex, ETH1, "{} with {trouble:?} at call {call}", operation.name);
    }
    happened
}

/// Polls `work` until it is pending, at most this many times, and drops it.
async fn polled<R>(work: impl Future<Output = R>, times: usize) -> Option<R> {
    let mut work = pin!(work);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(outcome) = polled {
            return Some(outcome);
        }
    }
    None
}

#[test]
fn a_dropped_future_leaves_a_connection_that_can_be_used() {
    let mut dropped = 0;
    for operation in operations() {
        for call in 0..8 {
            let world = World::new(operation);
            let mut faults = Faults::over(world.kernel.connect());
            // It waits for an answer that does not come.
            faults.at_call(call, Fault::Lost);
            let mut tc = Connection::over(faults);
            run(async {
                if polled(operate(operation.name, &mut tc), 1).await.is_some() {
                    return;
                }
                dropped += 1;
                assert_eq!(tc.link_by_index(ETH1).await.unwrap().ifindex, ETH1, "{}", operation.name);
                let listed = tc.list(&DumpRequest::qdiscs()).await.unwrap().len();
                let mut other = tc_core::Connection::over(world.kernel.connect());
                assert_eq!(listed, other.list(&DumpRequest::qdiscs()).unwrap().len(), "{}", operation.name);
            });
        }
    }
    assert!(dropped > 18, "only {dropped} futures were dropped while they waited");
}

#[test]
fn a_half_read_list_does_not_disturb_the_next() {
    let kernel = kernel();
    let mut tc = Connection::over(kernel.connect());
    run(async {
        let all = tc.list(&DumpRequest::qdiscs()).await.unwrap().len();
        assert!(all > 20);
        for read in [0, 1, all / 2, all - 1] {
            {
                let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
                for _ in 0..read {
                    assert!(dump.next().await.unwrap().is_some());
                }
            }
            assert_eq!(tc.link_by_index(ETH1).await.unwrap().ifindex, ETH1);
            let mut dump = pin!(tc.dump(&DumpRequest::qdiscs()).unwrap());
            let mut count = 0;
            while let Some(entry) = next(dump.as_mut()).await {
                entry.unwrap();
                count += 1;
            }
            assert_eq!(count, all, "after {read}");
        }
    });
}

/// The next item of a stream.
async fn next<S: futures_core::Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

#[test]
fn a_lost_answer_is_unknown_after_the_time_limit() {
    let kernel = kernel();
    let mut tc = Connection::over(Faults::over(kernel.connect()).at(0, Fault::Lost));
    tc.set_timeout(Duration::from_secs(7));
    run(async {
        let since = tokio::time::Instant::now();
        let error = tc.add(&root().options(&pfifo(5))).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{error}");
        assert_eq!(since.elapsed().as_secs(), 7);
        assert!(tc.add(&root().options(&pfifo(5))).await.unwrap_err().is_exists());
    });
}

#[test]
fn a_stream_of_events_has_the_right_picture_again_after_any_fault() {
    let mut survived = 0;
    for fault in Fault::ALL {
        for on_list in [false, true] {
            for call in 0..20 {
                survived += u32::from(picture(fault, on_list, call));
            }
        }
    }
    assert!(survived > 100);
    count(&format!("{survived} pictures of a stream were right again after a fault"));
}

/// Whether the fault happened; asserts that the picture is right afterwards.
fn picture(fault: Fault, on_list: bool, call: u64) -> bool {
    let kernel = kernel();
    let socket = kernel.connect();
    socket.join(RTNLGRP_TC);
    socket.join(RTNLGRP_LINK);
    // Too small for what follows: notices are lost.
    socket.set_receive_buffer(8000);
    let [mut notices, mut lists] = [socket, kernel.connect()].map(Faults::over);
    let faulty = if on_list { &mut lists } else { &mut notices };
    faulty.at_call(call, fault);
    let mut follower = Follower::over(Monitor::over(notices), Connection::over(lists));
    follower.list_anew();
    let mut happened = false;
    change(&kernel, 1, 30);
    run(async {
        let mut picture = Picture::new();
        let mut events = pin!(follower.into_stream());
        let (mut overflows, mut errors) = (0, 0);
        let mut changed = 30;
        // Until nothing comes for long.
        loop {
            let event = tokio::time::timeout(Duration::from_secs(100), next(events.as_mut())).await;
            match event {
                Err(_) if changed < 70 => {
                    change(&kernel, changed, changed + 20);
                    changed += 20;
                }
                Err(_) => break,
                Ok(event) => match event.unwrap() {
                    Ok(OwnedEvent::Notice(notice)) => {
                        let bytes = notice.bytes().clone();
                        note(&mut picture, &tc_core::message::Messages::new(&bytes).next().unwrap().unwrap());
                    }
                    Ok(OwnedEvent::Overflow) => {
                        overflows += 1;
                        picture.clear();
                    }
                    Ok(OwnedEvent::Listed(entry)) => list(&mut picture, &entry),
                    Ok(_) => {}
                    Err(error) => {
                        errors += 1;
                        picture.clear();
                        assert!(errors < 3, "{fault:?}: {error}");
                    }
                },
            }
        }
        picture.retain(|key, _| !key.contains(" none "));
        let unlike_netlink = matches!(fault, Fault::Lost | Fault::Reordered | Fault::Late);
        assert!(overflows > 0, "{fault:?} at call {call}");
        assert!(picture == there(&kernel) || unlike_netlink, "{fault:?} at call {call}, on list: {on_list}");
        happened = true;
    });
    happened
}

#[test]
fn a_request_handle_outlives_its_future() {
    // Futures can be spawned: they are Send.
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let mut tc = Connection::over(kernel().connect());
    let request = root().with_options(pfifo(5)).handle(Handle::qdisc(3));
    run(is_send(async {
        is_send(tc.add(&request)).await.unwrap();
        is_send(tc.ensure(&request)).await.unwrap();
        is_send(tc.list(&DumpRequest::qdiscs())).await.unwrap();
        is_send(tc.get(&request)).await.unwrap();
    }));
}
