//! A transport that counts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tc_core::link::{DeviceNames, QueueEvents};
use tc_core::{Received, Transport};

/// How many system calls a transport made.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    sends: Arc<AtomicUsize>,
    receives: Arc<AtomicUsize>,
}

impl Calls {
    /// Sends and receives since the last time this was asked for.
    #[must_use]
    pub fn take(&self) -> (usize, usize) {
        (self.sends.swap(0, Ordering::Relaxed), self.receives.swap(0, Ordering::Relaxed))
    }
}

/// Counts calls of the transport below.
#[derive(Debug)]
pub struct Counting<T> {
    below: T,
    calls: Calls,
}

impl<T> Counting<T> {
    /// Counts the calls of `below` in `calls`.
    pub const fn new(below: T, calls: Calls) -> Self {
        Self { below, calls }
    }
}

impl<T: Transport> Transport for Counting<T> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.calls.sends.fetch_add(1, Ordering::Relaxed);
        self.below.send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.calls.receives.fetch_add(1, Ordering::Relaxed);
        self.below.receive(buffer)
    }

    fn port(&self) -> u32 {
        self.below.port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.below.device_names()
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        self.below.queue_events()
    }
}
