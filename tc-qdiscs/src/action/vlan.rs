//! `vlan`: adds, removes or changes a VLAN tag or the Ethernet header.
//!
//! UAPI: `struct tc_vlan` in `TCA_VLAN_PARMS`, attributes `TCA_VLAN_*`
//! (`linux/tc_act/tc_vlan.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::uapi::{ETH_P_8021AD, ETH_P_8021Q};
use tc_core::units::{parse_u8, parse_u16};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
    protocol,
};

use super::Reported;
use super::generic::{self, Generic, explained, mac_text, parse_mac};

tc_core::register!(Vlan);

/// The options of a vlan action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::vlan::Vlan;
///
/// // Tag 5 with priority 3.
/// let action = Action::new(Vlan::push(5).priority(3));
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Vlan {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The operation.
    pub operation: VlanOperation,
    /// The tag's VLAN, up to 4095.
    pub id: Option<u16>,
    /// The tag's protocol: `ETH_P_8021Q`, which is the default, or `ETH_P_8021AD`.
    pub protocol: Option<u16>,
    /// The tag's priority, up to 7.
    pub priority: Option<u8>,
    /// The destination of the new Ethernet header.
    pub dst_mac: Option<[u8; 6]>,
    /// The source of the new Ethernet header.
    pub src_mac: Option<[u8; 6]>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// The operation of a vlan action (`TCA_VLAN_ACT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VlanOperation {
    /// Unspecified: the index names an existing action.
    Unspecified,
    /// Removes the outer tag.
    Pop,
    /// Adds an outer tag.
    Push,
    /// Changes the outer tag.
    Modify,
    /// Removes the Ethernet header. Since Linux 5.10.
    PopEth,
    /// Adds an Ethernet header. Since Linux 5.10.
    PushEth,
    /// Another number.
    Other(i32),
}

impl Vlan {
    /// An operation that needs no more, after which the next action follows.
    pub const fn new(operation: VlanOperation) -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            operation,
            id: None,
            protocol: None,
            priority: None,
            dst_mac: None,
            src_mac: None,
            reported: Reported { refcnt: 0, bindcnt: 0, times: None },
        }
    }

    /// Adds a tag with this VLAN.
    pub const fn push(id: u16) -> Self {
        let mut vlan = Self::new(VlanOperation::Push);
        vlan.id = Some(id);
        vlan
    }

    /// Changes the VLAN of a tag.
    pub const fn modify(id: u16) -> Self {
        let mut vlan = Self::new(VlanOperation::Modify);
        vlan.id = Some(id);
        vlan
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut vlan = Self::new(VlanOperation::Unspecified);
        vlan.index = index;
        vlan
    }
}

