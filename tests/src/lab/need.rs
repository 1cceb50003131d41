//! Visible skips: a test names the kernel features that it needs, and the report names the test.
//!
//! Names are the modules': `sch_plug`, `cls_u32`, `act_mirred`, or a type of device (`veth`), or a
//! program's with `program_` before it (`program_strace`), or `all-words-in-tc`: tc prints every option
//! that this kernel's kinds dump, or `criu`: CRIU is there and can do its work.
//! `tun` is the device file of taps. `netns` is the right to make a namespace; all others include it.

use std::collections::HashMap;
use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use super::command;
use crate::captures;

/// Returns from the test, and reports it as skipped, unless the kernel has all these features.
///
/// ```no_run
/// # use tests::need;
/// fn a_test() {
///     need!("sch_plug", "veth");
/// }
/// ```
#[macro_export]
macro_rules! need {
    ($($feature:expr),+ $(,)?) => {
        fn here() {}
        let test = ::std::any::type_name_of_val(&here);
        if !$crate::lab::need::met(test.trim_end_matches("::here"), &[$($feature),+]) {
            return;
        }
    };
}

/// Whether the kernel has all `features`; if not, the test is put down as skipped.
///
/// `TC_SKIPPED` names the file that lists skipped tests. With `TC_NO_SKIP` a missing feature is a
/// failure, unless the list `TC_MAY_SKIP` allows it.
///
/// # Panics
///
/// With `TC_NO_SKIP`, when a feature is missing.
#[must_use]
pub fn met(test: &str, features: &[&str]) -> bool {
    let Some(missing) = features.iter().find(|feature| !has(feature)) else {
        return true;
    };
    let line = format!("{test}: needs {missing}\n");
    print!("skipped {line}");
    let allowed = env::var("TC_MAY_SKIP").unwrap_or_default();
    assert!(
        env::var_os("TC_NO_SKIP").is_none() || allowed.split_whitespace().any(|name| name == *missing),
        "{missing} is missing, and nothing may be skipped here"
    );
    if let Some(path) = env::var_os("TC_SKIPPED") {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("TC_SKIPPED names a file that can be written");
    }
    false
}

/// Asks the kernel once per feature.
#[must_use]
pub fn has(feature: &str) -> bool {
    static KNOWN: LazyLock<Mutex<HashMap<String, bool>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry(feature.to_owned()).or_insert_with(|| probe(feature.to_owned()))
}

/// In a namespace that ends with the probe.
fn probe(feature: String) -> bool {
    let asked = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).is_ok()
            && match feature.split_once('_') {
                Some(("sch", kind)) => knows(&qdisc(kind)),
                Some(("cls", kind)) => knows(&qdisc("clsact")) && knows(&filter(kind)),
                Some(("act", kind)) => knows(&action(kind)),
                Some(("program", name)) => is_there(name),
                _ if feature == "all-words-in-tc" => tc_has_all_words(),
                _ if feature == "netns" => true,
                _ if feature == "tun" => std::fs::File::open("/dev/net/tun").is_ok(),
                _ if feature == "criu" => criu_works(),
                _ => link(&feature),
            }
    });
    asked.join().expect("the probe ends")
}

/// Whether tc is as new as the kernel, or the kernel has none of the kinds (fq, netem, taprio) whose
/// dumps have more options on newer kernels than an older tc prints.
fn tc_has_all_words() -> bool {
    let first = |text: &str| {
        let mut numbers = text.split(|end: char| !end.is_ascii_digit()).map(str::parse::<u32>);
        numbers.next().and_then(Result::ok).zip(numbers.next().and_then(Result::ok))
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let tc = command::run(&mut command::command("tc".as_ref(), &["-V"])).stdout;
    captures::iproute2_version(&tc) >= first(&release) || !knows(&qdisc("fq"))
}

/// Whether CRIU has the rights and the kernel's features. It tries a connection over `lo`.
fn criu_works() -> bool {
    is_there("criu") && {
        let _lo = command::run(&mut command::command("ip".as_ref(), &["link", "set", "dev", "lo", "up"]));
        let check = command::run(&mut command::command("criu".as_ref(), &["check"]));
        if check.code != 0 {
            println!("criu check: {}", check.stderr);
        }
        check.code == 0
    }
}

/// Whether a program of this name can be started.
fn is_there(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn link(kind: &str) -> bool {
    let words = ["link", "add", "probe", "type", kind];
    command::run(&mut command::command("ip".as_ref(), &words)).code == 0
}

/// ENOENT is the kernel's word for a kind that it neither has nor can load. EPERM: in a user
/// namespace it refuses every action. Any other answer comes from the kind, which dislikes these
/// bare requests.
fn knows(request: &[u8]) -> bool {
    let code = ask(request).expect("the kernel answers requests");
    !matches!(Errno::from_raw(-code), Errno::ENOENT | Errno::EPERM)
}

fn ask(request: &[u8]) -> nix::Result<i32> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    sendto(socket.as_raw_fd(), request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut reply = [0; 1024];
    recv(socket.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    // The header is 16 bytes, then comes NLMSG_ERROR's code.
    Ok(i32::from_ne_bytes([reply[16], reply[17], reply[18], reply[19]]))
}

const LOOPBACK: i32 = 1; // its ifindex in every namespace
const TCA_KIND: u16 = 1;
const TCA_ACT_TAB: u16 = 1;
const TCA_ACT_KIND: u16 = 1;

fn qdisc(kind: &str) -> Vec<u8> {
    let (handle, parent) = match kind {
        "ingress" | "clsact" => (0xffff_0000, 0xffff_fff1),
        _ => (0, u32::MAX),
    };
    let mut body = tcmsg(handle, parent, 0);
    body.extend(attribute(TCA_KIND, &name(kind)));
    message(36, &body) // RTM_NEWQDISC
}

fn filter(kind: &str) -> Vec<u8> {
    let all_protocols = u32::from(3_u16.to_be());
    let mut body = tcmsg(0, 0xffff_fff2, 1 << 16 | all_protocols);
    body.extend(attribute(TCA_KIND, &name(kind)));
    message(44, &body) // RTM_NEWTFILTER
}

fn action(kind: &str) -> Vec<u8> {
    let first = attribute(1, &attribute(TCA_ACT_KIND, &name(kind)));
    let mut body = vec![0; 4];
    body.extend(attribute(TCA_ACT_TAB, &first));
    message(48, &body) // RTM_NEWACTION
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400; // request, ack, exclusive, create
    let length = 16 + u32::try_from(body.len()).expect("a short message");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    message.extend([0; 8]); // sequence number and port
    message.extend(body);
    message
}

fn tcmsg(handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(LOOPBACK.to_ne_bytes());
    for word in [handle, parent, info] {
        body.extend(word.to_ne_bytes());
    }
    body
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = 4 + u16::try_from(payload.len()).expect("a short attribute");
    let mut attribute = length.to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(payload);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn name(kind: &str) -> Vec<u8> {
    let mut name = kind.as_bytes().to_vec();
    name.push(0);
    name
}
