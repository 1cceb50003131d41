//! `fl_classify` of `net/sched/cls_flower.c`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use tc_core::uapi::*;

use super::super::packet::{Dissected, dissect, is_vlan};
use super::super::{CannotKnow, Packet, Step, Verdict};
use super::{Body, Filter, Scene};
use crate::filter::flower::{
    Flower, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, Masked, MaskedIp, MplsLse,
    PortRange,
};

/// Kernel: filters with the same masks share a set. The sets are asked in the order of their creation,
/// and the first match ends the priority. A dump has the order of handles, which is that of creation
/// unless filters were deleted.
pub(super) fn classify(scene: &mut Scene<'_>, group: Range<usize>) -> Result<Verdict, CannotKnow> {
    let list = scene.list;
    let mut found = None;
    for at in in_sets(list, group) {
        let options = match &list[at].body {
            Body::Flower(options) => options,
            _ => return scene.cannot_know(at, "the options of the filter cannot be read"),
        };
        if found.is_some() {
            if matches_too(options, &list[at], scene.packet) {
                let text = "another set of masks matches too; the older set counts".to_owned();
                scene.walk.step(Step::Note { text });
                break;
            }
            continue;
        }
        match check(options, &list[at], scene) {
            Ok(None) => found = Some((at, options)),
            Ok(Some(why)) => scene.misses(at, why),
            Err(unknown) => return scene.cannot_know(at, &unknown.reason),
        }
    }
    match found {
        Some((at, options)) => scene.matches(at, options.class, None, &options.actions),
        None => Ok(Verdict::Miss),
    }
}

/// The filters in the order of their sets of masks.
fn in_sets(list: &[Filter], group: Range<usize>) -> Vec<usize> {
    let mut sets: Vec<String> = Vec::new();
    let filters = group.filter(|at| !matches!(list[*at].body, Body::Priority));
    let mut ordered: Vec<(usize, usize)> = filters
        .map(|at| {
            let set = match &list[at].body {
                Body::Flower(options) => masks(options),
                _ => String::new(),
            };
            let number = sets.iter().position(|other| *other == set).unwrap_or(sets.len());
            if number == sets.len() {
                sets.push(set);
            }
            (number, at)
        })
        .collect();
    ordered.sort_unstable();
    ordered.into_iter().map(|(_, at)| at).collect()
}

/// The masks of a filter, in a form to compare.
fn masks(flower: &Flower) -> String {
    macro_rules! masks {
        ($($key:ident),*) => { vec![$(format!("{:?}", flower.$key.map(|masked| masked.mask))),*] };
    }
    macro_rules! given {
        ($($key:ident),*) => { vec![$(format!("{:?}", flower.$key.is_some())),*] };
    }
    let ip = |ip: Option<MaskedIp>| match ip {
        Some(MaskedIp::V4(masked)) => masked.mask.to_string(),
        Some(MaskedIp::V6(masked)) => masked.mask.to_string(),
        None => String::new(),
    };
    let labels = flower.mpls.iter().map(|entry| {
        let fields = (entry.label.is_some(), entry.tc.is_some(), entry.bos.is_some(), entry.ttl.is_some());
        format!("{} {fields:?}", entry.depth)
    });
    let mut text = masks![
        dst_mac,
        src_mac,
        ip_tos,
        ip_ttl,
        src_port,
        dst_port,
        tcp_flags,
        icmp_type,
        icmp_code,
        spi,
        arp_op,
        arp_sip,
        arp_tip,
        arp_sha,
        arp_tha,
        ip_flags,
        enc_src_port,
        enc_dst_port,
        enc_tos,
        enc_ttl,
        enc_flags,
        ct_state,
        ct_zone,
        ct_mark,
        ct_label,
        hash
    ];
    text.extend(given![
        indev,
        eth_type,
        num_of_vlans,
        vlan_id,
        vlan_prio,
        vlan_ethtype,
        cvlan_id,
        cvlan_prio,
        cvlan_ethtype,
        pppoe_sid,
        ppp_proto,
        ip_proto,
        src_port_range,
        dst_port_range,
        l2tpv3_sid,
        enc_key_id,
        enc_opts,
        cfm,
        l2_miss
    ]);
    text.extend([ip(flower.src_ip), ip(flower.dst_ip), ip(flower.enc_src_ip), ip(flower.enc_dst_ip)]);
    text.extend(labels);
    text.join(" ")
}

