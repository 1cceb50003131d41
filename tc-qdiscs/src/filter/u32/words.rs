//! The words of u32.

use tc_core::action::Actions;
use tc_core::uapi::*;
use tc_core::units::{parse_hex, parse_i32, parse_u32};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{Handle, OptionWords};

use super::selector::{Key, Mark, Offset, Selector};
use super::{U32, handle};
use crate::action::police::Police;
use crate::filter::{address, class_of, indev_of, police_or_actions};

/// Reads the options; `order` becomes the node of the handle.
pub(super) fn parse(
    words: &mut Words<'_>,
    context: &WordsContext<'_>,
    mut handle: Handle,
    has_handle: bool,
) -> Result<(U32, Handle), WordError> {
    let mut u32 = U32::default();
    let mut selector = Selector::default();
    let mut has_selector = false;
    let (mut table, mut order) = (Table::default(), 0);
    while let Some(word) = words.next() {
        let is = |name| is_prefix(word, name);
        if is("match") {
            match_words(words, &mut selector, &mut u32.mark, "match")?;
            has_selector = true;
        } else if is("offset") {
            offset(words, &mut selector)?;
        } else if is("hashkey") {
            hashkey(words, &mut selector)?;
        } else if is("classid") || word == "flowid" {
            u32.class = Some(class_of(words)?);
            selector.terminal = true;
        } else if is("divisor") {
            u32.divisor = Some(divisor(words.value()?).ok_or_else(|| illegal("divisor"))?);
        } else if is("order") {
            let number = parse_u32(words.value()?).ok().filter(|order| *order < 0x1000);
            order = number.ok_or_else(|| illegal("order"))?;
        } else if word == "link" {
            let link = handle::parse(words.value()?).ok_or_else(|| illegal("link"))?;
            if handle::parts(link).2 != 0 {
                return Err(error("\"link\" must be a hash table."));
            }
            u32.link = Some(link);
        } else if word == "ht" {
            let ht = handle::parse(words.value()?).ok_or_else(|| illegal("ht"))?;
            if has_handle && handle::parts(ht).2 != 0 {
                return Err(error("\"ht\" must be a hash table."));
            }
            table.set(ht);
        } else if word == "sample" {
            table.sample(words, &mut u32.mark)?;
        } else if word == "indev" {
            u32.indev = Some(indev_of(words)?);
        } else if is("action") {
            if words.is_empty() {
                return Err(WordError::Incomplete);
            }
            u32.actions = Actions::parse_words(words, context)?;
            selector.terminal = true;
        } else if is("police") {
            u32.police = Some(Police::parse_in_filter(words)?);
            selector.terminal = true;
        } else if word == "skip_hw" {
            u32.flags |= TCA_CLS_FLAGS_SKIP_HW;
        } else if word == "skip_sw" {
            u32.flags |= TCA_CLS_FLAGS_SKIP_SW;
        } else if word == "help" {
            return Err(WordError::Help);
        } else {
            return Err(WordError::what_is(word));
        }
    }
    if order != 0 {
        let node = handle::parts(handle).2;
        if node != 0 && node != order {
            return Err(error("\"order\" contradicts \"handle\""));
        }
        handle = Handle::from_raw(handle.raw() | order);
    }
    if u32.flags == TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW {
        return Err(error("skip_hw and skip_sw are mutually exclusive"));
    }
    police_or_actions(u32.police.as_ref(), &u32.actions).map_err(WordError::Kind)?;
    u32.table = table.handle();
    u32.selector = has_selector.then_some(selector);
    Ok((u32, handle))
}

/// The table and the bucket, from `ht` and `sample`.
#[derive(Default)]
struct Table {
    table: u32,
    bucket: u32,
    has_sample: bool,
}

impl Table {
    fn set(&mut self, ht: Handle) {
        let (table, bucket, _) = handle::parts(ht);
        self.table = table;
        if !self.has_sample {
            self.bucket = bucket;
        }
    }

