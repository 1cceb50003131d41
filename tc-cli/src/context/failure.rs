//! Failures, and their texts.

use std::fmt;
use std::io;

use tc_core::words::WordError;
use tc_core::{Cause, Connection, Error, Handle, KernelError, RegistryError, Request, TcType};

use super::modules::module;

/// A command that failed. Its `Display` is `tc`'s text on standard error, sometimes
/// followed by a line of advice.
#[derive(Debug)]
pub enum Failure {
    /// Words that make no command.
    Words(String),
    /// Options that a kind refuses, or its usage text.
    Kind(String),
    /// Options of a kind that is not among those of the program.
    UnknownKind {
        /// The type of its objects.
        tc_type: TcType,
        /// Its name.
        kind: String,
        /// The first of its words; can be empty.
        word: String,
    },
    /// No device has this name.
    NoDevice(String),
    /// A request that was refused, or whose answer was lost.
    Request {
        /// The cause.
        error: Error,
        /// The kind that the request named; empty if none.
        kind: String,
    },
    /// A request for a filter that was refused, or whose answer was lost.
    Filter(Error),
    /// A request to add or change actions that was refused, or whose answer was lost.
    Actions(Error),
    /// A request for actions by index that was refused, or whose answer was lost.
    ActionsByIndex(Error),
    /// A flush of actions that was refused, or whose answer was lost.
    Flush(Error),
    /// An index of an action kind that the program lacks.
    UnknownAction(String),
    /// A list that could not be read to its end.
    List(Error),
    /// Notices that could not be read.
    Monitor(Error),
    /// A command of a batch failed, and was reported.
    Batch,
    /// A program that was run for the user ended with this status; nothing is printed.
    Status(u8),
    /// A command that `tc` does not have failed.
    Extension(String),
    /// It lacks the privilege.
    ExtensionDenied(String),
    /// Something on this machine: a socket, a file, a namespace.
    System(String),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// The exit code, as `tc` has them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Words(_) | Self::Actions(_) | Self::ActionsByIndex(_) | Self::UnknownAction(_) => 255,
            Self::Request { .. } | Self::Filter(_) | Self::Monitor(_) => 2,
            Self::Status(status) => *status,
            Self::Kind(_)
            | Self::UnknownKind { .. }
            | Self::NoDevice(_)
            | Self::Flush(_)
            | Self::List(_)
            | Self::Batch
            | Self::Extension(_)
            | Self::ExtensionDenied(_)
            | Self::System(_)
            | Self::Output(_) => 1,
        }
    }

    /// The error number and extended acknowledgement, if the kernel refused.
    pub fn kernel(&self) -> Option<&KernelError> {
        self.error().and_then(Error::kernel)
    }

    /// The library's error.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Request { error, .. }
            | Self::Filter(error)
            | Self::Actions(error)
            | Self::ActionsByIndex(error)
            | Self::Flush(error)
            | Self::List(error)
            | Self::Monitor(error) => Some(error),
            _ => None,
        }
    }

    /// A command that `tc` does not have failed with this text, because of this error if there is one.
    pub(crate) fn own(text: String, cause: Option<&Error>) -> Self {
        let denied = cause.is_some_and(Error::is_permission_denied);
        if denied && lacks_capability() { Self::ExtensionDenied(text) } else { Self::Extension(text) }
    }

    /// The advice, if there is one.
    pub fn advice(&self) -> Option<String> {
        let (error, kind) = match self {
            Self::ExtensionDenied(_) => return Some(DENIED.into()),
            Self::UnknownKind { tc_type, kind, .. } => return Some(not_here(*tc_type, kind)),
            Self::UnknownAction(kind) => return Some(not_here(TcType::Action, kind)),
            Self::Words(text) => {
                // As in tc, a word that names no action is gact's to refuse.
                let kind = text.strip_prefix("Bad action type ")?.lines().next()?;
                return Some(not_here(TcType::Action, kind));
            }
            Self::Request { error, kind } => (error, kind.as_str()),
            Self::Filter(error) | Self::Actions(error) | Self::ActionsByIndex(error) | Self::Flush(error) => {
                (error, "")
            }
            _ => return None,
        };
        if error.is_permission_denied() && lacks_capability() {
            Some(DENIED.into())
        } else if error.is_unknown_kind() && !kind.is_empty() {
            let module = module(TcType::Qdisc, kind);
            Some(format!(
                "The kernel has no qdisc \"{kind}\", or cannot load its module {module} (modprobe {module})."
            ))
        } else {
            None
        }
    }
}

