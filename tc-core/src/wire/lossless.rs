//! Bytes as text, without loss.
//!
//! Device names and file names are bytes, and words are `str`. A byte that belongs to no UTF-8 sequence
//! is carried as a private-use character: 0x80 to 0xff as U+10FF80 to U+10FFFF. These characters
//! themselves are carried byte by byte, so that each text stands for one sequence of bytes.
//!
//! ```
//! use tc_core::lossless::{to_bytes, to_text};
//!
//! let text = to_text(b"lat\xe9");
//! assert_eq!(text, "lat\u{10ffe9}");
//! assert_eq!(*to_bytes(&text), *b"lat\xe9");
//! ```

use std::borrow::Cow;

/// The first byte of the characters that carry a byte.
const LEAD: u8 = 0xf4;

/// The text that carries these bytes.
pub fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_carrier(bytes) => Cow::Borrowed(text),
        _ => Cow::Owned(carried(bytes)),
    }
}

/// Turns bytes into the text that carries them, in place if they are UTF-8.
pub fn into_text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !has_carrier(text.as_bytes()) => text,
        Ok(text) => carried(text.as_bytes()),
        Err(error) => carried(error.as_bytes()),
    }
}

/// The bytes that a text carries.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_carrier(text.as_bytes()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match carried_byte(character) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

fn carried(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match carried_byte(character) {
                Some(_) => {
                    character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| text.push(carrier(byte)))
                }
                None => text.push(character),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push(carrier(*byte)));
    }
    text
}

/// Only bytes from 0x80 are carried.
fn carrier(byte: u8) -> char {
    char::from_u32(0x10_ff00 | u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

const fn carried_byte(character: char) -> Option<u8> {
    match character as u32 {
        number @ 0x10_ff80..=0x10_ffff => Some(number as u8),
        _ => None,
    }
}

fn has_carrier(bytes: &[u8]) -> bool {
    bytes.contains(&LEAD) && bytes.windows(3).any(|three| matches!(three, [LEAD, 0x8f, 0xbe | 0xbf]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn carriers_are_carried_themselves() {
        let name = "a\u{10ffe9}b";
        let text = to_text(name.as_bytes());
        assert_ne!(text, name);
        assert_eq!(*to_bytes(&text), *name.as_bytes());
    }

    #[test]
    fn usual_text_is_borrowed() {
        assert!(matches!(to_text("grüße".as_bytes()), Cow::Borrowed("grüße")));
        assert!(matches!(to_bytes("\u{10f000}"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xf4), Just(0x8f), Just(0xbf)], 0..40)) {
            let text = to_text(&bytes);
            prop_assert_eq!(&*to_bytes(&text), &*bytes);
            prop_assert_eq!(into_text(bytes.clone()), text);
        }
    }
}
