//! Filters of these kinds, exported, applied and edited.

use tests::kernel_versions::ageless_text;
use tests::lab::Net;
use tests::need;
use tests::paired_hosts::Twins;

/// Filters of all four kinds, in the order and in the words of an export.
const EXPORTED: &[&str] = &[
    "parent 1: pref 5 protocol ip handle 0x1 basic match 'cmp(u8 at 9 layer 1 eq 6) and not (nbyte(\"a\\x23b\\x20c\" at 0 \
     layer 1) or meta(vlan shift 1 eq dev))' classid 1:1",
    "parent 1: pref 10 protocol ip handle 0x1 cgroup match meta(nf_mark eq 1) action gact drop index 3",
    "parent 1: pref 11 protocol ip handle 0x1 flow match cmp(u8 at 9 layer 1 eq 17) hash keys src,dst divisor 8 baseclass 1:1 \
     perturb 10",
    "parent 1: pref 11 protocol ip handle 0x2 flow map keys dst and 0xef xor 0x3 or 0x10 rshift 4 addend 0xffffffff \
     baseclass 1:1",
    "parent 1: pref 12 protocol ip route fromif lo to 10 order 3 classid 1:2 action gact drop index 4",
    "parent 1: pref 12 protocol ip route from 2 to 10 classid 1:1",
    "parent 1: pref 12 protocol ip route to 0 police rate 1000000bit burst 10240b mtu 2040b conform-exceed drop index 1",
    "ingress pref 6 protocol all handle 0x1 basic match meta(pkt_len gt 5) action gact drop index 1",
    "ingress pref 6 protocol all handle 0x2 basic action gact pass index 2",
];

/// Changes of that, which take a change, or a new filter.
const EDITS: &[(&str, &str)] = &[
    ("meta(pkt_len gt 5)", "meta(pkt_len gt 6)"),
    ("meta(nf_mark eq 1)", "meta(nf_mark eq 2)"),
    ("divisor 8 ", "divisor 4 "),
    ("order 3 classid 1:2", "order 4 classid 1:1"),
    (" and 0xef xor 0x3 or 0x10", ""),
    ("from 2 to 10 classid 1:1", "from 2 to 10 classid 1:2"),
];

#[test]
fn exports_are_read_by_tc_and_applied() {
    need!("sch_htb", "sch_clsact", "cls_basic", "cls_cgroup", "cls_flow", "cls_route", "act_police", "veth");
    let twins = Twins::new(|net| {
        net.veth("d0", "d1");
        for command in [
            "qdisc add dev d0 root handle 1: htb",
            "class add dev d0 parent 1: classid 1:1 htb rate 1mbit",
            "class add dev d0 parent 1: classid 1:2 htb rate 1mbit",
            "qdisc add dev d0 clsact",
        ] {
            net.tc(command).ok();
        }
    });
    let name = format!("{}/export-ematch-{}", std::env::temp_dir().display(), std::process::id());
    let own = |words: &str| twins.ours.tc_cli(&format!("{words} {name}"));
    let export = || twins.ours.tc_cli("export dev d0").ok();
    let lines: String = EXPORTED.iter().map(|line| format!("filter add dev d0 {line}\n")).collect();
    let bare = export();
    let wanted = bare.clone() + &lines;
    std::fs::write(&name, &wanted).unwrap();
    own("apply").ok();
    assert_eq!(export(), wanted);
    own("diff").ok();
    // tc makes the same of it.
    std::fs::write(&name, &lines).unwrap();
    twins.theirs.tc(&format!("-batch {name}")).ok();
    let show = "-s filter show dev d0 parent 1:";
    // Kernel: after a list of actions, which `export` reads, a dump has this too (seen on 6.12).
    let shown = |net: &Net| ageless_text(&net.tc(show).ok()).replace("\tused_hw_stats disabled\n", "");
    let [theirs, ours] = [&twins.theirs, &twins.ours].map(shown);
    assert_eq!(theirs, ours);
    let edited = EDITS.iter().fold(wanted, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    std::fs::write(&name, &edited).unwrap();
    assert_eq!(own("diff").code, 1);
    own("apply").ok();
    own("diff").ok();
    assert_eq!(export(), edited);
    std::fs::write(&name, &bare).unwrap();
    own("apply").ok();
    assert_eq!(export(), bare);
    std::fs::remove_file(&name).unwrap();
}
