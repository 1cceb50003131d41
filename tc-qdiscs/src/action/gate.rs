//! `gate`: passes packets while a gate is open, by a schedule that repeats (IEEE 802.1Qci), and drops the others.
//!
//! UAPI: `struct tc_gate` in `TCA_GATE_PARMS`, attributes `TCA_GATE_*` (`linux/tc_act/tc_gate.h`). Since
//! Linux 5.8.
//!
//! Kernel, `net/sched/act_gate.c`: without a clock it is TAI's; without a cycle time it is the sum of the
//! intervals.

mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Hex0x, Printer, Size, TimeNs};
use tc_core::uapi::NLA_F_NESTED;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};
use crate::qdisc::taprio::Clock;

tc_core::register!(Gate);

/// The options of a gate action.
///
/// ```
/// use std::time::Duration;
/// use tc_core::action::{Action, Actions};
/// use tc_qdiscs::action::gate::{Gate, GateEntry};
///
/// // Open for 200 us of each 300 us.
/// let (open, close) = (Duration::from_micros(200), Duration::from_micros(100));
/// let gate = Gate::new([GateEntry::open(open), GateEntry::close(close)]).base_time_ns(1_000_000_000);
/// let actions = Actions::new().with(Action::new(gate));
/// # let _ = actions;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Gate {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of packets that pass.
    pub control: Control,
    /// A priority for hardware; software reads none.
    pub priority: Option<i32>,
    /// The clock of the schedule; TAI by default.
    pub clock: Option<Clock>,
    /// Flags, of which Linux 6.1 has none.
    pub flags: u32,
    /// The start of a cycle, in nanoseconds of the clock. One in the past is moved on by whole cycles.
    pub base_time_ns: i64,
    /// The length of a cycle; the sum of the intervals by default.
    pub cycle_time: Option<Duration>,
    /// The time by which the last cycle before a new schedule can be longer.
    pub cycle_time_extension: Duration,
    /// The states of the gate in their order.
    pub entries: Vec<GateEntry>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// A state of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct GateEntry {
    /// Whether packets pass.
    #[setters(skip)]
    pub open: bool,
    /// The time that the state lasts: up to 4.29 s, in nanoseconds.
    pub interval: Duration,
    /// The internal priority of packets that pass; each keeps its own by default.
    pub ipv: Option<i32>,
    /// The bytes that may pass in the interval; any number by default.
    pub max_octets: Option<i32>,
}

impl GateEntry {
    /// Packets pass.
    pub const fn open(interval: Duration) -> Self {
        Self { open: true, interval, ipv: None, max_octets: None }
    }

    /// Packets are dropped.
    pub const fn close(interval: Duration) -> Self {
        Self { open: false, ..Self::open(interval) }
    }
}

impl Gate {
    /// A schedule, after which the next action follows.
    pub fn new(entries: impl Into<Vec<GateEntry>>) -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            priority: None,
            clock: None,
            flags: 0,
            base_time_ns: 0,
            cycle_time: None,
            cycle_time_extension: Duration::ZERO,
            entries: entries.into(),
            reported: Reported::default(),
        }
    }
}

