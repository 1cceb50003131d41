//! Actions for themselves and in filters.

use super::*;

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
pub(super) fn compare_action(twins: &Twins, kind: &str, json: bool, commands: &[&str]) {
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
