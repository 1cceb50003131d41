//! The place and the handle of a filter.

use crate::kind::words::WordError;
use crate::wire::handle::Handle;
use crate::wire::message::Entry;
use crate::wire::uapi::*;

/// The place of a filter: everything outside its options that its words and its
/// output can depend on.
///
/// ```
/// use tc_core::{FilterPlace, Handle, uapi::ETH_P_IP};
///
/// let mut place = FilterPlace::default();
/// place.protocol = Some(ETH_P_IP);
/// place.parent = Handle::FILTER_INGRESS;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterPlace<'a> {
    /// The Ethernet protocol (`ETH_P_*`), in the machine's byte order.
    pub protocol: Option<u16>,
    /// The priority (`pref`).
    pub priority: Option<u16>,
    /// The qdisc, class or hook that the filter is attached to; unspecified in
    /// a block.
    pub parent: Handle,
    /// The chain.
    pub chain: Option<u32>,
    /// The shared block.
    pub block: Option<u32>,
    /// The filter's handle. Unspecified while words are read: see `handle_word`.
    pub handle: Handle,
    /// While words are read: the word after `handle`, as it was typed.
    pub handle_word: Option<&'a str>,
}

impl FilterPlace<'_> {
    /// The place of a filter in a dump or notice.
    pub fn of(entry: &Entry<'_>) -> Self {
        let block = entry.block();
        Self {
            protocol: Some(entry.protocol()).filter(|protocol| *protocol != 0),
            priority: Some(entry.priority()).filter(|priority| *priority != 0),
            parent: if block.is_some() { Handle::UNSPEC } else { entry.header.parent },
            chain: entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok()),
            block,
            handle: entry.header.handle,
            handle_word: None,
        }
    }
}

impl Entry<'_> {
    /// A filter's priority.
    pub const fn priority(&self) -> u16 {
        (self.header.info >> 16) as u16
    }

    /// The Ethernet protocol that a filter looks at, in the machine's byte
    /// order; 0 in an answer about all of them.
    pub const fn protocol(&self) -> u16 {
        u16::from_be(self.header.info as u16)
    }

    /// The shared block that a filter is in.
    pub const fn block(&self) -> Option<u32> {
        match self.header.ifindex {
            TCM_IFINDEX_MAGIC_BLOCK => Some(self.header.parent.raw()),
            _ => None,
        }
    }
}

/// Reads a filter's handle as most classifiers of `tc` do: the number at the
/// start of the text (`strtol` in base 0); an empty text is 0.
pub(super) fn parse_filter_handle(text: &str) -> Result<Handle, WordError> {
    let illegal = || WordError::Kind(format!("Illegal handle \"{text}\", must be numeric."));
    crate::wire::units::parse_u32(text).map(Handle::from_raw).map_err(|_| illegal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_numbers() {
        assert_eq!(parse_filter_handle("0x10"), Ok(Handle::from_raw(16)));
        assert_eq!(
            parse_filter_handle("x").unwrap_err().to_string(),
            "Illegal handle \"x\", must be numeric."
        );
    }
}
