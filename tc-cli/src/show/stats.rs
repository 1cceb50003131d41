//! The counters, as `tc -s` shows them.

use tc_core::message::Entry;
use tc_core::print::{Printer, Rate, Size};
use tc_core::stats::{Basic, Stats};
use tc_core::{TcOps, TcType};

use super::{Show, Shown};

impl Show<'_> {
    /// The counters that all have, with `prefix` at the start of each line.
    pub(super) fn stats(&self, tc_type: TcType, entry: &Entry<'_>, prefix: &str, shown: &mut Shown<'_>) {
        match entry.stats() {
            Ok(None) => {}
            Ok(Some(stats)) => {
                print(&stats, prefix, shown.out);
                match tc_type {
                    // As in the class's first line.
                    TcType::Class => shown.out.text("\n"),
                    _ => shown.out.newline(),
                }
            }
            Err(error) => self.odd(tc_type, entry, "statistics", &error, shown),
        }
    }

    /// The kind's own counters.
    pub(super) fn xstats(
        &self,
        tc_type: TcType,
        ops: Option<&dyn TcOps>,
        entry: &Entry<'_>,
        shown: &mut Shown<'_>,
    ) {
        // What spoils these was said for the counters before them.
        let (Some(ops), Ok(Some(payload))) = (ops, entry.xstats()) else { return };
        match Self::with_kind(shown, |out| ops.print_xstats(payload, out)) {
            Ok(false) => {}
            Ok(true) if tc_type == TcType::Class => shown.out.text("\n"),
            Ok(true) => shown.out.newline(),
            Err(error) => self.odd(tc_type, entry, "statistics of the kind", &error, shown),
        }
    }
}

/// Prints the counters, without a line end at the end.
pub(super) fn print(stats: &Stats<'_>, prefix: &str, out: &mut Printer) {
    if let Some(basic) = stats.basic {
        out.text(prefix);
        out.item("bytes", "Sent ", basic.bytes, " bytes");
        out.item("packets", " ", basic.packets, " pkt");
    }
    if let Some(queue) = stats.queue {
        out.item("drops", " (dropped ", queue.drops, "");
        out.item("overlimits", ", overlimits ", queue.overlimits, "");
        out.item("requeues", " requeues ", queue.requeues, ") ");
    }
    if let Some(hardware) = stats.basic_hw {
        print_hardware(stats.basic, hardware, prefix, out);
    }
    if let Some(rate) = stats.rate {
        out.text("\n");
        out.text(prefix);
        out.item("rate", "rate ", Rate(rate.bytes), "");
        out.item("pps", " ", rate.packets, "pps");
    }
    if let Some(queue) = stats.queue {
        if stats.rate.is_none() {
            out.newline();
        }
        out.text(prefix);
        out.item("backlog", "backlog ", Size(queue.backlog), "");
        out.item("qlen", " ", queue.qlen, "p");
        out.text_item(" requeues ", queue.requeues, "");
    }
}

fn print_hardware(all: Option<Basic>, hardware: Basic, prefix: &str, out: &mut Printer) {
    if hardware == Basic::default() {
        return;
    }
    if let Some(all) = all {
        let software = (all.bytes.checked_sub(hardware.bytes), all.packets.checked_sub(hardware.packets));
        if let (Some(bytes), Some(packets)) = software {
            out.newline();
            out.text(prefix);
            out.item("sw_bytes", "Sent software ", bytes, " bytes");
            out.item("sw_packets", " ", packets, " pkt");
        }
    }
    out.newline();
    out.text(prefix);
    out.item("hw_bytes", "Sent hardware ", hardware.bytes, " bytes");
    out.item("hw_packets", " ", hardware.packets, " pkt");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::print::{Form, Style};
    use tc_core::stats::{Queue, Rate};

    fn text(stats: &Stats<'_>) -> String {
        let mut out = Printer::new(Form::Text, Style::default());
        print(stats, " ", &mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn hardware_and_estimated_rates_have_lines_of_their_own() {
        let basic = |bytes, packets| Some(Basic { bytes, packets });
        let queue = Some(Queue { qlen: 1, backlog: 60, drops: 2, requeues: 3, overlimits: 4 });
        let mut stats = Stats { basic: basic(100, 10), queue, basic_hw: basic(40, 4), ..Stats::default() };
        assert_eq!(
            text(&stats),
            " Sent 100 bytes 10 pkt (dropped 2, overlimits 4 requeues 3) \n Sent software 60 bytes 6 pkt\n \
             Sent hardware 40 bytes 4 pkt\n backlog 60b 1p requeues 3"
        );
        stats.basic_hw = None;
        stats.rate = Some(Rate { bytes: 1000, packets: 7, wide: false });
        assert_eq!(
            text(&stats),
            " Sent 100 bytes 10 pkt (dropped 2, overlimits 4 requeues 3) \n rate 8Kbit 7pps backlog 60b 1p \
             requeues 3"
        );
    }
}
