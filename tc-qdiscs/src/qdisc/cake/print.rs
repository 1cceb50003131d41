//! Output: options, and counters as a table with a column for each tin.

use tc_core::print::{Formatted, Hex0x, Printer, Rate, Size, Time};
use tc_core::rate::Rate as DataRate;
use tc_core::units::{PrintRate, PrintSize, PrintTime};

use super::stats::*;
use super::{AckFilter, Cake, Framing};
use crate::common::{in_us, not_zero};

pub(super) fn options(cake: &Cake, out: &mut Printer) {
    match cake.bandwidth {
        None => {}
        Some(DataRate::ZERO) => out.item("bandwidth", "bandwidth ", "unlimited", " "),
        Some(bandwidth) => out.item("bandwidth", "bandwidth ", Rate(bandwidth.as_bytes_per_second()), " "),
    }
    if cake.autorate_ingress == Some(true) {
        out.item("autorate", "", "autorate-ingress", " ");
    }
    if let Some(mode) = cake.diffserv {
        print_mode("diffserv", mode.name(), out);
    }
    if let Some(mode) = cake.flow_mode {
        print_mode("flowmode", mode.name(), out);
    }
    let switch = |key, on: Option<bool>, yes, no, out: &mut Printer| {
        out.switch(key, on == Some(true), yes);
        if on != Some(true) {
            out.text(no);
        }
    };
    switch("nat", cake.nat, "nat ", "nonat ", out);
    switch("wash", cake.wash, "wash ", "nowash ", out);
    switch("ingress", cake.ingress, "ingress ", "", out);
    let (filter, text) = match cake.ack_filter {
        Some(AckFilter::AGGRESSIVE) => ("aggressive", "ack-filter-aggressive "),
        Some(AckFilter::FILTER) => ("enabled", "ack-filter "),
        _ => ("disabled", "no-ack-filter "),
    };
    out.json("ack-filter", filter);
    out.text(text);
    switch("split_gso", cake.split_gso, "split-gso ", "no-split-gso ", out);
    let rtt = cake.rtt.map_or(0, in_us);
    out.json("rtt", rtt);
    if rtt != 0 {
        out.text_item("rtt ", Time(rtt), " ");
    }
    out.switch("raw", cake.raw, "raw ");
    match cake.framing.filter(|framing| matches!(*framing, Framing::ATM | Framing::PTM)) {
        Some(framing) => out.item_if("atm", "", framing.name(), " "),
        None if !cake.raw => out.item_if("atm", "", Framing::NONE.name(), " "),
        None => {}
    }
    out.item("overhead", "overhead ", cake.overhead.unwrap_or(0), " ");
    out.item_if("mpu", "mpu ", cake.mpu.and_then(not_zero), " ");
    out.item_if("memlimit", "memlimit ", cake.memory_limit_bytes.and_then(not_zero).map(Size), " ");
    let mark = cake.fwmark.unwrap_or(0);
    out.json("fwmark", Hex0x(mark.into()));
    if mark != 0 {
        out.text_item("fwmark ", Hex0x(mark.into()), " ");
    }
}

fn print_mode(key: &str, name: Option<&str>, out: &mut Printer) {
    match name {
        Some(name) => out.item(key, "", name, " "),
        None => {
            out.json(key, "unknown");
            out.text_item("(?", key, "?)");
        }
    }
}

/// How a row of the table is printed.
#[derive(Clone, Copy)]
enum Row {
    Rate,
    Time,
    Size,
    Number,
}

/// The table's rows, in the order of the text: number, text, type.
const ROWS: [(usize, &str, Row); 20] = [
    (THRESHOLD_RATE64, "  thresh  ", Row::Rate),
    (13, "  target  ", Row::Time),
    (14, "  interval", Row::Time),
    (18, "  pk_delay", Row::Time),
    (19, "  av_delay", Row::Time),
    (20, "  sp_delay", Row::Time),
    (11, "  backlog ", Row::Size),
    (2, "  pkts    ", Row::Number),
    (3, "  bytes   ", Row::Number),
    (15, "  way_inds", Row::Number),
    (16, "  way_miss", Row::Number),
    (17, "  way_cols", Row::Number),
    (4, "  drops   ", Row::Number),
    (8, "  marks   ", Row::Number),
    (6, "  ack_drop", Row::Number),
    (21, "  sp_flows", Row::Number),
    (22, "  bk_flows", Row::Number),
    (23, "  un_flows", Row::Number),
    (24, "  max_len ", Row::Number),
    (25, "  quantum ", Row::Number),
];

