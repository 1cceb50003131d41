//! `gact`: a control action and nothing else (`drop`, `pass`, ...).
//!
//! UAPI: `struct tc_gact` in `TCA_GACT_PARMS`, `struct tc_gact_p` in
//! `TCA_GACT_PROB`, `struct tcf_t` in `TCA_GACT_TM`
//! (`linux/tc_act/tc_gact.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::units::parse_decimal;
use tc_core::words::{Environment, WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Gact);

/// The options of a gact action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Gact {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// Another fate for some of the packets.
    pub random: Option<Random>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// Another fate for one packet in `value` (`struct tc_gact_p`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Random {
    /// `PGACT_NONE` (0), `PGACT_NETRAND` (1): chosen by chance, or
    /// `PGACT_DETERM` (2): counted.
    pub ptype: u16,
    /// One packet in this number; at most 10000.
    pub pval: u16,
    /// Its fate.
    pub control: Control,
}

impl Random {
    /// One packet in `pval`, chosen as `ptype` says.
    pub const fn new(ptype: u16, pval: u16, control: Control) -> Self {
        Self { ptype, pval, control }
    }
}

impl Gact {
    /// A control action.
    pub const fn new(control: Control) -> Self {
        Self { index: 0, control, random: None, reported: Reported::NONE }
    }
}

impl Kind for Gact {
    type Object = object::Action;
    const KIND: &'static str = "gact";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        {
            let mut parms = out.nest(PARMS);
            generic::put(self.index, self.control, &mut parms);
        }
        if let Some(random) = self.random {
            let mut prob = out.nest(PROB);
            prob.put_u16(random.ptype);
            prob.put_u16(random.pval);
            prob.put_i32(random.control.raw());
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PROB as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let mut reader = attr(PARMS).ok_or(DecodeError::Missing { what: "gact parameters" })?.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        let random = attr(PROB).map(|attr| Random::decode(attr.payload)).transpose()?;
        Ok(Self { index, control, random, reported })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        // Kernel: one in none is one in one.
        let random = self.random.map(|random| Random { pval: random.pval.max(1), ..random });
        Self { random, ..*self }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Gact {
    const USAGE: &'static str = "\
Usage: ... gact <ACTION> [RAND] [INDEX]
Where: \tACTION := reclassify | drop | continue | pass | pipe |
       \t          goto chain <CHAIN_INDEX> | jump <JUMP_COUNT>
\tRAND := random <RANDTYPE> <ACTION> <VAL>
\tRANDTYPE := netrand | determ
\tVAL : = value not exceeding 10000
\tJUMP_COUNT := Absolute jump from start of action list
\tINDEX := index value used

";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut gact = Self::new(Control::Pass);
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        let next_is = |words: &Words<'_>, name: &str| words.peek().is_some_and(|word| is_prefix(word, name));
        if next_is(words, "help") {
            return Err(WordError::Help);
        }
        if !next_is(words, "index") {
            gact.control = Control::parse_words(words).map_err(or_usage)?;
            if next_is(words, "random") {
                words.next();
                gact.random = Some(Random::parse_words(words)?);
            }
        }
        if next_is(words, "index") {
            words.next();
            let illegal = |_| WordError::Kind("Illegal \"index\"".into());
            gact.index = words.value()?.parse().map_err(illegal)?;
        } else if next_is(words, "help") {
            return Err(WordError::Help);
        }
        Ok(Some(gact))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        self.control.print("action ", out);
        let none = Random { ptype: 0, pval: 0, control: Control::Pass };
        let random = self.random.unwrap_or(none);
        out.object("prob", |out| {
            out.newline();
            out.item("random_type", "\t random type ", random.type_name(), "");
            random.control.print(" ", out);
            out.text(" ");
            out.item("val", "val ", random.pval, "");
        });
        out.newline();
        out.item("index", "\t index ", self.index, "");
        out.item("ref", " ref ", self.reported.refcnt, "");
        out.item("bind", " bind ", self.reported.bindcnt, "");
        if let Some(times) = self.reported.times.filter(|_| out.style().stats) {
            times.print(out);
        }
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let mut control = |control: Control| {
            let words = control.words();
            if words.is_none() {
                out.cannot_say(&format!("the control action {}", control.raw()));
            }
            words.unwrap_or_default()
        };
        let (first, random) = (control(self.control), self.random.filter(|random| random.ptype != 0));
        let random = random.map(|random| {
            format!("random {} {} {}", random.type_name(), control(random.control), random.pval)
        });
        out.text("control", first);
        out.text("random", random.unwrap_or_default());
        out.say_if("index", Some(self.index).filter(|index| *index != 0));
    }
}

impl Random {
    fn parse_words(words: &mut Words<'_>) -> Result<Self, WordError> {
        let ptype = match words.value()? {
            word if is_prefix(word, "netrand") => NETRAND,
            word if is_prefix(word, "determ") => DETERM,
            _ => return Err(WordError::Kind("Illegal \"random type\"".into())),
        };
        let control = Control::parse_words(words).map_err(or_usage)?;
        let word = words.value()?;
        // tc prints a number here that it never read.
        let illegal = |_| WordError::Kind(format!("Illegal probability val {word}"));
        let pval: u16 = parse_decimal(word).map_err(illegal)?;
        if pval > 10_000 {
            return Err(WordError::Kind(format!("Illegal probability val  {pval:#x}")));
        }
        Ok(Self { ptype, pval, control })
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = tc_core::Reader::new(payload);
        let (ptype, pval) = (reader.u16()?, reader.u16()?);
        Ok(Self { ptype, pval, control: Control::from_raw(reader.i32()?) })
    }

    const fn type_name(self) -> &'static str {
        match self.ptype {
            NETRAND => "netrand",
            DETERM => "determ",
            _ => "none",
        }
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const PROB: u16 = 3;
const NETRAND: u16 = 1;
const DETERM: u16 = 2;

/// Without a readable control action, `tc` reports it and prints its usage.
fn or_usage(error: WordError) -> WordError {
    match error {
        WordError::Kind(text) => WordError::KindUsage(text),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<Option<Gact>, WordError> {
        Gact::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add))
    }

    #[test]
    fn words_are_read() {
        let random = Random { ptype: DETERM, pval: 10, control: Control::Drop };
        for (words, gact) in [
            (&["drop"][..], Gact::new(Control::Drop)),
            (&["goto", "chain", "3", "index", "5"], Gact { index: 5, ..Gact::new(Control::GotoChain(3)) }),
            (&["index", "5"], Gact { index: 5, ..Gact::new(Control::Pass) }),
            (
                &["pass", "random", "determ", "drop", "10"],
                Gact { random: Some(random), ..Gact::new(Control::Pass) },
            ),
        ] {
            assert_eq!(parse(words), Ok(Some(gact)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert_eq!(text(&["index", "x"]), "Illegal \"index\"");
        assert_eq!(text(&["pass", "random", "x"]), "Illegal \"random type\"");
        assert_eq!(text(&["pass", "random", "netrand", "drop", "10001"]), "Illegal probability val  0x2711");
        assert_eq!(parse(&["x"]), Err(WordError::KindUsage("Bad action type x".into())));
        assert_eq!(parse(&["pass", "help"]), Err(WordError::Help));
    }
}
