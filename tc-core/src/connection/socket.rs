//! The netlink socket and the few other system calls of this crate. The only
//! file with `unsafe`.

#![expect(unsafe_code, reason = "system calls that neither std nor netlink-sys offers")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use netlink_sys::SocketAddr;
use netlink_sys::protocols::{NETLINK_KOBJECT_UEVENT, NETLINK_ROUTE};

use crate::connection::{DEFAULT_TIMEOUT, Received, Transport};
use crate::wire::device::{DeviceName, DeviceNames, device_name_bytes};
use crate::wire::queues::{QueueEvents, removal};

/// The most datagrams that one receive takes.
const SLOTS: usize = 8;

/// A route-netlink socket, bound to a port of the kernel's choice, with extended
/// acknowledgements asked for.
///
/// It is connected to the kernel, which then refuses datagrams of other processes.
#[derive(Debug)]
pub struct Socket {
    // Never cloned: netlink-sys closes the descriptor of each copy.
    socket: netlink_sys::Socket,
    port: u32,
    /// Whether a datagram can come from another sender than the kernel.
    in_group: bool,
    /// The size of the receive buffer; 0 if it was not asked for yet.
    room: usize,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
        let port = socket.bind_auto()?.port_number();
        // Kernel: netlink_getsockbyportid() lets only the peer send to a
        // connected socket (but not so to a group). Neither side then handles
        // an address in each call.
        socket.connect(&SocketAddr::new(0, 0))?;
        // A datagram between the two is not from the kernel, which got no request yet.
        while socket.recv(&mut &mut [0u8; 1][..], libc::MSG_DONTWAIT).is_ok() {}
        // Kernels before 4.12 have no extended acknowledgement: errors are then
        // numbers alone.
        let _unsupported = socket.set_ext_ack(true);
        // A refusal without a copy of the request: it takes less of the receive
        // buffer. Kernels before 4.3 always copy.
        let _unsupported = socket.set_cap_ack(true);
        let socket = Self { socket, port, in_group: false, room: 0 };
        socket.set_timeout(Some(DEFAULT_TIMEOUT))?;
        Ok(socket)
    }

    /// Sets the time limit of a receive, at least a microsecond; `None` has no limit.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        // Kernel: zero means no limit.
        let timeout = timeout.map_or(Duration::ZERO, |timeout| timeout.max(Duration::from_micros(1)));
        let value = libc::timeval {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_usec: timeout.subsec_micros() as libc::suseconds_t,
        };
        set_option(self.as_fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, &value)
    }

    /// Whether a receive fails with `WouldBlock` at once when there is nothing.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_non_blocking(nonblocking)
    }

    /// Makes room for `bytes` of answers and notices: past the system's limit
    /// (`net.core.rmem_max`) where the process may, up to it where not.
    pub fn set_receive_buffer(&mut self, bytes: u32) -> io::Result<()> {
        self.room = 0;
        set_receive_buffer(self.as_fd(), bytes)
    }

    /// Joins a multicast group (`RTNLGRP_*`): its notices then arrive here.
    pub fn join(&mut self, group: u32) -> io::Result<()> {
        self.in_group = true;
        self.socket.add_membership(group)
    }

    fn receive_buffer(&self) -> io::Result<usize> {
        let mut bytes: libc::c_int = 0;
        let pointer: *mut libc::c_int = &mut bytes;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the pointer and the length describe `bytes`, which outlives
        // the call.
        check(unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                pointer.cast(),
                &mut length,
            )
        })?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Transport for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        // A netlink datagram is taken whole or not at all.
        self.socket.send(datagram, 0).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        // With MSG_TRUNC the full length comes back, also where it was cut.
        if !self.in_group {
            let length = self.socket.recv(&mut &mut *buffer, libc::MSG_TRUNC)?;
            return Ok(Received { length, sender: 0 });
        }
        let (length, sender) = self.socket.recv_from(&mut &mut *buffer, libc::MSG_TRUNC)?;
        Ok(Received { length, sender: sender.port_number() })
    }

    fn receive_many(
        &mut self,
        buffer: &mut [u8],
        received: &mut [Received],
        wait: bool,
    ) -> io::Result<usize> {
        let flags = libc::MSG_TRUNC | if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let socket = self.socket.as_raw_fd();
        receive_into_shares(buffer, received, |headers| {
            let (first, slots) = (headers.as_mut_ptr(), headers.len() as libc::c_uint);
            // SAFETY: these are as many headers, and what they point to is
            // valid until this closure returns.
            let count = unsafe { libc::recvmmsg(socket, first, slots, flags as _, std::ptr::null_mut()) };
            usize::try_from(count).map_err(|_| io::Error::last_os_error())
        })
    }

    fn make_room(&mut self, bytes: usize) -> io::Result<usize> {
        if self.room == 0 {
            self.room = self.receive_buffer()?;
        }
        if self.room < bytes {
            // Kernel: it doubles the requested size.
            self.set_receive_buffer(u32::try_from(bytes.div_ceil(2)).unwrap_or(u32::MAX))?;
            self.room = self.receive_buffer()?;
        }
        Ok(self.room)
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        Self::set_timeout(self, timeout)
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        Ok(Box::new(NamesBySocket(self.as_fd().try_clone_to_owned()?)))
    }

    fn queue_events(&self) -> io::Result<Box<dyn QueueEvents>> {
        Ok(Box::new(Uevents::open()?))
    }
}

