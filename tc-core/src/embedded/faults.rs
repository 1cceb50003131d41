//! Transport faults between a program and the kernel.

mod held;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;

use std::time::Duration;

use held::Held;

use super::discipline::Refusal;
use super::random::Random;
use crate::connection::{Received, Transport};
use crate::wire::device::DeviceNames;
use crate::wire::queues::QueueEvents;

/// One fault of a datagram from the kernel, or of the call that receives it. Some
/// also apply to a send, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The datagram never arrives.
    Lost,
    /// The receive times out; the datagram arrives after the next send.
    Late,
    /// It arrives twice.
    Doubled,
    /// Another process first sends a forged success: the same bytes with
    /// the error number 0, from a port that is not the kernel's.
    Forged,
    /// An answer to another request comes first, which this socket never sent:
    /// the same bytes with the error number 0 and the sequence number before.
    OtherSequence,
    /// A reply to another socket comes first: the same bytes with another port in
    /// the header.
    OtherPort,
    /// The next datagram comes first, if there is one. No kernel reorders the
    /// datagrams of one socket.
    Reordered,
    /// It is lost, and the receive fails with `ENOBUFS`. A send fails, and
    /// nothing is sent.
    NoBuffers,
    /// The call fails with `EINTR`; the next one gets it, or sends.
    Interrupted,
    /// The call fails with `EAGAIN` though there is something; the next one gets
    /// it. A send fails, and nothing is sent.
    WouldBlock,
    /// Its second half is cut off, as by a short buffer. The reported length shows
    /// the loss.
    Truncated,
    /// Its messages have `NLM_F_DUMP_INTR` set if they belong to a dump.
    DumpInterrupted,
    /// The end of a dump reports that the dump failed (`EIO`).
    DumpFailed,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Lost,
        Self::Late,
        Self::Doubled,
        Self::Forged,
        Self::OtherSequence,
        Self::OtherPort,
        Self::Reordered,
        Self::NoBuffers,
        Self::Interrupted,
        Self::WouldBlock,
        Self::Truncated,
        Self::DumpInterrupted,
        Self::DumpFailed,
    ];
}

/// The frequency of each fault, in thousandths of the received datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chances(Vec<(Fault, u32)>);

impl Chances {
    /// No faults.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Every fault with this frequency.
    #[must_use]
    pub fn all(per_mille: u32) -> Self {
        Self(Fault::ALL.into_iter().map(|fault| (fault, per_mille)).collect())
    }

    /// Adds a fault with its frequency.
    #[must_use]
    pub fn with(mut self, fault: Fault, per_mille: u32) -> Self {
        self.0.retain(|(other, _)| *other != fault);
        self.0.push((fault, per_mille));
        self
    }
}

/// A transport with faults, scheduled or random.
///
/// ```
/// use tc_core::embedded::{Device, Fault, Faults, Kernel, Stored};
/// use tc_core::{Connection, Handle, Request};
///
/// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("tbf", Stored::new).build();
/// let mut tc = Connection::over(Faults::over(kernel.connect()).at(0, Fault::Lost));
/// let error = tc.add(&Request::qdisc(2).parent(Handle::ROOT).kind("tbf")).unwrap_err();
/// assert!(error.is_outcome_unknown(), "it was done all the same: {error}");
/// ```
pub struct Faults<T> {
    inner: T,
    script: BTreeMap<u64, Fault>,
    calls_script: BTreeMap<u64, Fault>,
    before_sends: BTreeMap<u64, Event>,
    before_calls: BTreeMap<u64, Event>,
    before_each: Option<Box<dyn FnMut() + Send>>,
    chances: Chances,
    random: Random,
    calls: u64,
    sends: u64,
    receives: u64,
    /// Datagrams that are delivered first.
    ready: VecDeque<Held>,
    /// Datagrams that are delivered after the next send.
    late: VecDeque<Held>,
    happened: Vec<Fault>,
    refusals: BTreeMap<u64, Refusal>,
    /// Whether the last receive timed out by a fault.
    timed_out: bool,
}

type Event = Box<dyn FnOnce() + Send>;

