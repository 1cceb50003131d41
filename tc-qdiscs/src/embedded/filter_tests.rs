//! Filters and actions in the embedded kernel.

use tc_core::action::{Action, Actions, Control};
use tc_core::embedded::{Device, Kernel, Packet, Sent, Socket};
use tc_core::uapi::{ETH_P_ALL, ETH_P_IP};
use tc_core::{Connection, DumpRequest, Handle, Request};

use super::kinds;
use crate::action::gact::Gact;
use crate::action::mirred::{Eaction, Mirred};
use crate::action::skbedit::Skbedit;
use crate::classify::{self, Direction};
use crate::filter::basic::Basic;
use crate::filter::flower::{Flower, IPPROTO_TCP, Masked};
use crate::filter::matchall::Matchall;
use crate::filter::u32::{Key, U32};
use crate::qdisc::clsact::Clsact;
use crate::qdisc::htb::{Htb, HtbClass};
use tc_core::rate::Rate;

const SSH: &str = "tcp 10.0.0.1:4711 > 10.0.0.9:22";
const WEB: &str = "tcp 10.0.0.1:4711 > 10.0.0.9:80";

fn kernel() -> (Kernel, Connection<Socket>, [i32; 2]) {
    let kernel = kinds(Kernel::builder()).device(Device::new("eth0")).device(Device::new("eth1")).build();
    let mut tc = Connection::over(kernel.connect());
    let devices = ["eth0", "eth1"].map(|name| tc.ifindex(name).unwrap());
    (kernel, tc, devices)
}

fn packet(text: &str) -> Packet {
    let packet = classify::Packet::from_text(text, Direction::Egress).unwrap();
    Packet::new(packet.wire_frame()).mark(packet.mark)
}

fn htb(tc: &mut Connection<Socket>, device: i32) {
    let root = Request::qdisc(device).parent(Handle::ROOT).handle(Handle::qdisc(1));
    tc.add(&root.options(&Htb::default().default_minor(0x20))).unwrap();
    for minor in [0x10, 0x20] {
        let class = Request::class(device).parent(Handle::qdisc(1)).handle(Handle::class(1, minor));
        tc.add(&class.options(&HtbClass::builder(Rate::bytes_per_second(1_000_000)).build().unwrap()))
            .unwrap();
    }
}

fn packets_of(tc: &mut Connection<Socket>, device: i32, class: Handle) -> u64 {
    let listed = tc.list(&DumpRequest::classes(device)).unwrap();
    let entry = listed.iter().map(|class| class.entry().unwrap()).find(|entry| entry.header.handle == class);
    entry.unwrap().stats().unwrap().unwrap().basic.unwrap().packets
}

fn act(control: Control) -> Actions {
    Actions::new().with(Action::new(Gact::new(control)))
}

#[test]
fn filters_lead_packets_to_classes_and_count() {
    let (kernel, mut tc, [eth0, _]) = kernel();
    htb(&mut tc, eth0);
    let port = Key::at(20).value(22).mask(0xffff);
    let filter = Request::filter(eth0).parent(Handle::qdisc(1)).priority(1).protocol(ETH_P_IP);
    tc.add(&filter.clone().options(&U32::to_class(Handle::class(1, 0x10), [port]))).unwrap();
    for text in [SSH, WEB, SSH, "arp 10.0.0.1 > 10.0.0.9"] {
        assert_eq!(kernel.send(eth0, packet(text)), Sent::Taken);
    }
    let counts = [0x10, 0x20].map(|minor| packets_of(&mut tc, eth0, Handle::class(1, minor)));
    assert_eq!((counts, kernel.take_sent(eth0).len()), ([2, 2], 4));
    let listed = tc.list(&DumpRequest::filters(eth0).parent(Handle::qdisc(1))).unwrap();
    let counters = listed[0].entry().unwrap().options_as::<U32>().unwrap().unwrap().counters.unwrap();
    assert_eq!((counters.hits, counters.success, &counters.keys[..]), (3, 2, &[2][..]));
}

#[test]
fn clsact_drops_and_changes_and_counts_actions() {
    let (kernel, mut tc, [eth0, _]) = kernel();
    htb(&mut tc, eth0);
    tc.add(&Request::qdisc(eth0).parent(Handle::CLSACT).options(&Clsact)).unwrap();
    let filter =
        |priority| Request::filter(eth0).parent(Handle::FILTER_EGRESS).priority(priority).protocol(ETH_P_ALL);
    let web =
        Flower::default().eth_type(ETH_P_IP).ip_proto(IPPROTO_TCP).dst_port(80).actions(act(Control::Drop));
    tc.add(&filter(1).protocol(ETH_P_IP).options(&web)).unwrap();
    let edit = Skbedit::default().priority(Handle::class(1, 0x10)).control(Control::Pass);
    let marked = Basic::default().actions(Actions::new().with(Action::new(edit)));
    tc.add(&filter(2).options(&marked)).unwrap();
    assert_eq!(kernel.send(eth0, packet(WEB)), Sent::Dropped);
    assert_eq!(kernel.send(eth0, packet(SSH)), Sent::Taken);
    assert_eq!(packets_of(&mut tc, eth0, Handle::class(1, 0x10)), 1);
    let listed = tc.list(&DumpRequest::filters(eth0).parent(Handle::FILTER_EGRESS)).unwrap();
    let flower = listed[0].entry().unwrap().options_as::<Flower>().unwrap().unwrap();
    let stats = flower.actions.iter().next().unwrap().stats().unwrap().unwrap();
    let (basic, queue) = (stats.basic.unwrap(), stats.queue.unwrap());
    assert_eq!((basic.packets, basic.bytes, queue.drops), (1, 54, 1));
    let basic = listed[1].entry().unwrap().options_as::<Basic>().unwrap().unwrap();
    assert_eq!(basic.reported.packets.map(|packets| (packets.seen, packets.matched)), Some((1, 1)));
}

#[test]
fn mirred_leads_packets_to_other_devices() {
    let (kernel, mut tc, [eth0, eth1]) = kernel();
    tc.add(&Request::qdisc(eth0).parent(Handle::INGRESS).kind("ingress")).unwrap();
    let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, eth1));
    let all = Matchall::default().actions(Actions::new().with(redirect));
    let filter = Request::filter(eth0).parent(Handle::FILTER_INGRESS).priority(1).protocol(ETH_P_IP);
    tc.add(&filter.options(&all)).unwrap();
    assert_eq!(kernel.receive(eth0, packet(SSH)), Sent::Taken);
    assert_eq!(kernel.receive(eth0, packet("arp 10.0.0.1 > 10.0.0.2")), Sent::Taken);
    assert_eq!(kernel.take_sent(eth1), [packet(SSH).bytes]);
    let received = kernel.take_received(eth0);
    assert_eq!((received.len(), received[0].bytes.len()), (1, 42));
}

#[test]
fn facts_outside_the_packet_are_named() {
    let (kernel, mut tc, [eth0, _]) = kernel();
    htb(&mut tc, eth0);
    let tracked = Flower::default().eth_type(ETH_P_IP).ct_mark(Masked::new(1, 1));
    let filter = Request::filter(eth0).parent(Handle::qdisc(1)).priority(1).protocol(ETH_P_IP);
    tc.add(&filter.options(&tracked)).unwrap();
    assert_eq!(kernel.send(eth0, packet(SSH)), Sent::Unclassified);
    let facts = kernel.take_unclassified(eth0);
    assert_eq!(
        facts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["cannot know: the key ct_mark of flower"]
    );
    assert!(kernel.take_sent(eth0).is_empty());
}
