//! Devices whose transmit queues come and go.

#![expect(unsafe_code, reason = "no crate at hand has the ioctls of a tap and of ethtool")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use tests::lab::{Net, Wire};

const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETQUEUE: libc::Ioctl = 0x4004_54d9;
const IFF_ATTACH_QUEUE: libc::c_int = 0x200;
const IFF_DETACH_QUEUE: libc::c_int = 0x400;

/// An Ethernet header and a number.
const FRAME: [u8; 60] = {
    let mut frame = [0; 60];
    // To all; a protocol for experiments.
    (frame[0], frame[6], frame[12], frame[13]) = (0xff, 0x02, 0x88, 0xb5);
    frame
};

/// A tap of two queues, in its own namespace. Frames that leave it are read from its queues.
pub(crate) struct Tap {
    _net: Net,
    wire: Wire,
    queues: [Arc<File>; 2],
}

impl Tap {
    pub(crate) const NAME: &str = "tap0";

    pub(crate) fn new() -> Self {
        let net = Net::new();
        let queues = [(); 2].map(|()| Arc::new(queue().unwrap()));
        net.ip("link set tap0 up").ok();
        let wire = net.wire(Self::NAME);
        Self { _net: net, wire, queues }
    }

    pub(crate) fn send(&self, numbers: &[u8]) {
        for number in numbers {
            let mut frame = FRAME;
            frame[14] = *number;
            self.wire.send(&frame).unwrap();
        }
    }

    pub(crate) fn receive(&self, want: usize, time: Duration) -> Vec<u8> {
        let end = Instant::now() + time;
        let mut numbers = Vec::new();
        while numbers.len() < want && Instant::now() < end {
            let before = numbers.len();
            for mut queue in self.queues.iter().map(Arc::as_ref) {
                let mut frame = [0; 2048];
                // EBADFD: the queue is detached.
                if queue.read(&mut frame).is_ok() && frame[12..14] == FRAME[12..14] {
                    numbers.push(frame[14]);
                }
            }
            if numbers.len() == before {
                std::thread::yield_now();
            }
        }
        numbers
    }

    /// Detaches the second queue, and attaches it again.
    pub(crate) fn second_queue(&self) -> impl Fn() + Send + Clone + use<> {
        let queue = Arc::clone(&self.queues[1]);
        move || {
            for change in [IFF_DETACH_QUEUE, IFF_ATTACH_QUEUE] {
                control(&queue, TUNSETQUEUE, change, "").unwrap();
            }
        }
    }
}

fn queue() -> io::Result<File> {
    let mut options = OpenOptions::new();
    let queue = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE;
    control(&queue, TUNSETIFF, flags, Tap::NAME)?;
    Ok(queue)
}

fn control(queue: &File, request: libc::Ioctl, flags: libc::c_int, name: &str) -> io::Result<()> {
    let mut ifreq = request_for(name);
    ifreq.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: both requests read and write one ifreq, which outlives the call.
    match unsafe { libc::ioctl(queue.as_raw_fd(), request, &mut ifreq) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn request_for(name: &str) -> libc::ifreq {
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut ifreq: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in ifreq.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    ifreq
}

/// `ethtool -L DEV tx COUNT`, in the namespace of the calling thread.
pub(crate) fn set_tx_queues(device: &str, count: u32) -> io::Result<()> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    const ETHTOOL_SCHANNELS: u32 = 0x3d;
    const TX_COUNT: usize = 6;
    // struct ethtool_channels: the command, four maxima, four counts.
    let mut channels = [ETHTOOL_GCHANNELS, 0, 0, 0, 0, 0, 0, 0, 0];
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for command in [ETHTOOL_GCHANNELS, ETHTOOL_SCHANNELS] {
        channels[0] = command;
        if command == ETHTOOL_SCHANNELS {
            channels[TX_COUNT] = count;
        }
        let mut ifreq = request_for(device);
        ifreq.ifr_ifru.ifru_data = channels.as_mut_ptr().cast();
        // SAFETY: the kernel reads and writes one ifreq, and the channels that it points to; both
        // outlive the call.
        if unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &mut ifreq) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
