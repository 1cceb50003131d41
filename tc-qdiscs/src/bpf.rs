//! BPF programs of the filter and the action bpf.

use tc_core::print::{Formatted, Printer};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{Attr, AttrWriter, DecodeError, EncodeError, OptionWords};

/// An instruction of classic BPF (`struct sock_filter` of `linux/filter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// The instructions that a jump skips if its condition holds.
    pub jt: u8,
    /// The instructions that a jump skips otherwise.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// Classic BPF, up to 4096 instructions.
    Bytecode(Vec<Instruction>),
    /// An eBPF program that the kernel reports. Requests cannot name it.
    Loaded(Loaded),
}

/// An eBPF program in a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The name that came with the request, often file and section.
    pub name: Option<String>,
    /// The program's number in the kernel.
    pub id: Option<u32>,
    /// The hash of its instructions.
    pub tag: [u8; 8],
}

/// The numbers of a kind's attributes.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) ops_len: u16,
    pub(crate) ops: u16,
    pub(crate) name: u16,
    pub(crate) tag: u16,
    pub(crate) id: u16,
}

impl Program {
    pub(crate) fn encode(&self, numbers: Numbers, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let instructions = match self {
            Self::Bytecode(instructions) => instructions,
            Self::Loaded(_) => {
                let text = "an eBPF program of a dump: requests need a descriptor of it";
                return Err(EncodeError::Invalid(text.into()));
            }
        };
        let Some(length) = u16::try_from(instructions.len()).ok().filter(|length| *length <= MOST) else {
            let text = format!("{} instructions: {MOST} at most", instructions.len());
            return Err(EncodeError::Invalid(text));
        };
        out.attr_u16(numbers.ops_len, length);
        let mut ops = out.nest(numbers.ops);
        for Instruction { code, jt, jf, k } in instructions {
            ops.put_u16(*code);
            ops.put(&[*jt, *jf]);
            ops.put_u32(*k);
        }
        Ok(())
    }

    pub(crate) fn decode<'a>(
        numbers: Numbers,
        attr: impl Fn(u16) -> Option<Attr<'a>>,
    ) -> Result<Option<Self>, DecodeError> {
        if let (Some(length), Some(ops)) = (attr(numbers.ops_len), attr(numbers.ops)) {
            let mut reader = ops.reader();
            let mut instructions = Vec::new();
            for _ in 0..length.u16()? {
                let (code, jt, jf) = (reader.u16()?, reader.u8()?, reader.u8()?);
                instructions.push(Instruction { code, jt, jf, k: reader.u32()? });
            }
            return Ok(Some(Self::Bytecode(instructions)));
        }
        let Some(tag) = attr(numbers.tag) else { return Ok(None) };
        Ok(Some(Self::Loaded(Loaded {
            name: attr(numbers.name).map(|name| name.str().map(str::to_owned)).transpose()?,
            id: attr(numbers.id).map(|id| id.u32()).transpose()?,
            tag: tag.reader().array()?,
        })))
    }

    /// Reads a program: `bytecode TEXT` or `bytecode-file FILE`.
    pub(crate) fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Self, WordError> {
        let mode = words.value()?;
        let is = |name| is_prefix(mode, name);
        if is("bytecode") || mode == "bc" {
            let text = quoted(words)?;
            return bytecode(&text).map(Self::Bytecode).map_err(WordError::Kind);
        }
        if is("bytecode-file") || mode == "bcf" {
            let path = words.value()?;
            let text = context.environment.read_text(path);
            let text = text.map_err(|error| WordError::Kind(format!("Cannot fopen: {error}")))?;
            let text = text.replace('\n', ",");
            return bytecode(&text).map(Self::Bytecode).map_err(WordError::Kind);
        }
        if is("object-file") || mode == "obj" || is("object-pinned") || is("pinned") || is("fd") {
            let text = "eBPF programs cannot be given in words: only bytecode, or bytecode-file";
            return Err(WordError::Kind(text.into()));
        }
        Err(WordError::Kind(format!("What mode is \"{mode}\"?")))
    }

    /// Prints the name of an eBPF program.
    pub(crate) fn print_name(&self, out: &mut Printer) {
        if let Self::Loaded(Loaded { name: Some(name), .. }) = self {
            out.item("bpf_name", "", name.as_str(), " ");
        }
    }

    pub(crate) fn print(&self, after: &str, out: &mut Printer) {
        match self {
            Self::Bytecode(instructions) if instructions.is_empty() => {}
            Self::Bytecode(instructions) => {
                out.text(&format!("bytecode '{}'{after}", text_of(instructions)));
                out.object("bytecode", |out| {
                    out.json("length", instructions.len());
                    out.begin_array("insns");
                    for Instruction { code, jt, jf, k } in instructions {
                        out.begin_object("");
                        out.json("code", *code);
                        out.json("jt", *jt);
                        out.json("jf", *jf);
                        out.json("k", *k);
                        out.end_object();
                    }
                    out.end_array();
                });
            }
            Self::Loaded(loaded) => {
                if let Some(id) = loaded.id {
                    out.object("prog", |out| out.item("id", "id ", id, " "));
                }
                let tag = u64::from_be_bytes(loaded.tag);
                out.item("tag", "tag ", Formatted(format_args!("{tag:016x}")), " ");
            }
        }
    }

    pub(crate) fn to_words(&self, out: &mut OptionWords<'_>) {
        match self {
            Self::Bytecode(instructions) => {
                out.text("program", format!("bytecode '{}'", text_of(instructions)));
            }
            Self::Loaded(_) => out.cannot_say("an eBPF program"),
        }
    }
}

