//! Packets.

use super::*;
use crate::link::LinkChange;
use crate::{Stab, Transport};

fn frames(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(|n| vec![n; 100]).collect()
}

fn send(kernel: &Kernel, numbers: std::ops::Range<u8>) -> Vec<Sent> {
    frames(numbers).into_iter().map(|frame| kernel.send(ETH0, frame)).collect()
}

fn queue<T: Transport>(tc: &mut Connection<T>) -> (u32, u32, u32, u64) {
    let entry = tc.get(&root()).unwrap();
    let stats = entry.stats().unwrap().unwrap();
    let (queue, basic) = (stats.queue.unwrap(), stats.basic.unwrap());
    (queue.qlen, queue.backlog, queue.drops, basic.packets)
}

#[test]
fn packets_wait_while_the_hardware_does_not_take_them() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    tc.add(&root().kind("pfifo")).unwrap();
    assert_eq!(send(&kernel, 0..2), [Sent::Taken; 2]);
    assert_eq!(kernel.take_sent(ETH0), frames(0..2));
    kernel.set_transmitting(ETH0, false);
    use Sent::{Dropped, Taken};
    assert_eq!(send(&kernel, 2..6), [Taken, Taken, Taken, Dropped]);
    assert_eq!(queue(&mut tc), (3, 300, 1, 2));
    kernel.set_transmitting(ETH0, true);
    assert_eq!(kernel.take_sent(ETH0), frames(2..5), "in order");
    assert_eq!(queue(&mut tc), (0, 0, 1, 5));
}

/// Events that reset a qdisc, and events that do not. Seen on Linux 6.1 with plug.
#[test]
fn resets_purge_without_counting_drops() {
    let down = |tc: &mut Connection<Socket>, _: &Kernel| {
        tc.set_link(ETH0, &LinkChange { up: Some(false), ..LinkChange::default() }).unwrap();
        tc.set_link(ETH0, &LinkChange { up: Some(true), ..LinkChange::default() }).unwrap();
    };
    let carrier = |_: &mut Connection<Socket>, kernel: &Kernel| {
        kernel.set_carrier(ETH0, false);
        assert_eq!(kernel.send(ETH0, [0]), Sent::Down);
        kernel.set_carrier(ETH0, true);
    };
    let tx_queue_len = |tc: &mut Connection<Socket>, _: &Kernel| {
        tc.set_link(ETH0, &LinkChange { tx_queue_len: Some(9), ..LinkChange::default() }).unwrap();
    };
    let mtu = |tc: &mut Connection<Socket>, _: &Kernel| {
        tc.set_link(ETH0, &LinkChange { mtu: Some(9000), ..LinkChange::default() }).unwrap();
    };
    type Event = fn(&mut Connection<Socket>, &Kernel);
    for (event, left) in [(down as Event, 0), (carrier, 0), (tx_queue_len, 0), (mtu, 2)] {
        let kernel = builder().build();
        let mut tc = Connection::over(kernel.connect());
        tc.add(&root().options(&Gate::default())).unwrap(); // a gate lets nothing out
        send(&kernel, 0..2);
        event(&mut tc, &kernel);
        assert_eq!(queue(&mut tc), (left, left * 100, 0, 0));
    }
}

#[test]
fn a_size_table_decides_the_accounted_length() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    let stab = Stab { overhead: 20, ..Stab::default() };
    tc.add(&root().options(&Gate::default()).stab(&stab)).unwrap();
    send(&kernel, 0..1);
    assert_eq!(queue(&mut tc).1, 120);
    let atm = Stab { linklayer: crate::kind::rate::LinkLayer::Atm, ..Stab::default() };
    tc.replace(&root().handle(Handle::qdisc(5)).options(&Gate::default()).stab(&atm)).unwrap();
    send(&kernel, 0..1);
    assert_eq!(queue(&mut tc).1, 3 * 53, "100 bytes are three cells");
}

#[test]
fn an_absent_or_down_device_drops_packets() {
    let kernel = Kernel::builder().device(Device::new("eth0").ifindex(ETH0).down()).build();
    assert_eq!(kernel.send(99, [1]), Sent::NoDevice);
    assert_eq!(kernel.send(ETH0, [1]), Sent::Down);
    assert!(kernel.take_sent(ETH0).is_empty());
}

#[test]
fn noqueue_transmits_at_once() {
    let kernel = Kernel::builder().device(Device::new("eth0").ifindex(ETH0).queueless()).build();
    assert_eq!(kernel.send(ETH0, [1]), Sent::Taken);
    assert_eq!(kernel.take_sent(ETH0), [[1]]);
}

#[test]
fn each_queue_has_its_own_qdisc() {
    let kernel = builder().device(Device::new("eth1").ifindex(7).tx_queues(2)).build();
    let mut tc = Connection::over(kernel.connect());
    let second = Request::qdisc(7).parent(Handle::class(0x10, 2));
    tc.add(&Request::qdisc(7).parent(Handle::ROOT).handle(Handle::qdisc(0x10)).kind("mq")).unwrap_err();
    let kernel =
        builder().kind("mq", Multi::default).device(Device::new("eth1").ifindex(7).tx_queues(2)).build();
    let mut tc2 = Connection::over(kernel.connect());
    tc2.add(&Request::qdisc(7).parent(Handle::ROOT).handle(Handle::qdisc(0x10)).kind("mq")).unwrap();
    tc2.add(&second.options(&Gate::default())).unwrap();
    kernel.send(7, Packet::new([1]));
    kernel.send(7, Packet::new([2]).queue(1));
    assert_eq!(kernel.take_sent(7), [[1]], "the gate of the second queue holds the other");
}
