//! The cost of operations: system calls and memory. (Times are for `cargo bench`.)
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::env;
use std::hint::black_box;
use std::process::Command;

use bytes::BytesMut;
use nix::unistd::getppid;
use tc_core::object::ObjectType;
use tc_core::rate::Rate;
use tc_core::{Connection, DumpRequest, Handle, Kind, Request, Transport, Verb};
use tc_qdiscs::htb::HtbClass;
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::Plug;
use tc_qdiscs::tbf::Tbf;
use tests::lab::{Net, fewer_if_emulated};
use tests::replay::Replay;
use tests::{captures, need};

const ONE: Handle = Handle::qdisc(1);

/// How many allocations `work` makes, once its buffers have grown.
fn allocations(mut work: impl FnMut()) -> u64 {
    work();
    allocation_counter::measure(work).count_total
}

/// A request for a qdisc, or for a class where the kind is one of classes.
fn request<K: Kind>(options: &K) -> Request<'_> {
    match K::Object::TYPE {
        tc_core::TcType::Class => Request::class(2).parent(ONE).handle(Handle::class(1, 1)).any(),
        _ => Request::qdisc(2).parent(Handle::ROOT).handle(ONE).any(),
    }
    .options(options)
}

fn assert_free<K: Kind>(options: &K) {
    let request = request(options);
    let mut buffer = BytesMut::with_capacity(4096);
    let encode = || {
        buffer.clear();
        request.encode(Verb::Change, 1, &mut buffer).unwrap();
    };
    assert_eq!(allocations(encode), 0, "encode {options:?}");

    assert_eq!(allocations(|| drop(black_box(request.clone()))), 0, "clone {options:?}");

    let mut tc = Connection::over(Replay::acknowledge());
    let mut change = || drop(black_box(tc.apply_as_it_is(Verb::Change, &request).unwrap()));
    assert_eq!(allocations(&mut change), 0, "change {options:?}");
    let calls = tc.transport().calls;
    tc.apply_as_it_is(Verb::Change, &request).unwrap();
    assert_eq!(tc.transport().calls - calls, 2, "change {options:?}");
}

#[test]
fn one_operation_allocates_nothing_and_takes_two_calls() {
    assert_free(&Plug::buffer());
    assert_free(&Pfifo::new(100));
    assert_free(
        &Tbf::builder(Rate::bytes_per_second(125_000), 1600)
            .latency(std::time::Duration::from_millis(50))
            .build()
            .unwrap(),
    );
    assert_free(&HtbClass::builder(Rate::bytes_per_second(125_000)).build().unwrap());
    assert_free(
        &HtbClass::builder(Rate::bytes_per_second(125_000_000_000))
            .ceil(Rate::bytes_per_second(250_000_000_000))
            .build()
            .unwrap(),
    );
}

/// Lists `count` copies of a capture, and reads all that is in each.
fn walk<K: Kind>(capture: &str, count: usize) {
    let bytes = &captures::all().iter().find(|one| one.name == capture).expect(capture).bytes;
    let mut tc = Connection::over(Replay::dump(bytes, count));
    let select = DumpRequest::new(K::Object::TYPE, 0);
    let mut read = || {
        let mut seen = 0;
        let mut dump = tc.dump(&select).unwrap();
        while let Some(listed) = dump.next().unwrap() {
            let entry = listed.entry().unwrap();
            let options: Option<K> = entry.options_as().unwrap();
            assert!(options.is_some());
            let queue = entry.stats().unwrap().and_then(|stats| stats.queue);
            assert!(queue.is_some());
            black_box((options, entry.xstats().unwrap()));
            seen += 1;
        }
        assert_eq!(seen, count);
    };
    assert_eq!(allocations(&mut read), 0, "{capture}, {count} times");
    let calls = tc.transport().calls;
    let pieces = (count * bytes.len().next_multiple_of(4)).div_ceil(31 * 1024) as u64;
    assert!(calls <= 2 * (pieces + 3), "{calls} calls for two dumps of {pieces} pieces");
}

