//! `matchall`: a filter that every packet of its protocol matches.
//!
//! UAPI: attributes `TCA_MATCHALL_*` of `linux/pkt_cls.h`.
//!
//! Kernel, `net/sched/cls_matchall.c`: a priority holds one matchall filter, so
//! that its handle matters little; counters come back for each CPU summed up.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::Printer;
use tc_core::uapi::*;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace,
    FilterSyntax, Handle, Kind, OptionWords, object,
};

tc_core::register!(Matchall);

/// The options of a matchall filter.
///
/// ```
/// use tc_core::action::{Action, Actions};
/// use tc_core::{Handle, Request, uapi::ETH_P_ALL};
/// use tc_qdiscs::action::mirred::{Eaction, Mirred};
/// use tc_qdiscs::filter::matchall::Matchall;
///
/// // All that device 2 receives leaves through device 3.
/// let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, 3));
/// let matchall = Matchall::default().actions(Actions::new().with(redirect));
/// let filter = Request::filter(2).parent(Handle::FILTER_INGRESS).priority(1).protocol(ETH_P_ALL);
/// let filter = filter.options(&matchall);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Matchall {
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The actions on a packet.
    pub actions: Actions,
    /// `TCA_CLS_FLAGS_*`: whether software or hardware is skipped; the kernel
    /// reports whether the filter is in hardware.
    pub flags: u32,
    /// The number of packets that the filter has seen (reported only).
    pub hits: Option<u64>,
}