/// Whether this thread lacks the right to change traffic control. EPERM alone does not show that: the
/// kernel also answers so for actions that are in use.
///
/// The kernel checks the capability before it looks for the device, and no device has the index 0.
fn lacks_capability() -> bool {
    let nothing = Request::qdisc(0).parent(Handle::ROOT);
    let deleted = Connection::open().and_then(|mut connection| connection.delete(&nothing));
    deleted.is_err_and(|error| error.is_permission_denied())
}

fn not_here(tc_type: TcType, kind: &str) -> String {
    format!("There is no {tc_type} \"{kind}\" in tc-cli (tc-cli kinds lists what there is); tc may have it.")
}

const DENIED: &str = "This needs the capability CAP_NET_ADMIN over the network namespace: run it as root, \
                      or in a namespace of your own (unshare -rn).";

/// `tc`'s text alone; [`Failure::advice`] has the line after it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(text)
            | Self::Kind(text)
            | Self::Extension(text)
            | Self::ExtensionDenied(text)
            | Self::System(text) => f.write_str(text),
            Self::UnknownKind { tc_type, kind, word } if word.is_empty() => {
                write!(f, "Unknown {tc_type} \"{kind}\"")
            }
            Self::UnknownKind { tc_type, kind, word } => {
                write!(f, "Unknown {tc_type} \"{kind}\", hence option \"{word}\" is unparsable")
            }
            Self::NoDevice(name) => write!(f, "Cannot find device \"{name}\""),
            Self::Request { error, .. } | Self::Monitor(error) => shown(error, f),
            Self::Filter(error) | Self::Actions(error) => {
                shown(error, f)?;
                f.write_str("\nWe have an error talking to the kernel")
            }
            Self::ActionsByIndex(error) => {
                shown(error, f)?;
                // tc goes on to read the words of this request as the next command.
                f.write_str(
                    "\nWe have an error talking to the kernel\n\
                     Command \"action\" is unknown, try \"tc actions help\".",
                )
            }
            Self::Flush(error) => {
                shown(error, f)?;
                f.write_str("\nWe have an error flushing")
            }
            Self::UnknownAction(kind) => write!(f, "Error: non existent action: {kind}"),
            Self::List(error) => {
                // Kernel: ENOENT or EOPNOTSUPP if there is no list; tc prints
                // nothing more.
                let silent = error.kernel().is_some_and(|kernel| {
                    kernel.ext_ack.message.is_none() && (error.is_not_found() || error.is_unsupported())
                });
                if !silent {
                    shown(error, f)?;
                    f.write_str("\n")?;
                }
                f.write_str("Dump terminated")
            }
            Self::Batch => f.write_str("a command failed"),
            Self::Status(status) => write!(f, "the command ended with status {status}"),
            Self::Output(error) => write!(f, "Cannot write to standard output: {}", reason(error)),
        }
    }
}

impl std::error::Error for Failure {}

fn shown(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error.cause() {
        Cause::Kernel(kernel) => match kernel.ext_ack.message.as_deref() {
            Some(message) if !message.is_empty() => f.write_str(&sentence("Error", message)),
            _ => write!(f, "RTNETLINK answers: {}", kernel.strerror()),
        },
        Cause::Send(error) => write!(f, "Cannot talk to rtnetlink: {}", reason(error)),
        Cause::Refused(reason) => f.write_str(&sentence("Error", reason)),
        cause => {
            f.write_str(&sentence("Error", &format!("{} {}: {cause}", error.operation(), error.object())))
        }
    }
}

/// `Error: MESSAGE.` as iproute2 prints the kernel's text.
pub(crate) fn sentence(what: &str, message: &str) -> String {
    let stop = if message.ends_with('.') { "" } else { "." };
    format!("{what}: {message}{stop}")
}

/// An error number's text alone, as `strerror` has it.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => KernelError { errno, ..KernelError::default() }.strerror(),
        None => error.to_string(),
    }
}

/// Wrong words before the kind.
impl From<WordError> for Failure {
    fn from(error: WordError) -> Self {
        match error {
            WordError::Address { .. } => Self::Kind(error.to_string()),
            error => Self::Words(error.to_string()),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::System(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
