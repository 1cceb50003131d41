//! Requests for qdiscs, with the rules and the words of `net/sched/sch_api.c`
//! (6.1).

use bytes::BytesMut;

use super::device::{Device, Id, Qdisc};
use super::discipline::Refusal;
use super::plan::Plan;
use super::policy::{self, Table};
use super::stab::SizeTable;
use super::state::{Ask, State};
use crate::wire::attr::Attr;
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::*;

pub(super) type Attributes<'a> = Table<'a, { policy::TC_ATTRS }>;

pub(super) const fn no(errno: i32, message: &'static str) -> Refusal {
    Refusal::new(errno, message)
}

/// Notices that a request causes, a datagram each.
pub(super) type Notices = Vec<BytesMut>;

/// A request for a qdisc, taken apart.
pub(super) struct Request<'a> {
    pub(super) ask: Ask<'a>,
    pub(super) header: TcHeader,
    attributes: Attributes<'a>,
}

impl Request<'_> {
    fn kind(&self) -> Option<&[u8]> {
        self.attributes[usize::from(TCA_KIND)].map(|attr| text(attr.payload))
    }

    fn attr(&self, kind: u16) -> Option<Attr<'_>> {
        self.attributes[usize::from(kind)]
    }

    pub(super) const fn has(&self, flag: u16) -> bool {
        self.ask.message.flags & flag != 0
    }

    pub(super) fn is_other_kind(&self, qdisc: Option<&Qdisc>) -> bool {
        let kind = qdisc.map_or("noop", |qdisc| &qdisc.kind);
        self.kind().is_some_and(|asked| asked != kind.as_bytes())
    }
}

/// The bytes that `nla_strcmp` compares: all but one NUL at the end.
fn text(payload: &[u8]) -> &[u8] {
    payload.strip_suffix(&[0]).unwrap_or(payload)
}

impl State {
    /// `RTM_NEWQDISC`: `tc_modify_qdisc`.
    pub(super) fn modify_qdisc(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes = policy::parse(ask.message.payload, TCMSG_LEN, policy::tc)?;
        let header = super::state::tc_header(&ask)?;
        let request = Request { ask, header, attributes };
        let position = self.position(header.ifindex)?;
        self.devices[position].modify(&request, &mut self.last_auto_handle)
    }

    /// `RTM_GETQDISC` and `RTM_DELQDISC`: `tc_get_qdisc`.
    pub(super) fn get_qdisc(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes = policy::parse(ask.message.payload, TCMSG_LEN, policy::tc)?;
        let header = super::state::tc_header(&ask)?;
        let request = Request { ask, header, attributes };
        let position = self.position(header.ifindex)?;
        self.devices[position].get_or_delete(&request)
    }
}

impl Device {
    fn modify(&mut self, request: &Request<'_>, last_auto: &mut u32) -> Result<Notices, Refusal> {
        let clid = request.header.parent;
        match self.plan(request)? {
            Plan::Change(id) => {
                if request.has(NLM_F_EXCL) {
                    return Err(no(libc::EEXIST, "Exclusivity flag on, cannot modify"));
                }
                if request.is_other_kind(self.qdiscs.get(&id)) {
                    return Err(no(libc::EINVAL, "Invalid qdisc name"));
                }
                self.change(request, id)?;
                self.fill_leaves(id, true);
                Ok(self.qdisc_notice(request, clid, None, Some(id), false).into_iter().collect())
            }
            Plan::Graft { parent, qdisc } => {
                self.hold(qdisc);
                let grafted = self.graft(request, parent, Some(qdisc), false);
                if grafted.is_err() {
                    self.put(Some(qdisc));
                }
                grafted
            }
            Plan::Create { parent } => {
                let qdisc = self.create(request, last_auto)?;
                let grafted = self.graft(request, parent, Some(qdisc), false);
                if grafted.is_err() {
                    self.put(Some(qdisc));
                }
                grafted
            }
        }
    }

    /// `qdisc_create`.
    fn create(&mut self, request: &Request<'_>, last_auto: &mut u32) -> Result<Id, Refusal> {
        let header = &request.header;
        let unknown = no(libc::ENOENT, "Specified qdisc kind is unknown");
        let kind = request.kind().and_then(|kind| std::str::from_utf8(kind).ok()).ok_or(unknown.clone())?;
        let mut discipline = self.kinds.make(kind).ok_or(unknown)?;
        let nature = discipline.nature();
        let handle = if header.parent == Handle::INGRESS {
            if !nature.ingress {
                let text = "Specified parent ID is reserved for ingress and clsact Qdiscs";
                return Err(no(libc::EINVAL, text));
            }
            Handle::INGRESS.qdisc_of()
        } else if header.handle.is_unspec() {
            let full = no(libc::ENOSPC, "Maximum number of qdisc handles was exceeded");
            self.automatic_handle(last_auto).ok_or(full)?
        } else {
            header.handle
        };
        let ingress_block = block(request.attr(TCA_INGRESS_BLOCK), nature.ingress, "Ingress")?;
        let clsact = nature.ingress && kind != "ingress";
        let egress_block = block(request.attr(TCA_EGRESS_BLOCK), clsact, "Egress")?;
        let place = self.place(handle, header.parent);
        discipline.init(request.attr(TCA_OPTIONS).map(|attr| attr.payload), &place)?;
        let stab = request
            .attr(TCA_STAB)
            .map(|attr| SizeTable::decode(&attr, request.ask.message.payload))
            .transpose()?;
        let has_estimator = match request.attr(TCA_RATE) {
            Some(_) if nature.multi_queue => {
                let text = "Cannot attach rate estimator to a multi-queue root qdisc";
                return Err(no(libc::EOPNOTSUPP, text));
            }
            Some(attr) if !is_estimator(attr.payload) => {
                return Err(no(libc::EINVAL, "Failed to generate new estimator"));
            }
            estimator => estimator.is_some(),
        };
        let id = self.insert(kind, handle, header.parent, discipline);
        if let Some(qdisc) = self.qdiscs.get_mut(&id) {
            (qdisc.stab, qdisc.has_estimator) = (stab, has_estimator);
            (qdisc.ingress_block, qdisc.egress_block) = (ingress_block, egress_block);
        }
        self.fill_leaves(id, true);
        self.remember(id, false);
        Ok(id)
    }

