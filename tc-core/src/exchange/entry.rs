//! Objects kept in memory.

use bytes::Bytes;

use crate::wire::error::DecodeError;
use crate::wire::message::{Entry, Messages};

/// An object of a list, in its own memory.
#[derive(Clone, Debug)]
pub struct OwnedEntry {
    bytes: Bytes,
}

impl OwnedEntry {
    pub(crate) fn copy(message: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(message) }
    }

    /// The object.
    pub fn entry(&self) -> Result<Entry<'_>, DecodeError> {
        let missing = DecodeError::Missing { what: "message" };
        Entry::decode(&Messages::new(&self.bytes).next().ok_or(missing)??)
    }

    /// The netlink message, header included.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}