/// Whether a filter after the one that counts matches too.
fn matches_too(options: &Flower, filter: &Filter, packet: &Packet) -> bool {
    let Ok(found) = dissect(packet) else { return false };
    !options.skip_sw && Check::new(options, filter, packet, &found).mismatch().is_none()
}

/// The first key that does not match.
fn check(options: &Flower, filter: &Filter, scene: &Scene<'_>) -> Result<Option<String>, CannotKnow> {
    if options.skip_sw {
        return Ok(Some("skip_sw".into()));
    }
    let packet = &*scene.packet;
    if let Some(indev) = &options.indev
        && !scene.is_from(Some(indev))?
    {
        return Ok(Some(format!("indev is not {indev}")));
    }
    let found = dissect(packet)?;
    let check = Check::new(options, filter, packet, &found);
    match (check.mismatch(), unknown_key(options)) {
        (None, Some(key)) => Err(CannotKnow::new(format!("the key {key} of flower"))),
        (mismatch, _) => Ok(mismatch),
    }
}

/// A key that depends on facts outside the packet, or that is not read.
fn unknown_key(flower: &Flower) -> Option<&'static str> {
    let keys = [
        (flower.pppoe_sid.is_some(), "pppoe_sid"),
        (flower.ppp_proto.is_some(), "ppp_proto"),
        (flower.l2tpv3_sid.is_some(), "l2tpv3_sid"),
        (flower.spi.is_some(), "spi"),
        (flower.enc_key_id.is_some(), "enc_key_id"),
        (flower.enc_src_ip.is_some(), "enc_src_ip"),
        (flower.enc_dst_ip.is_some(), "enc_dst_ip"),
        (flower.enc_src_port.is_some(), "enc_src_port"),
        (flower.enc_dst_port.is_some(), "enc_dst_port"),
        (flower.enc_tos.is_some(), "enc_tos"),
        (flower.enc_ttl.is_some(), "enc_ttl"),
        (flower.enc_opts.is_some(), "enc_opts"),
        (flower.enc_flags.is_some(), "enc_flags"),
        (flower.ct_state.is_some(), "ct_state"),
        (flower.ct_zone.is_some(), "ct_zone"),
        (flower.ct_mark.is_some(), "ct_mark"),
        (flower.ct_label.is_some(), "ct_label"),
        (flower.cfm.is_some(), "cfm"),
        (flower.l2_miss.is_some(), "l2_miss"),
        (flower.hash.is_some(), "hash"),
    ];
    keys.into_iter().find(|(is_set, _)| *is_set).map(|(_, name)| name)
}

/// A filter beside a packet.
struct Check<'a> {
    flower: &'a Flower,
    protocol: u16,
    packet: &'a Packet,
    found: &'a Dissected,
}

/// `None` goes on, a text ends with a key that does not match.
type Mismatch = Option<String>;

fn number<T>(name: &str, found: T, wanted: Option<T>) -> Mismatch
where
    T: PartialEq + std::fmt::Display,
{
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(format!("{name} is {found}, not {wanted}"))
}

fn hex(name: &str, found: impl Into<u32>, wanted: Option<Masked<u32>>) -> Mismatch {
    let found = found.into();
    let wanted = wanted.filter(|wanted| (found ^ wanted.value) & wanted.mask != 0)?;
    Some(format!("{name} is {found:#x}, not {:#x}/{:#x}", wanted.value, wanted.mask))
}

/// A number, compared under its mask.
fn masked<T: Into<u32> + Copy>(name: &str, found: T, wanted: Option<Masked<T>>) -> Mismatch {
    let wanted = wanted?;
    let (found, value, mask) = (found.into(), wanted.value.into(), wanted.mask.into());
    ((found ^ value) & mask != 0).then(|| format!("{name} is {found}, not {value}/{mask:#x}"))
}

