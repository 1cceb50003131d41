//! `etf`: earliest transmission time first. Each packet carries its transmission
//! time (`SO_TXTIME`); the queue holds it until shortly before.
//!
//! UAPI: a nest with `TCA_ETF_PARMS`, `struct tc_etf_qopt`.
//!
//! Kernel, `net/sched/sch_etf.c`: options are mandatory, the clock has to be
//! TAI; a packet whose time is past is dropped, and so is one of a socket
//! without `SO_TXTIME`, unless `skip_sock_check` is on.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::parse_i32;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

tc_core::register!(Etf);

/// The options of an etf.
///
/// ```
/// use tc_qdiscs::etf::{Clock, Etf};
///
/// let etf = Etf::default().delta_ns(200_000).clock(Clock::Tai);
/// # let _ = etf;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Etf {
    /// How long before its time a packet leaves the queue, in nanoseconds; not
    /// below zero.
    pub delta_ns: i32,
    /// The clock of the packets' times. The kernel takes none but
    /// [`Clock::Tai`].
    pub clock: Option<Clock>,
    /// Whether the device keeps the time.
    pub offload: bool,
    /// Whether the time is the latest one, and a packet may go out before.
    pub deadline_mode: bool,
    /// Whether packets may come from sockets without `SO_TXTIME`, or from none.
    pub skip_sock_check: bool,
}

/// A clock of the system (`CLOCK_*` in `linux/time.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clock {
    /// Wall-clock time.
    Realtime,
    /// Time since some start, without steps.
    Monotonic,
    /// `CLOCK_BOOTTIME`: also runs during suspend.
    Boottime,
    /// International atomic time.
    Tai,
    /// A number that `tc` has no name for.
    Other(i32),
}

impl Clock {
    const NAMED: [Self; 4] = [Self::Realtime, Self::Tai, Self::Boottime, Self::Monotonic];

    /// Reads a name in any case, with or without `CLOCK_`.
    pub fn parse(word: &str) -> Option<Self> {
        // tc looks for the prefix anywhere, and then skips as many bytes at the start.
        let has_prefix = word.to_ascii_uppercase().contains("CLOCK_");
        let name = if has_prefix { word.get("CLOCK_".len()..)? } else { word };
        Self::NAMED.into_iter().find(|clock| clock.name().eq_ignore_ascii_case(name))
    }

    /// The name that `tc` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Realtime => "REALTIME",
            Self::Monotonic => "MONOTONIC",
            Self::Boottime => "BOOTTIME",
            Self::Tai => "TAI",
            Self::Other(_) => "invalid",
        }
    }

    /// From the kernel's number.
    pub fn from_raw(raw: i32) -> Self {
        Self::NAMED.into_iter().find(|clock| clock.raw() == raw).unwrap_or(Self::Other(raw))
    }

    /// The kernel's number.
    pub const fn raw(self) -> i32 {
        match self {
            Self::Realtime => 0,
            Self::Monotonic => 1,
            Self::Boottime => 7,
            Self::Tai => 11,
            Self::Other(raw) => raw,
        }
    }
}

impl Kind for Etf {
    type Object = object::Qdisc;
    const KIND: &'static str = "etf";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let flag = |on, bit| if on { bit } else { 0 };
        let mut parms = out.nest(TCA_ETF_PARMS);
        parms.put_i32(self.delta_ns);
        parms.put_i32(self.clock.map_or(NO_CLOCK, Clock::raw));
        parms.put_u32(
            flag(self.deadline_mode, DEADLINE_MODE_ON)
                | flag(self.offload, OFFLOAD_ON)
                | flag(self.skip_sock_check, SKIP_SOCK_CHECK),
        );
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let parms = Attrs::new(payload).find(TCA_ETF_PARMS)?;
        let mut reader = parms.ok_or(DecodeError::Missing { what: "etf parameters" })?.reader();
        let (delta_ns, clock, flags) = (reader.i32()?, reader.i32()?, reader.u32()?);
        Ok(Self {
            delta_ns,
            clock: (clock != NO_CLOCK).then(|| Clock::from_raw(clock)),
            offload: flags & OFFLOAD_ON != 0,
            deadline_mode: flags & DEADLINE_MODE_ON != 0,
            skip_sock_check: flags & SKIP_SOCK_CHECK != 0,
        })
    }
}

