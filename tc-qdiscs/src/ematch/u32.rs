//! `u32`: compares bits of a 32-bit word of the packet.
//!
//! UAPI: `struct tc_u32_key` of `linux/pkt_cls.h`.

use tc_core::ematch::{ArgError, Args, Ematch};
use tc_core::link::DeviceNames;
use tc_core::units::parse_i32;
use tc_core::words::WordsContext;
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

use super::cmp::Align;

tc_core::register_ematch!(U32);

/// The parameters of a u32 ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::u32::U32;
///
/// // IPv4 packets from 10.0.0.0/8.
/// let expression = Ematches::new(U32::new(0x0a00_0000, 0xff00_0000, 12));
/// # let _ = expression;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct U32 {
    /// The value of the word, in network byte order in the packet.
    pub value: u32,
    /// The bits of the word that count.
    pub mask: u32,
    /// The offset of the word from the network header in bytes, a multiple of 4.
    pub at: i32,
    /// The offset counts from the next header.
    ///
    /// Kernel: the classifiers basic, cgroup and flow have none, and the network header counts.
    pub next_header: bool,
}

impl U32 {
    /// Compares the word at this offset of the network header.
    pub const fn new(value: u32, mask: u32, at: i32) -> Self {
        Self { value, mask, at, next_header: false }
    }

    fn place(&self) -> String {
        format!("at {}{}", if self.next_header { NEXT_HEADER } else { "" }, self.at)
    }
}

impl Ematch for U32 {
    const KIND: u16 = 3;
    const NAME: &'static str = "u32";
    const USAGE: &'static str = "\
Usage: u32(ALIGN VALUE MASK at [ nexthdr+ ] OFFSET)
where: ALIGN  := { u8 | u16 | u32 }

Example: u32(u16 0x1122 0xffff at nexthdr+4)
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        out.put(&self.mask.to_be_bytes());
        out.put(&self.value.to_be_bytes());
        out.put_i32(self.at);
        out.put_i32(if self.next_header { -1 } else { 0 });
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let (mask, value) = (reader.array()?, reader.array()?);
        let (mask, value) = (u32::from_be_bytes(mask), u32::from_be_bytes(value));
        let at = reader.i32()?;
        let next_header = match reader.i32()? {
            0 => false,
            -1 => true,
            _ => return Err(DecodeError::Malformed { what: "mask of an offset" }),
        };
        Ok(Self { value, mask, at, next_header })
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        let align = Align::parse(args, "u32")?;
        if args.peek().is_none() {
            return Err(args.lacking("u32: missing key"));
        }
        let value = args.number("", "u32: invalid key, must be numeric")?;
        if args.peek().is_none() {
            return Err(args.lacking("u32: missing mask"));
        }
        let mask = args.number("", "u32: invalid mask, must be numeric")?;
        if args.word().as_deref() != Some("at") {
            return Err(args.wrong("u32: missing \"at\""));
        }
        let Some(mut word) = args.word() else { return Err(args.lacking("u32: missing offset")) };
        let mut next_header = false;
        if let Some(offset) = word.strip_prefix(NEXT_HEADER) {
            next_header = true;
            word = match offset {
                "" => args.word().ok_or_else(|| args.lacking("u32: missing offset"))?,
                offset => offset.to_owned().into(),
            };
        }
        let offset = parse_i32(&word).map_err(|_| args.wrong("u32: invalid offset"))?;
        let key = Self::aligned(align, value, mask, offset).map_err(|text| args.wrong(text))?;
        args.end("u32: unexpected trailer")?;
        Ok(Self { next_header, ..key })
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        *out += &format!("{:08x}/{:08x} {}", self.value, self.mask, self.place());
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        let is_readable = self.at % 4 == 0 && self.value & !self.mask == 0;
        is_readable.then(|| format!("u32 {:#010x} {:#010x} {}", self.value, self.mask, self.place()))
    }
}

impl U32 {
    /// The word around a number of one, two or four bytes at this offset.
    fn aligned(align: Align, value: u32, mask: u32, offset: i32) -> Result<Self, &'static str> {
        let (most, texts, shift) = match align {
            Align::U8 => (0xff, ["Illegal key (>0xFF)", "Illegal mask (>0xFF)"], 24 - (offset & 3) * 8),
            Align::U16 => {
                (0xffff, ["Illegal key (>0xFFFF)", "Illegal mask (>0xFFFF)"], 16 - (offset & 2) * 8)
            }
            Align::U32 => (u32::MAX, ["", ""], 0),
        };
        for (number, text) in [value, mask].into_iter().zip(texts) {
            if number > most {
                return Err(text);
            }
        }
        match align {
            Align::U32 if offset & 3 != 0 => {
                return Err("u32: invalid offset alignment, must be aligned to 4.");
            }
            // tc moves the number to another place.
            Align::U16 if offset & 1 != 0 => {
                return Err("u32: invalid offset alignment, must be aligned to 2.");
            }
            _ => {}
        }
        let (value, mask) = (value << shift, mask << shift);
        Ok(Self::new(value & mask, mask, offset & !3))
    }
}

const NEXT_HEADER: &str = "nexthdr+";
