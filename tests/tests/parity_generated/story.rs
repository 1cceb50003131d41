//! Commands that build on each other, all for one device.

use tests::grammar::{Grammar, TAKEN};
use tests::random::Chance;

/// The prefix, and the words by option. `DEV` stands for the device.
#[derive(Clone)]
pub(crate) struct Story(Vec<(String, Vec<String>)>);

impl Story {
    /// A story about the kind of a line of the grammar.
    pub(crate) fn tell(grammar: &Grammar, line: &str, chance: &mut Chance) -> Self {
        // A handle that was not there before: replace then makes a new qdisc.
        let handle = format!("{:x}:", 1 + chance.below(0x7fff));
        let mut commands = Vec::new();
        match line.split_once(' ') {
            Some(("class", kind)) => {
                let root = format!("qdisc replace dev DEV root handle {handle} {kind}");
                commands.push((root, grammar.say(&format!("root {kind}"), chance)));
                // The classes of an ets are there from the start.
                let verb = if kind == "ets" { "change" } else { "add" };
                let class = |verb| format!("class {verb} dev DEV parent {handle} classid {handle}1 {kind}");
                commands.push((class(verb), grammar.say(line, chance)));
                if chance.is(30) {
                    commands.push((class("change"), grammar.say(line, chance)));
                }
            }
            Some(("filter", kind)) => {
                commands.push(("qdisc replace dev DEV clsact".into(), vec![]));
                let side = *chance.of(&["ingress", "egress"]);
                // The mark, which is fw's handle, and handles of cgroup and flow have no default.
                let handle = match kind {
                    "fw" => "handle 0x10/0xff ",
                    "cgroup" | "flow" => "handle 7 ",
                    _ => "",
                };
                let (kind, protocol) = kind.split_once(' ').unwrap_or((kind, "all"));
                let filter =
                    |verb| format!("filter {verb} dev DEV {side} pref 7 protocol {protocol} {handle}{kind}");
                commands.push((filter("add"), grammar.say(line, chance)));
                if chance.is(20) {
                    commands.push((filter("replace"), grammar.say(line, chance)));
                }
            }
            Some(("action", kind)) => {
                commands.push(("qdisc replace dev DEV clsact".into(), vec![]));
                let side = *chance.of(&["ingress", "egress"]);
                let filter = format!("filter add dev DEV {side} pref 7 protocol all matchall action {kind}");
                commands.push((filter, grammar.say(line, chance)));
            }
            _ if ["ingress", "clsact"].contains(&line) => {
                commands.push((format!("qdisc replace dev DEV {line}"), grammar.say(line, chance)));
            }
            _ => {
                let command = |verb| format!("qdisc {verb} dev DEV root handle {handle} {line}");
                commands.push((command("replace"), grammar.say(line, chance)));
                let then = format!("then {line}");
                if grammar.has(&then) {
                    for _ in 0..chance.below(3) {
                        commands.push((command("change"), grammar.say(&then, chance)));
                    }
                } else if chance.is(30) {
                    commands.push((command("change"), grammar.say(line, chance)));
                }
            }
        }
        Self(commands)
    }

    /// How many commands it has.
    pub(crate) const fn length(&self) -> usize {
        self.0.len()
    }

    /// The commands, for this device; and whether tc takes a wrong value in it that we refuse.
    pub(crate) fn lines(&self, dev: &str) -> Vec<(String, bool)> {
        let line = |(head, parts): &(String, Vec<String>)| {
            let line = format!("{} {}", head.replace("DEV", dev), parts.join(" "));
            (line.trim_end().replace(TAKEN, ""), line.contains(TAKEN))
        };
        self.0.iter().map(line).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.lines("d0").into_iter().map(|(line, _)| line).collect::<Vec<_>>().join("; ")
    }

    /// The names of its options.
    pub(crate) fn options(&self) -> String {
        let parts = self.0.iter().flat_map(|(_, parts)| parts);
        parts.filter_map(|part| part.split(' ').next()).collect::<Vec<_>>().join(" ")
    }

    /// With one command or one option less.
    pub(crate) fn shorter(&self) -> Vec<Self> {
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
}
