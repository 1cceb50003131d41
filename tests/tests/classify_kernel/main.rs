//! The classifier is the kernel: random trees of filters and actions get random packets, which a
//! packet socket sends through the egress and the qdiscs of one device and the ingress of another.
//! The counters of all filters, actions and classes must be those that the classifier predicts.
//!
//! A pair is a tree and a packet. `TC_SEED=N` repeats one tree, `TREES_CLASSIFY=N` sets their number,
//! `TREES_SEED=N` the first seed (1).
#![expect(clippy::expect_used, reason = "a test stops at an unexpected error")]

mod embedded;
mod packets;
mod sides;
mod trees;

use std::fmt::Write;
use std::time::Instant;

use tests::lab::{number, tries};
use tests::need;
use tests::random::Chance;

use packets::{Sent, packet};
use sides::{Counters, Lab};
use trees::tree;

const TREES: usize = 60;
/// For each tree.
const PACKETS: usize = 44;
/// Differences that are reported before the test ends.
const MOST_REPORTS: usize = 4;

#[test]
fn counters_are_those_of_the_kernel() {
    need!(
        "sch_htb",
        "sch_prio",
        "sch_hfsc",
        "sch_drr",
        "sch_ets",
        "sch_clsact",
        "cls_u32",
        "cls_fw",
        "cls_flower",
        "cls_basic",
        "cls_matchall",
        "act_gact",
        "act_skbedit",
        "act_vlan",
        "act_pedit",
        "act_police",
        "act_nat",
        "act_mirred",
        "veth",
        "dummy",
    );
    let (first, count) = match number("TC_SEED") {
        Some(seed) => (seed, 1),
        None => (number("TREES_SEED").unwrap_or(1), tries("TREES_CLASSIFY", TREES) as u64),
    };
    let (mut lab, start) = (Lab::new(), Instant::now());
    let (mut pairs, mut unknown, mut filters, mut refused, mut commands) = (0, 0, 0, 0, 0);
    let (mut reports, mut embedded) = (Vec::new(), 0);
    for seed in first..first + count {
        let mut chance = Chance(seed);
        let all: Vec<Sent> = (0..PACKETS).map(|_| packet(&mut chance)).collect();
        let words = tree(&mut chance, &all);
        let not_taken = lab.build(&words);
        if number("TC_SEED").is_some() {
            println!("{}\nrefused:\n{}", words.join("\n"), not_taken.join("\n"));
        }
        (refused, commands) = (refused + not_taken.len(), commands + words.len());
        let fresh = lab.trees();
        let mut trees = fresh.clone();
        filters += trees.filters();
        let mut known = Vec::new();
        for sent in &all {
            let mut tried = trees.clone();
            match lab.predict(&mut tried, sent) {
                Ok(_) => {
                    trees = tried;
                    known.push(sent);
                }
                Err(_) => unknown += 1,
            }
        }
        pairs += known.len();
        for sent in &known {
            lab.send(sent);
        }
        let expected = trees.counters();
        let counters = lab.counters(&expected, &trees);
        if counters != expected {
            reports.push(report(&mut lab, seed, &words, &known, &difference(&counters, &expected)));
        }
        if let Some((ours, expected, count)) = embedded::compare(&mut lab, &fresh, &known) {
            assert_eq!(difference(&ours, &expected), "", "embedded, TC_SEED={seed}:\n{}", words.join("\n"));
            embedded += count;
        }
        if reports.len() >= MOST_REPORTS {
            break;
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
    assert!(unknown * 4 < pairs, "{unknown} of {pairs} packets depend on facts that are not known");
    assert!(refused * 4 < commands, "the kernel refused {refused} of {commands} commands");
    tests::lab::count(&format!(
        "classify: {pairs} pairs of a tree and a packet, {filters} filters in {count} trees, {embedded} pairs in \
         the embedded kernel, 0 differences ({:.0} s; seeds from {first}; {unknown} packets left out, {refused} of {commands} commands refused)",
        start.elapsed().as_secs_f64(),
    ));
}

fn difference(kernel: &Counters, model: &Counters) -> String {
    let mut text = String::new();
    for name in kernel.keys().chain(model.keys().filter(|name| !kernel.contains_key(*name))) {
        let (kernel, model) = (kernel.get(name), model.get(name));
        if kernel != model {
            let _ = writeln!(text, "    {name}: kernel {kernel:?}, classifier {model:?}");
        }
    }
    text
}

/// The first packet that alone makes a difference, with its steps.
fn report(lab: &mut Lab, seed: u64, words: &[String], sent: &[&Sent], all: &str) -> String {
    for sent in sent {
        lab.build(words);
        let mut trees = lab.trees();
        let Ok(way) = lab.predict(&mut trees, sent) else { continue };
        lab.send(sent);
        let expected = trees.counters();
        let counters = lab.counters(&expected, &trees);
        if counters != expected {
            let steps: String = way.walk.steps.iter().map(|step| format!("    {step:?}\n")).collect();
            return format!(
                "TC_SEED={seed}: kernel and classifier differ:\n{}\n{sent:x?}\n{steps}    {:?}\n{}",
                words.join("\n"),
                way.end,
                difference(&counters, &expected)
            );
        }
    }
    format!("TC_SEED={seed}: kernel and classifier differ, no packet alone:\n{}\n{all}", words.join("\n"))
}
