//! Many requests at once, against a real kernel.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::fs;

use tc_core::rate::Rate;
use tc_core::{Cause, Connection, Handle, Pipeline, Request, Socket, Transport, Verb};
use tc_qdiscs::htb::HtbClass;
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::{Net, fewer_if_emulated, shaped};
use tests::need;

const ONE: Handle = Handle::qdisc(1);

/// Memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn pipeline_of_100_000_requests_keeps_outcomes_in_flat_memory() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(8);
    let class = HtbClass::builder(Rate::bytes_per_second(250_000)).build().unwrap();
    let missing = |index: usize| matches!(index, 0 | 63 | 64 | 99_999) || index % 1000 == 777;
    let run = |tc: &mut Connection, count: usize| {
        let mut next = 0;
        let mut batch = tc.pipeline(|index, outcome| {
            assert_eq!(index, next, "outcomes are told in order");
            next += 1;
            match outcome {
                Ok(()) => assert!(!missing(index), "request {index} was refused and told as done"),
                Err(Cause::Kernel(error)) => {
                    assert!(missing(index), "request {index}: {error}");
                    assert_eq!(error.errno, 2);
                }
                Err(cause) => panic!("request {index}: {cause}"),
            }
        });
        for index in 0..count {
            let minor = if missing(index) { 0xfff } else { 1 + index as u16 % 8 };
            let request = Request::class(dev).parent(ONE).handle(Handle::class(1, minor)).options(&class);
            // A change cannot make the class that is not there.
            assert_eq!(batch.push(Verb::Change, &request).unwrap(), index);
        }
        assert_eq!(batch.finish(), count);
        assert_eq!(next, count);
    };
    let many = fewer_if_emulated(100_000);
    run(&mut tc, many / 10);
    let before = resident_kib();
    run(&mut tc, many);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 512, "{grown} KiB more after {many} requests");
}

#[test]
fn refusals_with_long_texts_fit_in_the_receive_buffer() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = shaped(1);
    let mut refused = 0;
    let mut batch = tc.pipeline(|_, outcome| match outcome {
        Err(Cause::Kernel(error)) => {
            assert!(error.ext_ack.message.is_some(), "{error}");
            refused += 1;
        }
        other => panic!("{other:?}"),
    });
    let many = fewer_if_emulated(1000);
    for _ in 0..many {
        // "Specified qdisc kind is unknown", with our longest request. (The kernel starts modprobe for each.)
        let request =
            Request::qdisc(dev).parent(Handle::class(1, 1)).handle(Handle::qdisc(2)).kind("no_such");
        batch.push(Verb::Add, &request).unwrap();
    }
    batch.finish();
    assert_eq!(refused, many);
}

/// A socket that claims more room for answers than it has.
struct Boastful(Socket);

impl Transport for Boastful {
    fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
        self.0.send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<tc_core::Received> {
        self.0.receive(buffer)
    }

    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [tc_core::Received],
        wait: bool,
    ) -> std::io::Result<usize> {
        self.0.receive_many(buffer, received, wait)
    }

    fn port(&self) -> u32 {
        self.0.port()
    }

    fn device_names(&self) -> std::io::Result<Box<dyn tc_core::link::DeviceNames>> {
        self.0.device_names()
    }
}

#[test]
fn answers_when_dropped_are_unknown_and_later_ones_known() {
    need!("netns");
    let net = Net::new();
    let mut socket = Socket::open().unwrap();
    socket.set_receive_buffer(4096).unwrap();
    let mut tc = Connection::over(Boastful(socket));
    let mut told = Vec::new();
    let push = |batch: &mut Pipeline<'_, Boastful, _>, ifindex| {
        batch.push(Verb::Delete, &Request::qdisc(ifindex).parent(Handle::ROOT)).unwrap();
    };
    let mut batch = tc.pipeline(|index, outcome: Result<(), Cause>| {
        assert_eq!(index, told.len());
        told.push(outcome.unwrap_err());
    });
    // No such device: each is refused, and that is more than there is room for.
    for _ in 0..64 {
        push(&mut batch, 999);
    }
    for _ in 0..3 {
        push(&mut batch, 999);
    }
    batch.finish();
    assert_eq!(told.len(), 67);
    assert!(told[..64].iter().all(Cause::is_outcome_unknown), "{:?}", told[0]);
    let after = &told[64..];
    assert!(
        after.iter().all(|cause| matches!(cause, Cause::Kernel(error) if error.errno == 19)),
        "{after:?}"
    );
    drop(net);
}

#[test]
fn kinds_that_need_care_are_sent_in_their_place() {
    need!("netns", "ifb", "sch_plug");
    let _net = Net::new();
    let mut tc = Connection::open().unwrap();
    tc.add_link("b0", "ifb").unwrap();
    let dev = tc.ifindex("b0").unwrap();
    let root = Request::qdisc(dev).parent(Handle::ROOT);
    let mut told = Vec::new();
    let mut batch = tc.pipeline(|index, outcome| told.push((index, outcome.is_ok())));
    let pfifo = Pfifo::new(10);
    let plug = tc_qdiscs::plug::Plug::set_limit(32_768);
    batch.push(Verb::Add, &root.clone().handle(ONE).options(&pfifo)).unwrap();
    // A plug that is not there is not changed, and the pfifo is left alone.
    batch.push(Verb::Change, &root.clone().options(&plug)).unwrap();
    batch.push(Verb::Delete, &root.clone().handle(ONE)).unwrap();
    batch.push(Verb::Add, &root.clone().handle(ONE).options(&plug)).unwrap();
    batch.push(Verb::Change, &root.clone().options(&plug)).unwrap();
    batch.finish();
    assert_eq!(told, [(0, true), (1, false), (2, true), (3, true), (4, true)]);
}
