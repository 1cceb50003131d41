//! `plug drop`: no packet that was held leaves, whatever happens meanwhile.

use std::time::{Duration, Instant};

use tests::lab::{PATIENCE, QUIET};
use tests::need;

use super::stage::{FRAME, NOTHING, Stage, Talk, end};

#[test]
fn drop_when_packets_are_held_drops_them_and_opens() {
    need!("sch_plug", "veth");
    let stage = Stage::new("drop");
    let refused = stage.plug("drop --dev near");
    assert!(refused.code == 1 && refused.stderr.ends_with("; nothing was changed\n"), "{refused:?}");
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1, 2]);
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[3]);
    assert_eq!(
        stage.plug("drop --dev near").ok(),
        format!("dropped 3 packets, {} bytes; the network is open\n", 3 * FRAME)
    );
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    assert!(stage.opens(4) && stage.root().contains("qdisc plug"), "{}", stage.root());

    // Again, with the plug that took its place; and in JSON.
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[5, 6]);
    let done = stage.json("drop --dev near");
    assert_eq!((&done["dev"], &done["dropped_packets"]), (&"near".into(), &2.into()), "{done}");
    assert_eq!((&done["observed"]["kind"], &done["observed"]["held_packets"]), (&"plug".into(), &0.into()));
    assert!(stage.opens(7));
    assert_eq!(stage.json("drop --dev near")["dropped_packets"], 0, "it was open");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING);
    let believed = stage.json("status --dev near")[0]["believed"].clone();
    assert_eq!((&believed[0]["mode"], &believed[0]["plug_is_there"]), (&"open".into(), &true.into()));

    let mut talk = Talk::start(&stage, "", "--where root --dev near --limit 64k --on-death closed");
    talk.says("begin 0", "ok 0 held=0 bytes=0 drops=0");
    let refused = stage.plug("drop --dev near");
    assert!(refused.code == 1 && refused.stderr.contains("in a session"), "{refused:?}");
    talk.says("quit", "ok 0 held=0 bytes=0 drops=0");
    assert_eq!(talk.end().0, 0);
    stage.plug("detach --dev near").ok();
    assert!(!stage.root().contains("plug"));
}

#[test]
fn drop_under_traffic_lets_no_held_packet_out() {
    need!("sch_plug", "veth");
    let stage = Stage::new("drop-traffic");
    stage.plug("attach --dev near --limit 1M").ok();
    let held: Vec<u8> = (0..100).collect();
    for round in 0..10 {
        stage.plug("buffer --dev near").ok();
        stage.pair.send(&held);
        let mut drop = stage.start("", "drop --dev near");
        let mut arrived = Vec::new();
        // The receiver is read meanwhile, so that its socket does not overflow.
        while drop.try_wait().unwrap().is_none() {
            stage.pair.send(&[200; 20]);
            arrived.extend(stage.pair.receive(255, Duration::from_millis(1)));
        }
        let (code, stderr) = end(drop);
        assert_eq!((code, stderr.as_str()), (0, ""), "{round}");
        let since = Instant::now();
        while arrived.last() != Some(&201) {
            assert!(since.elapsed() < PATIENCE, "round {round}: it does not open");
            stage.pair.send(&[201]);
            arrived.extend(stage.pair.receive(255, Duration::from_millis(20)));
        }
        assert_eq!(arrived.iter().filter(|number| **number < 200).count(), 0, "round {round}: {arrived:?}");
    }
    stage.plug("detach --dev near").ok();
}

#[test]
fn drop_when_killed_at_any_send_lets_nothing_out() {
    need!("sch_plug", "veth", "program_strace");
    let stage = Stage::new("drop-killed");
    stage.plug("attach --dev near --limit 64k").ok();
    let mut ended = false;
    // Each number of sends that were made before.
    for send in 1..40 {
        stage.plug("buffer --dev near").ok();
        stage.pair.send(&[1, 2, 3]);
        let strace =
            format!("strace -qq -o /dev/null -e trace=sendto -e inject=sendto:signal=KILL:when={send}");
        let done = stage.shell(&strace, "", "drop --dev near", "");
        ended = done.code == 0;
        let arrived = stage.pair.receive(1, QUIET);
        assert_eq!(arrived, NOTHING, "killed at send {send}: {done:?}");
        if !ended {
            // The plug may be closed, or replaced, or open.
            let refused = stage.plug("hold --where root --dev near --limit 64k --on-death closed -- true");
            assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "killed at send {send}, then {refused:?}");
            stage.plug("drop --dev near").ok();
        }
        assert!(stage.opens(4), "{send}");
        if ended {
            break;
        }
    }
    assert!(ended, "it was killed each time");
    stage.plug("detach --dev near").ok();
}
