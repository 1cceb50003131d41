//! What programs expect of the library: one test for each promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so and stops")]

use std::error::Error as _;

use tc_core::embedded::{Device, Faults, Kernel, Refusal};
use tc_core::monitor::{Event, Follower, Notice};
use tc_core::rate::Rate;
use tc_core::uapi::{ETH_P_ALL, ETH_P_IP};
use tc_core::{
    Actions, Connection, DumpRequest, Ensured, Error, Handle, Origin, OwnedEntry, Registry, Request, object,
};
use tc_qdiscs::clsact::Clsact;
use tc_qdiscs::filter::matchall::Matchall;
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::pfifo::Pfifo;
use tests::lab::Net;
use tests::need;

const ONE: Handle = Handle::qdisc(1);
const LEAF: Handle = Handle::class(1, 0x10);

/// A connection in a new namespace, and the index of an ifb there.
fn lab() -> (Net, Connection, i32) {
    let net = Net::new();
    net.ip("link add d0 type ifb").ok();
    net.ip("link set d0 up").ok();
    let mut tc = Connection::open().unwrap();
    let dev = tc.ifindex("d0").unwrap();
    (net, tc, dev)
}

fn root(dev: i32) -> Request<'static, object::Qdisc> {
    Request::qdisc(dev).parent(Handle::ROOT).handle(ONE)
}

#[test]
fn ensure_adds_changes_and_then_does_nothing() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = lab();
    let htb = root(dev).with_options(Htb::default().default_minor(0x10));
    assert_eq!(tc.ensure(&htb).unwrap(), Ensured::Added, "in place of the default qdisc");
    assert_eq!(tc.ensure(&htb).unwrap(), Ensured::Unchanged);
    let rate = |mbit: u64| HtbClass::builder(Rate::bits_per_second(mbit * 1_000_000)).build();
    let class = |mbit| Request::class(dev).parent(ONE).handle(LEAF).with_options(rate(mbit).unwrap());
    assert_eq!(tc.ensure(&class(1)).unwrap(), Ensured::Added);
    assert_eq!(tc.ensure(&class(1)).unwrap(), Ensured::Unchanged);
    let Ensured::Changed { was } = tc.ensure(&class(2)).unwrap() else { unreachable!("it was changed") };
    assert!(was.contains("rate 1000000bit"), "{was}");
    let leaf = |limit| Request::qdisc(dev).parent(LEAF).with_options(Pfifo::new(limit));
    assert_eq!(tc.ensure(&leaf(7)).unwrap(), Ensured::Added);
    assert_eq!(tc.ensure(&leaf(7)).unwrap(), Ensured::Unchanged);
    assert!(matches!(tc.ensure(&leaf(8)).unwrap(), Ensured::Changed { .. }));
    // htb cannot be changed: another one takes its place.
    let other = root(dev).with_options(Htb::default().default_minor(0x20));
    let other = tc.ensure(&other);
    assert!(other.is_err() || matches!(other, Ok(Ensured::Replaced { .. })), "{other:?}");
    let pfifo = Request::qdisc(dev).parent(Handle::ROOT).handle(Handle::qdisc(2)).with_options(Pfifo::new(9));
    let Ensured::Replaced { was } = tc.ensure(&pfifo).unwrap() else { unreachable!("it was replaced") };
    assert_eq!(was, "qdisc htb");
}

#[test]
fn ensure_finds_filters_by_their_place() {
    need!("netns", "ifb", "cls_matchall");
    let (_net, mut tc, dev) = lab();
    assert_eq!(
        tc.ensure(&Request::qdisc(dev).parent(Handle::INGRESS).with_options(Clsact)).unwrap(),
        Ensured::Added
    );
    let filter = |class| {
        let place = Request::filter(dev).parent(Handle::FILTER_EGRESS).priority(7).protocol(ETH_P_ALL);
        place.handle(Handle::from_raw(1)).with_options(Matchall::default().class(class))
    };
    assert_eq!(tc.ensure(&filter(LEAF)).unwrap(), Ensured::Added);
    assert_eq!(tc.ensure(&filter(LEAF)).unwrap(), Ensured::Unchanged);
    let other = tc.ensure(&filter(Handle::class(1, 0x20)));
    assert!(matches!(other, Ok(Ensured::Changed { .. })) || other.is_err(), "{other:?}");
    assert!(tc.ensure(&Request::filter(dev).parent(Handle::FILTER_EGRESS).kind("matchall")).is_err());
}

