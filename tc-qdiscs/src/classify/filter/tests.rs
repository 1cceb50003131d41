//! Each key of each filter, for a packet that matches and one that does not.

use tc_core::action::{Action, Actions, Control};
use tc_core::ematch::Ematches;
use tc_core::uapi::*;
use tc_core::{FilterPlace, Handle, Kind, object};

use super::super::{CannotKnow, Direction, Filter, Filters, Packet, Verdict, Walk};
use crate::action::gact::Gact;
use crate::ematch::cmp::{Align, Cmp};
use crate::ematch::meta::{Field, Meta};
use crate::ematch::nbyte::Nbyte;
use crate::ematch::{Layer, Operand};
use crate::filter::basic::Basic;
use crate::filter::flower::{Flower, IPPROTO_ICMP, IPPROTO_TCP, Masked, MaskedIp, MplsLse, PortRange};
use crate::filter::fw::Fw;
use crate::filter::matchall::Matchall;
use crate::filter::u32::{Key, Mark, Offset, Selector, U32};

const CLASS: Handle = Handle::class(1, 0x10);
const TCP: &str =
    "tcp 10.0.0.1:80 > 10.0.0.9:4711 mark 7 tos 0x10 ttl 9 flags SA smac 2:0:0:0:0:1 dmac 2:0:0:0:0:2";

fn place<'p>(chain: u32, priority: u16, protocol: u16, handle: u32) -> FilterPlace<'p> {
    let mut place = FilterPlace::default();
    (place.chain, place.priority, place.protocol) = (Some(chain), Some(priority), Some(protocol));
    place.handle = Handle::from_raw(handle);
    place
}

fn filter<K: Kind<Object = object::Filter>>(options: &K, protocol: u16) -> Filter {
    Filter::of(options, &place(0, 1, protocol, 1))
}

fn verdict(filters: Vec<Filter>, text: &str) -> Result<Verdict, CannotKnow> {
    let mut packet = Packet::from_text(text, Direction::Egress).unwrap();
    Filters::new(filters).classify(&mut packet, &mut Walk::default())
}

fn matches(filter: Filter, text: &str) -> bool {
    verdict(vec![filter], text).unwrap() != Verdict::Miss
}

fn then(control: Control) -> Actions {
    Actions::new().with(Action::new(Gact::new(control)))
}

#[test]
fn every_key_of_flower_decides() {
    let ip = || Flower::default().eth_type(ETH_P_IP);
    let tcp = || ip().ip_proto(IPPROTO_TCP);
    for (matching, other) in [
        (ip(), ip().eth_type(ETH_P_IPV6)),
        (tcp(), ip().ip_proto(17)),
        (ip().src_mac([2, 0, 0, 0, 0, 1]), ip().src_mac([2, 0, 0, 0, 0, 2])),
        (ip().dst_mac([2, 0, 0, 0, 0, 2]), ip().dst_mac([2, 0, 0, 0, 0, 3])),
        (ip().src_ip(MaskedIp::prefix([10, 0, 0, 7], 24)), ip().src_ip(MaskedIp::prefix([10, 0, 1, 1], 24))),
        (ip().dst_ip([10, 0, 0, 9]), ip().dst_ip([10, 0, 0, 8])),
        (ip().ip_tos(Masked::new(0x13, 0xfc)), ip().ip_tos(0x14)),
        (ip().ip_ttl(9), ip().ip_ttl(10)),
        (ip().ip_flags(Masked::new(0, 1)), ip().ip_flags(Masked::new(1, 1))),
        (tcp().src_port(80), tcp().src_port(81)),
        (tcp().dst_port(Masked::new(0x1260, 0xfff0)), tcp().dst_port(4712)),
        (
            tcp().dst_port_range(PortRange { start: 4000, end: 4711 }),
            tcp().dst_port_range(PortRange { start: 4712, end: 5000 }),
        ),
        (
            tcp().src_port_range(PortRange { start: 80, end: 90 }),
            tcp().src_port_range(PortRange { start: 1, end: 79 }),
        ),
        (tcp().tcp_flags(Masked::new(0x12, 0x17)), tcp().tcp_flags(Masked::new(0x02, 0x17))),
        (ip().num_of_vlans(0), ip().num_of_vlans(1)),
    ] {
        assert!(matches(filter(&matching, ETH_P_IP), TCP), "{matching:?}");
        assert!(!matches(filter(&other, ETH_P_IP), TCP), "{other:?}");
    }
}

