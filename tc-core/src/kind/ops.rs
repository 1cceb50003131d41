//! The object-safe face of kinds: [`TcOps`] for a kind, [`Options`] for a value
//! of its type. Both follow from [`Kind`].

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::kind::print::Printer;
use crate::kind::words::{Environment, WordError, Words, WordsContext};
use crate::kind::{Fill, FillContext, Kind};
use crate::kind::{Upkeep, Wording};
use crate::wire::attr::AttrWriter;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::handle::Handle;
use crate::wire::verb::{TcType, Verb};

/// Options of some kind: any type that is a [`Kind`].
pub trait Options: Any + fmt::Debug + Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// What it is a kind of.
    fn tc_type(&self) -> TcType;
    /// A copy in a box.
    fn boxed(&self) -> Box<dyn Options>;
    /// See [`Kind::follow_up`].
    fn follow_up(&self, verb: Verb) -> Option<Box<dyn Options>>;
    /// The operations of the kind.
    fn ops(&self) -> &'static dyn TcOps;
    /// See [`Kind::print`].
    fn print_options(&self, out: &mut Printer);
    /// Whether the other options are of the same kind and equal.
    fn equals(&self, other: &dyn Options) -> bool;
    /// See [`Kind::write_words`].
    fn write_words(&self, out: &mut Wording<'_>);
    /// See [`Kind::kept`].
    fn kept(&self, environment: &dyn Environment) -> Box<dyn Options>;
    /// See [`Kind::blocks`].
    fn blocks(&self) -> Vec<u32>;
}

impl<K: Kind> Options for K {
    fn kind(&self) -> &'static str {
        K::KIND
    }

    fn tc_type(&self) -> TcType {
        K::TYPE
    }

    fn boxed(&self) -> Box<dyn Options> {
        Box::new(self.clone())
    }

    fn follow_up(&self, verb: Verb) -> Option<Box<dyn Options>> {
        Kind::follow_up(self, verb).map(|options| Box::new(options) as Box<dyn Options>)
    }

    fn ops(&self) -> &'static dyn TcOps {
        ops_of::<K>()
    }

    fn print_options(&self, out: &mut Printer) {
        Kind::print(self, out);
    }

    fn equals(&self, other: &dyn Options) -> bool {
        other.downcast_ref::<K>() == Some(self)
    }

    fn write_words(&self, out: &mut Wording<'_>) {
        Kind::write_words(self, out);
    }

    fn kept(&self, environment: &dyn Environment) -> Box<dyn Options> {
        Box::new(Kind::kept(self, environment))
    }

    fn blocks(&self) -> Vec<u32> {
        Kind::blocks(self)
    }
}

impl dyn Options {
    /// The options as the type they are of, if it is this one.
    pub fn downcast_ref<K: Kind>(&self) -> Option<&K> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The operations of a kind: what a registry holds, in the role of libnl's
/// `struct rtnl_tc_ops`.
///
/// Every [`Kind`] has them through [`ops_of`]; nobody needs to implement this
/// by hand.
pub trait TcOps: Send + Sync {
    /// The kind's name.
    fn kind(&self) -> &'static str;
    /// What it is a kind of.
    fn tc_type(&self) -> TcType;
    /// The text for `help`.
    fn usage(&self) -> &'static str;
    /// See [`Kind::CAREFUL`].
    fn is_careful(&self) -> bool;
    /// See [`Kind::UPKEEP`].
    fn upkeep(&self) -> &'static Upkeep;
    /// Reads options from words.
    fn parse_words(
        &self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Option<Box<dyn Options>>, WordError>;
    /// Appends the payload of `TCA_OPTIONS`. Options of another kind are an
    /// error.
    fn msg_fill(
        &self,
        options: Option<&dyn Options>,
        context: &FillContext,
        out: &mut AttrWriter<'_>,
    ) -> Result<Fill, EncodeError>;
    /// Reads the payload of `TCA_OPTIONS`.
    fn msg_parse(&self, payload: &[u8]) -> Result<Box<dyn Options>, DecodeError>;
    /// Prints the payload of `TCA_OPTIONS`; on an error nothing was printed.
    fn print(&self, payload: &[u8], out: &mut Printer) -> Result<(), DecodeError>;
    /// See [`Kind::parse_handle`].
    fn parse_handle(&self, text: &str) -> Result<Handle, WordError>;
    /// See [`Kind::write_handle`].
    fn write_handle(&self, handle: Handle) -> String;
    /// Prints the payload of a filter's `TCA_OPTIONS`; on an error nothing was
    /// printed.
    fn print_filter(&self, payload: &[u8], handle: Handle, out: &mut Printer) -> Result<(), DecodeError>;
    /// Prints the payload of `TCA_STATS_APP`; returns whether there was
    /// anything to print.
    fn print_xstats(&self, payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError>;
}

impl fmt::Debug for dyn TcOps + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcOps({} {})", self.tc_type(), self.kind())
    }
}

/// The operations of a kind.
pub const fn ops_of<K: Kind>() -> &'static dyn TcOps {
    &Adapter::<K>(PhantomData)
}

/// The operations of a kind, for a registry that is filled at run time.
pub fn shared_ops_of<K: Kind>() -> Arc<dyn TcOps> {
    Arc::new(Adapter::<K>(PhantomData))
}

/// The one bridge between the two layers.
struct Adapter<K>(PhantomData<fn() -> K>);

impl<K: Kind> TcOps for Adapter<K> {
    fn kind(&self) -> &'static str {
        K::KIND
    }

    fn tc_type(&self) -> TcType {
        K::TYPE
    }

    fn usage(&self) -> &'static str {
        K::USAGE
    }

    fn is_careful(&self) -> bool {
        K::CAREFUL
    }

    fn upkeep(&self) -> &'static Upkeep {
        const { &K::UPKEEP }
    }

    fn parse_words(
        &self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Option<Box<dyn Options>>, WordError> {
        Ok(K::parse_words(words, context)?.map(|options| Box::new(options) as Box<dyn Options>))
    }

    fn msg_fill(
        &self,
        options: Option<&dyn Options>,
        context: &FillContext,
        out: &mut AttrWriter<'_>,
    ) -> Result<Fill, EncodeError> {
        let Some(options) = options else { return Ok(Fill::Absent) };
        let wrong = || EncodeError::WrongKind { expected: K::KIND, found: options.kind() };
        options.downcast_ref::<K>().ok_or_else(wrong)?.encode(context, out)
    }

    fn msg_parse(&self, payload: &[u8]) -> Result<Box<dyn Options>, DecodeError> {
        Ok(Box::new(K::decode(payload)?))
    }

    fn print(&self, payload: &[u8], out: &mut Printer) -> Result<(), DecodeError> {
        K::decode(payload)?.print(out);
        Ok(())
    }

    fn parse_handle(&self, text: &str) -> Result<Handle, WordError> {
        K::parse_handle(text)
    }

    fn write_handle(&self, handle: Handle) -> String {
        K::write_handle(handle)
    }

    fn print_filter(&self, payload: &[u8], handle: Handle, out: &mut Printer) -> Result<(), DecodeError> {
        K::decode(payload)?.print_filter(handle, out);
        Ok(())
    }

    fn print_xstats(&self, payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        K::print_xstats(payload, out)
    }
}
