//! The output of flower.

use tc_core::print::{Formatted, Hex, Item, Printer};
use tc_core::uapi::*;
use tc_core::{FilterPlace, protocol};

use super::key::{Bits, Mask, Masked, PortRange};
use super::value::{self, FlagWords};
use super::words::HW_TC;
use super::*;
use crate::action::generic::mac_text;

pub(super) fn print(flower: &Flower, place: &FilterPlace<'_>, out: &mut Printer) {
    if !place.handle.is_unspec() {
        out.json("handle", place.handle.raw());
        out.text_item("handle ", Formatted(format_args!("{:#x}", place.handle.raw())), " ");
    }
    if let Some(class) = flower.class {
        match class.raw() & 0xffff {
            minor @ HW_TC..=0xffef => out.item("hw_tc", "hw_tc ", minor - HW_TC, " "),
            _ => out.item("classid", "classid ", class, " "),
        }
    }
    line_if("indev", flower.indev.as_deref(), out);
    out.object("keys", |out| {
        print_ethernet(flower, out);
        print_ip(flower, out);
        print_arp(flower, out);
        line_if("pppoe_sid", flower.pppoe_sid, out);
        let numeric = out.style().numeric;
        line_if("ppp_proto", flower.ppp_proto.map(|protocol| value::ppp_name(protocol, numeric)), out);
        print_tunnel(flower, out);
        print_flags("ip_flags", flower.ip_flags, value::IP_FLAGS, out);
        print_flags("enc_flags", flower.enc_flags, value::ENC_FLAGS, out);
        line_if("l2_miss", flower.l2_miss.map(u8::from), out);
        print_connection(flower, out);
        if let Some(cfm) = flower.cfm {
            out.newline();
            out.text("  cfm");
            out.object("cfm", |out| {
                out.item_if("mdl", " mdl ", cfm.md_level, "");
                out.item_if("op", " op ", cfm.opcode, "");
            });
        }
        masked("hash", flower.hash, out);
    });
    print_hardware(flower, out);
    if !flower.actions.is_empty() {
        flower.actions.print(out);
    }
}

fn print_ethernet(flower: &Flower, out: &mut Printer) {
    let numeric = out.style().numeric;
    let name = |number: u16| protocol::name(number, numeric);
    line_if("num_of_vlans", flower.num_of_vlans, out);
    line_if("vlan_id", flower.vlan_id, out);
    line_if("vlan_prio", flower.vlan_prio, out);
    line_if("vlan_ethtype", flower.vlan_ethtype.map(name), out);
    line_if("cvlan_id", flower.cvlan_id, out);
    line_if("cvlan_prio", flower.cvlan_prio, out);
    line_if("cvlan_ethtype", flower.cvlan_ethtype.map(name), out);
    line_if("dst_mac", flower.dst_mac.map(mac), out);
    line_if("src_mac", flower.src_mac.map(mac), out);
    let eth_type = flower.eth_type.map(|eth_type| match eth_type {
        ETH_P_IP => "ipv4".to_owned(),
        ETH_P_IPV6 => "ipv6".to_owned(),
        ETH_P_ARP => "arp".to_owned(),
        ETH_P_RARP => "rarp".to_owned(),
        other => format!("{other:04x}"),
    });
    line_if("eth_type", eth_type, out);
}

fn print_ip(flower: &Flower, out: &mut Printer) {
    line_if("ip_proto", flower.ip_proto.map(ip_proto), out);
    masked("ip_tos", flower.ip_tos, out);
    masked("ip_ttl", flower.ip_ttl, out);
    print_labels(&flower.mpls, out);
    line_if("dst_ip", flower.dst_ip.map(|ip| ip.text()), out);
    line_if("src_ip", flower.src_ip.map(|ip| ip.text()), out);
    masked("dst_port", flower.dst_port, out);
    masked("src_port", flower.src_port, out);
    range("dst_port", flower.dst_port_range, flower.dst_port.is_some(), out);
    range("src_port", flower.src_port_range, flower.src_port.is_some(), out);
    let flags = flower.tcp_flags.map(|flags| format!("{:#x}/{:x}", flags.value, flags.mask));
    line_if("tcp_flags", flags, out);
    line_if("icmp_type", flower.icmp_type.map(decimal), out);
    line_if("icmp_code", flower.icmp_code.map(decimal), out);
    line_if("l2tpv3_sid", flower.l2tpv3_sid, out);
    if let Some(spi) = flower.spi {
        out.newline();
        out.json("spi", Hex(spi.value));
        out.text_item("  spi 0x", Hex(spi.value), "");
    }
}

