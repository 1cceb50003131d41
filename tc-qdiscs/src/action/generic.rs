//! The parts that most actions share: `struct tc_gen`, and the words and output around it.

use std::net::{IpAddr, Ipv4Addr};

use tc_core::action::{Control, Times};
use tc_core::print::Printer;
use tc_core::units::parse_u8;
use tc_core::words::{WordError, Words, is_prefix};
use tc_core::{Attr, AttrWriter, DecodeError, OptionWords, Reader, Syntax};

/// The fields of an action that only the kernel sets. Requests leave them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reported {
    /// The reference count.
    pub refcnt: i32,
    /// The number of filters that use the action.
    pub bindcnt: i32,
    /// Times of creation and use.
    pub times: Option<Times>,
}

impl Reported {
    /// The fields of an action that no kernel has reported.
    pub(crate) const NONE: Self = Self { refcnt: 0, bindcnt: 0, times: None };

    /// Whether the action has references that no filter holds.
    pub(crate) const fn stands_alone(&self) -> bool {
        self.refcnt > self.bindcnt
    }

    /// Reads the counts, and the times from their attribute.
    pub(crate) fn read(reader: &mut Reader<'_>, times: Option<Attr<'_>>) -> Result<Self, DecodeError> {
        let (refcnt, bindcnt) = (reader.i32()?, reader.i32()?);
        let times = times.map(|attr| Times::decode(&attr)).transpose()?;
        Ok(Self { refcnt, bindcnt, times })
    }
}

/// The fields of `struct tc_gen`.
#[derive(Clone, Copy)]
pub(crate) struct Generic {
    pub(crate) index: u32,
    pub(crate) control: Control,
    pub(crate) reported: Reported,
}

impl Generic {
    /// Reads the struct, and the times from their attribute.
    pub(crate) fn read(reader: &mut Reader<'_>, times: Option<Attr<'_>>) -> Result<Self, DecodeError> {
        let index = reader.u32()?;
        reader.skip(4)?; // capab
        let control = Control::from_raw(reader.i32()?);
        Ok(Self { index, control, reported: Reported::read(reader, times)? })
    }
}

/// Writes the struct; the counts are the kernel's.
pub(crate) fn put(index: u32, control: Control, out: &mut AttrWriter<'_>) {
    out.put_u32(index);
    out.put_u32(0); // capab
    out.put_i32(control.raw());
    out.put(&[0; 8]);
}

/// Reads the words that end most actions: `[CONTROL] [index INDEX]`. `illegal` makes the text for
/// an index that is no number.
pub(crate) fn parse_end(
    words: &mut Words<'_>,
    default: Control,
    illegal: impl FnOnce(&str) -> String,
) -> Result<(Control, Option<u32>), WordError> {
    let control = match words.peek().is_some_and(Control::is_word) {
        true => Control::parse_words(words)?,
        false => default,
    };
    if !words.peek().is_some_and(|word| is_prefix(word, "index")) {
        return Ok((control, None));
    }
    words.next();
    let word = words.value()?;
    let index = word.parse().map_err(|_| WordError::Kind(illegal(word)))?;
    Ok((control, Some(index)))
}

/// Prints the last line; `before` stands before the index.
pub(crate) fn print_end(before: &str, index: u32, reported: &Reported, out: &mut Printer) {
    print_counts(before, index, reported, out);
    print_times(reported, out);
    out.newline();
}

pub(crate) fn print_counts(before: &str, index: u32, reported: &Reported, out: &mut Printer) {
    out.item("index", before, index, "");
    out.item("ref", " ref ", reported.refcnt, "");
    out.item("bind", " bind ", reported.bindcnt, "");
}

pub(crate) fn print_times(reported: &Reported, out: &mut Printer) {
    if let Some(times) = reported.times.filter(|_| out.style().stats) {
        times.print(out);
    }
}

/// Describes control action and index; see [`Syntax::to_words`].
pub(crate) fn say_end(index: u32, control: Control, default: Control, out: &mut OptionWords<'_>) {
    say_control(control, Some(default), out);
    say_index(index, out);
}

/// Describes the control action; without words for the default.
pub(crate) fn say_control(control: Control, default: Option<Control>, out: &mut OptionWords<'_>) {
    let words = if default == Some(control) { Some(String::new()) } else { control.words() };
    match words {
        Some(words) => out.text("control", words),
        None => out.cannot_say(&format!("the control action {}", control.raw())),
    }
}

pub(crate) fn say_index(index: u32, out: &mut OptionWords<'_>) {
    out.say_if("index", Some(index).filter(|index| *index != 0));
}

/// An error with the usage text after it, where `tc` reports a bad action and ends with status 1.
pub(crate) fn explained<K: Syntax>(text: &str) -> WordError {
    let newline = if text.is_empty() { "" } else { "\n" };
    WordError::Kind(format!("{text}{newline}{}", K::USAGE.trim_end()))
}

/// An error about a parameter that is missing, where `tc` ends with status 255.
pub(crate) fn required(parameter: &str) -> WordError {
    WordError::Usage(format!("Error: argument \"{parameter}\" is required\n"))
}

/// Reads one to four numbers with dots between; the numbers left out are 0.
pub(crate) fn parse_ipv4(word: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = word.split('.');
    for octet in &mut octets {
        let Some(part) = parts.next() else { break };
        *octet = parse_u8(part).ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// Reads an address of IPv4, or one of IPv6, which has a colon.
pub(crate) fn parse_ip(word: &str) -> Option<IpAddr> {
    match word.contains(':') {
        true => word.parse().ok().map(IpAddr::V6),
        false => parse_ipv4(word).map(IpAddr::V4),
    }
}

/// Reads six bytes in hexadecimal.
pub(crate) fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() <= 2 && !part.starts_with('+'))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// Writes six bytes as `tc` does.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_bytes_alone_are_a_mac() {
        assert_eq!(parse_mac("02:0:A:ff:00:1"), Some([2, 0, 10, 255, 0, 1]));
        assert_eq!(parse_mac("02:00:0a:ff:00:01").map(mac_text).as_deref(), Some("02:00:0a:ff:00:01"));
        for text in ["", "02", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:100", "+2:0:0:0:0:0"]
        {
            assert_eq!(parse_mac(text), None, "{text}");
        }
    }
}
