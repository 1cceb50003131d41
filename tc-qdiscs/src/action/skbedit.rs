//! `skbedit`: changes the fields of a packet that classifiers and queues read.
//!
//! UAPI: `struct tc_skbedit` in `TCA_SKBEDIT_PARMS`, attributes `TCA_SKBEDIT_*`
//! (`linux/tc_act/tc_skbedit.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Hex, Hex0x, Null, Printer};
use tc_core::units::{parse_decimal, parse_u32};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Handle, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Skbedit);

/// The options of a skbedit action.
///
/// ```
/// use tc_core::{Handle, action::Action};
/// use tc_qdiscs::action::skbedit::Skbedit;
///
/// // Mark 7 under the mask 0xff, and class 1:10 of the device's qdisc.
/// let skbedit = Skbedit::default().mark(7).mask(0xff).priority(Handle::class(1, 0x10));
/// let action = Action::new(skbedit);
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Skbedit {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The device's transmit queue.
    pub queue_mapping: Option<u16>,
    /// The last of a range of transmit queues, which starts with `queue_mapping`; the hash of a
    /// packet selects one. Used with [`Skbedit::TXQ_SKBHASH`]; since Linux 5.19.
    pub queue_mapping_max: Option<u16>,
    /// The priority, which classful qdiscs take for a class.
    pub priority: Option<Handle>,
    /// The firewall mark.
    pub mark: Option<u32>,
    /// The bits of the mark that change; all without a mask.
    pub mask: Option<u32>,
    /// The packet's type.
    pub ptype: Option<PacketType>,
    /// [`Skbedit::INHERIT_DSFIELD`] and [`Skbedit::TXQ_SKBHASH`].
    pub flags: u64,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// The destination of a packet (`PACKET_*` of `linux/if_packet.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PacketType {
    /// This host.
    Host,
    /// Every host.
    Broadcast,
    /// A multicast group.
    Multicast,
    /// Another host.
    OtherHost,
    /// Another number.
    Other(u16),
}

impl Skbedit {
    /// The DS field becomes the priority (`SKBEDIT_F_INHERITDSFIELD`).
    pub const INHERIT_DSFIELD: u64 = 0x20;
    /// The hash of a packet selects its transmit queue (`SKBEDIT_F_TXQ_SKBHASH`).
    pub const TXQ_SKBHASH: u64 = 0x40;
}

/// No change, and the next action follows. The kernel accepts it with the index of an existing action.
impl Default for Skbedit {
    fn default() -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            queue_mapping: None,
            queue_mapping_max: None,
            priority: None,
            mark: None,
            mask: None,
            ptype: None,
            flags: 0,
            reported: Reported::default(),
        }
    }
}

