//! Breadth-first search over all states of a world, with the shortest way to a violation.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::world::{Action, Bounds, World};

/// The result of a search.
pub(crate) struct Found {
    /// Different states.
    pub(crate) states: usize,
    /// Whether there are no others within the bounds.
    pub(crate) all: bool,
    /// The shortest way to a violation.
    pub(crate) violation: Option<Trace>,
}

/// A way to a violation.
pub(crate) struct Trace {
    pub(crate) steps: usize,
    pub(crate) text: String,
}

/// Multiplies and folds: a fingerprint of 64 bits. Among 10^7 states two share one with a probability of
/// 3 in a million; one of them would not be looked at.
#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f_u128;
        self.0 = (product as u64 ^ (product >> 64) as u64).rotate_left(23).wrapping_add(value);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.0) * 0xe703_7ed1_a0b4_28db_u128;
        product as u64 ^ (product >> 64) as u64
    }
}

/// A fingerprint is its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Visits up to `most` states, those that are nearest to the start first.
pub(crate) fn explore(bounds: &Bounds, most: usize) -> Found {
    let mut seen: HashSet<u64, BuildHasherDefault<Same>> = HashSet::default();
    // For each state the state before it, and the step between.
    let mut ways: Vec<(u32, Action)> = Vec::new();
    let mut next = VecDeque::new();
    let mut all = true;
    let start = World::new(bounds);
    seen.insert(fingerprint(&start));
    ways.push((0, Action::Start));
    next.push_back((0_u32, start));
    let mut actions = Vec::new();
    while let Some((id, world)) = next.pop_front() {
        actions.clear();
        world.actions(bounds, &mut actions);
        for &action in &actions {
            let mut after = world.clone();
            let judged = after.step(action, bounds).and_then(|changed| {
                if changed {
                    after.judge_end(bounds)?;
                }
                Ok(changed)
            });
            match judged {
                Ok(false) => continue,
                Ok(true) => {}
                Err(violation) => {
                    let trace = trace(bounds, &ways, (id, action), &violation);
                    return Found { states: seen.len(), all: false, violation: Some(trace) };
                }
            }
            if !seen.insert(fingerprint(&after)) {
                continue;
            }
            if ways.len() >= most {
                all = false;
                continue;
            }
            ways.push((id, action));
            next.push_back((ways.len() as u32 - 1, after));
        }
        if !all && ways.len() >= most {
            break;
        }
    }
    Found { states: ways.len(), all, violation: None }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = Fingerprint::default();
    world.hash(&mut hasher);
    hasher.finish()
}

/// The steps from the start, each with the state after it.
fn trace(bounds: &Bounds, ways: &[(u32, Action)], last: (u32, Action), violation: &str) -> Trace {
    let mut actions = vec![last.1];
    let mut at = last.0 as usize;
    while at != 0 {
        actions.push(ways[at].1);
        at = ways[at].0 as usize;
    }
    actions.reverse();
    let mut world = World::new(bounds);
    let mut text = String::new();
    for (number, action) in actions.iter().enumerate() {
        let _violation = world.step(*action, bounds);
        let _ = writeln!(text, "{:3} {action:?}: {}", number + 1, world.describe(bounds));
    }
    let _ = writeln!(text, "    {violation}");
    Trace { steps: actions.len(), text }
}
