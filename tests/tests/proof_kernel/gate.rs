//! The gate between the server's output and the clients: output commit, or a weaker one.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tc_core::{Connection, Handle, Request, object};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{
    Ack, AttachOptions, Epoch, Error, Journal, JournalError, Limit, NetworkState, OnAdopt, OnDeath, OnTaint,
    OrphanedSession, OutputCommit,
};
use tests::lab::PATIENCE;
use tests::random::Chance;

const LIMIT_BYTES: u32 = 4_000_000;

/// The treatment of a server's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// [`OutputCommit`], used as documented.
    Commit,
    /// [`OutputCommit`], released when the checkpoint is written.
    Written,
    /// Plug commands by hand, with this number of outstanding epochs.
    Raw(usize),
    /// Nothing is held.
    Nothing,
}

impl Kind {
    const ALL: [(Self, &str); 5] = [
        (Self::Commit, "commit"),
        (Self::Written, "written"),
        (Self::Raw(1), "one"),
        (Self::Raw(2), "two"),
        (Self::Nothing, "nothing"),
    ];

    /// A word for it.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// The result of [`Kind::word`].
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// The gate of one server's output.
pub(crate) trait Gate {
    /// Ends an epoch, and returns its number; `None` if the open one must go on.
    fn close(&mut self) -> Option<u64>;
    /// The checkpoint of this epoch is on its way.
    fn written(&mut self, _: u64) {}
    /// The backup has the checkpoint of this epoch.
    fn acknowledged(&mut self, epoch: u64);
    /// The descriptor that is readable when there is something to check.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Looks. True if the output that was held could not be trusted any more.
    fn look(&mut self) -> bool {
        false
    }
}

/// Holds the output of a new server, after what an earlier one left was dropped.
pub(crate) fn hold(kind: Kind, dev: &str, dir: &Path, generation: u32, chance: &mut Chance) -> Box<dyn Gate> {
    match kind {
        Kind::Commit | Kind::Written => {
            let mut session = attach(dev, dir, chance);
            session.start_buffer().unwrap();
            Box::new(Commit { session, closed: None, early: kind == Kind::Written, tainted: false })
        }
        Kind::Raw(most) => Box::new(Raw::hold(dev, generation, most)),
        Kind::Nothing => Box::new(Nothing(0)),
    }
}

struct Commit {
    session: OutputCommit,
    closed: Option<Epoch>,
    early: bool,
    tainted: bool,
}

impl Gate for Commit {
    fn close(&mut self) -> Option<u64> {
        let closed = self.session.close_or_extend();
        let epoch = self.distrust(closed)??;
        let number = epoch.number();
        self.closed = Some(epoch);
        Some(number)
    }

    fn written(&mut self, epoch: u64) {
        if self.early {
            self.release(epoch);
        }
    }

    fn acknowledged(&mut self, epoch: u64) {
        if !self.early {
            self.release(epoch);
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.session.as_fd())
    }

    fn look(&mut self) -> bool {
        let checked = self.session.check();
        let _ = self.distrust(checked);
        std::mem::take(&mut self.tainted)
    }
}

impl Commit {
    fn release(&mut self, acknowledged: u64) {
        // One of before a restart may still be acknowledged, and releases nothing.
        if let Some(epoch) = self.closed.take_if(|epoch| epoch.number() == acknowledged) {
            let released = self.session.release(epoch, Ack::of(acknowledged));
            let _ = self.distrust(released);
        }
    }

    /// After a taint, begins again: all is held anew, until the next checkpoint.
    fn distrust<T>(&mut self, done: Result<T, Error>) -> Option<T> {
        match done {
            Ok(done) => return Some(done),
            Err(Error::Tainted { .. }) => (self.tainted, self.closed) = (true, None),
            Err(error) => panic!("{error}"),
        }
        again_until_done(|| match self.session.restart() {
            Ok(()) => Some(()),
            Err(Error::DeviceDown { .. } | Error::Tainted { .. } | Error::WrongState { .. }) => None,
            Err(error) => panic!("{error}"),
        });
        None
    }
}

/// Takes over what is left by a dead session, by one of both ways, or begins anew.
fn attach(dev: &str, dir: &Path, chance: &mut Chance) -> OutputCommit {
    let limit = Limit::bytes(LIMIT_BYTES.try_into().unwrap());
    let options = AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed).journal_dir(dir);
    let adopts = chance.is(50);
    again_until_done(|| {
        let attached = match left_journal(dir) {
            Some(path) if adopts => OutputCommit::attach(&[dev], options.clone().adopt(path, OnAdopt::Drop)),
            Some(path) => OrphanedSession::read(&path)
                .map_err(|error| Error::Journal { error, network: NetworkState::Untouched })
                .and_then(|left| left.remove(&mut Connection::open().unwrap(), OnAdopt::Drop, PATIENCE))
                .and_then(|_| OutputCommit::attach(&[dev], options.clone())),
            None => OutputCommit::attach(&[dev], options.clone()),
        };
        match attached {
            Ok(session) => Some(session),
            // It dies, or the device does not run yet.
            Err(Error::Journal { error: JournalError::Alive { .. }, .. } | Error::DeviceDown { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    })
}

/// A journal of a dead session, if there is one. There are two of the same plug
/// where a session died while it adopted; either will do.
fn left_journal(dir: &Path) -> Option<PathBuf> {
    let mut found = Journal::find(dir).unwrap();
    assert!(found.len() < 3, "{found:?}");
    found.pop()
}

fn again_until_done<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(since.elapsed() < PATIENCE, "it does not come to an end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Plug commands by hand: nobody looks whether the queue is still what it was.
struct Raw {
    tc: Connection,
    ifindex: i32,
    handle: Handle,
    epoch: u64,
    out: usize,
    most: usize,
}

impl Raw {
    /// A new plug in the place of the old one drops what that holds.
    fn hold(dev: &str, generation: u32, most: usize) -> Self {
        let mut tc = Connection::open().unwrap();
        let ifindex = tc.ifindex(dev).unwrap();
        let handle = Handle::qdisc(1 + (generation % 2) as u16);
        let mut raw = Self { tc, ifindex, handle, epoch: 0, out: 0, most };
        let plug = Plug::set_limit(LIMIT_BYTES);
        raw.tc.replace(&raw.request(&plug)).unwrap();
        raw.say(&Plug::buffer());
        raw
    }

    fn request<'a>(&self, plug: &'a Plug) -> Request<'a, object::Qdisc> {
        Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(self.handle).options(plug)
    }

    fn say(&mut self, plug: &Plug) {
        let request = self.request(plug);
        self.tc.change(&request).unwrap();
    }
}

impl Gate for Raw {
    fn close(&mut self) -> Option<u64> {
        if self.out == self.most {
            return None;
        }
        self.say(&Plug::buffer());
        self.out += 1;
        self.epoch += 1;
        Some(self.epoch - 1)
    }

    fn acknowledged(&mut self, _: u64) {
        self.out -= 1;
        self.say(&Plug::release_one());
    }
}

/// The number of the open epoch.
struct Nothing(u64);

impl Gate for Nothing {
    fn close(&mut self) -> Option<u64> {
        self.0 += 1;
        Some(self.0 - 1)
    }

    fn acknowledged(&mut self, _: u64) {}
}
