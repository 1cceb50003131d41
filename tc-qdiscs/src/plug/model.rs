//! The reference state machine of plug: what `net/sched/sch_plug.c` does with
//! packets, its traps included.
//!
//! Pure: no clock, no device. The embedded kernel's plug is made of it, and the
//! real one is tested against it.

use std::collections::VecDeque;

use tc_core::{DecodeError, Reader};

/// A plug and the packets that it holds.
///
/// ```
/// use tc_qdiscs::plug::Model;
///
/// let mut plug = Model::with_limit(1000);
/// plug.enqueue("a0", 100);
/// plug.buffer(); // the first epoch ends
/// plug.enqueue("b0", 100);
/// assert_eq!(plug.dequeue(), None);
/// plug.release_one();
/// assert_eq!((plug.dequeue(), plug.dequeue()), (Some("a0"), None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<P> {
    packets: VecDeque<(P, u32)>,
    backlog_bytes: u32,
    limit_bytes: u32,
    drops: u32,
    passes: bool,
    throttled: bool,
    current_epoch: u32,
    last_epoch: u32,
    to_release: u32,
}

/// What a change asks for beyond the change itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Kick {
    /// Nothing: what could be sent before can be sent now.
    Stays,
    /// The device shall ask for packets (`netif_schedule_queue`).
    Runs,
}

impl<P> Model<P> {
    /// A new plug, which holds. `options` is the payload of `TCA_OPTIONS`; its
    /// action is ignored. Without options the limit is `tx_queue_len` packets of
    /// `frame_bytes` (MTU and link header).
    pub fn init(options: Option<&[u8]>, tx_queue_len: u32, frame_bytes: u32) -> Result<Self, DecodeError> {
        // Kernel: the product is one of unsigned ints, and wraps.
        let default = tx_queue_len.wrapping_mul(frame_bytes);
        Ok(Self::with_limit(match options {
            Some(options) => decode(options)?.1,
            None => default,
        }))
    }

    /// A new plug with a limit in bytes, which holds.
    pub const fn with_limit(bytes: u32) -> Self {
        Self {
            packets: VecDeque::new(),
            backlog_bytes: 0,
            limit_bytes: bytes,
            drops: 0,
            passes: false,
            throttled: true,
            current_epoch: 0,
            last_epoch: 0,
            to_release: 0,
        }
    }

    /// A change with these options. Kernel: the limit counts only if the action
    /// is `TCQ_PLUG_LIMIT`; an action that is not known is refused.
    pub fn change(&mut self, options: &[u8]) -> Result<Kick, DecodeError> {
        match decode(options)? {
            (0, _) => self.buffer(),
            (1, _) => {
                self.release_one();
                return Ok(Kick::Runs);
            }
            (2, _) => {
                self.release_indefinite();
                return Ok(Kick::Runs);
            }
            (3, limit) => self.set_limit(limit),
            _ => return Err(DecodeError::Malformed { what: "plug action" }),
        }
        Ok(Kick::Stays)
    }

    /// `TCQ_PLUG_BUFFER`: ends the epoch.
    ///
    /// Kernel: the size of the epoch before is forgotten, not added to. What is
    /// to be released stays so.
    pub const fn buffer(&mut self) {
        self.last_epoch = self.current_epoch;
        self.current_epoch = 0;
        if self.passes {
            self.throttled = true;
        }
        self.passes = false;
    }

    /// `TCQ_PLUG_RELEASE_ONE`: lets as many packets go as the epoch had that
    /// ended last.
    pub const fn release_one(&mut self) {
        self.to_release = self.to_release.wrapping_add(self.last_epoch);
        self.last_epoch = 0;
        self.throttled = false;
    }

    /// `TCQ_PLUG_RELEASE_INDEFINITE`: lets everything go until the next
    /// [`Model::buffer`].
    pub const fn release_indefinite(&mut self) {
        self.passes = true;
        self.to_release = 0;
        self.last_epoch = 0;
        self.current_epoch = 0;
        self.throttled = false;
    }

    /// `TCQ_PLUG_LIMIT`. What is held already stays.
    pub const fn set_limit(&mut self, bytes: u32) {
        self.limit_bytes = bytes;
    }

    /// Takes a packet of so many bytes; `false` if it is dropped.
    pub fn enqueue(&mut self, packet: P, bytes: u32) -> bool {
        self.enqueue_counted(packet, bytes, bytes)
    }

    /// The same for a packet that a size table gives another size. Kernel: the
    /// packet's own length decides whether it fits, and the other one is what
    /// counts as held.
    pub fn enqueue_counted(&mut self, packet: P, bytes: u32, counted_bytes: u32) -> bool {
        if u64::from(self.backlog_bytes) + u64::from(bytes) > u64::from(self.limit_bytes) {
            self.drops = self.drops.wrapping_add(1);
            return false;
        }
        if !self.passes {
            self.current_epoch = self.current_epoch.wrapping_add(1);
        }
        self.backlog_bytes = self.backlog_bytes.wrapping_add(counted_bytes);
        self.packets.push_back((packet, counted_bytes));
        true
    }

