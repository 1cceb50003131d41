//! The examples of the crates, each run once: their code is compiled into this test.
// Each has a `main`, which nobody calls here, and is written for a program.
#![allow(dead_code, unreachable_pub)]

#[path = "../../tc-qdiscs/examples/asynchronous.rs"]
mod asynchronous;
#[path = "../../tc-qdiscs/examples/commit.rs"]
mod commit;
#[path = "../../tc-qdiscs/examples/exporter.rs"]
mod exporter;
#[path = "../../tc-qdiscs/examples/netem_container.rs"]
mod netem_container;
#[path = "../../tc-cli/examples/own_kind.rs"]
mod own_kind;
#[path = "../../tc-qdiscs/examples/police.rs"]
mod police;
#[path = "../../tc-qdiscs/examples/restore.rs"]
mod restore;
#[path = "../../tc-qdiscs/examples/shape.rs"]
mod shape;

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use tc_core::rate::Rate;
use tc_core::{Connection, Ensured, Handle, Request, TcType};
use tests::lab::{Net, PATIENCE, Pair};
use tests::need;

const TEN_MBIT: Rate = Rate::bytes_per_second(1_250_000);

#[test]
fn shape_adds_then_changes_the_rate_alone() {
    need!("sch_htb", "ifb");
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    assert_eq!(shape::shape("b0", TEN_MBIT).unwrap(), [Ensured::Added, Ensured::Added, Ensured::Added]);
    let [root, class, queue] = shape::shape("b0", Rate::bytes_per_second(250_000)).unwrap();
    assert!(matches!(class, Ensured::Changed { .. }), "{class:?}");
    assert_eq!([root, queue], [Ensured::Unchanged, Ensured::Unchanged]);
    assert!(net.tc("class show dev b0").ok().contains("rate 2Mbit"));
    assert!(shape::shape("b1", TEN_MBIT).unwrap_err().to_string().contains("b1"));
}

#[test]
fn police_sends_conforming_packets_through_the_ifb() {
    need!("sch_clsact", "cls_matchall", "act_police", "act_mirred", "ifb", "veth");
    let pair = Pair::new();
    pair.far.ip("link add b0 up type ifb").ok();
    pair.far.inside(|| police::police(Pair::FAR, "b0", TEN_MBIT).map_err(|error| error.to_string())).unwrap();
    pair.send(&[1, 2, 3]);
    assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3], "an IFB gives them back");
    let counted = pair.far.ip("-s -j link show dev b0").ok();
    assert!(counted.contains("\"packets\":3"), "{counted}");
}

#[test]
fn exporter_prints_counters_of_every_qdisc() {
    need!("netns");
    let net = Net::new();
    net.tc("qdisc add dev lo root handle 7: pfifo limit 5").ok();
    let socket = net.udp("127.0.0.1:9");
    socket.send_to(b"counted", "127.0.0.1:9").unwrap();
    let mut text = Vec::new();
    exporter::export(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let labels = "{device=\"lo\",kind=\"pfifo\",handle=\"7:\",parent=\"root\"}";
    // Ethernet, IP and UDP headers, and seven bytes.
    assert!(text.contains(&format!("qdisc_bytes_total{labels} 49\n")), "{text}");
    assert!(text.contains(&format!("qdisc_packets_total{labels} 1\n")), "{text}");
    assert!(text.contains(&format!("qdisc_drops_total{labels} 0\n")), "{text}");
}

#[test]
fn restore_puts_a_deleted_qdisc_back() {
    need!("netns", "ifb");
    let net = Net::new();
    net.ip("link add b0 type ifb").ok();
    let (send, repairs) = mpsc::channel();
    std::thread::scope(|scope| {
        // A thread begins in the namespace of the one that starts it.
        let watcher = scope.spawn(move || {
            let repaired = |done: &Ensured| send.send(done.clone()).unwrap();
            restore::restore("b0", repaired).map_err(|error| error.to_string())
        });
        assert_eq!(repairs.recv_timeout(PATIENCE).unwrap(), Ensured::Added);
        net.tc("qdisc del dev b0 root").ok();
        assert_eq!(repairs.recv_timeout(PATIENCE).unwrap(), Ensured::Added);
        net.tc("qdisc change dev b0 root handle 1: pfifo limit 3").ok();
        let changed = repairs.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(changed, Ensured::Changed { .. }), "{changed:?}");
        net.ip("link del b0").ok();
        watcher.join().unwrap().unwrap();
    });
}

