//! The kinds of filters.

use super::*;

#[test]
fn bytecode_filters_do_the_same() {
    need!("all-words-in-tc", "sch_clsact", "cls_bpf", "act_gact", "act_police", "veth");
    if newer_tc::is_later() {
        return;
    }
    let twins = twins();
    let file = std::env::temp_dir().join(format!("bytecode.{}", std::process::id()));
    std::fs::write(&file, "2,\n40 0 0 12,\n6 0 0 1\n").expect("a file is written");
    let from_file = format!("filter add dev d0 ingress pref 4 bpf bytecode-file {}", file.display());
    for words in [
        "qdisc add dev d0 clsact",
        &from_file,
        "filter add dev d0 ingress pref 5 protocol ip bpf bytecode '2,40 0 0 12,6 0 0 1' flowid 1:1 action pass",
        "filter add dev d0 ingress pref 6 handle 9 bpf bc '1,6 0 0 1' direct-action skip_hw",
        "filter add dev d0 ingress pref 7 bpf da classid 1:2 run bc '1,6 0 0 1' police rate 1mbit burst 10k drop",
        "filter add dev d0 ingress pref 8 protocol ip bpf run bytecode '1,31 0 1 2048'",
        "filter add dev d0 ingress pref 8 bpf bc '1,6 0 0'",
        "filter add dev d0 ingress pref 8 bpf bc '1,6 0 0 1' run bc '1,6 0 0 1'",
        "filter add dev d0 ingress pref 8 bpf bc '1,6 0 0 1' bogus",
        "filter add dev d0 ingress pref 8 bpf bogus",
        "filter add dev d0 ingress pref 8 bpf classid x",
        "filter add dev d0 ingress pref 8 handle x bpf bc '1,6 0 0 1'",
        "filter add dev d0 ingress pref 8 bpf bcf /nix",
        "filter add dev d0 ingress pref 8 bpf bc '1,6 0 0 1' skip_sw",
        "filter add dev d0 ingress pref 8 bpf bytecode",
        "filter add dev d0 ingress pref 8 bpf help",
        "filter change dev d0 ingress pref 6 protocol all handle 9 bpf bc '1,6 0 0 7' classid 1:7",
        "filter del dev d0 ingress pref 7",
    ] {
        if run(&twins, words) == 0 {
            // Of these filters tc-cli has a brief list in full; tc has none.
            let full: Vec<_> = FILTERS.iter().copied().filter(|show| !show.starts_with("-br")).collect();
            show(&twins, &full, words);
        }
    }
    std::fs::remove_file(file).expect("the file is there");
}

