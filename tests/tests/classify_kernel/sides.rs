//! The kernel's devices with their counters, and the classifier beside them.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use tc_core::action::Action;
use tc_core::message::Entry;
use tc_core::stats::Stats;
use tc_core::{Connection, DumpRequest, FilterPlace, Handle, Kind, OwnedEntry, TcType};
use tc_qdiscs::classify::{CannotKnow, Direction, End, Filter, Hits, Packet, Tag, Transport, Tree, Walk};
use tc_qdiscs::filter::basic::Basic;
use tc_qdiscs::filter::matchall::Matchall;
use tc_qdiscs::filter::u32::U32;
use tests::lab::{Net, Shell, Wire, tc_cli};

use crate::packets::Sent;

/// Counters by name.
pub(crate) type Counters = BTreeMap<String, u64>;

/// How often to look until a difference is believed.
const LOOKS: usize = 100;

pub(crate) struct Lab {
    _net: Net,
    shell: Shell,
    tc: Connection,
    wire: Wire,
    pub(crate) near: i32,
    pub(crate) sink: i32,
    far: i32,
}

/// The trees of both devices.
#[derive(Clone)]
pub(crate) struct Trees {
    pub(crate) near: Tree,
    far: Tree,
    /// Packets of each class.
    classes: BTreeMap<Handle, u64>,
}

