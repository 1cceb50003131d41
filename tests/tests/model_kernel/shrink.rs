//! From a long sequence that shows something to a short one that does, too.

use crate::step::Step;

/// Removes steps that are not needed, in ever smaller pieces, and simplifies the rest.
pub(crate) fn shrink(mut steps: Vec<Step>, mut shows: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    loop {
        let before = steps.clone();
        let mut piece = steps.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < steps.len() {
                let mut fewer = steps.clone();
                fewer.drain(at..(at + piece).min(steps.len()));
                if shows(&fewer) {
                    steps = fewer;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        for at in 0..steps.len() {
            while let Some(simpler) = steps[at].simpler().into_iter().find_map(|step| {
                let mut other = steps.clone();
                other[at] = step;
                shows(&other).then_some(other)
            }) {
                steps = simpler;
            }
        }
        if steps == before {
            return steps;
        }
    }
}

#[test]
fn irrelevant_steps_are_removed() {
    let send = |count, bytes| Step::Send { count, bytes };
    let many: Vec<_> = (1..40).map(|n| send(n, 60)).collect();
    let short = shrink(many, |steps| {
        steps.iter().map(Step::packets).sum::<usize>() >= 20 && steps.contains(&send(7, 60))
    });
    let packets: usize = short.iter().map(Step::packets).sum();
    assert!(packets == 20 && short.len() < 5 && short.contains(&send(7, 60)), "{short:?}");
}
