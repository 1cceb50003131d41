//! Sessions on one device: each touches its own plug and journal alone.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tc_core::{DumpRequest, Handle, Request};
use tc_qdiscs::plug::commit::{Journal, JournalError, OnAdopt, OrphanedSession};

use super::attach::kernel;
use super::*;

type Session = OutputCommit<Shared<Socket>>;

/// A directory that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tc-owners-{name}-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&dir);
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _absent = fs::remove_dir_all(&self.0);
    }
}

fn options(dir: &Path) -> AttachOptions {
    let limit = Limit::bytes(32_768.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(dir);
    // The other session is in the way of this thread, and does not go on meanwhile.
    options.timeout(Duration::from_millis(5))
}

fn attach(kernel: &Kernel, names: &[&str], options: AttachOptions) -> Result<Session, Error> {
    attach_with(kernel, names, options, |_| {})
}

fn attach_with(
    kernel: &Kernel,
    names: &[&str],
    options: AttachOptions,
    meanwhile: impl FnOnce(&Shared<Socket>),
) -> Result<Session, Error> {
    let notices = kernel.connect();
    [RTNLGRP_TC, RTNLGRP_LINK].into_iter().for_each(|group| notices.join(group));
    let tc = Shared::new(kernel.connect());
    meanwhile(&tc);
    OutputCommit::attach_over(Connection::over(tc), Monitor::over(Shared::new(notices)), names, options)
}

/// The root qdisc of each device: kind and handle. It is a list: a get would taint a session.
fn roots(kernel: &Kernel) -> [(String, Handle); 2] {
    DEVICES.map(|device| {
        let mut tc = Connection::over(kernel.connect());
        let listed = tc.list(&DumpRequest::qdiscs().device(device)).unwrap();
        let entries = listed.iter().map(|listed| listed.entry().unwrap());
        let root = entries.into_iter().find(|entry| entry.header.parent == Handle::ROOT).unwrap();
        (root.kind().unwrap().to_owned(), root.header.handle)
    })
}

fn delete_root(kernel: &Kernel, device: i32) {
    Connection::over(kernel.connect()).delete(&Request::qdisc(device).parent(Handle::ROOT)).unwrap();
}

fn held(session: &Session, kernel: &Kernel, device: i32) -> bool {
    let handle = session.journal().devices[0].handles[0];
    kernel.send(device, *b"?");
    kernel.take_sent(device).is_empty() && roots(kernel).iter().any(|(_, root)| *root == handle)
}

/// One begins at every moment of the other: in one directory or two, with different or equal handles.
#[test]
fn attach_when_another_attaches_at_any_moment() {
    let mut wins = [0, 0];
    for (apart, same_handles) in [(false, false), (false, true), (true, false), (true, true)] {
        for moment in 0.. {
            let (first, second) = (Dir::new("first"), Dir::new(if apart { "second" } else { "first" }));
            let with = |dir: &Dir| {
                let options = options(&dir.0);
                if same_handles { options.handles(0xc01, 0xc02) } else { options }
            };
            let kernel = kernel();
            let other: Arc<Mutex<Option<Result<Session, Error>>>> = Arc::default();
            let (done, world, late) = (other.clone(), kernel.clone(), with(&second));
            let one = attach_with(&kernel, &["eth0", "eth1"], with(&first), |tc| {
                tc.get().before_send(moment, move || {
                    *done.lock().unwrap() = Some(attach(&world, &["eth0", "eth1"], late));
                });
            });
            let Some(other) = other.lock().unwrap().take() else { break };
            let when = format!("at send {moment}, apart {apart}, same handles {same_handles}");
            let (winner, loser, dir, at) = match (one, other) {
                (Ok(winner), Err(loser)) => (winner, loser, &first, 0),
                (Err(loser), Ok(winner)) => (winner, loser, &second, 1),
                (one, other) => panic!("{when}: {:?} and {:?}", one.err(), other.err()),
            };
            wins[at] += 1;
            assert_eq!(loser.network(), NetworkState::Untouched, "{when}: {loser}");
            if !apart {
                let busy = matches!(&loser, Error::Journal { error: JournalError::Busy { .. }, .. });
                let told = matches!(&loser, Error::InUse { pid, .. } if *pid == std::process::id());
                assert!(busy || told, "{when}: {loser}");
            }
            let journal = winner.journal().clone();
            for (device, (kind, handle)) in journal.devices.iter().zip(roots(&kernel)) {
                assert_eq!((kind.as_str(), handle), ("plug", device.handles[0]), "{when}");
            }
            let found: Vec<_> =
                [&first, &second].iter().flat_map(|dir| Journal::find(&dir.0).unwrap()).collect();
            assert!(found.iter().all(|path| path == winner.journal_path()), "{when}: {found:?}");
            assert!(Journal::read(&journal.path_in(&dir.0)).unwrap().ready, "{when}");
        }
    }
    assert!(wins.iter().all(|wins| *wins > 5), "{wins:?}");
}

/// A session whose plug somebody deleted, or whose device was made again, and one that came after it.
#[test]
fn end_when_another_session_has_the_device() {
    let ends: [fn(Session); 5] = [
        |mut session| drop(session.discard()),
        |mut session| drop(session.abort()),
        |mut session| {
            let _tainted = session.check();
            let _refused = session.restart();
            drop(session.discard());
        },
        |mut session| drop(session.detach(DetachMode::Remove)),
        drop,
    ];
    for (at, end) in ends.into_iter().enumerate() {
        for on_taint in [OnTaint::FailClosed, OnTaint::FailOpen] {
            for made_again in [false, true] {
                let (kernel, dir) = (kernel(), Dir::new("ends"));
                let limit = Limit::bytes(32_768.try_into().unwrap());
                let first = AttachOptions::new(limit, on_taint, OnDeath::StayClosed).journal_dir(&dir.0);
                let mut first = attach(&kernel, &["eth0"], first).unwrap();
                first.start_buffer().unwrap();
                let refused = attach(&kernel, &["eth0"], options(&dir.0)).map(|_| ()).unwrap_err();
                assert!(matches!(refused, Error::InUse { .. }), "{refused}");
                if made_again {
                    assert!(kernel.remove_device(DEVICES[0]));
                    kernel.add_device(Device::new("eth0").ifindex(DEVICES[0]));
                } else {
                    delete_root(&kernel, DEVICES[0]);
                }
                let mut second = attach(&kernel, &["eth0"], options(&dir.0)).unwrap();
                assert_eq!(Journal::find(&dir.0).unwrap().len(), 2);
                second.start_buffer().unwrap();
                assert!(held(&second, &kernel, DEVICES[0]));
                end(first);
                let when = format!("end {at}, {on_taint:?}, made again {made_again}");
                assert!(held(&second, &kernel, DEVICES[0]), "{when}");
                second.check().unwrap_or_else(|error| panic!("{when}: {error}"));
                let path = second.journal_path().to_owned();
                assert!(Journal::is_alive(&path).unwrap(), "{when}");
                second.discard().unwrap();
                assert!(!path.exists(), "{when}");
            }
        }
    }
}

#[test]
fn rescue_when_another_session_has_the_device() {
    for held_packets in [OnAdopt::Release, OnAdopt::Drop] {
        let (kernel, dir) = (kernel(), Dir::new("rescue"));
        let mut first = attach(&kernel, &["eth0", "eth1"], options(&dir.0)).unwrap();
        first.start_buffer().unwrap();
        let path = first.journal_path().to_owned();
        let alive = OrphanedSession::read(&path).map(|_| ()).unwrap_err();
        assert!(matches!(alive, JournalError::Alive { .. }), "{alive}");
        drop(first);
        let orphaned = attach(&kernel, &["eth1"], options(&dir.0)).map(|_| ()).unwrap_err();
        let text = orphaned.to_string();
        assert!(text.contains("plug rescue") && text.contains(path.to_str().unwrap()), "{text}");
        delete_root(&kernel, DEVICES[0]);

        let mut second = attach(&kernel, &["eth0"], options(&dir.0)).unwrap();
        assert_eq!(second.stale_journals(), <[PathBuf; 0]>::default());
        second.start_buffer().unwrap();
        let left = OrphanedSession::read(&path).unwrap();
        let mut tc = Connection::over(kernel.connect());
        assert!(OrphanedSession::read(&path).is_err(), "one rescue at a time");
        assert_eq!(left.open(&mut tc).unwrap(), 1, "the other device had been forgotten");
        assert_eq!(left.remove(&mut tc, held_packets, Duration::from_secs(2)).unwrap(), 1);
        assert!(held(&second, &kernel, DEVICES[0]), "{held_packets:?}");
        second.check().unwrap();
        assert_ne!(roots(&kernel)[1].0, "plug");
        assert!(!path.exists());
    }
}

#[test]
fn attach_when_the_plugs_of_a_journal_are_gone() {
    let (kernel, dir) = (kernel(), Dir::new("stale"));
    let first = attach(&kernel, &["eth0", "eth1"], options(&dir.0)).unwrap();
    let path = first.journal_path().to_owned();
    drop(first);
    DEVICES.iter().for_each(|device| delete_root(&kernel, *device));
    fs::write(dir.0.join("9.part"), "tc-plug journal 2\n").unwrap();
    let second = attach(&kernel, &["eth1"], options(&dir.0)).unwrap();
    assert_eq!(second.stale_journals(), std::slice::from_ref(&path));
    assert_eq!(Journal::find(&dir.0).unwrap(), [second.journal_path()]);
    assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "no part of a journal is left");
}

