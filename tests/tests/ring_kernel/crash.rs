//! The controller dies: the network is as the policy says, and the ring is taken up.

use std::env;
use std::time::Duration;

use tc_core::Connection;
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, Error, GuardianCommand, Journal, Limit, OnAdopt, OnDeath, OnTaint, OrphanedSession,
    guardian,
};
use tc_qdiscs::plug::ring::{Depth, Ring, RingOptions};
use tests::lab::{PATIENCE, Pair, QUIET};
use tests::need;

use crate::{Dir, NOTHING, attach, options};

/// A dead session that holds 1 and 2 in closed epochs and 3 in the open one.
fn dead(dir: &Dir, pair: &Pair) -> std::path::PathBuf {
    let mut ring = attach(dir, 4);
    ring.start_buffer().unwrap();
    for number in [1, 2] {
        pair.send(&[number]);
        let _token = ring.close().unwrap();
    }
    pair.send(&[3]);
    let journal = ring.journal_path().to_owned();
    drop(ring);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "it stays closed");
    let error = Ring::attach(&["near".into()], options(dir, OnTaint::FailClosed)).unwrap_err();
    assert!(matches!(error, Error::Orphaned { .. }), "{error}");
    journal
}

#[test]
fn a_dead_session_is_rescued_or_adopted() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let all = [1, 2, 3];
    for way in ["remove drop", "remove release", "open", "drop held", "adopt drop", "adopt release"] {
        let (dir, pair) = (Dir::new("dead"), Pair::new());
        let journal = dead(&dir, &pair);
        let mut tc = Connection::open().unwrap();
        let left = || OrphanedSession::read(&journal).unwrap();
        let adopt = |held| {
            let old = options(&dir, OnTaint::FailClosed);
            RingOptions::new(old.attach.adopt(&journal, held)).depth(Depth::new(4).unwrap())
        };
        let (expected, stays) = match way {
            "remove drop" => {
                assert_eq!(left().remove(&mut tc, OnAdopt::Drop, PATIENCE).unwrap(), 1);
                (&NOTHING[..], false)
            }
            "remove release" => {
                assert_eq!(left().remove(&mut tc, OnAdopt::Release, PATIENCE).unwrap(), 1);
                (&all[..], false)
            }
            "open" => {
                assert_eq!(left().open(&mut tc).unwrap(), 1);
                (&all[..], true)
            }
            "drop held" => {
                let limit = Limit::bytes(1_000_000.try_into().unwrap());
                let dropped = left().drop_held(&mut tc, limit).unwrap();
                let bytes = 3 * u64::from(Pair::FRAME_BYTES);
                assert_eq!((dropped.devices, dropped.packets, dropped.bytes), (1, 3, bytes));
                (&NOTHING[..], true)
            }
            way => {
                let held = if way == "adopt drop" { OnAdopt::Drop } else { OnAdopt::Release };
                let mut ring = Ring::attach(&["near".into()], adopt(held)).unwrap();
                let expected = if held == OnAdopt::Drop { &NOTHING[..] } else { &all[..] };
                assert_eq!(pair.receive(4, QUIET), expected, "{way}");
                ring.start_buffer().unwrap();
                pair.send(&[4]);
                let epoch = ring.close().unwrap();
                pair.send(&[5]);
                ring.release(epoch, Ack::of(0)).unwrap();
                assert_eq!(pair.receive(2, QUIET), [4], "{way}: it goes on");
                ring.detach().unwrap();
                assert_eq!(pair.receive(1, PATIENCE), [5]);
                (&NOTHING[..], false)
            }
        };
        assert_eq!(pair.receive(expected.len().max(1), QUIET), expected, "{way}");
        pair.send(&[9]);
        assert_eq!(pair.receive(1, PATIENCE), [9], "{way}: the network is open");
        assert_eq!(Journal::find(&dir.0).unwrap().is_empty(), !stays, "{way}");
        let ifb = pair.near.ip("-br link").ok().contains("plug-");
        assert_eq!(ifb, stays, "{way}: the IFB");
    }
}

#[test]
fn an_adopted_ring_of_another_depth_is_refused() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let (dir, pair) = (Dir::new("depth"), Pair::new());
    let journal = dead(&dir, &pair);
    let options = RingOptions::new(options(&dir, OnTaint::FailClosed).attach.adopt(&journal, OnAdopt::Drop));
    let error = Ring::attach(&["near".into()], options).unwrap_err();
    assert!(matches!(error, Error::OtherDepth { found: 4, wanted: 8, .. }), "{error}");
    assert_eq!(pair.receive(1, QUIET), NOTHING, "it stays closed");
}

const ROLE: &str = "TC_RING_TEST_ROLE";
const TEST: &str = "crash::a_guardian_opens_the_ring";

#[test]
fn a_guardian_opens_the_ring() {
    if env::var_os(ROLE).is_some() {
        // Standard input is its session.
        guardian::run().unwrap();
        return;
    }
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let guardian = [TEST, "--exact", "--nocapture"]
        .into_iter()
        .fold(GuardianCommand::new(env::current_exe().unwrap()), GuardianCommand::arg)
        .env(ROLE, "guardian");
    // The session is dropped, or its deadline passes.
    for (deadline, dropped) in [(Duration::from_secs(600), true), (Duration::from_millis(700), false)] {
        let (dir, pair) = (Dir::new("guardian"), Pair::new());
        let limit = Limit::bytes(1_000_000.try_into().unwrap());
        let on_death = OnDeath::OpenAfter { deadline, guardian: guardian.clone() };
        let options = AttachOptions::new(limit, OnTaint::FailClosed, on_death).journal_dir(&dir.0);
        let mut ring = Ring::attach(&["near".into()], options).unwrap();
        ring.start_buffer().unwrap();
        pair.send(&[1]);
        let _token = ring.close().unwrap();
        pair.send(&[2]);
        let mut ring = Some(ring);
        if dropped {
            assert_eq!(pair.receive(1, QUIET), NOTHING);
            ring = None;
        }
        assert_eq!(pair.receive(2, PATIENCE), [1, 2], "dropped: {dropped}");
        pair.send(&[3]);
        assert_eq!(pair.receive(1, PATIENCE), [3], "open for good");
        if let Some(mut ring) = ring {
            // The guardian's change is somebody else's.
            assert!(matches!(ring.check(), Err(Error::Tainted { .. })));
        }
    }
}
