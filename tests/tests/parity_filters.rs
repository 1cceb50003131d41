//! tc and tc-cli agree on filters and actions: they end alike, leave equal states, and print them
//! identically.

use std::time::Instant;

use serde_json::Value;
use tc_core::{Registry, TcType};
use tc_qdiscs as _;
use tests::kernel_versions::{ageless_json, ageless_text};
use tests::lab::{Net, Output, PATIENCE, Said};
use tests::paired_hosts::Twins;
use tests::{need, newer_tc, repeated};

fn twins() -> Twins {
    Twins::new(|net| net.veth("d0", "d1"))
}

/// Runs a command on both sides: exit code and first line of what was wrong must agree.
#[track_caller]
fn run(twins: &Twins, words: &str) -> i32 {
    let [theirs, ours] = twins.run(words);
    assert_eq!(outcome(&ours), outcome(&theirs), "{words}");
    let [theirs, ours_out] = [&theirs, &ours].map(|said| repeated::without_star(&said.stdout));
    assert_eq!(ours_out, theirs, "{words}");
    ours.code
}

/// The hosts are alike, and both tools show ours alike.
#[track_caller]
fn show(twins: &Twins, shows: &[&str], after: &str) {
    for words in shows {
        // tc does not flush a list of actions, so that it comes when the program ends; and it takes a
        // chain for the second one when an earlier line had one.
        let look = || {
            let shown = match words.contains("actions") || words.contains("chain") {
                true => twins.look_started(words),
                false => twins.look(words),
            };
            [&shown.theirs, &shown.ours_by_tc, &shown.ours].map(|said| ageless(said, words))
        };
        let mut looked = look();
        // Kernel: actions of a deleted or changed filter go a little later.
        let since = Instant::now();
        while words.contains("actions")
            && (looked[0] != looked[1] || looked[1] != looked[2])
            && since.elapsed() < PATIENCE
        {
            looked = look();
        }
        let [theirs, ours_by_tc, ours] = looked;
        assert_eq!(ours_by_tc, theirs, "tc {words}: the hosts differ after {after}");
        assert_eq!(ours, ours_by_tc, "tc-cli {words} after {after}");
    }
}

const FILTERS: &[&str] = &[
    "filter show dev d0 ingress",
    "-s -d filter show dev d0 ingress",
    "-j filter show dev d0 ingress",
    "-s -j filter show dev d0 egress",
    "-s -N -o filter show dev d0 parent ffff:",
    "filter show dev d0",
    "-br filter show dev d0 ingress",
    "filter show dev d0 ingress protocol ip pref 7 chain 3",
    "filter show block 9",
    "-j filter show block 9",
    "filter show",
];

const ACTIONS: &[&str] = &[
    "actions list action mirred",
    "-s -j actions ls action mirred",
    "-s actions show action gact",
    "-j -p actions list action gact",
    "actions list action mirred since 100000",
    "-br actions list action gact",
];

fn ageless(said: &Said, words: &str) -> (Value, String) {
    let output = serde_json::from_str(&said.stdout).map(|value| repeated::as_tc(ageless_json(value)));
    let text = || repeated::without_star(&ageless_text(&said.stdout)).into();
    (output.unwrap_or_else(|_| text()), first_line(&said.stderr, words).to_owned())
}

fn outcome(output: &Output) -> (i32, &str) {
    (output.code, first_line(&output.stderr, &output.command))
}

/// The error. tc-cli's is an object if JSON is requested; tc's is not.
fn first_line<'a>(stderr: &'a str, command: &str) -> &'a str {
    match command.contains("-j ") {
        true => "",
        false => newer_tc::refusal(stderr.lines().find(|line| !repeated::is_note(line)).unwrap_or_default()),
    }
}

