//! The options of a listed object, as a value of the kind's type.

use crate::kind::Kind;
use crate::wire::error::DecodeError;
use crate::wire::message::Entry;

impl Entry<'_> {
    /// The options as a value of type `K`; `None` if the kernel sent none. An
    /// error if they are of another kind.
    pub fn options_as<K: Kind>(&self) -> Result<Option<K>, DecodeError> {
        if self.kind()? != K::KIND {
            return Err(DecodeError::Malformed { what: "kind: it is another one" });
        }
        self.options().map(K::decode).transpose()
    }
}
