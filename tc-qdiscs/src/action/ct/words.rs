//! The words of ct.

use std::net::IpAddr;

use tc_core::OptionWords;
use tc_core::action::Control;
use tc_core::units::{parse_decimal, parse_u16, parse_u32};
use tc_core::words::{WordError, Words, is_plain, is_prefix};

use super::super::generic::{self, parse_ip};
use super::{AF_INET, Ct, Helper, Masked, Nat, NatRange};

pub(super) fn parse(words: &mut Words<'_>) -> Result<Ct, WordError> {
    let mut ct = Ct::new();
    while let Some(word) = words.peek() {
        if !parse_word(word, words, &mut ct)? {
            break;
        }
    }
    let text = match (ct.clear, ct.nat) {
        (true, nat) if ct.commit || ct.force || nat.is_some() => "clear can only be used alone",
        (_, Some(Nat::Restore)) if ct.commit => "commit and nat must set src or dst",
        (_, Some(Nat::Src(_) | Nat::Dst(_))) if !ct.commit => "src or dst is only valid if commit is set",
        _ => {
            if words.peek().is_some_and(Control::is_word) {
                ct.control = Control::parse_words(words)?;
            }
            return Ok(ct);
        }
    };
    Err(error(text))
}

/// Reads a word with its value; false for a word that is not the kind's.
fn parse_word(word: &str, words: &mut Words<'_>, ct: &mut Ct) -> Result<bool, WordError> {
    let is = |name| is_prefix(word, name);
    let known = ["zone", "nat", "clear", "commit", "force", "index", "mark", "label", "help"];
    if !known.into_iter().any(is) && word != "helper" {
        return Ok(false);
    }
    words.next();
    if is("zone") {
        ct.zone = Some(parse_u16(words.value()?).map_err(|_| illegal("zone"))?);
    } else if is("nat") {
        parse_nat(words, ct)?;
    } else if is("clear") {
        ct.clear = true;
    } else if is("commit") {
        ct.commit = true;
    } else if is("force") {
        ct.force = true;
    } else if is("index") {
        ct.index = parse_decimal(words.value()?).map_err(|_| illegal("index"))?;
    } else if is("mark") {
        ct.mark = Some(mark(words.value()?).ok_or_else(|| illegal("mark"))?);
    } else if is("label") {
        ct.label = Some(label(words.value()?)?);
    } else if is("help") {
        return Err(WordError::Help);
    } else {
        ct.helper = Some(helper(words.value()?).ok_or_else(|| illegal("helper"))?);
    }
    Ok(true)
}

fn error(text: &str) -> WordError {
    WordError::Kind(format!("ct: {text}"))
}

fn illegal(name: &str) -> WordError {
    error(&format!("Illegal \"{name}\""))
}

/// Reads what follows `nat`. tc 6.1 wants another word after it, and after its addresses.
fn parse_nat(words: &mut Words<'_>, ct: &mut Ct) -> Result<(), WordError> {
    let is_src = match words.peek() {
        Some(word) if is_prefix(word, "src") => true,
        Some(word) if is_prefix(word, "dst") => false,
        _ => {
            ct.nat = ct.nat.or(Some(Nat::Restore));
            return Ok(());
        }
    };
    words.next();
    match (is_src, ct.nat) {
        (true, Some(Nat::Dst(_))) | (false, Some(Nat::Src(_))) => {
            return Err(error("src and dst nat can't be used together"));
        }
        _ => {}
    }
    if !is_prefix(words.value()?, "addr") {
        return Err(WordError::Help);
    }
    let mut range = NatRange { addresses: Some(addresses(words.value()?)?), ports: None };
    if words.peek().is_some_and(|word| is_prefix(word, "port")) {
        words.next();
        let ports = ports(words.value()?).ok_or_else(|| error("Illegal nat port range"))?;
        range.ports = Some(ports);
    }
    ct.nat = Some(if is_src { Nat::Src(range) } else { Nat::Dst(range) });
    Ok(())
}

fn addresses(word: &str) -> Result<(IpAddr, IpAddr), WordError> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let first = parse_ip(first).ok_or_else(|| WordError::no_address("any valid", first))?;
    let family = if first.is_ipv4() { "inet" } else { "inet6" };
    let same = |last: &IpAddr| last.is_ipv4() == first.is_ipv4();
    let last = parse_ip(last).filter(same).ok_or_else(|| WordError::no_address(family, last))?;
    Ok((first, last))
}

fn ports(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((parse_decimal(first).ok()?, parse_decimal(last).ok()?))
}