#[test]
fn flower_acts_and_prints_as_tc() {
    need!("sch_clsact", "cls_flower", "act_mirred", "act_gact", "veth");
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    let twins = twins();
    let ingress = "filter add dev d0 ingress";
    for words in [
        "qdisc add dev d0 clsact",
        // As Kubernetes and Open vSwitch do.
        &format!(
            "{ingress} protocol ip pref 1 flower ip_proto tcp dst_port 443 action mirred egress redirect dev d1"
        ),
        &format!("{ingress} protocol ip pref 1 flower ip_proto tcp dst_port 443"),
        &format!(
            "{ingress} protocol 802.1q pref 2 flower vlan_id 100 vlan_ethtype ipv4 dst_ip 1.2.3.4 \
             dst_mac 02:00:00:00:00:01 action mirred egress redirect dev d1"
        ),
        &format!(
            "{ingress} protocol ip pref 3 flower enc_src_ip 5.6.7.0/24 enc_dst_ip 1.2.3.4 enc_key_id 100 \
             enc_dst_port 4789 vxlan_opts 5/0xff action mirred egress redirect dev d1"
        ),
        "filter add dev d0 egress protocol ip pref 3 chain 3 handle 0x7 flower ip_proto udp dst_port 1000-2000 \
         src_port 53/0xff ip_flags nofrag skip_hw action drop",
        "filter change dev d0 egress protocol ip pref 3 chain 3 handle 7 flower ip_proto udp dst_port 1-2 \
         src_port 54/0xff ip_flags frag skip_hw action ok",
        "filter change dev d0 egress protocol ip pref 3 chain 3 handle 7 flower ip_proto udp dst_port 1-2",
        "filter replace dev d0 egress protocol ip pref 3 chain 3 handle 7 flower ip_proto udp dst_port 1-2",
        "filter get dev d0 egress protocol ip pref 3 chain 3 handle 7 flower",
        "-j filter get dev d0 egress protocol ip pref 3 chain 3 handle 7 flower",
        &format!("{ingress} protocol ipv6 pref 4 flower ip_proto icmpv6 type 128/240 src_ip fe80::/10"),
        &format!("{ingress} protocol mpls_uc pref 5 flower mpls lse depth 1 label 5 lse depth 2 bos 1 ttl 3"),
        &format!("{ingress} protocol mpls_uc pref 6 flower mpls lse depth 1 label 5 hw_tc 2"),
        &format!("{ingress} protocol ip pref 7 flower ct_state +trk+est ct_zone 5 ct_mark 0x10/0xff"),
        &format!("{ingress} protocol ip pref 8 flower ct_label 01020304050607080102030405060708 indev d1"),
        &format!(
            "{ingress} protocol arp pref 9 flower arp_op reply arp_sip 1.2.3.0/24 arp_tha 2:0:0:0:0:1/8"
        ),
        &format!("{ingress} protocol ppp_ses pref 10 flower pppoe_sid 7 ppp_proto ip src_ip 1.1.1.1"),
        &format!(
            "{ingress} protocol all pref 11 flower num_of_vlans 2 vlan_id 4 vlan_ethtype 802.1q cvlan_id 5"
        ),
        &format!(
            "{ingress} protocol ip pref 12 flower geneve_opts 0102:80:00880022,0103:81:11223344/ff:ff:ff00ff00"
        ),
        &format!("{ingress} protocol ip pref 13 flower enc_key_id 1 erspan_opts 2:0:1:5"),
        &format!("{ingress} protocol ip pref 14 flower enc_key_id 1 gtp_opts 01:3f/ff:0f"),
        &format!("{ingress} protocol ip pref 15 flower enc_tos 4/0xc enc_ttl 9 enc_dst_ip fe80::1/64"),
        &format!(
            "{ingress} protocol all pref 16 flower dst_mac 2:0:0:0:0:1/ff:0:ff:0:0:1 src_mac 2:0:0:0:0:1/24"
        ),
        &format!("{ingress} protocol 0x88b5 pref 17 flower"),
        &format!("{ingress} protocol ip pref 18 flower skip_sw"),
        &format!("{ingress} protocol ip pref 18 flower ip_proto 2f ip_tos 0x10/0xfc ip_ttl ff"),
        &format!("{ingress} protocol ip pref 18 flower src_ip x"),
        &format!("{ingress} protocol ip pref 18 flower ct_state +new"),
        &format!("{ingress} protocol ip pref 18 flower ip_proto tcp src_port 9-8"),
        &format!("{ingress} protocol ip pref 18 flower vlan_id 7"),
        &format!("{ingress} protocol ip pref 18 flower bogus"),
        &format!("{ingress} protocol ip pref 18 flower help"),
        &format!("{ingress} protocol ip pref 18 flower action bogus"),
        &format!("{ingress} protocol ip pref 18 handle x flower"),
        &format!("{ingress} protocol mpls_uc pref 18 flower mpls lse label 1"),
        &format!("{ingress} protocol mpls_uc pref 18 flower mpls"),
        "filter del dev d0 ingress protocol ip pref 18 handle 0x1 flower",
        "filter del dev d0 ingress protocol mpls_uc pref 5 flower",
        "filter del dev d0 ingress",
    ] {
        if run(&twins, words) == 0 && !words.contains("get ") {
            show(&twins, FILTERS, words);
        }
    }
}

