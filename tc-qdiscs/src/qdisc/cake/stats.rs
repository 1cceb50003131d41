//! The counters of the qdisc, its tins and its flows.

use tc_core::rate::Rate;
use tc_core::{Attr, Attrs, DecodeError, TcType, Xstats};

/// The counters of the qdisc with its tins, or of one flow, which is shown as a class: `TCA_CAKE_STATS_*`.
///
/// A counter is `None` where the kernel did not send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CakeXstats {
    pub(super) numbers: [Option<u64>; STATS],
    pub(super) tins: Vec<CakeTin>,
}

/// The counters of a tin: `TCA_CAKE_TIN_STATS_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CakeTin(pub(super) [Option<u64>; TIN_STATS]);

pub(super) const CAPACITY_ESTIMATE64: usize = 2;
pub(super) const MEMORY_LIMIT: usize = 3;
pub(super) const MEMORY_USED: usize = 4;
pub(super) const AVG_NETOFF: usize = 5;
pub(super) const MIN_NETLEN: usize = 6;
pub(super) const MAX_NETLEN: usize = 7;
pub(super) const MIN_ADJLEN: usize = 8;
pub(super) const MAX_ADJLEN: usize = 9;
const TIN_STATS_NEST: usize = 10;
pub(super) const DEFICIT: usize = 11;
pub(super) const COBALT_COUNT: usize = 12;
pub(super) const DROPPING: usize = 13;
pub(super) const DROP_NEXT_US: usize = 14;
pub(super) const P_DROP: usize = 15;
pub(super) const BLUE_TIMER_US: usize = 16;
/// Since Linux 7.0.
pub(super) const ACTIVE_QUEUES: usize = 17;
const STATS: usize = ACTIVE_QUEUES + 1;

pub(super) const THRESHOLD_RATE64: usize = 12;
const TIN_STATS: usize = 26;
/// Numbers of 64 bits.
const WIDE: [usize; 5] = [3, 5, 7, 9, THRESHOLD_RATE64];

/// `TC_CAKE_MAX_TINS`.
const MOST_TINS: usize = 8;

