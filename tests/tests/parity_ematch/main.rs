//! tc and tc-cli agree on ematches and on the filters that have them: they end alike, leave equal states, and
//! print them identically. The JSON of tc 6.1 is not valid there; that of tc-cli is.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at an unexpected error")]

mod export;

use std::time::Duration;

use serde_json::Value;
use tc_core::ematch::{Ematches, MAX_DEPTH};
use tc_core::uapi::ETH_P_IP;
use tc_core::words::Usual;
use tc_core::{Connection, DumpRequest, Handle, Kind, Request, TcType, Verb, object};
use tc_qdiscs::ematch::Operand;
use tc_qdiscs::ematch::cmp::{Align, Cmp};
use tc_qdiscs::ematch::meta::{Field, Meta};
use tc_qdiscs::ematch::u32::U32;
use tc_qdiscs::filter::basic::{Basic, BasicReported};
use tc_qdiscs::filter::cgroup::Cgroup;
use tc_qdiscs::filter::flow::{Flow, FlowKeys};
use tc_qdiscs::htb::Htb;
use tests::kernel_versions::ageless_text;
use tests::lab::{Net, Output, QUIET};
use tests::paired_hosts::Twins;
use tests::{need, newer_tc};

const SHOWS: &[&str] = &[
    "filter show dev d0 parent 1:",
    "-s -d filter show dev d0 parent 1:",
    "filter show dev d0 ingress",
    "-s -N -o filter show dev d0 ingress",
    "-r filter show dev d0",
];

fn twins() -> Twins {
    let twins = Twins::new(|net| net.veth("d0", "d1"));
    for command in ["qdisc add dev d0 root handle 1: htb default 30", "qdisc add dev d0 ingress"] {
        run(&twins, command);
    }
    twins
}

/// Runs a command on both sides: exit code and first line of the error must agree.
#[track_caller]
fn run(twins: &Twins, words: &str) -> i32 {
    let [theirs, ours] = twins.run(words);
    let end = |output: &Output| (output.code, output.stderr.lines().next().unwrap_or_default().to_owned());
    assert_eq!(end(&ours), end(&theirs), "{words}");
    assert_eq!(ageless_text(&ours.stdout), ageless_text(&theirs.stdout), "{words}");
    ours.code
}

/// The hosts are alike, and both tools print ours alike.
#[track_caller]
fn show(twins: &Twins, after: &str) {
    for words in SHOWS {
        // Later versions of tc keep more on one line.
        if words.contains(" -o ") && newer_tc::is_later() {
            continue;
        }
        let shown = twins.look(words);
        let [theirs, ours_by_tc, ours] = [&shown.theirs, &shown.ours_by_tc, &shown.ours]
            .map(|said| (ageless_text(&said.stdout), &said.stderr));
        assert_eq!(ours_by_tc, theirs, "tc {words}: the hosts differ after {after}");
        assert_eq!(ours, ours_by_tc, "tc-cli {words} after {after}");
    }
    json(twins, "filter show dev d0");
}

/// The valid JSON of tc-cli.
#[track_caller]
fn json(twins: &Twins, words: &str) -> Value {
    let said = twins.ours.tc_cli(&format!("-s -d -j {words}")).stdout;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words}: {error}: {said}"))
}

/// Runs commands, and compares the hosts after each that changed them.
#[track_caller]
fn compare(twins: &Twins, commands: &[&str]) {
    for command in commands {
        if run(twins, command) == 0 {
            show(twins, command);
        }
    }
}

/// The options of the only filter that has some.
#[track_caller]
fn options(twins: &Twins, place: &str) -> Value {
    let list = json(twins, &format!("filter show dev d0 {place}"));
    let with_options = list.as_array().unwrap().iter().filter_map(|filter| filter.get("options"));
    let mut with_options: Vec<_> = with_options.cloned().collect();
    assert_eq!(with_options.len(), 1, "{list}");
    with_options.remove(0)
}

