//! `flow`: a filter that computes the class from fields of the packet.
//!
//! UAPI: attributes `TCA_FLOW_*` and numbers `FLOW_KEY_*` of `linux/pkt_cls.h`.
//!
//! The value is one key (map), or a hash of all keys. The minor number of the class is that of the base
//! class plus the value, which `mask`, `xor`, `rshift`, `addend` and `divisor` change in this order:
//! `(((value & mask) ^ xor) >> rshift) + addend`, modulo `divisor`.
//!
//! Kernel, `net/sched/cls_flow.c`:
//! - a new filter needs a handle and keys;
//! - a change without an attribute keeps its value, except for ematches, police and actions.

mod keys;
mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::ematch::Ematches;
use tc_core::print::{Formatted, Hex0x, Printer};
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, FilterPlace, FilterSyntax, Handle, Kind,
    OptionWords, object,
};

use super::police_or_actions;
use crate::action::police::Police;

pub use keys::FlowKeys;

tc_core::register!(Flow);

/// The options of a flow filter.
///
/// ```
/// use std::time::Duration;
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::filter::flow::{Flow, FlowKeys};
///
/// // Hosts share 1024 classes from 1:1 on, and change them every 10 seconds.
/// let flow = Flow::hash(FlowKeys::SRC | FlowKeys::DST)
///     .divisor(1024)
///     .perturb(Duration::from_secs(10))
///     .base_class(Handle::class(1, 1));
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(5).protocol(ETH_P_IP);
/// let filter = filter.handle(Handle::from_raw(1)).options(&flow);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Flow {
    /// How the value follows from the keys.
    pub mode: FlowMode,
    /// The fields of the packet. A change without keys keeps them.
    pub keys: FlowKeys,
    /// The bits of the value that count; all by default.
    pub mask: Option<u32>,
    /// The bits of the value that are inverted after that; none by default.
    pub xor: Option<u32>,
    /// The bits that the value is shifted right by.
    pub rshift: Option<u32>,
    /// Added to the value, which wraps around.
    pub addend: Option<u32>,
    /// The number of classes; not limited by default.
    pub divisor: Option<u32>,
    /// The class for the value 0; by default the minor number 1 of the filter's qdisc. The kernel refuses a
    /// minor number 0, and takes the qdisc's major number for 0.
    pub base_class: Option<Handle>,
    /// The time after which hashes change, in whole seconds; never by default. The kernel refuses it for a map.
    pub perturb: Option<Duration>,
    /// The packets that match; every packet of the protocol by default.
    pub ematches: Ematches,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
}

/// How the value of a flow filter follows from its keys (`FLOW_MODE_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowMode {
    /// The value is that of the only key.
    #[default]
    Map,
    /// The value is a hash of all keys.
    Hash,
}

impl Flow {
    /// A filter whose value is one key.
    pub fn map(key: FlowKeys) -> Self {
        Self { keys: key, ..Self::default() }
    }

    /// A filter whose value is a hash of keys.
    pub fn hash(keys: FlowKeys) -> Self {
        Self { mode: FlowMode::Hash, keys, ..Self::default() }
    }

    /// The mask and the inverted bits, if they are not those of every new filter.
    fn bits(&self) -> Option<(u32, u32)> {
        let bits = (self.mask.unwrap_or(u32::MAX), self.xor.unwrap_or_default());
        Some(bits).filter(|bits| *bits != (u32::MAX, 0))
    }
}

impl Kind for Flow {
    type Object = object::Filter;
    const KIND: &'static str = "flow";