#[test]
fn keys_of_other_protocols_decide() {
    let arp = |flower: Flower| filter(&flower.eth_type(ETH_P_ARP), ETH_P_ARP);
    let text = "arp 10.0.0.1 > 10.0.0.2 op reply smac 2:0:0:0:0:9";
    for (matching, other) in [
        (Flower::default().arp_op(2), Flower::default().arp_op(1)),
        (
            Flower::default().arp_sip(Masked::new([10, 0, 0, 1].into(), [255; 4].into())),
            Flower::default().arp_sip(Masked::new([10, 0, 0, 2].into(), [255; 4].into())),
        ),
        (
            Flower::default().arp_tip(Masked::new([10, 0, 0, 7].into(), [255, 255, 255, 0].into())),
            Flower::default().arp_tip(Masked::new([10, 0, 1, 7].into(), [255, 255, 255, 0].into())),
        ),
        (Flower::default().arp_sha([2, 0, 0, 0, 0, 9]), Flower::default().arp_sha([2, 0, 0, 0, 0, 8])),
        (Flower::default().arp_tha([0; 6]), Flower::default().arp_tha([1; 6])),
    ] {
        assert!(matches(arp(matching.clone()), text), "{matching:?}");
        assert!(!matches(arp(other.clone()), text), "{other:?}");
    }
    let icmp = |flower: Flower| filter(&flower.eth_type(ETH_P_IP).ip_proto(IPPROTO_ICMP), ETH_P_IP);
    let text = "icmp 10.0.0.1 > 10.0.0.2 type 8 code 3";
    assert!(matches(icmp(Flower::default().icmp_type(8).icmp_code(3)), text));
    assert!(!matches(icmp(Flower::default().icmp_type(0)), text));
    assert!(!matches(icmp(Flower::default().icmp_code(4)), text));
    let v6 = Flower::default().eth_type(ETH_P_IPV6).dst_ip(std::net::Ipv6Addr::LOCALHOST);
    assert!(matches(filter(&v6, ETH_P_IPV6), "tcp [fd00::1]:1 > [::1]:2"));
    assert!(!matches(filter(&v6, ETH_P_IPV6), "tcp [fd00::1]:1 > [::2]:2"));
}

#[test]
fn keys_of_vlan_tags_and_labels_decide() {
    let text = "udp 10.0.0.1:1 > 10.0.0.2:2 vlan 7 pcp 2 vlan 5 pcp 3";
    let tagged = |flower: Flower| matches(filter(&flower.eth_type(ETH_P_8021AD), ETH_P_8021AD), text);
    let inner = || Flower::default().vlan_ethtype(ETH_P_8021Q);
    assert!(tagged(Flower::default().vlan_id(7).vlan_prio(2)));
    assert!(!tagged(Flower::default().vlan_id(5)));
    assert!(!tagged(Flower::default().vlan_prio(3)));
    assert!(tagged(inner().cvlan_id(5).cvlan_prio(3).cvlan_ethtype(ETH_P_IP)));
    assert!(!tagged(inner().cvlan_id(7)));
    assert!(!tagged(inner().cvlan_prio(2)));
    assert!(!tagged(inner().cvlan_ethtype(ETH_P_IPV6)));
    assert!(!tagged(Flower::default().vlan_ethtype(ETH_P_IP)));
    let mut frame = vec![0; 12];
    frame.extend([0x88, 0x47, 0, 1, 0x04, 64, 0, 2, 0x11, 63]);
    let labelled = |entry: MplsLse| {
        let flower = Flower::default().eth_type(ETH_P_MPLS_UC).mpls([entry]);
        let mut packet = Packet::new(frame.clone(), Direction::Egress);
        let mut filters = Filters::new(vec![filter(&flower, ETH_P_MPLS_UC)]);
        filters.classify(&mut packet, &mut Walk::default()).unwrap() != Verdict::Miss
    };
    assert!(labelled(MplsLse::at(1).label(16).tc(2).bos(0).ttl(64)));
    assert!(labelled(MplsLse::at(2).label(33).bos(1)));
    for other in [
        MplsLse::at(1).label(17),
        MplsLse::at(1).tc(3),
        MplsLse::at(1).bos(1),
        MplsLse::at(2).ttl(64),
        MplsLse::at(3).ttl(63),
    ] {
        assert!(!labelled(other), "{other:?}");
    }
}

