//! The keys that the kernel reads, and those that it dumps.
//!
//! Kernel, `fl_set_key`: which keys it reads depends on the types of the headers. It ignores the
//! others, so that a filter matches more packets than its words say.

use tc_core::uapi::*;

use super::key::{Bits, Mask, Masked, MaskedIp};
use super::*;

/// The headers of the packets, as far as the keys say.
struct Headers {
    /// The type of the packet after the tags.
    inner: Option<u16>,
    /// Whether there is a VLAN tag.
    vlan: bool,
    /// Whether there is a second VLAN tag.
    cvlan: bool,
    /// Whether the packet is in PPPoE.
    pppoe: bool,
}

impl Headers {
    fn of(flower: &Flower) -> Self {
        let tags = flower.num_of_vlans.unwrap_or(0);
        let mut inner = None;
        // Whether a tag begins with this type; a type that is no tag's is the packet's.
        let mut is_tag = |ethertype: Option<u16>, is_counted: bool| match ethertype {
            Some(ethertype) if !is_counted && !is_vlan(ethertype) => {
                inner = Some(ethertype);
                false
            }
            Some(_) => true,
            None => is_counted,
        };
        let vlan = is_tag(flower.eth_type, tags > 0);
        let cvlan = vlan && is_tag(flower.vlan_ethtype, tags > 1);
        if cvlan {
            inner = flower.cvlan_ethtype;
        }
        let pppoe = inner == Some(ETH_P_PPP_SES);
        if pppoe {
            inner = flower.ppp_proto.map(|protocol| type_in_ppp(protocol).unwrap_or(ETH_P_PPP_SES));
        }
        Self { inner, vlan, cvlan, pppoe }
    }
}

pub(super) fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, ETH_P_8021Q | ETH_P_8021AD)
}

pub(super) fn is_mpls(ethertype: u16) -> bool {
    matches!(ethertype, ETH_P_MPLS_UC | ETH_P_MPLS_MC)
}

pub(super) fn is_arp(ethertype: u16) -> bool {
    matches!(ethertype, ETH_P_ARP | ETH_P_RARP)
}

/// The Ethernet type of a packet in PPP.
pub(super) fn type_in_ppp(protocol: u16) -> Option<u16> {
    match protocol {
        0x0021 => Some(ETH_P_IP),
        0x0057 => Some(ETH_P_IPV6),
        0x0281 => Some(ETH_P_MPLS_UC),
        0x0283 => Some(ETH_P_MPLS_MC),
        _ => None,
    }
}

impl Flower {
    /// The reason why the kernel would ignore one of the keys, if it would.
    pub(super) fn ignored(&self) -> Option<String> {
        let (key, needed) = self.clone().remove_ignored()?;
        Some(format!("the kernel ignores \"{key}\" without {needed}"))
    }

    /// Removes the keys that the kernel ignores; returns the first of them, and the key that it
    /// needs.
    fn remove_ignored(&mut self) -> Option<(&'static str, &'static str)> {
        let headers = Headers::of(self);
        let is_inner = |is: fn(u16) -> bool| headers.inner.is_some_and(is);
        let mut first = None;
        macro_rules! only_if {
            ($is_read:expr, $needed:literal, $($field:ident)+) => {$(
                if !$is_read && self.$field.take().is_some() {
                    first.get_or_insert((stringify!($field), $needed));
                }
            )+};
        }
        only_if!(headers.vlan, "eth_type 802.1Q or 802.1ad", vlan_id vlan_prio vlan_ethtype);
        only_if!(headers.cvlan, "vlan_ethtype 802.1Q or 802.1ad", cvlan_id cvlan_prio cvlan_ethtype);
        only_if!(headers.pppoe, "eth_type ppp_ses", pppoe_sid ppp_proto);
        let is_ip = is_inner(|inner| matches!(inner, ETH_P_IP | ETH_P_IPV6));
        only_if!(is_ip, "eth_type ip or ipv6", ip_proto ip_tos ip_ttl);
        let ip_proto = self.ip_proto;
        let has_ports = matches!(ip_proto, Some(IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP));
        only_if!(has_ports, "ip_proto tcp, udp or sctp", src_port dst_port src_port_range dst_port_range);
        only_if!(ip_proto == Some(IPPROTO_TCP), "ip_proto tcp", tcp_flags);
        let is_icmp = match ip_proto {
            Some(IPPROTO_ICMP) => headers.inner == Some(ETH_P_IP),
            Some(IPPROTO_ICMPV6) => headers.inner == Some(ETH_P_IPV6),
            _ => false,
        };
        only_if!(is_icmp, "ip_proto icmp or icmpv6", icmp_type icmp_code);
        only_if!(ip_proto == Some(IPPROTO_L2TP), "ip_proto l2tp", l2tpv3_sid);
        only_if!(is_inner(is_arp), "eth_type arp or rarp", arp_op arp_sip arp_tip arp_sha arp_tha);
        only_if!(headers.inner == Some(ETH_P_CFM), "eth_type 0x8902", cfm);
        if !is_inner(is_mpls) && !std::mem::take(&mut self.mpls).is_empty() {
            first.get_or_insert(("mpls", "eth_type mpls_uc or mpls_mc"));
        }
        first
    }

