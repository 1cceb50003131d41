//! The meaning of a request for a qdisc: a change, a new qdisc, or the move of an
//! existing one (the first half of `tc_modify_qdisc`).

use super::device::{Device, Id};
use super::discipline::Refusal;
use super::qdisc::{Request, no};
use crate::wire::handle::Handle;
use crate::wire::uapi::*;

/// The operation that a request for a qdisc amounts to.
pub(super) enum Plan {
    Change(Id),
    Graft { parent: Option<Id>, qdisc: Id },
    Create { parent: Option<Id> },
}

impl Device {
    pub(super) fn plan(&mut self, request: &Request<'_>) -> Result<Plan, Refusal> {
        let (clid, handle) = (request.header.parent, request.header.handle);
        if clid.is_unspec() {
            if handle.is_unspec() {
                return Err(no(libc::EINVAL, "Handle cannot be zero"));
            }
            return self.plan_change(self.lookup(handle));
        }
        let (mut parent, there) = if clid == Handle::ROOT {
            (None, self.root)
        } else if clid == Handle::INGRESS {
            (None, *self.ingress.get_or_insert(None))
        } else {
            let parent =
                self.lookup(clid.qdisc_of()).ok_or(no(libc::ENOENT, "Failed to find specified qdisc"))?;
            (Some(parent), self.leaf_of(parent, clid)?)
        };
        // A default qdisc counts as absent.
        let there = there.filter(|id| self.get(Some(*id)).is_some_and(|qdisc| !qdisc.handle.is_unspec()));
        let same = |id: Id| self.get(Some(id)).is_some_and(|qdisc| qdisc.handle == handle);
        match there {
            Some(id) if same(id) => self.plan_change(Some(id)),
            _ if !handle.is_unspec() => {
                if there.is_some() && !request.has(NLM_F_REPLACE) {
                    return Err(no(libc::EEXIST, "NLM_F_REPLACE needed to override"));
                }
                if handle.minor() != 0 {
                    return Err(no(libc::EINVAL, "Invalid minor handle"));
                }
                match self.lookup(handle) {
                    None => plan_create(request, parent),
                    Some(qdisc) => self.plan_graft(request, parent.take(), qdisc),
                }
            }
            None => plan_create(request, parent),
            Some(id) => {
                if request.is_other_kind(self.qdiscs.get(&id)) {
                    let (create, replace, exclusive) =
                        (request.has(NLM_F_CREATE), request.has(NLM_F_REPLACE), request.has(NLM_F_EXCL));
                    if create && (replace || exclusive) {
                        return plan_create(request, parent);
                    }
                    // Kernel: a change without any flag replaces a qdisc of another
                    // kind.
                    if !create && !replace && !exclusive {
                        return Ok(Plan::Create { parent });
                    }
                }
                self.plan_change(Some(id))
            }
        }
    }

    fn plan_change(&self, qdisc: Option<Id>) -> Result<Plan, Refusal> {
        qdisc.map(Plan::Change).ok_or(no(libc::ENOENT, "Specified qdisc not found"))
    }

    /// A qdisc with the requested handle exists at another parent.
    fn plan_graft(&self, request: &Request<'_>, parent: Option<Id>, id: Id) -> Result<Plan, Refusal> {
        let Some(qdisc) = self.qdiscs.get(&id) else {
            return Err(no(libc::ENOENT, "Specified qdisc not found"));
        };
        if qdisc.parent != request.header.parent {
            return Err(no(libc::EINVAL, "Cannot move an existing qdisc to a different parent"));
        }
        if request.has(NLM_F_EXCL) {
            return Err(no(libc::EEXIST, "Exclusivity flag on, cannot override"));
        }
        if request.is_other_kind(Some(qdisc)) {
            return Err(no(libc::EINVAL, "Invalid qdisc name"));
        }
        if qdisc.discipline.nature().ingress {
            return Err(no(libc::EINVAL, "Cannot regraft ingress or clsact Qdiscs"));
        }
        if parent.is_some_and(|parent| parent == id || self.is_below(parent, id)) {
            return Err(no(libc::ELOOP, "Qdisc parent/child loop detected"));
        }
        if request.header.parent == Handle::INGRESS {
            return Err(no(libc::EINVAL, "Ingress cannot graft directly"));
        }
        Ok(Plan::Graft { parent, qdisc: id })
    }

    /// Whether `id` is a descendant of `above`.
    fn is_below(&self, id: Id, above: Id) -> bool {
        let leaves = self.qdiscs.get(&above).map(|qdisc| qdisc.leaves.values());
        leaves.into_iter().flatten().any(|leaf| *leaf == id || self.is_below(id, *leaf))
    }

    /// `qdisc_leaf`.
    pub(super) fn leaf_of(&self, parent: Id, clid: Handle) -> Result<Option<Id>, Refusal> {
        let classes = self.qdiscs.get(&parent).and_then(|qdisc| qdisc.discipline.classes());
        let classes = classes.ok_or(no(libc::EOPNOTSUPP, "Parent qdisc is not classful"))?;
        let class = classes.find(clid).ok_or(no(libc::ENOENT, "Specified class not found"))?;
        Ok(self.leaf(parent, class))
    }
}

fn plan_create(request: &Request<'_>, parent: Option<Id>) -> Result<Plan, Refusal> {
    if request.has(NLM_F_CREATE) {
        return Ok(Plan::Create { parent });
    }
    Err(no(libc::ENOENT, "Qdisc not found. To create specify NLM_F_CREATE flag"))
}
