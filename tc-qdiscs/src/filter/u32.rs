//! `u32`: a filter by bits anywhere in a packet, with hash tables.
//!
//! UAPI: attributes `TCA_U32_*`, `struct tc_u32_sel` with its keys, `struct tc_u32_mark` and
//! `struct tc_u32_pcnt` of `linux/pkt_cls.h`. Keys are 32-bit words of the packet, counted from its
//! network header.
//!
//! A handle is a table, a bucket of it and a node in the bucket: `2:5:7`. A priority has a root table
//! (`800:` and up), which the kernel makes with its first filter; other tables belong to all u32 filters
//! of a qdisc or block. A filter with `link` continues in another table, in the bucket that its hash
//! key selects.
//!
//! Kernel, `net/sched/cls_u32.c`:
//! - a change keeps keys, offset, mark and table, and sets class, link, device and actions;
//! - the bucket is that of the attribute, not that of the handle; table numbers must agree, or that of
//!   the handle must be 0;
//! - tables with filters that link to them cannot be deleted.

mod handle;
mod print;
mod selector;
mod words;

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::Printer;
use tc_core::uapi::*;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace,
    FilterSyntax, Handle, Kind, OptionWords, object,
};

use super::police_or_actions;
use crate::action::police::Police;

pub use selector::{Counters, Key, Mark, Offset, Selector};

tc_core::register!(U32);

/// The options of a u32 filter, or of one of its hash tables.
///
/// ```
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::filter::u32::{Key, U32};
///
/// // Packets to port 22, without IP options, go to the class 1:10.
/// let port = Key::at(20).value(22).mask(0xffff);
/// let ssh = U32::to_class(Handle::class(1, 0x10), [port]);
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(18).protocol(ETH_P_IP);
/// let filter = filter.options(&ssh);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct U32 {
    /// A hash table with this number of buckets, a power of two up to 256.
    pub divisor: Option<u32>,
    /// The table and the bucket of the filter; the first bucket of the root table
    /// without it.
    #[setters(skip)]
    pub table: Option<Handle>,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The table that the search continues in.
    pub link: Option<Handle>,
    /// The keys. A filter must have them, if only an empty list.
    pub selector: Option<Selector>,
    /// The mark of the packet.
    pub mark: Option<Mark>,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
    /// The device that packets came in from.
    pub indev: Option<String>,
    /// `TCA_CLS_FLAGS_*`: whether software or hardware is skipped; the kernel
    /// reports whether the filter is in hardware.
    pub flags: u32,
    /// Hits and matches (reported only).
    pub counters: Option<Counters>,
}

impl U32 {
    /// A filter whose packets go to a class.
    pub fn to_class(class: Handle, keys: impl Into<Vec<Key>>) -> Self {
        let selector = Selector { terminal: true, keys: keys.into(), ..Selector::default() };
        Self { class: Some(class), selector: Some(selector), ..Self::default() }
    }

    /// A filter whose packets go through actions.
    pub fn with_actions(actions: Actions, keys: impl Into<Vec<Key>>) -> Self {
        let selector = Selector { terminal: true, keys: keys.into(), ..Selector::default() };
        Self { actions, selector: Some(selector), ..Self::default() }
    }

    /// A hash table with this number of buckets.
    pub fn table(divisor: u32) -> Self {
        Self { divisor: Some(divisor), ..Self::default() }
    }

    /// The number of a table (1 to 0x7ff; root tables begin at 0x800) and a
    /// bucket as a handle.
    pub const fn bucket(table: u16, bucket: u8) -> Handle {
        handle::of(table as u32, bucket as u32, 0)
    }
}

