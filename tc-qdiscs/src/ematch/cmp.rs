//! `cmp`: compares a number in the packet with a value.
//!
//! UAPI: `struct tcf_em_cmp` of `linux/tc_ematch/tc_em_cmp.h`.

use derive_setters::Setters;
use tc_core::ematch::{ArgError, Args, Ematch};
use tc_core::link::DeviceNames;
use tc_core::words::WordsContext;
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

use super::{Layer, Operand, nibbles, parse_offset, split_nibbles};

tc_core::register_ematch!(Cmp);

/// The parameters of a cmp ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::cmp::{Align, Cmp};
/// use tc_qdiscs::ematch::{Layer, Operand};
///
/// // TCP and UDP packets from ports above 1023.
/// let port = Cmp::new(Align::U16, 0, Operand::Gt, 1023).layer(Layer::Transport);
/// let expression = Ematches::new(port);
/// # let _ = expression;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Cmp {
    /// The size of the number in the packet, which is in network byte order.
    pub align: Align,
    /// The offset of the number in bytes.
    pub offset: u16,
    /// The header that the offset counts from; the network header by default.
    pub layer: Layer,
    /// The bits of the number that count; `None` means all.
    pub mask: Option<u32>,
    /// Swaps the bytes of the number on little-endian machines (`TCF_EM_CMP_TRANS`).
    pub trans: bool,
    /// The comparison.
    pub operand: Operand,
    /// The value.
    pub value: u32,
}

/// The size of a number in the packet (`TCF_EM_ALIGN_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// One byte.
    #[default]
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
}

impl Align {
    pub(super) const fn bytes(self) -> u8 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
        }
    }

    const ALL: [Self; 3] = [Self::U8, Self::U16, Self::U32];

    pub(super) fn parse(args: &mut Args<'_>, name: &str) -> Result<Self, ArgError> {
        let word = args.word();
        let align = Self::ALL.into_iter().find(|align| word.as_deref() == Some(align.word()));
        align.ok_or_else(|| args.wrong(&format!("{name}: invalid alignment")))
    }
}

impl Cmp {
    /// Compares the number at this offset of the network header.
    pub const fn new(align: Align, offset: u16, operand: Operand, value: u32) -> Self {
        Self { align, offset, layer: Layer::Network, mask: None, trans: false, operand, value }
    }

    fn text(&self, value: &str) -> String {
        let mask = self.mask.filter(|mask| *mask != 0).map(|mask| format!("mask {mask:#x} "));
        format!(
            "{} at {} layer {} {}{}{} {value}",
            self.align.word(),
            self.offset,
            self.layer as u8,
            mask.unwrap_or_default(),
            if self.trans { "trans " } else { "" },
            self.operand.word(),
        )
    }
}

impl Ematch for Cmp {
    const KIND: u16 = 1;
    const NAME: &'static str = "cmp";
    const USAGE: &'static str = "\
Usage: cmp(ALIGN at OFFSET [ ATTRS ] { eq | lt | gt } VALUE)
where: ALIGN  := { u8 | u16 | u32 }
       ATTRS  := [ layer LAYER ] [ mask MASK ] [ trans ]
       LAYER  := { link | network | transport | 0..2 }

Example: cmp(u16 at 3 layer 2 mask 0xff00 gt 20)
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        out.put_u32(self.value);
        out.put_u32(self.mask.unwrap_or_default());
        out.put_u16(self.offset);
        out.put_u8(nibbles(self.align.bytes(), if self.trans { TRANS } else { 0 }));
        out.put_u8(nibbles(self.layer as u8, self.operand as u8));
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let (value, mask, offset) = (reader.u32()?, reader.u32()?, reader.u16()?);
        let (align, flags) = split_nibbles(reader.u8()?);
        let (layer, operand) = split_nibbles(reader.u8()?);
        let align = Align::ALL.into_iter().find(|one| one.bytes() == align);
        Ok(Self {
            align: align.ok_or(DecodeError::Malformed { what: "alignment of cmp" })?,
            offset,
            layer: Layer::of(layer)?,
            mask: Some(mask).filter(|mask| *mask != 0),
            trans: flags & TRANS != 0,
            operand: Operand::of(operand)?,
            value,
        })
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        let align = Align::parse(args, "cmp")?;
        let (mut cmp, mut offset, mut value) = (Self::new(align, 0, Operand::Eq, 0), None, None);
        while let Some(word) = args.word() {
            match &*word {
                "at" => offset = Some(parse_offset(args, "cmp")?),
                "layer" => cmp.layer = Layer::parse(args, "cmp")?,
                "mask" => {
                    let mask = args.number("cmp: missing argument", "cmp: invalid mask")?;
                    cmp.mask = Some(mask).filter(|mask| *mask != 0);
                }
                "trans" => cmp.trans = true,
                word => {
                    // As in tc, under the name of another ematch.
                    let unknown = || args.wrong("nbyte: unknown parameter");
                    cmp.operand = Operand::from_word(word).ok_or_else(unknown)?;
                    value = Some(args.number("cmp: missing argument", "cmp: invalid value")?);
                }
            }
        }
        match (offset, value) {
            (Some(offset), Some(value)) => Ok(Self { offset, value, ..cmp }),
            _ => Err(args.lacking("cmp: offset and value required")),
        }
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        // As in tc, a value of 32 bits is negative.
        out.push_str(&self.text(&self.value.cast_signed().to_string()));
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        Some(self.text(&self.value.to_string()))
    }

    fn as_dumped(&self) -> Self {
        Self { mask: self.mask.filter(|mask| *mask != 0), ..*self }
    }
}

const TRANS: u8 = 1;
