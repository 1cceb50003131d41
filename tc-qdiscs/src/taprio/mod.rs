//! `taprio`: opens and closes the gates of traffic classes by a schedule that
//! repeats (IEEE 802.1Qbv).
//!
//! UAPI: attributes (`TCA_TAPRIO_ATTR_*`), among them `struct tc_mqprio_qopt`.
//!
//! Kernel, `net/sched/sch_taprio.c`: only as root, and only of a device with
//! several transmit queues. A new schedule waits as the administrative one until
//! its base time has come.

mod classes;
mod words;

use tc_core::print::{Hex0x, Printer};
use tc_core::uapi::NLA_F_NESTED;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, Upkeep, Wording};

use crate::common::u32_at;
use crate::mqprio::{Queues, TrafficClasses};

pub use classes::Classes;

tc_core::register!(Taprio);

/// The options of a taprio.
///
/// ```
/// use tc_qdiscs::taprio::{Clock, Entry, Schedule, Taprio};
///
/// let entries = vec![Entry::gates(0x1, 300_000), Entry::gates(0x2, 700_000)];
/// let schedule = Schedule { entries: Some(entries), ..Schedule::default() };
/// let new_schedule = Taprio { clock: Some(Clock::TAI), schedule, ..Taprio::default() };
/// # let _ = new_schedule;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taprio {
    /// The clock of the schedule. Not with full offload.
    pub clock: Option<Clock>,
    /// `TCA_TAPRIO_ATTR_FLAG_*`: 1 helps with send times, 2 leaves all to the
    /// device.
    pub flags: Option<u32>,
    /// The traffic classes; needed in the first request.
    pub classes: Option<TrafficClasses>,
    /// How long before its send time a packet leaves the qdisc at most, in
    /// nanoseconds.
    pub txtime_delay_ns: Option<u32>,
    /// The schedule that is to come, or that runs.
    pub schedule: Schedule,
    /// The schedule that waits, in a dump.
    pub admin: Option<Schedule>,
    /// What holds for single classes.
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

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// When it begins, in nanoseconds of its clock; long ago is as good as now.
    pub base_time_ns: Option<i64>,
    /// How long a cycle takes, in nanoseconds. `None`: as long as its entries.
    pub cycle_time_ns: Option<i64>,
    /// How much the last cycle before another schedule may be lengthened.
    pub cycle_time_extension_ns: Option<i64>,
    /// What happens in a cycle.
    pub entries: Option<Vec<Entry>>,
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its place, in a dump.
    pub index: Option<u32>,
    /// `TC_TAPRIO_CMD_*`: 0 sets gates; 1 and 2 hold and release preemptible
    /// classes as well.
    pub command: u8,
    /// The traffic classes whose gates are open: a bit for each.
    pub gate_mask: u32,
    /// How long it takes, in nanoseconds.
    pub interval_ns: u32,
}

impl Entry {
    /// Opens these gates, and closes the others, for this time.
    pub const fn gates(gate_mask: u32, interval_ns: u32) -> Self {
        Self { index: None, command: SET_GATES, gate_mask, interval_ns }
    }
}

impl Kind for Taprio {
    const KIND: &'static str = "taprio";
    const USAGE: &'static str = words::USAGE;
    const UPKEEP: Upkeep = Upkeep::USUAL.fixed(&["num_tc", "map", "queues", "clockid", "flags"]);

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(clock) = self.clock {
            out.attr_i32(CLOCKID, clock.0);
        }
        out.attr_u32_if(FLAGS, self.flags);
        if let Some(classes) = &self.classes {
            classes.encode(&mut out.nest(PRIOMAP));
        }
        out.attr_u32_if(TXTIME_DELAY, self.txtime_delay_ns);
        self.schedule.encode_times(out);
        self.by_class.encode(out);
        self.schedule.encode_entries(out);
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
            txtime_delay_ns: u32_at(&table, TXTIME_DELAY)?,
            schedule: Schedule::decode(&table)?,
            admin: admin.map(|table| Schedule::decode(&table)).transpose()?,
            by_class: Classes::decode(payload)?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        match &self.classes {
            Some(classes) => classes.write_words(out),
            None => ["num_tc", "map", "queues"].into_iter().for_each(|key| out.leave_open(key)),
        }
        // A schedule that waits takes the place of the one that runs.
        self.admin.as_ref().unwrap_or(&self.schedule).write_words(out);
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
        out.say_sticky("txtime-delay", self.txtime_delay_ns);
        self.by_class.write_words(out);
    }

    fn print(&self, out: &mut Printer) {
        // As tc: without classes there is nothing to say.
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
        if let Some(delay) = self.txtime_delay_ns {
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

    /// Counters of devices that keep the schedule themselves, since Linux 6.5.
    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let table = Attrs::new(payload).table::<{ TX_OVERRUNS as usize + 1 }>()?;
        let number = |kind: u16| table[usize::from(kind)].map(|attr| attr.u64()).transpose();
        let (drops, overruns) = (number(WINDOW_DROPS)?, number(TX_OVERRUNS)?);
        out.item_if("window_drops", " window_drops ", drops, "");
        out.item_if("tx_overruns", " tx_overruns ", overruns, "");
        Ok(drops.is_some() || overruns.is_some())
    }
}

const PRIOMAP: u16 = 1;
const SCHED_ENTRY_LIST: u16 = 2;
const SCHED_BASE_TIME: u16 = 3;
const CLOCKID: u16 = 5;
const ADMIN_SCHED: u16 = 7;
const SCHED_CYCLE_TIME: u16 = 8;
const SCHED_CYCLE_TIME_EXTENSION: u16 = 9;
const FLAGS: u16 = 10;
const TXTIME_DELAY: u16 = 11;
const TABLE: usize = TXTIME_DELAY as usize + 1;

