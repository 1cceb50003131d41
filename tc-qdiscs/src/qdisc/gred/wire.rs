//! Bytes.

use tc_core::{Attr, AttrWriter, Attrs, DecodeError, Reader};

use super::{Counters, Gred, MAX_QUEUES, Marks, Queue, Setup, State};
use crate::common::u32_at;
use crate::qdisc::red::{Damping, Flags};

const PARMS: u16 = 1;
const STAB: u16 = 2;
const DPS: u16 = 3;
const MAX_P: u16 = 4;
const LIMIT: u16 = 5;
const VQ_LIST: u16 = 6;

const VQ_ENTRY: u16 = 1;

const VQ_DP: u16 = 2;
const VQ_STAT_BYTES: u16 = 3;
const VQ_STAT_PROB_DROP: u16 = 6;
const VQ_STAT_PROB_MARK: u16 = 7;
const VQ_STAT_FORCED_DROP: u16 = 8;
const VQ_STAT_FORCED_MARK: u16 = 9;
const VQ_STAT_PDROP: u16 = 10;
const VQ_STAT_OTHER: u16 = 11;
const VQ_FLAGS: u16 = 12;

pub(super) fn encode_setup(setup: &Setup, out: &mut AttrWriter<'_>) {
    {
        let mut nest = out.nest(DPS);
        nest.put_u32(setup.queues);
        nest.put_u32(setup.default_queue);
        nest.put(&[setup.grio.into(), setup.flags.raw() as u8, 0, 0]);
    }
    out.attr_u32_if(LIMIT, setup.limit_bytes);
}

pub(super) fn encode_queue(queue: &Queue, out: &mut AttrWriter<'_>) {
    {
        let mut nest = out.nest(PARMS);
        for number in [queue.limit_bytes, queue.min_bytes, queue.max_bytes, queue.queue] {
            nest.put_u32(number);
        }
        // Counters: backlog, qave, forced, early, other, pdrop.
        nest.put(&[0; 24]);
        nest.put(&[queue.average_log, queue.probability_log, queue.cell_log, queue.prio]);
        // packets, bytesin
        nest.put(&[0; 8]);
    }
    let computed = || queue.as_kept().damping(|packet| queue.curve(packet));
    if let Some(Damping(table)) = &queue.damping.or_else(computed) {
        out.attr(STAB, table);
    }
    out.attr_u32_if(MAX_P, queue.max_probability);
    if let Some(flags) = queue.flags {
        let mut list = out.nest(VQ_LIST);
        let mut entry = list.nest(VQ_ENTRY);
        entry.attr_u32(VQ_DP, queue.queue);
        entry.attr_u32(VQ_FLAGS, flags.raw());
    }
}

/// A setup has no parameters, a queue no setup, a dump has both.
pub(super) fn decode(payload: &[u8]) -> Result<Gred, DecodeError> {
    let table = Attrs::new(payload).table::<{ VQ_LIST as usize + 1 }>()?;
    let attr = |kind: u16| table[usize::from(kind)];
    match (attr(DPS), attr(PARMS)) {
        (Some(setup), None) => decode_setup(&setup, attr(LIMIT)).map(Gred::Setup),
        (Some(setup), Some(parms)) => {
            let setup = decode_setup(&setup, attr(LIMIT))?;
            let queues = decode_queues(&parms, attr(MAX_P), attr(VQ_LIST))?;
            Ok(Gred::State(Box::new(State { setup, queues })))
        }
        (None, Some(parms)) => {
            let (mut queue, _) = decode_queue(&mut parms.reader())?;
            queue.damping = attr(STAB).map(|attr| attr.reader().array()).transpose()?.map(Damping);
            queue.max_probability = u32_at(&table, MAX_P)?;
            if let Some(list) = attr(VQ_LIST) {
                let info = decode_infos(&list)?.get(queue.queue as usize).copied();
                queue.flags = info.and_then(|info| info.flags);
            }
            Ok(Gred::Queue(Box::new(queue)))
        }
        (None, None) => Err(DecodeError::Missing { what: "setup and parameters" }),
    }
}

fn decode_setup(attr: &Attr<'_>, limit: Option<Attr<'_>>) -> Result<Setup, DecodeError> {
    let mut reader = attr.reader();
    let (queues, default_queue) = (reader.u32()?, reader.u32()?);
    let [grio, flags, _, _] = reader.array()?;
    let limit_bytes = limit.map(|attr| attr.u32()).transpose()?;
    let flags = Flags::from_raw(flags.into());
    Ok(Setup { queues, default_queue, grio: grio != 0, flags, limit_bytes })
}

