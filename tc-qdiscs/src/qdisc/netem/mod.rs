//! `netem`: delays, drops, damages, repeats and reorders packets, as a bad
//! network does.
//!
//! UAPI: `struct tc_netem_qopt`, bare, then attributes (`TCA_NETEM_*`).
//!
//! Kernel, `net/sched/sch_netem.c`:
//! - a change sets all numbers of the struct anew, also those that were not
//!   given; an attribute that is absent leaves its part as it was, but without
//!   a loss model losses are random again;
//! - distributions cannot be read back.

mod distribution;
mod print;
mod wire;
mod wording;
mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::rate::Rate;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    object,
};

pub use distribution::{Distribution, table};
pub use print::NetemXstats;

tc_core::register!(Netem);

/// The options of a netem.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::netem::{Netem, Share};
///
/// // 100 ms, and one packet of a hundred lost.
/// let far_away = Netem::default().delay(Duration::from_millis(100)).loss(Share::percent(1.0));
/// # let _ = far_away;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Netem {
    /// Most packets in the queue, those that are delayed included. 1000 by
    /// default.
    pub limit_packets: u32,
    /// How long each packet is delayed, in nanoseconds. Words in microseconds
    /// are rounded down to ticks of 64 ns, as `tc` does.
    pub delay_ns: i64,
    /// How far a delay is from `delay_ns` at most; with a distribution, its
    /// standard deviation. In nanoseconds.
    pub jitter_ns: i64,
    /// How delays are spread: samples of the inverse cumulative distribution,
    /// scaled by 8192 (see [`table`]). Empty leaves it as it is: evenly, if none
    /// was ever set.
    pub distribution: Vec<i16>,
    /// Share of packets lost at random, if there is no `loss_model`.
    pub loss: Share,
    /// Losses in bursts.
    pub loss_model: Option<LossModel>,
    /// Share of packets sent twice.
    pub duplicate: Share,
    /// How much a delay, a loss and a repetition depend on the last ones.
    pub correlations: Option<Correlations>,
    /// Packets that are not delayed, and so overtake others.
    pub reorder: Option<Chance>,
    /// One packet in this number is not delayed (with the chance of `reorder`).
    /// 0: the chance applies to every packet.
    pub gap: u32,
    /// Packets with one bit flipped.
    pub corrupt: Option<Chance>,
    /// How fast packets are sent.
    pub rate: Option<NetemRate>,
    /// Whether ECN-capable packets are marked instead of dropped.
    pub ecn: bool,
    /// Packets sent in bursts.
    pub slot: Option<Slot>,
    /// How the times between bursts are spread; see `distribution`.
    pub slot_distribution: Vec<i16>,
    /// Where the random numbers start, so that a run can be repeated (Linux
    /// 6.6).
    pub seed: Option<u64>,
}

impl Default for Netem {
    /// A netem that does nothing to packets.
    fn default() -> Self {
        Self {
            limit_packets: 1000,
            delay_ns: 0,
            jitter_ns: 0,
            distribution: Vec::new(),
            loss: Share::NONE,
            loss_model: None,
            duplicate: Share::NONE,
            correlations: None,
            reorder: None,
            gap: 0,
            corrupt: None,
            rate: None,
            ecn: false,
            slot: None,
            slot_distribution: Vec::new(),
            seed: None,
        }
    }
}

impl Netem {
    /// How long each packet is delayed, at most 292 years.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.delay_ns(signed_ns(delay))
    }

    /// How far a delay is from the mean at most; with a distribution, its standard deviation.
    #[must_use]
    pub fn jitter(self, jitter: Duration) -> Self {
        self.jitter_ns(signed_ns(jitter))
    }
}

fn signed_ns(time: Duration) -> i64 {
    time.as_nanos().try_into().unwrap_or(i64::MAX)
}

/// A share of all packets, or a probability, in parts of `u32::MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl Share {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(u32::MAX);

    /// A percentage, clamped to 0 to 100.
    pub fn percent(percent: f64) -> Self {
        Self::of_one(percent / 100.0)
    }

    /// A fraction of one, clamped to 0 to 1.
    pub fn of_one(share: f64) -> Self {
        Self((share * u32::MAX as f64).round_ties_even() as u32)
    }

    /// The rest up to all.
    pub const fn rest(self) -> Self {
        Self(u32::MAX - self.0)
    }
}

/// A probability, and how much each outcome depends on the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Chance {
    /// How probable it is.
    pub probability: Share,
    /// How much an outcome depends on the last one.
    pub correlation: Share,
}

/// `struct tc_netem_corr`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Correlations {
    /// How much a delay depends on the last one.
    pub delay: Share,
    /// How much a loss depends on the last one.
    pub loss: Share,
    /// How much a repetition depends on the last one. As to `tc`, words alone
    /// for this one have no effect.
    pub duplicate: Share,
}

/// Losses in bursts (`TCA_NETEM_LOSS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossModel {
    /// Four states (`struct tc_netem_gimodel`), with the probabilities of going
    /// from one to another: 1 good, 2 good within a burst, 3 lost within a
    /// burst, 4 lost alone.
    State {
        /// From 1 to 3.
        p13: Share,
        /// From 3 to 1.
        p31: Share,
        /// From 3 to 2.
        p32: Share,
        /// From 2 to 3.
        p23: Share,
        /// From 1 to 4.
        p14: Share,
    },
    /// Gilbert and Elliott (`struct tc_netem_gemodel`): a good and a bad state.
    GilbertElliott {
        /// From good to bad.
        p: Share,
        /// From bad to good.
        r: Share,
        /// The fraction that passes in the bad state (`tc` has 1-h, the loss).
        h: Share,
        /// The loss in the good state (1-k).
        k1: Share,
    },
}

/// `struct tc_netem_rate`, with the rate in 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct NetemRate {
    /// The rate. 0 is as fast as possible.
    pub rate: Rate,
    /// Bytes added to each packet; can be negative.
    pub packet_overhead: i32,
    /// Packets take whole cells of this many bytes. 0: there are no cells.
    pub cell_size: u32,
    /// Bytes added to each cell; can be negative.
    pub cell_overhead: i32,
}

/// `struct tc_netem_slot`: packets wait until the next slot, and leave in one
/// burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Slot {
    /// Least time between slots in nanoseconds.
    pub min_delay_ns: i64,
    /// Most time between slots in nanoseconds.
    pub max_delay_ns: i64,
    /// Most packets in a slot. 0: no limit.
    pub max_packets: i32,
    /// Most bytes in a slot. 0: no limit.
    pub max_bytes: i32,
    /// Time between slots with a distribution, in nanoseconds.
    pub distribution_delay_ns: i64,
    /// Its jitter in nanoseconds. Not 0: slots follow the distribution, and not
    /// the least and most time.
    pub distribution_jitter_ns: i64,
}

impl Kind for Netem {
    type Object = object::Qdisc;
    const KIND: &'static str = "netem";
    // Of the distribution of a slot, a dump has the numbers and not the samples.
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.not_dumped(&["distribution", "slot distribution"]).rounded(&["slot"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        wire::encode(self, out);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(payload)
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        Self {
            // Kernel: limited by the range of its tables.
            jitter_ns: self.jitter_ns.saturating_abs().min(i32::MAX.into()),
            distribution: Vec::new(),
            slot_distribution: Vec::new(),
            ..self.clone()
        }
    }
}

impl Syntax for Netem {
    const USAGE: &'static str = words::USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words, context).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        print::options(self, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        wording::to_words(self, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        print::xstats(payload, out)?;
        Ok(true)
    }
}