#[test]
fn basic_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_basic", "act_police", "veth");
    let twins = twins();
    compare(
        &twins,
        &[
            "filter add dev d0 parent 1: protocol ip prio 5 basic match 'cmp(u8 at 9 layer 1 eq 6) and not (u32(u16 0x0050 \
             0xffff at 20) or nbyte(\"ababa\" at 12 layer 1))' classid 1:10",
            "filter add dev d0 ingress protocol ip prio 6 basic match 'cmp(u16 at 3 layer 2 mask 0xff00 trans gt 20)' and \
             'meta(vlan mask 0xfff eq 5)' action drop",
            "filter add dev d0 ingress protocol ip prio 6 handle 0x20 basic match 'meta(nf_mark shift 4 gt 24) or \
             meta(random mask 0xff lt priority) and meta(dev eq 1)' action pass classid 1:1",
            "filter add dev d0 ingress protocol all prio 7 basic match '(cmp(u8 at 1 eq 1) and cmp(u8 at 2 eq 2)) or \
             cmp(u8 at 3 eq 3)' police rate 1mbit burst 10k drop flowid 1:2",
            "filter add dev d0 ingress protocol all prio 7 basic match 'not (cmp(u8 at 1 eq 1) or cmp(u8 at 2 eq 2)) and \
             (cmp(u8 at 3 eq 3) and (cmp(u8 at 4 eq 4)))' action pass",
            "filter add dev d0 ingress protocol all prio 8 basic match 'cmp(u32 at 0 layer link lt 0xfffffffe)' AND NOT \
             cmp(u8 at 0 layer n eq 1) flowid 1:2",
            r#"filter add dev d0 ingress protocol all prio 9 basic match 'nbyte("\x01\xff'"\101" at 0)' classid 1:1"#,
            "filter add dev d0 ingress protocol all prio 9 basic match 'meta(\"d\" eq dev shift 1)' classid 1:1",
            "filter add dev d0 ingress protocol all prio 9 basic match 'u32(u16 1 0xffff at 22)' classid 1:1",
            "filter add dev d0 ingress protocol all prio 9 basic classid 1:1",
            "filter add dev d0 ingress protocol all prio 9 handle 0x1 basic classid 1:1",
            "filter change dev d0 ingress protocol all prio 9 handle 0x1 basic match 'meta(pkt_len gt 5)' classid 1:3",
            "filter change dev d0 ingress protocol all prio 9 handle 0x1 basic action drop",
            "filter replace dev d0 ingress protocol all prio 9 handle 0x7 basic classid 1:3",
            "filter replace dev d0 ingress protocol all prio 9 handle 0x7 basic match 'cmp(u8 at 1 eq 3)' classid 1:4",
            "filter get dev d0 ingress protocol all prio 9 handle 0x7 basic",
            "filter add dev d0 ingress protocol all prio 9 basic",
            "filter add dev d0 ingress protocol all prio 9 basic match 'canid(sff 0x123 eff 1:f)' classid 1:4",
            "filter add dev d0 ingress protocol all prio 9 basic match 'meta(nf_mark eq sk_hash)' classid 1:4",
            "filter del dev d0 ingress protocol all prio 9 handle 0x7 basic",
            "filter del dev d0 ingress protocol all prio 7",
        ],
    );
    for words in [
        "match",
        "match classid 1:1",
        "match 'bla(x)' classid 1:1",
        "match 'text(x)' classid 1:1",
        "match 'cmp()' classid 1:1",
        "match 'cmp(u8 at 9' classid 1:1",
        "match 'cmp(u8 at 9 eq 1) or' classid 1:1",
        "match '(cmp(u8 at 9 eq 1)' classid 1:1",
        "match 'not not cmp(u8 at 9 eq 1)' classid 1:1",
        r#"match 'nbyte("\0612" at 0)' classid 1:1"#,
        "match 'cmp(u7 at 9 eq 1)' classid 1:1",
        "match 'cmp(u16 at 3 layer 5 gt 20)' classid 1:1",
        "match 'cmp(u16 at 3 layer x gt 20)' classid 1:1",
        "match 'cmp(u16 at x gt 20)' classid 1:1",
        "match 'cmp(u16 at 3 gt -1)' classid 1:1",
        "match 'cmp(u8 gt 1)' classid 1:1",
        "match 'cmp(u8 at)' classid 1:1",
        "match 'cmp(u8 at 1 bogus)' classid 1:1",
        "match 'nbyte(a layer 1)' classid 1:1",
        "match 'nbyte(a at 1 2)' classid 1:1",
        "match 'u32(u8 0x1122 0x0f at 0)' classid 1:1",
        "match 'u32(u8 0x77 0xff at)' classid 1:1",
        "match 'u32(u8 0x77 0xff 0)' classid 1:1",
        "match 'u32(u8 zero 0xff at 0)' classid 1:1",
        "match 'u32(u32 1 1 at 2)' classid 1:1",
        "match 'u32(u8 1 1 at 0 0)' classid 1:1",
        "match 'meta(nope eq 1)' classid 1:1",
        "match 'meta(dev)' classid 1:1",
        "match 'meta(dev ne 1)' classid 1:1",
        "match 'meta(dev eq)' classid 1:1",
        "match 'meta(dev eq 1 2)' classid 1:1",
        "match 'meta(dev shift x eq 1)' classid 1:1",
        "match 'canid(xff 1)' classid 1:1",
        "match 'canid(sff)' classid 1:1",
        "match 'canid(sff y)' classid 1:1",
        "classid x",
        "bogus",
        "help",
        "police drop",
        "action bogus",
        "match 'cmp(u8 at 1 eq 1)' police rate 1mbit",
    ] {
        let words = format!("filter add dev d0 ingress protocol all prio 20 basic {words}");
        assert_ne!(run(&twins, &words), 0, "{words}");
    }
}