/// `struct tc_gred_qopt`, without the attributes beside it.
fn decode_queue(reader: &mut Reader<'_>) -> Result<(Queue, Counters), DecodeError> {
    let (limit_bytes, min_bytes, max_bytes, queue) =
        (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let (backlog_bytes, average_bytes, forced_drops) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (early_drops, other_drops, limit_drops) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let [average_log, probability_log, cell_log, prio] = reader.array()?;
    let (packets, bytes) = (reader.u32()?, reader.u32()?);
    let parameters = Queue {
        queue,
        prio,
        limit_bytes,
        min_bytes,
        max_bytes,
        average_log,
        probability_log,
        cell_log,
        damping: None,
        max_probability: None,
        flags: None,
    };
    let counters = Counters {
        average_bytes,
        backlog_bytes,
        forced_drops,
        early_drops,
        limit_drops,
        other_drops,
        marks: None,
        packets,
        bytes,
    };
    Ok((parameters, counters))
}

/// The kernel dumps all 16 places; unused ones have a number above.
fn decode_queues(
    parms: &Attr<'_>,
    max_p: Option<Attr<'_>>,
    list: Option<Attr<'_>>,
) -> Result<Vec<(Queue, Counters)>, DecodeError> {
    let mut reader = parms.reader();
    let mut probabilities = max_p.filter(|attr| attr.payload.len() >= 4 * MAX_QUEUES).map(|a| a.reader());
    let infos = list.map(|list| decode_infos(&list)).transpose()?;
    let mut queues = Vec::new();
    for place in 0..MAX_QUEUES {
        let (mut queue, mut counters) = decode_queue(&mut reader)?;
        queue.max_probability = probabilities.as_mut().map(Reader::u32).transpose()?;
        if queue.queue as usize >= MAX_QUEUES {
            continue;
        }
        if let Some(info) = infos.map(|infos| infos[place]) {
            queue.flags = info.flags;
            counters = Counters { packets: counters.packets, ..info.counters(&counters) };
        }
        queues.push((queue, counters));
    }
    Ok(queues)
}

/// The contents of `TCA_GRED_VQ_LIST` for a queue, besides its parameters.
#[derive(Clone, Copy, Debug, Default)]
struct Info {
    flags: Option<Flags>,
    bytes: u32,
    early_drops: u32,
    forced_drops: u32,
    limit_drops: u32,
    other_drops: u32,
    marks: Marks,
}

impl Info {
    /// Replaces the counters of the struct with these.
    fn counters(self, of_struct: &Counters) -> Counters {
        Counters {
            forced_drops: self.forced_drops,
            early_drops: self.early_drops,
            limit_drops: self.limit_drops,
            other_drops: self.other_drops,
            marks: Some(self.marks),
            bytes: self.bytes,
            ..*of_struct
        }
    }
}

fn decode_infos(list: &Attr<'_>) -> Result<[Info; MAX_QUEUES], DecodeError> {
    let mut infos = [Info::default(); MAX_QUEUES];
    for entry in list.attrs() {
        let entry = entry?;
        let table = entry.attrs().table::<{ VQ_FLAGS as usize + 1 }>()?;
        let Some(number) = u32_at(&table, VQ_DP)? else { continue };
        let Some(info) = infos.get_mut(number as usize).filter(|_| entry.kind == VQ_ENTRY) else { continue };
        let number = |kind| Ok(u32_at(&table, kind)?.unwrap_or(0));
        *info = Info {
            flags: u32_at(&table, VQ_FLAGS)?.map(Flags::from_raw),
            // 64 bits, of which tc prints the lower ones.
            bytes: table[usize::from(VQ_STAT_BYTES)].map_or(Ok(0), |attr| attr.u64())? as u32,
            early_drops: number(VQ_STAT_PROB_DROP)?,
            forced_drops: number(VQ_STAT_FORCED_DROP)?,
            limit_drops: number(VQ_STAT_PDROP)?,
            other_drops: number(VQ_STAT_OTHER)?,
            marks: Marks { forced: number(VQ_STAT_FORCED_MARK)?, early: number(VQ_STAT_PROB_MARK)? },
        };
    }
    Ok(infos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_setup_nor_parameters_is_an_error() {
        assert_eq!(decode(&[]), Err(DecodeError::Missing { what: "setup and parameters" }));
    }

    #[test]
    fn an_impossible_queue_number_is_skipped() {
        let mut buffer = bytes::BytesMut::new();
        {
            let mut out = AttrWriter::new(&mut buffer);
            encode_setup(&Setup::default(), &mut out);
            out.attr(PARMS, &[0xff; 52 * MAX_QUEUES]);
            let mut list = out.nest(VQ_LIST);
            list.nest(VQ_ENTRY).attr_u32(VQ_DP, 99);
        }
        let Ok(Gred::State(state)) = decode(&buffer) else { panic!("{buffer:?}") };
        assert!(state.queues.is_empty());
    }
}
