//! Reading the words of flower.

use tc_core::action::Actions;
use tc_core::uapi::*;
use tc_core::units::{parse_decimal, parse_hex, parse_u16, parse_u32, parse_u64};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{FilterPlace, Handle, Verb, protocol};

use super::dumped::{is_arp, is_vlan};
use super::key::{Masked, MaskedIp};
use super::value::{self, Family, error};
use super::*;
use crate::filter::class_of;

/// The words in `tc`'s order, which decides about shortened ones.
const SHORTENED: &[&str] = &[
    "classid",
    "flowid",
    "hw_tc",
    "ip_flags",
    "verbose",
    "skip_hw",
    "skip_sw",
    "ct_state",
    "ct_zone",
    "ct_mark",
    "ct_label",
    "indev",
    "vlan_id",
    "vlan_prio",
    "vlan_ethtype",
    "cvlan_id",
    "cvlan_prio",
    "cvlan_ethtype",
    "mpls",
    "mpls_label",
    "mpls_tc",
    "mpls_bos",
    "mpls_ttl",
    "dst_mac",
    "src_mac",
    "ip_proto",
    "ip_tos",
    "ip_ttl",
    "dst_ip",
    "src_ip",
    "dst_port",
    "src_port",
    "tcp_flags",
    "type",
    "code",
    "arp_tip",
    "arp_sip",
    "arp_op",
    "arp_tha",
    "arp_sha",
    "enc_dst_ip",
    "enc_src_ip",
    "enc_key_id",
    "enc_dst_port",
    "enc_tos",
    "enc_ttl",
    "geneve_opts",
    "vxlan_opts",
    "erspan_opts",
    "action",
];

/// Words that cannot be shortened.
const WHOLE: &[&str] = &[
    "num_of_vlans",
    "pppoe_sid",
    "ppp_proto",
    "gtp_opts",
    "pfcp_opts",
    "l2_miss",
    "l2tpv3_sid",
    "spi",
    "enc_flags",
    "cfm",
    "help",
];

pub(super) fn parse(
    words: &mut Words<'_>,
    context: &WordsContext<'_>,
    place: &FilterPlace<'_>,
) -> Result<Flower, WordError> {
    let outer = place.protocol.unwrap_or_default();
    let eth_type = place.protocol.filter(|protocol| *protocol != ETH_P_ALL);
    let flower = Flower { eth_type, ..Flower::default() };
    let mut reader =
        Reader { flower, outer, eth_type: outer, vlan_ethtype: 0, single_labels: false, label_list: false };
    let is_empty = words.is_empty();
    while let Some(word) = words.next() {
        reader.word(word, words, context, place)?;
    }
    // Without a protocol tc sends the type 0, and the filter matches nothing any more.
    if context.verb == Verb::Change && place.protocol.is_none() && !is_empty {
        return Err(error("flower: a change needs the filter's \"protocol\""));
    }
    match reader.flower.ignored() {
        Some(ignored) if place.protocol.is_some() => Err(error(ignored)),
        _ => Ok(reader.flower),
    }
}

/// The options while they are read, and the types of the headers so far.
pub(super) struct Reader {
    pub(super) flower: Flower,
    /// The type of the outer header; 0 if it is unknown.
    pub(super) outer: u16,
    /// The type of the header that the next keys belong to.
    pub(super) eth_type: u16,
    pub(super) vlan_ethtype: u16,
    /// `mpls_label` and its like were there.
    pub(super) single_labels: bool,
    /// `mpls` was there.
    pub(super) label_list: bool,
}

pub(super) fn illegal(name: &str) -> WordError {
    error(format!("Illegal \"{name}\""))
}

/// The value, or the error that names the word.
pub(super) fn need<T>(value: Option<T>, name: &str) -> Result<T, WordError> {
    value.ok_or_else(|| illegal(name))
}

