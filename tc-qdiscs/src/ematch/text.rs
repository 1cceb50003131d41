//! `text`: searches for a text in the packet.
//!
//! UAPI: `struct tcf_em_text` of `linux/tc_ematch/tc_em_text.h`, with the pattern after it. `tc` has no
//! words for it.
//!
//! Kernel, `net/sched/em_text.c`: a pattern that goes beyond the end of the range is not found.

use tc_core::ematch::Ematch;
use tc_core::link::DeviceNames;
use tc_core::{Attr, AttrWriter, DecodeError, EncodeError, Reader};

use super::{Layer, nibbles, print_bytes, split_nibbles};

tc_core::register_ematch!(Text);

/// The parameters of a text ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::Layer;
/// use tc_qdiscs::ematch::text::Text;
///
/// // "GET " within 100 bytes of the transport header.
/// let get = Text::new("kmp", "GET ").from(Layer::Transport, 0).to(Layer::Transport, 100);
/// let expression = Ematches::new(get);
/// # let _ = expression;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// The name of the kernel's search algorithm, at most 15 bytes: `kmp` or `bm`.
    pub algorithm: String,
    /// The text.
    pub pattern: Vec<u8>,
    /// The header that the start of the range counts from.
    pub from_layer: Layer,
    /// The start of the range in bytes.
    pub from_offset: u16,
    /// The header that the end of the range counts from. The kernel refuses one before that of the start.
    pub to_layer: Layer,
    /// The end of the range in bytes.
    pub to_offset: u16,
}

impl Text {
    /// Searches from the link layer's header to the transport header.
    pub fn new(algorithm: impl Into<String>, pattern: impl Into<Vec<u8>>) -> Self {
        Self {
            algorithm: algorithm.into(),
            pattern: pattern.into(),
            from_layer: Layer::Link,
            from_offset: 0,
            to_layer: Layer::Transport,
            to_offset: 0,
        }
    }

    /// Sets the start of the range.
    #[must_use]
    pub fn from(self, from_layer: Layer, from_offset: u16) -> Self {
        Self { from_layer, from_offset, ..self }
    }

    /// Sets the end of the range.
    #[must_use]
    pub fn to(self, to_layer: Layer, to_offset: u16) -> Self {
        Self { to_layer, to_offset, ..self }
    }
}

impl Ematch for Text {
    const KIND: u16 = 5;
    const NAME: &'static str = "text";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let invalid = |text: &str| EncodeError::Invalid(format!("text: {text}"));
        if self.algorithm.len() >= ALGORITHM || self.algorithm.contains('\0') {
            return Err(invalid("the name of an algorithm has at most 15 bytes and no NUL"));
        }
        let length = u16::try_from(self.pattern.len());
        let length = length.map_err(|_| invalid("the pattern has at most 65535 bytes"))?;
        let mut algorithm = [0; ALGORITHM];
        algorithm[..self.algorithm.len()].copy_from_slice(self.algorithm.as_bytes());
        out.put(&algorithm);
        out.put_u16(self.from_offset);
        out.put_u16(self.to_offset);
        out.put_u16(length);
        out.put_u8(nibbles(self.from_layer as u8, self.to_layer as u8));
        out.put_u8(0); // pad
        out.put(&self.pattern);
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let algorithm = Attr { kind: 0, nested: false, payload: reader.bytes(ALGORITHM)? }.str()?.to_owned();
        let (from_offset, to_offset, length) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let (from_layer, to_layer) = split_nibbles(reader.u8()?);
        reader.skip(1)?;
        Ok(Self {
            algorithm,
            pattern: reader.bytes(usize::from(length))?.to_vec(),
            from_layer: Layer::of(from_layer)?,
            from_offset,
            to_layer: Layer::of(to_layer)?,
            to_offset,
        })
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        out.push_str(&self.algorithm);
        out.push(' ');
        print_bytes(&self.pattern, out);
        let (from, to) = (self.from_layer as u8, self.to_layer as u8);
        *out += &format!(" from {} layer {from} to {} layer {to}", self.from_offset, self.to_offset);
    }
}

/// `TC_EM_TEXT_ALGOSIZ`.
const ALGORITHM: usize = 16;
