//! Dumps: all objects of a type, streamed as the kernel sends them.

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk::{self, Talk};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::reply::MessageRange;
use crate::exchange::sans_io::Step;
use crate::wire::error::DecodeError;
use crate::wire::handle::Handle;
use crate::wire::message::{Entry, Message};
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

/// Maximum tries of a list that changes meanwhile, or loses a part.
const TRIES: u32 = 10;

impl<T: Transport> Connection<T> {
    /// Lists objects, each borrowed from the receive buffer.
    ///
    /// An object that changes while the list is read can be missing or appear twice,
    /// and so can its neighbours. The dump ends with [`Cause::Interrupted`] only
    /// if the kernel reports the change, which it does for devices, and for
    /// no object of traffic control: see [`Connection::list_consistent`].
    pub fn dump(&mut self, select: &DumpRequest) -> Result<Dump<'_, T>, Error> {
        let fail = |cause: Cause| Error::new("list", plural(select), cause);
        begin(self, select).map_err(fail)?;
        Ok(Dump { connection: self, select: *select })
    }

    /// Lists objects into memory. A list that changed while it was read, if the
    /// kernel reports that, or that lost a part, is read again, ten times in all. An entry that cannot be read is left out.
    ///
    /// Kernel: changes of qdiscs, classes and filters are not reported. Use
    /// [`Connection::list_consistent`] if other processes may change them.
    ///
    /// [`Error::read`] has the objects read before an error.
    pub fn list(&mut self, select: &DumpRequest) -> Result<Vec<OwnedEntry>, Error> {
        talk::now(list(self, select))
    }

    /// Lists objects, and counts the datagrams.
    pub(crate) fn list_in_pieces(&mut self, select: &DumpRequest) -> Result<(Vec<OwnedEntry>, usize), Error> {
        talk::now(list_in_pieces(self, select))
    }
}

/// Sends the request for a list.
pub(crate) fn begin<C: Talk>(tc: &mut C, select: &DumpRequest) -> Result<(), Cause> {
    let tc = tc.connection();
    tc.exchange.begin_list(tc.transport.port(), select)?;
    tc.send()
}

/// The place of the next object; `None` at the end.
#[inline]
pub(crate) async fn next<C: Talk>(tc: &mut C) -> Result<Option<MessageRange>, Cause> {
    let connection = tc.connection();
    if let Some(place) = connection.exchange.next_listed(&connection.answer) {
        return Ok(Some(place));
    }
    match talk::step(tc).await {
        Ok(Step::Object(_, place)) => Ok(Some(place)),
        Ok(Step::Verdict(_, Err(error))) => Err(Cause::Kernel(*error)),
        Ok(_) => Ok(None),
        Err(cause) => Err(*cause),
    }
}

/// Lists objects into memory; see [`Connection::list`].
pub(crate) async fn list<C: Talk>(tc: &mut C, select: &DumpRequest) -> Result<Vec<OwnedEntry>, Error> {
    list_in_pieces(tc, select).await.map(|(entries, _)| entries)
}

/// Lists objects, and counts the datagrams.
pub(crate) async fn list_in_pieces<C: Talk>(
    tc: &mut C,
    select: &DumpRequest,
) -> Result<(Vec<OwnedEntry>, usize), Error> {
    let mut tries = 1;
    loop {
        let mut entries = Vec::new();
        let error = match list_into(tc, select, &mut entries).await {
            Ok(pieces) => return Ok((entries, pieces)),
            Err(cause) => Error::new("list", plural(select), cause),
        };
        let again = matches!(error.cause(), Cause::Interrupted(_) | Cause::AnswerLost(_));
        if again && tries < TRIES {
            tries += 1;
            continue;
        }
        let counted = |cause| match cause {
            Cause::Interrupted(_) => Cause::Interrupted(tries),
            cause => cause,
        };
        return Err(error.map_cause(counted).having_read(entries));
    }
}

/// Adds the objects of a list; returns the number of datagrams.
async fn list_into<C: Talk>(
    tc: &mut C,
    select: &DumpRequest,
    entries: &mut Vec<OwnedEntry>,
) -> Result<usize, Cause> {
    let pieces = read_into(tc, select, entries).await?;
    if select.tc_type == TcType::Filter && !select.chains && pieces > 1 {
        list_skipped(tc, select, entries).await?;
    }
    Ok(pieces)
}