/// tc does something else with these words: see `differs-from-tc.md`.
#[test]
fn flower_words_that_tc_takes_wrongly_are_refused() {
    need!("sch_clsact", "cls_flower", "veth");
    let twins = twins();
    run(&twins, "qdisc add dev d0 clsact");
    run(&twins, "filter add dev d0 ingress protocol ip pref 1 handle 1 flower dst_ip 1.2.3.4");
    let before = twins.ours.tc("filter show dev d0 ingress").ok();
    for words in [
        "add dev d0 ingress protocol ip pref 2 flower tcp_flags 2",
        "add dev d0 ingress protocol arp pref 2 flower ip_tos 4",
        "add dev d0 ingress protocol ip pref 2 flower dst_mac 1:2:3",
        "add dev d0 ingress protocol ip pref 2 flower dst_mac 1.2.3.4",
        "add dev d0 ingress protocol ip pref 2 flower dst_mac 2:0:0:0:0:1/49",
        "add dev d0 ingress protocol ip pref 2 flower ct_label 010",
        "add dev d0 ingress protocol ip pref 2 flower geneve_opts 0102:80:001122334",
        "add dev d0 ingress protocol ip pref 2 flower ip_proto tcp dst_port 5 ip_proto udp",
        "change dev d0 ingress pref 1 handle 1 flower dst_ip 1.2.3.5",
    ] {
        let [_, ours] = twins.run(&format!("filter {words}"));
        assert!(matches!(ours.code, 1 | 255), "{words}: {}", ours.stderr);
        assert_eq!(twins.ours.tc("filter show dev d0 ingress").ok(), before, "{words}");
    }
    // Right, where tc sends what the kernel refuses, or sends other bits.
    for (words, shown) in [
        ("src_ip any enc_dst_ip all", "\n  eth_type ipv4\n  not_in_hw"),
        ("dst_mac 2:0:0:0:0:1/0", "\n  eth_type ipv4\n  not_in_hw"),
        ("ip_proto tcp dst_port 0", "  dst_port 0\n"),
        ("skip_hw ip_proto tcp dst_port 0-5", "  dst_port 0-5\n"),
    ] {
        let [_, ours] =
            twins.run(&format!("filter replace dev d0 ingress protocol ip pref 2 handle 1 flower {words}"));
        assert_eq!(ours.code, 0, "{words}: {}", ours.stderr);
        let list = twins.ours.tc("filter show dev d0 ingress pref 2").ok();
        assert!(list.contains(shown), "{words}: {list}");
        // tc may have none.
        let _gone = twins.run("filter del dev d0 ingress pref 2");
    }
}

const SHAPED: &[&str] = &[
    "filter show dev d0 parent 1:",
    "-s -d filter show dev d0 parent 1:",
    "-r filter show dev d0 parent 1:",
    "filter show dev d0 ingress",
    "-s filter show dev d0 ingress",
    "-j filter show dev d0 ingress",
    "actions list action police",
    "-s -d -r actions list action police",
    "-j actions list action police",
];

/// Runs commands, and compares the hosts after each that changed them.
#[track_caller]
fn shape(commands: &[&str]) {
    let twins = twins();
    for command in ["qdisc add dev d0 root handle 1: htb default 30", "qdisc add dev d0 ingress"] {
        run(&twins, command);
    }
    for command in commands {
        if run(&twins, command) == 0 {
            show(&twins, SHAPED, command);
        }
    }
}

#[test]
fn police_acts_and_prints_as_tc() {
    need!("all-words-in-tc", "sch_htb", "sch_ingress", "cls_matchall", "act_police", "act_gact", "veth");
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    shape(&[
        "actions add action police rate 1mbit burst 100k index 5",
        "actions add action police rate 1mbit burst 100k mtu 2k peakrate 2mbit drop overhead 14 linklayer atm",
        "actions add action police pkts_rate 1000 pkts_burst 200 drop index 7",
        "actions add action police rate 40gbit burst 1m mtu 64k conform-exceed drop/pipe index 8",
        "actions add action police mtu 1500 conform-exceed drop / ok index 9",
        "actions change action police rate 2mbit burst 10k/16 mpu 64 continue index 5",
        "actions add action police avrate 1mbit drop",
        "actions add action police rate 1mbit",
        "actions add action police rate x burst 1k",
        "actions add action police rate 1mbit burst 1k conform-exceed goto chain 3",
        "filter add dev d0 ingress pref 3 protocol ip matchall action police rate 1mbit burst 9k drop",
        "filter add dev d0 ingress pref 4 protocol ip matchall action police index 5",
        "actions del action police index 9",
        "actions del action police index 5",
    ]);
}

