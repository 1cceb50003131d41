//! The way of a device's packets: queues, filters and programs before the plug
//! or past it.

use tc_core::link::Xdp;
use tc_core::message::Entry;
use tc_core::{Attrs, Connection, DecodeError, DumpRequest, Handle};
use tc_qdiscs::plug::place::{Redirect, Side};

use super::{Finding, Level};
use crate::context::failure::Failure;

pub(super) fn queues(tx_queues: u32) -> Option<Finding> {
    let text = format!(
        "{tx_queues} transmit queues: the kernel drops what the plug holds when their number is reduced, and \
         sends no notice of it"
    );
    let advice =
        "do not reduce the number of queues (ethtool -L, a tap's detached queue) while packets are held";
    (tx_queues > 1).then(|| Finding::new(Level::Warn, "queues", text).advice(advice))
}

pub(super) fn big_tcp(gso_max_size: u32) -> Option<Finding> {
    /// The largest packet without BIG TCP.
    const USUAL: u32 = 65_536;
    let text =
        format!("BIG TCP: one packet has up to {gso_max_size} bytes, and a packet fits whole or is dropped");
    let advice = "add that size to --limit, or set the device's gso_max_size to 65536";
    (gso_max_size > USUAL).then(|| Finding::new(Level::Warn, "big-tcp", text).advice(advice))
}

pub(super) fn xdp(xdp: Option<Xdp>) -> Option<Finding> {
    let Xdp { attached, program_id } = xdp?;
    let place = match attached {
        1 => "in the driver",
        2 => "generic",
        3 => "in hardware",
        _ => "in several places",
    };
    let text = format!(
        "XDP program {program_id} is attached ({place}): packets that it sends back (XDP_TX) or redirects pass by \
         the plug"
    );
    let advice =
        "detach the program (ip link set dev DEV xdp off), or make sure that it only passes and drops";
    Some(Finding::new(Level::Warn, "xdp", text).advice(advice))
}

/// Devices that are part of another one, or that have ports.
pub(super) fn port(kind: &str, port_of: &str, master: Option<&str>) -> Option<Finding> {
    let master = master.unwrap_or("another device");
    let (check, text, advice) = match (port_of, kind) {
        ("bond" | "team", _) => (
            "bond",
            format!("it is a part of {port_of} device {master}, whose other parts are not held"),
            "plug the bond or team device itself",
        ),
        ("bridge" | "openvswitch" | "ovs-system", _) => (
            "bridge-port",
            format!(
                "it is a port of bridge {master}: the plug also holds what others send through the bridge, and \
                 not what leaves by other ports"
            ),
            "plug the device nearest to the guest, or each port that its packets leave by",
        ),
        (_, "bridge") => (
            "bridge",
            "it is a bridge: packets that it forwards leave by its ports, past a plug of the bridge itself"
                .to_owned(),
            "plug the ports",
        ),
        _ => return None,
    };
    Some(Finding::new(Level::Warn, check, text).advice(advice))
}

/// An ingress or clsact qdisc, and the filters that see packets before the plug.
pub(super) fn filters(ifindex: i32, tc: &mut Connection) -> Result<Vec<Finding>, Failure> {
    let list = tc.list(&DumpRequest::qdiscs().device(ifindex)).map_err(Failure::List)?;
    let qdiscs = list.iter().filter_map(|entry| entry.entry().ok());
    let ingress =
        |entry: &Entry<'_>| entry.header.ifindex == ifindex && entry.header.parent == Handle::CLSACT;
    let Some(kind) = qdiscs.filter(ingress).find_map(|entry| entry.kind().ok().map(str::to_owned)) else {
        let text = "no clsact or ingress qdisc; programs that are attached by BPF links are not shown";
        return Ok(vec![Finding::new(Level::Ok, "clsact", text)]);
    };
    let text =
        format!("a {kind} qdisc is there: the kernel drops what the plug holds when it is deleted or added");
    let advice = "do not delete or add it while packets are held";
    let mut found = vec![Finding::new(Level::Warn, "clsact", text).advice(advice)];
    if kind == "clsact" {
        // The redirect to a ring is the way to it.
        let ours = Redirect::find(tc, ifindex, Side::Egress).ok().flatten();
        let ours = ours.filter(Redirect::is_connected).map(|redirect| redirect.priorities());
        let select = DumpRequest::filters(ifindex).parent(Handle::FILTER_EGRESS);
        let filters = tc.list(&select).map_err(Failure::List)?;
        // Kernel: each priority is listed once more, as an entry without options.
        let filters = filters.iter().filter_map(|entry| entry.entry().ok());
        let filters = filters.filter(|entry| entry.options().is_some());
        let filters =
            filters.filter(|entry| ours.as_ref().is_none_or(|ours| !ours.contains(&entry.priority())));
        let filters: Vec<_> = filters.map(|entry| Seen::of(&entry)).collect();
        found.extend(judge(&filters));
    }
    Ok(found)
}

/// A filter, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// With a mirred action.
    Redirects,
    /// A BPF program.
    Program,
    /// Unreadable: it may redirect.
    Unreadable,
    Other,
}