    /// Computes the bucket of a packet that has the sample.
    fn sample(&mut self, words: &mut Words<'_>, mark: &mut Option<Mark>) -> Result<(), WordError> {
        let mut selector = Selector::default();
        match_words(words, &mut selector, mark, "sample")?;
        let [key] = selector.keys[..] else {
            return Err(error("\"sample\" must contain exactly ONE key."));
        };
        let mut buckets = 0x100;
        if words.peek() == Some("divisor") {
            words.next();
            let wrong = || error("Illegal sample \"divisor\"");
            buckets = divisor(words.value()?).ok_or_else(wrong)?;
        }
        let folded = if key.mask == 0 { 0 } else { key.value >> key.mask.trailing_zeros() };
        self.bucket = folded % buckets;
        self.has_sample = true;
        Ok(())
    }

    fn handle(&self) -> Option<Handle> {
        Some(handle::of(self.table, self.bucket, 0)).filter(|handle| handle.raw() != 0)
    }
}

fn divisor(word: &str) -> Option<u32> {
    parse_u32(word).ok().filter(|divisor| divisor.is_power_of_two() && *divisor <= 0x100)
}

/// The words after `offset`.
fn offset(words: &mut Words<'_>, selector: &mut Selector) -> Result<(), WordError> {
    let wrong = || illegal("offset");
    while let Some(word) = words.peek() {
        let is = |name| is_prefix(word, name);
        let mut number = || {
            words.next();
            parse_i32(words.value()?).map_err(|_| wrong())
        };
        if is("plus") {
            selector.plus = Some(number()?.try_into().map_err(|_| wrong())?);
        } else if is("at") {
            let at = number()?;
            if at % 2 != 0 {
                return Err(error("offset \"at\" must be even\nIllegal \"offset\""));
            }
            selector.offset.get_or_insert_default().at = at.try_into().map_err(|_| wrong())?;
        } else if is("mask") {
            words.next();
            let mask = parse_hex(words.value()?).map_err(|_| wrong())?;
            selector.offset.get_or_insert_default().mask = mask;
        } else if is("shift") {
            let shift = number()?.try_into().map_err(|_| wrong())?;
            selector.offset.get_or_insert_default().shift = shift;
        } else if is("eat") {
            words.next();
            selector.eat = true;
        } else {
            break;
        }
    }
    Ok(())
}

/// The words after `hashkey`.
fn hashkey(words: &mut Words<'_>, selector: &mut Selector) -> Result<(), WordError> {
    let wrong = || illegal("hashkey");
    while let Some(word) = words.peek() {
        if is_prefix(word, "mask") {
            words.next();
            selector.hash_mask = parse_hex(words.value()?).map_err(|_| wrong())?;
        } else if is_prefix(word, "at") {
            words.next();
            let at = parse_i32(words.value()?).ok().filter(|at| at % 4 == 0);
            selector.hash_at = at.and_then(|at| at.try_into().ok()).ok_or_else(wrong)?;
        } else {
            break;
        }
    }
    Ok(())
}