#[test]
fn netem_delays_in_the_container_alone() {
    need!("sch_netem", "veth");
    let pair = Pair::new();
    let mut sleeper = std::process::Command::new("sleep");
    let mut container = pair.far.inside(|| sleeper.arg("1000").spawn().unwrap());
    let pid = container.id().to_string();
    let delayed = netem_container::delay(&pid, Pair::FAR, Duration::from_millis(7));
    let shown = pair.far.tc(&format!("qdisc show dev {}", Pair::FAR)).ok();
    let back = netem_container::delay(&pid, Pair::FAR, Duration::ZERO);
    let after = pair.far.tc(&format!("qdisc show dev {}", Pair::FAR)).ok();
    let here = pair.near.tc(&format!("qdisc show dev {}", Pair::NEAR)).ok();
    container.kill().unwrap();
    container.wait().unwrap();
    delayed.unwrap();
    back.unwrap();
    assert!(shown.contains("netem 1: root") && shown.contains("delay 7ms"), "{shown}");
    assert!(!after.contains("netem") && !here.contains("netem"), "{after} {here}");
}

#[test]
fn asynchronous_keeps_queues_until_the_devices_are_gone() {
    need!("netns", "ifb");
    let net = Net::new();
    let mut tc = Connection::open().unwrap();
    let devices: BTreeSet<i32> = ["b0", "b1"]
        .map(|name| {
            tc.add_link(name, "ifb").unwrap();
            tc.ifindex(name).unwrap()
        })
        .into();
    let root = |ifindex| Request::qdisc(ifindex).parent(Handle::ROOT);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut deleted = 0;
    runtime.block_on(async {
        let all = devices.clone();
        // Each time nothing happens for a moment, one more change is made.
        let report = |ifindex, _| {
            if let Ok(there) = tc.get(&root(ifindex)) {
                assert_eq!(there.kind().unwrap(), "pfifo", "it was put back");
            }
            deleted += 1;
            match deleted {
                1..=4 => tc.delete(&root(ifindex)).unwrap(),
                _ => all.iter().for_each(|ifindex| drop(tc.delete_link(*ifindex))),
            }
        };
        let kept = asynchronous::keep(devices, Duration::from_millis(50), report);
        tokio::time::timeout(10 * PATIENCE, kept).await.unwrap().unwrap();
    });
    assert!(deleted > 4);
    drop(net);
}

#[test]
fn commit_releases_what_is_committed_alone() {
    let journals = std::env::temp_dir().join(format!("commit-example-test-{}", std::process::id()));
    let left = commit::epochs(&journals).unwrap();
    std::fs::remove_dir_all(&journals).unwrap();
    assert_eq!(left, [0, 1, 0, 2, 0, 2, 1]);
}

#[test]
fn own_kind_is_in_the_registry_of_its_program() {
    tc_core::contract::check::<own_kind::Blackhole>(&[""]).unwrap();
    let registry = tc_core::Registry::of_program().unwrap();
    assert!(registry.get(TcType::Qdisc, "blackhole").is_some());
    need!("netns");
    let net = Net::new();
    let words = "qdisc add dev lo root handle 1: blackhole".split(' ').map(std::ffi::OsString::from);
    assert!(tc_cli::run(words).is_ok());
    assert_eq!(net.tc("qdisc show dev lo").ok(), "qdisc blackhole 1: root refcnt 2 \n");
}
