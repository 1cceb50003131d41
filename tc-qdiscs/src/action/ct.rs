//! `ct`: sends the packet through connection tracking, and translates addresses and ports.
//!
//! UAPI: `struct tc_ct` in `TCA_CT_PARMS`, attributes `TCA_CT_*` (`linux/tc_act/tc_ct.h`). Since Linux 5.3.
//!
//! Kernel, `net/sched/act_ct.c`: a mask of zeros is left out of dumps with its mark or label; with
//! `clear` everything but index and control action is. A commit without a zone is in zone 0.

mod nat;
mod words;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Formatted, Printer};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

pub use self::nat::{Nat, NatRange};
use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Ct);

/// The options of a ct action.
///
/// ```
/// use std::net::Ipv4Addr;
/// use tc_core::action::{Action, Actions};
/// use tc_qdiscs::action::ct::{Ct, Masked, Nat, NatRange};
///
/// // New connections of zone 7 get a mark and one of five source addresses.
/// let (first, last) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 5));
/// let range = NatRange::addresses(first.into(), last.into());
/// let ct = Ct::new().zone(7).commit(true).mark(Masked::from(5)).nat(Nat::Src(range));
/// let actions = Actions::new().with(Action::new(ct));
/// # let _ = actions;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Ct {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// Keeps the connection. Mark, label, helper and a new translation need it.
    pub commit: bool,
    /// With a commit: a connection of the other direction is made anew.
    pub force: bool,
    /// Takes the connection off the packet. It stands alone.
    pub clear: bool,
    /// The table of connections; 0 by default.
    pub zone: Option<u16>,
    /// The connection's mark.
    pub mark: Option<Masked<u32>>,
    /// The connection's label of 128 bits.
    pub label: Option<Masked<[u8; 16]>>,
    /// The translation of addresses and ports.
    pub nat: Option<Nat>,
    /// The helper that finds related connections. Since Linux 6.2.
    pub helper: Option<Helper>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// A value, and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked<T> {
    /// The value.
    pub value: T,
    /// The bits that are changed.
    pub mask: T,
}

/// All bits count.
impl From<u32> for Masked<u32> {
    fn from(value: u32) -> Self {
        Self { value, mask: u32::MAX }
    }
}

/// All bits count.
impl From<[u8; 16]> for Masked<[u8; 16]> {
    fn from(value: [u8; 16]) -> Self {
        Self { value, mask: [0xff; 16] }
    }
}

/// A conntrack helper.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Helper {
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u8,
    /// The IP protocol: 6 for TCP, 17 for UDP.
    pub protocol: u8,
    /// The helper's name: `ftp`.
    pub name: String,
}

impl Helper {
    /// A helper for IPv4.
    pub fn ipv4(protocol: u8, name: impl Into<String>) -> Self {
        Self { family: AF_INET, protocol, name: name.into() }
    }

    /// A helper for IPv6.
    pub fn ipv6(protocol: u8, name: impl Into<String>) -> Self {
        Self { family: AF_INET6, protocol, name: name.into() }
    }
}

/// Looks the connection up, and the next action follows.
impl Default for Ct {
    fn default() -> Self {
        Self::new()
    }
}

impl Ct {
    /// Looks the connection up, and the next action follows.
    pub const fn new() -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            commit: false,
            force: false,
            clear: false,
            zone: None,
            mark: None,
            label: None,
            nat: None,
            helper: None,
            reported: Reported { refcnt: 0, bindcnt: 0, times: None },
        }
    }
}

