//! Each action on a packet.

use tc_core::Handle;
use tc_core::action::{Action, Actions, Control};
use tc_core::uapi::*;

use super::super::{CannotKnow, Direction, Hits, Packet, Walk};
use super::execute;
use crate::action::gact::{Gact, Random};
use crate::action::mirred::{Eaction, Mirred};
use crate::action::nat::Nat;
use crate::action::pedit::{Field, Pedit};
use crate::action::police::Police;
use crate::action::skbedit::Skbedit;
use crate::action::vlan::{Vlan, VlanOperation};

const UDP: &str = "udp 10.0.0.1:80 > 10.0.0.9:4711 mark 7 len 10";

/// The result, the packet and the counters.
fn run(actions: Vec<Action>, text: &str) -> (Result<Control, CannotKnow>, Packet, Hits) {
    let mut packet = Packet::from_text(text, Direction::Egress).unwrap();
    let (mut hits, mut walk) = (Hits::default(), Walk::default());
    let actions = actions.into_iter().collect::<Actions>();
    let control = execute(None, &actions, &mut packet, &mut hits, &mut walk);
    (control, packet, hits)
}

fn gact(control: Control) -> Action {
    Action::new(Gact::new(control))
}

#[test]
fn lists_end_pipe_and_jump() {
    let control = |list: &[Control]| run(list.iter().map(|one| gact(*one)).collect(), UDP).0.unwrap();
    assert_eq!(control(&[]), Control::Pass);
    assert_eq!(control(&[Control::Pipe]), Control::Pipe);
    assert_eq!(control(&[Control::Pipe, Control::Drop, Control::Pass]), Control::Drop);
    // A jump counts from the start of the list.
    assert_eq!(control(&[Control::Jump(2), Control::Drop, Control::Trap]), Control::Trap);
    assert_eq!(control(&[Control::Jump(0), Control::Drop]), Control::Pass);
    assert_eq!(control(&[Control::Pipe, Control::Jump(1), Control::Drop]), Control::Pass);
    let (_, packet, hits) = run(vec![gact(Control::Pipe), gact(Control::Drop)], UDP);
    assert_eq!((hits.actions[0].drops, hits.actions[1].drops), (0, 1));
    assert_eq!(hits.actions[1].bytes, u64::from(packet.length()));
}

#[test]
fn random_gacts_are_known_if_they_always_act() {
    let random = |ptype, pval| {
        let random = Random::new(ptype, pval, Control::Drop);
        run(vec![Action::new(Gact::new(Control::Pass).random(random))], UDP).0
    };
    assert_eq!(random(0, 9), Ok(Control::Pass));
    assert_eq!(random(1, 1), Ok(Control::Drop));
    assert!(random(1, 2).is_err() && random(2, 2).is_err());
}

#[test]
fn a_police_is_known_by_its_mtu() {
    let police =
        |mtu: u32| Police { mtu, exceed: Control::Drop, conform: Control::Pipe, ..Police::at_index(0) };
    assert_eq!(run(vec![Action::new(police(1500))], UDP).0, Ok(Control::Pipe));
    let (control, _, hits) = run(vec![Action::new(police(40))], UDP);
    assert_eq!((control, hits.actions[0].overlimits, hits.actions[0].drops), (Ok(Control::Drop), 1, 1));
    let limited = Police { mtu: 1500, ..Police::at_rate(tc_core::rate::Rate::bytes_per_second(1000), 5000) };
    assert!(run(vec![Action::new(limited)], UDP).0.is_err());
}

