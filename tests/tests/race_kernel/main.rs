//! A queue that is reset at the worst moment: at each call of a release, also after the session has
//! looked and before it releases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod tap;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tc_core::link::LinkChange;
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_core::{Connection, Socket};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, Limit, NetworkState, OnDeath, OnTaint, OutputCommit, TaintCause,
};
use tests::lab::{PATIENCE, Pair, QUIET, Shared, count};
use tests::need;

use tap::{Tap, set_tx_queues};

const NOTHING: [u8; 0] = [];
/// The closed epoch.
const CLOSED: [u8; 2] = [1, 2];

/// A device whose output is held, and its far end.
trait Line {
    fn device(&self) -> &'static str;
    fn send(&self, numbers: &[u8]);
    fn receive(&self, want: usize, time: Duration) -> Vec<u8>;
    /// Restores the state that the kernel drops when a device goes down.
    fn is_up_again(&self) {}
}

impl Line for Pair {
    fn device(&self) -> &'static str {
        Self::NEAR
    }
    fn send(&self, numbers: &[u8]) {
        self.send(numbers);
    }
    fn receive(&self, want: usize, time: Duration) -> Vec<u8> {
        self.receive(want, time)
    }
    fn is_up_again(&self) {
        let known = "neigh replace 192.0.2.2 dev near lladdr 02:00:00:00:00:02 nud permanent";
        self.near.ip(known).ok();
    }
}

impl Line for Tap {
    fn device(&self) -> &'static str {
        Self::NAME
    }
    fn send(&self, numbers: &[u8]) {
        self.send(numbers);
    }
    fn receive(&self, want: usize, time: Duration) -> Vec<u8> {
        self.receive(want, time)
    }
}

type Session = OutputCommit<Shared<Socket>>;