/// Broken in tc 6.1: a text is no number there, and the last word is read twice.
#[test]
fn texts_and_expressions_at_the_end_are_read() {
    need!("sch_ingress", "cls_basic", "veth");
    let twins = twins();
    for (words, expression) in [
        ("'meta(dev eq \"d0\")'", "meta(dev eq \"d0\")"),
        (
            "'cmp(u8 at 9 eq 6)' or 'cmp(u8 at 9 eq 17)'",
            "cmp(u8 at 9 layer 1 eq 6) or cmp(u8 at 9 layer 1 eq 17)",
        ),
        ("cmp(u8 at 9 eq 6)", "cmp(u8 at 9 layer 1 eq 6)"),
        (
            "'nbyte(\"a b\" at 0) or meta(dev eq \"d0\")'",
            "nbyte(\"a\\x20b\" at 0 layer 1) or meta(dev eq \"d0\")",
        ),
    ] {
        let words = format!("filter add dev d0 ingress protocol all prio 3 basic match {words}");
        let [theirs, ours] = twins.run(&words);
        assert_ne!(theirs.code, 0, "{words}");
        assert_eq!((ours.code, ours.stderr), (0, String::new()), "{words}");
        assert_eq!(options(&twins, "ingress")["ematch"], expression);
        let [by_tc, ours] = [twins.ours.tc("filter show dev d0"), twins.ours.tc_cli("filter show dev d0")];
        assert_eq!(ours.stdout, by_tc.stdout, "{words}");
        twins.ours.tc_cli("filter del dev d0 ingress").ok();
    }
}

