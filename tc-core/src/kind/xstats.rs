//! A kind's own counters, as a value of a type.

use crate::wire::error::DecodeError;
use crate::wire::message::Entry;
use crate::wire::verb::TcType;

/// A kind's own counters: `TCA_STATS_APP`, called extended statistics.
///
/// A kind has such a type beside its options, and prints it in
/// [`Syntax::print_xstats`](crate::Syntax::print_xstats).
/// [`Entry::xstats_as`] reads it from a listed object.
pub trait Xstats: Sized {
    /// The objects that report them: their type and kind.
    const OF: &'static [(TcType, &'static str)];

    /// Reads the attribute's payload.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;
}

impl Entry<'_> {
    /// The kind's own counters as a value of type `X`; `None` if the kernel sent none.
    ///
    /// Fails if the object is of another kind, or of another type: a flow of sfq has counters that the qdisc
    /// has not.
    pub fn xstats_as<X: Xstats>(&self) -> Result<Option<X>, DecodeError> {
        if !X::OF.contains(&(self.tc_type(), self.kind()?)) {
            return Err(DecodeError::Malformed { what: "counters: they are of another kind or type" });
        }
        self.xstats()?.map(X::decode).transpose()
    }
}