    /// The keys as the kernel dumps them.
    pub(super) fn keys_as_dumped(&self) -> Self {
        let mut dumped = self.clone();
        dumped.remove_ignored();
        let headers = Headers::of(&dumped);
        let (inner, vlan_ethtype) = (headers.inner, dumped.vlan_ethtype);
        dumped.eth_type = inner;
        dumped.cvlan_ethtype = dumped.cvlan_ethtype.and(inner);
        let is_second_tag = headers.cvlan && vlan_ethtype != Some(0);
        let is_dumped = is_second_tag || (inner.is_some() && dumped.cvlan_ethtype.is_none());
        dumped.vlan_ethtype = vlan_ethtype.filter(|_| is_dumped);
        dumped.mpls = mpls::merge(&dumped.mpls);
        dumped.remove_unmasked();
        // Kernel: only an index that is not 0 is dumped.
        dumped.spi = dumped.spi.filter(|spi| spi.value != 0);
        for flags in [&mut dumped.ip_flags, &mut dumped.enc_flags] {
            *flags = flags.map(|flags| Masked::new(flags.value & flags.mask, flags.mask));
        }
        dumped.enc_opts = dumped.enc_opts.map(|options| options.as_dumped());
        dumped.cfm = dumped.cfm.filter(|cfm| cfm.md_level.is_some() || cfm.opcode.is_some());
        dumped
    }

    /// Removes keys of which no bit counts.
    fn remove_unmasked(&mut self) {
        fn counts<T: Bits>(key: &mut Option<Masked<T>>) {
            *key = key.filter(|masked| !masked.is_any());
        }
        fn ip_counts(key: &mut Option<MaskedIp>) {
            *key = key.filter(|ip| !ip.is_any());
        }
        [&mut self.dst_mac, &mut self.src_mac, &mut self.arp_sha, &mut self.arp_tha]
            .into_iter()
            .for_each(counts);
        [&mut self.ip_tos, &mut self.ip_ttl, &mut self.enc_tos, &mut self.enc_ttl]
            .into_iter()
            .for_each(counts);
        [&mut self.icmp_type, &mut self.icmp_code, &mut self.arp_op].into_iter().for_each(counts);
        [&mut self.src_port, &mut self.dst_port, &mut self.enc_src_port, &mut self.enc_dst_port]
            .into_iter()
            .for_each(counts);
        [&mut self.tcp_flags, &mut self.ct_state, &mut self.ct_zone].into_iter().for_each(counts);
        [&mut self.spi, &mut self.ip_flags, &mut self.enc_flags, &mut self.ct_mark, &mut self.hash]
            .into_iter()
            .for_each(counts);
        [&mut self.arp_sip, &mut self.arp_tip].into_iter().for_each(counts);
        counts(&mut self.ct_label);
        [&mut self.src_ip, &mut self.dst_ip, &mut self.enc_src_ip, &mut self.enc_dst_ip]
            .into_iter()
            .for_each(ip_counts);
    }

    /// The options of a dump as a request needs them, where they tell the type of the outer
    /// header.
    pub(super) fn with_outer_type(&self) -> Self {
        let is_pppoe = self.pppoe_sid.is_some() || self.ppp_proto.is_some();
        let is_tagged = self.num_of_vlans.is_some() || self.vlan_id.is_some() || self.vlan_prio.is_some();
        let is_tagged = is_tagged || self.vlan_ethtype.is_some();
        let eth_type = if is_pppoe && !is_tagged { Some(ETH_P_PPP_SES) } else { self.eth_type };
        Self { eth_type, ..self.clone() }
    }
}
