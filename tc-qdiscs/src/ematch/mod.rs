//! Extended matches, for the expressions of basic, cgroup and flow.
//!
//! ```
//! use tc_core::ematch::Ematches;
//! use tc_qdiscs::ematch::cmp::{Align, Cmp};
//! use tc_qdiscs::ematch::meta::{Field, Meta};
//! use tc_qdiscs::ematch::{Layer, Operand};
//!
//! // TCP packets without the mark 7.
//! let tcp = Cmp::new(Align::U8, 9, Operand::Eq, 6).layer(Layer::Network);
//! let marked = Meta::new(Field::NF_MARK, Operand::Eq, 7);
//! let expression = Ematches::new(tcp).and(!Ematches::new(marked));
//! assert_eq!(expression.to_string(), "cmp(u8 at 9 layer 1 eq 6) and not (meta(nf_mark eq 7))");
//! ```

pub mod canid;
pub mod cmp;
pub mod ipset;
pub mod meta;
pub mod nbyte;
pub mod text;
pub mod u32;

use tc_core::DecodeError;
use tc_core::ematch::{ArgError, Args};
use tc_core::units::parse_u32;
use tc_core::words::is_prefix;

/// The header that an offset counts from (`TCF_LAYER_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layer {
    /// The link layer's header.
    Link,
    /// The network header.
    #[default]
    Network,
    /// The transport header.
    Transport,
}

impl Layer {
    const ALL: [Self; 3] = [Self::Link, Self::Network, Self::Transport];

    pub(crate) fn of(number: u8) -> Result<Self, DecodeError> {
        let layer = Self::ALL.get(usize::from(number)).copied();
        layer.ok_or(DecodeError::Malformed { what: "layer of an ematch" })
    }

    /// Reads the layer after the word `layer`; `name` is the ematch's.
    fn parse(args: &mut Args<'_>, name: &str) -> Result<Self, ArgError> {
        let Some(word) = args.word() else { return Err(args.wrong(&format!("{name}: missing argument"))) };
        let named = ["link", "network", "transport"].iter().position(|name| is_prefix(&word, name));
        let number = match named {
            Some(number) => number as u32,
            None => parse_u32(&word).map_err(|_| args.wrong(&format!("{name}: invalid layer")))?,
        };
        let layer = Self::ALL.get(number as usize).copied();
        layer.ok_or_else(|| args.wrong(&format!("{name}: illegal layer, must be in 0..2")))
    }
}

/// A comparison of two numbers (`TCF_EM_OPND_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operand {
    /// They are equal.
    #[default]
    Eq,
    /// The first one is greater.
    Gt,
    /// The first one is less.
    Lt,
}

impl Operand {
    pub(crate) fn of(number: u8) -> Result<Self, DecodeError> {
        let operand = [Self::Eq, Self::Gt, Self::Lt].get(usize::from(number)).copied();
        operand.ok_or(DecodeError::Malformed { what: "operand of an ematch" })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Gt => "gt",
            Self::Lt => "lt",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Eq, Self::Gt, Self::Lt].into_iter().find(|operand| operand.word() == word)
    }
}

/// Reads the offset after the word `at`, at most 16 bits.
fn parse_offset(args: &mut Args<'_>, name: &str) -> Result<u16, ArgError> {
    let wrong = format!("{name}: invalid offset, must be numeric");
    let offset = args.number(&format!("{name}: missing argument"), &wrong)?;
    u16::try_from(offset).map_err(|_| args.wrong(&wrong))
}

/// Bytes as hexadecimal numbers and as text, as `tc` prints them.
fn print_bytes(bytes: &[u8], out: &mut String) {
    bytes.iter().for_each(|byte| *out += &format!("{byte:02x} "));
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
    out.push('"');
    out.extend(bytes.iter().map(shown));
    out.push('"');
}

/// Two bit fields of four bits, the first of the C struct first.
const fn nibbles(first: u8, second: u8) -> u8 {
    let (low, high) = if cfg!(target_endian = "big") { (second, first) } else { (first, second) };
    (high & 0xf) << 4 | low & 0xf
}

/// The two bit fields of a byte.
const fn split_nibbles(byte: u8) -> (u8, u8) {
    let (low, high) = (byte & 0xf, byte >> 4);
    if cfg!(target_endian = "big") { (high, low) } else { (low, high) }
}

#[cfg(test)]
pub(crate) mod tests;
