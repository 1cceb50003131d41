//! Frames of a device as they are (AF_PACKET).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, getsockopt, recv, send, setsockopt,
    socket,
    sockopt::{Mark, Priority, ReceiveTimeout, SocketError},
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Whole frames, Ethernet header first. It receives the frames that the device receives, and those that others send.
pub struct Wire(OwnedFd);

impl Wire {
    pub(super) fn open(dev: &str) -> io::Result<Self> {
        let address = getifaddrs()?
            .filter(|interface| interface.interface_name == dev)
            .find_map(|interface| interface.address?.as_link_addr().copied())
            .ok_or(Errno::ENODEV)?;
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        bind(socket.as_raw_fd(), &address)?;
        Ok(Self(socket))
    }

    /// Sends a frame; an error is the kernel's, ENOBUFS when the qdisc drops it.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.0.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }

    /// Sets the mark and the priority of the frames that are sent from now on.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn set_metadata(&self, mark: u32, priority: u32) -> io::Result<()> {
        setsockopt(&self.0, Mark, &mark)?;
        setsockopt(&self.0, Priority, &priority.cast_signed())?;
        Ok(())
    }

    /// The length of the next frame, copied into `buffer`, if one is there already.
    #[must_use]
    pub fn receive_now(&self, buffer: &mut [u8]) -> Option<usize> {
        recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()
    }

    /// Forgets an error that waits to be reported by the next call: that the device went down.
    pub fn forget_error(&self) {
        // The error is this call's result, not its failure.
        let _ = getsockopt(&self.0, SocketError);
    }

    /// The next frame, if one comes within `time`.
    #[must_use]
    pub fn receive(&self, time: Duration) -> Option<Vec<u8>> {
        // Zero would mean no time limit.
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX).max(1);
        setsockopt(&self.0, ReceiveTimeout, &TimeVal::microseconds(micros))
            .expect("a socket takes a timeout");
        let mut frame = vec![0; 65536];
        let length = recv(self.0.as_raw_fd(), &mut frame, MsgFlags::empty()).ok()?;
        frame.truncate(length);
        Some(frame)
    }
}
