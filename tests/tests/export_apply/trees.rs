//! Random trees: batches of commands, some of which the kernel refuses.

use tests::random::Chance;

use tests::grammar::Grammar;

/// Kinds below which a qdisc can be put, with the minor numbers of the places.
const PARENTS: &[(&str, &[u16])] = &[
    ("prio", &[1, 2, 3]),
    ("ets", &[1, 2]),
    ("multiq", &[1, 2, 3, 4]),
    ("mq", &[1, 2]),
    ("mqprio", &[1, 2]),
    ("red", &[1]),
    ("sfb", &[1]),
    ("tbf", &[1]),
    ("netem", &[1]),
];

/// Kinds with classes that somebody makes.
pub(crate) const CLASSFUL: &[&str] = &["htb", "hfsc", "drr", "qfq"];

/// The commands of one device's tree.
pub(crate) struct Tree<'g> {
    pub(crate) lines: Vec<String>,
    grammar: &'g Grammar,
    kinds: &'g [String],
    dev: String,
    handle: u16,
}

impl<'g> Tree<'g> {
    pub(crate) fn grow(
        grammar: &'g Grammar,
        kinds: &'g [String],
        devices: &[String],
        dev: &str,
        chance: &mut Chance,
    ) -> Self {
        let mut tree = Self { lines: Vec::new(), grammar, kinds, dev: dev.to_owned(), handle: 0 };
        let root = chance.of(kinds).clone();
        tree.qdisc("root", &root, 3, chance);
        if chance.is(50) {
            tree.hook(devices, chance);
        }
        tree
    }

    fn qdisc(&mut self, parent: &str, kind: &str, depth: usize, chance: &mut Chance) {
        self.handle += 1;
        let (dev, handle) = (self.dev.clone(), self.handle);
        let stab = if chance.is(15) { "stab linklayer atm overhead 7 " } else { "" };
        let words = self.grammar.say(kind, chance).join(" ");
        self.lines.push(format!("qdisc add dev {dev} {parent} handle {handle:x}: {stab}{kind} {words}"));
        if kind == "gred" {
            for queue in 0..chance.below(3) {
                let usual = "limit 60k min 15k max 25k avpkt 1000 burst 20 probability 0.1";
                let words = match self.grammar.has("then gred") && chance.is(50) {
                    true => self.grammar.say("then gred", chance).join(" "),
                    false => format!("vq {queue} {usual}"),
                };
                self.lines.push(format!("qdisc change dev {dev} {parent} handle {handle:x}: gred {words}"));
            }
        }
        if CLASSFUL.contains(&kind) {
            self.classes(kind, handle, depth, chance);
        } else if let Some((_, places)) = PARENTS.iter().find(|(name, _)| *name == kind) {
            for place in places.iter().filter(|_| depth > 0) {
                if chance.is(60) {
                    let below = chance.of(self.kinds).clone();
                    self.qdisc(&format!("parent {handle:x}:{place:x}"), &below, depth - 1, chance);
                }
            }
        }
    }

    fn classes(&mut self, kind: &str, handle: u16, depth: usize, chance: &mut Chance) {
        let dev = self.dev.clone();
        let mut above = vec![0u16];
        for minor in 1..=1 + chance.below(4) as u16 {
            let deep = matches!(kind, "htb" | "hfsc");
            let parent = if deep { *chance.of(&above) } else { 0 };
            let words = self.grammar.say(&format!("class {kind}"), chance).join(" ");
            let class = format!("dev {dev} parent {handle:x}:{parent:x} classid {handle:x}:{minor:x}");
            self.lines.push(format!("class add {class} {kind} {words}"));
            if deep && chance.is(40) {
                above.push(minor);
            } else if depth > 0 && chance.is(40) {
                let below = chance.of(self.kinds).clone();
                self.qdisc(&format!("parent {handle:x}:{minor:x}"), &below, depth - 1, chance);
            }
        }
        if chance.is(30) {
            self.lines.push(format!(
                "filter add dev {dev} parent {handle:x}: pref 5 protocol ip matchall classid {handle:x}:1"
            ));
        }
    }

