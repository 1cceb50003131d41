//! Bytes: `struct tc_netem_qopt` and the attributes that follow it.

use tc_core::rate::Rate;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::units::TICK_NS;
use tc_core::{Attr, AttrWriter, Attrs, DecodeError, Reader};

use super::{Chance, Correlations, LossModel, Netem, NetemRate, Share, Slot};

const CORR: u16 = 1;
const DELAY_DIST: u16 = 2;
const REORDER: u16 = 3;
const CORRUPT: u16 = 4;
const LOSS: u16 = 5;
const RATE: u16 = 6;
const ECN: u16 = 7;
const RATE64: u16 = 8;
const LATENCY64: u16 = 10;
const JITTER64: u16 = 11;
const SLOT: u16 = 12;
const SLOT_DIST: u16 = 13;
const PRNG_SEED: u16 = 14;

const LOSS_GI: u16 = 1;
const LOSS_GE: u16 = 2;

/// Writes in tc's order.
pub(super) fn encode(netem: &Netem, out: &mut AttrWriter<'_>) {
    out.put_u32(ticks(netem.delay_ns));
    out.put_u32(netem.limit_packets);
    out.put_u32(netem.loss.0);
    out.put_u32(netem.gap);
    out.put_u32(netem.duplicate.0);
    out.put_u32(ticks(netem.jitter_ns));
    if !is_in_ticks(netem.delay_ns) {
        out.attr_i64(LATENCY64, netem.delay_ns);
    }
    if !is_in_ticks(netem.jitter_ns) {
        out.attr_i64(JITTER64, netem.jitter_ns);
    }
    if let Some(Correlations { delay, loss, duplicate }) = netem.correlations {
        put_shares(CORR, &[delay, loss, duplicate], out);
    }
    if let Some(Chance { probability, correlation }) = netem.reorder {
        put_shares(REORDER, &[probability, correlation], out);
    }
    if netem.ecn {
        out.attr_u32(ECN, 1);
    }
    if let Some(Chance { probability, correlation }) = netem.corrupt {
        put_shares(CORRUPT, &[probability, correlation], out);
    }
    if let Some(slot) = &netem.slot {
        let mut nest = out.nest(SLOT);
        nest.put_i64(slot.min_delay_ns);
        nest.put_i64(slot.max_delay_ns);
        nest.put_i32(slot.max_packets);
        nest.put_i32(slot.max_bytes);
        nest.put_i64(slot.distribution_delay_ns);
        nest.put_i64(slot.distribution_jitter_ns);
    }
    if let Some(model) = netem.loss_model {
        let mut nest = out.nest(LOSS | NLA_F_NESTED);
        match model {
            LossModel::State { p13, p31, p32, p23, p14 } => {
                put_shares(LOSS_GI, &[p13, p31, p32, p14, p23], &mut nest);
            }
            LossModel::GilbertElliott { p, r, h, k1 } => put_shares(LOSS_GE, &[p, r, h, k1], &mut nest),
        }
    }
    if let Some(rate) = netem.rate {
        let narrow = u32::try_from(rate.rate.as_bytes_per_second());
        if narrow.is_err() {
            out.attr_u64(RATE64, rate.rate.as_bytes_per_second());
        }
        let mut nest = out.nest(RATE);
        nest.put_u32(narrow.unwrap_or(u32::MAX));
        nest.put_i32(rate.packet_overhead);
        nest.put_u32(rate.cell_size);
        nest.put_i32(rate.cell_overhead);
    }
    if let Some(seed) = netem.seed {
        out.attr_u64(PRNG_SEED, seed);
    }
    put_table(DELAY_DIST, &netem.distribution, out);
    put_table(SLOT_DIST, &netem.slot_distribution, out);
}

pub(super) fn decode(payload: &[u8]) -> Result<Netem, DecodeError> {
    let mut reader = Reader::new(payload);
    let (latency, limit_packets, loss) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (gap, duplicate, jitter) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let table = Attrs::new(reader.rest()).table::<{ PRNG_SEED as usize + 1 }>()?;
    let attr = |kind: u16| table[usize::from(kind)];
    let wide = |kind, ticks: u32| {
        let ns = i64::from(ticks) * i64::from(TICK_NS);
        attr(kind).map_or(Ok(ns), |attr| attr.i64())
    };
    let chance = |kind| attr(kind).map(|attr| get_shares(&attr)).transpose();
    let correlations = attr(CORR).map(|attr| get_shares::<3>(&attr)).transpose()?;
    Ok(Netem {
        limit_packets,
        delay_ns: wide(LATENCY64, latency)?,
        jitter_ns: wide(JITTER64, jitter)?,
        distribution: get_table(attr(DELAY_DIST)),
        loss: Share(loss),
        loss_model: attr(LOSS).map_or(Ok(None), |attr| get_loss_model(&attr))?,
        duplicate: Share(duplicate),
        correlations: correlations.map(|[delay, loss, duplicate]| Correlations { delay, loss, duplicate }),
        reorder: chance(REORDER)?.map(|[probability, correlation]| Chance { probability, correlation }),
        gap,
        corrupt: chance(CORRUPT)?.map(|[probability, correlation]| Chance { probability, correlation }),
        rate: attr(RATE).map(|rate| get_rate(&rate, attr(RATE64))).transpose()?,
        ecn: attr(ECN).map_or(Ok(0), |attr| attr.u32())? != 0,
        slot: attr(SLOT).map(|attr| get_slot(&attr)).transpose()?,
        slot_distribution: get_table(attr(SLOT_DIST)),
        seed: attr(PRNG_SEED).map(|attr| attr.u64()).transpose()?,
    })
}

