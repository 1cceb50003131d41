//! The netlink socket and the few other system calls of this crate. The only
//! file with `unsafe`.

#![expect(unsafe_code, reason = "system calls that neither std nor netlink-sys offers")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::link::{DeviceName, DeviceNames};
use crate::transport::{DEFAULT_TIMEOUT, Received, Transport};

/// A route-netlink socket, bound to a port of the kernel's choice, with extended
/// acknowledgements asked for.
#[derive(Debug)]
pub struct Socket {
    // Never cloned: netlink-sys closes the descriptor of each copy.
    socket: netlink_sys::Socket,
    port: u32,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        // Kernels before 4.12 have no extended acknowledgement: errors are then
        // numbers alone.
        let _unsupported = socket.set_ext_ack(true);
        let socket = Self { socket, port };
        socket.set_timeout(Some(DEFAULT_TIMEOUT))?;
        Ok(socket)
    }

    /// How long a receive waits; `None` waits for ever.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.unwrap_or_default();
        let value = libc::timeval {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_usec: timeout.subsec_micros() as libc::suseconds_t,
        };
        self.set_option(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)
    }

    /// Whether a receive fails with `WouldBlock` at once when there is nothing.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_non_blocking(nonblocking)
    }

    /// Makes room for `bytes` of answers and notices: past the system's limit
    /// (`net.core.rmem_max`) where the process may, up to it where not.
    pub fn set_receive_buffer(&self, bytes: u32) -> io::Result<()> {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
            .or_else(|_| self.set_option(libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
    }

    /// Joins a multicast group (`RTNLGRP_*`): its notices then arrive here.
    pub fn join(&mut self, group: u32) -> io::Result<()> {
        self.socket.add_membership(group)
    }

    fn set_option<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let pointer: *const T = value;
        // SAFETY: the pointer and the length describe `value`, which outlives
        // the call; the kernel copies it.
        check(unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                pointer.cast(),
                size_of::<T>() as libc::socklen_t,
            )
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Transport for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        // A netlink datagram is taken whole or not at all.
        retry(|| self.socket.send_to(datagram, &SocketAddr::new(0, 0), 0)).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        // With MSG_TRUNC the full length comes back, also where it was cut.
        let (length, sender) = retry(|| self.socket.recv_from(&mut &mut *buffer, libc::MSG_TRUNC))?;
        Ok(Received { length, sender: sender.port_number() })
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Ok(Box::new(NamesBySocket(self.as_fd().try_clone_to_owned()?)))
    }
}

/// Tries again after a signal: netlink-sys does not.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling thread into the network namespace behind `file`.
pub(crate) fn enter_netns(file: &File) -> io::Result<()> {
    // SAFETY: takes a descriptor, which `file` keeps open, and touches no memory.
    check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// Puts the calling thread into new namespaces (`CLONE_NEW*`).
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: touches no memory of this process; the flags that its callers
    // pass share no files or memory anew.
    check(unsafe { libc::unshare(flags) })
}

/// `SIOCGIFNAME` of `linux/sockios.h`.
const SIOCGIFNAME: u32 = 0x8910;
/// `SIOCGIFINDEX` of `linux/sockios.h`.
const SIOCGIFINDEX: u32 = 0x8933;

/// Names of devices in the socket's network namespace, through a copy of its
/// descriptor.
#[derive(Debug)]
struct NamesBySocket(OwnedFd);

impl DeviceNames for NamesBySocket {
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName> {
        // SAFETY: all-zero bytes are a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_ifru.ifru_ifindex = ifindex;
        // SAFETY: SIOCGIFNAME reads and writes one ifreq, which `request` is.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCGIFNAME as _, &mut request) })?;
        Ok(DeviceName::new(request.ifr_name.map(|byte| byte.to_ne_bytes()[0])))
    }

    fn ifindex(&self, name: &str) -> io::Result<i32> {
        // SAFETY: all-zero bytes are a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.is_empty() || name.len() >= request.ifr_name.len() {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        // SAFETY: SIOCGIFINDEX reads and writes one ifreq, which `request` is.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), SIOCGIFINDEX as _, &mut request) })?;
        // SAFETY: SIOCGIFINDEX succeeded, so the union holds the index.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex })
    }
}
