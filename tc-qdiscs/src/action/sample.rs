//! `sample`: copies one packet in a number to a group of `psample`, from which programs read.
//!
//! UAPI: `struct tc_sample` in `TCA_SAMPLE_PARMS`, attributes `TCA_SAMPLE_*`
//! (`linux/tc_act/tc_sample.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Sample);

/// The options of a sample action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::sample::Sample;
///
/// // The first 64 bytes of one packet in 1000 go to group 4.
/// let action = Action::new(Sample::new(1000, 4).trunc_size(64));
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Sample {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the original packet.
    pub control: Control,
    /// One packet in this number, on average.
    pub rate: Option<u32>,
    /// The group of `psample`.
    pub group: Option<u32>,
    /// The number of bytes that are copied; all without it.
    pub trunc_size: Option<u32>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Sample {
    /// One packet in `rate` goes to `group`, and the next action follows.
    pub const fn new(rate: u32, group: u32) -> Self {
        let sample = Self::at_index(0);
        Self { rate: Some(rate), group: Some(group), ..sample }
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let reported = Reported { refcnt: 0, bindcnt: 0, times: None };
        Self { index, control: Control::Pipe, rate: None, group: None, trunc_size: None, reported }
    }
}

impl Kind for Sample {
    type Object = object::Action;
    const KIND: &'static str = "sample";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        generic::put(self.index, self.control, &mut out.nest(PARMS));
        out.attr_u32_if(RATE, self.rate);
        out.attr_u32_if(PSAMPLE_GROUP, self.group);
        out.attr_u32_if(TRUNC_SIZE, self.trunc_size);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ PSAMPLE_GROUP as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "sample parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        let (rate, group) = (number(RATE)?, number(PSAMPLE_GROUP)?);
        Ok(Self { index, control, rate, group, trunc_size: number(TRUNC_SIZE)?, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Sample {
    const USAGE: &'static str = "\
Usage: sample SAMPLE_CONF
where:
\tSAMPLE_CONF := SAMPLE_PARAMS | SAMPLE_INDEX
\tSAMPLE_PARAMS := rate RATE group GROUP [trunc SIZE] [SAMPLE_INDEX]
\tSAMPLE_INDEX := index INDEX
\tRATE := The ratio of packets observed at the data source to the samples generated.
\tGROUP := the psample sampling group
\tSIZE := the truncation size
\tINDEX := integer index of the sample action
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut sample = Self::at_index(0);
        if words.is_empty() {
            return Err(WordError::KindUsage("sample bad argument count 1".into()));
        }
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            let (field, name) = if is("rate") {
                (&mut sample.rate, "rate")
            } else if is("group") {
                (&mut sample.group, "group num")
            } else if is("trunc") {
                (&mut sample.trunc_size, "truncation size")
            } else if is("help") {
                return Err(WordError::Help);
            } else {
                break;
            };
            words.next();
            let word = words.value()?;
            let illegal = |_| WordError::KindUsage(format!("Illegal {name} {word}"));
            *field = Some(parse_decimal(word).map_err(illegal)?);
        }
        let illegal = |_: &str| "sample: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, sample.control, illegal)?;
        (sample.control, sample.index) = (control, index.unwrap_or_default());
        for (name, value) in [("group", sample.group), ("rate", sample.rate)] {
            if sample.index == 0 && value.is_none() {
                return Err(WordError::KindUsage(format!("param \"{name}\" not set")));
            }
        }
        Ok(Some(sample))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        out.item_if("rate", "rate 1/", self.rate, " ");
        out.item_if("group", "group ", self.group, "");
        out.item_if("trunc_size", " trunc_size ", self.trunc_size, "");
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        if self.index == 0 && (self.rate.is_none() || self.group.is_none()) {
            out.cannot_say("sample without rate and group");
        }
        let text = |name: &str, value: Option<u32>| {
            value.map_or_else(String::new, |value| format!("{name} {value}"))
        };
        out.text("rate", text("rate", self.rate));
        out.text("group", text("group", self.group));
        // A change without it leaves the size.
        out.say_sticky("trunc", self.trunc_size);
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const RATE: u16 = 3;
const TRUNC_SIZE: u16 = 4;
const PSAMPLE_GROUP: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Sample, usize), WordError> {
        let mut words = Words::new(words);
        let sample = Sample::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((sample.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let plain = Sample::new(10, 4);
        for (words, sample, left) in [
            (&["rate", "10", "group", "4"][..], plain, 0),
            (&["g", "4", "trunc", "64", "rate", "010"], Sample { trunc_size: Some(64), ..plain }, 0),
            (
                &["rate", "10", "group", "4", "drop", "index", "3", "action"],
                Sample { control: Control::Drop, index: 3, ..plain },
                1,
            ),
            (&["index", "5"], Sample::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((sample, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&[][..], "sample bad argument count 1"),
            (&["rate", "0x10", "group", "1"], "Illegal rate 0x10"),
            (&["group", "-1"], "Illegal group num -1"),
            (&["trunc", "x"], "Illegal truncation size x"),
            (&["rate", "1"], "param \"group\" not set"),
            (&["group", "1"], "param \"rate\" not set"),
            (&["rate", "1", "group", "1", "index", "x"], "sample: Illegal \"index\""),
        ] {
            assert_eq!(
                parse(words),
                Err(match text.starts_with("sample:") {
                    true => WordError::Kind(text.into()),
                    false => WordError::KindUsage(text.into()),
                }),
                "{words:?}"
            );
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }
}
