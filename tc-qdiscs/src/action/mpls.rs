//! `mpls`: adds, removes or changes an MPLS label.
//!
//! UAPI: `struct tc_mpls` in `TCA_MPLS_PARMS`, attributes `TCA_MPLS_*`
//! (`linux/tc_act/tc_mpls.h`). Since Linux 5.3.

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::uapi::{ETH_P_MPLS_MC, ETH_P_MPLS_UC};
use tc_core::units::{parse_u8, parse_u32};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
    protocol,
};

use super::Reported;
use super::generic::{self, Generic, explained, required};

tc_core::register!(Mpls);

/// The options of an mpls action.
///
/// ```
/// use tc_core::{action::Action, uapi::ETH_P_IP};
/// use tc_qdiscs::action::mpls::{Mpls, MplsOperation};
///
/// let push = Action::new(Mpls::push(123).ttl(64));
/// let pop = Action::new(Mpls::new(MplsOperation::Pop).protocol(ETH_P_IP));
/// # let _ = (push, pop);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Mpls {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The operation.
    pub operation: MplsOperation,
    /// Of a pop the packet's protocol after it; of a push `ETH_P_MPLS_UC`, the default, or
    /// `ETH_P_MPLS_MC`.
    pub protocol: Option<u16>,
    /// The label, of 20 bits.
    pub label: Option<u32>,
    /// The traffic class, of 3 bits.
    pub tc: Option<u8>,
    /// The time to live; 255 by default.
    pub ttl: Option<u8>,
    /// Whether the label is the last of the stack: 0 or 1.
    pub bos: Option<u8>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// The operation of an mpls action (`TCA_MPLS_ACT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MplsOperation {
    /// Unspecified: the index names an existing action.
    Unspecified,
    /// Removes the outer label.
    Pop,
    /// Adds a label after the Ethernet header.
    Push,
    /// Changes the outer label.
    Modify,
    /// Takes one from the time to live.
    DecTtl,
    /// Adds a label before the Ethernet header. Since Linux 5.10.
    MacPush,
    /// Another number.
    Other(i32),
}

impl Mpls {
    /// An operation that needs no more, after which the next action follows.
    pub const fn new(operation: MplsOperation) -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            operation,
            protocol: None,
            label: None,
            tc: None,
            ttl: None,
            bos: None,
            reported: Reported { refcnt: 0, bindcnt: 0, times: None },
        }
    }

    /// Adds this label.
    pub const fn push(label: u32) -> Self {
        let mut mpls = Self::new(MplsOperation::Push);
        mpls.label = Some(label);
        mpls
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut mpls = Self::new(MplsOperation::Unspecified);
        mpls.index = index;
        mpls
    }

    const fn pushes(&self) -> bool {
        matches!(self.operation, MplsOperation::Push | MplsOperation::MacPush)
    }

    const fn has_fields(&self) -> bool {
        self.pushes() || matches!(self.operation, MplsOperation::Modify)
    }

    const fn has_protocol(&self) -> bool {
        self.pushes() || matches!(self.operation, MplsOperation::Pop)
    }
}

