use super::*;
use crate::action::tests::{Devices, message};
use tc_core::print::{Form, Style};
use tc_core::uapi::*;
use tc_core::{Difference, Request, Verb};

fn place(protocol: u16) -> FilterPlace<'static> {
    let mut place = FilterPlace::default();
    (place.protocol, place.parent) = (Some(protocol), Handle::qdisc(0xffff));
    place
}

fn read_at(protocol: u16, words: &str) -> Result<Flower, WordError> {
    let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
    let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
    let read = Flower::parse_filter(&mut Words::new(&words), &context, &place(protocol))?;
    Ok(read.0.unwrap())
}

fn read(protocol: u16, words: &str) -> Flower {
    read_at(protocol, words).unwrap_or_else(|error| panic!("{words}: {error}"))
}

fn wording(flower: &Flower, protocol: u16) -> OptionWords<'static> {
    let mut out = OptionWords::new();
    flower.to_words(&place(protocol), &mut out);
    out
}

fn print(flower: &Flower, handle: u32, form: Form, style: Style) -> String {
    let mut out = Printer::new(form, style);
    let mut place = place(ETH_P_IP);
    place.handle = Handle::from_raw(handle);
    out.object("", |out| FilterSyntax::print(flower, &place, out));
    out.as_str().to_owned()
}

/// Words of every key, with the protocol that they need.
const EVERY_KEY: &[(u16, &str)] = &[
    (ETH_P_ALL, ""),
    (ETH_P_IP, "indev lo classid 1:10 skip_hw verbose"),
    (ETH_P_ALL, "dst_mac 02:00:00:00:00:01/24 src_mac 02:00:00:00:00:01/ff:00:ff:00:00:00"),
    (ETH_P_IP, "ip_proto tcp ip_tos 0x10/0xfc ip_ttl 64 dst_ip 1.2.3.4 src_ip 10.0.0.0/8"),
    (ETH_P_IP, "ip_proto tcp dst_port 80/0xff0 src_port 1000-2000 tcp_flags 0x2/0x17 ip_flags nofrag"),
    (ETH_P_IP, "ip_proto udp dst_port 53 dst_port 1-5 src_port 7"),
    (ETH_P_IPV6, "ip_proto sctp dst_port 0 src_ip fe80::/10 dst_ip ::1"),
    (ETH_P_IP, "ip_proto icmp type 8 code 0/7 ip_flags frag/nofirstfrag"),
    (ETH_P_IPV6, "ip_proto icmpv6 type 128 code 0"),
    (ETH_P_IP, "ip_proto l2tp l2tpv3_sid 7"),
    (ETH_P_IP, "ip_proto esp spi 0x10"),
    (ETH_P_IP, "ip_proto 2f"),
    (ETH_P_8021Q, "vlan_id 100 vlan_prio 3 vlan_ethtype ipv4 dst_ip 1.2.3.4"),
    (ETH_P_8021AD, "vlan_id 5 vlan_ethtype 802.1q cvlan_id 6 cvlan_prio 1 cvlan_ethtype ipv6 src_ip ::1"),
    (ETH_P_ALL, "num_of_vlans 2 vlan_id 4 vlan_ethtype 802.1q cvlan_id 5 cvlan_ethtype ip ip_proto tcp"),
    (ETH_P_PPP_SES, "pppoe_sid 7 ppp_proto ip src_ip 1.1.1.1"),
    (ETH_P_MPLS_UC, "mpls_label 5 mpls_tc 1 mpls_bos 1 mpls_ttl 64"),
    (ETH_P_MPLS_UC, "mpls lse depth 1 label 5 ttl 3 lse depth 2 bos 1 tc 4"),
    (ETH_P_MPLS_UC, "mpls lse depth 1"),
    (
        ETH_P_ARP,
        "arp_op request arp_sip 1.2.3.0/24 arp_tip 1.2.3.4 arp_sha 2:0:0:0:0:1 arp_tha 2:0:0:0:0:2/8",
    ),
    (
        ETH_P_IP,
        "enc_key_id 100 enc_dst_ip 1.2.3.4 enc_src_ip 5.6.7.0/24 enc_dst_port 4789 enc_tos 4 enc_ttl 9",
    ),
    (
        ETH_P_IP,
        "enc_dst_ip fe80::1/64 geneve_opts 0102:80:00880022/ffff:ff:ffffffff,0103:81:1122334455667788",
    ),
    (ETH_P_IP, "vxlan_opts 5/0xff"),
    (ETH_P_IP, "erspan_opts 1:0x10:0:0"),
    (ETH_P_IP, "erspan_opts 2:0:1:5/2:0:1:0x3f"),
    (ETH_P_IP, "gtp_opts 01:3f/ff:0f"),
    (ETH_P_IP, "pfcp_opts 01:123456789abcdef0 enc_flags tuncsum/notundf/tunoam/tuncrit"),
    (ETH_P_IP, "ct_state +trk+est-inv ct_zone 5/0xff ct_mark 7 ct_label 0102/ffff"),
    (ETH_P_CFM, "cfm mdl 5 op 7"),
    (ETH_P_ALL, "l2_miss 1"),
];

