//! Changes of a ring by others, from the kernel's notices.

use tc_core::link::Link;
use tc_core::message::{Entry, Message};
use tc_core::monitor::Notice;
use tc_core::uapi::{
    IFF_UP, RTM_DELLINK, RTM_DELQDISC, RTM_DELTFILTER, RTM_NEWLINK, RTM_NEWQDISC, RTM_NEWTFILTER,
};
use tc_core::{DecodeError, Handle, Transport};

use super::session::{Ring, RingSite};
use crate::plug::commit::taint::{Taint, TaintCause};

/// The most notices that are read at once: a sender that is faster than the reader
/// does not block it.
const MOST: u32 = 1 << 16;

impl<T: Transport> Ring<T> {
    /// Reads the notices that have come; the first that shows a change of the ring by
    /// somebody else.
    ///
    /// Kernel: a notice is sent under the lock that a command takes too. So what preceded
    /// a command is readable after it.
    pub(super) fn read_notices(&mut self) -> Option<Taint> {
        let own_port = self.tc.transport().port();
        let overflow = || Taint::new("", TaintCause::Overflow);
        let mut found = None;
        for _ in 0..MOST {
            let taint = match self.monitor.receive() {
                Ok(None) => return found,
                Ok(Some(Notice::Overflow)) => Some(overflow()),
                Ok(Some(Notice::Message(message))) if message.port == own_port => None,
                Ok(Some(Notice::Message(message))) => judge(&message, &self.sites),
                Err(error) => {
                    let cause = TaintCause::Command { doing: "reading notices", why: error.to_string() };
                    return found.or(Some(Taint::new("", cause)));
                }
            };
            found = found.or(taint);
        }
        found.or_else(|| Some(overflow()))
    }
}

/// The taint that a notice of somebody else's change implies.
fn judge(message: &Message<'_>, sites: &[RingSite]) -> Option<Taint> {
    let index = message.payload.get(4..8)?.try_into().map(i32::from_ne_bytes).ok()?;
    sites.iter().find_map(|site| {
        let on_ring = site.objects.ifindex == index;
        let on_device = site.redirect.is_some() && site.device == index;
        let judged = match message.kind {
            RTM_DELLINK if on_ring || on_device => Ok(Some(TaintCause::DeviceGone)),
            RTM_NEWLINK if on_ring && site.redirect.is_some() => judge_ifb(message),
            RTM_NEWQDISC | RTM_DELQDISC if on_ring => judge_qdisc(message, site),
            RTM_DELQDISC if on_device => judge_hook(message),
            RTM_NEWTFILTER | RTM_DELTFILTER if on_device => judge_filter(message, site),
            _ => Ok(None),
        };
        let cause = judged.unwrap_or_else(|error| Some(error.into()))?;
        Some(Taint::new(&site.name, cause))
    })
}

/// An IFB that is down drops what is held. Nothing leaks, but the output is lost.
fn judge_ifb(message: &Message<'_>) -> Result<Option<TaintCause>, DecodeError> {
    let link = Link::decode(message)?;
    Ok((link.flags & IFF_UP == 0).then_some(TaintCause::LinkDown))
}

/// The prio, its plugs, or another qdisc in the place of the ring.
fn judge_qdisc(message: &Message<'_>, site: &RingSite) -> Result<Option<TaintCause>, DecodeError> {
    let header = Entry::decode(message)?.header;
    let (root, parent) = (site.objects.root, site.objects.parent);
    let touched = header.handle == root || header.parent == parent || header.parent.qdisc_of() == root;
    Ok(touched.then_some(TaintCause::Touched { port: message.port }))
}

/// Without clsact the filter is gone.
fn judge_hook(message: &Message<'_>) -> Result<Option<TaintCause>, DecodeError> {
    let header = Entry::decode(message)?.header;
    let port = message.port;
    Ok((header.parent == Handle::CLSACT).then_some(TaintCause::IngressTouched { port }))
}

/// Our filter, or one at its priority, or a delete of all.
fn judge_filter(message: &Message<'_>, site: &RingSite) -> Result<Option<TaintCause>, DecodeError> {
    let Some(redirect) = &site.redirect else { return Ok(None) };
    let header = Entry::decode(message)?.header;
    let priority = (header.info >> 16) as u16;
    let ours = priority == 0 || redirect.priorities().contains(&priority);
    let touched = header.parent == redirect.hook() && ours;
    Ok(touched.then_some(TaintCause::FilterTouched { port: message.port }))
}
