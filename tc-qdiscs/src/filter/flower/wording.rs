//! The options as exact words.

use std::fmt::Display;

use tc_core::words::{Words, WordsContext, is_plain};
use tc_core::{FilterPlace, OptionWords, Verb, protocol};

use super::key::{Bits, Mask, Masked, PortRange};
use super::wire::TCP_FLAGS_ALL;
use super::*;
use crate::action::generic::mac_text;

/// The words of all keys, and the masks: a change can set values, but not masks.
struct Wording<'a, 'n> {
    out: &'a mut OptionWords<'n>,
    masks: Vec<String>,
    line: String,
}

pub(super) fn write(flower: &Flower, place: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
    let mut wording = Wording { out, masks: Vec::new(), line: String::new() };
    wording.ethernet(flower);
    wording.ip(flower);
    wording.arp(flower);
    wording.tunnel(flower);
    wording.connection(flower);
    let Wording { out, masks, line } = wording;
    out.silent("mask", masks.join(" "));
    if let Some(protocol) = place.protocol {
        let mut sent = FilterPlace::default();
        sent.protocol = Some(protocol);
        let words: Vec<_> = line.split_whitespace().collect();
        let read = words::parse(&mut Words::new(&words), &WordsContext::new(Verb::Add), &sent);
        match read.map(|read| [read.eth_type, read.keys_as_dumped().eth_type]) {
            Ok(types) if types.contains(&flower.eth_type) => {}
            Ok(_) => out.cannot_say("an Ethernet type other than the protocol's"),
            Err(error) => out.cannot_say(&format!("these keys together ({error})")),
        }
    }
    out.text("class", flower.class.map(|class| format!("classid {class}")).unwrap_or_default());
    out.flag("skip_hw", flower.skip_hw);
    out.flag("skip_sw", flower.skip_sw);
    out.flag("verbose", flower.verbose);
    match indexed_actions(flower) {
        Some(words) => out.silent("actions", words),
        None => out.leave_open("actions"),
    }
    flower.actions.to_words(out);
}

/// The words of the actions, if there is an index among them. Kernel: a change with the index of an
/// action that is there takes that action as it is.
fn indexed_actions(flower: &Flower) -> Option<String> {
    let mut words = OptionWords::new();
    flower.actions.to_words(&mut words);
    Some(words.lines().concat()).filter(|words| words.contains(" index "))
}

impl Wording<'_, '_> {
    /// A key: its words, and the bits that count.
    fn say(&mut self, key: &str, value: Option<(String, String)>) {
        let (words, mask) = value.unwrap_or_default();
        if !words.is_empty() {
            self.masks.push(if mask.is_empty() { key.to_owned() } else { format!("{key}/{mask}") });
            self.line += &words;
            self.line.push(' ');
        }
        self.out.text(key, words);
    }

    /// A key without a mask.
    fn plain(&mut self, key: &str, value: Option<impl Display>) {
        self.say(key, value.map(|value| (format!("{key} {value}"), String::new())));
    }

    /// A number whose mask is hexadecimal.
    fn masked<T: Bits + Display + Into<u32>>(&mut self, key: &str, number: Option<Masked<T>>) {
        let words = |number: Masked<T>| {
            let mask: u32 = number.mask.into();
            match number.is_exact() {
                true => (format!("{key} {}", number.value), String::new()),
                false => (format!("{key} {}/{mask:#x}", number.value), format!("{mask:#x}")),
            }
        };
        self.say(key, number.map(words));
    }

    /// A number whose mask is decimal.
    fn decimal(&mut self, key: &str, word: &str, number: Option<Masked<u8>>) {
        let words = |number: Masked<u8>| match number.is_exact() {
            true => (format!("{word} {}", number.value), String::new()),
            false => (format!("{word} {}/{}", number.value, number.mask), number.mask.to_string()),
        };
        self.say(key, number.map(words));
    }

    fn mac(&mut self, key: &str, mac: Option<Masked<[u8; 6]>>) {
        let words = |mac: Masked<[u8; 6]>| match mac.is_exact() {
            true => (format!("{key} {}", mac_text(mac.value)), String::new()),
            false => {
                let mask = mac_text(mac.mask);
                (format!("{key} {}/{mask}", mac_text(mac.value)), mask)
            }
        };
        self.say(key, mac.map(words));
    }

    fn address(&mut self, key: &str, ip: Option<MaskedIp>) {
        let Some(ip) = ip else { return self.say(key, None) };
        let (value, mask, bits) = match ip {
            MaskedIp::V4(ip) => (ip.value.to_string(), ip.mask.to_string(), 32),
            MaskedIp::V6(ip) => (ip.value.to_string(), ip.mask.to_string(), 128),
        };
        let words = match ip.prefix_length() {
            Some(length) if length == bits => format!("{key} {value}"),
            Some(length) => format!("{key} {value}/{length}"),
            None => {
                self.out.cannot_say(&format!("{key} with the mask {mask}"));
                format!("{key} {value}")
            }
        };
        self.say(key, Some((words, mask)));
    }

