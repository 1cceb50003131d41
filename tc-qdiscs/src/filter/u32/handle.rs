//! Handles: table, bucket and node.

use tc_core::Handle;
use tc_core::units::parse_hex;

/// The first root table.
const ROOT: u32 = 0x800;

pub(super) const fn of(table: u32, bucket: u32, node: u32) -> Handle {
    Handle::from_raw(table << 20 | bucket << 12 | node)
}

/// The table, the bucket and the node.
pub(super) const fn parts(handle: Handle) -> (u32, u32, u32) {
    (handle.raw() >> 20, handle.raw() >> 12 & 0xff, handle.raw() & 0xfff)
}

/// The table of a handle.
pub(super) const fn table_of(handle: Handle) -> Handle {
    of(parts(handle).0, 0, 0)
}

/// Whether the kernel made the table of the handle, for a priority.
pub(super) const fn is_in_root(handle: Handle) -> bool {
    parts(handle).0 >= ROOT
}

/// Reads `2:5:7`, each part hexadecimal and at will, or the whole number after
/// `0x`.
pub(super) fn parse(text: &str) -> Option<Handle> {
    if !text.contains(':') {
        let digits = text.strip_prefix("0x")?;
        return parse_hex(digits).ok().map(Handle::from_raw);
    }
    let mut parts =
        text.splitn(3, ':').map(|part| if part.is_empty() { Some(0) } else { parse_hex(part).ok() });
    let mut part = |limit: u32| parts.next().unwrap_or(Some(0)).filter(|part| *part < limit);
    Some(of(part(0x1000)?, part(0x100)?, part(0x1000)?))
}

/// Writes a handle in a form that [`parse`] reads: `2:`, `2:5:7`, `::801`.
pub(super) fn write(handle: Handle) -> String {
    let part = |number: u32| if number == 0 { String::new() } else { format!("{number:x}") };
    match parts(handle) {
        (table, 0, 0) => format!("{}:", part(table)),
        (table, bucket, 0) => format!("{}:{bucket:x}:", part(table)),
        (table, bucket, node) => format!("{}:{}:{node:x}", part(table), part(bucket)),
    }
}