#[test]
fn the_same_commands_do_the_same() {
    need!("sch_clsact", "cls_matchall", "act_mirred", "act_gact", "veth");
    let twins = twins();
    for command in [
        "qdisc add dev d0 clsact",
        "filter add dev d0 ingress matchall",
        "filter add dev d0 ingress pref 7 protocol ip chain 3 handle 0x5 matchall classid 1:1 skip_hw action drop",
        "filter add dev d0 ingress pref 7 protocol ip chain 3 handle 0x5 matchall",
        "filter add dev d0 egress protocol arp prio 2 matchall action mirred egress mirror dev d1 \
         action mirred ingress redirect dev lo index 5 cookie 01ff no_percpu",
        "filter add dev d0 parent ffff:fff2 pref 9 matchall action gact goto chain 42 action trap",
        "filter change dev d0 ingress pref 7 protocol ip chain 3 handle 5 matchall classid 1:2",
        "filter replace dev d0 ingress pref 9 protocol all handle 1 matchall action pass random determ drop 3",
        "filter replace dev d0 ingress pref 11 matchall action mirred index 5",
        "filter get dev d0 ingress pref 9 protocol all handle 0x1 matchall",
        "-j filter get dev d0 ingress pref 9 protocol all handle 0x1 matchall",
        "filter get dev d0 ingress pref 99 protocol all handle 0x1 matchall",
        "filter add dev d0 ingress pref 12 matchall action mirred index 77",
        "filter add dev d0 ingress pref 12 nosuch",
        "filter del dev d0 ingress pref 12",
        "filter del dev d0 ingress pref 11",
        "filter del dev d0 egress protocol arp prio 2 matchall",
        "filter del dev d0 ingress chain 3",
        "filter del dev d0 ingress",
        "filter add dev d0 parent 9: matchall",
        "filter add dev nope ingress matchall",
        "filter add block 9 matchall",
        "qdisc add dev d1 ingress_block 9 clsact",
        "filter add block 9 pref 3 matchall action ok",
        "filter show dev d1 ingress",
        "filter del block 9 pref 3",
    ] {
        let changes = !command.contains("get ") && !command.contains("show ");
        if run(&twins, command) == 0 && changes {
            show(&twins, FILTERS, command);
        }
    }
}

#[test]
fn actions_for_themselves_are_made_shown_and_deleted_alike() {
    need!("all-words-in-tc", "sch_clsact", "cls_matchall", "act_mirred", "act_gact", "veth");
    let twins = twins();
    for command in [
        "actions add action mirred egress redirect dev d1 index 4",
        "actions add action mirred egress redirect dev d1 index 4",
        "actions replace action mirred egress mirror dev d1 continue index 4",
        "actions change action mirred ingress mirror dev lo index 6 action drop index 2 cookie ab",
        "actions get action mirred index 4",
        "-j actions get action mirred index 4",
        "actions add action pass index 8 add action pipe index 9",
        "actions add action drop index 10 hw_stats immediate",
        "actions del action gact index 10",
        "actions del action gact index 8 action gact index 9",
        "actions delete action mirred index 4",
        "actions get action mirred index 44",
        "actions delete action mirred index 44",
        "actions flush action gact",
        "actions flush action mirred",
        "actions flush action mirred",
        "actions list action nosuch",
        "actions",
    ] {
        let changes = !command.contains("get ") && !command.contains("show ");
        if run(&twins, command) == 0 && changes {
            show(&twins, ACTIONS, command);
        }
    }
}

/// Commands of one kind of action. tc 6.1 prints no valid JSON of some.
fn compare_action(twins: &Twins, kind: &str, json: bool, commands: &[&str]) {
    let list = format!("actions list action {kind}");
    let (numeric, of_json) = (format!("-s -N {list}"), format!("-s -j {list}"));
    let shows = [&*list, &numeric, &of_json];
    let shows = if json { &shows[..] } else { &shows[..2] };
    for words in commands {
        let command = format!("actions {}", words.replace("KIND", &format!("action {kind}")));
        if run(twins, &command) == 0 {
            show(twins, shows, &command);
        }
    }
    run(twins, &format!("actions flush action {kind}"));
}

