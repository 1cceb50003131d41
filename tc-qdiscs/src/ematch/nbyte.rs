//! `nbyte`: compares bytes of the packet.
//!
//! UAPI: `struct tcf_em_nbyte` of `linux/tc_ematch/tc_em_nbyte.h`, with the bytes after it.

use tc_core::ematch::{ArgError, Args, Ematch, quote};
use tc_core::link::DeviceNames;
use tc_core::words::WordsContext;
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

use super::{Layer, parse_offset, print_bytes};

tc_core::register_ematch!(Nbyte);

/// The parameters of an nbyte ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::Layer;
/// use tc_qdiscs::ematch::nbyte::Nbyte;
///
/// // Packets to the Ethernet address 02:00:00:00:00:01.
/// let expression = Ematches::new(Nbyte::new(Layer::Link, 0, [2, 0, 0, 0, 0, 1]));
/// # let _ = expression;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nbyte {
    /// The header that the offset counts from.
    pub layer: Layer,
    /// The offset in bytes.
    pub offset: u16,
    /// The bytes, at most 4095.
    pub bytes: Vec<u8>,
}

impl Nbyte {
    /// Compares the bytes at this offset.
    pub fn new(layer: Layer, offset: u16, bytes: impl Into<Vec<u8>>) -> Self {
        Self { layer, offset, bytes: bytes.into() }
    }
}

impl Ematch for Nbyte {
    const KIND: u16 = 2;
    const NAME: &'static str = "nbyte";
    const USAGE: &'static str = "\
Usage: nbyte(NEEDLE at OFFSET [layer LAYER])
where: NEEDLE := { string | \"c-escape-sequence\" }
       OFFSET := int
       LAYER  := { link | network | transport | 0..2 }

Example: nbyte(\"ababa\" at 12 layer 1)
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let length = u16::try_from(self.bytes.len()).ok().filter(|length| *length <= MOST_BYTES);
        let length = length
            .ok_or_else(|| EncodeError::Invalid(format!("nbyte compares at most {MOST_BYTES} bytes")))?;
        let layer = self.layer as u16;
        out.put_u16(self.offset);
        // Two bit fields: the length with 12 bits, the layer with 4.
        out.put_u16(if cfg!(target_endian = "big") { length << 4 | layer } else { layer << 12 | length });
        out.put(&self.bytes);
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let (offset, both) = (reader.u16()?, reader.u16()?);
        let (length, layer) = match cfg!(target_endian = "big") {
            true => (both >> 4, both & 0xf),
            false => (both & MOST_BYTES, both >> 12),
        };
        let bytes = reader.bytes(usize::from(length))?.to_vec();
        Ok(Self { layer: Layer::of(layer as u8)?, offset, bytes })
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        let bytes = args.bytes().unwrap_or_default().to_vec();
        match bytes.len() {
            0 => return Err(args.wrong("nbyte: needle length is 0")),
            length if length > usize::from(MOST_BYTES) => {
                return Err(args.wrong(&format!("nbyte: needle is longer than {MOST_BYTES} bytes")));
            }
            _ => {}
        }
        let (mut layer, mut offset) = (Layer::Network, None);
        while let Some(word) = args.word() {
            match &*word {
                "at" => offset = Some(parse_offset(args, "nbyte")?),
                "layer" => layer = Layer::parse(args, "nbyte")?,
                _ => return Err(args.wrong("nbyte: unknown parameter")),
            }
        }
        let offset = offset.ok_or_else(|| args.lacking("nbyte: offset required"))?;
        Ok(Self { layer, offset, bytes })
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        print_bytes(&self.bytes, out);
        *out += &format!(" at {} layer {}", self.offset, self.layer as u8);
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        let text = std::str::from_utf8(&self.bytes).ok();
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let text = text.filter(|text| !["", "and", "or", "not"].contains(&&*text.to_ascii_lowercase()));
        let needle = text.map_or_else(|| quote(&self.bytes), str::to_owned);
        Some(format!("{needle} at {} layer {}", self.offset, self.layer as u8))
    }
}

/// The length has 12 bits.
const MOST_BYTES: u16 = 0xfff;