impl Kind for Skbedit {
    type Object = object::Action;
    const KIND: &'static str = "skbedit";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        generic::put(self.index, self.control, &mut out.nest(PARMS));
        if let Some(queue) = self.queue_mapping {
            out.attr_u16(QUEUE_MAPPING, queue);
        }
        out.attr_u32_if(PRIORITY, self.priority.map(Handle::raw));
        out.attr_u32_if(MARK, self.mark);
        out.attr_u32_if(MASK, self.mask);
        if let Some(ptype) = self.ptype {
            out.attr_u16(PTYPE, ptype.raw());
        }
        if self.flags != 0 {
            out.attr_u64(FLAGS, self.flags);
        }
        if let Some(queue) = self.queue_mapping_max {
            out.attr_u16(QUEUE_MAPPING_MAX, queue);
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ QUEUE_MAPPING_MAX as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let short = |kind: u16| attr(kind).map(|attr| attr.u16()).transpose();
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "skbedit parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        Ok(Self {
            index,
            control,
            queue_mapping: short(QUEUE_MAPPING)?,
            queue_mapping_max: short(QUEUE_MAPPING_MAX)?,
            priority: number(PRIORITY)?.map(Handle::from_raw),
            mark: number(MARK)?,
            mask: number(MASK)?,
            ptype: short(PTYPE)?.map(PacketType::from_raw),
            flags: attr(FLAGS).map(|attr| attr.u64()).transpose()?.unwrap_or_default(),
            reported,
        })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Skbedit {
    const USAGE: &'static str = "\
Usage: ... skbedit <[QM] [PM] [MM] [PT] [IF]>
QM = queue_mapping QUEUE_MAPPING
PM = priority PRIORITY
MM = mark MARK[/MASK]
PT = ptype PACKETYPE
IF = inheritdsfield
PACKETYPE = is one of:
  host, otherhost, broadcast, multicast
QUEUE_MAPPING = device transmit queue to use
PRIORITY = classID to assign to priority field
MARK = firewall mark to set
MASK = mask applied to firewall mark (0xffffffff by default)
note: inheritdsfield maps DS field to skb->priority
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut skbedit = Self::default();
        let mut read = false;
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            if is("queue_mapping") {
                words.next();
                let queue = words.parse(parse_decimal, |_| "Illegal queue_mapping".into())?;
                skbedit.queue_mapping = Some(queue);
            } else if is("priority") {
                words.next();
                let illegal = |_| WordError::Kind("Illegal priority".into());
                skbedit.priority = Some(words.value()?.parse().map_err(illegal)?);
            } else if is("mark") {
                words.next();
                let word = words.value()?;
                let (mark, mask) =
                    word.split_once('/').map_or((word, None), |(mark, mask)| (mark, Some(mask)));
                let illegal = |what: &str| WordError::Kind(format!("Illegal {what}"));
                skbedit.mark = Some(parse_u32(mark).map_err(|_| illegal("mark"))?);
                if let Some(mask) = mask {
                    skbedit.mask = Some(parse_u32(mask).map_err(|_| illegal("mask"))?);
                }
            } else if is("ptype") {
                words.next();
                let word = words.value()?;
                let ptype = PTYPES.into_iter().find(|(name, _)| is_prefix(word, name));
                let illegal = || WordError::Kind(format!("Illegal ptype ({word})"));
                skbedit.ptype = Some(ptype.ok_or_else(illegal)?.1);
            } else if is("inheritdsfield") {
                words.next();
                skbedit.flags |= Self::INHERIT_DSFIELD;
            } else if is("help") {
                return Err(WordError::Help);
            } else {
                break;
            }
            read = true;
        }
        let illegal = |_: &str| "skbedit: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, skbedit.control, illegal)?;
        if !read && index.is_none() {
            return Err(generic::explained::<Self>(""));
        }
        Ok(Some(Self { control, index: index.unwrap_or_default(), ..skbedit }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item_if("queue_mapping", "queue_mapping ", self.queue_mapping, "");
        out.item_if("priority", " priority ", self.priority, "");
        out.item_if("mark", " mark ", self.mark, "");
        if let Some(mask) = self.mask {
            out.json("mask", Hex(mask));
            out.text_item("/", Hex0x(mask.into()), "");
        }
        match self.ptype {
            Some(PacketType::Other(raw)) => out.item("ptype", " ptype ", raw, ""),
            Some(ptype) => out.item("ptype", " ptype ", ptype.name(), ""),
            None => {}
        }
        if self.flags & Self::INHERIT_DSFIELD != 0 {
            out.item("inheritdsfield", " ", Null("inheritdsfield"), "");
        }
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let text = |words: Option<String>| words.unwrap_or_default();
        out.text("queue_mapping", text(self.queue_mapping.map(|queue| format!("queue_mapping {queue}"))));
        out.text("priority", text(self.priority.map(|class| format!("priority {class}"))));
        let mask = text(self.mask.map(|mask| format!("/{mask:#x}")));
        out.text("mark", text(self.mark.map(|mark| format!("mark {mark}{mask}"))));
        if self.mark.is_none() && self.mask.is_some() {
            out.cannot_say("a mask without a mark");
        }
        out.text("ptype", text(self.ptype.map(|ptype| format!("ptype {}", ptype.name()))));
        if let Some(PacketType::Other(raw)) = self.ptype {
            out.cannot_say(&format!("the packet type {raw}"));
        }
        out.flag("inheritdsfield", self.flags & Self::INHERIT_DSFIELD != 0);
        if self.flags & !Self::INHERIT_DSFIELD != 0 || self.queue_mapping_max.is_some() {
            out.cannot_say("a transmit queue that a hash selects");
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

impl PacketType {
    fn from_raw(raw: u16) -> Self {
        let known = PTYPES.into_iter().find(|(_, ptype)| ptype.raw() == raw);
        known.map_or(Self::Other(raw), |(_, ptype)| ptype)
    }

    const fn raw(self) -> u16 {
        match self {
            Self::Host => 0,
            Self::Broadcast => 1,
            Self::Multicast => 2,
            Self::OtherHost => 3,
            Self::Other(raw) => raw,
        }
    }

    fn name(self) -> &'static str {
        PTYPES.into_iter().find(|(_, ptype)| *ptype == self).map_or("", |(name, _)| name)
    }
}

/// In the order of `tc`'s prefix matching.
const PTYPES: [(&str, PacketType); 4] = [
    ("host", PacketType::Host),
    ("broadcast", PacketType::Broadcast),
    ("multicast", PacketType::Multicast),
    ("otherhost", PacketType::OtherHost),
];

const TM: u16 = 1;
const PARMS: u16 = 2;
const PRIORITY: u16 = 3;
const QUEUE_MAPPING: u16 = 4;
const MARK: u16 = 5;
const PTYPE: u16 = 7;
const MASK: u16 = 8;
const FLAGS: u16 = 9;
const QUEUE_MAPPING_MAX: u16 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Skbedit, usize), WordError> {
        let mut words = Words::new(words);
        let skbedit = Skbedit::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((skbedit.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let of = |mark, mask| Skbedit { mark: Some(mark), mask, ..Skbedit::default() };
        for (words, skbedit, left) in [
            (&["mark", "0x11/0xff"][..], of(17, Some(255)), 0),
            (
                &["mark", "010", "drop", "index", "3"],
                Skbedit { control: Control::Drop, index: 3, ..of(8, None) },
                0,
            ),
            (&["mark", "1", "action", "ok"], of(1, None), 2),
            (&["index", "5"], Skbedit { index: 5, ..Skbedit::default() }, 0),
        ] {
            assert_eq!(parse(words), Ok((skbedit, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["queue_mapping", "65536"], "Illegal queue_mapping"),
            (&["priority", "x"], "Illegal priority"),
            (&["mark", "x/1"], "Illegal mark"),
            (&["mark", "1/"], "Illegal mask"),
            (&["ptype", "x"], "Illegal ptype (x)"),
            (&["mark", "1", "index", "0x1"], "skbedit: Illegal \"index\""),
            (&["drop"], Skbedit::USAGE.trim_end()),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }

    #[test]
    fn options_without_words_are_named() {
        let skbedit = Skbedit {
            queue_mapping: Some(2),
            queue_mapping_max: Some(5),
            flags: Skbedit::TXQ_SKBHASH,
            ..Skbedit::default()
        };
        let mut words = OptionWords::new();
        skbedit.to_words(&mut words);
        assert_eq!(words.unsayable(), ["a transmit queue that a hash selects"]);
    }
}
