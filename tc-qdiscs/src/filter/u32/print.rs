//! The output of u32, also of protocol fields (`-p`).

use std::net::{Ipv4Addr, Ipv6Addr};

use tc_core::print::{Formatted, Hex, Hex0x, Printer};
use tc_core::uapi::*;
use tc_core::{FilterPlace, Handle, Syntax};

use super::selector::{Key, Selector};
use super::{U32, handle};

pub(super) fn print(u32: &U32, place: &FilterPlace<'_>, out: &mut Printer) {
    if !place.handle.is_unspec() {
        out.item("fh", "fh ", name(place.handle, out), " ");
    }
    let (_, _, node) = handle::parts(place.handle);
    if node != 0 {
        out.item("order", "order ", node, " ");
    }
    if let Some(divisor) = u32.divisor {
        out.item("ht_divisor", "ht divisor ", divisor, " ");
    } else if let Some(table) = u32.table {
        let (table, bucket, _) = handle::parts(table);
        out.item("key_ht", "key ht ", Hex(table), " ");
        out.item("bkt", "bkt ", Hex(bucket), " ");
    }
    let terminal = u32.selector.as_ref().is_some_and(|selector| selector.terminal);
    match u32.class {
        Some(class) => {
            out.text(if terminal { "" } else { "*" });
            out.item("flowid", "flowid ", class, " ");
        }
        None if terminal => out.text("terminal flowid "),
        None => {}
    }
    if let Some(link) = u32.link {
        out.item("link", "link ", name(link, out), " ");
    }
    print_flags(u32.flags, out);
    let counters = u32.counters.as_ref().filter(|_| out.style().stats);
    if let (Some(counters), Some(_)) = (counters, &u32.selector) {
        out.item("rule_hit", "(rule hit ", counters.hits, " ");
        out.item("success", "success ", counters.success, ")");
    }
    if let Some(mark) = u32.mark {
        out.newline();
        let padded = |number: u32| format!("{number:04x}");
        out.text_item("  mark 0x", padded(mark.value), " ");
        out.json("fwmark_value", Hex0x(mark.value.into()));
        out.text_item("0x", padded(mark.mask), " ");
        out.json("fwmark_mask", Hex0x(mark.mask.into()));
        out.item("fwmark_success", "(success ", mark.success, ")");
    }
    if let Some(selector) = &u32.selector {
        print_keys(selector, place, counters.map(|counters| &counters.keys[..]), out);
        print_offset(selector, out);
    }
    if let Some(police) = &u32.police {
        out.newline();
        Syntax::print(police, out);
    }
    if let Some(indev) = &u32.indev {
        out.newline();
        out.item("input_dev", "  input dev ", indev.as_str(), "");
        out.newline();
    }
    if !u32.actions.is_empty() {
        u32.actions.print(out);
    }
}

/// A handle as `tc` shows it.
fn name(of: Handle, out: &Printer) -> String {
    let part = |number: u32, end: &str| if number == 0 { String::new() } else { format!("{number:x}{end}") };
    let (table, bucket, node) = handle::parts(of);
    let mut name = match of.raw() {
        0 => "none".to_owned(),
        _ => part(table, ":") + &part(bucket, ""),
    };
    if node != 0 {
        name += &format!(":{node:x}");
    }
    if out.style().raw && of.raw() != 0 {
        name += &format!("[{:08x}]", of.raw());
    }
    name
}

fn print_flags(flags: u32, out: &mut Printer) {
    let mut flag = |bit: u32, key: &str| {
        let set = flags & bit != 0;
        if set {
            out.flag(key, &format!("{key} "));
        }
        set
    };
    flag(TCA_CLS_FLAGS_SKIP_HW, "skip_hw");
    flag(TCA_CLS_FLAGS_SKIP_SW, "skip_sw");
    if !flag(TCA_CLS_FLAGS_IN_HW, "in_hw") {
        flag(TCA_CLS_FLAGS_NOT_IN_HW, "not_in_hw");
    }
}

/// The keys. tc has the JSON key "match" once for each of them.
fn print_keys(selector: &Selector, place: &FilterPlace<'_>, counts: Option<&[u64]>, out: &mut Printer) {
    if selector.keys.is_empty() {
        return;
    }
    out.array("matches", |out| {
        let mut keys = &selector.keys[..];
        let mut counts = counts.unwrap_or_default();
        while !keys.is_empty() {
            let mut used = 1;
            out.object("", |out| {
                out.newline();
                used = match place.protocol.filter(|_| out.style().pretty) {
                    Some(ETH_P_IP) => print_ip(keys[0], out),
                    Some(ETH_P_IPV6) => print_ip6(keys, out),
                    _ => 0,
                };
                if used == 0 {
                    print_raw(keys[0], out);
                    used = 1;
                }
                if let Some(count) = counts.get(used - 1) {
                    out.item("success", " (success ", *count, " ) ");
                }
            });
            keys = &keys[used..];
            counts = counts.get(used..).unwrap_or_default();
        }
    });
}