async fn read_into<C: Talk>(
    tc: &mut C,
    select: &DumpRequest,
    entries: &mut Vec<OwnedEntry>,
) -> Result<usize, Cause> {
    begin(tc, select)?;
    while let Some(place) = next(tc).await? {
        let answer = &tc.connection().answer;
        if Entry::decode(&place.message(answer)).is_ok() {
            entries.push(OwnedEntry::copy(place.bytes(answer)));
        }
    }
    Ok(tc.connection().exchange.pieces())
}

/// Adds filters that the kernel passed over.
///
/// Kernel: `mall_walk` of `cls_matchall.c` counts a filter that no longer fits in the datagram, and the next one
/// goes on behind it: seen on Linux 6.1 and 6.12, 18 of 2,000 filters. The priority is listed as one without
/// a filter; such priorities are asked for again, each by itself.
async fn list_skipped<C: Talk>(
    tc: &mut C,
    select: &DumpRequest,
    entries: &mut Vec<OwnedEntry>,
) -> Result<(), Cause> {
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let filters_of = |entry: &OwnedEntry| entry.entry().ok().map(|entry| Priority::of(&entry));
        let next = entries.get(at + 1).and_then(filters_of);
        let lacks = is_bare(entry) && next != filters_of(entry);
        at += 1;
        let Some(priority) = filters_of(entry).filter(|_| lacks) else { continue };
        let mut skipped = Vec::new();
        read_into(tc, &priority.select(select), &mut skipped).await?;
        skipped.retain(|listed| !is_bare(listed));
        let count = skipped.len();
        entries.splice(at..at, skipped);
        at += count;
    }
    Ok(())
}

/// Whether this is a priority, which is listed before its filters.
fn is_bare(listed: &OwnedEntry) -> bool {
    listed.entry().is_ok_and(|entry| entry.header.handle.is_unspec() && entry.options().is_none())
}

/// The filters of one kind, which are listed together.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Priority {
    ifindex: i32,
    parent: Handle,
    info: u32,
    chain: u32,
}

impl Priority {
    fn of(entry: &Entry<'_>) -> Self {
        let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok()).unwrap_or_default();
        Self { ifindex: entry.header.ifindex, parent: entry.header.parent, info: entry.header.info, chain }
    }

    fn select(&self, all: &DumpRequest) -> DumpRequest {
        let mut select = all.chain(self.chain);
        select.header.info = self.info;
        select
    }
}

pub(crate) const fn plural(select: &DumpRequest) -> &'static str {
    match select.tc_type {
        TcType::Filter if select.chains => "chains",
        TcType::Qdisc => "qdiscs",
        TcType::Class => "classes",
        TcType::Filter => "filters",
        TcType::Action => "actions",
    }
}

/// A list that is being read; see [`Connection::dump`].
///
/// When it is dropped early it reads the rest: the kernel refuses another dump
/// on the same socket before that.
#[derive(Debug)]
pub struct Dump<'c, T: Transport> {
    connection: &'c mut Connection<T>,
    select: DumpRequest,
}

/// One object of a list, as the message that it came in.
#[derive(Clone, Copy, Debug)]
pub struct DumpEntry<'a> {
    message: Message<'a>,
    bytes: &'a [u8],
}

impl<'a> DumpEntry<'a> {
    pub(crate) fn at(place: MessageRange, answer: &'a [u8]) -> Self {
        Self { message: place.message(answer), bytes: place.bytes(answer) }
    }

    /// The object; an error if its header and attributes cannot be
    /// separated. The next one is not affected by that.
    pub fn entry(&self) -> Result<Entry<'a>, DecodeError> {
        Entry::decode(&self.message)
    }

    /// The netlink message, header included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<T: Transport> Dump<'_, T> {
    /// The next object; `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends from the receive buffer, which Iterator cannot"
    )]
    pub fn next(&mut self) -> Result<Option<DumpEntry<'_>>, Error> {
        let place = talk::now(next(self.connection));
        let place = place.map_err(|cause| Error::new("list", plural(&self.select), cause))?;
        Ok(place.map(|place| DumpEntry::at(place, &self.connection.answer)))
    }

    /// How many datagrams with objects have come up to now.
    ///
    /// Kernel: it fills one under its lock, so that a change can spoil only a
    /// list of several.
    pub const fn pieces(&self) -> usize {
        self.connection.exchange.pieces()
    }
}

impl<T: Transport> Drop for Dump<'_, T> {
    fn drop(&mut self) {
        while let Ok(Some(_)) = talk::now(next(self.connection)) {}
    }
}