#[test]
fn actions_on_fields_and_packets_do_the_same() {
    need!(
        "all-words-in-tc",
        "act_skbedit",
        "act_csum",
        "act_vlan",
        "act_connmark",
        "act_nat",
        "act_ctinfo",
        "act_simple",
        "act_skbmod",
        "act_sample",
        "act_mpls"
    );
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    let twins = Twins::new(|_| {});
    for (kind, json, commands) in [
        (
            "skbedit",
            true,
            &[
                "add KIND queue_mapping 3 priority 1:10 mark 0x11/0xff ptype host inheritdsfield index 1",
                "change KIND mark 7 drop index 1",
                "add KIND priority 5 ptype multicast continue index 2 cookie 0aff no_percpu",
                "get KIND index 2",
                "replace KIND index 2",
                "add KIND ptype x",
                "add KIND mark 1/x",
                "add KIND queue_mapping 65536",
                "add KIND drop",
                "add KIND help",
                "add KIND",
                "add KIND mark 1 goto 5",
                "del KIND index 1",
            ][..],
        ),
        (
            "csum",
            true,
            &[
                "add KIND iph and tcp index 1",
                "add KIND icmp igmp udp udplite sctp drop index 2",
                "change KIND udp pipe index 1",
                "add KIND drop",
                "add KIND tcp index x",
                "add KIND help",
                "add KIND tcp help",
            ],
        ),
        (
            "vlan",
            true,
            &[
                "add KIND push id 5 protocol 802.1ad priority 3 index 1",
                "add KIND push id 6 index 2",
                "add KIND modify id 9 drop index 3",
                "add KIND pop index 4",
                "add KIND pop_eth index 5",
                "add KIND push_eth dst_mac 02:00:00:00:00:01 src_mac 02:00:00:00:00:02 index 6",
                "change KIND pop index 1",
                "replace KIND index 2",
                "add KIND push id 4096",
                "add KIND push id 65536",
                "add KIND push",
                "add KIND push pop",
                "add KIND pop id 5",
                "add KIND push id 5 protocol ip",
                "add KIND push id 5 priority 8",
                "add KIND push_eth dst_mac 02:00:00:00:00:01",
                "add KIND help",
                "add KIND index 77",
            ],
        ),
        (
            "connmark",
            true,
            &[
                "add KIND zone 5 index 1",
                "add KIND drop index 2",
                "change KIND zone 7 continue index 1",
                "add KIND zone x",
                "add KIND bogus",
                "add KIND help",
            ],
        ),
        (
            "nat",
            true,
            &[
                "add KIND ingress 10.0.0.1 1.2.3.4 index 1",
                "add KIND egress 192.168.1.1/32 10.1 pipe index 2",
                "change KIND egress 10.0.0.1 1.2.3.5 drop index 1",
                "add KIND ingress 10.0.0.1/33 1.2.3.4",
                "add KIND sideways 10.0.0.1 1.2.3.4",
                "add KIND ingress 10.0.0.1",
                "add KIND help",
            ],
        ),
        (
            "ctinfo",
            true,
            &[
                "add KIND dscp 0xfc000000 0x01000000 cpmark 0xff zone 3 index 1",
                "add KIND cpmark index 2",
                "add KIND dscp 0x3f index 3",
                "change KIND zone 4 drop index 1",
                "add KIND dscp 0x7f",
                "add KIND dscp 0x3f 1",
                "add KIND dscp x",
                "add KIND help",
            ],
        ),
        (
            "simple",
            false,
            &[
                "add KIND sdata hello index 1",
                "change KIND sdata world drop index 1",
                "replace KIND index 1",
                "add KIND sdata 12345678901234567890123456789012",
                "add KIND drop",
                "add KIND index x",
                "add KIND help",
                "add KIND index 77",
            ],
        ),
        (
            "skbmod",
            false,
            &[
                "add KIND swap mac index 1",
                "add KIND ecn drop index 0x2",
                "change KIND ecn continue index 1",
                "add KIND set dmac x",
                "add KIND set smac x",
                "add KIND set",
                "add KIND set pipe",
                "add KIND help",
            ],
        ),
        (
            "sample",
            true,
            &[
                "add KIND rate 10 group 4 trunc 64 index 1",
                "add KIND rate 7 group 1 continue index 2",
                "change KIND rate 8 group 2 index 1",
                "add KIND rate 10",
                "add KIND rate x group 4",
                "add KIND group 4",
                "add KIND",
                "add KIND help",
                "add KIND index 77",
            ],
        ),
        (
            "mpls",
            true,
            &[
                "add KIND push protocol mpls_uc label 123 tc 3 ttl 64 bos 1 index 1",
                "add KIND push label 7 index 2",
                "add KIND pop protocol ip index 3",
                "add KIND dec_ttl drop index 4",
                "add KIND mac_push label 4 index 5",
                "add KIND modify ttl 9 tc 1 pass index 6",
                "change KIND dec_ttl index 1",
                "add KIND push",
                "add KIND pop",
                "add KIND push pop",
                "add KIND push label 0x100000",
                "add KIND pop label 1",
                "add KIND push label 1 protocol ip",
                "add KIND help",
                "add KIND",
            ],
        ),
    ] {
        compare_action(&twins, kind, json, commands);
    }
}