#[test]
fn every_key_reads_back_from_bytes_and_words() {
    for (protocol, words) in EVERY_KEY {
        let flower = read(*protocol, words);
        let bytes = message(&Request::filter(1).options(&flower), Verb::Add);
        assert_eq!(Flower::decode(&bytes[52..]), Ok(flower.clone()), "{words}");
        let said = wording(&flower, *protocol);
        assert_eq!(said.unsayable(), [""; 0], "{words}");
        let line = said.lines().concat();
        assert_eq!(read(*protocol, &line), flower, "{words}: {line}");
    }
}

#[test]
fn a_dump_leads_to_words_that_lead_to_the_dump() {
    for (protocol, words) in EVERY_KEY {
        let dumped = Kind::as_dumped(&read(*protocol, words), &Devices);
        let said = wording(&dumped, *protocol);
        assert_eq!(said.unsayable(), [""; 0], "{words}");
        let again = Kind::as_dumped(&read(*protocol, &said.lines().concat()), &Devices);
        assert_eq!(again, dumped, "{words}");
    }
}

#[test]
fn types_of_headers_decide_what_is_dumped() {
    for (protocol, words, eth_type) in [
        (ETH_P_IP, "", Some(ETH_P_IP)),
        (ETH_P_ALL, "", None),
        (ETH_P_8021Q, "vlan_id 1", None),
        (ETH_P_8021Q, "vlan_ethtype ip", Some(ETH_P_IP)),
        (ETH_P_8021Q, "vlan_ethtype 802.1q", None),
        (ETH_P_8021AD, "vlan_ethtype 802.1q cvlan_ethtype arp", Some(ETH_P_ARP)),
        (ETH_P_IP, "num_of_vlans 1 vlan_id 3", None),
        (ETH_P_PPP_SES, "pppoe_sid 5", None),
        (ETH_P_PPP_SES, "ppp_proto ipv6", Some(ETH_P_IPV6)),
        (ETH_P_PPP_SES, "ppp_proto 0x1234", Some(ETH_P_PPP_SES)),
    ] {
        assert_eq!(Kind::as_dumped(&read(protocol, words), &Devices).eth_type, eth_type, "{words}");
    }
    let zero_mask = read(ETH_P_IP, "dst_ip 0.0.0.0/0 src_ip any dst_mac 2:0:0:0:0:1/0");
    assert_eq!(Kind::as_dumped(&zero_mask, &Devices), Flower::default().eth_type(ETH_P_IP));
    let cut = Kind::as_dumped(&read(ETH_P_IP, "vxlan_opts 5"), &Devices);
    assert_eq!(cut.enc_opts, Some(TunnelOptions::Vxlan { gbp: Masked::new(5, 0x0048_ffff) }));
}

/// Kernel: the type in the second tag is dumped as that of the packet.
#[test]
fn keys_as_the_kernel_merges_them() {
    let ppp = "vlan_ethtype 802.1q cvlan_ethtype ppp_ses ppp_proto ip";
    let dumped = Kind::as_dumped(&read(ETH_P_8021AD, ppp), &Devices);
    assert_eq!((dumped.eth_type, dumped.cvlan_ethtype), (Some(ETH_P_IP), Some(ETH_P_IP)));
    let labels = "mpls lse depth 2 bos 1 lse depth 1 label 5 lse depth 1 ttl 3";
    let merged = vec![MplsLse::at(1).label(5).ttl(3), MplsLse::at(2).bos(1)];
    assert_eq!(read(ETH_P_MPLS_UC, labels).mpls, merged);
    // The header has 12 bits of flags.
    let flags = Flower::default().eth_type(ETH_P_IP).ip_proto(IPPROTO_TCP).tcp_flags(2);
    let bytes = message(&Request::filter(1).options(&flags), Verb::Add);
    assert_eq!(Flower::decode(&bytes[52..]).unwrap().tcp_flags, Some(Masked::new(2, 0xfff)));
}