impl Reader {
    fn word(
        &mut self,
        word: &str,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(), WordError> {
        let shortened = SHORTENED.iter().find(|name| is_prefix(word, name));
        let name = WHOLE.iter().find(|name| **name == word).or(shortened).copied();
        let flower = &mut self.flower;
        match name {
            Some("help") => return Err(WordError::Help),
            None => return Err(WordError::what_is(word)),
            Some("verbose") => flower.verbose = true,
            Some("skip_hw") => flower.skip_hw = true,
            Some("skip_sw") => flower.skip_sw = true,
            Some("classid" | "flowid") => flower.class = Some(class_of(words)?),
            Some("action") => {
                if words.is_empty() {
                    return Err(WordError::Incomplete);
                }
                flower.actions = Actions::parse_words(words, context)?;
            }
            Some("hw_tc") => flower.class = Some(hw_tc(words.value()?, place.parent)?),
            Some("mpls") => self.labels(words)?,
            Some("cfm") => self.cfm(words)?,
            Some(name) => {
                let text = words.value()?;
                self.key(name, text)?;
            }
        }
        Ok(())
    }

    /// A key of one value.
    fn key(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        let tags = self.flower.num_of_vlans.unwrap_or(0);
        let (eth_type, ip_proto) = (self.eth_type, self.flower.ip_proto);
        let flower = &mut self.flower;
        match name {
            "indev" => flower.indev = Some(indev(text)?),
            "num_of_vlans" => flower.num_of_vlans = Some(need(parse_decimal(text).ok(), name)?),
            "vlan_id" | "vlan_prio" | "cvlan_id" | "cvlan_prio" => self.vlan(name, text)?,
            "vlan_ethtype" => {
                let ethertype = ethertype(name, text, is_vlan(eth_type) || tags > 0)?;
                flower.vlan_ethtype = Some(ethertype);
                (self.vlan_ethtype, self.eth_type) = (ethertype, ethertype);
            }
            "cvlan_ethtype" => {
                let ethertype = ethertype(name, text, is_vlan(self.vlan_ethtype) || tags > 1)?;
                flower.cvlan_ethtype = Some(ethertype);
                self.eth_type = ethertype;
            }
            "pppoe_sid" | "ppp_proto" => self.ppp(name, text)?,
            "mpls_label" | "mpls_tc" | "mpls_bos" | "mpls_ttl" => self.label(name, text)?,
            "dst_mac" => flower.dst_mac = Some(mac(name, text)?),
            "src_mac" => flower.src_mac = Some(mac(name, text)?),
            "arp_tha" => flower.arp_tha = Some(mac(name, text)?),
            "arp_sha" => flower.arp_sha = Some(mac(name, text)?),
            "ip_proto" => self.ip_proto(text)?,
            "ip_tos" => flower.ip_tos = Some(need(value::tos_ttl(text), name)?),
            "ip_ttl" => flower.ip_ttl = Some(need(value::tos_ttl(text), name)?),
            "enc_tos" => flower.enc_tos = Some(need(value::tos_ttl(text), name)?),
            "enc_ttl" => flower.enc_ttl = Some(need(value::tos_ttl(text), name)?),
            "dst_ip" => flower.dst_ip = value::ip(text, need(family(eth_type), name)?)?,
            "src_ip" => flower.src_ip = value::ip(text, need(family(eth_type), name)?)?,
            "enc_dst_ip" => flower.enc_dst_ip = value::ip(text, Family::Either)?,
            "enc_src_ip" => flower.enc_src_ip = value::ip(text, Family::Either)?,
            "arp_tip" => flower.arp_tip = arp_ip(name, text, eth_type)?,
            "arp_sip" => flower.arp_sip = arp_ip(name, text, eth_type)?,
            "arp_op" => {
                flower.arp_op = Some(need(value::arp_op(text).filter(|_| is_arp(eth_type)), name)?);
            }
            "dst_port" | "src_port" => self.port(name, text)?,
            "tcp_flags" => flower.tcp_flags = Some(need(value::tcp_flags(text), name)?),
            "type" | "code" => self.icmp(name, text)?,
            "l2tpv3_sid" => {
                if ip_proto != Some(IPPROTO_L2TP) {
                    return Err(error("Can't set \"l2tpv3_sid\" if ip_proto isn't l2tp"));
                }
                flower.l2tpv3_sid = Some(need(parse_decimal(text).ok(), "l2tpv3 session id")?);
            }
            "spi" => {
                if !matches!(ip_proto, Some(IPPROTO_UDP | IPPROTO_ESP | IPPROTO_AH)) {
                    return Err(error("Can't set \"spi\" if ip_proto isn't ESP/UDP/AH"));
                }
                let index: u32 = need(parse_hex(text).ok(), "spi index")?;
                flower.spi = Some(index.into());
            }
            "ip_flags" => need(value::flags(text, value::IP_FLAGS, &mut flower.ip_flags), name)?,
            "enc_flags" => need(value::flags(text, value::ENC_FLAGS, &mut flower.enc_flags), name)?,
            "enc_key_id" => flower.enc_key_id = Some(need(parse_decimal(text).ok(), name)?),
            "enc_dst_port" => {
                let port: u16 = need(parse_decimal(text).ok(), name)?;
                flower.enc_dst_port = Some(port.into());
            }
            "geneve_opts" | "vxlan_opts" | "erspan_opts" | "gtp_opts" | "pfcp_opts" => {
                let wrong = |text: String| error(format!("{text}Illegal \"{name}\""));
                flower.enc_opts = Some(tunnel_text::tunnel_options(name, text).map_err(wrong)?);
            }
            "ct_state" => flower.ct_state = Some(need(value::ct_state(text), name)?),
            "ct_zone" => flower.ct_zone = Some(need(value::masked(text, parse_u16, parse_u16), name)?),
            "ct_mark" => flower.ct_mark = Some(need(value::masked(text, parse_u32, parse_u32), name)?),
            "ct_label" => flower.ct_label = Some(value::ct_label(text)?),
            "l2_miss" => {
                let miss = parse_decimal(text).ok().filter(|miss: &u8| *miss <= 1);
                flower.l2_miss = Some(need(miss, name)? == 1);
            }
            word => return Err(WordError::what_is(word)),
        }
        Ok(())
    }
}

/// The class of a traffic class of the parent: `TC_H_MIN_PRIORITY` and up.
fn hw_tc(text: &str, parent: Handle) -> Result<Handle, WordError> {
    // tc cuts a larger or negative number to 32 bits.
    let number = parse_u64(text.trim_start_matches('-')).map_err(|_| error("Illegal TC index"))?;
    match u32::try_from(number) {
        Ok(number @ 0..16) if !text.starts_with('-') => {
            Ok(Handle::from_raw(parent.raw() & 0xffff_0000 | (HW_TC + number)))
        }
        _ => Err(error("TC index exceeds max range")),
    }
}

/// `TC_H_MIN_PRIORITY`.
pub(super) const HW_TC: u32 = 0xffe0;

fn indev(name: &str) -> Result<String, WordError> {
    let is_wrong = |c: char| c == '/' || c == '\0' || c.is_ascii_whitespace() || c == '\x0b';
    match name.len() {
        1..=15 if !name.contains(is_wrong) => Ok(name.to_owned()),
        _ => Err(WordError::invalid("\"indev\" not a valid ifname", name)),
    }
}

fn mac(name: &str, text: &str) -> Result<Masked<[u8; 6]>, WordError> {
    value::mac(text).map_err(|wrong| error(format!("{wrong}\nIllegal \"{name}\"")))
}

fn ethertype(name: &str, text: &str, is_tagged: bool) -> Result<u16, WordError> {
    if !is_tagged {
        let tags = if name == "vlan_ethtype" { "is 0" } else { "less than 2" };
        return Err(error(format!(
            "Can't set \"{name}\" if ethertype isn't 802.1Q or 802.1AD and num_of_vlans {tags}"
        )));
    }
    protocol::parse(text).ok_or_else(|| WordError::invalid("invalid vlan_ethtype", text))
}

/// The family of addresses in packets of this type.
fn family(eth_type: u16) -> Option<Family> {
    match eth_type {
        ETH_P_IP => Some(Family::V4),
        ETH_P_IPV6 => Some(Family::V6),
        0 => Some(Family::Either),
        _ => None,
    }
}

fn arp_ip(name: &str, text: &str, eth_type: u16) -> Result<Option<Masked<Ipv4Addr>>, WordError> {
    if !is_arp(eth_type) {
        return Err(illegal(name));
    }
    Ok(match value::ip(text, Family::V4)? {
        Some(MaskedIp::V4(ip)) => Some(ip),
        _ => None,
    })
}
