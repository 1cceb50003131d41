//! Output commit with every fault at every call of a whole session: what is not committed never
//! leaves, and an error has the state of the network.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tc_core::Connection;
use tc_core::embedded::{Fault, Faults, Kernel, Sent, Socket};
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, DetachMode, Error, GuardianCommand, Journal, Limit, NetworkState, OnAdopt, OnDeath,
    OnTaint, OrphanedSession, OutputCommit, State,
};
use tests::lab::{Shared, count};

use crate::Trouble;
use crate::world::{ETH0, ETH1, kernel, truth};

const DEVICES: [i32; 2] = [ETH0, ETH1];

/// A folder for journals that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self(parent.join(format!("tc-faults-{}-{:?}", std::process::id(), std::thread::current().id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One session from its start to its end, and what may leave meanwhile.
struct Run<'a> {
    kernel: Kernel,
    tc: Shared<Socket>,
    monitor: Shared<Socket>,
    folder: &'a Folder,
    on_taint: OnTaint,
    /// Packets of these epochs may leave; all, once the caller allowed it.
    committed: Vec<u8>,
    all: bool,
}

impl<'a> Run<'a> {
    fn new(folder: &'a Folder, on_taint: OnTaint) -> Self {
        // Journals of a session that failed before would cost calls.
        let _absent = std::fs::remove_dir_all(&folder.0);
        let kernel = kernel();
        let socket = kernel.connect();
        [RTNLGRP_TC, RTNLGRP_LINK].iter().for_each(|group| socket.join(*group));
        let (tc, monitor) = (Shared::new(kernel.connect()), Shared::new(socket));
        Self { kernel, tc, monitor, folder, on_taint, committed: Vec::new(), all: true }
    }

    fn send(&self, epoch: u8) {
        for device in DEVICES {
            self.kernel.send(device, [epoch; 60]);
        }
    }

    /// That nothing left which may not.
    fn judge(&self, when: &str) {
        for packet in DEVICES.iter().flat_map(|device| self.kernel.take_sent(*device)) {
            let may = self.all || self.committed.contains(&packet[0]);
            assert!(may, "{when}: a packet of epoch {} left, committed {:?}", packet[0], self.committed);
        }
    }

    fn attach(&self) -> Result<OutputCommit<Shared<Socket>>, Error> {
        let limit = Limit::bytes(NonZeroU32::new(100_000).unwrap());
        let options = AttachOptions::new(limit, self.on_taint, OnDeath::StayClosed);
        let options = options.journal_dir(&self.folder.0).drain_time(Duration::from_millis(50));
        let monitor = Monitor::over(self.monitor.clone());
        OutputCommit::attach_over(Connection::over(self.tc.clone()), monitor, &["eth0", "eth1"], options)
    }

    /// Two epochs, a moment in the open, one more, and the end.
    fn session(&mut self, session: &mut OutputCommit<Shared<Socket>>, when: &str) -> Result<(), Error> {
        self.send(0);
        session.start_buffer()?;
        (self.all, self.committed) = (false, Vec::new());
        // Packets sent while it was open have left.
        self.judge_open();
        for epoch in 1..=2 {
            self.send(epoch);
            let token = session.close()?;
            self.send(epoch + 1);
            self.judge(when);
            // From here on it is committed, whatever release returns.
            self.committed.push(epoch);
            let ack = Ack::of(token.number());
            session.release(token, ack)?;
            self.judge(when);
        }
        self.judge(when);
        self.all = true; // the caller's word that the open epoch may leave
        session.open()?;
        self.judge(when);
        self.send(9);
        session.start_buffer()?;
        self.judge_open();
        self.all = false;
        self.send(4);
        self.judge(when);
        self.all = true;
        session.detach(DetachMode::Remove)
    }

    fn judge_open(&self) {
        DEVICES.iter().for_each(|device| drop(self.kernel.take_sent(*device)));
    }

    fn calls(&self) -> [u64; 2] {
        [self.tc.get().calls(), self.monitor.get().calls()]
    }

    fn happened(&self) -> bool {
        [&self.tc, &self.monitor].iter().any(|one| !one.get().happened().is_empty())
    }
}