#[test]
fn mirred_sends_the_packet_as_it_is() {
    let mut packet = Packet::from_text(UDP, Direction::Egress).unwrap();
    let mut walk = Walk::default();
    let mark = Action::new(Skbedit::default().mark(9).control(Control::Pipe));
    let list = [
        Action::new(Mirred::to(Eaction::EgressMirror, 5)),
        mark,
        Action::new(Mirred::to(Eaction::IngressRedirect, 6)),
    ];
    let control = execute(None, &list.into_iter().collect(), &mut packet, &mut Hits::default(), &mut walk);
    assert_eq!(control, Ok(Control::Stolen));
    let [first, second] = &walk.copies[..] else { panic!("{:?}", walk.copies) };
    assert_eq!((first.ifindex, first.redirected, first.packet.mark), (5, false, 7));
    assert_eq!((second.ifindex, second.to_ingress, second.packet.mark), (6, true, 9));
}

#[test]
fn skbedit_sets_metadata() {
    let edit = Skbedit::default().mark(0xf0).mask(0xf0).priority(Handle::class(1, 2)).queue_mapping(3);
    let (_, packet, _) = run(vec![Action::new(edit)], UDP);
    assert_eq!((packet.mark, packet.priority, packet.queue), (0xf7, 0x1_0002, 3));
}

#[test]
fn vlan_tags_move_between_frame_and_metadata() {
    let act = |vlan: Vlan| Action::new(vlan.control(Control::Pipe));
    let (_, pushed, _) = run(vec![act(Vlan::push(5).priority(3))], UDP);
    assert_eq!((pushed.tag.map(|tag| tag.tci), pushed.protocol()), (Some(0x6005), ETH_P_8021Q));
    let (_, twice, _) = run(vec![act(Vlan::push(5)), act(Vlan::push(6))], UDP);
    assert_eq!((twice.ethertype, twice.frame.len()), (ETH_P_8021Q, pushed.frame.len() + 4));
    let (_, back, _) =
        run(vec![act(Vlan::push(5)), act(Vlan::push(6)), act(Vlan::new(VlanOperation::Pop))], UDP);
    assert_eq!(
        (back.frame.clone(), back.tag),
        (pushed.frame.clone(), pushed.tag.map(|tag| super::super::Tag { tci: 5, ..tag }))
    );
    let (_, modified, _) = run(vec![act(Vlan::modify(9))], "udp 10.0.0.1:1 > 10.0.0.2:2 vlan 5 pcp 2");
    assert_eq!(modified.tag.map(|tag| tag.tci), Some(0x4009));
    assert_eq!(run(vec![act(Vlan::modify(9))], UDP).1.tag, None);
}

#[test]
fn pedit_and_nat_change_bytes() {
    let keys = [Field::IP_TOS.set(0x20).in_network_header()];
    let (_, packet, _) = run(vec![Action::new(Pedit::new(keys))], UDP);
    assert_eq!(packet.frame[15], 0x20);
    let short = Pedit::new([crate::action::pedit::Key::new(crate::action::pedit::Header::Network, 400, 1)]);
    assert_eq!(run(vec![Action::new(short)], UDP).2.actions[0].overlimits, 1);
    let nat = |egress: bool| {
        let (old, new) = ([10, 0, 0, 0].into(), [192, 0, 2, 0].into());
        let nat = if egress { Nat::egress(old, new) } else { Nat::ingress(old, new) };
        Action::new(nat.mask([255, 255, 255, 0].into()))
    };
    assert_eq!(run(vec![nat(true)], UDP).1.frame[26..30], [192, 0, 2, 1]);
    assert_eq!(run(vec![nat(false)], UDP).1.frame[30..34], [192, 0, 2, 9]);
    // The sum over the header, with its checksum, is that of a valid one.
    let header = &run(vec![nat(true)], UDP).1.frame[14..34];
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    let (control, _, hits) = run(vec![nat(true)], "arp 10.0.0.1 > 10.0.0.2");
    assert_eq!((control.is_ok(), hits.actions[0].packets), (true, 1));
}

#[test]
fn other_actions_are_not_known() {
    let ct = Action::new(crate::action::ct::Ct::default());
    let unknown = run(vec![ct], UDP).0.unwrap_err();
    assert_eq!(unknown.to_string(), "cannot know: the effect of the action ct");
}
