//! The scenario's network on the embedded kernel, for systems that allow no
//! private one or have no sch_plug.

use std::error::Error;
use std::time::Duration;

use tc_core::embedded::{Device, Kernel, Socket};
use tc_core::{Connection, Handle, Request, object};
use tc_qdiscs::plug::Plug;

use super::{Counters, Stage};

const PLUG: Handle = Handle::qdisc(1);
/// Ethernet, IPv4 and UDP headers in front of a packet's name.
const HEADERS: [u8; 42] = [0; 42];

pub(super) struct Network {
    kernel: Kernel,
    tc: Connection<Socket>,
    ifindex: i32,
}

impl Network {
    pub(super) fn new() -> Result<Self, Box<dyn Error>> {
        let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::new("tx")).build();
        let mut tc = Connection::over(kernel.connect());
        let ifindex = tc.ifindex("tx")?;
        Ok(Self { kernel, tc, ifindex })
    }

    fn request<'a>(&self, plug: &'a Plug) -> Request<'a, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(PLUG).options(plug)
    }
}

impl Stage for Network {
    fn attach(&mut self, plug: &Plug) -> Result<(), Box<dyn Error>> {
        Ok(self.tc.add(&self.request(plug))?)
    }

    fn change(&mut self, plug: &Plug) -> Result<(), Box<dyn Error>> {
        Ok(self.tc.change(&self.request(plug))?)
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
        let stats = self.tc.get(&self.request(&Plug::default()))?.stats()?.unwrap_or_default();
        Ok(Counters::of(&stats))
    }
}
