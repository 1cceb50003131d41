//! `plug doctor`: reasons why a plug would not hold, found before it has to.

mod guardian;
mod way;

use std::fs;

use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use tc_core::link::Link;
use tc_core::uapi::{IFF_LOWER_UP, IFF_UP};
use tc_core::{Connection, DumpRequest, Handle, TcType};

use super::root_qdisc::{JournalRecord, Journals, Root};
use super::words;
use crate::context::failure::Failure;
use crate::context::modules::{Modules, State};
use crate::context::output::say;
use crate::context::session::Session;

pub(super) fn words() -> Command {
    Command::new("doctor")
        .about("Find reasons why a plug would not hold a device's packets; fails if there is one")
        .after_help(
            "Each finding has a level (ok, warn, fail), a name, the reason, and advice. A warning is about packets\n\
             that the plug would not hold, or not for long. With a failure there can be no plug, or it would hold\n\
             nothing.",
        )
        .args([words::dev().required(false), words::journal_dir()])
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let json = session.globals.json;
    // Another namespace's devices are not in this one's /sys.
    let elsewhere = session.globals.netns.is_some();
    let mut found = vec![module()];
    found.extend(under_qfq(session)?);
    if let Some(dev) = words.get_one::<String>("dev") {
        session.ifindex(dev)?;
        let tc = &mut session.kernel()?.0.connection;
        found.extend(device(dev, elsewhere, &Journals::of(words), tc)?);
    }
    if json {
        let list: Vec<_> = found.iter().map(Finding::to_json).collect();
        say(&format!("{}\n", Value::from(list)))?;
    } else {
        say(&found.iter().map(Finding::to_text).collect::<String>())?;
    }
    match found.iter().filter(|finding| finding.level == Level::Fail).count() {
        0 => Ok(()),
        count => {
            Err(Failure::Extension(format!("plug doctor: {count} in the way of a plug; nothing was changed")))
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    /// A plug holds, but not all, or not for long.
    Warn,
    /// There can be no plug, or it would hold nothing.
    Fail,
}

/// One check and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    check: &'static str,
    text: String,
    /// Empty if there is nothing to do.
    advice: &'static str,
}

impl Finding {
    fn new(level: Level, check: &'static str, text: impl Into<String>) -> Self {
        Self { level, check, text: text.into(), advice: "" }
    }

    const fn advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    const fn level_name(&self) -> &'static str {
        match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }

    fn to_json(&self) -> Value {
        let advice = Some(self.advice).filter(|advice| !advice.is_empty());
        json!({ "level": self.level_name(), "check": self.check, "text": self.text, "advice": advice })
    }

    fn to_text(&self) -> String {
        let advice = if self.advice.is_empty() { "" } else { "     advice: " };
        let end = if self.advice.is_empty() { "" } else { "\n" };
        let Self { check, text, .. } = self;
        format!("{:4} {check}: {text}\n{advice}{}{end}", self.level_name(), self.advice)
    }
}

fn module() -> Finding {
    let state = Modules::of_running_kernel().state(TcType::Qdisc, "plug");
    let level = match state {
        State::Absent => Level::Fail,
        State::Unknown => Level::Warn,
        State::BuiltIn | State::Loaded | State::Loadable => Level::Ok,
    };
    let finding = Finding::new(level, "module", format!("sch_plug is {} in this kernel", state.name()));
    finding.advice(match level {
        Level::Ok => "",
        Level::Warn => "modprobe sch_plug shows whether it can be loaded",
        Level::Fail => "use a kernel that was built with CONFIG_NET_SCH_PLUG",
    })
}

