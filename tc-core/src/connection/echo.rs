//! Echoes: the objects that a request created, changed or deleted, sent back to the requester.

use crate::connection::Connection;
use crate::connection::Transport;
use crate::exchange::entry::OwnedEntry;

/// Whether echoes are requested, and those received.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    on: bool,
    entries: Vec<OwnedEntry>,
}

impl Echo {
    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Keeps an object. Kernel: it comes before the acknowledgement, with old and new object in one datagram. A repeated
    /// datagram with the same sequence number is one echo.
    pub(crate) fn note(&mut self, message: &[u8]) {
        if self.entries.iter().all(|echo| echo.bytes() != message) {
            self.entries.push(OwnedEntry::copy(message));
        }
    }
}

impl<T: Transport> Connection<T> {
    /// Sets whether the kernel echoes the objects that requests create, change or
    /// delete (`NLM_F_ECHO`). [`Connection::take_echo`] returns them.
    pub const fn set_echo(&mut self, on: bool) {
        self.echo.on = on;
    }

    /// Returns the objects that requests created, changed or deleted since the last
    /// call, in the kernel's order: the qdisc that was replaced comes before the new one.
    pub fn take_echo(&mut self) -> Vec<OwnedEntry> {
        std::mem::take(&mut self.echo.entries)
    }
}
