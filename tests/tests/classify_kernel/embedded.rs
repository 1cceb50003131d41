//! The embedded kernel with the same objects: it must count as the classifier does.

use tc_core::embedded::{Device, Kernel, Packet, Socket};
use tc_core::message::Entry;
use tc_core::{Connection, DumpRequest, Handle, Request, TcType, object};
use tc_qdiscs::classify::{Step, Tree};
use tc_qdiscs::htb::{Htb, HtbClass};

use crate::packets::Sent;
use crate::sides::{Counters, Lab, Trees, reported};

/// An embedded kernel with the objects of the near device; `None` if it lacks a kind.
pub(crate) fn kernel(lab: &mut Lab, tree: &Tree) -> Option<(Kernel, Connection<Socket>)> {
    let root = tree.qdiscs().iter().find(|qdisc| qdisc.parent == Handle::ROOT)?;
    let kind = root.kind.clone();
    if !matches!(kind.as_str(), "htb" | "prio") {
        return None;
    }
    let device = Device::new("near").ifindex(lab.near);
    let sink = Device::new("sink").ifindex(lab.sink);
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(device).device(sink).build();
    let mut tc = Connection::over(kernel.connect());
    let listed = lab.entries(tree);
    for entry in listed.iter().map(|entry| entry.entry().expect("an entry")) {
        add(&entry, &kind, &mut tc);
    }
    Some((kernel, tc))
}

fn add(entry: &Entry<'_>, root: &str, tc: &mut Connection<Socket>) {
    let header = entry.header;
    let kind = entry.kind().expect("a kind");
    match entry.tc_type() {
        TcType::Qdisc if !header.handle.is_unspec() => {
            let request = Request::qdisc(header.ifindex).parent(header.parent).handle(header.handle);
            match entry.options_as::<Htb>() {
                Ok(Some(htb)) if kind == "htb" => tc.add(&request.options(&htb)),
                _ => tc.add(&request.raw_options(kind, entry.options().unwrap_or_default())),
            }
            .expect("the embedded kernel has the qdisc");
        }
        TcType::Class if root == "htb" => {
            let class = entry.options_as::<HtbClass>().expect("options").expect("of a class");
            let request = Request::class(header.ifindex).parent(header.parent).handle(header.handle);
            tc.add(&request.options(&class)).expect("the embedded kernel has the class");
        }
        TcType::Filter => {
            let Some(options) = entry.options() else { return };
            let request: Request<'_, object::Filter> = Request::filter(header.ifindex).parent(header.parent);
            let request = request.handle(header.handle).priority(entry.priority()).protocol(entry.protocol());
            let chain = tc_core::FilterPlace::of(entry).chain.unwrap_or(0);
            let request = request.chain(chain).raw_options(kind, options);
            tc.add(&request).expect("the embedded kernel has the filter");
        }
        _ => {}
    }
}

/// Sends the packets that both know in the same form, and returns the counters of both: of the embedded
/// kernel, and of the classifier.
pub(crate) fn compare(lab: &mut Lab, fresh: &Trees, sent: &[&Sent]) -> Option<(Counters, Counters, usize)> {
    let (kernel, mut tc) = kernel(lab, &fresh.near)?;
    let (mut trees, mut count) = (fresh.clone(), 0);
    for sent in sent {
        // A tag in the frame of a packet socket is not beside it, and tags move between the qdiscs.
        if matches!(sent.frame.get(12..14), Some([0x81, 0] | [0x88, 0xa8])) {
            continue;
        }
        let mut tried = trees.clone();
        let Ok(way) = lab.predict(&mut tried, sent) else { continue };
        let is_vlan = |step: &Step| matches!(step, Step::Action { kind, .. } if kind == "vlan");
        if way.walk.steps.iter().any(is_vlan) {
            continue;
        }
        trees = tried;
        let packet = Packet::new(sent.frame.clone()).mark(sent.mark).priority(sent.priority);
        kernel.send(lab.near, packet);
        count += 1;
    }
    assert_eq!(kernel.take_unclassified(lab.near), []);
    let mut counters = Counters::new();
    for place in fresh.near.places() {
        for filter in tc.list(&DumpRequest::filters(lab.near).parent(place)).expect("filters") {
            reported(&filter.entry().expect("an entry"), &format!("near {place}"), &mut counters);
        }
    }
    for class in tc.list(&DumpRequest::classes(lab.near)).expect("classes") {
        let class = class.entry().expect("an entry");
        if fresh.near.is_leaf(class.header.handle) {
            let packets = class.stats().expect("counters").and_then(|stats| stats.basic);
            counters
                .insert(format!("class {}", class.header.handle), packets.map_or(0, |basic| basic.packets));
        }
    }
    let mut expected = trees.counters();
    expected.retain(|name, _| !name.starts_with("far "));
    Some((counters, expected, count))
}
