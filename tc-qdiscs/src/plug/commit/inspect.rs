//! How a session talks to its plugs and looks at them, all at once.

use tc_core::message::Entry;
use tc_core::monitor::Notice;
use tc_core::{Cause, DecodeError, Done, Transport, Verb};

use super::super::Plug;
use super::device::{Counters, Device, EpochStats};
use super::error::Error;
use super::options::OnDrop;
use super::session::OutputCommit;
use super::taint::{Taint, TaintCause, judge_notice};

const LOOK: &str = "a look at the plug";

/// The most notices that are read at once: a sender that is faster than the reader
/// does not block it.
const MOST: u32 = 1 << 16;

impl<T: Transport> OutputCommit<T> {
    /// Tells all plugs the same in one send, and takes the counters from their
    /// answers. One that fails taints the session: some may have obeyed.
    pub(super) fn command(&mut self, doing: &'static str, plug: &Plug) -> Result<(), Error> {
        self.exchange(doing, Verb::Change, Some(plug))
    }

    /// Sends a command; the caller acts on the taint.
    pub(super) fn try_command(&mut self, doing: &'static str, plug: &Plug) -> Option<Taint> {
        self.try_exchange(doing, Verb::Change, Some(plug))
    }

    /// Asks all plugs for their counters in one send.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        self.exchange(LOOK, Verb::Get, None)
    }

    /// Reads the counters of tainted plugs: nothing follows from them.
    pub(super) fn glance(&mut self) {
        let _tainted_anyway = self.try_exchange(LOOK, Verb::Get, None);
    }

    fn exchange(&mut self, doing: &'static str, verb: Verb, plug: Option<&Plug>) -> Result<(), Error> {
        match self.try_exchange(doing, verb, plug) {
            Some(taint) => Err(self.taint(taint)),
            None => Ok(()),
        }
    }

    /// Exchanges messages with all plugs; the caller acts on the taint.
    fn try_exchange(&mut self, doing: &'static str, verb: Verb, plug: Option<&Plug>) -> Option<Taint> {
        let Self { tc, devices, fault, .. } = self;
        let mut pack = tc.group();
        for device in devices.iter() {
            let request = match plug {
                Some(plug) => device.request(plug),
                None => device.address(),
            };
            if let Err(error) = pack.push_shown(verb, &request) {
                let cause = TaintCause::Command { doing, why: error.to_string() };
                return Some(Taint::new(&device.name, cause));
            }
        }
        let sent = pack.send(|index, outcome| {
            let Some(device) = devices.get_mut(index) else { return };
            if let Some(cause) = note(device, doing, outcome) {
                fault.get_or_insert_with(|| Taint::new(&device.name, cause));
            }
        });
        if let Err(error) = sent {
            let cause = TaintCause::Command { doing, why: error.to_string() };
            self.fault = Some(Taint::new("", cause));
        }
        self.fault.take()
    }

    /// Looks at all queues: the counters first, for whatever happened before
    /// they were read is noticed by then.
    pub(super) fn inspect(&mut self) -> Result<(), Error> {
        let seen = self.try_exchange(LOOK, Verb::Get, None);
        // A notice has a more precise reason.
        if let Some(taint) = self.read_notices().or(seen) {
            return Err(self.taint(taint));
        }
        self.judge_drops()?;
        self.judge_missing()
    }

    /// Reads the notices and events that have come; the first that speaks
    /// against a queue.
    ///
    /// Kernel: each is sent under the lock that a command takes too, before that
    /// lock is given up. So what preceded a command is readable after it.
    pub(super) fn read_notices(&mut self) -> Option<Taint> {
        let notices = self.read_messages();
        let events = self.read_queue_events();
        notices.or(events)
    }

    fn read_messages(&mut self) -> Option<Taint> {
        let own_port = self.tc.transport().port();
        let overflow = || Taint::new("", TaintCause::Overflow);
        let mut found = None;
        for _ in 0..MOST {
            let taint = match self.monitor.receive() {
                Ok(None) => return found,
                Ok(Some(Notice::Overflow)) => Some(overflow()),
                Ok(Some(Notice::Message(message))) => judge_notice(&message, &self.devices, own_port),
                Err(error) => {
                    let cause = TaintCause::Command { doing: "reading notices", why: error.to_string() };
                    return found.or(Some(Taint::new("", cause)));
                }
            };
            found = found.or(taint);
        }
        found.or_else(|| Some(overflow()))
    }

    fn read_queue_events(&mut self) -> Option<Taint> {
        const ENOBUFS: i32 = 105;
        let watch = self.queues.as_mut()?;
        let mut found = None;
        for _ in 0..MOST {
            let taint = match watch.next() {
                Ok(None) => return found,
                Ok(Some(name)) => self
                    .devices
                    .iter()
                    .find(|device| device.name == name.to_string())
                    .map(|device| Taint::new(&device.name, TaintCause::QueueLost)),
                Err(error) if error.raw_os_error() == Some(ENOBUFS) => {
                    Some(Taint::new("", TaintCause::Overflow))
                }
                Err(error) => {
                    let cause = TaintCause::Command { doing: "reading events", why: error.to_string() };
                    return found.or(Some(Taint::new("", cause)));
                }
            };
            found = found.or(taint);
        }
        found.or_else(|| Some(Taint::new("", TaintCause::Overflow)))
    }

    pub(super) fn judge_drops(&mut self) -> Result<(), Error> {
        if self.options.on_drop == OnDrop::Report {
            return Ok(());
        }
        let full = self.devices.iter().find(|device| device.open.dropped_packets > 0);
        let Some(device) = full else { return Ok(()) };
        let EpochStats { dropped_packets: packets, peak_bytes, limit_bytes } = device.open;
        let cause = TaintCause::Dropped { packets, peak_bytes, limit_bytes };
        let taint = Taint::new(&device.name, cause);
        Err(self.taint(taint))
    }

    /// Counters that do not account for all are read again: a queue that is just
    /// being sent from looks so for a moment.
    fn judge_missing(&mut self) -> Result<(), Error> {
        const READINGS: u32 = 5;
        for _ in 0..READINGS {
            if self.devices.iter().all(|device| device.missing() == 0) {
                return Ok(());
            }
            self.look()?;
        }
        let loss = self.devices.iter().find(|device| device.missing() > 0);
        let Some(device) = loss else { return Ok(()) };
        let cause = TaintCause::HeldLost { bytes: device.missing() };
        let taint = Taint::new(&device.name, cause);
        Err(self.taint(taint))
    }
}