fn mark(word: &str) -> Option<Masked<u32>> {
    let (value, mask) = word.split_once('/').map_or((word, None), |(value, mask)| (value, Some(mask)));
    let mask = mask.map_or(Ok(u32::MAX), parse_u32).ok()?;
    Some(Masked { value: parse_u32(value).ok()?, mask })
}

/// Reads hexadecimal digits, which stand at the start of the label.
fn label(word: &str) -> Result<Masked<[u8; 16]>, WordError> {
    let (value, mask) = word.split_once('/').map_or((word, None), |(value, mask)| (value, Some(mask)));
    if value.len() > 32 || mask.is_some_and(|mask| mask.len() > 32) {
        return Err(WordError::invalid(format!("{} Max allowed size 32", value.len()), value));
    }
    let wrong =
        |what: &str, word: &str| WordError::invalid(format!("ct: {what} must be a hex string\n"), word);
    let mask = match mask {
        Some(mask) => bytes(mask).ok_or_else(|| wrong("labels mask", mask))?,
        None => [0xff; 16],
    };
    Ok(Masked { value: bytes(value).ok_or_else(|| wrong("labels", value))?, mask })
}

fn bytes(digits: &str) -> Option<[u8; 16]> {
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !hex || digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().take(digits.len() / 2).enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// IP protocols by name.
const PROTOCOLS: [(&str, u8); 5] = [("tcp", 6), ("udp", 17), ("dccp", 33), ("sctp", 132), ("udplite", 136)];

/// Reads `FAMILY-PROTOCOL-NAME`.
fn helper(word: &str) -> Option<Helper> {
    let (family, rest) = word.split_once('-').filter(|_| word.len() < 32)?;
    let (protocol, name) = rest.split_once('-')?;
    let known = PROTOCOLS.into_iter().find(|(name, _)| *name == protocol).map(|(_, number)| number);
    let protocol = known.or_else(|| parse_decimal(protocol).ok())?;
    match family {
        _ if name.is_empty() || name.contains('-') => None,
        "ipv4" => Some(Helper::ipv4(protocol, name)),
        "ipv6" => Some(Helper::ipv6(protocol, name)),
        _ => None,
    }
}

pub(super) fn helper_text(helper: &Helper) -> String {
    let family = if helper.family == AF_INET { "ipv4" } else { "ipv6" };
    let known = PROTOCOLS.into_iter().find(|(_, number)| *number == helper.protocol);
    match known {
        Some((protocol, _)) => format!("{family}-{protocol}-{}", helper.name),
        None => format!("{family}-{}-{}", helper.protocol, helper.name),
    }
}

pub(super) fn label_text(label: Masked<[u8; 16]>) -> String {
    let hex = |bytes: [u8; 16]| format!("{:032x}", u128::from_be_bytes(bytes));
    match label.mask {
        [0xff, rest @ ..] if rest == [0xff; 15] => hex(label.value),
        mask => format!("{}/{}", hex(label.value), hex(mask)),
    }
}

pub(super) fn write(ct: &Ct, out: &mut OptionWords<'_>) {
    out.flag("clear", ct.clear);
    out.flag("commit", ct.commit);
    out.flag("force", ct.force);
    out.say_if("zone", ct.zone);
    let mark = ct.mark.map(|Masked { value, mask }| match mask {
        u32::MAX => format!("mark {value}"),
        mask => format!("mark {value}/{mask:#x}"),
    });
    out.text("mark", mark.unwrap_or_default());
    out.text("label", ct.label.map(|label| format!("label {}", label_text(label))).unwrap_or_default());
    let helper_words = ct.helper.as_ref().map(helper_text);
    let is_sayable = |words: &&str| is_plain(words);
    if helper_words.as_deref().filter(is_sayable).and_then(helper) != ct.helper {
        out.cannot_say("the conntrack helper");
    }
    out.text("helper", helper_words.map(|words| format!("helper {words}")).unwrap_or_default());
    // tc 6.1 wants a word after the translation: the control action stands last.
    if let Some(Nat::Src(range) | Nat::Dst(range)) = ct.nat
        && range.addresses.is_none()
    {
        out.cannot_say("ports of a translation without addresses");
    }
    let nat = ct.nat.map(|nat| format!("nat {}", nat.text()).trim_end().to_owned());
    out.text("nat", nat.unwrap_or_default());
    generic::say_index(ct.index, out);
    let last = if ct.nat.is_some() { None } else { Some(Control::Pipe) };
    generic::say_control(ct.control, last, out);
}