#[test]
fn ignored_keys_are_refused() {
    for (flower, text) in [
        (Flower::default().ip_proto(6), "\"ip_proto\" without eth_type ip or ipv6"),
        (Flower::default().eth_type(ETH_P_IP).dst_port(80), "\"dst_port\" without ip_proto tcp, udp or sctp"),
        (Flower::default().eth_type(ETH_P_IP).vlan_id(1), "\"vlan_id\" without eth_type 802.1Q or 802.1ad"),
        (Flower::default().eth_type(ETH_P_ARP).mpls([MplsLse::at(1)]), "\"mpls\" without eth_type mpls_uc"),
    ] {
        let request = Request::filter(1).options(&flower);
        let refused = request.encode(Verb::Add, 0, &mut bytes::BytesMut::new()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("flower: the kernel ignores {text}")), "{refused}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    for (protocol, words, text) in [
        (ETH_P_IP, "bogus", "What is \"bogus\"?"),
        (ETH_P_IP, "src_ip", "Command line is not complete. Try option \"help\""),
        (ETH_P_IP, "action", "Command line is not complete. Try option \"help\""),
        (ETH_P_IP, "src_ip x", "Error: inet prefix is expected rather than \"x\"."),
        (ETH_P_IPV6, "src_ip 1.2.3.4", "Error: inet6 prefix is expected rather than \"1.2.3.4\"."),
        (ETH_P_IP, "enc_src_ip x", "Error: any valid prefix is expected rather than \"x\"."),
        (ETH_P_ALL, "src_ip 1.2.3.4", "Illegal \"src_ip\""),
        (ETH_P_ALL, "ip_proto tcp", "Illegal \"eth_type\" for ip proto\nIllegal \"ip_proto\""),
        (ETH_P_IP, "ip_proto icmpv6", "Illegal \"eth_type\" for ip proto\nIllegal \"ip_proto\""),
        (ETH_P_IP, "ip_proto 100", "Illegal \"ip_proto\""),
        (ETH_P_IP, "dst_port 80", "Illegal \"dst_port\""),
        (
            ETH_P_IP,
            "ip_proto tcp src_port 5-4",
            "max value should be greater than min value\nIllegal \"src_port\"",
        ),
        (ETH_P_IP, "ip_proto tcp src_port 0x50", "Illegal \"src_port\""),
        (ETH_P_IP, "ip_proto tcp src_port 5/x", "Illegal \"src_port\""),
        (
            ETH_P_IP,
            "ip_proto tcp src_port 5 ip_proto udp",
            "Error: duplicate \"ip_proto\": \"udp\" is the second value.",
        ),
        (ETH_P_IP, "ip_proto tcp tcp_flags 1000", "Illegal \"tcp_flags\""),
        (ETH_P_IP, "tcp_flags 2", "the kernel ignores \"tcp_flags\" without ip_proto tcp"),
        (ETH_P_IP, "ip_proto icmp code 0/0xff", "Illegal \"icmp code\""),
        (ETH_P_IP, "ip_tos 256", "Illegal \"ip_tos\""),
        (ETH_P_IP, "ip_flags x", "Illegal \"ip_flags\""),
        (ETH_P_ALL, "dst_mac zz", "\"zz\" is invalid lladdr.\nIllegal \"dst_mac\""),
        (ETH_P_ALL, "dst_mac 1:2:3", "\"1:2:3\" is invalid lladdr.\nIllegal \"dst_mac\""),
        (
            ETH_P_ALL,
            "dst_mac 2:0:0:0:0:1/49",
            "\"49\" are more bits than an address has.\nIllegal \"dst_mac\"",
        ),
        (
            ETH_P_IP,
            "vlan_id 1",
            "Can't set \"vlan_id\" if ethertype isn't 802.1Q or 802.1AD and num_of_vlans is 0",
        ),
        (ETH_P_8021Q, "vlan_id 4096", "Illegal \"vlan_id\""),
        (
            ETH_P_8021Q,
            "cvlan_id 1",
            "Can't set \"cvlan_id\" if inner vlan ethertype isn't 802.1Q or 802.1AD and num_of_vlans is less \
             than 2",
        ),
        (
            ETH_P_IP,
            "cvlan_ethtype ip",
            "Can't set \"cvlan_ethtype\" if ethertype isn't 802.1Q or 802.1AD and num_of_vlans less than 2",
        ),
        (ETH_P_8021Q, "vlan_ethtype x", "Error: argument \"x\" is wrong: invalid vlan_ethtype"),
        (ETH_P_IP, "pppoe_sid 1", "Can't set \"pppoe_sid\" if ethertype isn't PPPoE session"),
        (ETH_P_PPP_SES, "ppp_proto x", "Error: argument \"x\" is wrong: invalid ppp_proto"),
        (ETH_P_IP, "mpls_ttl 3", "Can't set \"mpls_ttl\" if ethertype isn't MPLS"),
        (ETH_P_MPLS_UC, "mpls_label 1048576", "Illegal \"mpls_label\""),
        (ETH_P_MPLS_UC, "mpls lse label 1", "Error: argument \"depth\" is required\n"),
        (ETH_P_MPLS_UC, "mpls lse depth 0", "Illegal \"depth\""),
        (ETH_P_MPLS_UC, "mpls lse depth 1 mpls_ttl 3", "Can't set \"mpls_ttl\" if \"mpls\" is set"),
        (
            ETH_P_MPLS_UC,
            "mpls_ttl 3 mpls lse depth 1",
            "Can't set \"mpls\" if \"mpls_label\", \"mpls_tc\", \"mpls_bos\" or \"mpls_ttl\" is set",
        ),
        (ETH_P_ARP, "arp_op 3", "Illegal \"arp_op\""),
        (ETH_P_IP, "arp_op request", "Illegal \"arp_op\""),
        (ETH_P_IP, "arp_tip 1.2.3.4", "Illegal \"arp_tip\""),
        (ETH_P_IP, "ct_state trk", "Illegal \"ct_state\""),
        (ETH_P_IP, "ct_label 010", "Error: argument \"010\" is wrong: labels must be a hex string"),
        (
            ETH_P_IP,
            "ct_label 01020304050607080102030405060708ff",
            "Error: argument \"01020304050607080102030405060708ff\" is wrong: 34 Max allowed size 32",
        ),
        (ETH_P_IP, "geneve_opts 0102:80", "Illegal \"geneve_opts\""),
        (ETH_P_IP, "geneve_opts 0102:80:001", "Illegal \"geneve_opts\""),
        (
            ETH_P_IP,
            "geneve_opts 0102:80:00112233/ff:ff:ff:ff",
            "Unknown \"geneve_opts\" type\nIllegal \"geneve_opts\"",
        ),
        (ETH_P_IP, "vxlan_opts x", "Illegal \"vxlan_opts\""),
        (ETH_P_IP, "gtp_opts 01:", "Illegal \"gtp_opts\""),
        (ETH_P_IP, "erspan_opts 3:1:1:1", "the version of ERSPAN is 1 or 2\nIllegal \"erspan_opts\""),
        (ETH_P_IP, "hw_tc 16", "TC index exceeds max range"),
        (ETH_P_IP, "hw_tc x", "Illegal TC index"),
        (
            ETH_P_IP,
            "indev abcdefghijklmnopq",
            "Error: argument \"abcdefghijklmnopq\" is wrong: \"indev\" not a valid ifname",
        ),
        (ETH_P_IP, "cfm mdl 5", "Can't set attribute if ethertype isn't CFM"),
        (ETH_P_IP, "l2tpv3_sid 5", "Can't set \"l2tpv3_sid\" if ip_proto isn't l2tp"),
        (ETH_P_IP, "spi 5", "Can't set \"spi\" if ip_proto isn't ESP/UDP/AH"),
        (ETH_P_IP, "classid x", "Illegal \"classid\""),
    ] {
        assert_eq!(read_at(protocol, words).unwrap_err().to_string(), text, "{words}");
    }
    assert_eq!(read_at(ETH_P_IP, "help"), Err(WordError::Help));
    assert_eq!(Flower::parse_handle("x").unwrap_err().to_string(), "Illegal \"handle\"");
}

