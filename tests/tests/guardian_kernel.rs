//! Controllers that die: what they leave, who opens it, and who finds it.
//!
//! A controller is this executable once more, with the same test's name: it
//! plays its role in place of the test. So is a guardian.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tc_core::Connection;
use tc_qdiscs::plug::commit::{
    Ack, Error, GuardianCommand, GuardianError, Held, Journal, JournalError, Left, Limit, Network, OnDeath,
    OnTaint, OutputCommit, Plan, Plugs, guardian,
};
use tests::lab::{Net, PATIENCE, Pair, QUIET};
use tests::need;

const NOTHING: [u8; 0] = [];
const LONG: Duration = Duration::from_secs(600);

/// What a child is to play, and with which plan.
const ROLE: &str = "TC_PLUG_TEST_ROLE";
const DEADLINE: &str = "TC_PLUG_TEST_DEADLINE_MS";
const DIR: &str = "TC_PLUG_TEST_DIR";

/// Whether this process is a child with a role, which it has then played.
fn played(test: &str) -> bool {
    let Ok(role) = env::var(ROLE) else { return false };
    if role == "guardian" {
        // Standard input is its session.
        guardian::run().unwrap();
        return true;
    }
    let dir = PathBuf::from(env::var_os(DIR).unwrap());
    let deadline = env::var(DEADLINE).ok().map(|ms| Duration::from_millis(ms.parse().unwrap()));
    let mut session = OutputCommit::attach(&["near"], plan(test, &dir, deadline)).unwrap();
    if role == "hold" {
        session.start_buffer().unwrap();
        eprintln!("@@ holds");
        thread::sleep(LONG);
    }
    eprintln!("@@ cycles");
    loop {
        session.start_buffer().unwrap();
        for _ in 0..20 {
            let epoch = session.close().unwrap();
            let ack = Ack::of(epoch.number());
            session.release(epoch, ack).unwrap();
        }
        session.open().unwrap();
    }
}

/// This executable again, as the same test.
fn again(test: &str) -> (PathBuf, [String; 3]) {
    (env::current_exe().unwrap(), [test.to_owned(), "--exact".to_owned(), "--nocapture".to_owned()])
}

fn guardian_of(test: &str) -> GuardianCommand {
    let (program, words) = again(test);
    words.into_iter().fold(GuardianCommand::new(program), GuardianCommand::arg).env(ROLE, "guardian")
}

fn plan(test: &str, dir: &Path, deadline: Option<Duration>) -> Plan {
    let on_death = match deadline {
        None => OnDeath::StayClosed,
        Some(deadline) => OnDeath::OpenAfter { deadline, guardian: guardian_of(test) },
    };
    Plan::new(Limit::bytes(32768.try_into().unwrap()), OnTaint::FailOpen, on_death).journal_dir(dir)
}

struct Controller {
    child: Child,
    dir: PathBuf,
}

