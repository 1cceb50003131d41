//! The configuration of an embedded kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classifier::Classifier;
use super::device;
use super::discipline::Discipline;
use super::kernel::Kernel;
use super::kinds::Kinds;
use super::state::State;
use crate::wire::uapi::RTNLGRP_LINK;

/// Builds an embedded kernel.
#[derive(Debug, Default)]
pub struct Builder {
    kinds: Kinds,
    devices: Vec<Device>,
}

/// A device of an embedded kernel.
///
/// ```
/// use tc_core::embedded::Device;
///
/// let eth0 = Device::new("eth0").ifindex(2).tx_queues(4).mtu(9000);
/// # let _ = eth0;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    name: String,
    ifindex: Option<i32>,
    alt_names: Vec<String>,
    kind: String,
    loopback: bool,
    queueless: bool,
    up: bool,
    mtu: u32,
    tx_queue_len: u32,
    hard_header_len: u32,
    tx_queues: u32,
}

impl Device {
    /// An Ethernet device: up, MTU 1500, `txqueuelen` 1000, one transmit queue,
    /// the next free index.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ifindex: None,
            alt_names: Vec::new(),
            kind: String::new(),
            loopback: false,
            queueless: false,
            up: true,
            mtu: 1500,
            tx_queue_len: 1000,
            hard_header_len: 14,
            tx_queues: 1,
        }
    }

    /// `lo`: index 1 unless it is taken, MTU 65536, noqueue.
    pub fn loopback() -> Self {
        Self { loopback: true, queueless: true, mtu: 65_536, ..Self::new("lo") }
    }

    /// Its index. One that is taken already, or not positive, counts as not
    /// given.
    #[must_use]
    pub const fn ifindex(mut self, ifindex: i32) -> Self {
        self.ifindex = Some(ifindex);
        self
    }

    /// Adds an alternative name.
    #[must_use]
    pub fn alt_name(mut self, name: &str) -> Self {
        self.alt_names.push(name.to_owned());
        self
    }

    /// The kind of device (`veth`, `ifb`). A device without a kind is hardware,
    /// which a request cannot delete.
    #[must_use]
    pub fn kind(mut self, kind: &str) -> Self {
        kind.clone_into(&mut self.kind);
        self
    }

    /// Makes noqueue its default qdisc, as for most virtual devices.
    #[must_use]
    pub const fn queueless(mut self) -> Self {
        self.queueless = true;
        self
    }

    /// Creates it down, without a qdisc.
    #[must_use]
    pub const fn down(mut self) -> Self {
        self.up = false;
        self
    }

    /// The largest packet, in bytes, without the link's header.
    #[must_use]
    pub const fn mtu(mut self, bytes: u32) -> Self {
        self.mtu = bytes;
        self
    }

    /// `txqueuelen`, in packets.
    #[must_use]
    pub const fn tx_queue_len(mut self, packets: u32) -> Self {
        self.tx_queue_len = packets;
        self
    }

    /// The link's header, in bytes.
    #[must_use]
    pub const fn hard_header_len(mut self, bytes: u32) -> Self {
        self.hard_header_len = bytes;
        self
    }

    /// The number of transmit queues, 1 to 4096. With more than one, the default
    /// qdisc is mq.
    #[must_use]
    pub const fn tx_queues(mut self, queues: u32) -> Self {
        self.tx_queues = queues;
        self
    }
}

impl Builder {
    /// Adds a device.
    #[must_use]
    pub fn device(mut self, device: Device) -> Self {
        self.devices.push(device);
        self
    }

    /// Adds a kind, as if its module were there; one of the same name is
    /// replaced. `discipline` makes the state of one new qdisc.
    #[must_use]
    pub fn kind<D: Discipline + 'static>(
        mut self,
        kind: &str,
        discipline: impl Fn() -> D + Send + Sync + 'static,
    ) -> Self {
        self.kinds.register(kind, Box::new(move || Box::new(discipline())));
        self
    }

    /// Sets the effect of filters and actions on packets. Without it they have none.
    #[must_use]
    pub fn classifier(mut self, classifier: impl Classifier + 'static) -> Self {
        self.kinds.set_classifier(Box::new(classifier));
        self
    }

    /// Adds a filter kind. Filters are stored and dumped; the
    /// [classifier](Builder::classifier) classifies packets by them.
    #[must_use]
    pub fn filter_kind(mut self, kind: &str) -> Self {
        self.kinds.register_filter(kind);
        self
    }

    /// Adds an action kind. Shared actions are stored and dumped. Those of
    /// filters have the effect that the [classifier](Builder::classifier) gives them.
    #[must_use]
    pub fn action_kind(mut self, kind: &str) -> Self {
        self.kinds.register_action(kind);
        self
    }

    /// `net.core.default_qdisc`: the root qdisc of a new device (default:
    /// pfifo_fast).
    #[must_use]
    pub fn default_qdisc(mut self, kind: &str) -> Self {
        self.kinds.set_default(kind);
        self
    }

    /// Starts the kernel.
    #[must_use]
    pub fn build(self) -> Kernel {
        let mut state = State::new(self.kinds);
        for device in self.devices {
            state.add_device(device);
        }
        Kernel::start(state)
    }
}

impl State {
    pub(super) fn new(kinds: Kinds) -> Self {
        Self {
            kinds: Arc::new(kinds),
            devices: Vec::new(),
            actions: Vec::new(),
            last_ifindex: 0,
            last_auto_handle: 0x8000_0000,
            sockets: BTreeMap::new(),
            last_port: 1000,
            lost_queues: Vec::new(),
        }
    }

    pub(super) fn add_device(&mut self, wanted: Device) -> i32 {
        let free = |ifindex: &i32| *ifindex > 0 && self.position(*ifindex).is_err();
        let ifindex = wanted.ifindex.filter(free).unwrap_or_else(|| {
            let next = self.last_ifindex + 1;
            (next..i32::MAX).find(free).unwrap_or(next)
        });
        self.last_ifindex = self.last_ifindex.max(ifindex);
        let mut device = device::Device::new(self.kinds.clone(), ifindex, wanted.name, wanted.tx_queues);
        device.alt_names = wanted.alt_names;
        device.kind = wanted.kind;
        device.loopback = wanted.loopback;
        device.queueless = wanted.queueless;
        device.mtu = wanted.mtu;
        device.tx_queue_len = wanted.tx_queue_len;
        device.hard_header_len = wanted.hard_header_len;
        if wanted.up {
            device.set_up(true);
        }
        let notice = device.notice(crate::wire::uapi::RTM_NEWLINK, u32::MAX);
        self.devices.push(device);
        self.announce(RTNLGRP_LINK, &notice);
        ifindex
    }
}