fn mac(name: &str, found: [u8; 6], wanted: Option<Masked<[u8; 6]>>) -> Mismatch {
    let wanted = wanted?;
    let mut bytes = found.iter().zip(wanted.value).zip(wanted.mask);
    let text = |mac: [u8; 6]| crate::action::generic::mac_text(mac);
    let is_other = bytes.any(|((found, value), mask)| (found ^ value) & mask != 0);
    is_other.then(|| format!("{name} is {}, not {}", text(found), text(wanted.value)))
}

fn ipv4(name: &str, found: Ipv4Addr, wanted: Option<Masked<Ipv4Addr>>) -> Mismatch {
    let wanted = wanted?;
    let is_other = (found.to_bits() ^ wanted.value.to_bits()) & wanted.mask.to_bits() != 0;
    is_other.then(|| format!("{name} is {found}, not {}/{}", wanted.value, wanted.mask))
}

fn ipv6(name: &str, found: Ipv6Addr, wanted: Masked<Ipv6Addr>) -> Mismatch {
    let is_other = (found.to_bits() ^ wanted.value.to_bits()) & wanted.mask.to_bits() != 0;
    is_other.then(|| format!("{name} is {found}, not {}/{}", wanted.value, wanted.mask))
}

fn ip(name: &str, found: Option<IpAddr>, wanted: Option<MaskedIp>) -> Mismatch {
    match (found, wanted?) {
        (Some(IpAddr::V4(found)), MaskedIp::V4(wanted)) => ipv4(name, found, Some(wanted)),
        (Some(IpAddr::V6(found)), MaskedIp::V6(wanted)) => ipv6(name, found, wanted),
        (_, MaskedIp::V4(_)) => Some(format!("{name}: the packet has no address of IPv4")),
        (_, MaskedIp::V6(_)) => Some(format!("{name}: the packet has no address of IPv6")),
    }
}

fn range(name: &str, found: u16, wanted: Option<PortRange>) -> Mismatch {
    let wanted = wanted.filter(|wanted| !(wanted.start..=wanted.end).contains(&found))?;
    Some(format!("{name} is {found}, not in {}-{}", wanted.start, wanted.end))
}

impl<'a> Check<'a> {
    const fn new(flower: &'a Flower, filter: &Filter, packet: &'a Packet, found: &'a Dissected) -> Self {
        Self { flower, protocol: filter.protocol, packet, found }
    }

    fn mismatch(&self) -> Mismatch {
        let (flower, found) = (self.flower, self.found);
        let array = |at| self.packet.array::<6>(at).unwrap_or_default();
        let addresses = found.addresses;
        None.or_else(|| mac("dst_mac", array(0), flower.dst_mac))
            .or_else(|| mac("src_mac", array(6), flower.src_mac))
            .or_else(|| number("num_of_vlans", found.vlan_count, flower.num_of_vlans))
            .or_else(|| self.tags())
            .or_else(|| self.ethertype())
            .or_else(|| number("ip_proto", found.ip_proto, flower.ip_proto))
            .or_else(|| masked("ip_tos", found.tos, flower.ip_tos))
            .or_else(|| masked("ip_ttl", found.ttl, flower.ip_ttl))
            .or_else(|| ip("src_ip", addresses.map(|(source, _)| source), flower.src_ip))
            .or_else(|| ip("dst_ip", addresses.map(|(_, destination)| destination), flower.dst_ip))
            .or_else(|| self.ports())
            .or_else(|| self.icmp())
            .or_else(|| self.arp())
            .or_else(|| flower.mpls.iter().find_map(|entry| label(entry, &found.labels)))
            .or_else(|| {
                let bits = (found.is_fragment, found.is_first_fragment);
                let fragment = if bits.0 { TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT } else { 0 };
                let first = if bits.1 { TCA_FLOWER_KEY_FLAGS_FRAG_IS_FIRST } else { 0 };
                hex("ip_flags", fragment | first, flower.ip_flags)
            })
    }

