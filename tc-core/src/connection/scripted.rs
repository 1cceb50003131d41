//! A transport for tests, with scripted answers.

use std::collections::VecDeque;
use std::io;

use crate::connection::{Received, Transport};
use crate::wire::device::DeviceNames;
use crate::wire::message::{Message, Messages};
use crate::wire::uapi::NLMSG_ERROR;

/// The answers to the messages of one datagram.
pub(crate) type Script = fn(&[Message<'_>]) -> Vec<Vec<u8>>;

/// Answers each datagram with the result of `script` for its messages.
pub(crate) struct Scripted {
    script: Script,
    /// The datagrams to receive.
    pub(crate) answers: VecDeque<Vec<u8>>,
    /// How many datagrams were sent.
    pub(crate) sends: usize,
    /// How often one was asked for.
    pub(crate) receives: usize,
    /// Room for answers, in bytes.
    pub(crate) room: usize,
    /// The length of a datagram of another process, which comes first.
    pub(crate) stranger: Option<usize>,
}

impl Scripted {
    pub(crate) const fn new(script: Script) -> Self {
        Self { script, answers: VecDeque::new(), sends: 0, receives: 0, room: usize::MAX, stranger: None }
    }
}

impl Transport for Scripted {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.sends += 1;
        let messages: Vec<_> = Messages::new(datagram).map(Result::unwrap).collect();
        self.answers.extend((self.script)(&messages));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.receives += 1;
        if let Some(length) = self.stranger.take() {
            return Ok(Received { length, sender: 9 });
        }
        let answer = self.answers.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..answer.len()].copy_from_slice(&answer);
        Ok(Received { length: answer.len(), sender: 0 })
    }

    fn make_room(&mut self, _: usize) -> io::Result<usize> {
        Ok(self.room)
    }

    fn port(&self) -> u32 {
        7
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A message as the kernel would send it.
pub(crate) fn message(kind: u16, sequence: u32, port: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + payload.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 2]);
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(port.to_ne_bytes());
    bytes.extend(payload);
    bytes
}

/// The kernel's verdict on a message: an error number, or 0.
pub(crate) fn verdict(of: &Message<'_>, errno: i32) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend([0; 16]);
    message(NLMSG_ERROR, of.sequence, 7, &payload)
}