impl Syntax for Etf {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut etf = Self::default();
        while let Some(word) = words.next() {
            if is_prefix(word, "offload") {
                set_flag("offload", &mut etf.offload)?;
            } else if is_prefix(word, "deadline_mode") {
                set_flag("deadline_mode", &mut etf.deadline_mode)?;
            } else if is_prefix(word, "delta") {
                let value = words.value()?;
                if etf.delta_ns != 0 {
                    return Err(duplicate("delta"));
                }
                let illegal = || WordError::Kind(format!("etf: illegal value for \"delta\": \"{value}\""));
                etf.delta_ns = parse_i32(value).map_err(|_| illegal())?;
            } else if is_prefix(word, "clockid") {
                let value = words.value()?;
                if etf.clock.is_some() {
                    return Err(duplicate("clockid"));
                }
                etf.clock = Some(Clock::parse(value).ok_or_else(|| illegal_clock(value))?);
            } else if word == "skip_sock_check" {
                set_flag("skip_sock_check", &mut etf.skip_sock_check)?;
            } else if word == "help" {
                return Err(WordError::Help);
            } else {
                return Err(WordError::KindUsage(format!("etf: unknown parameter \"{word}\"")));
            }
        }
        Ok(Some(etf))
    }

    fn print(&self, out: &mut Printer) {
        let on_off = |on| if on { "on" } else { "off" };
        out.item("clockid", "clockid ", self.clock.unwrap_or(Clock::Other(NO_CLOCK)).name(), " ");
        // tc's JSON has it without a sign.
        out.text_item("delta ", self.delta_ns, " ");
        out.json("delta", self.delta_ns.cast_unsigned());
        out.item("offload", "offload ", on_off(self.offload), " ");
        out.item("deadline_mode", "deadline_mode ", on_off(self.deadline_mode), " ");
        out.item("skip_sock_check", "skip_sock_check ", on_off(self.skip_sock_check), "");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        match self.clock {
            None => out.text("clockid", ""),
            Some(clock) => {
                if let Clock::Other(number) = clock {
                    out.cannot_say(&format!("clockid {number}"));
                }
                out.say("clockid", format_args!("CLOCK_{}", clock.name()));
            }
        }
        out.say("delta", self.delta_ns);
        out.flag("deadline_mode", self.deadline_mode);
        out.flag("offload", self.offload);
        out.flag("skip_sock_check", self.skip_sock_check);
    }
}

fn set_flag(name: &str, flag: &mut bool) -> Result<(), WordError> {
    if std::mem::replace(flag, true) { Err(duplicate(name)) } else { Ok(()) }
}

fn duplicate(name: &str) -> WordError {
    WordError::Kind(format!("etf: duplicate \"{name}\" specification"))
}

fn illegal_clock(value: &str) -> WordError {
    WordError::Kind(format!(
        "etf: illegal value for \"clockid\": \"{value}\".\nIt must be a valid SYS-V id (i.e. CLOCK_TAI)"
    ))
}

const USAGE: &str = "\
Usage: ... etf delta NANOS clockid CLOCKID [offload] [deadline_mode]
CLOCKID must be a valid SYS-V id (i.e. CLOCK_TAI)
";

const TCA_ETF_PARMS: u16 = 1;

/// The value that tc sends without a clock.
const NO_CLOCK: i32 = -1;

const DEADLINE_MODE_ON: u32 = 1;
const OFFLOAD_ON: u32 = 2;
const SKIP_SOCK_CHECK: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<Option<Etf>, WordError> {
        Etf::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add))
    }

    #[test]
    fn words_may_be_short() {
        let all = Etf {
            delta_ns: 200_000,
            clock: Some(Clock::Tai),
            offload: true,
            deadline_mode: true,
            skip_sock_check: true,
        };
        let words = ["c", "clock_tai", "del", "200000", "o", "d", "skip_sock_check"];
        assert_eq!(parse(&words), Ok(Some(all)));
        assert_eq!(Clock::parse("boottime"), Some(Clock::Boottime));
        assert_eq!(Clock::parse("éCLOCK_"), None);
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert_eq!(text(&["offload", "offload"]), "etf: duplicate \"offload\" specification");
        assert_eq!(text(&["delta", "1", "delta", "2"]), "etf: duplicate \"delta\" specification");
        assert_eq!(text(&["delta", "1ms"]), "etf: illegal value for \"delta\": \"1ms\"");
        assert_eq!(text(&["clockid", "TAI", "clockid", "x"]), "etf: duplicate \"clockid\" specification");
        assert_eq!(
            text(&["clockid", "CLOCK_MARS"]),
            "etf: illegal value for \"clockid\": \"CLOCK_MARS\".\n\
             It must be a valid SYS-V id (i.e. CLOCK_TAI)"
        );
        assert_eq!(text(&["skip"]), "etf: unknown parameter \"skip\"");
    }

    #[test]
    fn clocks_without_a_name_survive() {
        for raw in [0, 1, 7, 11, 4, i32::MIN] {
            assert_eq!(Clock::from_raw(raw).raw(), raw);
        }
    }
}
