//! `pedit`: changes words of the packet's headers.
//!
//! UAPI: `struct tc_pedit_sel` with its `struct tc_pedit_key` in `TCA_PEDIT_PARMS`, or extended in
//! `TCA_PEDIT_PARMS_EX` with a `TCA_PEDIT_KEY_EX` for each key in `TCA_PEDIT_KEYS_EX`
//! (`linux/tc_act/tc_pedit.h`).
//!
//! Kernel, `net/sched/act_pedit.c`:
//! - a request without keys is refused, also one that names an existing action by its index;
//! - checksums stay as they are: the action csum after this one computes them.

mod field;
mod names;
mod words;
mod write;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Formatted, Printer};
use tc_core::uapi::NLA_F_NESTED;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax,
    object,
};

pub use self::field::{Command, Field, Header, Key, eth_dst, eth_src, ip6_dst, ip6_src};
use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Pedit);

/// The options of a pedit action.
///
/// ```
/// use tc_core::action::{Action, Actions, Control};
/// use tc_qdiscs::action::csum::Csum;
/// use tc_qdiscs::action::pedit::{Field, Pedit, eth_dst};
///
/// // A router's work: another destination, one hop less, and a new checksum.
/// let mut keys = vec![Field::IP_TTL.decrement()];
/// keys.extend(eth_dst([2, 0, 0, 0, 0, 1]));
/// let pedit = Pedit::new(keys).control(Control::Pipe);
/// let actions = Actions::new().with(Action::new(pedit)).with(Action::new(Csum::of(Csum::IPV4_HEADER)));
/// # let _ = actions;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Pedit {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// Whether keys can name a header and add. Since Linux 4.11.
    pub extended: bool,
    /// The changes in their order, up to 255.
    pub keys: Vec<Key>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Pedit {
    /// These changes, after which the packet passes. Extended if a key needs it.
    pub fn new(keys: impl Into<Vec<Key>>) -> Self {
        let keys = keys.into();
        let extended = keys.iter().any(Key::is_extended);
        Self { index: 0, control: Control::Pass, extended, keys, reported: Reported::default() }
    }
}