#[test]
fn adopt_when_two_journals_name_one_plug() {
    let (kernel, dir) = (kernel(), Dir::new("twice"));
    let first = attach(&kernel, &["eth0"], options(&dir.0)).unwrap();
    let path = first.journal_path().to_owned();
    // As if the adopting session had died before it deleted the journal.
    let copy = dir.0.join("00000000000000ff.journal");
    fs::copy(&path, &copy).unwrap();
    drop(first);
    let second = attach(&kernel, &["eth0"], options(&dir.0).adopt(&path, OnAdopt::Drop)).unwrap();
    assert_eq!(second.stale_journals(), [copy]);
    assert_eq!(Journal::find(&dir.0).unwrap(), [second.journal_path()]);
    let path = second.journal_path().to_owned();
    let again = attach(&kernel, &["eth0"], options(&dir.0).adopt(&path, OnAdopt::Drop)).map(|_| ());
    let alive = matches!(again, Err(Error::Journal { error: JournalError::Alive { .. }, .. }));
    assert!(alive, "{again:?}");
}

#[test]
fn borrow_when_the_plug_is_given_back() {
    let (kernel, dir, lent) = (kernel(), Dir::new("borrow"), Dir::new("lent"));
    let owner = attach(&kernel, &["eth0"], options(&lent.0)).unwrap();
    let path = owner.journal_path().to_owned();
    drop(owner);
    let root = roots(&kernel)[0].clone();
    let mut session = attach(&kernel, &["eth0"], options(&dir.0).borrow(&path, OnAdopt::Release)).unwrap();
    assert!(Journal::is_alive(&path).unwrap(), "nobody else borrows it");
    session.start_buffer().unwrap();
    session.detach(DetachMode::GiveBack).unwrap();
    assert!(!Journal::is_alive(&path).unwrap());
    assert_eq!(roots(&kernel)[0], root);
    assert_eq!(Journal::find(&dir.0).unwrap(), Vec::<PathBuf>::new());
}

