//! The types of objects, as types of Rust: a class kind does not fit a qdisc
//! request, and the compiler reports it.
//!
//! ```
//! # use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind};
//! use tc_core::{Request, object};
//!
//! #[derive(Clone, Debug, PartialEq)]
//! struct DrrClass;
//!
//! impl Kind for DrrClass {
//!     type Object = object::Class;
//!     const KIND: &'static str = "drr";
//! #     fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> { Ok(Fill::Absent) }
//! #     fn decode(_: &[u8]) -> Result<Self, DecodeError> { Ok(Self) }
//! }
//!
//! let request = Request::class(2).options(&DrrClass);
//! # let _ = request;
//! ```
//!
//! ```compile_fail,E0277
//! # use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind};
//! # use tc_core::{Request, object};
//! # #[derive(Clone, Debug, PartialEq)]
//! # struct DrrClass;
//! # impl Kind for DrrClass {
//! #     type Object = object::Class;
//! #     const KIND: &'static str = "drr";
//! #     fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> { Ok(Fill::Absent) }
//! #     fn decode(_: &[u8]) -> Result<Self, DecodeError> { Ok(Self) }
//! # }
//! let request = Request::qdisc(2).options(&DrrClass);
//! # let _ = request;
//! ```

use std::fmt::Debug;

use crate::wire::verb::TcType;

/// A type of traffic-control object, at compile time.
///
/// Implemented by [`Qdisc`], [`Class`], [`Filter`] and [`Action`] alone.
/// [`Kind::Object`](crate::Kind::Object) names one of them.
pub trait ObjectType: sealed::Sealed + Copy + Debug + Send + Sync + 'static {
    /// The type as a value.
    const TYPE: TcType;
}

/// Objects of this type fit a [`Request`](crate::Request) for `T`: the types are
/// equal, or `T` is [`Any`].
#[diagnostic::on_unimplemented(
    message = "the type of object `{Self}` does not fit a request for `{T}`",
    label = "not for a request for `{T}`"
)]
pub trait Fits<T>: ObjectType {}

impl<T: ObjectType> Fits<T> for T {}

impl<T: ObjectType> Fits<Any> for T {}

/// Objects that have a device and a handle: all but actions.
#[diagnostic::on_unimplemented(message = "a request for `{Self}` has no device and no handle")]
pub trait Placed: sealed::Sealed {}

impl Placed for Qdisc {}
impl Placed for Class {}
impl Placed for Filter {}
impl Placed for Any {}

mod sealed {
    pub trait Sealed {}
}

/// An object of a type that is known at run time alone, for requests that come
/// from words.
#[derive(Clone, Copy, Debug)]
pub enum Any {}

impl sealed::Sealed for Any {}

macro_rules! object_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl sealed::Sealed for $name {}

        impl ObjectType for $name {
            const TYPE: TcType = TcType::$name;
        }
    )+};
}

object_types! {
    /// A queueing discipline.
    Qdisc,
    /// A class of a classful qdisc.
    Class,
    /// A filter (classifier).
    Filter,
    /// An action.
    Action,
}
