//! A controller that can be killed, its guardian, and how to find both.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, GuardianCommand, Journal, Limit, OnDeath, OnTaint, OutputCommit, guardian,
};
use tests::lab::{Net, PATIENCE};

pub(crate) const LONG: Duration = Duration::from_secs(600);

/// The role of a child process, and its plan.
const ROLE: &str = "TC_PLUG_TEST_ROLE";
const DEADLINE: &str = "TC_PLUG_TEST_DEADLINE_MS";
const DIR: &str = "TC_PLUG_TEST_DIR";

/// Whether this process is a child with a role, which it has then played.
pub(crate) fn played(test: &str) -> bool {
    let Ok(role) = env::var(ROLE) else { return false };
    if role == "guardian" {
        // Standard input is its session.
        guardian::run().unwrap();
        return true;
    }
    let dir = PathBuf::from(env::var_os(DIR).unwrap());
    let deadline = env::var(DEADLINE).ok().map(|ms| Duration::from_millis(ms.parse().unwrap()));
    let mut session = OutputCommit::attach(&["near"], options(test, &dir, deadline)).unwrap();
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

/// Where the journals of a test are.
pub(crate) fn dir(test: &str) -> PathBuf {
    env::temp_dir().join(format!("tc-plug-{test}-{}", std::process::id()))
}

/// This executable again, as the same test.
fn again(test: &str) -> (PathBuf, [String; 3]) {
    (env::current_exe().unwrap(), [test.to_owned(), "--exact".to_owned(), "--nocapture".to_owned()])
}

pub(crate) fn guardian_of(test: &str) -> GuardianCommand {
    let (program, words) = again(test);
    words.into_iter().fold(GuardianCommand::new(program), GuardianCommand::arg).env(ROLE, "guardian")
}

pub(crate) fn options(test: &str, dir: &Path, deadline: Option<Duration>) -> AttachOptions {
    let on_death = match deadline {
        None => OnDeath::StayClosed,
        Some(deadline) => OnDeath::OpenAfter { deadline, guardian: guardian_of(test) },
    };
    AttachOptions::new(Limit::bytes(32768.try_into().unwrap()), OnTaint::FailOpen, on_death).journal_dir(dir)
}

pub(crate) struct Controller {
    child: Child,
    pub(crate) dir: PathBuf,
}

impl Controller {
    /// Starts a controller in `net` and waits until it is at work.
    pub(crate) fn start(test: &str, net: &Net, role: &str, deadline: Option<Duration>) -> Self {
        let mut controller = Self::spawn(test, net, role, deadline);
        let mut lines = BufReader::new(controller.child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !said.contains("@@") {
            match lines.next() {
                Some(line) => said += &(line.unwrap() + "\n"),
                None => panic!("the controller ended: {said}"),
            }
        }
        thread::spawn(move || lines.for_each(|line| println!("controller: {line:?}")));
        controller
    }

    /// Starts a controller in `net`.
    pub(crate) fn spawn(test: &str, net: &Net, role: &str, deadline: Option<Duration>) -> Self {
        let dir = dir(test);
        let (program, words) = again(test);
        let mut command = Command::new(program);
        command.args(words).env(ROLE, role).env(DIR, &dir);
        if let Some(deadline) = deadline {
            command.env(DEADLINE, deadline.as_millis().to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self { child: net.inside(move || command.spawn()).unwrap(), dir }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn journal(&self) -> PathBuf {
        let found = Journal::find(&self.dir).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().unwrap()
    }

    /// The guardian's process id, if there is one.
    pub(crate) fn guardian(&self, test: &str) -> Option<u32> {
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
pub(crate) fn guardians_of(test: &str) -> Vec<u32> {
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
pub(crate) fn stat(pid: u32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field).map(str::to_owned)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid, 1)?.parse().ok()
}

pub(crate) fn ends(pid: u32) -> bool {
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
