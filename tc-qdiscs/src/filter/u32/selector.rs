//! Keys, offsets, marks and counters.

use derive_setters::Setters;
use tc_core::{Attr, AttrWriter, DecodeError, EncodeError};

/// The packets that a filter is about, and the way to the next header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Selector {
    /// `TC_U32_TERMINAL`: the search ends at a match. Set with a class or actions.
    pub terminal: bool,
    /// The keys; all must match.
    pub keys: Vec<Key>,
    /// `TC_U32_OFFSET` and `off`: bytes to the next header.
    pub plus: Option<u16>,
    /// `TC_U32_VAROFFSET`: more bytes to the next header, read from the packet.
    pub offset: Option<Offset>,
    /// `TC_U32_EAT`: the keys in the linked table count from the next header.
    pub eat: bool,
    /// The bits of a word of the packet that select a bucket of the linked table.
    pub hash_mask: u32,
    /// The place of that word.
    pub hash_at: i16,
}

/// An offset that is read from the packet: 16 bits at a place, masked and
/// shifted right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Offset {
    /// The place, an even number.
    pub at: i16,
    /// The bits.
    pub mask: u16,
    /// Bits to shift by.
    pub shift: u8,
}

/// A word of the packet, compared under a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Key {
    /// The value, as a big-endian number.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
    /// The place, a multiple of 4; negative in the link-layer header.
    #[setters(skip)]
    pub at: i32,
    /// The bits of the offset to the next header that are added to the place: -1
    /// for `nexthdr+`.
    pub offset_mask: i32,
}

impl Key {
    /// A key that all packets match, at a place from the network header.
    pub const fn at(at: i32) -> Self {
        Self { value: 0, mask: 0, at, offset_mask: 0 }
    }

    /// A key that all packets match, at a place from the next header.
    pub const fn at_next_header(at: i32) -> Self {
        Self { offset_mask: -1, ..Self::at(at) }
    }
}

/// The mark of a packet (`struct tc_u32_mark`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Mark {
    /// The mark.
    pub value: u32,
    /// The bits that count; the value has no others.
    pub mask: u32,
    /// Packets that it matched (reported only).
    pub success: u32,
}

/// The counters of a filter (`struct tc_u32_pcnt`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Packets that came to the filter.
    pub hits: u64,
    /// Packets that it matched.
    pub success: u64,
    /// Packets that each key matched.
    pub keys: Vec<u64>,
}

impl Selector {
    /// The most keys of a filter.
    pub const MAX_KEYS: usize = 128;

    /// Adds a key, or merges it with one of that place, as `tc` does. `None` if
    /// both contradict each other, or there is no room.
    pub(super) fn add(&mut self, mut key: Key) -> Option<()> {
        key.value &= key.mask;
        let known = |known: &&mut Key| (known.at, known.offset_mask) == (key.at, key.offset_mask);
        if let Some(known) = self.keys.iter_mut().find(known) {
            if (key.value ^ known.value) & key.mask & known.mask != 0 {
                return None;
            }
            known.value |= key.value;
            known.mask |= key.mask;
            return Some(());
        }
        if self.keys.len() >= Self::MAX_KEYS || key.at % 4 != 0 {
            return None;
        }
        self.keys.push(key);
        Some(())
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let count = u8::try_from(self.keys.len()).ok().filter(|count| usize::from(*count) <= Self::MAX_KEYS);
        let count = count.ok_or_else(|| {
            EncodeError::Invalid(format!("u32: {} keys are more than {}", self.keys.len(), Self::MAX_KEYS))
        })?;
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let flags = flag(self.terminal, TERMINAL)
            | flag(self.plus.is_some(), OFFSET)
            | flag(self.offset.is_some(), VAROFFSET)
            | flag(self.eat, EAT);
        let offset = self.offset.unwrap_or_default();
        out.put(&[flags, offset.shift, count, 0]);
        out.put(&offset.mask.to_be_bytes());
        out.put_u16(self.plus.unwrap_or_default());
        out.put(&offset.at.to_ne_bytes());
        out.put(&self.hash_at.to_ne_bytes());
        out.put(&self.hash_mask.to_be_bytes());
        for key in &self.keys {
            out.put(&key.mask.to_be_bytes());
            out.put(&key.value.to_be_bytes());
            out.put_i32(key.at);
            out.put_i32(key.offset_mask);
        }
        Ok(())
    }

    pub(super) fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        Self::read(attr).map_err(|error| error.at_attribute(attr.kind))
    }

    fn read(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        let [flags, shift, count, _] = reader.array()?;
        let mask = u16::from_be_bytes(reader.array()?);
        let (plus, at, hash_at) = (reader.u16()?, reader.i16()?, reader.i16()?);
        let hash_mask = u32::from_be_bytes(reader.array()?);
        let mut keys = Vec::with_capacity(count.into());
        for _ in 0..count {
            let mask = u32::from_be_bytes(reader.array()?);
            let value = u32::from_be_bytes(reader.array()?);
            keys.push(Key { value, mask, at: reader.i32()?, offset_mask: reader.i32()? });
        }
        Ok(Self {
            terminal: flags & TERMINAL != 0,
            keys,
            plus: (flags & OFFSET != 0 || plus != 0).then_some(plus),
            offset: (flags & VAROFFSET != 0).then_some(Offset { at, mask, shift }),
            eat: flags & EAT != 0,
            hash_mask,
            hash_at,
        })
    }
}

impl Mark {
    pub(super) fn encode(self, out: &mut AttrWriter<'_>) {
        out.put_u32(self.value);
        out.put_u32(self.mask);
        out.put_u32(self.success);
    }

    pub(super) fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        let mut read = || Ok(Self { value: reader.u32()?, mask: reader.u32()?, success: reader.u32()? });
        read().map_err(|error: DecodeError| error.at_attribute(attr.kind))
    }
}

impl Counters {
    pub(super) fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        let first = reader.u64().and_then(|hits| Ok((hits, reader.u64()?)));
        let (hits, success) = first.map_err(|error| error.at_attribute(attr.kind))?;
        let mut keys = Vec::new();
        while let Ok(count) = reader.u64() {
            keys.push(count);
        }
        Ok(Self { hits, success, keys })
    }
}

const TERMINAL: u8 = 1;
const OFFSET: u8 = 2;
const VAROFFSET: u8 = 4;
const EAT: u8 = 8;