#[test]
fn get_and_delete_if_exists_are_no_errors_without_the_object() {
    need!("netns", "ifb");
    let (_net, mut tc, dev) = lab();
    let pfifo = root(dev).with_options(Pfifo::new(5));
    assert!(tc.get_if_exists(&pfifo).unwrap().is_none());
    assert!(!tc.delete_if_exists(&pfifo).unwrap());
    tc.add(&pfifo).unwrap();
    assert_eq!(tc.get_if_exists(&pfifo).unwrap().unwrap().entry().unwrap().kind().unwrap(), "pfifo");
    assert!(!tc.delete_if_exists(&root(dev).handle(Handle::qdisc(9))).unwrap(), "another handle");
    assert!(tc.delete_if_exists(&pfifo).unwrap());
}

/// The requests for objects that are not there, and whether the kernel says so for each.
#[test]
fn objects_that_are_not_there_are_not_found() {
    need!("netns", "ifb", "sch_htb");
    let (_net, mut tc, dev) = lab();
    let not_found = |result: Result<(), Error>, what: &str| {
        let error = result.unwrap_err();
        assert!(error.is_not_found() && !error.is_unknown_kind(), "{what}: {error:?}");
    };
    let delete = |tc: &mut Connection, request: Request<'_>, what: &str| not_found(tc.delete(&request), what);
    delete(&mut tc, root(dev).any(), "root qdisc, README's form");
    delete(&mut tc, Request::qdisc(dev).parent(Handle::ROOT).any(), "root qdisc");
    delete(&mut tc, Request::qdisc(dev).handle(ONE).parent(LEAF).any(), "below a class");
    delete(&mut tc, Request::class(dev).handle(LEAF).any(), "class without its qdisc");
    delete(&mut tc, Request::filter(dev).parent(ONE).priority(1).protocol(ETH_P_IP).any(), "filter's parent");
    delete(&mut tc, Request::qdisc(999).parent(Handle::ROOT).any(), "device");
    tc.add(&root(dev).with_options(Htb::default())).unwrap();
    delete(&mut tc, root(dev).handle(Handle::qdisc(2)).any(), "another handle");
    delete(&mut tc, Request::qdisc(dev).parent(Handle::ROOT).kind("pfifo").any(), "another kind");
    delete(&mut tc, Request::class(dev).handle(LEAF).any(), "class");
    delete(&mut tc, Request::filter(dev).parent(LEAF).priority(1).protocol(ETH_P_IP).any(), "filter's class");
    let gone = tc.get(&Request::class(dev).handle(LEAF)).map(drop);
    not_found(gone, "get of a class");
    not_found(tc.change(&Request::class(dev).parent(ONE).handle(LEAF).kind("htb")), "change of a class");
}

#[test]
fn a_kind_that_the_kernel_lacks_is_an_error_of_its_own() {
    need!("netns", "ifb");
    let (_net, mut tc, dev) = lab();
    let error = tc.add(&root(dev).kind("no_such_kind")).unwrap_err();
    assert!(error.is_unknown_kind() && !error.is_not_found(), "{error:?}");
    tc.add(&Request::qdisc(dev).parent(Handle::INGRESS).with_options(Clsact)).unwrap();
    let filter = Request::filter(dev).parent(Handle::FILTER_EGRESS).priority(1).protocol(ETH_P_ALL);
    let error = tc.add(&filter.kind("no_such_kind")).unwrap_err();
    assert!(error.is_unknown_kind() && !error.is_not_found(), "{error:?}");
    let actions = Actions::new().with(tc_core::Action::at_index("no_such_kind", 1));
    let error = tc.add(&Request::actions(&actions)).unwrap_err();
    assert!(error.is_unknown_kind() && !error.is_not_found(), "{error:?}");
}

#[test]
fn entries_can_be_owned() {
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder().device(Device::new("eth0").ifindex(2))).build();
    let mut tc = Connection::over(kernel.connect());
    tc.add(&root(2).with_options(Pfifo::new(5))).unwrap();
    let kept = OwnedEntry::of(&tc.get(&root(2)).unwrap());
    let listed = tc.list(&DumpRequest::qdiscs()).unwrap().remove(0);
    assert_eq!(kept.entry().unwrap().options(), listed.entry().unwrap().options());
    assert_eq!(kept.entry().unwrap().options_as::<Pfifo>().unwrap(), Some(Pfifo::new(5)));
}

/// A report that prints each cause of a chain prints each text once.
#[test]
fn display_and_source_do_not_repeat_each_other() {
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder().device(Device::new("eth0").ifindex(2))).build();
    let mut tc = Connection::over(kernel.connect());
    let error = tc.delete(&Request::class(2).handle(LEAF)).unwrap_err();
    let text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        assert!(!text.contains(&cause.to_string()), "{text}: {cause}");
        next = cause.source();
    }
}