/// Puts a socket into the reactor of the current tokio runtime, to learn when it can be read.
#[cfg(feature = "tokio")]
pub(crate) fn in_reactor(socket: Socket) -> io::Result<::tokio::io::unix::AsyncFd<Socket>> {
    let readable = ::tokio::io::Interest::READABLE;
    // SAFETY: `as_raw_fd` answers the same descriptor always, which stays open until the socket is dropped: nothing
    // takes the socket out of the `AsyncFd`.
    Ok(unsafe { ::tokio::io::unix::AsyncFd::register_with_interest(socket, readable) }?)
}

/// The kernel's uevents of removed objects.
#[derive(Debug)]
struct Uevents(netlink_sys::Socket);

impl Uevents {
    /// The multicast group of the kernel's own events; udev sends to another.
    const KERNEL: u32 = 1;
    /// Room for events that were not read yet.
    const ROOM: u32 = 4 * 1024 * 1024;

    fn open() -> io::Result<Self> {
        let mut socket = netlink_sys::Socket::new(NETLINK_KOBJECT_UEVENT)?;
        socket.set_non_blocking(true)?;
        set_receive_buffer(socket.as_fd(), Self::ROOM)?;
        only_removals(socket.as_fd())?;
        socket.bind(&SocketAddr::new(0, Self::KERNEL))?;
        Ok(Self(socket))
    }
}

impl QueueEvents for Uevents {
    fn next_removal(&mut self) -> io::Result<Option<DeviceName>> {
        /// Kernel: a path, and 2 KB of variables. The path comes first.
        const LARGEST: usize = 4096;
        let mut buffer = [0; LARGEST];
        loop {
            match self.0.recv_from(&mut &mut buffer[..], 0) {
                Ok((length, sender)) if sender.port_number() == 0 => {
                    if let Some(name) = removal(buffer.get(..length).unwrap_or(&buffer)) {
                        return Ok(Some(name));
                    }
                }
                // Another process sent it.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// Has the kernel deliver only events that start with `remove@`, so that a flood
/// of others does not fill the socket.
fn only_removals(socket: BorrowedFd<'_>) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let word = |bytes: &[u8; 4]| u32::from_be_bytes(*bytes);
    let step = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut program = [
        step(LOAD, 0, 0),
        step(JUMP, 3, word(b"remo")),
        step(LOAD, 0, 3),
        step(JUMP, 1, word(b"ove@")),
        step(RETURN, 0, u32::MAX),
        step(RETURN, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}

/// Cuts `buffer` into one share for each of `received`, and has them filled by
/// `receive`, which returns the number of filled shares.
///
/// The headers' pointers are valid and exclusive until `receive` returns.
fn receive_into_shares(
    buffer: &mut [u8],
    received: &mut [Received],
    receive: impl FnOnce(&mut [libc::mmsghdr]) -> io::Result<usize>,
) -> io::Result<usize> {
    if received.is_empty() {
        return Ok(0);
    }
    let share = buffer.len() / received.len();
    if share == 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let slots = received.len().min(SLOTS);
    // SAFETY: all-zero bytes are valid values of these C structs.
    let (mut senders, mut pieces, mut headers): (
        [libc::sockaddr_nl; SLOTS],
        [libc::iovec; SLOTS],
        [libc::mmsghdr; SLOTS],
    ) = unsafe { std::mem::zeroed() };
    let places = buffer.chunks_exact_mut(share).zip(&mut pieces).zip(&mut senders);
    for (((place, piece), sender), header) in places.zip(&mut headers).take(slots) {
        *piece = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
        header.msg_hdr.msg_iov = piece;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = std::ptr::from_mut(sender).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    }
    let count = receive(&mut headers[..slots])?;
    for ((one, header), sender) in received.iter_mut().zip(&headers).zip(&senders).take(count) {
        *one = Received { length: header.msg_len as usize, sender: sender.nl_pid };
    }
    Ok(count)
}

fn set_option<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let pointer: *const T = value;
    // SAFETY: the pointer and the length describe `value`, which outlives the
    // call; the kernel copies it.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, pointer.cast(), size_of::<T>() as libc::socklen_t)
    })
}

fn set_receive_buffer(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Moves the calling thread into the network namespace of `file`.
pub(crate) fn enter_netns(file: &File) -> io::Result<()> {
    // SAFETY: takes a descriptor, which `file` keeps open, and touches no memory.
    check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// The cookie of the calling thread's network namespace, or `None` before Linux
/// 5.14.
pub(crate) fn netns_cookie() -> io::Result<Option<u64>> {
    let socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
    let mut cookie = 0_u64;
    let pointer: *mut u64 = &mut cookie;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `cookie`, which outlives the
    // call.
    let done = check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            pointer.cast(),
            &mut length,
        )
    });
    match done {
        Ok(()) => Ok(Some(cookie)),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        Err(error) => Err(error),
    }
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

impl NamesBySocket {
    fn ask(&self, what: u32, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: both requests read and write one ifreq, which `request` is.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), what as _, request) })
    }
}

