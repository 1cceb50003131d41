//! Output: tc prints percent and units in text, fractions and seconds in JSON.

use tc_core::print::{Float, Printer, Rate, Time, TimeNs};
use tc_core::units::us_from_ticks;
use tc_core::{DecodeError, Xstats};

use super::wire::{is_in_ticks, ticks};
use super::{Chance, LossModel, Netem, Share, Slot};
use crate::counters::counters;

pub(super) fn options(netem: &Netem, out: &mut Printer) {
    out.json("limit", netem.limit_packets);
    // As tc: with a sign.
    out.text_item("limit ", netem.limit_packets.cast_signed(), "");
    let correlations = netem.correlations.unwrap_or_default();
    if netem.delay_ns != 0 {
        out.object("delay", |out| {
            time("delay", " delay ", netem.delay_ns, out);
            if netem.jitter_ns == 0 {
                out.json("jitter", Float(0.0));
            } else {
                time("jitter", "  ", netem.jitter_ns, out);
            }
            let shown = netem.jitter_ns != 0 && correlations.delay != Share::NONE;
            correlation(shown, correlations.delay, out);
        });
    }
    if netem.loss != Share::NONE {
        out.object("loss-random", |out| {
            share("loss", " loss ", netem.loss, out);
            correlation(correlations.loss != Share::NONE, correlations.loss, out);
        });
    }
    match netem.loss_model {
        None => {}
        Some(LossModel::State { p13, p31, p32, p23, p14 }) => out.object("loss-state", |out| {
            share("p13", " loss state p13 ", p13, out);
            share("p31", " p31 ", p31, out);
            share("p32", " p32 ", p32, out);
            share("p23", " p23 ", p23, out);
            share("p14", " p14 ", p14, out);
        }),
        Some(LossModel::GilbertElliott { p, r, h, k1 }) => out.object("loss-gemodel", |out| {
            share("p", " loss gemodel p ", p, out);
            share("r", " r ", r, out);
            share("1-h", " 1-h ", h.rest(), out);
            share("1-k", " 1-k ", k1, out);
        }),
    }
    if netem.duplicate != Share::NONE {
        let of = correlations.duplicate;
        out.object("duplicate", |out| {
            share("duplicate", " duplicate ", netem.duplicate, out);
            correlation(of != Share::NONE, of, out);
        });
    }
    chance("reorder", " reorder ", netem.reorder, out);
    chance("corrupt", " corrupt ", netem.corrupt, out);
    rate(netem, out);
    if let Some(slot) = &netem.slot {
        out.object("slot", |out| print_slot(slot, out));
    }
    out.item_if("seed", " seed ", netem.seed, "");
    out.switch("ecn", netem.ecn, " ecn ");
    out.json("gap", netem.gap);
    if netem.gap != 0 {
        out.text_item(" gap ", netem.gap, "");
    }
}

counters! {
    /// The counters of the qdisc: `struct tc_netem_xstats`. Counters that an older
    /// kernel lacks are 0.
    pub struct NetemXstats(56) of Qdisc "netem" {
        /// Packets delayed.
        pub delayed: u64 = u64,
        /// Packets lost by chance.
        pub dropped: u64 = u64,
        /// Packets changed.
        pub corrupted: u64 = u64,
        /// Packets sent twice.
        pub duplicated: u64 = u64,
        /// Packets that passed by others.
        pub reordered: u64 = u64,
        /// Packets marked instead of lost.
        pub ecn_marked: u64 = u64,
        /// Packets not copied for lack of memory.
        pub allocation_errors: u64 = u64,
    }
}

pub(super) fn xstats(payload: &[u8], out: &mut Printer) -> Result<(), DecodeError> {
    let stats = NetemXstats::decode(payload)?;
    out.item("delayed", "  delayed ", stats.delayed, "");
    out.item("dropped", " dropped ", stats.dropped, "");
    out.item("corrupted", " corrupted ", stats.corrupted, "");
    out.item("duplicated", " duplicated ", stats.duplicated, "");
    out.item("reordered", " reordered ", stats.reordered, "");
    out.item("ecn_marked", " ecn_marked ", stats.ecn_marked, "");
    let failed = Some(stats.allocation_errors).filter(|number| *number != 0);
    out.item_if("alloc_errors", " alloc_errors ", failed, "");
    Ok(())
}

