//! The work that all do.

use bytes::BytesMut;
use std::hint::black_box;
use tc_core::rate::Rate;
use tc_core::{Connection, DumpRequest, Handle, Kind, Request, Verb, object};
use tc_qdiscs::htb::{Htb, HtbClass, HtbXstats};
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::tbf::Tbf;
use tests::lab::Net;

use crate::floor::Floor;
use crate::measure::{Contender, Meter, Row, compare};
use crate::rivals::{Rivals, run, run_libnl};

const ONE: Handle = Handle::qdisc(1);

/// How much of it.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Changes of one qdisc in a round.
    pub(crate) changes: usize,
    /// Classes of an htb.
    pub(crate) classes: u16,
    /// Devices with two qdiscs each.
    pub(crate) devices: usize,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Processes started in a round.
    pub(crate) starts: usize,
}

/// A namespace with one device, entered by the calling thread.
pub(crate) struct Stage {
    _net: Net,
    tc: Connection,
    dev: i32,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let net = Net::new();
        let mut tc = connection();
        tc.add_link("b0", "ifb").expect("the kernel has ifb");
        let dev = tc.ifindex("b0").expect("it was made");
        Self { _net: net, tc, dev }
    }

    fn root<'a, K: Kind<Object = object::Qdisc>>(&self, options: &'a K) -> Request<'a, object::Qdisc> {
        Request::qdisc(self.dev).parent(Handle::ROOT).handle(ONE).options(options)
    }

    fn class<'a>(&self, at: usize, options: &'a HtbClass) -> Request<'a, object::Class> {
        let handle = Handle::class(1, at as u16 + 1);
        Request::class(self.dev).parent(ONE).handle(handle).options(options)
    }

    /// An htb with this many classes.
    pub(crate) fn shaped(classes: u16) -> Self {
        let mut stage = Self::new();
        let htb = Htb::default();
        let request = stage.root(&htb);
        stage.tc.add(&request).expect("the kernel has htb");
        stage.add_classes(0, classes);
        stage
    }

    /// Adds the classes from the `from`th to the `to`th.
    pub(crate) fn add_classes(&mut self, from: u16, to: u16) {
        let class = class_options();
        let requests: Vec<_> = (from..to).map(|at| self.class(at.into(), &class)).collect();
        let mut batch = self.tc.pipeline(|_, outcome| outcome.expect("a class is added"));
        for request in &requests {
            batch.push(Verb::Add, request).expect("a valid class");
        }
    }
}

fn connection() -> Connection {
    Connection::open().expect("every kernel has netlink")
}

fn class_options() -> HtbClass {
    HtbClass::builder(Rate::bytes_per_second(125_000)).build().expect("a valid class")
}

fn bytes<T>(request: &Request<'_, T>) -> BytesMut {
    let mut buffer = BytesMut::new();
    request.encode(Verb::Change, 1, &mut buffer).expect("a valid request");
    buffer
}

/// Changes of a pfifo's limit.
pub(crate) fn change_pfifo(rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let options = [10, 11].map(Pfifo::new);
    change_qdisc(&options, "change-pfifo", |at| format!("pfifo limit {}", 10 + at % 2), rivals, sizes)
}

/// Changes of a tbf's limit.
pub(crate) fn change_tbf(rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let tbf = |limit| {
        Tbf::builder(Rate::bytes_per_second(125_000), 1600).limit_bytes(limit).build().expect("a valid tbf")
    };
    let words = |at| format!("tbf rate 1mbit burst 1600 limit {}", 10_000 + at % 2);
    change_qdisc(&[tbf(10_000), tbf(10_001)], "change-tbf", words, rivals, sizes)
}

fn change_qdisc<K: Kind<Object = object::Qdisc>>(
    options: &[K; 2],
    libnl: &str,
    words: impl Fn(usize) -> String,
    rivals: &Rivals,
    sizes: Sizes,
) -> Vec<Row> {
    let mut stage = Stage::new();
    let requests = [stage.root(&options[0]), stage.root(&options[1])];
    stage.tc.add(&requests[0]).expect("the kernel has it");
    let prebuilt = [bytes(&requests[0]), bytes(&requests[1])];
    let (mut floor, mut tc) = (Floor::open(), connection());
    let line = |at| format!("qdisc change dev b0 root handle 1: {}", words(at));
    let file = rivals.batch(libnl, (0..sizes.changes).map(line));
    let mut contenders = vec![
        Contender::new("floor", |meter| {
            meter.each(sizes.changes, |at| floor.exchange(&prebuilt[at % 2]));
        }),
        Contender::new("library", |meter| {
            meter.each(sizes.changes, |at| tc.change(&requests[at % 2]).expect("it is there"));
        }),
    ];
    contenders.extend(libnl_contender(
        rivals,
        format!("{libnl} {} {}", stage.dev, sizes.changes),
        sizes.changes,
    ));
    contenders.extend(batches(rivals, &file, sizes.changes));
    let words = line(0);
    if let Some(path) = rivals.tc() {
        contenders.push(Contender::new("tc, a process each", move |meter: &mut Meter| {
            for _ in 0..sizes.starts {
                meter.processes(1, || run(path, &words));
            }
        }));
    }
    compare(sizes.rounds, contenders)
}

