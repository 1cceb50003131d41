//! Random commands: tc and tc-cli end alike, leave equal states, and print them identically.
//!
//! `PARITY_COMMANDS=N` sets their number (2000), `PARITY_SEED=N` the seed, `PARITY_KINDS=WORD` selects the
//! lines of the grammar that begin with this word or have it in second place; `tests::grammar` has the words of
//! each kind, `accepted` the intended differences. A difference is printed with the fewest words that still
//! show it.

mod round;
mod story;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tc_core::{Registry, TcType};
use tc_qdiscs as _;
use tests::grammar::Grammar;
use tests::lab::need::has;
use tests::lab::{Net, count, number, tries};
use tests::random::Chance;
use tests::{need, newer_tc};

use round::Round;
use story::Story;

const THREADS: usize = 2;

/// The number of stories in a round, each on its device.
const STORIES: usize = 40;

#[test]
fn generated_commands_do_the_same() {
    need!("all-words-in-tc", "ifb");
    let seed = number("PARITY_SEED").unwrap_or(1);
    let commands = tries("PARITY_COMMANDS", 2000);
    let grammar = Grammar::of_kinds();
    let kinds = known(&grammar);
    load_ife_metadata();
    let done = AtomicUsize::new(0);
    let found: Vec<(String, String, String)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (grammar, kinds, done) = (&grammar, &kinds, &done);
                scope.spawn(move || {
                    work(grammar, kinds, seed * 1000 + worker as u64, commands / THREADS, done)
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    count(&format!(
        "parity: {} generated commands of {} kinds by tc and tc-cli, seed {seed}",
        done.load(Ordering::Relaxed),
        kinds.len()
    ));
    // One for each set of options, the shortest.
    let mut shortest: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (sort, story, difference) in found {
        let entry = shortest.entry(sort).or_insert_with(|| (story.clone(), difference.clone()));
        if story.len() < entry.0.len() {
            *entry = (story, difference);
        }
    }
    for (story, difference) in shortest.values() {
        println!("{story}\n    {}\n", difference.replace('\n', "\n    "));
    }
    assert!(done.load(Ordering::Relaxed) >= commands / THREADS * THREADS, "a worker died");
    assert!(shortest.is_empty(), "{} differences, seed {seed}", shortest.len());
}

/// The kinds of the grammar that both tc-cli and the kernel have; those that the grammar lacks are reported.
fn known(grammar: &Grammar) -> Vec<String> {
    let registry = Registry::of_program().unwrap_or_default();
    let lines: BTreeSet<&String> = grammar.kinds().collect();
    for ops in registry.iter().filter(|ops| ops.ops().tc_type() == TcType::Qdisc) {
        if !lines.contains(&ops.ops().kind().to_owned()) {
            println!("no grammar: {}", ops.ops().kind());
        }
    }
    let is_known = |line: &&&String| match line.split_once(' ') {
        None => registry.get(TcType::Qdisc, line).is_some() && has_qdisc(line),
        Some(("class", kind)) => registry.get(TcType::Class, kind).is_some() && has_qdisc(kind),
        Some(("filter", kind)) => {
            let kind = kind.split(' ').next().unwrap_or_default();
            registry.get(TcType::Filter, kind).is_some() && has(&format!("cls_{kind}"))
        }
        Some(("action", kind)) => {
            registry.get(TcType::Action, kind).is_some() && has("cls_matchall") && has(&format!("act_{kind}"))
        }
        // The words before or after another line's.
        Some(_) => false,
    };
    let wanted = env::var("PARITY_KINDS").unwrap_or_default();
    let is_wanted = |line: &&&String| line.split(' ').take(2).any(|word| wanted.is_empty() || word == wanted);
    lines.iter().filter(is_known).filter(is_wanted).map(|line| (*line).clone()).collect()
}

/// Loads the modules of ife's metadata. Without `allow` or `use` ife takes those that are loaded and refuses
/// if there are none: the first of two equal commands would fail if a command between them loads one.
fn load_ife_metadata() {
    if has("act_ife") {
        let net = Net::aside();
        net.tc("actions add action ife encode allow mark allow prio allow tcindex").ok();
    }
}

fn has_qdisc(kind: &str) -> bool {
    kind == "noqueue" || has(&format!("sch_{kind}"))
}

fn work(
    grammar: &Grammar,
    kinds: &[String],
    seed: u64,
    commands: usize,
    done: &AtomicUsize,
) -> Vec<(String, String, String)> {
    let mut chance = Chance(seed);
    let mut found = Vec::new();
    let mut made = 0;
    while made < commands {
        let tell = |_| {
            let kind = chance.of(kinds).clone();
            let story = Story::tell(grammar, &kind, &mut chance);
            (kind, story)
        };
        let (tellers, stories): (Vec<_>, Vec<_>) = (0..STORIES).map(tell).unzip();
        let said: usize = stories.iter().map(Story::length).sum();
        made += said;
        let differences = Round::of(&stories).differences(&mut chance);
        done.fetch_add(said, Ordering::Relaxed);
        for ((kind, story), difference) in tellers.into_iter().zip(stories).zip(differences) {
            let Some(difference) = difference else { continue };
            let (story, difference) = shortest(story, difference, &mut chance);
            if !accepted(&format!("{}\n{difference}", story.text())) {
                found.push((format!("{kind} {}", story.options()), story.text(), difference));
            }
        }
    }
    found
}

/// With as few words as still show a difference.
fn shortest(mut story: Story, mut difference: String, chance: &mut Chance) -> (Story, String) {
    loop {
        let shorter = story.shorter();
        let differences = Round::of(&shorter).differences(chance);
        match shorter.into_iter().zip(differences).find_map(|(story, why)| Some((story, why?))) {
            Some(found) => (story, difference) = found,
            None => return (story, difference),
        }
    }
}

/// Whether a line of the list has only texts of this report.
fn accepted(report: &str) -> bool {
    let lines = include_str!("accepted").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(" -- "))
        .filter_map(|(texts, _)| match texts.strip_prefix("later tc: ") {
            Some(texts) => newer_tc::is_later().then_some(texts),
            None => Some(texts),
        })
        .any(|texts| texts.split(" & ").all(|text| report.contains(text)))
}
