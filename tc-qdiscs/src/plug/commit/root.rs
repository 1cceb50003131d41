//! The root qdisc of a device, and how it is opened or closed again: for a session,
//! its guardian, and the finder of its journal.

use tc_core::message::Entry;
use tc_core::{Cause, Connection, DumpRequest, Error, Handle, Request, Transport, Verb, object};

use super::super::Plug;
use super::error::NetworkState;
use super::journal::JournalDevice;
use super::ring::objects::{Objects, is_root};

/// The root qdisc of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// The kernel's default.
    Default,
    /// A plug with this handle.
    Plug(Handle),
    /// A ring of plugs, at the root or below a class; its prio has this handle.
    Ring(Handle),
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
            Ok("prio") if is_root(handle) => Self::Ring(handle),
            kind => Self::Other(kind.unwrap_or("?").to_owned(), handle),
        }
    }
}

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;

/// The root qdisc of a device that may be somebody else's, from a list of all.
///
/// Kernel: before Linux 6.8 a question for one qdisc (`RTM_GETQDISC`) looks like
/// a change to the session that has the device: it would be tainted, and the
/// packets it holds lost.
pub(super) fn listed_root_of<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Root, Error> {
    let mut root = Root::Default; // not shown
    for listed in tc.list_confirmed(&DumpRequest::qdiscs().device(ifindex))? {
        match listed.entry() {
            Ok(entry) if entry.header.parent == Handle::ROOT => root = Root::of(&entry),
            // A ring below a class is a session's, whatever the root is.
            Ok(entry) if matches!(Root::of(&entry), Root::Ring(_)) => return Ok(Root::of(&entry)),
            // Not its root, or no plug of ours.
            _ => {}
        }
    }
    Ok(root)
}

/// The root qdisc of a device, if it has this handle. Every request of this
/// module names it, and the kernel refuses where the root is another one.
pub(super) const fn at(ifindex: i32, handle: Handle) -> Request<'static, object::Qdisc> {
    Request::qdisc(ifindex).parent(Handle::ROOT).handle(handle)
}

/// The root qdisc instead of the plug, from the refusal of a request that named its
/// handle; `None` if the refusal has another reason.
///
/// Kernel: it is a default one (ENOENT), has another handle (EEXIST for a change,
/// EINVAL for a delete) or another kind (EINVAL), or there is no device.
pub(super) fn refused(error: &Error) -> Option<NetworkState> {
    match error.errno()? {
        ENODEV => Some(NetworkState::Gone),
        // The packets that a plug holds are dropped with it.
        ENOENT => Some(NetworkState::OpenedEmpty),
        EEXIST | EINVAL => Some(NetworkState::Foreign),
        _ => None,
    }
}

/// Lets everything go that is held by the plug with this handle, and by no other
/// one.
pub(super) fn open<T: Transport>(tc: &mut Connection<T>, ifindex: i32, handle: Handle) -> Result<(), Error> {
    let plug = Plug::release_indefinite();
    tc.apply_as_it_is(Verb::Change, &at(ifindex, handle).options(&plug)).map(|_| ())
}

/// The ring that a journal names.
pub(super) fn own_ring<T: Transport>(
    tc: &mut Connection<T>,
    device: &JournalDevice,
) -> Result<Option<Objects>, Error> {
    match is_root(device.handles[0]) {
        true => Objects::find(tc, device.ifindex, device.handles[0]),
        false => Ok(None),
    }
}

/// Lets everything go that is held by the plug or ring that a journal names. Returns its
/// handle, or `None` if it is gone.
pub(super) fn open_own<T: Transport>(
    tc: &mut Connection<T>,
    device: &JournalDevice,
) -> Result<Option<Handle>, Error> {
    for handle in device.handles {
        match open(tc, device.ifindex, handle) {
            Ok(()) => return Ok(Some(handle)),
            Err(error) if refused(&error).is_some() => {}
            Err(error) => return Err(error),
        }
    }
    match own_ring(tc, device)? {
        Some(ring) => ring.open(tc).map(|()| Some(device.handles[0])),
        None => Ok(None),
    }
}

/// Deletes the plug with this handle, and no other one. False if it was gone.
pub(super) fn delete<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    handle: Handle,
) -> Result<bool, Error> {
    match tc.apply_as_it_is(Verb::Delete, &at(ifindex, handle).kind("plug")) {
        Ok(_) => Ok(true),
        Err(error) if refused(&error).is_some() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the plug with this handle is at the root.
pub(super) fn is_there<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    handle: Handle,
) -> Result<bool, Error> {
    match tc.get(&at(ifindex, handle)) {
        Ok(entry) => Ok(Root::of(&entry) == Root::Plug(handle)),
        Err(error) if refused(&error).is_some() || matches!(error.cause(), Cause::NotShown) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How many packets the plug with this handle holds, if it is there and the
/// kernel reports that.
pub(super) fn held_by<T: Transport>(tc: &mut Connection<T>, ifindex: i32, handle: Handle) -> Option<u32> {
    let entry = tc.get(&at(ifindex, handle)).ok()?;
    entry.stats().ok().flatten()?.queue.map(|queue| queue.qlen)
}

/// The handle of the plug that a journal names, or `None` if the plug is gone.
pub(super) fn own_plug<T: Transport>(
    tc: &mut Connection<T>,
    device: &JournalDevice,
) -> Result<Option<Handle>, Error> {
    for handle in device.handles {
        if is_there(tc, device.ifindex, handle)? {
            return Ok(Some(handle));
        }
    }
    Ok(None)
}

/// Replaces our plug with a new one, closed and empty: held packets are lost, and
/// nothing leaves in between, as it would after a delete.
///
/// Kernel: a replace with another handle makes the new qdisc first, and swaps
/// the two while the device is deactivated and drops what is sent. It is the one
/// request that cannot name the handle of what it replaces, so the plug is looked
/// for right before.
pub(super) fn shut<T: Transport>(
    tc: &mut Connection<T>,
    ifindex: i32,
    [own, spare]: [Handle; 2],
    limit_bytes: u32,
) -> Result<(NetworkState, Handle), Error> {
    let plug = Plug::set_limit(limit_bytes);
    if is_there(tc, ifindex, own)? {
        tc.apply_as_it_is(Verb::Replace, &at(ifindex, spare).options(&plug))?;
        return Ok((NetworkState::HeldAnew, spare));
    }
    // Kernel: it adds nothing where somebody's qdisc is.
    match tc.apply_as_it_is(Verb::Add, &at(ifindex, own).options(&plug)) {
        Ok(_) => Ok((NetworkState::HeldAnew, own)),
        Err(error) => match refused(&error) {
            Some(network @ (NetworkState::Gone | NetworkState::Foreign)) => Ok((network, own)),
            _ => Err(error),
        },
    }
}
