//! `ife`: carries metadata of packets to another machine, in an Ethernet header before the packet's.
//!
//! UAPI: `struct tc_ife` in `TCA_IFE_PARMS`, attributes `TCA_IFE_*` (`linux/tc_act/tc_ife.h`), metadata
//! `IFE_META_*` (`linux/ife.h`).
//!
//! Kernel, `net/sched/act_ife.c`: to decode it allows all metadata that it knows.

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Hex0x, Printer};
use tc_core::units::{parse_u16, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic, mac_text, parse_mac};

tc_core::register!(Ife);

/// The options of an ife action.
///
/// ```
/// use tc_core::action::{Action, Actions};
/// use tc_qdiscs::action::ife::{Ife, Metadata};
///
/// // The mark goes along, and each packet gets priority 5.
/// let there = [2, 0, 0, 0, 0, 1];
/// let ife = Ife::encoder().mark(Metadata::Allow).prio(Metadata::Use(5)).dst(there);
/// let actions = Actions::new().with(Action::new(ife));
/// # let _ = actions;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Ife {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// Whether a header is added; otherwise one is taken off. The fields below are for the first.
    pub encodes: bool,
    /// The Ethernet type of the header; 0xed3e by default.
    pub ethertype: Option<u16>,
    /// The destination address of the header; that of the packet by default.
    pub dst: Option<[u8; 6]>,
    /// The source address of the header; that of the packet by default.
    pub src: Option<[u8; 6]>,
    /// The mark.
    pub mark: Option<Metadata<u32>>,
    /// The priority.
    pub prio: Option<Metadata<u32>>,
    /// The traffic-control index.
    pub tcindex: Option<Metadata<u16>>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// The value that goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata<T> {
    /// That of the packet.
    Allow,
    /// This value.
    Use(T),
}

impl Ife {
    /// Adds a header, after which the next action follows.
    pub const fn encoder() -> Self {
        Self { encodes: true, ..Self::decoder() }
    }

    /// Takes a header off, after which the next action follows.
    pub const fn decoder() -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            encodes: false,
            ethertype: None,
            dst: None,
            src: None,
            mark: None,
            prio: None,
            tcindex: None,
            reported: Reported { refcnt: 0, bindcnt: 0, times: None },
        }
    }
}

