//! Values that a request borrows or owns.

use std::sync::Arc;

/// A value that is borrowed, or shared with the clones of a request.
#[derive(Debug)]
pub(crate) enum Held<'a, V: ?Sized> {
    Borrowed(&'a V),
    Shared(Arc<V>),
}

impl<V: ?Sized> Held<'_, V> {
    pub(crate) fn get(&self) -> &V {
        match self {
            Self::Borrowed(value) => value,
            Self::Shared(value) => value,
        }
    }
}

impl<V: ?Sized> Clone for Held<'_, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(value) => Self::Borrowed(value),
            Self::Shared(value) => Self::Shared(Arc::clone(value)),
        }
    }
}