/// The words after `match` or `sample`.
fn match_words(
    words: &mut Words<'_>,
    selector: &mut Selector,
    mark: &mut Option<Mark>,
    option: &str,
) -> Result<(), WordError> {
    let mut matching = Match { words, selector, wrong: illegal(option) };
    let sort = matching.words.next().ok_or(WordError::Incomplete)?;
    let names = ["u32", "u16", "u8", "ip", "ip6", "udp", "tcp", "icmp", "mark", "ether"];
    let sort = names.into_iter().find(|name| is_prefix(sort, name)).ok_or_else(|| matching.wrong.clone())?;
    let first = matching.words.peek().ok_or(WordError::Incomplete)?;
    // As in tc, a match has two words or more.
    if matching.words.rest().len() < 2 {
        return Err(matching.wrong);
    }
    let bits = |sort| match sort {
        "u32" => Some(32),
        "u16" => Some(16),
        "u8" => Some(8),
        _ => None,
    };
    if let Some(bits) = bits(sort) {
        return matching.number(bits, 0, 0);
    }
    if sort == "mark" {
        *mark = Some(matching.mark()?);
        return Ok(());
    }
    matching.words.next();
    let Some(field) = field(sort, first) else {
        if sort == "ether" {
            return Err(error(format!("Unknown match: ether {first}\nIllegal \"{option}\"")));
        }
        return Err(matching.wrong);
    };
    match field {
        Field::Bits(bits, at) => matching.number(bits, at, 0),
        Field::NextHeader(bits, at) => matching.number(bits, at, -1),
        Field::Fixed(value, mask) => matching.add(16, value, mask, 6, 0),
        Field::Ip(at) => matching.ip(at),
        Field::Ip6(at) => matching.ip6(at),
        Field::Class => {
            let (value, mask) = matching.value_and_mask()?;
            if value > 0xff || mask > 0xff {
                return Err(matching.wrong);
            }
            matching.add(32, value << 20, mask << 20, 0, 0)
        }
        Field::Ether(at) => matching.ether(at, option),
    }
}

/// A field of a header.
enum Field {
    /// Its bits, and its place.
    Bits(u32, i32),
    /// A key in the next header.
    NextHeader(u32, i32),
    /// Fragment bits of IPv4: value and mask.
    Fixed(u32, u32),
    Ip(i32),
    Ip6(i32),
    Class,
    Ether(i32),
}

fn field(sort: &str, name: &str) -> Option<Field> {
    Some(match (sort, name) {
        ("ip", "src") => Field::Ip(12),
        ("ip", "dst") => Field::Ip(16),
        ("ip", "tos") => Field::Bits(8, 1),
        ("ip", name) if is_prefix(name, "dsfield") || is_prefix(name, "precedence") => Field::Bits(8, 1),
        ("ip", "ihl") => Field::Bits(8, 0),
        ("ip", "protocol") => Field::Bits(8, 9),
        ("ip", "nofrag") => Field::Fixed(0, 0x3fff),
        ("ip", "firstfrag") => Field::Fixed(0x2000, 0x3fff),
        ("ip", "df") => Field::Fixed(0x4000, 0x4000),
        ("ip", "mf") => Field::Fixed(0x2000, 0x2000),
        ("ip", "dport") => Field::Bits(16, 22),
        ("ip", "sport") => Field::Bits(16, 20),
        ("ip", "icmp_type") => Field::Bits(8, 20),
        ("ip", "icmp_code") => Field::Bits(8, 21),
        ("ip6", "src") => Field::Ip6(8),
        ("ip6", "dst") => Field::Ip6(24),
        ("ip6", "priority") => Field::Class,
        ("ip6", "protocol") => Field::Bits(8, 6),
        ("ip6", "flowlabel") => Field::Bits(32, 0),
        ("ip6", "dport") => Field::Bits(16, 42),
        ("ip6", "sport") => Field::Bits(16, 40),
        ("ip6", "icmp_type") => Field::Bits(8, 40),
        // tc 6.1 masks the offset to the next header with 1 here.
        ("ip6", "icmp_code") => Field::Bits(8, 41),
        ("tcp" | "udp", "src") => Field::NextHeader(16, 0),
        ("tcp" | "udp", "dst") => Field::NextHeader(16, 2),
        ("icmp", "type") => Field::NextHeader(8, 0),
        ("icmp", "code") => Field::NextHeader(8, 1),
        ("ether", "src") => Field::Ether(-8),
        ("ether", "dst") => Field::Ether(-14),
        _ => return None,
    })
}

/// One match while it is read.
struct Match<'w, 'a, 's> {
    words: &'w mut Words<'a>,
    selector: &'s mut Selector,
    /// The error for a value that cannot be read.
    wrong: WordError,
}

