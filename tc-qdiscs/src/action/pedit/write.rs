//! Keys as words that make them exactly.

use std::net::{Ipv4Addr, Ipv6Addr};

use tc_core::OptionWords;

use super::super::generic::mac_text;
use super::Pedit;
use super::field::{Command, Field, Header, Key};
use super::names::{LAYERS, Named};
use super::words::MOST;

/// Describes the keys.
pub(super) fn write(pedit: &Pedit, out: &mut OptionWords<'_>) {
    let mut text = String::from(if pedit.extended { "ex" } else { "" });
    let mut keys = &pedit.keys[..];
    while let Some(key) = keys.first() {
        let (words, used) = write_long(keys).unwrap_or_else(|| (write_key(key), 1));
        match words {
            Some(words) if text.is_empty() => text = format!("munge {words}"),
            Some(words) => text += &format!(" munge {words}"),
            None => out.cannot_say(&format!("a pedit key at {} {}", key.header.name(), key.offset)),
        }
        keys = &keys[used..];
    }
    if pedit.keys.len() > MOST {
        out.cannot_say(&format!("more than {MOST} pedit keys"));
    }
    out.text("munge", text);
}

/// A MAC address or an address of IPv6 at the start of these keys, in words, and the number of its keys.
fn write_long(keys: &[Key]) -> Option<(Option<String>, usize)> {
    let command = match keys.first()?.command {
        Command::Set => "set",
        Command::Add => "add",
        Command::Other(_) => return None,
    };
    let same = |made: &[Key]| {
        let mut made = made.iter().map(|key| Key { command: keys[0].command, ..*key });
        made.len() <= keys.len() && keys.iter().zip(made.by_ref()).all(|(key, made)| *key == made)
    };
    for (layer, _, fields) in LAYERS {
        for (name, field) in fields {
            match field {
                Named::Mac(make) => {
                    let bytes: Vec<u8> =
                        keys.iter().take(2).flat_map(|key| key.value.to_be_bytes()).collect();
                    let mut macs = bytes.windows(6).filter_map(|mac| mac.try_into().ok());
                    if let Some(mac) = macs.find(|mac| same(&make(*mac))) {
                        return Some((Some(format!("{layer} {name} {command} {}", mac_text(mac))), 2));
                    }
                }
                Named::Ip6(make) => {
                    let bits = keys.iter().take(4).fold(0, |bits, key| bits << 32 | u128::from(key.value));
                    let address = Ipv6Addr::from(bits);
                    if same(&make(address)) {
                        return Some((Some(format!("{layer} {name} {command} {address}")), 4));
                    }
                }
                Named::Number(_) | Named::Address(_) => {}
            }
        }
    }
    None
}

fn write_key(key: &Key) -> Option<String> {
    if key.offset % 4 != 0 {
        return None;
    }
    let place = (key.at, key.offset_mask, key.shift);
    if key.header == Header::Network {
        let field = Field { header: key.header, offset: key.offset, bits: 32, retain: u32::MAX, raised: 0 };
        let place = match place {
            (0, 0, 0) => String::new(),
            (at, mask, shift) => format!("at {at} {mask:#x} {shift} "),
        };
        let change = write_change(field, key, &|value| format!("{value:#010x}"))?;
        return Some(format!("offset {} u32 {place}{change}", key.offset));
    }
    if place != (0, 0, 0) {
        return None;
    }
    let (layer, _, fields) = LAYERS.into_iter().find(|(_, header, _)| *header == key.header)?;
    fields.iter().find_map(|(name, field)| {
        let change = match field {
            Named::Number(field) => write_change(*field, key, &|value| value.to_string()),
            Named::Address(field) => write_change(*field, key, &|value| Ipv4Addr::from(value).to_string()),
            Named::Mac(_) | Named::Ip6(_) => None,
        };
        change.map(|change| format!("{layer} {name} {change}"))
    })
}

/// The command that makes the key in this field.
fn write_change(field: Field, key: &Key, shown: &dyn Fn(u32) -> String) -> Option<String> {
    let (value, mask) = field.read(key)?;
    let changed = field.ones() & !mask;
    // tc 6.1 keeps another part of a flow label if nothing is said.
    let implied = changed == field.retain && field != Field::IP6_FLOW_LABEL;
    let retain = if implied { String::new() } else { format!(" retain {changed:#x}") };
    match key.command {
        Command::Set if value & mask == 0 => Some(format!("set {}{retain}", shown(value))),
        Command::Set if mask == field.ones() => Some(format!("invert retain {value:#x}")),
        Command::Add if value & mask == 0 => Some(format!("add {}{retain}", shown(value))),
        _ => None,
    }
}
