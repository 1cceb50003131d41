//! Consistent lists: a list counts only if nothing changed while it was read.
//!
//! Kernel: a dump comes in pieces, and goes on by counting. An object that is
//! deleted or added between two pieces moves the others, so that the list loses
//! one or has one twice. `NLM_F_DUMP_INTR` is set for neither qdiscs, classes
//! nor filters. A list in one piece is whole.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use super::dump::plural;
use super::monitor::Monitor;
use super::netns::Namespace;
use super::{Connection, Socket, Transport};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::wire::message::Message;
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

/// How often a list is read before the error.
pub(super) const TRIES: u32 = 10;

/// How long nothing may have changed before another try: changes come in bursts,
/// and a list that starts within one is in vain.
pub(super) const SILENCE: Duration = Duration::from_millis(1);

/// Upper bound on the wait for that, before each try.
pub(super) const MOST_SILENCES: u32 = 200;

/// Kinds of filters that the kernel changes without its lock: their notices can
/// come after the end of a list that they spoiled.
const UNLOCKED: [&str; 1] = ["flower"];

/// Detects changes of traffic control while lists are read.
///
/// It is a [`Monitor`] that has to be opened before the list starts, in the
/// network namespace of the connection. Without changes it costs one receive
/// that does not block. [`Connection::list_consistent`] reads one list with it,
/// [`ChangeWatch::read`] several that have to fit each other.
///
/// Kernel: changes and dumps hold one lock, and a notice is in the monitor's
/// queue before the lock is released. So the notices of all changes during a list
/// are queued when its end is received (seen on Linux 6.1 and 6.18).
///
/// ```no_run
/// use tc_core::{ChangeWatch, Connection, DumpRequest};
///
/// let (mut tc, mut watch) = (Connection::open()?, ChangeWatch::open()?);
/// let eth0 = tc.ifindex("eth0")?;
/// for class in tc.list_consistent(&mut watch, &DumpRequest::classes(eth0))? {
///     println!("{}", class.entry()?.header.handle);
/// }
/// // A class of this list has its qdisc in the other one.
/// let (qdiscs, classes) = watch.read("tree", || {
///     Ok::<_, tc_core::Error>((tc.list(&DumpRequest::qdiscs())?, tc.list(&DumpRequest::classes(eth0))?))
/// })??;
/// # let _ = (qdiscs, classes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ChangeWatch<M: Transport = Socket> {
    monitor: Monitor<M>,
    rereads: u64,
}

impl ChangeWatch {
    /// Watches the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        Ok(Self::over(Monitor::open(&[RTNLGRP_TC, RTNLGRP_LINK])?))
    }

    /// Watches a network namespace, whichever the calling thread is in.
    pub fn open_in(netns: &Namespace) -> Result<Self, Error> {
        netns.within(Self::open)?
    }
}

impl<M: Transport> ChangeWatch<M> {
    /// A watch over a monitor that has joined `RTNLGRP_TC` and `RTNLGRP_LINK`.
    pub const fn over(monitor: Monitor<M>) -> Self {
        Self { monitor, rereads: 0 }
    }

    /// The monitor below, to change it.
    pub const fn monitor_mut(&mut self) -> &mut Monitor<M> {
        &mut self.monitor
    }

    /// The monitor, for another use.
    pub fn into_monitor(self) -> Monitor<M> {
        self.monitor
    }

    /// How many lists, in all, were read once more because something changed.
    pub const fn rereads(&self) -> u64 {
        self.rereads
    }

    /// Starts anew: changes up to now do not count.
    pub fn reset(&mut self) -> Result<(), Error> {
        match self.monitor.forget()? {
            true => Ok(()),
            false => Err(Error::new("watch", "changes", Cause::Interrupted(1))),
        }
    }

    /// Whether something changed since the last [`reset`](Self::reset) that can
    /// have spoiled a list of these objects. Does not block.
    pub fn changed(&mut self, select: &DumpRequest) -> Result<bool, Error> {
        self.monitor.drain(|message| spoils(message, select))
    }

    /// Whether anything of traffic control changed since the last
    /// [`reset`](Self::reset), or a device. Does not block.
    pub fn any_changed(&mut self) -> Result<bool, Error> {
        self.monitor.drain(|_| true)
    }

