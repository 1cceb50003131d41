//! `export`, `diff` and `apply` on a real kernel: random trees are built, exported, wiped, built again
//! from the export, and converted into each other.
//!
//! `TREES=N` sets the number of trees (500 if the kernel has most kinds), `TREES_SEED=N` the seed.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test stops at an unexpected error")]

mod edits;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs, process};

use tc_core::uapi::{TCA_OPTIONS, TCA_STAB};
use tc_core::{Connection, DumpRequest, Handle, Registry, Request, TcType, Verb};
use tc_qdiscs as _;
use tests::grammar::Grammar;
use tests::lab::need::has;
use tests::lab::{Net, Output, count, number, tries};
use tests::need;
use tests::newer_tc::is_later;
use tests::random::Chance;
use trees::{CLASSFUL, Tree};

/// Devices of one namespace, each with a tree.
const DEVICES: usize = 40;

#[test]
fn trees_survive_export_and_apply() {
    need!("all-words-in-tc", "ifb");
    let grammar = Grammar::of_kinds();
    let kinds = kinds(&grammar);
    let trees = tries("TREES", if kinds.len() > 20 { 500 } else { 100 });
    let mut chance = Chance(number("TREES_SEED").unwrap_or(7));
    let mut besides = [
        (0, ["chain add ", " flower "]),
        (0, ["chain add ", ""]),
        (0, ["filter add ", " divisor "]),
        (0, ["filter add ", " link "]),
        (0, ["actions add ", ""]),
    ];
    let (mut made, mut objects, mut led, mut by_tc, mut seen) = (0, 0, 0, 0, BTreeSet::new());
    for round in 0.. {
        let host = Host::new(round);
        host.build(&grammar, &kinds, &mut chance);
        let one = host.exported();
        objects += one.exported.lines().count();
        for (count, starts) in &mut besides {
            *count +=
                one.exported.lines().filter(|line| starts.iter().all(|word| line.contains(word))).count();
        }
        made += one.dump.keys().filter(|key| key.starts_with("qdisc") && key.contains(" root ")).count();
        seen.extend(one.dump.keys().filter_map(|key| key.split(' ').next_back()).map(str::to_owned));

        // Again, through our batch, and sometimes through tc's.
        host.wipe(&host.devices);
        // A later tc makes a burst a tick longer.
        if round % 2 == 1 && !is_later() && one.is_all_tcs() {
            let read = host.net.tc(&format!("-b {}", one.file));
            assert_eq!(read.code, 0, "{}\n{}", read.stderr, one.exported);
            by_tc += 1;
        } else {
            let read = host.net.tc_cli(&format!("-b {}", one.file));
            assert_eq!(read.code, 0, "{}\n{}", read.stderr, one.exported);
        }
        host.is(&one, "made again");
        assert_eq!(host.net.tc_cli(&format!("diff {}", one.file)).ok(), "", "nothing to do");
        if round % 3 == 0 {
            host.leads_from_another_tree_to(&one, &grammar, &kinds, &mut chance);
            led += 1;
        }
        if made >= trees {
            break;
        }
    }
    let seen_kinds = seen.len();
    count(&format!(
        "export: {made} trees of {objects} objects and {seen_kinds} kinds went both ways; {led} batches were \
        applied to other trees, {by_tc} were read by tc"
    ));
    let [templates, chains, tables, links, shared] = besides.map(|(count, _)| count);
    count(&format!(
        "export: among them {chains} chains, {templates} of them with a template, {tables} tables of u32, {links} \
         links, {shared} shared actions"
    ));
    assert!(seen.len() >= kinds.len().min(20), "only {seen:?}");
}

/// The qdisc kinds of the grammar that stand alone, and that the kernel has.
fn kinds(grammar: &Grammar) -> Vec<String> {
    let registry = Registry::global().unwrap();
    let stands = |kind: &&String| !matches!(kind.as_str(), "ingress" | "clsact" | "noqueue" | "teql0");
    let built_in = |kind: &str| matches!(kind, "pfifo" | "bfifo" | "pfifo_head_drop" | "pfifo_fast" | "mq");
    let there = |kind: &&String| {
        registry.get(TcType::Qdisc, kind).is_some() && (built_in(kind) || has(&format!("sch_{kind}")))
    };
    grammar.kinds().filter(stands).filter(there).cloned().collect()
}

