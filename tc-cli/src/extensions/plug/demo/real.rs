//! The scenario's network on the real kernel: two namespaces, a veth pair
//! between them, and UDP.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use tc_core::link::LinkChange;
use tc_core::netns::Namespace;
use tc_core::{Connection, Handle, Request, Verb, object};
use tc_qdiscs::plug::Plug;

use super::{Counters, Stage};

const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 9;
const PLUG: Handle = Handle::qdisc(1);

/// Two private namespaces; they end with the process.
pub(super) struct Network {
    tc: Connection,
    ifindex: i32,
    sender: UdpSocket,
    receiver: UdpSocket,
}

impl Network {
    /// Creates the network, and moves the calling thread into it. The error has the
    /// reason why it cannot be created.
    pub(super) fn new() -> Result<Self, String> {
        let network =
            Self::build().map_err(|error| format!("this system allows no private network: {error}"))?;
        network.probe()
    }

    fn build() -> Result<Self, Box<dyn Error>> {
        let far = Namespace::unshare()?;
        without_ipv6();
        let near = Namespace::unshare()?;
        without_ipv6();
        let mut tc = Connection::open()?;
        tc.add_veth("tx", "rx", Some(std::os::fd::AsFd::as_fd(&far)))?;
        far.enter()?;
        let receiver = {
            let mut there = Connection::open()?;
            let ifindex = there.ifindex("rx")?;
            bring_up(&mut there, ifindex, RECEIVER)?;
            UdpSocket::bind((RECEIVER, PORT))?
        };
        near.enter()?;
        let ifindex = tc.ifindex("tx")?;
        bring_up(&mut tc, ifindex, SENDER)?;
        let sender = UdpSocket::bind((SENDER, PORT))?;
        sender.connect((RECEIVER, PORT))?;
        let mut network = Self { tc, ifindex, sender, receiver };
        // Both ends resolve each other before the plug could hold an ARP.
        network.send("hello")?;
        match network.receive(1, Duration::from_secs(2))?.len() {
            1 => Ok(network),
            _ => Err("packets do not come through".into()),
        }
    }

    /// Whether this kernel has sch_plug: adds one and deletes it.
    fn probe(mut self) -> Result<Self, String> {
        let request = Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(PLUG);
        match self.tc.apply_as_it_is(Verb::Add, &request.clone().kind("plug")) {
            Ok(_) => {}
            Err(error) if error.is_unknown_kind() => {
                return Err(format!("Linux {} here has no sch_plug", release()));
            }
            Err(error) => return Err(error.to_string()),
        }
        self.tc.delete(&request).map_err(|error| error.to_string())?;
        Ok(self)
    }

    fn request<'a>(&self, plug: &'a Plug) -> Request<'a, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(PLUG).options(plug)
    }
}

/// Without IPv6 no packet flows that the scenario did not send.
fn without_ipv6() {
    // Where the kernel has no IPv6 there is nothing to turn off.
    let _absent = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

fn bring_up(connection: &mut Connection, ifindex: i32, address: Ipv4Addr) -> Result<(), tc_core::Error> {
    connection.add_address(ifindex, address, 24)?;
    connection.set_link(ifindex, &LinkChange { up: Some(true), ..LinkChange::default() })
}

/// The kernel's release: `6.1.0-39-amd64`.
pub(super) fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "?".into(), |text| text.trim().to_owned())
}

impl Stage for Network {
    fn attach(&mut self, plug: &Plug) -> Result<(), Box<dyn Error>> {
        Ok(self.tc.add(&self.request(plug))?)
    }

    fn change(&mut self, plug: &Plug) -> Result<(), Box<dyn Error>> {
        Ok(self.tc.change(&self.request(plug))?)
    }

    fn send(&mut self, name: &str) -> Result<(), Box<dyn Error>> {
        self.sender.send(name.as_bytes())?;
        Ok(())
    }

    fn receive(&mut self, want: usize, time: Duration) -> Result<Vec<String>, Box<dyn Error>> {
        let end = Instant::now() + time;
        let mut names = Vec::new();
        while names.len() < want {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.receiver.set_read_timeout(Some(left))?;
            let mut packet = [0; 64];
            match self.receiver.recv(&mut packet) {
                Ok(length) => names.push(String::from_utf8_lossy(&packet[..length]).into_owned()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(names)
    }

    fn counters(&mut self) -> Result<Counters, Box<dyn Error>> {
        let request = Request::qdisc(self.ifindex).parent(Handle::ROOT);
        let stats = self.tc.get(&request)?.stats()?.unwrap_or_default();
        Ok(Counters::of(&stats))
    }
}
