//! The common parts of red, choke, gred and sfq.

use derive_setters::Setters;
use tc_core::OptionWords;
use tc_core::print::{Float, Printer};
use tc_core::rate::parse_rate_of_link;
use tc_core::words::{WordError, Words, WordsContext};

/// `TC_RED_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Flags {
    /// Mark ECN-capable packets instead of dropping them.
    pub ecn: bool,
    /// Drop all packets above the most length, also those that could be marked.
    pub harddrop: bool,
    /// Let the kernel adapt the probability.
    pub adaptive: bool,
    /// Never drop packets early that are not ECN-capable. Needs `ecn`.
    pub nodrop: bool,
}

impl Flags {
    pub(super) const ALL: Self = Self { ecn: true, harddrop: true, adaptive: true, nodrop: true };

    /// From the kernel's bits; those that are not known here are passed over.
    pub const fn from_raw(raw: u32) -> Self {
        Self { ecn: raw & 1 != 0, harddrop: raw & 2 != 0, adaptive: raw & 4 != 0, nodrop: raw & 8 != 0 }
    }

    /// The kernel's bits.
    pub const fn raw(self) -> u32 {
        self.ecn as u32
            | (self.harddrop as u32) << 1
            | (self.adaptive as u32) << 2
            | (self.nodrop as u32) << 3
    }

    pub(crate) fn to_words(self, out: &mut OptionWords<'_>) {
        out.flag("ecn", self.ecn);
        out.flag("harddrop", self.harddrop);
        out.flag("adaptive", self.adaptive);
        out.flag("nodrop", self.nodrop);
    }

    pub(crate) fn print(self, out: &mut Printer) {
        out.switch("ecn", self.ecn, "ecn ");
        out.switch("harddrop", self.harddrop, "harddrop ");
        out.switch("adaptive", self.adaptive, "adaptive ");
        out.switch("nodrop", self.nodrop, "nodrop ");
    }
}

/// The logarithms that `tc -d` shows; a probability of 0 counts as absent.
pub(crate) fn print_logs(average: u8, probability: Option<u32>, probability_log: u8, out: &mut Printer) {
    out.item("ewma", "ewma ", average, " ");
    match probability.filter(|probability| *probability != 0) {
        Some(probability) => print_probability(probability, out),
        None => out.item("Plog", "Plog ", probability_log, " "),
    }
}

pub(crate) fn print_probability(probability: u32, out: &mut Printer) {
    let share = f64::from(probability) / 4_294_967_296.0;
    out.item("probability", "probability ", Float(share), " ");
}

/// Reads `bandwidth`: in 32 bits, or in percent of the
/// link's.
pub(crate) fn parse_bandwidth(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<u32, WordError> {
    let illegal = |lines: String| WordError::Kind(format!("{lines}Illegal \"bandwidth\""));
    let rate = parse_rate_of_link(words.value()?, context).map_err(illegal)?;
    u32::try_from(rate.as_bytes_per_second()).map_err(|_| illegal(String::new()))
}

/// The bandwidth, or the default of red and gred.
pub(crate) fn or_10_mbit(name: &str, bandwidth: u32, context: &WordsContext<'_>) -> u32 {
    if bandwidth != 0 {
        return bandwidth;
    }
    context.environment.warn(&format!("{name}: set bandwidth to 10Mbit"));
    1_250_000
}
