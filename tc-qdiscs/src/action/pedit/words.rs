//! The words of pedit, as `tc` reads them.

use std::net::Ipv6Addr;

use tc_core::Kind;
use tc_core::action::Control;
use tc_core::units::{parse_hex, parse_i32, parse_u32};
use tc_core::words::{WordError, Words, is_prefix};

use super::super::generic::{self, explained, parse_ipv4, parse_mac};
use super::field::{Command, Field, Header, Key};
use super::names::{LAYERS, Named, find};
use super::{Pedit, Reported};

/// The most keys that `tc` sends.
pub(super) const MOST: usize = 128;

pub(super) fn parse(words: &mut Words<'_>) -> Result<Pedit, WordError> {
    let mut pedit = Pedit {
        index: 0,
        control: Control::Pass,
        extended: false,
        keys: Vec::new(),
        reported: Reported::default(),
    };
    parse_ex(&mut pedit, true, words)?;
    while let Some(word) = words.peek() {
        if is_prefix(word, Pedit::KIND) {
            words.next();
            parse_ex(&mut pedit, false, words)?;
        } else if is_prefix(word, "help") {
            return Err(WordError::Help);
        } else if is_prefix(word, "munge") {
            words.next();
            let word = words.peek().ok_or(WordError::Incomplete)?;
            parse_munge(word, words, &mut pedit)?;
        } else {
            break;
        }
    }
    let illegal = |_: &str| "Pedit: Illegal \"index\"".into();
    let (control, index) = generic::parse_end(words, Control::Pass, illegal)?;
    (pedit.control, pedit.index) = (control, index.unwrap_or_default());
    Ok(pedit)
}

/// Reads `ex` after the word `pedit`, of which the first stands before the cursor.
fn parse_ex(pedit: &mut Pedit, first: bool, words: &mut Words<'_>) -> Result<(), WordError> {
    let word = words.peek().ok_or(WordError::Incomplete)?;
    if is_prefix(word, "ex") {
        if !first {
            return Err(explained::<Pedit>("'ex' must be before first 'munge'"));
        }
        pedit.extended = true;
        words.next();
        words.peek().ok_or(WordError::Incomplete)?;
    }
    Ok(())
}

/// Reads one change; `word` is the word after `munge`.
fn parse_munge(word: &str, words: &mut Words<'_>, pedit: &mut Pedit) -> Result<(), WordError> {
    if is_prefix(word, "offset") {
        words.next();
        let word = words.value()?;
        let mut place = word;
        let keys = parse_offset(word, &mut place, words, pedit.extended);
        return append(keys, pedit).map_err(|wrong| wrong.report(place, ""));
    }
    words.next();
    let name = words.value()?;
    let known = word == "icmp" || LAYERS.iter().any(|(layer, ..)| *layer == word);
    let keys = match find(word, name, pedit.extended) {
        Some(field) if !words.is_empty() => parse_field(field, pedit.extended, words),
        None if !known => Err(Wrong::Text(format!("Unknown action  hence option \"{name}\" is unparsable"))),
        _ => Err(Wrong::Silent),
    };
    append(keys, pedit).map_err(|wrong| wrong.report(word, "bad pedit parsing"))
}

fn append(keys: Result<Vec<Key>, Wrong>, pedit: &mut Pedit) -> Result<(), Wrong> {
    pedit.keys.extend(keys?);
    match pedit.keys.len() > MOST {
        true => Err(Wrong::Text(format!("more than {MOST} keys"))),
        false => Ok(()),
    }
}

/// A change that is refused.
enum Wrong {
    Incomplete,
    /// Without a text.
    Silent,
    Text(String),
}

impl Wrong {
    fn text<T>(text: &str) -> Result<T, Self> {
        Err(Self::Text(text.to_owned()))
    }

