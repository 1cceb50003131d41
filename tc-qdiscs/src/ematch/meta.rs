//! `meta`: compares facts about the packet, its device and its socket.
//!
//! UAPI: `struct tcf_meta_hdr` and attributes `TCA_EM_META_*` of `linux/tc_ematch/tc_em_meta.h`.

mod field;

use tc_core::ematch::{ArgError, Args, Ematch, quote};
use tc_core::link::DeviceNames;
use tc_core::units::parse_u32;
use tc_core::words::WordsContext;
use tc_core::{Attr, AttrWriter, Attrs, DecodeError, EncodeError, Reader};

use super::{Operand, print_bytes};

pub use field::{Field, FieldId};

tc_core::register_ematch!(Meta);

/// The parameters of a meta ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::Operand;
/// use tc_qdiscs::ematch::meta::{Field, Meta};
///
/// // Packets of the VLAN 5, on a device whose name is "eth0".
/// let vlan = Meta::new(Field::VLAN.mask(0xfff), Operand::Eq, 5);
/// let device = Meta::new(Field::DEV, Operand::Eq, "eth0");
/// let expression = Ematches::new(vlan).and(device);
/// # let _ = expression;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The first object.
    pub left: Object,
    /// The comparison.
    pub operand: Operand,
    /// The second object.
    pub right: Object,
    /// Compares names of devices, not their indexes. The kernel requires it for texts, and refuses
    /// it for numbers.
    pub is_text: bool,
}

/// An object of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A number.
    Number(u32),
    /// A text, without a NUL at the end. The kernel refuses an empty one.
    Text(Vec<u8>),
    /// A fact.
    Field(Field),
}

impl From<u32> for Object {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Object {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Field> for Object {
    fn from(field: Field) -> Self {
        Self::Field(field)
    }
}

impl Meta {
    /// Compares two objects: as texts if one of them is a text, otherwise as numbers.
    pub fn new(left: impl Into<Object>, operand: Operand, right: impl Into<Object>) -> Self {
        let (left, right) = (left.into(), right.into());
        let is_text = [&left, &right].into_iter().any(|object| matches!(object, Object::Text(_)));
        Self { left, operand, right, is_text }
    }

    /// Whether both objects can be of the comparison's type.
    fn is_compatible(&self) -> bool {
        [&self.left, &self.right].into_iter().all(|object| match object {
            Object::Number(_) => !self.is_text,
            Object::Text(_) => self.is_text,
            Object::Field(field) => !self.is_text || field.id.is_text(),
        })
    }
}

impl Ematch for Meta {
    const KIND: u16 = 4;
    const NAME: &'static str = "meta";
    const USAGE: &'static str = "\
Usage: meta(OBJECT { eq | lt | gt } OBJECT)
where: OBJECT  := { META_ID | VALUE }
       META_ID := id [ shift SHIFT ] [ mask MASK ]

Example: meta(nf_mark gt 24)
         meta(indev shift 1 eq \"ppp\")
         meta(tcindex mask 0xf0 eq 0xf0)

For a list of meta identifiers, use meta(list).
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        if !self.is_compatible() {
            return Err(EncodeError::Invalid("the objects of meta are not compatible".into()));
        }
        let mut header = out.nest(HDR);
        for (object, operand) in [(&self.left, self.operand as u8), (&self.right, 0)] {
            let (id, shift) = match object {
                Object::Field(field) => (field.id.0, field.shift),
                _ => (0, 0),
            };
            header.put_u16(if self.is_text { id } else { id | NUMBER });
            header.put_u8(shift);
            header.put_u8(operand);
        }
        drop(header);
        for (kind, object) in [(LVALUE, &self.left), (RVALUE, &self.right)] {
            match object {
                Object::Number(number) => out.attr_u32(kind, *number),
                Object::Text(text) => out.attr(kind, text),
                Object::Field(_) if self.is_text => {}
                Object::Field(field) => out.attr_u32(kind, field.mask.unwrap_or_default()),
            }
        }
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(data).table::<{ RVALUE as usize + 1 }>()?;
        let header = table[usize::from(HDR)].ok_or(DecodeError::Missing { what: "header of meta" })?;
        let mut reader = header.reader();
        let (left, operand) = Object::decode(&mut reader, table[usize::from(LVALUE)])?;
        let (right, _) = Object::decode(&mut reader, table[usize::from(RVALUE)])?;
        let mut types = header.reader();
        let left_type = types.u16()? & TYPES;
        types.skip(2)?;
        let meta = Self { left, operand: Operand::of(operand)?, right, is_text: left_type == 0 };
        if types.u16()? & TYPES != left_type || !meta.is_compatible() {
            return Err(DecodeError::Malformed { what: "types of meta" });
        }
        Ok(meta)
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        if args.peek().as_deref() == Some("list") && !args.is_quoted() {
            return Err(args.list(&FieldId::list()));
        }
        let left = Object::parse(args)?;
        let Some(word) = args.word() else { return Err(args.lacking("meta: missing operand")) };
        let operand = Operand::from_word(&word).ok_or_else(|| args.wrong("meta: invalid operand"))?;
        if args.peek().is_none() {
            return Err(args.lacking("meta: missing rvalue"));
        }
        let right = Object::parse(args)?;
        let meta = Self::new(left, operand, right);
        if !meta.is_compatible() {
            return Err(args.wrong("lvalue and rvalue are not compatible."));
        }
        let has_mask = |object| matches!(object, &Object::Field(Field { mask: Some(_), .. }));
        if meta.is_text && (has_mask(&meta.left) || has_mask(&meta.right)) {
            return Err(args.lacking("meta: a mask is for numbers alone"));
        }
        args.end("meta: unexpected trailer")?;
        Ok(meta)
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        self.left.print(out);
        *out += &format!(" {} ", self.operand.word());
        self.right.print(out);
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        let (left, right) = (self.left.to_words()?, self.right.to_words()?);
        // Two fields have no words for their type: they are numbers.
        let is_readable =
            Self::new(self.left.clone(), self.operand, self.right.clone()).is_text == self.is_text;
        is_readable.then(|| format!("{left} {} {right}", self.operand.word()))
    }