/// Compares the network's state in an error with the network.
fn judge_network(run: &Run<'_>, session: &OutputCommit<Shared<Socket>>, error: &Error, when: &str) {
    run.judge_open();
    run.send(7);
    let mut left = DEVICES.map(|device| !run.kernel.take_sent(device).is_empty());
    if run.kernel.send(ETH1, [7; 60]) == Sent::NoDevice {
        left[1] = left[0];
    }
    match error.network() {
        NetworkState::Open | NetworkState::Opened => assert_eq!(left, [true; 2], "{when}: {error}"),
        NetworkState::Held | NetworkState::HeldAnew => assert_eq!(left, [false; 2], "{when}: {error}"),
        // As it was before the call, or nobody knows.
        _ => {}
    }
    if session.state() == State::Tainted && run.on_taint == OnTaint::FailClosed {
        let closed = !matches!(
            error.network(),
            NetworkState::Unknown | NetworkState::Gone | NetworkState::Foreign | NetworkState::Open
        );
        assert!(!closed || left == [false; 2], "{when}: {error}");
    }
}

/// Sets one trouble, and takes a whole session through it; whether it happened.
fn survive(folder: &Folder, on_taint: OnTaint, trouble: Trouble, on: usize, call: u64) -> bool {
    let when =
        format!("{on_taint:?}, {trouble:?} at call {call} of {}", ["the connection", "the monitor"][on]);
    let mut run = Run::new(folder, on_taint);
    let before = truth(&run.kernel);
    let kernel = run.kernel.clone();
    let hand = if on == 0 { run.tc.clone() } else { run.monitor.clone() };
    match trouble {
        Trouble::Fault(fault) => hand.get().at_call(call, fault),
        Trouble::Unplugged => hand.get().before_call(call, move || assert!(kernel.remove_device(ETH1))),
    }
    let unplugged = trouble == Trouble::Unplugged;
    match run.attach() {
        Err(error) => {
            let left = truth(&run.kernel);
            if error.network() == NetworkState::Untouched && !unplugged {
                assert_eq!(left, before, "{when}: {error}");
            }
        }
        Ok(mut session) => match run.session(&mut session, &when) {
            Ok(()) if !unplugged => {
                assert_eq!(session.state(), State::Detached);
                assert_eq!(truth(&run.kernel), before, "{when}");
            }
            Ok(()) => {}
            Err(error) => {
                // A policy of opening may release all packets, also later ones.
                run.all |= on_taint == OnTaint::FailOpen || session.state() != State::Tainted;
                run.judge(&when);
                judge_network(&run, &session, &error, &when);
                run.all = true;
                // And there is a way out.
                if session.state() != State::Detached {
                    session.discard().unwrap_or_else(|second| panic!("{when}: {error}, then {second}"));
                }
                if !unplugged {
                    assert_eq!(truth(&run.kernel), before, "{when}: {error}");
                }
            }
        },
    }
    if unplugged { call < run.calls()[on] } else { run.happened() }
}

#[test]
fn nothing_uncommitted_leaves_whatever_goes_wrong_at_any_call() {
    let folder = Folder::new();
    let mut survived = 0;
    for on_taint in [OnTaint::FailClosed, OnTaint::FailOpen] {
        let mut run = Run::new(&folder, on_taint);
        let mut session = run.attach().unwrap();
        run.session(&mut session, "without faults").unwrap();
        let calls = run.calls();
        drop(session);
        for trouble in Trouble::all() {
            for (on, calls) in calls.into_iter().enumerate() {
                for call in 0..calls {
                    survived += u32::from(survive(&folder, on_taint, trouble, on, call));
                }
            }
        }
    }
    assert!(survived > 1000, "{survived}");
    count(&format!("{survived} faults survived by sessions of output commit: nothing uncommitted left"));
}

/// The plugs of a dead controller, deleted or opened by their finder.
#[test]
fn a_rescue_tells_the_truth_whatever_goes_wrong_at_any_call() {
    let folder = Folder::new();
    let mut survived = 0;
    for held in [OnAdopt::Release, OnAdopt::Drop] {
        for trouble in Trouble::all() {
            let mut call = 0;
            while rescue(&folder, held, trouble, call) {
                survived += 1;
                call += 1;
            }
        }
    }
    count(&format!("{survived} calls of rescues survived with a fault"));
}

