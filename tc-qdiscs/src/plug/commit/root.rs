//! What stands at a device's root, and how it is opened or closed again: for a
//! session, its guardian, and whoever finds its journal.

use tc_core::message::Entry;
use tc_core::{Cause, Connection, Error, Handle, Request, Select, Transport, Verb};

use super::super::Plug;
use super::error::Network;
use super::journal::JournalDevice;

/// What stands at the root of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The kernel's default.
    Default,
    /// A plug with this handle.
    Plug(Handle),
    /// Anything else.
    Other(String, Handle),
}

impl Root {
    fn of(entry: &Entry<'_>) -> Self {
        let handle = entry.header.handle;
        match entry.kind() {
            // Kernel: the defaults, and they alone, have the handle 0.
            _ if handle.is_unspec() => Self::Default,
            Ok("plug") => Self::Plug(handle),
            kind => Self::Other(kind.unwrap_or("?").to_owned(), handle),
        }
    }
}

const ENODEV: i32 = 19;

/// The root qdisc of a device that may be somebody else's, from a list of all.
///
/// Kernel: before Linux 6.8 the question of [`root_of`] looks like a change to
/// the session that has the device: it would be tainted, and what it holds lost.
pub(super) fn listed_root_of<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Root, Error> {
    for listed in tc.list_confirmed(&Select::qdiscs().device(ifindex))? {
        match listed.entry() {
            Ok(entry) if entry.header.parent == Handle::ROOT => return Ok(Root::of(&entry)),
            // Not its root: what cannot be read is not a plug of ours either.
            _ => {}
        }
    }
    Ok(Root::Default) // not shown
}

/// Asks for the root qdisc; `None` if there is no such device.
pub(super) fn root_of<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Option<Root>, Error> {
    Ok(root_and_held(tc, ifindex)?.map(|(root, _)| root))
}

/// Asks for the root qdisc, and how many packets it holds if the kernel reports
/// that; `None` if there is no such device.
pub(super) fn root_and_held<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
) -> Result<Option<(Root, Option<u32>)>, Error> {
    match tc.get(&Request::qdisc(ifindex).parent(Handle::ROOT)) {
        Ok(entry) => {
            let queue = entry.stats().ok().flatten().and_then(|stats| stats.queue);
            Ok(Some((Root::of(&entry), queue.map(|queue| queue.qlen))))
        }
        Err(error) if error.errno() == Some(ENODEV) => Ok(None),
        Err(error) if matches!(error.cause(), Cause::NotShown) => Ok(Some((Root::Default, None))),
        Err(error) => Err(error),
    }
}

/// The plug that a journal names, as it is now; `None` if something else, or
/// nothing, is in its place.
pub(super) fn own_plug<T: Transport>(
    tc: &mut Connection<T>,
    device: &JournalDevice,
) -> Result<Option<Handle>, Error> {
    Ok(match root_of(tc, device.ifindex)? {
        Some(Root::Plug(handle)) if device.handles.contains(&handle) => Some(handle),
        _ => None,
    })
}

/// Lets everything go that is held by the plug with this handle, and by no other
/// one.
pub(super) fn open<T: Transport>(tc: &mut Connection<T>, ifindex: i32, handle: Handle) -> Result<(), Error> {
    let plug = Plug::release_indefinite();
    let request = Request::qdisc(ifindex).parent(Handle::ROOT).handle(handle).options(&plug);
    tc.apply_as_it_is(Verb::Change, &request).map(|_| ())
}

/// Puts a new plug, closed and empty, in the place of ours: what is held is lost,
/// and nothing leaves in between, as it would after a delete.
///
/// Kernel: a replace with another handle makes the new qdisc first, and swaps
/// the two while the device is deactivated and drops what is sent.
pub(super) fn shut<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    [own, spare]: [Handle; 2],
    limit_bytes: u32,
) -> Result<(Network, Handle), Error> {
    let plug = Plug::set_limit(limit_bytes);
    let request = |handle| Request::qdisc(ifindex).parent(Handle::ROOT).handle(handle);
    match root_of(tc, ifindex)? {
        None => Ok((Network::Gone, own)),
        Some(Root::Plug(handle)) if handle == own => {
            tc.apply_as_it_is(Verb::Replace, &request(spare).options(&plug))?;
            Ok((Network::HeldAnew, spare))
        }
        Some(Root::Default) => {
            tc.apply_as_it_is(Verb::Add, &request(own).options(&plug))?;
            Ok((Network::HeldAnew, own))
        }
        Some(_) => Ok((Network::Foreign, own)),
    }
}
