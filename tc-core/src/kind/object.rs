//! The types of objects, as types of Rust: a class kind and a qdisc request do
//! not fit together, and the compiler reports it.

use crate::wire::verb::TcType;

/// A type of traffic-control object, at compile time.
///
/// Implemented by [`Qdisc`], [`Class`], [`Filter`] and [`Action`] alone.
/// [`Kind::Object`](crate::Kind::Object) names one of them.
pub trait ObjectType: sealed::Sealed + Copy + std::fmt::Debug + Send + Sync + 'static {
    /// The type as a value.
    const TYPE: TcType;
}

mod sealed {
    pub trait Sealed {}
}

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
