//! Extended matches (ematches): small tests of a packet, combined to an expression.
//!
//! The classifiers basic, cgroup and flow hold an expression, [`Ematches`], in their options. Each test
//! in it is an [`Ematch`]: a type that registers itself with
//! [`register_ematch!`](crate::register_ematch), as kinds do. An ematch that the program does not know
//! stays as bytes.
//!
//! UAPI: `TCA_EMATCH_TREE_*`, `struct tcf_ematch_tree_hdr` and `struct tcf_ematch_hdr` of
//! `linux/pkt_cls.h`.
//!
//! Kernel, `net/sched/ematch.c`: groups in parentheses use a stack of 32 entries
//! (`CONFIG_NET_EMATCH_STACK`). A deeper expression matches every packet that reaches the full stack,
//! so that deeper expressions are refused here.

mod any;
mod args;
mod lexer;
mod print;
mod registry;
mod tree;
mod wire;
mod words;

use std::any::Any;
use std::fmt;

use crate::kind::words::WordsContext;
use crate::wire::attr::AttrWriter;
use crate::wire::device::DeviceNames;
use crate::wire::error::{DecodeError, EncodeError};

pub use any::{AnyEmatch, RawEmatch};
pub use args::{ArgError, Args};
pub use lexer::quote;
pub use registry::EmatchRegistration;
pub(crate) use registry::duplicate;
pub use tree::{Ematches, Node, Relation, Sequence, Term, Terms};

/// The number of groups inside each other that an expression can have: `CONFIG_NET_EMATCH_STACK`.
pub const MAX_DEPTH: usize = 32;

/// A test of a packet, implemented by the type that holds its parameters.
///
/// ```
/// use tc_core::ematch::{ArgError, Args, Ematch, Ematches};
/// use tc_core::link::DeviceNames;
/// use tc_core::words::WordsContext;
/// use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};
///
/// /// `odd(NUMBER)`: an ematch that a private kernel module has.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Odd(u32);
///
/// tc_core::register_ematch!(Odd);
///
/// impl Ematch for Odd {
///     const KIND: u16 = 200;
///     const NAME: &'static str = "odd";
///     const USAGE: &'static str = "Usage: odd(NUMBER)\n";
///
///     fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
///         out.put_u32(self.0);
///         Ok(())
///     }
///
///     fn decode(data: &[u8]) -> Result<Self, DecodeError> {
///         Reader::new(data).u32().map(Self)
///     }
///
///     fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
///         let number = args.number("odd: missing number", "odd: invalid number")?;
///         Ok(Self(number))
///     }
///
///     fn print(&self, _: &dyn DeviceNames, out: &mut String) {
///         out.push_str(&self.0.to_string());
///     }
///
///     fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
///         Some(self.0.to_string())
///     }
/// }
///
/// let expression = Ematches::new(Odd(3)).and(!Ematches::new(Odd(5)).or(Odd(7)));
/// assert_eq!(expression.to_string(), "odd(3) and not (odd(5) or odd(7))");
/// ```
pub trait Ematch: Any + Clone + fmt::Debug + PartialEq + Send + Sync {
    /// The number that the kernel knows the ematch by (`TCF_EM_CMP` and its like).
    const KIND: u16;
    /// The word before the parentheses.
    const NAME: &'static str;
    /// The usage text, with a newline at the end. An ematch without one has no words.
    const USAGE: &'static str = "";

    /// Appends the data after `struct tcf_ematch_hdr`.
    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError>;

    /// Reads this data. Longer data and unknown attributes are accepted.
    fn decode(data: &[u8]) -> Result<Self, DecodeError>;

    /// Reads the arguments between the parentheses. Arguments that are left are an error.
    fn parse_args(args: &mut Args<'_>, context: &WordsContext<'_>) -> Result<Self, ArgError> {
        let _ = context;
        Err(args.lacking(&format!("{}: there are no words for it", Self::NAME)))
    }

    /// Appends the arguments as `tc` prints them.
    fn print(&self, names: &dyn DeviceNames, out: &mut String);

    /// The arguments as exact words; `None` if they have none.
    fn to_args(&self, names: &dyn DeviceNames) -> Option<String> {
        let _ = names;
        None
    }

    /// The parameters as the kernel reports them after accepting these.
    #[must_use]
    fn as_dumped(&self) -> Self {
        self.clone()
    }
}

/// Nothing has a name.
#[derive(Debug)]
struct NoNames;

impl DeviceNames for NoNames {
    fn device_name(&self, _: i32) -> std::io::Result<crate::wire::device::DeviceName> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests;
