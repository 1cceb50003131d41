//! Headers of packets from text and from bytes.

use proptest::prelude::*;

use super::*;

fn packet(text: &str) -> Packet {
    Packet::from_text(text, Direction::Egress).unwrap()
}

fn dissected(text: &str) -> Dissected {
    dissect(&packet(text)).unwrap()
}

#[test]
fn a_tcp_segment_has_its_fields() {
    let found = dissected("tcp 10.0.0.1:80 > 10.0.0.9:4711 tos 0x10 ttl 3 flags SA");
    assert_eq!((found.protocol, found.ip_proto, found.tos, found.ttl), (ETH_P_IP, 6, 0x10, 3));
    assert_eq!((found.src_port, found.dst_port, found.tcp_flags), (80, 4711, 0x12));
    assert_eq!((found.end, found.is_whole), (34, true));
}

#[test]
fn ipv6_and_icmp_have_their_fields() {
    let found = dissected("icmp6 fd00::1 > fd00::2 type 128 code 1 tos 0x24");
    assert_eq!((found.protocol, found.ip_proto, found.tos), (ETH_P_IPV6, 58, 0x24));
    assert_eq!((found.icmp_type, found.icmp_code, found.end), (128, 1, 54));
    let udp = dissected("udp [fd00::1]:5 > [fd00::2]:6 len 4");
    assert_eq!((udp.src_port, udp.dst_port), (5, 6));
}

#[test]
fn the_outer_tag_is_beside_the_frame() {
    let both = packet("udp 10.0.0.1:1 > 10.0.0.2:2 vlan 7 vlan 5 pcp 3");
    assert_eq!((both.protocol(), both.ethertype), (ETH_P_8021AD, ETH_P_8021Q));
    let found = dissect(&both).unwrap();
    let [outer, inner] = found.vlans;
    assert_eq!((outer.id, outer.ethertype, inner.id, inner.priority), (7, ETH_P_8021Q, 5, 3));
    assert_eq!((inner.ethertype, found.vlan_count, found.protocol), (ETH_P_IP, 2, ETH_P_IP));
    assert_eq!(found.dst_port, 2);
}

#[test]
fn arp_ends_at_its_start() {
    let found = dissected("arp 10.0.0.1 > 10.0.0.2 op reply smac 2:0:0:0:0:9");
    assert_eq!((found.arp.op, found.arp.sip, found.arp.tip), (2, [10, 0, 0, 1], [10, 0, 0, 2]));
    assert_eq!((found.arp.sha, found.end), ([2, 0, 0, 0, 0, 9], 14));
}

#[test]
fn fragments_have_no_ports() {
    let mut first = packet("udp 10.0.0.1:1 > 10.0.0.2:2");
    first.frame[20] = 0x20;
    let found = dissect(&first).unwrap();
    assert_eq!((found.is_fragment, found.is_first_fragment, found.dst_port), (true, true, 0));
    first.frame[21] = 1;
    assert!(!dissect(&first).unwrap().is_first_fragment);
}

#[test]
fn labels_are_read_up_to_the_last() {
    let mut frame = vec![0; 12];
    frame.extend([0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 63]);
    let found = dissect(&Packet::new(frame, Direction::Egress)).unwrap();
    assert_eq!(found.labels, [0x0001_0040, 0x0002_013f]);
}

#[test]
fn bad_texts_have_one_line() {
    for text in [
        "",
        "tcp",
        "tcp 10.0.0.1:80",
        "tcp 10.0.0.1:80 < 10.0.0.2:1",
        "tcp 10.0.0.1:80 > fd00::1",
        "icmp 10.0.0.1:80 > 10.0.0.2",
        "quic 10.0.0.1 > 10.0.0.2",
        "tcp x > y",
        "arp fd00::1 > fd00::2",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 mark",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 mark x",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 pcp 1",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 vlan 4096",
        "tcp 10.0.0.1:1 > 10.0.0.2:2 flags Z",
        "udp 1.2.3.4:1 > 1.2.3.4:2 len 65535",
    ] {
        let error = Packet::from_text(text, Direction::Egress).unwrap_err().to_string();
        assert!(error.starts_with("packet ") && !error.contains('\n'), "{error}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_packet(bytes in proptest::collection::vec(any::<u8>(), 0..200), ingress: bool) {
        let direction = if ingress { Direction::Ingress } else { Direction::Egress };
        let packet = Packet::new(bytes, direction).with_probed_transport();
        if let Ok(found) = dissect(&packet) {
            prop_assert!(found.end <= packet.frame.len());
        }
    }

    #[test]
    fn any_text_is_a_packet_or_an_error(text in ".{0,80}") {
        let _ = Packet::from_text(&text, Direction::Ingress);
    }
}