#[test]
fn cgroup_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_cgroup", "act_police", "veth");
    let twins = twins();
    compare(
        &twins,
        &[
            "filter add dev d0 parent 1: handle 1: protocol ip prio 5 cgroup",
            "filter add dev d0 parent 1: handle 2: protocol ip prio 5 cgroup",
            "filter add dev d0 parent 1: protocol ip prio 6 cgroup",
            "filter add dev d0 ingress handle 0x1a protocol ip prio 5 cgroup match 'meta(pkt_len gt 5)' action drop",
            "filter replace dev d0 ingress handle 0x1a protocol ip prio 5 cgroup match 'not (meta(nf_mark eq 1) or cmp(u8 at 9 \
             eq 6))' action pass action drop",
            "filter change dev d0 ingress handle 0x1a protocol ip prio 5 cgroup",
            "filter add dev d0 ingress handle 3 protocol all prio 7 cgroup match 'cmp(u8 at 9 eq 6)' police rate 1mbit burst \
             10k drop",
            "filter get dev d0 ingress handle 3 protocol all prio 7 cgroup",
            "filter del dev d0 ingress handle 3 protocol all prio 7 cgroup",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup match 'canid(sff 1)' action drop",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup match 'u32(u8 1 1 at' action drop",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup match",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup bogus",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup help",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup action bogus",
            "filter add dev d0 ingress handle 3 protocol all prio 8 cgroup police drop",
            "filter del dev d0 ingress protocol all prio 7 cgroup match 'cmp(u8 at 9 eq 6)' action pass",
            "filter del dev d0 parent 1: protocol ip prio 5",
        ],
    );
    let json = options(&twins, "ingress");
    assert_eq!(json["handle"], "0x1a");
    assert_eq!(json["ematch"], "not (meta(nf_mark eq 1) or cmp(u8 at 9 layer 1 eq 6))");
    assert_eq!(json["actions"].as_array().map(Vec::len), Some(2));
}

#[test]
fn flow_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_flow", "act_police", "veth");
    let twins = twins();
    compare(
        &twins,
        &[
            "filter add dev d0 parent 1: handle 1 protocol all prio 5 flow hash keys src,dst,proto-src divisor 1024 perturb 10 \
             baseclass 1:1",
            "filter add dev d0 parent 1: handle 2 protocol all prio 5 flow map key dst and 0xff or 0x10 xor 3 rshift 4 addend \
             -1 match 'meta(pkt_len gt 5)' action drop",
            "filter add dev d0 parent 1: handle 3 protocol all prio 5 flow map key dst and 0xff addend -10.0.0.1",
            "filter add dev d0 parent 1: handle 4 protocol all prio 5 flow map key src addend 2001:db8::7 baseclass :5",
            "filter add dev d0 parent 1: handle 5 protocol all prio 5 flow map key mark divisor 16 police rate 1mbit burst 10k \
             drop",
            "filter add dev d0 ingress handle 0x1f protocol ip prio 6 flow hash keys nfct,nfct-src,nfct-dst,nfct-proto-src,\
             nfct-proto-dst,rt-classid,vlan-tag,rxhash,iif,priority,proto,proto-dst,sk-uid,sk-gid action pass",
            "filter change dev d0 parent 1: handle 2 protocol all prio 5 flow rshift 7",
            "filter change dev d0 parent 1: handle 1 protocol all prio 5 flow hash perturb 0 divisor 0",
            "filter replace dev d0 parent 1: handle 3 protocol all prio 5 flow map key iif xor 5",
            "filter change dev d0 parent 1: handle 3 protocol all prio 5 flow map key iif match 'cmp(u8 at 1 eq 1)' action drop",
            "filter get dev d0 parent 1: handle 3 protocol all prio 5 flow",
            "filter add dev d0 parent 1: handle 3 protocol all prio 5 flow map key iif",
            "filter add dev d0 parent 1: protocol all prio 5 flow map key iif",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow divisor 3",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif perturb 3",
            "filter add dev d0 parent 1: handle x protocol all prio 5 flow map key iif",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key src,dst",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key bogus",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif and x",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif addend 10.0.0.1",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif baseclass 1:",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif match 'bla(x)' action drop",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key iif bogus",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow help",
            "filter add dev d0 parent 1: handle 9 protocol all prio 5 flow map key",
            "filter del dev d0 parent 1: handle 5 protocol all prio 5 flow",
            "filter del dev d0 parent 1: protocol all prio 5",
        ],
    );
    let json = options(&twins, "ingress");
    assert_eq!((&json["handle"], &json["mode"]), (&"0x1f".into(), &"hash".into()));
    assert_eq!(json["keys"].as_array().map(Vec::len), Some(14));
}