    /// The next packet to send, if one may go.
    ///
    /// Kernel: a release is used up even if no packet is there for it.
    pub fn dequeue(&mut self) -> Option<P> {
        if self.throttled {
            return None;
        }
        if !self.passes {
            if self.to_release == 0 {
                self.throttled = true;
                return None;
            }
            self.to_release -= 1;
        }
        let (packet, counted_bytes) = self.packets.pop_front()?;
        self.backlog_bytes = self.backlog_bytes.wrapping_sub(counted_bytes);
        Some(packet)
    }

    /// Throws away what is held, as the kernel does when the device goes down,
    /// loses its carrier or gets another `txqueuelen`.
    ///
    /// Kernel: that is no drop, and the epochs keep the counts of packets that
    /// are not there any more.
    pub fn reset(&mut self) {
        self.packets.clear();
        self.backlog_bytes = 0;
    }

    /// How many packets it holds.
    pub fn qlen(&self) -> u32 {
        u32::try_from(self.packets.len()).unwrap_or(u32::MAX)
    }

    /// How many bytes it holds.
    pub const fn backlog_bytes(&self) -> u32 {
        self.backlog_bytes
    }

    /// How many packets were above the limit.
    pub const fn drops(&self) -> u32 {
        self.drops
    }

    /// The most bytes it may hold.
    pub const fn limit_bytes(&self) -> u32 {
        self.limit_bytes
    }

    /// Whether everything passes ([`Model::release_indefinite`]).
    pub const fn passes(&self) -> bool {
        self.passes
    }

    /// What it holds, in order.
    pub fn held(&self) -> impl Iterator<Item = &P> {
        self.packets.iter().map(|(packet, _)| packet)
    }
}

