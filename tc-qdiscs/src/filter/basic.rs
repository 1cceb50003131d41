//! `basic`: a filter by an expression of ematches.
//!
//! UAPI: attributes `TCA_BASIC_*` and `struct tc_basic_pcnt` of `linux/pkt_cls.h`.
//!
//! Kernel, `net/sched/cls_basic.c`: a priority holds any number of filters, and asks the newest first,
//! one after the other.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::ematch::Ematches;
use tc_core::print::{Hex, Printer};
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, FilterPlace, FilterSyntax, Handle,
    Kind, OptionWords, object,
};

use super::{class_of, police_or_actions};
use crate::action::police::Police;

tc_core::register!(Basic);

/// The options of a basic filter.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::ematch::Operand;
/// use tc_qdiscs::ematch::cmp::{Align, Cmp};
/// use tc_qdiscs::ematch::meta::{Field, Meta};
/// use tc_qdiscs::filter::basic::Basic;
///
/// // UDP packets above 1000 bytes go to the class 1:10.
/// let udp = Cmp::new(Align::U8, 9, Operand::Eq, 17);
/// let large = Meta::new(Field::PKT_LEN, Operand::Gt, 1000);
/// let basic = Basic::default().ematches(Ematches::new(udp).and(large)).class(Handle::class(1, 0x10));
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(5).protocol(ETH_P_IP);
/// let filter = filter.options(&basic);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Basic {
    /// The packets that match; every packet of the protocol by default.
    pub ematches: Ematches,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: BasicReported,
}

/// The fields of a basic filter that only the kernel sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicReported {
    /// Packets that the filter has seen, and those that matched. Since Linux 5.0.
    pub packets: Option<BasicCounters>,
}

/// `struct tc_basic_pcnt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BasicCounters {
    /// Packets that the filter has seen.
    pub seen: u64,
    /// Packets that matched.
    pub matched: u64,
}

impl BasicCounters {
    fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        Ok(Self { seen: reader.u64()?, matched: reader.u64()? })
    }
}

impl Kind for Basic {
    type Object = object::Filter;
    const KIND: &'static str = "basic";