impl Kind for Matchall {
    type Object = object::Filter;
    const KIND: &'static str = "matchall";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    /// The attributes come in one order; `tc` writes class and actions in the
    /// order of the words.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(class) = self.class {
            out.attr_u32(CLASSID, class.raw());
        }
        self.actions.encode(ACT, context, out)?;
        // The kernel refuses its own flags.
        let flags = self.flags & (TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW | TCA_CLS_FLAGS_VERBOSE);
        if flags != 0 {
            out.attr_u32(FLAGS, flags);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PCNT as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        Ok(Self {
            class: number(CLASSID)?.map(Handle::from_raw),
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
            flags: number(FLAGS)?.unwrap_or_default(),
            hits: attr(PCNT).map(|attr| attr.u64()).transpose()?,
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self { actions: self.actions.as_dumped_in(environment, self.flags), ..self.clone() }
    }

    fn target_class(&self) -> Option<Handle> {
        self.class
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(None, &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for Matchall {
    const USAGE: &'static str = "\
Usage: ... matchall [skip_sw | skip_hw]
                 [ action ACTION_SPEC ] [ classid CLASSID ]

Where: SELECTOR := SAMPLE SAMPLE ...
       FILTERID := X:Y:Z
       ACTION_SPEC := ... look at individual actions

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
        let mut matchall = Self::default();
        while let Some(word) = words.next() {
            match word {
                word if is_prefix(word, "classid") || word == "flowid" => {
                    let illegal = |_| WordError::Kind("Illegal \"classid\"".into());
                    matchall.class = Some(words.value()?.parse().map_err(illegal)?);
                }
                word if is_prefix(word, "action") => {
                    if words.is_empty() {
                        return Err(WordError::Incomplete);
                    }
                    matchall.actions = Actions::parse_words(words, context)?;
                }
                // As in tc, one of these cannot be the last word.
                "skip_hw" if words.is_empty() => return Err(WordError::Incomplete),
                "skip_sw" if words.is_empty() => return Err(WordError::Incomplete),
                "skip_hw" => matchall.flags |= TCA_CLS_FLAGS_SKIP_HW,
                "skip_sw" => matchall.flags |= TCA_CLS_FLAGS_SKIP_SW,
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        if matchall.flags == TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW {
            return Err(WordError::Kind("skip_hw and skip_sw are mutually exclusive".into()));
        }
        Ok((Some(matchall), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        if !place.handle.is_unspec() {
            out.json("handle", place.handle.raw());
            out.text(&format!("handle {:#x} ", place.handle.raw()));
        }
        if let Some(class) = self.class {
            out.item("flowid", "flowid ", class, " ");
        }
        let mut flag = |bit: u32, key: &str| {
            let set = self.flags & bit != 0;
            if set {
                // As in tc, a line end also where one line was asked for.
                out.flag(key, &format!("\n  {key}"));
            }
            set
        };
        flag(TCA_CLS_FLAGS_SKIP_HW, "skip_hw");
        flag(TCA_CLS_FLAGS_SKIP_SW, "skip_sw");
        if !flag(TCA_CLS_FLAGS_IN_HW, "in_hw") {
            flag(TCA_CLS_FLAGS_NOT_IN_HW, "not_in_hw");
        }
        if let Some(hits) = self.hits.filter(|_| out.style().stats) {
            out.item("rule_hit", " (rule hit ", hits, ")");
        }
        if !self.actions.is_empty() {
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        // Before the others: tc expects a word after them.
        out.flag("skip_hw", self.flags & TCA_CLS_FLAGS_SKIP_HW != 0);
        out.flag("skip_sw", self.flags & TCA_CLS_FLAGS_SKIP_SW != 0);
        out.text("classid", self.class.map(|class| format!("classid {class}")).unwrap_or_default());
        self.actions.to_words(out);
    }
}

const CLASSID: u16 = 1;
const ACT: u16 = 2;
const FLAGS: u16 = 3;
const PCNT: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::mirred::{Eaction, Mirred};
    use crate::action::tests::{Devices, message};
    use tc_core::{Action, Request, Verb};

    fn parse(words: &[&str]) -> Result<Option<Matchall>, WordError> {
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let read = Matchall::parse_filter(&mut Words::new(words), &context, &FilterPlace::default());
        read.map(|(options, _)| options)
    }

    #[test]
    fn words_are_read() {
        let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, 1));
        for (words, expected) in [
            (&["classid", "1:1"][..], Matchall { class: Some(Handle::class(1, 1)), ..Matchall::default() }),
            (
                &["skip_hw", "action", "mirred", "egress", "redirect", "dev", "lo", "flowid", "1:2"],
                Matchall {
                    class: Some(Handle::class(1, 2)),
                    actions: Actions::new().with(redirect),
                    flags: TCA_CLS_FLAGS_SKIP_HW,
                    hits: None,
                },
            ),
        ] {
            assert_eq!(parse(words), Ok(Some(expected)), "{words:?}");
        }
        assert_eq!(parse(&[]), Ok(None));
    }

    #[test]
    fn handle_comes_from_the_place() {
        let read = |word| {
            let mut place = FilterPlace::default();
            place.handle_word = Some(word);
            let context = WordsContext::new(Verb::Add);
            Matchall::parse_filter(&mut Words::new(&[]), &context, &place)
        };
        assert_eq!(read("0x10"), Ok((None, Handle::from_raw(16))));
        assert_eq!(read("x").unwrap_err().to_string(), "Illegal handle \"x\", must be numeric.");
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&["classid", "x"][..], "Illegal \"classid\""),
            (&["skip_hw"], "Command line is not complete. Try option \"help\""),
            (&["skip_hw", "skip_sw", "classid", "1:1"], "skip_hw and skip_sw are mutually exclusive"),
            (&["verbose"], "What is \"verbose\"?"),
            (&["action"], "Command line is not complete. Try option \"help\""),
            (
                &["action", "mirred", "egress", "redirect", "dev", "nix"],
                "Cannot find device \"nix\"\nbad action parsing\nparse_action: bad value (5:mirred)!\n\
                 Illegal \"action\"",
            ),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
    }

    #[test]
    fn reported_fields_are_not_sent() {
        let there = Matchall { flags: TCA_CLS_FLAGS_NOT_IN_HW, hits: Some(7), ..Matchall::default() };
        let bytes = message(&Request::filter(1).options(&there), Verb::Add);
        assert_eq!(&bytes[36..], b"\x0d\0\x01\0matchall\0\0\0\0\x04\0\x02\0");
    }
}