fn print_labels(labels: &[MplsLse], out: &mut Printer) {
    if let Some(outer) = mpls::outer(labels) {
        line_if("mpls_label", outer.label, out);
        // As in tc, these are text in JSON.
        line_if("mpls_tc", outer.tc.map(|tc| tc.to_string()), out);
        line_if("mpls_bos", outer.bos.map(|bos| bos.to_string()), out);
        line_if("mpls_ttl", outer.ttl.map(|ttl| ttl.to_string()), out);
    } else if !labels.is_empty() {
        out.newline();
        out.text("  mpls");
        out.array("mpls", |out| {
            for entry in labels {
                out.newline();
                out.text("    lse");
                out.object("", |out| {
                    out.item("depth", " depth ", entry.depth, "");
                    out.item_if("label", " label ", entry.label, "");
                    out.item_if("tc", " tc ", entry.tc, "");
                    out.item_if("bos", " bos ", entry.bos, "");
                    out.item_if("ttl", " ttl ", entry.ttl, "");
                });
            }
        });
    }
}

fn print_arp(flower: &Flower, out: &mut Printer) {
    line_if("arp_sip", flower.arp_sip.map(|ip| MaskedIp::V4(ip).text()), out);
    line_if("arp_tip", flower.arp_tip.map(|ip| MaskedIp::V4(ip).text()), out);
    let op = flower.arp_op.map(|op| match op.value {
        1 if op.is_exact() => "request".to_owned(),
        2 if op.is_exact() => "reply".to_owned(),
        _ => decimal(op),
    });
    line_if("arp_op", op, out);
    line_if("arp_sha", flower.arp_sha.map(mac), out);
    line_if("arp_tha", flower.arp_tha.map(mac), out);
}

fn print_tunnel(flower: &Flower, out: &mut Printer) {
    line_if("enc_dst_ip", flower.enc_dst_ip.map(|ip| ip.text()), out);
    line_if("enc_src_ip", flower.enc_src_ip.map(|ip| ip.text()), out);
    line_if("enc_key_id", flower.enc_key_id, out);
    masked("enc_dst_port", flower.enc_dst_port, out);
    masked("enc_src_port", flower.enc_src_port, out);
    masked("enc_tos", flower.enc_tos, out);
    masked("enc_ttl", flower.enc_ttl, out);
    if let Some(options) = &flower.enc_opts {
        print_options(options, out);
    }
}

/// The options of a tunnel: in text values and masks together, in JSON an array of each.
fn print_options(options: &TunnelOptions, out: &mut Printer) {
    let name = options.name();
    let [key_name, mask_name] = ["key", "mask"].map(|part| format!("{}_{part}", name.trim_end_matches('s')));
    for (name, is_mask) in [(key_name, false), (mask_name, true)] {
        out.array(&name, |out| match options {
            TunnelOptions::Geneve(list) => {
                for option in list {
                    out.object("", |out| {
                        out.json("class", option.class.part(is_mask));
                        out.json("type", option.option_type.part(is_mask));
                        let data = if is_mask { &option.data.mask } else { &option.data.value };
                        out.array("data", |out| data.iter().for_each(|byte| out.json("", *byte)));
                    });
                }
            }
            TunnelOptions::Vxlan { gbp } => {
                out.object("", |out| out.json("gbp", gbp.part(is_mask)));
            }
            TunnelOptions::Erspan(options) => out.object("", |out| {
                let [index, direction, hardware_id] = options.fields(is_mask);
                out.json("ver", options.version());
                out.json("index", index);
                out.json("dir", direction);
                out.json("hwid", hardware_id);
            }),
            TunnelOptions::Gtp { pdu_type, qfi } => out.object("", |out| {
                out.json("pdu_type", pdu_type.part(is_mask));
                out.json("qfi", qfi.part(is_mask));
            }),
            TunnelOptions::Pfcp { header, seid } => out.object("", |out| {
                out.json("type", header.part(is_mask));
                out.json("seid", seid.part(is_mask));
            }),
        });
    }
    out.newline();
    out.text_item("  ", name, " ");
    out.text(&options.text());
}

