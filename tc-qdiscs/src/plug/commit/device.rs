//! One device of a session: its plug, and the last observed counters.

use tc_core::link::Link;
use tc_core::message::Entry;
use tc_core::{DecodeError, Handle, Request, object};

use super::super::Plug;
use super::taint::{LinkState, TaintCause};

/// One device of a session.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) ifindex: i32,
    /// The plug's handle.
    pub(super) handle: Handle,
    /// The handle of the plug that takes its place when its packets must go.
    pub(super) spare: Handle,
    /// Whether it was there before the session.
    pub(super) adopted: bool,
    pub(super) link: LinkState,
    counters: Counters,
    /// The most bytes that were seen to have been taken in: sent, or held.
    taken_in: u64,
    /// Whether no packet waits to be sent a second time.
    settled: bool,
    /// Whether it has several transmit queues.
    several_queues: bool,
    /// By how much the kernel may count too much, in bytes.
    slack: u64,
    /// The epoch that is open.
    pub(super) open: EpochStats,
    /// The epoch that was closed last.
    pub(super) closed: EpochStats,
    /// Bytes that were held when it was closed.
    closed_backlog: u32,
}

/// The observed counters of one epoch on one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochStats {
    /// Packets of this epoch that did not fit and are lost.
    pub dropped_packets: u64,
    /// The most bytes that were seen to be held while it was open or closed:
    /// its own, and those of the epoch before as long as that was not sent.
    pub peak_bytes: u32,
    /// The limit, in bytes.
    pub limit_bytes: u32,
}

/// The kernel's counters of a plug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Bytes that left the queue.
    pub(super) sent: u64,
    /// Bytes that are held.
    pub(super) backlog: u32,
    /// Packets that are held.
    pub(super) qlen: u32,
    /// Packets that did not fit.
    pub(super) drops: u32,
    /// Packets that left the queue, and were put back by a busy driver.
    pub(super) requeues: u32,
}

impl Counters {
    pub(super) fn of(entry: &Entry<'_>) -> Result<Self, DecodeError> {
        let missing = DecodeError::Missing { what: "statistics" };
        let stats = entry.stats()?.ok_or(missing)?;
        let missing = DecodeError::Missing { what: "statistics" };
        let (Some(basic), Some(queue)) = (stats.basic, stats.queue) else { return Err(missing) };
        Ok(Self {
            sent: basic.bytes,
            backlog: queue.backlog,
            qlen: queue.qlen,
            drops: queue.drops,
            requeues: queue.requeues,
        })
    }
}

/// Kernel: a packet has at most this many bytes (`GSO_MAX_SIZE`, with BIG TCP). A
/// qdisc counts the headers of its segments as well, which is less than as many
/// again.
const LARGEST_PACKET: u64 = 2 * 8 * 65_535;

impl Device {
    pub(super) fn new(link: &Link, [handle, spare]: [Handle; 2], adopted: bool) -> Self {
        Self {
            name: link.name.clone(),
            ifindex: link.ifindex,
            handle,
            spare,
            adopted,
            link: LinkState::of(link),
            counters: Counters::default(),
            taken_in: 0,
            settled: false,
            several_queues: link.tx_queues > 1,
            slack: 0,
            open: EpochStats::default(),
            closed: EpochStats::default(),
            closed_backlog: 0,
        }
    }

    /// The plug has this handle now, one of the two.
    pub(super) fn is_now(&mut self, handle: Handle) {
        if handle != self.handle {
            self.spare = std::mem::replace(&mut self.handle, handle);
        }
    }

