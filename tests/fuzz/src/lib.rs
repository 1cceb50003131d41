//! Shared parts of the targets: kinds by number, and a kernel with arbitrary answers.

use std::io;
use std::sync::LazyLock;

use tc_core::link::DeviceNames;
use tc_core::{Received, Registry, TcOps, Transport};
use tc_qdiscs as _;
use tests::captures::Machine;

/// Every registered kind, in the registry's order.
pub fn kinds() -> &'static [&'static dyn TcOps] {
    static KINDS: LazyLock<Vec<&'static dyn TcOps>> = LazyLock::new(|| {
        let registry = Registry::global().expect("the kinds do not contradict each other");
        registry.iter().map(tc_core::Registered::ops).collect()
    });
    &KINDS
}

/// The kind that a byte of the input names.
pub fn kind(number: u8) -> &'static dyn TcOps {
    kinds()[usize::from(number) % kinds().len()]
}

/// A kernel whose answers are the input: datagrams with a length of two bytes, and a byte of flags
/// before it. When there are no more, none comes.
pub struct Liar<'a> {
    input: &'a [u8],
    sequence: u32,
}

/// The flag of a datagram that answers the last request, so that more than its header is looked at.
pub const IN_SEQUENCE: u8 = 1;
/// The flag of a datagram that another process sent.
pub const FOREIGN: u8 = 2;
/// The flag of a lost datagram: the receive fails with ENOBUFS.
pub const LOST: u8 = 4;
const ENOBUFS: i32 = 105;
/// The port of [`Liar`].
pub const PORT: u32 = 7;

impl<'a> Liar<'a> {
    /// Answers from `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, sequence: 0 }
    }
}

impl Transport for Liar<'_> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(&[a, b, c, d]) = datagram.get(8..12) {
            self.sequence = u32::from_ne_bytes([a, b, c, d]);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let (&[flags, low, high], rest) = self.input.split_first_chunk().ok_or(io::ErrorKind::WouldBlock)?;
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        self.input = rest;
        if flags & LOST != 0 {
            return Err(io::Error::from_raw_os_error(ENOBUFS));
        }
        let copied = length.min(buffer.len());
        buffer[..copied].copy_from_slice(&datagram[..copied]);
        if flags & IN_SEQUENCE != 0 {
            put_in_sequence(&mut buffer[..copied], self.sequence);
        }
        Ok(Received { length, sender: u32::from(flags & FOREIGN) })
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Ok(Box::new(Machine))
    }
}

/// Gives every message its sequence number and port.
fn put_in_sequence(datagram: &mut [u8], sequence: u32) {
    let mut at = 0;
    while let Some(header) = datagram.get_mut(at..at + 16) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        header[8..12].copy_from_slice(&sequence.to_ne_bytes());
        header[12..16].copy_from_slice(&PORT.to_ne_bytes());
        at += (length as usize).clamp(16, 1 << 20).next_multiple_of(4);
    }
}
