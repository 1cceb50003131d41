//! A failed attach leaves nothing, or reports what remains.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tc_core::link::DeviceNames;
use tc_core::{Handle, Received, Request};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::Journal;

use super::*;

type Setting = fn(AttachOptions) -> AttachOptions;

/// The error of an attach, if it fails.
pub(crate) fn attach(
    world: &Kernel,
    dir: &Path,
    names: &[&str],
    set: impl FnOnce(AttachOptions) -> AttachOptions,
    meanwhile: impl FnOnce(&Shared<Socket>),
) -> Option<Error> {
    let limit = Limit::bytes(32_768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(dir);
    let tc = Shared::new(world.connect());
    meanwhile(&tc);
    let monitor = Monitor::over(Shared::new(world.connect()));
    OutputCommit::attach_over(Connection::over(tc), monitor, names, set(options)).err()
}

pub(crate) fn kernel() -> Kernel {
    let builder = tc_qdiscs::embedded::kinds(Kernel::builder());
    let builder = builder.device(Device::new("eth0").ifindex(DEVICES[0]));
    builder.device(Device::new("eth1").ifindex(DEVICES[1])).build()
}

fn root(kernel: &Kernel, device: i32) -> (String, Handle) {
    let mut tc = Connection::over(kernel.connect());
    let entry = tc.get(&Request::qdisc(device).parent(Handle::ROOT)).unwrap();
    (entry.kind().unwrap().to_owned(), entry.header.handle)
}

#[test]
fn unusable_devices_and_handles_are_refused_untouched() {
    let (kernel, dir) = (kernel(), std::env::temp_dir().join(format!("tc-attach-{}", std::process::id())));
    let many: Vec<String> = (0..129).map(|n| format!("d{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let same = |options: AttachOptions| options.handles(7, 7);
    let none = |options: AttachOptions| options.handles(7, 0);
    let cases: [(&[&str], Setting); 5] = [
        (&[], |options| options),
        (&many, |options| options),
        (&["eth0", "eth0"], |options| options),
        (&["eth0"], same),
        (&["eth0"], none),
    ];
    for (names, set) in cases {
        let error = attach(&kernel, &dir, names, set, |_| {}).unwrap();
        assert!(matches!(error, Error::Devices(_)), "{names:?}: {error}");
    }
    kernel.set_carrier(DEVICES[1], false);
    let error = attach(&kernel, &dir, &["eth0", "eth1"], |options| options, |_| {}).unwrap();
    assert!(matches!(error, Error::DeviceDown { .. }), "{error}");
    assert!(!dir.exists());
}

/// A transport that reports no queue events.
struct NoEvents(Socket);

impl Transport for NoEvents {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram)
    }
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.0.receive(buffer)
    }
    fn port(&self) -> u32 {
        self.0.port()
    }
    fn device_names(&self) -> io::Result<Box<dyn DeviceNames>> {
        self.0.device_names()
    }
}

#[test]
fn several_queues_without_events_are_refused_unless_accepted() {
    let builder = tc_qdiscs::embedded::kinds(Kernel::builder());
    let builder = builder.device(Device::new("eth0").ifindex(DEVICES[0]));
    let kernel = builder.device(Device::new("eth1").ifindex(DEVICES[1]).tx_queues(4)).build();
    let dir = std::env::temp_dir().join(format!("tc-unwatched-{}", std::process::id()));
    let attach = |names: &[&str], accept: bool| {
        let limit = Limit::bytes(32_768.try_into().unwrap());
        let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(&dir);
        let options = if accept { options.accept_unwatched_queues() } else { options };
        let connection = Connection::over(NoEvents(kernel.connect()));
        OutputCommit::attach_over(connection, Monitor::over(NoEvents(kernel.connect())), names, options)
    };
    let before = root(&kernel, DEVICES[1]);
    let error = attach(&["eth0", "eth1"], false).err().unwrap();
    assert!(matches!(&error, Error::QueuesUnwatched { device, tx_queues: 4, .. } if device == "eth1"));
    assert_eq!(error.network(), NetworkState::Untouched);
    assert!(error.to_string().contains("or accept unwatched queues in the options"), "{error}");
    assert_eq!(root(&kernel, DEVICES[1]), before);
    assert!(!dir.exists());
    attach(&["eth0"], false).unwrap().discard().unwrap();
    attach(&["eth0", "eth1"], true).unwrap().discard().unwrap();
    let _ = std::fs::remove_dir_all(&dir);
}

/// Somebody puts a plug on the second device meanwhile; and an answer is lost as well.
#[test]
fn plugs_are_undone_or_stay_in_the_journal() {
    let theirs = Plug::set_limit(9999);
    let dir = std::env::temp_dir().join(format!("tc-undo-{}", std::process::id()));
    let (mut clean, mut left) = (0, 0);
    for meanwhile in 0..12 {
        for lost in 0..30 {
            let kernel = kernel();
            let (before, other) = (root(&kernel, DEVICES[0]), kernel.clone());
            let add = Request::qdisc(DEVICES[1]).parent(Handle::ROOT).handle(Handle::qdisc(7));
            let put = Arc::new(AtomicBool::new(false));
            let failed = attach(
                &kernel,
                &dir,
                &["eth0", "eth1"],
                |options| options,
                |tc| {
                    let put = put.clone();
                    tc.get().before_send(meanwhile, move || {
                        let done = Connection::over(other.connect()).add(&add.options(&theirs));
                        put.store(done.is_ok(), Relaxed);
                    });
                    tc.get().at_call(lost, Fault::NoBuffers);
                },
            );
            let journals = Journal::find(&dir).unwrap().len();
            let _ = std::fs::remove_dir_all(&dir);
            let Some(error) = failed else { continue };
            let when = format!("plug at send {meanwhile}, answer {lost} lost: {error}");
            if put.load(Relaxed) {
                assert_eq!(root(&kernel, DEVICES[1]).1, Handle::qdisc(7), "{when}");
            }
            if error.network() == NetworkState::Untouched {
                assert_eq!((root(&kernel, DEVICES[0]), journals), (before, 0), "{when}");
                clean += 1;
            } else {
                assert_eq!((error.network(), journals), (NetworkState::Unknown, 1), "{when}");
                left += 1;
            }
        }
    }
    assert!(clean > 20 && left > 0, "{clean} and {left}");
}