impl<T: Transport> Faults<T> {
    /// No faults until some are scheduled.
    pub fn over(inner: T) -> Self {
        Self {
            inner,
            script: BTreeMap::new(),
            calls_script: BTreeMap::new(),
            before_sends: BTreeMap::new(),
            before_calls: BTreeMap::new(),
            before_each: None,
            chances: Chances::none(),
            random: Random(0),
            calls: 0,
            sends: 0,
            receives: 0,
            ready: VecDeque::new(),
            late: VecDeque::new(),
            happened: Vec::new(),
            refusals: BTreeMap::new(),
            timed_out: false,
        }
    }

    /// Random faults, the same for the same seed.
    pub fn seeded(inner: T, seed: u64, chances: Chances) -> Self {
        Self { chances, random: Random(seed), ..Self::over(inner) }
    }

    /// Schedules a fault of the `n`th datagram from the kernel, counted from 0.
    #[must_use]
    pub fn at(mut self, n: u64, fault: Fault) -> Self {
        self.script.insert(n, fault);
        self
    }

    /// Schedules a fault of the `n`th call from now, a send or a receive, counted
    /// from 0. Not every fault applies to a send.
    pub fn at_call(&mut self, n: u64, fault: Fault) {
        self.calls_script.insert(self.calls + n, fault);
    }

    /// Runs `event` right before the `n`th call from now, be it a send or a
    /// receive, counted from 0.
    pub fn before_call(&mut self, n: u64, event: impl FnOnce() + Send + 'static) {
        self.before_calls.insert(self.calls + n, Box::new(event));
    }

    /// Runs `event` right before each call from now on, be it a send or a
    /// receive: another process changes something in the middle of every dump.
    pub fn before_each_call(&mut self, event: impl FnMut() + Send + 'static) {
        self.before_each = Some(Box::new(event));
    }

    /// How many calls there were: sends, and receives.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Schedules a fault of the next datagram from the kernel.
    pub fn next(&mut self, fault: Fault) {
        self.script.insert(self.receives, fault);
    }

    /// Runs `event` right before the `n`th send from now, counted from 0: a
    /// device is unplugged, another process changes something.
    pub fn before_send(&mut self, n: u64, event: impl FnOnce() + Send + 'static) {
        self.before_sends.insert(self.sends + n, Box::new(event));
    }

    /// Makes the kernel refuse all requests of the `n`th send from now, counted from 0: nothing is done, and
    /// the answer is this refusal.
    ///
    /// ```
    /// use tc_core::embedded::{Device, Faults, Kernel, Refusal, Stored};
    /// use tc_core::{Connection, Handle, Request};
    ///
    /// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("tbf", Stored::new).build();
    /// let mut faults = Faults::over(kernel.connect());
    /// let mut refusal = Refusal::errno(12); // ENOMEM
    /// refusal.message = Some("out of rate tables".into());
    /// faults.refuse_send(0, refusal);
    /// let mut tc = Connection::over(faults);
    /// let error = tc.add(&Request::qdisc(2).parent(Handle::ROOT).kind("tbf")).unwrap_err();
    /// assert_eq!(error.errno(), Some(12));
    /// assert!(error.to_string().contains("out of rate tables"));
    /// ```
    pub fn refuse_send(&mut self, n: u64, refusal: Refusal) {
        self.refusals.insert(self.sends + n, refusal);
    }

    /// The faults so far, in order.
    pub fn happened(&self) -> &[Fault] {
        &self.happened
    }

    /// The transport below.
    pub const fn inner(&self) -> &T {
        &self.inner
    }

    /// The transport below, to change it.
    pub const fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Counts a call, and returns its fault.
    fn begin_call(&mut self) -> Option<Fault> {
        if let Some(event) = self.before_calls.remove(&self.calls) {
            event();
        }
        if let Some(event) = &mut self.before_each {
            event();
        }
        self.calls += 1;
        self.calls_script.remove(&(self.calls - 1))
    }

    fn fault(&mut self) -> Option<Fault> {
        if let Some(fault) = self.script.remove(&self.receives) {
            return Some(fault);
        }
        let Self { chances, random, .. } = self;
        chances.0.iter().find(|(_, per_mille)| random.per_mille(*per_mille)).map(|(fault, _)| *fault)
    }

