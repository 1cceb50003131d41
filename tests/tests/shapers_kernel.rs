//! The kernel does not need the parts that tbf and htb leave out of their requests.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use tc_core::rate::{LinkLayer, Rate};
use tc_core::{Connection, DumpRequest, Handle, Kind, Request};
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::tbf::Tbf;
use tests::lab::Net;
use tests::need;

const LO: i32 = 1;
const QDISC: Handle = Handle::qdisc(1);

/// The options that the kernel shows of the object with this handle.
fn shown<K: Kind>(tc: &mut Connection, select: &DumpRequest, handle: Handle) -> K {
    let all = tc.list(select).unwrap();
    let mut entries = all.iter().map(|entry| entry.entry().unwrap());
    entries.find(|entry| entry.header.handle == handle).unwrap().options_as().unwrap().unwrap()
}

#[test]
fn a_tbf_without_rate_tables_is_the_same() {
    need!("sch_tbf");
    let _net = Net::new();
    let mut tc = Connection::open().unwrap();
    let plain = Tbf::builder(Rate::bytes_per_second(125_000), 10_000).limit_bytes(20_000);
    let atm = plain.linklayer(LinkLayer::Atm).mpu_bytes(64).overhead_bytes(24);
    let wide = Tbf::builder(Rate::bytes_per_second(5_000_000_000), 1 << 20)
        .limit_bytes(1 << 24)
        .peak(Rate::bytes_per_second(12_500_000_000), 65536);
    for tbf in
        [plain, plain.peak(Rate::bytes_per_second(250_000), 1600), atm, wide].map(|tbf| tbf.build().unwrap())
    {
        let [with, without] = [true, false].map(|as_tc| {
            let root = Request::qdisc(LO).parent(Handle::ROOT).handle(QDISC);
            tc.add(&root.clone().options(&tbf).as_tc(as_tc)).unwrap();
            let shown: Tbf = shown(&mut tc, &DumpRequest::qdiscs().device(LO), QDISC);
            tc.delete(&root).unwrap();
            shown
        });
        assert_eq!(with, without);
        assert_eq!((with.rate.rate, with.rate.linklayer), (tbf.rate.rate, tbf.rate.linklayer));
        assert_eq!(with.peak.map(|peak| peak.rate.rate), tbf.peak.map(|peak| peak.rate.rate));
    }
}

#[test]
fn an_htb_class_without_rate_tables_is_the_same() {
    need!("sch_htb");
    let _net = Net::new();
    let mut tc = Connection::open().unwrap();
    let htb = Htb::default().default_minor(0x10);
    tc.add(&Request::qdisc(LO).parent(Handle::ROOT).handle(QDISC).options(&htb)).unwrap();
    assert_eq!(shown::<Htb>(&mut tc, &DumpRequest::qdiscs().device(LO), QDISC).default_minor, 0x10);
    let plain = HtbClass::builder(Rate::bytes_per_second(125_000)).ceil(Rate::bytes_per_second(250_000));
    let atm = plain.linklayer(LinkLayer::Atm).mpu_bytes(64).overhead_bytes(24);
    let wide = HtbClass::builder(Rate::bytes_per_second(5_000_000_000))
        .ceil(Rate::bytes_per_second(12_500_000_000))
        .burst_bytes(1 << 20)
        .quantum_bytes(9000);
    for (minor, class) in (1..).zip([plain, atm, wide].map(|class| class.build().unwrap())) {
        let [with, without] = [true, false].map(|as_tc| {
            let handle = Handle::class(1, minor);
            let request = Request::class(LO).parent(QDISC).handle(handle);
            tc.add(&request.clone().options(&class).as_tc(as_tc)).unwrap();
            let shown: HtbClass = shown(&mut tc, &DumpRequest::classes(LO), handle);
            // Options that were read can be sent again.
            tc.change(&request.clone().options(&shown)).unwrap();
            tc.delete(&request).unwrap();
            shown
        });
        assert_eq!(with, without);
        assert_eq!((with.rate.rate, with.ceil.rate), (class.rate.rate, class.ceil.rate));
        let time = |class: &HtbClass| class.burst.time(class.rate.rate);
        assert_eq!((time(&with), with.rate.linklayer), (time(&class), class.rate.linklayer));
    }
}
