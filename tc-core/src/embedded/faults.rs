//! Things that go wrong between a program and the kernel.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;

use super::random::Random;
use crate::link::DeviceNames;
use crate::message::Messages;
use crate::transport::{Received, Transport};
use crate::uapi::{NLM_F_DUMP_INTR, NLM_F_MULTI};

/// One thing that goes wrong with a datagram from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It never comes.
    Lost,
    /// Nothing comes in time; it comes with the receive behind the next send.
    Late,
    /// It comes twice.
    Doubled,
    /// Another process sends a success in its name first: the same bytes with
    /// the error number 0, from a port that is not the kernel's.
    Forged,
    /// The datagram behind it comes first, if there is one. No kernel does that
    /// on one socket.
    Reordered,
    /// It is lost, and the receive fails with `ENOBUFS`.
    NoBuffers,
    /// The receive fails with `EINTR`; the next one gets it.
    Interrupted,
    /// Its second half is cut off, as by a buffer that is too short: its length
    /// shows it.
    Truncated,
    /// Its messages say that the dump they belong to was interrupted
    /// (`NLM_F_DUMP_INTR`). Nothing happens to what is no part of a dump.
    DumpInterrupted,
}

/// How often each thing goes wrong, in thousandths of the datagrams received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chances(Vec<(Fault, u32)>);

impl Chances {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Everything goes wrong so many times of a thousand.
    #[must_use]
    pub fn all(per_mille: u32) -> Self {
        use Fault::{
            Doubled, DumpInterrupted, Forged, Interrupted, Late, Lost, NoBuffers, Reordered, Truncated,
        };
        let faults =
            [Lost, Late, Doubled, Forged, Reordered, NoBuffers, Interrupted, Truncated, DumpInterrupted];
        Self(faults.into_iter().map(|fault| (fault, per_mille)).collect())
    }

    /// The same chances, with this one as well.
    #[must_use]
    pub fn with(mut self, fault: Fault, per_mille: u32) -> Self {
        self.0.retain(|(other, _)| *other != fault);
        self.0.push((fault, per_mille));
        self
    }
}

/// A transport through which things go wrong, as told or by chance.
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
    before_sends: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
    chances: Chances,
    random: Random,
    sends: u64,
    receives: u64,
    /// What comes before anything else.
    ready: VecDeque<Held>,
    /// What comes behind the next send.
    late: VecDeque<Held>,
    happened: Vec<Fault>,
}

/// A datagram held back.
struct Held {
    bytes: Vec<u8>,
    received: Received,
}

impl<T: Transport> Faults<T> {
    /// Nothing goes wrong until it is told to.
    pub fn over(inner: T) -> Self {
        Self {
            inner,
            script: BTreeMap::new(),
            before_sends: BTreeMap::new(),
            chances: Chances::none(),
            random: Random(0),
            sends: 0,
            receives: 0,
            ready: VecDeque::new(),
            late: VecDeque::new(),
            happened: Vec::new(),
        }
    }

    /// Things go wrong by chance, the same for the same seed.
    pub fn seeded(inner: T, seed: u64, chances: Chances) -> Self {
        Self { chances, random: Random(seed), ..Self::over(inner) }
    }

    /// Lets this go wrong with the datagram that is the `n`th to be received
    /// from the kernel, counted from 0.
    #[must_use]
    pub fn at(mut self, n: u64, fault: Fault) -> Self {
        self.script.insert(n, fault);
        self
    }

    /// Lets this go wrong with the next datagram from the kernel.
    pub fn next(&mut self, fault: Fault) {
        self.script.insert(self.receives, fault);
    }

    /// Runs `event` right before the `n`th send from now, counted from 0: a
    /// device is unplugged, another process changes something.
    pub fn before_send(&mut self, n: u64, event: impl FnOnce() + Send + 'static) {
        self.before_sends.insert(self.sends + n, Box::new(event));
    }

    /// What went wrong so far, in order.
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

    fn fault(&mut self) -> Option<Fault> {
        if let Some(fault) = self.script.remove(&self.receives) {
            return Some(fault);
        }
        let Self { chances, random, .. } = self;
        chances.0.iter().find(|(_, per_mille)| random.per_mille(*per_mille)).map(|(fault, _)| *fault)
    }

    /// The next datagram as the transport below has it.
    fn fetch(&mut self, room: usize) -> io::Result<Held> {
        let mut bytes = vec![0; room];
        let received = self.inner.receive(&mut bytes)?;
        bytes.truncate(received.length);
        self.receives += 1;
        Ok(Held { bytes, received })
    }
}

impl<T: Transport> Transport for Faults<T> {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(event) = self.before_sends.remove(&self.sends) {
            event();
        }
        self.sends += 1;
        self.inner.send(datagram)?;
        self.ready.append(&mut self.late);
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            if let Some(held) = self.ready.pop_front() {
                return Ok(held.copy_to(buffer));
            }
            let fault = self.fault();
            let mut held = self.fetch(buffer.len())?;
            let Some(fault) = fault else { return Ok(held.copy_to(buffer)) };
            self.happened.push(fault);
            match fault {
                Fault::Lost => {}
                Fault::Late => {
                    self.late.push_back(held);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Fault::Doubled => {
                    self.ready.push_back(held.again());
                    self.ready.push_back(held);
                }
                Fault::Forged => {
                    self.ready.push_back(held.forged());
                    self.ready.push_back(held);
                }
                Fault::Reordered => {
                    if let Ok(next) = self.fetch(buffer.len()) {
                        self.ready.push_back(next);
                    }
                    self.ready.push_back(held);
                }
                Fault::NoBuffers => return Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                Fault::Interrupted => {
                    self.ready.push_back(held);
                    return Err(io::Error::from_raw_os_error(libc::EINTR));
                }
                Fault::Truncated => {
                    // The length of what there was is told, and more than the
                    // buffer holds.
                    held.bytes.truncate(held.bytes.len() / 2);
                    held.received.length = held.received.length.max(buffer.len() + 1);
                    self.ready.push_back(held);
                }
                Fault::DumpInterrupted => {
                    held.interrupt_dump();
                    self.ready.push_back(held);
                }
            }
        }
    }

    fn port(&self) -> u32 {
        self.inner.port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.inner.device_names()
    }
}

impl Held {
    fn copy_to(&self, buffer: &mut [u8]) -> Received {
        let fits = self.bytes.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&self.bytes[..fits]);
        self.received
    }

    fn again(&self) -> Self {
        Self { bytes: self.bytes.clone(), received: self.received }
    }

    /// The same from another process, with a success in place of an error.
    fn forged(&self) -> Self {
        let mut forged = self.again();
        forged.received.sender = 4242;
        if let Some(error) = forged.bytes.get_mut(16..20) {
            error.fill(0);
        }
        forged
    }

    fn interrupt_dump(&mut self) {
        let mut at = 0;
        while let Some(Ok(message)) = self.bytes.get(at..).and_then(|rest| Messages::new(rest).next()) {
            let flags = message.flags | if message.flags & NLM_F_MULTI != 0 { NLM_F_DUMP_INTR } else { 0 };
            let length = message.payload.len() + 16;
            self.bytes[at + 6..at + 8].copy_from_slice(&flags.to_ne_bytes());
            at += crate::attr::align(length);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Faults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Faults");
        text.field("inner", &self.inner).field("happened", &self.happened).finish_non_exhaustive()
    }
}
