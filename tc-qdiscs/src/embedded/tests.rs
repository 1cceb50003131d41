//! The kinds of the embedded kernel, asked over netlink.

use tc_core::embedded::{Device, Kernel, Sent, Socket};
use tc_core::link::LinkChange;
use tc_core::{Connection, DumpRequest, Handle, Request};

use super::kinds;
use crate::plug::Plug;
use crate::qdisc::pfifo::Pfifo;

fn kernel() -> (Kernel, Connection<Socket>, i32) {
    let kernel = kinds(Kernel::builder()).device(Device::new("eth0")).build();
    let mut tc = Connection::over(kernel.connect());
    let eth0 = tc.ifindex("eth0").unwrap();
    (kernel, tc, eth0)
}

fn plug(tc: &mut Connection<Socket>, eth0: i32, plug: Plug) {
    tc.change(&Request::qdisc(eth0).parent(Handle::ROOT).options(&plug)).unwrap();
}

fn send(kernel: &Kernel, eth0: i32, packets: &[&str]) {
    for packet in packets {
        assert_eq!(kernel.send(eth0, packet.as_bytes()), Sent::Taken, "{packet}");
    }
}

fn sent(kernel: &Kernel, eth0: i32) -> Vec<String> {
    kernel.take_sent(eth0).into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
}

#[test]
fn the_leak_of_two_open_epochs() {
    let (kernel, mut tc, eth0) = kernel();
    tc.add(&Request::qdisc(eth0).parent(Handle::ROOT).options(&Plug::set_limit(1000))).unwrap();
    send(&kernel, eth0, &["a0", "a1"]);
    plug(&mut tc, eth0, Plug::buffer());
    send(&kernel, eth0, &["b0", "b1", "b2"]);
    plug(&mut tc, eth0, Plug::buffer());
    assert!(sent(&kernel, eth0).is_empty());
    plug(&mut tc, eth0, Plug::release_one());
    assert_eq!(sent(&kernel, eth0), ["a0", "a1", "b0"]);
}

/// Releases of purged packets are used up by each dequeue, and only a release
/// dequeues by itself.
#[test]
fn releases_of_purged_packets_are_used_up() {
    for (queues, sent_of_three) in [(1, &["x", "y"][..]), (2, &["x"])] {
        let kernel = kinds(Kernel::builder()).device(Device::new("eth0").tx_queues(queues)).build();
        let mut tc = Connection::over(kernel.connect());
        let eth0 = tc.ifindex("eth0").unwrap();
        tc.add(&Request::qdisc(eth0).parent(Handle::ROOT).options(&Plug::set_limit(1000))).unwrap();
        send(&kernel, eth0, &["lost"; 4]);
        plug(&mut tc, eth0, Plug::buffer());
        tc.set_link(eth0, &LinkChange { tx_queue_len: Some(9), ..LinkChange::default() }).unwrap();
        plug(&mut tc, eth0, Plug::release_one());
        plug(&mut tc, eth0, Plug::buffer());
        plug(&mut tc, eth0, Plug::set_limit(900));
        tc.list(&DumpRequest::qdiscs()).unwrap();
        send(&kernel, eth0, &["x", "y", "z"]);
        assert_eq!(sent(&kernel, eth0), sent_of_three, "{queues} queue(s)");
    }
}

#[test]
fn a_reset_breaks_the_epochs() {
    let (kernel, mut tc, eth0) = kernel();
    tc.add(&Request::qdisc(eth0).parent(Handle::ROOT).options(&Plug::set_limit(1000))).unwrap();
    send(&kernel, eth0, &["lost"; 5]);
    for up in [false, true] {
        tc.set_link(eth0, &LinkChange { up: Some(up), ..LinkChange::default() }).unwrap();
    }
    send(&kernel, eth0, &["b0", "b1"]);
    plug(&mut tc, eth0, Plug::buffer());
    send(&kernel, eth0, &["u0", "u1", "u2", "u3"]);
    plug(&mut tc, eth0, Plug::release_one());
    assert_eq!(sent(&kernel, eth0), ["b0", "b1", "u0", "u1", "u2", "u3"]);
}

#[test]
fn packets_above_a_limit_are_dropped_and_counted() {
    let (kernel, mut tc, eth0) = kernel();
    let root = Request::qdisc(eth0).parent(Handle::ROOT);
    tc.add(&root.clone().options(&Plug::set_limit(5))).unwrap();
    assert_eq!(kernel.send(eth0, *b"12345"), Sent::Taken);
    assert_eq!(kernel.send(eth0, *b"6"), Sent::Dropped);
    let entry = tc.get(&root).unwrap();
    let queue = entry.stats().unwrap().unwrap().queue.unwrap();
    assert_eq!((queue.qlen, queue.backlog, queue.drops, entry.options()), (1, 5, 1, None));
}

