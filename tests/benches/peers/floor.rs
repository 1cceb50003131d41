//! The floor: prebuilt bytes through a bare socket, and answers that nobody reads.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, socket,
};

const NLMSG_DONE: u16 = 3;

/// A netlink socket with nothing around it.
pub(crate) struct Floor {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Floor {
    /// In the namespace of the calling thread.
    pub(crate) fn open() -> Self {
        let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
            .expect("every kernel has netlink");
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).expect("the kernel is there");
        Self { socket, buffer: vec![0; 64 * 1024] }
    }

    /// One request and one answer.
    pub(crate) fn exchange(&mut self, request: &[u8]) {
        self.send(request);
        let length = self.receive();
        // An error number of 0, after the header.
        assert_eq!(self.buffer[16..20], [0; 4], "refused: {:?}", &self.buffer[..length]);
    }

    /// A dump: reads up to the end, and counts bytes.
    pub(crate) fn dump(&mut self, request: &[u8]) -> usize {
        self.send(request);
        let mut bytes = 0;
        loop {
            let length = self.receive();
            bytes += length;
            // Kernel: the last message comes alone, or after the last objects.
            let tail = &self.buffer[length.saturating_sub(20)..length];
            if u16::from_ne_bytes([self.buffer[4], self.buffer[5]]) == NLMSG_DONE
                || u16::from_ne_bytes([tail[4], tail[5]]) == NLMSG_DONE
            {
                return bytes;
            }
        }
    }

    fn send(&self, request: &[u8]) {
        send(self.socket.as_raw_fd(), request, MsgFlags::empty()).expect("a request fits");
    }

    fn receive(&mut self) -> usize {
        recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()).expect("the kernel answers")
    }
}