impl Match<'_, '_, '_> {
    /// A number and its mask, and where they are in the packet.
    fn number(&mut self, bits: u32, at: i32, offset_mask: i32) -> Result<(), WordError> {
        let (value, mask) = self.value_and_mask()?;
        if bits == 8 && (value > 0xff || mask > 0xff) {
            return Err(self.wrong.clone());
        }
        let (at, offset_mask) = self.place(at, offset_mask)?;
        self.add(bits, value, mask, at, offset_mask)
    }

    fn value_and_mask(&mut self) -> Result<(u32, u32), WordError> {
        let [value, mask, ..] = self.words.rest() else { return Err(self.wrong.clone()) };
        let value = parse_u32(value).map_err(|_| self.wrong.clone())?;
        let mask = parse_hex(mask).map_err(|_| self.wrong.clone())?;
        self.words.next();
        self.words.next();
        Ok((value, mask))
    }

    /// The place after `at`, if there is one.
    fn place(&mut self, at: i32, offset_mask: i32) -> Result<(i32, i32), WordError> {
        if self.words.peek() != Some("at") {
            return Ok((at, offset_mask));
        }
        self.words.next();
        let mut word = self.words.value()?;
        let mut offset_mask = offset_mask;
        match word.strip_prefix("nexthdr+") {
            Some(rest) if !rest.is_empty() => (word, offset_mask) = (rest, -1),
            _ if is_prefix(word, "nexthdr+") => (word, offset_mask) = (self.words.value()?, -1),
            _ => {}
        }
        let at = parse_i32(word).map_err(|_| self.wrong.clone())?;
        Ok((at, offset_mask))
    }

    /// Adds a number of some bits, at its place in a word of 32.
    fn add(&mut self, bits: u32, value: u32, mask: u32, at: i32, offset_mask: i32) -> Result<(), WordError> {
        if bits < 32 && (value >> bits != 0 || mask >> bits != 0) {
            return Err(self.wrong.clone());
        }
        let (shift, at) = match (bits, at & 3) {
            (8, byte) => (24 - 8 * byte, at & !3),
            (16, 0) => (16, at & !3),
            (16, _) => (0, at & !3),
            _ => (0, at),
        };
        let key = Key { value: value << shift, mask: mask << shift, at, offset_mask };
        self.selector.add(key).ok_or_else(|| self.wrong.clone())
    }

    fn ip(&mut self, at: i32) -> Result<(), WordError> {
        let (address, length) = address::ipv4(self.words.value()?).ok_or_else(|| self.wrong.clone())?;
        let (at, offset_mask) = self.place(at, 0)?;
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        self.add(32, address, mask, at, offset_mask)
    }

    fn ip6(&mut self, at: i32) -> Result<(), WordError> {
        let (address, length) = address::ipv6(self.words.value()?).ok_or_else(|| self.wrong.clone())?;
        let (at, offset_mask) = self.place(at, 0)?;
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        for word in 0..length.div_ceil(32) {
            let part = |number: u128| (number >> (96 - 32 * word)) as u32;
            let at = at.checked_add_unsigned(4 * word).ok_or_else(|| self.wrong.clone())?;
            self.add(32, part(address), part(mask), at, offset_mask)?;
        }
        Ok(())
    }

    fn ether(&mut self, at: i32, option: &str) -> Result<(), WordError> {
        let word = self.words.value()?;
        let mac = address::mac(word).ok_or_else(|| {
            let text = "parse_ether_addr: improperly formed address";
            error(format!("{text} '{word}'\nIllegal \"{option}\""))
        })?;
        let (at, offset_mask) = self.place(at, 0)?;
        for (byte, place) in mac.into_iter().zip(0..) {
            let at = at.checked_add(place).ok_or_else(|| self.wrong.clone())?;
            self.add(8, byte.into(), 0xff, at, offset_mask)?;
        }
        Ok(())
    }

    fn mark(&mut self) -> Result<Mark, WordError> {
        let wrong = |what: &str| error(format!("Illegal \"mark\" {what}\nIllegal \"match\""));
        let value = parse_u32(self.words.value()?).map_err(|_| wrong("value"))?;
        let mask = parse_u32(self.words.value()?).map_err(|_| wrong("mask"))?;
        if value & mask != value {
            return Err(wrong("(impossible combination)"));
        }
        Ok(Mark { value, mask, success: 0 })
    }
}

