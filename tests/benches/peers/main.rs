//! Scratch.
#![allow(missing_docs, clippy::all, clippy::expect_used, clippy::unwrap_used, clippy::panic)]
mod floor;
mod measure;
use bytes::BytesMut;
use floor::Floor;
use measure::*;
use tc_core::*;
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::Net;
fn show(title: &str, rows: &[Row]) {
    println!("{title}");
    for r in rows {
        println!(
            "  {:24} p50 {:9.1} p99 {:9.1} user {:8.1} ratio {:.3}",
            r.name,
            r.p50_ns,
            r.p99_ns.unwrap_or(0.0),
            r.user_ns,
            r.p50_ns / rows[0].p50_ns
        );
    }
}
fn main() {
    let net = Net::new();
    let mut tc = Connection::open().unwrap();
    tc.add_link("b0", "ifb").unwrap();
    let b0 = tc.ifindex("b0").unwrap();
    let one = Handle::qdisc(1);
    let opts = [Pfifo { limit_packets: 10 }, Pfifo { limit_packets: 20 }];
    tc.add(&Request::qdisc(b0).parent(Handle::ROOT).handle(one).options(&opts[0])).unwrap();
    let reqs: Vec<_> =
        opts.iter().map(|o| Request::qdisc(b0).parent(Handle::ROOT).handle(one).options(o)).collect();
    let raw: Vec<_> = reqs
        .iter()
        .map(|r| {
            let mut b = BytesMut::new();
            r.encode(Verb::Change, 1, &mut b).unwrap();
            b
        })
        .collect();
    let mut floor = Floor::open();
    let mut sock = Socket::open().unwrap();
    let n = 20_000;
    let mut buf = vec![0u8; 65536];
    let mut tc2 = Connection::open().unwrap();
    let rows = compare(
        9,
        vec![
            Contender::new("floor", |m| m.each(n, |i| floor.exchange(&raw[i & 1]))),
            Contender::new("socket", |m| {
                m.each(n, |i| {
                    sock.send(&raw[i & 1]).unwrap();
                    sock.receive(&mut buf).unwrap();
                })
            }),
            Contender::new("library", |m| m.each(n, |i| tc2.change(&reqs[i & 1]).unwrap())),
        ],
    );
    show("pfifo", &rows);
    net.tc("qdisc del dev b0 root").ok();
    net.tc("qdisc add dev b0 root handle 1: htb").ok();
    let mut text = String::new();
    let classes = 5000;
    for i in 1..=classes {
        text += &format!("class add dev b0 parent 1: classid 1:{i:x} htb rate 1mbit\n");
    }
    std::fs::write("/tmp/speed.batch", text).unwrap();
    net.tc("-batch /tmp/speed.batch").ok();
    let mut b = BytesMut::new();
    let select = Select::classes(b0);
    select.encode(1, &mut b).unwrap();
    // warm
    let mut f2 = Floor::open();
    let rows = compare(
        15,
        vec![
            Contender::new("floor", |m| {
                m.all(classes, || {
                    f2.dump(&b);
                })
            }),
            Contender::new("walk", |m| {
                m.all(classes, || {
                    let mut d = tc2.dump(&select).unwrap();
                    let mut k = 0;
                    while let Some(_) = d.next().unwrap() {
                        k += 1;
                    }
                    assert_eq!(k, classes);
                })
            }),
            Contender::new("entry", |m| {
                m.all(classes, || {
                    let mut d = tc.dump(&select).unwrap();
                    let mut k = 0;
                    while let Some(l) = d.next().unwrap() {
                        let e = l.entry().unwrap();
                        assert_eq!(e.kind(), Ok("htb"));
                        k += 1;
                    }
                    assert_eq!(k, classes);
                })
            }),
        ],
    );
    show("dump", &rows);
    let mut tc3 = Connection::open().unwrap();
    let rows = compare(
        15,
        vec![
            Contender::new("floor", |m| {
                m.all(classes, || {
                    f2.dump(&b);
                })
            }),
            Contender::new("stats", |m| {
                m.all(classes, || {
                    let mut d = tc3.dump(&select).unwrap();
                    let mut k = 0;
                    while let Some(l) = d.next().unwrap() {
                        let e = l.entry().unwrap();
                        assert_eq!(e.kind(), Ok("htb"));
                        let s = e.stats().unwrap().unwrap();
                        std::hint::black_box(s);
                        std::hint::black_box(e.options());
                        k += 1;
                    }
                    assert_eq!(k, classes);
                })
            }),
        ],
    );
    show("dump", &rows);
}
