//! Where it happens: the server's host, the clients' host, and the line between them.

use std::fs;
use std::net::SocketAddr;

use tc_core::Connection;
use tc_qdiscs::plug::{Capture, CaptureSetup};
use tests::lab::Net;

/// Both hosts. The calling thread is in the host of the controller.
pub(crate) struct World {
    /// The host of the controller, and of the server unless it has another.
    pub(crate) host: Net,
    /// The host of the clients.
    pub(crate) far: Net,
    /// The host of the server, where its output is captured on the way.
    guest: Option<Net>,
    /// The device whose root qdisc holds the output.
    pub(crate) dev: String,
}

/// The port of the server.
const PORT: u16 = 7;
/// The addresses of the server and of the clients.
const IPV4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const IPV6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

/// The path of a guest's output to the plug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lead {
    /// By [`Capture`]: all protocols.
    Capture,
    /// By a filter of `protocol ip`, as older recipes have it.
    Ipv4Only,
}

impl World {
    /// Two hosts on one line, without ARP: only the test's packets are held, and a link that goes down
    /// forgets no neighbour.
    pub(crate) fn direct() -> Self {
        let (host, far) = (Net::new(), Net::aside());
        host.veth_to("near", &far, "far");
        for (net, dev, own) in [(&host, "near", 0), (&far, "far", 1)] {
            // Kernel: without ARP a packet goes to the sender's own MAC address.
            net.ip(&format!("link set dev {dev} address 02:00:00:00:00:01 arp off")).ok();
            address(net, dev, own);
        }
        Self { host, far, guest: None, dev: "near".to_owned() }
    }

    /// A guest, its host, which bridges it to the line, and the clients' host. The guest's output
    /// is redirected through an IFB on its host.
    pub(crate) fn captured(lead: Lead) -> Self {
        let (host, guest, far) = (Net::new(), Net::aside(), Net::aside());
        host.veth_to("tap", &guest, "eth0");
        host.veth_to("up", &far, "far");
        host.ip("link add br0 type bridge").ok();
        host.ip("link set dev tap master br0").ok();
        host.ip("link set dev up master br0").ok();
        host.ip("link set br0 up").ok();
        for (net, dev, own) in [(&guest, "eth0", 0), (&far, "far", 1)] {
            net.ip(&format!("link set dev {dev} address 02:00:00:00:00:0{own}")).ok();
            address(net, dev, own);
            for peer in [IPV4[1 - own], IPV6[1 - own]] {
                let mac = format!("02:00:00:00:00:0{}", 1 - own);
                net.ip(&format!("neigh replace {peer} dev {dev} lladdr {mac} nud permanent")).ok();
            }
        }
        let dev = match lead {
            Lead::Capture => capture(),
            Lead::Ipv4Only => {
                host.ip("link add held type ifb").ok();
                host.ip("link set held up").ok();
                host.tc("qdisc add dev tap ingress").ok();
                let to = "action mirred egress redirect dev held";
                host.tc(&format!("filter add dev tap ingress protocol ip matchall {to}")).ok();
                "held".to_owned()
            }
        };
        Self { host, far, guest: Some(guest), dev }
    }

    /// The address family of a client, by its number.
    pub(crate) const fn is_ipv6(client: u32) -> bool {
        client % 2 == 1
    }

    /// Where a client finds the server.
    pub(crate) fn server(client: u32) -> SocketAddr {
        let host = if Self::is_ipv6(client) { IPV6[0] } else { IPV4[0] };
        SocketAddr::new(host.parse().unwrap(), PORT)
    }

    /// Where a server listens, for both families.
    pub(crate) fn listen() -> SocketAddr {
        SocketAddr::new("::".parse().unwrap(), PORT)
    }

    /// Any address of a client's family.
    pub(crate) fn any(client: u32) -> SocketAddr {
        let any = if Self::is_ipv6(client) { "[::]:0" } else { "0.0.0.0:0" };
        any.parse().unwrap()
    }

    /// The server's namespace.
    pub(crate) fn server_net(&self) -> String {
        self.guest.as_ref().unwrap_or(&self.host).path()
    }
}

fn address(net: &Net, dev: &str, own: usize) {
    let set = |file: &str, value: &str| {
        net.inside(|| fs::write(format!("/proc/sys/net/ipv6/conf/{dev}/{file}"), value)).unwrap();
    };
    set("disable_ipv6", "0");
    set("keep_addr_on_down", "1");
    net.ip(&format!("addr add {}/24 dev {dev}", IPV4[own])).ok();
    net.ip(&format!("-6 addr add {}/64 dev {dev} nodad", IPV6[own])).ok();
}

/// Redirects all packets through an IFB, on which a session then puts its plug. Returns the IFB's name.
fn capture() -> String {
    let mut tc = Connection::open().unwrap();
    let tap = tc.ifindex("tap").unwrap();
    let setup = CaptureSetup { hold_limit_bytes: None, ..CaptureSetup::default() };
    let capture = Capture::start(&mut tc, tap, &setup).unwrap();
    let name = capture.name().to_owned();
    capture.keep();
    name
}
