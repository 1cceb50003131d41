//! tc and tc-cli agree on chains of filters, and on notices of chains and actions.

use tc_qdiscs as _;
use tests::lab::{Net, Output};
use tests::paired_hosts::Twins;
use tests::{need, newer_tc};

fn twins() -> Twins {
    Twins::new(|net| net.veth("d0", "d1"))
}

/// Exit code, and the first line of standard error.
fn outcome(said: &Output) -> (i32, String) {
    (said.code, said.stderr.lines().next().unwrap_or_default().to_owned())
}

#[track_caller]
fn run(twins: &Twins, words: &str) -> i32 {
    let [theirs, ours] = twins.run(words);
    assert_eq!(outcome(&ours), outcome(&theirs), "{words}");
    assert_eq!(ours.stdout, theirs.stdout, "{words}");
    ours.code
}

const SHOWS: &[&str] = &[
    "chain show dev d0 ingress",
    "-j chain show dev d0 ingress",
    "chain",
    "-j chain show",
    "chain show dev d0 egress",
    "chain show dev d0 ingress chain 5",
    "chain show block 9",
    "-j chain show block 9",
];

#[test]
fn chains_are_made_shown_and_deleted_alike() {
    need!("sch_clsact", "veth");
    let twins = twins();
    for (words, code) in [
        ("qdisc add dev d0 clsact", 0),
        ("chain add dev d0 ingress chain 5", 0),
        ("chain add dev d0 ingress chain 5", 2),
        ("chain add dev d0 ingress", 0),
        ("chain add dev d0 parent ffff:fff3 chain 0x10", 0),
        ("chain get dev d0 ingress chain 5", 0),
        ("-j chain get dev d0 ingress chain 5", 0),
        ("chain get dev d0 ingress chain 99", 2),
        ("chain del dev d0 ingress chain 99", 2),
        ("chain del dev d0 ingress chain 5", 0),
        ("chain add dev d0 ingress chain 5", 0),
        ("qdisc add dev d1 ingress_block 9 clsact", 0),
        ("chain add block 9 chain 3", 0),
        ("chain add block 77 chain 3", 2),
        ("chain del block 9 chain 3", 0),
        ("chain add block 9 chain 4", 0),
    ] {
        let [theirs, ours] = twins.run(words);
        assert_eq!((outcome(&ours), &ours.stdout), (outcome(&theirs), &theirs.stdout), "{words}");
        if code == 0 || ours.code != 0 {
            assert_eq!(ours.code, code, "{words}: {}", ours.stderr);
        }
        for show in SHOWS {
            let shown = twins.look_started(show);
            // tc-cli's errors are objects in JSON.
            let [theirs, ours_by_tc, ours] =
                [shown.theirs, shown.ours_by_tc, shown.ours].map(|said| (said.stdout, said.ended));
            assert_eq!(ours_by_tc, theirs, "tc {show}: the hosts differ after {words}");
            assert_eq!(ours, ours_by_tc, "tc-cli {show} after {words}");
        }
    }
}

/// A template has the keys and masks that the filters of its chain must have, and no handle.
#[test]
fn templates_of_chains_are_those_of_tc() {
    need!("sch_clsact", "cls_flower", "veth");
    let twins = twins();
    for (words, code) in [
        ("qdisc add dev d0 clsact", 0),
        ("chain add dev d0 ingress chain 1 protocol ip flower", 0),
        (
            "chain add dev d0 ingress chain 2 protocol ip flower dst_mac 00:00:00:00:00:00/FF:00:FF:00:FF:00 \
             ip_proto tcp dst_ip 0.0.0.0/16 dst_port 80",
            0,
        ),
        ("chain add dev d0 ingress chain 3 protocol 802.1Q flower vlan_id 0 vlan_ethtype ipv6", 0),
        ("chain get dev d0 ingress chain 2", 0),
        ("-j chain get dev d0 ingress chain 2", 0),
        ("chain add dev d0 ingress chain 4 protocol ip flower nonsense", 1),
        ("filter add dev d0 ingress chain 2 pref 7 protocol ip flower src_ip 10.0.0.1", 2),
        ("chain del dev d0 ingress chain 1", 0),
    ] {
        let [theirs, ours] = twins.run(words);
        assert_eq!((outcome(&ours), &ours.stdout), (outcome(&theirs), &theirs.stdout), "{words}");
        assert_eq!(ours.code, code, "{words}: {}", ours.stderr);
        for show in SHOWS {
            let shown = twins.look_started(show);
            let [theirs, ours_by_tc, ours] =
                [shown.theirs, shown.ours_by_tc, shown.ours].map(|said| (said.stdout, said.ended));
            assert_eq!(ours_by_tc, theirs, "tc {show}: the hosts differ after {words}");
            assert_eq!(ours, ours_by_tc, "tc-cli {show} after {words}");
        }
    }
}