impl Controller {
    /// Starts a controller in `net` and waits until it is at work.
    fn start(test: &str, net: &Net, role: &str, deadline: Option<Duration>) -> Self {
        let dir = env::temp_dir().join(format!("tc-plug-{test}-{}", std::process::id()));
        let (program, words) = again(test);
        let mut command = Command::new(program);
        command.args(words).env(ROLE, role).env(DIR, &dir);
        if let Some(deadline) = deadline {
            command.env(DEADLINE, deadline.as_millis().to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = net.inside(move || command.spawn()).unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("@@") {
            match lines.next() {
                Some(line) => said += &(line.unwrap() + "\n"),
                None => panic!("the controller ended: {said}"),
            }
        }
        thread::spawn(move || lines.for_each(|line| println!("controller: {line:?}")));
        Self { child, dir }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn journal(&self) -> PathBuf {
        let found = Journal::find(&self.dir).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// The guardian's process id, if there is one.
    fn guardian(&self, test: &str) -> Option<u32> {
        guardians_of(test).into_iter().find(|pid| parent(*pid) == Some(self.child.id()))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The guardians of one test; others may run beside it.
fn guardians_of(test: &str) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has = |pid: u32, file: &str, word: &str| {
        let words = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|entry| entry == word.as_bytes())
    };
    let role = format!("{ROLE}=guardian");
    pids.filter(|pid| has(*pid, "environ", &role) && has(*pid, "cmdline", test)).collect()
}

/// A field of `/proc/PID/stat`, counted from the state.
fn stat(pid: u32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field).map(str::to_owned)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid, 1)?.parse().ok()
}

fn ends(pid: u32) -> bool {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        // The first thread may be a zombie before the others have ended.
        let ended = |(state, threads): (String, String)| state == "Z" && matches!(&*threads, "0" | "1");
        if stat(pid, 0).zip(stat(pid, 17)).is_none_or(ended) {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
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
    const ME: &str = "a_guardian_opens_when_the_controller_is_killed";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let mut controller = Controller::start(ME, &pair.near, "hold", Some(LONG));
    let guardian = controller.guardian(ME).expect("it runs");
    assert_eq!(stat(guardian, 3), Some(guardian.to_string()), "it leads a session of its own");
    pair.send(&[1, 2]);
    assert_eq!(pair.receive(1, QUIET), NOTHING, "held");
    controller.kill();
    assert_eq!(pair.receive(2, PATIENCE), [1, 2], "let go");
    assert!(opens(&pair, 3));
    assert!(ends(guardian));
    // What is left is known to who comes after.
    let left = Left::read(&controller.journal()).unwrap();
    assert!(root(&pair).contains("plug c01:"));
    let removed = left.remove(&mut Connection::open().unwrap(), Held::Release, PATIENCE).unwrap();
    assert_eq!(removed, 1);
    assert!(!root(&pair).contains("plug"));
    assert_eq!(Journal::find(&controller.dir).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_guardian_opens_whenever_the_controller_is_killed() {
    const ME: &str = "a_guardian_opens_whenever_the_controller_is_killed";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    for round in 0..12_u8 {
        let mut controller = Controller::start(ME, &pair.near, "cycle", Some(LONG));
        let guardian = controller.guardian(ME).expect("it runs");
        // Somewhere within a cycle of BUFFER, RELEASE_ONE and RELEASE_INDEFINITE.
        thread::sleep(Duration::from_micros(u64::from(round) * 1371 % 9000));
        controller.kill();
        assert!(ends(guardian), "round {round}");
        assert!(opens(&pair, round + 1), "round {round}");
        let left = Left::read(&controller.journal()).unwrap();
        assert_eq!(left.remove(&mut Connection::open().unwrap(), Held::Drop, PATIENCE).unwrap(), 1);
    }
}

#[test]
fn a_controller_killed_while_it_attaches_leaves_nothing_closed() {
    const ME: &str = "a_controller_killed_while_it_attaches_leaves_nothing_closed";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    for round in 0..12_u64 {
        let dir = env::temp_dir().join(format!("tc-plug-{ME}-{}", std::process::id()));
        let (program, words) = again(ME);
        let mut command = Command::new(program);
        command.args(words).env(ROLE, "hold").env(DIR, &dir).env(DEADLINE, "600000");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = pair.near.inside(move || command.spawn()).unwrap();
        // The journal is the first thing it writes.
        let since = Instant::now();
        while Journal::find(&dir).unwrap().is_empty() && since.elapsed() < PATIENCE {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(round * 12));
        child.kill().unwrap();
        child.wait().unwrap();
        for pid in guardians_of(ME) {
            assert!(ends(pid), "round {round}");
        }
        assert!(opens(&pair, round as u8 + 1), "round {round}: {}", root(&pair));
        let _ = pair.near.tc("qdisc del dev near root");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_guardian_opens_at_the_deadline_of_a_controller_that_hangs() {
    const ME: &str = "a_guardian_opens_at_the_deadline_of_a_controller_that_hangs";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let deadline = Duration::from_millis(1500);
    let since = Instant::now();
    let mut controller = Controller::start(ME, &pair.near, "hold", Some(deadline));
    let guardian = controller.guardian(ME).expect("it runs");
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
    const ME: &str = "epochs_keep_the_deadline_away_and_a_hang_taints";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let dir = env::temp_dir().join(format!("tc-plug-{ME}-{}", std::process::id()));
    let deadline = Duration::from_millis(1000);
    let mut session = OutputCommit::attach(&["near"], plan(ME, &dir, Some(deadline))).unwrap();
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
fn a_guardian_touches_no_plug_of_others_and_goes_with_the_session() {
    const ME: &str = "a_guardian_touches_no_plug_of_others_and_goes_with_the_session";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let mut controller = Controller::start(ME, &pair.near, "hold", Some(LONG));
    let guardian = controller.guardian(ME).expect("it runs");
    pair.near.tc("qdisc replace dev near root handle 5: plug limit 9999").ok();
    pair.send(&[1]);
    controller.kill();
    assert!(ends(guardian));
    assert_eq!(pair.receive(1, QUIET), NOTHING, "it is not the session's plug");
    pair.near.tc("qdisc del dev near root").ok();

    let dir = env::temp_dir().join(format!("tc-plug-{ME}-own-{}", std::process::id()));
    let mut session = OutputCommit::attach(&["near"], plan(ME, &dir, Some(LONG))).unwrap();
    session.start_buffer().unwrap();
    session.detach(Plugs::Remove).unwrap();
    assert_eq!(guardians_of(ME), Vec::<u32>::new());
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn a_session_without_its_guardian_does_not_hold() {
    const ME: &str = "a_session_without_its_guardian_does_not_hold";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let dir = env::temp_dir().join(format!("tc-plug-{ME}-{}", std::process::id()));
    let with = |guardian| {
        let on_death = OnDeath::OpenAfter { deadline: LONG, guardian };
        let plan = Plan::new(Limit::bytes(32768.try_into().unwrap()), OnTaint::FailOpen, on_death);
        OutputCommit::attach(&["near"], plan.journal_dir(&dir))
    };
    for program in ["/nonexistent", "/bin/false"] {
        let error = with(GuardianCommand::new(program)).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Guardian { network: Network::Untouched, .. }), "{error}");
        assert!(!root(&pair).contains("plug"));
        assert_eq!(Journal::find(&dir).unwrap(), Vec::<PathBuf>::new());
    }

    let mut session = with(guardian_of(ME)).unwrap();
    let guardian = guardians_of(ME).into_iter().next().expect("it runs");
    kill(Pid::from_raw(guardian.cast_signed()), Signal::SIGKILL).unwrap();
    assert!(ends(guardian));
    let error = session.start_buffer().unwrap_err();
    let gone = matches!(error, Error::Guardian { error: GuardianError::Gone, network: Network::Open });
    assert!(gone, "{error}");
    assert!(opens(&pair, 1));
    session.detach(Plugs::Remove).unwrap();

    // Killed later it cannot open any more: the session does, when it ends.
    let mut session = with(guardian_of(ME)).unwrap();
    session.start_buffer().unwrap();
    pair.send(&[2]);
    let guardian = guardians_of(ME).into_iter().next().expect("it runs");
    kill(Pid::from_raw(guardian.cast_signed()), Signal::SIGKILL).unwrap();
    assert!(ends(guardian));
    let error = session.close().unwrap_err();
    let gone = matches!(error, Error::Guardian { error: GuardianError::Gone, network: Network::Held });
    assert!(gone, "{error}");
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    drop(session);
    assert_eq!(pair.receive(1, PATIENCE), [2]);
    assert!(opens(&pair, 3));
    let _ = fs::remove_dir_all(&dir);
}

#[test]
fn without_a_guardian_it_stays_closed_and_the_journal_tells_whose_it_is() {
    const ME: &str = "without_a_guardian_it_stays_closed_and_the_journal_tells_whose_it_is";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    // (what is done with it, what arrives)
    for (held, arrives) in [(Held::Drop, &[][..]), (Held::Release, &[1, 2][..])] {
        let mut controller = Controller::start(ME, &pair.near, "hold", None);
        pair.send(&[1, 2]);
        let path = controller.journal();
        assert!(matches!(Left::read(&path), Err(JournalError::Alive { .. })));
        let foreign = OutputCommit::attach(&["near"], plan(ME, &controller.dir, None));
        assert!(matches!(foreign, Err(Error::ForeignRoot { .. })));
        controller.kill();
        assert_eq!(pair.receive(1, QUIET), NOTHING, "it stays closed");
        let elsewhere = Net::aside().inside(|| Left::read(&path).map(|_| ()));
        assert!(matches!(elsewhere, Err(JournalError::Namespace { .. })), "{elsewhere:?}");

        let left = Left::read(&path).unwrap();
        assert_eq!(left.journal().devices[0].name, "near");
        assert_eq!(left.remove(&mut Connection::open().unwrap(), held, PATIENCE).unwrap(), 1);
        assert_eq!(pair.receive(3, QUIET), arrives, "{held:?}");
        assert!(!root(&pair).contains("plug"));
    }
}

#[test]
fn what_a_dead_controller_left_is_opened_and_stays() {
    const ME: &str = "what_a_dead_controller_left_is_opened_and_stays";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    let mut controller = Controller::start(ME, &pair.near, "hold", None);
    pair.send(&[1, 2]);
    controller.kill();
    let left = Left::read(&controller.journal()).unwrap();
    let mut tc = Connection::open().unwrap();
    assert_eq!(left.open(&mut tc).unwrap(), 1);
    assert_eq!(pair.receive(2, PATIENCE), [1, 2], "let go");
    assert!(opens(&pair, 3), "and open for what comes");
    assert!(root(&pair).contains("plug c01:"), "the plug stays");
    assert_eq!(left.open(&mut tc).unwrap(), 1, "once more is no harm");
    // What is not the session's is not touched, and neither is what is not there.
    pair.near.tc("qdisc replace dev near root handle 5: plug limit 9999").ok();
    pair.send(&[4]);
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    assert_eq!(pair.receive(1, QUIET), NOTHING);
    pair.near.tc("qdisc del dev near root").ok();
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    pair.near.ip("link del near").ok();
    assert_eq!(left.open(&mut tc).unwrap(), 0);
    assert_eq!(left.remove(&mut tc, Held::Drop, PATIENCE).unwrap(), 0);
    assert_eq!(Journal::find(&controller.dir).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_new_session_takes_over_what_a_dead_one_left() {
    const ME: &str = "a_new_session_takes_over_what_a_dead_one_left";
    if played(ME) {
        return;
    }
    need!("sch_plug", "veth");
    let pair = Pair::new();
    for (held, arrives) in [(Held::Drop, &[][..]), (Held::Release, &[1, 2][..])] {
        let mut controller = Controller::start(ME, &pair.near, "hold", None);
        pair.send(&[1, 2]);
        controller.kill();
        let path = controller.journal();
        let plan = plan(ME, &controller.dir, None).adopt(&path, held);
        let mut session = OutputCommit::attach(&["near"], plan).unwrap();
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