    fn fetch(&mut self, room: usize) -> io::Result<Held> {
        let held = Held::fetch(&mut self.inner, room)?;
        self.receives += 1;
        Ok(held)
    }
}

impl<T: Transport> Transport for Faults<T> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(event) = self.before_sends.remove(&self.sends) {
            event();
        }
        let errno = match self.begin_call() {
            Some(Fault::NoBuffers) => Some((Fault::NoBuffers, libc::ENOBUFS)),
            Some(Fault::Interrupted) => Some((Fault::Interrupted, libc::EINTR)),
            Some(Fault::WouldBlock) => Some((Fault::WouldBlock, libc::EAGAIN)),
            _ => None,
        };
        if let Some((fault, errno)) = errno {
            self.happened.push(fault);
            return Err(io::Error::from_raw_os_error(errno));
        }
        let refusal = self.refusals.remove(&self.sends);
        self.sends += 1;
        match refusal {
            Some(refusal) => self.ready.extend(held::refused(datagram, &refusal, self.inner.port())),
            None => self.inner.send(datagram)?,
        }
        self.ready.append(&mut self.late);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut befalls = self.begin_call();
        self.timed_out = false;
        loop {
            if let Some(held) = self.ready.pop_front() {
                return Ok(held.copy_to(buffer));
            }
            let fault = befalls.take().or_else(|| self.fault());
            let mut held = self.fetch(buffer.len())?;
            let Some(fault) = fault else { return Ok(held.copy_to(buffer)) };
            self.happened.push(fault);
            match fault {
                Fault::Lost => continue,
                Fault::Late => {
                    self.late.push_back(held);
                    self.timed_out = true;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Fault::Doubled => self.ready.push_back(held.again()),
                Fault::Forged => self.ready.push_back(held.forged()),
                Fault::OtherSequence => self.ready.push_back(held.of_other_sequence()),
                Fault::OtherPort => self.ready.push_back(held.of_other_port()),
                Fault::Reordered => {
                    if let Ok(next) = self.fetch(buffer.len()) {
                        self.ready.push_back(next);
                    }
                }
                Fault::NoBuffers => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Fault::Interrupted | Fault::WouldBlock => {
                    self.ready.push_back(held);
                    self.timed_out = fault == Fault::WouldBlock;
                    let errno = if fault == Fault::Interrupted { libc::EINTR } else { libc::EAGAIN };
                    return Err(io::Error::from_raw_os_error(errno));
                }
                Fault::Truncated => held.truncate(buffer.len()),
                Fault::DumpInterrupted => held.interrupt_dump(),
                Fault::DumpFailed => held.end_with(libc::EIO),
            }
            self.ready.push_back(held);
        }
    }

    /// One at a time, each with its fault. Discarded datagrams have none.
    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [Received],
        wait: bool,
    ) -> io::Result<usize> {
        let share = buffer.len() / received.len().max(1);
        match received.first_mut() {
            None => Ok(0),
            Some(first) if wait => {
                *first = self.receive(&mut buffer[..share])?;
                Ok(1)
            }
            Some(first) => match self.ready.pop_front() {
                Some(held) => {
                    *first = held.copy_to(buffer);
                    Ok(1)
                }
                None => self.inner.receive_many(buffer, received, false),
            },
        }
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.set_timeout(timeout)
    }

    fn port(&self) -> u32 {
        self.inner.port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.inner.device_names()
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        self.inner.queue_events()
    }
}

#[cfg(feature = "tokio")]
impl<T: crate::tokio::AsyncTransport> crate::tokio::AsyncTransport for Faults<T> {
    fn poll_readable(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        if std::mem::take(&mut self.timed_out) {
            return std::task::Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
        }
        match self.ready.is_empty() {
            true => self.inner.poll_readable(context),
            false => std::task::Poll::Ready(Ok(())),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Faults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Faults");
        text.field("inner", &self.inner).field("happened", &self.happened).finish_non_exhaustive()
    }
}
