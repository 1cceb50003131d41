//! A guest's output redirected through an IFB: all of it is held, and no failure leaves objects.
//!
//! The guest is the far end of a veth pair; its host has the near end in a bridge, beside the line to
//! the world, where the test observes the transmitted frames.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::io;
use std::time::Duration;

use nix::net::if_::if_nameindex;
use tc_core::link::DeviceNames;
use tc_core::{Connection, DumpRequest, Handle, Received, Request, Socket, TcType, Transport};
use tc_qdiscs::plug::{Capture, CaptureError, CaptureSetup, Plug};
use tests::lab::{Net, PATIENCE, QUIET, Wire};
use tests::need;

/// Guest, host and world.
struct Hosts {
    host: Net,
    guest: Wire,
    world: Wire,
    _others: [Net; 2],
}

impl Hosts {
    fn new() -> Self {
        let (host, guest, world) = (Net::new(), Net::aside(), Net::aside());
        host.veth_to("tap", &guest, "eth0");
        host.veth_to("up", &world, "far");
        host.ip("link add br0 type bridge").ok();
        for dev in ["tap", "up"] {
            host.ip(&format!("link set dev {dev} master br0")).ok();
        }
        host.ip("link set br0 up").ok();
        let (guest_wire, world_wire) = (guest.wire("eth0"), world.wire("far"));
        Self { host, guest: guest_wire, world: world_wire, _others: [guest, world] }
    }

    /// Sends one frame of each protocol; all are answered for by their number.
    fn send_all(&self, number: u8) {
        for protocol in PROTOCOLS {
            self.guest.send(&frame(protocol, number)).unwrap();
        }
    }

    /// The protocols of the frames with this number that come out, in order.
    fn receive(&self, number: u8, want: usize, time: Duration) -> Vec<u16> {
        let mut found = Vec::new();
        while found.len() < want {
            let Some(frame) = self.world.receive(time) else { break };
            if frame.len() == LENGTH && frame[..6] == BROADCAST && frame[14] == number {
                found.push(u16::from_be_bytes([frame[12], frame[13]]));
            }
        }
        found
    }

    /// The devices, qdiscs and filters. Read here and not by `ip` and `tc`, because it is read often.
    fn state(&self) -> Vec<String> {
        let mut tc = Connection::open().unwrap();
        let links = if_nameindex().unwrap();
        let mut state: Vec<String> =
            links.iter().map(|link| link.name().to_str().unwrap().to_owned()).collect();
        let tap = tc.ifindex("tap").unwrap();
        let filters = DumpRequest::new(TcType::Filter, tap).parent(Handle::FILTER_INGRESS);
        for select in [DumpRequest::new(TcType::Qdisc, 0), filters] {
            let mut dump = tc.dump(&select).unwrap();
            while let Some(listed) = dump.next().unwrap() {
                let entry = listed.entry().unwrap();
                state.push(format!("{:?} {:?}", entry.header, entry.kind()));
            }
        }
        state
    }
}

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// An unassigned protocol.
const OTHER: u16 = 0x88b5;
const PROTOCOLS: [u16; 4] = [IPV4, ARP, IPV6, OTHER];
const BROADCAST: [u8; 6] = [0xff; 6];
const LENGTH: usize = 60;
const NONE: [u16; 0] = [];

fn frame(protocol: u16, number: u8) -> Vec<u8> {
    let mut frame = BROADCAST.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(protocol.to_be_bytes());
    frame.resize(LENGTH, number);
    frame
}

fn release(capture: &mut Capture<'_>) {
    let plug = Request::qdisc(capture.ifindex()).parent(Handle::ROOT).handle(Handle::qdisc(1));
    capture.connection().change(&plug.options(&Plug::release_indefinite())).unwrap();
}

fn held(capture: &mut Capture<'_>) -> u32 {
    let plug = Request::qdisc(capture.ifindex()).parent(Handle::ROOT);
    let entry = capture.connection().get(&plug).unwrap();
    entry.stats().unwrap().unwrap().queue.unwrap().qlen
}