/// `struct tc_plug_qopt`: action and limit. Longer is accepted.
fn decode(options: &[u8]) -> Result<(i32, u32), DecodeError> {
    let mut reader = Reader::new(options);
    Ok((reader.i32()?, reader.u32()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plug(packets: &[&'static str]) -> Model<&'static str> {
        let mut plug = Model::with_limit(10_000);
        send(&mut plug, packets);
        plug
    }

    fn send(plug: &mut Model<&'static str>, packets: &[&'static str]) {
        for packet in packets {
            assert!(plug.enqueue(packet, 100), "{packet}");
        }
    }

    fn sent(plug: &mut Model<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| plug.dequeue()).collect()
    }

    fn options(action: i32, limit: u32) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&action.to_ne_bytes());
        bytes[4..].copy_from_slice(&limit.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_new_plug_holds_and_ignores_the_action_it_is_made_with() {
        let mut made = Model::init(Some(&options(2, 5000)), 0, 0).unwrap();
        assert_eq!(made, Model::with_limit(5000));
        send(&mut made, &["a"]);
        assert_eq!(sent(&mut made), [""; 0]);
        assert_eq!(Model::<()>::init(None, 1000, 1514).unwrap().limit_bytes(), 1_514_000);
        assert_eq!(Model::<()>::init(None, 3_000_000, 1514).unwrap().limit_bytes(), 247_032_704, "it wraps");
        assert!(Model::<()>::init(Some(&[3, 0, 0, 0]), 1000, 1514).is_err(), "absent is not short");
    }

    #[test]
    fn two_epochs_outstanding_release_what_was_not_committed() {
        // Seen on Linux 6.1: b0 left the machine.
        let mut plug = plug(&["a0", "a1"]);
        plug.buffer();
        send(&mut plug, &["b0", "b1", "b2"]);
        plug.buffer();
        plug.release_one();
        assert_eq!(sent(&mut plug), ["a0", "a1", "b0"]);
        assert_eq!(plug.held().collect::<Vec<_>>(), [&"b1", &"b2"]);
    }

    #[test]
    fn a_smaller_second_epoch_strands_packets() {
        let mut plug = plug(&["a0", "a1", "a2"]);
        plug.buffer();
        send(&mut plug, &["b0"]);
        plug.buffer();
        plug.release_one();
        assert_eq!(sent(&mut plug), ["a0"]);
        plug.release_one();
        assert_eq!(sent(&mut plug), [""; 0], "nothing is pending");
    }

    #[test]
    fn epochs_in_turn_come_out_whole() {
        let mut plug = plug(&["a0", "a1"]);
        plug.buffer();
        send(&mut plug, &["b0"]);
        plug.release_one();
        assert_eq!(sent(&mut plug), ["a0", "a1"]);
        plug.buffer();
        plug.release_one();
        assert_eq!(sent(&mut plug), ["b0"]);
    }

    #[test]
    fn a_reset_leaves_the_epochs_with_packets_that_are_gone() {
        // Seen on Linux 6.1: held 5, link down and up, b x2, BUFFER, u x4, ONE.
        let mut plug = plug(&["a"; 5]);
        plug.reset();
        assert_eq!((plug.qlen(), plug.backlog_bytes(), plug.drops()), (0, 0, 0));
        send(&mut plug, &["b0", "b1"]);
        plug.buffer();
        send(&mut plug, &["u0", "u1", "u2", "u3"]);
        plug.release_one();
        assert_eq!(sent(&mut plug), ["b0", "b1", "u0", "u1", "u2", "u3"], "7 were counted");
    }

    #[test]
    fn a_release_without_packets_is_used_up() {
        let mut plug = plug(&["a0", "a1"]);
        plug.buffer();
        plug.reset();
        plug.release_one();
        // Each empty dequeue costs one release.
        assert_eq!((plug.dequeue(), plug.dequeue()), (None, None));
        send(&mut plug, &["x"]);
        assert_eq!(sent(&mut plug), [""; 0]);
    }

    #[test]
    fn pass_mode_counts_nothing_and_buffer_ends_it() {
        let mut plug = plug(&["a0"]);
        plug.release_indefinite();
        send(&mut plug, &["a1"]);
        assert_eq!(sent(&mut plug), ["a0", "a1"]);
        plug.release_one();
        send(&mut plug, &["a2"]);
        assert_eq!(sent(&mut plug), ["a2"], "a release in pass mode does nothing");
        send(&mut plug, &["a3"]);
        plug.buffer();
        plug.release_one();
        assert_eq!(sent(&mut plug), [""; 0], "a3 belongs to no epoch");
    }

    #[test]
    fn release_indefinite_and_buffer_repair_the_counts() {
        let mut plug = plug(&["a"; 5]);
        plug.reset();
        plug.release_indefinite();
        plug.buffer();
        send(&mut plug, &["b0"]);
        plug.buffer();
        send(&mut plug, &["u0"]);
        plug.release_one();
        assert_eq!(sent(&mut plug), ["b0"]);
    }

    #[test]
    fn the_limit_is_in_bytes_and_does_not_shorten_the_queue() {
        let mut plug = Model::with_limit(250);
        assert!(plug.enqueue(0, 100) && plug.enqueue(1, 150));
        assert!(!plug.enqueue(2, 1) && plug.enqueue(3, 0), "full to the byte");
        assert_eq!((plug.qlen(), plug.backlog_bytes(), plug.drops()), (3, 250, 1));
        plug.set_limit(0);
        assert!(!plug.enqueue(4, 1));
        assert_eq!((plug.qlen(), plug.drops()), (3, 2));
        let mut largest = Model::with_limit(u32::MAX);
        assert!(largest.enqueue(0, u32::MAX) && !largest.enqueue(1, 1), "no wrap");
    }

    #[test]
    fn a_size_table_counts_for_what_is_held_alone() {
        let mut plug = Model::with_limit(200);
        assert!(plug.enqueue_counted(0, 100, 150) && !plug.enqueue(1, 51) && plug.enqueue(2, 50));
        assert_eq!(plug.backlog_bytes(), 200);
        plug.release_indefinite();
        assert_eq!((plug.dequeue(), plug.backlog_bytes()), (Some(0), 50));
    }

    #[test]
    fn changes_read_bytes() {
        let mut plug = plug(&["a"]);
        assert_eq!(plug.change(&options(0, 1)), Ok(Kick::Stays));
        assert_eq!(plug.limit_bytes(), 10_000, "only the limit action sets the limit");
        assert_eq!(plug.change(&options(3, 1)), Ok(Kick::Stays));
        assert_eq!(plug.limit_bytes(), 1);
        assert_eq!(plug.change(&options(1, 0)), Ok(Kick::Runs));
        assert_eq!(plug.change(&options(2, 0)), Ok(Kick::Runs));
        let before = plug.clone();
        for bad in [&options(4, 0)[..], &options(-1, 0), &[0; 7], &[]] {
            assert!(plug.change(bad).is_err(), "{bad:?}");
        }
        assert_eq!(plug, before);
    }

    proptest! {
        #[test]
        fn order_and_counters_hold_whatever_comes(steps in proptest::collection::vec((0u8..7, 0u32..300), 0..200)) {
            let mut plug = Model::with_limit(1000);
            let (mut next, mut last_out, mut drops) = (0u32, None, 0);
            for (step, number) in steps {
                match step {
                    0 => plug.buffer(),
                    1 => plug.release_one(),
                    2 => plug.release_indefinite(),
                    3 => plug.set_limit(number * 10),
                    4 => plug.reset(),
                    5 => {
                        drops += u32::from(!plug.enqueue(next, number));
                        next += 1;
                    }
                    _ => if let Some(out) = plug.dequeue() {
                        prop_assert!(last_out < Some(out));
                        last_out = Some(out);
                    },
                }
                prop_assert_eq!(plug.drops(), drops);
                prop_assert_eq!(plug.qlen() as usize, plug.held().count());
                prop_assert!(plug.qlen() > 0 || plug.backlog_bytes() == 0);
            }
        }
    }
}
