//! `taprio`: opens and closes the gates of traffic classes by a schedule that
//! repeats (IEEE 802.1Qbv).
//!
//! UAPI: attributes (`TCA_TAPRIO_ATTR_*`), among them `struct tc_mqprio_qopt`.
//!
//! Kernel, `net/sched/sch_taprio.c`: only as root, and only of a device with
//! several transmit queues. A new schedule waits as the administrative one until
//! its base time has come.

mod classes;
mod schedule;
mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Hex0x, Printer};
use tc_core::units::nanos;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, TcType, Xstats, object,
};

use crate::common::{in_ns, of_ns, u32_at};
use crate::qdisc::mqprio::{Queues, TrafficClasses};

pub use classes::Classes;
pub use schedule::{Entry, Schedule};

tc_core::register!(Taprio);

/// The options of a taprio.
///
/// ```
/// use std::time::Duration;
/// use tc_qdiscs::taprio::{Clock, Entry, Schedule, Taprio};
///
/// let gates = |mask, us| Entry::gates(mask, Duration::from_micros(us));
/// let entries = vec![gates(0x1, 300), gates(0x2, 700)];
/// let schedule = Schedule::default().entries(entries);
/// let new_schedule = Taprio::default().clock(Clock::TAI).schedule(schedule);
/// # let _ = new_schedule;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Taprio {
    /// The clock of the schedule. Not with full offload.
    pub clock: Option<Clock>,
    /// `TCA_TAPRIO_ATTR_FLAG_*`: 1 helps with send times, 2 leaves all to the
    /// device.
    pub flags: Option<u32>,
    /// The traffic classes; needed in the first request.
    pub classes: Option<TrafficClasses>,
    /// How long before its send time a packet leaves the qdisc at most, in whole
    /// nanoseconds of 32 bits.
    pub txtime_delay: Option<Duration>,
    /// The schedule that is to come, or that runs.
    pub schedule: Schedule,
    /// The schedule that waits, in a dump.
    pub admin: Option<Schedule>,
    /// Options of single classes.
    pub by_class: Classes,
}

/// A number of a clock (`clockid_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(pub i32);

impl Clock {
    /// `CLOCK_REALTIME`.
    pub const REALTIME: Self = Self(0);
    /// `CLOCK_MONOTONIC`.
    pub const MONOTONIC: Self = Self(1);
    /// `CLOCK_BOOTTIME`.
    pub const BOOTTIME: Self = Self(7);
    /// `CLOCK_TAI`.
    pub const TAI: Self = Self(11);

    const NAMES: [(&str, Self); 4] = [
        ("REALTIME", Self::REALTIME),
        ("TAI", Self::TAI),
        ("BOOTTIME", Self::BOOTTIME),
        ("MONOTONIC", Self::MONOTONIC),
    ];

    /// By its name, in any case, with or without `CLOCK_`.
    pub fn by_name(name: &str) -> Option<Self> {
        // As tc: six characters less, wherever the prefix stands.
        let has_prefix = name.to_ascii_uppercase().contains("CLOCK_");
        let name = if has_prefix { name.get(6..)? } else { name };
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, clock)| *clock)
    }

    /// Its name, without `CLOCK_`; `invalid` if it has none here.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, clock)| *clock == self).map_or("invalid", |(name, _)| name)
    }
}

