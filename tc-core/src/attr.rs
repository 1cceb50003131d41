//! Netlink attributes: a borrowed walk to read them, a writer to make them.
//!
//! Numbers are in the machine's byte order, as the kernel writes them.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError};
use crate::uapi::{NLA_F_NESTED, NLA_TYPE_MASK};

const HEADER: usize = 4;

/// Rounds up to the 4 bytes that netlink aligns to.
pub(crate) const fn align(len: usize) -> usize {
    (len + 3) & !3
}

/// One attribute, borrowed from the message that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr<'a> {
    /// Type, without the two flag bits.
    pub kind: u16,
    /// Whether `NLA_F_NESTED` is set. Old code never sets it: do not rely on it.
    pub nested: bool,
    /// What stands behind the header, without padding.
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
        let end = self.payload.iter().position(|b| *b == 0).unwrap_or(self.payload.len());
        std::str::from_utf8(&self.payload[..end])
            .map_err(|_| DecodeError::Malformed { what: "text" }.at_attribute(self.kind))
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
/// for a message that only a few attributes are read of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttrTable<'a, const N: usize> {
    bytes: &'a [u8],
    /// In steps of 4 bytes from the start, and one more; 0 where there is none.
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

/// A cursor over a C struct. What stands behind the fields that are read is
/// passed over, because newer kernels lengthen structs.
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

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// The first `N` bytes of a C struct that newer kernels have lengthened; what an
/// older one does not send is zero.
pub fn zero_extended<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    let length = bytes.len().min(N);
    all[..length].copy_from_slice(&bytes[..length]);
    all
}

/// Appends struct fields and attributes to a buffer.
///
/// Lengths and padding are its business: a nest repairs its own length when it
/// is dropped, and every byte of padding is written as zero, so that a used
/// buffer leaks nothing. What does not fit in an attribute's 16-bit length is
/// remembered and reported once, by [`AttrWriter::finish`]; the kinds need not
/// check.
///
/// ```
/// use bytes::BytesMut;
/// use tc_core::AttrWriter;
///
/// let mut buffer = BytesMut::new();
/// let mut out = AttrWriter::new(&mut buffer);
/// {
///     let mut nest = out.nest(2);
///     nest.attr_u32(1, 7);
/// }
/// out.finish()?;
/// assert_eq!(&buffer[..], [12, 0, 2, 0, 8, 0, 1, 0, 7, 0, 0, 0]);
/// # Ok::<(), tc_core::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct AttrWriter<'b> {
    buffer: &'b mut BytesMut,
    too_long: Option<u16>,
}

macro_rules! putters {
    ($($put:ident, $attr:ident: $type:ty),*) => {$(
        #[inline]
        #[doc = concat!("Appends a struct field, `", stringify!($type), "` in the machine's byte order.")]
        pub fn $put(&mut self, value: $type) {
            self.put(&value.to_ne_bytes());
        }

        #[doc = concat!("Appends an attribute that holds a `", stringify!($type), "`.")]
        pub fn $attr(&mut self, kind: u16, value: $type) {
            self.attr(kind, &value.to_ne_bytes());
        }
    )*};
}

impl<'b> AttrWriter<'b> {
    /// A writer that appends to `buffer`.
    pub fn new(buffer: &'b mut BytesMut) -> Self {
        Self { buffer, too_long: None }
    }

    putters!(put_u8, attr_u8: u8, put_i8, attr_i8: i8, put_u16, attr_u16: u16, put_i16, attr_i16: i16,
             put_u32, attr_u32: u32, put_i32, attr_i32: i32, put_u64, attr_u64: u64, put_i64, attr_i64: i64);

    /// Appends raw bytes: a C struct, or part of one.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends an attribute.
    pub fn attr(&mut self, kind: u16, payload: &[u8]) {
        self.attr_padded(kind, payload, payload.len());
    }

    /// Appends an attribute that holds a `u32`, if there is one.
    pub fn attr_u32_if(&mut self, kind: u16, value: Option<u32>) {
        if let Some(value) = value {
            self.attr_u32(kind, value);
        }
    }

