//! Epochs through the library.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::time::Duration;

use tc_core::{Connection, Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Ack, AttachOptions, DetachMode, Limit, OnDeath, OnTaint, OutputCommit};
use tests::lab::{PATIENCE, Pair};

use crate::{Row, time};

const LIMIT: NonZeroU32 = NonZeroU32::new(10_000_000).expect("not 0");

/// With all that a session checks.
pub(crate) fn epochs(cycles: usize) -> Vec<Row> {
    let dir = env::temp_dir().join(format!("tc-plug-bench-{}", std::process::id()));
    let pair = Pair::new();
    let options =
        AttachOptions::new(Limit::bytes(LIMIT), OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let mut session = OutputCommit::attach(&[Pair::NEAR], options).expect("a fresh device takes a plug");
    session.start_buffer().expect("it holds");
    let mut times = [(); 3].map(|()| Vec::with_capacity(cycles));
    for _ in 0..cycles {
        pair.send(&[1]);
        let (mut epoch, mut released) = (None, None);
        let close = time(|| epoch = Some(session.close()));
        let epoch = epoch.and_then(Result::ok).expect("nothing disturbs the queue");
        let ack = Ack::of(epoch.number());
        let release = time(|| released = Some(session.release(epoch, ack)));
        released.and_then(Result::ok).expect("nothing disturbs the queue");
        assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
        for (times, time) in times.iter_mut().zip([close, release, close + release]) {
            times.push(time);
        }
    }
    session.detach(DetachMode::Remove).expect("it ends in order");
    let _gone = fs::remove_dir_all(&dir);
    let names = ["library: close", "library: release, with its checks", "library: both"];
    names.into_iter().zip(times).map(|(name, times)| Row::new(name, times)).collect()
}

/// The two requests and nothing else.
pub(crate) fn bare(cycles: usize) -> Vec<Row> {
    let pair = Pair::new();
    let mut tc = Connection::open().expect("a socket");
    let near = tc.ifindex(Pair::NEAR).expect("the device");
    let root = Request::qdisc(near).parent(Handle::ROOT).handle(Handle::qdisc(1));
    let plug = Plug::set_limit(LIMIT.get());
    tc.add(&root.clone().options(&plug)).expect("a fresh device takes a plug");
    let (buffer, release) = (Plug::buffer(), Plug::release_one());
    let mut order = |plug: &Plug| {
        tc.apply_as_it_is(Verb::Change, &root.clone().options(plug)).expect("a plug takes orders");
    };
    let times: Vec<Duration> = (0..cycles)
        .map(|_| {
            pair.send(&[1]);
            let took = time(|| {
                order(&buffer);
                order(&release);
            });
            assert_eq!(pair.receive(1, PATIENCE), [1], "the epoch leaves");
            took
        })
        .collect();
    vec![Row::new("library: both requests alone, unchecked", times)]
}
