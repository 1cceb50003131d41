//! A network namespace with a server that CRIU dumps and restores.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use serde_json::Value;
use tests::lab::{Net, PATIENCE, tc_cli};

use crate::client::{Client, Outcome};

const SERVER: &str = "TC_CRIU_SERVER";
const ADDRESS: &str = "192.0.2.2:7000";
/// The end of a run of CRIU, which an emulated machine takes seconds for.
const END: Duration = Duration::from_secs(180);

/// Whether this process is the server, which has then served.
pub(crate) fn served() -> bool {
    if env::var_os(SERVER).is_none() {
        return false;
    }
    // CRIU dumps whole sessions.
    setsid().unwrap();
    let (mut stream, _) = TcpListener::bind(ADDRESS).unwrap().accept().unwrap();
    let mut record = [0; 8];
    while stream.read_exact(&mut record).is_ok() && stream.write_all(&record).is_ok() {}
    true
}

/// How a run of CRIU ended.
#[must_use]
pub(crate) struct Done {
    ok: bool,
    log: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn ok(self) {
        assert!(self.ok, "{}", self.log);
    }

    /// It failed, and the log has `why`.
    #[track_caller]
    pub(crate) fn fails(self, why: &str) {
        assert!(!self.ok && self.log.contains(why), "{why}: {}", self.log);
    }
}

pub(crate) struct Container {
    host: Net,
    inside: Net,
    dir: PathBuf,
    /// The device with the plug.
    plugged: &'static str,
    server: Child,
    runs: bool,
    resets_before: u64,
    client: Option<Client>,
    /// A restored process takes its old number, which another test could use meanwhile.
    _alone: MutexGuard<'static, ()>,
}

impl Container {
    /// Starts the server, which is this executable as `test`, and a client that is connected to it.
    pub(crate) fn start(test: &str, script: &str) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = env::temp_dir().join(format!("tc-criu-{test}-{}", std::process::id()));
        fs::create_dir_all(dir.join("images")).unwrap();
        fs::create_dir_all(dir.join("bin")).unwrap();
        program(&dir.join("script"), script);
        for name in ["iptables-restore", "ip6tables-restore"] {
            program(&dir.join("bin").join(name), "#!/bin/sh\nexit 0\n");
        }
        let (host, inside) = (Net::new(), Net::aside());
        host.veth_to("near", &inside, "far");
        host.ip("addr add 192.0.2.1/24 dev near").ok();
        inside.ip("addr add 192.0.2.2/24 dev far").ok();
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(SERVER, "");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = inside.inside(move || command.spawn()).unwrap();
        let mut container = Self {
            host,
            inside,
            dir,
            plugged: "near",
            server,
            runs: true,
            resets_before: 0,
            client: None,
            _alone: alone,
        };
        let client = Client::start(ADDRESS.parse().unwrap(), || container.host.wire("near"));
        container.client = Some(client);
        container
    }

    /// The device that the script is given.
    pub(crate) fn place(&mut self, dev: &'static str) {
        self.plugged = dev;
    }

    /// Plugs a device, which the script is then given.
    pub(crate) fn attach(&mut self, dev: &'static str) {
        self.place(dev);
        self.plug("attach --limit 16M");
    }

    /// `tc-cli plug WORDS`: its output.
    pub(crate) fn plug(&self, words: &str) -> String {
        let net = if self.plugged == "far" { &self.inside } else { &self.host };
        net.tc_cli(&format!("-j plug {words} --dev {} --journal-dir {}", self.plugged, self.journals())).ok()
    }

    fn journals(&self) -> String {
        self.dir.join("journals").to_str().unwrap().to_owned()
    }

    /// The number of packets in the plug.
    pub(crate) fn held(&self) -> u64 {
        let status: Value = serde_json::from_str(&self.plug("status")).unwrap();
        status[0]["observed"]["held_packets"].as_u64().unwrap_or_else(|| panic!("{status}"))
    }

    pub(crate) fn wait_until_held(&self) {
        wait("the plug holds packets", || self.held() > 0);
    }

    /// Waits until the container's kernel has answered a packet since the dump with RST.
    pub(crate) fn wait_for_reset(&self) {
        wait("a reset", || self.resets() > self.resets_before);
    }

    /// The RST segments that the container's kernel has sent.
    fn resets(&self) -> u64 {
        let counters = self.inside.inside(|| fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
        let mut lines = counters.lines().filter(|line| line.starts_with("Tcp:"));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let resets = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "OutRsts");
        resets.unwrap().1.parse().unwrap()
    }

    pub(crate) fn dump(&mut self) -> Done {
        let netns = format!("net[{}]:container", fs::metadata(self.inside.path()).unwrap().ino());
        let mut command = Command::new("criu");
        command.args(["dump", "--external", &netns]);
        self.dumped(command, false)
    }

    /// As [`Container::dump`], with CRIU in the container's network namespace.
    pub(crate) fn dump_from_inside(&mut self) -> Done {
        let mut command = Command::new("criu");
        command.arg("dump");
        self.dumped(command, true)
    }

    fn dumped(&mut self, mut command: Command, from_inside: bool) -> Done {
        self.resets_before = self.resets();
        command.args(["--tree", &self.server.id().to_string()]);
        let done = self.criu(command, from_inside);
        if done.ok {
            self.server.wait().unwrap();
            self.runs = false;
        }
        done
    }

    pub(crate) fn restore(&mut self) -> Done {
        let mut command = Command::new("sh");
        command.args(["-c", "exec criu \"$@\" 9<\"$0\"", &self.inside.path()]);
        command.args(["restore", "--restore-detached", "--inherit-fd", "fd[9]:container"]);
        let done = self.criu(command, false);
        self.runs = done.ok;
        done
    }

    fn criu(&self, mut command: Command, from_inside: bool) -> Done {
        let log = self.dir.join("log");
        let path = env::var("PATH").unwrap_or_default();
        command.arg("--images-dir").arg(self.dir.join("images"));
        command.arg("--log-file").arg(&log).args(["-v2", "--tcp-established"]);
        command.arg("--action-script").arg(self.dir.join("script"));
        command.env("PATH", format!("{}:{path}", self.dir.join("bin").display())).env("TC_CLI", tc_cli());
        command.env("PLUG_DEV", self.plugged).env("PLUG_JOURNAL", self.journals());
        if self.plugged == "far" {
            command.env("PLUG_NETNS", self.inside.path());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let net = if from_inside { &self.inside } else { &self.host };
        let mut child = net.inside(move || command.spawn()).unwrap();
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > END {
                child.kill().unwrap();
                panic!("criu does not end: {}", fs::read_to_string(&log).unwrap());
            }
            thread::sleep(Duration::from_millis(20));
        };
        Done { ok: status.success(), log: fs::read_to_string(&log).unwrap_or_default() }
    }

    /// The outcome for the client, whose connection ends.
    pub(crate) fn outcome(&mut self, name: &str) -> Outcome {
        self.client.take().unwrap().outcome(name)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.client = None;
        if self.runs {
            // The restored process has the number of the old one.
            let _ = kill(Pid::from_raw(self.server.id().cast_signed()), Signal::SIGKILL);
        }
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn wait(what: &str, reached: impl Fn() -> bool) {
    let since = Instant::now();
    while !reached() {
        assert!(since.elapsed() < PATIENCE * 6, "{what}: not reached");
        thread::sleep(Duration::from_millis(20));
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