#[test]
fn a_change_without_a_protocol_is_refused() {
    let words = ["dst_ip", "1.2.3.4"];
    let read = |verb| {
        let context = WordsContext::new(verb);
        Flower::parse_filter(&mut Words::new(&words), &context, &FilterPlace::default())
    };
    assert_eq!(
        read(Verb::Change).unwrap_err().to_string(),
        "flower: a change needs the filter's \"protocol\""
    );
    assert!(read(Verb::Delete).is_ok());
}

#[test]
fn shortened_words_are_those_of_tc() {
    let whole = "ip_flags frag dst_mac 2:0:0:0:0:1 tcp_flags 2 enc_dst_ip 1.2.3.4 classid 1:1";
    let short = "ip frag d 2:0:0:0:0:1 tc 2 enc 1.2.3.4 c 1:1";
    let tcp = "ip_proto tcp ";
    assert_eq!(read(ETH_P_IP, &format!("{tcp}{short}")), read(ETH_P_IP, &format!("{tcp}{whole}")));
    assert_eq!(read_at(ETH_P_ALL, "num 1").unwrap_err().to_string(), "What is \"num\"?");
}

#[test]
fn hw_tc_is_a_class_of_the_parent() {
    assert_eq!(read(ETH_P_IP, "hw_tc 3").class, Some(Handle::from_raw(0xffff_ffe3)));
    let shown = print(&read(ETH_P_IP, "hw_tc 3"), 1, Form::Text, Style::default());
    assert_eq!(shown, "handle 0x1 hw_tc 3 \n  eth_type ipv4");
}

