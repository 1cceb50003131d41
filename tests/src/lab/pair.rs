//! Two hosts and a line between them.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::Net;

/// Two namespaces joined by a veth pair, and numbered datagrams that travel from `near` to `far`.
///
/// The neighbours are known beforehand: no ARP is held, dropped or counted beside the datagrams.
pub struct Pair {
    /// The sender's namespace, which the thread is in; its device is [`Pair::NEAR`].
    pub near: Net,
    /// The receiver's namespace; its device is [`Pair::FAR`].
    pub far: Net,
    sender: UdpSocket,
    receiver: UdpSocket,
}

impl Pair {
    /// The sender's device.
    pub const NEAR: &str = "near";
    /// The receiver's device.
    pub const FAR: &str = "far";
    /// One datagram as the sender's qdisc counts it: Ethernet, IP and UDP headers and one byte.
    pub const FRAME_BYTES: u32 = 14 + 20 + 8 + 1;

    /// Makes both hosts and the line.
    #[must_use]
    pub fn new() -> Self {
        let (near, far) = (Net::new(), Net::aside());
        near.veth_to(Self::NEAR, &far, Self::FAR);
        let ends = [(&near, Self::NEAR, 1, 2), (&far, Self::FAR, 2, 1)];
        for (net, dev, own, other) in ends {
            net.ip(&format!("link set dev {dev} address 02:00:00:00:00:0{own}")).ok();
            net.ip(&format!("addr add 192.0.2.{own}/24 dev {dev}")).ok();
            net.ip(&format!(
                "neigh replace 192.0.2.{other} dev {dev} lladdr 02:00:00:00:00:0{other} nud permanent"
            ))
            .ok();
        }
        let receiver = far.udp("192.0.2.2:7");
        let sender = near.udp("192.0.2.1:7");
        sender.connect("192.0.2.2:7").expect("the far host is on the same line");
        Self { near, far, sender, receiver }
    }

    /// Sends one datagram for each number.
    pub fn send(&self, numbers: &[u8]) {
        for &number in numbers {
            // A qdisc's drop shows as an error only if the socket asks for it (IP_RECVERR).
            self.sender.send(&[number]).expect("a datagram is sent");
        }
    }

    /// The numbers that arrive, as soon as there are `want`, or those that came within `time`.
    #[must_use]
    pub fn receive(&self, want: usize, time: Duration) -> Vec<u8> {
        let end = Instant::now() + time;
        let mut numbers = Vec::new();
        while numbers.len() < want {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.receiver.set_read_timeout(Some(left)).expect("a UDP socket takes a timeout");
            let mut number = [0];
            if self.receiver.recv(&mut number).is_ok() {
                numbers.push(number[0]);
            }
        }
        numbers
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}
