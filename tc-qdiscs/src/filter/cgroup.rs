//! `cgroup`: a filter by the control group of the task that sent the packet.
//!
//! UAPI: attributes `TCA_CGROUP_*` of `linux/pkt_cls.h`. The class is the group's `net_cls.classid`.
//!
//! Kernel, `net/sched/cls_cgroup.c`:
//! - a priority holds one filter, whose handle must be given and stays; add and replace both replace its
//!   options, and change is refused;
//! - it is deleted along with its priority, and not by its handle;
//! - packets of tasks without a classid do not match.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::ematch::Ematches;
use tc_core::print::{Hex0x, Printer};
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace,
    FilterSyntax, Handle, Kind, OptionWords, object,
};

use super::police_or_actions;
use crate::action::police::Police;

tc_core::register!(Cgroup);

/// The options of a cgroup filter.
///
/// ```
/// use tc_core::{Handle, Request, uapi::ETH_P_ALL};
/// use tc_qdiscs::filter::cgroup::Cgroup;
///
/// // Packets go to the class of the sender's control group. The handle is required.
/// let cgroup = Cgroup::default();
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(10).protocol(ETH_P_ALL);
/// let filter = filter.handle(Handle::from_raw(1)).options(&cgroup);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Cgroup {
    /// The packets that match; by default those of every task with a classid.
    pub ematches: Ematches,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the
    /// actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
}

impl Kind for Cgroup {
    type Object = object::Filter;
    const KIND: &'static str = "cgroup";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE.of_priority();

    /// The attributes come in one order; `tc` writes them in the order of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        police_or_actions(self.police.as_ref(), &self.actions)
            .map_err(|error| EncodeError::Invalid(format!("cgroup: {error}")))?;
        self.ematches.encode(EMATCHES, out)?;
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ EMATCHES as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        Ok(Self {
            ematches: attr(EMATCHES).map(|attr| Ematches::decode(&attr)).transpose()?.unwrap_or_default(),
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            ematches: self.ematches.as_dumped(),
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped(environment),
        }
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(self.police.as_ref(), &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for Cgroup {
    const USAGE: &'static str = "\
Usage: ... cgroup [ match EMATCH_TREE ]
                  [ action ACTION_SPEC ]
";

    /// As in `tc`, a cgroup filter without words has options too.
    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError> {
        let handle = Self::handle_in(place)?;
        let mut cgroup = Self::default();
        while let Some(word) = words.next() {
            match word {
                word if is_prefix(word, "match") => {
                    cgroup.ematches = Ematches::parse_words(words, context)?;
                }
                word if is_prefix(word, "action") => {
                    if words.is_empty() {
                        return Err(WordError::Incomplete);
                    }
                    cgroup.actions = Actions::parse_words(words, context)?;
                }
                word if is_prefix(word, "police") => cgroup.police = Some(Police::parse_in_filter(words)?),
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        police_or_actions(cgroup.police.as_ref(), &cgroup.actions).map_err(WordError::Kind)?;
        Ok((Some(cgroup), handle))
    }

    /// The JSON is that of later versions of `tc`.
    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        if !place.handle.is_unspec() {
            out.item("handle", "handle ", Hex0x(place.handle.raw().into()), " ");
        }
        self.ematches.print(out);
        if let Some(police) = &self.police {
            // As in tc, a line end also where one line was asked for.
            out.text("\n");
            tc_core::Syntax::print(police, out);
        }
        if !self.actions.is_empty() {
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        self.ematches.to_words(out);
        match &self.police {
            Some(police) => police.to_words_in_filter(out),
            None => self.actions.to_words(out),
        }
    }

    /// Also with a colon after it, as the kernel's documentation writes it: `1:`.
    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        let illegal = |_| WordError::Kind(format!("Illegal handle \"{text}\", must be numeric."));
        parse_u32(text.strip_suffix(':').unwrap_or(text)).map(Handle::from_raw).map_err(illegal)
    }
}

const ACT: u16 = 1;
const POLICE: u16 = 2;
const EMATCHES: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::{Devices, message};
    use crate::ematch::Operand;
    use crate::ematch::meta::{Field, Meta};
    use tc_core::print::{Form, Style};
    use tc_core::{Request, Verb};

    fn parse(words: &[&str], handle: &str) -> Result<(Option<Cgroup>, Handle), WordError> {
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let mut place = FilterPlace::default();
        place.handle_word = Some(handle);
        Cgroup::parse_filter(&mut Words::new(words), &context, &place)
    }

    fn large() -> Cgroup {
        Cgroup::default().ematches(Ematches::new(Meta::new(Field::PKT_LEN, Operand::Gt, 5)))
    }

    #[test]
    fn words_are_read() {
        let one = Handle::from_raw(1);
        assert_eq!(parse(&[], "1:"), Ok((Some(Cgroup::default()), one)));
        assert_eq!(parse(&["match", "meta(pkt_len gt 5)"], "0x1"), Ok((Some(large()), one)));
        let (with_action, _) = parse(&["ma", "meta(pkt_len gt 5)", "action", "drop"], "1").unwrap();
        assert_eq!(with_action.map(|cgroup| cgroup.actions.iter().len()), Some(1));
        let bytes = message(&Request::filter(1).options(&large()), Verb::Add);
        assert_eq!(Cgroup::decode(&bytes[52..]), Ok(large()));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, handle, text) in [
            (&[][..], "x", "Illegal handle \"x\", must be numeric."),
            (&[], "1:2", "Illegal handle \"1:2\", must be numeric."),
            (&["match"], "1", "Command line is not complete. Try option \"help\""),
            (&["match", "x(1)"], "1", "Unknown ematch \"x\"\nIllegal \"ematch\""),
            (&["classid", "1:1"], "1", "What is \"classid\"?"),
            (&["action"], "1", "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(parse(words, handle).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"], "1"), Err(WordError::Help));
    }

    #[test]
    fn json_has_handle_and_expression() {
        let mut place = FilterPlace::default();
        place.handle = Handle::from_raw(0x1a);
        let mut out = Printer::new(Form::Json, Style::default());
        out.object("", |out| large().print(&place, out));
        assert_eq!(out.as_str(), r#"{"handle":"0x1a","ematch":"meta(pkt_len gt 5)"}"#);
    }
}
