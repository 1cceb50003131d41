//! The schedule of the gates, and its entries.

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::{Hex0x, Printer};
use tc_core::uapi::NLA_F_NESTED;
use tc_core::units::nanos;
use tc_core::{Attr, AttrWriter, DecodeError, EncodeError, OptionWords};

use super::TABLE;
use crate::common::{in_ns, of_ns, u32_at};

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Schedule {
    /// When it begins, in nanoseconds of its clock; long ago is as good as now.
    pub base_time_ns: Option<i64>,
    /// How long a cycle takes, in nanoseconds. `None`: as long as its entries.
    pub cycle_time_ns: Option<i64>,
    /// How much the last cycle before another schedule may be lengthened.
    pub cycle_time_extension_ns: Option<i64>,
    /// The entries of a cycle.
    pub entries: Option<Vec<Entry>>,
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Entry {
    /// Its place, in a dump.
    pub index: Option<u32>,
    /// `TC_TAPRIO_CMD_*`: 0 sets gates; 1 and 2 hold and release preemptible
    /// classes as well.
    pub command: u8,
    /// The traffic classes whose gates are open: a bit for each.
    pub gate_mask: u32,
    /// How long it takes, in whole nanoseconds of 32 bits.
    pub interval: Duration,
}

impl Entry {
    /// Opens these gates, and closes the others, for this time.
    pub const fn gates(gate_mask: u32, interval: Duration) -> Self {
        Self { index: None, command: SET_GATES, gate_mask, interval }
    }
}

impl Schedule {
    pub(super) fn encode_times(&self, out: &mut AttrWriter<'_>) {
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

    pub(super) fn encode_entries(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        if let Some(entries) = &self.entries {
            let mut list = out.nest(SCHED_ENTRY_LIST | NLA_F_NESTED);
            for entry in entries {
                let mut nest = list.nest(SCHED_ENTRY);
                nest.attr_u32_if(ENTRY_INDEX, entry.index);
                nest.attr_u8(ENTRY_CMD, entry.command);
                nest.attr_u32(ENTRY_GATE_MASK, entry.gate_mask);
                nest.attr_u32(ENTRY_INTERVAL, nanos("interval", entry.interval)?);
            }
        }
        Ok(())
    }

    pub(super) fn decode(table: &[Option<Attr<'_>>; TABLE]) -> Result<Self, DecodeError> {
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

    pub(super) fn to_words(&self, out: &mut OptionWords<'_>) {
        let entries = self.entries.iter().flatten();
        let words: Vec<_> = entries
            .map(|entry| {
                let command = COMMANDS.get(usize::from(entry.command)).copied();
                if command.is_none() {
                    out.cannot_say(&format!("the command {} of a sched-entry", entry.command));
                }
                let command = command.unwrap_or_default();
                format!("sched-entry {command} {:x} {}", entry.gate_mask, in_ns(entry.interval))
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

    pub(super) fn print(&self, out: &mut Printer) {
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
                    out.item("interval", " interval ", in_ns(entry.interval), "");
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
            interval: of_ns(u32_at(&table, ENTRY_INTERVAL)?.unwrap_or(0)),
        })
    }
}

const SCHED_ENTRY_LIST: u16 = 2;
const SCHED_BASE_TIME: u16 = 3;
const SCHED_CYCLE_TIME: u16 = 8;
const SCHED_CYCLE_TIME_EXTENSION: u16 = 9;

const SCHED_ENTRY: u16 = 1;
const ENTRY_INDEX: u16 = 1;
const ENTRY_CMD: u16 = 2;
const ENTRY_GATE_MASK: u16 = 3;
const ENTRY_INTERVAL: u16 = 4;

/// `TC_TAPRIO_CMD_SET_GATES`.
const SET_GATES: u8 = 0;

/// The names of `tc` for the commands, by number.
pub(super) const COMMANDS: [&str; 3] = ["S", "H", "R"];