fn print_connection(flower: &Flower, out: &mut Printer) {
    line_if("ct_state", flower.ct_state.map(value::ct_state_text), out);
    masked("ct_zone", flower.ct_zone, out);
    masked("ct_mark", flower.ct_mark, out);
    line_if("ct_label", flower.ct_label.map(value::ct_label_text), out);
}

fn print_flags(key: &str, flags: Option<Masked<u32>>, names: FlagWords, out: &mut Printer) {
    let Some(flags) = flags.filter(|flags| names.iter().any(|(_, bit)| flags.mask & bit != 0)) else {
        return;
    };
    out.newline();
    out.text_item("  ", key, " ");
    out.text(&value::flags_text(flags, names));
    out.object(key, |out| {
        for (name, bit) in names.iter().filter(|(_, bit)| flags.mask & bit != 0) {
            out.json(name, flags.value & bit != 0);
        }
    });
}

fn print_hardware(flower: &Flower, out: &mut Printer) {
    let flag = |on: bool, key: &str, out: &mut Printer| {
        if on {
            out.newline();
            out.text("  ");
            out.flag(key, key);
        }
    };
    flag(flower.skip_hw, "skip_hw", out);
    flag(flower.skip_sw, "skip_sw", out);
    flag(flower.reported.in_hw == Some(true), "in_hw", out);
    if flower.reported.in_hw == Some(true) {
        out.item_if("in_hw_count", " in_hw_count ", flower.reported.in_hw_count, "");
    }
    flag(flower.reported.in_hw == Some(false), "not_in_hw", out);
}

/// A key on its line, if it is there.
fn line_if(key: &str, value: Option<impl Item>, out: &mut Printer) {
    let Some(value) = value else { return };
    out.newline();
    out.text_item("  ", key, " ");
    out.item(key, "", value, "");
}

/// A number, and its mask if not all bits count.
fn masked<T: Bits + Item + Into<u32>>(key: &str, number: Option<Masked<T>>, out: &mut Printer) {
    let Some(number) = number else { return };
    line_if(key, Some(number.value), out);
    if !number.is_exact() {
        out.json(&format!("{key}_mask"), Hex(number.mask.into()));
        out.text_item("/0x", Hex(number.mask.into()), "");
    }
}

/// A range of ports. Beside a port its key would be there twice.
fn range(key: &str, range: Option<PortRange>, is_twice: bool, out: &mut Printer) {
    let Some(PortRange { start, end }) = range else { return };
    out.newline();
    out.text_item("  ", key, " ");
    let name = format!("{key}_range");
    out.object(if is_twice { &name } else { key }, |out| {
        out.item("start", "", start, "-");
        out.item("end", "", end, "");
    });
}

fn ip_proto(ip_proto: u8) -> String {
    let name = match ip_proto {
        IPPROTO_TCP => "tcp",
        IPPROTO_UDP => "udp",
        IPPROTO_SCTP => "sctp",
        IPPROTO_ICMP => "icmp",
        IPPROTO_ICMPV6 => "icmpv6",
        other => return format!("{other:02x}"),
    };
    name.to_owned()
}

fn decimal(number: Masked<u8>) -> String {
    match number.is_exact() {
        true => number.value.to_string(),
        false => format!("{}/{}", number.value, number.mask),
    }
}

/// An address, and its mask as a number of bits if the bits that count are the first ones.
fn mac(mac: Masked<[u8; 6]>) -> String {
    let bits = |bytes: [u8; 6]| bytes.into_iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(byte)) << 16;
    let (leading, all) = (bits(mac.mask).leading_ones(), bits(mac.mask).count_ones());
    match (leading == all, all) {
        (true, 48) => mac_text(mac.value),
        (true, bits) if bits != 0 => format!("{}/{bits}", mac_text(mac.value)),
        _ => format!("{}/{}", mac_text(mac.value), mac_text(mac.mask)),
    }
}