    /// Appends an attribute that holds text and its NUL.
    pub fn attr_str(&mut self, kind: u16, text: &str) {
        self.attr_padded(kind, text.as_bytes(), text.len() + 1);
    }

    /// Appends an attribute of `length` bytes: `payload`, then zeros.
    fn attr_padded(&mut self, kind: u16, payload: &[u8], length: usize) {
        let end = self.buffer.len() + align(HEADER + length);
        let Ok(length) = u16::try_from(HEADER + length) else {
            self.too_long.get_or_insert(kind);
            return;
        };
        let ([a, b], [c, d]) = (length.to_ne_bytes(), kind.to_ne_bytes());
        self.put(&[a, b, c, d]);
        self.put(payload);
        self.buffer.resize(end, 0);
    }

    /// Appends an attribute without payload, a flag.
    pub fn attr_flag(&mut self, kind: u16) {
        self.attr(kind, &[]);
    }

    /// Starts an attribute that holds others, or a C struct and others. It ends
    /// when the returned guard is dropped. `NLA_F_NESTED` is set only if `kind`
    /// has it: `tc` leaves it out almost everywhere.
    pub fn nest(&mut self, kind: u16) -> Nest<'_, 'b> {
        let start = self.begin(kind);
        Nest { writer: self, start, cancelled: false }
    }

    /// Pads with zeros to netlink's 4 bytes: between a C struct and the
    /// attributes behind it.
    pub fn align(&mut self) {
        let length = self.buffer.len();
        self.buffer.resize(align(length), 0);
    }

    /// How many bytes stand in the buffer.
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    /// Ends the writing; an error if some attribute was too long.
    pub fn finish(self) -> Result<(), EncodeError> {
        match self.too_long {
            Some(attribute) => Err(EncodeError::TooLong { attribute: attribute & NLA_TYPE_MASK }),
            None => Ok(()),
        }
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.buffer.truncate(length);
    }

    pub(crate) fn begin(&mut self, kind: u16) -> usize {
        let start = self.buffer.len();
        let [a, b] = kind.to_ne_bytes();
        self.put(&[0, 0, a, b]);
        start
    }

    pub(crate) fn end(&mut self, start: usize) {
        let length = self.buffer.len() - start;
        match u16::try_from(length) {
            Ok(length) => self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => {
                let kind = u16::from_ne_bytes([self.buffer[start + 2], self.buffer[start + 3]]);
                self.too_long.get_or_insert(kind);
            }
        }
        // Attributes start on multiples of 4 from the start of the message,
        // which itself starts the buffer or follows an aligned message.
        let padding = align(length) - length;
        if padding != 0 {
            self.put(&[0; 3][..padding]);
        }
    }

    pub(crate) fn set_nested(&mut self, start: usize) {
        let kind = u16::from_ne_bytes([self.buffer[start + 2], self.buffer[start + 3]]) | NLA_F_NESTED;
        self.buffer[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
    }
}

/// An attribute under construction; see [`AttrWriter::nest`].
#[derive(Debug)]
pub struct Nest<'w, 'b> {
    writer: &'w mut AttrWriter<'b>,
    start: usize,
    cancelled: bool,
}

impl Nest<'_, '_> {
    /// Gives the attribute up: nothing of it is left in the buffer.
    pub fn cancel(mut self) {
        self.writer.truncate(self.start);
        self.cancelled = true;
    }
}

impl<'b> std::ops::Deref for Nest<'_, 'b> {
    type Target = AttrWriter<'b>;

    fn deref(&self) -> &AttrWriter<'b> {
        self.writer
    }
}

impl<'b> std::ops::DerefMut for Nest<'_, 'b> {
    fn deref_mut(&mut self) -> &mut AttrWriter<'b> {
        self.writer
    }
}

impl Drop for Nest<'_, '_> {
    fn drop(&mut self) {
        if !self.cancelled {
            self.writer.end(self.start);
        }
    }
}

#[cfg(test)]
mod tests;
