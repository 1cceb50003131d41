//! Writing attributes.

use bytes::BytesMut;

use super::{HEADER, align};
use crate::wire::error::EncodeError;
use crate::wire::uapi::{NLA_F_NESTED, NLA_TYPE_MASK};

/// Appends struct fields and attributes to a buffer.
///
/// A nest writes its length when it is dropped, and padding is zero. An attribute
/// that exceeds the 16-bit length, and text with a NUL inside, are reported once, by
/// [`AttrWriter::finish`], so that kinds need no checks.
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
    nul_inside: Option<u16>,
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
        Self { buffer, too_long: None, nul_inside: None }
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
        self.attr_c_string(kind, text.as_bytes());
    }

    /// Appends an attribute with text that need not be UTF-8, and a NUL.
    pub fn attr_c_string(&mut self, kind: u16, text: &[u8]) {
        // The kernel would read the text up to this NUL, and so another name.
        if text.contains(&0) {
            self.nul_inside.get_or_insert(kind);
        }
        self.attr_padded(kind, text, text.len() + 1);
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
    /// attributes that follow it.
    pub fn align(&mut self) {
        let length = self.buffer.len();
        self.buffer.resize(align(length), 0);
    }

    /// How many bytes stand in the buffer.
    pub fn position(&self) -> usize {
        self.buffer.len()
    }

    /// Ends the writing; an error if some attribute was too long, or some text had a NUL inside.
    pub fn finish(self) -> Result<(), EncodeError> {
        if let Some(attribute) = self.too_long {
            return Err(EncodeError::TooLong { attribute: attribute & NLA_TYPE_MASK });
        }
        match self.nul_inside {
            Some(attribute) => Err(EncodeError::NulInside { attribute: attribute & NLA_TYPE_MASK }),
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
    /// Removes the attribute from the buffer.
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
