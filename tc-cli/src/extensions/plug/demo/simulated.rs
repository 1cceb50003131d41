//! The scenario's network on the embedded kernel, for systems that allow no
//! private one or have no sch_plug.

use std::error::Error;
use std::time::Duration;

use tc_core::Connection;
use tc_core::embedded::{Device, Kernel, Socket};
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_qdiscs::plug::place::Place;

use super::session::Session;
use super::{Act, Counters, Stage};

/// Ethernet, IPv4 and UDP headers in front of a packet's name.
const HEADERS: [u8; 42] = [0; 42];

pub(super) struct Network {
    kernel: Kernel,
    tc: Connection<Socket>,
    ifindex: i32,
    session: Option<Session<Socket>>,
}

impl Network {
    pub(super) fn new() -> Result<Self, Box<dyn Error>> {
        let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::new("tx")).build();
        let mut tc = Connection::over(kernel.connect());
        let ifindex = tc.ifindex("tx")?;
        Ok(Self { kernel, tc, ifindex, session: None })
    }
}

impl Stage for Network {
    /// At the root: the embedded kernel's filters do not redirect.
    fn attach(&mut self) -> Result<(), Box<dyn Error>> {
        let notices = self.kernel.connect();
        [RTNLGRP_TC, RTNLGRP_LINK].iter().for_each(|group| notices.join(*group));
        let tc = Connection::over(self.kernel.connect());
        self.session = Some(Session::attach(tc, Monitor::over(notices), Place::Root)?);
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), Box<dyn Error>> {
        self.session.as_mut().map_or(Ok(()), |session| session.act(act))
    }

    fn send(&mut self, name: &str) -> Result<(), Box<dyn Error>> {
        self.kernel.send(self.ifindex, [&HEADERS[..], name.as_bytes()].concat());
        Ok(())
    }

    fn receive(&mut self, want: usize, time: Duration) -> Result<Vec<String>, Box<dyn Error>> {
        // In memory packets come out at once; the time that they wait for the
        // next step is real, so that the timeline is one.
        let sent = self.kernel.take_sent(self.ifindex);
        if sent.len() < want {
            std::thread::sleep(time);
        }
        let name = |packet: &Vec<u8>| String::from_utf8_lossy(&packet[HEADERS.len()..]).into_owned();
        Ok(sent.iter().map(name).collect())
    }

    fn counters(&mut self) -> Result<Counters, Box<dyn Error>> {
        self.session.as_ref().map_or(Ok(Counters::default()), |session| session.counters(&mut self.tc))
    }
}
