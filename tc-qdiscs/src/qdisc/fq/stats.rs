//! Counters: `struct tc_fq_qd_stats`.

use tc_core::print::{Printer, TimeNs};
use tc_core::{DecodeError, Reader, zero_extended};

use super::BANDS;

/// Bytes of the struct up to and with the counters of bands, since Linux 6.7.
const WITH_BANDS: usize = 148;

/// Older kernels have a shorter struct.
pub(super) fn print(payload: &[u8], out: &mut Printer) -> Result<(), DecodeError> {
    let bytes: [u8; WITH_BANDS] = zero_extended(payload);
    let mut stats = Reader::new(&bytes);
    let (collected, high_priority, retransmitted) = (stats.u64()?, stats.u64()?, stats.u64()?);
    let (throttled, over_flow_limit, too_long) = (stats.u64()?, stats.u64()?, stats.u64()?);
    let (failed, next) = (stats.u64()?, stats.i64()?);
    let (flows, inactive, throttled_flows, latency) =
        (stats.u32()?, stats.u32()?, stats.u32()?, stats.u32()?);
    let (marks, horizon_drops, horizon_caps) = (stats.u64()?, stats.u64()?, stats.u64()?);
    let fast_path = stats.u64()?;
    let band_drops: [u64; BANDS] = [stats.u64()?, stats.u64()?, stats.u64()?];
    let band_packets: [u32; BANDS] = [stats.u32()?, stats.u32()?, stats.u32()?];
    let some = |number: u64| Some(number).filter(|number| *number != 0);

    out.item("flows", "  flows ", flows, "");
    out.item("inactive", " (inactive ", inactive, "");
    // tc -j has this key twice; readers take the second, the number of packets.
    out.text_item(" throttled ", throttled_flows, ")");
    if payload.len() >= WITH_BANDS {
        let keys = ["band0_pkts", "band1_pkts", "band2_pkts"];
        for (key, packets) in keys.into_iter().zip(band_packets) {
            print_band(key, packets.into(), out);
        }
    }
    if next > 0 {
        out.item("next_packet_delay", " next_packet_delay ", TimeNs(next), "");
    }
    out.newline();
    out.item("gc", "  gc ", collected, "");
    out.item("highprio", " highprio ", high_priority, "");
    out.item_if("fastpath", " fastpath ", some(fast_path), "");
    out.item_if("retrans", " retrans ", some(retransmitted), "");
    out.item("throttled", " throttled ", throttled, "");
    if latency != 0 {
        out.item("latency", " latency ", TimeNs(latency.into()), "");
    }
    out.item_if("ce_mark", " ce_mark ", some(marks), "");
    out.item_if("flows_plimit", " flows_plimit ", some(over_flow_limit), "");
    if [too_long, failed, horizon_drops, horizon_caps] != [0; 4] || band_drops != [0; BANDS] {
        out.newline();
        out.item_if("pkts_too_long", " pkts_too_long ", some(too_long), "");
        out.item_if("alloc_errors", " alloc_errors ", some(failed), "");
        out.item_if("horizon_drops", " horizon_drops ", some(horizon_drops), "");
        out.item_if("horizon_caps", "  horizon_caps ", some(horizon_caps), "");
        let keys = ["band0_drops", "band1_drops", "band2_drops"];
        for (key, drops) in keys.into_iter().zip(band_drops).filter(|(_, drops)| *drops != 0) {
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
