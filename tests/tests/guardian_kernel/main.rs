//! Controllers that die: their plugs, guardians and journals.
//!
//! A controller is this executable once more, with the same test's name: it
//! plays its role instead of the test. So is a guardian.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at an unexpected error")]

mod controller;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tc_core::Connection;
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, GuardianCommand, GuardianError, Journal, JournalError, Limit,
    NetworkState, OnAdopt, OnDeath, OnTaint, OrphanedSession, OutputCommit,
};
use tests::lab::{Net, PATIENCE, Pair, QUIET};
use tests::need;

use controller::{Controller, LONG, dir, ends, guardian_of, guardians_of, options, played, stat};

const NOTHING: [u8; 0] = [];

/// Begins a test with its name: a child of the test only plays its role.
macro_rules! begin {
    () => {{
        fn me() {}
        let path = std::any::type_name_of_val(&me).trim_end_matches("::me");
        let me = path.split_once("::").unwrap().1;
        if played(me) {
            return;
        }
        need!("sch_plug", "veth");
        (me, Pair::new())
    }};
}

fn root(pair: &Pair) -> String {
    pair.near.tc("qdisc show dev near").ok()
}

/// Whether a packet with this number gets through.
fn opens(pair: &Pair, number: u8) -> bool {
    pair.send(&[number]);
    pair.receive(255, QUIET).contains(&number)
}

