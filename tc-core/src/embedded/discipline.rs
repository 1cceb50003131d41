//! What a kind does in the embedded kernel: the part that `struct Qdisc_ops`
//! and `struct Qdisc_class_ops` play in a real one.

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
    /// What it counts as where sizes matter, in bytes: its length, or what the
    /// size table says (`qdisc_pkt_len`). The kernel sets it.
    pub counted_bytes: u32,
}

impl Packet {
    /// A packet of priority 0 for the first queue.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }

    /// The same packet with a priority: the id of a class selects that class.
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// The same packet for this transmit queue.
    #[must_use]
    pub const fn queue(mut self, queue: u16) -> Self {
        self.queue = queue;
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

/// Where a qdisc is made, and what the device there is like.
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

/// What sort of qdisc a kind makes, as far as the kernel around it has to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// `TCQ_F_INGRESS`: it stands at `ffff:fff1` and sees no sent packet.
    pub ingress: bool,
    /// It has no queue: packets go to the device at once (noqueue).
    pub queueless: bool,
    /// Its options can never be changed (no `change` in `Qdisc_ops`).
    pub fixed: bool,
    /// It takes its place after the notice of it is sent (`attach` in
    /// `Qdisc_ops`), which therefore shows a smaller reference count.
    pub attaches: bool,
    /// It stands for the device's queues and has one child for each (mq).
    pub multi_queue: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It waits.
    Queued,
    /// It was dropped.
    Dropped,
    /// It waits, and another was dropped for it.
    OtherDropped,
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
    /// What sort of qdisc this is.
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

    /// Whether the change before asked for packets to be sent now
    /// (`netif_schedule_queue`). Asked once behind each.
    fn kicks(&mut self) -> bool {
        false
    }

    /// Appends the payload of `TCA_OPTIONS`, as a dump shows it.
    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill;

    /// Counters of its own (`TCA_STATS_APP`).
    fn xstats(&self) -> Option<Vec<u8>> {
        None
    }

    /// Takes a packet that is to be sent. With classes: one for which
    /// [`Classes::classify`] named none.
    ///
    /// What is provided, here and in the next three, is for a qdisc that holds
    /// no packets of its own.
    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        let _ = packet;
        Enqueued::Dropped
    }

    /// Gives the next packet to send; `None` when it has none or wants none to
    /// be sent now. With classes: asked before them.
    fn dequeue(&mut self) -> Option<Packet> {
        None
    }

    /// Throws away what waits.
    fn reset(&mut self) {}

    /// What waits and what was dropped in this qdisc itself; the kernel adds
    /// what its children hold.
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

    /// Whether a qdisc can be attached to the class. No by default for what is
    /// not a leaf.
    fn may_graft(&self, class: Handle) -> Result<(), Refusal> {
        if self.is_leaf(class) { Ok(()) } else { Err(Refusal::errno(libc::EINVAL)) }
    }

    /// Whether the qdisc that a class gets back, because another one or its last
    /// child was taken away, is shown in dumps of hidden qdiscs. Kernel: htb
    /// forgets that.
    fn lists_restored_leaves(&self) -> bool {
        true
    }

    /// Makes the class, or changes it if `class` is there. A kind whose classes
    /// are fixed leaves this out.
    fn change_class(&mut self, class: Handle, parent: Handle, options: Option<&[u8]>) -> Result<(), Refusal> {
        let _ = (class, parent, options);
        Err(Refusal::errno(libc::EOPNOTSUPP))
    }

    /// Takes the class away. A kind whose classes are fixed leaves this out.
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

    /// The class's counters of its own (`TCA_STATS_APP`).
    fn xstats(&self, class: Handle) -> Option<Vec<u8>> {
        let _ = class;
        None
    }

    /// The leaf class that a packet belongs to; `None` is the qdisc itself.
    fn classify(&self, packet: &Packet) -> Option<Handle>;

    /// The leaf classes in the order in which they may send.
    fn order(&self) -> Vec<Handle> {
        self.list().into_iter().filter(|class| self.is_leaf(*class)).collect()
    }
}
