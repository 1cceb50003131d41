//! Reading the words of keys that depend on the headers before them.

use tc_core::uapi::*;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words, is_prefix};

use super::dumped::{is_mpls, is_vlan, type_in_ppp};
use super::key::Cfm;
use super::value::{self, Ports, error};
use super::words::{Reader, illegal, need};
use super::*;

impl Reader {
    pub(super) fn vlan(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        let tags = self.flower.num_of_vlans.unwrap_or(0);
        let is_inner = name.starts_with('c');
        let (is_there, what) = match is_inner {
            false => {
                (is_vlan(self.outer) || tags > 0, "ethertype isn't 802.1Q or 802.1AD and num_of_vlans is 0")
            }
            true => (
                is_vlan(self.vlan_ethtype) || tags > 1,
                "inner vlan ethertype isn't 802.1Q or 802.1AD and num_of_vlans is less than 2",
            ),
        };
        if !is_there {
            return Err(error(format!("Can't set \"{name}\" if {what}")));
        }
        let number = |most: u16| parse_decimal(text).ok().filter(|number: &u16| *number <= most);
        let id = number(0xfff);
        let prio = number(7).and_then(|prio| u8::try_from(prio).ok());
        match name {
            "vlan_id" => self.flower.vlan_id = Some(need(id, name)?),
            "vlan_prio" => self.flower.vlan_prio = Some(need(prio, name)?),
            "cvlan_id" => self.flower.cvlan_id = Some(need(id, name)?),
            _ => self.flower.cvlan_prio = Some(need(prio, name)?),
        }
        Ok(())
    }

    pub(super) fn ppp(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        if self.eth_type != ETH_P_PPP_SES {
            return Err(error(format!("Can't set \"{name}\" if ethertype isn't PPPoE session")));
        }
        if name == "pppoe_sid" {
            self.flower.pppoe_sid = Some(need(parse_decimal(text).ok(), name)?);
            return Ok(());
        }
        let invalid = || WordError::invalid("invalid ppp_proto", text);
        let protocol = value::ppp_proto(text).ok_or_else(invalid)?;
        self.flower.ppp_proto = Some(protocol);
        self.eth_type = type_in_ppp(protocol).unwrap_or(self.eth_type);
        Ok(())
    }

    pub(super) fn ip_proto(&mut self, text: &str) -> Result<(), WordError> {
        let flower = &mut self.flower;
        let wrong = |text: &str| error(format!("{text}Illegal \"ip_proto\""));
        let ip_proto = value::ip_proto(text, self.eth_type).map_err(wrong)?;
        let is_used = flower.src_port.is_some() || flower.dst_port.is_some() || flower.icmp_type.is_some();
        let is_used = is_used || flower.icmp_code.is_some();
        // The keys after the first one would belong to the second.
        if is_used && flower.ip_proto != Some(ip_proto) {
            return Err(WordError::duplicate("ip_proto", text));
        }
        flower.ip_proto = Some(ip_proto);
        Ok(())
    }

    pub(super) fn port(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        let wrong = |wrong: WordError| error(format!("{wrong}\nIllegal \"{name}\""));
        let ports = need(value::ports(text).map_err(wrong)?, name)?;
        let flower = &mut self.flower;
        if !matches!(flower.ip_proto, Some(IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP)) {
            return Err(illegal(name));
        }
        match (name, ports) {
            ("dst_port", Ports::Port(port)) => flower.dst_port = Some(port),
            ("dst_port", Ports::Range(range)) => flower.dst_port_range = Some(range),
            (_, Ports::Port(port)) => flower.src_port = Some(port),
            (_, Ports::Range(range)) => flower.src_port_range = Some(range),
        }
        Ok(())
    }

    pub(super) fn icmp(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        let flower = &mut self.flower;
        let is_icmp = matches!(
            (self.eth_type, flower.ip_proto),
            (ETH_P_IP, Some(IPPROTO_ICMP)) | (ETH_P_IPV6, Some(IPPROTO_ICMPV6))
        );
        let number = value::masked(text, parse_decimal, parse_decimal).filter(|_| is_icmp);
        let number = need(number, &format!("icmp {name}"))?;
        match name {
            "type" => flower.icmp_type = Some(number),
            _ => flower.icmp_code = Some(number),
        }
        Ok(())
    }

    /// A field of the outer label.
    pub(super) fn label(&mut self, name: &str, text: &str) -> Result<(), WordError> {
        if !is_mpls(self.eth_type) {
            return Err(error(format!("Can't set \"{name}\" if ethertype isn't MPLS")));
        }
        if self.label_list {
            return Err(error(format!("Can't set \"{name}\" if \"mpls\" is set")));
        }
        self.single_labels = true;
        let entry = label_field(MplsLse::at(1), name.trim_start_matches("mpls_"), text);
        self.flower.mpls.push(need(entry, name)?);
        self.flower.mpls = mpls::merge(&self.flower.mpls);
        Ok(())
    }

    /// The words after `mpls`.
    pub(super) fn labels(&mut self, words: &mut Words<'_>) -> Result<(), WordError> {
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        if !is_mpls(self.eth_type) {
            return Err(error("Can't set \"mpls\" if ethertype isn't MPLS"));
        }
        if self.single_labels {
            let single = "\"mpls_label\", \"mpls_tc\", \"mpls_bos\" or \"mpls_ttl\"";
            return Err(error(format!("Can't set \"mpls\" if {single} is set")));
        }
        self.label_list = true;
        let mut entries = Vec::new();
        while words.peek().is_some_and(|word| is_prefix(word, "lse")) {
            words.next();
            if words.is_empty() {
                return Err(WordError::Incomplete);
            }
            let mut entry = MplsLse::at(0);
            let field = |word: &str| {
                ["depth", "label", "tc", "bos", "ttl"].into_iter().find(|name| is_prefix(word, name))
            };
            while let Some(name) = words.peek().and_then(field) {
                words.next();
                entry = need(label_field(entry, name, words.value()?), name)?;
            }
            if entry.depth == 0 {
                return Err(WordError::Usage("Error: argument \"depth\" is required\n".into()));
            }
            entries.push(entry);
        }
        self.flower.mpls = mpls::merge(&entries);
        Ok(())
    }

    /// The words after `cfm`.
    pub(super) fn cfm(&mut self, words: &mut Words<'_>) -> Result<(), WordError> {
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        if self.eth_type != ETH_P_CFM {
            return Err(error("Can't set attribute if ethertype isn't CFM"));
        }
        let mut cfm = Cfm::default();
        while let Some(word @ ("mdl" | "op")) = words.peek() {
            words.next();
            let number = parse_decimal(words.value()?).ok();
            match word {
                "mdl" => cfm.md_level = Some(need(number, "cfm md level")?),
                _ => cfm.opcode = Some(need(number, "cfm opcode")?),
            }
        }
        self.flower.cfm = Some(cfm);
        Ok(())
    }
}

fn label_field(entry: MplsLse, name: &str, text: &str) -> Option<MplsLse> {
    let number = |most: u32| parse_decimal(text).ok().filter(|number: &u32| *number <= most);
    let byte = |most: u32| number(most).and_then(|number| u8::try_from(number).ok());
    Some(match name {
        "depth" => entry.depth(byte(255).filter(|depth| *depth > 0)?),
        "label" => entry.label(number(0xf_ffff)?),
        "tc" => entry.tc(byte(7)?),
        "bos" => entry.bos(byte(1)?),
        _ => entry.ttl(byte(255)?),
    })
}
