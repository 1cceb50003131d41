//! Objects of others at the place of a ring stay, and the one moment that can lose packets is counted.

use tc_core::uapi::ETH_P_IP;
use tc_core::words::{Words, WordsContext};
use tc_core::{Connection, Registry, TcType, Verb};
use tc_qdiscs::filter::flower::Flower;
use tc_qdiscs::plug::commit::{Ack, OnAdopt, OnTaint, OrphanedSession};
use tc_qdiscs::plug::place::{Clsact, Match, Place, RedirectSetup};
use tc_qdiscs::plug::ring::{Ring, RingOptions, Site};
use tests::lab::{PATIENCE, Pair, QUIET};
use tests::need;

use crate::{Dir, NOTHING, attach, options, state};

/// Filters of others, on both sides and at several priorities.
fn strangers(pair: &Pair) -> String {
    for words in [
        "qdisc add dev near clsact",
        "filter add dev near egress pref 2 protocol ip u32 match ip dport 99 0xffff action pass",
        "filter add dev near egress pref 9 protocol all matchall action pass",
        "filter add dev near ingress pref 1 protocol ip flower dst_ip 192.0.2.9 action pass",
    ] {
        pair.near.tc(words).ok();
    }
    state(&pair.near, &["near"])
}

/// Some packets by filters of three kinds.
fn matches() -> Vec<Match> {
    let registry = Registry::global().unwrap();
    let u32s = registry.get(TcType::Filter, "u32").unwrap();
    let mut words = Words::new(&["match", "ip", "dport", "7", "0xffff"]);
    let port = u32s.parse_words(&mut words, &WordsContext::new(Verb::Add)).unwrap().unwrap();
    let flower = Flower::default().eth_type(ETH_P_IP).ip_proto(6);
    vec![Match::new(ETH_P_IP, &*port).unwrap(), Match::new(ETH_P_IP, &flower).unwrap()]
}

#[test]
fn strangers_stay_at_detach_and_after_a_crash() {
    need!(
        "sch_plug",
        "sch_prio",
        "sch_ingress",
        "cls_matchall",
        "cls_flower",
        "cls_u32",
        "act_mirred",
        "ifb",
        "veth"
    );
    // Priorities of ours beside theirs: one filter at 1, or two at 5 and 6.
    for setup in [RedirectSetup::default(), RedirectSetup::default().priority(5).matches(matches())] {
        for crash in [false, true] {
            let (dir, pair) = (Dir::new("strangers"), Pair::new());
            let before = strangers(&pair);
            let site = [Site::from("near")];
            let options = || {
                let plain = options(&dir, OnTaint::FailClosed);
                plain.redirect(setup.clone()).clsact(Clsact::Remove)
            };
            let mut ring = Ring::attach(&site, options()).unwrap();
            assert_eq!(ring.counts().purged_packets, 0, "the clsact was there");
            ring.start_buffer().unwrap();
            pair.send(&[1]);
            let epoch = ring.close().unwrap();
            pair.send(&[2]);
            assert_eq!(pair.receive(1, QUIET), NOTHING);
            if crash {
                let journal = ring.journal_path().to_owned();
                drop(ring);
                assert_eq!(pair.receive(1, QUIET), NOTHING, "it stays closed");
                let mut tc = Connection::open().unwrap();
                let orphan = OrphanedSession::read(&journal).unwrap();
                assert_eq!(orphan.remove(&mut tc, OnAdopt::Drop, PATIENCE).unwrap(), 1);
                assert_eq!(pair.receive(1, QUIET), NOTHING, "dropped");
            } else {
                ring.release(epoch, Ack::of(0)).unwrap();
                assert_eq!(pair.receive(2, QUIET), [1]);
                ring.detach().unwrap();
                assert_eq!(pair.receive(1, PATIENCE), [2]);
            }
            assert_eq!(state(&pair.near, &["near"]), before, "crash {crash}");
            pair.send(&[3]);
            assert_eq!(pair.receive(1, PATIENCE), [3]);
        }
    }
}

#[test]
fn adoption_by_a_ring_of_other_packets_is_refused() {
    need!(
        "sch_plug",
        "sch_prio",
        "sch_ingress",
        "cls_matchall",
        "cls_u32",
        "cls_flower",
        "act_mirred",
        "ifb",
        "veth"
    );
    let (dir, pair) = (Dir::new("matches"), Pair::new());
    let mut ring = attach(&dir, 4);
    ring.start_buffer().unwrap();
    pair.send(&[1]);
    let journal = ring.journal_path().to_owned();
    drop(ring);
    let adopt = |setup: RedirectSetup| {
        let old = options(&dir, OnTaint::FailClosed);
        let options = RingOptions::new(old.attach.adopt(&journal, OnAdopt::Drop)).redirect(setup);
        options.depth(tc_qdiscs::plug::ring::Depth::new(4).unwrap())
    };
    let before = state(&pair.near, &["near"]);
    let error =
        Ring::attach(&["near".into()], adopt(RedirectSetup::default().matches(matches()))).unwrap_err();
    let text =
        "device near has our filters of other packets at its egress: detach them first; nothing was changed";
    assert_eq!(error.to_string(), text);
    assert_eq!(state(&pair.near, &["near"]), before);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "it holds on");
    let mut ring = Ring::attach(&["near".into()], adopt(RedirectSetup::default())).unwrap();
    assert_eq!(pair.receive(1, QUIET), NOTHING, "dropped");
    ring.detach().unwrap();
}

