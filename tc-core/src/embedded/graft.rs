//! How qdiscs take places and leave them: `qdisc_graft` and `qdisc_notify` of
//! `net/sched/sch_api.c` (6.1).

use bytes::BytesMut;

use super::device::{DEEPEST, Device, Id};
use super::discipline::Refusal;
use super::fill::Head;
use super::qdisc::{Notices, Request, no};
use crate::wire::handle::Handle;
use crate::wire::uapi::*;

impl Device {
    /// `qdisc_graft`: puts `new` (or nothing) below a parent or on the device
    /// itself. `ingress`: the replaced qdisc is the ingress qdisc.
    pub(super) fn graft(
        &mut self,
        request: &Request<'_>,
        parent: Option<Id>,
        new: Option<Id>,
        ingress: bool,
    ) -> Result<Notices, Refusal> {
        let clid = request.header.parent;
        if let Some(parent) = parent {
            return self.graft_below(request, parent, new);
        }
        let nature = self.get(new).map(|qdisc| qdisc.discipline.nature()).unwrap_or_default();
        let ingress = ingress || nature.ingress;
        if ingress && self.ingress.is_none() {
            return Err(no(libc::ENOENT, "Device does not have an ingress queue"));
        }
        if self.up {
            self.deactivate();
        }
        let notice = if ingress {
            let old = self.ingress.replace(None).flatten();
            // Kernel: the last reference is given up before the notice.
            if let Some(qdisc) = old.and_then(|id| self.qdiscs.get_mut(&id)) {
                qdisc.references = 0;
            }
            let notice = self.qdisc_notice(request, clid, old, new, true);
            old.into_iter().for_each(|old| self.destroy(old));
            self.ingress = Some(new);
            notice
        } else {
            self.graft_root(request, new, nature.attaches)
        };
        if self.up {
            self.activate();
        }
        Ok(notice.into_iter().collect())
    }

    fn graft_root(&mut self, request: &Request<'_>, new: Option<Id>, attaches: bool) -> Option<BytesMut> {
        if !attaches {
            for queue in 0..self.queues.len() {
                let old = std::mem::replace(&mut self.queues[queue], new);
                if let Some(new) = new.filter(|_| queue > 0) {
                    self.hold(new);
                }
                self.put(old);
            }
            new.into_iter().for_each(|new| self.hold(new));
        }
        let old = std::mem::replace(&mut self.root, new);
        let notice = self.qdisc_notice(request, request.header.parent, old, new, true);
        self.put(old);
        if let Some(new) = new.filter(|_| attaches) {
            self.attach(new);
        }
        notice
    }

    fn graft_below(
        &mut self,
        request: &Request<'_>,
        parent: Id,
        new: Option<Id>,
    ) -> Result<Notices, Refusal> {
        let clid = request.header.parent;
        let unsupported = || Refusal::errno(libc::EOPNOTSUPP);
        let above = self.qdiscs.get(&parent).ok_or_else(unsupported)?;
        let nature = above.discipline.nature();
        let classes = above.discipline.classes().filter(|_| !nature.ingress).ok_or_else(unsupported)?;
        let class = classes.find(clid).ok_or(no(libc::ENOENT, "Specified class not found"))?;
        if let Some(qdisc) = self.get(new) {
            if qdisc.discipline.nature().queueless {
                return Err(no(libc::EINVAL, "Cannot assign noqueue to a class"));
            }
            if qdisc.stab.is_some() && !nature.multi_queue {
                return Err(no(libc::EINVAL, "STAB not supported on a non root"));
            }
            if above.depth >= DEEPEST {
                return Err(no(libc::E2BIG, "Qdisc hierarchy is too deep"));
            }
        }
        classes.may_graft(class)?;
        let old = if nature.multi_queue {
            self.graft_queue(class, new)
        } else {
            self.graft_leaf(parent, class, new)
        };
        new.into_iter().for_each(|new| self.set_depth(parent, new));
        let notice = self.qdisc_notice(request, clid, old, new, true);
        self.put(old);
        Ok(notice.into_iter().collect())
    }

    /// `mq_graft`.
    fn graft_queue(&mut self, class: Handle, new: Option<Id>) -> Option<Id> {
        if self.up {
            self.deactivate();
        }
        let queue = usize::from(class.minor()).saturating_sub(1);
        let old = self.queues.get_mut(queue).and_then(|queue| std::mem::replace(queue, new));
        if self.up {
            self.activate();
        }
        old
    }

    fn graft_leaf(&mut self, parent: Id, class: Handle, new: Option<Id>) -> Option<Id> {
        let new = new.or_else(|| {
            let leaf = self.insert_default(super::kinds::LEAF, class)?;
            self.set_depth(parent, leaf);
            let classes = self.qdiscs.get(&parent).and_then(|qdisc| qdisc.discipline.classes());
            if classes.is_some_and(|classes| classes.lists_restored_leaves()) {
                self.remember(leaf, true);
            }
            Some(leaf)
        });
        let leaves = &mut self.qdiscs.get_mut(&parent)?.leaves;
        let old = match new {
            Some(new) => leaves.insert(class, new),
            None => leaves.remove(&class),
        };
        old.into_iter().for_each(|old| self.reset(old));
        old
    }

    /// `qdisc_notify`: the old and the new qdisc in one datagram, without those that
    /// are hidden by default.
    ///
    /// Kernel: a new qdisc always replaces another, at least noop.
    pub(super) fn qdisc_notice(
        &self,
        request: &Request<'_>,
        clid: Handle,
        old: Option<Id>,
        new: Option<Id>,
        replaces: bool,
    ) -> Option<BytesMut> {
        let mut datagram = BytesMut::new();
        let shown = |id: &Id| self.get(Some(*id)).is_some_and(|qdisc| !qdisc.invisible);
        let head = Head {
            kind: RTM_DELQDISC,
            flags: 0,
            sequence: request.ask.message.sequence,
            port: request.ask.port,
        };
        if let Some(old) = old.filter(shown) {
            self.fill_qdisc(&mut datagram, head, old, clid);
        }
        if let Some(new) = new.filter(shown) {
            let flags = if replaces { NLM_F_REPLACE } else { 0 };
            self.fill_qdisc(&mut datagram, Head { kind: RTM_NEWQDISC, flags, ..head }, new, clid);
        }
        (!datagram.is_empty()).then_some(datagram)
    }
}
