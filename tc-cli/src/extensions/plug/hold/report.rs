//! The report of a hold.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::wait;

/// The event that ended the hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Ended,
    /// The command could not be started.
    NotStarted,
    /// The command runs, and its end cannot be waited for.
    NotWatched,
    Deadline,
    Signal(Signal),
    /// The queue is no longer trusted. The counters are then meaningless.
    Tainted {
        why: String,
        released: bool,
    },
}

/// The held packets.
#[derive(Clone, Debug)]
pub(super) struct Report {
    dev: String,
    pub(super) why: Why,
    /// The packets held at the release.
    pub(super) held_packets: u64,
    pub(super) held_bytes: u64,
    /// Packets that did not fit.
    pub(super) dropped_packets: u64,
    pub(super) held_for: Duration,
}

impl Report {
    pub(super) fn new(dev: &str) -> Self {
        let dev = dev.to_owned();
        Self {
            dev,
            why: Why::Ended,
            held_packets: 0,
            held_bytes: 0,
            dropped_packets: 0,
            held_for: Duration::ZERO,
        }
    }

    /// A line of text, or of JSON.
    pub(super) fn show(&self, json: bool, status: u8) -> String {
        let Self { dev, held_packets, held_bytes, dropped_packets, held_for, .. } = self;
        let (why, counted, released) = match &self.why {
            Why::Ended => ("the command ended".to_owned(), true, true),
            Why::NotStarted => ("the command could not be started".to_owned(), true, true),
            Why::NotWatched => ("the end of the command cannot be waited for".to_owned(), true, true),
            Why::Deadline => ("--max-hold was over".to_owned(), true, true),
            Why::Signal(signal) => (format!("{} came", wait::name(*signal)), true, true),
            Why::Tainted { why, released } => (why.clone(), false, *released),
        };
        if json {
            let known = |count: u64| counted.then_some(count);
            let object = json!({
                "dev": dev, "held_packets": known(*held_packets), "held_bytes": known(*held_bytes),
                "held_ms": u64::try_from(held_for.as_millis()).unwrap_or(u64::MAX),
                "dropped_packets": known(*dropped_packets),
                "released": released, "reason": why, "status": status,
            });
            return format!("{object}\n");
        }
        let seconds = held_for.as_secs_f64();
        if counted {
            format!(
                "plug hold: {dev}: held {held_packets} packets, {held_bytes} bytes for {seconds:.3} s, \
                 dropped {dropped_packets}; released when: {why}\n"
            )
        } else {
            format!(
                "plug hold: {dev}: held for {seconds:.3} s, packets not known; not released in order: {why}\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tainted_hold_reports_no_counts() {
        let why = Why::Tainted { why: "tainted: x; y".into(), released: false };
        let report =
            Report { why, held_packets: 3, held_for: Duration::from_millis(1500), ..Report::new("eth0") };
        assert_eq!(
            report.show(false, 1),
            "plug hold: eth0: held for 1.500 s, packets not known; not released in order: tainted: x; y\n"
        );
        let json: serde_json::Value = serde_json::from_str(&report.show(true, 1)).unwrap();
        assert!(json["held_packets"].is_null() && json["dropped_packets"].is_null(), "{json}");
        assert_eq!((&json["released"], &json["held_ms"]), (&false.into(), &1500.into()));
    }
}