/// Text in percent, JSON as a fraction of one.
fn share(key: &str, before: &str, share: Share, out: &mut Printer) {
    let parts = f64::from(share.0);
    out.json(key, Float(parts / f64::from(u32::MAX)));
    out.text_item(before, Float(100.0 * parts / f64::from(u32::MAX)), "%");
}

fn correlation(shown: bool, of: Share, out: &mut Printer) {
    if shown || out.is_json() {
        share("correlation", " ", of, out);
    }
}

fn chance(key: &str, before: &str, chance: Option<Chance>, out: &mut Printer) {
    if let Some(Chance { probability, correlation: of }) = chance
        && probability != Share::NONE
    {
        out.object(key, |out| {
            share(key, before, probability, out);
            correlation(of != Share::NONE, of, out);
        });
    }
}

/// A delay or jitter. tc prints the ticks as whole microseconds; finer or longer
/// times are printed exactly.
fn time(key: &str, before: &str, ns: i64, out: &mut Printer) {
    let us = us_from_ticks(ticks(ns));
    if is_in_ticks(ns) {
        out.json(key, Float(f64::from(us) / 1e6));
        out.text_item(before, Time(us), "");
    } else {
        out.json(key, Float(ns as f64 / 1e9));
        out.text_item(before, TimeNs(ns), "");
    }
}

fn rate(netem: &Netem, out: &mut Printer) {
    let Some(rate) = netem.rate.filter(|rate| !rate.rate.is_zero()) else { return };
    out.object("rate", |out| {
        out.item("rate", " rate ", Rate(rate.rate.as_bytes_per_second()), "");
        not_zero("packetoverhead", " packetoverhead ", rate.packet_overhead, out);
        out.json("cellsize", rate.cell_size);
        if rate.cell_size != 0 {
            out.text_item(" cellsize ", rate.cell_size, "");
        }
        not_zero("celloverhead", " celloverhead ", rate.cell_overhead, out);
    });
}

fn print_slot(slot: &Slot, out: &mut Printer) {
    let mut time = |key, before, ns: i64| {
        // tc prints negative times as very large ones in JSON; none should be.
        out.json(key, Float(ns.cast_unsigned() as f64 / 1e9));
        out.text_item(before, TimeNs(ns), "");
    };
    if slot.distribution_jitter_ns > 0 {
        time("distribution", " slot distribution ", slot.distribution_delay_ns);
        time("jitter", " ", slot.distribution_jitter_ns);
    } else {
        time("min-delay", " slot ", slot.min_delay_ns);
        time("max-delay", " ", slot.max_delay_ns);
    }
    not_zero("packets", " packets ", slot.max_packets, out);
    not_zero("bytes", " bytes ", slot.max_bytes, out);
}

/// Prints text only for values other than 0.
fn not_zero(key: &str, before: &str, number: i32, out: &mut Printer) {
    out.json(key, number);
    if number != 0 {
        out.text_item(before, number, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::print::{Form, Style};

    fn text(netem: &Netem) -> String {
        let mut out = Printer::new(Form::Text, Style::default());
        options(netem, &mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn times_print_as_tc_prints_ticks_or_else_in_full() {
        for (ns, printed) in [
            (10_000_000, "limit 1000 delay 10ms"),
            (4_992, "limit 1000 delay 4us"),
            (5_000, "limit 1000 delay 5us"),
            (500, "limit 1000 delay 500ns"),
            (300_000_000_000, "limit 1000 delay 300s"),
        ] {
            assert_eq!(text(&Netem { delay_ns: ns, ..Netem::default() }), printed);
        }
    }

    #[test]
    fn newer_counters_print_as_newer_tc_prints_them() {
        let counters: Vec<u8> = (1u64..=7).flat_map(u64::to_ne_bytes).collect();
        let mut out = Printer::new(Form::Text, Style::default());
        xstats(&counters, &mut out).unwrap();
        let six = "  delayed 1 dropped 2 corrupted 3 duplicated 4 reordered 5 ecn_marked 6";
        assert_eq!(out.as_str(), format!("{six} alloc_errors 7"));
        out.clear();
        xstats(&counters[..48], &mut out).unwrap();
        assert_eq!(out.as_str(), six);
    }
}
