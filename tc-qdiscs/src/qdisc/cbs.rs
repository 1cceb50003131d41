//! `cbs`: the credit-based shaper of IEEE 802.1Q. The queue earns credit while
//! it waits and spends it while it sends; it sends while the credit is not below
//! zero.
//!
//! UAPI: a nest with `TCA_CBS_PARMS`, `struct tc_cbs_qopt`.
//!
//! Kernel, `net/sched/sch_cbs.c`: options are mandatory.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::{parse_i32, parse_u8};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

tc_core::register!(Cbs);

/// The options of a cbs.
///
/// ```
/// use tc_qdiscs::cbs::Cbs;
///
/// // 20 Mbit/s of a link of 1 Gbit/s.
/// let cbs = Cbs::default()
///     .idleslope_kbit(20_000)
///     .sendslope_kbit(20_000 - 1_000_000)
///     .hicredit_bytes(30)
///     .locredit_bytes(-1470);
/// # let _ = cbs;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Cbs {
    /// The most credit that can be earned, in bytes.
    pub hicredit_bytes: i32,
    /// The least credit that can be left, in bytes; below zero.
    pub locredit_bytes: i32,
    /// The credit earned while waiting, in kbit/s: the rate of the queue.
    pub idleslope_kbit: i32,
    /// The credit earned while sending, in kbit/s; below zero: `idleslope` less
    /// the rate of the link.
    pub sendslope_kbit: i32,
    /// Whether the device does the shaping.
    pub offload: bool,
}

impl Kind for Cbs {
    type Object = object::Qdisc;
    const KIND: &'static str = "cbs";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(TCA_CBS_PARMS);
        parms.put(&[self.offload.into(), 0, 0, 0]);
        for number in [self.hicredit_bytes, self.locredit_bytes, self.idleslope_kbit, self.sendslope_kbit] {
            parms.put_i32(number);
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let parms = Attrs::new(payload).find(TCA_CBS_PARMS)?;
        let mut reader = parms.ok_or(DecodeError::Missing { what: "cbs parameters" })?.reader();
        let offload = reader.u8()? != 0;
        reader.skip(3)?;
        Ok(Self {
            hicredit_bytes: reader.i32()?,
            locredit_bytes: reader.i32()?,
            idleslope_kbit: reader.i32()?,
            sendslope_kbit: reader.i32()?,
            offload,
        })
    }
}

impl Syntax for Cbs {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut cbs = Self::default();
        while let Some(word) = words.next() {
            let numbers = [
                ("hicredit", &mut cbs.hicredit_bytes),
                ("locredit", &mut cbs.locredit_bytes),
                ("sendslope", &mut cbs.sendslope_kbit),
                ("idleslope", &mut cbs.idleslope_kbit),
            ];
            if is_prefix(word, "offload") {
                let value = words.value()?;
                refuse_second("offload", cbs.offload)?;
                // tc takes any number up to 255; the kernel distinguishes 0 from others.
                let number = parse_u8(value).ok().filter(|number| *number <= 1);
                cbs.offload = number.ok_or_else(|| illegal("offload", value))? == 1;
            } else if let Some((name, number)) = numbers.into_iter().find(|(name, _)| is_prefix(word, name)) {
                let value = words.value()?;
                refuse_second(name, *number != 0)?;
                *number = parse_i32(value).map_err(|_| illegal(name, value))?;
            } else if word == "help" {
                return Err(WordError::Help);
            } else {
                return Err(WordError::KindUsage(format!("cbs: unknown parameter \"{word}\"")));
            }
        }
        Ok(Some(cbs))
    }

    fn print(&self, out: &mut Printer) {
        out.item("hicredit", "hicredit ", self.hicredit_bytes, " ");
        out.item("locredit", "locredit ", self.locredit_bytes, " ");
        out.item("sendslope", "sendslope ", self.sendslope_kbit, " ");
        out.item("idleslope", "idleslope ", self.idleslope_kbit, " ");
        out.item("offload", "offload ", u8::from(self.offload), " ");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("hicredit", self.hicredit_bytes);
        out.say("locredit", self.locredit_bytes);
        out.say("sendslope", self.sendslope_kbit);
        out.say("idleslope", self.idleslope_kbit);
        out.say("offload", u8::from(self.offload));
    }
}

/// As in tc, a value of 0 does not count as given.
fn refuse_second(name: &str, given: bool) -> Result<(), WordError> {
    match given {
        true => Err(WordError::Kind(format!("cbs: duplicate \"{name}\" specification"))),
        false => Ok(()),
    }
}

fn illegal(name: &str, value: &str) -> WordError {
    WordError::Kind(format!("cbs: illegal value for \"{name}\": \"{value}\""))
}

const USAGE: &str = "\
Usage: ... cbs hicredit BYTES locredit BYTES sendslope BPS idleslope BPS
\t   [offload 0|1]
";

const TCA_CBS_PARMS: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<Option<Cbs>, WordError> {
        Cbs::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add))
    }

    #[test]
    fn words_may_be_short_and_zero_does_not_count() {
        let words = ["h", "0x1e", "l", "-1470", "s", "-980000", "i", "0", "i", "20000", "o", "1"];
        let cbs = Cbs {
            hicredit_bytes: 30,
            locredit_bytes: -1470,
            idleslope_kbit: 20_000,
            sendslope_kbit: -980_000,
            offload: true,
        };
        assert_eq!(parse(&words), Ok(Some(cbs)));
        assert_eq!(parse(&[]), Ok(Some(Cbs::default())));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert_eq!(text(&["idle", "1", "idle", "x"]), "cbs: duplicate \"idleslope\" specification");
        assert_eq!(text(&["offload", "1", "offload", "0"]), "cbs: duplicate \"offload\" specification");
        assert_eq!(text(&["hi", "2147483648"]), "cbs: illegal value for \"hicredit\": \"2147483648\"");
        assert_eq!(text(&["offload", "2"]), "cbs: illegal value for \"offload\": \"2\"");
        assert_eq!(text(&["x"]), "cbs: unknown parameter \"x\"");
        assert_eq!(parse(&["i"]), Err(WordError::Incomplete));
    }
}
