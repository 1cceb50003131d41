//! Each trap of plug, by name.

use super::*;
use proptest::prelude::*;

fn plug(packets: &[&'static str]) -> Model<&'static str> {
    let mut plug = Model::with_limit(10_000);
    send(&mut plug, packets);
    plug
}

fn send(plug: &mut Model<&'static str>, packets: &[&'static str]) {
    for packet in packets {
        assert!(plug.enqueue(packet, 100), "{packet}");
    }
}

fn sent(plug: &mut Model<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| plug.dequeue()).collect()
}

fn options(action: i32, limit: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&action.to_ne_bytes());
    bytes[4..].copy_from_slice(&limit.to_ne_bytes());
    bytes
}

#[test]
fn a_new_plug_holds_and_ignores_the_action_it_is_made_with() {
    let mut made = Model::init(Some(&options(2, 5000)), 0, 0).unwrap();
    assert_eq!(made, Model::with_limit(5000));
    send(&mut made, &["a"]);
    assert_eq!(sent(&mut made), [""; 0]);
    assert_eq!(Model::<()>::init(None, 1000, 1514).unwrap().limit_bytes(), 1_514_000);
    assert_eq!(Model::<()>::init(None, 3_000_000, 1514).unwrap().limit_bytes(), 247_032_704, "it wraps");
    assert!(Model::<()>::init(Some(&[3, 0, 0, 0]), 1000, 1514).is_err(), "absent is not short");
}

#[test]
fn two_epochs_outstanding_release_what_was_not_committed() {
    // Seen on Linux 6.1: b0 left the machine.
    let mut plug = plug(&["a0", "a1"]);
    plug.buffer();
    send(&mut plug, &["b0", "b1", "b2"]);
    plug.buffer();
    plug.release_one();
    assert_eq!(sent(&mut plug), ["a0", "a1", "b0"]);
    assert_eq!(plug.held().collect::<Vec<_>>(), [&"b1", &"b2"]);
}

#[test]
fn a_smaller_second_epoch_strands_packets() {
    let mut plug = plug(&["a0", "a1", "a2"]);
    plug.buffer();
    send(&mut plug, &["b0"]);
    plug.buffer();
    plug.release_one();
    assert_eq!(sent(&mut plug), ["a0"]);
    plug.release_one();
    assert_eq!(sent(&mut plug), [""; 0], "nothing is pending");
}

#[test]
fn epochs_in_turn_come_out_whole() {
    let mut plug = plug(&["a0", "a1"]);
    plug.buffer();
    send(&mut plug, &["b0"]);
    plug.release_one();
    assert_eq!(sent(&mut plug), ["a0", "a1"]);
    plug.buffer();
    plug.release_one();
    assert_eq!(sent(&mut plug), ["b0"]);
}

#[test]
fn a_reset_leaves_the_epochs_with_packets_that_are_gone() {
    // Seen on Linux 6.1: held 5, link down and up, b x2, BUFFER, u x4, ONE.
    let mut plug = plug(&["a"; 5]);
    plug.reset();
    assert_eq!((plug.qlen(), plug.backlog_bytes(), plug.drops()), (0, 0, 0));
    send(&mut plug, &["b0", "b1"]);
    plug.buffer();
    send(&mut plug, &["u0", "u1", "u2", "u3"]);
    plug.release_one();
    assert_eq!(sent(&mut plug), ["b0", "b1", "u0", "u1", "u2", "u3"], "7 were counted");
}

#[test]
fn a_release_without_packets_is_used_up() {
    let mut plug = plug(&["a0", "a1"]);
    plug.buffer();
    plug.reset();
    plug.release_one();
    // Each empty dequeue costs one release.
    assert_eq!((plug.dequeue(), plug.dequeue()), (None, None));
    send(&mut plug, &["x"]);
    assert_eq!(sent(&mut plug), [""; 0]);
}

