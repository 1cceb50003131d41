//! Bytes that cannot be read or written, as types.

use crate::wire::verb::TcType;

/// Bytes that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than the field needs.
    #[error("{have} bytes where {need} are needed")]
    Short {
        /// Bytes that the field takes.
        need: usize,
        /// Bytes that were left.
        have: usize,
    },
    /// A length, text or number that is out of its bounds.
    #[error("malformed {what}")]
    Malformed {
        /// The malformed part.
        what: &'static str,
    },
    /// A required part is missing.
    #[error("no {what}")]
    Missing {
        /// The missing part.
        what: &'static str,
    },
    /// An error inside an attribute.
    #[error("attribute {attribute}: {cause}")]
    In {
        /// The attribute's type.
        attribute: u16,
        /// The error inside the attribute.
        cause: Box<DecodeError>,
    },
}

impl DecodeError {
    /// Wraps the error as one inside an attribute.
    #[must_use]
    pub fn at_attribute(self, attribute: u16) -> Self {
        Self::In { attribute, cause: Box::new(self) }
    }
}

/// A request that cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// More than the 65,535 bytes that an attribute can hold.
    #[error("attribute {attribute} would be longer than 65535 bytes")]
    TooLong {
        /// The attribute's type.
        attribute: u16,
    },
    /// Text with a NUL inside, which the kernel would cut there.
    #[error("the text of attribute {attribute} has a NUL inside")]
    NulInside {
        /// The attribute's type.
        attribute: u16,
    },
    /// Options of one kind given to another.
    #[error("options of {found} given to {expected}")]
    WrongKind {
        /// The kind that the request is for.
        expected: &'static str,
        /// The kind that the options are of.
        found: &'static str,
    },
    /// A kind of one type of object given to a request for another.
    #[error("{found} kind {kind} given to a request for a {expected}")]
    WrongType {
        /// The type that the request is for.
        expected: TcType,
        /// The kind.
        kind: String,
        /// The type that the kind is of.
        found: TcType,
    },
    /// Options that contradict each other or lack something.
    #[error("{0}")]
    Invalid(String),
}
