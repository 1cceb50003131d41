//! Asynchronous connections on a kernel, under load.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tc_core::tokio::{Connection, Follower, OwnedEvent};
use tc_core::uapi::RTM_DELQDISC;
use tc_core::{Cause, DumpRequest, Handle, OwnedEntry, Request, Transport as _, object};
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::{Net, PATIENCE, count, fewer_if_emulated};
use tests::need;

/// Devices, each with a task.
const DEVICES: usize = 8;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn root(ifindex: i32, limit: u32) -> Request<'static, object::Qdisc> {
    Request::qdisc(ifindex).parent(Handle::ROOT).handle(Handle::qdisc(1)).with_options(Pfifo::new(limit))
}

async fn next<S: futures_core::Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// Fails if `work` takes long.
async fn in_time<R>(work: impl Future<Output = R>) -> R {
    tokio::time::timeout(10 * PATIENCE, work).await.unwrap_or_else(|_| panic!("no end in sight"))
}

/// A task that changes the root qdisc of a device, and ends without one or with a limit.
async fn churn(mut tc: Connection, ifindex: i32, rounds: usize) -> Option<u32> {
    for round in 0..rounds as u32 {
        tc.replace(&root(ifindex, round + 1)).await.unwrap();
        let there = tc.get(&root(ifindex, 0)).await.unwrap();
        assert_eq!(there.options_as::<Pfifo>().unwrap(), Some(Pfifo::new(round + 1)));
        assert!(tc.add(&root(ifindex, 1)).await.unwrap_err().is_exists());
        if round % 3 == 0 {
            tc.delete(&root(ifindex, 0)).await.unwrap();
            assert!(!tc.delete_if_exists(&root(ifindex, 0)).await.unwrap());
        }
        // Others have their turn.
        tokio::task::yield_now().await;
    }
    let left = rounds % 3 != 1;
    left.then_some(rounds as u32)
}

type Picture = BTreeMap<i32, u32>;

fn note(picture: &mut Picture, entry: &OwnedEntry) {
    let entry = entry.entry().unwrap();
    if entry.header.handle != Handle::qdisc(1) {
        return;
    }
    if entry.message_type == RTM_DELQDISC {
        picture.remove(&entry.header.ifindex);
    } else if let Ok(Some(pfifo)) = entry.options_as::<Pfifo>() {
        picture.insert(entry.header.ifindex, pfifo.limit_packets);
    }
}

#[test]
fn a_stream_under_load_ends_with_the_right_picture() {
    need!("netns", "ifb");
    let _net = Net::new();
    let rounds = fewer_if_emulated(3000);
    let mut setup = tc_core::Connection::open().unwrap();
    let devices: Vec<i32> = (0..DEVICES)
        .map(|n| {
            setup.add_link(&format!("b{n}"), "ifb").unwrap();
            setup.ifindex(format!("b{n}")).unwrap()
        })
        .collect();
    setup.add_link("end", "ifb").unwrap();
    let end = setup.ifindex("end").unwrap();
    let runtime = runtime();
    // Sockets stay in the namespace of the thread that opens them.
    let (overflows, picture, expected) = runtime.block_on(async {
        let mut follower = Follower::open().unwrap();
        // Too little for what follows: notices are lost.
        follower.monitor_mut().transport_mut().set_receive_buffer(4096).unwrap();
        for limit in 1..500 {
            setup.replace(&root(end, limit)).unwrap();
        }
        setup.delete(&root(end, 0)).unwrap();
        let running = Arc::new(AtomicUsize::new(DEVICES));
        let last = root(end, 77);
        let tasks: Vec<_> = devices
            .iter()
            .map(|&ifindex| {
                let [tc, mut closing] = [(); 2].map(|()| Connection::open().unwrap());
                let (last, running) = (last.clone(), running.clone());
                tokio::spawn(async move {
                    let left = churn(tc, ifindex, rounds).await;
                    // The last one marks the end.
                    if running.fetch_sub(1, Ordering::SeqCst) == 1 {
                        closing.add(&last).await.unwrap();
                    }
                    left.map(|limit| (ifindex, limit))
                })
            })
            .collect();
        let (mut picture, mut overflows) = (Picture::new(), 0);
        let mut events = pin!(follower.into_stream());
        in_time(async {
            loop {
                let event = next(events.as_mut()).await.unwrap();
                let is_between = !matches!(event, Ok(OwnedEvent::Listed(_)));
                match event {
                    Ok(OwnedEvent::Notice(entry) | OwnedEvent::Listed(entry)) => note(&mut picture, &entry),
                    Ok(OwnedEvent::Overflow) => {
                        overflows += 1;
                        picture.clear();
                    }
                    Ok(_) => {}
                    // Changes came one after the other.
                    Err(error) => assert!(matches!(error.cause(), Cause::Interrupted(_)), "{error}"),
                }
                // All that came before it is in the picture, unless a list goes on.
                if is_between && picture.remove(&end).is_some() {
                    break;
                }
            }
        })
        .await;
        let mut expected = Picture::new();
        for task in tasks {
            expected.extend(task.await.unwrap());
        }
        (overflows, picture, expected)
    });
    assert_eq!(picture, expected);
    assert!(overflows > 0, "nothing was lost");
    count(&format!("{} requests, {overflows} losses", DEVICES * rounds * 3));
}

