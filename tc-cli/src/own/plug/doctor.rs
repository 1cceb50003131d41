//! `plug doctor`: what would keep a plug from holding, before it has to.

use std::fs;

use clap::{ArgMatches, Command};
use serde_json::{Value, json};
use tc_core::link::Link;
use tc_core::uapi::{IFF_LOWER_UP, IFF_UP};
use tc_core::{Connection, Handle, Select, TcType};

use super::super::kinds::{Modules, State};
use super::place::{Belief, Journals, Root};
use super::words;
use crate::failure::Failure;
use crate::output::say;
use crate::session::Session;

pub(super) fn words() -> Command {
    Command::new("doctor")
        .about("Look for what would keep a plug from holding a device's output; fails if something does")
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
        count => Err(Failure::Own(format!("plug doctor: {count} in the way of a plug; nothing was changed"))),
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

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    check: &'static str,
    text: String,
}

impl Finding {
    fn new(level: Level, check: &'static str, text: impl Into<String>) -> Self {
        Self { level, check, text: text.into() }
    }

    const fn level(&self) -> &'static str {
        match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }

    fn to_json(&self) -> Value {
        json!({ "level": self.level(), "check": self.check, "text": self.text })
    }

    fn to_text(&self) -> String {
        format!("{:4} {}: {}\n", self.level(), self.check, self.text)
    }
}

fn module() -> Finding {
    let state = Modules::of_running_kernel().state(TcType::Qdisc, "plug");
    let level = match state {
        State::Absent => Level::Fail,
        State::Unknown => Level::Warn,
        State::BuiltIn | State::Loaded | State::Loadable => Level::Ok,
    };
    Finding::new(level, "module", format!("sch_plug is {} in this kernel", state.name()))
}

/// Kernel: before 6.6 a plug as a child of qfq is used after it was freed
/// (CVE-2023-4921), unless the fix was taken over.
fn under_qfq(session: &mut Session<'_>) -> Result<Vec<Finding>, Failure> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if version(&release).is_some_and(|version| version >= (6, 6)) {
        return Ok(Vec::new());
    }
    let (kernel, _output) = session.kernel()?;
    let list = kernel.connection.list_confirmed(&Select::qdiscs()).map_err(Failure::List)?;
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
        Finding::new(Level::Fail, "qfq", text)
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
    let link = tc.link_by_name(dev).map_err(|error| Failure::Own(format!("plug doctor: {error}")))?;
    let root = Root::on(link.ifindex, tc)?.filter(|root| !root.handle.is_unspec());
    let beliefs = match &root {
        Some(root) => journals.naming(root)?,
        None => Vec::new(),
    };
    let mut found = vec![state_of(&link), root_of(root.as_ref(), &beliefs)];
    let limit = beliefs.first().map(|belief| belief.journal.limit_bytes);
    let speed = if elsewhere { None } else { speed_mbit(dev) };
    found.extend(limit.map(|limit| judge_limit(limit, link.mtu, speed)));
    if link.tx_queues > 1 {
        let text = format!("{} transmit queues; one plug at the root holds them all", link.tx_queues);
        found.push(Finding::new(Level::Ok, "queues", text));
    }
    if link.kind == "ifb" && limit.is_none() {
        let text = "an IFB's default limit is a few packets: always give one";
        found.push(Finding::new(Level::Warn, "ifb", text));
    }
    found.push(packet_sockets(link.ifindex));
    Ok(found)
}

/// Kernel: a device that goes up or gets its carrier resets its qdisc.
fn state_of(link: &Link) -> Finding {
    match link.flags & IFF_UP != 0 && link.flags & IFF_LOWER_UP != 0 {
        true => Finding::new(Level::Ok, "device", "it is up and has a carrier"),
        false => Finding::new(Level::Fail, "device", "it is down or has no carrier, and would reset a plug"),
    }
}

fn root_of(root: Option<&Root>, beliefs: &[Belief]) -> Finding {
    let Some(root) = root else {
        return Finding::new(Level::Ok, "root", "the kernel's default, which a plug can replace");
    };
    match beliefs.first() {
        Some(belief) if root.kind == "plug" => {
            let dead = !belief.attached && !belief.is_alive();
            let level = if dead { Level::Warn } else { Level::Ok };
            let text = format!("plug {} of ours: {}", root.handle, belief.to_text());
            Finding::new(level, "root", text)
        }
        _ => {
            let text = format!("{} {} is somebody else's, and is left alone", root.kind, root.handle);
            Finding::new(Level::Fail, "root", text)
        }
    }
}

/// The speed of the line, where there is one.
fn speed_mbit(dev: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/sys/class/net/{dev}/speed")).ok()?;
    // -1 where it is unknown.
    text.trim().parse().ok().filter(|speed| *speed > 0)
}

fn judge_limit(limit: u32, mtu: u32, speed_mbit: Option<u64>) -> Finding {
    /// Ethernet and one VLAN tag.
    const HEADER: u32 = 18;
    /// Kernel: with segmentation offload a packet has up to this many bytes.
    const LARGEST_PACKET: u32 = 65_536;
    /// Two epochs of 25 ms, the shortest that are in use.
    const SHORT_MS: u64 = 50;
    let finding = |level, text: String| Finding::new(level, "limit", format!("{limit} bytes {text}"));
    // Bits a millisecond and a thousand bits a Mbit cancel out.
    let ms = speed_mbit.map(|speed| u64::from(limit) * 8 / (speed * 1000));
    match ms {
        _ if limit < mtu.saturating_add(HEADER) => {
            finding(Level::Fail, format!("do not hold one packet of {mtu} bytes"))
        }
        _ if limit < LARGEST_PACKET => {
            finding(Level::Warn, "do not hold one packet before segmentation (64 KB)".into())
        }
        Some(ms) if ms < SHORT_MS => {
            finding(Level::Warn, format!("are full after {ms} ms at the speed of the line"))
        }
        Some(ms) => finding(Level::Ok, format!("last {ms} ms at the speed of the line")),
        None => finding(Level::Ok, "(the speed of the device is not known)".into()),
    }
}

/// Kernel: neither `/proc/net/packet` nor `packet_diag` shows
/// `PACKET_QDISC_BYPASS`: who could have set it is all that can be known.
fn packet_sockets(ifindex: i32) -> Finding {
    let Ok(text) = fs::read_to_string("/proc/thread-self/net/packet") else {
        return Finding::new(Level::Warn, "bypass", "packet sockets cannot be listed");
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
        let level = |limit, speed| judge_limit(limit, 1500, speed).level;
        assert_eq!(level(1517, None), Level::Fail);
        assert_eq!(level(1518, None), Level::Warn);
        assert_eq!(level(65_536, None), Level::Ok);
        // 1 Gbit/s is 125,000 bytes a millisecond.
        assert_eq!(level(6_249_999, Some(1000)), Level::Warn);
        assert_eq!(level(6_250_000, Some(1000)), Level::Ok);
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
