//! All states of a ring within bounds: the real transitions, a model of the kernel, and an adversary.
//!
//! `RING_STATES` is the number of states, 200,000 by default; `tests/run --full` visits 10,000,000.

#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

mod explore;
mod judge;
mod kernel;
mod weak;
mod world;

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

use explore::explore;
use weak::Weak;
use world::{Bounds, OnDeath};

const BOUNDS: Bounds = Bounds {
    bands: 2,
    on_death: OnDeath::Closed,
    epochs: 4,
    packets: 4,
    resets: 1,
    foreign: 0,
    lost: 0,
    restarts: 1,
    weak: None,
};

/// The worlds of a search: depths 2 to 5, each with other adversaries.
const SEARCHES: [Bounds; 8] = [
    Bounds { resets: 2, lost: 1, ..BOUNDS },
    Bounds { foreign: 1, ..BOUNDS },
    Bounds { bands: 3, epochs: 5, lost: 1, ..BOUNDS },
    Bounds { bands: 3, on_death: OnDeath::Open, ..BOUNDS },
    Bounds { bands: 4, epochs: 6, ..BOUNDS },
    Bounds { bands: 4, foreign: 1, epochs: 5, packets: 3, ..BOUNDS },
    Bounds { bands: 5, epochs: 7, packets: 3, lost: 1, ..BOUNDS },
    Bounds { bands: 5, epochs: 6, packets: 4, on_death: OnDeath::Open, ..BOUNDS },
];

/// `tests/run` prints these lines.
fn count(text: &str) {
    println!("count: {text}");
    if let Some(path) = env::var_os("TC_COUNTS") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    }
}

fn states() -> usize {
    env::var("RING_STATES").map_or(200_000, |text| text.parse().unwrap())
}

#[test]
fn no_state_of_a_ring_leaks_or_forgets_an_epoch() {
    let most = states();
    // A short search reaches the reuse of a band only if it has one world or two.
    let searches = &SEARCHES[..if most < 1_000_000 { 2 } else { SEARCHES.len() }];
    let (mut visited, mut exhausted) = (0, 0);
    for (number, bounds) in searches.iter().enumerate() {
        // States that a search does not need are for those after it.
        let share = (most - visited).div_ceil(searches.len() - number);
        let found = explore(bounds, share);
        if let Some(trace) = found.violation {
            panic!("{bounds:?}\n{}", trace.text);
        }
        println!("{} states, {}: {bounds:?}", found.states, if found.all { "all" } else { "not all" });
        visited += found.states;
        exhausted += usize::from(found.all);
    }
    assert!(visited >= most.min(100_000), "only {visited} states");
    count(&format!(
        "ring: {visited} states of {} worlds ({exhausted} of them whole), 0 violations",
        searches.len()
    ));
}

#[test]
fn each_weakened_session_is_found() {
    let mut lines = Vec::new();
    for weak in Weak::ALL {
        let on_death = match weak {
            Weak::TheGuardianOpensOneDevice => OnDeath::Open,
            _ => OnDeath::Closed,
        };
        let bands = if weak == Weak::BandReusedTooEarly { 3 } else { 2 };
        let foreign = u8::from(weak == Weak::ForeignChangesAreIgnored);
        let lost = u8::from(weak == Weak::LostAnswersCountAsDone);
        let resets = u8::from(weak == Weak::ReleaseOne);
        let small = Bounds { epochs: 3, packets: 2, restarts: 0, ..BOUNDS };
        let bounds = Bounds { weak: Some(weak), on_death, bands, foreign, lost, resets, ..small };
        let found = explore(&bounds, 4_000_000);
        let Some(trace) = found.violation else {
            panic!("{weak:?} was not found among {} states", found.states);
        };
        println!("{weak:?}, after {} states:\n{}", found.states, trace.text);
        lines.push(format!("{weak:?} in {} steps", trace.steps));
    }
    count(&format!("ring: {} weakened sessions found: {}", lines.len(), lines.join(", ")));
}