    /// Keys of tags count if the types before them are those of tags (`is_vlan_key`).
    fn tags(&self) -> Mismatch {
        let (flower, [outer, inner]) = (self.flower, &self.found.vlans);
        let count = flower.num_of_vlans.unwrap_or(0);
        if !is_vlan(self.protocol) && count == 0 {
            return None;
        }
        let first = number("vlan_id", outer.id, flower.vlan_id)
            .or_else(|| number("vlan_prio", outer.priority, flower.vlan_prio))
            .or_else(|| ethertype("vlan_ethtype", outer.ethertype, flower.vlan_ethtype));
        if !flower.vlan_ethtype.is_some_and(is_vlan) && count < 2 {
            return first;
        }
        first
            .or_else(|| number("cvlan_id", inner.id, flower.cvlan_id))
            .or_else(|| number("cvlan_prio", inner.priority, flower.cvlan_prio))
            .or_else(|| ethertype("cvlan_ethtype", inner.ethertype, flower.cvlan_ethtype))
    }

    /// The type after the tags. A dump has it as `eth_type`, a request only if there are no tags.
    fn ethertype(&self) -> Mismatch {
        let wanted = self.flower.eth_type.filter(|wanted| !is_vlan(*wanted));
        ethertype("eth_type", self.found.protocol, wanted)
    }

    fn ports(&self) -> Mismatch {
        let (flower, found) = (self.flower, self.found);
        if !matches!(flower.ip_proto, Some(IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP)) {
            return None;
        }
        let flags = flower.tcp_flags.filter(|_| flower.ip_proto == Some(IPPROTO_TCP));
        let flags = flags.map(|flags| Masked::new(flags.value.into(), flags.mask.into()));
        masked("src_port", found.src_port, flower.src_port)
            .or_else(|| masked("dst_port", found.dst_port, flower.dst_port))
            .or_else(|| range("dst_port", found.dst_port, flower.dst_port_range))
            .or_else(|| range("src_port", found.src_port, flower.src_port_range))
            .or_else(|| hex("tcp_flags", found.tcp_flags, flags))
    }

    fn icmp(&self) -> Mismatch {
        if !matches!(self.flower.ip_proto, Some(IPPROTO_ICMP | IPPROTO_ICMPV6)) {
            return None;
        }
        masked("icmp_type", self.found.icmp_type, self.flower.icmp_type)
            .or_else(|| masked("icmp_code", self.found.icmp_code, self.flower.icmp_code))
    }

    fn arp(&self) -> Mismatch {
        let (flower, arp) = (self.flower, &self.found.arp);
        masked("arp_op", arp.op, flower.arp_op)
            .or_else(|| ipv4("arp_sip", arp.sip.into(), flower.arp_sip))
            .or_else(|| ipv4("arp_tip", arp.tip.into(), flower.arp_tip))
            .or_else(|| mac("arp_sha", arp.sha, flower.arp_sha))
            .or_else(|| mac("arp_tha", arp.tha, flower.arp_tha))
    }
}

fn ethertype(name: &str, found: u16, wanted: Option<u16>) -> Mismatch {
    let wanted = wanted.filter(|wanted| *wanted != found)?;
    Some(format!("{name} is {found:#06x}, not {wanted:#06x}"))
}

fn label(entry: &MplsLse, labels: &[u32]) -> Mismatch {
    let at = usize::from(entry.depth).checked_sub(1);
    let Some(found) = at.and_then(|at| labels.get(at)).copied() else {
        return Some(format!("the packet has no MPLS label at depth {}", entry.depth));
    };
    number("the MPLS label", found >> 12, entry.label)
        .or_else(|| number("the MPLS traffic class", (found >> 9 & 7) as u8, entry.tc))
        .or_else(|| number("the MPLS bottom of stack", (found >> 8 & 1) as u8, entry.bos))
        .or_else(|| number("the MPLS time to live", found as u8, entry.ttl))
}
