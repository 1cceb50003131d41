//! Datagrams, and how they are spoiled.

use std::io;

use bytes::BytesMut;

use crate::connection::{Received, Transport};
use crate::embedded::discipline::Refusal;
use crate::embedded::state::{acknowledgement, encode_extension};
use crate::wire::attr::align;
use crate::wire::message::{Messages, begin_message, end_message};
use crate::wire::uapi::{NLM_F_DUMP_INTR, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR};

/// A datagram held back.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) received: Received,
}

impl Held {
    /// The next datagram as the transport below has it.
    pub(super) fn fetch(from: &mut impl Transport, room: usize) -> io::Result<Self> {
        let mut bytes = vec![0; room];
        let received = from.receive(&mut bytes)?;
        bytes.truncate(received.length);
        Ok(Self { bytes, received })
    }

    pub(super) fn copy_to(&self, buffer: &mut [u8]) -> Received {
        let fits = self.bytes.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&self.bytes[..fits]);
        self.received
    }

    pub(super) fn again(&self) -> Self {
        Self { bytes: self.bytes.clone(), received: self.received }
    }

    /// The datagram with a success instead of an error.
    fn success(&self) -> Self {
        let mut same = self.again();
        same.each(|kind, message| {
            if matches!(kind, NLMSG_ERROR | NLMSG_DONE)
                && let Some(error) = message.get_mut(16..20)
            {
                error.fill(0);
            }
        });
        same
    }

    /// A success in its name from another process.
    pub(super) fn forged(&self) -> Self {
        let mut forged = self.success();
        forged.received.sender = 4242;
        forged
    }

    /// A success with another sequence number.
    pub(super) fn of_other_sequence(&self) -> Self {
        let mut other = self.success();
        other.each(|_, message| change(message, 8, |sequence| sequence.wrapping_sub(1)));
        other
    }

    /// A success for another port.
    pub(super) fn of_other_port(&self) -> Self {
        let mut other = self.success();
        other.each(|_, message| change(message, 12, |port| port.wrapping_add(1)));
        other
    }

    /// Cuts off its second half. The reported length is the original one, which
    /// exceeds the buffer.
    pub(super) fn truncate(&mut self, buffer: usize) {
        self.bytes.truncate(self.bytes.len() / 2);
        self.received.length = self.received.length.max(buffer + 1);
    }

    pub(super) fn interrupt_dump(&mut self) {
        self.each(|_, message| {
            let flags = u16::from_ne_bytes([message[6], message[7]]);
            let flags = flags | if flags & NLM_F_MULTI != 0 { NLM_F_DUMP_INTR } else { 0 };
            message[6..8].copy_from_slice(&flags.to_ne_bytes());
        });
    }

    pub(super) fn end_with(&mut self, errno: i32) {
        self.each(|kind, message| {
            if kind == NLMSG_DONE
                && let Some(error) = message.get_mut(16..20)
            {
                error.copy_from_slice(&(-errno).to_ne_bytes());
            }
        });
    }

    /// Shows every message's type and bytes, header included.
    fn each(&mut self, mut change: impl FnMut(u16, &mut [u8])) {
        let mut at = 0;
        while let Some(Ok(message)) = self.bytes.get(at..).and_then(|rest| Messages::new(rest).next()) {
            let (kind, end) = (message.kind, at + message.payload.len() + 16);
            change(kind, &mut self.bytes[at..end]);
            at = align(end);
        }
    }
}

/// The kernel's answers to a datagram whose requests it refuses, one a request.
pub(super) fn refused(datagram: &[u8], refusal: &Refusal, port: u32) -> Vec<Held> {
    let mut extension = BytesMut::new();
    encode_extension(refusal, &mut extension);
    let answers = Messages::new(datagram).flatten().map(|asked| {
        let mut header = BytesMut::new();
        let start = begin_message(&mut header, asked.kind, asked.flags, asked.sequence);
        end_message(&mut header, start);
        let bytes = acknowledgement(asked.sequence, port, refusal.errno, &header, &extension).to_vec();
        let received = Received { length: bytes.len(), sender: 0 };
        Held { bytes, received }
    });
    answers.collect()
}

fn change(message: &mut [u8], at: usize, change: impl FnOnce(u32) -> u32) {
    if let Some(place) = message.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = change(u32::from_ne_bytes(*place)).to_ne_bytes();
    }
}