impl Kind for Gate {
    type Object = object::Action;
    const KIND: &'static str = "gate";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let too_long = |what: &str| EncodeError::Invalid(format!("gate: {what} is too long"));
        let ns64 = |time: Duration| u64::try_from(time.as_nanos()).map_err(|_| too_long("a cycle time"));
        let cycle_time = ns64(self.cycle_time.unwrap_or_default())?;
        let extension = ns64(self.cycle_time_extension)?;
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        drop(parms);
        if let Some(priority) = self.priority {
            out.attr_i32(PRIORITY, priority);
        }
        out.attr_u32_if(FLAGS, Some(self.flags).filter(|flags| *flags != 0));
        if self.base_time_ns != 0 {
            out.attr_i64(BASE_TIME, self.base_time_ns);
        }
        for (kind, time) in [(CYCLE_TIME, cycle_time), (CYCLE_TIME_EXT, extension)] {
            if time != 0 {
                out.attr_u64(kind, time);
            }
        }
        if let Some(clock) = self.clock {
            out.attr_i32(CLOCKID, clock.0);
        }
        let mut list = out.nest(ENTRY_LIST | NLA_F_NESTED);
        for entry in &self.entries {
            let interval = u32::try_from(entry.interval.as_nanos()).map_err(|_| too_long("an interval"))?;
            let mut one = list.nest(ONE_ENTRY | NLA_F_NESTED);
            if entry.open {
                one.attr_flag(ENTRY_GATE);
            }
            one.attr_u32(ENTRY_INTERVAL, interval);
            one.attr_i32(ENTRY_IPV, entry.ipv.unwrap_or(ANY));
            one.attr_i32(ENTRY_MAX_OCTETS, entry.max_octets.unwrap_or(ANY));
        }
        drop(list);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ CLOCKID as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let time = |kind: u16| attr(kind).map(|attr| attr.u64().map(Duration::from_nanos)).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "gate parameters" })?;
        let Generic { index, control, reported } = Generic::read(&mut parms.reader(), attr(TM))?;
        let mut entries = Vec::new();
        for entry in attr(ENTRY_LIST).map(|list| list.attrs()).into_iter().flatten() {
            entries.push(read_entry(&entry?)?);
        }
        Ok(Self {
            index,
            control,
            priority: attr(PRIORITY).map(|attr| attr.i32()).transpose()?.filter(|priority| *priority != ANY),
            clock: attr(CLOCKID).map(|attr| attr.i32().map(Clock)).transpose()?,
            flags: attr(FLAGS).map(|attr| attr.u32()).transpose()?.unwrap_or(0),
            base_time_ns: attr(BASE_TIME).map(|attr| attr.i64()).transpose()?.unwrap_or(0),
            cycle_time: time(CYCLE_TIME)?.filter(|time| !time.is_zero()),
            cycle_time_extension: time(CYCLE_TIME_EXT)?.unwrap_or_default(),
            entries,
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let cycle = || self.entries.iter().map(|entry| entry.interval).sum();
        Self {
            clock: self.clock.or(Some(Clock::TAI)),
            priority: self.priority.filter(|priority| *priority != ANY),
            cycle_time: self.cycle_time.filter(|time| !time.is_zero()).or_else(|| Some(cycle())),
            ..self.clone()
        }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

fn read_entry(attr: &Attr<'_>) -> Result<GateEntry, DecodeError> {
    let table = attr.attrs().table::<{ ENTRY_MAX_OCTETS as usize + 1 }>()?;
    let attr = |kind: u16| table[usize::from(kind)];
    let number = |kind: u16| attr(kind).map(|attr| attr.i32()).transpose();
    let interval = attr(ENTRY_INTERVAL).map(|attr| attr.u32()).transpose()?.unwrap_or(0);
    Ok(GateEntry {
        open: attr(ENTRY_GATE).is_some(),
        interval: Duration::from_nanos(interval.into()),
        ipv: number(ENTRY_IPV)?.filter(|ipv| *ipv != ANY),
        max_octets: number(ENTRY_MAX_OCTETS)?.filter(|octets| *octets != ANY),
    })
}

impl Syntax for Gate {
    const USAGE: &'static str = "\
Usage: gate [ priority PRIO-SPEC ] [ base-time BASE-TIME ]
       [ cycle-time CYCLE-TIME ]
       [ cycle-time-ext CYCLE-TIME-EXT ]
       [ clockid CLOCKID ] [flags FLAGS]
       [ sched-entry GATE0 INTERVAL [ INTERNAL-PRIO-VALUE MAX-OCTETS ] ]
       [ sched-entry GATE1 INTERVAL [ INTERNAL-PRIO-VALUE MAX-OCTETS ] ]
       ......
       [ sched-entry GATEn INTERVAL [ INTERNAL-PRIO-VALUE MAX-OCTETS ] ]
       [ CONTROL ]
       GATEn := open | close
       INTERVAL : nanoseconds period of gate slot
       INTERNAL-PRIO-VALUE : internal priority decide which
                             rx queue number direct to.
                             default to be -1 which means wildcard.
       MAX-OCTETS : maximum number of MSDU octets that are
                    permitted to pas the gate during the
                    specified TimeInterval.
                    default to be -1 which means wildcard.
       CONTROL := pipe | drop | continue | pass |
                  goto chain <CHAIN_INDEX>
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    /// The JSON has the kind, which that of `tc` lacks.
    fn print(&self, out: &mut Printer) {
        out.json("kind", Self::KIND);
        out.text("\n");
        out.json("priority", self.priority.unwrap_or(ANY));
        match self.priority {
            Some(priority) => out.text(&format!("\tpriority {priority:<8}")),
            None => out.text("\tpriority wildcard"),
        }
        out.item("clockid", "\tclockid ", self.clock.map_or("invalid", Clock::name), "");
        out.item("flags", "\tflags ", Hex0x(self.flags.into()), "\n");
        let ns = |time: Duration| time.as_nanos() as u64;
        for (key, before, time) in [
            ("base_time", "\tbase-time ", self.base_time_ns.cast_unsigned()),
            ("cycle_time", "\tcycle-time ", ns(self.cycle_time.unwrap_or_default())),
            ("cycle_time_ext", "\tcycle-time-ext ", ns(self.cycle_time_extension)),
        ] {
            out.json(key, time);
            out.text_item(before, TimeNs(time.cast_signed()), "");
        }
        out.newline();
        out.text("\tschedule:");
        out.newline();
        out.array("schedule", |out| {
            for (number, entry) in self.entries.iter().enumerate() {
                out.object("", |out| print_entry(number, entry, out));
                out.newline();
            }
        });
        self.control.print("\t", out);
        generic::print_counts("\n\t index ", self.index, &self.reported, out);
        generic::print_times(&self.reported, out);
        out.text("\n");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }
}

fn print_entry(number: usize, entry: &GateEntry, out: &mut Printer) {
    out.json("number", number);
    out.text(&format!("\t number {number:4}"));
    out.item("gate_state", "\tgate-state ", if entry.open { "open" } else { "close" }, " ");
    let interval = entry.interval.as_nanos() as i64;
    out.json("interval", interval);
    out.text_item("\tinterval ", TimeNs(interval), "");
    match entry.ipv {
        Some(ipv) => {
            out.json("ipv", ipv.cast_unsigned());
            out.text(&format!("\t ipv {:<10}", ipv.cast_unsigned()));
        }
        None => {
            out.json("ipv", ANY);
            out.text("\t ipv wildcard");
        }
    }
    match entry.max_octets {
        Some(octets) => out.item("max_octets", "\t max-octets ", Size(octets.cast_unsigned()), ""),
        None => {
            out.json("max_octets", ANY);
            out.text("\t max-octets wildcard");
        }
    }
}

/// Any priority, any number of bytes.
const ANY: i32 = -1;
const TM: u16 = 1;
const PARMS: u16 = 2;
const PRIORITY: u16 = 4;
const ENTRY_LIST: u16 = 5;
const BASE_TIME: u16 = 6;
const CYCLE_TIME: u16 = 7;
const CYCLE_TIME_EXT: u16 = 8;
const FLAGS: u16 = 9;
const CLOCKID: u16 = 10;
const ONE_ENTRY: u16 = 1;
const ENTRY_GATE: u16 = 2;
const ENTRY_INTERVAL: u16 = 3;
const ENTRY_IPV: u16 = 4;
const ENTRY_MAX_OCTETS: u16 = 5;

#[cfg(test)]
mod tests;
