//! The library's processor time without a kernel: encoding, decoding and printing.
//!
//! `cargo bench -p tests --bench codec`
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so and stops")]

use bytes::BytesMut;
use divan::{Bencher, black_box, counter::ItemsCount};
use tc_core::object::ObjectType;
use tc_core::print::{Form, Printer, Rate, Size, Style, Time};
use tc_core::rate::Rate as DataRate;
use tc_core::{Connection, DumpRequest, Handle, Kind, Request, Syntax, TcType, Verb};
use tc_qdiscs::htb::HtbClass;
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::Plug;
use tc_qdiscs::tbf::Tbf;
use tests::captures;
use tests::replay::Replay;

fn main() {
    divan::main();
}

/// Options of a kind and one of its objects, as a kernel lists it.
trait Sample: Syntax {
    const CAPTURE: &'static str;
    fn sample() -> Self;
}

impl Sample for Pfifo {
    const CAPTURE: &'static str = "pfifo/dump.hex";
    fn sample() -> Self {
        Self::new(100)
    }
}

impl Sample for Plug {
    const CAPTURE: &'static str = "plug/dump.hex";
    fn sample() -> Self {
        Self::buffer()
    }
}

impl Sample for Tbf {
    const CAPTURE: &'static str = "tbf/dump.hex";
    fn sample() -> Self {
        Self::builder(DataRate::bytes_per_second(125_000), 1600)
            .latency(std::time::Duration::from_millis(50))
            .build()
            .expect("a valid tbf")
    }
}

impl Sample for HtbClass {
    const CAPTURE: &'static str = "htb/dump-class.hex";
    fn sample() -> Self {
        Self::builder(DataRate::bytes_per_second(125_000))
            .ceil(DataRate::bytes_per_second(1_250_000))
            .build()
            .expect("a valid class")
    }
}

fn request<K: Kind>(options: &K) -> Request<'_> {
    match K::Object::TYPE {
        TcType::Class => {
            Request::class(2).parent(Handle::qdisc(1)).handle(Handle::class(1, 1)).any().options(options)
        }
        _ => Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).any().options(options),
    }
}

#[divan::bench(types = [Plug, Pfifo, Tbf, HtbClass])]
fn encode<K: Sample>(bencher: Bencher<'_, '_>) {
    let options = K::sample();
    let request = request(&options);
    let mut buffer = BytesMut::with_capacity(4096);
    bencher.bench_local(|| {
        buffer.clear();
        request.encode(Verb::Change, 1, &mut buffer).expect("a valid request");
        black_box(&buffer);
    });
}

/// One operation from request to verdict, less the two system calls.
#[divan::bench(types = [Pfifo, Tbf, HtbClass])]
fn change<K: Sample>(bencher: Bencher<'_, '_>) {
    let options = K::sample();
    let request = request(&options);
    let mut tc = Connection::over(Replay::acknowledge());
    bencher.bench_local(|| tc.change(&request).expect("it is acknowledged"));
}

const LISTED: usize = 10_000;

/// A list, each object borrowed and nothing read of it.
#[divan::bench]
fn dump_walk(bencher: Bencher<'_, '_>) {
    dump::<HtbClass>(bencher, |entry| {
        black_box(entry.header);
    });
}

/// A list, with the options as a type and the counters.
#[divan::bench(types = [Pfifo, Tbf, HtbClass])]
fn dump_typed<K: Sample>(bencher: Bencher<'_, '_>) {
    dump::<K>(bencher, |entry| {
        black_box((entry.options_as::<K>(), entry.stats(), entry.xstats())).0.expect("a capture reads");
    });
}

fn dump<K: Sample>(bencher: Bencher<'_, '_>, each: impl Fn(&tc_core::message::Entry<'_>)) {
    let capture = captures::all().iter().find(|one| one.name == K::CAPTURE).expect(K::CAPTURE);
    let mut tc = Connection::over(Replay::dump(&capture.bytes, LISTED));
    let select = DumpRequest::new(K::Object::TYPE, 0);
    bencher.counter(ItemsCount::new(LISTED)).bench_local(|| {
        let mut dump = tc.dump(&select).expect("a list");
        while let Some(listed) = dump.next().expect("a list") {
            each(&listed.entry().expect("an entry"));
        }
    });
}

/// The options as text or JSON, from the kernel's bytes.
#[divan::bench(types = [Pfifo, Tbf, HtbClass], args = [Form::Text, Form::Json])]
fn print<K: Sample>(bencher: Bencher<'_, '_>, form: Form) {
    let capture = captures::all().iter().find(|one| one.name == K::CAPTURE).expect(K::CAPTURE);
    let payload = capture.options().expect("a capture with options").payload;
    let mut out = Printer::new(form, Style::default());
    bencher.bench_local(|| {
        out.clear();
        out.begin_object("");
        K::decode(payload).expect("a capture reads").print(&mut out);
        out.end_object();
        black_box(out.bytes());
    });
}

#[divan::bench(args = [1_000_000, 125_000, 1_234_567])]
fn print_rate(bencher: Bencher<'_, '_>, bytes: u64) {
    item(bencher, |out| out.item("rate", "rate ", Rate(bytes), " "));
}

#[divan::bench(args = [1600, 32 << 10, 1 << 20])]
fn print_size(bencher: Bencher<'_, '_>, bytes: u32) {
    item(bencher, |out| out.item("burst", "burst ", Size(bytes), " "));
}

#[divan::bench(args = [20, 5000, 12_345])]
fn print_time(bencher: Bencher<'_, '_>, us: u32) {
    item(bencher, |out| out.item("target", "target ", Time(us), " "));
}

#[divan::bench]
fn print_handle(bencher: Bencher<'_, '_>) {
    item(bencher, |out| out.item("handle", "", Handle::class(1, 0x10), " "));
}

fn item(bencher: Bencher<'_, '_>, print: impl Fn(&mut Printer)) {
    let mut out = Printer::new(Form::Text, Style::default());
    bencher.bench_local(|| {
        out.clear();
        print(black_box(&mut out));
    });
}
