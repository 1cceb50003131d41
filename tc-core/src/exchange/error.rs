//! Operations that failed, as types.

use std::io;
use std::time::Duration;

use crate::exchange::entry::OwnedEntry;
use crate::wire::ack::KernelError;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::handle::HandleError;

/// An operation that failed: the operation, the object and the cause.
///
/// The text has all of it, and so there is no [`source`](std::error::Error::source): a report that
/// prints a chain of causes prints each once. [`Error::cause`] is the cause as a value.
///
/// ```
/// # fn try_it() -> Result<(), tc_core::Error> {
/// use tc_core::{Connection, Handle, Request};
///
/// let mut tc = Connection::open()?;
/// match tc.delete(&Request::qdisc(1).parent(Handle::ROOT)) {
///     Err(error) if error.is_not_found() => println!("nothing to delete"),
///     other => other?,
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{operation} {object}: {cause}")]
pub struct Error {
    operation: &'static str,
    object: String,
    cause: Box<Cause>,
    read: Vec<OwnedEntry>,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The kernel refused. Nothing was changed.
    #[error("{0}")]
    Kernel(KernelError),
    /// The request could not be sent. Nothing was changed.
    #[error("cannot send: {0}")]
    Send(io::Error),
    /// The request was sent and its answer lost: whether the kernel carried it
    /// out is not known.
    #[error("the answer was lost ({0}): the outcome is unknown, look before you try again")]
    AnswerLost(io::Error),
    /// No answer came in time: whether the kernel carried the request out is
    /// not known.
    #[error("no answer within {0:?}: the outcome is unknown, look before you try again")]
    Timeout(Duration),
    /// Only a part of the request was carried out, and then this happened.
    #[error("{0}; what came before it was carried out, look before you try again")]
    Partly(Box<Cause>),
    /// The objects changed while they were listed, this many times in a row.
    #[error("the list changed while it was read ({0} tries)")]
    Interrupted(u32),
    /// The request could not be put into bytes. Nothing was sent.
    #[error("{0}")]
    Encode(EncodeError),
    /// The object is there, but the kernel does not show it: a default that it
    /// made by itself, such as noqueue.
    #[error("a built-in default of the kernel's, which it does not show")]
    NotShown,
    /// An answer that cannot be read: whether the kernel carried the request out
    /// is not known.
    #[error("cannot read the kernel's answer: {0}")]
    Decode(DecodeError),
    /// The request makes no sense, or would do harm. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// A received message cannot be read. No request was sent.
    #[error("cannot read it: {0}")]
    Unreadable(DecodeError),
    /// A system call other than those on the socket failed.
    #[error("{0}")]
    System(io::Error),
}

impl Error {
    /// An error of an operation on an object: `change`, `qdisc 1: on device 2`.
    pub fn new(operation: &'static str, object: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self { operation, object: object.into(), cause: Box::new(cause.into()), read: Vec::new() }
    }

    /// Adds the objects that were read before a list failed.
    pub(crate) fn having_read(mut self, read: Vec<OwnedEntry>) -> Self {
        self.read = read;
        self
    }

    /// Replaces the cause.
    pub(crate) fn map_cause(mut self, map: impl FnOnce(Cause) -> Cause) -> Self {
        self.cause = Box::new(map(*self.cause));
        self
    }

    /// The operation: `add`, `change`, `list`, `open`, ...
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The object in words: `qdisc tbf 1: on device 3`.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Why it failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The objects that the last try of a [list](crate::Connection::list) read before
    /// it failed. They are incomplete and can be outdated.
    pub fn read(&self) -> &[OwnedEntry] {
        &self.read
    }

    pub(crate) fn into_cause(self) -> Cause {
        *self.cause
    }

    /// The kernel's error, if the kernel refused the request.
    pub fn kernel(&self) -> Option<&KernelError> {
        match &*self.cause {
            Cause::Kernel(error) => Some(error),
            _ => None,
        }
    }

    /// The error number (positive, as in `errno.h`), the kernel's or a system
    /// call's.
    pub fn errno(&self) -> Option<i32> {
        match &*self.cause {
            Cause::Kernel(error) => Some(error.errno),
            Cause::Send(error) | Cause::AnswerLost(error) | Cause::System(error) => error.raw_os_error(),
            _ => None,
        }
    }