/// Kernel: before 6.6 a plug as a child of qfq is used after it was freed
/// (CVE-2023-4921), unless the fix was taken over.
fn under_qfq(session: &mut Session<'_>) -> Result<Vec<Finding>, Failure> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if version(&release).is_some_and(|version| version >= (6, 6)) {
        return Ok(Vec::new());
    }
    let (kernel, _output) = session.kernel()?;
    let list = kernel.connection.list_confirmed(&DumpRequest::qdiscs()).map_err(Failure::List)?;
    let qdiscs: Vec<_> = list.iter().filter_map(|entry| entry.entry().ok()).collect();
    let of_qfq = |ifindex: i32, parent: Handle| {
        let mut all = qdiscs.iter();
        all.any(|q| {
            q.header.ifindex == ifindex && q.header.handle == parent.qdisc_of() && q.kind() == Ok("qfq")
        })
    };
    let plugs = qdiscs.iter().filter(|q| q.kind() == Ok("plug") && of_qfq(q.header.ifindex, q.header.parent));
    let found = plugs.map(|plug| {
        let (dev, handle) = (kernel.devices.name(plug.header.ifindex), plug.header.handle);
        let text = format!(
            "plug {handle} of device {dev} is below a qfq, which can crash Linux {} (CVE-2023-4921)",
            release.trim()
        );
        let advice = "replace the qfq, or use Linux 6.6 or later";
        Finding::new(Level::Fail, "qfq", text).advice(advice)
    });
    Ok(found.collect())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn device(
    dev: &str,
    elsewhere: bool,
    journals: &Journals,
    tc: &mut Connection,
) -> Result<Vec<Finding>, Failure> {
    let failed = |error: tc_core::Error| Failure::Extension(format!("plug doctor: {error}"));
    let link = tc.link_by_name(dev).map_err(failed)?;
    let details = tc.link_details(link.ifindex).map_err(failed)?;
    let roots = Root::of_device(link.ifindex, tc)?;
    let (mut root, mut records) = (None, Vec::new());
    for holder in roots.iter().filter(|root| root.can_hold()) {
        let naming = journals.naming(holder)?;
        if records.is_empty() && !naming.is_empty() {
            (root, records) = (Some(holder.clone()), naming);
        }
    }
    let own = roots.into_iter().find(|root| root.ifindex == link.ifindex && root.parent == Handle::ROOT);
    let root = root.or(own).filter(|root| !root.handle.is_unspec());
    let mut found = vec![state_of(&link), root_of(root.as_ref(), &records)];
    let limit = records.first().map(JournalRecord::limit_bytes);
    let speed = if elsewhere { None } else { speed_mbit(dev) };
    found.extend(limit.map(|limit| judge_limit(limit, link.mtu, details.gso_max_size, speed)));
    found.extend(way::queues(link.tx_queues));
    found.extend(way::big_tcp(details.gso_max_size));
    found.extend(way::xdp(details.xdp));
    let master = details.master.map(|master| match tc.link_by_index(master) {
        Ok(link) => link.name,
        Err(_) => format!("device {master}"),
    });
    found.extend(way::port(&link.kind, &details.port_of, master.as_deref()));
    found.extend(way::filters(link.ifindex, tc)?);
    if link.kind == "ifb" && limit.is_none() {
        let text = "an IFB's default limit is a few packets: always give one";
        found.push(Finding::new(Level::Warn, "ifb", text).advice("give a --limit of two epochs"));
    }
    found.push(packet_sockets(link.ifindex));
    found.extend(guardian::protection(&records));
    Ok(found)
}

/// Kernel: a device that goes up or gets its carrier resets its qdisc.
fn state_of(link: &Link) -> Finding {
    match link.flags & IFF_UP != 0 && link.flags & IFF_LOWER_UP != 0 {
        true => Finding::new(Level::Ok, "device", "it is up and has a carrier"),
        false => Finding::new(Level::Fail, "device", "it is down or has no carrier, and would reset a plug")
            .advice("set it up and connect it before the plug is attached"),
    }
}

fn root_of(root: Option<&Root>, records: &[JournalRecord]) -> Finding {
    let Some(root) = root else {
        return Finding::new(Level::Ok, "root", "the kernel's default, which a plug can replace");
    };
    match records.first() {
        Some(record) if root.can_hold() => {
            let dead = !record.attached && !record.is_alive();
            let level = if dead { Level::Warn } else { Level::Ok };
            let text = format!("{} {} of ours: {}", root.kind, root.handle, record.to_text());
            let advice = if dead { "see plug rescue" } else { "" };
            Finding::new(level, "root", text).advice(advice)
        }
        _ => {
            let text = format!("{} {} is somebody else's, and is left alone", root.kind, root.handle);
            let advice = "hold at the egress (the default), which keeps it; --where root refuses";
            Finding::new(Level::Warn, "root", text).advice(advice)
        }
    }
}

