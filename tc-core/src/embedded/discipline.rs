//! The behaviour of a kind in the embedded kernel, in the role of `struct
//! Qdisc_ops` and `struct Qdisc_class_ops`.

use std::borrow::Cow;
use std::fmt;

use crate::kind::Fill;
use crate::wire::attr::AttrWriter;
use crate::wire::handle::Handle;
use crate::wire::stats::Queue;

/// A packet on its way through a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// The frame.
    pub bytes: Vec<u8>,
    /// `skb->priority`: a class id selects that class.
    pub priority: u32,
    /// The transmit queue; one that the device does not have counts as the
    /// first.
    pub queue: u16,
    /// `skb->mark`.
    pub mark: u32,
    /// `skb->tc_index`.
    pub tc_index: u16,
    /// Whether a device received the packet; otherwise it sends it. The kernel sets it.
    pub is_received: bool,
    /// The device's index (`skb->dev`). The kernel sets it.
    pub ifindex: i32,
    /// The device's name. The kernel sets it.
    pub device: String,
    /// The accounted length in bytes: the packet's length, or that of the size
    /// table (`qdisc_pkt_len`). The kernel sets it.
    pub counted_bytes: u32,
}

impl Packet {
    /// A packet of priority 0 for the first queue.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }

    /// Sets the priority: the id of a class selects that class.
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the transmit queue.
    #[must_use]
    pub const fn queue(mut self, queue: u16) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the mark.
    #[must_use]
    pub const fn mark(mut self, mark: u32) -> Self {
        self.mark = mark;
        self
    }

    /// Its length (`skb->len`), in bytes.
    pub fn length(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

impl<B: Into<Vec<u8>>> From<B> for Packet {
    fn from(bytes: B) -> Self {
        Self::new(bytes)
    }
}

/// Why the kernel refuses a request: an error number and, often, a sentence for
/// the extended acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error number, positive, as in `errno.h`.
    pub errno: i32,
    /// The sentence, without a full stop.
    pub message: Option<Cow<'static, str>>,
    /// Where in the request the attribute at fault stands, and its policy.
    pub(super) at: Option<super::policy::Fault>,
}

impl Refusal {
    /// An error number alone.
    pub const fn errno(errno: i32) -> Self {
        Self { errno, message: None, at: None }
    }

    /// An error number and a sentence.
    pub const fn new(errno: i32, message: &'static str) -> Self {
        Self { errno, message: Some(Cow::Borrowed(message)), at: None }
    }
}

/// The place of a new qdisc, and its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The qdisc's handle; 0: for a default qdisc.
    pub handle: Handle,
    /// Its parent.
    pub parent: Handle,
    /// The device's index.
    pub ifindex: i32,
    /// The largest packet, in bytes, without the link's header.
    pub mtu: u32,
    /// The link's header, in bytes.
    pub hard_header_len: u32,
    /// `txqueuelen`, in packets.
    pub tx_queue_len: u32,
    /// How many transmit queues the device has.
    pub tx_queues: u32,
}

impl Place {
    /// The largest frame, in bytes (`psched_mtu`).
    pub const fn frame_bytes(&self) -> u32 {
        self.mtu.wrapping_add(self.hard_header_len)
    }
}

/// Properties of a kind's qdiscs that the kernel around them depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// `TCQ_F_INGRESS`: its parent is `ffff:fff1`, and it sees no transmitted packet.
    pub ingress: bool,
    /// It has no queue: packets go to the device at once (noqueue).
    pub queueless: bool,
    /// Its options can never be changed (no `change` in `Qdisc_ops`).
    pub fixed: bool,
    /// It is attached after its notice was sent (`attach` in `Qdisc_ops`). The
    /// notice therefore shows a smaller reference count.
    pub attaches: bool,
    /// It represents the device's queues and has one child for each (mq).
    pub multi_queue: bool,
}

/// The outcome of an enqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// The packet is queued.
    Queued,
    /// It was dropped.
    Dropped,
    /// It is queued, and another packet was dropped for it.
    OtherDropped,
}

/// The result of the filters of a qdisc or an inner class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classified {
    /// No filter decided.
    Miss,
    /// A filter selected this class; it is unspecified if the filter has none.
    Match(Handle),
    /// An action dropped the packet.
    Dropped,
    /// An action took the packet.
    Stolen,
}

/// The place that a classful qdisc gives a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This leaf class.
    Class(Handle),
    /// The qdisc itself.
    Own,
    /// The packet is dropped.
    Dropped,
    /// An action took the packet.
    Stolen,
}

/// A classification that depends on facts outside the packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot know: {reason}")]
pub struct Unclassified {
    /// The fact.
    pub reason: String,
}