    /// A port, which `tc` 6.1 refuses if it is 0 and has no mask.
    fn port(&mut self, key: &str, port: Option<Masked<u16>>) {
        let words = |port: Masked<u16>| match port.is_exact() && port.value != 0 {
            true => (format!("{key} {}", port.value), String::new()),
            false => (format!("{key} {}/{:#x}", port.value, port.mask), format!("{:#x}", port.mask)),
        };
        self.say(key, port.map(words));
    }

    fn range(&mut self, key: &str, word: &str, range: Option<PortRange>) {
        let words = |PortRange { start, end }| (format!("{word} {start}-{end}"), String::new());
        self.say(key, range.map(words));
    }

    /// A key without words.
    fn no_words(&mut self, key: &str, value: Option<impl Display>) {
        match value {
            Some(value) => {
                self.out.cannot_say(&format!("{key} {value}"));
                self.masks.push(format!("{key} {value}"));
            }
            None => self.out.text(key, ""),
        }
    }

    fn ethernet(&mut self, flower: &Flower) {
        match flower.indev.as_deref() {
            Some(name) if !is_plain(name) => self.no_words("indev", Some(format!("{name:?}"))),
            name => self.plain("indev", name),
        }
        self.plain("num_of_vlans", flower.num_of_vlans);
        self.plain("vlan_id", flower.vlan_id);
        self.plain("vlan_prio", flower.vlan_prio);
        self.plain("vlan_ethtype", flower.vlan_ethtype.map(protocol::word));
        self.plain("cvlan_id", flower.cvlan_id);
        self.plain("cvlan_prio", flower.cvlan_prio);
        self.plain("cvlan_ethtype", flower.cvlan_ethtype.map(protocol::word));
        self.plain("pppoe_sid", flower.pppoe_sid);
        self.plain("ppp_proto", flower.ppp_proto.map(|protocol| format!("{protocol:#06x}")));
        self.mac("dst_mac", flower.dst_mac);
        self.mac("src_mac", flower.src_mac);
        self.plain("l2_miss", flower.l2_miss.map(u8::from));
        let cfm = |cfm: Cfm| {
            let part = |word: &str, number: Option<u8>| {
                number.map(|number| format!(" {word} {number}")).unwrap_or_default()
            };
            let words = format!("cfm{}{}", part("mdl", cfm.md_level), part("op", cfm.opcode));
            (words, format!("{:?} {:?}", cfm.md_level.is_some(), cfm.opcode.is_some()))
        };
        self.say("cfm", flower.cfm.map(cfm));
    }

    fn ip(&mut self, flower: &Flower) {
        let ip_proto = |ip_proto: u8| match ip_proto {
            IPPROTO_TCP => "tcp".to_owned(),
            IPPROTO_UDP => "udp".to_owned(),
            IPPROTO_SCTP => "sctp".to_owned(),
            IPPROTO_ICMP => "icmp".to_owned(),
            IPPROTO_ICMPV6 => "icmpv6".to_owned(),
            other => format!("{other:#04x}"),
        };
        self.plain("ip_proto", flower.ip_proto.map(ip_proto));
        self.masked("ip_tos", flower.ip_tos);
        self.masked("ip_ttl", flower.ip_ttl);
        self.labels(&flower.mpls);
        self.address("dst_ip", flower.dst_ip);
        self.address("src_ip", flower.src_ip);
        self.port("dst_port", flower.dst_port);
        self.range("dst_port_range", "dst_port", flower.dst_port_range);
        self.port("src_port", flower.src_port);
        self.range("src_port_range", "src_port", flower.src_port_range);
        let tcp_flags = |flags: Masked<u16>| {
            let mask = format!("{:#x}", flags.mask & TCP_FLAGS_ALL);
            (format!("tcp_flags {:#x}/{mask}", flags.value), mask)
        };
        self.say("tcp_flags", flower.tcp_flags.map(tcp_flags));
        self.decimal("icmp_type", "type", flower.icmp_type);
        self.decimal("icmp_code", "code", flower.icmp_code);
        self.plain("l2tpv3_sid", flower.l2tpv3_sid);
        match flower.spi {
            Some(spi) if !spi.is_exact() => {
                self.no_words("spi", Some(format!("{:#x} with the mask {:#x}", spi.value, spi.mask)));
            }
            spi => self.plain("spi", spi.map(|spi| format!("{:#x}", spi.value))),
        }
        self.flags("ip_flags", flower.ip_flags, value::IP_FLAGS);
    }