impl Kind for U32 {
    type Object = object::Filter;
    const KIND: &'static str = "u32";
    // A change keeps the keys, and needs the number of the root table.
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    /// The attributes come in one order; `tc` writes most of them in the order
    /// of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        police_or_actions(self.police.as_ref(), &self.actions)
            .map_err(|error| EncodeError::Invalid(format!("u32: {error}")))?;
        out.attr_u32_if(DIVISOR, self.divisor);
        if let Some(mark) = self.mark {
            mark.encode(&mut out.nest(MARK));
        }
        out.attr_u32_if(LINK, self.link.map(Handle::raw));
        out.attr_u32_if(CLASSID, self.class.map(Handle::raw));
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        if let Some(indev) = &self.indev {
            out.attr_str(INDEV, indev);
        }
        out.attr_u32_if(HASH, self.table.map(Handle::raw));
        if let Some(selector) = &self.selector {
            selector.encode(&mut out.nest(SEL))?;
        }
        // The kernel refuses its own flags.
        let flags = self.flags & (TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW | TCA_CLS_FLAGS_VERBOSE);
        if flags != 0 {
            out.attr_u32(FLAGS, flags);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ FLAGS as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        Ok(Self {
            divisor: number(DIVISOR)?,
            table: number(HASH)?.map(Handle::from_raw),
            class: number(CLASSID)?.map(Handle::from_raw),
            link: number(LINK)?.map(Handle::from_raw),
            selector: attr(SEL).map(|attr| Selector::decode(&attr)).transpose()?,
            mark: attr(MARK).map(|attr| Mark::decode(&attr)).transpose()?,
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
            indev: attr(INDEV).map(|attr| attr.str().map(str::to_owned)).transpose()?,
            flags: number(FLAGS)?.unwrap_or_default(),
            counters: attr(PCNT).map(|attr| Counters::decode(&attr)).transpose()?,
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            class: self.class.filter(|class| !class.is_unspec()),
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped_in(environment, self.flags),
            ..self.clone()
        }
    }

    /// The kernel finds the root table by the priority; its number depends on the order of creation.
    fn as_request(&self) -> Self {
        Self { table: self.table.filter(|table| !handle::is_in_root(*table)), ..self.clone() }
    }

    /// Kernel: a table can be of another priority than the filters in it.
    fn within_filter(&self, handle: Handle) -> Option<Handle> {
        let own = self.table.unwrap_or(handle);
        let is_node = self.divisor.is_none() && !handle::is_in_root(own);
        is_node.then(|| handle::table_of(own)).filter(|table| !table.is_unspec())
    }

    fn leads_to_filter(&self) -> Option<Handle> {
        self.link.map(handle::table_of).filter(|table| !table.is_unspec())
    }

    fn target_class(&self) -> Option<Handle> {
        self.class
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(self.police.as_ref(), &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for U32 {
    const USAGE: &'static str = "\
Usage: ... u32 [ match SELECTOR ... ] [ link HTID ] [ classid CLASSID ]
               [ action ACTION_SPEC ] [ offset OFFSET_SPEC ]
               [ ht HTID ] [ hashkey HASHKEY_SPEC ]
               [ sample SAMPLE ] [skip_hw | skip_sw]
or         u32 divisor DIVISOR

Where: SELECTOR := SAMPLE SAMPLE ...
       SAMPLE := { ip | ip6 | udp | tcp | icmp | u{32|16|8} | mark }
                 SAMPLE_ARGS [ divisor DIVISOR ]
       FILTERID := X:Y:Z

NOTE: CLASSID is parsed at hexadecimal input.
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
        words::parse(words, context, handle, place.handle_word.is_some())
            .map(|(options, handle)| (Some(options), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        print::print(self, place, out);
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }

    /// Without the number of a root table, which depends on the order of creation.
    fn handle_word(&self, place: &FilterPlace<'_>) -> String {
        match handle::parts(place.handle) {
            (_, _, node) if node != 0 && handle::is_in_root(place.handle) => {
                handle::write(handle::of(0, 0, node))
            }
            _ => handle::write(place.handle),
        }
    }

    /// Root tables are.
    fn is_implicit(&self, place: &FilterPlace<'_>) -> bool {
        self.divisor.is_some() && handle::is_in_root(place.handle)
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        handle::parse(text).ok_or_else(|| WordError::Kind("Illegal filter ID".into()))
    }

    fn write_handle(handle: Handle) -> String {
        handle::write(handle)
    }
}

const CLASSID: u16 = 1;
const HASH: u16 = 2;
const LINK: u16 = 3;
const DIVISOR: u16 = 4;
const SEL: u16 = 5;
const POLICE: u16 = 6;
const ACT: u16 = 7;
const INDEV: u16 = 8;
const PCNT: u16 = 9;
const MARK: u16 = 10;
const FLAGS: u16 = 11;

#[cfg(test)]
mod tests;