#[test]
fn route_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_route", "act_police", "veth");
    let twins = twins();
    compare(
        &twins,
        &[
            "filter add dev d0 parent 1: protocol ip prio 100 route from 2 to 10 classid 1:10",
            "filter add dev d0 parent 1: protocol ip prio 100 route fromif lo to 10 order 3 classid 1:10 action drop",
            "filter add dev d0 parent 1: protocol ip prio 100 route to 11 classid 1:10 police rate 1mbit burst 10k drop",
            "filter add dev d0 parent 1: protocol ip prio 100 route from cosmos classid 1:11",
            "filter add dev d0 parent 1: protocol ip prio 100 route to 10 from 2 classid 1:10",
            "filter add dev d0 ingress protocol ip prio 100 handle 0xffff050c route to 12 flowid 1:12",
            "filter add dev d0 ingress protocol ip prio 100 handle 5 route to 12 flowid 1:12",
            "filter change dev d0 ingress protocol ip prio 100 route to 12 order 5 action pass",
            "filter change dev d0 parent 1: protocol ip prio 100 route fromif lo to 10 order 3 flowid 1:12",
            "filter get dev d0 parent 1: protocol ip prio 100 handle 0x2000a route",
            "filter add dev d0 parent 1: protocol ip prio 100 route",
            "filter add dev d0 parent 1: protocol ip prio 101 route classid 1:1",
            "filter add dev d0 parent 1: protocol ip prio 100 route to 256",
            "filter add dev d0 parent 1: protocol ip prio 100 route to nowhere",
            "filter add dev d0 parent 1: protocol ip prio 100 route from",
            "filter add dev d0 parent 1: protocol ip prio 100 route fromif nope",
            "filter add dev d0 parent 1: protocol ip prio 100 route order x",
            "filter add dev d0 parent 1: protocol ip prio 100 route classid x",
            "filter add dev d0 parent 1: protocol ip prio 100 route to 1 bogus",
            "filter add dev d0 parent 1: protocol ip prio 100 route help",
            "filter add dev d0 parent 1: protocol ip prio 100 handle x route to 1",
            "filter del dev d0 parent 1: protocol ip prio 100 route from 2 to 10",
            "filter del dev d0 parent 1: protocol ip prio 100 handle 0xffff000b route",
            "filter del dev d0 parent 1: protocol ip prio 100",
            "filter del dev d0 parent 1: protocol ip prio 101",
        ],
    );
    let json = options(&twins, "ingress");
    assert_eq!((&json["fh"], &json["order"], &json["to"]), (&"0xffff050c".into(), &5.into(), &"12".into()));
}

/// A kind of filters.
trait FilterKind: Kind<Object = object::Filter> {}

impl<K: Kind<Object = object::Filter>> FilterKind for K {}

const ONE: Handle = Handle::qdisc(1);

