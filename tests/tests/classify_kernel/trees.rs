//! Trees by chance, in the words of tc.

use tests::random::Chance;

use crate::packets::{ADDRESSES, ADDRESSES6, MACS, MARKS, PORTS, Sent, TOS, VLANS};

/// The commands of a tree on `near` and `far`. `sent` are the packets that filters take their values
/// from.
pub(crate) fn tree(chance: &mut Chance, sent: &[Sent]) -> Vec<String> {
    let root = *chance.of(&["htb", "htb", "prio", "hfsc", "drr", "ets"]);
    let mut commands: Vec<String> = Vec::new();
    let mut say = |text: &str| commands.push(text.to_owned());
    let class = |id: &str, parent: &str, rest: &str| {
        format!("class add dev near parent {parent} classid {id} {root} {rest}")
    };
    let default = *chance.of(&["10", "12", "99", "1"]);
    match root {
        "htb" => say(&format!("qdisc add dev near root handle 1: htb default {default}")),
        "hfsc" => say(&format!("qdisc add dev near root handle 1: hfsc default {default}")),
        "prio" => {
            say("qdisc add dev near root handle 1: prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 3")
        }
        "ets" => say(
            "qdisc add dev near root handle 1: ets bands 4 strict 2 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 3",
        ),
        _ => say("qdisc add dev near root handle 1: drr"),
    }
    let rates = match root {
        "htb" => "rate 1gbit ceil 10gbit burst 10m cburst 10m",
        "hfsc" => "sc rate 1gbit",
        _ => "",
    };
    if matches!(root, "htb" | "hfsc") {
        say(&class("1:1", "1:", rates));
    }
    if !matches!(root, "prio" | "ets") {
        let parents = if root == "drr" { ["1:"; 3] } else { ["1:", "1:1", "1:1"] };
        for (id, parent) in ["1:10", "1:11", "1:12"].into_iter().zip(parents) {
            say(&class(id, parent, rates));
        }
    }
    say("qdisc add dev near clsact");
    say("qdisc add dev far clsact");
    let mut preference = 10;
    let mut places = vec!["dev near egress", "dev near parent 1:", "dev far ingress"];
    if matches!(root, "htb" | "hfsc") {
        places.push("dev near parent 1:1");
    }
    for place in places {
        for _ in 0..1 + chance.below(5) {
            // A preference is used once: u32 lists tables of all chains.
            preference += 1;
            let chain = *chance.of(&[0, 0, 0, 1, 2]);
            commands.extend(filters(chance, sent, place, preference, chain, root));
        }
    }
    commands
}

/// The filters of one preference.
fn filters(
    chance: &mut Chance,
    sent: &[Sent],
    place: &str,
    preference: u32,
    chain: u32,
    root: &str,
) -> Vec<String> {
    let protocol = *chance.of(&["all", "all", "ip", "ip", "ipv6", "arp", "802.1q", "mpls_uc"]);
    let kind = *chance.of(&["u32", "u32", "fw", "flower", "flower", "basic", "basic", "matchall"]);
    let head = format!("filter add {place} chain {chain} pref {preference} protocol {protocol}");
    let mut commands = Vec::new();
    let count = if kind == "matchall" { 1 } else { 1 + chance.below(3) };
    if kind == "u32" && chance.is(40) {
        commands.extend(tables(chance, sent, &head, place, root));
    }
    for _ in 0..count {
        let end = end(chance, place, root);
        commands.push(match kind {
            "u32" => format!("{head} u32 {}{end}", u32_keys(chance, sent)),
            "fw" => {
                let mask = if chance.is(40) { "/0xf" } else { "" };
                format!("{head} handle {}{mask} fw{end}", chance.of(&MARKS[1..3]))
            }
            "flower" => format!("{head} flower{}{end}", flower(chance, protocol)),
            "basic" => format!("{head} basic match {}{end}", expression(chance, sent)),
            _ => format!("{head} matchall{end}"),
        });
    }
    commands
}