#[test]
fn actions_on_headers_do_the_same() {
    need!("all-words-in-tc", "act_pedit", "act_tunnel_key", "act_ct", "act_gate", "act_ife", "act_bpf");
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    let twins = Twins::new(|_| {});
    for (kind, json, commands) in [
        (
            "pedit",
            true,
            &[
                "add KIND munge ip tos set 0x10 munge offset 22 u16 at 0 0f 2 set 5 retain 0xff index 1",
                "add KIND munge ip src set 10.1 munge ip dst clear munge ip df set 0xff munge ip precedence invert",
                "add KIND munge offset -14 u16 set 0 munge offset 3 u8 preserve munge offset 4 u32 invert retain 0xf",
                "add KIND munge ip dport set 80 munge ip sport set 81 munge ip icmp_type set 8 continue",
                "add KIND ex munge ip ttl decrement munge eth src set 02:00:00:00:00:01 munge eth type set 0x800",
                "add KIND ex munge eth dst add 02:00:00:00:00:01 munge tcp flags clear munge udp dport add 1 jump 2",
                "add KIND ex munge ip6 src set fe80::1 munge ip6 hoplimit decrement munge ip6 traffic_class set 0x40",
                "add KIND ex munge ip6 nexthdr set 6 munge ip6 payload_len add 3 munge ip6 dst clear index 9",
                "add KIND ex munge offset 15 u8 add 40 retain 0xf0 munge tcp sport set 1 drop",
                "change KIND munge ip ttl set 7 pipe index 1",
                "change KIND ex munge ip ttl set 7 pipe index 1",
                "replace KIND index 1",
                "add KIND",
                "add KIND ex",
                "add KIND munge",
                "add KIND munge ip",
                "add KIND munge ip src",
                "add KIND munge ip src set",
                "add KIND munge ip src set x",
                "add KIND munge ip ttl set 300",
                "add KIND munge ip ttl add 1",
                "add KIND ex munge ip tos decrement",
                "add KIND ex munge eth type set 0xabcdef",
                "add KIND ex munge eth src set %e:11:m2:33:x4:-5",
                "add KIND ex munge ip6 dst set fe80::1 retain 0xff",
                "add KIND ex munge ip dport set 80",
                "add KIND munge tcp dport set 80",
                "add KIND munge what ever",
                "add KIND munge offset 2 u32 set 1",
                "add KIND munge offset 15 u16 set 1",
                "add KIND munge offset x u32 set 1",
                "add KIND munge offset 0 u9 set 1",
                "add KIND munge offset 0 u8",
                "add KIND munge ip ttl set 1 index x",
                "add KIND munge ip ttl set 1 pedit ex",
                "add KIND help",
            ][..],
        ),
        (
            "tunnel_key",
            true,
            &[
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 id 7 dst_port 4789 tos 0x10 ttl 64 nocsum index 1",
                "add KIND set src_ip fe80::1 dst_ip fe80::2 tos 1f id 4294967295 drop",
                "add KIND set src_ip 10.1 dst_ip 10.0.0.2 vxlan_opts 0xffffffff",
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 geneve_opts 0102:80:00800022,fa:1:00800022deadbeef",
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 erspan_opts 1:9:1:5 tos 0 ttl 0 dst_port 0 id 0",
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 erspan_opts 2:9:1:5 csum",
                "add KIND unset continue index 9",
                "change KIND unset drop index 1",
                "replace KIND index 9",
                "add KIND index 77",
                "add KIND set src_ip 10.0.0.1 dst_ip fe80::2",
                "add KIND set src_ip 10.0.0.1",
                "add KIND set src_ip x dst_ip 10.0.0.2",
                "add KIND set id x",
                "add KIND set dst_port 65536",
                "add KIND set tos 256",
                "add KIND set ttl 0x",
                "add KIND set vxlan_opts x",
                "add KIND set erspan_opts x",
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 erspan_opts 1",
                "add KIND set geneve_opts 0102:80:00800022:5",
                "add KIND set geneve_opts 0102:80:0080002x",
                "add KIND set src_ip 10.0.0.1 dst_ip 10.0.0.2 geneve_opts 0102:80:0080",
                "add KIND set unset",
                "add KIND unset index x",
                "add KIND",
                "add KIND help",
            ],
        ),
        (
            "ct",
            true,
            &[
                "add KIND index 1",
                "add KIND commit force mark 0x5/0xff zone 7 label 0102/ff nat src addr 10.0.0.1-10.0.0.5 port 100-200 drop",
                "add KIND commit nat dst addr fe80::1 port 80 index 3 pass",
                "add KIND commit nat src addr 10.1 index 4",
                "add KIND commit mark 9/0 label 00112233445566778899aabbccddeeff",
                "add KIND nat zone 3 continue",
                "add KIND clear zone 4 index 9",
                "change KIND clear index 1",
                "replace KIND zone 0x5 index 9",
                "add KIND zone 65536",
                "add KIND zone",
                "add KIND mark 1/x",
                "add KIND label 0x",
                "add KIND label 00112233445566778899aabbccddeeff00",
                "add KIND clear commit",
                "add KIND commit nat index 5",
                "add KIND nat src addr 10.0.0.1 pipe",
                "add KIND commit nat src addr x",
                "add KIND commit nat src addr ::1-10.0.0.1",
                "add KIND commit nat src addr ::1 port x",
                "add KIND commit nat src port 5",
                "add KIND index x",
                "add KIND help",
            ],
        ),
        (
            "gate",
            true,
            &[
                "add KIND clockid CLOCK_TAI sched-entry open 200us -1 -1 index 1",
                "add KIND base-time 1000000000 cycle-time 600us cycle-time-ext 100 priority 3 clockid CLOCK_TAI \
                 sched-entry open 200us -1 8000000b sched-entry close 100us 5 6 sched-entry OPEN 300us 4 -1 drop",
                "add KIND sched-entry close 5000 sched-entry open 0x100 3 index 7 pass",
                "add KIND sched-entry open 200us 2 9kb continue cookie ab",
                "change KIND sched-entry open 500us -1 -1 priority 4 index 1",
                "replace KIND sched-entry open 1s clockid REALTIME index 7",
                "replace KIND index 7",
                "add KIND index 77",
                "add KIND sched-entry open 0",
                "add KIND priority 5",
                "add KIND priority x",
                "add KIND base-time x",
                "add KIND clockid x",
                "add KIND flags x",
                "add KIND sched-entry",
                "add KIND sched-entry ajar 1",
                "add KIND sched-entry open",
                "add KIND sched-entry open x",
                "add KIND sched-entry open 5s",
                "add KIND sched-entry open 1 1 3gb",
                "add KIND index x",
                "add KIND",
                "add KIND help",
            ],
        ),
        (
            "ife",
            true,
            &[
                "add KIND encode allow mark use prio 5 use tcindex 7 type 0xdead dst 02:00:00:00:00:01 index 1",
                "add KIND encode src 02:00:00:00:00:02 dst 00:00:00:00:00:00 use mark 0x12 drop index 0x2",
                "add KIND encode allow tcindex allow prio type 0 continue",
                "add KIND decode pass index 5",
                "add KIND encode index 6",
                "change KIND encode use prio 6 index 1",
                "replace KIND decode index 2",
                "add KIND index 77",
                "add KIND allow mark",
                "add KIND encode allow x",
                "add KIND encode use x",
                "add KIND encode use prio x",
                "add KIND encode use tcindex 65536",
                "add KIND encode type x",
                "add KIND encode dst 2:0",
                "add KIND encode index x",
                "add KIND",
                "add KIND help",
            ],
        ),
        (
            "bpf",
            false,
            &[
                "add KIND bytecode '1,6 0 0 4294967295' index 1",
                "add KIND run bc '4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0' drop cookie 0aff",
                "change KIND bytecode '1,6 0 0 5' continue index 1",
                "replace KIND index 1",
                "add KIND index 77",
                "add KIND bytecode '1,31 0 1 2048'",
                "add KIND bytecode '1,6 0 0 1,6 0 0 1'",
                "add KIND bytecode '2,6 0 0 1'",
                "add KIND bytecode '1,6 0 0'",
                "add KIND bytecode",
                "add KIND bytecode-file /nix",
                "add KIND pipe",
                "add KIND run",
                "add KIND bytecode '1,6 0 0 1' index x",
                "add KIND",
                "add KIND help",
            ],
        ),
    ] {
        compare_action(&twins, kind, json, commands);
    }
}

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
fn a_nat_prefix_keeps_its_mask() {
    need!("act_nat");
    let twins = Twins::new(|_| {});
    let ours = |words: &str| twins.run(words)[1].stdout.clone();
    for (old, shown) in [("192.168.1.0/24", "192.168.1.0/24"), ("10/9", "10.0.0.0/9"), ("any", "0.0.0.0/0")] {
        ours(&format!("actions replace action nat egress {old} 1.2.3.4 index 5"));
        let list = ours("actions list action nat");
        assert!(list.contains(&format!(" nat egress {shown} 1.2.3.4 pass\n")), "{list}");
    }
}