/// A session over transports that the test keeps a hand on: that of commands, that of notices.
fn attach(device: &str, dir: &PathBuf) -> (Session, [Shared<Socket>; 2]) {
    let mut notices = Socket::open().unwrap();
    notices.set_nonblocking(true).unwrap();
    [RTNLGRP_TC, RTNLGRP_LINK].into_iter().try_for_each(|group| notices.join(group)).unwrap();
    let hands = [Shared::new(Socket::open().unwrap()), Shared::new(notices)];
    let limit = Limit::bytes(32768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(dir);
    let [commands, notices] = hands.clone();
    let session =
        OutputCommit::attach_over(Connection::over(commands), Monitor::over(notices), &[device], options);
    (session.unwrap(), hands)
}

/// Lets `happens` come before each call that a release makes: it must be found each time, and nothing
/// but the closed epoch may leave. Returns the number of calls.
fn resets_at_each_call(
    name: &str,
    line: &dyn Line,
    happens: impl Fn() + Send + Clone + 'static,
    expected: fn(&TaintCause) -> bool,
) -> u64 {
    let dir = std::env::temp_dir().join(format!("tc-race-{name}-{}", std::process::id()));
    let mut points = 0;
    for of_notices in [false, true] {
        let (mut session, hands) = attach(line.device(), &dir);
        let hand = &hands[usize::from(of_notices)];
        session.start_buffer().unwrap();
        for call in 0.. {
            let at = format!("{name}, call {call}, of notices: {of_notices}");
            let number = session.epoch();
            line.send(&CLOSED);
            let epoch = session.close().unwrap();
            line.send(&[3]);
            let before = hand.get().calls();
            hand.get().before_call(call, happens.clone());
            let released = session.release(epoch, Ack::of(number));
            if hand.get().calls() - before <= call {
                released.unwrap();
                assert_eq!(line.receive(3, QUIET), CLOSED, "{at}: nothing happened");
                break;
            }
            let Err(Error::Tainted { taint, network }) = released else {
                panic!("{at}: not found: {released:?}")
            };
            assert!(expected(&taint.cause), "{at}: {taint}");
            assert_eq!(network, NetworkState::HeldAnew, "{at}");
            line.is_up_again();
            line.send(&[4, 5, 6, 7, 8, 9]);
            let left = line.receive(9, QUIET);
            assert!(left == NOTHING || left == CLOSED && taint.during_release, "{at}: {left:?} left");
            session.restart().unwrap();
            points += 1;
        }
        // The last event was not due, and comes now.
        session.discard().unwrap();
        hand.get().before_call(0, || {});
        drop(session);
    }
    let _ = std::fs::remove_dir_all(&dir);
    count(&format!("race: {points} calls of a release with {name}, 0 uncommitted packets left"));
    points
}

/// A tc of another process, in the namespace of the calling thread.
fn foreign_tc(words: &str) {
    let status = Command::new("tc").args(words.split_whitespace()).status().unwrap();
    assert!(status.success(), "tc {words}");
}

/// Adds this qdisc if it is not there, and deletes it if it is.
fn toggle(kind: &'static str, is_there: bool) -> impl Fn() + Send + Clone + 'static {
    let is_there = Arc::new(AtomicBool::new(is_there));
    move || {
        let verb = if is_there.fetch_xor(true, Ordering::Relaxed) { "del" } else { "add" };
        foreign_tc(&format!("qdisc {verb} dev {} {kind}", Pair::NEAR));
    }
}

#[test]
fn ingress_and_clsact_at_each_call_of_a_release_leak_nothing() {
    need!("sch_plug", "veth");
    for kind in ["clsact", "ingress"] {
        for is_there in [false, true] {
            let pair = Pair::new();
            if is_there {
                foreign_tc(&format!("qdisc add dev {} {kind}", Pair::NEAR));
            }
            let happens = toggle(kind, is_there);
            let touched = |cause: &TaintCause| matches!(cause, TaintCause::IngressTouched { .. });
            let name = format!("{kind}-{}", if is_there { "deleted" } else { "added" });
            let points = resets_at_each_call(&name, &pair, happens, touched);
            assert!(points >= 6, "{points}");
        }
    }
}

#[test]
fn a_reset_of_the_link_at_each_call_of_a_release_leaks_nothing() {
    need!("sch_plug", "veth");
    const fn change(up: Option<bool>, tx_queue_len: Option<u32>) -> LinkChange {
        LinkChange { up, tx_queue_len, mtu: None }
    }
    /// The device goes down and up, or keeps running with another length of queue: both empty it.
    const RESETS: [(&str, [LinkChange; 2]); 2] = [
        ("link-down", [change(Some(false), None), change(Some(true), None)]),
        ("txqueuelen", [change(None, Some(77)), change(None, Some(1000))]),
    ];
    for (name, changes) in RESETS {
        let pair = Pair::new();
        let happens = move || {
            let mut other = Connection::open().unwrap();
            let ifindex = other.ifindex(Pair::NEAR).unwrap();
            changes.iter().for_each(|change| other.set_link(ifindex, change).unwrap());
        };
        let expected =
            |cause: &TaintCause| matches!(cause, TaintCause::LinkDown | TaintCause::TxQueueLen { .. });
        assert!(resets_at_each_call(name, &pair, happens, expected) >= 6);
    }
}

#[test]
fn a_lost_queue_at_each_call_of_a_release_leaks_nothing() {
    need!("sch_plug", "veth", "tun");
    let lost = |cause: &TaintCause| *cause == TaintCause::QueueLost;
    let tap = Tap::new();
    assert!(resets_at_each_call("tap-queue-detached", &tap, tap.second_queue(), lost) >= 6);

    let pair = Pair::new();
    // A veth has as many queues as there are CPUs, and uses one.
    if set_tx_queues(Pair::NEAR, 2).is_err() {
        println!("not tried with veth: one CPU");
        return;
    }
    let happens = || [1, 2].into_iter().for_each(|count| set_tx_queues(Pair::NEAR, count).unwrap());
    // Kernel: veth takes the carrier away meanwhile, and that is announced as well, a little later.
    let lost = |cause: &TaintCause| matches!(cause, TaintCause::QueueLost | TaintCause::Carrier);
    assert!(resets_at_each_call("veth-queues-2-to-1", &pair, happens, lost) >= 6);
}

fn is_readable(session: &OutputCommit) -> bool {
    poll(&mut [PollFd::new(session.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

/// As many new packets come as were lost, so that no counter shows it.
#[test]
fn a_lost_queue_is_found_when_new_packets_refill_it() {
    need!("sch_plug", "tun");
    let dir = std::env::temp_dir().join(format!("tc-refill-{}", std::process::id()));
    let tap = Tap::new();
    let limit = Limit::bytes(32768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
    let mut session = OutputCommit::attach(&[Tap::NAME], options).unwrap();
    tap.send(&[9]);
    assert_eq!(tap.receive(1, PATIENCE), [9], "open");
    session.start_buffer().unwrap();
    tap.send(&CLOSED);
    let epoch = session.close().unwrap();
    tap.send(&[3]);
    session.check().unwrap();
    assert!(!is_readable(&session));
    tap.second_queue()();
    assert!(is_readable(&session), "a program that polls wakes up");
    tap.send(&[4, 5, 6, 7, 8, 9]);
    let Err(Error::Tainted { taint, network }) = session.release(epoch, Ack::of(0)) else {
        panic!("not found")
    };
    assert_eq!(taint.to_string(), "device tap0: the device lost a transmit queue");
    assert_eq!(network, NetworkState::HeldAnew);
    assert_eq!(tap.receive(9, QUIET), NOTHING);
    session.restart().unwrap();
    tap.send(&CLOSED);
    let (number, epoch) = (session.epoch(), session.close().unwrap());
    tap.send(&[3]);
    session.release(epoch, Ack::of(number)).unwrap();
    assert_eq!(tap.receive(3, QUIET), CLOSED, "and it goes on");
    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(tap.receive(1, PATIENCE), [3]);
    let _ = std::fs::remove_dir_all(&dir);
}
