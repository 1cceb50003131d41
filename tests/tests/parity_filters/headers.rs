//! Actions that change headers, tunnels and connections.

use super::actions::compare_action;
use super::*;

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