#[test]
fn fw_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_fw", "act_police", "act_gact", "veth");
    shape(&[
        "filter add dev d0 parent 1: protocol ip prio 5 handle 0x10/0xff fw classid 1:10 indev d1",
        "filter add dev d0 parent 1: protocol ip prio 5 handle 0x11/0xf0 fw classid 1:10",
        "filter add dev d0 parent 1: protocol ip prio 5 handle 0x11/0xff fw classid 1:11 action pass",
        "filter add dev d0 parent 1: handle 3 protocol ip prio 6 fw police rate 1mbit burst 10k drop flowid 1:10",
        "filter change dev d0 parent 1: handle 3 protocol ip prio 6 fw flowid 1:20",
        "filter add dev d0 parent 1: handle 3 protocol ip prio 6 fw flowid 1:20",
        "filter replace dev d0 parent 1: handle 4 protocol ip prio 6 fw indev lo flowid 1:20",
        "filter add dev d0 parent 1: handle 5 protocol ip prio 6 fw",
        "filter add dev d0 parent 1: protocol ip prio 6 fw classid 1:1",
        "filter get dev d0 parent 1: protocol ip prio 6 handle 0x3 fw",
        "filter add dev d0 parent 1: handle x fw classid 1:1",
        "filter add dev d0 parent 1: handle 1/x fw classid 1:1",
        "filter add dev d0 parent 1: handle 9 fw classid x",
        "filter add dev d0 parent 1: handle 9 fw police drop",
        "filter add dev d0 parent 1: handle 9 fw action bogus",
        "filter add dev d0 parent 1: handle 9 fw indev",
        "filter add dev d0 parent 1: handle 9 fw bogus",
        "filter del dev d0 parent 1: protocol ip prio 5 handle 0x10 fw",
        "filter del dev d0 parent 1: protocol ip prio 6",
    ]);
}

#[test]
fn u32_acts_and_prints_as_tc() {
    need!("sch_htb", "sch_ingress", "cls_u32", "act_police", "act_gact", "veth");
    shape(&[
        "filter add dev d0 parent 1: protocol ip prio 18 u32 match ip dport 22 0xffff flowid 1:10",
        "filter add dev d0 ingress protocol ip prio 50 u32 match ip src 0.0.0.0/0 police rate 1mbit burst 10k \
         drop flowid :1",
        "filter add dev d0 parent 1: handle 2: protocol ip prio 5 u32 divisor 256",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 ht 2:5: match ip dst 1.2.3.4 flowid 1:10",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 ht 801: match ip dst 1.2.3.0/24 link 2: hashkey \
         mask 0x000000ff at 16",
        "filter add dev d0 parent 1: protocol ip prio 5 handle 2:4:7 u32 ht 2: sample ip src 1.2.3.4 match u32 0 0 \
         police rate 1mbit burst 10k conform-exceed drop/pass",
        "filter add dev d0 parent 1: protocol ip prio 6 u32 match mark 1 0xff offset at 0 mask 0f00 shift 6 plus 4 \
         eat indev d1 skip_hw flowid 1:10",
        "filter add dev d0 ingress protocol all prio 7 u32 match u8 0 0 action drop",
        "filter add dev d0 ingress protocol ip prio 8 u32 match ip protocol 6 0xff match tcp dst 80 0xffff \
         flowid 1:10 action pass",
        "filter add dev d0 ingress protocol ipv6 prio 9 u32 match ip6 dst 2001:db8::/48 match ip6 sport 53 ffff \
         flowid 1:1",
        "filter add dev d0 ingress protocol ip prio 8 u32 match u32 0 0 at nexthdr+8 order 5 classid 1:2",
        "filter add dev d0 ingress protocol ip prio 8 u32 match u32 0 0 order 5 classid 1:2",
        "filter change dev d0 parent 1: protocol ip prio 5 handle 2:4:7 u32 classid 1:20",
        "filter get dev d0 parent 1: protocol ip prio 5 handle 2:4:7 u32",
        "filter add dev d0 parent 1: protocol ip prio 5 handle ::9 u32 match u32 0 0 flowid 1:9",
        "filter add dev d0 parent 1: protocol ip prio 5 handle 3:: u32 match u32 0 0 flowid 1:9",
        "filter add dev d0 parent 1: protocol ip prio 5 handle 12 u32 match u32 0 0",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 match u32 0 0 link 9: flowid 1:1",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 ht 9: match u32 0 0 flowid 1:1",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 flowid 1:1",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 match ip bogus 1 1",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 match ip src 1.2.3.4/40",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 match",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 bogus",
        "filter add dev d0 parent 1: protocol ip prio 5 u32 divisor 3",
        "filter del dev d0 parent 1: protocol ip prio 5 handle 2:5:800 u32",
        "filter del dev d0 parent 1: protocol ip prio 5 handle 2: u32",
        "filter del dev d0 parent 1: protocol ip prio 5",
        "filter del dev d0 ingress",
    ]);
}