/// What a classification led to.
pub(crate) struct Way {
    pub(crate) walk: Walk,
    pub(crate) end: End,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let net = Net::new();
        net.veth("near", "far");
        net.ip("link add sink type dummy").ok();
        net.ip("link set sink up").ok();
        let mut tc = Connection::open().expect("a socket");
        let [near, far, sink] = ["near", "far", "sink"].map(|name| tc.ifindex(name).expect(name));
        let (shell, wire) = (net.shell(tc_cli(), &[] as &[&str]), net.wire("near"));
        Self { _net: net, shell, tc, wire, near, sink, far }
    }

    /// Makes the tree; returns the commands that the kernel refused, with its texts.
    pub(crate) fn build(&mut self, commands: &[String]) -> Vec<String> {
        for words in ["near root", "near clsact", "far clsact"] {
            let _ = self.shell.say(&format!("qdisc del dev {words}")).expect("tc-cli answers");
        }
        let mut refused = Vec::new();
        for command in commands {
            let said = self.shell.say(command).expect("tc-cli answers");
            if !said.stderr.is_empty() {
                refused.push(format!("{command}\n    {}", said.stderr.trim()));
            }
        }
        refused
    }

    /// The trees as the kernel lists them.
    pub(crate) fn trees(&mut self) -> Trees {
        let mut trees = [self.near, self.far].map(|device| {
            let mut tree = Tree::default();
            let lists = [DumpRequest::qdiscs().device(device), DumpRequest::classes(device)];
            for entry in lists.iter().flat_map(|list| self.tc.list(list).expect("a list")) {
                let entry = entry.entry().expect("an entry");
                if entry.header.ifindex == device {
                    tree.add(&entry).expect("a qdisc or class");
                }
            }
            for place in tree.places() {
                let filters = DumpRequest::filters(device).parent(place);
                for filter in self.tc.list(&filters).expect("filters") {
                    tree.add_filter(place, &filter.entry().expect("an entry")).expect("a filter");
                }
            }
            tree
        });
        let far = std::mem::take(&mut trees[1]);
        Trees { near: std::mem::take(&mut trees[0]), far, classes: BTreeMap::new() }
    }

    /// All objects of the near device, as the kernel lists them; filters of basic with the oldest first.
    pub(crate) fn entries(&mut self, tree: &Tree) -> Vec<OwnedEntry> {
        let lists = [DumpRequest::qdiscs().device(self.near), DumpRequest::classes(self.near)];
        let filters = tree.places().into_iter().map(|place| DumpRequest::filters(self.near).parent(place));
        let mut entries = Vec::new();
        for list in lists.into_iter().chain(filters) {
            let mut listed = self.tc.list(&list).expect("a list");
            // The newest filter of basic comes first in a list, and the oldest parent of classes last.
            listed.sort_by_key(|entry| {
                let entry = entry.entry().expect("an entry");
                let handle = entry.header.handle.raw();
                match entry.tc_type() {
                    TcType::Filter => (u32::from(entry.priority()), handle),
                    _ => (0, if entry.header.handle.minor() == 0 { 0 } else { handle }),
                }
            });
            entries.extend(listed);
        }
        let near = self.near;
        entries.retain(|entry| entry.entry().is_ok_and(|entry| entry.header.ifindex == near));
        entries
    }

    pub(crate) fn send(&self, sent: &Sent) {
        self.wire.set_metadata(sent.mark, sent.priority).expect("mark and priority");
        // A packet that is dropped is an error.
        let _ = self.wire.send(&sent.frame);
    }

    /// The kernel's counters, once they are those expected or do not become so.
    pub(crate) fn counters(&mut self, expected: &Counters, trees: &Trees) -> Counters {
        for look in 0.. {
            let counters = self.read(trees);
            if counters == *expected || look > LOOKS {
                return counters;
            }
            sleep(Duration::from_millis(1));
        }
        Counters::new()
    }

    fn read(&mut self, trees: &Trees) -> Counters {
        let mut counters = Counters::new();
        for (device, tree, name) in [(self.near, &trees.near, "near"), (self.far, &trees.far, "far")] {
            for place in tree.places() {
                let filters = DumpRequest::filters(device).parent(place);
                for filter in self.tc.list(&filters).expect("filters") {
                    reported(&filter.entry().expect("an entry"), &format!("{name} {place}"), &mut counters);
                }
            }
        }
        for class in self.tc.list(&DumpRequest::classes(self.near)).expect("classes") {
            let class = class.entry().expect("an entry");
            if trees.near.is_leaf(class.header.handle) {
                let packets = class.stats().expect("counters").and_then(|stats| stats.basic);
                let packets = packets.map_or(0, |basic| basic.packets);
                counters.insert(format!("class {}", class.header.handle), packets);
            }
        }
        counters
    }

    /// The packet at the near device, as a packet socket sends it (`packet_snd`).
    fn at_near(&self, sent: &Sent) -> Packet {
        let mut packet = Packet::new(sent.frame.clone(), Direction::Egress);
        if packet.tag.is_some() {
            // The tags stay in the frame, and the network header is after all of them.
            let be16 = |at: usize| sent.frame.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            packet.ethertype = be16(12).unwrap_or(0);
            packet.tag = None;
            packet.frame.clone_from(&sent.frame);
            packet.network = 14;
            while matches!(be16(packet.network - 2), Some(0x8100 | 0x88a8)) {
                packet.network += 4;
            }
            packet.counted_bytes = packet.length();
            packet = packet.with_probed_transport();
        }
        (packet.mark, packet.priority) = (sent.mark, sent.priority);
        (packet.ifindex, packet.device) = (self.near, "near".into());
        packet
    }

    /// Leads a packet through both devices; an error is a fact that is not known.
    pub(crate) fn predict(&self, trees: &mut Trees, sent: &Sent) -> Result<Way, CannotKnow> {
        let mut packet = self.at_near(sent);
        let mut walk = Walk::default().conform(Some(true));
        let end = trees.near.send(&mut packet, &mut walk)?;
        if let End::Queued { class: Some(class), .. } = end {
            *trees.classes.entry(class).or_default() += 1;
        }
        if matches!(end, End::Queued { .. } | End::Sent) {
            let mut packet = self.at_far(&packet);
            trees.far.receive(&mut packet, &mut walk)?;
        }
        Ok(Way { walk, end })
    }

    /// The packet at the far device (`veth_xmit`, `eth_type_trans`, `__netif_receive_skb_core`).
    fn at_far(&self, near: &Packet) -> Packet {
        let mut packet = Packet::new(near.frame.clone(), Direction::Ingress);
        packet.transport = match near.transport {
            Transport::Unset => Transport::At(if packet.tag.is_some() { 10 } else { packet.network }),
            // Taking a tag off moves the start of the frame.
            Transport::At(at) if packet.tag.is_some() => Transport::At(at.saturating_sub(4)),
            other => other,
        };
        if let Some(tag) = near.tag {
            // A tag beside the frame stays there, and a second one in the frame.
            packet = Packet::new(near.frame.clone(), Direction::Ingress);
            if packet.tag.take().is_some() {
                packet.frame.clone_from(&near.frame);
                packet.ethertype = u16::from_be_bytes([near.frame[12], near.frame[13]]);
                packet.counted_bytes = packet.length();
            }
            packet.tag = Some(Tag { ..tag });
            packet.transport = match near.transport {
                Transport::Unset => Transport::At(packet.network),
                other => other,
            };
        }
        (packet.mark, packet.tc_index) = (near.mark, near.tc_index);
        (packet.ifindex, packet.iif, packet.device) = (self.far, self.far, "far".into());
        packet
    }
}

