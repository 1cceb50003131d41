//! The options of a listed object, as a value of the kind's type.

use crate::kind::Kind;
use crate::kind::object::ObjectType;
use crate::wire::error::DecodeError;
use crate::wire::message::Entry;

impl Entry<'_> {
    /// The options as a value of type `K`, such that the kernel keeps them when
    /// they are sent again ([`Kind::as_request`]); `None` if the kernel sent none.
    ///
    /// Fails if the object is of another kind, or of another type: an hfsc qdisc
    /// has no options of an hfsc class.
    pub fn options_as<K: Kind>(&self) -> Result<Option<K>, DecodeError> {
        if self.tc_type() != K::Object::TYPE {
            return Err(DecodeError::Malformed { what: "type of object: it is another one" });
        }
        if self.kind()? != K::KIND {
            return Err(DecodeError::Malformed { what: "kind: it is another one" });
        }
        let decode = |payload: &[u8]| K::decode(payload).map(|options| options.as_request());
        self.options().map(decode).transpose()
    }
}