    fn labels(&mut self, labels: &[MplsLse]) {
        let field = |word: &str, number: Option<u32>| {
            number.map(|number| format!(" {word} {number}")).unwrap_or_default()
        };
        let fields = |entry: &MplsLse, before: &str| {
            [
                ("label", entry.label),
                ("tc", entry.tc.map(u32::from)),
                ("bos", entry.bos.map(u32::from)),
                ("ttl", entry.ttl.map(u32::from)),
            ]
            .into_iter()
            .map(|(word, number)| field(&format!("{before}{word}"), number))
            .collect::<String>()
        };
        let list = |entry: &MplsLse| format!(" lse depth {}{}", entry.depth, fields(entry, ""));
        let words = match mpls::outer(labels) {
            Some(outer) => fields(&outer, "mpls_").trim_start().to_owned(),
            None if labels.is_empty() => String::new(),
            None => format!("mpls{}", labels.iter().map(list).collect::<String>()),
        };
        let is_number = |word: &&str| word.parse::<u32>().is_err();
        let mask: Vec<_> = words.split(' ').filter(is_number).collect();
        let mask = mask.join(" ");
        self.say("mpls", Some((words, mask)));
    }

    fn arp(&mut self, flower: &Flower) {
        self.decimal("arp_op", "arp_op", flower.arp_op);
        self.address("arp_sip", flower.arp_sip.map(MaskedIp::V4));
        self.address("arp_tip", flower.arp_tip.map(MaskedIp::V4));
        self.mac("arp_sha", flower.arp_sha);
        self.mac("arp_tha", flower.arp_tha);
    }

    fn tunnel(&mut self, flower: &Flower) {
        self.address("enc_dst_ip", flower.enc_dst_ip);
        self.address("enc_src_ip", flower.enc_src_ip);
        self.plain("enc_key_id", flower.enc_key_id);
        match flower.enc_dst_port {
            Some(port) if !port.is_exact() => {
                self.no_words("enc_dst_port", Some(format!("{} with the mask {:#x}", port.value, port.mask)));
            }
            port => self.plain("enc_dst_port", port.map(|port| port.value)),
        }
        let port = flower.enc_src_port;
        self.no_words("enc_src_port", port.map(|port| format!("{}/{:#x}", port.value, port.mask)));
        self.masked("enc_tos", flower.enc_tos);
        self.masked("enc_ttl", flower.enc_ttl);
        let options =
            |options: &TunnelOptions| (format!("{} {}", options.name(), options.text()), options.mask_text());
        self.say("enc_opts", flower.enc_opts.as_ref().map(options));
        self.flags("enc_flags", flower.enc_flags, value::ENC_FLAGS);
    }

    fn connection(&mut self, flower: &Flower) {
        let state = |state: Masked<u16>| {
            (format!("ct_state {}", value::ct_state_text(state)), format!("{:#x}", state.mask))
        };
        let known = value::CT_STATES.iter().fold(0, |known, (_, bit)| known | bit);
        // A mask without bits has no words either.
        let is_known = |state: &Masked<u16>| state.mask != 0 && state.mask & !known == 0;
        if let Some(state) = flower.ct_state.filter(|state| !is_known(state)) {
            self.out.cannot_say(&format!("ct_state {:#x}/{:#x}", state.value, state.mask));
        }
        self.say("ct_state", flower.ct_state.filter(|state| state.mask & known != 0).map(state));
        self.masked("ct_zone", flower.ct_zone);
        self.masked("ct_mark", flower.ct_mark);
        let label = |label: Masked<[u8; 16]>| {
            let mask = format!("{:032x}", u128::from_be_bytes(label.mask));
            (format!("ct_label {}", value::ct_label_text(label)), mask)
        };
        self.say("ct_label", flower.ct_label.map(label));
        let hash = flower.hash;
        self.no_words("hash", hash.map(|hash| format!("{:#x}/{:#x}", hash.value, hash.mask)));
    }

    fn flags(&mut self, key: &str, flags: Option<Masked<u32>>, names: value::FlagWords) {
        let known = names.iter().fold(0, |known, (_, bit)| known | bit);
        // A mask without bits has no words either.
        let is_known = |flags: &Masked<u32>| flags.mask != 0 && flags.mask & !known == 0;
        if let Some(flags) = flags.filter(|flags| !is_known(flags)) {
            self.out.cannot_say(&format!("{key} {:#x}/{:#x}", flags.value, flags.mask));
        }
        let words = |flags: Masked<u32>| {
            (format!("{key} {}", value::flags_text(flags, names)), format!("{:#x}", flags.mask))
        };
        self.say(key, flags.filter(|flags| flags.mask & known != 0).map(words));
    }
}
