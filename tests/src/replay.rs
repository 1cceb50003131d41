//! A kernel that returns a constant answer at almost no cost, so that the library's work remains.

use std::io;

use tc_core::link::DeviceNames;
use tc_core::uapi::{NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR};
use tc_core::{Received, Transport};

const PORT: u32 = 7;
/// The kernel fills dumps in pieces of this size.
const PIECE: usize = 32 * 1024;

/// Answers every request with the same datagrams, under the request's sequence number.
#[derive(Debug)]
pub struct Replay {
    answer: Vec<Vec<u8>>,
    /// How many of them were received since the last request.
    received: usize,
    sequence: [u8; 4],
    /// System calls that a socket would have made.
    pub calls: u64,
}

impl Replay {
    /// Acknowledges everything.
    #[must_use]
    pub fn acknowledge() -> Self {
        // The error number 0 and the header of the request.
        Self::new(vec![message(NLMSG_ERROR, 0, &[0; 20])])
    }

    /// Lists `count` copies of an object, a netlink message such as a capture has.
    #[must_use]
    pub fn dump(object: &[u8], count: usize) -> Self {
        let kind = u16::from_ne_bytes([object[4], object[5]]);
        let object = message(kind, NLM_F_MULTI, &object[16..]);
        let fit = PIECE / object.len();
        let pieces = (0..count).step_by(fit).map(|at| object.repeat(fit.min(count - at)));
        let mut answer: Vec<_> = pieces.collect();
        answer.push(message(NLMSG_DONE, NLM_F_MULTI, &[0; 4]));
        Self::new(answer)
    }

    const fn new(answer: Vec<Vec<u8>>) -> Self {
        Self { answer, received: 0, sequence: [0; 4], calls: 0 }
    }
}

impl Transport for Replay {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.calls += 1;
        self.received = 0;
        self.sequence.copy_from_slice(&datagram[8..12]);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.calls += 1;
        let answer = self.answer.get(self.received).ok_or(io::ErrorKind::WouldBlock)?;
        self.received += 1;
        let length = answer.len();
        buffer[..length].copy_from_slice(answer);
        let mut at = 0;
        while at < length {
            buffer[at + 8..at + 12].copy_from_slice(&self.sequence);
            let own = u32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
            at += own.next_multiple_of(4) as usize;
        }
        Ok(Received { length, sender: 0 })
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(PORT.to_ne_bytes());
    message.extend(payload);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}