#[test]
fn a_guardian_opens_when_the_controller_is_killed() {
    let (me, pair) = begin!();
    let mut controller = Controller::start(me, &pair.near, "hold", Some(LONG));
    let guardian = controller.guardian(me).expect("it runs");
    assert_eq!(stat(guardian, 3), Some(guardian.to_string()), "it leads a session of its own");
    pair.send(&[1, 2]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "held");
    controller.kill();
    assert_eq!(pair.receive(2, PATIENCE), [1, 2], "let go");
    assert!(opens(&pair, 3));
    assert!(ends(guardian));
    // The next process finds the plugs.
    let left = OrphanedSession::read(&controller.journal()).unwrap();
    assert!(root(&pair).contains("qdisc plug "));
    let removed = left.remove(&mut Connection::open().unwrap(), OnAdopt::Release, PATIENCE).unwrap();
    assert_eq!(removed, 1);
    assert!(!root(&pair).contains("plug"));
    assert_eq!(Journal::find(&controller.dir).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_guardian_opens_whenever_the_controller_is_killed() {
    let (me, pair) = begin!();
    for round in 0..12_u8 {
        let mut controller = Controller::start(me, &pair.near, "cycle", Some(LONG));
        let guardian = controller.guardian(me).expect("it runs");
        // Somewhere within a cycle of BUFFER, RELEASE_ONE and RELEASE_INDEFINITE.
        thread::sleep(Duration::from_micros(u64::from(round) * 1371 % 9000));
        controller.kill();
        assert!(ends(guardian), "round {round}");
        assert!(opens(&pair, round + 1), "round {round}");
        let left = OrphanedSession::read(&controller.journal()).unwrap();
        assert_eq!(left.remove(&mut Connection::open().unwrap(), OnAdopt::Drop, PATIENCE).unwrap(), 1);
    }
}

#[test]
fn a_controller_killed_while_it_attaches_leaves_nothing_closed() {
    let (me, pair) = begin!();
    for round in 0..12_u64 {
        let mut controller = Controller::spawn(me, &pair.near, "hold", Some(LONG));
        // The journal is the first thing it writes.
        let since = Instant::now();
        while Journal::find(&controller.dir).unwrap().is_empty() && since.elapsed() < PATIENCE {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(round * 12));
        controller.kill();
        for pid in guardians_of(me) {
            assert!(ends(pid), "round {round}");
        }
        assert!(opens(&pair, round as u8 + 1), "round {round}: {}", root(&pair));
        let _ = pair.near.tc("qdisc del dev near root");
    }
}

#[test]
fn a_guardian_opens_at_the_deadline_of_a_controller_that_hangs() {
    let (me, pair) = begin!();
    let deadline = Duration::from_millis(1500);
    let since = Instant::now();
    let mut controller = Controller::start(me, &pair.near, "hold", Some(deadline));
    let guardian = controller.guardian(me).expect("it runs");
    controller.signal(Signal::SIGSTOP);
    pair.send(&[1]);
    assert_eq!(pair.receive(1, PATIENCE), [1]);
    assert!(since.elapsed() >= deadline, "{:?}", since.elapsed());
    assert!(fs::exists(format!("/proc/{guardian}")).unwrap(), "it goes on watching");
    controller.kill();
    assert!(ends(guardian));
}

#[test]
fn epochs_keep_the_deadline_away_and_a_hang_taints() {
    let (me, pair) = begin!();
    let dir = dir(me);
    let deadline = Duration::from_millis(1000);
    let mut session = OutputCommit::attach(&["near"], options(me, &dir, Some(deadline))).unwrap();
    session.start_buffer().unwrap();
    for round in 0..6 {
        thread::sleep(deadline / 3);
        pair.send(&[round]);
        let epoch = session.close().unwrap();
        session.release(epoch, Ack::of(round.into())).unwrap();
        assert_eq!(pair.receive(1, PATIENCE), [round]);
    }
    pair.send(&[7]);
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    session.open().unwrap();
    assert_eq!(pair.receive(1, PATIENCE), [7]);
    session.start_buffer().unwrap();
    pair.send(&[8]);
    let epoch = session.close().unwrap();
    // The backup does not answer.
    assert_eq!(pair.receive(1, PATIENCE), [8]);
    let error = session.release(epoch, Ack::of(7)).unwrap_err();
    assert!(error.to_string().contains("touched the root qdisc"), "{error}");
    session.restart().unwrap();
    // Dropped without a word: the guardian opens before the drop returns.
    session.start_buffer().unwrap();
    pair.send(&[9]);
    drop(session);
    assert_eq!(pair.receive(1, QUIET), [9]);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn guardian_touches_no_foreign_plug_and_ends_with_its_session() {
    let (me, pair) = begin!();
    let mut controller = Controller::start(me, &pair.near, "hold", Some(LONG));
    let guardian = controller.guardian(me).expect("it runs");
    pair.near.tc("qdisc replace dev near root handle 5: plug limit 9999").ok();
    pair.send(&[1]);
    controller.kill();
    assert!(ends(guardian));
    assert_eq!(pair.receive(1, QUIET), NOTHING, "it is not the session's plug");
    pair.near.tc("qdisc del dev near root").ok();

    let dir = dir(&format!("{me}-own"));
    let mut session = OutputCommit::attach(&["near"], options(me, &dir, Some(LONG))).unwrap();
    session.start_buffer().unwrap();
    session.detach(DetachMode::Remove).unwrap();
    assert_eq!(guardians_of(me), Vec::<u32>::new());
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn a_session_without_its_guardian_does_not_hold() {
    let (me, pair) = begin!();
    let dir = dir(me);
    let with = |guardian| {
        let on_death = OnDeath::OpenAfter { deadline: LONG, guardian };
        let options =
            AttachOptions::new(Limit::bytes(32768.try_into().unwrap()), OnTaint::FailOpen, on_death);
        OutputCommit::attach(&["near"], options.journal_dir(&dir))
    };
    for program in ["/nonexistent", "/bin/false"] {
        let error = with(GuardianCommand::new(program)).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Guardian { network: NetworkState::Untouched, .. }), "{error}");
        assert!(!root(&pair).contains("plug"));
        assert_eq!(Journal::find(&dir).unwrap(), Vec::<PathBuf>::new());
    }

    let mut session = with(guardian_of(me)).unwrap();
    let guardian = guardians_of(me).into_iter().next().expect("it runs");
    kill(Pid::from_raw(guardian.cast_signed()), Signal::SIGKILL).unwrap();
    assert!(ends(guardian));
    let error = session.start_buffer().unwrap_err();
    let gone = matches!(error, Error::Guardian { error: GuardianError::Gone, network: NetworkState::Open });
    assert!(gone, "{error}");
    assert!(opens(&pair, 1));
    session.detach(DetachMode::Remove).unwrap();

    // Killed later it cannot open any more: the session does, when it ends.
    let mut session = with(guardian_of(me)).unwrap();
    session.start_buffer().unwrap();
    pair.send(&[2]);
    let guardian = guardians_of(me).into_iter().next().expect("it runs");
    kill(Pid::from_raw(guardian.cast_signed()), Signal::SIGKILL).unwrap();
    assert!(ends(guardian));
    let error = session.close().unwrap_err();
    let gone = matches!(error, Error::Guardian { error: GuardianError::Gone, network: NetworkState::Held });
    assert!(gone, "{error}");
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    drop(session);
    assert_eq!(pair.receive(1, PATIENCE), [2]);
    assert!(opens(&pair, 3));
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn death_without_a_guardian_stays_closed_with_a_journal() {
    let (me, pair) = begin!();
    // (the operation, the packets that arrive)
    for (held, arrives) in [(OnAdopt::Drop, &[][..]), (OnAdopt::Release, &[1, 2][..])] {
        let mut controller = Controller::start(me, &pair.near, "hold", None);
        pair.send(&[1, 2]);
        let path = controller.journal();
        assert!(matches!(OrphanedSession::read(&path), Err(JournalError::Alive { .. })));
        let foreign = OutputCommit::attach(&["near"], options(me, &controller.dir, None));
        assert!(matches!(foreign, Err(Error::InUse { .. })), "{foreign:?}");
        controller.kill();
        assert_eq!(pair.receive(1, QUIET), NOTHING, "it stays closed");
        let orphaned = OutputCommit::attach(&["near"], options(me, &controller.dir, None));
        assert!(matches!(orphaned, Err(Error::Orphaned { .. })), "{orphaned:?}");
        let elsewhere = Net::aside().inside(|| OrphanedSession::read(&path).map(|_| ()));
        assert!(matches!(elsewhere, Err(JournalError::Namespace { .. })), "{elsewhere:?}");

        let left = OrphanedSession::read(&path).unwrap();
        assert_eq!(left.journal().devices[0].name, "near");
        assert_eq!(left.remove(&mut Connection::open().unwrap(), held, PATIENCE).unwrap(), 1);
        assert_eq!(pair.receive(3, QUIET), arrives, "{held:?}");
        assert!(!root(&pair).contains("plug"));
    }
}

#[test]
fn what_a_dead_controller_left_is_opened_and_stays() {
    let (me, pair) = begin!();
    let mut controller = Controller::start(me, &pair.near, "hold", None);
    pair.send(&[1, 2]);
    controller.kill();
    let left = OrphanedSession::read(&controller.journal()).unwrap();
    let mut tc = Connection::open().unwrap();
    assert_eq!(left.open(&mut tc).unwrap(), 1);
    assert_eq!(pair.receive(2, PATIENCE), [1, 2], "let go");
    assert!(opens(&pair, 3), "and open for what comes");
    assert!(root(&pair).contains("qdisc plug "), "the plug stays");
    assert_eq!(left.open(&mut tc).unwrap(), 1, "once more is no harm");
    // Foreign and missing plugs are not touched.
    pair.near.tc("qdisc replace dev near root handle 5: plug limit 9999").ok();
    pair.send(&[4]);
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    pair.near.tc("qdisc del dev near root").ok();
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    pair.near.ip("link del near").ok();
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    assert_eq!(left.remove(&mut tc, OnAdopt::Drop, PATIENCE).unwrap(), 0);
    assert_eq!(Journal::find(&controller.dir).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_new_session_takes_over_what_a_dead_one_left() {
    let (me, pair) = begin!();
    for (held, arrives) in [(OnAdopt::Drop, &[][..]), (OnAdopt::Release, &[1, 2][..])] {
        let mut controller = Controller::start(me, &pair.near, "hold", None);
        pair.send(&[1, 2]);
        controller.kill();
        let path = controller.journal();
        let options = options(me, &controller.dir, None).adopt(&path, held);
        let mut session = OutputCommit::attach(&["near"], options).unwrap();
        assert_eq!(pair.receive(3, QUIET), arrives, "{held:?}");
        assert!(opens(&pair, 3), "an attached session is open");
        session.start_buffer().unwrap();
        pair.send(&[4]);
        let epoch = session.close().unwrap();
        pair.send(&[5]);
        session.release(epoch, Ack::of(0)).unwrap();
        assert_eq!(pair.receive(2, QUIET), [4], "and counts from nothing");
        session.discard().unwrap();
        assert_eq!(Journal::find(&controller.dir).unwrap(), Vec::<PathBuf>::new());
    }
}

/// A journal with another line for its namespace.
fn in_namespace(text: &str, inode: u64, cookie: u64) -> String {
    let (body, _) = text.rsplit_once("end ").unwrap();
    let line = |line: &str| match line.starts_with("netns ") {
        true => format!("netns {inode} {cookie}\n"),
        false => format!("{line}\n"),
    };
    let body: String = body.lines().map(line).collect();
    // FNV-1a, 64 bits.
    let sum = body
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{body}end {sum:016x}\nready\n")
}

#[test]
fn a_session_when_a_dead_namespace_had_its_inode() {
    let (me, pair) = begin!();
    let dir = dir(me);
    let session = OutputCommit::attach(&["near"], options(me, &dir, None)).unwrap();
    let (journal, path) = (session.journal().clone(), session.journal_path().to_owned());
    drop(session);
    let text = fs::read_to_string(&path).unwrap();
    drop(pair);

    // The kernel gives the inode of a namespace that ended to a new one.
    let _pair = Pair::new();
    let inode = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    let here = tc_core::netns::current_cookie().unwrap().unwrap();
    let dead = journal.netns.cookie.unwrap();
    assert_ne!(here, dead);
    fs::write(&path, in_namespace(&text, inode, dead)).unwrap();
    let error = OrphanedSession::read(&path).map(|_| ()).unwrap_err();
    assert!(matches!(error, JournalError::Namespace { .. }), "{error}");
    // With the handles of the dead session, on a device with its index.
    let [plug, spare] = journal.devices[0].handles.map(tc_core::Handle::major);
    let mut session = OutputCommit::attach(&["near"], options(me, &dir, None).handles(plug, spare)).unwrap();
    assert_eq!(session.journal().devices[0].ifindex, journal.devices[0].ifindex);
    assert_eq!(session.stale_journals(), <[PathBuf; 0]>::default(), "another namespace's is left alone");
    session.detach(DetachMode::Remove).unwrap();
    // With the cookie of this one it is read.
    fs::write(&path, in_namespace(&text, inode, here)).unwrap();
    assert!(OrphanedSession::read(&path).is_ok());
    fs::remove_dir_all(&dir).unwrap();
}

/// The guardian shares the lock: it still opens the plug when somebody comes.
#[test]
fn rescue_when_the_guardian_lives_longer_than_the_controller() {
    let (me, pair) = begin!();
    let mut controller = Controller::start(me, &pair.near, "hold", Some(LONG));
    let guardian = Pid::from_raw(controller.guardian(me).expect("it runs").cast_signed());
    kill(guardian, Signal::SIGSTOP).unwrap();
    controller.kill();
    let path = controller.journal();
    let error = OrphanedSession::read(&path).map(|_| ()).unwrap_err();
    assert!(matches!(error, JournalError::Alive { .. }), "{error}");
    kill(guardian, Signal::SIGCONT).unwrap();
    assert!(ends(guardian.as_raw().cast_unsigned()));
    assert!(opens(&pair, 1));
    OrphanedSession::read(&path)
        .unwrap()
        .remove(&mut Connection::open().unwrap(), OnAdopt::Drop, PATIENCE)
        .unwrap();
}
