//! Requests for qdiscs, classes, filters and actions.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::BytesMut;

use crate::exchange::action::Target;
use crate::exchange::held::Held;
use crate::exchange::parts::Parts;
use crate::kind::action::Actions;
use crate::kind::object::{self, Any, Class, Filter, Fits, ObjectType, Placed, Qdisc};
use crate::kind::{Estimator, Kind, Options, Stab, TcOps};
use crate::wire::error::EncodeError;
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::verb::{TcType, Verb};

/// A request for one object: its place, and its desired state.
///
/// One value serves every verb. `T` is the type of the object
/// ([`object::Qdisc`](crate::object::Qdisc) and its like): options of a kind of
/// another type do not compile. A request that comes from words is one for
/// [`object::Any`](crate::object::Any), and [`Request::encode`] reports a type
/// that does not fit.
///
/// Options are borrowed ([`Request::options`]), so that a request that is sent
/// often costs nothing to keep, or owned ([`Request::with_options`]), so that a
/// function can return it.
///
/// ```
/// use tc_core::{Handle, Request};
///
/// let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo");
/// assert_eq!(root.describe(), "qdisc pfifo 1: parent root on device 2");
/// ```
#[derive(Debug)]
pub struct Request<'a, T = Any> {
    pub(crate) parts: Parts<'a>,
    object: PhantomData<fn() -> T>,
}

impl<T> Clone for Request<'_, T> {
    fn clone(&self) -> Self {
        Self::from_parts(self.parts.clone())
    }
}

impl<'a> Request<'a, Qdisc> {
    /// A request for a qdisc on the device with this index.
    pub const fn qdisc(ifindex: i32) -> Self {
        Self::from_parts(Parts::new(TcType::Qdisc, ifindex))
    }
}

impl<'a> Request<'a, Class> {
    /// A request for a class on the device with this index.
    pub const fn class(ifindex: i32) -> Self {
        Self::from_parts(Parts::new(TcType::Class, ifindex))
    }
}

impl<'a> Request<'a, object::Action> {
    /// A request for actions that stand for themselves, which filters can then
    /// name by their index.
    pub const fn actions(actions: &'a Actions) -> Self {
        Self::for_actions(Target::These(Held::Borrowed(actions)))
    }

    /// [`Request::actions`] with actions that the request owns.
    pub fn with_actions(actions: Actions) -> Self {
        Self::for_actions(Target::These(Held::Shared(Arc::new(actions))))
    }

    /// A request to delete all actions of a kind that no filter uses.
    pub const fn all_actions(kind: &'a str) -> Self {
        let mut request = Self::for_actions(Target::All(kind));
        request.parts.kind = kind;
        request
    }

    const fn for_actions(target: Target<'a>) -> Self {
        Self::from_parts(Parts::of(TcType::Action, 0, Some(target)))
    }
}

impl<'a> Request<'a, Any> {
    /// A request for an object of a type that is known at run time, on the
    /// device with this index.
    pub const fn new(tc_type: TcType, ifindex: i32) -> Self {
        Self::from_parts(Parts::new(tc_type, ifindex))
    }
}

impl<'a, T> Request<'a, T> {
    pub(crate) const fn from_parts(parts: Parts<'a>) -> Self {
        Self { parts, object: PhantomData }
    }

    /// The request without the type of its object, to keep requests of several
    /// types together.
    pub fn any(self) -> Request<'a, Any> {
        Request::from_parts(self.parts)
    }

    /// Whether to send exactly the bytes that `tc` sends, including rate tables,
    /// which kernels do not read since 3.8. Off by default.
    #[must_use]
    pub const fn as_tc(mut self, as_tc: bool) -> Self {
        self.parts.as_tc = as_tc;
        self
    }

    /// The type of the object.
    pub const fn tc_type(&self) -> TcType {
        self.parts.tc_type
    }

    /// The place of the object.
    pub const fn header(&self) -> &TcHeader {
        &self.parts.header
    }

    /// The kind's operations, if they were given.
    pub const fn ops(&self) -> Option<&'a dyn TcOps> {
        self.parts.ops
    }

    /// The options.
    pub fn get_options(&self) -> Option<&dyn Options> {
        self.parts.options()
    }

    /// Whether the request carries a size table.
    pub const fn has_stab(&self) -> bool {
        self.parts.stab.is_some()
    }

    /// The kind's name; empty if none was given.
    pub const fn kind_name(&self) -> &'a str {
        self.parts.kind
    }

    /// The object in words, for errors.
    pub fn describe(&self) -> String {
        self.parts.describe()
    }

    /// Appends the message to `buffer`. On an error the buffer is unchanged.
    pub fn encode(&self, verb: Verb, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        self.parts.encode(verb, sequence, buffer)
    }
}

impl<'a, T: Placed> Request<'a, T> {
    /// The object's own handle. For a new qdisc the kernel chooses one if none
    /// is given. Give it on a change: a change without it can replace a qdisc
    /// of another kind.
    #[must_use]
    pub const fn handle(mut self, handle: Handle) -> Self {
        self.parts.header.handle = handle;
        self
    }

