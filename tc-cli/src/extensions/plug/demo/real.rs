//! The scenario's network on the real kernel: two namespaces, a veth pair
//! between them, and UDP.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use tc_core::link::LinkChange;
use tc_core::monitor::Monitor;
use tc_core::netns::Namespace;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Socket};
use tc_qdiscs::plug::commit::Error as CommitError;
use tc_qdiscs::plug::place::{Place, PlaceError};

use super::session::Session;
use super::{Act, Counters, Stage};

const SENDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const RECEIVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PORT: u16 = 9;

/// Two private namespaces; they end with the process.
pub(super) struct Network {
    tc: Connection,
    session: Option<Session<Socket>>,
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
        let mut network = Self { tc, session: None, sender, receiver };
        // Both ends resolve each other before the plug could hold an ARP.
        network.send("hello")?;
        match network.receive(1, Duration::from_secs(2))?.len() {
            1 => Ok(network),
            _ => Err("packets do not come through".into()),
        }
    }

    /// Whether this kernel has what a ring needs: attaches one and detaches it.
    fn probe(mut self) -> Result<Self, String> {
        self.attach().map_err(|error| match error.downcast_ref::<CommitError>() {
            Some(CommitError::Place { error, .. }) => match &**error {
                PlaceError::NoModule { needed, .. } => format!("Linux {} here has no {needed}", release()),
                other => other.to_string(),
            },
            Some(error) if error.tc().is_some_and(tc_core::Error::is_unknown_kind) => {
                format!("Linux {} here has no sch_plug or sch_prio", release())
            }
            _ => error.to_string(),
        })?;
        if let Some(mut session) = self.session.take() {
            session.detach().map_err(|error| error.to_string())?;
        }
        Ok(self)
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
    fn attach(&mut self) -> Result<(), Box<dyn Error>> {
        let mut monitor = Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK])?;
        monitor.set_nonblocking(true)?;
        self.session = Some(Session::attach(Connection::open()?, monitor, Place::Egress)?);
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), Box<dyn Error>> {
        self.session.as_mut().map_or(Ok(()), |session| session.act(act))
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
        self.session.as_ref().map_or(Ok(Counters::default()), |session| session.counters(&mut self.tc))
    }
}