fn libnl_contender(rivals: &Rivals, words: String, count: usize) -> Option<Contender<'_>> {
    let program = rivals.libnl()?;
    Some(Contender::new("libnl", move |meter| run_libnl(program, &words, count, meter)))
}

/// tc-cli and tc with a file of commands.
fn batches<'a>(rivals: &'a Rivals, file: &str, count: usize) -> Vec<Contender<'a>> {
    let words = format!("-batch {file}");
    let contender = |(name, path): (&str, &'a std::path::Path)| {
        let words = words.clone();
        let name = if name == "tc" { "tc -batch" } else { "tc-cli -batch" };
        Contender::new(name, move |meter| meter.processes(count, || run(path, &words)))
    };
    rivals.tcs().into_iter().map(contender).collect()
}

/// Changes of all classes of an htb, each answered before the next is sent.
pub(crate) fn change_classes(stage: &Stage, rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let (class, count) = (class_options(), usize::from(sizes.classes));
    let requests: Vec<_> = (0..count).map(|at| stage.class(at, &class)).collect();
    let prebuilt: Vec<_> = requests.iter().map(bytes).collect();
    let (mut floor, mut tc) = (Floor::open(), connection());
    let file = rivals.batch("classes", (0..count).map(class_line));
    let mut contenders = vec![
        Contender::new("floor", |meter| meter.each(count, |at| floor.exchange(&prebuilt[at]))),
        Contender::new("library", |meter| {
            meter.each(count, |at| tc.change(&requests[at]).expect("it is there"));
        }),
    ];
    contenders.extend(libnl_contender(rivals, format!("change-classes {} {count}", stage.dev), count));
    contenders.extend(batches(rivals, &file, count));
    compare(sizes.rounds, contenders)
}

fn class_line(at: usize) -> String {
    format!("class change dev b0 parent 1: classid 1:{:x} htb rate 1mbit", at + 1)
}

/// Many requests in one datagram.
pub(crate) fn change_classes_pipelined(stage: &Stage, rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let (class, count) = (class_options(), usize::from(sizes.classes));
    let requests: Vec<_> = (0..count).map(|at| stage.class(at, &class)).collect();
    let prebuilt: Vec<_> = requests.chunks(64).map(pipelined).collect();
    let (mut floor, mut tc) = (Floor::open(), connection());
    let file = rivals.batch("pipelined", (0..count).map(class_line));
    let words = format!("--pipelined -batch {file}");
    compare(
        sizes.rounds,
        vec![
            Contender::new("floor", |meter| {
                meter.all(count, || prebuilt.iter().for_each(|datagram| floor.exchange(datagram)));
            }),
            Contender::new("library, Pipeline", |meter| {
                meter.all(count, || {
                    let mut batch = tc.pipeline(|_, outcome| outcome.expect("it is there"));
                    for request in &requests {
                        batch.push(Verb::Change, request).expect("a valid class");
                    }
                });
            }),
            Contender::new("tc-cli --pipelined", |meter| {
                meter.processes(count, || run(tests::lab::tc_cli(), &words));
            }),
        ],
    )
}

/// Requests without acknowledgement, except the last.
fn pipelined<T>(requests: &[Request<'_, T>]) -> BytesMut {
    let mut buffer = BytesMut::new();
    for (at, request) in requests.iter().enumerate() {
        let start = buffer.len();
        request.encode(Verb::Change, 1, &mut buffer).expect("a valid request");
        if at + 1 < requests.len() {
            buffer[start + 6] &= !4; // NLM_F_ACK
        }
    }
    buffer
}

/// A list of all classes with their counters.
pub(crate) fn dump_classes(stage: &Stage, rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let select = DumpRequest::classes(stage.dev);
    let read = |entry: &tc_core::message::Entry<'_>| {
        let class: Option<HtbClass> = entry.options_as().expect("an htb class");
        let own = entry.xstats_as::<HtbXstats>().expect("counters of htb");
        black_box((class, own, entry.stats().expect("counters")));
    };
    let libnl = format!("dump-classes {}", stage.dev);
    dump(&select, read, "class show dev b0", &libnl, usize::from(sizes.classes), rivals, sizes.rounds)
}