impl Trees {
    /// The counters of the classifier, by the names of [`Lab::counters`].
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters::new();
        for (tree, name) in [(&self.near, "near"), (&self.far, "far")] {
            for place in tree.places() {
                let Some(filters) = tree.filters(place) else { continue };
                for (filter, hits) in filters.list().iter().zip(filters.hits()) {
                    predicted(filter, hits, &format!("{name} {place}"), &mut counters);
                }
            }
        }
        for class in self.near.leaves() {
            counters.insert(format!("class {class}"), self.classes.get(&class).copied().unwrap_or_default());
        }
        counters
    }

    /// The number of filters.
    pub(crate) fn filters(&self) -> usize {
        let of = |tree: &Tree| {
            let places = tree.places();
            let lists = places.iter().filter_map(|place| tree.filters(*place));
            lists.flat_map(|filters| filters.list()).filter(|filter| !filter.is_priority()).count()
        };
        of(&self.near) + of(&self.far)
    }
}

fn name(place: &str, filter: &Filter) -> String {
    format!("{place} chain {} pref {} {} {}", filter.chain, filter.priority, filter.kind, filter.handle)
}

fn predicted(filter: &Filter, hits: &Hits, place: &str, counters: &mut Counters) {
    let name = name(place, filter);
    let mut put = |what: String, count: u64| counters.insert(format!("{name} {what}"), count);
    match filter.options() {
        Some(U32::KIND) if filter.key_count().is_some() => {
            put("hits".into(), hits.seen);
            put("success".into(), hits.matched);
            for key in 0..filter.key_count().unwrap_or(0) {
                put(format!("key {key}"), hits.keys.get(key).copied().unwrap_or(0));
            }
            if filter.has_mark() {
                put("mark".into(), hits.marks);
            }
        }
        Some(Basic::KIND) => {
            put("hits".into(), hits.seen);
            put("success".into(), hits.matched);
        }
        Some(Matchall::KIND) => {
            put("hits".into(), hits.matched);
        }
        _ => {}
    }
    for (at, action) in filter.actions().iter().enumerate() {
        let count = hits.actions.get(at).copied().unwrap_or_default();
        put(format!("action {at} packets"), count.packets);
        put(format!("action {at} bytes"), count.bytes);
        put(format!("action {at} drops"), count.drops);
        if reports_overlimits(action) {
            put(format!("action {at} overlimits"), count.overlimits);
        }
    }
}

pub(crate) fn reported(entry: &Entry<'_>, place: &str, counters: &mut Counters) {
    let kind = entry.kind().expect("a kind");
    let filter = Filter::new(kind, &FilterPlace::of(entry), entry.options());
    let name = name(place, &filter);
    let mut put = |what: String, count: u64| counters.insert(format!("{name} {what}"), count);
    let payload = entry.options().unwrap_or_default();
    match kind {
        U32::KIND => {
            let u32 = U32::decode(payload).expect("options of u32");
            if let Some(count) = u32.counters.filter(|_| u32.selector.is_some()) {
                put("hits".into(), count.hits);
                put("success".into(), count.success);
                for (key, count) in count.keys.iter().enumerate() {
                    put(format!("key {key}"), *count);
                }
            }
            if let Some(mark) = u32.mark {
                put("mark".into(), mark.success.into());
            }
        }
        Basic::KIND => {
            if let Some(count) = Basic::decode(payload).expect("options of basic").reported.packets {
                put("hits".into(), count.seen);
                put("success".into(), count.matched);
            }
        }
        Matchall::KIND => {
            if let Some(hits) = Matchall::decode(payload).expect("options of matchall").hits {
                put("hits".into(), hits);
            }
        }
        _ => {}
    }
    for (at, action) in filter.actions().iter().enumerate() {
        let stats: Stats<'_> = action.stats().expect("counters").unwrap_or_default();
        let (basic, queue) = (stats.basic.unwrap_or_default(), stats.queue.unwrap_or_default());
        put(format!("action {at} packets"), basic.packets);
        put(format!("action {at} bytes"), basic.bytes);
        put(format!("action {at} drops"), queue.drops.into());
        if reports_overlimits(action) {
            put(format!("action {at} overlimits"), queue.overlimits.into());
        }
    }
}

/// Linux 6.1 counts the overlimits of pedit where no dump reads them.
fn reports_overlimits(action: &Action) -> bool {
    action.kind() != "pedit"
}