/// The options of the only filter that has some.
fn read<K: FilterKind>(tc: &mut Connection, device: i32, forget: impl Fn(&mut K)) -> K {
    let list = tc.list(&DumpRequest::new(TcType::Filter, device).parent(ONE)).unwrap();
    let mut found: Vec<K> =
        list.iter().filter_map(|entry| entry.entry().unwrap().options_as().unwrap()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let mut read = found.remove(0);
    forget(&mut read);
    read
}

/// Adds a filter, changes fields of the options that are read, and writes these: no other field changes.
fn change<K: FilterKind>(
    handle: Handle,
    verb: Verb,
    options: &K,
    forget: impl Fn(&mut K),
    change: impl Fn(&mut K),
) {
    let net = Net::new();
    net.veth("d0", "d1");
    let mut tc = Connection::open().unwrap();
    let device = tc.ifindex("d0").unwrap();
    tc.add(&Request::qdisc(device).parent(Handle::ROOT).handle(ONE).options(&Htb::default())).unwrap();
    let filter = Request::filter(device).parent(ONE).priority(5).protocol(ETH_P_IP).handle(handle);
    tc.add(&filter.clone().options(options)).unwrap();
    let mut was = read(&mut tc, device, &forget);
    assert_eq!(was, options.as_dumped(&Usual), "{}", K::KIND);
    change(&mut was);
    tc.apply(verb, &filter.options(&was)).unwrap();
    assert_eq!(read(&mut tc, device, &forget), was.as_dumped(&Usual), "{}", K::KIND);
}

#[test]
fn a_changed_field_leaves_the_others() {
    need!("sch_htb", "cls_basic", "cls_cgroup", "cls_flow", "veth");
    let udp = Cmp::new(Align::U8, 9, Operand::Eq, 17);
    let expression = Ematches::new(udp)
        .and(!Ematches::new(Meta::new(Field::DEV, Operand::Eq, "d0")).or(U32::new(1, 3, 12)));
    let class = |minor| Handle::class(1, minor);
    let one = Handle::from_raw(1);
    change(
        one,
        Verb::Change,
        &Basic::default().ematches(expression.clone()).class(class(1)),
        |basic| basic.reported = BasicReported::default(),
        |basic| basic.class = Some(class(2)),
    );
    change(
        one,
        Verb::Change,
        &Basic::default().ematches(expression.clone()).class(class(1)),
        |basic| basic.reported = BasicReported::default(),
        |basic| basic.ematches = Ematches::new(udp),
    );
    // The kernel refuses a change.
    change(
        one,
        Verb::Replace,
        &Cgroup::default().ematches(expression.clone()),
        |_| (),
        |cgroup| cgroup.ematches = Ematches::new(udp),
    );
    let flow = Flow::hash(FlowKeys::SRC | FlowKeys::RXHASH).base_class(class(5)).mask(0xff).divisor(9);
    let flow = flow.ematches(expression).perturb(Duration::from_secs(7)).rshift(2).xor(3);
    change(one, Verb::Change, &flow, |_| (), |flow| flow.addend = Some(3));
    change(one, Verb::Change, &flow, |_| (), |flow| flow.keys = FlowKeys::DST);
    change(one, Verb::Change, &flow, |_| (), |flow| (flow.mask, flow.xor) = (Some(u32::MAX), Some(0)));
}

/// Kernel: a full stack counts as a match. With tc, 33 parentheses around a test that no packet passes drop every
/// packet.
#[test]
fn expressions_beyond_the_kernels_stack_are_refused() {
    need!("sch_clsact", "cls_basic", "act_gact");
    let twins = Twins::new(|net| {
        net.tc("qdisc add dev lo clsact").ok();
    });
    let filter = |depth: usize| {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        format!(
            "filter add dev lo ingress protocol ip pref 1 basic match {open}cmp(u8 at 9 eq 250){close} action drop"
        )
    };
    let arrives = |net: &Net| {
        let (from, to) = (net.udp("127.0.0.1:0"), net.udp("127.0.0.1:0"));
        to.set_read_timeout(Some(QUIET)).unwrap();
        from.send_to(b"x", to.local_addr().unwrap()).unwrap();
        to.recv(&mut [0; 8]).is_ok()
    };
    for (depth, code) in [(MAX_DEPTH, 0), (MAX_DEPTH + 1, 1)] {
        let [theirs, ours] = twins.run(&filter(depth));
        assert_eq!((theirs.code, ours.code), (0, code), "{depth}: {}", ours.stderr);
        assert!(arrives(&twins.ours), "{depth}");
        assert_eq!(arrives(&twins.theirs), depth == MAX_DEPTH, "{depth}");
        twins.theirs.tc("filter del dev lo ingress").ok();
    }
}