impl Seen {
    fn of(entry: &Entry<'_>) -> Self {
        let Ok(kind) = entry.kind() else { return Self::Unreadable };
        match (kind, has_mirred(kind, entry.options().unwrap_or_default())) {
            (_, Ok(true)) => Self::Redirects,
            ("bpf", Ok(false)) => Self::Program,
            (_, Ok(false)) => Self::Other,
            (_, Err(_)) => Self::Unreadable,
        }
    }
}

fn judge(filters: &[Seen]) -> Vec<Finding> {
    let count = |seen: Seen| filters.iter().filter(|filter| **filter == seen).count();
    let mut found = Vec::new();
    if count(Seen::Redirects) > 0 {
        let text = format!(
            "{} egress filter(s) redirect or mirror packets to another device (mirred) before the plug",
            count(Seen::Redirects)
        );
        found.push(
            Finding::new(Level::Warn, "redirect", text)
                .advice("plug that device as well, or delete the filters"),
        );
    }
    let may = count(Seen::Program) + count(Seen::Unreadable);
    if may > 0 {
        let text =
            format!("{may} egress filter(s) are BPF programs or cannot be read: they may redirect packets");
        found.push(
            Finding::new(Level::Warn, "redirect", text)
                .advice("make sure that they do not, or delete the filters"),
        );
    }
    if !filters.is_empty() {
        let text =
            format!("{} egress filter(s) decide before the plug which packets reach it", filters.len());
        let advice = "tc filter show dev DEV egress lists them";
        found.push(Finding::new(Level::Warn, "egress", text).advice(advice));
    }
    found
}

/// Whether a filter's options have a mirred action.
fn has_mirred(kind: &str, options: &[u8]) -> Result<bool, DecodeError> {
    const TCA_ACT_KIND: u16 = 1;
    // TCA_*_ACT of pkt_cls.h.
    let actions = match kind {
        "bpf" | "cgroup" => 1,
        "matchall" => 2,
        "basic" | "flower" => 3,
        "fw" => 4,
        "route" => 6,
        "u32" => 7,
        "flow" => 9,
        _ => return Err(DecodeError::Malformed { what: "filter kind" }),
    };
    let Some(actions) = Attrs::new(options).find(actions)? else { return Ok(false) };
    for action in actions.attrs() {
        let kind = action?.attrs().find(TCA_ACT_KIND)?;
        if kind.map(|kind| kind.str()).transpose()? == Some("mirred") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attr(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 4).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn actions(kinds: &[&str]) -> Vec<u8> {
        let action = |kind: &&str| attr(1, &attr(1, &[kind.as_bytes(), &[0]].concat()));
        kinds.iter().flat_map(action).collect()
    }

    #[test]
    fn a_mirred_action_is_found_in_each_kind_of_filter() {
        for (kind, place) in [("matchall", 2), ("flower", 3), ("u32", 7), ("fw", 4), ("bpf", 1), ("basic", 3)]
        {
            let options = |kinds: &[&str]| [attr(30, &[1; 4]), attr(place, &actions(kinds))].concat();
            assert_eq!(has_mirred(kind, &options(&["gact", "mirred"])), Ok(true), "{kind}");
            assert_eq!(has_mirred(kind, &options(&["gact"])), Ok(false), "{kind}");
            assert_eq!(has_mirred(kind, &attr(30, &[1; 4])), Ok(false), "{kind}");
        }
        assert!(has_mirred("nosuch", &[]).is_err());
        assert!(has_mirred("matchall", &[9, 0, 2, 0]).is_err(), "cut short");
    }

    #[test]
    fn filters_are_judged_by_the_harm_they_can_do() {
        let checks =
            |filters: &[Seen]| -> Vec<_> { judge(filters).iter().map(|found| found.check).collect() };
        assert!(checks(&[]).is_empty());
        assert_eq!(checks(&[Seen::Other]), ["egress"]);
        assert_eq!(checks(&[Seen::Redirects, Seen::Other]), ["redirect", "egress"]);
        assert_eq!(checks(&[Seen::Program, Seen::Redirects]), ["redirect", "redirect", "egress"]);
    }

    #[test]
    fn ports_and_bridges_are_found_and_others_are_not() {
        let check = |kind, port_of| port(kind, port_of, Some("x")).map(|found| found.check);
        assert_eq!(check("veth", "bond"), Some("bond"));
        assert_eq!(check("veth", "team"), Some("bond"));
        assert_eq!(check("veth", "bridge"), Some("bridge-port"));
        assert_eq!(check("bridge", ""), Some("bridge"));
        assert_eq!(check("veth", ""), None);
        assert_eq!(check("veth", "vrf"), None);
    }

    #[test]
    fn many_queues_big_packets_and_programs_are_found() {
        assert!(queues(1).is_none() && queues(2).is_some());
        assert!(big_tcp(0).is_none() && big_tcp(65_536).is_none() && big_tcp(65_537).is_some());
        assert!(xdp(None).is_none());
        let found = xdp(Some(Xdp { attached: 1, program_id: 7 })).unwrap();
        assert!(found.text.contains("XDP program 7") && found.text.contains("XDP_TX"), "{}", found.text);
        for found in [queues(2), big_tcp(65_537), port("", "bond", None)] {
            assert!(!found.unwrap().advice.is_empty());
        }
    }
}