impl Kind for Vlan {
    type Object = object::Action;
    const KIND: &'static str = "vlan";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_i32(self.operation.raw());
        drop(parms);
        if let Some(id) = self.id {
            out.attr_u16(ID, id);
        }
        if let Some(protocol) = self.protocol {
            out.attr_u16(PROTOCOL, protocol.to_be());
        }
        if let Some(priority) = self.priority {
            out.attr_u8(PRIORITY, priority);
        }
        for (kind, mac) in [(ETH_DST, self.dst_mac), (ETH_SRC, self.src_mac)] {
            if let Some(mac) = mac {
                out.attr(kind, &mac);
            }
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ ETH_SRC as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let short = |kind: u16| attr(kind).map(|attr| attr.u16()).transpose();
        let mac = |kind: u16| attr(kind).map(|attr| attr.reader().array()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "vlan parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        Ok(Self {
            index,
            control,
            operation: VlanOperation::from_raw(reader.i32()?),
            id: short(ID)?,
            protocol: short(PROTOCOL)?.map(u16::from_be),
            priority: attr(PRIORITY).map(|attr| attr.u8()).transpose()?,
            dst_mac: mac(ETH_DST)?,
            src_mac: mac(ETH_SRC)?,
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let protocol = if self.has_tag() { self.protocol.or(Some(ETH_P_8021Q)) } else { self.protocol };
        Self { protocol, ..*self }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Vlan {
    const USAGE: &'static str = "\
Usage: vlan pop [CONTROL]
       vlan push [ protocol VLANPROTO ] id VLANID [ priority VLANPRIO ] [CONTROL]
       vlan modify [ protocol VLANPROTO ] id VLANID [ priority VLANPRIO ] [CONTROL]
       vlan pop_eth [CONTROL]
       vlan push_eth dst_mac LLADDR src_mac LLADDR [CONTROL]
       VLANPROTO is one of 802.1Q or 802.1AD
            with default: 802.1Q
       CONTROL := reclassify | pipe | drop | continue | pass |
                  goto chain <CHAIN_INDEX>
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        let mut vlan = Self::new(VlanOperation::Unspecified);
        while let Some(word) = words.peek() {
            if !vlan.parse_word(word, words)? {
                break;
            }
        }
        let illegal = |_: &str| "vlan: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, vlan.control, illegal)?;
        vlan.control = control;
        vlan.index = index.unwrap_or_default();
        let needs = |what: &str| {
            let name = vlan.operation.name();
            explained::<Self>(&format!("{what} needs to be set for {name}"))
        };
        if vlan.has_tag() && vlan.id.is_none() {
            return Err(needs("id"));
        }
        if vlan.operation == VlanOperation::PushEth && vlan.dst_mac.is_none() {
            return Err(needs("dst_mac"));
        }
        if vlan.operation == VlanOperation::PushEth && vlan.src_mac.is_none() {
            return Err(needs("src_mac"));
        }
        if vlan.protocol.is_some_and(|protocol| ![ETH_P_8021Q, ETH_P_8021AD].contains(&protocol)) {
            return Err(explained::<Self>("protocol not supported"));
        }
        Ok(Some(vlan))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item("vlan_action", " ", self.operation.name(), "");
        if self.has_tag() {
            out.item_if("id", " id ", self.id, "");
            let numeric = out.style().numeric;
            let protocol = self.protocol.map(|protocol| protocol::name(protocol, numeric));
            out.item_if("protocol", " protocol ", protocol, "");
            out.item_if("priority", " priority ", self.priority, "");
        } else if self.operation == VlanOperation::PushEth {
            out.item_if("dst_mac", " dst_mac ", self.dst_mac.map(mac_text), "");
            out.item_if("src_mac", " src_mac ", self.src_mac.map(mac_text), "");
        }
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        match self.operation {
            VlanOperation::Unspecified if self.index != 0 => {}
            VlanOperation::Unspecified | VlanOperation::Other(_) => {
                out.cannot_say(&format!("the vlan operation {}", self.operation.raw()));
            }
            operation => out.text("operation", operation.name()),
        }
        let text = |words: Option<String>| words.unwrap_or_default();
        let protocol = self.protocol.filter(|_| self.has_tag());
        out.text("protocol", text(protocol.map(|number| format!("protocol {}", protocol::word(number)))));
        out.text("id", text(self.id.filter(|_| self.has_tag()).map(|id| format!("id {id}"))));
        // A change without it leaves the packet's own priority.
        let priority = self.priority.filter(|_| self.has_tag());
        out.text("priority", text(priority.map(|priority| format!("priority {priority}"))));
        if self.operation == VlanOperation::PushEth {
            out.text("dst_mac", text(self.dst_mac.map(|mac| format!("dst_mac {}", mac_text(mac)))));
            out.text("src_mac", text(self.src_mac.map(|mac| format!("src_mac {}", mac_text(mac)))));
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

impl Vlan {
    /// Whether the operation writes a tag.
    const fn has_tag(&self) -> bool {
        matches!(self.operation, VlanOperation::Push | VlanOperation::Modify)
    }

    /// Reads a word with its value; false for a word that is not the kind's.
    fn parse_word(&mut self, word: &str, words: &mut Words<'_>) -> Result<bool, WordError> {
        let is = |name| is_prefix(word, name);
        let only = |allowed: bool, text: &str| match allowed {
            true => Ok(()),
            false => Err(WordError::invalid(format!("only valid for {text}"), word)),
        };
        let pushes_eth = self.operation == VlanOperation::PushEth;
        let invalid =
            |what: &'static str| move |word: &str| WordError::invalid(format!("{what} is invalid"), word);
        if let Some((_, operation)) = OPERATIONS.into_iter().find(|(name, _)| is(name)) {
            if self.operation != VlanOperation::Unspecified {
                return Err(explained::<Self>(&format!("unexpected \"{word}\" - action already specified")));
            }
            self.operation = operation;
            words.next();
        } else if is("id") {
            only(self.has_tag(), "push/modify")?;
            words.next();
            let word = words.value()?;
            self.id = Some(parse_u16(word).map_err(|_| invalid("id")(word))?);
        } else if is("protocol") {
            only(self.has_tag(), "push/modify")?;
            words.next();
            let word = words.value()?;
            self.protocol = Some(protocol::parse(word).ok_or_else(|| invalid("protocol")(word))?);
        } else if is("priority") {
            only(self.has_tag(), "push/modify")?;
            words.next();
            let word = words.value()?;
            let priority = parse_u8(word).ok().filter(|priority| *priority <= 7);
            self.priority = Some(priority.ok_or_else(|| invalid("prio")(word))?);
        } else if is("dst_mac") {
            only(pushes_eth, "push_eth")?;
            words.next();
            let word = words.value()?;
            self.dst_mac = Some(parse_mac(word).ok_or_else(|| invalid("dst_mac")(word))?);
        } else if is("src_mac") {
            only(pushes_eth, "push_eth")?;
            words.next();
            let word = words.value()?;
            self.src_mac = Some(parse_mac(word).ok_or_else(|| invalid("src_mac")(word))?);
        } else if is("help") {
            return Err(WordError::Help);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl VlanOperation {
    const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unspecified,
            1 => Self::Pop,
            2 => Self::Push,
            3 => Self::Modify,
            4 => Self::PopEth,
            5 => Self::PushEth,
            other => Self::Other(other),
        }
    }

    const fn raw(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Pop => 1,
            Self::Push => 2,
            Self::Modify => 3,
            Self::PopEth => 4,
            Self::PushEth => 5,
            Self::Other(raw) => raw,
        }
    }

    fn name(self) -> &'static str {
        let known = OPERATIONS.into_iter().find(|(_, operation)| *operation == self);
        known.map_or("unknown", |(name, _)| name)
    }
}

/// In the order of `tc`'s prefix matching.
const OPERATIONS: [(&str, VlanOperation); 5] = [
    ("pop", VlanOperation::Pop),
    ("push", VlanOperation::Push),
    ("modify", VlanOperation::Modify),
    ("pop_eth", VlanOperation::PopEth),
    ("push_eth", VlanOperation::PushEth),
];

const TM: u16 = 1;
const PARMS: u16 = 2;
const ID: u16 = 3;
const PROTOCOL: u16 = 4;
const PRIORITY: u16 = 6;
const ETH_DST: u16 = 7;
const ETH_SRC: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Vlan, usize), WordError> {
        let mut words = Words::new(words);
        let vlan = Vlan::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((vlan.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let double = Vlan { protocol: Some(ETH_P_8021AD), priority: Some(3), ..Vlan::push(5) };
        for (words, vlan, left) in [
            (&["push", "id", "5", "protocol", "802.1AD", "priority", "3"][..], double, 0),
            (&["p", "index", "3"], Vlan { index: 3, ..Vlan::new(VlanOperation::Pop) }, 0),
            (&["modify", "id", "0x9", "pass"], Vlan { control: Control::Pass, ..Vlan::modify(9) }, 0),
            (&["pop", "action", "ok"], Vlan::new(VlanOperation::Pop), 2),
            (&["index", "5"], Vlan::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((vlan, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let first = |words: &[&str]| {
            let text = parse(words).unwrap_err().to_string();
            text.lines().next().unwrap_or_default().to_owned()
        };
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["push", "pop"], "unexpected \"pop\" - action already specified"),
            (&["push"], "id needs to be set for push"),
            (&["modify", "priority", "1"], "id needs to be set for modify"),
            (&["pop", "id", "5"], "Error: argument \"id\" is wrong: only valid for push/modify"),
            (&["push", "id", "65536"], "Error: argument \"65536\" is wrong: id is invalid"),
            (&["push", "priority", "8"], "Error: argument \"8\" is wrong: prio is invalid"),
            (&["push", "id", "5", "protocol", "ip"], "protocol not supported"),
            (&["push", "id", "5", "protocol", "x"], "Error: argument \"x\" is wrong: protocol is invalid"),
            (&["push_eth"], "dst_mac needs to be set for push_eth"),
            (&["push_eth", "dst_mac", "2:0:0:0:0:1"], "src_mac needs to be set for push_eth"),
            (&["push_eth", "dst_mac", "2:0"], "Error: argument \"2:0\" is wrong: dst_mac is invalid"),
            (&["pop", "index", "x"], "vlan: Illegal \"index\""),
        ] {
            assert_eq!(first(words), text, "{words:?}");
        }
        assert_eq!(parse(&["push", "help"]), Err(WordError::Help));
    }
}
