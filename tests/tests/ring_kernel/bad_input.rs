//! Input that is refused, and changes nothing.

use tc_core::{Connection, Handle};
use tc_qdiscs::plug::commit::OnTaint;
use tc_qdiscs::plug::place::{Place, PlaceError, Redirect, RedirectSetup, Side};
use tc_qdiscs::plug::ring::{Depth, Ring, Site};
use tests::lab::need::has;
use tests::lab::{Net, Pair};
use tests::need;

use crate::{Dir, options, state};

fn refusal(dir: &Dir, sites: &[Site]) -> String {
    Ring::attach(sites, options(dir, OnTaint::FailClosed)).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn sites_that_cannot_be_held_are_refused_and_not_touched() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("bad"), Pair::new());
    let near = &pair.near;
    near.ip("link add ifb7 type ifb").ok();
    near.ip("link add slave7 type veth peer name other7").ok();
    // Not every kernel of the VM has bonds.
    let bonds = has("bond");
    if bonds {
        near.ip("link add bond7 type bond").ok();
        near.ip("link set slave7 master bond7").ok();
    }
    let devices = ["near", "slave7", "ifb7"];
    let before = state(near, &devices);
    for (sites, text) in [
        (vec![], "no device is given; nothing was changed"),
        (
            vec![Site::from("near"), Site::from("near")],
            "device near is given twice at one place; nothing was changed",
        ),
        (vec![Site::from("ifb7")], "device ifb7 is an IFB: put the hold at its root; nothing was changed"),
        (
            vec![Site::from("near"), Site::from("slave7")],
            "device slave7 is a port of a bond: use the bond itself; nothing was changed",
        ),
        (vec![Site::new("near", Place::Class(Handle::class(1, 4)))], "nothing was changed"),
    ] {
        if text.contains("bond") && !bonds {
            continue;
        }
        let error = refusal(&dir, &sites);
        assert!(error.ends_with(text), "{error}");
        assert_eq!(state(near, &devices), before, "{text}");
    }
    let handles = tc_qdiscs::plug::commit::AttachOptions::clone(&options(&dir, OnTaint::FailClosed).attach)
        .handles(1, 2);
    let error = Ring::attach(&["near".into()], handles).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "a ring chooses its own handles; nothing was changed");
    let sixteen = options(&dir, OnTaint::FailClosed).depth(Depth::new(16).unwrap());
    let many: Vec<Site> = (0..8).map(|_| Site::from("near")).collect();
    let error = Ring::attach(&many, sixteen).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "a ring of 16 bands has 7 devices at most; nothing was changed");
    assert_eq!(state(near, &devices), before);
}

#[test]
fn objects_of_others_are_refused_and_not_touched() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("others"), Pair::new());
    let near = &pair.near;
    let mut tc = Connection::open().unwrap();
    let ifindex = tc.ifindex("near").unwrap();
    let check = |text: &str| {
        let before = state(near, &["near"]);
        let error = refusal(&dir, &["near".into()]);
        assert_eq!(error, format!("{text}; nothing was changed"));
        assert_eq!(state(near, &["near"]), before);
    };

    // Somebody's device has the name of our IFB.
    near.ip("link add ifb7 type ifb").ok();
    near.ip(&format!("link property add dev ifb7 altname plug-egress-{ifindex}")).ok();
    check(&format!("the name plug-egress-{ifindex} is taken by device ifb7, which is not ours"));
    near.ip("link del ifb7").ok();

    near.tc("qdisc add dev near ingress").ok();
    check("device near has the qdisc ingress: its egress needs clsact, and a device has one of them");
    near.tc("qdisc del dev near ingress").ok();

    near.tc("qdisc add dev near clsact").ok();
    near.tc("filter add dev near egress pref 1 protocol ip matchall action pass").ok();
    check("device near has a filter matchall at priority 1 of its egress, which is not ours");
    near.tc("filter add dev near egress pref 7 protocol ip matchall action pass").ok();
    near.tc("filter del dev near egress pref 1").ok();

    // Another priority, and filters of others after ours: both stay.
    let mut ring = Ring::attach(&["near".into()], options(&dir, OnTaint::FailClosed)).unwrap();
    let name = ring.redirects().next().unwrap().name().to_owned();
    ring.detach().unwrap();
    let left = near.tc("filter show dev near egress").ok();
    assert!(left.contains("pref 7 matchall") && !left.contains("mirred"), "{left}");

    // Somebody uses our IFB.
    let setup = RedirectSetup::default();
    let redirect = Redirect::prepare(&mut tc, ifindex, Side::Egress, &setup).unwrap();
    assert_ne!(redirect.name(), name);
    near.tc(&format!("qdisc add dev {} root handle 5: pfifo limit 9", redirect.name())).ok();
    check(&format!("device {} has the root qdisc pfifo 5:, which is not ours", redirect.name()));
}

#[test]
fn a_kernel_without_the_kinds_touches_no_device() {
    need!("ifb", "veth");
    if has("cls_matchall") {
        return; // nothing is missing here
    }
    let net = Net::new();
    net.veth("near", "far");
    let before = state(&net, &["near"]);
    let mut tc = Connection::open().unwrap();
    let near = tc.ifindex("near").unwrap();
    let error = Redirect::prepare(&mut tc, near, Side::Egress, &RedirectSetup::default()).unwrap_err();
    assert!(matches!(error, PlaceError::NoModule { .. }), "{error}");
    assert_eq!(state(&net, &["near"]), before);
}
