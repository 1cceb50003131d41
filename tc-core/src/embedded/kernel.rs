//! The face of the embedded kernel.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::builder::{Builder, Device};
use super::device;
use super::discipline::{Packet, Unclassified};
use super::mailbox::Mailbox;
use super::path::Sent;
use super::socket::Socket;
use super::state::State;
use crate::wire::device::DeviceName;
use crate::wire::uapi::RTNLGRP_LINK;

/// A kernel in memory. Clones are handles of the same kernel, for any thread.
///
/// See [the module](crate::embedded) for an example.
#[derive(Clone)]
pub struct Kernel {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Signals that a socket may have received a datagram.
    news: Condvar,
}

impl Kernel {
    /// Starts to build a kernel.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens a socket with a unique port number and extended acknowledgements.
    #[must_use]
    pub fn connect(&self) -> Socket {
        let mut state = self.lock();
        state.last_port += 1;
        let port = state.last_port;
        state.sockets.insert(port, Mailbox::new());
        drop(state);
        Socket::new(self.clone(), port)
    }

    pub(super) fn start(state: State) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), news: Condvar::new() }) }
    }

    /// Adds a device, as if it were plugged in, and returns its index.
    pub fn add_device(&self, device: Device) -> i32 {
        self.change(|state| state.add_device(device))
    }

    /// Removes a device, as if it were unplugged. Returns whether it existed.
    pub fn remove_device(&self, ifindex: i32) -> bool {
        self.change(|state| {
            let Ok(position) = state.position(ifindex) else { return false };
            let notice = state.remove(position);
            state.announce(RTNLGRP_LINK, &notice);
            true
        })
    }

    /// Sets or clears a device's carrier. Its loss purges the qdiscs. Returns whether
    /// the device exists.
    pub fn set_carrier(&self, ifindex: i32, carrier: bool) -> bool {
        self.change(|state| {
            let Ok(position) = state.position(ifindex) else { return false };
            state.devices[position].set_carrier(carrier);
            let notice = state.devices[position].notice(crate::wire::uapi::RTM_NEWLINK, 0);
            state.announce(RTNLGRP_LINK, &notice);
            true
        })
    }

    /// Reduces the transmit queues of a device to the first `queues`. The kernel
    /// purges the qdiscs of the others: the root qdisc, unless each queue has its
    /// own. It sends a
    /// [queue event](crate::Transport::queue_events), and no notice. Returns
    /// whether the device exists and had more queues.
    pub fn lose_queues(&self, ifindex: i32, queues: u32) -> bool {
        self.change(|state| {
            let Ok(position) = state.position(ifindex) else { return false };
            let device = &mut state.devices[position];
            let lost = device.lose_queues(queues.max(1) as usize);
            let name = DeviceName::of(&device.name);
            state.lost_queues.extend((0..lost).map(|_| name));
            lost > 0
        })
    }

    /// Sets whether a device's hardware accepts packets (initially it does). While it
    /// does not, they stay in the qdiscs. Returns whether the device exists.
    pub fn set_transmitting(&self, ifindex: i32, transmits: bool) -> bool {
        self.with_device(ifindex, |device| {
            device.transmits = transmits;
            device.run();
        })
        .is_some()
    }

    /// Sends a packet through a device's root qdisc.
    pub fn send(&self, ifindex: i32, packet: impl Into<Packet>) -> Sent {
        let packet = packet.into();
        self.lock().send(ifindex, packet)
    }

    /// Receives a packet on a device: it passes the filters at ingress.
    pub fn receive(&self, ifindex: i32, packet: impl Into<Packet>) -> Sent {
        let packet = packet.into();
        self.lock().receive_packet(ifindex, packet)
    }

    /// Runs the qdiscs of a device. The kernel also runs them after every packet, and
    /// after every change that asks for it
    /// ([`Discipline::kicks`](super::Discipline::kicks)).
    pub fn run(&self, ifindex: i32) {
        self.with_device(ifindex, device::Device::run);
    }

    /// Returns the frames that left a device since the last call, in order.
    pub fn take_sent(&self, ifindex: i32) -> Vec<Vec<u8>> {
        let sent = self.with_device(ifindex, |device| std::mem::take(&mut device.sent));
        sent.unwrap_or_default().into_iter().map(|packet| packet.bytes).collect()
    }

    /// Returns the packets that the machine received from a device since the last call, in order.
    pub fn take_received(&self, ifindex: i32) -> Vec<Packet> {
        let received = self.with_device(ifindex, |device| std::mem::take(&mut device.received));
        received.unwrap_or_default().into()
    }

    /// Returns the facts that classifications on a device depended on since the last call
    /// ([`Sent::Unclassified`]).
    pub fn take_unclassified(&self, ifindex: i32) -> Vec<Unclassified> {
        let taken = self.with_device(ifindex, |device| std::mem::take(&mut device.unclassified));
        taken.unwrap_or_default()
    }

    fn with_device<R>(&self, ifindex: i32, work: impl FnOnce(&mut device::Device) -> R) -> Option<R> {
        let mut state = self.lock();
        let position = state.position(ifindex).ok()?;
        Some(work(&mut state.devices[position]))
    }

    fn change<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let done = work(&mut self.lock());
        self.shared.news.notify_all();
        done
    }

    /// The state after a panic in a discipline is still usable: no lock is held
    /// across two requests.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn news(&self) -> &Condvar {
        &self.shared.news
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let devices: Vec<_> = state.devices.iter().map(|device| &device.name).collect();
        f.debug_struct("Kernel").field("devices", &devices).field("kinds", &state.kinds).finish()
    }
}
