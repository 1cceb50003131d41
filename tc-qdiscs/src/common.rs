//! What several kinds share.

use tc_core::{Attr, DecodeError};

/// For words where `tc` takes 0 for not given.
pub(crate) fn not_zero(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number != 0)
}

/// For words where `tc` takes the largest number for not given.
pub(crate) fn not_max(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number != u32::MAX)
}

/// A number from a table of attributes.
pub(crate) fn u32_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<u32>, DecodeError> {
    table[usize::from(kind)].map(|attr| attr.u32()).transpose()
}

/// A switch from a table of attributes: any number but 0 is on.
pub(crate) fn bool_at(table: &[Option<Attr<'_>>], kind: u16) -> Result<Option<bool>, DecodeError> {
    Ok(u32_at(table, kind)?.map(|number| number != 0))
}
