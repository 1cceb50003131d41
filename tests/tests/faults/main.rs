//! Trust under faults: every operation of the library, with everything that can go wrong on the way
//! to the kernel, at every call.
//!
//! The kernel is the one in memory, so that it can be asked for the truth afterwards: an
//! operation that reported success was carried out, one that reported a failure was not, and only an unknown
//! outcome can be either.
//! See `tc-core/docs/faults.md`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod asynchronous;
mod commit;
mod follow;
mod operations;
mod ring;
mod world;

use tc_core::embedded::Fault;
use tests::lab::count;

use operations::{Operation, operations};
use world::{ETH0, Said, World};

/// The fault of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Fault(Fault),
    /// The device vanishes right before the call.
    Unplugged,
}

impl Trouble {
    fn all() -> impl Iterator<Item = Self> {
        Fault::ALL.into_iter().map(Self::Fault).chain([Self::Unplugged])
    }

    /// Whether no kernel does that: netlink keeps the order, and reports a loss before it delivers a
    /// later datagram. Operations with one answer for many requests rely on it.
    const fn is_against_netlink(self) -> bool {
        matches!(self, Self::Fault(Fault::Lost | Fault::Reordered))
    }
}

#[test]
fn every_operation_reports_truthfully_under_any_fault() {
    let mut survived = 0;
    let mut troubles = std::collections::BTreeSet::new();
    for operation in operations() {
        let right = without_trouble(operation);
        for trouble in Trouble::all() {
            // A fault can cause more calls; one after the last does nothing.
            for call in 0..right.calls + 2 {
                if with_trouble(operation, &right, trouble, call) {
                    survived += 1;
                    troubles.insert(format!("{trouble:?}"));
                }
            }
        }
    }
    assert_eq!(troubles.len(), Fault::ALL.len() + 1, "every one of them happened: {troubles:?}");
    count(&format!(
        "{survived} faults survived: {} operations, {} sorts of faults, at every call",
        operations().count(),
        troubles.len()
    ));
}

/// How an operation goes where nothing goes wrong.
struct Right {
    calls: u64,
    said: Vec<Said>,
    before: String,
    /// Its result without the device.
    unplugged: String,
}

fn without_trouble(operation: &Operation) -> Right {
    let name = operation.name;
    let mut world = World::new(operation);
    let before = world.truth();
    let said = world.run(operation);
    assert_eq!(said.len(), operation.parts, "{name}");
    let changed = world.truth() != before;
    assert_eq!(changed, operation.changes, "{name}: {said:?}");
    for (part, said) in said.iter().enumerate() {
        let refused = (operation.refused)(part);
        assert_eq!(matches!(said, Said::Done(_)), !refused, "{name}, part {part}: {said:?}");
        if operation.changes {
            assert_eq!((operation.happened)(&world, part), !refused, "{name}, part {part}");
        }
    }
    let calls = world.calls();
    let mut world = World::new(operation);
    world.kernel.remove_device(ETH0);
    Right { calls, said, before, unplugged: world.truth() }
}

/// Runs an operation with one fault, and judges its report; returns whether the fault occurred.
fn with_trouble(operation: &Operation, right: &Right, trouble: Trouble, call: u64) -> bool {
    let when = || format!("{} with {trouble:?} at call {call}", operation.name);
    let mut world = World::new(operation);
    match trouble {
        Trouble::Fault(fault) => world.tc().transport_mut().at_call(call, fault),
        Trouble::Unplugged => {
            let kernel = world.kernel.clone();
            world.tc().transport_mut().before_call(call, move || assert!(kernel.remove_device(ETH0)));
        }
    }
    let said = world.run(operation);
    let happened = match trouble {
        Trouble::Fault(_) => !world.tc().transport().happened().is_empty(),
        Trouble::Unplugged => call < world.calls(),
    };
    let unplugged = trouble == Trouble::Unplugged && happened;
    judge(operation, right, &mut world, &said, trouble, unplugged, call);
    if !happened {
        return false;
    }
    // The connection is usable afterwards, and stale answers do not mislead it.
    let next = world.tc().link_by_index(world::ETH1).unwrap();
    assert_eq!(next.ifindex, world::ETH1, "{}", when());
    true
}

/// Judges the report of an operation by the kernel's state.
fn judge(
    operation: &Operation,
    right: &Right,
    world: &mut World,
    said: &[Said],
    trouble: Trouble,
    unplugged: bool,
    call: u64,
) {
    let when = || format!("{} with {trouble:?} at call {call}", operation.name);
    assert_eq!(said.len(), operation.parts, "{}: an outcome for each part", when());
    let after = world.truth();
    let trusts_netlink = operation.trusts_netlink && trouble.is_against_netlink();
    for (part, said) in said.iter().enumerate() {
        match said {
            Said::Unknown(_) => {}
            Said::Done(digest) if !operation.changes => {
                let Said::Done(right) = &right.said[part] else { panic!("{}", when()) };
                let part_of = || digest.iter().all(|line| right.contains(line));
                assert!(
                    digest == right || (trusts_netlink || unplugged) && part_of(),
                    "{}: {digest:?} for {right:?}",
                    when()
                );
            }
            Said::Done(digest) => {
                let done = (operation.happened)(world, part);
                // Changes on a device are gone with it.
                let gone = unplugged && (call > 0 || !operation.on_device);
                assert!(done || gone || trusts_netlink, "{}: part {part} was not done", when());
                if let Said::Done(right) = &right.said[part] {
                    assert!(digest.iter().all(|line| right.contains(line)), "{}: {digest:?}", when());
                }
            }
            Said::Failed(why) if operation.parts == 1 => {
                let before =
                    if unplugged && after != right.before { &right.unplugged } else { &right.before };
                assert_eq!(&after, before, "{}: {why}, and all the same this changed", when());
            }
            Said::Failed(why) => {
                assert!(!(operation.happened)(world, part), "{}: part {part} was done: {why}", when());
            }
        }
    }
}
