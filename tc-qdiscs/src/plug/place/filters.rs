//! The filters and qdiscs of a redirect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::Duration;

use rustix::thread::{MembarrierCommand, membarrier};
use tc_core::action::{Action, Actions};
use tc_core::message::Entry;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, DumpRequest, Error, Handle, Request, Transport, object};

use super::Side;
use super::error::PlaceError;
use super::mark::Mark;
use crate::action::mirred::{Eaction, Mirred};
use crate::filter::matchall::Matchall;

/// The state of a side's filters.
pub(super) struct Hook {
    pub(super) has_qdisc: bool,
    pub(super) ours: Option<Ours>,
}

/// A filter of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// The device that it leads to; 0 if that is gone.
    pub(super) leads_to: i32,
    pub(super) made_clsact: bool,
}

/// By these our filter is known; the first if the redirect made the clsact qdisc.
const COOKIES: [&[u8]; 2] = [b"plug-redirect-m", b"plug-redirect-f"];
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
    priority: u16,
) -> Result<Hook, PlaceError> {
    let Some(kind) = hook_qdisc(tc, ifindex)? else {
        return Ok(Hook { has_qdisc: false, ours: None });
    };
    if kind == "ingress" && side == Side::Egress {
        return Err(PlaceError::NoEgress { device: name.to_owned() });
    }
    let mut found = None;
    for filter in tc.list_confirmed(&DumpRequest::filters(ifindex).parent(side.hook()))? {
        let Ok(entry) = filter.entry() else { continue };
        if (entry.header.info >> 16) as u16 != priority {
            continue;
        }
        match ours(&entry) {
            Ok(Some(ours)) => found = Some(ours),
            // Kernel: a filter without options stands for its priority.
            Ok(None) => {}
            Err(kind) => {
                let device = name.to_owned();
                return Err(PlaceError::ForeignFilter { device, side, priority, kind });
            }
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

/// Our filter; the kind of another one. `None` for the head of a priority, which belongs
/// to whichever filter is in it.
fn ours(entry: &Entry<'_>) -> Result<Option<Ours>, String> {
    let kind = entry.kind().unwrap_or("?").to_owned();
    if entry.header.handle.is_unspec() && kind == "matchall" {
        return Ok(None);
    }
    let matchall = entry.options_as::<Matchall>();
    let Ok(Some(matchall)) = matchall else { return Err(kind) };
    let by_cookie = |cookie: &[u8]| matchall.actions.iter().find(|action| action.cookie == cookie);
    let (action, made_clsact) = match COOKIES.map(by_cookie) {
        [Some(action), _] => (action, true),
        [None, Some(action)] => (action, false),
        [None, None] => return Err(kind),
    };
    let leads_to = action.options_as::<Mirred>().map_or(0, |mirred| mirred.ifindex);
    Ok(Some(Ours { leads_to, made_clsact }))
}

/// The priority of our filter that leads to this IFB.
pub(super) fn our_priority<T: Transport>(
    tc: &mut Connection<T>,
    mark: Mark,
    ifb: i32,
) -> Result<Option<u16>, PlaceError> {
    if hook_qdisc(tc, mark.device)?.is_none() {
        return Ok(None);
    }
    for filter in tc.list_confirmed(&DumpRequest::filters(mark.device).parent(mark.side.hook()))? {
        let Ok(entry) = filter.entry() else { continue };
        if ours(&entry).is_ok_and(|ours| ours.is_some_and(|ours| ours.leads_to == ifb)) {
            return Ok(Some((entry.header.info >> 16) as u16));
        }
    }
    Ok(None)
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

/// Where an ingress or clsact qdisc is.
const fn place(ifindex: i32) -> Request<'static, object::Qdisc> {
    Request::qdisc(ifindex).parent(Handle::CLSACT)
}

pub(super) const fn clsact(ifindex: i32) -> Request<'static, object::Qdisc> {
    place(ifindex).handle(Handle::qdisc(0xffff)).kind("clsact")
}

pub(super) const fn filter(ifindex: i32, side: Side, priority: u16) -> Request<'static, object::Filter> {
    let at = Request::filter(ifindex).parent(side.hook()).kind("matchall");
    at.priority(priority).protocol(ETH_P_ALL).handle(Handle::from_raw(1))
}

pub(super) fn redirect_to(ifindex: i32, made_clsact: bool) -> Matchall {
    let cookie = COOKIES[usize::from(!made_clsact)];
    let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, ifindex)).cookie(cookie);
    Matchall { actions: Actions::new().with(redirect), ..Matchall::default() }
}

/// Deletes our filter, and no other one.
pub(super) fn delete_filter<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    side: Side,
    priority: u16,
) -> Result<(), Error> {
    let is_ours = match tc.get(&filter(ifindex, side, priority)) {
        Ok(entry) => matches!(ours(&entry), Ok(Some(_))),
        // Kernel: EINVAL without the qdisc, or if the filter has another kind. An answer
        // without the filter proves nothing.
        Err(error) if error.kernel().is_some() && (error.is_not_found() || error.is_invalid()) => false,
        Err(error) => return Err(error),
    };
    match is_ours {
        true => gone_is_fine(tc.delete(&filter(ifindex, side, priority))),
        false => Ok(()),
    }
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
