//! Echoes: the objects that a request created, changed or deleted, sent back to the requester.

use bytes::BytesMut;

use crate::connection::Connection;
use crate::connection::Transport;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::Cause;
use crate::exchange::reply::{ForeignDatagramGuard, MessageRange};
use crate::wire::ack::ExtAck;
use crate::wire::error::EncodeError;
use crate::wire::message::edit_flags;
use crate::wire::uapi::NLM_F_ECHO;

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

    /// Like a request without an echo. Kernel: the echo comes before the
    /// acknowledgement, with old and new object in one datagram.
    pub(crate) fn transact_with_echo(
        &mut self,
        encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
    ) -> Result<Option<ExtAck>, Cause> {
        self.send(|sequence, buffer| {
            encode(sequence, buffer)?;
            edit_flags(buffer, 0, |flags| flags | NLM_F_ECHO);
            Ok(())
        })?;
        let waited = self.wait_with_echo();
        self.clean(waited)
    }

    fn wait_with_echo(&mut self) -> Result<Option<ExtAck>, Cause> {
        let mut stray = ForeignDatagramGuard::default();
        loop {
            let length = self.receive(&mut stray)?;
            let mut at = 0;
            while let Some(place) = MessageRange::next(&self.answer[..length], &mut at)? {
                let message = place.message(&self.answer);
                if !self.is_mine(&message) {
                    continue;
                }
                match self.verdict(&message)? {
                    Some(verdict) => return Ok(verdict?),
                    None => self.note_echo(place),
                }
            }
        }
    }

    /// A repeated datagram with the same sequence number is one echo.
    fn note_echo(&mut self, place: MessageRange) {
        let bytes = place.bytes(&self.answer);
        if self.echo.entries.iter().all(|echo| echo.bytes() != bytes) {
            self.echo.entries.push(OwnedEntry::copy(bytes));
        }
    }
}
