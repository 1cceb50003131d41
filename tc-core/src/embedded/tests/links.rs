//! Devices.

use super::*;
use crate::link::LinkChange;

#[test]
fn devices_are_found_by_every_name() {
    let kernel = builder().device(Device::loopback()).build();
    let mut tc = Connection::over(kernel.connect());
    for name in ["eth0", "wan", "the-line-to-the-world"] {
        assert_eq!(tc.ifindex(name).unwrap(), ETH0, "{name}");
    }
    assert_eq!(tc.ifindex("eth1").unwrap_err().errno(), Some(libc::ENODEV));
    let eth0 = tc.link_by_index(ETH0).unwrap();
    assert_eq!((eth0.mtu, eth0.tx_queue_len, eth0.tx_queues), (1500, 1000, 1));
    assert_eq!((eth0.qdisc.as_str(), eth0.is_up()), ("pfifo_fast", true));
    assert_eq!(tc.link_by_name("lo").unwrap().qdisc, "noqueue");
    let names = tc.device_names().unwrap();
    assert_eq!(names.device_name(ETH0).unwrap().to_str(), Some("eth0"));
    assert_eq!(names.device_name(99).unwrap_err().raw_os_error(), Some(libc::ENODEV));
}

#[test]
fn a_device_that_is_down_has_no_qdisc_until_it_comes_up() {
    let kernel = Kernel::builder().device(Device::new("eth0").ifindex(ETH0).down()).build();
    let mut tc = Connection::over(kernel.connect());
    assert_eq!(tc.link_by_index(ETH0).unwrap().qdisc, "noop");
    assert!(tc.get(&root()).unwrap_err().is_not_found(), "only acknowledged, not shown");
    tc.set_link(ETH0, &LinkChange { up: Some(true), ..LinkChange::default() }).unwrap();
    assert_eq!(tc.link_by_index(ETH0).unwrap().qdisc, "pfifo_fast");
    tc.set_link(ETH0, &LinkChange { up: Some(false), ..LinkChange::default() }).unwrap();
    assert_eq!(tc.link_by_index(ETH0).unwrap().qdisc, "pfifo_fast", "it stays");
}

#[test]
fn devices_are_made_changed_and_deleted() {
    let kernel = builder().build();
    let mut tc = Connection::over(kernel.connect());
    tc.add_link("ifb0", "ifb").unwrap();
    let ifb0 = tc.link_by_name("ifb0").unwrap();
    assert_eq!((ifb0.tx_queue_len, ifb0.is_up(), ifb0.kind.as_str()), (32, false, "ifb"));
    assert!(tc.add_link("ifb0", "ifb").unwrap_err().is_exists());
    assert!(tc.add_link("wg0", "wireguard").unwrap_err().is_unsupported());
    let change = LinkChange { mtu: Some(9000), tx_queue_len: Some(7), up: Some(true) };
    tc.set_link(ifb0.ifindex, &change).unwrap();
    let ifb0 = tc.link_by_index(ifb0.ifindex).unwrap();
    assert_eq!((ifb0.mtu, ifb0.tx_queue_len, ifb0.is_up()), (9000, 7, true));
    let small = tc.set_link(ifb0.ifindex, &LinkChange { mtu: Some(10), ..LinkChange::default() });
    assert!(small.unwrap_err().is_invalid());
    tc.delete_link(ifb0.ifindex).unwrap();
    assert!(tc.delete_link(ifb0.ifindex).unwrap_err().is_not_found());
    assert!(tc.delete_link(ETH0).unwrap_err().is_unsupported(), "hardware stays");
}

#[test]
fn several_queues_begin_with_mq() {
    let kernel = Kernel::builder().device(Device::new("eth0").ifindex(ETH0).tx_queues(3)).build();
    let mut tc = Connection::over(kernel.connect());
    let entries = tc.list(&crate::DumpRequest::qdiscs()).unwrap();
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| entry.entry().unwrap())
        .map(|entry| (entry.kind().unwrap().to_owned(), entry.header.parent.to_string(), entry.header.info))
        .collect();
    let fast = |parent: &str| ("pfifo_fast".to_owned(), parent.to_owned(), 1);
    assert_eq!(kinds, [("mq".to_owned(), "root".to_owned(), 1), fast(":3"), fast(":2"), fast(":1")]);
}
