//! The kernel's side of a kind: the typed layer, which authors write.

pub mod action;
#[cfg(feature = "contract")]
pub mod contract;
pub mod ematch;
mod entry;
mod estimator;
mod filter;
pub mod object;
mod ops;
pub mod print;
pub mod rate;
mod registry;
mod stab;
mod syntax;
mod wording;
pub mod words;
mod xstats;

use std::any::Any;
use std::fmt;

use crate::kind::object::ObjectType;
use crate::kind::words::Environment;
use crate::wire::attr::AttrWriter;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::handle::Handle;
use crate::wire::verb::Verb;

pub use estimator::Estimator;
pub use filter::FilterPlace;
pub use ops::{KindWithWords, Options, TcOps, ops_of, shared_ops_of};
pub use registry::{GivesWay, Origin, Registered, Registration, Registry, RegistryError};
pub use stab::Stab;
pub use syntax::{FilterSyntax, Syntax, SyntaxOf};
pub use wording::{Change, ChangeSemantics, Difference, OptionWords};
pub use xstats::Xstats;

/// The form of the options that [`Kind::encode`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The message has no `TCA_OPTIONS`. To the kernel that differs from empty
    /// options.
    Absent,
    /// The payload of `TCA_OPTIONS`.
    Written,
    /// The payload of `TCA_OPTIONS` with `NLA_F_NESTED` set, where `tc` sets it.
    Nested,
}

/// The part of a request that the bytes of its options can depend on.
#[derive(Clone, Copy, Debug)]
pub struct FillContext {
    /// The operation.
    pub verb: Verb,
    /// Whether to write everything that `tc` writes, including rate tables that
    /// the kernel does not read.
    pub as_tc: bool,
}

/// A kind, as the kernel sees it: implemented by the type that holds the kind's
/// options.
///
/// This trait is enough to send a kind's options from Rust and to read them
/// back. The words and the output of `tc` are in separate traits:
/// [`Syntax`](crate::Syntax) for qdiscs, classes and actions,
/// [`FilterSyntax`](crate::FilterSyntax) for filters.
/// [`register!`](crate::register) needs one of the two and makes the kind known
/// by its name; see the example there.
///
/// ```
/// use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, Reader, Request, object};
///
/// /// `pfifo`: a queue that is limited in packets.
/// #[derive(Clone, Debug, PartialEq)]
/// struct Pfifo {
///     limit: u32,
/// }
///
/// impl Kind for Pfifo {
///     type Object = object::Qdisc;
///     const KIND: &'static str = "pfifo";
///
///     fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
///         out.put_u32(self.limit);
///         Ok(Fill::Written)
///     }
///
///     fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
///         Ok(Self { limit: Reader::new(payload).u32()? })
///     }
/// }
///
/// let options = Pfifo { limit: 100 };
/// let request = Request::qdisc(2).options(&options);
/// assert_eq!(request.kind_name(), "pfifo");
/// ```
///
/// # Stability
///
/// `Kind`, `Syntax` and `FilterSyntax` gain methods and constants with a default
/// implementation only. A new required item is a major release of this crate.
pub trait Kind: Any + Clone + fmt::Debug + PartialEq + Send + Sync {
    /// The type of the kind's objects: [`object::Qdisc`](crate::object::Qdisc)
    /// and its like.
    type Object: ObjectType;
    /// The name that the kernel knows the kind by, at most 15 bytes.
    const KIND: &'static str;
    /// Whether a change must read the object first: the request then carries
    /// the object's own handle and size table, and never touches an object of
    /// another kind.
    const READ_BEFORE_CHANGE: bool = false;
    /// The effect of a change, and the options that dumps leave out.
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL;
    /// Qdiscs at [`Handle::INGRESS`] only: the parents of filters that the qdisc offers, that of the ingress side
    /// first.
    const HOOKS: &'static [Handle] = &[];

    /// Appends the payload of `TCA_OPTIONS`, whose header is already written.
    /// The caller discards the bytes on an error, and for [`Fill::Absent`].
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError>;

    /// Reads the payload of `TCA_OPTIONS`. A payload that is too short is an
    /// error; a longer one and unknown attributes are accepted.
    fn decode(payload: &[u8]) -> Result<Self, DecodeError>;

    /// The options as the kernel reports them after accepting these: it may
    /// round or limit them. The keys that it rounds are listed in
    /// [`ChangeSemantics::rounded`]; a limited value counts as not taken.
    #[must_use]
    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        let _ = environment;
        self.clone()
    }

    /// The options of a dump as a request has to have them so that the kernel
    /// reports them again, where it rounds.
    #[must_use]
    fn as_request(&self) -> Self {
        self.clone()
    }

    /// The options of the requests that make an object with the options of this dump: the first request adds
    /// the object, the others change it. More than one where the kernel does not take all options in the first.
    fn requests(&self) -> Vec<Self> {
        vec![self.as_request()]
    }

    /// The options as a change has to have them: without those that the kernel refuses in a change even if
    /// their values stay the same. Their keys are listed in [`ChangeSemantics::only_new`].
    #[must_use]
    fn as_change(&self) -> Self {
        self.clone()
    }

    /// The shared filter blocks that the options name.
    fn filter_blocks(&self) -> Vec<u32> {
        Vec::new()
    }

    /// The class that a filter leads packets to, if it leads to one: the filter has to go before it.
    fn target_class(&self) -> Option<Handle> {
        None
    }

    /// The kinds and indices of the actions that a filter holds; 0 stands for an index that the kernel
    /// chooses.
    fn held_actions(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    /// The list of actions of a filter.
    fn actions(&self) -> Option<&action::Actions> {
        None
    }

    /// The own number of an action; 0 lets the kernel choose one.
    fn action_index(&self) -> u32 {
        0
    }

    /// The handle of the filter of the kind that contains a filter with these options and this handle, such as a
    /// table of u32. It is in the same device and parent, or in the same block, and comes before the other.
    fn within_filter(&self, handle: Handle) -> Option<Handle> {
        let _ = handle;
        None
    }

    /// The handle of the filter of the kind that the search goes on in, in the same device and parent, or in the
    /// same block. It comes before the other, with the filters that it contains.
    fn leads_to_filter(&self) -> Option<Handle> {
        None
    }

    /// Whether an action of a dump stands by itself, so that it stays when no filter uses it any more: it has
    /// more references than filters. `None` if the options do not tell.
    fn stands_alone(&self) -> Option<bool> {
        None
    }

    /// The Ethernet protocol (`ETH_P_*`) that a filter with these options looks at, where the options have it:
    /// the template of a chain has no protocol beside them.
    fn template_protocol(&self) -> Option<u16> {
        None
    }

    /// The options of a second request, sent as a change after a request with
    /// these options succeeded: for kinds whose kernel code cannot take
    /// everything in one message.
    fn second_request(&self, verb: Verb) -> Option<Self> {
        let _ = verb;
        None
    }
}