/// Killed before any of its sends, an attach leaves no plug, or one that is open.
#[test]
fn attach_when_killed_between_two_sends() {
    for moment in 0.. {
        let (kernel, dir) = (kernel(), Dir::new("killed"));
        let seen: Arc<Mutex<Option<[usize; 2]>>> = Arc::default();
        let (done, world) = (seen.clone(), kernel.clone());
        let session = attach_with(&kernel, &["eth0", "eth1"], options(&dir.0), |tc| {
            tc.get().before_send(moment, move || {
                *done.lock().unwrap() = Some(DEVICES.map(|device| {
                    world.send(device, *b"?");
                    world.take_sent(device).len()
                }));
            });
        });
        session.unwrap();
        let Some(left) = *seen.lock().unwrap() else { break };
        assert_eq!(left, [1, 1], "before send {moment}");
    }
}

/// An add that fails does not open the plug that has its handle.
#[test]
fn attach_when_another_plug_has_the_handles() {
    for moment in 0.. {
        let (kernel, first, second) = (kernel(), Dir::new("has"), Dir::new("sets"));
        let other: Arc<Mutex<Option<Session>>> = Arc::default();
        let (done, world) = (other.clone(), kernel.clone());
        let theirs = options(&first.0).handles(0xc01, 0xc02);
        let one = attach_with(&kernel, &["eth0"], options(&second.0).handles(0xc01, 0xc02), |tc| {
            tc.get().before_send(moment, move || {
                // The last send opens the plug, and must find it.
                let Ok(mut session) = attach(&world, &["eth0"], theirs) else { return };
                session.start_buffer().unwrap();
                world.send(DEVICES[0], *b"held");
                *done.lock().unwrap() = Some(session);
            });
        });
        let Some(mut other) = other.lock().unwrap().take() else {
            one.unwrap();
            break;
        };
        let error = one.map(|_| ()).unwrap_err();
        assert_eq!(error.network(), NetworkState::Untouched, "at send {moment}: {error}");
        assert!(kernel.take_sent(DEVICES[0]).is_empty(), "at send {moment}");
        other.check().unwrap();
    }
}

#[test]
fn handles_when_every_session_has_its_own() {
    let dir = Dir::new("handles");
    let mut seen = std::collections::HashSet::new();
    let mut sessions = Vec::new();
    for _ in 0..50 {
        let kernel = kernel();
        let session = attach(&kernel, &["eth0"], options(&dir.0)).unwrap();
        let handles = session.journal().devices[0].handles;
        assert!(handles.iter().all(|handle| (0x4000..0x8000).contains(&handle.major())), "{handles:?}");
        assert!(handles.iter().all(|handle| seen.insert(*handle)), "{handles:?}");
        sessions.push(session);
    }
}