    /// A request to the plug, and to nothing else.
    pub(super) const fn address(&self) -> Request<'static, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(self.handle)
    }

    pub(super) fn request<'a>(&self, plug: &'a Plug) -> Request<'a, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(self.handle).options(plug)
    }

    /// Starts to watch the queue from the last counters on.
    pub(super) fn begin(&mut self, limit_bytes: u32) {
        let now = self.counters;
        // Queued packets may have been requeued, and are then already counted as sent.
        self.settled = now.backlog == 0 || now.requeues == 0;
        self.taken_in = now.sent + if self.settled { u64::from(now.backlog) } else { 0 };
        self.slack = self.one_aside(now.backlog);
        self.open = EpochStats { dropped_packets: 0, peak_bytes: now.backlog, limit_bytes };
        self.closed = EpochStats { limit_bytes, ..EpochStats::default() };
    }

    /// The closed epoch is about to be released.
    pub(super) fn release(&mut self) {
        self.slack = self.one_aside(self.closed_backlog);
    }

    /// How many bytes may be counted twice if no more than `backlog` bytes may
    /// leave.
    ///
    /// Kernel: a device with several transmit queues may keep one packet aside
    /// that is counted as sent and as held at once (`skb_bad_txq`). It was
    /// released before; while nothing may leave, there is no such packet.
    fn one_aside(&self, backlog: u32) -> u64 {
        if self.several_queues { LARGEST_PACKET.min(u64::from(backlog)) } else { 0 }
    }

    /// The cause of distrust in what `link`, a notice, reports.
    pub(super) fn judge(&self, link: Link) -> Option<TaintCause> {
        let judged = self.link.judge(&link);
        let renamed = self.several_queues && link.name != self.name;
        judged.or_else(|| renamed.then_some(TaintCause::Renamed { name: link.name }))
    }

    /// Takes note of new counters.
    pub(super) fn observe(&mut self, now: Counters) {
        let was = std::mem::replace(&mut self.counters, now);
        self.open.dropped_packets += u64::from(now.drops.wrapping_sub(was.drops));
        self.open.peak_bytes = self.open.peak_bytes.max(now.backlog);
        self.closed.peak_bytes = self.closed.peak_bytes.max(now.backlog);
        // Kernel: a packet that the driver gives back is held again though it
        // was counted as sent. It is sent before all others; so once more was
        // sent and nothing came back since, none waits.
        let given_back = now.requeues != was.requeues;
        self.settled = now.backlog == 0 || !given_back && (self.settled || now.sent > was.sent);
        // A single reading may come while a packet is put aside.
        if now.backlog == 0 && was.backlog == 0 && now.sent == was.sent {
            self.slack = 0;
        }
        if self.settled {
            self.taken_in = self.taken_in.max(now.sent + u64::from(now.backlog));
        }
    }

    /// How many bytes less the counters account for than were taken in.
    ///
    /// Kernel: the two counters are not read at one moment, so that a queue that
    /// is just being sent from can seem to miss something, never to have too
    /// much: one reading that accounts for all is proof enough.
    pub(super) const fn missing(&self) -> u64 {
        let now = &self.counters;
        self.taken_in.saturating_sub(now.sent + now.backlog as u64 + self.slack)
    }

    /// The open epoch was closed, and another one is open.
    pub(super) fn turn(&mut self) {
        let next = EpochStats { dropped_packets: 0, peak_bytes: self.counters.backlog, ..self.open };
        self.closed = std::mem::replace(&mut self.open, next);
        self.closed_backlog = self.counters.backlog;
    }

    /// The held packets, as last observed.
    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn device() -> Device {
        with_queues(1)
    }

    fn with_queues(tx_queues: u32) -> Device {
        let link = Link {
            ifindex: 2,
            name: "eth0".into(),
            raw_name: tc_core::link::DeviceName::of("eth0"),
            flags: 0x1_0001,
            mtu: 1500,
            tx_queue_len: 1000,
            tx_queues,
            qdisc: "noqueue".into(),
            kind: String::new(),
            carrier_changes: 2,
            gso_max_size: 65_536,
            gro_max_size: 65_536,
        };
        let mut device = Device::new(&link, [Handle::qdisc(1), Handle::qdisc(2)], false);
        device.begin(1000);
        device
    }

    const fn counters(sent: u64, backlog: u32, qlen: u32, requeues: u32) -> Counters {
        Counters { sent, backlog, qlen, drops: 0, requeues }
    }

    fn missing(device: &mut Device, now: Counters) -> u64 {
        device.observe(now);
        device.missing()
    }

    #[test]
    fn what_was_taken_in_is_sent_or_held() {
        let mut device = device();
        device.observe(counters(0, 500, 5, 0));
        assert_eq!(missing(&mut device, counters(400, 100, 1, 0)), 0, "sent");
        assert_eq!(missing(&mut device, counters(500, 400, 4, 0)), 0, "sent, and more came");
        assert_eq!(missing(&mut device, counters(500, 200, 2, 0)), 200, "200 bytes are gone");
        assert_eq!(missing(&mut device, counters(0, 0, 0, 0)), 900, "a new plug");
    }

    #[test]
    fn a_packet_that_the_driver_gives_back_is_not_counted_twice() {
        let mut device = device();
        device.observe(counters(0, 500, 5, 0));
        // One packet left, came back, and waits.
        device.observe(counters(100, 500, 5, 1));
        assert_eq!(missing(&mut device, counters(100, 400, 4, 1)), 0, "sent the second time");
        // More was sent since, so it has left; from then on all counts.
        device.observe(counters(300, 200, 2, 1));
        device.observe(counters(300, 400, 4, 1));
        assert_eq!(missing(&mut device, counters(300, 100, 1, 1)), 300);
        // Nothing waits, whatever came back.
        device.observe(counters(700, 0, 0, 2));
        device.observe(counters(700, 50, 1, 2));
        assert_eq!(missing(&mut device, counters(700, 0, 0, 2)), 50);
    }

    #[test]
    fn packets_returned_before_the_start_are_not_missed() {
        let mut device = device();
        device.observe(counters(100, 300, 3, 1));
        device.begin(1000);
        assert_eq!(missing(&mut device, counters(100, 200, 2, 1)), 0, "sent the second time");
        assert_eq!(missing(&mut device, counters(300, 0, 0, 1)), 0);
        assert_eq!(missing(&mut device, counters(200, 0, 0, 1)), 100);
        device.observe(counters(100, 300, 3, 0));
        device.begin(1000);
        assert_eq!(missing(&mut device, counters(100, 0, 0, 0)), 300, "nothing ever came back");
    }

    #[test]
    fn drops_belong_to_the_epoch_that_was_open() {
        let mut device = device();
        device.observe(Counters { drops: 3, backlog: 900, ..Counters::default() });
        device.turn();
        device.observe(Counters { drops: 4, backlog: 950, ..Counters::default() });
        assert_eq!(device.closed, EpochStats { dropped_packets: 3, peak_bytes: 950, limit_bytes: 1000 });
        assert_eq!(device.open, EpochStats { dropped_packets: 1, peak_bytes: 950, limit_bytes: 1000 });
    }

    #[test]
    fn one_released_packet_may_be_counted_twice_on_several_queues() {
        let mut device = with_queues(4);
        device.observe(counters(0, 300, 3, 0));
        device.turn();
        device.observe(counters(0, 700, 7, 0));
        device.release();
        assert_eq!(missing(&mut device, counters(300, 400, 4, 0)), 0, "released, and sent");
        // One of the released ones was aside, and is not counted twice any more.
        device.observe(counters(300, 500, 5, 0));
        assert_eq!(missing(&mut device, counters(300, 400, 4, 0)), 0);
        assert!(missing(&mut device, counters(300, 100, 1, 0)) > 0, "more than were released");
    }

    #[test]
    fn while_nothing_may_leave_several_queues_have_no_slack() {
        let mut device = with_queues(4);
        device.observe(counters(0, 500, 5, 0));
        device.turn();
        assert_eq!(missing(&mut device, counters(0, 400, 4, 0)), 100, "nothing was released yet");
        let mut device = with_queues(4);
        device.observe(counters(0, 500, 5, 0));
        device.turn();
        device.release();
        device.observe(counters(500, 0, 0, 0));
        device.observe(counters(500, 0, 0, 0));
        device.observe(counters(500, 500, 5, 0));
        assert_eq!(missing(&mut device, counters(500, 400, 4, 0)), 100, "all that was released has left");
    }

    #[test]
    fn slack_is_never_more_than_one_packet() {
        let mut device = with_queues(4);
        device.observe(counters(0, 4_000_000, 100, 0));
        device.turn();
        device.release();
        assert!(missing(&mut device, counters(0, 2_900_000, 50, 0)) > 0);
    }
}
