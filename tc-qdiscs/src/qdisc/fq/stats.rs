//! Counters: `struct tc_fq_qd_stats`.

use tc_core::print::{Printer, TimeNs};
use tc_core::{DecodeError, Xstats};

use super::BANDS;
use crate::counters::counters;

/// Bytes of the struct up to and with the counters of bands, since Linux 6.7.
const WITH_BANDS: usize = 148;

counters! {
    /// The counters of the qdisc: `struct tc_fq_qd_stats`. Counters that an older kernel lacks are 0.
    pub struct FqXstats(148) of Qdisc "fq" {
        /// Idle flows whose memory was freed.
        pub gc_flows: u64 = u64,
        /// Packets that passed by the flows, by their priority. 0 since Linux 6.7.
        pub high_priority_packets: u64 = u64,
        /// Not counted any more: 0.
        pub tcp_retrans: u64 = u64,
        /// How often a flow had to wait because of its rate.
        pub throttled: u64 = u64,
        /// Packets dropped because their flow was full.
        pub flows_plimit: u64 = u64,
        /// Packets whose time to send takes longer than a second.
        pub packets_too_long: u64 = u64,
        /// Packets dropped for lack of memory.
        pub allocation_errors: u64 = u64,
        /// Nanoseconds until a waiting flow may send; 0 or less if none waits.
        pub time_next_delayed_flow_ns: i64 = i64,
        /// Flows in memory.
        pub flows: u32 = u32,
        /// Flows of them without packets.
        pub inactive_flows: u32 = u32,
        /// Flows of them that wait because of their rate.
        pub throttled_flows: u32 = u32,
        /// How late flows were woken, in nanoseconds, as a moving average.
        pub unthrottle_latency_ns: u32 = u32,
        /// Packets marked above `ce_threshold`.
        pub ce_mark: u64 = u64,
        /// Packets dropped because they were to leave beyond the horizon.
        pub horizon_drops: u64 = u64,
        /// Packets whose time was cut to the horizon.
        pub horizon_caps: u64 = u64,
        /// Packets that left at once. Since Linux 6.7.
        pub fastpath_packets: u64 = u64,
        /// Packets that each band dropped. Since Linux 6.7.
        pub band_drops: [u64; BANDS] = u64_of_bands,
        /// Packets in each band. Since Linux 6.7.
        pub band_packets: [u32; BANDS] = u32_of_bands,
    }
}

pub(super) fn print(payload: &[u8], out: &mut Printer) -> Result<(), DecodeError> {
    let stats = FqXstats::decode(payload)?;
    let some = |number: u64| Some(number).filter(|number| *number != 0);
    out.item("flows", "  flows ", stats.flows, "");
    out.item("inactive", " (inactive ", stats.inactive_flows, "");
    // tc -j has this key twice; readers take the second, the number of packets.
    out.text_item(" throttled ", stats.throttled_flows, ")");
    if payload.len() >= WITH_BANDS {
        let keys = ["band0_pkts", "band1_pkts", "band2_pkts"];
        for (key, packets) in keys.into_iter().zip(stats.band_packets) {
            print_band(key, packets.into(), out);
        }
    }
    if stats.time_next_delayed_flow_ns > 0 {
        out.item("next_packet_delay", " next_packet_delay ", TimeNs(stats.time_next_delayed_flow_ns), "");
    }
    out.newline();
    out.item("gc", "  gc ", stats.gc_flows, "");
    out.item("highprio", " highprio ", stats.high_priority_packets, "");
    out.item_if("fastpath", " fastpath ", some(stats.fastpath_packets), "");
    out.item_if("retrans", " retrans ", some(stats.tcp_retrans), "");
    out.item("throttled", " throttled ", stats.throttled, "");
    if stats.unthrottle_latency_ns != 0 {
        out.item("latency", " latency ", TimeNs(stats.unthrottle_latency_ns.into()), "");
    }
    out.item_if("ce_mark", " ce_mark ", some(stats.ce_mark), "");
    out.item_if("flows_plimit", " flows_plimit ", some(stats.flows_plimit), "");
    if [stats.packets_too_long, stats.allocation_errors, stats.horizon_drops, stats.horizon_caps] != [0; 4]
        || stats.band_drops != [0; BANDS]
    {
        out.newline();
        out.item_if("pkts_too_long", " pkts_too_long ", some(stats.packets_too_long), "");
        out.item_if("alloc_errors", " alloc_errors ", some(stats.allocation_errors), "");
        out.item_if("horizon_drops", " horizon_drops ", some(stats.horizon_drops), "");
        out.item_if("horizon_caps", "  horizon_caps ", some(stats.horizon_caps), "");
        let keys = ["band0_drops", "band1_drops", "band2_drops"];
        for (key, drops) in keys.into_iter().zip(stats.band_drops).filter(|(_, drops)| *drops != 0) {
            print_band(key, drops, out);
        }
    }
    Ok(())
}

fn print_band(key: &str, number: u64, out: &mut Printer) {
    out.text(" ");
    out.text(key);
    out.item(key, " ", number, "");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::print::{Form, Style};

    #[test]
    fn counters_of_bands_are_printed_if_present() {
        let text = |payload: &[u8]| {
            let mut out = Printer::new(Form::Text, Style::default());
            print(payload, &mut out).unwrap();
            out.as_str().to_owned()
        };
        let mut payload = [0; 152];
        // fastpath_packets, band_drops[1], band_pkt_count[2]
        (payload[104], payload[120], payload[144]) = (7, 8, 9);
        assert_eq!(
            text(&payload),
            "  flows 0 (inactive 0 throttled 0) band0_pkts 0 band1_pkts 0 band2_pkts 9\n  gc 0 highprio 0 \
             fastpath 7 throttled 0\n band1_drops 8"
        );
        assert_eq!(
            text(&payload[..104]),
            "  flows 0 (inactive 0 throttled 0)\n  gc 0 highprio 0 throttled 0"
        );
    }
}