fn print_raw(key: Key, out: &mut Printer) {
    out.json("value", Hex(key.value));
    out.json("mask", Hex(key.mask));
    out.text_item("  match ", Formatted(format_args!("{:08x}/{:08x}", key.value, key.mask)), " at ");
    out.item("offmask", "", if key.offset_mask == 0 { "" } else { "nexthdr+" }, "");
    out.item("off", "", key.at, "");
}

/// Prints a key of IPv4; returns how many keys that were, 0 for an unknown one.
fn print_ip(key: Key, out: &mut Printer) -> usize {
    if key.offset_mask != 0 {
        return 0;
    }
    match (key.at, key.mask) {
        (0, 0x0f00_0000) => out.item("ip_ihl", "  match IP ihl ", key.value >> 24, ""),
        (0, 0x00ff_0000) => {
            out.item("ip_dsfield", "  match IP dsfield ", Hex0x((key.value >> 16).into()), "");
        }
        (8, 0x00ff_0000) => out.item("ip_protocol", "  match IP protocol ", key.value >> 16, ""),
        (12 | 16, mask) if mask.leading_ones() == mask.count_ones() => {
            let name = if key.at == 12 { "src" } else { "dst" };
            let address = Ipv4Addr::from(key.value).to_string();
            print_prefix("IP", name, &address, mask.count_ones(), out);
        }
        (20, mask) => return print_ports(key.value, mask, out),
        _ => return 0,
    }
    1
}

/// Prints an address of IPv6, which takes up to four keys.
fn print_ip6(keys: &[Key], out: &mut Printer) -> usize {
    let key = keys[0];
    if key.offset_mask != 0 {
        return 0;
    }
    match (key.at, key.mask) {
        (0, 0x0ff0_0000) => {
            out.item("ip6_priority", "  match IP6 priority ", Hex0x((key.value >> 20).into()), "");
        }
        (4, 0x0000_ff00) => out.item("ip6_protocol", "  match IP6 protocol ", key.value >> 8, ""),
        (8 | 24, _) => return print_ip6_address(keys, out),
        (40, mask) => return print_ports(key.value, mask, out),
        _ => return 0,
    }
    1
}

fn print_ip6_address(keys: &[Key], out: &mut Printer) -> usize {
    let first = keys[0].at;
    let (mut address, mut mask, mut used) = (0u128, 0u128, 0);
    for (key, at) in keys.iter().zip((first..).step_by(4)).take(4) {
        if key.at != at || key.offset_mask != 0 {
            break;
        }
        let shift = 96 - 32 * used;
        address |= u128::from(key.value) << shift;
        mask |= u128::from(key.mask) << shift;
        used += 1;
    }
    if mask.leading_ones() != mask.count_ones() {
        return 0;
    }
    let name = if first == 8 { "src" } else { "dst" };
    print_prefix("IP6", name, &Ipv6Addr::from(address).to_string(), mask.count_ones(), out);
    used
}

fn print_prefix(protocol: &str, name: &str, address: &str, length: u32, out: &mut Printer) {
    out.text_item("  match ", protocol, " ");
    out.text_item("", name, " ");
    out.object(name, |out| {
        out.item("address", "", address, "/");
        out.item("prefixlen", "", length, "");
    });
}

fn print_ports(value: u32, mask: u32, out: &mut Printer) -> usize {
    let (source, destination) = (value >> 16, value & 0xffff);
    match mask {
        0xffff => out.item("dport", "  match dport ", destination, ""),
        0xffff_0000 => out.item("sport", "  match sport ", source, ""),
        u32::MAX => {
            out.item("dport", "  match dport ", destination, ", ");
            out.item("sport", "match sport ", source, "");
        }
        _ => return 0,
    }
    1
}

fn print_offset(selector: &Selector, out: &mut Printer) {
    if selector.offset.is_some() || selector.plus.is_some() {
        out.newline();
        out.text("    offset ");
        if let Some(offset) = selector.offset {
            out.json("offset_mask", Hex(offset.mask.into()));
            out.text_item("", format!("{:04x}", offset.mask), "");
            out.item("offset_shift", ">>", offset.shift, " ");
            out.item("offset_off", "at ", i32::from(offset.at), " ");
        }
        if let Some(plus) = selector.plus.filter(|plus| *plus != 0) {
            out.item("plus", "plus ", plus, " ");
        }
    }
    if selector.eat {
        out.flag("eat", " eat ");
    }
    if selector.hash_mask != 0 {
        out.newline();
        out.json("hash_mask", Hex(selector.hash_mask));
        out.text_item("    hash mask ", format!("{:08x}", selector.hash_mask), " ");
        out.item("hash_off", "at ", i32::from(selector.hash_at), " ");
    }
}
