//! Objects kept in memory.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::wire::error::DecodeError;
use crate::wire::message::{Entry, Messages, begin_message, end_message};
use crate::wire::verb::TcType;

/// An object of a list, in its own memory.
///
/// ```
/// use tc_core::embedded::{Device, Kernel, Stored};
/// use tc_core::{Connection, Handle, OwnedEntry, Request};
///
/// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("tbf", Stored::new).build();
/// let mut tc = Connection::over(kernel.connect());
/// let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("tbf");
/// tc.add(&root)?;
/// let kept = OwnedEntry::of(&tc.get(&root)?);
/// tc.delete(&root)?;
/// assert_eq!(kept.entry()?.kind()?, "tbf");
/// # Ok::<(), tc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OwnedEntry {
    bytes: Bytes,
}

impl OwnedEntry {
    pub(crate) fn copy(message: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(message) }
    }

    /// Copies an entry, to keep it longer than the buffer that it is borrowed from.
    pub fn of(entry: &Entry<'_>) -> Self {
        let mut bytes = BytesMut::new();
        let start = begin_message(&mut bytes, entry.message_type, entry.flags, 0);
        match entry.tc_type() {
            TcType::Action => bytes.put_slice(&[entry.header.family, 0, 0, 0]),
            _ => entry.header.encode(&mut bytes),
        }
        bytes.put_slice(entry.attrs().bytes());
        end_message(&mut bytes, start);
        Self { bytes: bytes.freeze() }
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
