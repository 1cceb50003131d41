//! `bpf`: the verdict of a BPF program.
//!
//! UAPI: `struct tc_act_bpf` in `TCA_ACT_BPF_PARMS`, attributes `TCA_ACT_BPF_*`
//! (`linux/tc_act/tc_bpf.h`).
//!
//! Kernel, `net/sched/act_bpf.c`: the program returns the fate of the packet; the control action is that
//! of the value -1.

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};
use crate::bpf::{Numbers, Program};

tc_core::register!(Bpf);

/// The options of a bpf action.
///
/// ```
/// use tc_core::action::{Action, Actions};
/// use tc_qdiscs::action::bpf::Bpf;
/// use tc_qdiscs::bpf::Instruction;
///
/// // All packets go on to the next action: the value -1.
/// let all = Instruction { code: 6, jt: 0, jf: 0, k: u32::MAX };
/// let actions = Actions::new().with(Action::new(Bpf::bytecode([all])));
/// # let _ = actions;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Bpf {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet if the program returns -1.
    pub control: Control,
    /// The program; none if the index names an existing action.
    pub program: Option<Program>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Bpf {
    /// Classic BPF, after which the next action follows if it returns -1.
    pub fn bytecode(instructions: impl Into<Vec<crate::bpf::Instruction>>) -> Self {
        Self { program: Some(Program::Bytecode(instructions.into())), ..Self::at_index(0) }
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let reported = Reported { refcnt: 0, bindcnt: 0, times: None };
        Self { index, control: Control::Pipe, program: None, reported }
    }
}

impl Kind for Bpf {
    type Object = object::Action;
    const KIND: &'static str = "bpf";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(program) = &self.program {
            program.encode(NUMBERS, out)?;
        }
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ ID as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "bpf parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        Ok(Self { index, control, program: Program::decode(NUMBERS, attr)?, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Bpf {
    const USAGE: &'static str = "\
Usage: ... bpf ... [ index INDEX ]

BPF use case:
 bytecode BPF_BYTECODE
 bytecode-file FILE

eBPF use case:
 object-file FILE [ section ACT_NAME ] [ export UDS_FILE ] [ verbose ]
 object-pinned FILE

Where BPF_BYTECODE := 's,c t f k,c t f k,c t f k,...'
c,t,f,k and s are decimals; s denotes number of 4-tuples

Where FILE points to a file containing the BPF_BYTECODE string,
an ELF file containing eBPF map definitions and bytecode, or a
pinned eBPF program.

Where ACT_NAME refers to the section name containing the
action (default 'action').

Where UDS_FILE points to a unix domain socket file in order
to hand off control of all created eBPF maps to an agent.

Where optionally INDEX points to an existing action, or
explicitly specifies an action index upon creation.
";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut bpf = Self::at_index(0);
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            if is("run") {
                words.next();
                let word = words.peek().ok_or(WordError::Incomplete)?;
                if bpf.program.is_some() {
                    return Err(WordError::duplicate("run", word));
                }
                bpf.program = Some(Program::parse_words(words, context)?);
            } else if is("help") {
                return Err(WordError::Help);
            } else if is("index") || bpf.program.is_some() {
                break;
            } else {
                bpf.program = Some(Program::parse_words(words, context)?);
            }
        }
        let illegal = |_: &str| "bpf: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, Control::Pipe, illegal)?;
        (bpf.control, bpf.index) = (control, index.unwrap_or_default());
        Ok(Some(bpf))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        if let Some(program) = &self.program {
            program.print_name(out);
            program.print(" ", out);
        }
        self.control.print("default-action ", out);
        out.newline();
        generic::print_counts("\t index ", self.index, &self.reported, out);
        generic::print_times(&self.reported, out);
        // As in tc, a line end also where one line was asked for.
        out.text("\n ");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        if let Some(program) = &self.program {
            program.to_words(out);
        }
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const ID: u16 = 9;
const NUMBERS: Numbers = Numbers { ops_len: 3, ops: 4, name: 6, tag: 8, id: ID };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::Instruction;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Bpf, usize), WordError> {
        let mut words = Words::new(words);
        let bpf = Bpf::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((bpf.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let all = || Bpf::bytecode([Instruction { code: 6, jt: 0, jf: 0, k: u32::MAX }]);
        let text = "1,6 0 0 4294967295";
        for (words, bpf, left) in [
            (&["bytecode", text][..], all(), 0),
            (&["run", "bc", text, "drop", "index", "5"], all().control(Control::Drop).index(5), 0),
            (&["bytecode", "'1,6", "0", "0", "4294967295'", "action", "ok"], all(), 2),
            (&["index", "5"], Bpf::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((bpf, left)), "{words:?}");
        }
        let mut told = OptionWords::new();
        all().index(5).to_words(&mut told);
        assert_eq!(told.lines(), ["bytecode '1,6 0 0 4294967295' index 5"]);
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["run"], "Command line is not complete. Try option \"help\""),
            (&["bytecode"], "Command line is not complete. Try option \"help\""),
            (&["pipe"], "What mode is \"pipe\"?"),
            (&["bc", "1,6 0 0"], "Error at instruction 0!"),
            (&["bc", "1,6 0 0 0", "run", "x"], "Error: duplicate \"run\": \"x\" is the second value."),
            (&["index", "x"], "bpf: Illegal \"index\""),
            (&["bcf", "/nix"], "Cannot fopen: no file /nix"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }
}