impl Kind for Ife {
    type Object = object::Action;
    const KIND: &'static str = "ife";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_u16(u16::from(self.encodes));
        parms.put_u16(0); // padding of the struct
        drop(parms);
        if !self.encodes {
            return Ok(Fill::Nested);
        }
        if let Some(mac) = self.dst {
            out.attr(DMAC, &mac);
        }
        if let Some(ethertype) = self.ethertype {
            out.attr_u16(TYPE, ethertype);
        }
        if let Some(mac) = self.src {
            out.attr(SMAC, &mac);
        }
        let mut list = out.nest(METALST);
        for (kind, metadata) in [(META_MARK, self.mark), (META_PRIO, self.prio)] {
            match metadata {
                Some(Metadata::Allow) => list.attr_flag(kind),
                Some(Metadata::Use(value)) => list.attr_u32(kind, value),
                None => {}
            }
        }
        match self.tcindex {
            Some(Metadata::Allow) => list.attr_flag(META_TCINDEX),
            Some(Metadata::Use(value)) => list.attr_u16(META_TCINDEX, value),
            None => {}
        }
        drop(list);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ METALST as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let mac = |kind: u16| attr(kind).map(|attr| attr.reader().array()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "ife parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        let list = attr(METALST).map_or(Attrs::new(&[]), |list| list.attrs());
        let metadata = list.table::<{ META_TCINDEX as usize + 1 }>()?;
        let word = |kind: u16| match metadata[usize::from(kind)] {
            Some(attr) if attr.payload.is_empty() => Ok(Some(Metadata::Allow)),
            Some(attr) => attr.u32().map(|value| Some(Metadata::Use(value))),
            None => Ok(None),
        };
        let tcindex = match metadata[usize::from(META_TCINDEX)] {
            Some(attr) if attr.payload.is_empty() => Some(Metadata::Allow),
            Some(attr) => Some(Metadata::Use(attr.u16()?)),
            None => None,
        };
        Ok(Self {
            index,
            control,
            encodes: reader.u16()? & ENCODE != 0,
            ethertype: attr(TYPE).map(|attr| attr.u16()).transpose()?,
            dst: mac(DMAC)?,
            src: mac(SMAC)?,
            mark: word(META_MARK)?,
            prio: word(META_PRIO)?,
            tcindex,
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        if !self.encodes {
            let Self { index, control, reported, .. } = *self;
            return Self { index, control, reported, ..Self::decoder() };
        }
        // Kernel: addresses of zeros are those of the packet.
        let given = |mac: &[u8; 6]| *mac != [0; 6];
        Self {
            ethertype: self.ethertype.or(Some(ETH_P_IFE)),
            dst: self.dst.filter(given),
            src: self.src.filter(given),
            ..*self
        }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Ife {
    const USAGE: &'static str = "\
Usage:... ife {decode|encode} [{ALLOW|USE} ATTR] [dst DMAC] [src SMAC] [type TYPE] [CONTROL] [index INDEX]
\tALLOW := Encode direction. Allows encoding specified metadata
\t\t e.g \"allow mark\"
\tUSE := Encode direction. Enforce Static encoding of specified metadata
\t\t e.g \"use mark 0x12\"
\tATTR := mark (32-bit), prio (32-bit), tcindex (16-bit)
\tDMAC := 6 byte Destination MAC address to encode
\tSMAC := optional 6 byte Source MAC address to encode
\tTYPE := optional 16 bit ethertype to encode
\tCONTROL := reclassify|pipe|drop|continue|ok
\tINDEX := optional IFE table index value used
encode is used for sending IFE packets
decode is used for receiving IFE packets
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut ife = Self::decoder();
        let mut complete = false;
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            if is(Self::KIND) {
                words.next();
                if words.is_empty() {
                    return Err(WordError::Incomplete);
                }
            } else if is("decode") || is("encode") {
                words.next();
                ife.encodes = !is("decode");
                complete = true;
            } else if !ife.parse_word(word, words)? {
                break;
            }
        }
        if words.peek().is_some_and(Control::is_word) {
            ife.control = Control::parse_words(words)?;
        }
        if words.peek().is_some_and(|word| is_prefix(word, "index")) {
            words.next();
            ife.index = words.parse(parse_u32, |_| "ife: Illegal \"index\"".into())?;
            complete = true;
        }
        match complete {
            true => Ok(Some(ife)),
            false => Err(WordError::KindUsage("IFE requires decode/encode specified".into())),
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item("mode", "", if self.encodes { "encode" } else { "decode" }, " ");
        self.control.print("action ", out);
        out.text(" ");
        if let Some(ethertype) = self.ethertype {
            out.json("type", Hex0x(ethertype.into()));
            match ethertype {
                0 => out.text("type 0 "),
                ethertype => out.text(&format!("type 0X{ethertype:X} ")),
            }
            out.newline();
            out.text("\t");
        }
        print_metadata("mark", self.mark, out);
        let wide = |metadata| match metadata {
            Metadata::Allow => Metadata::Allow,
            Metadata::Use(value) => Metadata::Use(u32::from(value)),
        };
        print_metadata("tcindex", self.tcindex.map(wide), out);
        print_metadata("prio", self.prio, out);
        out.item_if("dst", "dst ", self.dst.map(mac_text), " ");
        out.item_if("src", "src ", self.src.map(mac_text), " ");
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.text("mode", if self.encodes { "encode" } else { "decode" });
        if self.encodes {
            let text = |words: Option<String>| words.unwrap_or_default();
            out.say_if("type", self.ethertype.map(|ethertype| format!("{ethertype:#x}")));
            out.text("dst", text(self.dst.map(|mac| format!("dst {}", mac_text(mac)))));
            out.text("src", text(self.src.map(|mac| format!("src {}", mac_text(mac)))));
            say_metadata("mark", self.mark, out);
            say_metadata("prio", self.prio, out);
            say_metadata("tcindex", self.tcindex, out);
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

impl Ife {
    /// Reads a word with its value; false for a word that is not the kind's.
    fn parse_word(&mut self, word: &str, words: &mut Words<'_>) -> Result<bool, WordError> {
        let is = |name| is_prefix(word, name);
        if !["allow", "use", "type", "dst", "src", "help"].into_iter().any(is) {
            return Ok(false);
        }
        words.next();
        if is("help") {
            return Err(WordError::Help);
        }
        let word = words.value()?;
        if is("allow") {
            match name(word) {
                Some("mark") => self.mark = self.mark.or(Some(Metadata::Allow)),
                Some("prio") => self.prio = self.prio.or(Some(Metadata::Allow)),
                Some(_) => self.tcindex = self.tcindex.or(Some(Metadata::Allow)),
                None => return Err(WordError::invalid("Illegal meta define", word)),
            }
        } else if is("use") {
            let name = name(word).ok_or_else(|| WordError::invalid("Illegal meta use type", word))?;
            let word = words.value()?;
            let wrong = |_| WordError::invalid(format!("ife {name} val is invalid"), word);
            match name {
                "mark" => self.mark = Some(Metadata::Use(parse_u32(word).map_err(wrong)?)),
                "prio" => self.prio = Some(Metadata::Use(parse_u32(word).map_err(wrong)?)),
                _ => self.tcindex = Some(Metadata::Use(parse_u16(word).map_err(wrong)?)),
            }
        } else if is("type") {
            let wrong = |_| WordError::invalid("ife type is invalid", word);
            self.ethertype = Some(parse_u16(word).map_err(wrong)?);
        } else {
            let mac = parse_mac(word).ok_or_else(|| WordError::invalid("Invalid mac address", word))?;
            *(if is("dst") { &mut self.dst } else { &mut self.src }) = Some(mac);
        }
        Ok(true)
    }
}

/// The metadata that the word names.
fn name(word: &str) -> Option<&'static str> {
    ["mark", "prio", "tcindex"].into_iter().find(|name| is_prefix(word, name))
}

fn print_metadata(name: &str, metadata: Option<Metadata<u32>>, out: &mut Printer) {
    match metadata {
        Some(Metadata::Allow) => {
            out.json(name, "allow");
            out.text(&format!("allow {name} "));
        }
        Some(Metadata::Use(value)) => {
            out.json(name, value);
            out.text(&format!("use {name} {value} "));
        }
        None => {}
    }
}

fn say_metadata<T: Copy + Into<u32>>(name: &str, metadata: Option<Metadata<T>>, out: &mut OptionWords<'_>) {
    let words = match metadata {
        Some(Metadata::Allow) => format!("allow {name}"),
        Some(Metadata::Use(value)) => {
            let value = value.into();
            if value == 0 {
                out.cannot_say(&format!("use {name} 0, which tc does not send"));
            }
            format!("use {name} {value}")
        }
        None => String::new(),
    };
    out.text(name, words);
}

const ETH_P_IFE: u16 = 0xed3e;
const PARMS: u16 = 1;
const TM: u16 = 2;
const DMAC: u16 = 3;
const SMAC: u16 = 4;
const TYPE: u16 = 5;
const METALST: u16 = 6;
const META_MARK: u16 = 1;
const META_PRIO: u16 = 3;
const META_TCINDEX: u16 = 5;
/// `IFE_ENCODE`.
const ENCODE: u16 = 1;

#[cfg(test)]
mod tests;
