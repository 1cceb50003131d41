//! The model is the kernel: the reference state machine of plug (inside the embedded kernel, which
//! calls it as the real one calls `sch_plug`) and the real thing get the same commands and packets,
//! by chance, resets included. After every step the same packets must have come out in the same
//! order, and the counters must be the same.
//!
//! The loss of a carrier is not among them: the kernel works it off up to a second later (see
//! `commit_kernel`).
//!
//! `TC_SEED=N` repeats one sequence, `TC_SEQUENCES=N` sets their number.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod sequence;
mod shrink;
mod sides;
mod step;

use std::fmt::Write;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tests::lab::{number, tries};
use tests::need;

use sequence::sequence;
use shrink::shrink;
use sides::{Difference, Lab, Pace};
use step::Step;

/// Sequences for each of the two devices.
const SEQUENCES: usize = 1000;

#[test]
fn on_a_device_with_one_queue() {
    need!("sch_plug", "veth");
    compare(1);
}

/// Kernel: from a device with several queues up to nine packets are taken at once, and the
/// remaining releases are used up differently if there are fewer.
#[test]
fn on_a_device_with_two_queues() {
    need!("sch_plug", "veth");
    compare(2);
}

fn compare(queues: u32) {
    let (first, count) = match number("TC_SEED") {
        Some(seed) => (seed, 1),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
            (now.as_nanos() as u64 >> 10, tries("TC_SEQUENCES", SEQUENCES) as u64)
        }
    };
    let (mut lab, start) = (Lab::new(queues), Instant::now());
    let (mut steps, mut packets, mut doubts) = (0, 0, 0);
    for seed in first..first + count {
        let sequence = sequence(seed);
        steps += sequence.len();
        packets += sequence.iter().map(Step::packets).sum::<usize>();
        if lab.run(&sequence, Pace::Quick).is_none() {
            continue;
        }
        match difference(&mut lab, &sequence) {
            None => doubts += 1,
            Some(_) => panic!("{}", report(&mut lab, queues, seed, sequence)),
        }
    }
    assert!(doubts <= count / 100, "{doubts} of {count} sequences differ only when they run fast");
    tests::lab::count(&format!(
        "model: {count} sequences, {steps} steps, {packets} packets on {queues} queue(s), no difference \
         ({:.0} s; seeds from {first}; {doubts} run again)",
        start.elapsed().as_secs_f64(),
    ));
}

/// The device's queue runs asynchronously after a release: a difference counts if it persists with
/// enough time.
fn difference(lab: &mut Lab, steps: &[Step]) -> Option<Difference> {
    for _ in 0..2 {
        lab.run(steps, Pace::Calm)?;
    }
    lab.run(steps, Pace::Calm)
}

/// The shortest sequence that still differs, and how.
fn report(lab: &mut Lab, queues: u32, seed: u64, sequence: Vec<Step>) -> String {
    let whole = sequence.len();
    let steps = shrink(sequence, |steps| difference(lab, steps).is_some());
    let mut text = format!(
        "TC_SEED={seed} on {queues} queue(s): model and kernel differ; {} of {whole} steps suffice:\n",
        steps.len()
    );
    for step in &steps {
        let _ = writeln!(text, "    {step}");
    }
    match difference(lab, &steps) {
        Some(Difference { at, kernel, model }) => {
            let _ = write!(text, "after step {}:\nkernel {kernel:?}\nmodel  {model:?}", at + 1);
        }
        None => text += "(not the last time, though)",
    }
    text
}