impl Kind for Mpls {
    type Object = object::Action;
    const KIND: &'static str = "mpls";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_i32(self.operation.raw());
        drop(parms);
        out.attr_u32_if(LABEL, self.label);
        if let Some(protocol) = self.protocol {
            out.attr_u16(PROTO, protocol.to_be());
        }
        for (kind, value) in [(TC, self.tc), (TTL, self.ttl), (BOS, self.bos)] {
            if let Some(value) = value {
                out.attr_u8(kind, value);
            }
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ BOS as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let byte = |kind: u16| attr(kind).map(|attr| attr.u8()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "mpls parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        Ok(Self {
            index,
            control,
            operation: MplsOperation::from_raw(reader.i32()?),
            protocol: attr(PROTO).map(|attr| attr.u16()).transpose()?.map(u16::from_be),
            label: attr(LABEL).map(|attr| attr.u32()).transpose()?,
            tc: byte(TC)?,
            ttl: byte(TTL)?,
            bos: byte(BOS)?,
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        if !self.pushes() {
            return *self;
        }
        Self { protocol: self.protocol.or(Some(ETH_P_MPLS_UC)), ttl: self.ttl.or(Some(255)), ..*self }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Mpls {
    const USAGE: &'static str = "\
Usage: mpls pop [ protocol MPLS_PROTO ] [CONTROL]
       mpls push [ protocol MPLS_PROTO ] [ label MPLS_LABEL ] [ tc MPLS_TC ]
                 [ ttl MPLS_TTL ] [ bos MPLS_BOS ] [CONTROL]
       mpls mac_push [ protocol MPLS_PROTO ] [ label MPLS_LABEL ] [ tc MPLS_TC ]
                     [ ttl MPLS_TTL ] [ bos MPLS_BOS ] [CONTROL]
       mpls modify [ label MPLS_LABEL ] [ tc MPLS_TC ] [ ttl MPLS_TTL ]
                   [ bos MPLS_BOS ] [CONTROL]
           for pop, MPLS_PROTO is next header of packet - e.g. ip or mpls_uc
           for push and mac_push, MPLS_PROTO is one of mpls_uc or mpls_mc
               with default: mpls_uc
       CONTROL := reclassify | pipe | drop | continue | pass |
                  goto chain <CHAIN_INDEX>
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut mpls = Self::new(MplsOperation::Unspecified);
        // As in later versions of tc, the index of an existing action is enough.
        if words.peek() != Some("index") {
            while let Some(word) = words.peek() {
                if !mpls.parse_word(word, words)? {
                    break;
                }
            }
            if mpls.operation == MplsOperation::Unspecified {
                return Err(WordError::Incomplete);
            }
        }
        if words.peek().is_some_and(Control::is_word) {
            mpls.control = Control::parse_words(words)?;
        }
        if words.peek().is_some_and(|word| is_prefix(word, "index")) {
            words.next();
            let word = words.value()?;
            mpls.index = word.parse().map_err(|_| WordError::invalid("illegal index", word))?;
        }
        if mpls.operation == MplsOperation::Push && mpls.label.is_none() {
            return Err(required("label"));
        }
        let known = |protocol| [ETH_P_MPLS_UC, ETH_P_MPLS_MC].contains(&protocol);
        if let Some(protocol) = mpls.protocol.filter(|protocol| mpls.pushes() && !known(*protocol)) {
            let name = mpls.operation.name();
            let text = format!("invalid {name} protocol \"{protocol:#06x}\" - use mpls_(uc|mc)");
            return Err(WordError::Kind(text));
        }
        if mpls.operation == MplsOperation::Pop && mpls.protocol.is_none() {
            return Err(required("protocol"));
        }
        Ok(Some(mpls))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item("mpls_action", " ", self.operation.name(), "");
        if self.has_protocol() {
            let numeric = out.style().numeric;
            let protocol = self.protocol.map(|protocol| protocol::name(protocol, numeric));
            out.item_if("protocol", " protocol ", protocol, "");
        }
        if self.has_fields() {
            out.item_if("label", " label ", self.label, "");
            out.item_if("tc", " tc ", self.tc, "");
            out.item_if("bos", " bos ", self.bos, "");
            out.item_if("ttl", " ttl ", self.ttl, "");
        }
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        match self.operation {
            MplsOperation::Unspecified if self.index != 0 => {}
            MplsOperation::Unspecified | MplsOperation::Other(_) => {
                out.cannot_say(&format!("the mpls operation {}", self.operation.raw()));
            }
            operation => out.text("operation", operation.name()),
        }
        let text = |words: Option<String>| words.unwrap_or_default();
        let protocol = self.protocol.filter(|_| self.has_protocol());
        out.text("protocol", text(protocol.map(|number| format!("protocol {}", protocol::word(number)))));
        if self.has_fields() {
            out.text("label", text(self.label.map(|label| format!("label {label}"))));
            for (name, value) in [("tc", self.tc), ("ttl", self.ttl), ("bos", self.bos)] {
                out.text(name, text(value.map(|value| format!("{name} {value}"))));
            }
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

impl Mpls {
    /// Reads a word with its value; false for a word that is not the kind's.
    fn parse_word(&mut self, word: &str, words: &mut Words<'_>) -> Result<bool, WordError> {
        let is = |name| is_prefix(word, name);
        let only = |allowed: bool, text: &str| match allowed {
            true => Ok(()),
            false => Err(WordError::invalid(format!("only valid for {text}"), word)),
        };
        if let Some((_, operation)) = OPERATIONS.into_iter().find(|(name, _)| is(name)) {
            if self.operation != MplsOperation::Unspecified {
                let before = self.operation.name();
                let text = format!("Error: got \"{word}\" but action already set to \"{before}\"");
                return Err(explained::<Self>(&text));
            }
            self.operation = operation;
            words.next();
            return Ok(true);
        }
        let has_fields = self.has_fields();
        let byte = |words: &mut Words<'_>, allowed: fn(u8) -> bool, wrong: &str| {
            only(has_fields, "push, mac_push and modify")?;
            words.next();
            let word = words.value()?;
            let value = parse_u8(word).ok().filter(|value| allowed(*value));
            value.map(Some).ok_or_else(|| WordError::invalid(wrong, word))
        };
        if is("label") {
            only(has_fields, "push, mac_push and modify")?;
            words.next();
            let word = words.value()?;
            let label = parse_u32(word).ok().filter(|label| *label <= 0xf_ffff);
            let wrong = || WordError::invalid("label must be <=0xFFFFF", word);
            self.label = Some(label.ok_or_else(wrong)?);
        } else if is("tc") {
            self.tc = byte(words, |tc| tc <= 7, "tc field is 3 bits max")?;
        } else if is("ttl") {
            self.ttl = byte(words, |ttl| ttl > 0, "ttl must be >0 and <=255")?;
        } else if is("bos") {
            self.bos = byte(words, |bos| bos <= 1, "bos must be 0 or 1")?;
        } else if is("protocol") {
            only(self.has_protocol(), "push, mac_push and pop")?;
            words.next();
            let word = words.value()?;
            let protocol =
                protocol::parse(word).ok_or_else(|| WordError::invalid("protocol is invalid", word))?;
            // 0 is no protocol to tc.
            self.protocol = Some(protocol).filter(|protocol| *protocol != 0);
        } else if is("help") {
            return Err(WordError::Help);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

impl MplsOperation {
    const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unspecified,
            1 => Self::Pop,
            2 => Self::Push,
            3 => Self::Modify,
            4 => Self::DecTtl,
            5 => Self::MacPush,
            other => Self::Other(other),
        }
    }

    const fn raw(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Pop => 1,
            Self::Push => 2,
            Self::Modify => 3,
            Self::DecTtl => 4,
            Self::MacPush => 5,
            Self::Other(raw) => raw,
        }
    }

    fn name(self) -> &'static str {
        let known = OPERATIONS.into_iter().find(|(_, operation)| *operation == self);
        known.map_or("unknown", |(name, _)| name)
    }
}

/// In the order of `tc`'s prefix matching.
const OPERATIONS: [(&str, MplsOperation); 5] = [
    ("pop", MplsOperation::Pop),
    ("push", MplsOperation::Push),
    ("modify", MplsOperation::Modify),
    ("mac_push", MplsOperation::MacPush),
    ("dec_ttl", MplsOperation::DecTtl),
];

const TM: u16 = 1;
const PARMS: u16 = 2;
const PROTO: u16 = 4;
const LABEL: u16 = 5;
const TC: u16 = 6;
const TTL: u16 = 7;
const BOS: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::uapi::ETH_P_IP;

    fn parse(words: &[&str]) -> Result<(Mpls, usize), WordError> {
        let mut words = Words::new(words);
        let mpls = Mpls::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((mpls.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let full = Mpls {
            protocol: Some(ETH_P_MPLS_MC),
            tc: Some(3),
            ttl: Some(64),
            bos: Some(1),
            ..Mpls::push(123)
        };
        let pop = Mpls { protocol: Some(ETH_P_IP), ..Mpls::new(MplsOperation::Pop) };
        for (words, mpls, left) in [
            (
                &["push", "protocol", "mpls_mc", "label", "123", "tc", "3", "ttl", "64", "bos", "1"][..],
                full,
                0,
            ),
            (&["pop", "protocol", "ip", "pass"], Mpls { control: Control::Pass, ..pop }, 0),
            (&["dec_ttl", "index", "3", "action"], Mpls { index: 3, ..Mpls::new(MplsOperation::DecTtl) }, 1),
            (&["mac_push"], Mpls::new(MplsOperation::MacPush), 0),
            (&["index", "5"], Mpls::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((mpls, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let first = |words: &[&str]| {
            let text = parse(words).unwrap_err().to_string();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let fields = "only valid for push, mac_push and modify";
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\"".to_owned()),
            (&["push", "pop"], "Error: got \"pop\" but action already set to \"push\"".into()),
            (&["pop", "label", "5"], format!("Error: argument \"label\" is wrong: {fields}")),
            (&["dec_ttl", "ttl", "5"], format!("Error: argument \"ttl\" is wrong: {fields}")),
            (
                &["modify", "protocol", "ip"],
                "Error: argument \"protocol\" is wrong: only valid for push, mac_push and pop".into(),
            ),
            (
                &["push", "label", "0x100000"],
                "Error: argument \"0x100000\" is wrong: label must be <=0xFFFFF".into(),
            ),
            (&["push", "tc", "8"], "Error: argument \"8\" is wrong: tc field is 3 bits max".into()),
            (&["push", "ttl", "0"], "Error: argument \"0\" is wrong: ttl must be >0 and <=255".into()),
            (&["push", "bos", "2"], "Error: argument \"2\" is wrong: bos must be 0 or 1".into()),
            (&["push", "protocol", "x"], "Error: argument \"x\" is wrong: protocol is invalid".into()),
            (&["push"], "Error: argument \"label\" is required".into()),
            (&["pop"], "Error: argument \"protocol\" is required".into()),
            (
                &["mac_push", "protocol", "ip"],
                "invalid mac_push protocol \"0x0800\" - use mpls_(uc|mc)".into(),
            ),
            (&["dec_ttl", "index", "x"], "Error: argument \"x\" is wrong: illegal index".into()),
        ] {
            assert_eq!(first(words), text, "{words:?}");
        }
        assert_eq!(parse(&["push", "help"]), Err(WordError::Help));
    }
}