/// Whether there was such a call.
fn rescue(folder: &Folder, held: OnAdopt, trouble: Trouble, call: u64) -> bool {
    let run = Run::new(folder, OnTaint::FailClosed);
    let before = truth(&run.kernel);
    let mut session = run.attach().unwrap();
    session.start_buffer().unwrap();
    run.judge_open();
    run.send(1);
    drop(session); // and the network stays closed
    let path = journal_of_the_dead(&folder.0);
    let left = OrphanedSession::read(&path).unwrap();
    let mut tc = Connection::over(Faults::over(run.kernel.connect()));
    let kernel = run.kernel.clone();
    match trouble {
        Trouble::Fault(fault) => tc.transport_mut().at_call(call, fault),
        Trouble::Unplugged => {
            tc.transport_mut().before_call(call, move || assert!(kernel.remove_device(ETH1)))
        }
    }
    let removed = left.remove(&mut tc, held, Duration::from_millis(50));
    let when = format!("{held:?}, {trouble:?} at call {call}");
    let sent = DEVICES.map(|device| run.kernel.take_sent(device).len());
    if held == OnAdopt::Drop {
        assert_eq!(sent, [0; 2], "{when}: what was to be dropped left");
    }
    match removed {
        // A qdisc whose dump is lost without a report looks like one that is not shown.
        _ if trouble.is_against_netlink() => {}
        Ok(_) if trouble != Trouble::Unplugged => {
            assert_eq!(truth(&run.kernel), before, "{when}");
            assert!(!path.exists(), "{when}");
            assert_eq!(sent, if held == OnAdopt::Release { [1; 2] } else { [0; 2] }, "{when}");
        }
        Ok(_) => {}
        Err(error) => {
            assert_eq!(error.network(), NetworkState::Unknown, "{when}: {error}");
            assert!(path.exists(), "{when}: {error}: who comes next must find it");
            let again =
                left.remove(&mut Connection::over(run.kernel.connect()), held, Duration::from_millis(50));
            assert!(again.is_ok(), "{when}: {again:?}");
        }
    }
    call < tc.transport().calls()
}

/// The journal of the session that was dropped.
fn journal_of_the_dead(folder: &Path) -> PathBuf {
    let found = Journal::find(folder).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn adoption_when_any_call_fails_is_whole_or_none() {
    let folder = Folder::new();
    let mut survived = 0;
    for fault in Fault::ALL {
        for call in 0.. {
            let run = Run::new(&folder, OnTaint::FailClosed);
            let mut session = run.attach().unwrap();
            session.start_buffer().unwrap();
            run.judge_open();
            run.send(1);
            drop(session);
            let path = journal_of_the_dead(&folder.0);
            let (first, hand) = (run.tc.get().calls(), run.tc.clone());
            hand.get().at_call(call, fault);
            let limit = Limit::bytes(NonZeroU32::new(100_000).unwrap());
            let options =
                AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&folder.0);
            let monitor = Monitor::over(run.monitor.clone());
            let connection = Connection::over(run.tc.clone());
            let adopted = OutputCommit::attach_over(
                connection,
                monitor,
                &["eth0", "eth1"],
                options.adopt(&path, OnAdopt::Drop),
            );
            let when = format!("{fault:?} at call {call}: {:?}", adopted.as_ref().err());
            assert!(DEVICES.iter().all(|device| run.kernel.take_sent(*device).is_empty()), "{when}");
            let _ = std::fs::remove_dir_all(&folder.0);
            if hand.get().calls() - first <= call {
                break;
            }
            survived += 1;
        }
    }
    count(&format!("{survived} calls of adoptions survived with a fault"));
}

#[test]
fn orphaned_session_is_known_without_a_guardian() {
    let folder = Folder::new();
    let run = Run::new(&folder, OnTaint::FailClosed);
    drop(run.attach().unwrap());
    let path = journal_of_the_dead(&folder.0);
    let guardian = GuardianCommand::new("/nonexistent");
    let on_death = OnDeath::OpenAfter { deadline: Duration::from_secs(60), guardian };
    let limit = Limit::bytes(NonZeroU32::new(100_000).unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, on_death).journal_dir(&folder.0);
    let (tc, monitor) = (Connection::over(run.tc.clone()), Monitor::over(run.monitor.clone()));
    let names = ["eth0", "eth1"];
    let error =
        OutputCommit::attach_over(tc, monitor, &names, options.adopt(&path, OnAdopt::Drop)).err().unwrap();
    assert!(matches!(error, Error::Guardian { network: NetworkState::Untouched, .. }), "{error}");
    assert_eq!(OrphanedSession::read(&path).unwrap().journal().devices.len(), 2);
}