/// Class and actions.
fn end(chance: &mut Chance, place: &str, root: &str) -> String {
    let classes: &[&str] = match (place.contains("parent"), root) {
        (false, _) => &["", "", " classid 1:10"],
        (true, "prio" | "ets") => &[" classid 1:1", " classid 1:2", " classid 1:4", " classid 1:9", ""],
        // An inner class that leads to itself hangs Linux.
        (true, _) if place.contains("1:1") => &[" classid 1:11", " classid 1:12", " classid 1:99", ""],
        // So does the root class of hfsc.
        (true, "hfsc") => &[" classid 1:10", " classid 1:1", " classid 1:11", " classid 1:99"],
        (true, _) => &[" classid 1:10", " classid 1:1", " classid 1:11", " classid 1:99", " classid 1:", ""],
    };
    let mut text = (*chance.of(classes)).to_owned();
    for _ in 0..*chance.of(&[0, 1, 1, 2, 3]) {
        text += &action(chance);
    }
    text
}

fn action(chance: &mut Chance) -> String {
    let control = *chance.of(&[
        "pipe",
        "pipe",
        "pipe",
        "pass",
        "pass",
        "continue",
        "continue",
        "reclassify",
        "goto chain 1",
        "goto chain 2",
        "goto chain 9",
        "drop",
        "jump 1",
        "jump 2",
    ]);
    let action = match chance.below(12) {
        0..4 => return format!(" action {control}"),
        4 => format!("skbedit mark {}", chance.of(&MARKS)),
        5 => format!("skbedit priority {}", chance.of(&["1:10", "1:11", "1:1", "0:6", "1:"])),
        6 => (*chance.of(&["vlan pop", "vlan push id 7", "vlan modify id 5 priority 2"])).to_owned(),
        7 => {
            let munge = *chance.of(&[
                "ip dport set 80",
                "ip src set 10.0.0.2",
                "ip tos set 0x10",
                "offset 20 u32 set 0x00160050",
                "offset -14 u32 set 0x02000000",
                "offset 8 u8 invert",
            ]);
            format!("pedit munge {munge}")
        }
        8 => {
            let ex = *chance.of(&[
                "ip ttl set 9",
                "tcp dport set 22",
                "eth src set 02:00:00:00:00:09",
                "ip ttl add 255",
            ]);
            format!("pedit ex munge {ex}")
        }
        9 => {
            let rate = *chance.of(&["mtu 64", "rate 8gbit burst 100m mtu 9000", "mtu 200"]);
            let both = *chance.of(&["drop/pipe", "continue/pass", "pipe/reclassify", "pass/drop"]);
            return format!(" action police {rate} conform-exceed {both}");
        }
        10 => format!("nat {} 10.0.0.0/24 10.0.1.0", chance.of(&["ingress", "egress"])),
        _ => {
            let how = *chance.of(&["mirror", "mirror", "redirect"]);
            return format!(
                " action mirred egress {how} dev sink{}",
                if how == "mirror" { " pipe" } else { "" }
            );
        }
    };
    // A packet that comes back unchanged would be changed again and again.
    let control = if matches!(control, "drop" | "jump 1" | "jump 2") { "pipe" } else { control };
    format!(" action {action} {control}")
}