/// The most instructions (`BPF_MAXINSNS`).
const MOST: u16 = 4096;

/// Takes the value of `bytecode`, which has blanks inside. Lines that are split at blanks alone keep
/// its quotes, and then its words are put together.
fn quoted(words: &mut Words<'_>) -> Result<String, WordError> {
    let first = words.value()?;
    let Some(rest) = first.strip_prefix('\'') else { return Ok(first.to_owned()) };
    let mut text = rest.to_owned();
    while !text.ends_with('\'') {
        text.push(' ');
        text.push_str(words.value()?);
    }
    text.pop();
    Ok(text)
}

/// Reads `COUNT,CODE JT JF K,...`, all of them decimal.
fn bytecode(text: &str) -> Result<Vec<Instruction>, String> {
    let mut parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let count = parts.next().and_then(|count| count.parse().ok()).filter(|count| (1..=MOST).contains(count));
    let count = count.ok_or_else(|| format!("bytecode: the number of instructions is not 1 to {MOST}"))?;
    let mut instructions = Vec::new();
    for (number, part) in parts.enumerate() {
        if instructions.len() >= usize::from(count) {
            return Err("Real program length exceeds encoded length parameter!".into());
        }
        let read = instruction(part).ok_or_else(|| format!("Error at instruction {number}!"))?;
        instructions.push(read);
    }
    match instructions.len() == usize::from(count) {
        true => Ok(instructions),
        false => Err("Parsed program length is less than encoded length parameter!".into()),
    }
}

fn instruction(text: &str) -> Option<Instruction> {
    let mut fields = text.split_whitespace();
    let code = fields.next()?.parse().ok()?;
    let jt = fields.next()?.parse().ok()?;
    let jf = fields.next()?.parse().ok()?;
    let k = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some(Instruction { code, jt, jf, k })
}

fn text_of(instructions: &[Instruction]) -> String {
    let one = |Instruction { code, jt, jf, k }: &Instruction| format!(",{code} {jt} {jf} {k}");
    instructions.len().to_string() + &instructions.iter().map(one).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_is_read_and_written() {
        let text = "2,40 0 0 12,6 0 0 4294967295";
        let read = bytecode(text).unwrap();
        assert_eq!(read[1], Instruction { code: 6, jt: 0, jf: 0, k: u32::MAX });
        assert_eq!(text_of(&read), text);
        assert_eq!(bytecode("2,\n40 0 0 12,\n6 0 0 4294967295,\n"), Ok(read));
    }

    #[test]
    fn bad_bytecode_has_tcs_text() {
        for (text, error) in [
            ("", "bytecode: the number of instructions is not 1 to 4096"),
            ("x,6 0 0 1", "bytecode: the number of instructions is not 1 to 4096"),
            ("0,6 0 0 1", "bytecode: the number of instructions is not 1 to 4096"),
            ("4097,6 0 0 1", "bytecode: the number of instructions is not 1 to 4096"),
            ("1,6 0 0", "Error at instruction 0!"),
            ("1,6 256 0 1", "Error at instruction 0!"),
            ("2,6 0 0 1,6 0 0 1 1", "Error at instruction 1!"),
            ("1,6 0 0 1,6 0 0 1", "Real program length exceeds encoded length parameter!"),
            ("2,6 0 0 1", "Parsed program length is less than encoded length parameter!"),
        ] {
            assert_eq!(bytecode(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn quotes_hold_words_together() {
        let join = |list: &[&str]| {
            let mut words = Words::new(list);
            (quoted(&mut words), words.rest().len())
        };
        assert_eq!(join(&["'1,6", "0", "0", "1'", "da"]), (Ok("1,6 0 0 1".into()), 1));
        assert_eq!(join(&["1,6 0 0 1", "da"]), (Ok("1,6 0 0 1".into()), 1));
        assert_eq!(join(&["'1,6", "0"]).0, Err(WordError::Incomplete));
        assert_eq!(join(&["'"]).0, Err(WordError::Incomplete));
    }
}