#[test]
fn keys_outside_the_packet_are_not_known() {
    let unknown = |flower: Flower| verdict(vec![filter(&flower, ETH_P_IP)], TCP);
    let ip = || Flower::default().eth_type(ETH_P_IP);
    assert!(unknown(ip().ct_mark(Masked::new(1, 1))).unwrap_err().reason.contains("ct_mark"));
    assert!(unknown(ip().enc_key_id(7)).unwrap_err().reason.contains("enc_key_id"));
    // Unless another key decides.
    assert_eq!(unknown(ip().enc_key_id(7).ip_ttl(1)), Ok(Verdict::Miss));
    for kind in ["bpf", "cgroup", "flow", "route", "own"] {
        let bare = Filter::new(kind, &place(0, 1, ETH_P_ALL, 1), Some(&[]));
        assert!(verdict(vec![bare], TCP).is_err(), "{kind}");
    }
}

#[test]
fn keys_of_u32_decide() {
    let class = |keys: Vec<Key>| filter(&U32::to_class(CLASS, keys), ETH_P_IP);
    for (matching, other) in [
        (Key::at(8).value(0x0006_0000).mask(0x00ff_0000), Key::at(8).value(0x0011_0000).mask(0x00ff_0000)),
        (Key::at(20).value(4711).mask(0xffff), Key::at(20).value(4712).mask(0xffff)),
        (Key::at(-14).value(0x0200_0000).mask(u32::MAX), Key::at(-14).value(1).mask(u32::MAX)),
    ] {
        assert!(matches(class(vec![matching]), TCP), "{matching:?}");
        assert!(!matches(class(vec![other]), TCP), "{other:?}");
    }
    assert!(!matches(class(vec![Key::at(400)]), TCP), "beyond the packet");
    assert!(verdict(vec![class(vec![Key::at(-64)])], TCP).is_err(), "before the packet");
    let marked = |value| U32::to_class(CLASS, []).mark(Mark::default().value(value).mask(0xf));
    assert!(matches(filter(&marked(7), ETH_P_IP), TCP));
    assert!(!matches(filter(&marked(6), ETH_P_IP), TCP));
}

#[test]
fn links_of_u32_lead_through_tables() {
    let table = Filter::of(&U32::table(16), &place(0, 1, ETH_P_IP, 0x0020_0000));
    let hash = Offset::default().at(0).mask(0x0f00).shift(6);
    let selector = Selector::default().offset(hash).eat(true).hash_mask(0xff).hash_at(16);
    let link = U32::default().link(U32::bucket(2, 0)).selector(selector);
    let link = Filter::of(&link, &place(0, 1, ETH_P_IP, 0x8000_0800));
    let inside = |bucket: u32, port: u32| {
        let keys = [Key::at(0).value(port).mask(0xffff)];
        Filter::of(&U32::to_class(CLASS, keys), &place(0, 1, ETH_P_IP, 0x0020_0800 | bucket << 12))
    };
    let all = |inside: Filter| vec![table.clone(), link.clone(), inside];
    // The destination ends with 9.
    assert_eq!(verdict(all(inside(9, 4711)), TCP).unwrap().class(), Some(CLASS));
    assert_eq!(verdict(all(inside(9, 4712)), TCP), Ok(Verdict::Miss));
    assert_eq!(verdict(all(inside(8, 4711)), TCP), Ok(Verdict::Miss));
}