    /// The error about the change at `word`.
    fn report(self, word: &str, more: &str) -> WordError {
        let text = match self {
            Self::Incomplete => return WordError::Incomplete,
            Self::Silent => String::new(),
            Self::Text(text) => text,
        };
        let construct = format!("Bad pedit construct ({word})");
        let lines = [text.as_str(), more, &construct];
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        explained::<Pedit>(&lines.join("\n"))
    }
}

impl From<WordError> for Wrong {
    fn from(_: WordError) -> Self {
        Self::Incomplete
    }
}

/// Reads a change at `offset`; `place` becomes the word that an error names.
fn parse_offset<'a>(
    offset: &str,
    place: &mut &'a str,
    words: &mut Words<'a>,
    extended: bool,
) -> Result<Vec<Key>, Wrong> {
    let offset = parse_i32(offset).map_err(|_| Wrong::Silent)?;
    let width = words.next().ok_or(Wrong::Silent)?;
    let widths = [("u32", 32), ("u16", 16), ("u8", 8)];
    let width = widths.into_iter().find(|(name, _)| is_prefix(width, name));
    let (_, bits) = width.ok_or(Wrong::Silent)?;
    let mut moved = (0, 0, 0);
    let word = words.peek().ok_or(Wrong::Incomplete)?;
    if is_prefix(word, "at") {
        words.next();
        moved = parse_moved(words)?;
    }
    *place = words.peek().ok_or(Wrong::Incomplete)?;
    let retain = u32::MAX >> (32 - bits);
    let field = Field { header: Header::Network, offset, bits, retain, raised: 0 };
    let target = Target { extended, decrements: false, retain, ones: Some(retain) };
    let mut key = parse_key(field, target, words, number)?;
    (key.at, key.offset_mask, key.shift) = moved;
    Ok(vec![key])
}

/// Reads `AT MASK SHIFT`; as in `tc`'s usage text also `AT offmask MASK shift SHIFT`.
fn parse_moved(words: &mut Words<'_>) -> Result<(u32, u32, u32), Wrong> {
    let at = parse_u32(words.value()?).map_err(|_| Wrong::Silent)?;
    let mut value = |name: &str| match words.value()? {
        word if word == name => words.value(),
        word => Ok(word),
    };
    let mask = parse_hex(value("offmask")?).map_err(|_| Wrong::Silent)?;
    let shift = parse_u32(value("shift")?).map_err(|_| Wrong::Silent)?;
    Ok((at, mask, shift))
}

/// A command with its value.
struct Change {
    command: Command,
    value: u32,
    mask: u32,
    retain: u32,
}

/// The field that a command changes.
#[derive(Clone, Copy)]
struct Target {
    extended: bool,
    decrements: bool,
    /// The bits that count if nothing is said.
    retain: u32,
    /// All bits of the field; `None` for one of more than 32 bits.
    ones: Option<u32>,
}

