//! `bpf`: a filter by a BPF program.
//!
//! UAPI: attributes `TCA_BPF_*` of `linux/pkt_cls.h`.
//!
//! Kernel, `net/sched/cls_bpf.c`: the program returns 0 for a packet that does not match, -1 for the class of
//! the filter, and another number for that class. With direct action it returns the fate of the packet.

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::{Formatted, Printer};
use tc_core::uapi::*;
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, FilterPlace, FilterSyntax, Handle, Kind,
    OptionWords, object,
};

use super::{class_of, police_or_actions};
use crate::action::police::Police;
use crate::bpf::{Numbers, Program};

tc_core::register!(Bpf);

/// The options of a bpf filter.
///
/// ```
/// use tc_core::{Handle, Request, uapi::ETH_P_ALL};
/// use tc_qdiscs::bpf::{Instruction, Program};
/// use tc_qdiscs::filter::bpf::Bpf;
///
/// // All packets match: the program returns -1.
/// let all = Instruction { code: 6, jt: 0, jf: 0, k: u32::MAX };
/// let bpf = Bpf::default().program(Program::Bytecode(vec![all])).class(Handle::class(1, 0x10));
/// let filter = Request::filter(2).parent(Handle::qdisc(1)).priority(5).protocol(ETH_P_ALL);
/// let filter = filter.options(&bpf);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Bpf {
    /// The program. Each request needs one.
    pub program: Option<Program>,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// Whether the program returns the fate of the packet.
    pub direct_action: bool,
    /// `TCA_CLS_FLAGS_*`: whether software or hardware is skipped; the kernel reports whether the filter
    /// is in hardware.
    pub flags: u32,
    /// The limit of the rate, if `actions` is empty: the kernel ignores the actions beside it.
    pub police: Option<Police>,
    /// The actions on a packet.
    pub actions: Actions,
}