fn error(text: impl Into<String>) -> WordError {
    WordError::Kind(text.into())
}

fn illegal(option: &str) -> WordError {
    error(format!("Illegal \"{option}\""))
}

/// Describes the options in words.
pub(super) fn write(u32: &U32, out: &mut OptionWords<'_>) {
    out.text("divisor", u32.divisor.map(|divisor| format!("divisor {divisor}")).unwrap_or_default());
    // The kernel finds the root table by the priority; its number depends on the order of creation.
    let table = u32.table.filter(|table| !handle::is_in_root(*table) && !table.is_unspec());
    out.text("ht", table.map(|table| format!("ht {}", handle::write(table))).unwrap_or_default());
    for (key, flag) in [("skip_hw", TCA_CLS_FLAGS_SKIP_HW), ("skip_sw", TCA_CLS_FLAGS_SKIP_SW)] {
        out.flag(key, u32.flags & flag != 0);
    }
    let mark = u32.mark.map(|mark| format!("match mark {:#x} {:#x}", mark.value, mark.mask));
    out.text("mark", mark.unwrap_or_default());
    let none = Selector::default();
    write_selector(u32.selector.as_ref().unwrap_or(&none), u32, out);
    let link = u32.link.map(|link| format!("link {}", handle::write(link)));
    out.sticky_text("link", link.unwrap_or_default());
    let acts = u32.police.is_some() || !u32.actions.is_empty();
    let class = match u32.class.filter(|class| !class.is_unspec()) {
        Some(class) => format!("classid {class}"),
        None if !acts && u32.selector.as_ref().is_some_and(|selector| selector.terminal) => {
            "classid none".to_owned()
        }
        None => String::new(),
    };
    out.sticky_text("classid", class);
    out.say_name("indev", u32.indev.as_deref());
    match &u32.police {
        Some(police) => police.to_words_in_filter(out),
        None => u32.actions.to_words(out),
    }
}

fn write_selector(selector: &Selector, u32: &U32, out: &mut OptionWords<'_>) {
    let ends = u32.class.is_some() || u32.police.is_some() || !u32.actions.is_empty();
    if ends && !selector.terminal && u32.selector.is_some() {
        out.cannot_say("a class or actions that do not end the search");
    }
    let mut matches: Vec<_> = Vec::new();
    for Key { value, mask, at, offset_mask } in &selector.keys {
        let next = match offset_mask {
            0 => "",
            -1 => "nexthdr+",
            other => {
                out.cannot_say(&format!("a key under the offset mask {other:#x}"));
                ""
            }
        };
        matches.push(format!("match u32 {value:#010x} {mask:#010x} at {next}{at}"));
    }
    if matches.is_empty() && u32.mark.is_none() && u32.selector.is_some() {
        // No keys: all packets match.
        matches.push("match ip6 src any".into());
    }
    out.text("match", matches.join(" "));
    let mut offset = String::new();
    if let Some(Offset { at, mask, shift }) = selector.offset {
        offset += &format!(" at {at} mask {mask:#06x} shift {shift}");
    }
    if let Some(plus) = selector.plus {
        offset += &format!(" plus {plus}");
    }
    if selector.eat {
        offset += " eat";
    }
    out.text("offset", if offset.is_empty() { offset } else { format!("offset{offset}") });
    let hash = match (selector.hash_mask, selector.hash_at) {
        (0, 0) => String::new(),
        (mask, at) => format!("hashkey mask {mask:#010x} at {at}"),
    };
    out.text("hashkey", hash);
}
