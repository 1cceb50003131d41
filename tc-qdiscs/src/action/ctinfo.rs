//! `ctinfo`: copies the DSCP or the mark that a connection keeps to the packet.
//!
//! UAPI: `struct tc_ctinfo` in `TCA_CTINFO_ACT`, attributes `TCA_CTINFO_*`
//! (`linux/tc_act/tc_ctinfo.h`). Since Linux 5.3.

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Hex0x, Printer};
use tc_core::units::{parse_decimal, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Ctinfo);

/// The options of a ctinfo action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::ctinfo::Ctinfo;
///
/// // The DSCP is in the upper six bits of the connection's mark, if bit 24 is set.
/// let ctinfo = Ctinfo::default().dscp_mask(0xfc00_0000).dscp_statemask(0x0100_0000);
/// let action = Action::new(ctinfo);
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Ctinfo {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The zone of connection tracking.
    pub zone: u16,
    /// The six adjacent bits of the connection's mark that hold a DSCP.
    pub dscp_mask: Option<u32>,
    /// Bits of the connection's mark; the DSCP is copied if one of them is set, or without a mask.
    pub dscp_statemask: Option<u32>,
    /// The bits of the connection's mark that become the packet's mark.
    pub cpmark_mask: Option<u32>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
    /// The action's own counters, which only the kernel sets.
    pub counters: CtinfoCounters,
}

/// The counters of a ctinfo action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CtinfoCounters {
    /// Packets that got a DSCP.
    pub dscp_set: Option<u64>,
    /// Packets that could not be changed.
    pub dscp_error: Option<u64>,
    /// Packets that got a mark.
    pub cpmark_set: Option<u64>,
}

/// No copy, zone 0, and the next action follows.
impl Default for Ctinfo {
    fn default() -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            zone: 0,
            dscp_mask: None,
            dscp_statemask: None,
            cpmark_mask: None,
            reported: Reported::default(),
            counters: CtinfoCounters::default(),
        }
    }
}