#[test]
fn keys_are_printed_each_on_its_line() {
    let flower = read(
        ETH_P_IP,
        "ip_proto tcp dst_port 80 src_port 1000-2000 tcp_flags 0x2/0x17 ip_tos 0x10/0xfc src_ip 10.0.0.0/8 \
         ip_flags nofrag/firstfrag skip_hw",
    );
    assert_eq!(
        print(&flower, 1, Form::Text, Style::default()),
        "handle 0x1 \n  eth_type ipv4\n  ip_proto tcp\n  ip_tos 16/0xfc\n  src_ip 10.0.0.0/8\n  dst_port 80\n  \
         src_port 1000-2000\n  tcp_flags 0x2/17\n  ip_flags nofrag/firstfrag\n  skip_hw"
    );
    let oneline = Style { oneline: true, ..Style::default() };
    let text = print(&read(ETH_P_MPLS_UC, "mpls lse depth 1 lse depth 2 bos 1"), 0, Form::Text, oneline);
    assert_eq!(text, "\\  eth_type 8847\\  mpls\\    lse depth 1\\    lse depth 2 bos 1");
}

#[test]
fn json_has_keys_that_tcs_lacks_or_repeats() {
    let gtp = read(ETH_P_IP, "gtp_opts 01:3f/ff:0f");
    assert_eq!(
        print(&gtp, 1, Form::Json, Style::default()),
        concat!(
            r#"{"handle":1,"keys":{"eth_type":"ipv4","gtp_opt_key":[{"pdu_type":1,"qfi":63}],"#,
            r#""gtp_opt_mask":[{"pdu_type":255,"qfi":15}]}}"#
        )
    );
    let ports = read(ETH_P_IP, "ip_proto tcp dst_port 5 dst_port 1-9");
    assert_eq!(
        print(&ports, 1, Form::Json, Style::default()),
        concat!(
            r#"{"handle":1,"keys":{"eth_type":"ipv4","ip_proto":"tcp","dst_port":5,"#,
            r#""dst_port_range":{"start":1,"end":9}}}"#
        )
    );
}

/// `tc chain add ... chain 11 protocol ip flower dst_mac 00:00:00:00:00:00/ff:ff:ff:ff:ff:ff src_ip 0.0.0.0/24`.
#[test]
fn a_chains_template_has_keys_alone() {
    let template = read(ETH_P_IP, "dst_mac 00:00:00:00:00:00/ff:ff:ff:ff:ff:ff src_ip 0.0.0.0/24");
    let bytes = message(&Request::filter(1).options(&template), Verb::Add);
    let decoded = Flower::decode(&bytes[52..]).unwrap();
    assert_eq!(decoded, template);
    assert_eq!(
        print(&decoded, 0, Form::Text, Style::default()),
        "\n  dst_mac 00:00:00:00:00:00\n  eth_type ipv4\n  src_ip 0.0.0.0/24"
    );
    assert_eq!(
        print(&decoded, 0, Form::Json, Style::default()),
        r#"{"keys":{"dst_mac":"00:00:00:00:00:00","eth_type":"ipv4","src_ip":"0.0.0.0/24"}}"#
    );
}