    fn as_dumped(&self) -> Self {
        Self { left: self.left.as_dumped(), right: self.right.as_dumped(), ..self.clone() }
    }
}

impl Object {
    fn decode(reader: &mut Reader<'_>, value: Option<Attr<'_>>) -> Result<(Self, u8), DecodeError> {
        let (kind, shift, operand) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let number = |attr: Attr<'_>| {
            // Kernel: other programs send 64 bits.
            let fits = attr.payload.len() < 8 || attr.u64()? <= u32::MAX.into();
            if fits { attr.u32() } else { Err(DecodeError::Malformed { what: "number of meta" }) }
        };
        let object = match (kind & IDS, kind & TYPES) {
            (0, 0) => Self::Text(value.map(|attr| attr.payload.to_vec()).unwrap_or_default()),
            (0, NUMBER) => Self::Number(value.map(number).transpose()?.unwrap_or_default()),
            (id, 0) => Self::Field(Field { shift, ..Field::new(FieldId(id)) }),
            (id, NUMBER) => {
                let mask = value.map(number).transpose()?.filter(|mask| *mask != 0);
                Self::Field(Field { shift, mask, ..Field::new(FieldId(id)) })
            }
            _ => return Err(DecodeError::Malformed { what: "type of meta" }),
        };
        Ok((object, operand))
    }

    fn parse(args: &mut Args<'_>) -> Result<Self, ArgError> {
        if args.is_quoted() {
            return Ok(Self::Text(args.bytes().unwrap_or_default().to_vec()));
        }
        let word = args.word().unwrap_or_default();
        if let Ok(number) = parse_u32(&word) {
            return Ok(Self::Number(number));
        }
        let id = FieldId::from_name(&word).ok_or_else(|| args.wrong("meta: unknown meta id\n"))?;
        let mut field = Field::new(id);
        loop {
            match args.peek().as_deref() {
                Some("shift") => {
                    let wrong = "meta: invalid shift, must be numeric";
                    args.word();
                    let shift = args.number("meta: missing argument", wrong)?;
                    field.shift = u8::try_from(shift).map_err(|_| args.wrong(wrong))?;
                }
                Some("mask") => {
                    args.word();
                    let wrong = "meta: invalid mask, must be numeric";
                    let mask = args.number("meta: missing argument", wrong)?;
                    field.mask = Some(mask).filter(|mask| *mask != 0);
                }
                _ => return Ok(Self::Field(field)),
            }
        }
    }

    /// As in tc, a number is signed, and a text has no quotes.
    fn print(&self, out: &mut String) {
        match self {
            Self::Number(number) => *out += &number.cast_signed().to_string(),
            Self::Text(text) => match text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                true => *out += &String::from_utf8_lossy(text),
                false => print_bytes(text, out),
            },
            Self::Field(field) => {
                *out += &field.to_string();
            }
        }
    }

    /// The object in exact words; `None` for a field without a name.
    fn to_words(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(quote(text)),
            Self::Field(field) => field.id.name().map(|_| field.to_string()),
        }
    }

    fn as_dumped(&self) -> Self {
        match self {
            Self::Field(field) => Self::Field(Field { mask: field.mask.filter(|mask| *mask != 0), ..*field }),
            other => other.clone(),
        }
    }
}

const HDR: u16 = 1;
const LVALUE: u16 = 2;
const RVALUE: u16 = 3;

const TYPES: u16 = 0xf000;
const NUMBER: u16 = 0x1000;
const IDS: u16 = 0x7ff;
