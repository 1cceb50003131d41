//! Netlink attributes: a borrowed walk to read them, a writer to make them.
//!
//! Numbers are in the machine's byte order, as the kernel writes them.

mod writer;

use crate::wire::error::DecodeError;
use crate::wire::uapi::{NLA_F_NESTED, NLA_TYPE_MASK};

pub use writer::{AttrWriter, Nest};

const HEADER: usize = 4;

/// Rounds up to the 4 bytes that netlink aligns to.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// One attribute, borrowed from its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// Type, without the two flag bits.
    pub kind: u16,
    /// Whether `NLA_F_NESTED` is set. Old code never sets it: do not rely on it.
    pub nested: bool,
    /// The bytes after the header, without padding.
    pub payload: &'a [u8],
}

macro_rules! getters {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("The payload as `", stringify!($type), "`; a longer payload is cut, a shorter one is an error.")]
        #[inline]
        pub fn $name(&self) -> Result<$type, DecodeError> {
            Reader::new(self.payload).$name().map_err(|e| e.at_attribute(self.kind))
        }
    )*};
}

impl<'a> Attr<'a> {
    getters!(u8: u8, u16: u16, u32: u32, u64: u64, i32: i32, i64: i64);

    /// The payload as text, up to its first NUL.
    #[inline]
    pub fn str(&self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.c_string())
            .map_err(|_| DecodeError::Malformed { what: "text" }.at_attribute(self.kind))
    }

    /// The payload up to its first NUL.
    #[inline]
    pub fn c_string(&self) -> &'a [u8] {
        let end = self.payload.iter().position(|b| *b == 0).unwrap_or(self.payload.len());
        &self.payload[..end]
    }

    /// The attributes inside this one.
    pub fn attrs(&self) -> Attrs<'a> {
        Attrs::new(self.payload)
    }

    /// A cursor over the payload, for a C struct.
    pub fn reader(&self) -> Reader<'a> {
        Reader::new(self.payload)
    }
}

/// A run of attributes: an iterator that borrows, allocates nothing, and ends
/// with one error where a length leads outside.
///
/// ```
/// use tc_core::Attrs;
///
/// let bytes = [8, 0, 1, 0, 42, 0, 0, 0];
/// let first = Attrs::new(&bytes).next().unwrap()?;
/// assert_eq!((first.kind, first.payload), (1, &bytes[4..]));
/// # Ok::<(), tc_core::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// The attributes in `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that are left to walk.
    pub const fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The attributes by type, as the kernel's `nla_parse` sorts them: the last
    /// of a type wins, types of `N` and above are passed over (a newer kernel
    /// may send them).
    #[inline]
    pub fn table<const N: usize>(self) -> Result<[Option<Attr<'a>>; N], DecodeError> {
        let mut table = [None; N];
        for attr in self {
            let attr = attr?;
            if let Some(slot) = table.get_mut(usize::from(attr.kind)) {
                *slot = Some(attr);
            }
        }
        Ok(table)
    }

    /// The last attribute of this type.
    #[inline]
    pub fn find(self, kind: u16) -> Result<Option<Attr<'a>>, DecodeError> {
        let mut found = None;
        for attr in self {
            let attr = attr?;
            if attr.kind == kind {
                found = Some(attr);
            }
        }
        Ok(found)
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Result<Attr<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        // Kernel: fewer bytes than a header at the end are passed over (nla_ok).
        let (header, _) = self.rest.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]);
        if length < HEADER || length > self.rest.len() {
            self.rest = &[];
            return Some(Err(DecodeError::Malformed { what: "attribute length" }));
        }
        let payload = &self.rest[HEADER..length];
        self.rest = self.rest.get(align(length)..).unwrap_or(&[]);
        Some(Ok(Attr { kind: kind & NLA_TYPE_MASK, nested: kind & NLA_F_NESTED != 0, payload }))
    }
}

/// Where the attributes of a message stand, by type: a small [`Attrs::table`],
/// for a message of which only a few attributes are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttrTable<'a, const N: usize> {
    bytes: &'a [u8],
    /// In steps of 4 bytes from the start, and one more; 0 if absent.
    places: [u16; N],
}

impl<'a, const N: usize> AttrTable<'a, N> {
    /// Sorts attributes as [`Attrs::table`] does.
    #[inline]
    pub(crate) fn new(attrs: Attrs<'a>) -> Result<Self, DecodeError> {
        let (bytes, mut places) = (attrs.rest, [0; N]);
        let mut walk = attrs;
        while !walk.rest.is_empty() {
            let place = (bytes.len() - walk.rest.len()) / HEADER + 1;
            let Some(attr) = walk.next() else { break };
            if let Some(slot) = places.get_mut(usize::from(attr?.kind)) {
                let Ok(place) = u16::try_from(place) else {
                    return Err(DecodeError::Malformed { what: "message: too long" });
                };
                *slot = place;
            }
        }
        Ok(Self { bytes, places })
    }

    #[inline]
    pub(crate) fn get(&self, kind: u16) -> Option<Attr<'a>> {
        let place = self.places.get(usize::from(kind))?.checked_sub(1)?;
        let rest = self.bytes.get(usize::from(place) * HEADER..)?;
        Attrs { rest }.next()?.ok()
    }

    pub(crate) const fn all(&self) -> Attrs<'a> {
        Attrs { rest: self.bytes }
    }
}

/// A cursor over a C struct. Bytes after the fields that are read are skipped,
/// because newer kernels lengthen structs.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

macro_rules! fields {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("The next field, `", stringify!($type), "` in the machine's byte order.")]
        #[inline]
        pub fn $name(&mut self) -> Result<$type, DecodeError> {
            Ok(<$type>::from_ne_bytes(self.array()?))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fields!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64);

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        // Not ok_or: it would make and drop an error each time.
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Short { need: N, have: self.rest.len() });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(n) else {
            return Err(DecodeError::Short { need: n, have: self.rest.len() });
        };
        self.rest = rest;
        Ok(head)
    }

    /// Passes over `n` bytes of padding.
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<(), DecodeError> {
        self.bytes(n).map(|_| ())
    }

    /// The unread rest.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// The first `N` bytes of a C struct that newer kernels have lengthened. Bytes
/// that an older kernel does not send are zero.
pub fn zero_extended<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    let length = bytes.len().min(N);
    all[..length].copy_from_slice(&bytes[..length]);
    all
}

#[cfg(test)]
mod tests;
