//! What a hold reports.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

/// What let the output go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Ended,
    Deadline,
    Signal(Signal),
    /// The queue was not trusted any more.
    Tainted(String),
}

/// What was held.
#[derive(Clone, Debug)]
pub(super) struct Report {
    dev: String,
    pub(super) why: Why,
    /// What was held when it was let go.
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
        let why = match &self.why {
            Why::Ended => "the command ended",
            Why::Deadline => "--max-hold was over",
            Why::Signal(Signal::TERM) => "SIGTERM came",
            Why::Signal(_) => "SIGINT came",
            Why::Tainted(why) => why,
        };
        if json {
            let object = json!({
                "dev": dev, "held_packets": held_packets, "held_bytes": held_bytes,
                "held_ms": u64::try_from(held_for.as_millis()).unwrap_or(u64::MAX),
                "dropped_packets": dropped_packets,
                "released": !matches!(self.why, Why::Tainted(_)), "reason": why, "status": status,
            });
            return format!("{object}\n");
        }
        let until =
            if matches!(self.why, Why::Tainted(_)) { "not released in order" } else { "released when" };
        format!(
            "plug hold: {dev}: held {held_packets} packets, {held_bytes} bytes for {:.3} s, dropped \
             {dropped_packets}; {until}: {why}\n",
            held_for.as_secs_f64()
        )
    }
}