    /// `qdisc_alloc_handle`: `8001:` and up, never one that is in use here.
    fn automatic_handle(&self, last: &mut u32) -> Option<Handle> {
        (0..0x8000).find_map(|_| {
            *last = last.wrapping_add(0x1_0000);
            if *last == 0xffff_0000 {
                *last = 0x8000_0000;
            }
            let handle = Handle::from_raw(*last);
            self.lookup(handle).is_none().then_some(handle)
        })
    }

    /// `qdisc_change`.
    fn change(&mut self, request: &Request<'_>, id: Id) -> Result<(), Refusal> {
        let Some(qdisc) = self.qdiscs.get(&id) else { return Ok(()) };
        let nature = qdisc.discipline.nature();
        let place = self.place(qdisc.handle, qdisc.parent);
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return Ok(()) };
        if let Some(options) = request.attr(TCA_OPTIONS) {
            if nature.fixed {
                return Err(no(libc::EINVAL, "Change operation not supported by specified qdisc"));
            }
            if request.attr(TCA_INGRESS_BLOCK).or(request.attr(TCA_EGRESS_BLOCK)).is_some() {
                return Err(no(libc::EOPNOTSUPP, "Change of blocks is not supported"));
            }
            qdisc.discipline.change(options.payload, &place)?;
            if qdisc.discipline.kicks() {
                self.run_queue_of(id);
            }
        }
        let Some(qdisc) = self.qdiscs.get_mut(&id) else { return Ok(()) };
        // Kernel: without TCA_STAB the table that was there is lost.
        qdisc.stab = request
            .attr(TCA_STAB)
            .map(|attr| SizeTable::decode(&attr, request.ask.message.payload))
            .transpose()?;
        // Kernel: a bad estimator is passed over here.
        qdisc.has_estimator |= request.attr(TCA_RATE).is_some_and(|attr| is_estimator(attr.payload));
        Ok(())
    }

    fn get_or_delete(&mut self, request: &Request<'_>) -> Result<Notices, Refusal> {
        let (clid, handle) = (request.header.parent, request.header.handle);
        let (parent, there) = if clid.is_unspec() {
            let unknown = no(libc::ENOENT, "Failed to find qdisc with specified handle");
            (None, Some(self.lookup(handle).ok_or(unknown)?))
        } else if clid == Handle::ROOT {
            (None, self.root)
        } else if clid.major() == Handle::INGRESS.major() {
            let none = no(libc::ENOENT, "Cannot find specified qdisc on specified device");
            (None, self.ingress.ok_or(none)?)
        } else {
            let unknown = no(libc::ENOENT, "Failed to find qdisc with specified classid");
            let parent = self.lookup(clid.qdisc_of()).ok_or(unknown)?;
            let none = no(libc::ENOENT, "Cannot find specified qdisc on specified device");
            (Some(parent), Some(self.leaf_of(parent, clid)?.ok_or(none)?))
        };
        let own = self.get(there).map_or(Handle::UNSPEC, |qdisc| qdisc.handle);
        if !clid.is_unspec() && !handle.is_unspec() && own != handle {
            return Err(no(libc::EINVAL, "Invalid handle"));
        }
        if request.is_other_kind(self.get(there)) {
            return Err(no(libc::EINVAL, "Invalid qdisc name"));
        }
        if request.ask.message.kind == RTM_GETQDISC {
            return Ok(self.qdisc_notice(request, clid, None, there, false).into_iter().collect());
        }
        if clid.is_unspec() {
            return Err(no(libc::EINVAL, "Classid cannot be zero"));
        }
        if own.is_unspec() {
            return Err(no(libc::ENOENT, "Cannot delete qdisc with handle of zero"));
        }
        let ingress = self.get(there).is_some_and(|qdisc| qdisc.discipline.nature().ingress);
        self.graft(request, parent, None, ingress)
    }
}

/// `qdisc_block_indexes_set`.
fn block(attr: Option<Attr<'_>>, supported: bool, side: &str) -> Result<Option<u32>, Refusal> {
    let Some(attr) = attr else { return Ok(None) };
    let refuse = |errno, text: String| Refusal { message: Some(text.into()), ..Refusal::errno(errno) };
    match attr.u32().unwrap_or_default() {
        0 => Err(refuse(libc::EINVAL, format!("{side} block index cannot be 0"))),
        _ if !supported => Err(refuse(libc::EOPNOTSUPP, format!("{side} block sharing is not supported"))),
        block => Ok(Some(block)),
    }
}

/// Checks an estimator as `gen_new_estimator` does: an interval from 250 ms to
/// 8 s, and a weight.
fn is_estimator(payload: &[u8]) -> bool {
    match payload {
        [interval, weight, ..] => {
            (-2..=3).contains(&i8::from_ne_bytes([*interval])) && (1..31).contains(weight)
        }
        _ => false,
    }
}
