//! One ematch of any type.

use std::any::Any;
use std::fmt;

use bytes::Bytes;

use super::{Ematch, registry};
use crate::wire::attr::AttrWriter;
use crate::wire::device::DeviceNames;
use crate::wire::error::EncodeError;

/// An ematch of any type, or the bytes of one that the program does not know.
#[derive(Debug)]
pub struct AnyEmatch(Inner);

#[derive(Debug)]
enum Inner {
    Known(Box<dyn Value>),
    Raw(RawEmatch),
}

/// The bytes of an ematch that the program does not know, or cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawEmatch {
    /// The number that the kernel knows the ematch by.
    pub kind: u16,
    /// `TCF_EM_SIMPLE`: the kernel keeps the data as a number.
    pub simple: bool,
    /// The data after `struct tcf_ematch_hdr`.
    pub data: Bytes,
}

impl RawEmatch {
    /// An ematch by its number, with the data after `struct tcf_ematch_hdr`. The kernel finds no ematch 0:
    /// that number is a group's.
    pub fn new(kind: u16, data: impl Into<Bytes>) -> Self {
        Self { kind, simple: false, data: data.into() }
    }
}

/// The object-safe face of an ematch.
pub(super) trait Value: Any + fmt::Debug + Send + Sync {
    fn kind(&self) -> u16;
    fn name(&self) -> &'static str;
    fn boxed(&self) -> Box<dyn Value>;
    fn equals(&self, other: &dyn Value) -> bool;
    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError>;
    fn print(&self, names: &dyn DeviceNames, out: &mut String);
    fn to_args(&self, names: &dyn DeviceNames) -> Option<String>;
    fn as_dumped(&self) -> Box<dyn Value>;
}

impl<E: Ematch> Value for E {
    fn kind(&self) -> u16 {
        E::KIND
    }

    fn name(&self) -> &'static str {
        E::NAME
    }

    fn boxed(&self) -> Box<dyn Value> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Value) -> bool {
        (other as &dyn Any).downcast_ref::<E>() == Some(self)
    }

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        Ematch::encode(self, out)
    }

    fn print(&self, names: &dyn DeviceNames, out: &mut String) {
        Ematch::print(self, names, out);
    }

    fn to_args(&self, names: &dyn DeviceNames) -> Option<String> {
        Ematch::to_args(self, names)
    }

    fn as_dumped(&self) -> Box<dyn Value> {
        Box::new(Ematch::as_dumped(self))
    }
}

impl AnyEmatch {
    /// Reads the data of the ematch with this number. Data that cannot be read stays as bytes, so that one
    /// ematch does not make its filter unreadable.
    pub(super) fn decode(kind: u16, simple: bool, data: &[u8]) -> Self {
        let known = registry::by_kind(kind).filter(|_| !simple);
        Self(match known.and_then(|ops| (ops.decode)(data)) {
            Some(value) => Inner::Known(value),
            None => Inner::Raw(RawEmatch { kind, simple, data: Bytes::copy_from_slice(data) }),
        })
    }

    pub(super) const fn of(value: Box<dyn Value>) -> Self {
        Self(Inner::Known(value))
    }

    /// The number that the kernel knows the ematch by.
    pub fn kind(&self) -> u16 {
        match &self.0 {
            Inner::Known(value) => value.kind(),
            Inner::Raw(raw) => raw.kind,
        }
    }

    /// The word before the parentheses; `None` if the ematch is not known.
    pub fn name(&self) -> Option<&'static str> {
        match &self.0 {
            Inner::Known(value) => Some(value.name()),
            Inner::Raw(_) => None,
        }
    }

    /// The ematch as a value of the type `E`, if that is its type.
    pub fn downcast_ref<E: Ematch>(&self) -> Option<&E> {
        match &self.0 {
            Inner::Known(value) => (&**value as &dyn Any).downcast_ref(),
            Inner::Raw(_) => None,
        }
    }

    /// The bytes of an ematch that the program does not know.
    pub const fn raw(&self) -> Option<&RawEmatch> {
        match &self.0 {
            Inner::Known(_) => None,
            Inner::Raw(raw) => Some(raw),
        }
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        match &self.0 {
            Inner::Known(value) => value.encode(out),
            Inner::Raw(raw) if raw.kind == 0 => Err(EncodeError::Invalid("ematch 0 is a group".into())),
            Inner::Raw(raw) => {
                out.put(&raw.data);
                Ok(())
            }
        }
    }

    /// Appends the name and the arguments in parentheses, as `tc` prints them.
    pub(super) fn print(&self, names: &dyn DeviceNames, out: &mut String) {
        match &self.0 {
            Inner::Known(value) => {
                out.push_str(value.name());
                out.push('(');
                value.print(names, out);
                out.push(')');
            }
            Inner::Raw(raw) => out.push_str(&format!("[unknown ematch {}]", raw.kind)),
        }
    }

    /// The name and the arguments in exact words; the error is the inexpressible part.
    pub(super) fn to_words(&self, names: &dyn DeviceNames) -> Result<String, String> {
        match &self.0 {
            Inner::Known(value) => match value.to_args(names) {
                Some(args) => Ok(format!("{}({args})", value.name())),
                None => Err(format!("the ematch {}", value.name())),
            },
            Inner::Raw(raw) => Err(format!("the ematch {}", raw.kind)),
        }
    }

    pub(super) fn as_dumped(&self) -> Self {
        match &self.0 {
            Inner::Known(value) => Self(Inner::Known(value.as_dumped())),
            Inner::Raw(_) => self.clone(),
        }
    }
}

impl<E: Ematch> From<E> for AnyEmatch {
    fn from(ematch: E) -> Self {
        Self(Inner::Known(Box::new(ematch)))
    }
}

impl From<RawEmatch> for AnyEmatch {
    fn from(raw: RawEmatch) -> Self {
        Self(Inner::Raw(raw))
    }
}

impl Clone for AnyEmatch {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Inner::Known(value) => Inner::Known(value.boxed()),
            Inner::Raw(raw) => Inner::Raw(raw.clone()),
        })
    }
}

impl PartialEq for AnyEmatch {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Known(one), Inner::Known(other)) => one.equals(&**other),
            (Inner::Raw(one), Inner::Raw(other)) => one == other,
            _ => false,
        }
    }
}