/// A namespace with devices.
struct Host {
    net: Net,
    devices: Vec<String>,
    folder: String,
}

/// A kernel's state, and its export.
struct Exported {
    file: String,
    exported: String,
    /// Options and size table by object.
    dump: BTreeMap<String, Vec<u8>>,
}

impl Exported {
    /// Whether tc 6.1 has all the words: it lacks nanoseconds of a delay.
    fn is_all_tcs(&self) -> bool {
        let nanoseconds = |line: &str| {
            let words: Vec<_> = line.split(' ').skip_while(|word| *word != "delay").collect();
            words.iter().skip(1).take(2).any(|word| word.ends_with("ns"))
        };
        !self.exported.lines().any(nanoseconds)
    }
}

impl Host {
    fn new(round: usize) -> Self {
        let net = Net::new();
        let devices: Vec<_> = (0..DEVICES).map(|number| format!("d{number}")).collect();
        let links: String = devices
            .iter()
            .map(|dev| format!("link add {dev} numtxqueues 4 numrxqueues 4 type ifb\n"))
            .collect();
        let folder =
            env::temp_dir().join(format!("both-ways-{}-{round}", process::id())).display().to_string();
        fs::create_dir_all(&folder).expect("a folder for batches");
        let file = format!("{folder}/links");
        fs::write(&file, links).expect("a batch is written");
        net.ip(&format!("-b {file}")).ok();
        Self { net, devices, folder }
    }

    fn all_devices(&self) -> String {
        self.devices.iter().map(|dev| format!("dev {dev} ")).collect()
    }

    /// Builds a tree on each device, of the commands that the kernel accepts.
    fn build(&self, grammar: &Grammar, kinds: &[String], chance: &mut Chance) {
        let trees =
            self.devices.iter().flat_map(|dev| Tree::grow(grammar, kinds, &self.devices, dev, chance).lines);
        let file = format!("{}/random", self.folder);
        // With a line about gact a file describes all actions of gact that stand by themselves.
        let gact = "actions add action pass index 999\n".to_owned();
        let batch: String = std::iter::once(gact).chain(trees.map(|line| line + "\n")).collect();
        fs::write(&file, batch).expect("a batch is written");
        let _some_fail = self.net.tc_cli(&format!("-force -b {file}"));
    }

    /// The state without the objects that cannot be exported.
    fn exported(&self) -> Exported {
        let mut export = self.net.tc_cli("export");
        if export.code != 0 {
            self.wipe_what_is_lost(&export);
            export = self.net.tc_cli("export");
        }
        let file = format!("{}/exported", self.folder);
        fs::write(&file, &export.stdout).expect("a batch is written");
        Exported { file, exported: export.ok(), dump: self.dump() }
    }

    /// An apply makes one tree of any other. Of a device without a tree the file cannot speak.
    fn leads_from_another_tree_to(
        &self,
        one: &Exported,
        grammar: &Grammar,
        kinds: &[String],
        chance: &mut Chance,
    ) {
        self.wipe(&self.devices);
        self.build(grammar, kinds, chance);
        let other = self.net.tc_cli("export").stdout;
        let words = format!("apply {} {}", one.file, self.all_devices());
        self.net.tc_cli(&words).ok();
        self.is(one, &format!("applied to\n{other}"));
        assert_eq!(self.net.tc_cli(&words).ok(), "", "the second time");
    }

    /// Deletes objects that dumps describe incompletely, of a known sort.
    fn wipe_what_is_lost(&self, export: &Output) {
        let lost = export.stderr.lines().filter(|line| !line.starts_with("export: "));
        let lost = lost.filter(|line| !line.ends_with("below what is not exported"));
        for line in lost {
            assert!(LOST.iter().any(|known| line.contains(known)), "{line}");
            let dev = line.split(' ').skip_while(|word| *word != "dev").nth(1).unwrap();
            self.wipe(&[dev.to_owned()]);
        }
    }

