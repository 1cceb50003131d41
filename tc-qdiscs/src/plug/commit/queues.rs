//! The watch over transmit queues that a session's devices may lose.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;
use tc_core::Transport;
use tc_core::link::{DeviceName, Link, QueueEvents};

use super::error::Error;
use super::options::AttachOptions;

/// Reads the events of lost transmit queues.
#[derive(Debug)]
pub(super) struct QueueWatch {
    events: Box<dyn QueueEvents>,
    /// Readable while events or notices wait.
    any: Option<OwnedFd>,
}

impl QueueWatch {
    /// Watches from here on, if one of the devices has several transmit queues.
    /// Kernel: a device keeps its last queue.
    pub(super) fn open<'a>(
        transport: &impl Transport,
        devices: impl Iterator<Item = &'a Link>,
        options: &AttachOptions,
    ) -> Result<Option<Self>, Error> {
        let mut several = devices.filter(|link| link.tx_queues > 1);
        let Some(link) = several.next() else { return Ok(None) };
        match transport.queue_events() {
            Ok(events) => Ok(Some(Self { events, any: None })),
            Err(_) if options.unwatched_queues => Ok(None),
            Err(error) => {
                Err(Error::QueuesUnwatched { device: link.name.clone(), tx_queues: link.tx_queues, error })
            }
        }
    }

    /// Has [`QueueWatch::any`] stand for these notices, too.
    pub(super) fn join(&mut self, notices: BorrowedFd<'_>) -> io::Result<()> {
        let Some(events) = self.events.as_fd() else { return Ok(()) };
        let any = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (number, fd) in [(0, events), (1, notices)] {
            epoll::add(&any, fd, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        self.any = Some(any);
        Ok(())
    }

    /// A descriptor that is readable while events or the joined notices wait.
    pub(super) fn any(&self) -> Option<BorrowedFd<'_>> {
        self.any.as_ref().map(AsFd::as_fd)
    }

    /// The name of a device that lost a queue; `None` if no event waits.
    pub(super) fn next(&mut self) -> io::Result<Option<DeviceName>> {
        self.events.next_removal()
    }
}
