//! The filters and qdiscs of a redirect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};
use tc_core::message::Entry;
use tc_core::{Attrs, Connection, DumpRequest, Error, Handle, Request, Transport, object};

use super::Side;
use super::error::PlaceError;
use super::mark::Mark;
use super::matching::{Match, actions, digest};
use crate::action::mirred::Mirred;

/// The state of a side's filters.
pub(super) struct Hook {
    pub(super) has_qdisc: bool,
    pub(super) ours: Vec<Ours>,
}

/// A filter of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// The device that it leads to; 0 if that is gone.
    pub(super) leads_to: i32,
    pub(super) cookie: Vec<u8>,
    kind: String,
    protocol: u16,
    pub(super) priority: u16,
    handle: Handle,
}

impl Ours {
    /// Whether it takes some packets and not all.
    pub(super) fn is_selective(&self) -> bool {
        !COOKIES.contains(&&self.cookie[..])
    }

    pub(super) fn made_clsact(&self) -> bool {
        self.cookie == COOKIES[0] || self.cookie.starts_with(MATCH_COOKIES[0])
    }

    fn request(&self, ifindex: i32, side: Side) -> Request<'_, object::Filter> {
        let at = Request::filter(ifindex).parent(side.hook()).kind(&self.kind);
        at.priority(self.priority).protocol(self.protocol).handle(self.handle)
    }
}

/// By these our filter is known; the first if the redirect made the clsact qdisc.
const COOKIES: [&[u8]; 2] = [b"plug-redirect-m", b"plug-redirect-f"];
/// Those of filters that select packets; the digest of the filters follows.
const MATCH_COOKIES: [&[u8]; 2] = [b"plug-match-m", b"plug-match-f"];

/// The cookie of a redirect's filters.
pub(super) fn cookie(matches: &[Match], made_clsact: bool) -> Vec<u8> {
    let which = usize::from(!made_clsact);
    match matches {
        [] => COOKIES[which].to_vec(),
        matches => [MATCH_COOKIES[which], &digest(matches)].concat(),
    }
}

/// Whether two cookies are of redirects of the same packets.
pub(super) fn selects_alike(one: &[u8], other: &[u8]) -> bool {
    let made = |cookie: &[u8]| -> Vec<u8> {
        let found = |cookie: &[u8], pair: [&[u8]; 2]| {
            cookie.strip_prefix(pair[1]).map(|rest| [pair[0], rest].concat())
        };
        found(cookie, COOKIES).or_else(|| found(cookie, MATCH_COOKIES)).unwrap_or_else(|| cookie.to_vec())
    };
    made(one) == made(other)
}

const TRIES: u32 = 3;

/// The name of a device whose packets can be redirected.
pub(super) fn check_device<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<String, PlaceError> {
    let link = tc.link_by_index(ifindex)?;
    let kind = tc.link_details(ifindex)?.port_of;
    if link.kind == "ifb" {
        return Err(PlaceError::DeviceIsIfb { device: link.name });
    }
    if kind == "bond" || kind == "team" {
        return Err(PlaceError::BondPort { device: link.name, kind });
    }
    Ok(link.name)
}

pub(super) fn look_at_hook<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    name: &str,
    side: Side,
    priorities: RangeInclusive<u16>,
) -> Result<Hook, PlaceError> {
    let Some(kind) = hook_qdisc(tc, ifindex)? else {
        return Ok(Hook { has_qdisc: false, ours: Vec::new() });
    };
    if kind == "ingress" && side == Side::Egress {
        return Err(PlaceError::NoEgress { device: name.to_owned() });
    }
    let mut found = Vec::new();
    for filter in tc.list_confirmed(&DumpRequest::filters(ifindex).parent(side.hook()))? {
        let Ok(entry) = filter.entry() else { continue };
        match ours(&entry) {
            Found::Ours(ours) => found.push(ours),
            Found::Foreign(kind) if priorities.contains(&entry.priority()) => {
                let (device, priority) = (name.to_owned(), entry.priority());
                return Err(PlaceError::ForeignFilter { device, side, priority, kind });
            }
            Found::Foreign(_) | Found::Head => {}
        }
    }
    Ok(Hook { has_qdisc: true, ours: found })
}