#[test]
fn followers_learn_that_a_device_is_gone() {
    need!("netns", "ifb");
    let (net, mut tc, dev) = lab();
    let mut follower = Follower::open().unwrap();
    tc.add(&root(dev).with_options(Pfifo::new(5))).unwrap();
    net.ip("link del d0").ok();
    loop {
        match follower.next().unwrap().unwrap() {
            Event::DeviceGone(ifindex) => {
                assert_eq!(ifindex, dev);
                break;
            }
            Event::Notice(_) => {}
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn everything_handed_out_is_send() {
    const fn is_send<T: Send>() {}
    is_send::<Connection>();
    is_send::<Request<'static>>();
    is_send::<OwnedEntry>();
    is_send::<Error>();
    is_send::<Follower>();
    is_send::<Notice<'static>>();
    is_send::<Event<'static>>();
    is_send::<Actions>();
    is_send::<Registry>();
    is_send::<tc_core::ChangeWatch>();
    is_send::<tc_core::netns::Namespace>();
    is_send::<Box<dyn tc_core::Options>>();
    is_send::<Box<dyn tc_core::link::DeviceNames>>();
    is_send::<tc_qdiscs::plug::commit::OutputCommit>();
    is_send::<Kernel>();
}

#[test]
fn raw_options_of_any_kind_are_sent_and_read() {
    need!("netns", "ifb");
    let (_net, mut tc, dev) = lab();
    let limit = 77u32.to_ne_bytes();
    tc.add(&root(dev).raw_options("pfifo", &limit)).unwrap();
    let there = tc.get(&root(dev)).unwrap();
    assert_eq!(there.options(), Some(&limit[..]));
    assert_eq!(there.options_as::<Pfifo>().unwrap(), Some(Pfifo::new(77)));
}

#[test]
fn a_send_can_be_refused_with_an_errno_and_a_text() {
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder().device(Device::new("eth0").ifindex(2))).build();
    let mut faults = Faults::over(kernel.connect());
    faults.refuse_send(1, Refusal::new(28, "no room for it"));
    let mut tc = Connection::over(faults);
    tc.add(&root(2).with_options(Pfifo::new(5))).unwrap();
    let error = tc.delete(&root(2)).unwrap_err();
    assert_eq!((error.errno(), error.is_outcome_unknown()), (Some(28), false));
    assert!(error.to_string().contains("no room for it"), "{error}");
    assert!(tc.get_if_exists(&root(2)).unwrap().is_some(), "nothing was done");
    assert!(tc.delete_if_exists(&root(2)).unwrap());
}

#[test]
fn actions_of_a_kind_of_another_registry_are_resolved() {
    use tc_core::{Action, AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, Reader};
    use tc_core::{OptionWords, Syntax, print::Printer, words};

    #[derive(Clone, Debug, PartialEq)]
    struct Paint(u32);
    impl Kind for Paint {
        type Object = object::Action;
        const KIND: &'static str = "paint";
        fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
            out.put_u32(self.0);
            Ok(Fill::Nested)
        }
        fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
            Ok(Self(Reader::new(payload).u32()?))
        }
    }
    impl Syntax for Paint {
        const USAGE: &'static str = "";
        fn parse_words(
            _: &mut words::Words<'_>,
            _: &words::WordsContext<'_>,
        ) -> Result<Option<Self>, words::WordError> {
            Ok(None)
        }
        fn print(&self, _: &mut Printer) {}
        fn to_words(&self, _: &mut OptionWords<'_>) {}
    }

    let mut bytes = bytes::BytesMut::new();
    let mut out = AttrWriter::new(&mut bytes);
    let context = FillContext { verb: tc_core::Verb::Add, as_tc: false };
    Actions::new().with(Action::new(Paint(7))).encode(2, &context, &mut out).unwrap();
    out.finish().unwrap();
    let attr = tc_core::Attrs::new(&bytes).next().unwrap().unwrap();
    let actions = Actions::decode(&attr).unwrap();
    assert!(actions.iter().next().unwrap().raw_options().is_some());
    let mut registry = Registry::empty();
    registry.register::<Paint>(Origin { package: "here", version: "1", location: "library.rs" }).unwrap();
    let actions = actions.resolved(&registry);
    assert_eq!(actions.iter().next().unwrap().options_as::<Paint>(), Some(&Paint(7)));
}