impl DeviceNames for NamesBySocket {
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName> {
        let mut request = empty_ifreq();
        request.ifr_ifru.ifru_ifindex = ifindex;
        self.ask(SIOCGIFNAME, &mut request)?;
        Ok(name_in(&request))
    }

    fn ifindex(&self, name: &str) -> io::Result<i32> {
        let mut request = ifreq_of(name)?;
        self.ask(SIOCGIFINDEX, &mut request)?;
        Ok(ifindex_in(&request))
    }
}

fn empty_ifreq() -> libc::ifreq {
    // SAFETY: all-zero bytes are a valid ifreq.
    unsafe { std::mem::zeroed() }
}

/// The error for a text that cannot be a device's name of 15 bytes.
fn ifreq_of(name: &str) -> io::Result<libc::ifreq> {
    let mut request = empty_ifreq();
    let name = device_name_bytes(name.as_ref())?;
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.iter()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    Ok(request)
}

fn name_in(request: &libc::ifreq) -> DeviceName {
    DeviceName::new(request.ifr_name.map(|byte| byte.to_ne_bytes()[0]))
}

fn ifindex_in(request: &libc::ifreq) -> i32 {
    // SAFETY: `empty_ifreq` wrote the whole union, and any bytes are an index.
    unsafe { request.ifr_ifru.ifru_ifindex }
}

/// The parts without system calls, for Miri too: the tests act as the kernel.
#[cfg(test)]
mod tests {
    use super::*;

    /// Writes as recvmmsg does, through the pointers alone.
    fn write(header: &mut libc::mmsghdr, datagram: &[u8], sender: u32) {
        let message = &header.msg_hdr;
        // SAFETY: what `receive_into_shares` promises; no more is written than `iov_len` bytes.
        unsafe {
            let piece = *message.msg_iov;
            let length = piece.iov_len.min(datagram.len());
            std::ptr::copy_nonoverlapping(datagram.as_ptr(), piece.iov_base.cast(), length);
            (*message.msg_name.cast::<libc::sockaddr_nl>()).nl_pid = sender;
        }
        assert_eq!(message.msg_iovlen, 1);
        assert_eq!(message.msg_namelen as usize, size_of::<libc::sockaddr_nl>());
        header.msg_len = datagram.len() as libc::c_uint;
    }

    #[test]
    fn each_datagram_has_its_share_of_the_buffer() {
        let (mut buffer, mut received) = ([0xa5; 11], [Received::default(); 3]);
        let count = receive_into_shares(&mut buffer, &mut received, |headers| {
            write(&mut headers[0], &[1, 2], 7);
            write(&mut headers[1], &[3, 4, 5, 6, 7], 8);
            assert_eq!(headers.len(), 3);
            Ok(2)
        });
        assert_eq!(count.unwrap(), 2);
        // The second was longer than its share.
        assert_eq!(buffer, [1, 2, 0xa5, 3, 4, 5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5]);
        let [first, second] = [Received { length: 2, sender: 7 }, Received { length: 5, sender: 8 }];
        assert_eq!(received, [first, second, Received::default()]);
    }

    #[test]
    fn there_are_never_more_shares_than_slots_and_none_is_empty() {
        let (mut buffer, mut received) = ([0; SLOTS + 4], [Received::default(); SLOTS + 2]);
        let filled = receive_into_shares(&mut buffer, &mut received, |headers| {
            headers.iter_mut().for_each(|header| write(header, &[9], 1));
            Ok(headers.len())
        });
        assert_eq!(filled.unwrap(), SLOTS);
        assert_eq!(buffer[..], [&[9; SLOTS][..], &[0; 4]].concat());
        let nobody = |_: &mut [libc::mmsghdr]| panic!("there is nothing to receive into");
        assert_eq!(receive_into_shares(&mut buffer, &mut [], nobody).unwrap(), 0);
        let error = receive_into_shares(&mut buffer[..2], &mut received[..3], nobody).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let failed = receive_into_shares(&mut buffer, &mut received, |_| {
            Err(io::Error::from_raw_os_error(libc::ENOBUFS))
        });
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::ENOBUFS));
    }

    #[test]
    fn a_device_is_asked_for_by_name_and_by_index() {
        let longest = "abcdefghijklmno";
        for name in ["lo", longest] {
            assert_eq!(name_in(&ifreq_of(name).unwrap()).to_str(), Some(name));
        }
        for wrong in ["", "abcdefghijklmnop"] {
            assert_eq!(ifreq_of(wrong).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        }
        let mut request = ifreq_of(longest).unwrap();
        assert_eq!(ifindex_in(&request), 0);
        request.ifr_ifru.ifru_ifindex = 7;
        assert_eq!((ifindex_in(&request), name_in(&request).to_str()), (7, Some(longest)));
    }
}