    /// The object above: [`Handle::ROOT`], or a class.
    #[must_use]
    pub const fn parent(mut self, parent: Handle) -> Self {
        self.parts.header.parent = parent;
        self
    }

    /// The kind by its name, with the kernel's default options.
    #[must_use]
    pub const fn kind(mut self, kind: &'a str) -> Self {
        self.parts.kind = kind;
        self
    }

    /// The kind and its options, borrowed.
    #[must_use]
    pub fn options<K: Kind>(self, options: &'a K) -> Self
    where
        K::Object: Fits<T>,
    {
        self.kind_and_options(K::KIND, Held::Borrowed(options))
    }

    /// The kind and its options, owned by the request: one allocation.
    ///
    /// ```
    /// # use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, Reader};
    /// # #[derive(Clone, Debug, PartialEq)]
    /// # struct Pfifo { limit: u32 }
    /// # impl Kind for Pfifo {
    /// #     type Object = object::Qdisc;
    /// #     const KIND: &'static str = "pfifo";
    /// #     fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
    /// #         out.put_u32(self.limit);
    /// #         Ok(Fill::Written)
    /// #     }
    /// #     fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
    /// #         Ok(Self { limit: Reader::new(payload).u32()? })
    /// #     }
    /// # }
    /// use tc_core::{Handle, Request, object};
    ///
    /// fn short_queue(ifindex: i32) -> Request<'static, object::Qdisc> {
    ///     Request::qdisc(ifindex).parent(Handle::ROOT).with_options(Pfifo { limit: 10 })
    /// }
    /// assert_eq!(short_queue(2).kind_name(), "pfifo");
    /// ```
    #[must_use]
    pub fn with_options<K: Kind>(self, options: K) -> Self
    where
        K::Object: Fits<T>,
    {
        self.kind_and_options(K::KIND, Held::Shared(Arc::new(options)))
    }

    /// The kind and its options, whose type is known at run time.
    /// [`encode`](Request::encode) fails if the kind is of another type of object.
    #[must_use]
    pub fn with_boxed_options(self, options: Box<dyn Options>) -> Self {
        self.kind_and_options(options.kind(), Held::Shared(Arc::from(options)))
    }

    /// The kind by its name, and the payload of `TCA_OPTIONS` as it stands: for a kind that the program
    /// lacks, or for options that another library wrote (`payload_of_options` writes those of netlink-packet-route).
    ///
    /// ```
    /// use tc_core::{Handle, Request};
    ///
    /// let limit = 100u32.to_ne_bytes();
    /// let root = Request::qdisc(2).parent(Handle::ROOT).raw_options("pfifo", &limit);
    /// assert_eq!(root.kind_name(), "pfifo");
    /// ```
    #[must_use]
    pub fn raw_options(mut self, kind: &'a str, payload: &'a [u8]) -> Self {
        self.parts.kind = kind;
        self.parts.ops = None;
        self.parts.options = None;
        self.parts.raw = Some(payload);
        self
    }

    /// The kind by the operations that a registry found, and its options, if
    /// any. [`encode`](Request::encode) fails if the kind is of another type of
    /// object.
    #[must_use]
    pub fn options_of(mut self, ops: &'a dyn TcOps, options: Option<&'a dyn Options>) -> Self {
        self.parts.kind = ops.kind();
        self.parts.ops = Some(ops);
        self.parts.raw = None;
        self.parts.options = options.map(Held::Borrowed);
        self
    }

    /// A rate estimator.
    #[must_use]
    pub const fn estimator(mut self, estimator: Estimator) -> Self {
        self.parts.estimator = Some(estimator);
        self
    }

    fn kind_and_options(mut self, kind: &'a str, options: Held<'a, dyn Options>) -> Self {
        self.parts.kind = kind;
        self.parts.ops = None;
        self.parts.raw = None;
        self.parts.options = Some(options);
        self
    }
}

impl<T> Request<'_, T>
where
    Qdisc: Fits<T>,
{
    /// The size table. A change without it removes the qdisc's table.
    #[must_use]
    pub const fn stab(mut self, stab: &Stab) -> Self {
        self.parts.stab = Some(*stab);
        self
    }

    /// The shared filter block of the ingress side (not 0).
    #[must_use]
    pub const fn ingress_block(mut self, block: u32) -> Self {
        self.parts.ingress_block = Some(block);
        self
    }

    /// The shared filter block of the egress side (not 0).
    #[must_use]
    pub const fn egress_block(mut self, block: u32) -> Self {
        self.parts.egress_block = Some(block);
        self
    }
}

impl<T> Request<'_, T>
where
    Filter: Fits<T>,
{
    /// `tcm_info`: priority and protocol of a filter.
    #[must_use]
    pub const fn info(mut self, info: u32) -> Self {
        self.parts.header.info = info;
        self
    }
}

impl<'a, T: ObjectType> From<Request<'a, T>> for Request<'a, Any> {
    fn from(request: Request<'a, T>) -> Self {
        request.any()
    }
}