/// The keys of a tin in JSON.
const KEYS: [(usize, &str); 20] = [
    (THRESHOLD_RATE64, "threshold_rate"),
    (3, "sent_bytes"),
    (11, "backlog_bytes"),
    (13, "target_us"),
    (14, "interval_us"),
    (18, "peak_delay_us"),
    (19, "avg_delay_us"),
    (20, "base_delay_us"),
    (2, "sent_packets"),
    (15, "way_indirect_hits"),
    (16, "way_misses"),
    (17, "way_collisions"),
    (4, "drops"),
    (8, "ecn_mark"),
    (6, "ack_drops"),
    (21, "sparse_flows"),
    (22, "bulk_flows"),
    (23, "unresponsive_flows"),
    (24, "max_pkt_len"),
    (25, "flow_quantum"),
];

impl CakeXstats {
    pub(super) fn print(&self, out: &mut Printer) {
        let number = |kind: usize| self.number(kind);
        if let (Some(used), Some(limit)) = (number(MEMORY_USED), number(MEMORY_LIMIT)) {
            out.item("memory_used", " memory used: ", Size(used), "");
            out.item("memory_limit", " of ", Size(limit), "\n");
        }
        let capacity = self.numbers[CAPACITY_ESTIMATE64].map(Rate);
        out.item_if("capacity_estimate", " capacity estimate: ", capacity, "\n");
        for (kinds, keys, text, width) in [
            (
                [MIN_NETLEN, MAX_NETLEN],
                ["min_network_size", "max_network_size"],
                " min/max network layer size: ",
                12,
            ),
            (
                [MIN_ADJLEN, MAX_ADJLEN],
                ["min_adj_size", "max_adj_size"],
                " min/max overhead-adjusted size: ",
                8,
            ),
        ] {
            if let [Some(least), Some(most)] = kinds.map(number) {
                out.json(keys[0], least);
                out.json(keys[1], most);
                out.text_item(text, Formatted(format_args!("{least:width$} /{most:8}")), "\n");
            }
        }
        if let Some(queues) = number(ACTIVE_QUEUES) {
            out.json("active_queues", queues);
            out.text_item(" active queues: ", Formatted(format_args!("{queues:25}")), "\n");
        }
        if let Some(offset) = number(AVG_NETOFF) {
            out.json("avg_hdr_offset", offset);
            out.text_item(" average network hdr offset: ", Formatted(format_args!("{offset:12}")), "\n\n");
        }
        self.print_flow(out);
        if !self.tins.is_empty() {
            if out.is_json() { self.print_json_tins(out) } else { self.print_table(out) }
        }
    }

    /// The statistics of a class: a flow.
    fn print_flow(&self, out: &mut Printer) {
        out.item_if("deficit", "  deficit ", self.deficit_bytes(), "");
        out.item_if("count", " count ", self.cobalt_count(), "");
        if self.dropping() == Some(true) {
            out.flag("dropping", " dropping");
            match self.drop_next_us() {
                Some(next) if next < 0 => out.text_item(" drop_next -", Time(next.unsigned_abs()), ""),
                Some(next) => out.item("drop_next", " drop_next ", Time(next.unsigned_abs()), ""),
                None => {}
            }
        }
        if let Some(probability) = self.blue_probability() {
            out.item("blue_prob", " blue_prob ", probability, "");
            match self.blue_timer_us() {
                // tc prints the number as if it had no sign.
                Some(timer) if timer < 0 => out.text_item(" blue_timer -", Time(timer.cast_unsigned()), ""),
                Some(timer) => out.item("blue_timer", " blue_timer ", Time(timer.unsigned_abs()), ""),
                None => {}
            }
        }
    }

    fn print_json_tins(&self, out: &mut Printer) {
        out.array("tins", |out| {
            for tin in &self.tins {
                out.object("", |out| {
                    for (kind, key) in KEYS {
                        out.item_if(key, "", tin.0[kind], "");
                    }
                });
            }
        });
    }

    fn print_table(&self, out: &mut Printer) {
        match self.tins.len() {
            3 => out.text("                   Bulk  Best Effort        Voice\n"),
            4 => out.text("                   Bulk  Best Effort        Video        Voice\n"),
            count => {
                out.text("          ");
                for tin in 0..count {
                    out.text_item("        Tin ", tin, "");
                }
                out.newline();
            }
        }
        for (kind, text, row) in ROWS {
            // The first tin determines the rows.
            if self.tins.first().is_none_or(|tin| tin.0[kind].is_none()) {
                continue;
            }
            out.text(text);
            for tin in &self.tins {
                let number = tin.0[kind].unwrap_or(0);
                let text = match row {
                    Row::Rate => PrintRate { bytes: number, iec: out.style().iec }.to_string(),
                    Row::Time => PrintTime(number as u32).to_string(),
                    Row::Size => PrintSize(number & u64::from(u32::MAX)).to_string(),
                    Row::Number => number.to_string(),
                };
                out.text_item(" ", Formatted(format_args!("{text:>12}")), "");
            }
            out.newline();
        }
    }
}