/// Numbers of 32 bits by name.
macro_rules! numbers {
    ($($(#[$doc:meta])+ $name:ident = $kind:expr,)+) => {$(
        $(#[$doc])+
        pub fn $name(&self) -> Option<u32> {
            self.number($kind)
        }
    )+};
}

impl CakeXstats {
    /// The tins, the one of the lowest priority first. A flow has none.
    pub fn tins(&self) -> &[CakeTin] {
        &self.tins
    }

    /// The estimate of the arriving traffic (`autorate-ingress`).
    pub fn capacity_estimate(&self) -> Option<Rate> {
        self.numbers[CAPACITY_ESTIMATE64].map(Rate::bytes_per_second)
    }

    numbers! {
        /// The limit of memory, in bytes.
        memory_limit_bytes = MEMORY_LIMIT,
        /// Bytes of memory that packets took at most.
        memory_used_bytes = MEMORY_USED,
        /// The mean offset of the network header, in bytes.
        average_network_offset = AVG_NETOFF,
        /// The smallest packet that was seen, without link headers, in bytes.
        min_network_bytes = MIN_NETLEN,
        /// The largest packet that was seen, without link headers, in bytes.
        max_network_bytes = MAX_NETLEN,
        /// The smallest packet as it was counted, with overhead, in bytes.
        min_adjusted_bytes = MIN_ADJLEN,
        /// The largest packet as it was counted, with overhead, in bytes.
        max_adjusted_bytes = MAX_ADJLEN,
        /// Queues of a `cake_mq` that share the rate now. Since Linux 7.0.
        active_queues = ACTIVE_QUEUES,
        /// Of a flow: packets dropped or marked since dropping began.
        cobalt_count = COBALT_COUNT,
        /// Of a flow: the probability of drops by BLUE; `u32::MAX` is 1.
        blue_probability = P_DROP,
    }

    /// Of a flow: bytes that it may still send in its turn.
    pub fn deficit_bytes(&self) -> Option<i32> {
        self.number(DEFICIT).map(u32::cast_signed)
    }

    /// Of a flow: whether it is dropping.
    pub fn dropping(&self) -> Option<bool> {
        self.number(DROPPING).map(|dropping| dropping != 0)
    }

    /// Of a flow: microseconds until the next drop, while it is dropping.
    pub fn drop_next_us(&self) -> Option<i32> {
        self.number(DROP_NEXT_US).map(u32::cast_signed)
    }

    /// Of a flow: microseconds until BLUE changes its probability.
    pub fn blue_timer_us(&self) -> Option<i32> {
        self.number(BLUE_TIMER_US).map(u32::cast_signed)
    }

    /// Read from 32 bits, all but the estimate of capacity.
    pub(super) fn number(&self, kind: usize) -> Option<u32> {
        self.numbers[kind].map(|number| number as u32)
    }
}

impl CakeTin {
    /// The rate up to which the tin has priority.
    pub fn threshold_rate(&self) -> Option<Rate> {
        self.0[THRESHOLD_RATE64].map(Rate::bytes_per_second)
    }

    /// Bytes sent.
    pub fn sent_bytes(&self) -> Option<u64> {
        self.0[3]
    }

    numbers! {
        /// Packets sent.
        sent_packets = 2,
        /// Packets dropped.
        dropped_packets = 4,
        /// Acknowledgements dropped by the filter.
        acks_dropped_packets = 6,
        /// Packets marked instead of dropped.
        ecn_marked_packets = 8,
        /// Bytes in the tin.
        backlog_bytes = 11,
        /// The aim for the delay, in microseconds.
        target_us = 13,
        /// The interval of the control of delay, in microseconds.
        interval_us = 14,
        /// Packets whose flow was found in another place of its set.
        way_indirect_hits = 15,
        /// Packets that began a flow.
        way_misses = 16,
        /// Packets whose flow had to share a queue.
        way_collisions = 17,
        /// The delay of the slowest flows, in microseconds.
        peak_delay_us = 18,
        /// The mean delay, in microseconds.
        average_delay_us = 19,
        /// The delay of the fastest flows, in microseconds.
        base_delay_us = 20,
        /// Flows that send less than their share.
        sparse_flows = 21,
        /// Flows that send their share.
        bulk_flows = 22,
        /// Flows that do not respond to marks and drops.
        unresponsive_flows = 23,
        /// The largest packet, in bytes.
        max_packet_bytes = 24,
        /// Bytes that a flow may send in its turn.
        flow_quantum_bytes = 25,
    }

    fn number(&self, kind: usize) -> Option<u32> {
        self.0[kind].map(|number| number as u32)
    }
}

impl Xstats for CakeXstats {
    const OF: &'static [(TcType, &'static str)] = &[
        (TcType::Qdisc, "cake"),
        (TcType::Class, "cake"),
        (TcType::Qdisc, "cake_mq"),
        (TcType::Class, "cake_mq"),
    ];

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<STATS>()?;
        let mut numbers = [None; STATS];
        for (kind, (number, attr)) in numbers.iter_mut().zip(table).enumerate() {
            if kind != TIN_STATS_NEST {
                *number = attr.map(|attr| read(&attr, kind == CAPACITY_ESTIMATE64)).transpose()?;
            }
        }
        let mut tins = Vec::new();
        if let Some(nest) = table[TIN_STATS_NEST] {
            // Counted from 1, without gaps.
            for tin in nest.attrs().table::<{ MOST_TINS + 1 }>()?.into_iter().skip(1).map_while(|tin| tin) {
                tins.push(decode_tin(&tin)?);
            }
        }
        Ok(Self { numbers, tins })
    }
}

fn decode_tin(tin: &Attr<'_>) -> Result<CakeTin, DecodeError> {
    let mut numbers = [None; TIN_STATS];
    for (kind, (number, attr)) in numbers.iter_mut().zip(tin.attrs().table::<TIN_STATS>()?).enumerate() {
        *number = attr.map(|attr| read(&attr, WIDE.contains(&kind))).transpose()?;
    }
    Ok(CakeTin(numbers))
}

fn read(attr: &Attr<'_>, wide: bool) -> Result<u64, DecodeError> {
    // Padding between attributes has no payload.
    match attr.payload {
        [] => Ok(0),
        _ if wide => attr.u64(),
        _ => attr.u32().map(u64::from),
    }
}
