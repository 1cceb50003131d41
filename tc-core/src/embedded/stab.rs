//! The accounted length of packets (`TCA_STAB`).

use super::discipline::Refusal;
use super::policy::{Policy, parse_inside};
use crate::wire::attr::{Attr, Reader};
use crate::wire::uapi::*;

/// `struct tc_sizespec`.
const BASE_LEN: usize = 24;
/// `STAB_SIZE_LOG_MAX`.
const LARGEST_LOG: u8 = 30;

/// `struct qdisc_size_table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SizeTable {
    pub(super) base: [u8; BASE_LEN],
    slots: Vec<u16>,
    cell_log: u8,
    size_log: u8,
    cell_align: i16,
    overhead: i32,
}

impl SizeTable {
    /// `qdisc_get_stab`, for an attribute of the message with this payload.
    pub(super) fn decode(attr: &Attr<'_>, payload: &[u8]) -> Result<Self, Refusal> {
        let invalid = |text| Refusal::new(libc::EINVAL, text);
        let policy = |kind| if kind == TCA_STAB_BASE { Policy::Struct(BASE_LEN) } else { Policy::Any };
        let table = parse_inside::<3>(payload, attr.payload, policy)?;
        let base = table[usize::from(TCA_STAB_BASE)]
            .ok_or_else(|| invalid("Size table base attribute is missing"))?;
        let raw: [u8; BASE_LEN] = base.reader().array().map_err(|_| Refusal::errno(libc::ERANGE))?;
        let mut reader = Reader::new(&raw);
        let (cell_log, size_log) = (reader.u8().unwrap_or_default(), reader.u8().unwrap_or_default());
        let (cell_align, overhead) = (reader.i16().unwrap_or_default(), reader.i32().unwrap_or_default());
        let _linklayer_mpu_mtu = reader.skip(12);
        let tsize = reader.u32().unwrap_or_default();
        let data = table[usize::from(TCA_STAB_DATA)];
        let slots: Vec<u16> = match (tsize, data) {
            (0, _) => Vec::new(),
            (_, None) => return Err(invalid("Size table data attribute is missing")),
            (_, Some(data)) => {
                data.payload.chunks_exact(2).map(|slot| u16::from_ne_bytes([slot[0], slot[1]])).collect()
            }
        };
        if slots.len() != tsize as usize {
            return Err(invalid("Invalid size of size table"));
        }
        if size_log > LARGEST_LOG || cell_log > LARGEST_LOG {
            return Err(invalid("Invalid logarithmic size of size table"));
        }
        Ok(Self { base: raw, slots, cell_log, size_log, cell_align, overhead })
    }

    /// `__qdisc_calculate_pkt_len`.
    pub(super) fn counted_bytes(&self, length: u32) -> u32 {
        let length = i64::from(length) + i64::from(self.overhead);
        let Ok(tsize) = i64::try_from(self.slots.len()) else { return 1 };
        if tsize == 0 {
            return clamp(length);
        }
        let slot = (length + i64::from(self.cell_align)).max(0) >> self.cell_log;
        let size = |slot: i64| {
            usize::try_from(slot).ok().and_then(|slot| self.slots.get(slot)).copied().map_or(0, i64::from)
        };
        let cells = match slot < tsize {
            true => size(slot),
            false => size(tsize - 1) * (slot / tsize) + size(slot % tsize),
        };
        clamp(cells << self.size_log)
    }
}

/// At least one byte: a packet that counts as nothing would never use up its
/// share.
fn clamp(length: i64) -> u32 {
    u32::try_from(length.clamp(1, i64::from(i32::MAX))).unwrap_or(1)
}