#[test]
fn lists_of_many_tasks_are_whole() {
    need!("netns", "ifb");
    let _net = Net::new();
    let mut setup = tc_core::Connection::open().unwrap();
    for n in 0..200 {
        setup.add_link(&format!("b{n}"), "ifb").unwrap();
        let ifindex = setup.ifindex(format!("b{n}")).unwrap();
        setup.add(&root(ifindex, 5)).unwrap();
    }
    let all = setup.list(&DumpRequest::qdiscs()).unwrap().len();
    assert!(all >= 200);
    runtime().block_on(in_time(async {
        let tasks: Vec<_> = (0..DEVICES)
            .map(|_| {
                let mut tc = Connection::open().unwrap();
                tokio::spawn(async move {
                    for round in 0..50 {
                        // A list that is given up does not disturb the next one.
                        {
                            let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
                            for _ in 0..round {
                                assert!(dump.next().await.unwrap().is_some());
                            }
                        }
                        assert_eq!(
                            tc.ifindex("b7").await.unwrap(),
                            tc.link_by_name("b7").await.unwrap().ifindex
                        );
                        let mut dump = pin!(tc.dump(&DumpRequest::qdiscs()).unwrap());
                        let mut listed = 0;
                        while let Some(entry) = next(dump.as_mut()).await {
                            entry.unwrap();
                            listed += 1;
                        }
                        assert_eq!(listed, all);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }));
}

#[test]
fn an_idle_follower_is_woken_by_a_notice() {
    need!("netns", "ifb");
    let _net = Net::new();
    let mut setup = tc_core::Connection::open().unwrap();
    setup.add_link("b0", "ifb").unwrap();
    let ifindex = setup.ifindex("b0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(in_time(async {
        let mut follower = Follower::open().unwrap();
        let waiting = tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                match follower.next().await.unwrap() {
                    tc_core::monitor::Event::DeviceGone(gone) => return (seen, gone),
                    tc_core::monitor::Event::Notice(message) => seen.push(message.kind),
                    event => panic!("{event:?}"),
                }
            }
        });
        // On one thread, it runs until it waits.
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let mut tc = Connection::open().unwrap();
        tc.add(&root(ifindex, 5)).await.unwrap();
        tc.delete_link(ifindex).await.unwrap();
        let (seen, gone) = waiting.await.unwrap();
        assert_eq!(gone, ifindex);
        assert!(!seen.is_empty());
    }));
}

#[test]
fn an_asynchronous_operation_allocates_nothing() {
    need!("netns", "ifb");
    let _net = Net::new();
    let mut setup = tc_core::Connection::open().unwrap();
    setup.add_link("b0", "ifb").unwrap();
    let request = root(setup.ifindex("b0").unwrap(), 5);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut tc = runtime.block_on(async { Connection::open().unwrap() });
    runtime.block_on(tc.replace(&request)).unwrap();
    let counted = allocation_counter::measure(|| runtime.block_on(tc.change(&request)).unwrap());
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_ne!(tc.transport().port(), 0);
}
