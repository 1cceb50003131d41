//! Qdiscs, and properties of all of it.

use bytes::BytesMut;
use proptest::prelude::*;
use tc_core::embedded::{Choice, Classified};
use tc_core::{AttrWriter, FillContext, FilterPlace, Handle, Kind, Verb};

use super::*;
use crate::qdisc::{drr::Drr, ets::Ets, hfsc::Hfsc, htb::Htb, prio::Prio};

fn qdisc<K: Kind>(options: &K) -> Classful {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    options.encode(&FillContext { verb: Verb::Add, as_tc: false }, &mut out).unwrap();
    let mut qdisc = Classful::new(K::KIND, Handle::qdisc(1), Some(&buffer)).unwrap();
    let class = |minor| Handle::class(1, minor);
    qdisc.classes.extend([(class(1), Handle::qdisc(1)), (class(0x10), class(1)), (class(0x11), class(1))]);
    qdisc
}

/// The choice if filters of the qdisc and of `1:1` have these results.
fn choose(qdisc: &Classful, priority: u32, root: Classified, inner: Classified) -> Choice {
    let mut filters = |place: Handle| match place.minor() {
        0 => Ok::<_, CannotKnow>(root),
        _ => Ok(inner),
    };
    qdisc.choose(priority, &mut filters).unwrap().choice
}

const fn to(minor: u16) -> Classified {
    Classified::Match(Handle::class(1, minor))
}

const fn class(minor: u16) -> Choice {
    Choice::Class(Handle::class(1, minor))
}

const MISS: Classified = Classified::Miss;

#[test]
fn htb_goes_through_inner_classes_to_a_leaf() {
    let htb = qdisc(&Htb::default().default_minor(0x11));
    for (priority, root, inner, choice) in [
        (0, MISS, MISS, class(0x11)),
        (0x1_0010, MISS, MISS, class(0x10)),
        (0x1_0000, to(0x10), MISS, Choice::Own),
        (0, to(0x10), MISS, class(0x10)),
        (0, to(1), to(0x10), class(0x10)),
        (0x1_0001, to(0x11), to(0x10), class(0x10)),
        (0, to(0), MISS, Choice::Own),
        (0, to(0x99), MISS, class(0x11)),
        (0, to(1), to(1), Choice::Dropped),
        (0, Classified::Dropped, MISS, Choice::Dropped),
        (0, Classified::Stolen, MISS, Choice::Stolen),
    ] {
        assert_eq!(choose(&htb, priority, root, inner), choice, "{priority:#x} {root:?} {inner:?}");
    }
    assert_eq!(choose(&qdisc(&Htb::default().default_minor(1)), 0, MISS, MISS), Choice::Own);
}

#[test]
fn hfsc_drops_packets_without_a_class() {
    let hfsc = qdisc(&Hfsc { default_minor: 0x99 });
    assert_eq!(choose(&hfsc, 0, MISS, MISS), Choice::Dropped);
    assert_eq!(choose(&hfsc, 0, to(1), to(0x11)), class(0x11));
    assert_eq!(choose(&hfsc, 0, to(1), to(1)), Choice::Dropped);
    assert_eq!(choose(&qdisc(&Hfsc { default_minor: 0x10 }), 0x1_0001, MISS, MISS), class(0x10));
}

#[test]
fn bands_are_chosen_by_priority_and_filter() {
    let mut map = [1; 16];
    (map[0], map[6]) = (2, 0);
    for bands in [qdisc(&Prio::default().priomap(map)), qdisc(&Ets::new(1, [100, 100]).priomap(map))] {
        assert_eq!(choose(&bands, 6, MISS, MISS), class(1));
        assert_eq!(choose(&bands, 7, MISS, MISS), class(2));
        // The number of another qdisc counts as 0.
        assert_eq!(choose(&bands, 0x9_0006, MISS, MISS), class(3));
        assert_eq!(choose(&bands, 0x1_0002, to(3), MISS), class(2));
        assert_eq!(choose(&bands, 0, to(2), MISS), class(2));
        assert_eq!(choose(&bands, 0, to(9), MISS), class(3));
    }
}

#[test]
fn drr_needs_a_filter() {
    let drr = qdisc(&Drr);
    assert_eq!(choose(&drr, 0, MISS, MISS), Choice::Dropped);
    assert_eq!(choose(&drr, 0, to(0x10), MISS), class(0x10));
    assert_eq!(choose(&drr, 0x1_0011, MISS, MISS), class(0x11));
}

proptest! {
    /// Whatever a kernel dumps, and whatever a packet is.
    #[test]
    fn any_options_and_any_packet_end(
        payload in proptest::collection::vec(any::<u8>(), 0..120),
        frame in proptest::collection::vec(any::<u8>(), 0..120),
        kind in proptest::sample::select(vec!["u32", "fw", "flower", "basic", "matchall", "bpf"]),
        handle: u32,
        ingress: bool,
    ) {
        let mut place = FilterPlace::default();
        (place.priority, place.protocol) = (Some(1), Some(3));
        place.handle = Handle::from_raw(handle);
        let mut filters = Filters::new(vec![Filter::new(kind, &place, Some(&payload))]);
        let direction = if ingress { Direction::Ingress } else { Direction::Egress };
        let _ = filters.classify(&mut Packet::new(frame, direction), &mut Walk::default());
    }
}