impl Kind for Ct {
    type Object = object::Action;
    const KIND: &'static str = "ct";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(mark) = self.mark {
            out.attr_u32(MARK, mark.value);
            out.attr_u32(MARK_MASK, mark.mask);
        }
        if let Some(zone) = self.zone {
            out.attr_u16(ZONE, zone);
        }
        if let Some(label) = self.label {
            out.attr(LABELS, &label.value);
            out.attr(LABELS_MASK, &label.mask);
        }
        if let Some(nat) = &self.nat {
            nat.encode(out);
        }
        if let Some(helper) = &self.helper {
            out.attr_u8(HELPER_FAMILY, helper.family);
            out.attr_u8(HELPER_PROTO, helper.protocol);
            out.attr_str(HELPER_NAME, &helper.name);
        }
        let flag = |on: bool, flag: u16| if on { flag } else { 0 };
        out.attr_u16(
            ACTION,
            flag(self.commit, COMMIT)
                | flag(self.force, FORCE)
                | flag(self.clear, CLEAR)
                | self.nat.as_ref().map_or(0, Nat::flags),
        );
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ HELPER_PROTO as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "ct parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        let flags = attr(ACTION).map(|attr| attr.u16()).transpose()?.unwrap_or(0);
        let mark = attr(MARK).map(|attr| attr.u32()).transpose()?;
        let mark_mask = attr(MARK_MASK).map(|attr| attr.u32()).transpose()?;
        let helper = match (attr(HELPER_FAMILY), attr(HELPER_PROTO), attr(HELPER_NAME)) {
            (Some(family), Some(protocol), Some(name)) => {
                Some(Helper { family: family.u8()?, protocol: protocol.u8()?, name: name.str()?.to_owned() })
            }
            _ => None,
        };
        Ok(Self {
            index,
            control,
            commit: flags & COMMIT != 0,
            force: flags & FORCE != 0,
            clear: flags & CLEAR != 0,
            zone: attr(ZONE).map(|attr| attr.u16()).transpose()?,
            mark: mark.map(|value| Masked { value, mask: mark_mask.unwrap_or(u32::MAX) }),
            label: attr(LABELS).map(|value| Masked {
                value: zero_extended(value.payload),
                mask: attr(LABELS_MASK).map_or([0xff; 16], |mask| zero_extended(mask.payload)),
            }),
            nat: Nat::decode(flags, attr)?,
            helper,
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        if self.clear {
            let Self { index, control, clear, reported, .. } = *self;
            return Self { index, control, clear, reported, ..Self::new() };
        }
        Self {
            zone: Some(self.zone.unwrap_or(0)),
            mark: self.mark.filter(|mark| mark.mask != 0),
            label: self.label.filter(|label| label.mask != [0; 16]),
            ..self.clone()
        }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Ct {
    const USAGE: &'static str = "\
Usage: ct clear
\tct commit [force] [zone ZONE] [mark MASKED_MARK] [label MASKED_LABEL] [nat NAT_SPEC]
\tct [nat] [zone ZONE]
Where: ZONE is the conntrack zone table number
\tNAT_SPEC is {src|dst} addr addr1[-addr2] [port port1[-port2]]

";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, "");
        let action = match (self.commit, self.force, self.clear) {
            (true, true, _) => Some("commit force"),
            (true, false, _) => Some("commit"),
            (false, _, true) => Some("clear"),
            (false, _, false) => None,
        };
        out.item_if("action", " ", action, "");
        if let Some(Masked { value, mask }) = self.mark {
            out.item("mark", " mark ", value, "");
            if mask != u32::MAX {
                out.text_item("/", Formatted(format_args!("{mask:#x}")), "");
                out.json("mark_mask", Formatted(format_args!("{mask:x}")));
            }
        }
        out.item_if("zone", " zone ", self.zone, "");
        out.item_if("label", " label ", self.label.map(words::label_text), "");
        if let Some(helper) = &self.helper {
            out.item("helper", " helper ", words::helper_text(helper), "");
        }
        if let Some(nat) = &self.nat {
            let text = nat.text();
            out.item("nat", if text.is_empty() { " nat" } else { " nat " }, text, "");
        }
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }
}

/// The first 16 bytes; zeros follow fewer.
fn zero_extended(bytes: &[u8]) -> [u8; 16] {
    tc_core::zero_extended(bytes)
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const PARMS: u16 = 1;
const TM: u16 = 2;
const ACTION: u16 = 3;
const ZONE: u16 = 4;
const MARK: u16 = 5;
const MARK_MASK: u16 = 6;
const LABELS: u16 = 7;
const LABELS_MASK: u16 = 8;
const HELPER_NAME: u16 = 16;
const HELPER_FAMILY: u16 = 17;
const HELPER_PROTO: u16 = 18;
const COMMIT: u16 = 1;
const FORCE: u16 = 2;
const CLEAR: u16 = 4;

#[cfg(test)]
mod tests;