    /// The state has to equal the export, byte for byte.
    #[track_caller]
    fn is(&self, wanted: &Exported, when: &str) {
        let there = self.dump();
        for (object, bytes) in &wanted.dump {
            assert_eq!(there.get(object), Some(bytes), "{object} {when}\n{}", wanted.exported);
        }
        assert_eq!(there.len(), wanted.dump.len(), "{when}");
        let exported = self.net.tc_cli("export").ok();
        let [there, filters] =
            [&exported, &wanted.exported].map(|lines| beside(lines, &["filter ", "chain "]));
        assert_eq!(there, filters, "{when}");
        // Kinds of actions that no line is about are left alone.
        let [there, actions] = [&exported, &wanted.exported].map(|lines| beside(lines, &["actions "]));
        assert!(actions.iter().all(|action| there.contains(action)), "{actions:?} {there:?} {when}");
    }

    fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tc = Connection::open().unwrap();
        let mut dump = BTreeMap::new();
        for dev in &self.devices {
            let ifindex = tc.ifindex(dev).unwrap();
            let mut selects = vec![DumpRequest::qdiscs().device(ifindex)];
            while let Some(select) = selects.pop() {
                for listed in tc.list(&select).unwrap() {
                    let entry = listed.entry().unwrap();
                    let (handle, parent) = (entry.header.handle, entry.header.parent);
                    let (kind, tc_type) = (entry.kind().unwrap(), entry.tc_type());
                    if handle.is_unspec() {
                        continue;
                    }
                    // Kernel: a list of all classes ends early at some qdiscs, such as sfb.
                    if tc_type == TcType::Qdisc && CLASSFUL.contains(&kind) {
                        selects.push(DumpRequest::classes(ifindex).parent(handle));
                    }
                    let object = format!("{tc_type} {dev} {parent} {handle} {kind}");
                    let bytes = |kind: u16| entry.attr(kind).map(|attr| attr.payload).unwrap_or_default();
                    let mut all = [bytes(TCA_OPTIONS), bytes(TCA_STAB)].concat();
                    if tc_type == TcType::Qdisc && drifts(kind, bytes(TCA_OPTIONS)) {
                        all.clear();
                    }
                    dump.insert(object, all);
                }
            }
        }
        dump
    }

    fn wipe(&self, devices: &[String]) {
        let mut tc = Connection::open().unwrap();
        for dev in devices {
            let ifindex = tc.ifindex(dev).unwrap();
            for parent in [Handle::ROOT, Handle::INGRESS] {
                // There may be nothing.
                let _gone = tc.apply(Verb::Delete, &Request::qdisc(ifindex).parent(parent));
            }
        }
        // Kernel: the actions of a deleted filter are deleted shortly after it.
        // Shared ones are in use until then.
        let mut is_left = |kind: &str| {
            // There may be none, or the kernel does not have the kind.
            let _flushed = tc.delete(&Request::all_actions(kind));
            tc.list(&DumpRequest::actions(kind)).is_ok_and(|listed| {
                listed.iter().any(|listed| {
                    listed.entry().is_ok_and(|entry| entry.actions().is_ok_and(|a| !a.is_empty()))
                })
            })
        };
        for _ in 0..200 {
            if devices.len() < self.devices.len()
                || !["gact", "mirred", "skbedit"].map(&mut is_left).contains(&true)
            {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// The lines that begin with one of these words.
fn beside<'l>(lines: &'l str, starts: &[&str]) -> Vec<&'l str> {
    lines.lines().filter(|line| starts.iter().any(|start| line.starts_with(start))).collect()
}

impl Drop for Host {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// Objects that cannot be exported: their dumps have too few bits.
const LOST: &[&str] = &[
    // A time over 274 s, of which a dump has the lower 32 bits.
    "tbf: there are no words for burst of",
    "tbf: there are no words for mtu of",
    // The result of rtt 0.
    "cake: there are no words for a target other than a twentieth of rtt",
    // Lengths that tc cut to 32 bits.
    "choke: there are no words for avpkt, burst and bandwidth",
    // The rest of a failed command.
    "mqprio: there are no words for num_tc 0",
];

/// Values that the kernel changes by itself: schedules begin, adaptive probabilities move.
fn drifts(kind: &str, options: &[u8]) -> bool {
    let registry = Registry::global().unwrap();
    let is_adaptive = || {
        let red = registry.get(TcType::Qdisc, "red").unwrap().msg_parse(options).unwrap();
        red.downcast_ref::<tc_qdiscs::red::Red>().unwrap().flags.adaptive
    };
    kind == "taprio" || (kind == "red" && is_adaptive())
}
