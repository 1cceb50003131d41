//! The counters, as `tc -s` shows them.

use tc_core::message::Entry;
use tc_core::print::{Printer, Rate, Size};
use tc_core::stats::Stats;
use tc_core::uapi::{TCA_STATS2, TCA_XSTATS};
use tc_core::{TcOps, TcType};

use super::{Show, Shown};

impl Show<'_> {
    /// The counters that all have, and those of the kind's own.
    pub(super) fn stats(
        &self,
        tc_type: TcType,
        ops: Option<&dyn TcOps>,
        entry: &Entry<'_>,
        shown: &mut Shown<'_>,
    ) {
        let own = match entry.stats() {
            Ok(stats) => {
                if let Some(stats) = &stats {
                    match entry.attr(TCA_STATS2) {
                        None if !shown.out.is_json() => print_old(stats, shown.out),
                        _ => stats.print(" ", shown.out),
                    }
                    end(tc_type, shown);
                }
                let old = || entry.attr(TCA_XSTATS).map(|attr| attr.payload);
                stats.and_then(|stats| stats.app).or_else(old)
            }
            Err(error) => {
                self.warn(tc_type, entry, "statistics", &error, shown);
                entry.xstats().ok().flatten()
            }
        };
        let (Some(ops), Some(payload)) = (ops, own) else { return };
        match Self::with_kind(shown, |out| ops.print_xstats(payload, out)) {
            Ok(false) => {}
            Ok(true) => end(tc_type, shown),
            Err(error) => self.warn(tc_type, entry, "statistics of the kind", &error, shown),
        }
    }
}

/// Prints counters of `TCA_STATS` alone, which a filter's own police has. tc writes this text into
/// JSON, too.
fn print_old(stats: &Stats<'_>, out: &mut Printer) {
    let (basic, queue) = (stats.basic.unwrap_or_default(), stats.queue.unwrap_or_default());
    out.text_item(" Sent ", basic.bytes, " bytes ");
    out.text_item("", basic.packets, " pkts ");
    out.text_item("(dropped ", queue.drops, ", ");
    out.text_item("overlimits ", queue.overlimits, ") ");
    let rate = stats.rate.unwrap_or_default();
    if (rate.bytes, rate.packets, queue.qlen, queue.backlog) == (0, 0, 0, 0) {
        return;
    }
    out.text("\n ");
    if (rate.bytes, rate.packets) != (0, 0) {
        out.text("rate ");
    }
    if rate.bytes != 0 {
        out.text_item("", Rate(rate.bytes), " ");
    }
    if rate.packets != 0 {
        out.text_item("", rate.packets, "pps ");
    }
    if (queue.qlen, queue.backlog) != (0, 0) {
        out.text("backlog ");
    }
    if queue.backlog != 0 {
        out.text_item("", Size(queue.backlog), " ");
    }
    if queue.qlen != 0 {
        out.text_item("", queue.qlen, "p ");
    }
}

/// Ends a line: that of a class as its first one.
fn end(tc_type: TcType, shown: &mut Shown<'_>) {
    match tc_type {
        TcType::Class => shown.out.text("\n"),
        _ => shown.out.newline(),
    }
}