    fn hook(&mut self, devices: &[String], chance: &mut Chance) {
        let dev = self.dev.clone();
        let block = 1 + chance.below(3);
        let (kind, places) = match chance.below(4) {
            0 => ("ingress", vec![format!("dev {dev} ingress")]),
            1 => ("clsact", vec![format!("dev {dev} ingress"), format!("dev {dev} egress")]),
            2 => ("ingress", vec![format!("block {block}")]),
            _ => ("clsact", vec![format!("block {block}"), format!("dev {dev} egress")]),
        };
        let shared =
            if places[0].starts_with("block") { format!("ingress_block {block} ") } else { String::new() };
        self.lines.push(format!("qdisc add dev {dev} {shared}{kind}"));
        if chance.is(30) {
            self.share(chance);
        }
        for place in places {
            if chance.is(25) {
                self.chains(&place, chance);
            }
            if chance.is(25) {
                self.tables(&place, chance);
            }
            for _ in 0..chance.below(3) {
                let pref = 1 + chance.below(40);
                let protocol = *chance.of(&["all", "ip", "0x88b5", "arp"]);
                let chain = if chance.is(20) { "chain 3 " } else { "" };
                let to = chance.of(devices).clone();
                if chance.is(40) {
                    let protocol = *chance.of(&["all", "ip", "ipv6", "arp", "mpls_uc", "802.1Q", "ppp_ses"]);
                    let line = format!("filter flower {protocol}").replace(" all", "");
                    let words = self.grammar.say(&line, chance).join(" ");
                    self.lines.push(format!(
                        "filter add {place} pref {pref} protocol {protocol} {chain}flower {words}"
                    ));
                    continue;
                }
                let action = action(&to, chance);
                self.lines.push(format!(
                    "filter add {place} pref {pref} protocol {protocol} {chain}matchall {action}"
                ));
            }
        }
    }
}

impl Tree<'_> {
    /// Actions that stand by themselves.
    fn share(&mut self, chance: &mut Chance) {
        let index = SHARED + chance.below(4);
        self.lines.push(match chance.below(3) {
            0 => format!("actions add action skbedit mark {} index {index}", chance.below(9)),
            1 => format!("actions add action pass index {index}"),
            _ => format!("actions add action drop index {index}"),
        });
    }

    /// A chain without a filter, and one with a template.
    fn chains(&mut self, place: &str, chance: &mut Chance) {
        if chance.is(50) {
            self.lines.push(format!("chain add {place} chain {}", 50 + chance.below(3)));
        }
        let (chain, prefix) = (60 + chance.below(3), 8 * (1 + chance.below(3)));
        self.lines
            .push(format!("chain add {place} chain {chain} protocol ip flower dst_ip 0.0.0.0/{prefix}"));
        for pref in 1..=chance.below(3) {
            let (net, action) = (chance.below(200), shared(chance));
            let words =
                format!("pref {pref} chain {chain} protocol ip flower dst_ip {net}.0.0.0/{prefix} {action}");
            self.lines.push(format!("filter add {place} {words}"));
        }
    }

    /// A table of u32 with nodes, and a link to it of an earlier or later priority.
    fn tables(&mut self, place: &str, chance: &mut Chance) {
        // Kernel: the hooks of a qdisc share their tables, and a list of one has those of the other hook that have
        // its priority.
        let (tables, prefs) = if place.ends_with("egress") { (9, 110) } else { (1, 100) };
        let (table, pref) = (tables + chance.below(5), prefs + chance.below(4));
        let filter = |pref: usize| format!("filter add {place} pref {pref} protocol ip");
        let divisor = 4 << chance.below(3);
        self.lines.push(format!("{} handle {table:x}: u32 divisor {divisor}", filter(pref)));
        for bucket in 0..chance.below(4) {
            let action = if chance.is(50) { "classid 1:1".to_owned() } else { shared(chance) };
            let words = format!("u32 ht {table:x}:{bucket}: match ip dst 10.0.0.{bucket}/32 {action}");
            self.lines.push(format!("{} {words}", filter(pref)));
        }
        if chance.is(70) {
            let link = format!("link {table:x}: hashkey mask 0x3 at 16");
            let other = if chance.is(50) { pref - 20 } else { pref + 20 };
            self.lines.push(format!("{} u32 match ip dst 10.0.0.0/8 {link}", filter(other)));
        }
    }
}

/// The first index of shared actions.
const SHARED: usize = 1000;

/// An action that other filters can have too.
fn shared(chance: &mut Chance) -> String {
    match chance.is(50) {
        true => format!("action drop index {}", SHARED + chance.below(4)),
        false => "action pass".to_owned(),
    }
}

fn action(dev: &str, chance: &mut Chance) -> String {
    let one = |chance: &mut Chance| {
        let cookie = if chance.is(20) { " cookie 0badcafe" } else { "" };
        let action = match chance.below(6) {
            0 => "drop".to_owned(),
            1 => "goto chain 3".to_owned(),
            2 => "pass random determ drop 10".to_owned(),
            3 => format!("mirred egress redirect dev {dev}"),
            4 => format!("mirred egress mirror dev {dev}"),
            _ => format!("mirred ingress mirror dev {dev} continue"),
        };
        format!("action {action}{cookie}")
    };
    if !chance.is(30) {
        return one(chance);
    }
    // Behind a drop or a redirect nothing comes; tc 6.1 would send the cookie with the second too.
    let first = one(chance).replace(" continue", "").replace("action drop", "action pipe");
    format!("{} {}", first.replace(" cookie 0badcafe", ""), one(chance))
}