    /// The attributes come in one order; `tc` writes them in the order of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        police_or_actions(self.police.as_ref(), &self.actions)
            .map_err(|error| EncodeError::Invalid(format!("basic: {error}")))?;
        self.ematches.encode(EMATCHES, out)?;
        out.attr_u32_if(CLASSID, self.class.map(Handle::raw));
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PCNT as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        Ok(Self {
            ematches: attr(EMATCHES).map(|attr| Ematches::decode(&attr)).transpose()?.unwrap_or_default(),
            class: attr(CLASSID).map(|attr| attr.u32().map(Handle::from_raw)).transpose()?,
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
            reported: BasicReported {
                packets: attr(PCNT).map(|attr| BasicCounters::decode(&attr)).transpose()?,
            },
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            ematches: self.ematches.as_dumped(),
            class: self.class.filter(|class| !class.is_unspec()),
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped(environment),
            reported: self.reported,
        }
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

impl FilterSyntax for Basic {
    const USAGE: &'static str = "\
Usage: ... basic [ match EMATCH_TREE ]
                 [ action ACTION_SPEC ] [ classid CLASSID ]

Where:\tSELECTOR := SAMPLE SAMPLE ...
\tFILTERID := X:Y:Z
\tACTION_SPEC := ... look at individual actions

NOTE: CLASSID is parsed as hexadecimal input.
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
        let mut basic = Self::default();
        while let Some(word) = words.next() {
            match word {
                word if is_prefix(word, "match") => {
                    basic.ematches = Ematches::parse_words(words, context)?;
                }
                word if is_prefix(word, "classid") || word == "flowid" => {
                    basic.class = Some(class_of(words)?);
                }
                word if is_prefix(word, "action") => {
                    if words.is_empty() {
                        return Err(WordError::Incomplete);
                    }
                    basic.actions = Actions::parse_words(words, context)?;
                }
                word if is_prefix(word, "police") => basic.police = Some(Police::parse_in_filter(words)?),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        police_or_actions(basic.police.as_ref(), &basic.actions).map_err(WordError::Kind)?;
        Ok((Some(basic), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        if !place.handle.is_unspec() {
            out.item("handle", "handle 0x", Hex(place.handle.raw()), " ");
        }
        if let Some(class) = self.class {
            out.item("flowid", "flowid ", class, " ");
        }
        self.ematches.print(out);
        if let Some(police) = &self.police {
            out.newline();
            tc_core::Syntax::print(police, out);
        }
        if !self.actions.is_empty() {
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        // Before the others: tc expects a word after them.
        self.ematches.to_words(out);
        out.text("classid", self.class.map(|class| format!("classid {class}")).unwrap_or_default());
        match &self.police {
            Some(police) => police.to_words_in_filter(out),
            None => self.actions.to_words(out),
        }
    }
}

const CLASSID: u16 = 1;
const EMATCHES: u16 = 2;
const ACT: u16 = 3;
const POLICE: u16 = 4;
const PCNT: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Devices, message};
    use crate::ematch::Operand;
    use crate::ematch::cmp::{Align, Cmp};
    use tc_core::print::{Form, Style};
    use tc_core::{Request, Verb};

    fn parse(words: &[&str]) -> Result<Option<Basic>, WordError> {
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let read = Basic::parse_filter(&mut Words::new(words), &context, &FilterPlace::default());
        read.map(|(options, _)| options)
    }

    fn tcp() -> Basic {
        Basic::default().ematches(Ematches::new(Cmp::new(Align::U8, 9, Operand::Eq, 6)))
    }

    #[test]
    fn words_are_read() {
        let class = Handle::class(1, 1);
        for (words, expected) in [
            (&["match", "cmp(u8 at 9 eq 6)"][..], tcp()),
            (&["m", "cmp(u8", "at", "9", "eq", "6)", "classid", "1:1"], tcp().class(class)),
            (&["flowid", "1:1", "match", "cmp(u8 at 9 layer 1 eq 6)"], tcp().class(class)),
        ] {
            assert_eq!(parse(words), Ok(Some(expected)), "{words:?}");
        }
        assert_eq!(parse(&[]), Ok(None));
        let with_action = parse(&["match", "cmp(u8 at 9 eq 6)", "action", "drop", "classid", "1:1"]).unwrap();
        assert_eq!(
            with_action.map(|basic| (basic.actions.iter().len(), basic.class)),
            Some((1, Some(class)))
        );
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&["match"][..], "Command line is not complete. Try option \"help\""),
            (&["match", "bla(x)"], "Unknown ematch \"bla\"\nIllegal \"ematch\""),
            (&["classid", "x"], "Illegal \"classid\""),
            (&["match", "cmp(u8 at 9 eq 6)", "bogus"], "What is \"bogus\"?"),
            (&["action"], "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        let both = parse(&["police", "mtu", "1500", "drop", "action", "drop"]).unwrap_err().to_string();
        assert!(both.contains("\"police\" and \"action\" are mutually exclusive"), "{both}");
    }

    #[test]
    fn reported_fields_are_not_sent() {
        let mut there = tcp();
        there.reported.packets = Some(BasicCounters { seen: 9, matched: 7 });
        let bytes = message(&Request::filter(1).options(&there), Verb::Add);
        assert_eq!(bytes, message(&Request::filter(1).options(&tcp()), Verb::Add));
        let counters =
            [&20u16.to_ne_bytes()[..], &5u16.to_ne_bytes(), &9u64.to_ne_bytes(), &7u64.to_ne_bytes()];
        assert_eq!(Basic::decode(&[&bytes[52..], &counters.concat()].concat()), Ok(there));
    }

    #[test]
    fn json_has_the_expression_in_words() {
        let mut place = FilterPlace::default();
        place.handle = Handle::from_raw(0x1a);
        let mut out = tc_core::print::Printer::new(Form::Json, Style::default());
        out.object("", |out| tcp().class(Handle::class(1, 1)).print(&place, out));
        let json = r#"{"handle":"1a","flowid":"1:1","ematch":"cmp(u8 at 9 layer 1 eq 6)"}"#;
        assert_eq!(out.as_str(), json);
    }
}
