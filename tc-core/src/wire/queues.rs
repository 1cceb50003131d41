//! Transmit queues that a device loses.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use crate::wire::device::DeviceName;
use crate::wire::uapi::IFNAMSIZ;

/// Announces the transmit queues that devices lose.
///
/// Kernel: a device that gives up a transmit queue (`ethtool -L`, a tap of
/// several queues of which one is detached) resets the qdisc of that queue,
/// which is the root qdisc unless that is `mq` or its like. No notice of
/// rtnetlink reports it. The queue's object in sysfs is removed first, under the
/// lock of rtnetlink, and that sends a uevent to the device's network namespace.
pub trait QueueEvents: fmt::Debug + Send {
    /// The name of a device that lost a transmit queue; `None` if no event
    /// waits. The raw error `ENOBUFS` means that events were lost.
    fn next_removal(&mut self) -> io::Result<Option<DeviceName>>;

    /// A descriptor that is readable while events wait, if there is one.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// The device that lost a transmit queue, from a uevent
/// (`remove@/devices/.../net/NAME/queues/tx-N`, NUL, variables).
pub(crate) fn removal(event: &[u8]) -> Option<DeviceName> {
    let path = event.strip_prefix(b"remove@")?.split(|byte| *byte == 0).next()?;
    let mut parts = path.rsplit(|byte| *byte == b'/');
    let (queue, queues, name, class) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if !queue.starts_with(b"tx-") || queues != b"queues" || class != b"net" {
        return None;
    }
    let mut bytes = [0; IFNAMSIZ];
    bytes[..IFNAMSIZ - 1].get_mut(..name.len())?.copy_from_slice(name);
    Some(DeviceName::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_of_a_transmit_queue_names_its_device() {
        // As Linux 6.18 sends it when a tap detaches its second queue.
        let event = b"remove@/devices/virtual/net/tap7/queues/tx-1\0ACTION=remove\0SUBSYSTEM=queues\0";
        assert_eq!(removal(event), Some(DeviceName::of("tap7")));
        let hardware = b"remove@/devices/pci0000:00/0000:00:03.0/virtio0/net/eth0/queues/tx-3\0";
        assert_eq!(removal(hardware), Some(DeviceName::of("eth0")));
    }

    #[test]
    fn other_events_are_no_removal_of_a_transmit_queue() {
        for other in [
            &b"add@/devices/virtual/net/tap7/queues/tx-1\0"[..],
            b"remove@/devices/virtual/net/tap7/queues/rx-1\0",
            b"remove@/devices/virtual/net/tap7\0",
            b"remove@/devices/virtual/block/tap7/queues/tx-1\0",
            b"remove@/devices/virtual/net/a-name-too-long-for-it/queues/tx-1\0",
            b"libudev\0remove@/net/tap7/queues/tx-1\0",
            b"remove@",
            b"",
        ] {
            assert_eq!(removal(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
