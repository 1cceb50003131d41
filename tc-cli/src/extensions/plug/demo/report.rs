//! The observations of the demonstration, as text on one screen and as JSON.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::Counters;

/// The observations of the demonstration.
#[derive(Clone, Debug)]
pub(super) struct Report {
    about: String,
    steps: Vec<Seen>,
    packets: Vec<Packet>,
}

#[derive(Clone, Debug)]
struct Seen {
    words: &'static str,
    at: Duration,
    out: Vec<String>,
    as_expected: bool,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Packet {
    name: String,
    sent: Duration,
    out: Option<Duration>,
}

impl Report {
    pub(super) fn new(about: String) -> Self {
        Self { about, steps: Vec::new(), packets: Vec::new() }
    }

    pub(super) fn sent(&mut self, name: &str, at: Duration) {
        self.packets.push(Packet { name: name.to_owned(), sent: at, out: None });
    }

    pub(super) fn came_out(&mut self, name: &str, at: Duration) {
        if let Some(packet) = self.packets.iter_mut().find(|packet| packet.name == name) {
            packet.out = Some(at);
        }
    }

    pub(super) fn step(
        &mut self,
        words: &'static str,
        at: Duration,
        out: Vec<String>,
        expected: &[&str],
        counters: Counters,
    ) {
        let as_expected = out == expected && counters.held_packets == self.waiting();
        self.steps.push(Seen { words, at, out, as_expected, counters });
    }

    /// Packets that were sent and did not come out yet.
    fn waiting(&self) -> u32 {
        self.packets.iter().filter(|packet| packet.out.is_none()).count() as u32
    }

    /// Whether every packet came out exactly when it had to, and the counters
    /// agree.
    pub(super) fn is_as_expected(&self) -> bool {
        self.steps.iter().all(|step| step.as_expected)
            && self.steps.last().is_some_and(|step| step.counters.dropped == 0)
    }

    /// The facts of the text, as JSON.
    pub(super) fn to_json(&self) -> Value {
        let steps: Vec<_> = self.steps.iter().map(Seen::to_json).collect();
        let packets: Vec<_> = self.packets.iter().map(Packet::to_json).collect();
        json!({ "on": self.about, "steps": steps, "packets": packets, "as_expected": self.is_as_expected() })
    }
}

fn ms(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl Seen {
    fn to_json(&self) -> Value {
        let Counters { sent_packets, sent_bytes, held_packets, held_bytes, dropped } = self.counters;
        json!({
            "at_ms": ms(self.at),
            "step": self.words,
            "came_out": self.out,
            "as_expected": self.as_expected,
            "statistics": {
                "packets": sent_packets, "bytes": sent_bytes,
                "qlen": held_packets, "backlog": held_bytes, "drops": dropped,
            },
        })
    }
}

impl Packet {
    fn to_json(&self) -> Value {
        json!({ "name": self.name, "sent_ms": ms(self.sent), "out_ms": self.out.map(ms) })
    }
}

/// Columns of the timeline.
const WIDTH: usize = 56;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plug on {}\n", self.about)?;
        writeln!(f, "{:>5}  {:<36} {:<13} came out", "ms", "step", "held")?;
        for step in &self.steps {
            let Counters { held_packets, held_bytes, .. } = step.counters;
            let held = format!("{held_packets} pkt, {held_bytes} B");
            let out = if step.out.is_empty() { "-".to_owned() } else { step.out.join(" ") };
            let wrong = if step.as_expected { "" } else { "   <- NOT AS IT SHOULD BE" };
            writeln!(f, "{:>5}  {:<36} {held:<13} {out}{wrong}", ms(step.at), step.words)?;
        }
        self.timeline(f)?;
        let end = self.steps.last().map(|step| step.counters).unwrap_or_default();
        let Counters { sent_packets, sent_bytes, held_packets, held_bytes, dropped } = end;
        writeln!(
            f,
            "\nSent {sent_bytes} bytes {sent_packets} pkt (dropped {dropped}), backlog {held_bytes}b {held_packets}p"
        )?;
        match self.is_as_expected() {
            true => writeln!(f, "Every epoch was held until its release, and came out whole and in order."),
            false => writeln!(f, "Something did not come out as it should: see the marked steps."),
        }
    }
}

impl Report {
    /// Each packet from when it was sent (`|`) to when it came out (`>`).
    fn timeline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.packets.iter().filter_map(|packet| packet.out).max().unwrap_or_default();
        let column =
            |time: Duration| (time.as_secs_f64() / end.as_secs_f64().max(1e-3) * (WIDTH - 1) as f64) as usize;
        writeln!(f, "\n       sent |=== held ===> came out")?;
        for packet in &self.packets {
            let from = column(packet.sent);
            let to = packet.out.map_or(WIDTH, column).max(from + 1);
            let tip =
                packet.out.map_or("  never".to_owned(), |out| format!("> {} ms", ms(out - packet.sent)));
            writeln!(f, "  {:>3}  {}|{}{tip}", packet.name, " ".repeat(from), "=".repeat(to - from - 1))?;
        }
        Ok(())
    }
}