#[test]
fn an_index_alone_names_csum_nat_and_mpls() {
    need!("act_csum", "act_nat", "act_mpls", "sch_clsact", "cls_matchall", "veth");
    let twins = twins();
    let ours = |words: &str| {
        let [_, ours] = twins.run(words);
        assert_eq!(ours.code, 0, "{words}: {}", ours.stderr);
        ours.stdout.clone()
    };
    ours("qdisc add dev d0 clsact");
    for (pref, kind, words, shown) in [
        (1, "csum", "tcp", "csum (tcp)"),
        (2, "nat", "egress 10.0.0.1 1.2.3.4", "nat egress 10.0.0.1/32 1.2.3.4"),
        (3, "mpls", "dec_ttl", "mpls  dec_ttl"),
    ] {
        ours(&format!("actions add action {kind} {words} index 5"));
        ours(&format!("filter add dev d0 ingress pref {pref} matchall action {kind} index 5"));
        let list = ours(&format!("filter show dev d0 ingress pref {pref}"));
        assert!(list.contains(shown) && list.contains("index 5 ref 2 bind 1"), "{list}");
    }
}

#[test]
fn a_translation_can_end_the_line() {
    need!("act_ct");
    let twins = Twins::new(|_| {});
    for (words, shown) in [
        ("nat", " ct zone 0 nat pipe\n"),
        ("commit nat src addr 10.0.0.1", " ct commit zone 0 nat src addr 10.0.0.1 pipe\n"),
    ] {
        let [_, ours] = twins.run(&format!("actions add action ct {words}"));
        assert_eq!(ours.code, 0, "{words}: {}", ours.stderr);
        let [_, list] = twins.run("actions list action ct");
        assert!(list.stdout.contains(shown), "{}", list.stdout);
    }
}