#[test]
fn marks_and_masks_of_fw_decide() {
    let fw = |handle, fw: Fw| Filter::of(&fw, &place(0, 1, ETH_P_ALL, handle));
    assert!(matches(fw(7, Fw::default().class(CLASS)), TCP));
    assert!(!matches(fw(6, Fw::default().class(CLASS)), TCP));
    assert!(matches(fw(3, Fw::default().class(CLASS).mask(3)), TCP));
    // A priority without filters takes the mark for a class.
    let bare = Filter::new("fw", &place(0, 1, ETH_P_ALL, 0), None);
    assert_eq!(verdict(vec![bare], TCP).unwrap().class(), Some(Handle::from_raw(7)));
}

#[test]
fn ematches_of_basic_decide() {
    let port = Cmp::new(Align::U16, 2, Operand::Eq, 4711).layer(Layer::Transport);
    let tcp = Cmp::new(Align::U8, 9, Operand::Eq, 6);
    let large = Meta::new(Field::PKT_LEN, Operand::Gt, 1000);
    let matching = |ematches: Ematches| matches(filter(&Basic::default().ematches(ematches), ETH_P_ALL), TCP);
    assert!(matching(Ematches::default()));
    assert!(matching(Ematches::new(port).and(tcp)));
    assert!(!matching(Ematches::new(large.clone()).and(tcp)));
    assert!(matching(Ematches::new(large.clone()).or(tcp)));
    assert!(matching(Ematches::new(!Ematches::new(large.clone())).and(Ematches::new(large).or(port))));
    for (meta, is) in [
        (Meta::new(Field::NF_MARK, Operand::Eq, 7), true),
        (Meta::new(Field::NF_MARK.mask(3), Operand::Eq, 3), true),
        (Meta::new(Field::PRIORITY, Operand::Gt, 0), false),
        (Meta::new(Field::VLAN, Operand::Lt, 9), false),
        (Meta::new(Field::PROTOCOL, Operand::Eq, u32::from(ETH_P_IP.to_be())), true),
    ] {
        assert_eq!(matching(Ematches::new(meta.clone())), is, "{meta:?}");
    }
    assert!(matching(Ematches::new(Nbyte::new(Layer::Network, 12, [10, 0, 0, 1]))));
    assert!(!matching(Ematches::new(Nbyte::new(Layer::Link, 0, [9]))));
    assert!(matching(Ematches::new(crate::ematch::u32::U32::new(0x0a00_0000, 0xff00_0000, 12))));
    let random = Ematches::new(Meta::new(Field::RANDOM, Operand::Gt, 5));
    let unknown = |ematches| verdict(vec![filter(&Basic::default().ematches(ematches), ETH_P_ALL)], TCP);
    assert!(unknown(random.clone()).is_err());
    let tcp = || Ematches::new(tcp);
    assert!(unknown(random.clone().and(tcp())).is_err());
    assert_eq!(unknown(random.and(!tcp())), Ok(Verdict::Miss), "whatever the number is");
}

#[test]
fn chains_and_priorities_are_walked_in_order() {
    let to = |chain, priority, class: u16, control| {
        let options = Matchall::default().class(Handle::class(1, class)).actions(then(control));
        Filter::of(&options, &place(chain, priority, ETH_P_ALL, 1))
    };
    let class = |filters| verdict(filters, TCP).unwrap().class().map(Handle::minor);
    assert_eq!(class(vec![to(0, 2, 2, Control::Pass), to(0, 1, 1, Control::Pass)]), Some(1));
    assert_eq!(class(vec![to(0, 1, 1, Control::Continue), to(0, 2, 2, Control::Pass)]), Some(2));
    assert_eq!(class(vec![to(0, 1, 1, Control::GotoChain(5)), to(5, 1, 3, Control::Pass)]), Some(3));
    assert_eq!(verdict(vec![to(0, 1, 1, Control::GotoChain(6))], TCP), Ok(Verdict::Miss));
    let circle = verdict(vec![to(0, 1, 1, Control::Reclassify)], TCP).unwrap();
    assert_eq!(circle, Verdict::Match { control: Control::Drop, class: Handle::UNSPEC });
    let other = Filter::of(&Matchall::default(), &place(0, 1, ETH_P_ARP, 1));
    assert_eq!(verdict(vec![other], TCP), Ok(Verdict::Miss));
}
