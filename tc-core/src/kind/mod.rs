//! What a kind is: the typed layer, which authors write.

pub mod action;
pub mod contract;
mod entry;
mod estimator;
mod ops;
pub mod print;
pub mod rate;
mod registry;
mod stab;
mod wording;
pub mod words;

use std::any::Any;
use std::fmt;

use crate::kind::print::Printer;
use crate::kind::words::{Environment, WordError, Words, WordsContext};
use crate::wire::attr::AttrWriter;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::handle::Handle;
use crate::wire::verb::{TcType, Verb};

pub use estimator::Estimator;
pub use ops::{Options, TcOps, ops_of, shared_ops_of};
pub use registry::{Origin, Registered, Registration, Registry, RegistryError};
pub use stab::Stab;
pub use wording::{Change, Difference, Upkeep, Wording};

/// What was written as a kind's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Nothing: the message shall have no `TCA_OPTIONS` at all. To the kernel
    /// that is not the same as empty options.
    Absent,
    /// The payload of `TCA_OPTIONS`.
    Written,
    /// The same, with `NLA_F_NESTED` set, where `tc` sets it.
    Nested,
}

/// What the bytes of options can depend on, beside the options.
#[derive(Clone, Copy, Debug)]
pub struct FillContext {
    /// What is asked of the object.
    pub verb: Verb,
    /// Whether to write what `tc` writes also where the kernel does not read
    /// it (rate tables).
    pub as_tc: bool,
}

/// A kind: implemented by the type that holds the kind's options.
///
/// One file and one [`register!`](crate::register) make a kind; see the
/// example there. The methods mirror each other: words and print for people,
/// encode and decode for the kernel. What is provided suits most kinds.
pub trait Kind: Any + Clone + fmt::Debug + PartialEq + Send + Sync {
    /// The name that the kernel knows it by, at most 15 bytes.
    const KIND: &'static str;
    /// What it is a kind of.
    const TYPE: TcType = TcType::Qdisc;
    /// The text for `tc qdisc add KIND help`, with a newline at the end.
    const USAGE: &'static str;
    /// Whether a change has to be careful: the object is looked up first, its
    /// own handle and size table go with the request, and an object of another
    /// kind is never touched.
    const CAREFUL: bool = false;
    /// What a change does, and what a dump does not tell.
    const UPKEEP: Upkeep = Upkeep::USUAL;

    /// Reads options from words, as `tc` does, with its texts for what is wrong.
    /// `None` means that the message shall carry no options.
    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError>;

    /// Appends the payload of `TCA_OPTIONS`, whose header is there already. What
    /// was appended counts for nothing on an error, and for [`Fill::Absent`].
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError>;

    /// Reads the payload of `TCA_OPTIONS`. Too short is an error; longer, and
    /// attributes that are not known, are not.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;

    /// Prints the options as `tc` does.
    fn print(&self, out: &mut Printer);

    /// Says the options of a dump in words that make the kernel keep them: what
    /// [`Kind::parse_words`] reads, and not what `tc` prints, which is rounded.
    ///
    /// What the kernel left out, or was not asked for, is said to be open; what
    /// has no words, that it cannot be said.
    fn write_words(&self, out: &mut Wording<'_>);

    /// What a dump says after these options were set: where the kernel rounds,
    /// or keeps something else.
    #[must_use]
    fn kept(&self, environment: &dyn Environment) -> Self {
        let _ = environment;
        self.clone()
    }

    /// The shared filter blocks that the options name.
    fn blocks(&self) -> Vec<u32> {
        Vec::new()
    }

    /// Writes the handle of a filter such that [`Kind::parse_handle`] reads it.
    fn write_handle(handle: Handle) -> String {
        format!("{:#x}", handle.raw())
    }

    /// Reads the handle of a filter, which each classifier writes in its own
    /// way; by default as a number.
    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        parse_filter_handle(text)
    }

    /// Prints the options of a filter, which for `tc` begin with its handle.
    /// By default they are printed without it.
    fn print_filter(&self, handle: Handle, out: &mut Printer) {
        let _ = handle;
        self.print(out);
    }

    /// What a change has to say after a request with these options succeeded,
    /// where the kernel cannot be told all of it at once.
    fn follow_up(&self, verb: Verb) -> Option<Self> {
        let _ = verb;
        None
    }

    /// Prints the kind's own counters (`TCA_STATS_APP`), as `tc` does; returns
    /// whether there was anything to print.
    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        let _ = (payload, out);
        Ok(false)
    }
}

/// Reads a filter's handle as most classifiers of `tc` do: the number that the
/// text starts with (`strtol` in base 0), nothing being 0.
fn parse_filter_handle(text: &str) -> Result<Handle, WordError> {
    let illegal = || WordError::Kind(format!("Illegal handle \"{text}\", must be numeric."));
    crate::wire::units::parse_u32(text).map(Handle::from_raw).map_err(|_| illegal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_handles_are_numbers() {
        assert_eq!(parse_filter_handle("0x10"), Ok(Handle::from_raw(16)));
        assert_eq!(
            parse_filter_handle("x").unwrap_err().to_string(),
            "Illegal handle \"x\", must be numeric."
        );
    }
}