#[test]
fn pass_mode_counts_nothing_and_buffer_ends_it() {
    let mut plug = plug(&["a0"]);
    plug.release_indefinite();
    send(&mut plug, &["a1"]);
    assert_eq!(sent(&mut plug), ["a0", "a1"]);
    plug.release_one();
    send(&mut plug, &["a2"]);
    assert_eq!(sent(&mut plug), ["a2"], "a release in pass mode does nothing");
    send(&mut plug, &["a3"]);
    plug.buffer();
    plug.release_one();
    assert_eq!(sent(&mut plug), [""; 0], "a3 belongs to no epoch");
}

#[test]
fn release_indefinite_and_buffer_repair_the_counts() {
    let mut plug = plug(&["a"; 5]);
    plug.reset();
    plug.release_indefinite();
    plug.buffer();
    send(&mut plug, &["b0"]);
    plug.buffer();
    send(&mut plug, &["u0"]);
    plug.release_one();
    assert_eq!(sent(&mut plug), ["b0"]);
}

#[test]
fn the_limit_is_in_bytes_and_does_not_shorten_the_queue() {
    let mut plug = Model::with_limit(250);
    assert!(plug.enqueue(0, 100) && plug.enqueue(1, 150));
    assert!(!plug.enqueue(2, 1) && plug.enqueue(3, 0), "full to the byte");
    assert_eq!((plug.qlen(), plug.backlog_bytes(), plug.drops()), (3, 250, 1));
    plug.set_limit(0);
    assert!(!plug.enqueue(4, 1));
    assert_eq!((plug.qlen(), plug.drops()), (3, 2));
    let mut largest = Model::with_limit(u32::MAX);
    assert!(largest.enqueue(0, u32::MAX) && !largest.enqueue(1, 1), "no wrap");
}

#[test]
fn a_size_table_counts_for_what_is_held_alone() {
    let mut plug = Model::with_limit(200);
    assert!(plug.enqueue_counted(0, 100, 150) && !plug.enqueue(1, 51) && plug.enqueue(2, 50));
    assert_eq!(plug.backlog_bytes(), 200);
    plug.release_indefinite();
    assert_eq!((plug.dequeue(), plug.backlog_bytes()), (Some(0), 50));
}

#[test]
fn changes_read_bytes() {
    let mut plug = plug(&["a"]);
    assert_eq!(plug.change(&options(0, 1)), Ok(Wakeup::Stays));
    assert_eq!(plug.limit_bytes(), 10_000, "only the limit action sets the limit");
    assert_eq!(plug.change(&options(3, 1)), Ok(Wakeup::Stays));
    assert_eq!(plug.limit_bytes(), 1);
    assert_eq!(plug.change(&options(1, 0)), Ok(Wakeup::Runs));
    assert_eq!(plug.change(&options(2, 0)), Ok(Wakeup::Runs));
    let before = plug.clone();
    for bad in [&options(4, 0)[..], &options(-1, 0), &[0; 7], &[]] {
        assert!(plug.change(bad).is_err(), "{bad:?}");
    }
    assert_eq!(plug, before);
}

proptest! {
    #[test]
    fn order_and_counters_hold_whatever_comes(steps in proptest::collection::vec((0u8..7, 0u32..300), 0..200)) {
        let mut plug = Model::with_limit(1000);
        let (mut next, mut last_out, mut drops) = (0u32, None, 0);
        for (step, number) in steps {
            match step {
                0 => plug.buffer(),
                1 => plug.release_one(),
                2 => plug.release_indefinite(),
                3 => plug.set_limit(number * 10),
                4 => plug.reset(),
                5 => {
                    drops += u32::from(!plug.enqueue(next, number));
                    next += 1;
                }
                _ => if let Some(out) = plug.dequeue() {
                    prop_assert!(last_out < Some(out));
                    last_out = Some(out);
                },
            }
            prop_assert_eq!(plug.drops(), drops);
            prop_assert_eq!(plug.qlen() as usize, plug.held().count());
            prop_assert!(plug.qlen() > 0 || plug.backlog_bytes() == 0);
        }
    }
}