impl Kind for Bpf {
    type Object = object::Filter;
    const KIND: &'static str = "bpf";

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u32_if(CLASSID, self.class.map(Handle::raw));
        police_or_actions(self.police.as_ref(), &self.actions).map_err(EncodeError::Invalid)?;
        if let Some(police) = &self.police {
            police.encode_in_filter(POLICE, out)?;
        }
        self.actions.encode(ACT, context, out)?;
        if let Some(program) = &self.program {
            program.encode(NUMBERS, out)?;
        }
        // The kernel refuses its own flags.
        let flags = self.flags & (TCA_CLS_FLAGS_SKIP_HW | TCA_CLS_FLAGS_SKIP_SW);
        out.attr_u32_if(FLAGS_GEN, Some(flags).filter(|flags| *flags != 0));
        out.attr_u32_if(FLAGS, self.direct_action.then_some(ACT_DIRECT));
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ ID as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        Ok(Self {
            program: Program::decode(NUMBERS, attr)?,
            class: number(CLASSID)?.map(Handle::from_raw),
            direct_action: number(FLAGS)?.unwrap_or(0) & ACT_DIRECT != 0,
            flags: number(FLAGS_GEN)?.unwrap_or(0),
            police: attr(POLICE).map(|attr| Police::decode_in_filter(&attr)).transpose()?,
            actions: attr(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
        })
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            police: self.police.map(|police| police.as_dumped(environment)),
            actions: self.actions.as_dumped(environment),
            ..self.clone()
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

impl FilterSyntax for Bpf {
    const USAGE: &'static str = "\
Usage: ... bpf ...

BPF use case:
 bytecode BPF_BYTECODE
 bytecode-file FILE

eBPF use case:
 object-file FILE [ section CLS_NAME ] [ export UDS_FILE ] [ verbose ] [ direct-action ] [ skip_hw | skip_sw ]
 object-pinned FILE [ direct-action ] [ skip_hw | skip_sw ]

Common remaining options:
 [ action ACTION_SPEC ]
 [ classid CLASSID ]

Where BPF_BYTECODE := 's,c t f k,c t f k,c t f k,...'
c,t,f,k and s are decimals; s denotes number of 4-tuples

Where FILE points to a file containing the BPF_BYTECODE string,
an ELF file containing eBPF map definitions and bytecode, or a
pinned eBPF program.

Where CLS_NAME refers to the section name containing the
classifier (default 'classifier').

Where UDS_FILE points to a unix domain socket file in order
to hand off control of all created eBPF maps to an agent.

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
        let mut bpf = Self::default();
        while let Some(word) = words.peek() {
            bpf.parse_word(word, words, context)?;
        }
        police_or_actions(bpf.police.as_ref(), &bpf.actions).map_err(WordError::Kind)?;
        Ok((Some(bpf), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        let handle = place.handle.raw();
        if handle != 0 {
            out.item("handle", "handle ", Formatted(format_args!("{handle:#x}")), " ");
        }
        out.item_if("flowid", "flowid ", self.class, " ");
        if let Some(program) = &self.program {
            program.print_name(out);
        }
        if self.direct_action {
            out.flag("direct-action", "direct-action ");
        }
        for (bit, name) in [(TCA_CLS_FLAGS_SKIP_HW, "skip_hw"), (TCA_CLS_FLAGS_SKIP_SW, "skip_sw")] {
            if self.flags & bit != 0 {
                out.flag(name, &format!("{name} "));
            }
        }
        if self.flags & TCA_CLS_FLAGS_IN_HW != 0 {
            out.flag("in_hw", "in_hw ");
        } else if self.flags & TCA_CLS_FLAGS_NOT_IN_HW != 0 {
            out.flag("not_in_hw", "not_in_hw ");
        }
        if let Some(program) = &self.program {
            program.print("", out);
        }
        if let Some(police) = &self.police {
            out.newline();
            tc_core::Syntax::print(police, out);
        }
        if !self.actions.is_empty() {
            self.actions.print(out);
        }
    }

    fn to_words(&self, _: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        if let Some(program) = &self.program {
            program.to_words(out);
        }
        out.flag("direct-action", self.direct_action);
        out.flag("skip_hw", self.flags & TCA_CLS_FLAGS_SKIP_HW != 0);
        out.flag("skip_sw", self.flags & TCA_CLS_FLAGS_SKIP_SW != 0);
        out.text("classid", self.class.map(|class| format!("classid {class}")).unwrap_or_default());
        match &self.police {
            Some(police) => police.to_words_in_filter(out),
            None => self.actions.to_words(out),
        }
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        let illegal = |_| WordError::Kind("Illegal \"handle\"".into());
        parse_u32(text).map(Handle::from_raw).map_err(illegal)
    }
}

impl Bpf {
    fn parse_word(
        &mut self,
        word: &str,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<(), WordError> {
        let is = |name| is_prefix(word, name);
        let run = is("run");
        let known =
            ["classid", "flowid", "direct-action", "da", "skip_hw", "skip_sw", "action", "police", "help"];
        if run || !known.into_iter().any(is) {
            if run {
                words.next();
                let word = words.peek().ok_or(WordError::Incomplete)?;
                if self.program.is_some() {
                    return Err(WordError::duplicate("run", word));
                }
            } else if self.program.is_some() {
                return Err(WordError::what_is(word));
            }
            let refused = |error| match error {
                WordError::Kind(text) => WordError::Kind(format!("{text}\nUnable to parse bpf command line")),
                error => error,
            };
            self.program = Some(Program::parse_words(words, context).map_err(refused)?);
            return Ok(());
        }
        words.next();
        if is("classid") || is("flowid") {
            self.class = Some(class_of(words)?);
        } else if is("direct-action") || is("da") {
            self.direct_action = true;
        } else if is("skip_hw") {
            self.flags |= TCA_CLS_FLAGS_SKIP_HW;
        } else if is("skip_sw") {
            self.flags |= TCA_CLS_FLAGS_SKIP_SW;
        } else if is("action") {
            if words.is_empty() {
                return Err(WordError::Incomplete);
            }
            self.actions = Actions::parse_words(words, context)?;
        } else if is("police") {
            self.police = Some(Police::parse_in_filter(words)?);
        } else {
            return Err(WordError::Help);
        }
        Ok(())
    }
}

const ACT: u16 = 1;
const POLICE: u16 = 2;
const CLASSID: u16 = 3;
const FLAGS: u16 = 8;
const FLAGS_GEN: u16 = 9;
const ID: u16 = 11;
const NUMBERS: Numbers = Numbers { ops_len: 4, ops: 5, name: 7, tag: 10, id: ID };
/// `TCA_BPF_FLAG_ACT_DIRECT`.
const ACT_DIRECT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::Devices;
    use crate::bpf::{Instruction, Loaded};
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    fn parse(words: &[&str]) -> Result<Option<Bpf>, WordError> {
        let context = WordsContext { environment: &Devices, ..WordsContext::new(Verb::Add) };
        let read = Bpf::parse_filter(&mut Words::new(words), &context, &FilterPlace::default());
        read.map(|(options, _)| options)
    }

    #[test]
    fn words_are_read_in_any_order() {
        let program = Some(Program::Bytecode(vec![Instruction { code: 6, jt: 0, jf: 0, k: 1 }]));
        let class = Some(Handle::class(1, 1));
        for (words, bpf) in [
            (&["bytecode", "1,6 0 0 1", "flowid", "1:1"][..], Bpf { class, ..Bpf::default() }),
            (
                &["da", "skip_hw", "classid", "1:1", "run", "bc", "'1,6", "0", "0", "1'"],
                Bpf { class, direct_action: true, flags: TCA_CLS_FLAGS_SKIP_HW, ..Bpf::default() },
            ),
        ] {
            assert_eq!(parse(words), Ok(Some(Bpf { program: program.clone(), ..bpf })), "{words:?}");
        }
        assert_eq!(parse(&[]), Ok(None));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let first = |words: &[&str]| {
            let text = parse(words).unwrap_err().to_string();
            text.lines().next().unwrap_or_default().to_owned()
        };
        for (words, text) in [
            (&["x"][..], "What mode is \"x\"?"),
            (&["bc", "1,6 0 0 1", "x"], "What is \"x\"?"),
            (&["classid", "x"], "Illegal \"classid\""),
            (
                &["run", "bc", "1,6 0 0 1", "run", "bc"],
                "Error: duplicate \"run\": \"bc\" is the second value.",
            ),
            (&["obj", "x.o"], "eBPF programs cannot be given in words: only bytecode, or bytecode-file"),
            (&["action"], "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(first(words), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
        assert_eq!(Bpf::parse_handle("x").unwrap_err().to_string(), "Illegal \"handle\"");
    }

    #[test]
    fn an_ebpf_program_is_shown_and_cannot_be_sent() {
        let loaded = Loaded { name: Some("cls:[*fsobj]".into()), id: Some(1), tag: [0xa0; 8] };
        let bpf = Bpf { program: Some(Program::Loaded(loaded)), direct_action: true, ..Bpf::default() };
        let shown = |form| {
            let mut out = Printer::new(form, Style::default());
            out.object("", |out| bpf.print(&FilterPlace::default(), out));
            out.as_str().to_owned()
        };
        assert_eq!(shown(Form::Text), "cls:[*fsobj] direct-action id 1 tag a0a0a0a0a0a0a0a0 ");
        assert_eq!(
            shown(Form::Json),
            r#"{"bpf_name":"cls:[*fsobj]","direct-action":true,"prog":{"id":1},"tag":"a0a0a0a0a0a0a0a0"}"#
        );
        let mut buffer = bytes::BytesMut::new();
        let context = FillContext { verb: Verb::Add, as_tc: true };
        let written = bpf.encode(&context, &mut AttrWriter::new(&mut buffer));
        assert!(matches!(written, Err(EncodeError::Invalid(_))), "{written:?}");
        let mut told = OptionWords::new();
        bpf.to_words(&FilterPlace::default(), &mut told);
        assert_eq!(told.unsayable().len(), 1);
    }
}