#[test]
fn words_are_refused_alike() {
    need!("sch_clsact", "cls_matchall", "act_mirred", "act_gact", "veth");
    let twins = twins();
    for words in [
        "filter bogus",
        "filter help",
        "filter add help",
        "filter add dev",
        "filter add dev d0 dev d1",
        "filter add dev d0 block 3",
        "filter add block 3 dev d0",
        "filter add block 0",
        "filter add block 3 block 4",
        "filter add dev d0 root ingress",
        "filter add dev d0 parent 1: parent 2:",
        "filter add dev d0 parent x",
        "filter add dev d0 handle 1",
        "filter add dev d0 handle 1 handle 2",
        "filter add dev d0 pref 65536",
        "filter add dev d0 pref 1 prio 2",
        "filter add dev d0 protocol nope",
        "filter add dev d0 protocol ip protocol arp",
        "filter add dev d0 chain x",
        "filter add dev d0 chain 1 chain 2",
        "filter add dev d0 ingress estimator x",
        "filter add dev d0 ingress nosuch opt",
        "filter add dev d0 ingress matchall help",
        "filter add dev d0 ingress matchall bogus",
        "filter add dev d0 ingress matchall action",
        "filter add dev d0 ingress matchall action bogus",
        "filter add dev d0 ingress matchall action mirred",
        "filter add dev d0 ingress matchall action mirred help",
        "filter add dev d0 ingress matchall action mirred bogus",
        "filter add dev d0 ingress matchall action mirred egress redirect dev nope",
        "filter add dev d0 ingress matchall action drop cookie abc",
        "filter add dev d0 ingress matchall action drop hw_stats bogus",
        "filter add dev d0 ingress matchall action drop action",
        "filter add dev d0 ingress matchall skip_hw skip_sw classid 1:1",
        "filter show bogus",
        "filter show dev d0 block 3",
        "filter show dev nope",
        "filter show block 77",
        "filter get dev d0 ingress",
        "filter get dev d0 ingress protocol all",
        "filter get dev d0 protocol all pref 1",
        "filter get dev d0 ingress protocol all pref 1",
        "filter get dev d0 ingress protocol all pref 1 matchall",
        "actions bogus",
        "actions help",
        "actions add",
        "actions add action",
        "actions add action mirred egress redirect dev nope",
        "actions add action gact bogus",
        "actions del action mirred",
        "actions del action mirred index x",
        "actions list",
        "actions list action",
        "actions flush",
        "actions list action mirred since x",
    ] {
        let code = run(&twins, words);
        assert!(code != 0 || words.contains("help"), "{words}");
    }
}

