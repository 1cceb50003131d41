//! The proof of output commit: no reply that a client saw is missing from the backup, whenever the
//! server dies.
//!
//! A server counts the requests of its clients and holds its replies by output commit; each epoch's
//! state goes to a backup, another process. The server is killed (SIGKILL) at a random step or
//! time, and the backup continues from its state, as a server with another backup. That state must include
//! every reply that a client ever received.
//!
//! Negative controls: the judge must find violations in each weaker set-up: without a plug, released too
//! early, with two epochs outstanding, with an unchecked flapping link, with only IPv4 captured.
//!
//! `PROOF_KILLS=N` sets the number of killed servers (200), `PROOF_KILLS_BESIDE=N` that of the other
//! campaigns (6 to 30), `PROOF_SEED=N` the seed of steps, times and bursts; the scheduling differs between
//! runs.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so"
)]

mod backup;
mod campaign;
mod clients;
mod gate;
mod ledger;
mod replica;
mod server;
mod words;
mod world;

use tests::lab::{count, tries};
use tests::need;

use campaign::{Campaign, Outcome, Tcp};
use clients::UDP;
use gate::Kind;
use replica::{STEPS, played};
use world::{Lead, World};

/// The number of kills after which a control has failed.
const MOST: usize = 100;

/// The longest transfer of a checkpoint, in milliseconds.
const LINE_MS: usize = 16;
/// The longest transfer on a line that is slower than an epoch, in milliseconds.
const SLOW_MS: usize = 80;

/// Output commit as it is meant: nothing may be missing.
fn holds(name: &str, campaign: &Campaign<'_>) -> Outcome {
    let outcome = campaign.run();
    count(&format!("proof: {name}: {}", outcome.text()));
    let backups = outcome.ledger.ignorant();
    assert_eq!(outcome.missing(), [], "{name}: seed {}, backups {backups:?}", outcome.seed);
    assert_eq!(outcome.ledger.twice, [], "{name}: seed {}", outcome.seed);
    assert!(outcome.ledger.checked >= campaign.kills as u64, "{name}: hardly a reply was seen");
    outcome
}

/// Something less: the judge must find it out.
fn leaks(name: &str, campaign: &Campaign<'_>) -> Outcome {
    let outcome = campaign.run();
    count(&format!("proof: control {name}: {}", outcome.text()));
    assert_ne!(outcome.missing(), [], "{name}: seed {}", outcome.seed);
    outcome
}

const fn guarded<'a>(test: &'a str, world: &'a World, kills: usize) -> Campaign<'a> {
    Campaign {
        test,
        world,
        kind: Kind::Commit,
        flaps: false,
        line_ms: LINE_MS,
        tcp: Tcp::Brief,
        kills,
        steps: &STEPS,
        until_violated: false,
    }
}

const fn control<'a>(test: &'a str, world: &'a World, kind: Kind) -> Campaign<'a> {
    Campaign {
        test,
        world,
        kind,
        flaps: false,
        line_ms: LINE_MS,
        tcp: Tcp::Brief,
        kills: MOST,
        steps: &[],
        until_violated: true,
    }
}

/// How many servers are killed in a campaign beside the first.
fn beside(kills: usize) -> usize {
    tries("PROOF_KILLS_BESIDE", kills).max(3)
}

#[test]
fn the_backup_has_every_received_reply() {
    const ME: &str = "the_backup_has_every_received_reply";
    if played() {
        return;
    }
    need!("sch_plug", "veth");
    let kills = tries("PROOF_KILLS", 200);
    let outcome = holds("output commit", &guarded(ME, &World::direct(), kills));
    let seen = outcome.ledger.of_clients;
    count(&format!("proof: killed at {:?}; replies of each client: {seen:?}", outcome.moments));
    assert!(outcome.epochs >= kills as u64, "{} epochs", outcome.epochs);
    let (udp, tcp) = seen.split_at(UDP);
    let all = outcome.moments.len() == STEPS.len() + 1 && !udp.contains(&0) && tcp != [0, 0];
    assert!(kills < 200 || all, "{:?}, {seen:?}", outcome.moments);
}

#[test]
fn without_a_plug_replies_are_missing() {
    const ME: &str = "without_a_plug_replies_are_missing";
    if played() {
        return;
    }
    need!("veth");
    leaks("no plug", &control(ME, &World::direct(), Kind::Nothing));
}

#[test]
fn released_when_written_replies_are_missing() {
    const ME: &str = "released_when_written_replies_are_missing";
    if played() {
        return;
    }
    need!("sch_plug", "veth");
    let world = World::direct();
    let campaign = control(ME, &world, Kind::Written);
    leaks("released when written", &Campaign { line_ms: SLOW_MS, steps: &["shipped"], ..campaign });
}

#[test]
fn with_two_epochs_out_replies_are_missing() {
    const ME: &str = "with_two_epochs_out_replies_are_missing";
    if played() {
        return;
    }
    need!("sch_plug", "veth");
    let world = World::direct();
    let campaign = control(ME, &world, Kind::Raw(2));
    leaks("two epochs out", &Campaign { line_ms: SLOW_MS, steps: &["released"], ..campaign });
    drop(world);
    let world = World::direct();
    holds("slow line, output commit", &Campaign { line_ms: SLOW_MS, ..guarded(ME, &world, beside(12)) });
}

#[test]
fn on_a_flapping_link_unchecked_replies_are_missing() {
    const ME: &str = "on_a_flapping_link_unchecked_replies_are_missing";
    if played() {
        return;
    }
    need!("sch_plug", "veth");
    let world = World::direct();
    leaks("link flap, plug commands", &Campaign { flaps: true, ..control(ME, &world, Kind::Raw(1)) });
    drop(world);
    let world = World::direct();
    let outcome = holds(
        "link flap, output commit",
        &Campaign { flaps: true, steps: &[], ..guarded(ME, &world, beside(30)) },
    );
    count(&format!("proof: link flap, output commit: {} taints", outcome.taints));
    assert!(outcome.taints >= outcome.kills / 2, "{} taints", outcome.taints);
}

#[test]
fn with_surviving_tcp_sockets_replies_are_missing() {
    const ME: &str = "with_surviving_tcp_sockets_replies_are_missing";
    if played() {
        return;
    }
    need!("sch_plug", "veth");
    let world = World::direct();
    leaks("TCP outlives the process", &Campaign { tcp: Tcp::Outlives, ..control(ME, &world, Kind::Commit) });
    drop(world);
    let world = World::direct();
    let campaign = Campaign { tcp: Tcp::Patient, steps: &[], ..guarded(ME, &world, beside(6)) };
    holds("TCP ends with the process", &campaign);
}

#[test]
fn with_only_ipv4_captured_ipv6_replies_are_missing() {
    const ME: &str = "with_only_ipv4_captured_ipv6_replies_are_missing";
    if played() {
        return;
    }
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth", "bridge");
    let world = World::captured(Lead::Ipv4Only);
    let control = Campaign { until_violated: false, kills: 10, ..control(ME, &world, Kind::Commit) };
    let outcome = leaks("IPv4 captured alone", &control);
    let over_ipv6 = |reply: &words::Reply| World::is_ipv6(reply.request.client);
    assert!(outcome.missing().iter().all(over_ipv6), "{:?}", outcome.missing());
    drop(world);
    holds("all captured", &guarded(ME, &World::captured(Lead::Capture), beside(30)));
}