#[test]
fn a_change_sets_values_but_not_masks() {
    let difference = |wanted: &str, there: &str| {
        let [wanted, there] = [wanted, there].map(|words| wording(&read(ETH_P_IP, words), ETH_P_IP));
        wanted.difference(&there, &Flower::CHANGE)
    };
    assert_eq!(difference("dst_ip 1.2.3.4 classid 1:1", "dst_ip 1.2.3.4 classid 1:1"), Difference::None);
    assert_eq!(difference("action drop", "action drop index 1"), Difference::None);
    for (wanted, there) in [
        ("dst_ip 1.2.3.4 classid 1:1", "dst_ip 1.2.3.4 classid 1:2"),
        ("dst_ip 1.2.3.4", "dst_ip 1.2.3.5"),
        ("ip_proto tcp dst_port 1-5", "ip_proto udp dst_port 2-7"),
        ("action drop", "action pass index 1"),
        ("action drop", "action pass"),
    ] {
        assert!(matches!(difference(wanted, there), Difference::Change { .. }), "{wanted}");
    }
    for (wanted, there) in [
        ("dst_ip 1.2.3.4/24", "dst_ip 1.2.3.4"),
        ("dst_ip 1.2.3.4", ""),
        ("", "dst_ip 1.2.3.4"),
        ("ct_state +trk", "ct_state +trk-est"),
        ("action drop index 1", "action pass index 1"),
        ("geneve_opts 0102:80:00880022", "geneve_opts 0102:80:0088002200880022"),
    ] {
        assert!(matches!(difference(wanted, there), Difference::Renew { .. }), "{wanted}");
    }
}

#[test]
fn keys_without_words_are_named() {
    for (flower, what) in [
        (Flower::default().hash(Masked::new(5, 0xff)), "hash 0x5/0xff"),
        (Flower::default().enc_src_port(7), "enc_src_port 7/0xffff"),
        (Flower::default().enc_dst_port(Masked::new(7, 0xff)), "enc_dst_port 7 with the mask 0xff"),
        (
            Flower::default().dst_ip(MaskedIp::V4(Masked::new([1, 2, 3, 4].into(), [255, 0, 255, 0].into()))),
            "dst_ip with the mask 255.0.255.0",
        ),
        (Flower::default().eth_type(ETH_P_IP), "an Ethernet type other than the protocol's"),
        (Flower::default().ip_flags(Masked::new(4, 4)), "ip_flags 0x4/0x4"),
        (Flower::default().ct_state(Masked::new(64, 64)), "ct_state 0x40/0x40"),
    ] {
        assert_eq!(wording(&flower, ETH_P_ALL).unsayable()[0], what);
    }
}

#[test]
fn options_of_geneve_come_in_one_attribute_or_in_several() {
    let one = b"\x2c\0\x01\0\x06\0\x01\0\x01\x02\0\0\x05\0\x02\0\x80\0\0\0\x08\0\x03\0\0\x88\0\x22";
    let two = b"\x06\0\x01\0\x01\x03\0\0\x05\0\x02\0\x81\0\0\0\x08\0\x03\0\x11\x22\x33\x44";
    let nest = [&one[..], &two[..]].concat();
    let payload = [&[(nest.len() + 4) as u8, 0, 84, 0][..], &nest[..]].concat();
    let mut payload = payload;
    payload[4] = nest.len() as u8;
    let flower = Flower::decode(&payload).unwrap();
    let options = vec![
        GeneveOption::new(0x102, 0x80, [0, 0x88, 0, 0x22]),
        GeneveOption::new(0x103, 0x81, [0x11, 0x22, 0x33, 0x44]),
    ];
    assert_eq!(flower.enc_opts, Some(TunnelOptions::Geneve(options)));
}

#[test]
fn reported_fields_are_not_sent() {
    let there =
        Flower { reported: FlowerReported { in_hw: Some(false), in_hw_count: Some(3) }, ..Flower::default() };
    let bytes = message(&Request::filter(1).options(&there), Verb::Add);
    assert_eq!(&bytes[36..], b"\x0b\0\x01\0flower\0\0\x0c\0\x02\0\x08\0\x16\0\0\0\0\0");
}

#[test]
fn class_and_actions_are_named() {
    let flower = read(ETH_P_IP, "ip_proto tcp classid 1:10 action drop index 7 action pass");
    assert_eq!(flower.target_class(), Some(Handle::class(1, 0x10)));
    assert_eq!(flower.held_actions(), [("gact".to_owned(), 7), ("gact".to_owned(), 0)]);
}