/// tc asks for a parent, which a block has not.
#[test]
fn chains_of_a_block_are_got() {
    need!("sch_clsact", "veth");
    let net = Net::new();
    net.veth("d0", "d1");
    net.tc_cli("qdisc add dev d1 ingress_block 9 clsact").ok();
    net.tc_cli("chain add block 9 chain 3").ok();
    assert_eq!(
        net.tc_cli("chain get block 9 chain 3").ok(),
        "chain chain 3 \n",
        "without what was asked for"
    );
}

/// tc ends with "Buffer too small for object." after the first kind without a terse dump.
#[test]
fn brief_list_of_kinds_without_a_terse_dump_is_whole() {
    need!("sch_clsact", "cls_u32", "cls_matchall", "veth");
    let net = Net::new();
    net.veth("d0", "d1");
    net.tc_cli("qdisc add dev d0 clsact").ok();
    net.tc_cli("filter add dev d0 ingress pref 5 protocol ip u32 match u32 0 0 flowid 1:1").ok();
    net.tc_cli("filter add dev d0 ingress pref 6 protocol ip matchall classid 1:2").ok();
    assert!(net.tc("-br filter show dev d0 ingress").fails().contains("Buffer too small"));
    let brief = net.tc_cli("-br filter show dev d0 ingress").ok();
    assert!(brief.contains("pref 5 u32") && brief.contains("pref 6 matchall"), "{brief}");
}

#[test]
fn words_of_chains_are_refused_alike() {
    need!("sch_clsact", "veth");
    let twins = twins();
    for words in [
        "chain bogus",
        "chain help",
        "chain change dev d0 ingress chain 1",
        "chain add dev",
        "chain add dev d0 block 3",
        "chain add dev nope ingress chain 1",
        "chain add dev d0 ingress chain x",
        "chain add dev d0 ingress chain 1 chain 2",
        "chain add dev d0 ingress handle 1",
        "chain add dev d0 ingress help",
        "chain get dev d0 chain 1",
        "chain get ingress chain 1",
        "chain get dev d0 ingress chain 1 pref x",
        "chain show bogus",
        "chain show block 77",
    ] {
        assert!(run(&twins, words) != 0 || words.contains("help"), "{words}");
    }
}

#[test]
fn notices_of_chains_and_actions_are_those_of_tc() {
    need!("sch_clsact", "act_gact", "veth");
    if newer_tc::is_later() {
        // Later versions print the events of actions in JSON too: compared with tc 6.1 alone.
        return;
    }
    let net = Net::new();
    net.veth("d0", "d1");
    // Both see the same changes; the first one that both print ends the wait.
    let script = "tc monitor >$D/theirs & a=$!; $T monitor >$D/ours & b=$!
        for i in $(seq 100); do
            tc qdisc replace dev d1 root handle 9: pfifo
            [ -s $D/theirs ] && [ -s $D/ours ] && break
            sleep 0.1
        done
        tc qdisc add dev d0 clsact
        tc chain add dev d0 ingress chain 5
        tc chain del dev d0 ingress chain 5
        tc actions add action gact drop index 3
        tc actions replace action gact pass index 3
        tc actions add action gact drop index 4
        tc actions del action gact index 3
        tc actions flush action gact
        tc qdisc add dev d0 root handle 77: pfifo
        for i in $(seq 100); do
            grep -q 77: $D/theirs && grep -q 77: $D/ours && break
            sleep 0.1
        done
        kill $a $b; cat $D/theirs; echo ---; cat $D/ours";
    let folder = std::env::temp_dir().join(format!("parity-chains-{}", std::process::id()));
    let (d, t) = (folder.display(), tests::lab::tc_cli().display());
    let shown =
        net.run("bash", &["-c", &format!("export D={d} T={t}; mkdir -p $D; {script}; rm -r $D")]).ok();
    let (theirs, ours) = shown.split_once("---\n").unwrap_or_default();
    let changes = |text: &str| text.split_once("qdisc clsact").map(|(_, rest)| rest.to_owned());
    assert_eq!(changes(ours), changes(theirs));
    let events = [
        "added chain",
        "deleted chain",
        "Added action",
        "Replaced action",
        "Deleted action",
        "Flushed table",
    ];
    for event in events {
        assert!(ours.contains(event), "{event}: {ours}");
    }
}