#[test]
fn a_guests_output_is_held_until_its_release() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    hosts.send_all(1);
    assert_eq!(hosts.receive(1, 4, PATIENCE), PROTOCOLS, "the line works");

    let mut tc = Connection::open().unwrap();
    let tap = tc.ifindex("tap").unwrap();
    let mut capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
    hosts.send_all(2);
    assert_eq!(hosts.receive(2, 1, QUIET), NONE, "nothing comes out");
    assert_eq!(held(&mut capture), 4, "all is held");
    release(&mut capture);
    assert_eq!(hosts.receive(2, 4, PATIENCE), PROTOCOLS, "all comes out, in order");
    hosts.send_all(3);
    assert_eq!(hosts.receive(3, 4, PATIENCE), PROTOCOLS, "and goes on");
    capture.stop().unwrap();
    hosts.send_all(4);
    assert_eq!(hosts.receive(4, 4, PATIENCE), PROTOCOLS, "also without it");
}

/// The filter of older recipes: `protocol ip`.
#[test]
fn a_filter_of_one_protocol_misses_the_others() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let host = &hosts.host;
    host.ip("link add held type ifb").ok();
    host.ip("link set held up").ok();
    host.tc("qdisc add dev held root plug limit 1000000").ok();
    host.tc("qdisc add dev tap ingress").ok();
    host.tc("filter add dev tap ingress protocol ip matchall action mirred egress redirect dev held").ok();
    hosts.send_all(1);
    assert_eq!(hosts.receive(1, 4, QUIET), [ARP, IPV6, OTHER], "these escape");
}

#[test]
fn nothing_is_left_after_stop_or_drop() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let before = hosts.state();
    let mut tc = Connection::open().unwrap();
    let tap = tc.ifindex("tap").unwrap();
    for _ in 0..2 {
        let capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
        assert_ne!(hosts.state(), before);
        capture.stop().unwrap();
        assert_eq!(hosts.state(), before, "after stop");
        drop(Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap());
        assert_eq!(hosts.state(), before, "after drop");
    }
}

#[test]
fn a_kept_capture_is_resumed_with_its_packets() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let before = hosts.state();
    let mut tc = Connection::open().unwrap();
    let tap = tc.ifindex("tap").unwrap();
    let capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
    let (name, ifindex) = (capture.name().to_owned(), capture.ifindex());
    capture.keep();
    hosts.send_all(1);
    assert_eq!(hosts.receive(1, 1, QUIET), NONE);

    let mut again = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
    assert_eq!((again.name(), again.ifindex()), (&*name, ifindex));
    release(&mut again);
    assert_eq!(hosts.receive(1, 4, PATIENCE), PROTOCOLS);
    again.keep();

    hosts.host.ip(&format!("link del {name}")).ok();
    hosts.send_all(2);
    assert_eq!(hosts.receive(2, 1, QUIET), NONE, "without its IFB all is dropped");
    let anew = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
    assert_ne!(anew.name(), name);
    anew.stop().unwrap();
    assert_eq!(hosts.state(), before);
}

#[test]
fn foreign_objects_are_left_alone() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let mut tc = Connection::open().unwrap();
    let tap = tc.ifindex("tap").unwrap();
    for kind in ["ingress", "clsact"] {
        hosts.host.tc(&format!("qdisc add dev tap {kind}")).ok();
        let before = hosts.state();
        let capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
        hosts.send_all(1);
        assert_eq!(hosts.receive(1, 1, QUIET), NONE, "{kind}");
        capture.stop().unwrap();
        assert_eq!(hosts.state(), before, "a qdisc that was there before stays");
        hosts.host.tc("filter add dev tap ingress protocol ip pref 1 matchall classid 1:1").ok();
        let before = hosts.state();
        let refused = Capture::start(&mut tc, tap, &CaptureSetup::default()).map(Capture::keep).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "device tap has a filter matchall at priority 1 of its ingress, which is not ours"
        );
        assert_eq!(hosts.state(), before);
        hosts.host.tc(&format!("qdisc del dev tap {kind}")).ok();
    }
    // A filter that somebody adds to our qdisc survives us.
    let capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
    hosts.host.tc("filter add dev tap ingress protocol ip pref 9 matchall classid 1:1").ok();
    capture.stop().unwrap();
    let left = hosts.host.tc("filter show dev tap ingress").ok();
    assert!(left.contains("pref 9 matchall") && !left.contains("mirred"), "{left}");
    assert!(Capture::start(&mut tc, 9999, &CaptureSetup::default()).is_err(), "no such device");
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// The kernel never gets it, and it is refused.
    Refused,
    /// The kernel never gets it, and no answer comes.
    Lost,
    /// The kernel carries it out, and its answer does not come.
    AnswerLost,
}

/// A socket on which the requests `from..to` fail.
struct Faulty {
    socket: Socket,
    fault: Fault,
    from: usize,
    to: usize,
    sent: usize,
    forged: Option<Vec<u8>>,
    silent: bool,
}

