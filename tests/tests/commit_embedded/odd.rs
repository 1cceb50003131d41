//! A socket with replies that the embedded kernel never sends.

use std::collections::VecDeque;
use std::io;

use tc_core::embedded::Socket;
use tc_core::link::{DeviceNames, QueueEvents};
use tc_core::{Received, Transport};

/// Each answer may be changed on its way, the next one first.
pub(crate) struct Odd {
    socket: Socket,
    pub(crate) changes: VecDeque<fn(&mut [u8])>,
}

impl Odd {
    pub(crate) const fn over(socket: Socket) -> Self {
        Self { socket, changes: VecDeque::new() }
    }
}

impl Transport for Odd {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let received = self.socket.receive(buffer)?;
        if let Some(change) = self.changes.pop_front() {
            change(&mut buffer[..received.length]);
        }
        Ok(received)
    }

    fn port(&self) -> u32 {
        self.socket.port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.socket.device_names()
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        self.socket.queue_events()
    }
}
