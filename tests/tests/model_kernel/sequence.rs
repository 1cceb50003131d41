//! Sequences by chance.

use tc_core::Verb;
use tc_core::link::LinkChange;
use tests::random::Chance;

use crate::step::{RawPlug, Step};

/// The sequence of this seed: a plug first, then whatever comes.
pub(crate) fn sequence(seed: u64) -> Vec<Step> {
    let mut chance = Chance(seed);
    let add = plug(&mut chance, Verb::Add, 1);
    // Most are short, since short ones show most.
    let longest = *chance.of(&[5, 8, 8, 24]);
    let length = 3 + chance.below(longest);
    let mut up = true;
    let mut steps = vec![add];
    steps.extend((0..length).map(|_| next(&mut chance, &mut up)));
    steps
}

/// Frames and limits are of like size, so that the limit matters.
const SIZES: [usize; 8] = [18, 60, 99, 100, 101, 199, 200, 300];
const LIMITS: [u32; 16] =
    [0, 17, 18, 99, 100, 101, 199, 200, 201, 300, 330, 400, 500, 1000, 100_000, u32::MAX];

fn next(chance: &mut Chance, up: &mut bool) -> Step {
    let change = |action, limit| Step::Qdisc {
        verb: Verb::Change,
        major: 1,
        options: Some(RawPlug { action, limit, length: 8 }),
        stab: false,
    };
    match chance.below(100) {
        0..30 => Step::Send { count: 1 + chance.below(3), bytes: *chance.of(&SIZES) },
        30..34 => Step::Send { count: 1 + chance.below(24), bytes: 60 },
        34..54 => change(0, *chance.of(&[0, 0, 0, 100])),
        54..74 => change(1, *chance.of(&[0, 0, 0, 100])),
        74..79 => change(2, *chance.of(&[0, 0, 0, 100])),
        79..86 => change(3, *chance.of(&LIMITS)),
        86..89 => {
            let (verb, major) = *chance.of(&[(Verb::Replace, 1), (Verb::Replace, 2), (Verb::Change, 2)]);
            plug(chance, verb, major)
        }
        89 => plug(chance, Verb::Add, 1),
        90 => Step::Qdisc { verb: Verb::Delete, major: 1, options: None, stab: false },
        91 => {
            let length = *chance.of(&[0, 4, 7, 8]);
            let options = Some(RawPlug { action: *chance.of(&[-1, 3, 4]), limit: 1, length });
            Step::Qdisc { verb: Verb::Change, major: 1, options, stab: false }
        }
        92..98 => {
            *up = !*up;
            Step::Link(LinkChange { up: Some(*up), ..LinkChange::default() })
        }
        98 => {
            Step::Link(LinkChange { tx_queue_len: Some(*chance.of(&[1, 2, 1000])), ..LinkChange::default() })
        }
        _ => Step::Link(LinkChange { mtu: Some(*chance.of(&[300, 400])), ..LinkChange::default() }),
    }
}

/// A request with any options: none, a limit, an action with a limit beside it.
fn plug(chance: &mut Chance, verb: Verb, major: u16) -> Step {
    let options = match chance.below(4) {
        0 => None,
        1 => Some(RawPlug { action: *chance.of(&[0, 1, 2]), limit: *chance.of(&LIMITS), length: 8 }),
        _ => Some(RawPlug { action: 3, limit: *chance.of(&LIMITS[8..]), length: 8 }),
    };
    Step::Qdisc { verb, major, options, stab: chance.below(6) == 0 }
}
