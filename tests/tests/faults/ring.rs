//! A ring session with every fault at every call: packets that are not committed never leave, an error
//! has the state of the network, and there is a way out.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tc_core::Connection;
use tc_core::embedded::{Kernel, Socket};
use tc_core::monitor::Monitor;
use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
use tc_qdiscs::plug::commit::{Ack, AttachOptions, Error, Limit, NetworkState, OnDeath, OnTaint, State};
use tc_qdiscs::plug::place::{Clsact, Place};
use tc_qdiscs::plug::ring::{Depth, Ring, RingOptions, Site};
use tests::lab::{Shared, count};

use crate::Trouble;
use crate::world::{ETH0, ETH1, kernel, truth};

type Session = Ring<Shared<Socket>>;

static DEVICES: [i32; 2] = [ETH0, ETH1];

/// One session from its start to its end, and what may leave meanwhile.
struct Run {
    kernel: Kernel,
    tc: Shared<Socket>,
    monitor: Shared<Socket>,
    folder: PathBuf,
    /// Packets of these epochs may leave; all, once the caller allowed it.
    committed: Vec<u8>,
    all: bool,
    /// The devices whose packets are judged: the embedded kernel does not redirect.
    judged: &'static [i32],
}

impl Run {
    fn new(folder: &Path, place: Place) -> Self {
        // Journals of a session that failed before would cost calls.
        let _absent = std::fs::remove_dir_all(folder);
        let kernel = kernel();
        let socket = kernel.connect();
        [RTNLGRP_TC, RTNLGRP_LINK].iter().for_each(|group| socket.join(*group));
        let (tc, monitor) = (Shared::new(kernel.connect()), Shared::new(socket));
        Self {
            kernel,
            tc,
            monitor,
            folder: folder.to_owned(),
            committed: Vec::new(),
            all: true,
            judged: if place == Place::Root { &DEVICES } else { &DEVICES[1..] },
        }
    }

    fn attach(&self, place: Place) -> Result<Session, Error> {
        let limit = Limit::bytes(NonZeroU32::new(100_000).unwrap());
        let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed);
        let options = options.journal_dir(&self.folder).drain_time(Duration::from_millis(5));
        let options = RingOptions::new(options).depth(Depth::new(3).unwrap()).clsact(Clsact::Remove);
        let monitor = Monitor::over(self.monitor.clone());
        let sites = [Site::new("eth0", place), Site::new("eth1", Place::Root)];
        Ring::attach_over(Connection::over(self.tc.clone()), monitor, &sites, options)
    }

    fn send(&self, epoch: u8) {
        for device in DEVICES {
            self.kernel.send(device, [epoch; 60]);
        }
    }

    fn judge(&self, when: &str) {
        for packet in self.judged.iter().flat_map(|device| self.kernel.take_sent(*device)) {
            let may = self.all || self.committed.contains(&packet[0]);
            assert!(may, "{when}: a packet of epoch {} left, committed {:?}", packet[0], self.committed);
        }
    }

    /// From start to end.
    fn session(&mut self, session: &mut Session, when: &str) -> Result<(), Error> {
        session.start_buffer()?;
        DEVICES.iter().for_each(|device| drop(self.kernel.take_sent(*device)));
        self.all = false;
        // Two epochs outstanding, two times; where nothing is redirected the ends alone matter.
        let epochs = if self.judged.len() == DEVICES.len() { &[1, 3][..] } else { &[] };
        for &epoch in epochs {
            self.send(epoch);
            let first = session.close()?;
            self.send(epoch + 1);
            let second = session.close()?;
            self.judge(when);
            for (epoch, token) in [(epoch, first), (epoch + 1, second)] {
                // From here on it is committed, whatever release returns.
                self.committed.push(epoch);
                let ack = Ack::of(token.number());
                session.release(token, ack)?;
                self.judge(when);
            }
            session.tend()?;
        }
        self.send(9);
        self.judge(when);
        self.all = true; // the caller's word that the open epoch may leave
        session.detach()
    }

    fn happened(&self) -> bool {
        [&self.tc, &self.monitor].iter().any(|one| !one.get().happened().is_empty())
    }
}

/// Sets one trouble, and takes a whole session through it; whether it happened.
fn survive(folder: &Path, place: Place, trouble: Trouble, on: usize, call: u64) -> bool {
    let when = format!("{place:?}, {trouble:?} at call {call} of {}", ["the connection", "the monitor"][on]);
    let mut run = Run::new(folder, place);
    let before = truth(&run.kernel);
    let kernel = run.kernel.clone();
    let hand = if on == 0 { run.tc.clone() } else { run.monitor.clone() };
    match trouble {
        Trouble::Fault(fault) => hand.get().at_call(call, fault),
        Trouble::Unplugged => hand.get().before_call(call, move || assert!(kernel.remove_device(ETH1))),
    }
    let unplugged = trouble == Trouble::Unplugged;
    match run.attach(place) {
        Err(error) => {
            if error.network() == NetworkState::Untouched && !unplugged {
                assert_eq!(truth(&run.kernel), before, "{when}: {error}");
            }
        }
        Ok(mut session) => match run.session(&mut session, &when) {
            Ok(()) if !unplugged => {
                assert_eq!(session.state(), State::Detached);
                assert_eq!(truth(&run.kernel), before, "{when}");
            }
            Ok(()) => {}
            Err(error) => {
                run.all |= session.state() != State::Tainted;
                run.send(8);
                run.judge(&when);
                if let (NetworkState::HeldAnew, false) = (error.network(), run.all) {
                    run.send(7);
                    for device in run.judged {
                        assert!(run.kernel.take_sent(*device).is_empty(), "{when}: {error}");
                    }
                }
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
    if unplugged { call < [run.tc.get().calls(), run.monitor.get().calls()][on] } else { run.happened() }
}

#[test]
fn no_fault_at_any_call_lets_uncommitted_packets_out() {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("tc-ring-faults-{}", std::process::id()));
    let mut survived = 0;
    for place in [Place::Root, Place::Egress] {
        let mut run = Run::new(&folder, place);
        let mut session = run.attach(place).unwrap();
        run.session(&mut session, "without faults").unwrap();
        assert_eq!(run.committed.len(), if place == Place::Root { 4 } else { 0 });
        drop(session);
        let calls = [run.tc.get().calls(), run.monitor.get().calls()];
        for trouble in Trouble::all() {
            for (on, calls) in calls.into_iter().enumerate() {
                for call in 0..calls {
                    survived += u32::from(survive(&folder, place, trouble, on, call));
                }
            }
        }
    }
    let _gone = std::fs::remove_dir_all(&folder);
    assert!(survived > 1000, "{survived}");
    count(&format!("{survived} faults survived by ring sessions: nothing uncommitted left"));
}