impl Kind for Ctinfo {
    type Object = object::Action;
    const KIND: &'static str = "ctinfo";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        generic::put(self.index, self.control, &mut out.nest(ACT));
        out.attr_u16(ZONE, self.zone);
        out.attr_u32_if(DSCP_MASK, self.dscp_mask);
        out.attr_u32_if(DSCP_STATEMASK, self.dscp_statemask);
        out.attr_u32_if(CPMARK_MASK, self.cpmark_mask);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ STATS_CPMARK_SET as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        let counter = |kind: u16| attr(kind).map(|attr| attr.u64()).transpose();
        let act = attr(ACT).ok_or(DecodeError::Missing { what: "ctinfo parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut act.reader(), attr(TM))?;
        Ok(Self {
            index,
            control,
            zone: attr(ZONE).map(|attr| attr.u16()).transpose()?.unwrap_or_default(),
            dscp_mask: number(DSCP_MASK)?,
            dscp_statemask: number(DSCP_STATEMASK)?,
            cpmark_mask: number(CPMARK_MASK)?,
            reported,
            counters: CtinfoCounters {
                dscp_set: counter(STATS_DSCP_SET)?,
                dscp_error: counter(STATS_DSCP_ERROR)?,
                cpmark_set: counter(STATS_CPMARK_SET)?,
            },
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        // The kernel reports a state mask with every DSCP mask.
        let statemask = self.dscp_mask.map(|_| self.dscp_statemask.unwrap_or_default());
        Self { dscp_statemask: statemask, ..*self }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Ctinfo {
    const USAGE: &'static str = "\
Usage: ... ctinfo [dscp mask [statemask]] [cpmark [mask]] [zone ZONE] [CONTROL] [index <INDEX>]
where :
\tdscp   MASK bitmask location of stored DSCP
\t       STATEMASK bitmask to determine conditional restoring
\tcpmark MASK mask applied to mark on restoration
\tZONE is the conntrack zone
\tCONTROL := reclassify | pipe | drop | continue | ok |
\t           goto chain <CHAIN_INDEX>
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut ctinfo = Self::default();
        let next_is = |words: &Words<'_>, name: &str| words.peek().is_some_and(|word| is_prefix(word, name));
        // A mask that can be left out.
        let mask = |words: &mut Words<'_>| {
            let mask = words.peek().and_then(|word| parse_u32(word).ok())?;
            words.next();
            Some(mask)
        };
        let error = |text: &str| WordError::Kind(format!("ctinfo: {text}"));
        // 0 is no mask to tc.
        let not_zero = |mask: u32| Some(mask).filter(|mask| *mask != 0);
        if next_is(words, "help") {
            return Err(WordError::Help);
        }
        if next_is(words, "dscp") {
            words.next();
            let dscp = words.parse(parse_u32, |_| "ctinfo: Illegal dscp \"mask\"".into())?;
            ctinfo.dscp_mask = not_zero(dscp);
            ctinfo.dscp_statemask = mask(words).and_then(not_zero);
        }
        if next_is(words, "cpmark") {
            words.next();
            ctinfo.cpmark_mask = not_zero(mask(words).unwrap_or(u32::MAX));
        }
        if next_is(words, "zone") {
            words.next();
            ctinfo.zone = words.parse(parse_decimal, |_| "ctinfo: Illegal \"zone\"".into())?;
        }
        let illegal = |_: &str| "ctinfo: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, ctinfo.control, illegal)?;
        let dscp = ctinfo.dscp_mask.unwrap_or_default();
        if dscp & ctinfo.dscp_statemask.unwrap_or_default() != 0 {
            return Err(error("dscp mask & statemask must NOT overlap"));
        }
        if dscp != 0 && dscp >> dscp.trailing_zeros() != 0x3f {
            return Err(error("dscp mask must be 6 contiguous bits long"));
        }
        Ok(Some(Self { control, index: index.unwrap_or_default(), ..ctinfo }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item("zone", "zone ", self.zone, "");
        self.control.print(" ", out);
        out.newline();
        generic::print_counts("\t index ", self.index, &self.reported, out);
        let print = |key: &str, before: &str, mask: u32, out: &mut Printer| {
            out.json(key, Hex0x(mask.into()));
            out.text(&match mask {
                0 => format!("{before}0000000000"), // C's %#010x
                mask => format!("{before}{mask:#010x}"),
            });
        };
        if let Some(mask) = self.dscp_mask {
            print("dscpmask", " dscp ", mask, out);
            print("dscpstatemask", " ", self.dscp_statemask.unwrap_or_default(), out);
        }
        if let Some(mask) = self.cpmark_mask {
            print("cpmark", " cpmark ", mask, out);
        }
        generic::print_times(&self.reported, out);
        if out.style().stats {
            out.item_if("dscpset", " DSCP set ", self.counters.dscp_set, "");
            out.item_if("dscperror", " error ", self.counters.dscp_error, "");
            out.item_if("cpmarkset", " CPMARK set ", self.counters.cpmark_set, "");
        }
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let text = |words: Option<String>| words.unwrap_or_default();
        let statemask = text(self.dscp_statemask.filter(|mask| *mask != 0).map(|mask| format!(" {mask:#x}")));
        out.text("dscp", text(self.dscp_mask.map(|mask| format!("dscp {mask:#x}{statemask}"))));
        if self.dscp_mask.is_none() && !statemask.is_empty() {
            out.cannot_say("a state mask without a DSCP mask");
        }
        if self.cpmark_mask == Some(0) {
            out.cannot_say("cpmark with an empty mask");
        }
        out.text("cpmark", text(self.cpmark_mask.map(|mask| format!("cpmark {mask:#x}"))));
        out.text("zone", if self.zone == 0 { String::new() } else { format!("zone {}", self.zone) });
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

const TM: u16 = 2;
const ACT: u16 = 3;
const ZONE: u16 = 4;
const DSCP_MASK: u16 = 5;
const DSCP_STATEMASK: u16 = 6;
const CPMARK_MASK: u16 = 7;
const STATS_DSCP_SET: u16 = 8;
const STATS_DSCP_ERROR: u16 = 9;
const STATS_CPMARK_SET: u16 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Ctinfo, usize), WordError> {
        let mut words = Words::new(words);
        let ctinfo = Ctinfo::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((ctinfo.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let plain = Ctinfo::default();
        for (words, ctinfo, left) in [
            (&[][..], plain, 0),
            (
                &["dscp", "0x3f", "cpmark"],
                Ctinfo { dscp_mask: Some(63), cpmark_mask: Some(u32::MAX), ..plain },
                0,
            ),
            (
                &["dscp", "0x3f", "0x40", "cpmark", "7", "zone", "3", "drop"],
                Ctinfo {
                    dscp_mask: Some(63),
                    dscp_statemask: Some(64),
                    cpmark_mask: Some(7),
                    zone: 3,
                    control: Control::Drop,
                    ..plain
                },
                0,
            ),
            (&["dscp", "0", "index", "5", "action"], Ctinfo { index: 5, ..plain }, 1),
            (&["zone", "1", "dscp", "0x3f"], Ctinfo { zone: 1, ..plain }, 2),
        ] {
            assert_eq!(parse(words), Ok((ctinfo, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&["dscp"][..], "Command line is not complete. Try option \"help\""),
            (&["dscp", "x"], "ctinfo: Illegal dscp \"mask\""),
            (&["dscp", "0x3f", "1"], "ctinfo: dscp mask & statemask must NOT overlap"),
            (&["dscp", "0x7f"], "ctinfo: dscp mask must be 6 contiguous bits long"),
            (&["dscp", "0x5f"], "ctinfo: dscp mask must be 6 contiguous bits long"),
            (&["zone", "65536"], "ctinfo: Illegal \"zone\""),
            (&["index", "x"], "ctinfo: Illegal \"index\""),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }
}
