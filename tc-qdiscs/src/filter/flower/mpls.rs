//! Labels of MPLS.

use derive_setters::Setters;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::{Attr, AttrWriter, Attrs, DecodeError};

/// An entry of the stack of MPLS labels; `None` stands for any value.
///
/// ```
/// use tc_qdiscs::filter::flower::MplsLse;
///
/// assert_eq!(MplsLse::at(1).label(16).bos(1).label, Some(16));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct MplsLse {
    /// The place in the stack: 1, the outer one, to 7. Those from 2 on since Linux 5.8.
    pub depth: u8,
    /// The label, of 20 bits.
    pub label: Option<u32>,
    /// The traffic class, of 3 bits.
    pub tc: Option<u8>,
    /// Whether the entry is the last of the stack: 0 or 1.
    pub bos: Option<u8>,
    /// The time to live.
    pub ttl: Option<u8>,
}

impl MplsLse {
    /// Any entry at this place of the stack.
    pub const fn at(depth: u8) -> Self {
        Self { depth, label: None, tc: None, bos: None, ttl: None }
    }

    const fn has_fields(&self) -> bool {
        self.label.is_some() || self.tc.is_some() || self.bos.is_some() || self.ttl.is_some()
    }
}

/// The fields of the outer label, if the attributes that Linux had before 5.8 can hold the
/// entries: the kernel dumps those attributes then.
pub(super) fn outer(entries: &[MplsLse]) -> Option<MplsLse> {
    match entries {
        [entry] if entry.depth == 1 && entry.has_fields() => Some(*entry),
        _ => None,
    }
}

/// The entries as the kernel has them: one for each depth, in their order.
pub(super) fn merge(entries: &[MplsLse]) -> Vec<MplsLse> {
    let mut merged: Vec<MplsLse> = Vec::new();
    for entry in entries {
        match merged.iter_mut().find(|other| other.depth == entry.depth) {
            Some(other) => {
                other.label = entry.label.or(other.label);
                other.tc = entry.tc.or(other.tc);
                other.bos = entry.bos.or(other.bos);
                other.ttl = entry.ttl.or(other.ttl);
            }
            None => merged.push(*entry),
        }
    }
    merged.sort_by_key(|entry| entry.depth);
    merged
}

pub(super) fn encode(entries: &[MplsLse], out: &mut AttrWriter<'_>) {
    let put = |kind: u16, value: Option<u8>, out: &mut AttrWriter<'_>| {
        if let Some(value) = value {
            out.attr_u8(kind, value);
        }
    };
    if let Some(entry) = outer(entries) {
        out.attr_u32_if(LABEL, entry.label);
        put(TC, entry.tc, out);
        put(BOS, entry.bos, out);
        put(TTL, entry.ttl, out);
    } else if !entries.is_empty() {
        let mut list = out.nest(OPTS | NLA_F_NESTED);
        for entry in entries {
            let mut lse = list.nest(OPTS_LSE | NLA_F_NESTED);
            lse.attr_u8(LSE_DEPTH, entry.depth);
            lse.attr_u32_if(LSE_LABEL, entry.label);
            put(LSE_TC, entry.tc, &mut lse);
            put(LSE_BOS, entry.bos, &mut lse);
            put(LSE_TTL, entry.ttl, &mut lse);
        }
    }
}

pub(super) fn decode(table: &[Option<Attr<'_>>]) -> Result<Vec<MplsLse>, DecodeError> {
    let attr = |kind: u16| table[usize::from(kind)];
    let byte = |kind: u16| attr(kind).map(|attr| attr.u8()).transpose();
    if let Some(list) = attr(OPTS) {
        return list.attrs().map(|attr| decode_entry(attr?.attrs())).collect();
    }
    let label = attr(LABEL).map(|attr| attr.u32()).transpose()?;
    let outer = MplsLse { depth: 1, label, tc: byte(TC)?, bos: byte(BOS)?, ttl: byte(TTL)? };
    Ok(if outer.has_fields() { vec![outer] } else { Vec::new() })
}

fn decode_entry(attrs: Attrs<'_>) -> Result<MplsLse, DecodeError> {
    let table = attrs.table::<{ LSE_LABEL as usize + 1 }>()?;
    let attr = |kind: u16| table[usize::from(kind)];
    let byte = |kind: u16| attr(kind).map(|attr| attr.u8()).transpose();
    Ok(MplsLse {
        depth: byte(LSE_DEPTH)?.ok_or(DecodeError::Missing { what: "depth of the MPLS label" })?,
        label: attr(LSE_LABEL).map(|attr| attr.u32()).transpose()?,
        tc: byte(LSE_TC)?,
        bos: byte(LSE_BOS)?,
        ttl: byte(LSE_TTL)?,
    })
}

const TTL: u16 = 67;
const BOS: u16 = 68;
const TC: u16 = 69;
const LABEL: u16 = 70;
const OPTS: u16 = 99;
const OPTS_LSE: u16 = 1;
const LSE_DEPTH: u16 = 1;
const LSE_TTL: u16 = 2;
const LSE_BOS: u16 = 3;
const LSE_TC: u16 = 4;
const LSE_LABEL: u16 = 5;