/// Whole ticks for a time, at most 32 bits.
pub(super) fn ticks(ns: i64) -> u32 {
    u32::try_from(ns.max(0) / i64::from(TICK_NS)).unwrap_or(u32::MAX)
}

/// Whether ticks represent a time exactly.
pub(super) fn is_in_ticks(ns: i64) -> bool {
    in_ticks(ns) == ns && ticks(ns) < u32::MAX
}

/// The time that whole ticks make of it.
pub(super) fn in_ticks(ns: i64) -> i64 {
    i64::from(ticks(ns)) * i64::from(TICK_NS)
}

fn put_shares(kind: u16, shares: &[Share], out: &mut AttrWriter<'_>) {
    let mut nest = out.nest(kind);
    for share in shares {
        nest.put_u32(share.0);
    }
}

fn get_shares<const N: usize>(attr: &Attr<'_>) -> Result<[Share; N], DecodeError> {
    let mut shares = [Share::NONE; N];
    let mut reader = attr.reader();
    for share in &mut shares {
        *share = Share(reader.u32().map_err(|error| error.at_attribute(attr.kind))?);
    }
    Ok(shares)
}

fn put_table(kind: u16, table: &[i16], out: &mut AttrWriter<'_>) {
    if !table.is_empty() {
        let bytes: Vec<u8> = table.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        out.attr(kind, &bytes);
    }
}

fn get_table(attr: Option<Attr<'_>>) -> Vec<i16> {
    let (samples, _) = attr.map_or(&[][..], |attr| attr.payload).as_chunks::<2>();
    samples.iter().map(|bytes| i16::from_ne_bytes(*bytes)).collect()
}

fn get_loss_model(attr: &Attr<'_>) -> Result<Option<LossModel>, DecodeError> {
    let table = attr.attrs().table::<{ LOSS_GE as usize + 1 }>()?;
    if let Some(attr) = table[usize::from(LOSS_GI)] {
        let [p13, p31, p32, p14, p23] = get_shares(&attr)?;
        return Ok(Some(LossModel::State { p13, p31, p32, p23, p14 }));
    }
    let Some(attr) = table[usize::from(LOSS_GE)] else { return Ok(None) };
    let [p, r, h, k1] = get_shares(&attr)?;
    Ok(Some(LossModel::GilbertElliott { p, r, h, k1 }))
}

fn get_rate(attr: &Attr<'_>, wide: Option<Attr<'_>>) -> Result<NetemRate, DecodeError> {
    let mut reader = attr.reader();
    let narrow = u64::from(reader.u32()?);
    Ok(NetemRate {
        rate: Rate::bytes_per_second(wide.map(|attr| attr.u64()).transpose()?.unwrap_or(narrow)),
        packet_overhead: reader.i32()?,
        cell_size: reader.u32()?,
        cell_overhead: reader.i32()?,
    })
}

fn get_slot(attr: &Attr<'_>) -> Result<Slot, DecodeError> {
    let mut reader = attr.reader();
    Ok(Slot {
        min_delay_ns: reader.i64()?,
        max_delay_ns: reader.i64()?,
        max_packets: reader.i32()?,
        max_bytes: reader.i32()?,
        distribution_delay_ns: reader.i64()?,
        distribution_jitter_ns: reader.i64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn bytes(netem: &Netem) -> BytesMut {
        let mut buffer = BytesMut::new();
        encode(netem, &mut AttrWriter::new(&mut buffer));
        buffer
    }

    #[test]
    fn a_time_that_is_not_whole_ticks_is_sent_in_full() {
        let fine = Netem { delay_ns: 5_000, jitter_ns: 30, ..Netem::default() };
        let sent = bytes(&fine);
        assert_eq!(&sent[..4], 78u32.to_ne_bytes());
        assert_eq!(sent.len(), 24 + 12 + 12);
        assert_eq!(decode(&sent), Ok(fine.clone()));
        let coarse = Netem { delay_ns: 78 * 64, ..Netem::default() };
        assert_eq!(bytes(&coarse).len(), 24);
        let long = Netem { delay_ns: 300_000_000_000, ..Netem::default() };
        assert_eq!(decode(&bytes(&long)), Ok(long));
    }

    #[test]
    fn a_rate_above_32_bits_stands_beside_the_struct() {
        let fast = Rate::bytes_per_second(5_000_000_000);
        let rate = NetemRate { rate: fast, packet_overhead: -4, ..NetemRate::default() };
        let netem = Netem { rate: Some(rate), ..Netem::default() };
        assert_eq!(decode(&bytes(&netem)), Ok(netem));
    }

    #[test]
    fn short_bytes_are_an_error() {
        assert!(decode(&[0; 23]).is_err());
        let mut short = bytes(&Netem::default());
        AttrWriter::new(&mut short).attr(REORDER, &[0; 7]);
        assert!(decode(&short).is_err());
    }
}