/// A list of two qdiscs on each of many devices, with their counters.
pub(crate) fn dump_qdiscs(rivals: &Rivals, sizes: Sizes) -> Vec<Row> {
    let _net = crowd(sizes.devices);
    let read = |entry: &tc_core::message::Entry<'_>| {
        let kind = entry.kind().expect("a kind");
        let limit = (kind == "pfifo").then(|| entry.options_as::<Pfifo>().expect("a pfifo"));
        black_box((limit, entry.header, entry.stats().expect("counters")));
    };
    let count = listed(&DumpRequest::qdiscs());
    dump(&DumpRequest::qdiscs(), read, "qdisc show", "dump-qdiscs 0", count, rivals, sizes.rounds)
}

/// A namespace with many devices, a pfifo and an ingress qdisc on each.
fn crowd(devices: usize) -> Net {
    let net = Net::new();
    let mut tc = connection();
    let pfifo = Pfifo::new(100);
    for at in 0..devices {
        let name = format!("b{at}");
        tc.add_link(&name, "ifb").expect("the kernel has ifb");
        let dev = tc.ifindex(&name).expect("it was made");
        tc.add(&Request::qdisc(dev).parent(Handle::ROOT).handle(ONE).options(&pfifo)).expect("pfifo");
        tc.add(&Request::qdisc(dev).parent(Handle::INGRESS).handle(Handle::qdisc(0xffff)).kind("ingress"))
            .expect("the kernel has ingress");
    }
    net
}

fn listed(select: &DumpRequest) -> usize {
    connection().list(select).expect("a list").len()
}

fn dump(
    select: &DumpRequest,
    read: impl Fn(&tc_core::message::Entry<'_>),
    words: &str,
    libnl: &str,
    count: usize,
    rivals: &Rivals,
    rounds: usize,
) -> Vec<Row> {
    let mut request = BytesMut::new();
    select.encode(1, &mut request).expect("a valid request");
    let (mut floor, mut tc) = (Floor::open(), connection());
    let mut contenders = vec![
        Contender::new("floor", |meter| {
            meter.all(count, || assert!(floor.dump(&request) > count, "a whole list"));
        }),
        Contender::new("library, typed", |meter| {
            meter.all(count, || {
                let (mut dump, mut seen) = (tc.dump(select).expect("a list"), 0);
                while let Some(listed) = dump.next().expect("a list") {
                    read(&listed.entry().expect("an entry"));
                    seen += 1;
                }
                assert_eq!(seen, count);
            });
        }),
    ];
    contenders.extend(libnl_contender(rivals, libnl.to_owned(), count));
    for (name, flags) in
        [("tc-cli -s", "-s"), ("tc-cli -s -j", "-s -j"), ("tc -s", "-s"), ("tc -s -j", "-s -j")]
    {
        let program = rivals.tcs().into_iter().find(|(tc, _)| name.split(' ').next() == Some(tc));
        let Some((_, path)) = program else { continue };
        let words = format!("{flags} {words}");
        contenders.push(Contender::new(name, move |meter: &mut Meter| {
            meter.processes(count, || run(path, &words));
        }));
    }
    compare(rounds, contenders)
}

/// A process that shows the qdiscs of one device.
pub(crate) fn start(rivals: &Rivals, devices: usize, sizes: Sizes) -> Vec<Row> {
    let _net = crowd(devices);
    let words = "qdisc show dev lo";
    let named = rivals.nothing().map(|path| ("floor: a static program", path, ""));
    let tcs = rivals.tcs().into_iter().map(|(name, path)| (name, path, words));
    let built = rivals.static_tc_cli().map(|path| ("tc-cli, static", path, words));
    let contenders = named.into_iter().chain(tcs).chain(built).map(|(name, path, words)| {
        Contender::new(name, move |meter: &mut Meter| {
            for _ in 0..sizes.starts {
                meter.processes(1, || run(path, words));
            }
        })
    });
    compare(sizes.rounds, contenders.collect())
}