/// All lines are tc's: advice would be false here.
#[test]
fn actions_when_refused_then_end_with_tcs_lines() {
    need!("sch_clsact", "cls_matchall", "act_gact", "veth");
    if newer_tc::is_later() {
        // Later versions of tc print other texts here: compared with tc 6.1 alone.
        return;
    }
    let twins = twins();
    for command in [
        "qdisc add dev d0 clsact",
        "filter add dev d0 ingress matchall action drop index 7",
        "actions add action pass index 8",
        "actions flush action gact",
        "actions del action gact index 7",
        "actions del action gact index 99",
        "actions get action gact index 99",
        "actions del action gact index 7 action gact index 99",
        "actions add action pass index 8",
        "actions flush action nosuch",
        "actions flush action mirred",
        "-force actions flush action gact",
    ] {
        let [theirs, ours] = twins.run(command);
        assert_eq!((ours.code, ours.stderr), (theirs.code, theirs.stderr), "{command}");
        assert_eq!(ours.stdout, theirs.stdout, "{command}");
    }
}

#[test]
fn devices_when_empty_then_as_none() {
    need!("sch_clsact", "cls_matchall", "veth");
    let twins = twins();
    let run = |net: &Net, program: &std::ffi::OsStr, words: &str| {
        let words: Vec<_> = words.split(' ').map(|word| if word == "''" { "" } else { word }).collect();
        net.run(program, &words)
    };
    for words in [
        "qdisc show dev ''",
        "qdisc show dev '' dev d0",
        "class show dev ''",
        "filter show dev ''",
        "filter show dev '' block 3",
        "qdisc add dev '' root pfifo",
        "qdisc add dev '' dev d0 root handle 1: pfifo",
        "qdisc del dev '' root",
        "class add dev '' parent 1: classid 1:1 htb rate 1mbit",
        "class del dev '' classid 1:1",
        "filter add dev '' ingress matchall",
        "filter del dev ''",
        "filter get dev '' parent 1: protocol ip pref 1 handle 1 matchall",
    ] {
        let theirs = run(&twins.theirs, "tc".as_ref(), words);
        let ours = run(&twins.ours, tests::lab::tc_cli().as_os_str(), words);
        assert_eq!(
            (ours.code, &ours.stdout, &ours.stderr),
            (theirs.code, &theirs.stdout, &theirs.stderr),
            "{words}"
        );
    }
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

/// The filters of `fw`, `basic` and `flower` have handles in bases that tc-cli cannot know.
#[test]
fn filters_of_unknown_kinds_when_named_by_handle_stay() {
    need!("sch_htb", "cls_fw", "cls_basic", "cls_flower", "veth");
    let net = Net::aside();
    net.veth("d0", "d1");
    net.tc("qdisc add dev d0 root handle 1: htb").ok();
    let registry = Registry::of_program().unwrap_or_default();
    let mut tried = 0;
    // Two filters of flower have different keys.
    for (kind, key) in [("fw", ""), ("basic", ""), ("flower", "src_ip 10.0.0.")] {
        if registry.get(TcType::Filter, kind).is_some() {
            continue;
        }
        for handle in [10, 16] {
            let place = "dev d0 parent 1: protocol ip prio 1";
            let key = if key.is_empty() { String::new() } else { format!("{key}{handle}") };
            net.tc(&format!("filter add {place} handle {handle} {kind} {key} classid 1:1")).ok();
        }
        let before = net.tc("filter show dev d0").ok();
        for verb in ["del", "change", "replace", "add", "get"] {
            let words = format!("filter {verb} dev d0 parent 1: protocol ip prio 1 handle 10 {kind}");
            let ended = net.tc_cli(&words);
            assert_eq!(ended.code, 1, "{words}: {}", ended.stderr);
            assert!(ended.stderr.starts_with(&format!("Unknown filter \"{kind}\"")), "{}", ended.stderr);
            assert_eq!(net.tc("filter show dev d0").stdout, before, "{words}");
        }
        let _all = net.tc("filter del dev d0").ok();
        tried += 1;
    }
    assert!(tried > 0 || registry.get(TcType::Filter, "fw").is_some(), "all three kinds are known");
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