/// A kind's behaviour: one value is one qdisc.
///
/// A new value is made for each qdisc and then initialised; it is dropped when
/// the qdisc goes. It runs within the kernel, under its lock, and must not call
/// it. Options are the payload of `TCA_OPTIONS`; absent is not empty.
///
/// ```
/// use tc_core::embedded::{Discipline, Enqueued, Packet, Place, Refusal};
/// use tc_core::stats::Queue;
/// use tc_core::{AttrWriter, Fill};
///
/// /// Drops everything.
/// #[derive(Debug, Default)]
/// struct Blackhole {
///     drops: u32,
/// }
///
/// impl Discipline for Blackhole {
///     fn init(&mut self, _: Option<&[u8]>, _: &Place) -> Result<(), Refusal> {
///         Ok(())
///     }
///     fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
///         Fill::Absent
///     }
///     fn enqueue(&mut self, _: Packet) -> Enqueued {
///         self.drops += 1;
///         Enqueued::Dropped
///     }
///     fn queue(&self) -> Queue {
///         Queue { drops: self.drops, ..Queue::default() }
///     }
/// }
/// ```
pub trait Discipline: fmt::Debug + Send {
    /// The properties of this qdisc.
    fn nature(&self) -> Nature {
        Nature::default()
    }

    /// Makes the qdisc.
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal>;

    /// Changes its options. Not called without options, nor if it is
    /// [`Nature::fixed`].
    fn change(&mut self, options: &[u8], place: &Place) -> Result<(), Refusal> {
        self.init(Some(options), place)
    }

    /// Whether the last change asked the kernel to send packets now
    /// (`netif_schedule_queue`). Called once after each change.
    fn kicks(&mut self) -> bool {
        false
    }

    /// Appends the payload of `TCA_OPTIONS`, as a dump shows it.
    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill;

    /// Extended statistics (`TCA_STATS_APP`).
    fn xstats(&self) -> Option<Vec<u8>> {
        None
    }

    /// Enqueues a packet. A classful qdisc receives those that
    /// [`Classes::classify`] assigns to no class.
    ///
    /// The default implementations of this and the next three methods are for a
    /// qdisc that holds no packets itself.
    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let _ = packet;
        Enqueued::Dropped
    }

    /// Dequeues the next packet; `None` if the queue is empty or throttled. Called
    /// before the classes are asked.
    fn dequeue(&mut self) -> Option<Packet> {
        None
    }

    /// Purges the queue.
    fn reset(&mut self) {}

    /// The counters of this qdisc's queue. The kernel adds those of its children.
    fn queue(&self) -> Queue {
        Queue::default()
    }

    /// Its classes, if it is classful.
    fn classes(&self) -> Option<&dyn Classes> {
        None
    }

    /// Its classes, to change them.
    fn classes_mut(&mut self) -> Option<&mut dyn Classes> {
        None
    }
}

/// The classes of a qdisc. The kernel keeps the qdiscs below them.
pub trait Classes {
    /// The class that a class id names, by its full id. Some kinds look at the
    /// minor number alone.
    fn find(&self, class: Handle) -> Option<Handle>;

    /// All classes, in the order of a dump.
    fn list(&self) -> Vec<Handle>;

    /// Whether the class is a leaf: it then has a qdisc, a pfifo unless another
    /// is attached.
    fn is_leaf(&self, class: Handle) -> bool;

    /// Whether a qdisc can be attached to the class. By default only a
    /// leaf.
    fn may_graft(&self, class: Handle) -> Result<(), Refusal> {
        if self.is_leaf(class) { Ok(()) } else { Err(Refusal::errno(libc::EINVAL)) }
    }

    /// Whether dumps of hidden qdiscs include the default qdisc that a class gets
    /// back when another qdisc or its last child is deleted. Kernel: not for htb.
    fn lists_restored_leaves(&self) -> bool {
        true
    }

    /// Makes the class, or changes it if `class` is there. A kind whose classes
    /// are fixed leaves this out.
    fn change_class(&mut self, class: Handle, parent: Handle, options: Option<&[u8]>) -> Result<(), Refusal> {
        let _ = (class, parent, options);
        Err(Refusal::errno(libc::EOPNOTSUPP))
    }

    /// Deletes the class. A kind whose classes are fixed leaves this out.
    fn delete_class(&mut self, class: Handle) -> Result<(), Refusal> {
        let _ = class;
        Err(Refusal::errno(libc::EOPNOTSUPP))
    }

    /// The class's parent as a dump shows it (`tcm_parent`); `None` is the
    /// qdisc's own handle.
    fn parent(&self, class: Handle) -> Option<Handle> {
        let _ = class;
        None
    }

    /// Appends the class's `TCA_OPTIONS`.
    fn dump_class(&self, class: Handle, out: &mut AttrWriter<'_>) -> Fill {
        let _ = (class, out);
        Fill::Absent
    }

    /// The class's extended statistics (`TCA_STATS_APP`).
    fn xstats(&self, class: Handle) -> Option<Vec<u8>> {
        let _ = class;
        None
    }

    /// Returns the leaf class of a packet without filters; `None` is the qdisc itself.
    fn classify(&self, packet: &Packet) -> Option<Handle>;

    /// Returns the place of a packet. `filters` classifies it by those of a place: the qdisc, or an
    /// inner class. A kind without filters leaves this out.
    fn choose(
        &self,
        packet: &Packet,
        filters: &mut dyn FnMut(Handle) -> Result<Classified, Unclassified>,
    ) -> Result<Choice, Unclassified> {
        let _ = filters;
        Ok(self.classify(packet).map_or(Choice::Own, Choice::Class))
    }

    /// The leaf classes in their order of service.
    fn order(&self) -> Vec<Handle> {
        self.list().into_iter().filter(|class| self.is_leaf(*class)).collect()
    }
}
