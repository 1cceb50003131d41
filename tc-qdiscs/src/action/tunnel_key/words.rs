//! The words of tunnel_key.

use std::net::IpAddr;

use tc_core::OptionWords;
use tc_core::action::Control;
use tc_core::units::{parse_decimal, parse_hex, parse_u8, parse_u32};
use tc_core::words::{WordError, Words, is_prefix};

use super::super::generic::{self, explained, parse_ip};
use super::{Erspan, GeneveOption, TunnelKey, TunnelOperation, TunnelOptions};

pub(super) fn parse(words: &mut Words<'_>) -> Result<TunnelKey, WordError> {
    if words.is_empty() {
        return Err(WordError::Incomplete);
    }
    let mut key = TunnelKey::of(TunnelOperation::Unspecified);
    while let Some(word) = words.peek() {
        if !parse_word(word, words, &mut key)? {
            break;
        }
    }
    let illegal = |_: &str| "tunnel_key: Illegal \"index\"".into();
    let (control, index) = generic::parse_end(words, Control::Pipe, illegal)?;
    (key.control, key.index) = (control, index.unwrap_or_default());
    if key.operation == TunnelOperation::Set && (key.src.is_none() || key.dst.is_none()) {
        return Err(explained::<TunnelKey>("set needs tunnel_key parameters"));
    }
    Ok(key)
}

/// Reads a word with its value; false for a word that is not the kind's.
fn parse_word(word: &str, words: &mut Words<'_>, key: &mut TunnelKey) -> Result<bool, WordError> {
    let is = |name| is_prefix(word, name);
    if is("unset") || is("set") {
        if key.operation != TunnelOperation::Unspecified {
            let text = format!("unexpected \"{word}\" - action already specified");
            return Err(explained::<TunnelKey>(&text));
        }
        key.operation = if is("unset") { TunnelOperation::Unset } else { TunnelOperation::Set };
        words.next();
    } else if is("src_ip") {
        words.next();
        key.src = Some(address(words.value()?)?);
    } else if is("dst_ip") {
        words.next();
        key.dst = Some(address(words.value()?)?);
    } else if is("id") {
        words.next();
        key.key_id = Some(parse_decimal(words.value()?).map_err(|_| illegal("id"))?);
    } else if is("dst_port") {
        words.next();
        key.dst_port = Some(parse_decimal(words.value()?).map_err(|_| illegal("dst port"))?);
    } else if is("geneve_opts") {
        words.next();
        let options: Option<Vec<_>> = words.value()?.split(',').map(geneve).collect();
        key.options = TunnelOptions::Geneve(options.ok_or_else(|| illegal("geneve_opts"))?);
    } else if is("vxlan_opts") {
        words.next();
        let gbp = parse_u32(words.value()?).map_err(|_| illegal("vxlan_opts"))?;
        key.options = TunnelOptions::Vxlan { gbp };
    } else if is("erspan_opts") {
        words.next();
        let options = erspan(words.value()?).ok_or_else(|| illegal("erspan_opts"))?;
        key.options = TunnelOptions::Erspan(options);
    } else if is("tos") {
        words.next();
        key.tos = Some(byte(words.value()?).ok_or_else(|| illegal("tos"))?);
    } else if is("ttl") {
        words.next();
        key.ttl = Some(byte(words.value()?).ok_or_else(|| illegal("ttl"))?);
    } else if is("csum") || is("nocsum") {
        key.no_csum = !is("csum");
        words.next();
    } else if word == "nofrag" {
        key.no_frag = true;
        words.next();
    } else if is("help") {
        return Err(WordError::Help);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn illegal(name: &str) -> WordError {
    WordError::Kind(format!("Illegal \"{name}\""))
}

fn address(word: &str) -> Result<IpAddr, WordError> {
    parse_ip(word).ok_or_else(|| WordError::no_address("any valid", word))
}

/// A decimal number, or else a hexadecimal one.
fn byte(word: &str) -> Option<u8> {
    parse_decimal(word).or_else(|_| parse_hex(word)).ok()
}

/// Reads `CLASS:TYPE:DATA`, all of them hexadecimal.
fn geneve(word: &str) -> Option<GeneveOption> {
    let mut parts = word.split(':');
    let class = parse_hex(parts.next()?).ok()?;
    let option_type = parse_hex(parts.next()?).ok()?;
    let digits = parts.next()?;
    let data: Option<Vec<u8>> = (0..digits.len())
        .step_by(2)
        .map(|at| digits.get(at..at + 2).filter(|pair| !pair.starts_with('+')))
        .map(|pair| u8::from_str_radix(pair?, 16).ok())
        .collect();
    let data = data.filter(|data| !data.is_empty() && parts.next().is_none())?;
    Some(GeneveOption::new(class, option_type, data))
}

/// Reads `VERSION:INDEX:DIRECTION:HWID`; all but the version can be missing.
fn erspan(word: &str) -> Option<Erspan> {
    fn given<T, E>(part: Option<&str>, parse: fn(&str) -> Result<T, E>) -> Option<Option<T>> {
        match part.filter(|part| !part.is_empty()) {
            Some(part) => parse(part).ok().map(Some),
            None => Some(None),
        }
    }
    let mut parts = word.split(':');
    let version = parse_u8(parts.next()?).ok()?;
    let index = given(parts.next(), parse_u32)?;
    let direction = given(parts.next(), parse_u8)?;
    let hwid = given(parts.next(), parse_u8)?;
    parts.next().is_none().then_some(Erspan { version, index, direction, hwid })
}

pub(super) fn write(key: &TunnelKey, out: &mut OptionWords<'_>) {
    match key.operation {
        TunnelOperation::Set => out.text("operation", "set"),
        TunnelOperation::Unset => return out.text("operation", "unset"),
        TunnelOperation::Unspecified if key.index != 0 => return,
        TunnelOperation::Unspecified | TunnelOperation::Other(_) => {
            return out.cannot_say(&format!("the tunnel_key operation {}", key.operation.raw()));
        }
    }
    let mut text = |name: &str, value: Option<String>| {
        out.text(name, value.map(|value| format!("{name} {value}")).unwrap_or_default());
    };
    text("src_ip", key.src.map(|address| address.to_string()));
    text("dst_ip", key.dst.map(|address| address.to_string()));
    text("id", key.key_id.map(|id| id.to_string()));
    text("dst_port", key.dst_port.map(|port| port.to_string()));
    text("tos", key.tos.map(|tos| tos.to_string()));
    text("ttl", key.ttl.map(|ttl| ttl.to_string()));
    out.text("options", key.options.words());
    out.flag("nocsum", key.no_csum);
    out.flag("nofrag", key.no_frag);
}