#[test]
fn defaults_of_limits_come_from_the_device() {
    let (_, mut tc, eth0) = kernel();
    let root = Request::qdisc(eth0).parent(Handle::ROOT);
    for (kind, limit) in [("pfifo", 1000u32), ("bfifo", 1000 * 1514), ("pfifo_head_drop", 1000)] {
        tc.replace(&root.clone().kind(kind)).unwrap();
        assert_eq!(tc.get(&root).unwrap().options(), Some(&limit.to_ne_bytes()[..]), "{kind}");
    }
}

#[test]
fn a_head_drop_keeps_the_newest() {
    let (kernel, mut tc, eth0) = kernel();
    let root = Request::qdisc(eth0).parent(Handle::ROOT);
    tc.add(&root.clone().kind("pfifo_head_drop")).unwrap();
    kernel.set_transmitting(eth0, false);
    // Its bytes are those of pfifo.
    let limit = Pfifo { limit_packets: 2 };
    let mut bytes = bytes::BytesMut::new();
    root.handle(Handle::qdisc(0x8001)).options(&limit).encode(tc_core::Verb::Change, 1, &mut bytes).unwrap();
    let renamed: Vec<u8> = with_kind(&bytes, "pfifo_head_drop");
    let mut socket = kernel.connect();
    tc_core::Transport::send(&mut socket, &renamed).unwrap();
    for (packet, taken) in [(b"a", Sent::Taken), (b"b", Sent::Taken), (b"c", Sent::Dropped)] {
        assert_eq!(kernel.send(eth0, *packet), taken);
    }
    kernel.set_transmitting(eth0, true);
    assert_eq!(sent(&kernel, eth0), ["b", "c"]);
}

/// A request for a pfifo, as one for another kind.
fn with_kind(message: &[u8], kind: &str) -> Vec<u8> {
    let mut out = message[..36].to_vec();
    for attr in tc_core::Attrs::new(&message[36..]).map(Result::unwrap) {
        let named = [kind.as_bytes(), &[0]].concat();
        let payload = if attr.kind == tc_core::uapi::TCA_KIND { &named[..] } else { attr.payload };
        out.extend((4 + payload.len() as u16).to_ne_bytes());
        out.extend(attr.kind.to_ne_bytes());
        out.extend(payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    let length = (out.len() as u32).to_ne_bytes();
    out[..4].copy_from_slice(&length);
    out
}

#[test]
fn a_plug_below_a_band_holds_that_band_alone() {
    let (kernel, mut tc, eth0) = kernel();
    let mut bytes = bytes::BytesMut::new();
    let prio = Request::qdisc(eth0).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("prio");
    prio.encode(tc_core::Verb::Add, 1, &mut bytes).unwrap();
    // struct tc_prio_qopt: two bands, all but priority 1 in the second.
    bytes.extend_from_slice(&[24, 0, 2, 0, 2, 0, 0, 0]);
    bytes.extend_from_slice(&[1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let length = (bytes.len() as u32).to_ne_bytes();
    bytes[..4].copy_from_slice(&length);
    tc_core::Transport::send(&mut kernel.connect(), &bytes).unwrap();
    let band = Request::qdisc(eth0).parent(Handle::class(1, 1));
    tc.add(&band.clone().options(&Plug::set_limit(1000))).unwrap();
    let packet = |text: &str, priority| tc_core::embedded::Packet::new(text).priority(priority);
    kernel.send(eth0, packet("held", 1));
    kernel.send(eth0, packet("free", 0));
    assert_eq!(sent(&kernel, eth0), ["free"]);
    tc.change(&band.options(&Plug::release_indefinite())).unwrap();
    assert_eq!(sent(&kernel, eth0), ["held"]);
    assert_eq!(tc.list(&DumpRequest::classes(eth0)).unwrap().len(), 2);
}

#[test]
fn every_registered_kind_is_known() {
    let (_, mut tc, eth0) = kernel();
    let registry = tc_core::Registry::of_program().unwrap();
    let mut known = 0;
    for registered in registry.iter().filter(|one| one.ops().tc_type() == tc_core::TcType::Qdisc) {
        let request = Request::qdisc(eth0).parent(Handle::ROOT).kind(registered.ops().kind());
        if let Err(error) = tc.replace(&request) {
            let said = error.kernel().and_then(|kernel| kernel.ext_ack.message.clone());
            assert_ne!(said.as_deref(), Some("Specified qdisc kind is unknown"), "{error}");
        }
        known += 1;
    }
    assert!(known >= 2);
}