impl Faulty {
    fn connection(fault: Fault, from: usize, to: usize) -> Connection<Self> {
        let socket = Socket::open().unwrap();
        Connection::over(Self { socket, fault, from, to, sent: 0, forged: None, silent: false })
    }
}

impl Transport for Faulty {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let fails = (self.from..self.to).contains(&self.sent);
        self.sent += 1;
        (self.forged, self.silent) = (None, false);
        match self.fault {
            _ if !fails => return self.socket.send(datagram),
            Fault::Refused => self.forged = Some(refusal(datagram, self.socket.port())),
            Fault::Lost => self.silent = true,
            Fault::AnswerLost => {
                self.silent = true;
                return self.socket.send(datagram);
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        if let Some(forged) = self.forged.take() {
            buffer[..forged.len()].copy_from_slice(&forged);
            return Ok(Received { length: forged.len(), sender: 0 });
        }
        match self.silent {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.socket.receive(buffer),
        }
    }

    fn port(&self) -> u32 {
        self.socket.port()
    }

    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.socket.device_names()
    }
}

/// `NLMSG_ERROR` with ENOMEM. (With EBUSY a list waits for the end of the one before.)
fn refusal(request: &[u8], port: u32) -> Vec<u8> {
    const ENOMEM: i32 = 12;
    let mut answer = 36u32.to_ne_bytes().to_vec();
    answer.extend(2u16.to_ne_bytes());
    answer.extend(0u16.to_ne_bytes());
    answer.extend(&request[8..12]);
    answer.extend(port.to_ne_bytes());
    answer.extend((-ENOMEM).to_ne_bytes());
    answer.extend(&request[..16]);
    answer
}

#[test]
fn a_failure_at_any_step_leaves_nothing() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let before = hosts.state();
    let none = usize::MAX;
    let mut sound = Faulty::connection(Fault::Refused, none, none);
    let tap = sound.ifindex("tap").unwrap();
    let already = sound.transport().sent;
    let capture = Capture::start(&mut sound, tap, &CaptureSetup::default()).unwrap();
    drop(capture);
    let mut sound = Faulty::connection(Fault::Refused, none, none);
    let capture = Capture::start(&mut sound, tap, &CaptureSetup::default()).unwrap();
    capture.keep();
    let steps = sound.transport().sent;
    assert!(already > 0 && steps >= 9, "{steps} requests");
    let again = Capture::start(&mut sound, tap, &CaptureSetup::default()).unwrap();
    again.stop().unwrap();
    let ending = sound.transport().sent - steps;
    assert_eq!(hosts.state(), before);

    for fault in [Fault::Refused, Fault::Lost, Fault::AnswerLost] {
        for step in 0..steps {
            let mut tc = Faulty::connection(fault, step, step + 1);
            let failed = Capture::start(&mut tc, tap, &CaptureSetup::default());
            let Err(error) = failed else { panic!("{fault:?} of request {step} was not noticed") };
            assert!(matches!(error, CaptureError::Tc(_)), "{fault:?} of request {step}: {error}");
            assert_eq!(hosts.state(), before, "{fault:?} of request {step}: {error}");
        }
        // One failure on the way back is overcome.
        for step in 0..ending {
            let mut tc = Faulty::connection(fault, steps + step, steps + step + 1);
            let capture = Capture::start(&mut tc, tap, &CaptureSetup::default()).unwrap();
            capture.stop().unwrap_or_else(|error| panic!("{fault:?} of request {step} of the end: {error}"));
            assert_eq!(hosts.state(), before, "{fault:?} of request {step} of the end");
        }
    }
}

#[test]
fn objects_that_cannot_be_deleted_are_named() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let hosts = Hosts::new();
    let before = hosts.state();
    let mut tc = Faulty::connection(Fault::Refused, 8, usize::MAX);
    let tap = Connection::open().unwrap().ifindex("tap").unwrap();
    let Err(CaptureError::Left { left, .. }) = Capture::start(&mut tc, tap, &CaptureSetup::default()) else {
        panic!("nothing can be undone here");
    };
    let (qdisc, device) = left.split_once(", ").unwrap_or(("", &left));
    let name = device.strip_prefix("the device ").unwrap();
    hosts.host.ip(&format!("link del {name}")).ok();
    if !qdisc.is_empty() {
        hosts.host.tc("qdisc del dev tap ingress").ok();
    }
    assert_eq!(hosts.state(), before, "nothing else was left");
}
