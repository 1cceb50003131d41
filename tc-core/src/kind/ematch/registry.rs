//! The ematches of the program.

use std::sync::OnceLock;

use super::any::Value;
use super::{ArgError, Args, Ematch};
use crate::kind::registry::Origin;
use crate::kind::words::WordsContext;

/// An ematch that registers itself: the submission of [`register_ematch!`](crate::register_ematch).
#[doc(hidden)]
#[derive(Debug)]
pub struct EmatchRegistration {
    ops: Ops,
    origin: Origin,
}

/// The operations of an ematch's type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ops {
    pub(super) kind: u16,
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) decode: fn(&[u8]) -> Option<Box<dyn Value>>,
    pub(super) parse: Parse,
}

type Parse = fn(&mut Args<'_>, &WordsContext<'_>) -> Result<Box<dyn Value>, ArgError>;

impl EmatchRegistration {
    pub const fn new<E: Ematch>(
        package: &'static str,
        version: &'static str,
        location: &'static str,
    ) -> Self {
        let ops = Ops {
            kind: E::KIND,
            name: E::NAME,
            usage: E::USAGE,
            decode: |data| Some(Box::new(E::decode(data).ok()?)),
            parse: |args, context| Ok(Box::new(E::parse_args(args, context)?)),
        };
        Self { ops, origin: Origin { package, version, location } }
    }
}

inventory::collect!(EmatchRegistration);

/// Registers ematches: every program that links the crate has them.
///
/// The ematches implement [`Ematch`](crate::ematch::Ematch); see the example there.
#[macro_export]
macro_rules! register_ematch {
    ($($ematch:ty),+ $(,)?) => {$(
        $crate::inventory::submit! {
            $crate::ematch::EmatchRegistration::new::<$ematch>(
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
                concat!(file!(), ":", line!()),
            )
        }
    )+};
}

/// All ematches, sorted by number.
fn all() -> &'static [&'static EmatchRegistration] {
    static ALL: OnceLock<Vec<&'static EmatchRegistration>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<_> = inventory::iter::<EmatchRegistration>.into_iter().collect();
        all.sort_by_key(|one| one.ops.kind);
        all
    })
}

pub(super) fn by_kind(kind: u16) -> Option<&'static Ops> {
    let all = all();
    let at = all.binary_search_by_key(&kind, |one| one.ops.kind).ok()?;
    Some(&all[at].ops)
}

/// The ematch with this name that has words.
pub(super) fn by_name(name: &[u8]) -> Option<&'static Ops> {
    let all = all().iter().map(|one| &one.ops);
    all.into_iter().find(|ops| ops.name.as_bytes() == name && !ops.usage.is_empty())
}

/// Two ematches with the same number or name, if there are such: the name, and both places.
pub(crate) fn duplicate() -> Option<(&'static str, &'static Origin, &'static Origin)> {
    let all = all();
    all.iter().enumerate().find_map(|(at, one)| {
        let is_same =
            |other: &&&EmatchRegistration| other.ops.kind == one.ops.kind || other.ops.name == one.ops.name;
        let other = all[..at].iter().find(is_same)?;
        Some((one.ops.name, &other.origin, &one.origin))
    })
}