    /// The attributes come in one order; `tc` writes most of them in the order
    /// of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let invalid = |error| EncodeError::Invalid(format!("flow: {error}"));
        police_or_actions(self.police.as_ref(), &self.actions).map_err(invalid)?;
        let perturb = self.perturb.map(seconds).transpose().map_err(|error| invalid(error.to_owned()))?;
        out.attr_u32_if(KEYS, Some(self.keys.bits()).filter(|keys| *keys != 0));
        out.attr_u32_if(RSHIFT, self.rshift);
        out.attr_u32_if(ADDEND, self.addend);
        out.attr_u32_if(DIVISOR, self.divisor);
        out.attr_u32_if(PERTURB, perturb);
        out.attr_u32_if(BASECLASS, self.base_class.map(Handle::raw));
        self.ematches.encode(EMATCHES, out)?;
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        out.attr_u32(MODE, self.mode as u32);
        out.attr_u32_if(MASK, self.mask);
        out.attr_u32_if(XOR, self.xor);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PERTURB as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        Ok(Self {
            mode: match number(MODE)? {
                None | Some(0) => FlowMode::Map,
                Some(1) => FlowMode::Hash,
                Some(_) => return Err(DecodeError::Malformed { what: "mode of flow" }),
            },
            keys: FlowKeys::from_bits(number(KEYS)?.unwrap_or_default()),
            mask: number(MASK)?,
            xor: number(XOR)?,
            rshift: number(RSHIFT)?,
            addend: number(ADDEND)?,
            divisor: number(DIVISOR)?,
            base_class: number(BASECLASS)?.map(Handle::from_raw),
            perturb: number(PERTURB)?.map(|seconds| Duration::from_secs(seconds.into())),
            ematches: attr(EMATCHES).map(|attr| Ematches::decode(&attr)).transpose()?.unwrap_or_default(),
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        let not_zero = |number: Option<u32>| number.filter(|number| *number != 0);
        let bits = self.bits();
        Self {
            mask: bits.map(|(mask, _)| mask),
            xor: bits.map(|(_, xor)| xor),
            rshift: not_zero(self.rshift),
            addend: not_zero(self.addend),
            divisor: not_zero(self.divisor),
            // The qdisc's major number is not known here.
            base_class: self.base_class.filter(|class| class.major() != 0),
            perturb: self.perturb.filter(|time| !time.is_zero()),
            ematches: self.ematches.as_dumped(),
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped(environment),
            ..self.clone()
        }
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(self.police.as_ref(), &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for Flow {
    const USAGE: &'static str = "\
Usage: ... flow ...

 [mapping mode]: map key KEY [ OPS ] ...
 [hashing mode]: hash keys KEY-LIST ... [ perturb SECS ]

                 [ divisor NUM ] [ baseclass ID ] [ match EMATCH_TREE ]
                 [ action ACTION_SPEC ]

KEY-LIST := [ KEY-LIST , ] KEY
KEY      := [ src | dst | proto | proto-src | proto-dst | iif | priority |
              mark | nfct | nfct-src | nfct-dst | nfct-proto-src |
              nfct-proto-dst | rt-classid | sk-uid | sk-gid |
              vlan-tag | rxhash ]
OPS      := [ or NUM | and NUM | xor NUM | rshift NUM | addend NUM ]
ID       := X:Y
";

    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError> {
        let handle = Self::handle_in(place)?;
        if words.is_empty() {
            return Ok((None, handle));
        }
        words::parse(words, context).map(|flow| (Some(flow), handle))
    }

    /// The JSON is that of later versions of `tc`.
    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        out.json("handle", Hex0x(place.handle.raw().into()));
        out.text_item("handle ", Formatted(format_args!("{:#x}", place.handle.raw())), " ");
        out.item("mode", "", words::mode(self.mode), " ");
        out.text("keys ");
        out.array("keys", |out| {
            for (place, key) in self.keys.names().enumerate() {
                out.item("", if place == 0 { "" } else { "," }, key, "");
            }
        });
        out.text(" ");
        if let Some((mask, xor)) = self.bits() {
            for (key, number, without) in
                [("and", mask, u32::MAX), ("xor", mask & xor, 0), ("or", !mask & xor, 0)]
            {
                if number != without {
                    out.json(key, Hex0x(number.into()));
                    out.text_item(key, Formatted(format_args!(" {number:#010x}")), " ");
                }
            }
        }
        out.item_if("rshift", "rshift ", self.rshift, " ");
        if let Some(addend) = self.addend {
            out.json("addend", Hex0x(addend.into()));
            out.text_item("addend ", Formatted(format_args!("{addend:#x}")), " ");
        }
        out.item_if("divisor", "divisor ", self.divisor, " ");
        out.item_if("baseclass", "baseclass ", self.base_class, " ");
        out.item_if("perturb", "perturb ", self.perturb.map(|time| time.as_secs()), "sec ");
        self.ematches.print(out);
        if let Some(police) = &self.police {
            tc_core::Syntax::print(police, out);
        }
        if !self.actions.is_empty() {
            // As in tc, a line end also where one line was asked for.
            out.text("\n");
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        let illegal = |_| WordError::Kind("Illegal \"handle\"".into());
        parse_u32(text).map(Handle::from_raw).map_err(illegal)
    }
}

/// A time in whole seconds.
fn seconds(time: Duration) -> Result<u32, &'static str> {
    let seconds = u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
    seconds.ok_or("the time of a perturbation is in whole seconds of 32 bits")
}

const KEYS: u16 = 1;
const MODE: u16 = 2;
const BASECLASS: u16 = 3;
const RSHIFT: u16 = 4;
const ADDEND: u16 = 5;
const MASK: u16 = 6;
const XOR: u16 = 7;
const DIVISOR: u16 = 8;
const ACT: u16 = 9;
const POLICE: u16 = 10;
const EMATCHES: u16 = 11;
const PERTURB: u16 = 12;

#[cfg(test)]
mod tests;