    /// Runs `work`, which reads lists, until nothing changes meanwhile: ten
    /// times at most, then the error is [`Cause::Interrupted`]. The inner result
    /// is that of the last run. `object` names it in the error.
    ///
    /// An error of `work` counts as soon as nothing changed meanwhile, and after
    /// the last run. Between two runs it sleeps, up to
    /// 200 ms, until nothing changes.
    pub fn read<R, E>(
        &mut self,
        object: &str,
        mut work: impl FnMut() -> Result<R, E>,
    ) -> Result<Result<R, E>, Error> {
        let Self { monitor, rereads } = self;
        match read_until(monitor, rereads, |_| true, |_| work())? {
            (Ok(_), false) => Err(Error::new("list", object, Cause::Interrupted(TRIES))),
            (outcome, _) => Ok(outcome),
        }
    }
}

/// Signs of a change in the list itself, without notices.
enum Seen {
    Nothing,
    /// It was one step of the kernel's, which no change can spoil.
    AtOnce,
    Change,
}

/// The outcome of the last run, and whether nothing changed meanwhile.
fn read_until<M: Transport, R, E>(
    monitor: &mut Monitor<M>,
    rereads: &mut u64,
    mut spoils: impl FnMut(&Message<'_>) -> bool,
    mut work: impl FnMut(&mut Seen) -> Result<R, E>,
) -> Result<(Result<R, E>, bool), Error> {
    let mut tries = 1;
    loop {
        let is_empty = monitor.forget()?;
        let mut seen = Seen::Nothing;
        let outcome = work(&mut seen);
        let is_steady = match seen {
            Seen::AtOnce => true,
            Seen::Change => false,
            Seen::Nothing => is_empty && !monitor.drain(&mut spoils)?,
        };
        if is_steady || tries == TRIES {
            return Ok((outcome, is_steady));
        }
        wait_for_silence(monitor)?;
        tries += 1;
        *rereads += 1;
    }
}

/// Waits until nothing has changed for a while, within a limit.
fn wait_for_silence<M: Transport>(monitor: &mut Monitor<M>) -> Result<(), Error> {
    for _ in 0..MOST_SILENCES {
        thread::sleep(SILENCE);
        if !monitor.drain(|_| true)? {
            break;
        }
    }
    Ok(())
}

impl<T: Transport> Connection<T> {
    /// Lists objects, and returns the list only if nothing changed while it was
    /// read that can have spoiled it. Otherwise it is read again, ten times in
    /// all; then the error is [`Cause::Interrupted`], and [`Error::read`] has
    /// the last list.
    ///
    /// The watch has to be in the network namespace of the connection.
    ///
    /// ```
    /// use tc_core::embedded::{Device, Kernel};
    /// use tc_core::monitor::Monitor;
    /// use tc_core::uapi::{RTNLGRP_LINK, RTNLGRP_TC};
    /// use tc_core::{ChangeWatch, Connection, DumpRequest};
    ///
    /// let kernel = Kernel::builder().device(Device::new("eth0")).build();
    /// let socket = kernel.connect();
    /// socket.join(RTNLGRP_TC);
    /// socket.join(RTNLGRP_LINK);
    /// let mut watch = ChangeWatch::over(Monitor::over(socket));
    /// let mut tc = Connection::over(kernel.connect());
    /// assert_eq!(tc.list_consistent(&mut watch, &DumpRequest::qdiscs())?.len(), 1);
    /// # Ok::<(), tc_core::Error>(())
    /// ```
    pub fn list_consistent<M: Transport>(
        &mut self,
        watch: &mut ChangeWatch<M>,
        select: &DumpRequest,
    ) -> Result<Vec<OwnedEntry>, Error> {
        let ChangeWatch { monitor, rereads } = watch;
        let (outcome, is_steady) = read_until(
            monitor,
            rereads,
            |message| spoils(message, select),
            |seen| {
                let (list, pieces) = self.list_in_pieces(select)?;
                if is_unlocked(&list, select) && identities(&self.list(select)?) != identities(&list) {
                    *seen = Seen::Change;
                } else if pieces <= 1 {
                    *seen = Seen::AtOnce;
                }
                Ok(list)
            },
        )?;
        match outcome {
            Ok(list) if !is_steady => Err(interrupted(select).having_read(list)),
            outcome => outcome,
        }
    }

    /// Lists objects until two lists in a row have the same ones, ten times at
    /// most; then the error is [`Cause::Interrupted`], and [`Error::read`] has
    /// the last list. Counters and options may differ between the two.
    ///
    /// For where no [`ChangeWatch`] can be had. A list that takes several
    /// datagrams costs twice as much, and two changes can spoil two lists alike.
    pub fn list_confirmed(&mut self, select: &DumpRequest) -> Result<Vec<OwnedEntry>, Error> {
        let (mut list, pieces) = self.list_in_pieces(select)?;
        if pieces <= 1 && !is_unlocked(&list, select) {
            return Ok(list);
        }
        for _ in 1..TRIES {
            let again = self.list(select)?;
            let is_same = identities(&list) == identities(&again);
            list = again;
            if is_same {
                return Ok(list);
            }
        }
        Err(interrupted(select).having_read(list))
    }
}

fn interrupted(select: &DumpRequest) -> Error {
    Error::new("list", plural(select), Cause::Interrupted(TRIES))
}

/// Whether the change that a notice reports can have moved objects of a list.
fn spoils(message: &Message<'_>, select: &DumpRequest) -> bool {
    let ifindex = message.payload.get(4..8).and_then(|bytes| bytes.first_chunk());
    let ifindex = ifindex.map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    let wanted = select.header.ifindex;
    // A filter of a block names no device, and a block can be that of any.
    let is_near = wanted == 0
        || ifindex == wanted
        || (select.tc_type == TcType::Filter && [ifindex, wanted].contains(&TCM_IFINDEX_MAGIC_BLOCK));
    match message.kind {
        // Kernel: a list of qdiscs counts the devices, and a device that goes
        // takes its qdiscs along without a notice of theirs.
        RTM_NEWLINK | RTM_DELLINK if select.tc_type == TcType::Qdisc => true,
        RTM_NEWLINK => false,
        RTM_DELLINK => is_near,
        RTM_NEWQDISC | RTM_DELQDISC => select.tc_type == TcType::Action || is_near,
        RTM_NEWTCLASS | RTM_DELTCLASS => select.tc_type != TcType::Qdisc && is_near,
        RTM_NEWTFILTER | RTM_DELTFILTER | RTM_NEWCHAIN | RTM_DELCHAIN => match select.tc_type {
            TcType::Filter => is_near,
            // A filter brings actions along.
            TcType::Action => true,
            TcType::Qdisc | TcType::Class => false,
        },
        RTM_NEWACTION | RTM_DELACTION => select.tc_type == TcType::Action,
        _ => true,
    }
}

/// Whether a list can be spoiled without a notice in time: by filters that
/// change without the lock, and by actions of a deleted filter, which go later
/// and without a notice.
fn is_unlocked(list: &[OwnedEntry], select: &DumpRequest) -> bool {
    let is_unlocked = |owned: &OwnedEntry| {
        owned.entry().is_ok_and(|entry| entry.kind().is_ok_and(|kind| UNLOCKED.contains(&kind)))
    };
    match select.tc_type {
        TcType::Qdisc | TcType::Class => false,
        TcType::Action => true,
        TcType::Filter => {
            let mut seen = HashSet::new();
            list.iter().any(|owned| is_unlocked(owned) || !seen.insert(identity(owned)))
        }
    }
}

fn identities(list: &[OwnedEntry]) -> Vec<Identity> {
    list.iter().map(identity).collect()
}

/// The header less the reference count of a qdisc, the chain, and the actions of
/// a list of actions.
type Identity = (i32, u32, u32, u32, Option<u32>, Vec<(String, Option<u32>)>);

fn identity(owned: &OwnedEntry) -> Identity {
    let Ok(entry) = owned.entry() else { return Identity::default() };
    let header = entry.header;
    let info = if entry.tc_type() == TcType::Filter { header.info } else { 0 };
    let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok());
    let actions = entry.actions().map(|actions| {
        actions.iter().map(|action| (action.kind().to_owned(), action.index)).collect::<Vec<_>>()
    });
    let (handle, parent) = (header.handle.raw(), header.parent.raw());
    (header.ifindex, handle, parent, info, chain, actions.unwrap_or_default())
}