/// Keys with values of a packet.
fn u32_keys(chance: &mut Chance, sent: &[Sent]) -> String {
    let mut text = String::new();
    for _ in 0..1 + chance.below(2) {
        text += &match chance.below(8) {
            0 => format!("match ip protocol {} 0xff ", chance.of(&[1, 6, 17, 132])),
            1 => format!("match ip dport {} 0xffff ", chance.of(&PORTS)),
            2 => format!("match ip src {}/{} ", chance.of(&ADDRESSES), chance.of(&[8, 24, 31, 32])),
            3 => format!("match mark {} 0x7 ", chance.of(&[0, 1, 7])),
            4 => format!("match ip6 dst {}/{} ", chance.of(&ADDRESSES6), chance.of(&[16, 64, 128])),
            5 => "match u32 0 0 at 0 ".to_owned(),
            _ => {
                let frame = &chance.of(sent).frame;
                let at = 4 * chance.below(14);
                let place = if chance.is(20) { at as i32 - 16 } else { at as i32 };
                let start = usize::try_from(place + 14).unwrap_or(0);
                let word = frame
                    .get(start..start + 4)
                    .map_or(0, |word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
                let mask = *chance.of(&[0xffu32, 0xffff_0000, 0xffff_ffff, 0x00f0_0000]);
                // Before the Ethernet header the kernel's buffer has anything.
                format!("match u32 {:#x} {mask:#x} at {} ", word & mask, place.max(-12) & !3)
            }
        };
    }
    text.trim_end().to_owned()
}

/// A table with filters, and a filter that leads there.
fn tables(chance: &mut Chance, sent: &[Sent], head: &str, place: &str, root: &str) -> Vec<String> {
    let table = 1 + chance.below(0x700);
    let divisor = *chance.of(&[1u32, 2, 16, 256]);
    let mut commands = vec![format!("{head} handle {table:x}: u32 divisor {divisor}")];
    for _ in 0..1 + chance.below(4) {
        let bucket = chance.below(divisor as usize);
        let keys = match chance.below(3) {
            0 => format!("match tcp dst {} 0xffff", chance.of(&PORTS)),
            1 => format!("match u16 {:#x} 0xffff at nexthdr+0", chance.of(&PORTS)),
            _ => u32_keys(chance, sent),
        };
        commands.push(format!("{head} u32 ht {table:x}:{bucket:x}: {keys}{}", end(chance, place, root)));
    }
    let lead = *chance.of(&["match u32 0 0 at 0", "match ip protocol 6 0xff", "match u8 0x45 0xff at 0"]);
    let offset = *chance.of(&[
        "",
        "offset at 0 mask 0x0f00 shift 6",
        "offset at 0 mask 0x0f00 shift 6 eat",
        "offset plus 20",
        "offset plus 20 eat",
        "offset plus 1400",
    ]);
    let hash = *chance.of(&[
        "hashkey mask 0x000000ff at 12",
        "hashkey mask 0x0000ff00 at 20",
        "hashkey mask 0xf at 16",
    ]);
    let hash = if divisor > 1 { hash } else { "" };
    commands.push(format!("{head} u32 {lead} link {table:x}: {hash} {offset}"));
    commands
}

fn flower(chance: &mut Chance, protocol: &str) -> String {
    let mut text = String::new();
    if chance.is(20) {
        text += &format!(" src_mac {}", chance.of(&MACS));
    }
    if chance.is(10) {
        text += " dst_mac 02:00:00:00:00:01/ff:00:00:00:00:0f";
    }
    match protocol {
        "ip" | "ipv6" => text += &flower_ip(chance, protocol),
        "arp" => {
            text += &format!(" arp_op {}", chance.of(&["request", "reply"]));
            if chance.is(50) {
                text += &format!(" arp_sip {}/24", chance.of(&ADDRESSES));
            }
        }
        "802.1q" => {
            if chance.is(60) {
                text += &format!(" vlan_id {}", chance.of(&VLANS));
            }
            if chance.is(30) {
                text += &format!(" vlan_prio {}", chance.below(3));
            }
            match chance.below(3) {
                0 => text += &format!(" vlan_ethtype ip{}", flower_ip(chance, "ip")),
                1 => text += &format!(" vlan_ethtype ipv6{}", flower_ip(chance, "ipv6")),
                _ => {}
            }
        }
        "mpls_uc" => {
            text += *chance.of(&[
                " mpls_label 16",
                " mpls_tc 0",
                " mpls_ttl 64 mpls_bos 0",
                " mpls lse depth 2 label 33 tc 0",
            ]);
        }
        _ if chance.is(20) => text += &format!(" num_of_vlans {}", chance.below(3)),
        _ => {}
    }
    text
}

fn flower_ip(chance: &mut Chance, version: &str) -> String {
    let addresses = if version == "ip" { &ADDRESSES[..] } else { &ADDRESSES6[..] };
    let lengths = if version == "ip" { [8, 24, 32] } else { [16, 64, 128] };
    let mut text = String::new();
    if chance.is(30) {
        text += &format!(" src_ip {}/{}", chance.of(addresses), chance.of(&lengths));
    }
    if chance.is(30) {
        text += &format!(" dst_ip {}/{}", chance.of(addresses), chance.of(&lengths));
    }
    if chance.is(15) {
        text += &format!(" ip_tos {:x}/fc", chance.of(&TOS));
    }
    if chance.is(15) {
        text += " ip_ttl 64";
    }
    if chance.is(10) {
        text += *chance.of(&[" ip_flags frag", " ip_flags nofrag", " ip_flags firstfrag"]);
    }
    let icmp = if version == "ip" { "icmp" } else { "icmpv6" };
    let proto = *chance.of(&["", "tcp", "udp", "sctp", icmp]);
    if !proto.is_empty() {
        text += &format!(" ip_proto {proto}");
    }
    match proto {
        "tcp" | "udp" | "sctp" => {
            match chance.below(4) {
                0 => text += &format!(" dst_port {}", chance.of(&PORTS)),
                1 => text += &format!(" src_port {}/0xfff0", chance.of(&PORTS)),
                2 => {
                    text += *chance.of(&[
                        " dst_port 20-100",
                        " src_port 80-4711",
                        " dst_port 443-5000 src_port 1-500",
                    ])
                }
                _ => {}
            }
            if proto == "tcp" && chance.is(30) {
                text += *chance.of(&[" tcp_flags 0x2/0x17", " tcp_flags 0x10/0x10"]);
            }
        }
        "icmp" | "icmpv6" => text += *chance.of(&[" type 8", " type 128 code 1", ""]),
        _ => {}
    }
    text
}

fn expression(chance: &mut Chance, sent: &[Sent]) -> String {
    let mut text = term(chance, sent);
    for _ in 0..chance.below(3) {
        text += *chance.of(&[" and ", " or "]);
        if chance.is(30) {
            text += "not ";
        }
        text += &match chance.is(25) {
            true => format!("( {} or {} )", term(chance, sent), term(chance, sent)),
            false => term(chance, sent),
        };
    }
    text
}

fn term(chance: &mut Chance, sent: &[Sent]) -> String {
    let operand = *chance.of(&["eq", "gt", "lt"]);
    match chance.below(9) {
        0 => format!("cmp(u8 at 9 layer 1 {operand} {})", chance.of(&[1, 6, 17])),
        1 => format!("cmp(u16 at {} layer 2 {operand} {})", chance.of(&[0, 2]), chance.of(&PORTS)),
        2 => format!("cmp(u32 at 12 layer 1 mask 0xffffff00 {operand} 0x0a000000)"),
        3 => format!("cmp(u16 at 12 layer 0 trans {operand} 8)"),
        4 => {
            let frame = &chance.of(sent).frame;
            let word =
                frame.get(26..30).map_or(0, |word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
            format!("u32(u32 {word:#x} 0xffffff00 at 12)")
        }
        5 => format!("meta(nf_mark mask 0xf {operand} {})", chance.of(&MARKS)),
        6 => format!("meta(priority {operand} {})", chance.of(&[0, 1, 65552])),
        7 => format!("meta(pkt_len {operand} {})", chance.of(&[40, 54, 60, 100])),
        _ => (*chance.of(&[
            "nbyte(\"\\x0a\\x00\" at 12 layer 1)",
            "meta(vlan mask 0xfff eq 5)",
            "meta(tc_index gt 0)",
            "meta(protocol eq 8)",
            "meta(dev eq \"near\")",
        ]))
        .to_owned(),
    }
}