    /// The object, its parent or its device is not there, or the kernel does not show it.
    ///
    /// The kernel answers `ENOENT` or `ENODEV`, and for some requests `EINVAL` with a text that says so: a
    /// root qdisc of another handle or kind, a filter below a qdisc that is not there. A kind that the
    /// kernel lacks is [another error](Self::is_unknown_kind).
    pub fn is_not_found(&self) -> bool {
        match (&*self.cause, self.errno()) {
            (Cause::NotShown, _) => true,
            (_, Some(libc::ENOENT | libc::ENODEV)) => !self.is_unknown_kind(),
            (Cause::Kernel(kernel), Some(libc::EINVAL)) => {
                let text = kernel.ext_ack.message.as_deref().unwrap_or_default();
                let looks_up = matches!(self.operation, "get" | "delete");
                let begins = |known: &&str| text.starts_with(known);
                NOT_THERE.iter().any(begins) || looks_up && OTHER_ONE.iter().any(begins)
            }
            _ => false,
        }
    }

    /// The kernel lacks the kind, and cannot load its module.
    pub fn is_unknown_kind(&self) -> bool {
        self.kernel().is_some_and(|kernel| {
            let text = kernel.ext_ack.message.as_deref().unwrap_or_default();
            UNKNOWN_KIND.iter().any(|known| text.starts_with(known))
        })
    }

    /// `EEXIST`: something is there already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// `EPERM` or `EACCES`: the process lacks `CAP_NET_ADMIN` in the user
    /// namespace that owns the network namespace.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    /// `EBUSY`: another object uses the object.
    pub fn is_busy(&self) -> bool {
        self.errno() == Some(libc::EBUSY)
    }

    /// `EINVAL`: the kernel does not accept these values.
    pub fn is_invalid(&self) -> bool {
        self.errno() == Some(libc::EINVAL)
    }

    /// `EOPNOTSUPP`: the kind or the device cannot do this.
    pub fn is_unsupported(&self) -> bool {
        self.errno() == Some(libc::EOPNOTSUPP)
    }

    /// Whether the kernel may have carried the request out all the same, or a
    /// part of it: it was sent, and its answer is not known.
    pub fn is_outcome_unknown(&self) -> bool {
        self.cause.is_outcome_unknown()
    }
}

/// Beginnings of the texts with which the kernel answers `EINVAL` for an object, or the place of one, that is not there:
/// `net/sched/cls_api.c`.
const NOT_THERE: &[&str] = &[
    "Parent Qdisc doesn't exists",
    "Specified class doesn't exist",
    "Block of given index was not found",
    "Cannot find specified filter chain",
];

/// Beginnings of those with which it answers `EINVAL` to a get or delete, if the qdisc at the place has another handle or
/// kind: `tc_get_qdisc` of `net/sched/sch_api.c`.
const OTHER_ONE: &[&str] = &["Invalid handle", "Invalid qdisc name"];

/// How the texts for a missing kind begin: `qdisc_create`, `tcf_proto_lookup_ops`, `tc_action_load_ops`.
const UNKNOWN_KIND: &[&str] =
    &["Specified qdisc kind is unknown", "TC classifier not found", "Failed to load TC action module"];

/// So that a function that makes requests can return one type of error: options
/// that cannot be built.
impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new("make", "options", error)
    }
}

/// An entry of a list, or a notice, that cannot be read.
impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new("read", "message", Cause::Unreadable(error))
    }
}

/// A text that is no handle.
impl From<HandleError> for Error {
    fn from(error: HandleError) -> Self {
        Self::new("read", "handle", Cause::Refused(error.to_string()))
    }
}

macro_rules! causes {
    ($($variant:ident: $error:ty),*) => {$(
        impl From<$error> for Cause {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

causes!(Kernel: KernelError, Encode: EncodeError, Decode: DecodeError);

impl Cause {
    /// Whether the kernel may have carried the request out all the same, or a
    /// part of it: it was sent, and its answer is not known.
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::AnswerLost(_) | Self::Timeout(_) | Self::Decode(_) | Self::Partly(_))
    }

    /// This failure, reported for another request of the same datagram.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Timeout(time) => Self::Timeout(*time),
            Self::Send(error) => Self::Send(copy(error)),
            Self::AnswerLost(error) | Self::System(error) => Self::AnswerLost(copy(error)),
            other => Self::AnswerLost(io::Error::other(other.to_string())),
        }
    }
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::handle::Handle;

    #[test]
    fn question_mark_converts_every_error() {
        fn make(handle: &str) -> Result<Handle, Error> {
            Ok(handle.parse()?)
        }
        let error = make("x:").unwrap_err();
        assert_eq!(
            error.to_string(),
            "read handle: \"x:\" is no handle: expected MAJOR:MINOR in hexadecimal, root, ingress or none"
        );
        let read = Error::from(DecodeError::Missing { what: "kind" });
        assert_eq!(read.to_string(), "read message: cannot read it: no kind");
        // Reading a list changes nothing.
        assert!(!read.is_outcome_unknown() && !error.is_outcome_unknown());
        let made = Error::from(EncodeError::Invalid("burst".into()));
        assert_eq!(made.to_string(), "make options: burst");
    }
}