/// The speed of the line, where there is one.
fn speed_mbit(dev: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/sys/class/net/{dev}/speed")).ok()?;
    // -1 where it is unknown.
    text.trim().parse().ok().filter(|speed| *speed > 0)
}

fn judge_limit(limit: u32, mtu: u32, gso_max_size: u32, speed_mbit: Option<u64>) -> Finding {
    /// Ethernet and one VLAN tag.
    const HEADER: u32 = 18;
    /// Kernel: with segmentation offload a packet has up to this many bytes.
    const LARGEST_PACKET: u32 = 65_536;
    /// Two epochs of 25 ms, the shortest that are in use.
    const SHORT_MS: u64 = 50;
    let finding = |level, text: String| {
        let advice = if level == Level::Ok { "" } else { "give a larger --limit" };
        Finding::new(level, "limit", format!("{limit} bytes {text}")).advice(advice)
    };
    let largest = LARGEST_PACKET.max(gso_max_size);
    // Bits a millisecond and a thousand bits a Mbit cancel out.
    let ms = speed_mbit.map(|speed| u64::from(limit) * 8 / (speed * 1000));
    match ms {
        _ if limit < mtu.saturating_add(HEADER) => {
            finding(Level::Fail, format!("do not hold one packet of {mtu} bytes"))
        }
        _ if limit < largest => {
            finding(Level::Warn, format!("do not hold one packet before segmentation ({largest} bytes)"))
        }
        Some(ms) if ms < SHORT_MS => {
            finding(Level::Warn, format!("are full after {ms} ms at the speed of the line"))
        }
        Some(ms) => finding(Level::Ok, format!("last {ms} ms at the speed of the line")),
        None => finding(Level::Ok, "(the speed of the device is not known)".into()),
    }
}

/// Kernel: neither `/proc/net/packet` nor `packet_diag` shows
/// `PACKET_QDISC_BYPASS`: the only clue is whether a process could have set it.
fn packet_sockets(ifindex: i32) -> Finding {
    let Ok(text) = fs::read_to_string("/proc/thread-self/net/packet") else {
        let text = "packet sockets cannot be listed";
        return Finding::new(Level::Warn, "bypass", text).advice("mount /proc");
    };
    match sockets_on(&text, ifindex) {
        0 => {
            Finding::new(Level::Ok, "bypass", "no packet socket could pass by the plug (PACKET_QDISC_BYPASS)")
        }
        count => {
            let text = format!(
                "{count} packet socket(s) could pass by the plug; the kernel does not show whether they do \
                 (PACKET_QDISC_BYPASS)"
            );
            Finding::new(Level::Warn, "bypass", text)
                .advice("ss -0 -p lists packet sockets and their programs")
        }
    }
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`; a device of 0 is any.
fn sockets_on(text: &str, ifindex: i32) -> usize {
    let device = |line: &str| line.split_ascii_whitespace().nth(4)?.parse::<i32>().ok();
    text.lines().skip(1).filter_map(device).filter(|device| [0, ifindex].contains(device)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_judged_by_packets_and_speed() {
        let level = |limit, speed| judge_limit(limit, 1500, 65_536, speed).level;
        assert_eq!(level(1517, None), Level::Fail);
        assert_eq!(level(1518, None), Level::Warn);
        assert_eq!(level(65_536, None), Level::Ok);
        // 1 Gbit/s is 125,000 bytes a millisecond.
        assert_eq!(level(6_249_999, Some(1000)), Level::Warn);
        assert_eq!(level(6_250_000, Some(1000)), Level::Ok);
        // BIG TCP.
        assert_eq!(judge_limit(199_999, 1500, 200_000, None).level, Level::Warn);
        assert_eq!(judge_limit(200_000, 1500, 200_000, None).level, Level::Ok);
    }

    #[test]
    fn sockets_of_a_device_or_of_any_count() {
        let text = "sk RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                    0000000012345678 3      3    0003   2     1 0      0      1\n\
                    0000000012345679 3      3    0003   0     1 0      0      2\n\
                    000000001234567a 3      3    0003   7     1 0      0      3\n";
        assert_eq!((sockets_on(text, 2), sockets_on(text, 9), sockets_on("", 2)), (2, 1, 0));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-40-amd64"), Some((6, 1)));
        assert!(version("6.18.5") > Some((6, 6)) && version("x").is_none());
    }
}
