//! Counters as `tc` prints them.

use super::{Printer, Rate, Size};
use crate::wire::stats::{Basic, Stats};

impl Stats<'_> {
    /// Prints the counters of `TCA_STATS2`, each line after `before`, without the
    /// kind's extended statistics.
    pub fn print(&self, before: &str, out: &mut Printer) {
        if let Some(basic) = self.basic {
            out.text(before);
            out.item("bytes", "Sent ", basic.bytes, " bytes");
            out.item("packets", " ", basic.packets, " pkt");
        }
        if let Some(queue) = self.queue {
            out.item("drops", " (dropped ", queue.drops, "");
            out.item("overlimits", ", overlimits ", queue.overlimits, "");
            out.item("requeues", " requeues ", queue.requeues, ") ");
        }
        if let Some(hardware) = self.basic_hw.filter(|hardware| *hardware != Basic::default()) {
            self.print_hardware(hardware, before, out);
        }
        if let Some(rate) = self.rate {
            // As in tc, a line end also where one line was asked for.
            out.text("\n");
            out.text(before);
            out.item("rate", "rate ", Rate(rate.bytes), "");
            out.item("pps", " ", rate.packets, "pps");
        }
        if let Some(queue) = self.queue {
            if self.rate.is_none() {
                out.newline();
            }
            out.text(before);
            out.item("backlog", "backlog ", Size(queue.backlog), "");
            out.item("qlen", " ", queue.qlen, "p");
            out.text_item(" requeues ", queue.requeues, "");
        }
    }

    fn print_hardware(&self, hardware: Basic, before: &str, out: &mut Printer) {
        let rest = |all: Basic| {
            Some((all.bytes.checked_sub(hardware.bytes)?, all.packets.checked_sub(hardware.packets)?))
        };
        if let Some((bytes, packets)) = self.basic.and_then(rest) {
            out.newline();
            out.text(before);
            out.item("sw_bytes", "Sent software ", bytes, " bytes");
            out.item("sw_packets", " ", packets, " pkt");
        }
        out.newline();
        out.text(before);
        out.item("hw_bytes", "Sent hardware ", hardware.bytes, " bytes");
        out.item("hw_packets", " ", hardware.packets, " pkt");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::print::{Form, Style};
    use crate::wire::stats::{Queue, Rate};

    fn text(stats: &Stats<'_>) -> String {
        let mut out = Printer::new(Form::Text, Style::default());
        stats.print(" ", &mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn hardware_and_estimated_rates_have_their_lines() {
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