#[test]
fn a_dump_allocates_nothing_however_long_it_is() {
    for count in [0, 1, fewer_if_emulated(10_000), fewer_if_emulated(50_000)] {
        walk::<Pfifo>("pfifo/dump.hex", count);
        walk::<Tbf>("tbf/dump.hex", count);
        walk::<HtbClass>("htb/dump-class.hex", count);
    }
}

#[test]
fn a_batch_allocates_nothing_while_all_succeeds() {
    let class = HtbClass::builder(Rate::bytes_per_second(125_000)).build().unwrap();
    let request = request(&class);
    let mut tc = Connection::over(LastOfEach(Replay::acknowledge()));
    let mut told = 0;
    let run = || {
        let mut batch = tc.pipeline(|_, outcome| {
            outcome.unwrap();
            told += 1;
        });
        for _ in 0..10_000 {
            batch.push(Verb::Change, &request).unwrap();
        }
        batch.finish();
    };
    assert_eq!(allocations(run), 0);
    assert_eq!(told, 20_000);
    let calls = tc.transport().0.calls;
    assert!(calls <= 2 * 20_000 / 50, "{calls} calls for 20,000 requests");
}

/// Acknowledges the last message of each datagram.
struct LastOfEach(Replay);

impl Transport for LastOfEach {
    fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
        let mut at = 0;
        let length = |at: usize| u32::from_ne_bytes(datagram[at..at + 4].try_into().unwrap()) as usize;
        while at + length(at) < datagram.len() {
            at += length(at);
        }
        self.0.send(&datagram[at..])
    }

    fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<tc_core::Received> {
        self.0.receive(buffer)
    }

    fn port(&self) -> u32 {
        self.0.port()
    }

    fn device_names(&self) -> std::io::Result<Box<dyn tc_core::link::DeviceNames>> {
        self.0.device_names()
    }
}

const CHANGES: usize = 100;
const BETWEEN_MARKS: &str = "TC_COST_BETWEEN_MARKS";

/// Run again under strace by the test below: between two calls that nothing else makes, it changes
/// a qdisc.
#[test]
fn changes_between_marks() {
    need!("netns", "ifb");
    let _net = Net::new();
    let mut tc = Connection::open().unwrap();
    tc.add_link("b0", "ifb").unwrap();
    let dev = tc.ifindex("b0").unwrap();
    let pfifo = Pfifo::new(10);
    let request = Request::qdisc(dev).parent(Handle::ROOT).handle(ONE).options(&pfifo);
    tc.add(&request).unwrap();
    if env::var_os(BETWEEN_MARKS).is_some() {
        let _mark = getppid();
    }
    for _ in 0..CHANGES {
        tc.change(&request).unwrap();
    }
    if env::var_os(BETWEEN_MARKS).is_some() {
        let _mark = getppid();
    }
}

#[test]
fn the_kernel_sees_two_calls_an_operation() {
    need!("netns", "ifb", "program_strace");
    let trace = env::temp_dir().join(format!("tc-cost-{}", std::process::id()));
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "changes_between_marks"])
        .env(BETWEEN_MARKS, "1")
        .output()
        .unwrap();
    let lines = std::fs::read_to_string(&trace);
    let _ = std::fs::remove_file(&trace);
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
    let lines = lines.unwrap();
    let thread = lines.lines().find(|line| line.contains("getppid(")).expect("the first mark");
    let thread = thread.split(' ').next().unwrap();
    // The process number, then the call.
    let own = lines.lines().filter_map(|line| line.strip_prefix(thread)).map(str::trim_start);
    // Where another thread came between, a call has two lines.
    let own = own.filter(|call| !call.starts_with("<... "));
    let between: Vec<_> = own
        .skip_while(|call| !call.starts_with("getppid("))
        .skip(1)
        .take_while(|call| !call.starts_with("getppid("))
        .collect();
    let calls = |name: &str| between.iter().filter(|call| call.starts_with(name)).count();
    assert_eq!(calls("sendto("), CHANGES, "{between:#?}");
    assert_eq!(calls("recvfrom("), CHANGES, "{between:#?}");
    assert_eq!(between.len(), 2 * CHANGES, "{between:#?}");
}
