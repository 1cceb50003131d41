//! Snapshots, plans and their application from Rust, with tc-core and tc-qdiscs alone: on the embedded kernel and on
//! this one.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use tc_core::embedded::{Device, Kernel, Socket};
use tc_core::rate::Rate;
use tc_core::tree::{
    Context, EstablishError, Left, LeftOut, Outcome, Place, Plan, Snapshot, Wanted, establish,
};
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, DumpRequest, Handle, Request, Transport, Verb};
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::Net;
use tests::need;

fn embedded() -> Connection<Socket> {
    let builder = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::new("d0").ifindex(2));
    Connection::over(builder.build().connect())
}

fn class(rate: u64) -> HtbClass {
    HtbClass::builder(Rate::bytes_per_second(rate)).build().unwrap()
}

/// An htb with these classes, each with a rate in bytes per second and a pfifo.
fn htb<'a>(dev: i32, classes: &[(u16, u64)], context: Context<'a>) -> Wanted<'a> {
    let mut wanted = Wanted::new(context);
    let root = Request::qdisc(dev).parent(Handle::ROOT).handle(Handle::qdisc(1));
    wanted.add(root.with_options(Htb::default())).unwrap();
    for (minor, rate) in classes {
        let handle = Handle::class(1, *minor);
        let at = Request::class(dev).parent(Handle::qdisc(1)).handle(handle);
        wanted.add(at.with_options(class(*rate))).unwrap();
        let leaf = Request::qdisc(dev).parent(handle).handle(Handle::qdisc(0x100 + minor));
        wanted.add(leaf.with_options(Pfifo::new(5))).unwrap();
    }
    wanted
}

fn verbs(plan: &Plan<'_>) -> Vec<(Verb, String)> {
    plan.steps.iter().map(|step| (step.verb, step.object.place().to_string())).collect()
}

/// All objects with their options, byte for byte.
fn dump<T: Transport>(tc: &mut Connection<T>, dev: i32) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for select in [DumpRequest::qdiscs().device(dev), DumpRequest::classes(dev)] {
        for listed in tc.list(&select).unwrap() {
            let entry = listed.entry().unwrap();
            let (handle, parent) = (entry.header.handle, entry.header.parent);
            let name = format!("{} {handle} {parent} {}", entry.tc_type(), entry.kind().unwrap());
            all.push((name, entry.options().unwrap_or_default().to_vec()));
        }
    }
    all.sort();
    all
}

#[track_caller]
fn goes_there_and_back<T: Transport>(tc: &mut Connection<T>, dev: i32) {
    let names = tc.device_names().unwrap();
    let context = Context::new(&*names).unwrap();
    let first = htb(dev, &[(0x10, 125_000), (0x20, 250_000)], context);
    assert_eq!(establish(tc, &first).unwrap(), 5);
    assert_eq!(establish(tc, &first).unwrap(), 0);
    let (before, then) = (Snapshot::read(tc, Some(dev), &context).unwrap(), dump(tc, dev));

    let second = htb(dev, &[(0x10, 500_000), (0x30, 250_000)], context);
    let plan = Plan::new(&second, &before).unwrap();
    let class = |minor| format!("class 1:{minor:x} on device {dev}");
    let expected = [
        (Verb::Delete, class(0x20)),
        (Verb::Change, class(0x10)),
        (Verb::Add, class(0x30)),
        (Verb::Add, format!("qdisc parent 1:30 on device {dev}")),
    ];
    assert_eq!(verbs(&plan), expected);
    assert_eq!(plan.steps[1].was.as_deref(), Some("rate 1000000bit ceil 1000000bit"));
    assert_eq!(plan.apply(tc).into_result().unwrap(), 4);

    // A snapshot is a description.
    let back = Wanted::of(&before, context).unwrap();
    assert_eq!(establish(tc, &back).unwrap(), 4);
    assert_eq!(dump(tc, dev), then);
    tc.delete(&Request::qdisc(dev).parent(Handle::ROOT)).unwrap();
    assert_eq!(establish(tc, &back).unwrap(), 5);
    assert_eq!(dump(tc, dev), then);
}

#[test]
fn a_tree_goes_to_another_one_and_back_in_the_embedded_kernel() {
    goes_there_and_back(&mut embedded(), 2);
}

#[test]
fn a_tree_goes_to_another_one_and_back() {
    need!("netns", "ifb", "sch_htb");
    let net = Net::new();
    net.ip("link add d0 type ifb").ok();
    let mut tc = Connection::open().unwrap();
    let dev = tc.ifindex("d0").unwrap();
    goes_there_and_back(&mut tc, dev);
}

#[test]
fn a_plan_stops_behind_the_requests_that_were_sent_with_a_failed_one() {
    let mut tc = embedded();
    let names = tc.device_names().unwrap();
    let context = Context::new(&*names).unwrap();
    let mut wanted = htb(2, &[(0x10, 125_000)], context);
    let leaf = |parent: u16, handle: u16| {
        let at = Request::qdisc(2).parent(Handle::class(7, parent)).handle(Handle::qdisc(handle));
        at.with_options(Pfifo::new(3))
    };
    wanted.add(leaf(1, 7)).unwrap();
    let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(5).protocol(ETH_P_ALL);
    let matchall = tc_qdiscs::filter::matchall::Matchall::default().class(Handle::class(1, 0x10));
    wanted.add(filter.handle(Handle::from_raw(1)).with_options(matchall)).unwrap();
    let snapshot = Snapshot::read(&mut tc, None, &context).unwrap();
    let plan = Plan::new(&wanted, &snapshot).unwrap();
    let applied = plan.apply(&mut tc);
    let outcomes: String = applied
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done => '+',
            Outcome::Failed(_) => '-',
            _ => '.',
        })
        .collect();
    assert_eq!((outcomes.as_str(), applied.done()), ("+++-.", 3));
    let error = applied.into_result().unwrap_err().to_string();
    assert!(error.starts_with("add qdisc pfifo 7: parent 7:1 on device 2: "), "{error}");
    let stopped = establish(&mut tc, &wanted).unwrap_err();
    assert!(matches!(stopped, EstablishError::Step { done: 0, not_done: 2, .. }), "{stopped}");
}

#[test]
fn an_object_left_out_stays_or_the_plan_is_refused() {
    let mut tc = embedded();
    let names = tc.device_names().unwrap();
    let context = Context::new(&*names).unwrap();
    establish(&mut tc, &htb(2, &[(0x10, 125_000), (0x20, 250_000)], context)).unwrap();
    let snapshot = Snapshot::read(&mut tc, None, &context).unwrap();
    let mut wanted = htb(2, &[(0x10, 125_000)], context);
    let handle = Handle::class(1, 0x20);
    wanted.leave_out(LeftOut::Object(Place::Class { ifindex: 2, handle }));
    let plan = Plan::new(&wanted, &snapshot).unwrap();
    assert_eq!((plan.steps.len(), plan.left.len()), (0, 2));
    assert!(matches!(plan.left[0], Left::LeftOut(class) if class.kind() == "htb"), "{:?}", plan.left);
    let mut wanted = Wanted::new(context);
    let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(2));
    wanted.add(root.with_options(Pfifo::new(3))).unwrap();
    wanted.leave_out(LeftOut::Object(Place::Class { ifindex: 2, handle }));
    let refused = Plan::new(&wanted, &snapshot).unwrap_err();
    assert_eq!((refused.objects.len(), refused.chains.len()), (2, 0), "{refused}");
}