impl Kind for Taprio {
    type Object = object::Qdisc;
    const KIND: &'static str = "taprio";
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.fixed(&["num_tc", "map", "queues", "clockid", "flags"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(clock) = self.clock {
            out.attr_i32(CLOCKID, clock.0);
        }
        out.attr_u32_if(FLAGS, self.flags);
        if let Some(classes) = &self.classes {
            classes.encode(&mut out.nest(PRIOMAP));
        }
        let delay = self.txtime_delay.map(|delay| nanos("txtime_delay", delay)).transpose()?;
        out.attr_u32_if(TXTIME_DELAY, delay);
        self.schedule.encode_times(out);
        self.by_class.encode(out);
        self.schedule.encode_entries(out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<TABLE>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let admin = attr(ADMIN_SCHED).map(|attr| attr.attrs().table::<TABLE>()).transpose()?;
        Ok(Self {
            clock: attr(CLOCKID).map(|attr| attr.i32().map(Clock)).transpose()?,
            flags: u32_at(&table, FLAGS)?,
            classes: attr(PRIOMAP).map(|attr| TrafficClasses::decode(attr.payload)).transpose()?,
            txtime_delay: u32_at(&table, TXTIME_DELAY)?.map(of_ns),
            schedule: Schedule::decode(&table)?,
            admin: admin.map(|table| Schedule::decode(&table)).transpose()?,
            by_class: Classes::decode(payload)?,
        })
    }
}

impl Syntax for Taprio {
    const USAGE: &'static str = words::USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        // As tc: nothing without classes.
        let Some(classes) = &self.classes else { return };
        out.item("tc", "tc ", classes.count, " ");
        out.text("map");
        out.array("map", |out| {
            for class in classes.map {
                out.item("", " ", class, "");
            }
        });
        out.newline();
        out.text("queues");
        out.array("queues", |out| {
            for Queues { count, offset } in classes.used() {
                out.object("", |out| {
                    out.item("offset", " offset ", *offset, "");
                    out.item("count", " count ", *count, "");
                });
            }
        });
        out.newline();
        out.item("clockid", "clockid ", self.clock.map_or("invalid", Clock::name), "");
        out.item_if("flags", " flags ", self.flags.map(|flags| Hex0x(flags.into())), "");
        if let Some(delay) = self.txtime_delay.map(in_ns) {
            out.json("txtime_delay", delay);
            out.text_item(" txtime delay ", delay.cast_signed(), "");
        }
        self.schedule.print(out);
        if let Some(admin) = &self.admin {
            // tc leaves the key out, which is no JSON.
            out.object("admin", |out| admin.print(out));
        }
        self.by_class.print(out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        match &self.classes {
            Some(classes) => classes.to_words(out),
            None => ["num_tc", "map", "queues"].into_iter().for_each(|key| out.leave_open(key)),
        }
        // A schedule that waits takes the place of the one that runs.
        self.admin.as_ref().unwrap_or(&self.schedule).to_words(out);
        match self.clock {
            None => out.leave_open("clockid"),
            Some(clock) => {
                if Clock::by_name(clock.name()) != Some(clock) {
                    out.cannot_say(&format!("clockid {}", clock.0));
                }
                out.say("clockid", format_args!("CLOCK_{}", clock.name()));
            }
        }
        let flags = self.flags.filter(|flags| *flags != 0);
        out.text("flags", flags.map(|flags| format!("flags {flags:#x}")).unwrap_or_default());
        out.say_sticky("txtime-delay", self.txtime_delay.map(in_ns));
        self.by_class.to_words(out);
    }

    /// Counters of devices that keep the schedule themselves, since Linux 6.5.
    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let TaprioXstats { window_drops, tx_overruns } = TaprioXstats::decode(payload)?;
        out.item_if("window_drops", " window_drops ", window_drops, "");
        out.item_if("tx_overruns", " tx_overruns ", tx_overruns, "");
        Ok(window_drops.is_some() || tx_overruns.is_some())
    }
}

/// The counters of the qdisc, or of the class of a queue: `TCA_TAPRIO_OFFLOAD_STATS_*`. Only devices that do the
/// schedule themselves have them. Since Linux 6.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaprioXstats {
    /// Packets dropped because they do not fit in any window.
    pub window_drops: Option<u64>,
    /// How often a packet was sent beyond the end of its window.
    pub tx_overruns: Option<u64>,
}

impl Xstats for TaprioXstats {
    const OF: &'static [(TcType, &'static str)] = &[(TcType::Qdisc, "taprio"), (TcType::Class, "taprio")];

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TX_OVERRUNS as usize + 1 }>()?;
        let number = |kind: u16| table[usize::from(kind)].map(|attr| attr.u64()).transpose();
        Ok(Self { window_drops: number(WINDOW_DROPS)?, tx_overruns: number(TX_OVERRUNS)? })
    }
}

const PRIOMAP: u16 = 1;
const CLOCKID: u16 = 5;
const ADMIN_SCHED: u16 = 7;
const FLAGS: u16 = 10;
const TXTIME_DELAY: u16 = 11;
const TABLE: usize = TXTIME_DELAY as usize + 1;

const WINDOW_DROPS: u16 = 2;
const TX_OVERRUNS: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::print::{Form, Style};

    #[test]
    fn counters_are_those_of_the_dump() {
        let mut payload = BytesMut::new();
        AttrWriter::new(&mut payload).attr_u64(TX_OVERRUNS, 7);
        let mut out = Printer::new(Form::Text, Style::default());
        assert_eq!(Taprio::print_xstats(&payload, &mut out), Ok(true));
        assert_eq!(out.as_str(), " tx_overruns 7");
        assert_eq!(Taprio::print_xstats(&[], &mut out), Ok(false));
    }
}
