//! Commands by chance: tc and tc-cli end alike, leave the same behind, and print it alike.
//!
//! `PARITY_COMMANDS=N` says how many (1000), `PARITY_SEED=N` from which seed; `grammar` has what is
//! said of each kind, `accepted` the differences that are meant. A difference is printed with the
//! fewest words that still show it.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use tc_core::{Registry, TcType};
use tc_qdiscs as _;
use tests::chance::Chance;
use tests::lab::need::has;
use tests::lab::{Net, Output};
use tests::need;
use words::Grammar;

const THREADS: usize = 2;

#[test]
fn generated_commands_do_the_same() {
    need!("ifb");
    let seed = number("PARITY_SEED", 1);
    let commands = number("PARITY_COMMANDS", 1000);
    let grammar = Grammar::of(include_str!("grammar"));
    let kinds = known(&grammar);
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
    println!("seed {seed}: {} commands of {} kinds", done.load(Ordering::Relaxed), kinds.len());
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

fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The kinds of the grammar that both tc-cli and the kernel have; those that the grammar lacks are said.
fn known(grammar: &Grammar) -> Vec<String> {
    let registry = Registry::of_program().unwrap_or_default();
    let lines: BTreeSet<&String> = grammar.kinds().collect();
    for ops in registry.iter().filter(|ops| ops.ops().tc_type() == TcType::Qdisc) {
        if !lines.contains(&ops.ops().kind().to_owned()) {
            println!("no grammar: {}", ops.ops().kind());
        }
    }
    let is_known = |line: &&&String| {
        let kind = line.trim_start_matches("class ");
        let tc_type = if kind.len() == line.len() { TcType::Qdisc } else { TcType::Class };
        registry.get(tc_type, kind).is_some() && (kind == "noqueue" || has(&format!("sch_{kind}")))
    };
    lines.iter().filter(is_known).map(|line| (*line).clone()).collect()
}

fn work(
    grammar: &Grammar,
    kinds: &[String],
    seed: u64,
    commands: usize,
    done: &AtomicUsize,
) -> Vec<(String, String, String)> {
    let mut chance = Chance(seed);
    let mut twins = Twins::new();
    let mut found = Vec::new();
    let mut made = 0;
    while made < commands {
        let kind = chance.of(kinds);
        let mut story = story(grammar, kind, &mut chance);
        made += story.0.len();
        done.fetch_add(story.0.len(), Ordering::Relaxed);
        let Some(mut difference) = story.difference(&twins) else {
            continue;
        };
        // A difference may have left the twins unlike each other.
        twins = Twins::new();
        while let Some((shorter, why)) = story.shorter().into_iter().find_map(|shorter| {
            let why = shorter.difference(&Twins::new())?;
            Some((shorter, why))
        }) {
            (story, difference) = (shorter, why);
        }
        if !accepted(&format!("{}\n{difference}", story.text())) {
            found.push((format!("{kind} {}", story.options()), story.text(), difference));
        }
    }
    found
}

/// Commands that build on each other: what comes before the words, and the words by option.
#[derive(Clone)]
struct Story(Vec<(String, Vec<String>)>);

fn story(grammar: &Grammar, kind: &str, chance: &mut Chance) -> Story {
    // A handle that was not there before: replace then makes a new qdisc.
    let handle = format!("{:x}:", 1 + chance.below(0x7fff));
    let mut commands = Vec::new();
    if let Some(kind) = kind.strip_prefix("class ") {
        let root = format!("qdisc replace dev d0 root handle {handle} {kind}");
        let class = |verb| format!("class {verb} dev d0 parent {handle} classid {handle}1 {kind}");
        commands.push((root, vec![]));
        commands.push((class("add"), grammar.say(&format!("class {kind}"), chance)));
        if chance.is(30) {
            commands.push((class("change"), grammar.say(&format!("class {kind}"), chance)));
        }
    } else if ["ingress", "clsact"].contains(&kind) {
        commands.push((format!("qdisc replace dev d0 {kind}"), grammar.say(kind, chance)));
    } else {
        let command = |verb| format!("qdisc {verb} dev d0 root handle {handle} {kind}");
        commands.push((command("replace"), grammar.say(kind, chance)));
        if chance.is(30) {
            commands.push((command("change"), grammar.say(kind, chance)));
        }
    }
    Story(commands)
}

impl Story {
    fn text(&self) -> String {
        let lines: Vec<String> =
            self.0.iter().map(|(head, parts)| format!("{head} {}", parts.join(" "))).collect();
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("; ")
    }

    /// The names of its options.
    fn options(&self) -> String {
        let parts = self.0.iter().flat_map(|(_, parts)| parts);
        parts.filter_map(|part| part.split(' ').next()).collect::<Vec<_>>().join(" ")
    }

    /// With one command or one option less.
    fn shorter(&self) -> Vec<Self> {
        let without_command = (0..self.0.len()).filter(|_| self.0.len() > 1).map(|at| {
            let mut less = self.clone();
            less.0.remove(at);
            less
        });
        let without_part = (0..self.0.len()).flat_map(move |at| {
            (0..self.0[at].1.len()).map(move |part| {
                let mut less = self.clone();
                less.0[at].1.remove(part);
                less
            })
        });
        without_command.chain(without_part).collect()
    }

    fn difference(&self, twins: &Twins) -> Option<String> {
        let mut class = false;
        for (head, parts) in &self.0 {
            class |= head.starts_with("class");
            if let Some(difference) = twins.difference(&format!("{head} {}", parts.join(" ")), class) {
                return Some(difference);
            }
        }
        None
    }
}

/// Two hosts, alike: tc works in one, tc-cli in the other.
struct Twins {
    theirs: Net,
    ours: Net,
}

impl Twins {
    fn new() -> Self {
        let net = || {
            let net = Net::aside();
            net.ip("link add d0 numtxqueues 4 numrxqueues 4 type ifb").ok();
            net
        };
        Self { theirs: net(), ours: net() }
    }

    fn difference(&self, words: &str, class: bool) -> Option<String> {
        let (theirs, ours) = (self.theirs.tc(words), self.ours.tc_cli(words));
        if outcome(&theirs) != outcome(&ours) {
            let [theirs, ours] = [&theirs, &ours].map(|output| {
                let (code, text) = outcome(output);
                format!("{code}, {text}")
            });
            return Some(format!("they end unlike\n tc: {theirs}\nour: {ours}"));
        }
        if theirs.code != 0 {
            return None;
        }
        let object = if class { "class" } else { "qdisc" };
        let show = format!("-s -d {object} show dev d0");
        let (left, right) = (self.theirs.tc(&show), self.ours.tc(&show));
        if left.stdout != right.stdout {
            return Some(format!("the kernels got other things\n tc: {}our: {}", left.stdout, right.stdout));
        }
        let printed = self.ours.tc_cli(&show);
        if printed.stdout != right.stdout || printed.code != 0 {
            let said = format!(" tc: {}our: {}{}", right.stdout, printed.stdout, printed.stderr);
            return Some(format!("-s -d prints unlike\n{said}"));
        }
        let show = format!("-j {show}");
        let (right, printed) = (self.ours.tc(&show), self.ours.tc_cli(&show));
        match [&printed, &right].map(|output| serde_json::from_str::<Value>(&output.stdout).ok()) {
            // Not all that tc prints is JSON; ours must be.
            [Some(ours), theirs] if theirs.as_ref().is_none_or(|theirs| *theirs == ours) => None,
            _ => Some(format!("-s -d -j prints unlike\n tc: {}\nour: {}", right.stdout, printed.stdout)),
        }
    }
}

fn outcome(output: &Output) -> (i32, &str) {
    (output.code, output.stderr.lines().next().unwrap_or_default())
}

/// Whether a line of the list has only texts of this report.
fn accepted(report: &str) -> bool {
    let lines = include_str!("accepted").lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(" -- "))
        .any(|(texts, _)| texts.split(" & ").all(|text| report.contains(text)))
}