const WINDOW_DROPS: u16 = 2;
const TX_OVERRUNS: u16 = 3;

const SCHED_ENTRY: u16 = 1;
const ENTRY_INDEX: u16 = 1;
const ENTRY_CMD: u16 = 2;
const ENTRY_GATE_MASK: u16 = 3;
const ENTRY_INTERVAL: u16 = 4;

/// `TC_TAPRIO_CMD_SET_GATES`.
const SET_GATES: u8 = 0;

/// What `tc` calls the commands, by their numbers.
const COMMANDS: [&str; 3] = ["S", "H", "R"];

impl Schedule {
    fn encode_times(&self, out: &mut AttrWriter<'_>) {
        for (kind, time) in [
            (SCHED_BASE_TIME, self.base_time_ns),
            (SCHED_CYCLE_TIME, self.cycle_time_ns),
            (SCHED_CYCLE_TIME_EXTENSION, self.cycle_time_extension_ns),
        ] {
            if let Some(time) = time {
                out.attr_i64(kind, time);
            }
        }
    }

    fn encode_entries(&self, out: &mut AttrWriter<'_>) {
        if let Some(entries) = &self.entries {
            let mut list = out.nest(SCHED_ENTRY_LIST | NLA_F_NESTED);
            for entry in entries {
                let mut nest = list.nest(SCHED_ENTRY);
                nest.attr_u32_if(ENTRY_INDEX, entry.index);
                nest.attr_u8(ENTRY_CMD, entry.command);
                nest.attr_u32(ENTRY_GATE_MASK, entry.gate_mask);
                nest.attr_u32(ENTRY_INTERVAL, entry.interval_ns);
            }
        }
    }

    fn decode(table: &[Option<Attr<'_>>; TABLE]) -> Result<Self, DecodeError> {
        let time = |kind: u16| table[usize::from(kind)].map(|attr| attr.i64()).transpose();
        let list = table[usize::from(SCHED_ENTRY_LIST)];
        let entries = list.map(|list| list.attrs().map(|attr| Entry::decode(&attr?)).collect());
        Ok(Self {
            base_time_ns: time(SCHED_BASE_TIME)?,
            cycle_time_ns: time(SCHED_CYCLE_TIME)?,
            cycle_time_extension_ns: time(SCHED_CYCLE_TIME_EXTENSION)?,
            entries: entries.transpose()?,
        })
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        let entries = self.entries.iter().flatten();
        let words: Vec<_> = entries
            .map(|entry| {
                let command = COMMANDS.get(usize::from(entry.command)).copied();
                if command.is_none() {
                    out.cannot_say(&format!("the command {} of a sched-entry", entry.command));
                }
                let command = command.unwrap_or_default();
                format!("sched-entry {command} {:x} {}", entry.gate_mask, entry.interval_ns)
            })
            .collect();
        out.text("sched-entry", words.join(" "));
        let time = |key: &str, time: Option<i64>| {
            time.filter(|time| *time != 0).map(|time| format!("{key} {time}")).unwrap_or_default()
        };
        out.text("base-time", time("base-time", self.base_time_ns));
        match self.cycle_time_ns {
            None => out.leave_open("cycle-time"),
            some => out.text("cycle-time", time("cycle-time", some)),
        }
        let key = "cycle-time-extension";
        out.text(key, time(key, self.cycle_time_extension_ns));
    }

    fn print(&self, out: &mut Printer) {
        let mut time = |key, before, time: Option<i64>| {
            let time = time.unwrap_or(0);
            // As tc: with a sign in text alone.
            out.json(key, time.cast_unsigned());
            out.text_item(before, time, "");
        };
        time("base_time", "\tbase-time ", self.base_time_ns);
        time("cycle_time", " cycle-time ", self.cycle_time_ns);
        time("cycle_time_extension", " cycle-time-extension ", self.cycle_time_extension_ns);
        let Some(entries) = &self.entries else { return };
        out.newline();
        out.array("schedule", |out| {
            for entry in entries {
                let command = COMMANDS.get(usize::from(entry.command)).unwrap_or(&"Invalid");
                out.object("", |out| {
                    out.item("index", "\tindex ", entry.index.unwrap_or(0), "");
                    out.item("cmd", " cmd ", *command, "");
                    out.item("gatemask", " gatemask ", Hex0x(entry.gate_mask.into()), "");
                    out.item("interval", " interval ", entry.interval_ns, "");
                });
                out.newline();
            }
        });
    }
}

impl Entry {
    fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let table = attr.attrs().table::<{ ENTRY_INTERVAL as usize + 1 }>()?;
        let command = table[usize::from(ENTRY_CMD)].map(|attr| attr.u8()).transpose()?;
        Ok(Self {
            index: u32_at(&table, ENTRY_INDEX)?,
            command: command.unwrap_or(0),
            gate_mask: u32_at(&table, ENTRY_GATE_MASK)?.unwrap_or(0),
            interval_ns: u32_at(&table, ENTRY_INTERVAL)?.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::print::{Form, Style};

    #[test]
    fn counters_are_those_that_came() {
        let mut payload = BytesMut::new();
        AttrWriter::new(&mut payload).attr_u64(TX_OVERRUNS, 7);
        let mut out = Printer::new(Form::Text, Style::default());
        assert_eq!(Taprio::print_xstats(&payload, &mut out), Ok(true));
        assert_eq!(out.as_str(), " tx_overruns 7");
        assert_eq!(Taprio::print_xstats(&[], &mut out), Ok(false));
    }
}