/// Reads `set V`, `add V`, `decrement`, `invert`, `clear` or `preserve`, and `retain MASK`.
fn parse_change<T: Default>(
    target: Target,
    words: &mut Words<'_>,
    read: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Result<(Change, T), Wrong> {
    let mut change = Change { command: Command::Set, value: 0, mask: 0, retain: target.retain };
    let mut given = T::default();
    let word = words.next().ok_or(Wrong::Silent)?;
    let is = |name| is_prefix(word, name);
    let long = "is not supported for fields longer the 32 bits";
    let only_set = "Non extended mode. only 'set' command is supported";
    if is("invert") {
        // tc 6.1 sets the first byte to 255 and the others to 0.
        let Some(ones) = target.ones else { return Wrong::text(&format!("invert {long}")) };
        (change.value, change.mask) = (ones, ones);
    } else if is("set") || is("add") {
        if is("add") {
            change.command = Command::Add;
            if !target.extended {
                return Wrong::text(only_set);
            }
        }
        given = read(words.value()?)?;
    } else if is("decrement") {
        if !target.decrements {
            return Wrong::text("decrement command is not supported for this field");
        } else if !target.extended {
            return Wrong::text(only_set);
        }
        (change.command, change.value) = (Command::Add, target.retain);
    } else if is("preserve") {
        change.retain = 0;
    } else if !is("clear") {
        return Err(Wrong::Silent);
    }
    if words.peek().is_some_and(|word| is_prefix(word, "retain")) {
        words.next();
        change.retain = parse_u32(words.value()?).map_err(|_| Wrong::Silent)?;
    }
    if target.ones.is_none() && change.retain != u32::MAX {
        return Wrong::text(&format!("retain {long}"));
    }
    Ok((change, given))
}

/// Reads a change of a field of up to 32 bits.
fn parse_key(
    field: Field,
    target: Target,
    words: &mut Words<'_>,
    read: fn(&str) -> Result<u32, Wrong>,
) -> Result<Key, Wrong> {
    let (Change { command, value, mask, retain }, given) = parse_change(target, words, read)?;
    let value = value | given;
    match field.bits {
        8 if value > 0xff => {
            return Wrong::text(&format!("pack_key8 bad value (val {value:x} mask {mask:x}"));
        }
        16 if value > 0xffff => return Wrong::text("pack_key16 bad value"),
        16 if field.offset & 3 == 3 => return Wrong::text("pack_key16 bad index value 3"),
        32 if field.offset & 3 != 0 => {
            return Wrong::text("pack_key32: 32 bit offsets must begin in 32bit boundaries");
        }
        _ => {}
    }
    Ok(field.key(command, value, mask, retain))
}

fn number(word: &str) -> Result<u32, Wrong> {
    parse_u32(word).map_err(|_| Wrong::Silent)
}

fn ipv4(word: &str) -> Result<u32, Wrong> {
    match word {
        "default" | "any" | "all" => Ok(0),
        word => parse_ipv4(word).map(u32::from).ok_or(Wrong::Silent),
    }
}

fn ipv6(word: &str) -> Result<u128, Wrong> {
    match word {
        "default" | "any" | "all" => Ok(0),
        word => word.parse::<Ipv6Addr>().map(u128::from).map_err(|_| Wrong::Silent),
    }
}

fn mac(word: &str) -> Result<[u8; 6], Wrong> {
    let is_wrong = |part: &&str| u8::from_str_radix(part, 16).is_err();
    parse_mac(word).ok_or_else(|| match word.split(':').find(is_wrong) {
        Some(part) => Wrong::Text(format!("\"{part}\" is invalid lladdr.")),
        None => Wrong::Silent,
    })
}

fn parse_field(field: Named, extended: bool, words: &mut Words<'_>) -> Result<Vec<Key>, Wrong> {
    let of = |field: Field, decrements| Target {
        extended,
        decrements,
        retain: field.retain,
        ones: Some(field.ones()),
    };
    let long = Target { extended, decrements: false, retain: u32::MAX, ones: None };
    let with = |keys: &mut [Key], command| keys.iter_mut().for_each(|key| key.command = command);
    match field {
        Named::Number(field) => {
            let decrements =
                field.offset == Field::IP_TTL.offset && is_ip4(field) || field == Field::IP6_HOPLIMIT;
            Ok(vec![parse_key(field, of(field, decrements), words, number)?])
        }
        Named::Address(field) => Ok(vec![parse_key(field, of(field, false), words, ipv4)?]),
        Named::Mac(keys) => {
            let (change, mac) = parse_change(long, words, mac)?;
            let mut keys = keys(mac);
            with(&mut keys, change.command);
            Ok(keys.into())
        }
        Named::Ip6(keys) => {
            let (change, address) = parse_change(long, words, ipv6)?;
            let mut keys = keys(Ipv6Addr::from(address));
            with(&mut keys, change.command);
            Ok(keys.into())
        }
    }
}

fn is_ip4(field: Field) -> bool {
    matches!(field.header, Header::Ip4 | Header::Network)
}