#[test]
fn attach_with_a_new_clsact_counts_the_purged_packets() {
    need!("sch_plug", "sch_prio", "sch_tbf", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("purged"), Pair::new());
    // 43 bytes a frame: three leave at once, and then one in 5 s.
    pair.near.tc("qdisc add dev near root handle 1: tbf rate 64bit burst 150 limit 10000").ok();
    pair.send(&[1, 2, 3, 4, 5, 6, 7]);
    let passed = pair.receive(7, QUIET);
    let waiting = 7 - passed.len() as u64;
    assert!(waiting > 0, "the shaper holds packets: {passed:?}");
    let mut ring = attach(&dir, 4);
    assert_eq!(ring.counts().purged_packets, waiting);
    pair.near.tc("qdisc del dev near root").ok();
    assert_eq!(pair.receive(7, QUIET), NOTHING, "the kernel dropped them");
    ring.detach().unwrap();
    // The clsact stays, and the next attach loses nothing.
    pair.near.tc("qdisc add dev near root handle 1: tbf rate 64bit burst 150 limit 10000").ok();
    pair.send(&[1, 2, 3, 4, 5, 6, 7]);
    let mut arrived = pair.receive(7, QUIET);
    let mut ring = attach(&dir, 4);
    assert_eq!(ring.counts().purged_packets, 0);
    pair.near.tc("qdisc change dev near root handle 1: tbf rate 1mbit burst 1500 limit 10000").ok();
    arrived.extend(pair.receive(7 - arrived.len(), PATIENCE));
    assert_eq!(arrived, [1, 2, 3, 4, 5, 6, 7]);
    ring.detach().unwrap();
}

#[test]
fn ring_of_arriving_packets_holds_a_match_alone() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_flower", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("ingress"), Pair::new());
    let port = Flower::default().eth_type(ETH_P_IP).ip_proto(17).dst_port(20);
    let setup = RedirectSetup::default().matches(vec![Match::new(ETH_P_IP, &port).unwrap()]);
    let options = options(&dir, OnTaint::FailClosed).redirect(setup);
    let mut ring = Ring::attach(&[Site::new("near", Place::Ingress)], options).unwrap();
    let sender = pair.far.udp("192.0.2.2:20");
    let [held, passes] = ["192.0.2.1:20", "192.0.2.1:21"].map(|address| {
        let socket = pair.near.udp(address);
        socket.set_read_timeout(Some(QUIET)).unwrap();
        (socket, address)
    });
    ring.start_buffer().unwrap();
    sender.send_to(&[1], held.1).unwrap();
    let epoch = ring.close().unwrap();
    assert!(held.0.recv(&mut [0]).is_err(), "held");
    sender.send_to(&[2], passes.1).unwrap();
    assert_eq!(passes.0.recv(&mut [0]).unwrap(), 1, "another port passes");
    assert_eq!(ring.release(epoch, Ack::of(0)).unwrap().packets, 1);
    assert_eq!(held.0.recv(&mut [0]).unwrap(), 1);
    ring.detach().unwrap();
}

#[test]
fn foreign_release_lets_packets_out_and_taints() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("release"), Pair::new());
    let mut ring = attach(&dir, 4);
    ring.start_buffer().unwrap();
    pair.send(&[1]);
    let epoch = ring.close().unwrap();
    pair.send(&[2]);
    let root = ring.journal().devices[0].handles[0];
    let ifb = ring.redirects().next().unwrap().name().to_owned();
    // The plug of band 0, with the closed epoch.
    let plug = tc_core::Handle::qdisc(root.major() + 2);
    pair.near
        .tc(&format!("qdisc change dev {ifb} parent {root}1 handle {plug} plug release_indefinite"))
        .ok();
    assert_eq!(pair.receive(2, QUIET), [1], "what it opened has left");
    let error = ring.release(epoch, Ack::of(0)).unwrap_err();
    assert!(matches!(error, tc_qdiscs::plug::commit::Error::Tainted { .. }), "{error}");
    assert_eq!(pair.receive(1, QUIET), NOTHING, "and nothing more leaves");
    ring.discard().unwrap();
}
