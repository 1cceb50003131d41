//! A transport whose faults can be scheduled while it is in use.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tc_core::embedded::Faults;
use tc_core::link::{DeviceNames, QueueEvents};
use tc_core::{Received, Transport};

/// A transport that the test keeps a hand on.
pub struct Shared<T>(Arc<Mutex<Faults<T>>>);

impl<T: Transport> Shared<T> {
    /// Over this one.
    pub fn new(below: T) -> Self {
        Self(Arc::new(Mutex::new(Faults::over(below))))
    }

    /// The transport, to schedule faults.
    ///
    /// If an operation is in progress.
    pub fn get(&self) -> MutexGuard<'_, Faults<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Transport> Transport for Shared<T> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.get().send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.get().receive(buffer)
    }

    fn port(&self) -> u32 {
        self.get().port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.get().device_names()
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        self.get().queue_events()
    }
}