impl Kind for Pedit {
    type Object = object::Action;
    const KIND: &'static str = "pedit";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let Ok(count) = u8::try_from(self.keys.len()) else {
            return Err(EncodeError::Invalid(format!("pedit with {} keys: 255 at most", self.keys.len())));
        };
        if !self.extended && self.keys.iter().any(Key::is_extended) {
            return Err(EncodeError::Invalid(
                "a key with a header, or one that adds, in a plain pedit".into(),
            ));
        }
        let mut parms = out.nest(if self.extended { PARMS_EX } else { PARMS });
        generic::put(self.index, self.control, &mut parms);
        parms.put(&[count, 0, 0, 0]); // flags, and padding
        for key in &self.keys {
            for word in [key.mask.to_be(), key.value.to_be(), key.offset.cast_unsigned()] {
                parms.put_u32(word);
            }
            for word in [key.at, key.offset_mask, key.shift] {
                parms.put_u32(word);
            }
        }
        drop(parms);
        if self.extended {
            let mut all = out.nest(KEYS_EX | NLA_F_NESTED);
            for key in &self.keys {
                let mut one = all.nest(KEY_EX | NLA_F_NESTED);
                one.attr_u16(HTYPE, key.header.raw());
                one.attr_u16(CMD, key.command.raw());
            }
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ KEY_EX as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let missing = DecodeError::Missing { what: "pedit parameters" };
        let (parms, extended) = match (attr(PARMS), attr(PARMS_EX)) {
            (Some(parms), _) => (parms, false),
            (None, parms) => (parms.ok_or(missing)?, true),
        };
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        let count = reader.u8()?;
        reader.skip(3)?;
        let mut keys = Vec::with_capacity(count.into());
        for _ in 0..count {
            keys.push(read_key(&mut reader)?);
        }
        if extended {
            let all = attr(KEYS_EX).ok_or(DecodeError::Missing { what: "headers of pedit's keys" })?;
            read_headers(&all, &mut keys)?;
        }
        Ok(Self { index, control, extended, keys, reported })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let mut dumped = self.clone();
        for key in &mut dumped.keys {
            // Kernel: since 5.18 it bounds the shift.
            key.shift = key.shift.min(31);
        }
        dumped
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<Key, DecodeError> {
    let (mask, value) = (u32::from_be(reader.u32()?), u32::from_be(reader.u32()?));
    let offset = reader.u32()?.cast_signed();
    let (at, offset_mask, shift) = (reader.u32()?, reader.u32()?, reader.u32()?);
    Ok(Key { header: Header::Network, command: Command::Set, offset, mask, value, at, offset_mask, shift })
}

fn read_headers(all: &Attr<'_>, keys: &mut [Key]) -> Result<(), DecodeError> {
    let missing = || DecodeError::Missing { what: "header of a pedit key" };
    let mut each = all.attrs();
    for key in keys {
        let table = each.next().ok_or_else(missing)??.attrs().table::<{ CMD as usize + 1 }>()?;
        key.header = Header::from_raw(table[usize::from(HTYPE)].ok_or_else(missing)?.u16()?);
        key.command = Command::from_raw(table[usize::from(CMD)].ok_or_else(missing)?.u16()?);
    }
    Ok(())
}

impl Syntax for Pedit {
    const USAGE: &'static str = "\
Usage: ... pedit munge [ex] <MUNGE> [CONTROL]
Where: MUNGE := <RAW>|<LAYERED>
\t<RAW>:= <OFFSETC>[ATC]<CMD>
 \t\tOFFSETC:= offset <offval> <u8|u16|u32>
\t\tATC:= at <atval> offmask <maskval> shift <shiftval>
\t\tNOTE: offval is byte offset, must be multiple of 4
\t\tNOTE: maskval is a 32 bit hex number
 \t\tNOTE: shiftval is a shift value
\t\tCMD:= clear | invert | set <setval> | add <addval> | decrement | retain
\t<LAYERED>:= ip <ipdata> | ip6 <ip6data>
 \t\t| udp <udpdata> | tcp <tcpdata> | icmp <icmpdata>
\tCONTROL:= reclassify | pipe | drop | continue | pass |
\t          goto chain <CHAIN_INDEX>
\tNOTE: if 'ex' is set, extended functionality will be supported (kernel >= 4.11)
For Example usage look at the examples directory
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", " ", Self::KIND, " ");
        self.control.print("action ", out);
        out.text(" ");
        // A line end also in one-line output, as in tc.
        out.item("nkeys", "keys ", self.keys.len(), "\n");
        generic::print_counts(" \t index ", self.index, &self.reported, out);
        generic::print_times(&self.reported, out);
        out.array("keys", |out| {
            for (number, key) in self.keys.iter().enumerate() {
                out.object("", |out| print_key(number, key, out));
            }
        });
        if self.keys.is_empty() {
            out.text(&format!("\npedit {:x} keys 0 is not LEGIT", self.index));
        }
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        write::write(self, out);
        generic::say_end(self.index, self.control, Control::Pass, out);
    }
}

fn print_key(number: usize, key: &Key, out: &mut Printer) {
    out.text(&format!("\n\t key #{number}  at "));
    let header = key.header.name();
    match key.header {
        Header::Network => out.text(&key.offset.to_string()),
        _ => out.text(&format!("{header}{:+}", key.offset)),
    }
    out.json("htype", &*header);
    out.json("offset", key.offset);
    out.text(if key.command == Command::Set { ": val" } else { ": add" });
    out.json("cmd", if key.command == Command::Set { "set" } else { "add" });
    for (name, before, word) in [("val", " ", key.value), ("mask", " mask ", key.mask)] {
        out.json(name, Formatted(format_args!("{word:x}")));
        out.text_item(before, Formatted(format_args!("{word:08x}")), "");
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const PARMS_EX: u16 = 4;
const KEYS_EX: u16 = 5;
const KEY_EX: u16 = 6;
const HTYPE: u16 = 1;
const CMD: u16 = 2;

#[cfg(test)]
mod tests;