/// Records a plug's answer; returns the taint that it implies.
fn note(device: &mut Device, doing: &'static str, outcome: Result<Done<'_>, Cause>) -> Option<TaintCause> {
    let read = |device: &mut Device, entry: &Entry<'_>| -> Result<Option<TaintCause>, DecodeError> {
        // Kernel: it shows the qdisc with the handle that was asked for, of whatever kind.
        match entry.kind()? {
            "plug" => {
                device.observe(Counters::of(entry)?);
                Ok(None)
            }
            kind => Ok(Some(TaintCause::NotOurs { kind: kind.to_owned(), handle: entry.header.handle })),
        }
    };
    match outcome {
        Ok(Done::Shown(message)) => Entry::decode(&message)
            .and_then(|entry| read(device, &entry))
            .unwrap_or_else(|error| Some(error.into())),
        Ok(Done::Acknowledged(_)) => {
            Some(TaintCause::Command { doing, why: "the kernel did not show the plug".to_owned() })
        }
        Err(cause) => {
            Some(gone(&cause).unwrap_or_else(|| TaintCause::Command { doing, why: cause.to_string() }))
        }
    }
}

/// The taint implied by the refusal of a command to our handle.
pub(super) fn gone(cause: &Cause) -> Option<TaintCause> {
    const ENOENT: i32 = 2;
    const ENODEV: i32 = 19;
    const EINVAL: i32 = 22;
    match cause {
        Cause::Kernel(error) if error.errno == ENODEV => Some(TaintCause::DeviceGone),
        Cause::Kernel(error) if error.errno == ENOENT => Some(TaintCause::PlugGone),
        // Kernel: "Invalid handle" or "Invalid qdisc name": the root is another one.
        Cause::Kernel(error) if error.errno == EINVAL => Some(TaintCause::PlugGone),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plug::commit::device::tests::device;
    use tc_core::message::Message;
    use tc_core::uapi::{RTM_NEWQDISC, TCA_KIND};

    #[test]
    fn look_when_the_answer_lacks_counters_taints() {
        let kind =
            |kind: &[u8; 8]| [&[0; 20][..], &12_u16.to_ne_bytes(), &TCA_KIND.to_ne_bytes(), kind].concat();
        let judge = |payload: &[u8]| {
            let message = Message { kind: RTM_NEWQDISC, flags: 0, sequence: 1, port: 7, payload };
            note(&mut device(), "BUFFER", Ok(Done::Shown(message)))
        };
        assert!(matches!(judge(&kind(b"pfifo\0\0\0")), Some(TaintCause::NotOurs { .. })));
        for unreadable in [&kind(b"plug\0\0\0\0")[..], &[0; 20], &[]] {
            assert!(matches!(judge(unreadable), Some(TaintCause::Unreadable(_))), "{unreadable:?}");
        }
        let none = note(&mut device(), "BUFFER", Ok(Done::Acknowledged(None)));
        assert!(matches!(none, Some(TaintCause::Command { doing: "BUFFER", .. })), "{none:?}");
    }
}