/// The kind of the device's qdisc for filters, from a list.
///
/// Kernel: before Linux 6.8 a question for one qdisc looks like a change to all
/// listeners, and taints a session that holds the device's root queue.
fn hook_qdisc<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Option<String>, Error> {
    for listed in tc.list_confirmed(&DumpRequest::qdiscs().device(ifindex))? {
        let Ok(entry) = listed.entry() else { continue };
        if entry.header.parent == Handle::CLSACT {
            return Ok(Some(entry.kind().unwrap_or_default().to_owned()));
        }
    }
    Ok(None)
}

/// An entry of a list of filters.
enum Found {
    Ours(Ours),
    /// The head of a priority, or a hash table of u32, which belongs to whichever filter is in it.
    Head,
    /// Another filter, of this kind.
    Foreign(String),
}

fn ours(entry: &Entry<'_>) -> Found {
    const TCA_U32_DIVISOR: u16 = 4;
    let kind = entry.kind().unwrap_or("?").to_owned();
    let has = |attribute| {
        let options = entry.options().map(Attrs::new);
        options.is_some_and(|options| matches!(options.find(attribute), Ok(Some(_))))
    };
    // Kernel: a filter without options stands for its priority.
    if entry.options().is_none() || kind == "u32" && has(TCA_U32_DIVISOR) {
        return Found::Head;
    }
    let is_ours = |cookie: &[u8]| {
        COOKIES.contains(&cookie) || MATCH_COOKIES.iter().any(|prefix| cookie.starts_with(prefix))
    };
    let actions = actions(entry);
    let Some(action) = actions.iter().find(|action| is_ours(&action.cookie)) else {
        return Found::Foreign(kind);
    };
    Found::Ours(Ours {
        leads_to: action.options_as::<Mirred>().map_or(0, |mirred| mirred.ifindex),
        cookie: action.cookie.clone(),
        kind,
        protocol: entry.protocol(),
        priority: entry.priority(),
        handle: entry.header.handle,
    })
}

/// Our filters of a side that lead to this IFB.
pub(super) fn filters_to<T: Transport>(
    tc: &mut Connection<T>,
    mark: Mark,
    ifb: i32,
) -> Result<Vec<Ours>, Error> {
    let mut all = our_filters(tc, mark.device, mark.side)?;
    all.retain(|filter| filter.leads_to == ifb);
    Ok(all)
}

fn our_filters<T: Transport>(tc: &mut Connection<T>, ifindex: i32, side: Side) -> Result<Vec<Ours>, Error> {
    if hook_qdisc(tc, ifindex)?.is_none() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for filter in tc.list_confirmed(&DumpRequest::filters(ifindex).parent(side.hook()))? {
        let Ok(entry) = filter.entry() else { continue };
        if let Found::Ours(ours) = ours(&entry) {
            found.push(ours);
        }
    }
    Ok(found)
}

/// A name that no device has, so that one that has it later is ours.
pub(super) fn unused_name<T: Transport>(tc: &mut Connection<T>) -> Result<String, Error> {
    loop {
        let number = RandomState::new().build_hasher().finish() as u32;
        let name = format!("plug-{number:08x}");
        match tc.link_by_name(&name) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(name),
            Err(error) => return Err(error),
        }
    }
}

/// The packets that a new clsact purges: those in the root qdisc. 0 if clsact or ingress is there.
pub(super) fn waiting_in_clsacts_way<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
) -> Result<u32, Error> {
    let mut waiting = 0;
    for listed in tc.list_confirmed(&DumpRequest::qdiscs().device(ifindex))? {
        let Ok(entry) = listed.entry() else { continue };
        if entry.header.parent == Handle::CLSACT {
            return Ok(0);
        }
        if entry.header.parent == Handle::ROOT {
            let queue = entry.stats().ok().flatten().and_then(|stats| stats.queue);
            waiting = queue.map_or(0, |queue| queue.qlen);
        }
    }
    Ok(waiting)
}

/// Where an ingress or clsact qdisc is.
const fn place(ifindex: i32) -> Request<'static, object::Qdisc> {
    Request::qdisc(ifindex).parent(Handle::CLSACT)
}

