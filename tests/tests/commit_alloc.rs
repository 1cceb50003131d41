//! That the epoch path allocates nothing, counted by the allocator. A file of
//! its own: every program that counts has another allocator.

use tc_qdiscs::plug::commit::{Ack, AttachOptions, DetachMode, Limit, OnDeath, OnTaint, OutputCommit};
use tc_qdiscs::plug::place::Place;
use tc_qdiscs::plug::ring::{Ring, Site};
use tests::lab::{PATIENCE, Pair};
use tests::need;

#[test]
fn an_epoch_allocates_nothing() {
    need!("sch_plug", "veth");
    let pair = Pair::new();
    pair.near.veth_to("near2", &pair.far, "far2");
    let dir = std::env::temp_dir().join(format!("tc-plug-alloc-{}", std::process::id()));
    let limit = Limit::bytes(32768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let mut session = OutputCommit::attach(&["near", "near2"], options).unwrap();
    session.start_buffer().unwrap();
    for round in 0..3 {
        pair.send(&[1, 2, 3]);
        let counted = allocation_counter::measure(|| {
            let epoch = session.close().unwrap();
            session.check().unwrap();
            session.release(epoch, Ack::of(round)).unwrap();
        });
        assert_eq!(counted.count_total, 0, "round {round}: {counted:?}");
        assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3]);
    }
    // The counter counts.
    assert_ne!(allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 9]))).count_total, 0);
    session.detach(DetachMode::Remove).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn an_epoch_of_a_ring_allocates_nothing() {
    need!("sch_plug", "sch_prio", "veth");
    let pair = Pair::new();
    let dir = std::env::temp_dir().join(format!("tc-ring-alloc-{}", std::process::id()));
    let limit = Limit::bytes(32768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let mut ring = Ring::attach(&[Site::new("near", Place::Root)], options).unwrap();
    ring.start_buffer().unwrap();
    for round in 0..10 {
        pair.send(&[1, 2, 3]);
        let counted = allocation_counter::measure(|| {
            let epoch = ring.close().unwrap();
            ring.release(epoch, Ack::of(round)).unwrap();
            ring.tend().unwrap();
        });
        assert_eq!(counted.count_total, 0, "round {round}: {counted:?}");
        assert_eq!(pair.receive(3, PATIENCE), [1, 2, 3]);
    }
    ring.detach().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}
