//! CRIU dumps and restores a server that has an established TCP connection, with the network locked
//! by `tc-cli/docs/criu-action-script.sh` and a plug. The client counts the records that get lost,
//! and the RST segments on the line.
//!
//! CRIU 3.17.1 cannot skip its own lock, an iptables rule that drops. Its `iptables-restore` does
//! nothing here, so that the plug alone keeps packets from a kernel that lacks their socket.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

mod client;
mod container;

use tests::need;

use client::Outcome;
use container::{Container, served};

const SCRIPT: &str = include_str!("../../../tc-cli/docs/criu-action-script.sh");

const UNHARMED: Outcome = Outcome { lost: 0, resets: 0 };

#[test]
fn criu_plug_on_the_hosts_end_loses_nothing() {
    if served() {
        return;
    }
    need!("criu", "sch_plug", "veth");
    let mut container = Container::start("criu_plug_on_the_hosts_end_loses_nothing", SCRIPT);
    container.attach("near");
    container.dump().ok();
    container.wait_until_held();
    container.restore().ok();
    assert_eq!(container.outcome("host's end, opened"), UNHARMED);
}

#[test]
fn criu_plug_inside_that_drops_loses_nothing() {
    if served() {
        return;
    }
    need!("criu", "sch_plug", "veth");
    let mut container = Container::start("criu_plug_inside_that_drops_loses_nothing", SCRIPT);
    container.attach("far");
    container.dump().ok();
    container.wait_for_reset();
    container.restore().ok();
    assert_eq!(container.outcome("inside, dropped"), UNHARMED);
}

/// The control: it shows that the client sees a reset.
#[test]
fn criu_plug_inside_that_opens_resets() {
    if served() {
        return;
    }
    need!("criu", "sch_plug", "veth");
    let opens = SCRIPT.replace(":+drop}", ":+open}");
    assert_ne!(opens, SCRIPT);
    let mut container = Container::start("criu_plug_inside_that_opens_resets", &opens);
    container.attach("far");
    container.dump().ok();
    container.wait_for_reset();
    container.restore().ok();
    let outcome = container.outcome("inside, opened (control)");
    assert!(outcome.resets > 0 && outcome.lost > 0, "{outcome:?}");
}

#[test]
fn criu_dump_that_fails_leaves_the_plug_as_it_was() {
    if served() {
        return;
    }
    need!("criu", "sch_plug", "veth");
    // With this CRIU gives the dump up while the network is locked.
    let before = "    # The other actions";
    let script = SCRIPT.replace(before, &format!("    post-dump) exit 3 ;;\n{before}"));
    assert_ne!(script, SCRIPT);
    let mut container = Container::start("criu_dump_that_fails_leaves_the_plug_as_it_was", &script);
    container.place("near");
    container.dump().fails("the root qdisc noqueue none is not ours");
    container.attach("near");
    container.dump().fails("exited with");
    assert_eq!(container.held(), 0, "opened again");
    container.plug("buffer");
    container.dump().fails("already holds packets for another program");
    container.wait_until_held();
    container.plug("open");
    container.dump_from_inside().fails("CRIU runs in the network namespace of the container");
    assert_eq!(container.outcome("failed dumps"), UNHARMED);
}
