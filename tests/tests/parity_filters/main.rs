//! tc and tc-cli agree on filters and actions: they end alike, leave equal states, and print them
//! identically.

mod actions;
mod filters;
mod headers;
mod refusals;

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
        // Kernel: actions of a deleted or changed filter go a little later, and packets of the link's own that
        // are counted come when they come.
        let since = Instant::now();
        while (looked[0] != looked[1] || looked[1] != looked[2]) && since.elapsed() < PATIENCE {
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
