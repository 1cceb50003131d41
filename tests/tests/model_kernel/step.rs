//! One step, and how it reads.

use std::fmt;

use tc_core::link::LinkChange;
use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, Stab, Verb, object};

/// A command or a packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A number of frames of a length in bytes.
    Send { count: usize, bytes: usize },
    /// A request for the root qdisc with this handle; a stab adds [`OVERHEAD`].
    Qdisc { verb: Verb, major: u16, options: Option<RawPlug>, stab: bool },
    /// A change of the device.
    Link(LinkChange),
}

/// `struct tc_plug_qopt` as it is, or a part of it: sent without another thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawPlug {
    pub(crate) action: i32,
    pub(crate) limit: u32,
    /// How many of its 8 bytes are sent.
    pub(crate) length: usize,
}

pub(crate) const OVERHEAD: Stab =
    Stab { overhead: 30, linklayer: tc_core::rate::LinkLayer::Unspec, mpu: 0, mtu: 0, tsize: 0 };

impl Step {
    pub(crate) fn packets(&self) -> usize {
        match self {
            Self::Send { count, .. } => *count,
            _ => 0,
        }
    }

    /// Whether the device's queue can run asynchronously after it.
    pub(crate) fn kicks(&self) -> bool {
        matches!(self, Self::Qdisc { options: Some(RawPlug { action: 1 | 2, .. }), .. })
    }

    /// Steps that would be easier to read in its place.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        match *self {
            Self::Send { count, bytes } => {
                let fewer = [1, count / 2, count.saturating_sub(1)].map(|count| (count, bytes));
                let sizes = [(count, 100)];
                let wanted = |(fewer, size): &(usize, usize)| {
                    (*fewer > 0 && *fewer < count) || (*fewer == count && bytes != 100 && *size == 100)
                };
                fewer
                    .into_iter()
                    .chain(sizes)
                    .filter(wanted)
                    .map(|(count, bytes)| Self::Send { count, bytes })
                    .collect()
            }
            Self::Qdisc { verb, major, options, stab } => {
                let plain = |plug: &RawPlug| if plug.action == 3 { 10_000 } else { 0 };
                let plain = options.filter(|plug| plug.limit != plain(plug)).map(|plug| {
                    let limit = plain(&plug);
                    Some(RawPlug { limit, ..plug })
                });
                let unstabbed = stab.then_some(options);
                plain
                    .into_iter()
                    .chain(unstabbed)
                    .map(|options| Self::Qdisc { verb, major, options, stab: false })
                    .collect()
            }
            Self::Link(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { count: 1, bytes } => write!(f, "send a frame of {bytes} bytes"),
            Self::Send { count, bytes } => write!(f, "send {count} frames of {bytes} bytes"),
            Self::Qdisc { verb, major, options, stab } => {
                write!(f, "tc qdisc {} dev near root handle {major:x}:", verb.name())?;
                if *stab {
                    write!(f, " stab overhead {}", OVERHEAD.overhead)?;
                }
                match (verb, options) {
                    (Verb::Delete, _) => Ok(()),
                    (_, None) => write!(f, " plug"),
                    (_, Some(options)) => write!(f, " plug {options}"),
                }
            }
            Self::Link(LinkChange { up, tx_queue_len, mtu }) => {
                write!(f, "ip link set near")?;
                match up {
                    Some(true) => write!(f, " up")?,
                    Some(false) => write!(f, " down")?,
                    None => {}
                }
                if let Some(length) = tx_queue_len {
                    write!(f, " txqueuelen {length}")?;
                }
                if let Some(mtu) = mtu {
                    write!(f, " mtu {mtu}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for RawPlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, limit, length } = *self;
        match (action, length) {
            (0, 8) => write!(f, "block"),
            (1, 8) => write!(f, "release"),
            (2, 8) => write!(f, "release_indefinite"),
            (3, 8) => return write!(f, "limit {limit}"),
            _ => return write!(f, "[{length} bytes of: action {action}, limit {limit}]"),
        }?;
        if limit == 0 { Ok(()) } else { write!(f, " [with limit {limit}]") }
    }
}

impl Kind for RawPlug {
    type Object = object::Qdisc;
    const KIND: &'static str = "plug";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let bytes = [self.action.to_ne_bytes(), self.limit.to_ne_bytes()].concat();
        out.put(&bytes[..self.length]);
        Ok(Fill::Written)
    }

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Err(DecodeError::Malformed { what: "raw plug" })
    }
}