pub(super) const fn clsact(ifindex: i32) -> Request<'static, object::Qdisc> {
    place(ifindex).handle(Handle::qdisc(0xffff)).kind("clsact")
}

/// A filter of a redirect, the one with this number.
pub(super) fn filter(
    ifindex: i32,
    side: Side,
    priority: u16,
    (number, matching): (usize, &Match),
) -> Request<'static, object::Filter> {
    let at = Request::filter(ifindex).parent(side.hook()).kind(matching.kind());
    let priority = priority.saturating_add(number as u16);
    at.priority(priority).protocol(matching.protocol()).handle(matching.filter_handle())
}

/// Deletes our filters of a side, and no other one: that of all packets at this priority, or those
/// that select packets, which a list has.
pub(super) fn delete_filters<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    side: Side,
    all_at: Option<u16>,
) -> Result<(), Error> {
    let Some(priority) = all_at else {
        let found = our_filters(tc, ifindex, side)?;
        for filter in &found {
            gone_is_fine(tc.delete(&filter.request(ifindex, side)))?;
        }
        return delete_empty_tables(tc, ifindex, side, &found);
    };
    // By its handle: a list can lack it.
    let filter = filter(ifindex, side, priority, (0, &Match::all()));
    let is_ours = match tc.get(&filter) {
        Ok(entry) => matches!(ours(&entry), Found::Ours(_)),
        // Kernel: EINVAL without the qdisc, or if the filter has another kind. An answer
        // without the filter proves nothing.
        Err(error) if error.kernel().is_some() && (error.is_not_found() || error.is_invalid()) => false,
        Err(error) => return Err(error),
    };
    match is_ours {
        true => gone_is_fine(tc.delete(&filter)),
        false => Ok(()),
    }
}

/// Deletes the hash tables of our u32 filters. Kernel: while another priority has a u32 filter, the
/// table stays when its last filter goes (`u32_delete`).
fn delete_empty_tables<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    side: Side,
    deleted: &[Ours],
) -> Result<(), Error> {
    if deleted.iter().all(|filter| filter.kind != "u32") {
        return Ok(());
    }
    let (mut tables, mut used) = (Vec::new(), Vec::new());
    for filter in tc.list_confirmed(&DumpRequest::filters(ifindex).parent(side.hook()))? {
        let Ok(entry) = filter.entry() else { continue };
        match ours(&entry) {
            Found::Head => tables.push(entry.priority()),
            _ => used.push(entry.priority()),
        }
    }
    for filter in deleted.iter().filter(|filter| filter.kind == "u32") {
        if tables.contains(&filter.priority) && !used.contains(&filter.priority) {
            let whole = Ours { handle: Handle::UNSPEC, ..filter.clone() };
            gone_is_fine(tc.delete(&whole.request(ifindex, side)))?;
        }
    }
    Ok(())
}

/// Deletes clsact or ingress if no filter is on it.
pub(super) fn delete_unused_clsact<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<(), Error> {
    for side in [Side::Egress, Side::Ingress] {
        if !tc.list_confirmed(&DumpRequest::filters(ifindex).parent(side.hook()))?.is_empty() {
            return Ok(());
        }
    }
    match tc.delete(&clsact(ifindex)) {
        // Kernel: EINVAL if it is gone, or is an ingress qdisc.
        Err(error) if error.is_invalid() || error.is_not_found() => Ok(()),
        other => other,
    }
}

pub(super) fn gone_is_fine(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Waits until no CPU has a packet in hand any more that it took before: from a filter
/// that is deleted, or from a qdisc that is empty.
///
/// Kernel: both happen under RCU, and `membarrier` waits for all its readers
/// (`synchronize_rcu`). Kernels with `nohz_full` refuse it.
pub(super) fn await_readers() {
    const LONG_ENOUGH: Duration = Duration::from_millis(20);
    if membarrier(MembarrierCommand::Global).is_err() {
        thread::sleep(LONG_ENOUGH);
    }
}

/// Tries some times.
pub(super) fn insist(mut delete: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match delete() {
            Err(_) if tries < TRIES => tries += 1,
            other => return other,
        }
    }
}
